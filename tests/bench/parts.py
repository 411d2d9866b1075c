"""The parts of the benchmark. Each takes a Bench and yields rows."""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

import carriers
from lab import Failed, Lan, wide
from steps import steps
from table import Row, median

RIVALS = ("wireguard-go", "nebula", "tinc")  # VPNs that cross NATs
WAN_MBIT = 100
WAN_QUEUE_MS = 50
PROGRAM_PORT = 11365  # MPyC's own


def best(rows, pick, factor):
    """The best rival's median of a row, times a factor."""
    values = [v for v in (rows.median(name) for name in RIVALS) if v is not None]
    return factor * pick(values) if values else None


def wan_line(rtt_ms, **more):
    return {"rate": WAN_MBIT, "queue": WAN_QUEUE_MS, "delay": rtt_ms / 2, **more}


def interleaved(bench, group, measure, rounds=None):
    """Rounds in which every carrier has its turn: {name: [result, ...]}."""
    results = {c.name: [] for c in group}
    for _ in range(rounds or bench.rounds):
        for carrier in group:
            try:
                results[carrier.name].append(measure(carrier))
            except Failed as exc:
                bench.note(f"{carrier.name}: {exc}")
                results[carrier.name].append(None)
    return results


def column(results, pick):
    return {name: [None if r is None else pick(r) for r in rounds]
            for name, rounds in results.items()}


# LAN


def bulk(carrier, skip_ms, ms, streams=1):
    before = carrier.cpu_s()
    mbit, jain, first_ms, total = carrier.measure("throughput", streams, skip_ms, ms)
    return {"mbit": mbit, "jain": jain, "first_ms": first_ms,
            "cpu": (carrier.cpu_s() - before) / (total / 1e9)}


def lan_throughput(bench):
    group = bench.carriers(carriers.ALL, lambda: Lan(bench.lab))
    results = interleaved(bench, group, lambda c: bulk(c, 300, bench.pick(2000, 1000)))
    row = Row("lan-throughput", "one stream", "Mbit/s", column(results, lambda r: r["mbit"]))
    row.goal = (">=", best(row, max, 4), "4x the best VPN")
    yield row
    yield Row("lan-throughput", "first 2 MB", "ms", column(results, lambda r: r["first_ms"]))
    yield from cpu_row(results)


def cpu_row(results):
    used = column(results, lambda r: r["cpu"])
    used.pop("tcp", None)
    row = Row("cpu", "both proxies", "s/GB", used)
    other = row.median("wireguard-go")
    row.goal = ("<=", None if other is None else other / 2, "half of wireguard-go")
    yield row


def cpu(bench):
    group = bench.carriers((carriers.Mpcproxy, carriers.WireguardGo),
                           lambda: Lan(bench.lab))
    yield from cpu_row(interleaved(bench, group,
                                   lambda c: bulk(c, 300, bench.pick(2000, 1000))))


def lan_latency(bench):
    group = bench.carriers((*carriers.ALL, carriers.BareRelay), lambda: Lan(bench.lab))
    rounds = bench.pick(3000, 1000)

    def ping_pong(carrier):
        before = carrier.cpu_s()
        p50, p99 = carrier.measure("latency", rounds)
        return p50, p99, (carrier.cpu_s() - before) / rounds * 1e6

    results = interleaved(bench, group, ping_pong)
    for i, what, factor in ((0, "p50", 0.9), (1, "p99", 1)):
        row = Row("lan-latency", f"64 bytes, {what}", "us", column(results, lambda r: r[i]))
        row.goal = ("<=", best(row, min, factor), f"{factor}x the best VPN")
        yield row
    used = column(results, lambda r: r[2])
    used.pop("tcp", None)
    yield Row("lan-latency", "CPU of both, a round trip", "us", used)


# WAN

CONDITIONS = (  # name, share of the link to be reached, the line
    ("clean", 0.90, {}),
    ("loss 0.1 %", 0.85, {"loss": 0.1}),
    ("loss 1 %", 0.80, {"loss": 1}),
    ("loss 1 % in bursts of 5", 0.70, {"loss": 1, "burst": 5}),
    ("jitter 5 ms", 0.70, {"jitter": 5}),
)


