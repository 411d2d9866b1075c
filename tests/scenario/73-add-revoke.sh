#!/bin/bash
# One party more, and one less, while the proxies run: connections between those who stay
# are not disturbed, those to a party that was revoked close at once at every other party,
# and no version comes back.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

begins alice invite santa --parties 3 --yes
ticket alice
begins bob join "$TICKET"
wait_log alice '^bob has joined'
begins carol join "$TICKET"
all_connected santa alice bob carol

# index PERSON, since PERSON PARTY: of its proxy's status
status_of() {
	types "$1" status -c santa --json | "$PYTHON" -c "import json, sys
s = json.load(sys.stdin)
peer = {p['name']: p for p in s['peers']}
print($2)"
}

step "dave joins the running session"
for who in alice bob carol; do mark "$who"; done
mkdir -p "$T/home/alice"
begins_at adding env XDG_CONFIG_HOME="$T/home/alice/.config" XDG_STATE_HOME="$T/home/alice/.local/state" \
	"$MPCPROXY" invite santa --add 1 --yes
wait_log adding '^mpcproxy join mpc1:'
TICKET=$(grep -o 'mpc1:[A-Za-z0-9_-]*' "$T/adding.log" | head -n 1)
begins dave join "$TICKET"
succeed adding
all_connected santa dave
for who in alice bob carol; do
	wait_log_since "$who" 'peer=dave is new'
done
all_connected santa alice bob carol
same_file santa alice bob carol dave
[ "$(status_of alice "s['parties']")" = 4 ] || fail "alice has not four parties"
# Whoever was connected before still is: nobody says anything of a connection to another.
for who in alice bob carol; do
	said=$(tail -c "+$((MARK[$who] + 1))" "$T/$who.log" |
		grep -E ' peer=(alice|bob|carol) .*connected' || true)
	[ -z "$said" ] || fail "$who has not kept its connections: $said"
done
compute_together santa alice bob carol dave

step "bob is revoked: everybody's connection to him closes, and his proxy ends"
cp "$(session_file carol santa)" "$T/version-2"
stop dave
unset 'PROXY[bob]'
types alice revoke santa bob | finds 'no party of session santa any more (version 3)' || fail "revoke"
wait_log alice 'peer=bob is not in session.ini any more: its connections are closed'
wait_log carol 'peer=bob is not in session.ini any more: its connections are closed'
finish bob
[ "$STATUS" -eq 1 ] || fail "bob ended with $STATUS"
logged bob 'the host has taken this party out of the session'
exits 1 "no party of session santa has this identity" types bob -c santa
[ "$(status_of carol "'bob' in peer")" = False ] || fail "carol still has bob"

step "who was away hears of it on return"
begins dave -c santa
wait_log_since dave 'version=3 from its host'
all_connected santa alice carol dave
same_file santa alice carol dave
compute_together santa alice carol dave

step "no way back to an older version"
cp "$T/version-2" "$(session_file carol santa)"
exits 1 "what its host has changed cannot be taken back" types carol reload -c santa
[ "$(status_of carol "s['parties']")" = 3 ] || fail "carol has gone back"
# It comes back as the others have it, when the proxy starts again.
stop carol
begins carol -c santa
wait_log_since carol 'version=3 from its host'
all_connected santa carol
same_file santa alice carol

step "bob, with the old file, gets nowhere"
cp "$T/version-2" "$(session_file bob santa)"
begins bob -c santa
wait_log_since bob 'rendezvous=.* connected'
exits 3 "not connected: alice" types bob wait -c santa --timeout 3
stop bob

step "a new invitation lets bob in again"
rm "$T/adding.log"
begins_at adding env XDG_CONFIG_HOME="$T/home/alice/.config" XDG_STATE_HOME="$T/home/alice/.local/state" \
	"$MPCPROXY" invite santa --add 1 --yes
wait_log adding '^mpcproxy join mpc1:'
TICKET=$(grep -o 'mpc1:[A-Za-z0-9_-]*' "$T/adding.log" | head -n 1)
begins bob join "$TICKET"
succeed adding
all_connected santa alice bob carol dave
same_file santa alice bob carol dave
