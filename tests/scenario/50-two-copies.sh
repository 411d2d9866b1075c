#!/bin/bash
# Two processes of one party by mistake: a later one ends and the first goes on; of two
# started in the same moment exactly one goes on, whichever the others met first; one that
# was killed and started again is taken for no copy; one that slept gives way to the one
# that took its place.
SCENARIO_LIMIT=480
. "$(dirname "$0")/lib.sh"

# copy NAME [BASE]: one more process of alice's, with her key, as on another machine
copy() {
	local name=$1 base=$2
	[ -d "$T/run-$name" ] || mkdir -m 700 "$T/run-$name"
	mark "$name"
	# shellcheck disable=SC2086
	XDG_RUNTIME_DIR=$T/run-$name start "$name" ${WRAP:-} "$MPCPROXY" -c "$T/session.ini" \
		--local "$T/alice.ini" -b "$base"
}

verb_of() {
	local name=$1 verb=$2
	shift 2
	XDG_RUNTIME_DIR=$T/run-$name mpcproxy "$verb" -c "$T/session.ini" --local "$T/alice.ini" "$@"
}

# The one that is refused says so and ends with 1.
ends_as_copy() {
	finish "$1"
	[ "$STATUS" -eq 1 ] || fail "$1 ended with $STATUS"
	wait_log_since "$1" 'error another mpcproxy runs as alice of session test, with the same identity; end that one first'
}

is_connected() { verb_of "$1" wait --timeout "$DEADLINE" || fail "$1 is not connected to everybody"; }

make_session alice bob carol
ports=("$PORT" $((PORT + 10)))
PORT=$((PORT + 20))
proxy_start bob carol

step "a second copy, while the first is connected"
copy first "${ports[0]}"
is_connected first
copy second "${ports[1]}"
ends_as_copy second
is_connected first
not_logged bob 'started again'
not_logged carol 'started again'
murder first

for round in 1 2 3; do
	step "two copies in the same moment, round $round"
	copy one "${ports[0]}"
	copy two "${ports[1]}"
	until_one_ended() { ! kill -0 "${PID[one]}" || ! kill -0 "${PID[two]}"; } 2>/dev/null
	eventually until_one_ended
	loser=one winner=two
	kill -0 "${PID[one]}" 2>/dev/null && loser=two winner=one
	ends_as_copy "$loser"
	is_connected "$winner"
	sleep 1 # nothing that is still under way ends the other one
	is_connected "$winner"
	if [ $((round % 2)) -eq 0 ]; then
		kill -TERM "${PID[$winner]}"
		succeed "$winner"
	else
		murder "$winner"
	fi
done

step "killed and started again, the same process is no copy"
copy first "${ports[0]}"
is_connected first
for _ in 1 2; do
	murder first
	copy first "${ports[0]}"
	is_connected first
done

step "one that slept while another took its place gives way"
kill -STOP "${PID[first]}"
copy later "${ports[1]}"
is_connected later
kill -CONT "${PID[first]}"
ends_as_copy first
is_connected later
kill -TERM "${PID[later]}"
succeed later
