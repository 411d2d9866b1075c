#!/usr/bin/env python3
"""Sum, mean and variance of numbers that nobody shows to anybody.

Every party has one secret number. Together they compute statistics of all of them,
and nothing else becomes known, as long as fewer than half of the parties put their
heads together. Run one process per party, each with the same -P and its own -I:

    secure_sum.py -P localhost:11365 -P localhost:11366 -P localhost:11367 -I 0 170

How it works. A secret is shared with a random polynomial of degree t: f(0) is the
secret, party i gets f(i + 1), and t points say nothing about f(0) (Shamir 1979).
Adding shares adds secrets. Multiplying shares multiplies secrets too, but doubles the
degree, so each party shares its product again with degree t and all recombine
(Gennaro, Rabin, Rabin 1998). That needs 2t < m, and one round of messages.

The flags, the greeting and the framing are those of MPyC (without PRSS keys), so
this stands in for an MPyC program wherever one is not at hand.
"""

import argparse
import asyncio
import secrets
import struct
import sys
import time

PRIME = 2**127 - 1  # shares are numbers modulo this
SHARE_BYTES = 16
VALUE_MAX = 2**48  # the square of the sum of 256 such numbers is still below PRIME
RETRY_S = 0.1
GREETING = struct.Struct("<H")  # the dialler's party index
HEADER = struct.Struct("<qI")  # program counter, length of the payload
PAYLOAD_MAX = 2**20


# Shamir's secret sharing


def share(secret, threshold, parties):
    """One share of the secret for each party; more than threshold of them give it back."""
    polynomial = [secret] + [secrets.randbelow(PRIME) for _ in range(threshold)]
    return [evaluate(polynomial, i + 1) for i in range(parties)]


def evaluate(polynomial, x):
    """The value at x of a polynomial given by its coefficients, lowest first."""
    y = 0
    for coefficient in reversed(polynomial):
        y = (y * x + coefficient) % PRIME
    return y


def recombine(shares):
    """The secret behind one share of each party: Lagrange interpolation at zero."""
    secret = 0
    points = range(1, len(shares) + 1)
    for x, y in zip(points, shares):
        for other in points:
            if other != x:
                y = y * other * pow(other - x, -1, PRIME) % PRIME
        secret += y
    return secret % PRIME


# Messages between parties


class Network:
    """A TCP connection with every other party, and rounds of messages over them.

    Party i listens for parties with a smaller index and dials those with a larger
    one; it tries again for ever, so parties may start in any order.
    """

    def __init__(self, addresses, index):
        self.addresses = addresses
        self.index = index
        self.peers = {}  # index -> (reader, writer)
        self.counter = 0  # of rounds; both ends of a message agree on it

    async def connect(self):
        accepted = asyncio.Queue()
        server = None
        if self.index > 0:
            host, port = self.addresses[self.index]
            server = await asyncio.start_server(
                lambda reader, writer: accepted.put_nowait((reader, writer)),
                host="127.0.0.1" if host == "localhost" else None,
                port=port,
            )
        for peer in range(self.index + 1, len(self.addresses)):
            self.peers[peer] = await self.dial(*self.addresses[peer])
        while len(self.peers) < len(self.addresses) - 1:
            reader, writer = await accepted.get()
            (peer,) = GREETING.unpack(await reader.readexactly(GREETING.size))
            if peer >= self.index or peer in self.peers:
                raise ConnectionError(f"a connection claims to come from party {peer}")
            self.peers[peer] = reader, writer
        if server:
            server.close()

    async def dial(self, host, port):
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, port)
                break
            except OSError:
                await asyncio.sleep(RETRY_S)
        writer.write(GREETING.pack(self.index))
        return reader, writer

    async def exchange(self, numbers):
        """Send numbers[j] to each party j; return what each party i sent here."""
        self.counter += 1
        received = list(numbers)  # the one for ourselves stays where it is
        for peer, (_, writer) in self.peers.items():
            payload = numbers[peer].to_bytes(SHARE_BYTES, "little")
            writer.write(HEADER.pack(self.counter, len(payload)) + payload)
        for peer, (reader, writer) in self.peers.items():
            try:
                counter, length = HEADER.unpack(await reader.readexactly(HEADER.size))
                if counter != self.counter or length > PAYLOAD_MAX:
                    raise ConnectionError(f"party {peer} is out of step")
                received[peer] = int.from_bytes(await reader.readexactly(length), "little")
                await writer.drain()
            except (asyncio.IncompleteReadError, OSError) as exc:
                raise ConnectionError(f"party {peer} is gone: {exc}") from exc
        return received

    async def close(self):
        """Part in good order: all are done, then the dialling side hangs up first."""
        await self.exchange([0] * len(self.addresses))
        for peer, (reader, writer) in self.peers.items():
            if peer < self.index:
                await reader.read()
            writer.close()
            await writer.wait_closed()


