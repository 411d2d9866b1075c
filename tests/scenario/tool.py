#!/usr/bin/env python3
"""What the scenarios need besides a shell: ports, and programs that talk TCP.

`serve` is an ordinary service; a client tells it with its first line how to behave.
`call` is a client that asks for one behaviour and checks what comes back. All other
verbs are small things that the scenarios' text explains. Exit code 0: all went as it
should; 1: it did not, and a line says why.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import select
import signal
import socket
import struct
import sys
import time

# Below Linux's ephemeral range (32768), above what services use.
PORTS_FIRST = 12000
PORTS_LAST = 32000
PORTS_BLOCK = 250

CHUNK = 65536


class Wrong(Exception):
    """Something was not as it should be."""


def say(*words):
    print(*words, flush=True)


def content(seed, length):
    return random.Random(seed).randbytes(length)


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def reset(sock):
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def where(text):
    """A port of 127.0.0.1, HOST:PORT, or the path of a UNIX socket."""
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    return (host.strip("[]") or "127.0.0.1", int(port))


def connect(port, timeout):
    if isinstance(port, int):
        port = ("127.0.0.1", port)
    if isinstance(port, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(port)
        return sock
    sock = socket.create_connection(port, timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_exactly(sock, length):
    data = bytearray()
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            break
        data += part
    return bytes(data)


def read_all(sock):
    data = bytearray()
    while part := sock.recv(CHUNK):
        data += part
    return bytes(data)


# ports


def is_free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def ports(_args):
    """Reserve PORTS_BLOCK ports: print the first, then hold them until standard input
    ends. The reservation is a name in the abstract socket namespace, which the kernel
    takes back whatever happens, and which belongs to the same network namespace as
    the ports do."""
    blocks = list(range(PORTS_FIRST, PORTS_LAST, PORTS_BLOCK))
    random.SystemRandom().shuffle(blocks)
    for first in blocks:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0mpcproxy-tests-{first}")
        except OSError:
            claim.close()
            continue
        if all(is_free(port) for port in range(first, first + PORTS_BLOCK)):
            say(first)
            sys.stdin.read()
            return
        claim.close()
    raise Wrong("no block of free ports")


# serve and call


async def behave(reader, writer):
    """One connection of `serve`."""
    sock = writer.get_extra_info("socket")
    words = (await reader.readline()).decode().split()
    if not words:
        say("served nothing")
        writer.close()
        return
    behaviour, numbers = words[0], [int(n) for n in words[1:]]
    if behaviour == "exchange":  # SEED LENGTH: both send, both check
        seed, length = numbers
        writer.write(content(seed + 1, length))
        received = await reader.read(-1) if length else b""
        await writer.drain()
        if received != content(seed, length):
            say(f"served exchange {seed}: {len(received)} bytes came, not the right ones")
        writer.write_eof()
    elif behaviour == "listen-first":  # LENGTH: answers only once all has come, and FIN
        received = await reader.read(-1)
        writer.write(digest(received).encode() + b"\n" + content(1, numbers[0]))
        writer.write_eof()
    elif behaviour == "talk-first":  # LENGTH: talks, FIN, and then goes on listening
        writer.write(content(1, numbers[0]))
        await writer.drain()
        writer.write_eof()
        received = await reader.read(-1)
        say(f"served talk-first {digest(received)}")
    elif behaviour == "echo":
        while part := await reader.read(CHUNK):
            writer.write(part)
            await writer.drain()
    elif behaviour == "stall":  # never reads; says what came when the other side ends
        say("served stall")
        await asyncio.sleep(3600)
    elif behaviour == "reset":  # LENGTH: sends that much, waits for a byte, then RST
        writer.write(content(1, numbers[0]))
        await writer.drain()
        await reader.readexactly(1)
        writer.transport.pause_reading()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return
    elif behaviour == "hold":  # one byte to say that it is there, then says how it ended
        writer.write(b"!")
        try:
            received = await reader.read(-1)
            say(f"served hold: FIN after {len(received)} bytes")
        except ConnectionResetError:
            say("served hold: RST")
    else:
        say(f"served {behaviour}?")
    await writer.drain()
    writer.close()


async def serve_forever(port):
    async def handle(reader, writer):
        try:
            await behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError) as exc:
            say(f"served with {type(exc).__name__}")
            writer.close()

    if isinstance(port, str):
        server = await asyncio.start_unix_server(handle, port)
    else:
        server = await asyncio.start_server(handle, *port, backlog=512)
        port = port[1]
    say(f"serving on {port}")
    await server.serve_forever()


def serve(args):
    asyncio.run(serve_forever(args.port))


async def one_exchange(port, seed, length):
    if isinstance(port, str):
        reader, writer = await asyncio.open_unix_connection(port)
    else:
        reader, writer = await asyncio.open_connection(*port)
    writer.write(f"exchange {seed} {length}\n".encode() + content(seed, length))
    writer.write_eof()
    received = await reader.read(-1)
    writer.close()
    if received != content(seed + 1, length):
        raise Wrong(f"stream {seed}: {len(received)} of {length} bytes came back right")


async def exchanges(port, streams, length):
    await asyncio.gather(*(one_exchange(port, 2 * i, length) for i in range(streams)))


def call(args):
    port, behaviour, length = args.port, args.behaviour, args.length
    if behaviour == "exchange":
        asyncio.run(exchanges(port, args.streams, length))
        say(f"{args.streams} streams of {length} bytes each way are right")
        return
    sock = connect(port, args.timeout)
    if behaviour == "listen-first":
        sent = content(7, length)
        sock.sendall(f"listen-first {length}\n".encode() + sent)
        sock.shutdown(socket.SHUT_WR)
        if read_all(sock) != digest(sent).encode() + b"\n" + content(1, length):
            raise Wrong("what came after our FIN is not right")
        say("our half closed first: all is right")
    elif behaviour == "talk-first":
        sock.sendall(f"talk-first {length}\n".encode())
        if read_all(sock) != content(1, length):
            raise Wrong("what came before the FIN is not right")
        sent = content(8, length)
        sock.sendall(sent)  # their half is closed, ours is not
        sock.shutdown(socket.SHUT_WR)
        say(f"their half closed first: {digest(sent)}")
    elif behaviour == "echo":
        sock.sendall(b"echo\n")
        for i in range(args.streams):
            sent = content(i, length)
            sock.sendall(sent)
            if read_exactly(sock, length) != sent:
                raise Wrong(f"echo {i} is not right")
        say(f"{args.streams} echoes are right")
    elif behaviour == "stall":
        call_stall(sock, args.timeout)
    elif behaviour == "reset":
        sock.sendall(f"reset {length}\n".encode())
        if read_exactly(sock, length) != content(1, length):
            raise Wrong("what came before the RST is not right")
        sock.sendall(b"!")
        expect_reset(sock)
    elif behaviour == "hold":
        call_hold(sock)
    elif behaviour == "abort":  # the service must see a RST
        sock.sendall(b"hold\n")
        sock.recv(1)
        reset(sock)
    sock.close()


def expect_reset(sock):
    try:
        part = sock.recv(CHUNK)
    except ConnectionResetError:
        say("ended: RST")
        return
    raise Wrong(f"{'FIN' if not part else 'data'} where a RST belongs")


def call_stall(sock, timeout):
    """Send to somebody who does not read, until nothing is taken for a while. What
    lies between the two programs must be bounded."""
    sock.sendall(b"stall\n")
    sock.settimeout(timeout)
    sent = 0
    try:
        while sent < 2**30:
            sent += sock.send(b"x" * CHUNK)
    except TimeoutError:
        say(f"stopped after {sent // 2**20} MiB")
        return
    raise Wrong("1 GiB went to somebody who does not read")


def call_hold(sock):
    """Keep a connection, and say how it ended."""
    sock.sendall(b"hold\n")
    if sock.recv(1) != b"!":
        raise Wrong("the service is not there")
    say("held")
    sock.settimeout(None)
    try:
        part = sock.recv(CHUNK)
        say("ended: FIN" if not part else "ended: data")
    except ConnectionResetError:
        say("ended: RST")


class Flow:
    """Bytes that go to an echo and come back, until SIGTERM: each is compared. Prints
    when nothing comes any more although something should, and when it goes on, in
    milliseconds since 1970."""

    CYCLE = 1 << 20  # bytes, of an odd length so that no block is like the next
    STALL_S = 0.3
    STEP_S = 0.01

    def __init__(self, sock, window, step):
        self.sock, self.window, self.step = sock, window, step
        self.pattern = memoryview(content(1, self.CYCLE - 1) * 2)
        self.sent = self.received = 0
        self.ending = self.stalled = False
        self.last = time.monotonic()

    def block(self, offset, length):
        start = offset % (self.CYCLE - 1)
        return self.pattern[start:start + length]

    def send(self):
        while not self.ending and self.sent - self.received < self.window:
            try:
                if self.sent == self.received:
                    self.last = time.monotonic()
                self.sent += self.sock.send(self.block(self.sent, self.step))
            except BlockingIOError:
                return
            if self.step < CHUNK:
                return

    def receive(self):
        """Whether there may be more."""
        try:
            part = self.sock.recv(CHUNK)
        except BlockingIOError:
            return True
        if part != self.block(self.received, len(part)):
            raise Wrong(f"wrong bytes after {self.received}")
        self.received += len(part)
        self.last = time.monotonic()
        if part and self.stalled:
            say(f"again {time.time_ns() // 1000000}")
            self.stalled = False
        return bool(part)

    def run(self):
        self.sock.setblocking(False)
        self.sock.send(b"echo\n")
        said = False
        while True:
            self.send()
            if self.ending is None:
                self.sock.shutdown(socket.SHUT_WR)
                self.ending = True
            ready, _, _ = select.select([self.sock], [], [], self.STEP_S)
            if ready and not self.receive():
                break
            if self.received > 0 and not said:
                said = True
                say("flows")
            if not self.stalled and self.sent > self.received and \
                    time.monotonic() - self.last > self.STALL_S:
                self.stalled = True
                say(f"stalled {time.time_ns() // 1000000}")
        if not self.ending or self.received != self.sent:
            raise Wrong(f"ended after {self.received} of {self.sent} bytes")
        say(f"all {self.received} bytes are right")


def flow(args):
    sock = connect(args.port, args.timeout)
    it = Flow(sock, args.window, CHUNK if args.bulk else 100)

    def end(_signal, _frame):
        it.ending = None

    signal.signal(signal.SIGTERM, end)
    it.run()


async def one_of_a_crowd(port, number, held, go):
    """A connection that is echoed once, stays until the crowd goes, and is echoed again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for turn in range(2):
        word = f"{number} {turn}".ljust(20).encode()
        writer.write((b"echo\n" if turn == 0 else b"") + word)
        if await reader.readexactly(len(word)) != word:
            raise Wrong(f"connection {number}: something else came back")
        if turn == 0:
            held.release()
            await go.wait()
    writer.write_eof()
    if await reader.read(-1):
        raise Wrong(f"connection {number}: more came back")
    writer.close()


