# shellcheck shell=bash
# The network of faults.sh, which has been sourced, with a program in the middle that also
# loses, delays, reorders, doubles and corrupts packets, and renumbers UDP ports, by a seed:
# fault_line.c, whose commands `line` passes on.

FAULT_LINE=$(dirname "$MPCPROXY")/tests/scenario/fault_line
LINE_MBIT=10
declare -A LINE=() # number of a machine, by party

# line_works: whether there can be one
line_works() { [ -x "$FAULT_LINE" ] && (exec 8<>/dev/net/tun) 2>/dev/null; }

# line COMMAND...: and wait for the answer, which is in ANSWER
line() {
	local before until=$((SECONDS + DEADLINE))
	before=$(stat -c %s "$T/line.log")
	printf '%s\n' "$*" >"$T/line.in"
	until [ "$(stat -c %s "$T/line.log")" -gt "$before" ]; do
		[ $SECONDS -lt $until ] || fail "the line does not answer"
		sleep 0.01
	done
	# shellcheck disable=SC2034 # for scenarios
	ANSWER=$(tail -c "+$((before + 1))" "$T/line.log")
}

line_device() {
	"$@" ip tuntap add dev line0 mode tun
	"$@" ip link set line0 addrgenmode none
	"$@" ip link set line0 up
}

internet() {
	line_device env
	ip address add "$HUB/16" dev line0
}

machine() {
	start "$1-machine" unshare -n sleep 1000000
	MACHINE[$1]=${PID[$1-machine]}
	eventually is_apart "${MACHINE[$1]}"
	on "$1" ip link set lo up
	line_device on "$1"
	address "$1" "$2"
	LINE[$1]=$((${#LINE[@]} + 1))
}

# line_session SEED PARTY...: as outage_session
line_session() {
	local seed=$1 name i=1 places=("/proc/$$/ns/net")
	shift
	internet
	# shellcheck disable=SC2034 # lib.sh
	RENDEZVOUS_HOST=$HUB
	make_session "$@"
	for name; do
		machine "$name" "10.9.0.$i"
		places+=("/proc/${MACHINE[$name]}/ns/net")
		i=$((i + 1))
	done
	mkfifo "$T/line.in"
	# The descriptor keeps it open between commands.
	# shellcheck disable=SC2016
	start line bash -c 'exec 0<>"$0" && exec "$@"' "$T/line.in" "$FAULT_LINE" "$seed" "$LINE_MBIT" "${places[@]}"
	wait_log line '^ready'
	outage_run "$@"
}

address() {
	[ -z "${ADDRESS[$1]:-}" ] || on "$1" ip address del "${ADDRESS[$1]}/16" dev line0
	ADDRESS[$1]=$2
	on "$1" ip address add "$2/16" dev line0
}

cut() { line cut "${LINE[$1]}"; }
mend() { line mend "${LINE[$1]}"; }
unplug() { on "$1" ip link set line0 down; }
plug() { on "$1" ip link set line0 up; }
apart() { line apart "${LINE[$1]}" "${LINE[$2]}"; }
together() { line together "${LINE[$1]}" "${LINE[$2]}"; }

# rebind PARTY: its NAT forgets its mappings, and makes others
rebind() { line rebind "${LINE[$1]}"; }

# line_faults LOSS TWICE CORRUPT DELAY JITTER: in percent, and milliseconds
line_faults() { line faults "$@"; }
