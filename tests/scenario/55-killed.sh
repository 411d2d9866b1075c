#!/bin/bash
# A party's proxy is killed and started again: its peers notice within seconds of its
# return, streams to it end as they should, and new connections work at once. Client and
# server of the connection take turns, and so do one and both of a pair.
SCENARIO_LIMIT=480
. "$(dirname "$0")/lib.sh"

# Of which two are the challenge of the life that was killed.
LIMIT_MS=$((3000 * (SLOWDOWN + 1)))

# hold PARTY PORT: a connection from PARTY through its local PORT
hold() {
	: >"$T/held-$1.log"
	start "held-$1" "$PYTHON" "$HERE/tool.py" call "$2" hold
	wait_log "held-$1" '^held'
}
ended_with() {
	succeed "held-$1"
	logged "held-$1" "ended: $2"
}
# stamp PARTY PATTERN: when it said so, after its mark, in milliseconds
stamp() {
	wait_log_since "$1" "$2"
	date -u -d "$(tail -c "+$((MARK[$1] + 1))" "$T/$1.log" | grep -Em 1 "$2" | cut -d ' ' -f 1)" +%s%3N
}

# noticed RETURNED BY...: from the moment that it reaches the rendezvous
noticed() {
	local party returned took
	returned=$(stamp "$1" 'rendezvous=.* connected')
	shift
	for party; do
		took=$(($(stamp "$party" 'disconnected: the party.s proxy was started again') - returned))
		step "$party noticed after $took ms"
		[ $took -le $LIMIT_MS ] || fail "$party noticed only after $took ms"
	done
}

ordinary
for _ in 1 2; do
	step "bob, who is server to alice and client to carol, is killed and comes back"
	hold alice "$FORWARD_PORT"
	hold carol "$CAROL_PORT"
	murder bob
	mark alice
	mark carol
	sleep 1
	proxy_start bob
	noticed bob alice carol
	ended_with alice RST
	ended_with carol RST
	call echo "$FORWARD_PORT" echo --length 1000
	succeed echo
	connected alice bob carol

	step "alice is, who is client to both; her own programs see a reset at once"
	hold alice "$FORWARD_PORT"
	hold carol "$CAROL_PORT"
	mark bob
	murder alice
	ended_with alice RST
	proxy_start alice
	noticed alice bob
	call echo "$FORWARD_PORT" echo --length 1000
	succeed echo
	connected alice bob carol
	# The pair of the other two has not noticed.
	verb carol ping bob >/dev/null
	kill -0 "${PID[held-carol]}" || fail "carol's connection to bob has ended"
	kill "${PID[held-carol]}"
	finish held-carol
done

step "both of a pair at once"
murder alice bob
proxy_start alice bob
connected alice bob carol

step "a program that waits for a party learns of its proxy's end: MPyC's connections get a FIN"
start catcher "$PYTHON" "$HERE/tool.py" catch $((BASE[bob] + 1))
wait_log catcher '^listening'
start greeter "$PYTHON" "$HERE/tool.py" knock $((BASE[alice] + 1)) 0000aabb
wait_log catcher '^got 0000aabb'
murder bob
proxy_start bob
succeed greeter
logged greeter '^ended: FIN'
wait_log catcher '^then (RST|FIN)'
connected alice bob carol
kill "${PID[catcher]}"
finish catcher
compute
