"""Network namespaces, networks between them, and processes in them; all of it goes
when the Lab does."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

LINK_MTU = 1500
STOP_S = 10  # for a process to end on SIGTERM
CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3), which Python does not have


class Failed(Exception):
    """Something could not be started or measured; says what."""


class Process:
    """A program in the background, its output in a file."""

    def __init__(self, name, argv, log, stdin=subprocess.DEVNULL, env=None):
        self.name = name
        self.log = log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(
                argv, stdin=stdin, stdout=out, stderr=subprocess.STDOUT, env=env,
                start_new_session=True)  # Ctrl-C is for us; we stop it ourselves
        self.pid = self.popen.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern, timeout=20):
        """The first match of the pattern in its output."""
        deadline = time.monotonic() + timeout
        while not (match := re.search(pattern, self.text(), re.MULTILINE)):
            if self.popen.poll() is not None:
                raise Failed(f"{self.name} has ended: {self.text()[-500:]}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: no '{pattern}' within {timeout} s")
            time.sleep(0.005)
        return match

    def cpu_s(self):
        """What it has used so far, with the threads that have ended."""
        return time.clock_gettime(~self.pid << 3 | CPUCLOCK_SCHED)

    def switches(self):
        """How often it has slept and been woken."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            status = (task / "status").read_text()
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])
        return total

    def memory_kb(self):
        """Private anonymous memory, and all that is resident."""
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return tuple(int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M)[1])
                     for key in ("Anonymous", "Rss"))

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


class Lab:
    """Undoes everything in reverse order, also after an error or a signal."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.undo = []
        self.counter = 0
        self.netem = False  # wide-area networks by the kernel's netem

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mpcproxy-bench."))
        self.undo.append(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        return self

    def __exit__(self, *_exc):
        before = [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)]
        while self.undo:
            try:
                self.undo.pop()()
            except (Failed, OSError) as exc:
                print(f"cannot clean up: {exc}")
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before):
            signal.signal(number, handler)

    def next(self):
        self.counter += 1
        return self.counter

    def tool(self, name):
        return str(self.build / "tests/bench" / name)

    def mpcproxy(self):
        return str(self.build / "mpcproxy")

    @staticmethod
    def in_namespace(ns, argv):
        return ["ip", "netns", "exec", ns, *argv] if ns else list(argv)

    def run(self, *argv, ns=None, timeout=120, stdin=None, env=None):
        """A program in the foreground; its output."""
        argv = self.in_namespace(ns, map(str, argv))
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True,
                                  timeout=timeout, env=env, check=False)
        except subprocess.TimeoutExpired as exc:
            raise Failed(f"{' '.join(argv)}: not within {timeout} s") from exc
        if done.returncode != 0:
            raise Failed(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()[-500:]}")
        return done.stdout

    def start(self, name, *argv, ns=None, ready=None, stdin=subprocess.DEVNULL, env=None):
        argv = self.in_namespace(ns, map(str, argv))
        process = Process(name, argv, self.dir / f"{self.next()}-{name}.log", stdin, env)
        self.undo.append(process.stop)
        if ready:
            process.wait_for(ready)
        return process

    def namespace(self, congestion_control="cubic"):
        ns = f"mpb{os.getpid()}-{self.next()}"
        self.run("ip", "netns", "add", ns)
        self.undo.append(lambda: self.run("ip", "netns", "del", ns))
        self.run("ip", "-n", ns, "link", "set", "lo", "up")
        # Without saved metrics every round starts as the first did.
        self.run("sysctl", "-qw", f"net.ipv4.tcp_congestion_control={congestion_control}",
                 "net.ipv4.tcp_no_metrics_save=1", ns=ns)
        return ns

    def allow_cubic(self):
        """A namespace can choose only what the machine allows everybody."""
        path = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
        allowed = path.read_text().strip()
        if "cubic" not in allowed.split():
            path.write_text(allowed + " cubic")
            self.undo.append(lambda: path.write_text(allowed))


class Lan:
    """n namespaces: two joined by a veth pair, more by a bridge."""

    def __init__(self, lab, n=2):
        self.ns = [lab.namespace() for _ in range(n)]
        self.addr = [f"10.77.0.{i + 1}" for i in range(n)]
        if n == 2:
            lab.run("ip", "link", "add", "lan0", "netns", self.ns[0], "mtu", LINK_MTU,
                    "type", "veth", "peer", "name", "lan0", "netns", self.ns[1])
        else:
            hub = lab.namespace()
            lab.run("ip", "-n", hub, "link", "add", "hub", "type", "bridge")
            lab.run("ip", "-n", hub, "link", "set", "hub", "up")
            for i, ns in enumerate(self.ns):
                lab.run("ip", "link", "add", "lan0", "netns", ns, "mtu", LINK_MTU, "type",
                        "veth", "peer", "name", f"p{i}", "netns", hub)
                lab.run("ip", "-n", hub, "link", "set", f"p{i}", "master", "hub", "up")
        for ns, addr in zip(self.ns, self.addr):
            lab.run("ip", "-n", ns, "addr", "add", f"{addr}/24", "dev", "lan0")
            lab.run("ip", "-n", ns, "link", "set", "lan0", "up")

    def close(self):
        pass


class Wan:
    """n namespaces joined by the emulator, the same line between any two."""

    def __init__(self, lab, n=2, **line):
        self.ns = [lab.namespace() for _ in range(n)]
        self.addr = [f"10.77.0.{i + 1}" for i in range(n)]
        options = [word for key, value in line.items() for word in (f"--{key}", value)]
        self.emulator = lab.start("wanem", lab.tool("wanem"), *options,
                                  *map("=".join, zip(self.ns, self.addr)), ready="^ready")

    def close(self):
        self.emulator.stop()


class Netem(Lan):
    """The same with the kernel's own queueing discipline (tc-netem(8)) on every namespace's
    way out. With more than two parties, its line is one for all others together."""

    def __init__(self, lab, n=2, *, rate, queue, delay, loss=0, burst=0, jitter=0):
        super().__init__(lab, n)
        bytes_per_ms = rate * 1e6 / 8 / 1e3
        # It holds what is under way as well as what waits.
        words = ["limit", int((queue + delay + jitter) * bytes_per_ms / LINK_MTU) + 1,
                 "rate", f"{rate}mbit", "delay", f"{delay + jitter / 2}ms"]
        if jitter:
            words.append(f"{jitter / 2}ms")
        if loss and burst:  # Gilbert-Elliott: so long a burst, and all is lost in it
            leave = 100 / burst
            words += ["loss", "gemodel", f"{leave * loss / (100 - loss)}%", f"{leave}%"]
        elif loss:
            words += ["loss", f"{loss}%"]
        for ns in self.ns:
            # A packet is a packet: nothing is cut or joined after the line.
            lab.run("ip", "-n", ns, "link", "set", "lan0", "gso_max_segs", 1)
            lab.run("tc", "-n", ns, "qdisc", "add", "dev", "lan0", "root", "netem", *words)


def wide(lab, n=2, **line):
    return (Netem if lab.netem else Wan)(lab, n, **line)
