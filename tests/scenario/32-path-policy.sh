#!/bin/bash
# path = any, direct or relay, for the session and for one party: each pair has the path
# that it may have, and status says who wanted it so.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"

port TURN_PORT
RELAYED=$PORT
PORT=$((PORT + 50))
start turn "$turnserver" -n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port "$TURN_PORT" \
	--min-port "$RELAYED" --max-port $((RELAYED + 49)) --realm test --no-tls --no-dtls --no-cli \
	--allow-loopback-peers --log-file stdout --simple-log --verbose --pidfile "$T/turn.pid" -b "$T/turn.db" \
	--lt-cred-mech --user santa:hohoho
wait_log turn 'Total .*servers'

SESSION_LINES="turn = turn:127.0.0.1:$TURN_PORT"
make_session alice bob carol
cp "$T/session.ini" "$T/plain.ini"
for name in alice bob carol; do local_ini $name "turn-user = santa" "turn-password = hohoho"; done

# session LINE-OF-SESSION LINE-OF-CAROL
session() {
	{
		sed "s|^name = test|&\n$1|" "$T/plain.ini"
		printf '%s\n' "$2" # carol's section is the last
	} >"$T/session.ini"
}

# pair PARTY PARTY TYPE [WHY]: how the first is connected to the second, and what it says
pair() {
	local found
	found=$(json "$1" "peer['$2']['path']['type'], peer['$2']['why']")
	[ "$found" = "$3 ${4:-None}" ] || fail "$1 to $2: $found"
}

run() {
	proxy_start alice bob carol
	connected alice bob carol
	compute
}

WANTED="relay: session.ini says path = relay"

step "no such line: direct, as that is best"
run
pair alice bob direct
pair carol alice direct
stop alice bob carol

step "relay for carol alone: the others hide their addresses from her, and she says so"
session "" "path = relay"
run
pair alice bob direct
pair bob alice direct
pair alice carol relay "$WANTED"
pair bob carol relay "$WANTED"
pair carol alice relay "relay: alice offers relayed addresses only"
stop alice bob carol

step "direct for carol, relay for the rest"
session "path = relay" "path = direct"
run
pair alice bob relay "$WANTED"
pair bob alice relay "$WANTED"
stop alice bob carol

step "direct for all: the relay is not even asked"
session "path = direct" ""
allocated() { grep -c 'ALLOCATE processed, success' "$T/turn.log" || true; }
before=$(allocated)
run
pair alice bob direct
pair alice carol direct
stop alice bob carol
[ "$(allocated)" -eq "$before" ] || fail "the relay was asked"
[ "$before" -gt 0 ] || fail "the relay does not log what it is asked"
