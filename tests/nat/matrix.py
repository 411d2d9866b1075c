#!/usr/bin/python3
"""Connect parties behind every pair of networks and compare with the table of paths.

Runs inside the laboratory (matrix.sh). The networks are there, each twice: KIND-1 and
KIND-2. A cell is a session of two parties, one behind each, with identities, a session.ini
and a directory of its own; several run at a time.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

POLL_S = 0.02
STATUS_S = 0.2        # between two looks at what both say
BASE_PORT = 11365     # of the first cell; below all ports that hosts choose themselves
TYPES = {'D': 'direct', 'R': 'relay', 'N': None}


class Failure(Exception):
    pass


class Table:
    """The file of expected paths: pairs of networks and what is expected between them."""

    def __init__(self, path):
        self.kinds = []
        self.neighbours = []
        self.expected = {}
        for line in path.read_text().splitlines():
            words = line.split()
            if not words or words[0] == '#' or words[0] == words[-1] == '1' or words[:2] == ['1', '2']:
                continue
            if words[0].isdigit():
                self.kinds.append((words[1], words[2:]))
            else:
                self.neighbours.append(words[0])
                self.expected[words[0], words[0]] = words[1]
        names = [kind for kind, _ in self.kinds]
        for i, (kind, row) in enumerate(self.kinds):
            if len(row) != len(names) - i:
                sys.exit(f'{path}: {kind} has {len(row)} cells, not {len(names) - i}')
            for other, code in zip(names[i:], row):
                self.expected[kind, other] = self.expected[other, kind] = code
        self.kinds = names


class Reasons:
    """The file of what both sides must say of a pair that has no direct path."""

    def __init__(self, path):
        self.lines = []
        for line in path.read_text().splitlines():
            if line and not line.startswith('#'):
                self.lines.append(line.split(maxsplit=2))

    def of(self, pair, names):
        for row, column, text in self.lines:
            if all(kinds == '*' or kind in kinds.split(',')
                   for kind, kinds in zip(pair, (row, column))):
                for letter, name in zip('AB', names):
                    text = re.sub(rf'\b{letter}\b', name, text)
                words = text.split(' | ')
                return [words[0], words[-1]]
        raise Failure(f'no reason is expected between {pair[0]} and {pair[1]}')


class Cell:
    """One session of two parties."""

    def __init__(self, lab, number, pair, code):
        self.lab = lab
        self.number = number
        self.pair = pair
        self.code = code
        self.hosts = [f'{pair[0]}-1', f'{pair[1]}-2']
        self.names = ['alice', 'bob']
        self.name = f'cell-{number}'
        self.dir = lab.dir / self.name
        self.processes = []

    def run(self):
        """The seconds it took to connect, and whether that was by a relay first."""
        try:
            self.configure()
            for i in (0, 1):
                self.start(i)
            found = self.connect() if TYPES[self.code] else self.fail()
            self.stop()
            for name, process in zip(self.names, self.processes):
                if process.returncode != 0:
                    raise Failure(f'{name} ended with {process.returncode}')
            return found
        except (Failure, subprocess.SubprocessError, OSError) as error:
            raise Failure(f'{self}: {error}\n{self.logs()}') from error
        finally:
            self.stop()

    def __str__(self):
        return f'{self.pair[0]} to {self.pair[1]}'

    def configure(self):
        self.dir.mkdir()
        session = f'[session]\nname = {self.name}\nrendezvous = {self.lab.rendezvous}\n'
        session += ''.join(f'{line}\n' for line in self.lab.servers
                           if TYPES[self.code] or not line.startswith('turn'))
        for name, kind in zip(self.names, self.pair):
            (self.dir / name).mkdir(mode=0o700)
            identity = self.dir / f'{name}.pem'
            self.call('keygen', identity)
            session += f'[party {name}]\nkey = {self.call("id", identity)}\n'
            local = self.dir / f'{name}.ini'
            local.touch(mode=0o600)
            local.write_text(
                f'[local]\nidentity = {identity}\nbase-port = {BASE_PORT + 2 * self.number}\n'
                f'turn-user = {self.lab.user}\nturn-password = {self.lab.password}\n'
                f'turn-ca = {self.lab.turn_ca}\n'
                + (f'proxy = {self.lab.proxy}\n' if kind == 'proxy-only' else 'proxy = none\n'))
        (self.dir / 'session.ini').write_text(session)

    def call(self, *words):
        result = subprocess.run([self.lab.mpcproxy, *words], capture_output=True, text=True,
                                timeout=self.lab.deadline)
        if result.returncode != 0:
            raise Failure(f'mpcproxy {words[0]}: {result.stderr.strip()}')
        return result.stdout.strip()

    def files(self, i):
        return ['-c', self.dir / 'session.ini', '--local', self.dir / f'{self.names[i]}.ini']

    def start(self, i):
        with open(self.dir / f'{self.names[i]}.log', 'wb') as log:
            self.processes.append(subprocess.Popen(
                ['nsenter', f'--net=/run/netns/{self.hosts[i]}', '--', self.lab.mpcproxy, '-v',
                 *self.files(i)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, 'XDG_RUNTIME_DIR': str(self.dir / self.names[i])}))

    def ask(self, i, verb, *words):
        """A verb towards party i's running proxy."""
        return subprocess.run([self.lab.mpcproxy, verb, *self.files(i), *words],
                              capture_output=True, text=True, timeout=2 * self.lab.deadline,
                              env={**os.environ, 'XDG_RUNTIME_DIR': str(self.dir / self.names[i])})

    def status(self, i):
        return json.loads(self.ask(i, 'status', '--json').stdout)

    def await_start(self, i):
        until = time.monotonic() + self.lab.deadline
        while ' runs' not in (self.dir / f'{self.names[i]}.log').read_text():
            if self.processes[i].poll() is not None or time.monotonic() > until:
                raise Failure(f'{self.names[i]} does not run')
            time.sleep(POLL_S)

    def wait(self, i, seconds):
        """Whether party i gets connected within that time."""
        self.await_start(i)
        return self.ask(i, 'wait', '--timeout', str(seconds)).returncode == 0

    def peers(self):
        """What each party's status says of the other."""
        return [self.status(i)['peers'][0] for i in (0, 1)]

    def await_peers(self, what, is_so):
        until = time.monotonic() + self.lab.deadline
        while not is_so(peers := self.peers()):
            if time.monotonic() > until:
                raise Failure(f'not {what}, but {peers}')
            time.sleep(STATUS_S)

    def connect(self):
        for i in (0, 1):
            if not self.wait(i, self.lab.deadline):
                raise Failure(f'no path, instead of {TYPES[self.code]}')
        seconds = max(s['running_s'] - s['peers'][0]['since_s'] for s in map(self.status, (0, 1)))
        # A pair whose relay was faster has to leave it for a direct path.
        relayed = [peer['path'] and peer['path']['type'] for peer in self.peers()] == ['relay', 'relay']
        expected = [TYPES[self.code]] * 2
        self.await_peers(expected, lambda peers: [
            peer['path'] and peer['path']['type'] for peer in peers] == expected)
        whys = [None, None]
        if self.code == 'R':
            whys = [f'relay: {why}' for why in self.lab.reasons.of(self.pair, self.names)]
        self.await_peers(whys, lambda peers: [peer['why'] for peer in peers] == whys)
        ping = self.ask(0, 'ping', self.names[1], '-n', '1')
        if ping.returncode != 0:
            raise Failure(f'ping: {ping.stderr.strip()}')
        return seconds, relayed and self.code == 'D'

    def fail(self):
        for i in (0, 1):
            self.await_start(i)
        started = time.monotonic()
        whys = [f'no path: {why}, no turn= configured'
                for why in self.lab.reasons.of(self.pair, self.names)]
        self.await_peers(whys, lambda peers: [peer['why'] for peer in peers] == whys)
        return time.monotonic() - started, False

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(self.lab.deadline)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self):
        text = ''
        for name in self.names:
            log = self.dir / f'{name}.log'
            if log.exists():
                text += f'  {name}:\n' + ''.join(
                    f'    {line}\n' for line in log.read_text().splitlines()[-25:])
        return text


