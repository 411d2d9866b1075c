#!/bin/bash
# A party that is absent for a while, with its network or without it: stopped, as a
# laptop's lid does, while the rendezvous dies, and for longer than outage-limit allows.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

OUTAGE_LIMIT=$((15 * SLOWDOWN))
LOCAL_LINES="outage-limit = ${OUTAGE_LIMIT}s"
outage_session alice bob
flow_start alice
flow_start bob
stop_it() { kill -STOP "${PID[$1]}"; }
continue_it() { kill -CONT "${PID[$1]}"; }
stop_alice() { stop_it alice; }
continue_alice() { continue_it alice; }
stop_bob() { stop_it bob; }
continue_bob() { continue_it bob; }

step "alice is stopped for five seconds"
outage 5 2000 stop_alice continue_alice alice bob
step "bob is"
outage 5 2000 stop_bob continue_bob alice bob

step "the rendezvous dies while they look for another path, and comes back"
mark bob-flow
mark alice-flow
mark alice
apart alice bob
wait_log_since alice 'looking for another path'
stop rendezvous
sleep 2
MENDED_MS=$(now_ms)
together alice bob
flows_within 1500 alice bob
step "now bob moves, and nobody can be told"
mark alice-flow
mark bob-flow
address bob 10.9.1.2
stalled alice bob
sleep 3
MENDED_MS=$(now_ms)
rendezvous_start
flows_within 12000 alice bob # the rendezvous is tried again with a backoff
flow_end alice
flow_end bob
not_logged alice disconnected
not_logged bob disconnected

says_silent() { [ "$(json alice "peer['bob']['state']")" = "connected, but silent" ]; }
step "an absence that is too long: the streams end, and both say why"
start held nsenter -t "${MACHINE[alice]}" -n -- "$PYTHON" "$HERE/tool.py" call "$FORWARD_PORT" hold
wait_log held '^held'
cut bob
eventually says_silent
succeed held
logged held 'ended: RST'
logged alice "disconnected: nothing was heard from it for $OUTAGE_LIMIT s \\(outage-limit\\)"
wait_log bob "disconnected: nothing was heard from it for $OUTAGE_LIMIT s \\(outage-limit\\)"
mend bob
connected alice bob
