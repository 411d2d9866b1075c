#!/bin/bash
# UDP through SOCKS5 (UDP ASSOCIATE) and QUIC datagrams: dig asks a DNS server behind bob
# (dnsmasq, in a network namespace of its own), also for answers larger than a packet of the
# path. What is not exposed stays out of reach.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

for need in dnsmasq dig; do
	command -v "$need" >/dev/null || skip "$need is not installed"
done

make_session alice bob carol
for name in SOCKS_PORT CAROL_PORT RELAY_PORT CAROL_RELAY_PORT; do port $name; done
DNS=10.99.0.2
local_ini alice "socks5 = 127.0.0.1:$SOCKS_PORT"
local_ini bob "expose = $DNS:53/udp for alice unsafe"
local_ini carol "socks5 = 127.0.0.1:$CAROL_PORT"
proxy_start alice bob carol
connected alice bob carol

{
	printf 'listen-address=%s\nbind-interfaces\nno-resolv\nno-hosts\nuser=\ngroup=\n' "$DNS"
	printf 'pid-file=\nedns-packet-max=4096\naddress=/one.test/192.0.2.7\n'
	# An answer of some 3000 bytes.
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf 'txt-record=big.test,%s\n' "$(printf '%0240d' "$i")"; done
} >"$T/dnsmasq.conf"
# Its machine waits for the cable to ours.
# shellcheck disable=SC2016 # they are of that shell
start dnsmasq unshare -n sh -c 'until ip addr add "$1/24" dev dns 2>/dev/null; do sleep 0.05; done
	ip link set dns up && exec dnsmasq --no-daemon --conf-file="$2" --log-queries --log-facility=-' \
	sh "$DNS" "$T/dnsmasq.conf"
elsewhere() { [ "$(readlink "/proc/${PID[dnsmasq]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
eventually elsewhere
ip link add cable type veth peer name dns netns "${PID[dnsmasq]}" || skip "no veth devices can be made here"
ip addr add 10.99.0.1/24 dev cable
ip link set cable up
wait_log dnsmasq 'started'

# dig knows no proxy: a relay speaks SOCKS5 for it.
relay() { # NAME LISTEN SOCKS PARTY PORT
	start "$1" "$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE" udp-relay "$2" "$3" "$4" "$5"
	wait_log "$1" '^relaying'
}
ask() { dig +tries=1 +time="${1}" +ignore "${@:2}" 2>&1; }

step "dig asks bob's server"
relay relay "$RELAY_PORT" "$SOCKS_PORT" "$DNS.bob.mpc" 53
ask "$DEADLINE" -p "$RELAY_PORT" @127.0.0.1 one.test +short | finds -x 192.0.2.7 || fail "no answer"
logged dnsmasq 'query.*one.test from 10.99.0.1'

step "many times over the same association, and in parallel"
for i in 1 2 3 4 5 6 7 8 9 10; do
	ask "$DEADLINE" -p "$RELAY_PORT" @127.0.0.1 "n$i.one.test" +short >"$T/answer.$i" &
	PID[dig$i]=$!
done
for i in 1 2 3 4 5 6 7 8 9 10; do
	succeed "dig$i"
	grep -qx 192.0.2.7 "$T/answer.$i" || fail "question $i was not answered"
done

step "an answer that is larger than a packet of the path"
ask "$DEADLINE" -p "$RELAY_PORT" @127.0.0.1 big.test TXT +bufsize=4096 +short >"$T/big"
[ "$(wc -l <"$T/big")" -eq 12 ] || fail "$(wc -l <"$T/big") of 12 records came: $(cat "$T/big")"

step "not for carol: nothing arrives, and both ends say why"
mark bob
relay carol-relay "$CAROL_RELAY_PORT" "$CAROL_PORT" "$DNS.bob.mpc" 53
! ask 1 -p "$CAROL_RELAY_PORT" @127.0.0.1 not.one.test +short | finds 192.0.2.7 || fail "carol was answered"
wait_log_since bob "warn.*carol.*$DNS:53/udp.*not exposed"
wait_log carol "peer=bob target=$DNS:53/udp is refused: not exposed"
not_logged dnsmasq 'not.one.test'

step "the port is exposed for UDP only"
exits 1 "not exposed" verb alice connect "bob:$DNS:53" </dev/null

step "an association ends with its TCP connection, and its flows with it"
kill "${PID[relay]}"
finish relay
eventually sh -c "[ \"\$(ss -Hlnu 2>/dev/null | grep -c '127.0.0.1:$RELAY_PORT ')\" = 0 ]"
compute