class Lab:
    def __init__(self, arguments):
        self.dir = pathlib.Path(arguments.dir)
        self.mpcproxy = arguments.mpcproxy
        self.rendezvous = arguments.rendezvous
        self.user, self.password = arguments.turn_user.split(':')
        self.turn_ca = arguments.turn_ca
        self.proxy = arguments.proxy
        self.deadline = 30 * int(os.environ.get('SLOWDOWN') or 1)
        self.servers = arguments.server
        self.reasons = Reasons(arguments.reasons)


def show(table, pairs, results):
    """The table, with the path found and the seconds it took."""
    width = 2 + max(map(len, table.kinds + table.neighbours))
    if any(a in table.kinds for a, _ in pairs):
        print(' ' * (width + 3) + ''.join(f'{i + 1:<8}' for i in range(len(table.kinds))).rstrip())
    for i, kind in enumerate(table.kinds):
        row = [text(table, results, (kind, other)) for other in table.kinds]
        if any(row):
            print(f'{i + 1:<3}{kind:<{width}}' + ''.join(f'{cell:<8}' for cell in row).rstrip())
    for kind in table.neighbours:
        if (kind, kind) in results:
            print(f'   {kind:<{width}}{text(table, results, (kind, kind))}')


def text(table, results, pair):
    if pair not in results:
        return ''
    if results[pair] is None:
        return 'FAILED'
    times, relayed = zip(*results[pair])
    code = table.expected[pair]
    return f'{code.lower() if any(relayed) else code} {statistics.median(times):.2f}'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--dir', required=True)
    parser.add_argument('--mpcproxy', required=True)
    parser.add_argument('--rendezvous', required=True)
    parser.add_argument('--turn-user', required=True, metavar='USER:PASSWORD')
    parser.add_argument('--turn-ca', required=True)
    parser.add_argument('--proxy', required=True, help='of those who have no other way out')
    parser.add_argument('--server', action='append', help='a line for session.ini')
    parser.add_argument('--paths', required=True, type=pathlib.Path)
    parser.add_argument('--json', type=pathlib.Path, help='all times go there')
    parser.add_argument('--reasons', required=True, type=pathlib.Path)
    parser.add_argument('--failures', required=True, type=pathlib.Path)
    parser.add_argument('--kinds', help='only pairs of these')
    parser.add_argument('--ordered', action='store_true', help='each pair both ways round')
    parser.add_argument('--runs', type=int, default=1)
    parser.add_argument('--jobs', type=int, default=8, help='cells at a time')
    arguments = parser.parse_args()

    table = Table(arguments.paths)
    lab = Lab(arguments)
    wanted = arguments.kinds.split() if arguments.kinds else table.kinds + table.neighbours
    kinds = [kind for kind in table.kinds if kind in wanted]
    pairs = [(a, b) for i, a in enumerate(kinds)
             for j, b in enumerate(kinds) if i <= j or arguments.ordered]
    pairs += [(kind, kind) for kind in table.neighbours if kind in wanted]

    failing = [tuple(line.split()) for line in arguments.failures.read_text().splitlines()
               if line and not line.startswith('#')]
    failing = [pair for pair in failing if all(kind in wanted for kind in pair)]

    started = time.monotonic()
    # Those that wait longest come first.
    cells = [Cell(lab, n, pair, 'N') for n, pair in enumerate(failing)]
    cells += [Cell(lab, len(cells) + n, pair, table.expected[pair])
              for n, pair in enumerate(pairs * arguments.runs)]
    results = {}
    failures = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        running = {pool.submit(cell.run): cell for cell in cells}
        for future in concurrent.futures.as_completed(running):
            cell = running[future]
            key = (*cell.pair, 'N') if cell.code == 'N' else cell.pair
            try:
                found = future.result()
                if results.setdefault(key, []) is not None:
                    results[key].append(found)
            except Failure as failure:
                results[key] = None
                failures.append(str(failure))
    show(table, pairs, results)
    if arguments.json:
        arguments.json.write_text(json.dumps([
            {'pair': pair, 'path': TYPES[table.expected[pair]], 'seconds': [s for s, _ in found]}
            for pair in pairs if (found := results[pair]) is not None]))
    print('D direct, R relay, d direct after a relay that came first; with the seconds from start to '
          'connected. Rows: party 0')
    for a, b in failing:
        if results[a, b, 'N'] is not None:
            print(f'without a relay: {a} to {b}: no path, after {results[a, b, "N"][0][0]:.0f} s: '
                  f'{lab.reasons.of((a, b), ("A", "B"))[0]}')
    print(f'{len(cells)} cells in {time.monotonic() - started:.0f} s, {len(failures)} failed')
    for failure in failures:
        print(f'FAILED: {failure}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
