#!/bin/bash
# A party of the session breaks the rules towards bob: it floods him with streams, keeps
# thousands half-open, never reads, or a byte at a time, sends garbage inside QUIC, and says
# that he is a second copy of himself. Only its own connection suffers; what bob holds for it
# is bounded and freed; alice's streams to him go on, about as fast. With APART set the bad
# party has a processor of its own, as it would on its own machine, and the others share
# another: what then happens to alice's latency is bob's doing alone.
SCENARIO_LIMIT=480
. "$(dirname "$0")/lib.sh"

elsewhere=()
if [ -n "${APART:-}" ]; then
	mapfile -t cpus < <(taskset -cp $$ | sed 's/.*: //' | tr , '\n' |
		awk -F- '{ for (i = $1; i <= $NF; i++) print i }')
	[ ${#cpus[@]} -ge 2 ] || skip "there is one processor only"
	elsewhere=(taskset -c "${cpus[0]}")
	taskset -cp "${cpus[1]}" $$ >/dev/null
fi

BAD=$(dirname "$MPCPROXY")/tests/scenario/bad_party
[ -x "$BAD" ] || skip "no $BAD: make check builds it"
HELD_MAX=$((110 * 1024 * 1024)) # doc/threats.md, Bounds
LEFT_MAX=400000

latency() { tool latency "$FORWARD_PORT" 1500; }
# compare MODE: the p99 during the attack, against that before it
compare() {
	local now=$1
	awk -v a="$CALM" -v b="$now" -v s="$SLOWDOWN" 'BEGIN {
		split(a, calm); split(b, bad)
		printf "- median and p99 in ms: alone %s, now %s: p99 %.2f times\n", a, b, bad[2] / calm[2]
		exit bad[2] > 10 * calm[2] + 100 * s }' || fail "alice's latency suffers"
}

counted
ordinary
stop carol
latency >/dev/null # the first pays for what is not in memory yet
CALM=$(latency)
step "alone: $CALM"
[ -z "$COUNTED" ] || base_bytes=$(in_use bob)

for mode in flood half stall tiny frames refuse; do
	mark bob
	begun=$SECONDS
	: >"$T/bad.log"
	start bad "${elsewhere[@]}" "$BAD" "$T/session.ini" "$T/carol.ini" bob "$SERVICE_PORT" $mode
	wait_log bad '^up'
	sleep 1
	step "$mode: $(grep -c '^up' "$T/bad.log") connections so far"
	begun_ms=$(cpu_ms bob)
	compare "$(latency)"
	step "bob has used $(($(cpu_ms bob) - begun_ms)) ms of processor time meanwhile"
	if [ -n "$COUNTED" ]; then
		used=$(($(in_use bob) - base_bytes))
		step "bob holds $((used / 1024)) KiB for it"
		[ $used -le $HELD_MAX ] || fail "bob holds $used bytes"
	fi
	case $mode in
	frames)
		logged bad '^down: '
		# The garbage may come before bob knows that carol is there.
		wait_log_since bob 'peer=carol (disconnected|the handshake failed): '
		;;
	*) ;;
	esac
	kill -TERM "${PID[bad]}"
	finish bad
	if [ $mode = tiny ]; then
		step "it got $(tail -n 1 "$T/bad.log")"
		awk '/pieces/ { exit !($4 > 1000 && $1 < 2 * $4) }' "$T/bad.log" || fail "the windows were not tiny"
	fi
	if [ -n "$COUNTED" ]; then
		is_freed() { [ $(($(in_use bob) - base_bytes)) -le $LEFT_MAX ]; }
		eventually is_freed
	fi
	lines=$(tail -c "+$((MARK[bob] + 1))" "$T/bob.log" | grep -c . || true)
	# Two a second, whatever the machine takes for it.
	[ "$lines" -le $((60 + 3 * (SECONDS - begun))) ] || fail "bob has logged $lines lines"
	step "bob has logged $lines lines"
done
not_logged alice 'disconnected: [^t]'
proxy_start carol
connected alice bob carol
compute
