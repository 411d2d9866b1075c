#!/bin/bash
# Ten parties, one of which comes and goes every few seconds for FLAPPING_MINUTES (a third
# of one): the 36 paths between the others are not disturbed. It is cut off, killed and
# started again, moved to another address, and stopped.
OWN_NETWORK=1
SCENARIO_LIMIT=$((${FLAPPING_MINUTES:-1} * 60 + 240))
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

SECONDS_LONG=$((${FLAPPING_MINUTES:-0} * 60))
[ $SECONDS_LONG -gt 0 ] || SECONDS_LONG=20

names=(p0 p1 p2 p3 p4 p5 p6 p7 p8 p9)
others=(p0 p1 p2 p3 p5 p6 p7 p8 p9)
outage_session "${names[@]}" # p0 and p1 have services, and forward to each other
flow_start p0
flow_start p1
for name in "${others[@]}"; do mark "$name"; done
for name in p0 p1; do mark "$name-flow"; done

# worst PARTY: the longest of a flow's round trips so far, in milliseconds
end=$((SECONDS + SECONDS_LONG)) flaps=0
while [ $SECONDS -lt $end ]; do
	case $((flaps % 4)) in
	0) cut p4 && sleep 2 && mend p4 ;;
	1)
		murder p4
		sleep 1
		machine_start p4
		;;
	2) address p4 "10.9.1.$((flaps + 1))" ;;
	3) kill -STOP "${PID[p4]}" && sleep 2 && kill -CONT "${PID[p4]}" ;;
	esac
	flaps=$((flaps + 1))
	sleep 2
done
step "p4 came and went $flaps times"
flow_end p0
flow_end p1
for name in p0 p1; do
	! tail -c "+$((MARK[$name-flow] + 1))" "$T/$name-flow.log" | finds stalled || fail "$name's traffic stalled"
done
for name in "${others[@]}"; do
	lines=$(tail -c "+$((MARK[$name] + 1))" "$T/$name.log" |
		grep -E ' (warn|error) ' | grep -Ev 'peer=p4|session=test' || true)
	[ -z "$lines" ] || fail "$name has noticed: $lines"
done
step "nobody else has noticed; and p4 is there again"
connected "${names[@]}"
