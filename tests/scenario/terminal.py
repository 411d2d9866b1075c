#!/usr/bin/python3
"""Run a program as somebody at a terminal would.

terminal.py [--answer PATTERN=TEXT]... -- COMMAND...

Its terminal's output is copied to our own. When that has matched PATTERN (Python's re),
TEXT and a newline are typed; each answer once, in this order. SIGTERM and SIGINT are
passed on; its exit code is ours.
"""
import os
import pty
import re
import select
import signal
import sys


def main():
    args = sys.argv[1:]
    answers = []
    while args and args[0] == '--answer':
        pattern, _, text = args[1].rpartition('=')
        answers.append((re.compile(pattern.encode()), text.encode() + b'\n'))
        args = args[2:]
    if args and args[0] == '--':
        args = args[1:]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(args[0], args)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: os.kill(pid, n))
    seen = b''
    while True:
        try:
            select.select([fd], [], [])
            data = os.read(fd, 4096)
        except InterruptedError:
            continue
        except OSError:  # the program has closed its terminal
            break
        if not data:
            break
        seen += data
        os.write(1, data.replace(b'\r\n', b'\n'))
        while answers and answers[0][0].search(seen):
            os.write(fd, answers.pop(0)[1])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


main()
