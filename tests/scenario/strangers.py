#!/usr/bin/env python3
"""Strangers that send what nobody asked for, to addresses of this machine's loopback.

Exit code 0: done, and a line says how much was sent."""

import argparse
import random
import socket
import struct
import sys
import time


def say(*words):
    print(*words, flush=True)


# Datagrams


def kinds(rng):
    """Datagrams that look like something, as ever new ones."""
    def initial():
        return b"\xc0\x00\x00\x00\x01\x08" + rng.randbytes(8) + b"\x08" + rng.randbytes(8) + \
            b"\x00\x44\x9e" + rng.randbytes(1176)

    def stun():
        return b"\x00\x01\x00\x08\x21\x12\xa4\x42" + rng.randbytes(12) + \
            b"\x00\x06\x00\x04" + rng.randbytes(4)

    return (lambda: rng.randbytes(rng.randrange(1, 1400)), initial, stun,
            lambda: bytes([0x40 | rng.randrange(64)]) + rng.randbytes(60),
            lambda: bytes([rng.choice((0x20, 0x21))]) + rng.randbytes(32),
            lambda: bytes([rng.choice((0x22, 0x23))]) + rng.randbytes(1199),
            lambda: b"")


def garbage(args):
    """NUMBER datagrams of all kinds, shared out among HOST:PORT..."""
    rng = random.Random(args.seed)
    makers = kinds(rng)
    pool = [makers[i % len(makers)]() for i in range(700)]
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    targets = [(host, int(port)) for host, port in (t.rsplit(":", 1) for t in args.targets)]
    sent = 0
    for i in range(args.number):
        try:
            socks[i % 8].sendto(pool[i % len(pool)], targets[i // len(pool) % len(targets)])
            sent += 1
        except OSError:
            pass
        if i % 200 == 199:
            time.sleep(0.002)  # a receiver that is slower would only drop them
    say(f"{sent} datagrams")


def replay(args):
    """Record UDP between local ports for a second, then send it all again, with its true
    source addresses, until NUMBER datagrams have been sent."""
    ears = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    ears.bind(("lo", 0))
    ears.settimeout(0.2)
    ports = {int(t.rsplit(":", 1)[1]) for t in args.targets}
    recorded = {}
    until = time.monotonic() + 1
    while time.monotonic() < until and len(recorded) < 5000:
        try:
            frame = ears.recv(65536)
        except TimeoutError:
            continue
        packet = frame[14:]
        head = (packet[0] & 15) * 4
        if packet[9] != 17 or packet[6] & 0x3f or packet[7]:
            continue
        if struct.unpack_from("!H", packet, head + 2)[0] in ports and len(packet) < 1500:
            recorded[packet] = True
    ears.close()
    recorded = list(recorded)
    if not recorded:
        sys.exit("nothing to replay")
    mouth = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(args.number):
        packet = recorded[i % len(recorded)]
        mouth.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
        if i % 200 == 199:
            time.sleep(0.002)
    say(f"{args.number} datagrams, of {len(recorded)} that were recorded")


# A TLS server's port


def hello():
    """A ClientHello, as OpenSSL makes it."""
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["mpcproxy-mailbox/1"])
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="x").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def dial(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    return sock


def stream_garbage(args):
    """NUMBER connections in a row that send random bytes."""
    rng = random.Random(args.seed)
    for i in range(args.number):
        with dial(args.port) as sock:
            try:
                sock.sendall(b"" if i % 5 == 0 else rng.randbytes(rng.randrange(1, 3000)))
                sock.settimeout(0.02)
                if i % 2:
                    sock.recv(100)
            except OSError:
                pass
    say(f"{args.number} connections")


def half_handshakes(args):
    """NUMBER connections at once: half send a ClientHello and nothing more, half send it
    byte by byte. Says when the last one has been closed by the other side."""
    first = hello()
    socks = [dial(args.port) for _ in range(args.number)]
    for sock in socks:
        sock.setblocking(False)
    say("all are there")
    begun, at, open_ = time.monotonic(), 0, set(socks)
    for sock in socks[::2]:
        sock.send(first)
    while open_:
        for i, sock in enumerate(socks):
            if sock not in open_:
                continue
            try:
                if i % 2 and at < len(first):
                    sock.send(first[at:at + 1])
                while sock.recv(65536):
                    pass
                open_.discard(sock)
            except BlockingIOError:
                pass
            except OSError:
                open_.discard(sock)
        at += 1
        if time.monotonic() - begun > 60:
            sys.exit(f"{len(open_)} are still open after a minute")
        time.sleep(0.2)
    say(f"all closed after {time.monotonic() - begun:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for function, *arguments in (
            (garbage, "number", "targets"), (replay, "number", "targets"),
            (stream_garbage, "number", "port"), (half_handshakes, "number", "port")):
        sub = verbs.add_parser(function.__name__.replace("_", "-"))
        sub.set_defaults(function=function)
        for name in arguments:
            if name == "targets":
                sub.add_argument(name, nargs="+")
            else:
                sub.add_argument(name, type=int)
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
