#!/bin/bash
# A network where only an HTTP proxy leads out: rendezvous and TURN over TCP through
# tinyproxy, named in local.ini or the environment; what it refuses is reported.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

turnserver=$(PATH=$PATH:/usr/sbin:/sbin command -v turnserver) || skip "no turnserver (Debian package coturn)"
tinyproxy=$(PATH=$PATH:/usr/sbin:/sbin command -v tinyproxy) || skip "no tinyproxy (Debian package tinyproxy)"
unset HTTPS_PROXY https_proxy NO_PROXY no_proxy

port TURN_PORT
port PROXY_PORT
port LOCKED_PORT
RELAYED=$PORT
PORT=$((PORT + 50))

start turn "$turnserver" -n --listening-ip 127.0.0.1 --relay-ip 127.0.0.1 --listening-port "$TURN_PORT" \
	--min-port "$RELAYED" --max-port $((RELAYED + 49)) --realm test --no-tls --no-dtls --no-cli \
	--no-udp --allow-loopback-peers --log-file stdout --simple-log --pidfile "$T/turn.pid" -b "$T/turn.db" \
	--lt-cred-mech --user santa:hohoho
wait_log turn 'Total .*servers'

SESSION_LINES="path = relay
turn = turn:127.0.0.1:$TURN_PORT?transport=tcp"
make_session alice bob

# web_proxy NAME PORT LINE...
web_proxy() {
	printf '%s\n' "Port $2" "Listen 127.0.0.1" "Timeout 600" "LogLevel Connect" "${@:3}" >"$T/$1.conf"
	start "$1" "$tinyproxy" -d -c "$T/$1.conf"
	eventually listens "$2"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

web_proxy open "$PROXY_PORT" "ConnectPort $TURN_PORT" "ConnectPort $RENDEZVOUS_PORT" "BasicAuth me secret"
web_proxy locked "$LOCKED_PORT" "ConnectPort 443"

# local_inis LINE...
local_inis() {
	local_ini alice "turn-user = santa" "turn-password = hohoho" "$@"
	local_ini bob "turn-user = santa" "turn-password = hohoho" "$@"
}

relayed() {
	proxy_start alice bob
	connected alice bob
	[ "$(json alice "peer['bob']['path']['type']")" = relay ] || fail "not relayed: $(verb alice status)"
	compute
	stop alice bob
}

step "a proxy in local.ini, with user and password"
local_inis "proxy = http://me:s%65cret@127.0.0.1:$PROXY_PORT"
relayed
[ "$(grep -c "CONNECT 127.0.0.1:$RENDEZVOUS_PORT " "$T/open.log")" -ge 2 ] || fail "the rendezvous was reached in another way"
[ "$(grep -c "CONNECT 127.0.0.1:$TURN_PORT " "$T/open.log")" -ge 2 ] || fail "the relay was reached in another way"
not_logged alice 's%65cret|secret@'

# told PATTERN: both servers are out of reach, and alice says why
told() {
	proxy_start alice
	wait_log_since alice "$1"
	stop alice
}

step "no password, and a wrong one"
local_inis "proxy = http://127.0.0.1:$PROXY_PORT"
told "the proxy 127\.0\.0\.1:$PROXY_PORT wants a user and a password: .*\(407\)"
local_inis "proxy = http://me:wrong@127.0.0.1:$PROXY_PORT"
told "the proxy 127\.0\.0\.1:$PROXY_PORT does not accept the user or the password"

step "a proxy that forbids the port"
local_inis "proxy = http://127.0.0.1:$LOCKED_PORT"
told "the proxy 127\.0\.0\.1:$LOCKED_PORT does not allow connections to 127\.0\.0\.1:$RENDEZVOUS_PORT \(403"

step "no proxy there, and no proxy at all"
port CLOSED
local_inis "proxy = http://127.0.0.1:$CLOSED"
told "the proxy 127\.0\.0\.1:$CLOSED: Connection refused"
local_inis "proxy = http://127.0.0.1:$RENDEZVOUS_PORT"
told "the proxy 127\.0\.0\.1:$RENDEZVOUS_PORT ?(closed|does not answer|: )"

step "a proxy that answers garbage"
port GARBAGE
start garbage "$PYTHON" "$HERE/tool.py" babble "$GARBAGE"
wait_log garbage '^listening'
local_inis "proxy = http://127.0.0.1:$GARBAGE"
told "the proxy 127\.0\.0\.1:$GARBAGE"

step "the environment's is not for loopback; a malformed one is named and ignored"
local_inis
export HTTPS_PROXY=http://127.0.0.1:$CLOSED
relayed
export HTTPS_PROXY=socks5://127.0.0.1:$CLOSED
relayed
logged alice 'HTTPS_PROXY in the environment: expected http://.*not used'
