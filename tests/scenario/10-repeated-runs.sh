#!/bin/bash
# Many computations one after the other over the same proxies, each dialling as soon as
# the last has ended.
. "$(dirname "$0")/lib.sh"

three
for round in $(seq 10); do compute; done
step "$round computations in step"

step "each party goes on by itself: the next program dials while others still end"
cycles() {
	mpyc_flags "$1"
	start "$1-cycles" bash -c 'trap "kill \$!; exit 143" TERM
		for i in 1 2 3 4 5 6 7 8 9 10; do "$@" & wait $! || exit; done' cycles \
		"$PYTHON" "$TOP/contrib/demo/secure_sum.py" "${FLAGS[@]}" $((10 ** INDEX[$1]))
}
for party in "${PARTIES[@]}"; do cycles "$party"; done
for party in "${PARTIES[@]}"; do
	finish "$party-cycles" $((5 * DEADLINE)) # ten computations
	[ "$STATUS" -eq 0 ] || fail "$party's computations ended with $STATUS"
	[ "$(grep -c 'sum 111,' "$T/$party-cycles.log")" -eq 10 ] || fail "$party: not ten right sums"
done
