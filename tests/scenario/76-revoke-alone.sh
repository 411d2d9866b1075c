#!/bin/bash
# The rendezvous is dead: what the host changes reaches everybody who is connected all the
# same, and nobody stays connected to a party that was revoked.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

port RENDEZVOUS_PORT
rendezvous_start
begins alice invite santa --parties 4 --yes --rendezvous "$RENDEZVOUS"
ticket alice
begins bob join "$TICKET"
wait_log alice '^bob has joined'
begins carol join "$TICKET"
wait_log alice '^carol has joined'
begins dave join "$TICKET"
all_connected santa alice bob carol dave
cp "$(session_file carol santa)" "$T/version-1"

step "the rendezvous is killed, and bob is revoked"
murder rendezvous
for who in alice bob carol dave; do wait_log "$who" ' rendezvous=.* (lost|closed|cannot|not)'; done
unset 'PROXY[bob]'
types alice revoke santa bob >"$T/revoke"
for who in alice carol dave; do
	wait_log "$who" 'peer=bob is not in session.ini any more: its connections are closed'
done
finish bob
[ "$STATUS" -eq 1 ] || fail "bob ended with $STATUS"
logged bob 'the host has taken this party out of the session'
same_file santa alice carol dave

step "those who stay are connected as before"
for who in alice carol dave; do not_logged "$who" 'peer=(alice|carol|dave) disconnected'; done
compute_together santa alice carol dave

step "no way back"
cp "$T/version-1" "$(session_file carol santa)"
exits 1 "what its host has changed cannot be taken back" types carol reload -c santa
