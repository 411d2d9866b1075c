#!/bin/bash
# Where parties meet and how the ticket reaches them: the address that others reach, with and
# without a route, IPv4 and IPv6; a QR code; sessions that are not there yet; builds without
# MQTT or QR codes.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"
CONFIG=$(dirname "$MPCPROXY")/config.h

has() { grep -q "^#define $1 1" "$CONFIG"; }

step "a ticket as a QR code"
if ! has HAVE_QRENCODE; then
	exits 1 "this build has no QR codes" types alice invite santa --parties 2 --yes --qr
	[ ! -e "$T/home/alice/.config" ] || fail "something was made in spite of that"
else
	begins alice invite santa --parties 2 --yes --qr
	unset 'PROXY[alice]'
	ticket alice
	wait_log alice 'Waiting for 1 party'
	status=0
	read=$("$PYTHON" "$HERE/qr_read.py" <"$T/alice.log") || status=$?
	case $status in
	0) [ "$read" = "$TICKET" ] || fail "the QR code says $read, the ticket is $TICKET" ;;
	77) step "not read: $read" ;;
	*) fail "the QR code cannot be read: $read" ;;
	esac
	kill -TERM "${PID[alice]}"
	finish alice
fi

step "nobody else reaches this machine"
begins alice invite santa --parties 2 --yes
unset 'PROXY[alice]'
ticket alice
logged alice 'All meet at this machine, 127.0.0.1:7470, which only those on it reach'
kill -TERM "${PID[alice]}"
finish alice

# meet ADDRESS: the host serves the rendezvous there, and bob joins
meet() {
	begins alice invite santa --parties 2 --yes
	ticket alice
	tail -c "+$((MARK[alice] + 1))" "$T/alice.log" | finds -F "All meet at this machine, $1" ||
		fail "it is not $1"
	begins bob join "$TICKET"
	all_connected santa alice bob
	stop bob alice
	types alice leave santa
	types bob leave santa
}

step "a network that no route leads out of"
ip address add 10.9.0.1/32 dev lo
meet 10.9.0.1:7470
ip address del 10.9.0.1/32 dev lo
if ip address add fd00:9::1/128 dev lo 2>/dev/null; then
	step "the same, IPv6 alone"
	meet '[fd00:9::1]:7470'
fi

step "waiting for a session that is yet to be made"
exits 3 'there is no session santa yet' types carol wait -c santa --timeout 0
exits 1 'there is no session santa' types carol status -c santa
exits 1 './santa.ini does not exist' types carol wait -c ./santa.ini --timeout 5
begins_at waiting "$MPCPROXY" wait -c santa.ini --timeout "$DEADLINE"
wait_log waiting 'waiting for session santa.ini to be made'
ln -s "$T/home/waiting" "$T/home/dave"
begins dave invite santa --parties 2 --yes
ticket dave
begins erin join "$TICKET"
succeed waiting
stop dave erin

step "what this build can do"
make_session_file() {
	printf '[session]\nname = test\nrendezvous = mqtt://127.0.0.1\n'
	printf '[party %s]\nkey = %s\n' frank "$(types frank keygen)" grace "$("$MPCPROXY" keygen "$T/grace.pem")"
}
make_session_file >"$T/mqtt.ini"
if has HAVE_MOSQUITTO; then
	types frank check -c "$T/mqtt.ini" >/dev/null
else
	exits 1 'built without MQTT' types frank check -c "$T/mqtt.ini"
	exits 1 'built without MQTT' types frank -c "$T/mqtt.ini"
fi
