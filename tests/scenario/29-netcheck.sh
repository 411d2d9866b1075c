#!/bin/bash
# The verb netcheck: servers that work, and each way in which one does not, by name; as
# text and as JSON; beside a running proxy.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"
command -v openssl >/dev/null || skip "no openssl (Debian package openssl)"

port TURN_PORT
port TLS_PORT
port CLOSED
port SILENT
RELAYED=$PORT
PORT=$((PORT + 50))

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=relay \
	-addext "subjectAltName = IP:127.0.0.1" -keyout "$T/relay.key" -out "$T/relay.pem" 2>/dev/null
start turn "$turnserver" -n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port "$TURN_PORT" \
	--tls-listening-port "$TLS_PORT" --cert "$T/relay.pem" --pkey "$T/relay.key" --min-port "$RELAYED" \
	--max-port $((RELAYED + 49)) --realm test --no-cli --allow-loopback-peers --log-file stdout --simple-log \
	--pidfile "$T/turn.pid" -b "$T/turn.db" --lt-cred-mech --user santa:hohoho
wait_log turn 'Total .*servers'
start silent "$PYTHON" -c "import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', $SILENT))
print('bound', flush=True)
signal.pause()"
wait_log silent bound

SESSION_LINES="stun = 127.0.0.1:$TURN_PORT
turn = turn:127.0.0.1:$TURN_PORT?transport=udp
turn = turn:127.0.0.1:$TURN_PORT?transport=tcp
turn = turns:127.0.0.1:$TLS_PORT"
make_session alice bob
cp "$T/session.ini" "$T/good.ini"

check() { verb alice netcheck "$@"; }

# netcheck_json EXPRESSION: of the report as r, and server, its servers by name
netcheck_json() {
	check --json >"$T/report.json" || [ $? -eq 1 ]
	"$PYTHON" -c "import json
r = json.load(open('$T/report.json'))
server = {s['server']: s for s in r['servers']}
print($1)"
}

step "everything works"
local_ini alice "turn-user = santa" "turn-password = hohoho" "turn-ca = $T/relay.pem"
exits 0 "No NAT: direct paths to all parties" check
[ "$(netcheck_json "[r['well'], r['udp'], r['mapping'], len(r['servers']), all(s['works'] and s['rtt_ms'] > 0 for s in r['servers'])]")" = \
	"[True, 'yes', 'none', 5, True]" ] || fail "something does not work: $(cat "$T/report.json")"
[ "$(netcheck_json "r['public_ipv4']")" = 127.0.0.1 ] || fail "another public address"

step "beside a running proxy, which it does not disturb"
local_ini bob
proxy_start alice bob
connected alice bob
exits 0 "No NAT" check
connected alice bob
not_logged alice 'offline|not reachable'
stop alice bob

step "no credentials, and wrong ones"
local_ini alice
exits 0 "there is no turn-user" check
local_ini alice "turn-user = santa" "turn-password = wrong" "turn-ca = $T/relay.pem"
[ "$(netcheck_json "{s['why'][:17] for s in r['servers'] if s['kind'] == 'turn'}")" = "{'wrong credentials'}" ] ||
	fail "wrong credentials are not named: $(cat "$T/report.json")"

step "a certificate that does not verify"
local_ini alice "turn-user = santa" "turn-password = hohoho"
[ "$(netcheck_json "'does not verify' in server['turns:127.0.0.1:$TLS_PORT']['why']")" = True ] ||
	fail "the certificate is not named: $(cat "$T/report.json")"

step "refused, silent, not found"
local_ini alice "turn-user = santa" "turn-password = hohoho"
sed "s|^stun = .*|stun = 127.0.0.1:$CLOSED\nstun = 127.0.0.1:$SILENT\nstun = no-such-host.invalid|
	s|^turn = turn:.*udp|turn = turn:127.0.0.1:$CLOSED|
	s|^turn = turn:.*tcp|turn = turn:127.0.0.1:$CLOSED?transport=tcp|
	s|^turn = turns:.*|turn = turns:127.0.0.1:$CLOSED\nturn = turn:no-such-host.invalid|" "$T/good.ini" >"$T/session.ini"
[ "$(netcheck_json "r['udp'], r['well']")" = "no False" ] || fail "another result: $(cat "$T/report.json")"
exits 1 "need a relay, and none works" check
for expected in "stun:127.0.0.1:$CLOSED/refused" "stun:127.0.0.1:$SILENT/timed out" \
	"stun:no-such-host.invalid:3478/name not found" "turn:127.0.0.1:$CLOSED?transport=udp/refused" \
	"turn:127.0.0.1:$CLOSED?transport=tcp/refused" "turns:127.0.0.1:$CLOSED/refused" \
	"turn:no-such-host.invalid:3478?transport=udp/name not found"; do
	[ "$(netcheck_json "'${expected##*/}' in server['${expected%/*}']['why'].lower()")" = True ] ||
		fail "not '${expected##*/}' for ${expected%/*}: $(cat "$T/report.json")"
done

step "no rendezvous"
stop rendezvous
cp "$T/good.ini" "$T/session.ini"
exits 1 "No rendezvous is reached" check
[ "$(netcheck_json "[s['why'] for s in r['servers'] if s['kind'] == 'rendezvous'][0].endswith('Connection refused')")" = True ] ||
	fail "the rendezvous' failure is not named: $(cat "$T/report.json")"
