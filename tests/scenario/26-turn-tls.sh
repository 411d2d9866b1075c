#!/bin/bash
# TURN over TLS (turns:) with coturn: a certificate from a CA that local.ini names, a key
# that session.ini pins; certificates and keys that are not right are reported.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"
command -v openssl >/dev/null || skip "no openssl (Debian package openssl)"

port PLAIN_PORT
port TLS_PORT
RELAYED=$PORT
PORT=$((PORT + 50))

# key_and_request NAME
key_and_request() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/$1.key" -subj "/CN=$1" "${@:2}" 2>/dev/null
}

key_and_request ca -x509 -days 2 -addext basicConstraints=critical,CA:TRUE -out "$T/ca.pem"
key_and_request other-ca -x509 -days 2 -addext basicConstraints=critical,CA:TRUE -out "$T/other-ca.pem"
key_and_request relay -out "$T/relay.csr"
printf 'subjectAltName = DNS:localhost\n' >"$T/extensions"
openssl x509 -req -in "$T/relay.csr" -CA "$T/ca.pem" -CAkey "$T/ca.key" -days 2 -extfile "$T/extensions" \
	-out "$T/relay.pem" 2>/dev/null
PIN=$(openssl x509 -in "$T/relay.pem" -noout -pubkey | openssl pkey -pubin -outform DER |
	openssl dgst -sha256 -binary | base64)

start turn "$turnserver" -n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port "$PLAIN_PORT" \
	--tls-listening-port "$TLS_PORT" --min-port "$RELAYED" --max-port $((RELAYED + 49)) --realm test \
	--cert "$T/relay.pem" --pkey "$T/relay.key" --no-cli --allow-loopback-peers --log-file stdout --simple-log \
	--pidfile "$T/turn.pid" -b "$T/turn.db" --use-auth-secret --static-auth-secret northpole
wait_log turn 'Total .*servers'

SESSION_LINES="path = relay
turn = turns:localhost:$TLS_PORT"
make_session alice bob

# local_inis LINE...
local_inis() {
	local_ini alice "turn-secret = northpole" "$@"
	local_ini bob "turn-secret = northpole" "$@"
}

turn_line() {
	sed -i "s|^turn = .*|turn = $1|" "$T/session.ini"
}

relayed() {
	proxy_start alice bob
	connected alice bob
	[ "$(json alice "peer['bob']['path']['type']")" = relay ] || fail "not relayed: $(verb alice status)"
	compute
	stop alice bob
}

# refused PATTERN: alice says why she cannot use the server, and goes on trying
refused() {
	proxy_start alice bob
	wait_log_since alice "$1"
	stop alice bob
}

step "a certificate from a CA that local.ini names"
local_inis "turn-ca = $T/ca.pem"
relayed

step "from another CA"
local_inis "turn-ca = $T/other-ca.pem"
refused 'server=turns:localhost:[0-9]+ .*does not verify for localhost: unable to get local issuer'

step "which a reload changes: the next path is there"
proxy_start alice bob
wait_log_since alice 'does not verify for localhost'
local_inis "turn-ca = $T/ca.pem"
exits 0 'changed: turn-ca (paths from now on)' verb alice reload
exits 0 'changed: turn-ca' verb bob reload
connected alice bob
compute
stop alice bob

step "from none that the system knows"
local_inis
refused 'does not verify for localhost: unable to get local issuer certificate .*turn-ca'

step "a pinned key needs no CA"
turn_line "turns:localhost:$TLS_PORT#sha256/$PIN"
relayed

step "another key than the pinned one"
turn_line "turns:localhost:$TLS_PORT#sha256/$(openssl dgst -sha256 -binary "$T/ca.pem" | base64)"
refused 'not the one that session.ini pins'

step "a certificate for another name"
local_inis "turn-ca = $T/ca.pem"
turn_line "turns:127.0.0.1:$TLS_PORT"
refused 'does not verify for 127\.0\.0\.1: IP address mismatch'

step "nobody there"
port CLOSED
turn_line "turns:localhost:$CLOSED"
refused 'Connection refused'
