"""wait_file.py SECONDS FILE PATTERN [SKIP]: until a line of the file matches; only lines after
the first SKIP bytes count. Exits with 1 when none has come in time.

Scenarios do little else, so it is a program of its own that loads next to nothing."""

import os
import re
import sys
import time


def find(path, pattern, skip):
    if not os.path.exists(path):
        return False
    with open(path, errors="replace") as file:
        file.seek(skip)
        return any(line.endswith("\n") and pattern.search(line) for line in file)


def main(seconds, path, pattern, skip="0"):
    wanted = re.compile(pattern)
    deadline = time.monotonic() + float(seconds)
    while not find(path, wanted, int(skip)):
        if time.monotonic() > deadline:
            sys.exit(f"no line like '{pattern}' in {path} within {seconds} s")
        time.sleep(0.02)


try:
    main(*sys.argv[1:])
except KeyboardInterrupt:
    sys.exit(130)
