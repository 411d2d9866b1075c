#!/bin/bash
# mpcproxy run --isolate: the program computes with the others, nobody else on the machine
# reaches its port, and it reaches nobody else. Where namespaces are forbidden: an error.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

unshare -Urn true 2>/dev/null || skip "unprivileged user namespaces are forbidden here"

make_session alice bob carol
no_base_ports
demo=$TOP/contrib/demo/secure_sum.py
port OUTSIDE
start outside "$PYTHON" "$HERE/tool.py" serve "$OUTSIDE"
wait_log outside '^serving'

step "three isolated programs compute"
for name in alice bob carol; do
	run_start "$name" --isolate -- "$PYTHON" "$demo" '{mpyc}' "$((10 ** INDEX[$name]))"
done
for name in alice bob carol; do
	succeed "$name-run"
	logged "$name-run" 'sum 111,'
done

step "with proxies that run, of which one party is isolated, and programs in a row"
for name in alice bob carol; do local_ini "$name"; done
proxy_start alice bob carol
connected alice bob carol
for _ in 1 2; do
	for name in alice bob carol; do
		isolate=
		[ "$name" != bob ] || isolate=--isolate
		# shellcheck disable=SC2086
		run_start "$name" $isolate -- "$PYTHON" "$demo" '{mpyc}' "$((10 ** INDEX[$name]))"
	done
	for name in alice bob carol; do
		succeed "$name-run"
		logged "$name-run" 'sum 111,'
	done
done

step "what it sees, and who sees it"
cat >"$T/look.py" <<'END'
import os, socket, sys, time
sys.path.insert(0, os.path.dirname(sys.argv[1]))
directory, outside = sys.argv[2], int(sys.argv[3])
port = [int(a.rpartition(":")[2]) for a in sys.argv if a.startswith("localhost:")]
index = int(sys.argv[-1])

def reaches(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        return "reached"
    except OSError as e:
        return e.strerror

print("outside:", reaches("127.0.0.1", outside))
print("internet:", reaches("192.0.2.1", 80))
print("interfaces:", [name for _, name in socket.if_nameindex()])
print("uid:", os.getuid(), "gid:", os.getgid(), "file:", os.stat(sys.argv[1]).st_uid)
print("descriptors:", sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")))
with open("/proc/self/status") as f:
    print([line.strip() for line in f if line.startswith("NoNewPrivs")][0])
open(directory + "/made", "w").close()
# As MPyC does, on all addresses and without asking who comes.
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", port[index]))
s.listen()
print("listening", flush=True)
while not os.path.exists(directory + "/go"):
    time.sleep(0.05)
s.setblocking(False)
try:
    s.accept()
    print("somebody came")
except BlockingIOError:
    print("nobody came")
END
echo pass >"$T/nothing.py"
exec 9<>/dev/null # which the program is not to have
run_start bob --isolate --allow-different -- "$PYTHON" "$T/look.py" "$T/look.py" "$T" "$OUTSIDE"
exec 9>&-
for name in alice carol; do run_start "$name" --allow-different -- sh -c "while [ ! -e $T/go ]; do sleep 0.05; done"; done
wait_log bob-run '^listening'
logged bob-run '^outside: Connection refused'
logged bob-run '^internet: Network is unreachable'
logged bob-run "^interfaces: \['lo'\]"
logged bob-run "^uid: $(id -u) gid: $(id -g) file: $(id -u)\$"
logged bob-run '^NoNewPrivs:.*1'
logged bob-run '^descriptors: .* 4$'
[ "$(stat -c %u "$T/made")" = "$(id -u)" ] || fail "what it made belongs to $(stat -c %u "$T/made")"
for host in 127.0.0.1 ::1; do
	"$PYTHON" -c "import socket, sys
try: socket.create_connection(('$host', $((BASE[bob] + 1))), 5)
except OSError as e: print(e)
else: sys.exit(1)" >/dev/null || fail "bob's program can be reached at $host from outside"
done

step "while it is isolated, no program outside is taken for it"
"$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE" knock "$((BASE[bob] + 2))" 0100 | grep -E 'ended|refused|reset' >/dev/null ||
	fail "a program outside was served"
logged bob 'outside of the isolated one'
touch "$T/go"
succeed alice-run bob-run carol-run
logged bob-run '^nobody came'

step "nor does it have a descriptor where the kernel cannot close them all"
cat >"$T/old_kernel.py" <<'END'
# Runs a program for which there is no close_range(), as before Linux 5.9.
import ctypes, os, struct, sys
ENOSYS, CLOSE_RANGE = 38, 436
code = b"".join(struct.pack("HBBI", *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, CLOSE_RANGE),
    (0x06, 0, 0, 0x50000 | ENOSYS), (0x06, 0, 0, 0x7FFF0000)))
filter_ = ctypes.create_string_buffer(code)
program = struct.pack("HP", len(code) // 8, ctypes.addressof(filter_))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
END
exec 9<>/dev/null
# shellcheck disable=SC2016
WRAP="${WRAP:-} $PYTHON $T/old_kernel.py" run_start bob --isolate --allow-different -- \
	sh -c 'cd /proc/self/fd; echo descriptors: *'
exec 9>&-
for name in alice carol; do run_start "$name" --allow-different -- true; done
succeed alice-run bob-run carol-run
logged bob-run '^descriptors: 0 1 2( 3)?$'

step "nothing stays inside, however it ends"
for name in alice bob carol; do run_start "$name" --isolate -- sh -c "sleep 600; :"; done
for name in alice bob carol; do wait_log "$name-run" 'are ready'; done
inside=()
for name in alice bob carol; do
	eventually test "$(pgrep -c -P "${PID[$name-run]}")" -ge 2
	mapfile -t -O "${#inside[@]}" inside < <(pgrep -P "${PID[$name-run]}")
done
murder carol-run
for name in alice bob; do kill -TERM "${PID[$name-run]}"; done
finish alice-run
finish bob-run
for pid in "${inside[@]}"; do ended "$pid" "$DEADLINE" || fail "process $pid stays: $(ps -o args= "$pid")"; done

step "where it is forbidden, it says so, and nothing is run"
forbidden=$(unshare -Urm sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh \
	env XDG_RUNTIME_DIR="$T/run" "$MPCPROXY" run -c "$T/session.ini" --local "$T/alice.ini" --isolate -- touch "$T/ran" 2>&1) && fail "it was run"
grep -q 'max_user_namespaces' <<<"$forbidden" || fail "it says: $forbidden"
[ ! -e "$T/ran" ] || fail "it was run"
