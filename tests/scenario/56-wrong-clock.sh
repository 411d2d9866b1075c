#!/bin/bash
# Clocks that are off by a day, and more, either way: nothing depends on what time it is,
# but time-limited TURN credentials, which bear a day.
OWN_NETWORK=1
SCENARIO_LIMIT=480
. "$(dirname "$0")/lib.sh"

preload shift_clock || skip "LD_PRELOAD does not go with sanitizers or valgrind"
DAY=86400

# start_at PARTY SECONDS: its proxy, with a clock that is off by so much
start_at() {
	WRAP="env SHIFT_CLOCK=$2 LD_PRELOAD=$PRELOAD"
	proxy_start "$1"
	WRAP=
}

step "a day behind, a day ahead, and a year"
make_session alice bob carol
start_at alice -$DAY
start_at bob $DAY
start_at carol $((365 * DAY))
connected alice bob carol
compute
yesterday=$(date -u -d "-$DAY seconds" +%Y-%m-%d)
grep -q "^$yesterday" "$T/alice.log" || fail "alice's clock is right"
step "and started again, with other clocks"
murder alice bob
start_at alice $((2 * DAY))
start_at bob $((-365 * DAY))
connected alice bob carol
compute
stop alice bob carol

step "through a folder whose times are the writers'"
mkdir -m 700 "$T/folder"
sed -i "s|^rendezvous = .*|rendezvous = dir:$T/folder|" "$T/session.ini"
start_at alice -$DAY
start_at bob $DAY
proxy_start carol
connected alice bob carol
stop alice bob carol

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || {
	step "without coturn, no more can be shown"
	exit 0
}
step "a relay with time-limited credentials: a day behind is borne, three are not"
port TURN_PORT
RELAYED=$PORT
PORT=$((PORT + 50))
start turn "$turnserver" -n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port "$TURN_PORT" \
	--min-port "$RELAYED" --max-port $((RELAYED + 49)) --realm test --no-tls --no-dtls --no-cli \
	--allow-loopback-peers --log-file stdout --simple-log --pidfile "$T/turn.pid" -b "$T/turn.db" \
	--use-auth-secret --static-auth-secret northpole
wait_log turn 'Total .*servers'
sed -i "s|^rendezvous = .*|rendezvous = $RENDEZVOUS\nturn = turn:127.0.0.1:$TURN_PORT?transport=udp\npath = relay|" \
	"$T/session.ini"
for party in alice bob carol; do local_ini $party "turn-secret = northpole"; done
start_at alice -$DAY
start_at bob $DAY
proxy_start carol
connected alice bob carol
stop alice
mark alice
start_at alice $((-3 * DAY))
wait_log_since alice 'no TURN server gave a relayed address.*turn-secret.*clock'
