#!/bin/bash
# TURN servers that are of no use: wrong credentials, expired ones, one that dies while it
# carries streams. Each is named; direct pairs notice nothing, relayed ones move to the
# next server, and no byte is lost.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"
command -v openssl >/dev/null || skip "no openssl (Debian package openssl)"

port TURN_PORT
port OTHER_PORT
RELAYED=$PORT
PORT=$((PORT + 100))

# coturn NAME PORT FIRST-RELAYED-PORT
coturn() {
	start "$1" "$turnserver" -n --listening-ip "$HUB" --relay-ip "$HUB" --listening-port "$2" \
		--min-port "$3" --max-port $(($3 + 49)) --realm test --no-tls --no-dtls --no-cli \
		--log-file stdout --simple-log --pidfile "$T/$1.pid" -b "$T/$1.db" \
		--use-auth-secret --static-auth-secret northpole
	wait_log "$1" 'Total .*servers'
}

# credentials LINE...: at both parties
credentials() {
	local_ini alice "${LINES_OF[alice]}" "${FORWARDS[alice]}" "$@"
	local_ini bob "${LINES_OF[bob]}" "${FORWARDS[bob]}" "$@"
}

run_both() { for name in alice bob; do machine_start $name; done; }
path_is() { [ "$(json alice "peer['bob']['path']['type']")" = "$1" ]; }

# netcheck PARTY TEXT: it says so of the TURN server
netcheck() {
	on "$1" "$MPCPROXY" netcheck -c "$T/session.ini" --local "$T/$1.ini" >"$T/report" || true
	grep -q "turn .*$2" "$T/report" || fail "netcheck does not say '$2': $(cat "$T/report")"
}

internet
coturn turn "$TURN_PORT" "$RELAYED"
declare -A LINES_OF FORWARDS
RENDEZVOUS_HOST=$HUB
SESSION_LINES="turn = turn:$HUB:$TURN_PORT
turn = turn:$HUB:$OTHER_PORT"
make_session alice bob
port SERVICE_PORT
port FORWARD_PORT
for name in alice bob; do
	LINES_OF[$name]="expose = $SERVICE_PORT for all"
	machine $name "10.9.0.$((INDEX[$name] + 1))"
	start "$name-service" nsenter -t "${MACHINE[$name]}" -n -- "$PYTHON" "$HERE/tool.py" serve "$SERVICE_PORT"
	wait_log "$name-service" '^serving'
done
FORWARDS[alice]="forward = $FORWARD_PORT to bob:$SERVICE_PORT"
FORWARDS[bob]="forward = $FORWARD_PORT to alice:$SERVICE_PORT"

step "a wrong password: the direct path notices nothing, and the log says it"
credentials "turn-user = santa" "turn-password = hohoho"
run_both
connected alice bob
path_is direct || fail "not direct: $(verb alice status)"
wait_log_since alice 'no TURN server has given a relayed address.*netcheck'
netcheck alice 'wrong credentials (401)'
stop alice bob

step "expired credentials, the same"
user=$(($(date +%s) - 60)):santa
credentials "turn-user = $user" \
	"turn-password = $(printf %s "$user" | openssl dgst -sha1 -hmac northpole -binary | base64)"
run_both
connected alice bob
path_is direct || fail "not direct: $(verb alice status)"
wait_log_since alice 'no TURN server has given a relayed address'
netcheck alice 'have expired (401)'
stop alice bob

step "and where only relays are allowed, there is no path, and status says why"
sed -i "s|^name = test|&\npath = relay|" "$T/session.ini"
run_both
wait_log_since alice 'no TURN server gave a relayed address'
says_why() { [ "$(json alice "peer['bob']['why']")" = "no path: only relays are allowed, no TURN server gave a relayed address" ]; }
eventually says_why
stop alice bob

step "a server dies while it carries streams: they go on over the other one"
credentials "turn-secret = northpole"
run_both
connected alice bob
path_is relay || fail "not relayed: $(verb alice status)"
flow_start alice --bulk
flow_start bob
coturn other "$OTHER_PORT" $((RELAYED + 50))
mark alice-flow
mark bob-flow
MENDED_MS=$(now_ms)
murder turn
stalled alice bob
flows_within 40000 alice bob
[ "$(json alice "peer['bob']['path']['type']")" = relay ] || fail "not relayed: $(verb alice status)"

step "the last one dies too, and comes back: the streams are still there"
mark alice-flow
mark bob-flow
murder other
stalled alice bob
MENDED_MS=$(now_ms)
coturn other "$OTHER_PORT" $((RELAYED + 50))
flows_within 60000 alice bob
flow_end alice
flow_end bob
for name in alice bob; do
	! tail -c "+$((${MARK[$name]} + 1))" "$T/$name.log" | grep disconnected || fail "$name was disconnected"
done
stop alice bob
