#!/bin/bash
# A rendezvous that is down at start, goes away later, answers garbage, or has another
# key than the URL says.
. "$(dirname "$0")/lib.sh"

make_session alice bob carol
stop rendezvous

step "down at start"
proxy_start alice bob carol
exits 3 bob verb alice wait --timeout 1
rendezvous_start
connected alice bob carol

step "it goes away: what is connected stays connected"
program_start alice --repeat 300
program_start bob --repeat 300
program_start carol --repeat 300
stop rendezvous
program_end alice bob carol
compute

step "its port answers garbage: a party that starts now goes on trying"
start babble "$PYTHON" "$HERE/tool.py" babble "$RENDEZVOUS_PORT"
wait_log babble listening
stop carol
proxy_start carol
wait_log babble accepted
exits 3 alice verb carol wait --timeout 1
kill "${PID[babble]}"
finish babble

step "another rendezvous with another key takes the port"
cp "$T/rendezvous.pem" "$T/right.pem"
rm "$T/rendezvous.pem"
rendezvous_start
exits 3 alice verb carol wait --timeout 1
stop rendezvous
cp "$T/right.pem" "$T/rendezvous.pem"

step "it is back"
rendezvous_start
connected alice bob carol
compute

step "garbage at the rendezvous"
for hex in "" 00 1603010005 $(printf '16%.0s' {1..2000}); do
	tool knock "$RENDEZVOUS_PORT" "$hex" --close fin
	tool knock "$RENDEZVOUS_PORT" "$hex" --close rst
done
tool knock "$RENDEZVOUS_PORT" "$(printf '47455420%.0s' {1..2000})" >/dev/null
stop alice
proxy_start alice
connected alice
