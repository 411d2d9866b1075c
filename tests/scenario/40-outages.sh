#!/bin/bash
# Streams outlive outages: no byte is lost, doubled or out of order, and traffic goes on
# soon after the path's return. Bulk one way about, small messages the other.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

outage_session alice bob
flow_start alice --bulk
flow_start bob
cut_bob() { cut bob; }
mend_bob() { mend bob; }

step "bob's network is away for a second, silently"
outage 1 1200 cut_bob mend_bob alice bob
step "for ten seconds"
outage 10 1200 cut_bob mend_bob alice bob
step "and again at once"
outage 1 1200 cut_bob mend_bob alice bob

step "the cable is pulled out for three seconds"
unplug_bob() { unplug bob; }
plug_bob() { plug bob; }
outage 3 3000 unplug_bob plug_bob alice bob

step "only the way between the two is away, for ten seconds"
part() { apart alice bob; }
join() { together alice bob; }
outage 10 1200 part join alice bob

flow_end alice
flow_end bob
not_logged alice disconnected
not_logged bob disconnected
