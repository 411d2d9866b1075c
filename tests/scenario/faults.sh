# shellcheck shell=bash
# Machines of their own for the parties, and what happens to their network. A scenario
# that sources this has set OWN_NETWORK=1 and sourced lib.sh.
#
# The scenario's own network is the internet: a switch, with the rendezvous. Each machine
# is a network namespace with one cable to it. Nothing is left of all this when the
# scenario ends.

HUB=10.9.0.254
declare -A MACHINE=() # the process that keeps the namespace, by party
declare -A ADDRESS=() # the address, by party

internet() {
	ip link add hub address 02:00:00:00:00:01 type bridge
	ip address add "$HUB/16" dev hub
	ip link set hub up
}

# machine PARTY ADDRESS
machine() {
	start "$1-machine" unshare -n sleep 1000000
	MACHINE[$1]=${PID[$1-machine]}
	eventually is_apart "${MACHINE[$1]}"
	ip link add "$1" type veth peer name eth0 netns "${MACHINE[$1]}"
	ip link set "$1" master hub up
	on "$1" ip link set lo up
	on "$1" ip link set eth0 up
	address "$1" "$2"
}

is_apart() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

# on PARTY COMMAND...: there
on() {
	local party=$1
	shift
	nsenter -t "${MACHINE[$party]}" -n -- "$@"
}

# address PARTY ADDRESS: instead of what it had, as when DHCP gives another one
address() {
	[ -z "${ADDRESS[$1]:-}" ] || on "$1" ip address del "${ADDRESS[$1]}/16" dev eth0
	ADDRESS[$1]=$2
	on "$1" ip address add "$2/16" dev eth0
}

# cut PARTY / mend PARTY: silently, somewhere on the way; nobody's kernel notices
cut() { ip link set "$1" nomaster; }
mend() { ip link set "$1" master hub; }

# unplug PARTY / plug PARTY: the cable
unplug() { ip link set "$1" down; }
plug() { ip link set "$1" up; }

# apart PARTY PARTY / together PARTY PARTY: silently; both still reach the rendezvous
apart() {
	on "$1" ip neigh replace "${ADDRESS[$2]}" lladdr 02:00:00:00:00:02 dev eth0 nud permanent
	on "$2" ip neigh replace "${ADDRESS[$1]}" lladdr 02:00:00:00:00:02 dev eth0 nud permanent
}

together() {
	on "$1" ip neigh del "${ADDRESS[$2]}" dev eth0
	on "$2" ip neigh del "${ADDRESS[$1]}" dev eth0
}

# outage_machines PARTY...: the rendezvous at the hub; make_session, with a machine for
# each party
outage_machines() {
	local name i=1
	internet
	# shellcheck disable=SC2034 # lib.sh
	RENDEZVOUS_HOST=$HUB
	make_session "$@"
	for name; do
		machine "$name" "10.9.0.$i"
		i=$((i + 1))
	done
}

# outage_session PARTY...: the same, then as outage_run
outage_session() {
	outage_machines "$@"
	outage_run "$@"
}

# outage_run PARTY...: their proxies, each on its machine, with lines of LOCAL_LINES in its
# local.ini. The second party exposes SERVICE_PORT, which FORWARD_PORT leads to at the
# first, and the other way round.
outage_run() {
	local name
	port SERVICE_PORT
	port FORWARD_PORT
	local_ini "$1" "forward = $FORWARD_PORT to $2:$SERVICE_PORT" "expose = $SERVICE_PORT for all" \
		${LOCAL_LINES:+"$LOCAL_LINES"}
	local_ini "$2" "forward = $FORWARD_PORT to $1:$SERVICE_PORT" "expose = $SERVICE_PORT for all" \
		${LOCAL_LINES:+"$LOCAL_LINES"}
	for name in "$1" "$2"; do
		start "$name-service" nsenter -t "${MACHINE[$name]}" -n -- \
			"$PYTHON" "$HERE/tool.py" serve "$SERVICE_PORT"
		wait_log "$name-service" '^serving'
	done
	for name; do machine_start "$name"; done
	connected "$@"
}

# machine_start PARTY: its proxy
machine_start() {
	mark "$1"
	# shellcheck disable=SC2086
	start "$1" nsenter -t "${MACHINE[$1]}" -n -- ${WRAP:-} "$MPCPROXY" -v -c "$T/session.ini" \
		--local "$T/$1.ini"
	wait_log_since "$1" ' info '
}

# flow_start PARTY [ARGUMENTS...]: verified traffic both ways from there to the other, as
# PARTY-flow, until flow_end PARTY
flow_start() {
	local party=$1
	shift
	: >"$T/$party-flow.log"
	start "$party-flow" nsenter -t "${MACHINE[$party]}" -n -- \
		"$PYTHON" "$HERE/tool.py" flow "$FORWARD_PORT" "$@"
	wait_log "$party-flow" '^flows'
}

flow_end() {
	kill -TERM "${PID[$1-flow]}"
	succeed "$1-flow"
	logged "$1-flow" '^all .* bytes are right'
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# went_on PARTY: its flow, which had stalled, has gone on since MENDED_MS; when, is in
# AGAIN_MS. Stalls after that are the machine's, unless one is as long as a lost path's.
went_on() {
	AGAIN_MS=$(tail -c "+$((${MARK["$1-flow"]} + 1))" "$T/$1-flow.log" |
		awk -v mended="$MENDED_MS" -v long=$((2000 * SLOWDOWN)) '$1 == "stalled" { at = $2 }
			$1 == "again" && $2 >= mended && (!again || $2 - at > long) { again = $2 }
			END { print again }')
	[ -n "$AGAIN_MS" ]
}

# flows_within MS PARTY...: each flow that has stalled goes on; MS after MENDED_MS at the
# latest. How long it took is in TOOK_MS.
flows_within() {
	local limit=$(($1 * SLOWDOWN)) party
	shift
	for party; do
		eventually went_on "$party"
		TOOK_MS=$((AGAIN_MS - MENDED_MS))
		step "$party's traffic went on after $TOOK_MS ms"
		[ "$TOOK_MS" -le "$limit" ] || fail "$party's traffic went on only after $TOOK_MS ms"
	done
}

# stalled PARTY...: each flow has stalled since its mark
stalled() {
	local party
	for party; do wait_log_since "$party-flow" '^stalled'; done
}

# outage SECONDS LIMIT-MS BREAK MEND PARTY...: break, wait, mend; every flow must stall
# and go on, within the limit after it was mended. With 0 seconds it is mpcproxy that mends,
# perhaps before we look, and the limit counts from when it broke.
outage() {
	local seconds=$1 limit=$2 break=$3 mend=$4 party
	shift 4
	for party; do mark "$party-flow"; done
	MENDED_MS=$(now_ms)
	$break
	stalled "$@"
	if [ "$seconds" -gt 0 ]; then
		sleep "$seconds"
		MENDED_MS=$(now_ms)
	fi
	$mend
	flows_within "$limit" "$@"
}

# steady PARTY...: since its mark no flow has stalled for longer than a busy machine explains
# (a path that is lost costs two seconds at least)
steady() {
	local party
	for party; do
		tail -c "+$((${MARK["$party-flow"]} + 1))" "$T/$party-flow.log" |
			awk -v limit=$((2000 * SLOWDOWN)) '$1 == "stalled" { at = $2 }
				$1 == "again" { if (at && $2 - at > limit) bad = 1; at = 0 } END { exit bad + 0 }' ||
			fail "$party's flow stalled"
	done
}
