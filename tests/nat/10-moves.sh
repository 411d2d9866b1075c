#!/bin/bash
# Streams move from a relay to a direct path when one becomes possible, and back when it
# goes; from a relay that dies to another; and to wherever a router's new mappings or its
# new address lead. No byte is lost, and nobody sees a connection end.
. "$(dirname "$0")/lab.sh"
lab_enter "$@"

SCENARIO_GUARDED=1 # nothing outlives the laboratory
. "$LAB_HERE/../scenario/lib.sh"
. "$LAB_HERE/../scenario/faults.sh"
command -v conntrack >/dev/null || lab_skip "missing Debian package: conntrack"

lab_internet
lab_network alice port-restricted
lab_network bob port-restricted
declare -A OUTSIDE=([alice]=198.51.100.10 [bob]=198.51.100.11)

# relay N: a TURN server of its own at 203.0.113.N, as relay-N
relay() {
	printf '%s\n' "listening-ip=203.0.113.$1" "relay-ip=203.0.113.$1" listening-port=3478 no-cli no-tls \
		no-dtls fingerprint lt-cred-mech realm=test "user=$RELAY_USER:$RELAY_PASSWORD" \
		"userdb=$LAB/relay-$1.db" "pidfile=$LAB/relay-$1.pid" log-file=stdout relay-threads=1 >"$LAB/relay-$1.conf"
	start "relay-$1" nsenter --net=/run/netns/relay -- turnserver -c "$LAB/relay-$1.conf"
	lab_listens relay "$T/relay-$1.log" "${PID[relay-$1]}" udp:3478
}

# wall / no_wall: nothing passes between the two; each still reaches the servers. For the
# packets in both directions of either's flows.
wall() {
	lab_exec alice.router nft -f - <<-RULES
		table inet wall {
			chain forward {
				type filter hook forward priority filter - 1;
				ip daddr ${OUTSIDE[bob]} drop
				ip saddr ${OUTSIDE[bob]} drop
			}
		}
	RULES
}
no_wall() { lab_exec alice.router nft delete table inet wall; }

# path PARTY: "direct" or "relay"
path() { json "$1" "(s['peers'][0]['path'] or {}).get('type')"; }
both() { [ "$(path alice)" = "$1" ] && [ "$(path bob)" = "$1" ]; }
# The server that alice's path uses.
used() { json alice "s['peers'][0]['path']" | grep -o '203\.0\.113\.[0-9]*' | head -n 1; }

# forget PARTY: its router loses all mappings, as when it is switched off and on
forget() { lab_exec "$1.router" conntrack -F 2>/dev/null; }

# remap PARTY BITS: the same, and every flow has another port from now on, which differs in BITS
remap() {
	lab_exec "$1.router" nft insert rule ip nat postrouting oifname wan meta l4proto udp \
		snat ip to "${OUTSIDE[$1]}" : udp sport ^ "$2"
	forget "$1"
}

# renumber PARTY ADDRESS: its router gets another address, as after a forced disconnection
renumber() {
	ip -n "$1.router" address del "${OUTSIDE[$1]}/24" dev wan
	ip -n "$1.router" address add "$2/24" dev wan
	ip -n "$1.router" route replace default via 198.51.100.1
	OUTSIDE[$1]=$2
	forget "$1"
}

relay 20
relay 21
SESSION_LINES='stun = 203.0.113.20
turn = turn:203.0.113.20?transport=udp
turn = turn:203.0.113.21?transport=udp'
LOCAL_LINES="turn-user = $RELAY_USER
turn-password = $RELAY_PASSWORD"
for name in alice bob; do
	start "$name-machine" nsenter --net="/run/netns/$name" -- sleep 1000000
	MACHINE[$name]=${PID[$name-machine]}
done
wall
WRAP="nsenter --net=/run/netns/rendezvous -- ${WRAP:-}" RENDEZVOUS_HOST=203.0.113.10 make_session alice bob
outage_run alice bob
step "nothing passes between the two: $(path alice)"
both relay || fail "the path is not relayed"
flow_start alice --bulk
flow_start bob

step "now something does: direct, and the streams do not stall"
mark alice-flow
mark bob-flow
no_wall
eventually both direct
steady alice bob
logged alice 'moved from a relay to a direct path'

step "the direct path dies: back to a relay"
back() { eventually both relay; }
outage 0 10000 wall back alice bob
step "the relay that is in use dies: over to the other"
server=$(used)
step "  $server"
dies() { murder "relay-${server##*.}"; }
moved() { [ "$(used)" != "$server" ] && both relay; }
away() { eventually moved; }
outage 0 10000 dies away alice bob
relay "${server##*.}"

step "direct again, and what becomes of the relays is nobody's business"
no_wall
eventually both direct
mark alice-flow
mark bob-flow
murder relay-20 relay-21
relay 20
relay 21
steady alice bob

nothing() { :; }
step "bob's router forgets its mappings, and makes others"
new_ports() { remap bob 0x8000; }
outage 0 10000 new_ports nothing alice bob
eventually both direct
step "bob's router forgets everything, and passes nothing that began before"
# What it does not know is invalid: without the rule, Linux lets it out with a private address.
forget_all() {
	lab_exec bob.router sysctl -q net.netfilter.nf_conntrack_tcp_loose=0
	lab_exec bob.router nft -f - <<-RULES
		table inet strict {
			chain forward {
				type filter hook forward priority filter - 1;
				ct state invalid drop
			}
		}
	RULES
	remap bob 0x4000
}
outage 0 10000 forget_all nothing alice bob
eventually both direct
lab_exec bob.router nft delete table inet strict
lab_exec bob.router sysctl -q net.netfilter.nf_conntrack_tcp_loose=1
step "alice's router has another address"
new_address() { renumber alice 198.51.100.78; }
outage 0 10000 new_address nothing alice bob
eventually both direct

flow_end alice
flow_end bob
not_logged alice disconnected
not_logged bob disconnected
