#!/bin/bash
# The sample configuration of coturn, with the lines of session.ini and local.ini that it
# names, as they are: only names become addresses, and the certificate is one of our own.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"
command -v openssl >/dev/null || skip "no openssl (Debian package openssl)"

RELAY=203.0.113.1
ip address add $RELAY/32 dev lo
SAMPLE=$TOP/conf/turnserver.conf

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=relay \
	-addext "subjectAltName = IP:$RELAY" -keyout "$T/relay.key" -out "$T/relay.pem" 2>/dev/null
sed "s|^cert=.*|cert=$T/relay.pem|; s|^pkey=.*|pkey=$T/relay.key|; /^syslog$/d" "$SAMPLE" >"$T/turnserver.conf"
start turn "$turnserver" -c "$T/turnserver.conf" --listening-ip $RELAY --relay-ip $RELAY --log-file stdout \
	--pidfile "$T/turn.pid" -b "$T/turn.db"
wait_log turn 'Total .*servers'
not_logged turn 'ERROR|Bad configuration|WARNING: cannot'

# sample KEY: its lines in the sample's comment
sample() { sed -n "s/^#   \($1 = .*\)/\1/p" "$SAMPLE" | sed "s/relay\.example\.org/$RELAY/"; }

[ "$(sample turn | wc -l)" -eq 2 ] || fail "there are not two turn lines in $SAMPLE"
[ "$(sample turn-secret | wc -l)" -eq 1 ] || fail "there is no turn-secret line in $SAMPLE"

SESSION_LINES="path = relay
$(sample stun)
$(sample turn)"
make_session alice bob

relayed() {
	local party
	for party in alice bob; do local_ini $party "$(sample turn-secret)" "turn-ca = $T/relay.pem"; done
	proxy_start alice bob
	connected alice bob
	[ "$(json alice "peer['bob']['path']['type']")" = relay ] || fail "not relayed: $(verb alice status)"
	[ "$(json alice "peer['bob']['why']")" = "relay: session.ini says path = relay" ] ||
		fail "status does not say why: $(verb alice status)"
	compute
	stop alice bob
}

step "both turn lines"
relayed

step "TURN over UDP alone"
grep -v '^turn = turns:' "$T/session.ini" >"$T/both.ini"
cp "$T/session.ini" "$T/all.ini"
cp "$T/both.ini" "$T/session.ini"
relayed

step "TURN over TLS alone"
grep -v '^turn = turn:' "$T/all.ini" >"$T/session.ini"
relayed
