#!/bin/bash
# Strangers flood the ports that ICE uses, with garbage and with recorded packets, on both
# carriers, and the mailbox, with garbage, half a TLS handshake and one byte at a time: the
# parties' traffic goes on, nothing is kept of it, and the logs stay short.
OWN_NETWORK=1
SCENARIO_LIMIT=480
. "$(dirname "$0")/lib.sh"

N=50000
[ -z "${SANITIZERS:-}${WRAP:-}" ] || N=5000
KEPT_BYTES=150000 # what goes on at the moment, and the traffic's own buffers

strangers() { "$PYTHON" "$HERE/strangers.py" "$@"; }
# ports_of PARTY: its UDP addresses
ports_of() { tool udp-sockets "${PID[$1]}" | awk '{ print $1 ":" $2 }' | sed 's/^0.0.0.0/127.0.0.1/'; }
lines_of() { wc -l <"$T/$1.log"; }

# flood KIND: alice and bob, with traffic between them, live through it
flood() {
	local kind=$1 name before=() calls=() lines=() targets used times
	mapfile -t targets < <(ports_of alice; ports_of bob)
	[ ${#targets[@]} -ge 2 ] || fail "no UDP ports"
	for name in alice bob; do
		lines+=("$(lines_of $name)")
		[ -z "$COUNTED" ] || before+=("$(in_use $name)") calls+=("$(allocations $name)")
	done
	step "$kind: $(strangers "$kind" $N "${targets[@]}")"
	for name in alice bob; do
		used=$(($(lines_of $name) - lines[0]))
		[ $used -le 20 ] || fail "$name has logged $used lines"
		if [ -n "$COUNTED" ]; then
			used=$(($(in_use $name) - before[0]))
			times=$(($(allocations $name) - calls[0]))
			step "$name keeps $used bytes, and has allocated $times times meanwhile"
			[ $used -le $KEPT_BYTES ] || fail "$name keeps $used bytes"
			# GLib makes two objects of an address while it reads a datagram.
			[ $times -le $((3 * N + 50000)) ] || fail "$name allocates for each datagram"
			before=("${before[@]:1}") calls=("${calls[@]:1}")
		fi
		lines=("${lines[@]:1}")
	done
}

traffic_start() {
	: >"$T/flow.log"
	start flow "$PYTHON" "$HERE/tool.py" flow "$FORWARD_PORT" --window 20000
	wait_log flow '^flows'
}
traffic_end() {
	kill -TERM "${PID[flow]}"
	succeed flow
	logged flow '^all .* bytes are right'
}

# The recorded packets are sent again as IPv4.
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1 2>/dev/null || true
counted
ordinary
for carrier in yes no; do
	step "fast-path = $carrier"
	if [ $carrier = no ]; then
		for name in alice bob; do
			stop $name
			echo "fast-path = no" >>"$T/$name.ini"
		done
		proxy_start alice bob
		connected alice bob carol
	fi
	traffic_start
	[ -z "$COUNTED" ] || {
		alone=$(allocations alice)
		sleep 2
		step "without a flood alice allocates $(($(allocations alice) - alone)) times in two seconds"
	}
	flood garbage
	flood replay
	traffic_end
	not_logged alice 'peer=bob disconnected: [^t]'
	not_logged bob 'peer=alice disconnected: [^t]'
done

step "the mailbox: garbage"
logged_before=$(lines_of rendezvous)
[ -z "$COUNTED" ] || used_before=$(in_use rendezvous)
strangers stream-garbage 1000 "$RENDEZVOUS_PORT"
step "400 half handshakes, half of them one byte at a time, while carol starts again"
: >"$T/half.log"
start half "$PYTHON" "$HERE/strangers.py" half-handshakes 400 "$RENDEZVOUS_PORT"
wait_log half '^all are there'
murder carol
proxy_start carol
connected alice bob carol
succeed half
step "$(tail -n 1 "$T/half.log"); $(($(lines_of rendezvous) - logged_before)) lines were logged"
[ $(($(lines_of rendezvous) - logged_before)) -le 100 ] || fail "the mailbox has logged too much"
[ -z "$COUNTED" ] || {
	used=$(($(in_use rendezvous) - used_before))
	step "the mailbox keeps $used bytes"
	[ $used -le $KEPT_BYTES ] || fail "the mailbox keeps $used bytes"
}
compute
