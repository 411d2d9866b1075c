#!/usr/bin/python3
"""Measure mpcproxy beside plain TCP and the peers that Debian has, on this machine.

All that is compared takes turns in one run, and the table shows medians: only ratios
within one run mean something. doc/performance.md says how, and what came out."""

import argparse
import json
import os
import pathlib
import platform
import signal
import sys
import time

from lab import Failed, Lab
from parts import PARTS
from table import show


class Bench:
    def __init__(self, lab, args):
        self.lab = lab
        self.quick = args.quick
        self.rounds = args.rounds or (1 if args.quick else 5)
        self.only = set(args.carriers.split(",")) if args.carriers else None
        self.mpyc = os.environ.get("MPYC_PATH")
        self.notes = []

    def pick(self, full, quick):
        return quick if self.quick else full

    def note(self, text):
        print(f"  {text}", flush=True)
        if text not in self.notes:
            self.notes.append(text)

    def carriers(self, classes, net):
        """One of each, on a network of its own, as far as they are installed."""
        group = []
        for cls in classes:
            if self.only is not None and cls.name not in self.only:
                continue
            if cls.missing():
                self.note(f"{cls.name}: not installed ({', '.join(cls.missing())})")
                continue
            try:
                group.append(cls(self.lab, net()))
            except Failed as exc:
                self.note(f"{cls.name}: {exc}")
        return group

    def close(self, group):
        for carrier in group:
            carrier.close()


def interrupted(_number, _frame):
    sys.exit(130)


def run(args):
    rows = []
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    with Lab(args.build) as lab:
        lab.allow_cubic()
        lab.netem = args.netem
        bench = Bench(lab, args)
        for part in args.parts or PARTS:
            print(f"{part}", flush=True)
            try:
                for row in PARTS[part](bench):
                    rows.append(row)
                    print("  " + show([row]).split("\n")[2], flush=True)
            except Failed as exc:
                bench.note(f"{part}: {exc}")
    print("\n" + show(rows))
    for note in bench.notes:
        print(f"note: {note}")
    pathlib.Path(args.json).write_text(json.dumps({
        "started": started, "kernel": platform.release(), "cpus": os.cpu_count(),
        "load": os.getloadavg(), "rounds": bench.rounds, "quick": bench.quick,
        "notes": bench.notes, "rows": [row.as_dict() for row in rows]}, indent=1) + "\n")
    print(f"all rounds: {args.json}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--build", default=".", help="the build directory")
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--carriers", help="only these, comma-separated")
    parser.add_argument("--netem", action="store_true",
                        help="emulate the WAN with the kernel's netem instead of wanem")
    parser.add_argument("--json", default="bench.json")
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error(f"no part '{part}'; there are {' '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("bench: network namespaces and TUN devices need root")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    run(args)


if __name__ == "__main__":
    main()
