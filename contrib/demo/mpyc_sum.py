#!/usr/bin/env python3
"""The same as secure_sum.py, written with MPyC: what takes two hundred lines without
it takes ten.

    mpyc_sum.py -P localhost:11365 -P localhost:11366 -P localhost:11367 -I 0 170
"""

import sys

from mpyc.runtime import mpc


async def main():
    value = int(sys.argv[1])  # MPyC has taken its own flags out
    secint = mpc.SecInt(64)
    async with mpc:
        values = mpc.input(secint(value))
        total = await mpc.output(mpc.sum(values))
        squares = await mpc.output(mpc.in_prod(values, values))
        m = len(mpc.parties)
        variance = (m * squares - total**2) / m**2
        print(f"party {mpc.pid}: sum {total}, mean {total / m:.2f}, variance {variance:.2f}")


mpc.run(main())
