#!/bin/bash
# Faults at random while verified traffic flows, for SOAK_MINUTES (1), from SOAK_SEED (the
# time); afterwards no descriptor and no memory is in use that was not before. Part of
# `make check-long`.
OWN_NETWORK=1
SCENARIO_LIMIT=$((${SOAK_MINUTES:-1} * 60 + 240))
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

SOAK_SEED=${SOAK_SEED:-$EPOCHSECONDS}
step "SOAK_SEED=$SOAK_SEED SOAK_MINUTES=${SOAK_MINUTES:-1}"
RANDOM=$((SOAK_SEED % 32768))

LEAK_BYTES=1000000 # buffers of the moment

counted
outage_session alice bob
flow_start alice --bulk
flow_start bob
sleep 2
declare -A FILES USED
for party in alice bob; do
	FILES[$party]=$(descriptors $party)
	[ -z "$COUNTED" ] || USED[$party]=$(in_use $party)
done
end=$((SECONDS + ${SOAK_MINUTES:-1} * 60))
faults=0
while [ $SECONDS -lt $end ]; do
	parties=(alice bob)
	party=${parties[RANDOM % 2]}
	pause=$((RANDOM % 5)).$((RANDOM % 10))
	fault=$((RANDOM % 6))
	faults=$((faults + 1))
	case $fault in
	0) cut "$party" && sleep "$pause" && mend "$party" ;;
	1) unplug "$party" && sleep "$pause" && plug "$party" ;;
	2) apart alice bob && sleep "$pause" && together alice bob ;;
	3) address "$party" "10.9.$((RANDOM % 100 + 1)).$((RANDOM % 200 + 1))" ;;
	4) kill -STOP "${PID[$party]}" && sleep "$pause" && kill -CONT "${PID[$party]}" ;;
	5) stop rendezvous && sleep "$pause" && rendezvous_start ;;
	esac
	sleep "0.$((RANDOM % 10))"
done
step "$faults faults; now everything must flow"
for party in alice bob; do kill -TERM "${PID[$party-flow]}"; done
for party in alice bob; do
	finish "$party-flow" 60
	[ "$STATUS" -eq 0 ] || fail "$party's traffic ended with $STATUS"
	logged "$party-flow" '^all .* bytes are right'
done
not_logged alice disconnected
not_logged bob disconnected
has_files() { [ "$(descriptors "$1")" -le $((FILES[$1] + 2)) ]; }
has_freed() { [ -z "$COUNTED" ] || [ $(($(in_use "$1") - USED[$1])) -le $LEAK_BYTES ]; }
for party in alice bob; do
	eventually has_files $party
	eventually has_freed $party
	step "$party: $(descriptors $party) descriptors, as against ${FILES[$party]}"
	[ -z "$COUNTED" ] || step "$party: $(($(in_use $party) - USED[$party])) bytes more in use"
done