async def gather_crowd(port, n):
    held, go = asyncio.Semaphore(0), asyncio.Event()
    crowd = [asyncio.create_task(one_of_a_crowd(port, i, held, go)) for i in range(n)]
    everybody = asyncio.gather(*crowd)
    for _ in range(n):
        waiting = asyncio.create_task(held.acquire())
        await asyncio.wait([waiting, everybody], return_when=asyncio.FIRST_COMPLETED)
        if everybody.done():
            break
    if not everybody.done():
        say("all are held")
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        go.set()
    await everybody


def crowd(args):
    """N connections at once, all held until a line comes on standard input."""
    asyncio.run(gather_crowd(args.port, args.number))
    say(f"{args.number} connections were right")


def procession(args):
    """N connections, one after the other, each echoed and closed."""
    for i in range(args.number):
        sock = connect(args.port, args.timeout)
        word = str(i).ljust(20).encode()
        sock.sendall(b"echo\n" + word)
        if read_exactly(sock, len(word)) != word:
            raise Wrong(f"connection {i}: something else came back")
        sock.close()
    say(f"{args.number} connections were right")


def latency(args):
    """N round trips of 64 bytes through an echo: their median and 99th percentile, ms."""
    sock = connect(args.port, args.timeout)
    sock.sendall(b"echo\n")
    took = []
    for i in range(args.number):
        word = str(i).ljust(64).encode()
        begun = time.perf_counter()
        sock.sendall(word)
        if read_exactly(sock, 64) != word:
            raise Wrong(f"echo {i} is not right")
        took.append((time.perf_counter() - begun) * 1000)
        time.sleep(0.001)
    took.sort()
    say(f"{took[len(took) // 2]:.3f} {took[len(took) * 99 // 100]:.3f}")


