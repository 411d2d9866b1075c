#!/bin/bash
# Ten people join at once, see the same four words, and compute.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

others=(bob carol dave erin frank gina hugo ivy jack)
at_terminal alice yes invite ten --parties 10
ticket alice
for who in "${others[@]}"; do begins "$who" join "$TICKET"; done
seen=$(words alice)
for who in "${others[@]}"; do
	[ "$(words "$who")" = "$seen" ] || fail "$who sees other words"
done
step "ten parties see:$seen"
all_connected ten alice "${others[@]}"
same_file ten alice "${others[@]}"
compute_together ten alice "${others[@]}"
kill -TERM "${PID[alice]}"
succeed alice
stop "${others[@]}"