def wan_throughput(bench):
    some = (carriers.Tcp, carriers.Mpcproxy, carriers.WireguardGo)
    for rtt in bench.pick((50, 150), (50,)):
        for name, share, line in CONDITIONS:
            group = bench.carriers(some, lambda: wide(bench.lab, **wan_line(rtt, **line)))
            # What follows the start, which is 40 round trips and has a row of its own.
            results = interleaved(bench, group,
                                  lambda c: bulk(c, 40 * rtt, bench.pick(5000, 3000)))
            what = f"{rtt} ms, {name}"
            yield Row("wan-throughput", what, "Mbit/s", column(results, lambda r: r["mbit"]),
                      (">=", share * WAN_MBIT, f"{share:.0%} of the link"))
            yield Row("wan-throughput", f"{what}: first 2 MB", "ms",
                      column(results, lambda r: r["first_ms"]))
            bench.close(group)


def wan_latency(bench):
    """All carriers at once, each on a line of its own: they wait, mostly."""
    group = bench.carriers((carriers.Tcp, carriers.Mpcproxy, carriers.WireguardGo),
                           lambda: wide(bench.lab, **wan_line(40, loss=1)))
    rounds = bench.pick(400, 150)
    results = {c.name: [] for c in group}
    for _ in range(bench.rounds):
        running = [(c, c.measure_async("latency", rounds)) for c in group]
        for carrier, process in running:
            process.popen.wait()
            words = process.text().split()
            results[carrier.name].append([float(w) / 1e3 for w in words]
                                         if process.popen.returncode == 0 else None)
    for i, what in ((0, "p50"), (1, "p99")):
        row = Row("wan-latency", f"40 ms, loss 1 %, {what}", "ms",
                  column(results, lambda r: r[i]))
        if what == "p99" and row.median("tcp"):
            row.goal = ("<=", 0.45 * row.median("tcp"), "0.45x plain TCP")
        yield row


# Several streams


def beside(carrier, rounds, ms):
    """What a bulk stream adds to the median ping-pong beside it, in milliseconds."""
    alone = carrier.measure("latency", rounds)[0]
    stream = carrier.measure_async("throughput", 1, 0, ms)
    time.sleep(ms / 4e3)  # its rate and the queue are there by then
    together = carrier.measure("latency", rounds)[0]
    if stream.popen.poll() is not None:
        raise Failed("the bulk stream ended before the ping-pong did")
    stream.stop()
    return (together - alone) / 1e3


def fairness(bench):
    some = (carriers.Tcp, carriers.Mpcproxy)
    for name, net, bound, rounds, ms in (
            ("LAN", lambda: Lan(bench.lab), (1.5, "1.5 ms"), 500, 20000),
            ("WAN 50 ms", lambda: wide(bench.lab, **wan_line(50)),
             (WAN_QUEUE_MS / 2, "half the queue"), 30, 20000)):
        group = bench.carriers(some, net)
        skip = 300 if name == "LAN" else 2000
        shares = interleaved(bench, group, lambda c: bulk(c, skip, bench.pick(4000, 2000), 10))
        yield Row("fairness", f"{name}, 10 streams", "Jain", column(shares, lambda r: r["jain"]),
                  (">=", 0.9, "0.9"))
        added = interleaved(bench, group, lambda c: beside(c, rounds, ms))
        yield Row("fairness", f"{name}, ping-pong beside bulk: added p50", "ms", added,
                  ("<=", *bound))
        bench.close(group)


def streams(bench):
    group = bench.carriers((carriers.Tcp, carriers.Mpcproxy), lambda: Lan(bench.lab))
    yield Row("streams", "1,000 opened, one echo each", "ms",
              interleaved(bench, group, lambda c: held(c, 1000)[0]), ("<=", 30000, "it works"))


def held(carrier, n, look=lambda: None):
    """Open n streams; the milliseconds it took, and what look() says while they idle."""
    process = carrier.measure_async("streams", n, stdin=subprocess.PIPE)
    ms = float(process.wait_for(r"^([0-9.]+)$", 60)[1])
    time.sleep(1)
    seen = look()
    process.popen.stdin.close()
    process.popen.wait(30)
    return ms, seen


# What it costs to be there


def start_session(bench, net, n):
    directory = bench.lab.dir / f"{bench.lab.next()}-session"
    directory.mkdir()
    parties = [f"p{i}" for i in range(n)]
    return carriers.Session(bench.lab, net, parties, directory)


def all_connected(process, n):
    """When it said so, as the log's clock has it."""
    return stamp(process.wait_for(rf"^(\S+) info .* all {n} parties connected", 60)[1])


