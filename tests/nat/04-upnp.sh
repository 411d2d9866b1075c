#!/bin/bash
# UPnP: the router's ports make a direct path where nothing else does, are leased, and are
# given back; one thread, and nothing that listens to the LAN. What a router says that
# lies or hangs is not used, and netcheck says why.
. "$(dirname "$0")/lab.sh"
MPCPROXY=$(realpath -- "${MPCPROXY:-./mpcproxy}")
lab_enter "$@"
LIMIT=$((60 * ${SLOWDOWN:-1}))

# What router.py does, and what netcheck says of it.
LIARS='
private     is no public one
foreign     at which no STUN server sees us
words       outside address is
permanent   for ever only
taken       the port is taken
elsewhere   no router answers
control     makes no sense
nonsense    makes no sense
hanging     does not (describe itself|answer)
'

lab_internet
lab_relay
lab_start rendezvous "$LAB/rendezvous.log" "$MPCPROXY" rendezvous -l '[::]:443' -i "$LAB/rendezvous.pem"
lab_listens rendezvous "$LAB/rendezvous.log" "$LAB_PID" tcp:443
lab_network alice symmetric
lab_network bob upnp
while read -r kind rest; do
	[ -n "$kind" ] || continue
	lab_network "$kind" port-restricted
	lab_start "$kind.router" "$LAB/$kind.router.log" "$PYTHON" "$LAB_HERE/router.py" 192.168.1.1 "$kind"
	lab_listens "$kind.router" "$LAB/$kind.router.log" "$LAB_PID" udp:1900 tcp:5000
done <<<"$LIARS"

for name in alice bob $(awk 'NF { print $1 }' <<<"$LIARS"); do mkdir -m 700 "$LAB/run-$name"; done
for name in alice bob; do "$MPCPROXY" keygen "$LAB/$name.pem" >/dev/null; done
{
	printf '[session]\nname = lab\npath = direct\nrendezvous = tls://rendezvous.test:443%s\nstun = relay.test\n' \
		"$(grep -o '#.*' "$LAB/rendezvous.log")"
	for name in alice bob; do printf '[party %s]\nkey = %s\n' $name "$("$MPCPROXY" id "$LAB/$name.pem")"; done
} >"$LAB/session.ini"

# local_ini PARTY LINE...
local_ini() { printf '%s\n' "[local]" "identity = $LAB/$1.pem" "proxy = none" "${@:2}" >"$LAB/$1.ini"; }

# mpcproxy PARTY VERB...: there
mpcproxy() {
	XDG_RUNTIME_DIR=$LAB/run-$1 lab_exec "$1" "$MPCPROXY" "$2" -c "$LAB/session.ini" --local "$LAB/$1.ini" "${@:3}"
}

# proxy_start PARTY: in the background; its process id is in PROXY_PID
proxy_start() {
	XDG_RUNTIME_DIR=$LAB/run-$1 lab_start "$1" "$LAB/$1.log" "$MPCPROXY" -v -c "$LAB/session.ini" \
		--local "$LAB/$1.ini"
	PROXY_PID=$LAB_PID
	for ((i = 0; i < LIMIT * 50; i++)); do
		! grep -q ' runs' "$LAB/$1.log" || return 0
		sleep 0.02
	done
	lab_fail "$1 does not run: $(cat "$LAB/$1.log")"
}

# mappings: the router's, as "UDP:PORT:ADDRESS:PORT:EXPIRES:NAME"
mappings() { grep mpcproxy "$LAB/bob.router.leases" 2>/dev/null || true; }

echo "- a direct path to a symmetric NAT, through a mapped port"
local_ini alice
local_ini bob
proxy_start alice
alice=$PROXY_PID
proxy_start bob
bob=$PROXY_PID
for name in alice bob; do
	mpcproxy $name wait --timeout $LIMIT || lab_fail "$name: $(cat "$LAB/alice.log" "$LAB/bob.log")"
done
mpcproxy alice status --json | "$PYTHON" -c 'import json, sys
path = json.load(sys.stdin)["peers"][0]["path"]
assert path["type"] == "direct" and "11.0.0." in str(path), path'

echo "- leased for ten minutes at most, one thread, nobody listens to the LAN"
mapped=$(mappings)
[ -n "$mapped" ] || lab_fail "no mapping: $(cat "$LAB/bob.router.upnp.log")"
now=$(date +%s)
while IFS=: read -r protocol _ address _ expires _; do
	[ "$protocol $address" = "UDP 192.168.1.2" ] || lab_fail "another mapping: $mapped"
	((expires > now && expires <= now + 601)) || lab_fail "leased until $expires, now is $now"
done <<<"$mapped"
[ "$(cat "/proc/$bob"/task/*/comm | grep -cv -e mpcproxy -e gmain)" -eq 1 ] ||
	lab_fail "threads: $(cat "/proc/$bob"/task/*/comm)"
[ -z "$(lab_exec bob ss -Hltn | awk '$4 !~ /^(127\.0\.0\.1|\[::1\]):/')" ] || lab_fail "$(lab_exec bob ss -ltn)"
! lab_exec bob ss -Hlun | finds ':1900 ' || lab_fail "$(lab_exec bob ss -lun)"

echo "- given back at the end"
kill -TERM "$bob" "$alice"
wait "$bob" || lab_fail "bob ended with $?: $(cat "$LAB/bob.log")"
wait "$alice" || lab_fail "alice ended with $?: $(cat "$LAB/alice.log")"
[ -z "$(mappings)" ] || lab_fail "left over: $(mappings)"
! lab_exec bob.router nft list chain inet filter prerouting_miniupnpd | grep dnat || lab_fail "left over"

echo "- upnp = no asks nobody"
local_ini bob "upnp = no"
requests() { grep -c 'HTTP REQUEST' "$LAB/bob.router.upnp.log"; }
before=$(requests)
[ "$before" -gt 0 ] || lab_fail "miniupnpd logs no requests: $(cat "$LAB/bob.router.upnp.log")"
mpcproxy bob netcheck | finds 'UPnP *off' || lab_fail "$(mpcproxy bob netcheck)"
[ "$(requests)" -eq "$before" ] || lab_fail "the router was asked"

echo "- netcheck: the router maps ports; routers that lie"
local_ini bob
mpcproxy bob netcheck >"$LAB/bob.report"
grep -q 'UPnP *the router, 192.168.1.1, maps ports; at 11.0.0.' "$LAB/bob.report" || lab_fail "$(cat "$LAB/bob.report")"
grep -q 'maps ports (UPnP): direct paths to nearly all' "$LAB/bob.report" || lab_fail "$(cat "$LAB/bob.report")"
[ -z "$(mappings)" ] || lab_fail "left over by netcheck: $(mappings)"
pids=
while read -r kind expected; do
	[ -n "$kind" ] || continue
	(
		cp "$LAB/alice.ini" "$LAB/$kind.ini"
		mpcproxy "$kind" netcheck >"$LAB/$kind.report" || lab_fail "$kind: $(cat "$LAB/$kind.report")"
		grep -E "^  UPnP *no: .*$expected" "$LAB/$kind.report" || lab_fail "$kind: $(cat "$LAB/$kind.report" "$LAB/$kind.router.log")"
	) &
	pids="$pids $!"
done <<<"$LIARS"
for pid in $pids; do wait "$pid"; done
