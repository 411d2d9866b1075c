#!/usr/bin/python3
"""STUN servers that lie: liar.py ADDRESS=SAID...

Each answers Binding requests (RFC 8489) at port 3478 of ADDRESS, and says that they come
from SAID."""

import selectors
import socket
import struct
import sys

COOKIE = 0x2112a442


def answer(query, said, port):
    """XOR-MAPPED-ADDRESS, RFC 8489, 14.2."""
    host = struct.unpack('!I', socket.inet_aton(said))[0] ^ COOKIE
    value = struct.pack('!BBHI', 0, 1, port ^ (COOKIE >> 16), host)
    return struct.pack('!HHI', 0x0101, 12, COOKIE) + query[8:20] + \
        struct.pack('!HH', 0x0020, 8) + value


def main():
    selector = selectors.DefaultSelector()
    for pair in sys.argv[1:]:
        address, said = pair.split('=')
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, 3478))
        selector.register(s, selectors.EVENT_READ, said)
    while True:
        for key, _ in selector.select():
            query, source = key.fileobj.recvfrom(2048)
            if len(query) >= 20 and query[:2] == b'\0\1':
                key.fileobj.sendto(answer(query, key.data, source[1]), source)


if __name__ == '__main__':
    main()
