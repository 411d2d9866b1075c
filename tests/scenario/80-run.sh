#!/bin/bash
# mpcproxy run with a program: it starts at all parties when all are ready, with flags that
# work, behind proxies of its own or the ones that run; its exit code is returned, and
# nothing stays behind.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

make_session alice bob carol
demo=$TOP/contrib/demo/secure_sum.py

step "from nothing, in any order, on ports that nobody has chosen"
no_base_ports
run_start carol -- "$PYTHON" "$demo" '{mpyc}' 100
run_start bob -- "$PYTHON" "$demo" '{mpyc}' 10
run_start alice -- "$PYTHON" "$demo" '{mpyc}' 1
for name in alice bob carol; do
	succeed "$name-run"
	logged "$name-run" 'sum 111,'
	logged "$name-run" 'all 3 parties are ready: running secure_sum.py, Python 3'
done

step "nothing stays behind"
[ -z "$(ls "$T/run/mpcproxy")" ] || fail "left in the control sockets' directory: $(ls "$T/run/mpcproxy")"
for name in alice bob carol; do exits 1 "running" verb "$name" status; done

step "the exit code is the program's"
code() { # code EXPECTED at alice and carol; bob's program is a good one
	local expected=$1 name
	shift
	for name in alice bob carol; do run_start "$name" -- "$@"; done
	for name in alice bob carol; do
		finish "$name-run"
		[ "$STATUS" -eq "$expected" ] || fail "$name: exit code $STATUS instead of $expected"
	done
}
code 0 sh -c 'exit 0'
code 3 sh -c 'exit 3'
code 137 sh -c 'kill -KILL $$'
code 143 sh -c 'kill -TERM $$'
exits 127 "nonexistent" verb alice run -- /nonexistent/program
exits 1 "nonexistent.py" verb alice run -- "$PYTHON" nonexistent.py
exits 1 "no.such.module" verb alice run -- "$PYTHON" -m no.such.module
exits 2 "program is missing" verb alice run --
exits 2 "stands behind" verb alice run "$PYTHON"
exits 2 "stands behind" verb alice run --isolate

step "not for ever, if that is asked for"
exits 3 "bob: " verb alice run -t 1 -- "$PYTHON" "$demo" 1

step "with proxies that run already, and go on running"
for name in alice bob carol; do local_ini "$name"; done
proxy_start alice bob carol
for n in 1 2; do
	for name in alice bob carol; do
		run_start "$name" -- "$PYTHON" "$demo" "$((n * 10 ** INDEX[$name]))"
	done
	for name in alice bob carol; do
		succeed "$name-run"
		logged "$name-run" "sum $n$n$n,"
	done
done
connected alice bob carol

step "one at a time, and not started after all"
run_start alice -- sh -c 'exit 0'
wait_log alice-run 'no program yet'
exits 1 "one at a time" verb alice run -- sh -c 'exit 0'

step "a program of before that still runs is waited for"
kill -TERM "${PID[alice-run]}"
finish alice-run
[ "$STATUS" -eq 143 ] || fail "terminated while it waited: $STATUS"
for name in alice bob carol; do
	run_start "$name" --allow-different -- sh -c "[ $name != bob ] || while [ ! -e $T/go ]; do sleep 0.05; done"
done
succeed alice-run carol-run
run_start alice -- sh -c true
run_start carol -- sh -c true
wait_log alice-run 'bob: its last program still runs'
touch "$T/go"
succeed bob-run
run_start bob -- sh -c true
succeed alice-run bob-run carol-run