def stamp(text):
    base, ms = text.rstrip("Z").split(".")
    return time.mktime(time.strptime(base, "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(ms) / 1e3


def idle(bench):
    n = 10
    session = start_session(bench, Lan(bench.lab, n), n)
    proxies = [session.start(i) for i in range(n)]
    for proxy in proxies:
        all_connected(proxy, n)
    time.sleep(3)
    wakes, anonymous, resident = [], [], []
    for _ in range(bench.rounds):
        before = [p.switches() for p in proxies]
        seconds = bench.pick(5, 2)
        time.sleep(seconds)
        wakes.append(median([(p.switches() - b) / seconds / (n - 1)
                             for p, b in zip(proxies, before)]))
        memory = [p.memory_kb() for p in proxies]
        anonymous.append(median([m[0] / 1e3 for m in memory]))
        resident.append(median([m[1] / 1e3 for m in memory]))
    for proxy in proxies:
        proxy.stop()
    yield Row("idle", "wake-ups, 9 peers, each", "1/s", {"mpcproxy": wakes}, ("<=", 2, "2"))
    yield Row("idle", "private anonymous, 9 peers", "MB", {"mpcproxy": anonymous},
              ("<=", 8, "8 MB"))
    yield Row("idle", "resident, 9 peers", "MB", {"mpcproxy": resident})
    yield from idle_streams(bench)
    yield from bulk_memory(bench)


def idle_streams(bench, n=500):
    per_stream = []
    for _ in range(bench.rounds):  # new proxies: the first streams are what counts
        group = bench.carriers((carriers.Mpcproxy,), lambda: Lan(bench.lab))
        for carrier in group:
            def memory(proxies=carrier.processes):
                return [p.memory_kb()[0] for p in proxies]
            before = memory()
            after = held(carrier, n, memory)[1]
            per_stream.append(max(a - b for a, b in zip(after, before)) / n)
        bench.close(group)
    yield Row("idle", "one of 500 idle streams, larger end", "KB", {"mpcproxy": per_stream},
              ("<=", 16, "16 KB"))


def bulk_memory(bench):
    added = []
    for _ in range(bench.rounds):
        group = bench.carriers((carriers.Mpcproxy,),
                               lambda: wide(bench.lab, **wan_line(150)))
        for carrier in group:
            before = [p.memory_kb()[0] for p in carrier.processes]
            stream = carrier.measure_async("throughput", 1, 0, 6000)
            most = 0
            while stream.popen.poll() is None:
                most = max(most, *(p.memory_kb()[0] - b
                                   for p, b in zip(carrier.processes, before)))
                time.sleep(0.1)
            added.append(most / 1e3)
        bench.close(group)
    yield Row("idle", "bulk at 100 Mbit/s, 150 ms adds, larger end", "MB",
              {"mpcproxy": added}, ("<=", 16, "16 MB"))


def connect_time(bench):
    """All parties but one wait; how long after the last one's start is all connected?"""
    for name, net, goals in (("LAN", lambda n: Lan(bench.lab, n), ((3, 0.3), (10, 1.0))),
                             ("WAN 50 ms", lambda n: wide(bench.lab, n, **wan_line(50)),
                              ((3, 0.6), (10, 1.5)))):
        for n, goal in goals:
            network = net(n)
            took = []
            for _ in range(bench.rounds):
                session = start_session(bench, network, n)
                proxies = [session.start(i) for i in range(n - 1)]
                time.sleep(2)
                start = time.time()
                proxies.append(session.start(n - 1))
                took.append(max(all_connected(p, n) for p in proxies) - start)
                for proxy in proxies:
                    proxy.stop()
                session.rendezvous.stop()
            network.close()
            yield Row("connect-time", f"{name}, {n} parties", "s", {"mpcproxy": took},
                      ("<=", goal, f"{goal} s"))


def connect_nat(bench):
    """Pairs of networks, each behind a NAT of its own kind, with a STUN and a TURN server in
    session.ini that never answer: the matrix of tests/nat."""
    script = pathlib.Path(__file__).parent.parent / "nat" / "02-matrix.sh"
    with tempfile.NamedTemporaryFile(suffix=".json") as times:
        kinds = "open port-restricted symmetric tcp-443" if bench.quick else ""
        run = subprocess.run(
            ["bash", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "MPCPROXY": bench.lab.mpcproxy(), "NAT_DEAD": "1",
                 "NAT_RUNS": str(bench.rounds), "NAT_JOBS": "2", "NAT_KINDS": kinds,
                 "NAT_JSON": times.name}, check=False)
        if run.returncode != 0:
            raise Failed(run.stdout.strip().splitlines()[-1])
        for cell in json.load(times):
            yield Row("connect-nat", f"{' - '.join(cell['pair'])}: {cell['path']}", "s",
                      {"mpcproxy": cell["seconds"]})


# SOCKS5


def socks(bench):
    """New connections and one long one, through SOCKS5 servers."""
    group = bench.carriers(carriers.SOCKS, lambda: Lan(bench.lab))

    def measure(carrier):
        number = bench.pick(500, 200)
        one = carrier.measure("connections", number, 1)
        many = carrier.measure("connections", number, 16)
        stream = carrier.measure("throughput", 1, 300, bench.pick(2000, 1000))
        return {"rate": many[0], "p50": one[1], "p99": one[2], "mbit": stream[0]}

    results = interleaved(bench, group, measure)
    for key, what, unit, bound in (
            ("rate", "connections, 16 at a time", "1/s", ">="),
            ("p50", "a new connection's first byte, p50", "us", "<="),
            ("p99", "a new connection's first byte, p99", "us", "<="),
            ("mbit", "one stream", "Mbit/s", ">=")):
        row = Row("socks", what, unit, column(results, lambda r: r[key]))
        if row.median("ssh -D"):
            row.goal = (bound, row.median("ssh -D"), "ssh -D")
        yield row
    bench.close(group)


# The mailbox

MAILBOX_RATE = 1000  # messages a second


def mailbox(bench):
    """Thousands of parties at one mailbox that has one processor for itself."""
    n, seconds = bench.pick((10000, 20), (2000, 5))
    n = min(n, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2)  # as the mailbox does
    took, per_connection, connecting, cpu = [], [], [], []
    for _ in range(bench.pick(min(bench.rounds, 3), 1)):
        server = bench.lab.start(
            "mailbox", "taskset", "-c", 0, bench.lab.mpcproxy(), "rendezvous",
            "-l", "127.0.0.1:0", "-i", bench.lab.dir / f"{bench.lab.next()}.pem")
        port, key = server.wait_for(r"^tls://127.0.0.1:(\d+)#(\S+)$").groups()
        before, started = server.memory_kb()[0], time.monotonic()
        load = bench.lab.start(
            "load", "taskset", "-c", os.cpu_count() - 1, bench.lab.tool("mailbox_load"),
            "127.0.0.1", port, key, n, MAILBOX_RATE, seconds, stdin=subprocess.PIPE)
        load.wait_for("^connected$", 300)
        connecting.append(time.monotonic() - started)
        per_connection.append((server.memory_kb()[0] - before) / n)
        used = server.cpu_s()
        load.popen.stdin.close()
        sent, received, *times = load.wait_for(r"^(\d+) (\d+) (\S+) (\S+) (\S+)$",
                                               seconds + 30).groups()
        cpu.append((server.cpu_s() - used) / seconds * 100)
        if sent != received:
            bench.note(f"mailbox: {received} of {sent} messages arrived")
        took.append([float(t) for t in times])
        load.popen.wait(30)
        server.stop()
    what = f"{n} parties, {MAILBOX_RATE} messages/s"
    for i, name, goal in ((0, "p50", None), (1, "p99", ("<=", 20, "20 ms")), (2, "longest", None)):
        yield Row("mailbox", f"{what}, {name}", "ms", {"mpcproxy": [t[i] for t in took]}, goal)
    yield Row("mailbox", f"{what}: one processor's time", "%", {"mpcproxy": cpu})
    yield Row("mailbox", "an idle connection", "KB", {"mpcproxy": per_connection})
    yield Row("mailbox", f"{n} parties connect", "s", {"mpcproxy": connecting})


# MPyC

BULK = (("sha3.py",),)
PROGRAMS = (("aes.py", "-1"), ("secretsanta.py", "4"), *BULK)


def mpyc_run(bench, network, n, program, hosts, seed):
    """The last party's elapsed time; hosts is where a party finds each of them."""
    path = pathlib.Path(bench.mpyc)
    seeded = pathlib.Path(__file__).with_name("seeded.py")
    flags = [word for host in hosts for word in ("-P", host)]
    processes = []
    for i in reversed(range(n)):
        processes.append(bench.lab.start(
            f"mpyc{i}", "env", f"PYTHONPATH={path}", "PYTHONDONTWRITEBYTECODE=1",
            sys.executable, seeded, f"{seed}.{i}", path / "demos" / program[0], *program[1:],
            *flags, "-I", i, ns=network.ns[i]))
    try:
        for process in processes:
            process.popen.wait(180)
            if process.popen.returncode != 0:
                raise Failed(f"{program[0]}: {process.text().strip().splitlines()[-1]}")
    except subprocess.TimeoutExpired as exc:
        raise Failed(f"{' '.join(program)}: not within 180 s") from exc
    finally:
        for process in processes:
            process.stop()
    match = re.search(r"elapsed time: (?:(\d+) days?, )?(\d+):(\d+):([0-9.]+)",
                      processes[0].text())
    if match is None:
        raise Failed(f"{program[0]} did not say how long it took")
    days, hours, minutes, seconds = match.groups()
    return (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + float(seconds)


def bare_mesh(bench, network):
    """A bare relay between each two parties, at the ports that mpcproxy has: what takes
    MPyC's connections from loopback and brings them back takes at least this."""
    n, relays = len(network.ns), []
    for i in range(n):
        for j in range(i + 1, n):
            for own, peer, role, port in ((j, i, "dial", PROGRAM_PORT + j),
                                          (i, j, "listen", PROGRAM_PORT + j)):
                relays.append(bench.lab.start(
                    f"relay{own}{peer}", bench.lab.tool("bare_relay"), role, "127.0.0.1", port,
                    network.addr[own], network.addr[peer], 7200 + n * i + j,
                    ns=network.ns[own], ready="^ready"))
    return relays


def mpyc(bench):
    if bench.mpyc is None:
        bench.note("mpyc: skipped, MPYC_PATH names no checkout of MPyC")
        return
    for name, net, factor in (
            ("LAN", lambda n: Lan(bench.lab, n), 1.1),
            ("WAN 50 ms", lambda n: wide(bench.lab, n, **wan_line(50)), 1.03),
            ("WAN 50 ms, loss 0.5 %",  # faster; the aim is 0.7x
             lambda n: wide(bench.lab, n, **wan_line(50, loss=0.5)), 1)):
        for n in bench.pick((3, 5), (3,)):
            # The proxies hold MPyC's port on loopback, so plain TCP has namespaces
            # of its own.
            nets, relays = {"tcp": net(n), "mpcproxy": net(n)}, []
            # Without losses there is a floor to compare with.
            if "loss" not in name:
                nets["bare relay"] = net(n)
                relays = bare_mesh(bench, nets["bare relay"])
            session = start_session(bench, nets["mpcproxy"], n)
            proxies = [session.start(i) for i in range(n)]
            for proxy in proxies:
                all_connected(proxy, n)
            at_proxy = [f"localhost:{PROGRAM_PORT + j}" for j in range(n)]
            hosts = {"tcp": [f"{a}:{PROGRAM_PORT}" for a in nets["tcp"].addr],
                     "mpcproxy": at_proxy, "bare relay": at_proxy}
            for program in PROGRAMS:
                times = {name: [] for name in nets}
                for seed in range(bench.rounds):
                    for carrier, network in nets.items():
                        # More than the queue holds, and the bare relay repeats nothing.
                        if carrier == "bare relay" and program in BULK and name != "LAN":
                            continue
                        try:
                            times[carrier].append(mpyc_run(bench, network, n, program,
                                                           hosts[carrier], seed))
                        except Failed as exc:
                            bench.note(f"mpyc, {name}, {carrier}: {exc}")
                            times[carrier].append(None)
                row = Row("mpyc", f"{' '.join(program)}, {n} parties, {name}", "s", times)
                if row.median("tcp"):
                    row.goal = ("<=", factor * row.median("tcp"), f"{factor}x plain TCP")
                yield row
            for process in (*proxies, session.rendezvous, *relays):
                process.stop()
            for network in nets.values():
                network.close()


PARTS = {
    "lan-throughput": lan_throughput,
    "lan-latency": lan_latency,
    "wan-throughput": wan_throughput,
    "wan-latency": wan_latency,
    "fairness": fairness,
    "cpu": cpu,
    "idle": idle,
    "connect-time": connect_time,
    "connect-nat": connect_nat,
    "streams": streams,
    "mailbox": mailbox,
    "steps": steps,
    "socks": socks,
    "mpyc": mpyc,
}
