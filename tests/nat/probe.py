#!/usr/bin/python3
"""What a network does to the packets of a machine behind it, in the words of RFC 4787.

    probe.py reflect ADDRESS ADDRESS ADDRESS6 ADDRESS6
    probe.py measure ADDRESS ADDRESS ADDRESS6 ADDRESS6 [--expect "VALUE ..."]

`reflect` answers at two ports of each address, in the internet. `measure`, behind the
network, prints what it finds, - where there is nothing to be found:

    udp        yes, no
    mapping    none (addresses are not translated), EIM, ADM, APDM: endpoint-independent,
               address-dependent, address- and port-dependent
    port       kept, changed
    filtering  EIF, ADF, APDF, likewise
    steady     yes when a mapping stays what it is although uninvited packets have come for
               it; no when they spoil it
    hairpin    external (with the outside address as its source, as it should be),
               internal, no
    tcp        the ports, out of 443 and 3478, that can be connected to
    upnp       yes when a router maps a port on request and lets anybody in through it
    proxy      the ports that the HTTP proxy at the gateway, port 8080, connects to

first for IPv4, then all but the last two for IPv6. With --expect, anything else than what
is given there is an error.
"""

import argparse
import http.client
import json
import re
import selectors
import socket
import sys
import time
import urllib.parse

PORTS = (3000, 3001)
TCP_PORTS = (443, 3478)
PROXY_PORT = 8080
TRIES = 5
PATIENCE_S = 0.3  # for an answer to one try
GRACE_S = 0.05    # for a packet that may be behind one sent after it
CONNECT_S = 1.0
PACKET_BYTES = 1024

COLUMNS = ['udp', 'mapping', 'port', 'filtering', 'steady', 'hairpin', 'tcp']
ONLY_IPV4 = ['upnp', 'proxy']


