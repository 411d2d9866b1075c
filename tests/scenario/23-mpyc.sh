#!/bin/bash
# Real MPyC programs through the proxies: secretsanta, aes, sort (two start/shutdown
# cycles), np_aes and sha3 with three parties, aes -1 with five. Each runs directly
# first; the results must be the same, the times are printed side by side.
SCENARIO_LIMIT=900
. "$(dirname "$0")/lib.sh"

# The demos are in a checkout; an installed MPyC has none.
if [ -n "${MPYC_PATH:-}" ]; then
	export PYTHONPATH=$MPYC_PATH
	[ -d "$MPYC_PATH/demos" ] || skip "MPYC_PATH=$MPYC_PATH has no demos/"
else
	found=$("$PYTHON" -c 'import mpyc, os; print(os.path.dirname(os.path.dirname(mpyc.__file__)))' 2>/dev/null) ||
		skip "MPyC is not importable and MPYC_PATH names no checkout"
	MPYC_PATH=$found
	[ -f "$MPYC_PATH/demos/aes.py" ] || skip "the MPyC in $found comes without demos: set MPYC_PATH to a checkout"
fi
cd "$MPYC_PATH/demos"

DEADLINE=$((180 * SLOWDOWN))

# everywhere direct|proxied PROGRAM ARGUMENTS...: run it at every party
everywhere() {
	local how=$1 i party flags
	shift
	for ((i = ${#PARTIES[@]} - 1; i >= 0; i--)); do
		party=${PARTIES[i]}
		mpyc_flags "$party"
		flags=("${FLAGS[@]}")
		if [ "$how" = direct ]; then
			mpyc_flags "${PARTIES[0]}" # one set of ports for all
			flags=("${FLAGS[@]:0:2*${#PARTIES[@]}}" -I "$i")
		fi
		: >"$T/$party-$how.log"
		start "$party-$how" "$PYTHON" "$@" "${flags[@]}"
	done
	for party in "${PARTIES[@]}"; do succeed "$party-$how"; done
	for party in "${PARTIES[@]}"; do
		results "$party-$how" >"$T/$party-$how.txt"
		cmp "$T/$party-$how.txt" "$T/${PARTIES[0]}-$how.txt" || fail "$party has another result"
	done
}

# What a program printed, without the runtime's lines that begin with the date.
results() { grep -Ev '^20[0-9][0-9]-' "$T/$1.log" || true; }

# The last party's: it never dials, so its clock starts when all are there.
elapsed() {
	sed -n 's/.*elapsed time: \([0-9:.]*\).*/\1/p' "$T/${PARTIES[-1]}-$1.log" |
		awk -F: '{ t += $1 * 3600 + $2 * 60 + $3 } END { printf "%.2f", t }'
}

# compare PROGRAM ARGUMENTS...; results that depend on chance are not compared
compare() {
	stop_parties
	everywhere direct "$@"
	proxy_start "${PARTIES[@]}"
	connected "${PARTIES[@]}"
	everywhere proxied "$@"
	case $1 in
	secretsanta.py | sort.py) ;;
	*) cmp "$T/${PARTIES[0]}-direct.txt" "$T/${PARTIES[0]}-proxied.txt" || fail "$1: another result" ;;
	esac
	printf '%-20s m=%d  direct %6.2f s  proxied %6.2f s\n' "$*" "${#PARTIES[@]}" "$(elapsed direct)" \
		"$(elapsed proxied)"
}

stop_parties() {
	local party
	for party in "${PARTIES[@]}"; do
		[ -z "${PID[$party]:-}" ] || stop "$party"
	done
}

make_session alice bob carol
compare secretsanta.py
compare aes.py
compare sort.py
if "$PYTHON" -c 'import numpy' 2>/dev/null; then
	compare np_aes.py
else
	step "np_aes.py is left out: no numpy (Debian package python3-numpy)"
fi
compare sha3.py

stop_parties
stop rendezvous
INDEX=()
make_session p0 p1 p2 p3 p4
compare aes.py -1
