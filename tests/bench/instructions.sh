#!/bin/bash
# How many instructions QUIC needs for a megabyte and for a small message, both ends and
# the libraries together, against the figures of instructions.txt: these do not depend
# on how busy the machine is. To take new figures after a change that pays:
#
#   make check-instructions UPDATE=1
set -euo pipefail

quic_work=$(realpath "${QUIC_WORK:-tests/bench/quic_work}")
expected=$(realpath "$(dirname "$0")")/instructions.txt
TOLERANCE_PERCENT=10

skip() {
	echo "skipped: $*"
	exit 77
}

[ -z "${SANITIZERS:-}" ] || skip "a sanitizer's own instructions would be counted"
[ "$(uname -m)" = x86_64 ] || skip "the figures are those of x86-64"
case " ${BENCH_CFLAGS:-} " in
*" -O2 "*) ;;
*) skip "the figures are those of -O2" ;;
esac
command -v valgrind >/dev/null || skip "no valgrind (Debian package valgrind)"

# count WORK AMOUNT UNITS: instructions for one unit
count() {
	local out total
	out=$(valgrind --tool=callgrind --toggle-collect='work*' --callgrind-out-file=/dev/null \
		"$quic_work" "$1" "$2" 2>&1) || {
		echo "$out" >&2
		exit 1
	}
	total=$(sed -n 's/^==[0-9]*== Collected : *\([0-9]*\).*/\1/p' <<<"$out")
	if [ "${total:-0}" -le 0 ]; then
		echo "callgrind has counted nothing: $out" >&2
		exit 1
	fi
	echo $((total / $3))
}

megabyte=$(count bulk 8 8)
message=$(count messages 1000 1000)

if [ -n "${UPDATE:-}" ]; then
	sed -i "s/^megabyte .*/megabyte $megabyte/; s/^message .*/message $message/" "$expected"
fi

status=0
check() {
	local was
	was=$(sed -n "s/^$1 //p" "$expected")
	awk -v what="$1" -v now="$2" -v was="$was" -v tolerance=$TOLERANCE_PERCENT 'BEGIN {
		change = (now / was - 1) * 100
		printf "instructions for one %-8s  %9d, expected %9d: %+.1f %%\n", what, now, was, change
		if (change < -tolerance)
			print "less: take new figures (UPDATE=1), so that it stays so"
		exit change > tolerance
	}' || status=1
}
check megabyte "$megabyte"
check message "$message"
exit $status
