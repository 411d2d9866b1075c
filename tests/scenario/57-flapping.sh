#!/bin/bash
# Ten parties, one of which comes and goes every few seconds for FLAPPING_MINUTES (a third
# of one): it is cut off, killed and started again, moved to another address, and stopped.
# The 36 paths between the others are not disturbed: each carries a verified stream all the
# while, none of which ends or stalls, and nobody's log has anything of it.
OWN_NETWORK=1
SCENARIO_LIMIT=$((${FLAPPING_MINUTES:-1} * 60 + 240))
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

SECONDS_LONG=$((${FLAPPING_MINUTES:-0} * 60))
[ $SECONDS_LONG -gt 0 ] || SECONDS_LONG=20
STALL_MS=$((2000 * SLOWDOWN)) # a path that is lost costs as much at least

declare -A FORWARDS=() # ports, by party
names=(p0 p1 p2 p3 p4 p5 p6 p7 p8 p9)
others=(p0 p1 p2 p3 p5 p6 p7 p8 p9)
outage_machines "${names[@]}"
port SERVICE_PORT
for i in "${!others[@]}"; do
	name=${others[i]}
	lines=("expose = $SERVICE_PORT for all")
	for other in "${others[@]:i+1}"; do
		port forward
		lines+=("forward = $forward to $other:$SERVICE_PORT")
		FORWARDS[$name]+=" $forward"
	done
	local_ini "$name" "${lines[@]}"
	start "$name-service" nsenter -t "${MACHINE[$name]}" -n -- "$PYTHON" "$HERE/tool.py" serve "$SERVICE_PORT"
done
for name in "${others[@]}"; do wait_log "$name-service" '^serving'; done
for name in "${names[@]}"; do machine_start "$name"; done
connected "${names[@]}"
for name in "${others[@]::8}"; do
	# shellcheck disable=SC2086
	start "$name-murmur" nsenter -t "${MACHINE[$name]}" -n -- \
		"$PYTHON" "$HERE/tool.py" murmur ${FORWARDS[$name]}
	wait_log "$name-murmur" '^murmurs'
done
for name in "${others[@]}"; do mark "$name"; done

end=$((SECONDS + SECONDS_LONG)) flaps=0
while [ $SECONDS -lt $end ]; do
	case $((flaps % 4)) in
	0) cut p4 && sleep 2 && mend p4 ;;
	1)
		murder p4
		sleep 1
		machine_start p4
		;;
	2) address p4 "10.9.1.$((flaps % 250 + 1))" ;;
	3) kill -STOP "${PID[p4]}" && sleep 2 && kill -CONT "${PID[p4]}" ;;
	esac
	flaps=$((flaps + 1))
	sleep 2
done
step "p4 came and went $flaps times"
for name in "${others[@]::8}"; do kill -TERM "${PID[$name-murmur]}"; done
for name in "${others[@]::8}"; do
	succeed "$name-murmur"
	logged "$name-murmur" 'echoes were right'
	step "$name: $(tail -n 1 "$T/$name-murmur.log")"
	most=$(sed -n 's/.* \([0-9]*\) at most$/\1/p' "$T/$name-murmur.log")
	[ "$most" -lt $STALL_MS ] || fail "an echo of $name's took $most ms"
done
for name in "${others[@]}"; do
	noticed=$(tail -c "+$((MARK[$name] + 1))" "$T/$name.log" |
		grep -E ' (warn|error) ' | grep -Ev 'peer=p4|session=test' || true)
	[ -z "$noticed" ] || fail "$name has noticed: $noticed"
done
step "nobody else has noticed; and p4 is there again"
connected "${names[@]}"