async def one_murmur(port, pause, took, ending):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"echo\n")
    turn = 0
    while not ending.is_set():
        word = f"{port} {turn}".ljust(64).encode()
        begun = time.perf_counter()
        writer.write(word)
        if await reader.readexactly(len(word)) != word:
            raise Wrong(f"port {port}, echo {turn}: something else came back")
        took.append(time.perf_counter() - begun)
        turn += 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(ending.wait(), pause)
    writer.write_eof()
    if await reader.read(-1):
        raise Wrong(f"port {port}: more came back")
    writer.close()


async def murmurs(args):
    ending, took = asyncio.Event(), []
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    say("murmurs")
    await asyncio.gather(*(one_murmur(port, args.pause, took, ending) for port in args.port))
    took.sort()
    say(f"{len(took)} echoes were right, in ms: {took[len(took) // 2] * 1000:.0f} median, "
        f"{took[len(took) * 99 // 100] * 1000:.0f} p99, {took[-1] * 1000:.0f} at most")


def murmur(args):
    """Small echoes now and then at each of some ports, until SIGTERM: how many there were,
    and how long they took."""
    asyncio.run(murmurs(args))


def idlers(args):
    """Open N connections, or as many as can be, and hold them until standard input ends.
    Says how many were reset meanwhile."""
    socks = []
    for _ in range(args.number):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", args.port))
        socks.append(sock)
    say(f"{len(socks)} wait")
    sys.stdin.read()
    ended = 0
    for sock in socks:
        try:
            ended += sock.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            ended += 1
    say(f"{ended} of {len(socks)} had ended")