# Computing with shares


class Computation:
    """Arithmetic on secrets that exist only as one share per party."""

    def __init__(self, network):
        self.network = network
        self.parties = len(network.addresses)
        self.threshold = (self.parties - 1) // 2

    async def input(self, secret):
        """Every party shares its own secret; returns our share of each of them."""
        return await self.network.exchange(share(secret, self.threshold, self.parties))

    async def multiply(self, a, b):
        """Our share of the product: multiply shares, share again, recombine."""
        product = a * b % PRIME
        return recombine(await self.input(product))

    async def output(self, a):
        """The secret itself, from everybody's share of it."""
        return recombine(await self.network.exchange([a] * self.parties))


async def statistics(computation, value):
    """Sum, mean and population variance of all parties' values."""
    shares = await computation.input(value)
    total = await computation.output(sum(shares) % PRIME)
    squares = [await computation.multiply(a, a) for a in shares]
    total_of_squares = await computation.output(sum(squares) % PRIME)
    m = computation.parties
    return total, total / m, (m * total_of_squares - total * total) / m**2


async def run(addresses, index, value, repeat):
    network = Network(addresses, index)
    started = time.perf_counter()
    await network.connect()
    connected = time.perf_counter()
    print(f"party {index}: all {len(addresses)} parties connected", flush=True)
    for _ in range(repeat):
        total, mean, variance = await statistics(Computation(network), value)
    await network.close()
    finished = time.perf_counter()
    print(f"party {index}: sum {total}, mean {mean:.2f}, variance {variance:.2f}")
    print(
        f"party {index}: elapsed {finished - connected:.3f} s"
        f" after {connected - started:.3f} s of connecting",
        flush=True,
    )


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(
        description="Sum, mean and variance of numbers that nobody shows to anybody."
    )
    parser.add_argument("-P", dest="parties", type=address, action="append", required=True,
                        metavar="HOST:PORT", help="address of a party; repeat for each, in order")
    parser.add_argument("-I", "--index", type=int, required=True, help="which of them we are, from 0")
    parser.add_argument("--repeat", type=int, default=1, metavar="N",
                        help="compute N times over the same connections")
    parser.add_argument("value", type=int, nargs="?", default=secrets.randbelow(100),
                        help="our secret number (default: a random one)")
    args = parser.parse_args()
    if not 0 <= args.index < len(args.parties):
        parser.error(f"-I {args.index}: there are {len(args.parties)} parties, counted from 0")
    if not 0 <= args.value < VALUE_MAX:
        parser.error(f"the number must be at least 0 and below {VALUE_MAX}")
    if args.repeat < 1:
        parser.error("--repeat must be at least 1")
    try:
        asyncio.run(run(args.parties, args.index, args.value, args.repeat))
    except (OSError, asyncio.IncompleteReadError) as exc:
        sys.exit(f"party {args.index}: {exc}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
