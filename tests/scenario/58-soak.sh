#!/bin/bash
# Faults at random while verified traffic flows, by SOAK_SEED, for SOAK_MINUTES (SOAK_SECONDS
# by itself): cuts, other addresses, a party or the rendezvous away; and on the line, packets
# that are lost, late, out of order, doubled and corrupt, and mappings that change. Every
# byte arrives; afterwards no descriptor and no memory is in use that was not before.
OWN_NETWORK=1
SOAK_SECONDS=${SOAK_MINUTES:+$((SOAK_MINUTES * 60))}
SOAK_SECONDS=${SOAK_SECONDS:-10}
SCENARIO_LIMIT=$((SOAK_SECONDS + 240))
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"
. "$(dirname "$0")/line.sh"

# The short one is the same every time, as far as processes can be.
SOAK_SEED=${SOAK_SEED:-${SOAK_MINUTES:+$EPOCHSECONDS}}
SOAK_SEED=${SOAK_SEED:-1}
step "SOAK_SEED=$SOAK_SEED for $SOAK_SECONDS s"
RANDOM=$((SOAK_SEED % 32768))

LEAK_BYTES=1000000 # buffers of the moment
PAUSES=$((SOAK_SECONDS < 60 ? 1 : 5)) # seconds, below that

# percent MAX: a share
percent() { echo $((RANDOM % $1 + 1)); }

# next_fault: into FAULT; each kind once, in any order, before one comes again
QUEUE=()
next_fault() {
	local i
	[ ${#QUEUE[@]} -gt 0 ] || mapfile -t QUEUE < <(seq 0 $((faults - 1)))
	i=$((RANDOM % ${#QUEUE[@]}))
	FAULT=${QUEUE[i]}
	unset "QUEUE[i]"
	QUEUE=("${QUEUE[@]}")
}

counted
faults=6
if line_works; then
	faults=8
	line_session "$SOAK_SEED" alice bob
	line_faults 1 10 2 2 5
else
	step "no TUN devices, or no fault_line: the line has no faults of its own"
	outage_session alice bob
fi
flow_start alice --bulk
flow_start bob
declare -A FILES USED
for party in alice bob; do
	FILES[$party]=$(descriptors $party)
	[ -z "$COUNTED" ] || USED[$party]=$(in_use $party)
done
end=$((SECONDS + SOAK_SECONDS))
n=0
while [ $SECONDS -lt $end ] || [ $n -lt $faults ]; do # each kind once at least
	parties=(alice bob)
	party=${parties[RANDOM % 2]}
	pause=$((RANDOM % PAUSES)).$((RANDOM % 10))
	next_fault
	n=$((n + 1))
	case $FAULT in
	0) cut "$party" && sleep "$pause" && mend "$party" ;;
	1) unplug "$party" && sleep "$pause" && plug "$party" ;;
	2) apart alice bob && sleep "$pause" && together alice bob ;;
	3) address "$party" "10.9.$((RANDOM % 100 + 1)).$((RANDOM % 200 + 1))" ;;
	4) kill -STOP "${PID[$party]}" && sleep "$pause" && kill -CONT "${PID[$party]}" ;;
	5) stop rendezvous && sleep "$pause" && rendezvous_start ;;
	6) rebind "$party" ;;
	7) line_faults "$(percent 5)" "$(percent 50)" "$(percent 10)" $((RANDOM % 30)) "$(percent 30)" ;;
	esac
	sleep "0.$((RANDOM % 10))"
done
step "$n faults; now everything must flow"
if [ $faults -eq 8 ]; then
	line report
	step "$ANSWER"
	for done in lost reordered doubled corrupted; do
		[[ $ANSWER != *" 0 $done"* ]] || fail "nothing was $done"
	done
	line_faults 0 0 0 0 0
fi
for party in alice bob; do kill -TERM "${PID[$party-flow]}"; done
for party in alice bob; do
	finish "$party-flow" 60
	[ "$STATUS" -eq 0 ] || fail "$party's traffic ended with $STATUS"
	logged "$party-flow" '^all .* bytes are right'
	step "$party: $(tail -n 1 "$T/$party-flow.log")"
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
