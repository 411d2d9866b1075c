#!/bin/bash
# A party reaches what another one exposes to it, and nothing else.
. "$(dirname "$0")/lib.sh"

make_session alice bob carol
port EXPOSED
port HIDDEN
port ABSENT
for name in TO_EXPOSED TO_HIDDEN TO_ABSENT CAROL_TO_EXPOSED; do port $name; done
local_ini alice "forward = $TO_EXPOSED to bob:$EXPOSED" "forward = $TO_HIDDEN to bob:$HIDDEN" \
	"forward = $TO_ABSENT to bob:$ABSENT"
local_ini bob "expose = $EXPOSED for alice" "expose = $ABSENT for alice"
local_ini carol "forward = $CAROL_TO_EXPOSED to bob:$EXPOSED"
service exposed "$EXPOSED"
service hidden "$HIDDEN"
proxy_start alice bob carol
connected alice bob carol

step "exposed to alice"
call exchange "$TO_EXPOSED" exchange
succeed exchange

step "not to carol"
mark bob
mark exposed
tool knock "$CAROL_TO_EXPOSED" 65786368616e6765 | grep 'ended: RST' >/dev/null || fail "carol was not refused"
wait_log_since bob 'carol.*'"$EXPOSED"

step "not exposed to anybody"
mark bob
tool knock "$TO_HIDDEN" 65786368616e6765 | grep 'ended: RST' >/dev/null || fail "alice was not refused"
wait_log_since bob 'alice.*'"$HIDDEN"
not_logged hidden served

step "exposed, and nobody is there"
tool knock "$TO_ABSENT" 65786368616e6765 | grep 'ended: RST' >/dev/null || fail "no RST"

step "the refusals disturb nobody"
call exchange "$TO_EXPOSED" exchange --streams 20
succeed exchange
compute
