#!/usr/bin/python3
"""seeded.py SEED PROGRAM ARGUMENTS...: run a Python program whose `secrets` are the same each
time. Some of MPyC's demos draw lots until the lot suits them, and take twice as long
with other lots: what carries their bytes can only be compared with the same ones."""

import random
import runpy
import secrets
import sys

LOTS = random.Random(sys.argv[1])
secrets.token_bytes = lambda nbytes=32: LOTS.randbytes(nbytes)
secrets.randbits = LOTS.getrandbits
secrets.randbelow = LOTS.randrange

del sys.argv[:2]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
