#!/usr/bin/python3
"""Keep two folders alike, as synchronisers do: with delay and out of order, under names of
their own until a file is whole, with copies for conflicts, and with deletions.

    sync.py FOLDER FOLDER [--delay SECONDS] [--seed N]
"""
import argparse
import os
import random
import time

PIECE = 100


def files(top):
    found = set()
    for folder, _, names in os.walk(top):
        found |= {os.path.relpath(os.path.join(folder, name), top) for name in names
                  if name.startswith("msg-") and "conflict" not in name}
    return found


def copy(name, source, target, rng):
    try:
        with open(os.path.join(source, name), "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return
    folder = os.path.join(target, os.path.dirname(name))
    base = os.path.basename(name)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".sync.{base}.tmp")
    with open(temporary, "wb") as file:
        for at in range(0, len(data), PIECE):
            file.write(data[at:at + PIECE])
            file.flush()
            time.sleep(0.001)
    if rng.randrange(3) == 0:
        with open(os.path.join(folder, f"{base}.sync-conflict-1"), "wb") as file:
            file.write(data[:len(data) // 2])
    os.rename(temporary, os.path.join(folder, base))
    print("copied", flush=True)


def delete(name, top):
    try:
        os.unlink(os.path.join(top, name))
        print("deleted", flush=True)
    except FileNotFoundError:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs=2)
    parser.add_argument("--delay", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    both = set()  # what has been in both
    due = {}  # when which file is copied
    while True:
        there = [files(top) for top in options.folder]
        for name in there[0] ^ there[1]:
            side = 0 if name in there[0] else 1
            if name in both:
                delete(name, options.folder[side])
            elif time.monotonic() >= due.setdefault(
                    name, time.monotonic() + rng.random() * options.delay):
                copy(name, options.folder[side], options.folder[1 - side], rng)
                both.add(name)
        both |= there[0] & there[1]
        time.sleep(0.02)


if __name__ == "__main__":
    main()
