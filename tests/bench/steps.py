"""What three people have to do until they have computed something, and how long the machines
take over it: first, again, with one more party, and when it is taken away. Only the machines'
part is measured; doc/performance.md, Steps, has the people's."""

import os
import pathlib
import shutil
import sys
import time

from lab import Failed, Lan
from table import Row

NAMES = ("alice", "bob", "carol", "dave")
SUM = pathlib.Path(__file__).resolve().parents[2] / "contrib/demo/secure_sum.py"
PORT = 11365  # MPyC's own
WG_PORT = 51820


def compute(lab, net, flags):
    """The demo at every party, 1 from each."""
    programs = [lab.start(f"program-{i}", sys.executable, SUM, *words, 1, ns=net.ns[i])
                for i, words in enumerate(flags)]
    for program in programs:
        program.wait_for(rf"sum {len(flags)},")
    for program in programs:
        program.popen.wait(20)


class Plain:
    """The programs, with the others' addresses: nothing else to do, nothing protected."""
    name = "MPyC alone"
    programs = ()

    def __init__(self, lab, net):
        self.lab, self.net = lab, net

    def again(self, n=3):
        hosts = [w for a in self.net.addr[:n] for w in ("-P", f"{a}:{PORT}")]
        compute(self.lab, self.net, [[*hosts, "-I", i] for i in range(n)])

    def first(self):
        self.again()

    def stop(self):
        pass

    def more(self):
        self.again(4)

    def remove(self):
        pass


class Wireguard:
    """wireguard-go, set up as wg-quick(8) does: keys, a configuration, the interface."""
    name = "wireguard-go"
    programs = ("wireguard-go", "wg")

    def __init__(self, lab, net):
        self.lab, self.net = lab, net
        self.dir = lab.dir / f"steps-wg-{lab.next()}"
        self.dir.mkdir()
        self.keys, self.running = [], {}

    def make_key(self):
        private = self.lab.run("wg", "genkey").strip()
        self.keys.append((private, self.lab.run("wg", "pubkey", stdin=private).strip()))

    def configure(self, i):
        text = f"[Interface]\nPrivateKey = {self.keys[i][0]}\nListenPort = {WG_PORT}\n"
        for j, (_, public) in enumerate(self.keys):
            if j != i:
                text += (f"[Peer]\nPublicKey = {public}\nAllowedIPs = 10.99.0.{j + 1}/32\n"
                         f"Endpoint = {self.net.addr[j]}:{WG_PORT}\n")
        conf = self.dir / f"{i}.conf"
        conf.write_text(text)
        conf.chmod(0o600)
        return conf

    def up(self, i):
        ns = self.net.ns[i]
        # Its control socket is named by the device alone, whatever the namespace.
        device = f"wg{os.getpid() % 100000}x{self.lab.next()}"
        process = self.lab.start(f"wg-{i}", "wireguard-go", "-f", device, ns=ns)
        socket = pathlib.Path(f"/var/run/wireguard/{device}.sock")
        deadline = time.monotonic() + 10
        while not socket.exists():
            if time.monotonic() > deadline:
                raise Failed("wireguard-go does not start")
            time.sleep(0.002)
        self.lab.run("wg", "setconf", device, self.dir / f"{i}.conf", ns=ns)
        self.lab.run("ip", "-n", ns, "addr", "add", f"10.99.0.{i + 1}/24", "dev", device)
        self.lab.run("ip", "-n", ns, "link", "set", device, "up", "mtu", 1420)
        self.running[i] = (process, device)

    def program(self):
        n = len(self.keys)
        hosts = [w for i in range(n) for w in ("-P", f"10.99.0.{i + 1}:{PORT}")]
        compute(self.lab, self.net, [[*hosts, "-I", i] for i in range(n)])

    def first(self):
        for _ in range(3):
            self.make_key()
        for i in range(3):
            self.configure(i)
        self.again()

    def again(self):
        for i in range(3):
            self.up(i)
        self.program()

    def stop(self):
        for process, _ in self.running.values():
            process.stop()
        self.running = {}

    def more(self):
        self.make_key()
        for i in range(4):
            self.configure(i)
        for i, (_, device) in self.running.items():
            self.lab.run("wg", "syncconf", device, self.dir / f"{i}.conf", ns=self.net.ns[i])
        self.up(3)
        self.program()

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir)


class Mpcproxy:
    """One command per party, from an empty home directory; then the programs."""
    name = "mpcproxy"
    programs = ()

    def __init__(self, lab, net):
        self.lab, self.net = lab, net
        self.home = [lab.dir / f"steps-{lab.next()}-{name}" for name in NAMES]
        for home in self.home:
            home.mkdir()
        self.proxy = {}

    def env(self, i):
        env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        return dict(env, HOME=str(self.home[i]), USER=NAMES[i])

    def start(self, i, *words):
        return self.lab.start(NAMES[i], self.lab.mpcproxy(), *words, ns=self.net.ns[i],
                              env=self.env(i))

    def run(self, i, *words):
        return self.lab.run(self.lab.mpcproxy(), *words, ns=self.net.ns[i], env=self.env(i))

    def program(self):
        n = len(self.proxy)
        for process in self.proxy.values():
            process.wait_for(rf"all {n} parties connected")
        compute(self.lab, self.net, [self.run(i, "flags", "-c", "santa").split()
                                     for i in range(n)])

    def first(self):
        host = self.start(0, "invite", "santa", "--parties", 3, "--yes")
        ticket = host.wait_for(r"^mpcproxy join (mpc1:\S+)")[1]
        self.proxy = {0: host, 1: self.start(1, "join", ticket)}
        # Their order is that in which they come.
        host.wait_for("^bob has joined")
        self.proxy[2] = self.start(2, "join", ticket)
        self.program()

    def again(self):
        self.proxy = {i: self.start(i, "-c", "santa") for i in range(3)}
        self.program()

    def stop(self):
        for process in self.proxy.values():
            process.stop()

    def more(self):
        host = self.start(0, "invite", "santa", "--add", 1, "--yes")
        ticket = host.wait_for(r"^mpcproxy join (mpc1:\S+)")[1]
        self.proxy[3] = self.start(3, "join", ticket)
        self.program()

    def remove(self):
        self.stop()
        for i in self.proxy:
            self.run(i, "leave", "santa")


def timed(what):
    before = time.monotonic()
    what()
    return time.monotonic() - before


def steps(bench):
    """Rows of seconds from the first command to the result."""
    what = ("first, to the result", "again, to the result", "one party more, to the result",
            "taken away")
    ways = [way for way in (Mpcproxy, Plain, Wireguard)
            if all(shutil.which(program) for program in way.programs)]
    times = [{way.name: [] for way in ways} for _ in what]
    for _ in range(bench.rounds):
        for way in ways:
            one = way(bench.lab, Lan(bench.lab, 4))
            seconds = [timed(one.first)]
            one.stop()
            seconds += [timed(one.again), timed(one.more), timed(one.remove)]
            for row, s in zip(times, seconds):
                row[way.name].append(s)
    for text, row in zip(what, times):
        yield Row("steps", text, "s", row)
