#!/bin/bash
# A local port that somebody else has: the message says which and what for, and nothing
# has been started by then.
. "$(dirname "$0")/lib.sh"

make_session alice bob carol
port LISTEN_PORT
port SOCKS_PORT
port FORWARD_PORT
all=("listen = 127.0.0.1:$LISTEN_PORT" "socks5 = 127.0.0.1:$SOCKS_PORT" "forward = $FORWARD_PORT to bob:80")

# in_use PORT WHAT
in_use() {
	step "$2 ($1)"
	: >"$T/occupant.log"
	start occupant "$PYTHON" "$HERE/tool.py" catch "$1"
	wait_log occupant listening
	exits 1 "$1" timeout "$DEADLINE" "$MPCPROXY" -c "$T/session.ini" --local "$T/alice.ini"
	exits 1 "$2" timeout "$DEADLINE" "$MPCPROXY" -c "$T/session.ini" --local "$T/alice.ini"
	kill "${PID[occupant]}"
	finish occupant
	left=$(find "$XDG_RUNTIME_DIR" -mindepth 1 ! -type d)
	[ -z "$left" ] || fail "left over: $left"
}

local_ini alice "${all[@]}"
in_use $((BASE[alice] + 1)) bob
in_use $((BASE[alice] + 2)) carol
in_use "$LISTEN_PORT" mailbox
in_use "$SOCKS_PORT" SOCKS5
in_use "$FORWARD_PORT" bob:80

step "the rendezvous"
exits 1 "$RENDEZVOUS_PORT" timeout "$DEADLINE" "$MPCPROXY" rendezvous -l "127.0.0.1:$RENDEZVOUS_PORT" \
	-i "$T/rendezvous.pem"

step "the same party twice on one machine"
local_ini alice
proxy_start alice
sed "s/^base-port.*/base-port = $PORT/" "$T/alice.ini" >"$T/second.ini"
exits 1 "" timeout "$DEADLINE" "$MPCPROXY" -c "$T/session.ini" --local "$T/second.ini"

step "once they are free, all is well"
proxy_start bob carol
connected alice bob carol
