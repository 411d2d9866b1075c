#!/bin/bash
# Who cannot join is told why: tickets that are cut, mistyped, foreign, old or expired;
# names that are taken; people who come late, or twice; and what invite and revoke refuse.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

step "somebody has to confirm"
exits 1 "no terminal to ask" types alice invite santa --parties 3 </dev/null
exits 2 "say how many parties there are" types alice invite santa
exits 2 "a number from 2 to 64" types alice invite santa --parties 1
exits 2 "must be 1 to 32 of a-z" types alice invite Santa --parties 3
exits 2 "such as 30m, 2h or 3d" types alice invite santa --parties 3 --expires tomorrow

step "tickets that are none"
at_terminal alice y invite santa --parties 3
ticket alice
exits 1 "begins with mpc1:" types bob join hello
exits 1 "this ticket was cut: about 7 characters are missing" types bob join "${TICKET%???????}"
exits 1 "mistyped" types bob join "${TICKET/%????/AAAA}"
exits 1 "is none that a ticket has" types bob join "$TICKET."
exits 1 "this is your own invitation" types alice join "$TICKET"
exits 2 "an argument is missing: TICKET" types bob join
[ ! -e "$T/home/bob/.config" ] || fail "bob has got an identity from a bad ticket"

step "a ticket of the same host that is not this one"
exits 1 "the host does not know this ticket" types bob join "$("$PYTHON" "$HERE/ticket.py" "$TICKET" secret)"
exits 1 "the ticket expired on" types bob join "$("$PYTHON" "$HERE/ticket.py" "$TICKET" time)"

step "names that are taken, and people who come twice"
begins bob join "$TICKET"
wait_log alice '^bob has joined'
exits 1 "another party has that name" types mallory join "$TICKET" --as bob
exits 1 "another party has that name" types mallory join "$TICKET" --as alice
exits 1 "must be 1 to 32 of a-z" types mallory join "$TICKET" --as 'Mal Lory'
exits 1 "another process is joining with this identity" types bob join "$TICKET" --as bobby

step "whoever comes late"
begins carol join "$TICKET"
wait_log alice '^carol has joined'
exits 1 "you are too late" types dave join "$TICKET"
all_connected santa alice bob carol
exits 1 "you are too late" types dave join "$TICKET"
exits 1 "session santa exists already" types alice invite santa --parties 3 --yes

step "only the host changes the session"
exits 1 "only the host of session santa can revoke" types bob revoke santa carol
exits 1 "only the host of session santa can add" types bob invite santa --add 1 --yes
exits 1 "has no party \`dave\`" types alice revoke santa dave
exits 1 "no party \`bobb\`: did you mean \`bob\`" types alice revoke santa bobb
exits 1 "is you, the host" types alice revoke santa alice

step "the session's file is nobody else's to change"
stop bob
file=$(session_file bob santa)
cp "$file" "$T/before"
sed -i "s/^version = 1/version = 2/" "$file"
exits 1 "changed by hand" types bob -c santa
cp "$T/before" "$file"
sed -i "/^stun/d; s/^rendezvous = .*/&\nstun = stun.example/" "$file"
exits 1 "changed by hand" types bob check -c santa
cp "$T/before" "$file"
types bob check -c santa >/dev/null
kill -TERM "${PID[alice]}"
succeed alice
stop carol

step "not confirmed: nothing is agreed upon, nowhere"
at_terminal erin n invite party --parties 2
ticket erin
begins frank join "$TICKET"
unset 'PROXY[frank]'
finish frank
[ "$STATUS" -eq 1 ] || fail "frank ended with $STATUS"
logged frank 'nothing was agreed upon'
finish erin
[ "$STATUS" -eq 1 ] || fail "erin ended with $STATUS"
logged erin 'Not confirmed'
[ ! -e "$T/home/frank/.config/mpcproxy/sessions" ] || fail "frank has kept something"
[ ! -e "$T/home/erin/.config/mpcproxy/sessions" ] || fail "erin has kept something"

step "a ticket expires while people wait"
begins gina invite short --parties 2 --yes --expires 1m
ticket gina
logged gina 'It is good until'
stop_early() { kill -TERM "${PID[gina]}"; unset 'PROXY[gina]'; finish gina; }
stop_early
[ "$STATUS" -eq 1 ] || fail "gina ended with $STATUS"
logged gina 'the ticket is void'
