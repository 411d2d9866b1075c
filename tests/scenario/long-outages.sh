#!/bin/bash
# As 40-outages.sh, for a minute and for five. Part of `make check-long`.
OWN_NETWORK=1
SCENARIO_LIMIT=900
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

outage_session alice bob
flow_start alice --bulk
flow_start bob
cut_bob() { cut bob; }
mend_bob() { mend bob; }
stop_bob() { kill -STOP "${PID[bob]}"; }
continue_bob() { kill -CONT "${PID[bob]}"; }

DEADLINE=$((60 * SLOWDOWN))
step "bob's network is away for a minute, silently"
outage 60 1200 cut_bob mend_bob alice bob
step "bob is stopped for two minutes"
outage 120 5000 stop_bob continue_bob alice bob
step "his network is away for five minutes"
outage 300 5000 cut_bob mend_bob alice bob
flow_end alice
flow_end bob
not_logged alice disconnected
not_logged bob disconnected