def family(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


# The reflector. A request is a JSON object: "reply", a list of [address, port] numbers, in
# this order, to answer from; "to", where to, instead of back.

def reflect(addresses):
    selector = selectors.DefaultSelector()
    sockets = {}
    for i, address in enumerate(addresses):
        for j, port in enumerate(PORTS):
            s = socket.socket(family(address), socket.SOCK_DGRAM)
            s.bind((address, port))
            sockets[i, j] = s
            selector.register(s, selectors.EVENT_READ, (reflect_datagram, i))
        for port in TCP_PORTS:
            s = socket.create_server((address, port), family=family(address))
            selector.register(s, selectors.EVENT_READ, (reflect_connection, i))
    print('reflecting', flush=True)
    while True:
        for key, _ in selector.select():
            answer, i = key.data
            answer(key.fileobj, i, sockets)


def reflect_datagram(s, i, sockets):
    data, source = s.recvfrom(PACKET_BYTES)
    request = json.loads(data)
    target = tuple(request.get('to', source[:2]))
    for a, p in request['reply']:
        answer = {'id': request['id'], 'from': [a, p], 'seen': source[:2]}
        # Addresses come in pairs of one family.
        sockets[i - i % 2 + a, p].sendto(json.dumps(answer).encode(), target)


def reflect_connection(s, _i, _sockets):
    connection, _ = s.accept()
    connection.sendall(b'reflector\n')
    connection.close()


class Probe:
    """One address family, seen from this machine."""

    def __init__(self, addresses):
        self.addresses = addresses
        self.family = family(addresses[0])
        self.serial = 0
        self.found = {}

    def socket(self):
        s = socket.socket(self.family, socket.SOCK_DGRAM)
        s.bind(('', 0))
        return s

    def own_address(self):
        with socket.socket(self.family, socket.SOCK_DGRAM) as s:
            s.connect((self.addresses[0], PORTS[0]))
            return s.getsockname()[0]

    def request(self, s, a, p, **what):
        """Ask the reflector's port (a, p) for something; the id of what it will answer."""
        self.serial += 1
        s.sendto(json.dumps({'id': self.serial, **what}).encode(), (self.addresses[a], PORTS[p]))
        return self.serial

    def receive(self, s, until):
        """The next packet before the deadline and its source, or None."""
        while (left := until - time.monotonic()) > 0:
            s.settimeout(left)
            try:
                data, source = s.recvfrom(PACKET_BYTES)
                return json.loads(data), source[:2]
            except TimeoutError:
                return None
            except OSError:
                continue  # an ICMP error of an earlier packet
        return None

    def ask(self, s, a, p):
        """The address that the reflector's port (a, p) sees, or None."""
        for _ in range(TRIES):
            try:
                serial = self.request(s, a, p, reply=[[a, p]])
            except OSError:
                return None  # no route
            until = time.monotonic() + PATIENCE_S
            while (got := self.receive(s, until)) is not None:
                if got[0].get('id') == serial:
                    return tuple(got[0]['seen'])
        return None

    def collect(self, s, serial, marker):
        """Which ports of the reflector have answered, when the marker has and a moment
        later; None without the marker."""
        arrived = set()
        until = time.monotonic() + PATIENCE_S
        while (got := self.receive(s, until)) is not None:
            if got[0].get('id') != serial:
                continue
            answer = tuple(got[0]['from'])
            if answer == marker:
                until = min(until, time.monotonic() + GRACE_S)
            arrived.add(answer)
        return arrived if marker in arrived else None

    def mapping(self):
        with self.socket() as s:
            seen = {}
            for a, p in ((0, 0), (0, 1), (1, 0), (1, 1)):
                seen[a, p] = self.ask(s, a, p)
                if seen[a, p] is None:
                    self.found['udp'] = 'no' if (a, p) == (0, 0) else 'partly'
                    return
            local_port = s.getsockname()[1]
        self.found['udp'] = 'yes'
        if all(m[0] == self.own_address() for m in seen.values()):
            self.found['mapping'] = 'none'
        elif len(set(seen.values())) == 1:
            self.found['mapping'] = 'EIM'
        elif all(seen[a, 0] == seen[a, 1] for a in (0, 1)):
            self.found['mapping'] = 'ADM'
        else:
            self.found['mapping'] = 'APDM'
        kept = all(m[1] == local_port for m in seen.values())
        self.found['port'] = 'kept' if kept else 'changed'

    def filtering(self):
        """Also sees what the uninvited packets have done to the mapping."""
        with self.socket() as s:
            seen = self.ask(s, 0, 0)
            arrived = None
            for _ in range(TRIES):
                serial = self.request(s, 0, 0, reply=[[1, 1], [0, 1], [1, 1], [0, 1], [0, 0]])
                if (arrived := self.collect(s, serial, (0, 0))) is not None:
                    break
            if arrived is None:
                self.found['filtering'] = 'unknown'
                return
            self.found['filtering'] = \
                'EIF' if (1, 1) in arrived else 'ADF' if (0, 1) in arrived else 'APDF'
            steady = self.ask(s, 1, 1) == seen and self.ask(s, 0, 1) == seen
            self.found['steady'] = 'yes' if steady else 'no'

    def hairpin(self):
        """Two sockets of this machine send to each other's outside address. Several times,
        as either may have to open its filter first."""
        with self.socket() as a, self.socket() as b:
            outside = self.ask(a, 0, 0)
            target = self.ask(b, 0, 0)
            for _ in range(3):
                a.sendto(b'{"hairpin": 1}', target)
                b.sendto(b'{"hairpin": 1}', outside)
            self.ask(b, 0, 0)
            self.found['hairpin'] = 'no'
            until = time.monotonic() + GRACE_S
            a.sendto(b'{"hairpin": 1}', target)
            while (got := self.receive(b, until)) is not None:
                if 'hairpin' in got[0]:
                    self.found['hairpin'] = 'external' if got[1] == outside else 'internal'

    def tcp(self):
        self.found['tcp'] = ','.join(
            str(port) for port in TCP_PORTS if self.connects((self.addresses[0], port))) or 'no'

    def connects(self, target):
        try:
            with socket.create_connection(target, CONNECT_S) as s:
                return s.recv(PACKET_BYTES).startswith(b'reflector')
        except OSError:
            return False

    def proxy(self):
        """A proxy at the gateway, which is .1 of the local network."""
        gateway = self.own_address().rsplit('.', 1)[0] + '.1'
        self.found['proxy'] = ','.join(
            str(port) for port in TCP_PORTS if self.tunnels((gateway, PROXY_PORT), port)) or 'no'

    def tunnels(self, proxy, port):
        target = f'{self.addresses[0]}:{port}'
        received = b''
        try:
            with socket.create_connection(proxy, CONNECT_S) as s:
                s.sendall(f'CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n'.encode())
                while data := s.recv(PACKET_BYTES):
                    received += data
        except OSError:
            pass
        return received.endswith(b'\r\n\r\nreflector\n')

    def upnp(self):
        self.found['upnp'] = 'no'
        router = Router.discover(self.own_address())
        if router is None:
            return
        with self.socket() as s:
            port = s.getsockname()[1]
            outside = (router.external_address(), port)
            router.add(port, self.own_address())
            with self.socket() as other:
                for _ in range(TRIES):
                    self.request(other, 1, 1, reply=[[1, 1]], to=outside)
                    if (got := self.receive(s, time.monotonic() + PATIENCE_S)) is not None:
                        break
            router.delete(port)
            self.found['upnp'] = 'no' if got is None else 'yes'

    def measure(self):
        try:
            self.own_address()
        except OSError:
            self.found['udp'] = 'no'
            self.found['tcp'] = 'no'
            return
        self.mapping()
        if self.found['udp'] == 'yes':
            self.filtering()
            if self.found['mapping'] != 'none':
                self.hairpin()
        self.tcp()
        if self.family == socket.AF_INET:
            self.proxy()
            self.upnp()


class Router:
    """An Internet Gateway Device, as far as a probe needs it."""

    SEARCH = ('M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\n'
              'MX: 1\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n')

    def __init__(self, location):
        url = urllib.parse.urlsplit(location)
        self.host = url.netloc
        description = self.http('GET', url.path)
        service = re.search(r'<serviceType>(urn:[^<]*:WANIPConnection:\d)</serviceType>.*?'
                            r'<controlURL>([^<]*)</controlURL>', description, re.DOTALL)
        self.service, self.control = service.groups()

    @classmethod
    def discover(cls, own_address):
        answer = None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((own_address, 0))
            s.settimeout(PATIENCE_S)
            for _ in range(TRIES):
                try:
                    s.sendto(cls.SEARCH.encode(), ('239.255.255.250', 1900))
                    answer = s.recv(PACKET_BYTES).decode()
                    break
                except OSError:
                    continue
        if answer is None:
            return None
        return cls(re.search(r'(?im)^location: *(\S+)', answer).group(1))

    def http(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=CONNECT_S)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f'{method} {path}: {answer.status} {text}')
        return text

    def call(self, action, **arguments):
        inner = ''.join(f'<{k}>{v}</{k}>' for k, v in arguments.items())
        body = ('<?xml version="1.0"?><s:Envelope '
                'xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
                's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
                f'<u:{action} xmlns:u="{self.service}">{inner}</u:{action}>'
                '</s:Body></s:Envelope>')
        return self.http('POST', self.control, body, {
            'Content-Type': 'text/xml', 'SOAPAction': f'"{self.service}#{action}"'})

    def external_address(self):
        answer = self.call('GetExternalIPAddress')
        return re.search(r'<NewExternalIPAddress>([^<]*)<', answer).group(1)

    def add(self, port, address):
        self.call('AddPortMapping', NewRemoteHost='', NewExternalPort=port, NewProtocol='UDP',
                  NewInternalPort=port, NewInternalClient=address, NewEnabled=1,
                  NewPortMappingDescription='probe', NewLeaseDuration=60)

    def delete(self, port):
        self.call('DeletePortMapping', NewRemoteHost='', NewExternalPort=port,
                  NewProtocol='UDP')


def measure(addresses, expected):
    """The exit code: whether it is as expected."""
    names, values = [], []
    for version, columns in ((4, COLUMNS + ONLY_IPV4), (6, COLUMNS)):
        probe = Probe(addresses[:2] if version == 4 else addresses[2:])
        probe.measure()
        names += [f'{name} over IPv{version}' for name in columns]
        values += [probe.found.get(name, '-') for name in columns]
    print(' '.join(values))
    if expected is None:
        return 0
    if len(expected.split()) != len(values):
        sys.exit(f'--expect takes {len(values)} values')
    wrong = [f'{name} is {value}, not {other}'
             for name, value, other in zip(names, values, expected.split()) if value != other]
    if wrong:
        print('\n'.join(wrong))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('role', choices=('reflect', 'measure'))
    parser.add_argument('addresses', nargs=4)
    parser.add_argument('--expect')
    arguments = parser.parse_args()
    if arguments.role == 'reflect':
        reflect(arguments.addresses)
        return 0
    return measure(arguments.addresses, arguments.expect)


if __name__ == '__main__':
    sys.exit(main())