# one-purpose programs


def knock(args):
    """Connect, send bytes given in hex, perhaps close at once; say how it ended."""
    try:
        sock = connect(args.port, args.timeout)
        sock.sendall(bytes.fromhex(args.hex))
        if args.close == "fin":
            sock.close()
            say("closed")
            return
        if args.close == "rst":
            reset(sock)
            say("closed")
            return
        part = sock.recv(CHUNK)
        say("ended: FIN" if not part else f"data: {part.hex()}")
    except ConnectionRefusedError:
        say("refused")
    except ConnectionResetError:
        say("ended: RST")
    except (BrokenPipeError, TimeoutError) as exc:
        say(f"ended: {type(exc).__name__}")
    except PermissionError:
        say("refused: the file's mode")


def catch(args):
    """Listen on a port and say in hex what comes in, and how it ends."""
    server = socket.create_server((args.host, args.port))
    say("listening")
    while True:
        sock, _ = server.accept()
        say("accepted")
        try:
            while part := sock.recv(CHUNK):
                say(f"got {part.hex()}")
            say("then FIN")
        except ConnectionResetError:
            say("then RST")
        sock.close()


def babble(args):
    """A service that answers everybody with random bytes."""
    server = socket.create_server(("127.0.0.1", args.port))
    say("listening")
    rng = random.Random(1)
    while True:
        sock, _ = server.accept()
        say("accepted")
        try:
            sock.sendall(rng.randbytes(rng.randrange(1, 5000)))
            sock.close()
        except OSError:
            pass


def udp_bind(args):
    """Try to get at datagrams that are for somebody else: bind the same address."""
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            if option is not None:
                sock.setsockopt(socket.SOL_SOCKET, option, 1)
            try:
                sock.bind((args.host, args.port))
            except OSError:
                continue
            raise Wrong(f"{args.host}:{args.port} could be bound with option {option}")
    say("could not bind")


def udp_sockets(args):
    """The addresses to which a process's UDP sockets are bound."""
    inodes = set()
    for fd in os.scandir(f"/proc/{args.pid}/fd"):
        try:
            inodes.add(os.readlink(fd.path))
        except OSError:
            pass
    for table, family in (("udp", socket.AF_INET), ("udp6", socket.AF_INET6)):
        try:
            lines = open(f"/proc/{args.pid}/net/{table}").readlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if f"socket:[{words[9]}]" not in inodes:
                continue
            host, port = words[1].split(":")
            raw = bytes.fromhex(host)  # 32-bit words in the machine's order
            raw = b"".join(raw[i:i + 4][::-1] if sys.byteorder == "little" else raw[i:i + 4]
                           for i in range(0, len(raw), 4))
            say(socket.inet_ntop(family, raw), int(port, 16))


