"""What can carry a TCP connection from one namespace to another: a plain connection,
mpcproxy, and the peers that it is compared with. Each is started between the two
namespaces of a network and says where a client in the first one has to connect to reach
the server in the second."""

import os
import shutil
import time

from lab import Failed

PORT = 7000        # the server's
FORWARD = 7100     # where a proxy takes the client's connection
TUNNEL = ("10.88.0.1", "10.88.0.2")


class Carrier:
    name = ""
    programs = ()  # what it needs

    def __init__(self, lab, net):
        self.lab, self.net = lab, net
        self.processes = []
        self.target = (net.addr[1], PORT)
        self.server = lab.start("server", lab.tool("tcp_bench"), "server", "0.0.0.0", PORT,
                                ns=net.ns[1], ready="^serving")
        self.dir = lab.dir / f"{lab.next()}-{self.name.replace(' ', '-')}"
        self.dir.mkdir()
        self.up()
        # The first packets of a tunnel may be lost while it is set up.
        for attempt in range(10):
            try:
                self.measure("latency", 1, timeout=5)
                break
            except Failed:
                if attempt == 9:
                    raise
                time.sleep(0.1)

    def up(self):
        pass

    @classmethod
    def missing(cls):
        return [p for p in cls.programs if shutil.which(p) is None]

    def start(self, side, *argv, **options):
        process = self.lab.start(self.name, *argv, ns=self.net.ns[side], **options)
        self.processes.append(process)
        return process

    def command(self, what, *arguments):
        return (self.lab.tool("tcp_bench"), what, *self.target, *arguments)

    def measure(self, what, *arguments, timeout=120):
        """One run of tcp_bench through it: the numbers that it prints."""
        out = self.lab.run(*self.command(what, *arguments), ns=self.net.ns[0], timeout=timeout)
        return [float(word) for word in out.split()]

    def measure_async(self, what, *arguments, stdin=None):
        return self.lab.start(what, *self.command(what, *arguments), ns=self.net.ns[0],
                              **({"stdin": stdin} if stdin else {}))

    def cpu_s(self):
        return sum(p.cpu_s() for p in self.processes)

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        self.server.stop()
        self.net.close()


class Tcp(Carrier):
    name = "tcp"


class Mpcproxy(Carrier):
    name = "mpcproxy"

    def up(self):
        session = Session(self.lab, self.net, ("alice", "bob"), self.dir,
                          {"alice": f"forward = {FORWARD} to bob:{PORT}",
                           "bob": f"expose = {PORT} for alice"})
        self.processes = [session.start(i) for i in range(2)]
        for process in self.processes:
            process.wait_for("all 2 parties connected")
        self.session = session
        self.target = ("127.0.0.1", FORWARD)


class Session:
    """The parties of a session, one in each namespace of a network, and its
    rendezvous in the first."""

    def __init__(self, lab, net, parties, directory, lines=None):
        self.lab, self.net, self.parties, self.dir = lab, net, parties, directory
        self.rendezvous = lab.start("rendezvous", lab.mpcproxy(), "rendezvous", "-l",
                                    f"{net.addr[0]}:7470", "-i", directory / "rendezvous.pem",
                                    ns=net.ns[0])
        url = self.rendezvous.wait_for(r"(tls://\S+)")[1]
        self.ini = directory / "session.ini"
        text = f"[session]\nname = bench\nrendezvous = {url}\n"
        for party in parties:
            key = directory / f"{party}.pem"
            lab.run(lab.mpcproxy(), "keygen", key)
            text += f"[party {party}]\nkey = {lab.run(lab.mpcproxy(), 'id', key)}"
            local = directory / f"{party}.ini"
            local.write_text(f"[local]\nidentity = {key}\nupnp = no\n"
                             f"{(lines or {}).get(party, '')}\n")
            local.chmod(0o600)
        self.ini.write_text(text)

    def start(self, index):
        party = self.parties[index]
        run = self.dir / f"run-{party}"
        run.mkdir(mode=0o700, exist_ok=True)
        env = dict(os.environ, XDG_RUNTIME_DIR=str(run), XDG_STATE_HOME=str(run))
        return self.lab.start(party, self.lab.mpcproxy(), "-c", self.ini, "--local",
                              self.dir / f"{party}.ini", ns=self.net.ns[index], env=env)


