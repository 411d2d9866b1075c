#!/bin/bash
# The path forced to a relay: coturn on loopback, TURN over UDP and over TCP, with a
# password and with time-limited credentials; a wrong password is reported.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"

port TURN_PORT
port SECRET_TURN_PORT
RELAYED=$PORT
PORT=$((PORT + 100))

# coturn NAME PORT FIRST-RELAYED-PORT ARGUMENTS...
coturn() {
	start "$1" "$turnserver" -n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port "$2" \
		--min-port "$3" --max-port $(($3 + 49)) --realm test --no-tls --no-dtls --no-cli \
		--allow-loopback-peers --log-file stdout --simple-log --pidfile "$T/$1.pid" -b "$T/$1.db" "${@:4}"
	wait_log "$1" 'Total .*servers'
}

coturn turn "$TURN_PORT" "$RELAYED" --lt-cred-mech --user santa:hohoho
coturn secret-turn "$SECRET_TURN_PORT" $((RELAYED + 50)) --use-auth-secret --static-auth-secret northpole

relayed() {
	connected alice bob carol
	for party in bob carol; do
		[ "$(json alice "peer['$party']['path']['type']")" = relay ] ||
			fail "the path to $party is not relayed: $(verb alice status)"
	done
	compute
	call exchange "$FORWARD_PORT" exchange --streams 5 --length 200000
	succeed exchange
	stop alice bob carol
}

turn_line() {
	sed -i "s|^turn = .*|turn = $1|" "$T/session.ini"
}

SESSION_LINES="path = relay
turn = turn:127.0.0.1:$TURN_PORT?transport=udp"
make_session alice bob carol
port SERVICE_PORT
port FORWARD_PORT
service service "$SERVICE_PORT"

# credentials LINE...
credentials() {
	local_ini alice "$@" "forward = $FORWARD_PORT to bob:$SERVICE_PORT"
	local_ini bob "$@" "expose = $SERVICE_PORT for alice"
	local_ini carol "$@"
}

step "TURN over UDP"
credentials "turn-user = santa" "turn-password = hohoho"
proxy_start alice bob carol
relayed

step "TURN over TCP"
turn_line "turn:127.0.0.1:$TURN_PORT?transport=tcp"
proxy_start alice bob carol
relayed

step "time-limited credentials"
turn_line "turn:127.0.0.1:$SECRET_TURN_PORT?transport=udp"
credentials "turn-secret = northpole"
proxy_start alice bob carol
relayed

step "a server-reflexive address from STUN does not get in the way"
sed -i "s|^path = relay|path = any\nstun = 127.0.0.1:$TURN_PORT|" "$T/session.ini"
proxy_start alice bob carol
connected alice bob carol
compute
stop alice bob carol

step "a wrong password: no path, and no end either"
sed -i "s|^path = any|path = relay|" "$T/session.ini"
credentials "turn-secret = southpole"
proxy_start alice bob carol
exits 3 bob verb alice wait --timeout 4