def unix_connect(args):
    """Try to talk to a control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(args.timeout)
        try:
            sock.connect(args.path)
            sock.sendall(b"status\n")
            part = sock.recv(CHUNK)
        except OSError as exc:
            say(f"refused: {type(exc).__name__}")
            return
        if part:
            raise Wrong(f"the control socket answered {part[:80]!r}")
        say("refused: closed")


def udp_head(host, port):
    """What stands before a datagram for it (RFC 1928, 7)."""
    return b"\0\0\0\x03" + bytes([len(host)]) + host.encode() + port.to_bytes(2, "big")


def associate(control):
    """UDP ASSOCIATE: where the datagrams go."""
    control.sendall(b"\x05\x01\x00")
    if read_exactly(control, 2) != b"\x05\x00":
        raise Wrong("no method")
    control.sendall(b"\x05\x03\x00\x01" + bytes(6))
    reply = read_exactly(control, 10)
    if reply[:4] != b"\x05\x00\x00\x01":
        raise Wrong(f"reply {reply.hex()}")
    return (socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big"))


def udp_associate(args):
    """Ask a SOCKS5 server for an association and say where; for each line of standard
    input, send it to HOST:TO and say what comes back."""
    with connect(args.socks, args.timeout) as control, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        server = associate(control)
        head = udp_head(args.host, args.to)
        say(*server)
        sock.settimeout(args.timeout)
        for line in sys.stdin:
            sock.sendto(head + line.strip().encode(), server)
            data, source = sock.recvfrom(CHUNK)
            if source != server or not data.startswith(head):
                raise Wrong(f"{data!r} came from {source}")
            say("answered", data[len(head):].decode())


def udp_intrude(args):
    """Send a datagram to an association of somebody else's, and be gone, or stay until ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(udp_head(args.host, args.to) + b"intruder", ("127.0.0.1", args.port))
        if args.stay:
            signal.pause()


def udp_relay(args):
    """For programs that send UDP and know no proxy: pass each datagram that comes to a
    port on through a SOCKS5 server's UDP ASSOCIATE, and its answers back."""
    control = connect(args.socks, args.timeout)
    server = associate(control)
    head = udp_head(args.host, args.to)
    local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local.bind(("127.0.0.1", args.port))
    # A client by itself, so that answers go to who asked.
    clients = {}
    say("relaying")
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        for sock in select.select([local, out, control], [], [])[0]:
            if sock is control:
                raise Wrong("the SOCKS5 server hung up")
            data, source = sock.recvfrom(CHUNK)
            if sock is local:
                clients[data[:2]] = source  # DNS: by the question's number
                out.sendto(head + data, server)
            elif data.startswith(head) and source == server:
                data = data[len(head):]
                local.sendto(data, clients.get(data[:2], source))