class Stunnel(Carrier):
    """TLS over plain TCP, for comparison: it cannot cross a NAT."""
    name = "stunnel"
    programs = ("stunnel", "openssl")

    def up(self):
        pem = self.dir / "both.pem"
        self.lab.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1, "-subj",
                     "/CN=bench", "-keyout", pem, "-out", self.dir / "cert.pem")
        pem.write_text(pem.read_text() + (self.dir / "cert.pem").read_text())
        common = (f"foreground = yes\nsyslog = no\npid =\ncert = {pem}\n"
                  f"CAfile = {self.dir / 'cert.pem'}\nverifyPeer = yes\n"
                  "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n")
        for side, lines in ((1, f"accept = {self.net.addr[1]}:4433\n"
                                f"connect = 127.0.0.1:{PORT}\n"),
                            (0, f"client = yes\naccept = 127.0.0.1:{FORWARD}\n"
                                f"connect = {self.net.addr[1]}:4433\n")):
            conf = self.dir / f"{side}.conf"
            conf.write_text(f"{common}[bench]\n{lines}")
            self.start(side, "stunnel", conf, ready="Configuration successful")
        self.target = ("127.0.0.1", FORWARD)


class BareRelay(Carrier):
    """From TCP to datagrams and back with the fewest system calls, in the clear: the floor."""
    name = "bare relay"

    def up(self):
        for side, role, host, port in ((1, "dial", "127.0.0.1", PORT),
                                       (0, "listen", "127.0.0.1", FORWARD)):
            self.start(side, self.lab.tool("bare_relay"), role, host, port, self.net.addr[side],
                       self.net.addr[1 - side], 7200, ready="^ready")
        self.target = ("127.0.0.1", FORWARD)


class Vpn(Carrier):
    """A TUN device on each side."""

    def up(self):
        self.tunnel()
        self.target = (TUNNEL[1], PORT)

    def tunnel(self):
        raise NotImplementedError

    def device(self, side, name, mtu=None):
        ns = self.net.ns[side]
        self.lab.run("ip", "-n", ns, "addr", "add", f"{TUNNEL[side]}/24", "dev", name)
        self.lab.run("ip", "-n", ns, "link", "set", name, "up",
                     *(("mtu", mtu) if mtu else ()))


class WireguardGo(Vpn):
    name = "wireguard-go"
    programs = ("wireguard-go", "wg")

    def tunnel(self):
        keys = []
        for side in range(2):
            private = self.dir / f"key{side}"
            private.write_text(self.lab.run("wg", "genkey"))
            private.chmod(0o600)
            keys.append(self.lab.run("wg", "pubkey", stdin=private.read_text()).strip())
        for side in range(2):
            # Its control socket is named by the device alone, whatever the namespace.
            device = f"wg{os.getpid() % 100000}x{self.lab.next()}"
            self.start(side, "wireguard-go", "-f", device)
            for attempt in range(200):
                try:
                    self.lab.run("wg", "show", device, ns=self.net.ns[side])
                    break
                except Failed:
                    if attempt == 199:
                        raise
            self.lab.run("wg", "set", device, "private-key", self.dir / f"key{side}",
                         "listen-port", 51820, "peer", keys[1 - side], "endpoint",
                         f"{self.net.addr[1 - side]}:51820", "allowed-ips",
                         f"{TUNNEL[1 - side]}/32", ns=self.net.ns[side])
            self.device(side, device, 1420)


class Nebula(Vpn):
    name = "nebula"
    programs = ("nebula", "nebula-cert")

    def tunnel(self):
        ca = ("-ca-crt", self.dir / "ca.crt", "-ca-key", self.dir / "ca.key")
        self.lab.run("nebula-cert", "ca", "-name", "bench", "-out-crt", ca[1], "-out-key", ca[3])
        for side in range(2):
            base = self.dir / f"host{side}"
            self.lab.run("nebula-cert", "sign", *ca, "-name", f"host{side}", "-ip",
                         f"{TUNNEL[side]}/24", "-out-crt", f"{base}.crt", "-out-key", f"{base}.key")
            conf = self.dir / f"{side}.yml"
            conf.write_text(
                f"pki: {{ca: {ca[1]}, cert: {base}.crt, key: {base}.key}}\n"
                "static_host_map: {" + f'"{TUNNEL[1 - side]}": ["{self.net.addr[1 - side]}:4242"]' + "}\n"
                "lighthouse: {am_lighthouse: false, hosts: []}\n"
                "listen: {host: 0.0.0.0, port: 4242}\n"
                "punchy: {punch: false}\n"
                "tun: {dev: nebula0, mtu: 1300}\n"
                "firewall:\n"
                "  outbound: [{port: any, proto: any, host: any}]\n"
                "  inbound: [{port: any, proto: any, host: any}]\n")
            self.start(side, "nebula", "-config", conf, ready="Handshake|interface|running")


