#!/usr/bin/python3
"""Between MQTT clients and a broker: a broker of another sort, or a bad line to it.

    bad_broker.py PORT BROKER_PORT [--only-311 refuse|hang-up] [--drop PERCENT]
                  [--cut BYTES] [--drip SECONDS] [--stall SECONDS] [--seed N]

--only-311: protocol level 5 is refused by a CONNACK of 3.1.1, or by hanging up
--drop: so many PUBLISH packets of the broker, which it has acknowledged, get lost
--cut: a connection ends after some number of bytes, from a quarter of BYTES on, in the middle
       of anything
--drip: every byte takes so long
--stall: whenever a packet of either side begins, nothing moves for so long
"""
import argparse
import asyncio
import random

CONNECT, PUBLISH = 1, 3


async def packet(reader):
    """One control packet (MQTT 3.1.1, 2): type, bytes, where the variable header begins."""
    head = await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = await reader.readexactly(1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    return head[0] >> 4, head + await reader.readexactly(length), len(head)


class Line:
    """One client's connection."""

    def __init__(self, options, rng):
        self.options = options
        self.rng = rng
        self.left = rng.randrange(options.cut // 4, options.cut + 1) if options.cut else None

    async def pass_on(self, data, writer):
        if self.left is not None and len(data) >= self.left:
            writer.write(data[:self.left])
            await writer.drain()
            raise ConnectionResetError("cut")
        if self.left is not None:
            self.left -= len(data)
        await asyncio.sleep(self.options.stall)
        pieces = [data] if not self.options.drip else [data[i:i + 1] for i in range(len(data))]
        for piece in pieces:
            await asyncio.sleep(self.options.drip)
            writer.write(piece)
            await writer.drain()

    async def pump(self, reader, writer, back, lossy=False):
        while True:
            kind, data, at = await packet(reader)
            # The protocol's name comes first, with its length.
            if kind == CONNECT and self.options.only_311 and data[at + 6] == 5:
                print("refused 5", flush=True)
                if self.options.only_311 == "refuse":
                    back.write(bytes([0x20, 2, 0, 1]))
                    await back.drain()
                return
            if kind == CONNECT:
                print("connect", data[at + 6], flush=True)
            if kind == PUBLISH and lossy and self.rng.randrange(100) < self.options.drop:
                print("dropped", flush=True)
                continue
            await self.pass_on(data, writer)


async def serve(options):
    rng = random.Random(options.seed)

    async def handle(reader, writer):
        line = Line(options, rng)
        broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", options.broker)
        pumps = [asyncio.create_task(line.pump(reader, broker_writer, writer)),
                 asyncio.create_task(line.pump(broker_reader, writer, broker_writer, lossy=True))]
        done, rest = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        if any(isinstance(task.exception(), ConnectionResetError) for task in done):
            print("cut", flush=True)
        for w in (writer, broker_writer):
            w.transport.abort() if options.cut else w.close()

    server = await asyncio.start_server(handle, "127.0.0.1", options.port)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("broker", type=int)
    parser.add_argument("--only-311", choices=("refuse", "hang-up"))
    parser.add_argument("--drop", type=int, default=0)
    parser.add_argument("--cut", type=int, default=0)
    parser.add_argument("--drip", type=float, default=0)
    parser.add_argument("--stall", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
