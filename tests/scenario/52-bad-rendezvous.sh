#!/bin/bash
# The rendezvous loses messages, doubles them, delays them (by up to a minute) and brings
# them out of order; it forgets everything; it delivers all that was ever said once more,
# to the same processes and to later ones. The parties meet, find another path when they
# need one, and nothing else happens.
OWN_NETWORK=1
SCENARIO_LIMIT=400
. "$(dirname "$0")/lib.sh"

BAD=$(dirname "$MPCPROXY")/tests/scenario/bad_mailbox
[ -x "$BAD" ] || skip "no $BAD: make check builds it"
SEED=${SEED:-$EPOCHSECONDS}
step "SEED=$SEED"

# bad LOST TWICE LATE DELAY_MS: from now on it is this one, at the same address
bad() {
	if [ -n "${PID[bad]:-}" ]; then
		exec 7>&-
		kill -TERM "${PID[bad]}"
		finish bad
	fi
	rm -f "$T/orders"
	mkfifo "$T/orders"
	mark bad
	"$BAD" "$BAD_PORT" "$T/bad.pem" "$SEED" "$@" >>"$T/bad.log" 2>&1 <"$T/orders" &
	PID[bad]=$!
	exec 7>"$T/orders"
	wait_log_since bad '^tls://'
}
order() {
	mark bad
	echo "$1" >&7
	wait_log_since bad "$2"
}
start_all() {
	for name in alice bob carol; do
		mark "$name"
		start_mpcproxy "$name" -c "$T/session.ini" --local "$T/$name.ini" 7>&-
	done
}
# apart PARTY / together PARTY: the address of its paths goes away, and comes back
readdress() {
	ip address add "10.9.0.$1/32" dev lo
	ip address del "10.9.0.$2/32" dev lo
}

ip address add 10.9.0.1/32 dev lo
make_session alice bob carol
stop rendezvous
port BAD_PORT
bad 0 0 0 0
sed -i "s|^rendezvous = .*|rendezvous = $(grep -o '^tls://.*' "$T/bad.log" | tail -n 1)|" "$T/session.ini"
sed -i "s|127.0.0.1:[0-9]*#|127.0.0.1:$BAD_PORT#|" "$T/session.ini"

step "a third is lost, a third doubled, half late by up to two seconds"
DEADLINE=$((90 * SLOWDOWN))
bad 33 33 50 2000
start_all
connected alice bob carol
compute
step "an address goes, so that every pair restarts ICE, both ends at the same moment, twice"
for address in 2 3; do
	for name in alice bob carol; do mark "$name"; done
	readdress $address $((address - 1))
	connected alice bob carol
	compute
done
not_logged alice disconnected
not_logged bob disconnected
not_logged carol disconnected

step "it forgets everything, in the middle of another restart"
readdress 4 3
order forget '^forgotten'
connected alice bob carol
compute

step "it delivers everything that was ever said once more, three times"
for name in alice bob carol; do mark "$name"; done
for _ in 1 2 3; do order replay '^replayed'; done
sleep 3
for name in alice bob carol; do
	lines=$(tail -c "+$((MARK[$name] + 1))" "$T/$name.log" | grep -E ' (warn|error) ' || true)
	[ -z "$lines" ] || fail "$name has noticed: $lines"
done
compute

step "to processes that were started since, too, as they start and later"
murder alice bob
stop carol
start_all
order replay '^replayed [1-9]'
connected alice bob carol
order replay '^replayed [1-9]'
sleep 3
for name in alice bob carol; do not_logged "$name" 'another mpcproxy'; done
connected alice bob carol
compute

step "messages are late by up to a minute, and half are lost"
stop alice bob carol
bad 50 20 30 60000
DEADLINE=$((180 * SLOWDOWN))
start_all
connected alice bob carol
compute
