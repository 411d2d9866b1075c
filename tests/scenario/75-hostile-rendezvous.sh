#!/bin/bash
# Whoever serves the rendezvous alters messages, drops, doubles, delays and reorders them,
# delivers them to others and again later, puts its own key in the sender's place, and asks to
# join with a ticket of its own making. It gains delay: the parties see the same words and have
# the same session, in which nobody is but they, and nothing that was revoked comes back.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

BAD=$(dirname "$MPCPROXY")/tests/scenario/bad_mailbox
[ -x "$BAD" ] || skip "no $BAD: make check builds it"
SEED=${SEED:-$EPOCHSECONDS}
step "SEED=$SEED"
DEADLINE=$((90 * SLOWDOWN))

port BAD_PORT
mkfifo "$T/orders"
"$BAD" "$BAD_PORT" "$T/bad.pem" "$SEED" 10 25 30 300 12 20 >>"$T/bad.log" 2>&1 <"$T/orders" &
PID[bad]=$!
exec 7>"$T/orders"
wait_log bad '^tls://'
order() {
	mark bad
	echo "$1" >&7
	wait_log_since bad "$2"
}

step "they join, and it does what it can"
began=${EPOCHREALTIME/[.,]/}
begins alice invite santa --parties 3 --yes --rendezvous "$(grep '^tls://' "$T/bad.log")" 7>&-
ticket alice
# It does not have the ticket; but it knows the host's key, and when the ticket was made.
FOREIGN=$("$PYTHON" "$HERE/ticket.py" "$TICKET" secret)
begins mallory join "$FOREIGN" 7>&-
unset 'PROXY[mallory]'
begins bob join "$TICKET" 7>&-
begins carol join "$TICKET" 7>&-
for ((i = 0; i < 5; i++)); do
	order replay '^replayed'
	sleep 0.1 # so that it comes in different moments of what they do
done
order forget '^forgotten'
all_connected santa alice bob carol
printf -- '- connected after %d ms\n' $(((${EPOCHREALTIME/[.,]/} - began) / 1000))
for who in bob carol; do
	[ "$(words "$who")" = "$(words alice)" ] || fail "$who sees other words than alice"
done
same_file santa alice bob carol
[ "$(grep '^\[party' "$(session_file alice santa)" | sort | tr -d '\n')" = \
	"[party alice][party bob][party carol]" ] || fail "somebody else is in the session"
not_logged alice 'mallory has joined'

step "it got nowhere with its own ticket"
if ! ended "${PID[mallory]}" 0; then
	not_logged mallory 'Session|words'
	kill -TERM "${PID[mallory]}"
fi
finish mallory
[ "$STATUS" -ne 0 ] || fail "mallory has joined"
[ ! -e "$(session_file mallory santa)" ] || fail "mallory has the session"

step "carol is revoked, and everything that was ever said is said again"
unset 'PROXY[carol]'
types alice revoke santa carol >"$T/revoke"
for who in alice bob; do
	wait_log "$who" 'peer=carol is not in session.ini any more: its connections are closed'
done
finish carol
for _ in 1 2 3; do order replay '^replayed'; done
begins carol -c santa 7>&-
unset 'PROXY[carol]'
finish carol
[ "$STATUS" -eq 1 ] || fail "carol ended with $STATUS"
same_file santa alice bob
grep -q '^version = 2$' "$(session_file bob santa)" || fail "bob has another version than 2"
for who in alice bob; do not_logged "$who" 'peer=(alice|bob) disconnected'; done
compute_together santa alice bob
