#!/bin/bash
# Many local connections: 2,000 at once and 10,000 in a row leave neither memory nor
# descriptors behind; beyond the documented bound there is a clear error; and running out
# of descriptors is survived.
SCENARIO_LIMIT=480
. "$(dirname "$0")/lib.sh"

# What may be in use besides after thousands of connections: what goes on at that moment.
LEAK_BYTES=200000
SMALL=${SANITIZERS:-}${WRAP:-}
N=2000 ROW=10000
[ -z "$SMALL" ] || N=500 ROW=500

# crowd NUMBER: they come, are held, and go; 'alice' and 'bob' are looked at meanwhile
crowd_start() {
	mkfifo "$T/go"
	: >"$T/crowd.log"
	"$PYTHON" "$HERE/tool.py" crowd "$FORWARD_PORT" "$1" >"$T/crowd.log" 2>&1 <"$T/go" &
	PID[crowd]=$!
	exec 7>"$T/go"
	wait_log crowd '^all are held'
}
crowd_end() {
	echo go >&7
	exec 7>&-
	succeed crowd
	logged crowd "^$1 connections were right"
	rm "$T/go"
}
crowd() {
	crowd_start "$1"
	step "held: descriptors $(descriptors alice) and $(descriptors bob), memory $(memory alice) and $(memory bob) KiB"
	crowd_end "$1"
}
has_descriptors() { [ "$(descriptors "$1")" -le "$2" ]; }
goes_back() {
	local party
	for party in alice bob; do eventually has_descriptors $party "$1"; done
}

# same_as_before WORDS: no more descriptors, and no more memory in use, than remembered
# idlers NUMBER: they connect and wait, until idlers_end
idlers() {
	mkfifo "$T/stay"
	"$PYTHON" "$HERE/tool.py" idlers "$FORWARD_PORT" "$1" >"$T/idlers.log" 2>&1 <"$T/stay" &
	PID[idlers]=$!
	exec 8>"$T/stay"
	wait_log idlers ' wait$'
}
idlers_end() {
	exec 8>&-
	succeed idlers
	rm "$T/stay"
}

remember() { [ -z "$COUNTED" ] || USED=("$(in_use alice)" "$(in_use bob)"); }
same_as_before() {
	local used
	goes_back $before
	[ -n "$COUNTED" ] || return 0
	sleep 1 # acknowledgements
	used=("$(in_use alice)" "$(in_use bob)")
	step "$1: in use $((used[0] - USED[0])) and $((used[1] - USED[1])) bytes more than before, resident $(memory alice) and $(memory bob) KiB"
	[ $((used[0] - USED[0])) -le $LEAK_BYTES ] || fail "alice leaks"
	[ $((used[1] - USED[1])) -le $LEAK_BYTES ] || fail "bob leaks"
}

counted
ordinary
step "$N connections at once"
before=$(descriptors alice)
[ "$(descriptors bob)" -le "$before" ] || before=$(descriptors bob)
before=$((before + 2)) # a descriptor or two for what goes on besides
crowd $N
goes_back $before
sleep 1
remember
crowd $N
crowd $N
same_as_before "two more times as many"

step "$ROW connections in a row"
start row "$PYTHON" "$HERE/tool.py" procession "$FORWARD_PORT" $ROW
DEADLINE=150 succeed row
same_as_before "after all these"
not_logged alice 'refused'
not_logged bob 'refused'

step "more than the 4096 that one party may have: the rest is refused, and alice says so"
if [ -z "$SMALL" ]; then
	idlers 4300
	wait_log alice 'peer=bob a stream is refused: there are 4096 already, the most for one party'
	[ "$(json alice "peer['carol']['state']")" = connected ] || fail "alice is not well"
	idlers_end
	logged idlers '^204 of 4300 had ended'
	goes_back $before
	crowd 100
fi

step "few descriptors: connections wait, nothing spins, the rest goes on"
stop alice
ulimit -n 120
proxy_start alice
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
connected alice
mark alice
idlers 100
wait_log_since alice 'cannot accept connections to forward to bob:[0-9]+ for now: Too many open files \(raise the limit of open files'
cpu=$(cpu_ms alice)
sleep 2
cpu=$(($(cpu_ms alice) - cpu))
step "$cpu ms of processor time in two seconds, $(descriptors alice) descriptors"
[ $cpu -le $((400 * SLOWDOWN)) ] || fail "alice spins"
lines=$(grep -c 'cannot accept' "$T/alice.log")
[ "$lines" -le 2 ] || fail "$lines lines about it"
step "status and a new path to carol are possible all the while"
[ "$(json alice "peer['bob']['state']")" = connected ] || fail "alice is not well"
murder carol
proxy_start carol 8>&- # or idlers would not see the end
connected alice carol
idlers_end
call echo "$FORWARD_PORT" echo --length 1000
succeed echo
