#!/bin/bash
# 200 streams at once through one pair, and 100 more through another, every byte of
# them checked, in both directions.
. "$(dirname "$0")/lib.sh"

ordinary
call alice-calls "$FORWARD_PORT" exchange --streams 200 --length 300000
call carol-calls "$CAROL_PORT" exchange --streams 100 --length 20000
succeed alice-calls carol-calls
not_logged service served

step "streams without any content"
call alice-calls "$FORWARD_PORT" exchange --streams 50 --length 0
succeed alice-calls

step "nothing is left of them"
gone() { [ "$(json alice "sum(p['streams'] for p in peer.values())")" -eq 0 ]; }
eventually gone

step "status names what carries them"
carrier=socket
[ -z "${NO_FAST_PATH:-}" ] || carrier=agent
carried() { verb alice status | finds "direct, IPv., $carrier, "; }
eventually carried
