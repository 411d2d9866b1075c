#!/usr/bin/env python3
"""What 82-run-terminal.sh does at a terminal: run_terminal.py MPCPROXY DIRECTORY SECONDS.

Alice runs programs at a pseudo-terminal, bob the same without one.
"""

import atexit
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time

MPCPROXY, T, LIMIT = sys.argv[1], sys.argv[2], int(sys.argv[3])


def command(party, *words):
    return [MPCPROXY, "run", "-c", f"{T}/session.ini", "--local", f"{T}/{party}.ini",
            "--allow-different", "--", *words]


def step(text):
    print(f"- {text}", flush=True)


class Terminal:
    """A program at a terminal of its own, as a login shell would start it, or below one."""

    def __init__(self, words):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(words[0], words)

    def expect(self, pattern):
        """Read until the pattern is there; forget what stands before its end."""
        deadline = time.monotonic() + LIMIT
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            if time.monotonic() > deadline or not self.read(deadline):
                sys.exit(f"FAILED: {pattern!r} is not in {self.text!r}")

    def read(self, deadline):
        ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self.fd, 4096) if ready else b""
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        deadline = time.monotonic() + LIMIT
        while self.read(deadline):
            pass
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def expect_end(terminal, code):
    ended = terminal.end()
    if ended != code:
        sys.exit(f"FAILED: exit code {ended} instead of {code}: {terminal.text!r}")


def bob(*words):
    return subprocess.Popen(command("bob", *words), stdin=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def until(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("FAILED: it takes too long")
        time.sleep(0.02)


def wait(process, code):
    if process.wait(LIMIT) != code:
        sys.exit(f"FAILED: bob ended with {process.returncode} instead of {code}")


PY = sys.executable

step("progress is one line that changes, and a prompt works")
alice = Terminal(command("alice", PY, "-c", "print('hello', input('name? '))"))
alice.expect(r"\r\x1b\[K\d+ s, waiting for bob \([^)]+\)")
other = bob("true")
alice.expect(r"all 2 parties are ready")
alice.expect(r"name\? ")
alice.type("world\n")
alice.expect(r"hello world")
expect_end(alice, 0)
wait(other, 0)

COUNT = """
import signal, sys, time
n = 0
def on(sig, frame):
    global n
    n += 1
    print('got', signal.Signals(sig).name, n, flush=True)
for s in (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP,
          signal.SIGQUIT):
    signal.signal(s, on)
print('counting', flush=True)
for line in sys.stdin:
    print('line', line.strip(), n, flush=True)
    if line == 'end\\n':
        sys.exit(n)
"""

step("Ctrl-C, once; signals to the verb are passed on, once")
alice = Terminal(command("alice", PY, "-c", COUNT))
other = bob("true")
alice.expect(r"counting")
alice.type("\x03")
alice.expect(r"got SIGINT 1\r")
alice.type("a\n")
alice.expect(r"line a 1\r")
for n, sig in enumerate([signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTERM,
                         signal.SIGHUP, signal.SIGINT, signal.SIGQUIT], 2):
    os.kill(alice.pid, sig)
    alice.expect(rf"got {sig.name} {n}\r")
alice.type("\x1c")
alice.expect(r"got SIGQUIT 9\r")
alice.type("end\n")
alice.expect(r"line end 9\r")
expect_end(alice, 9)
wait(other, 0)

step("without a handler Ctrl-C ends the program as it would without mpcproxy")
alice = Terminal(command("alice", PY, "-c", "import time\nprint('now', flush=True)\ntime.sleep(600)"))
other = bob("true")
alice.expect(r"now\r")
alice.type("\x03")
alice.expect(r"KeyboardInterrupt")
expect_end(alice, 130)
wait(other, 0)

step("Ctrl-C in the moment between the start and the program")
# Bob, stopped, has offered and not agreed; so alice has agreed, and waits for him. Then she is
# stopped, too: when she goes on, the word to begin has come, and the Ctrl-C after it.
other = subprocess.Popen(command("bob", "echo", "begun"), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
until(lambda: "ep" in pathlib.Path(f"/proc/{other.pid}/wchan").read_text())
other.send_signal(signal.SIGSTOP)
atexit.register(other.kill)  # if this fails, nobody else ends one that is stopped
alice = Terminal(command("alice", "sh", "-c", "sleep 600; :"))
alice.expect(r"run different things")
alice.expect(r"waiting for all to be ready")
os.kill(alice.pid, signal.SIGSTOP)
other.send_signal(signal.SIGCONT)
until(lambda: select.select([other.stdout], [], [], 0)[0])
alice.type("\x03")
time.sleep(0.2)  # for the terminal to send it: nothing shows that it is pending
os.kill(alice.pid, signal.SIGCONT)
expect_end(alice, 130)
other.communicate()

step("Ctrl-C while it waits")
alice = Terminal(command("alice", "true"))
alice.expect(r"waiting for bob")
alice.type("\x03")
expect_end(alice, 130)

step("Ctrl-Z and fg, in a shell")
alice = Terminal(["bash", "--norc", "--noprofile", "--noediting", "-i"])
alice.type("PS1='% '; set -m\n")
alice.expect(r"% \Z")
words = shlex.join(command("alice", PY, "-c", "while True: print('line', input(), flush=True)"))
alice.type(words + "\n")
other = bob("sh", "-c", "sleep 600; :")
alice.expect(r"all 2 parties are ready")
alice.type("one\n")
alice.expect(r"line one")
alice.type("\x1a")
alice.expect(r"Stopped")
alice.type("jobs\n")
alice.expect(r"Stopped")
alice.type("fg\n")
alice.expect(r"run")
alice.type("two\n")
alice.expect(r"line two")
alice.type("\x04")
alice.expect(r"EOFError")
alice.type("echo code $?\n")
alice.expect(r"code 1\r")
wait(other, 75)
alice.type("exit\n")
alice.end()

step("without a terminal the whole group of the program gets the signal")
# It says ready when both of its processes are: with the trap set, and after the second exec.
first = subprocess.Popen(
    command("alice", "sh", "-c", "trap 'wait; exit 4' TERM; sh -c 'echo ready; exec sleep 600' & wait"),
    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
other = bob("true")
if first.stdout.readline() != b"ready\n":
    sys.exit("FAILED: it has not started")
first.send_signal(signal.SIGTERM)
if first.wait(LIMIT) != 4:
    sys.exit(f"FAILED: exit code {first.returncode} instead of 4")
wait(other, 0)