class Tinc(Vpn):
    name = "tinc"
    programs = ("tincd",)

    def tunnel(self):
        for side in range(2):
            base = self.dir / f"side{side}"
            (base / "hosts").mkdir(parents=True)
            (base / "tinc.conf").write_text(
                f"Name = side{side}\nMode = router\nInterface = tinc0\n"
                + ("ConnectTo = side1\n" if side == 0 else ""))
            (base / "hosts" / f"side{side}").write_text(
                f"Address = {self.net.addr[side]}\nSubnet = {TUNNEL[side]}/32\n")
            up = base / "tinc-up"
            up.write_text(f"#!/bin/sh\nip addr add {TUNNEL[side]}/24 dev $INTERFACE\n"
                          "ip link set $INTERFACE up\n")
            up.chmod(0o755)
            self.lab.run("tincd", "-c", base, "-K2048", stdin="\n\n")
        for side in range(2):
            shutil.copy(self.dir / f"side{side}" / "hosts" / f"side{side}",
                        self.dir / f"side{1 - side}" / "hosts")
        for side in (1, 0):
            base = self.dir / f"side{side}"
            self.start(side, "tincd", "-c", base, "-D", f"--pidfile={base}/pid", ready="Ready")


class N2n(Vpn):
    name = "n2n"
    programs = ("edge", "supernode")

    def tunnel(self):
        self.lab.start("supernode", "supernode", "-l", 7654, ns=self.net.ns[1])
        for side in (1, 0):
            self.start(side, "edge", "-d", "n2n0", "-a", TUNNEL[side], "-s", "255.255.255.0",
                       "-c", "bench", "-k", "bench", "-u", 0, "-g", 0,
                       "-l", f"{self.net.addr[1]}:7654")


ALL = (Tcp, Mpcproxy, WireguardGo, Nebula, Tinc, N2n, Stunnel)


# SOCKS5

SOCKS_PORT = 1080
ANSWER = 7001  # tcp_bench answer's, beside the server


class Socks(Carrier):
    """A SOCKS5 server at the client. Those that know no tunnel dial from there."""

    def up(self):
        self.answer = self.lab.start("answer", self.lab.tool("tcp_bench"), "answer", "0.0.0.0",
                                     ANSWER, ns=self.net.ns[1], ready="^serving")
        self.options = ("--socks", f"127.0.0.1:{SOCKS_PORT}")
        self.serve()

    def serve(self):
        raise NotImplementedError

    def command(self, what, *arguments):
        host, port = self.target
        return (self.lab.tool("tcp_bench"), *self.options, what, host,
                ANSWER if what == "connections" else port, *arguments)

    def close(self):
        super().close()
        self.answer.stop()


class NoSocks(Socks):
    """Plain TCP, no proxy."""
    name = "tcp"

    def serve(self):
        self.options = ()


class SocksMpcproxy(Socks):
    name = "mpcproxy"

    def serve(self):
        self.session = Session(self.lab, self.net, ("alice", "bob"), self.dir,
                               {"alice": f"socks5 = 127.0.0.1:{SOCKS_PORT}",
                                "bob": f"expose = {PORT}-{ANSWER} for alice"})
        self.processes = [self.session.start(i) for i in range(2)]
        for process in self.processes:
            process.wait_for("all 2 parties connected")
        self.target = ("bob", PORT)


class SshDynamic(Socks):
    """ssh -D: encrypted, and two hops as well."""
    name = "ssh -D"
    programs = ("/usr/sbin/sshd", "ssh", "ssh-keygen")

    def serve(self):
        for key in ("host", "user"):
            self.lab.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / key)
        host = (self.dir / "host.pub").read_text()
        (self.dir / "known").write_text(f"{self.net.addr[1]} {host}")
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        conf = self.dir / "sshd.conf"
        conf.write_text(f"ListenAddress {self.net.addr[1]}:22\nHostKey {self.dir / 'host'}\n"
                        f"PidFile none\nAuthorizedKeysFile {self.dir / 'user.pub'}\n"
                        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nUseDNS no\n"
                        "PermitRootLogin yes\n")
        self.start(1, "/usr/sbin/sshd", "-D", "-e", "-f", conf, ready="listening on")
        self.start(0, "ssh", "-v", "-F", "none", "-N", "-D", f"127.0.0.1:{SOCKS_PORT}",
                   "-i", self.dir / "user", "-o", "BatchMode=yes",
                   "-o", f"UserKnownHostsFile={self.dir / 'known'}", f"root@{self.net.addr[1]}",
                   ready="Entering interactive session")


class Microsocks(Socks):
    """One hop, in the clear."""
    name = "microsocks"
    programs = ("microsocks",)

    def serve(self):
        self.start(0, "microsocks", "-i", "127.0.0.1", "-p", SOCKS_PORT)


class Dante(Socks):
    """One hop, in the clear."""
    name = "dante"
    programs = ("danted",)

    def serve(self):
        conf = self.dir / "danted.conf"
        conf.write_text(f"logoutput: stderr\ninternal: 127.0.0.1 port = {SOCKS_PORT}\n"
                        "external: lan0\nclientmethod: none\nsocksmethod: none\n"
                        "user.privileged: root\nuser.unprivileged: nobody\n"
                        "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }\n"
                        "socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }\n")
        self.start(0, "danted", "-f", conf, "-p", self.dir / "pid", ready="running")


SOCKS = (NoSocks, SocksMpcproxy, SshDynamic, Microsocks, Dante)
