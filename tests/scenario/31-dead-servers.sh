#!/bin/bash
# STUN and TURN servers that never answer delay no path between machines that reach each
# other: the parties are connected before the first of the servers is given up.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

# Nobody has these; packets to them are lost.
DEAD=10.9.99
SESSION_LINES="stun = $DEAD.1
stun = $DEAD.2
turn = turn:$DEAD.3?transport=udp
turn = turn:$DEAD.4?transport=tcp
turn = turns:$DEAD.5:443"
internet
RENDEZVOUS_HOST=$HUB
make_session alice bob carol
for name in alice bob carol; do
	local_ini $name "turn-user = santa" "turn-password = hohoho"
	machine $name "10.9.0.$((INDEX[$name] + 1))"
	for i in 1 2 3 4 5; do # instead of an error of the kernel's
		on $name ip neigh replace "$DEAD.$i" lladdr 02:00:00:00:00:02 dev eth0 nud permanent
	done
done

# connected_first: whether all were connected before any server was given up, after 3 s. On
# a busy machine that may be a matter of luck, so there is more than one try.
connected_first() {
	local name log
	for name in alice bob carol; do mark $name; done
	for name in alice bob carol; do machine_start $name; done
	connected alice bob carol
	for name in alice bob carol; do wait_log_since $name 'STUN: timed out'; done
	stop alice bob carol
	for name in alice bob carol; do
		log=$(tail -c "+$((${MARK[$name]} + 1))" "$T/$name.log")
		[[ $log == *"all 3 parties connected"*"STUN: timed out"* ]] || return 1
	done
}

step "two dead STUN servers and three dead TURN servers"
tries=0
until connected_first; do
	tries=$((tries + 1))
	[ $tries -lt 3 ] || fail "the parties were connected only after the servers had been given up"
done

step "and netcheck says of each that it does not answer"
on alice "$MPCPROXY" netcheck -c "$T/session.ini" --local "$T/alice.ini" >"$T/report" && fail "it is content"
[ "$(grep -cE '^  (stun|turn) .*(timed out|unreachable|No route)' "$T/report")" -eq 5 ] || fail "$(cat "$T/report")"