def udp_echo(args):
    """Send every datagram back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", args.port))
        say("echoing")
        while True:
            data, source = sock.recvfrom(CHUNK)
            if len(data) < 20:
                say("got", data.decode())
            sock.sendto(data, source)


def udp_flood(args):
    """Send N datagrams of so many bytes to an echo, and say how many came back: each at
    most once and as it was."""
    missing = set(range(args.number))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", args.port))
        for i in range(args.number):
            sock.send(content(i, args.length - 4) + struct.pack("!I", i))
            time.sleep(0.0005)  # or the socket's buffer is all that is measured
            sock.settimeout(0)
            udp_returned(sock, missing, args.length)
        sock.settimeout(1)
        udp_returned(sock, missing, args.length)
    say(args.number - len(missing))


def udp_returned(sock, missing, length):
    """Take what has come back, until nothing has."""
    while True:
        try:
            data = sock.recv(CHUNK)
        except (BlockingIOError, TimeoutError):
            return
        i = struct.unpack("!I", data[-4:])[0]
        if i not in missing or data[:-4] != content(i, length - 4):
            raise Wrong(f"datagram {i} came twice, or is not right")
        missing.remove(i)


def deaf(args):
    """Listen on a port and accept nobody, with a queue that is full: whoever dials gets no
    answer at all."""
    with socket.create_server(("127.0.0.1", args.port), backlog=0) as server:
        waiting = []
        while True:
            sock = socket.socket()
            sock.settimeout(0.5)
            waiting.append(sock)
            try:
                sock.connect(server.getsockname())
            except TimeoutError:
                break
        say("deaf")
        signal.pause()


def socks_reply(code):
    return bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0])


def socks_malformed(args):
    """Send a SOCKS5 server what it must not take (RFC 1928): each is answered as it says
    there, or not, and the connection is closed."""
    chosen, hello = b"\x05\x00", b"\x05\x01\x00"
    name = b"\x03\x03bob\x00\x50"
    cases = [
        (b"\x04\x01\x00\x50\x7f\0\0\x01\0", b""),  # version 4
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"\x05\x00", b"\x05\xff"),  # no method at all
        (b"\x05\x01\x01", b"\x05\xff"),
        (b"\x05\xff" + bytes(range(1, 256)), b"\x05\xff"),
        (hello + b"\x04\x01\x00" + name, chosen + socks_reply(1)),
        (hello + b"\x05\x00\x00" + name, chosen + socks_reply(7)),
        (hello + b"\x05\x02\x00" + name, chosen + socks_reply(7)),  # BIND
        (hello + b"\x05\x01\x07" + name, chosen + socks_reply(1)),
        (hello + b"\x05\x01\x00\x02\0\0\0\0\0\x50", chosen + socks_reply(8)),
        (hello + b"\x05\x01\x00\x03\x00\x00\x50", chosen + socks_reply(8)),  # no name
        (hello + b"\x05\x01\x00\x03\x04b\0ob\x00\x50", chosen + socks_reply(8)),
        (hello + b"\x05\x01\x00\x03\x05bob\0\0\x00\x50", chosen + socks_reply(8)),
        (hello + b"\x05\x01\x00\x03\x04bob\n\x00\x50", chosen + socks_reply(8)),
        (hello + b"\x05\x01\x00\x03\xff" + b"b" * 255 + b"\x00\x50", chosen + socks_reply(2)),
        (hello + b"\x05\x01\x00\x03\x03bob\x00\x00", chosen + socks_reply(2)),  # port 0
    ]
    for sent, expected in cases:
        socks_try(args, sent, expected, False)
    whole = hello + b"\x05\x01\x00" + name
    for n in range(len(whole)):  # cut off by the client's end
        socks_try(args, whole[:n], chosen if n >= 3 else b"", True)
    say(f"{len(cases) + len(whole)} malformed requests are answered right")


def socks_try(args, sent, expected, end):
    with connect(args.port, args.timeout) as sock:
        sock.sendall(sent)
        if end:
            sock.shutdown(socket.SHUT_WR)
        try:
            got = read_all(sock)
        except ConnectionResetError:  # it has not read all of it
            got = expected
        if got != expected:
            raise Wrong(f"{sent!r} was answered with {got!r} instead of {expected!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timeout", type=float, default=30)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(function, *arguments):
        sub = verbs.add_parser(function.__name__.replace("_", "-"))
        sub.set_defaults(function=function)
        for name, options in arguments:
            sub.add_argument(name, **options)

    port = ("port", {"type": int})
    at = ("port", {"type": where})
    verb(ports)
    verb(serve, at)
    verb(call, at, ("behaviour", {}), ("--length", {"type": int, "default": 100000}),
         ("--streams", {"type": int, "default": 1}))
    number = ("number", {"type": int})
    verb(crowd, port, number)
    verb(procession, port, number)
    verb(idlers, port, number)
    verb(latency, port, number)
    verb(murmur, ("port", {"type": int, "nargs": "+"}), ("--pause", {"type": float, "default": 0.2}))
    verb(flow, at, ("--window", {"type": int, "default": 2**20}),
         ("--bulk", {"action": "store_true"}))
    verb(knock, at, ("hex", {}), ("--close", {"choices": ["fin", "rst", "no"], "default": "no"}))
    verb(catch, port, ("--host", {"default": "127.0.0.1"}))
    verb(babble, port)
    verb(udp_bind, ("host", {}), port)
    verb(udp_sockets, ("pid", {"type": int}))
    verb(udp_associate, ("socks", {"type": int}), ("host", {}), ("to", {"type": int}))
    verb(udp_intrude, port, ("host", {}), ("to", {"type": int}), ("--stay", {"action": "store_true"}))
    verb(udp_relay, port, ("socks", {"type": int}), ("host", {}), ("to", {"type": int}))
    verb(deaf, port)
    verb(socks_malformed, port)
    verb(udp_echo, port)
    verb(udp_flood, port, number, ("length", {"type": int}))
    verb(unix_connect, ("path", {}))
    args = parser.parse_args()
    try:
        args.function(args)
    except (Wrong, OSError) as exc:
        sys.exit(f"{args.verb}: {exc}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
