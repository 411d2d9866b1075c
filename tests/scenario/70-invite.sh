#!/bin/bash
# From nothing to a running computation in one command per party: Alice invites, Bob and
# Carol join, all compare four words, Alice confirms. Then the same parties again, and
# cleaning up.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

step "alice invites two others"
at_terminal alice y invite santa --parties 3
ticket alice
[ ${#TICKET} -lt 200 ] || fail "the ticket has ${#TICKET} characters"

step "bob and carol join, each with one command"
begins bob join "$TICKET"
wait_log alice '^bob has joined'
wait_log bob '^session santa, 2 of 3 parties are there: alice bob \(you\)$'
begins carol join "$TICKET"

step "everybody sees the same four words"
seen=$(words alice)
[ "$(words bob)" = "$seen" ] || fail "bob sees other words"
[ "$(words carol)" = "$seen" ] || fail "carol sees other words"

step "alice has confirmed, and all are connected"
all_connected santa alice bob carol
same_file santa alice bob carol
compute_together santa alice bob carol

step "what is there can be listed"
types bob sessions | finds '^santa: version 1, 3 parties, running$' || fail "bob's sessions"
types bob sessions | finds '^  0 alice (host)$' || fail "the host"
eight=$(types alice sessions | grep 'same at every party')
[ "$(types carol sessions | grep 'same at every party')" = "$eight" ] || fail "eight words"

step "a session that runs is not removed"
exits 1 "end it first" types bob leave santa

step "the same parties again: santa.ini, santa, or its path"
kill -TERM "${PID[alice]}"
succeed alice
stop bob carol
begins alice -c santa.ini
begins bob -c santa
begins carol -c "$(session_file carol santa)"
all_connected santa alice bob carol
compute_together santa alice bob carol
stop alice bob carol

step "cleaning up leaves the identity and nothing else"
for who in alice bob carol; do
	types "$who" leave santa
	left=$(cd "$T/home/$who" && find . -type f)
	[ "$left" = ./.config/mpcproxy/identity.pem ] || fail "$who still has: $left"
done
exits 1 "there is no session santa" types alice leave santa
