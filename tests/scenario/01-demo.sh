#!/bin/bash
# The demo program on its own: three parties and five, directly over loopback; what it
# does when its arguments are wrong, and when a party is lost.
. "$(dirname "$0")/lib.sh"

run_directly() {
	local i
	PARTIES=("$@")
	for i in "${!PARTIES[@]}"; do
		INDEX[${PARTIES[i]}]=$i
		BASE[${PARTIES[i]}]=$PORT # the same for all: there is no proxy between them
	done
	compute
	PORT=$((PORT + $#))
}

step "three parties"
run_directly p0 p1 p2
grep -q 'mean 37.00, variance 1998.00' "$T/p1-program.log" || fail "mean and variance of 1, 10, 100"

step "five parties"
run_directly p0 p1 p2 p3 p4

step "wrong arguments"
for wrong in "-I 2" "-I 0 -P localhost:http" "-I 0 -- -1" "-I 0 --repeat 0" ""; do
	status=0
	# shellcheck disable=SC2086
	"$PYTHON" "$TOP/contrib/demo/secure_sum.py" -P "localhost:$PORT" -P "localhost:$((PORT + 1))" $wrong \
		>/dev/null 2>&1 || status=$?
	[ $status -eq 2 ] || fail "exit code $status for '$wrong'"
done

step "a party that is lost"
PARTIES=(p0 p1)
BASE=([p0]=$PORT [p1]=$PORT)
program_start p0 --repeat 1000000
program_start p1 --repeat 1000000
wait_log p1-program 'all 2 parties connected'
murder p0-program
finish p1-program
[ "$STATUS" -eq 1 ] || fail "exit code $STATUS after the loss of a party"
grep -q 'party 0 is gone' "$T/p1-program.log" || fail "it does not say who is gone"
