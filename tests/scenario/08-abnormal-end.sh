#!/bin/bash
# What ends abnormally must not look as if it had ended well. An ordinary program gets
# a RST: when the other program resets its connection, when the other proxy is ended
# with the stream still open, and when it is killed and another life of it appears.
# MPyC stops soonest on a FIN, so its streams end with one.
. "$(dirname "$0")/lib.sh"

ordinary

step "the service resets"
call reset "$FORWARD_PORT" reset --length 100000
succeed reset

step "the client resets"
call abort "$FORWARD_PORT" abort
succeed abort
wait_log service 'served hold: RST'

step "the other proxy is killed and comes again"
call held "$FORWARD_PORT" hold
wait_log held '^held'
program_start alice --repeat 1000000
program_start bob --repeat 1000000
program_start carol --repeat 1000000
for party in "${PARTIES[@]}"; do wait_log "$party-program" 'parties connected'; done
murder bob
proxy_start bob
succeed held
logged held 'ended: RST'

step "the programs notice, and all of them end"
for party in "${PARTIES[@]}"; do
	finish "$party-program"
	[ "$STATUS" -ne 0 ] || fail "$party's program computed something after the loss of bob"
done

step "everything works again, without a restart of the others"
connected alice bob carol
compute
call exchange "$FORWARD_PORT" exchange --streams 3
succeed exchange

step "the other proxy ends with a stream open"
call held "$FORWARD_PORT" hold
wait_log held '^held'
stop bob
succeed held
logged held 'ended: RST'
