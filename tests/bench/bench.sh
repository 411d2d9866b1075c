#!/bin/bash
# What the proxies cost, on one machine: one TCP connection directly, and the same
# through two proxies. Direct and proxied rounds take turns, so that whatever else the
# machine does meets both; the table shows medians over the rounds.
#
#   BENCH=latency | throughput   only that part
#   ROUNDS=5                     rounds of each kind
SCENARIO_LIMIT=600
. "$(dirname "$0")/../scenario/lib.sh"

BENCH=${BENCH:-all}
ROUNDS=${ROUNDS:-5}
PING_PONGS=5000
MBYTES=200
tcp_bench=$(realpath "${TCP_BENCH:-./tests/bench/tcp_bench}")

case $BENCH in
all | latency | throughput) ;;
*) fail "BENCH=$BENCH: there are latency and throughput" ;;
esac

make_session alice bob
port SERVICE_PORT
port FORWARD_PORT
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT"
local_ini bob "expose = $SERVICE_PORT for alice"
start server "$tcp_bench" server "$SERVICE_PORT"
wait_log server '^serving'
proxy_start alice bob
connected alice bob

# Numbers on standard input, one on each line.
median() { sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

# row WHAT UNIT FILE COLUMN: medians of a column of FILE.direct and FILE.proxied
row() {
	local direct proxied
	direct=$(awk -v c="$4" '{ print $c }' "$T/$3.direct" | median)
	proxied=$(awk -v c="$4" '{ print $c }' "$T/$3.proxied" | median)
	awk -v what="$1" -v unit="$2" -v d="$direct" -v p="$proxied" \
		'BEGIN { printf "%-28s %10.1f %10.1f  %-7s %8.2f\n", what, d, p, unit, p / d }'
}

# measure PART AMOUNT
measure() {
	local round
	for ((round = 0; round < ROUNDS; round++)); do
		timeout --foreground 60 "$tcp_bench" "$1" "$SERVICE_PORT" "$2" >>"$T/$1.direct"
		timeout --foreground 60 "$tcp_bench" "$1" "$FORWARD_PORT" "$2" >>"$T/$1.proxied"
	done
}

printf '%-28s %10s %10s  %-7s %8s\n' "" direct proxied "" proxied/direct
if [ "$BENCH" != throughput ]; then
	measure latency $PING_PONGS
	row "64-byte ping-pong, p50" us latency 1
	row "64-byte ping-pong, p99" us latency 2
fi
if [ "$BENCH" != latency ]; then
	measure throughput $MBYTES
	row "one stream, one way" Mbit/s throughput 1
fi
