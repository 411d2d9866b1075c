#!/bin/bash
# Where the kernel tells of other routes while the addresses stay, the path is asked at once
# whether it still works: the streams go on soon (within three seconds on a quiet machine).
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

outage_session alice bob
flow_start alice --bulk
flow_start bob

step "alice gets a second network, which nobody needs"
ip link add hub2 type bridge
ip address add 10.8.0.254/16 dev hub2
ip link set hub2 up
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link add alice2 type veth peer name eth1 netns "${MACHINE[alice]}"
ip link set alice2 master hub2 up
mark alice
mark bob
mark alice-flow
on alice ip link set eth1 up
on alice ip address add 10.8.0.1/16 dev eth1
on bob ip route add 10.8.0.0/16 via "$HUB"
wait_log_since alice 'the addresses of this machine have changed'
wait_log_since bob 'the routes of this machine have changed'
steady alice

step "the first one breaks somewhere on the way, and alice's routes lead to the second"
reroute() {
	cut alice
	on alice ip route replace 10.9.0.0/16 via 10.8.0.254 dev eth1
}
MENDED_MS=$(now_ms)
mark alice-flow
mark bob-flow
mark alice
reroute
stalled alice bob
flows_within 6000 alice bob
wait_log_since alice 'the routes of this machine have changed'

flow_end alice
flow_end bob
# A suspicion that proves wrong costs nothing.
not_logged alice 'the path is back'
not_logged alice disconnected
not_logged bob disconnected
