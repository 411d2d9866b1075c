#!/bin/bash
# Somebody whose key is not the roster's never becomes a party: not with another key
# under a party's name, and not as a second copy of a party that is alive.
. "$(dirname "$0")/lib.sh"

make_session alice bob carol
proxy_start alice carol

step "bob's place is taken by somebody with another key"
"$MPCPROXY" keygen "$T/mallory.pem" >/dev/null
exits 1 "$("$MPCPROXY" id "$T/mallory.pem")" timeout "$DEADLINE" "$MPCPROXY" -c "$T/session.ini" \
	-i "$T/mallory.pem" --local "$T/bob.ini"

step "he changes his own session.ini, so that it lists his key as bob's"
sed "s|^key = $("$MPCPROXY" id "$T/bob.pem")|key = $("$MPCPROXY" id "$T/mallory.pem")|" \
	"$T/session.ini" >"$T/forged.ini"
port MALLORY_BASE
PORT=$((PORT + 3))
start_mpcproxy mallory -c "$T/forged.ini" -i "$T/mallory.pem" --local "$T/bob.ini" -b "$MALLORY_BASE"
wait_log mallory ' info .* connected'
exits 3 bob verb alice wait --timeout 3
[ "$(json alice "peer['bob']['connected']")" = False ] ||
	fail "mallory is connected as bob"
stop mallory

step "bob himself"
proxy_start bob
connected alice bob carol

step "a second copy of bob gives way while the first is alive"
mkdir -m 700 "$T/elsewhere"
start second env XDG_RUNTIME_DIR="$T/elsewhere" "$MPCPROXY" -c "$T/session.ini" --local "$T/bob.ini" \
	-b "$MALLORY_BASE"
finish second
[ "$STATUS" -eq 1 ] || fail "exit code $STATUS"
connected alice bob carol
compute
