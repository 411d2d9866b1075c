# shellcheck shell=bash
# What every numbered scenario sources first. A scenario is one bash script that says
# what it shows, runs real proxies and programs, and ends with 0 (shown), 77 (cannot
# be shown here, with the reason) or anything else (not shown).
#
# From the environment:
#   NO_FAST_PATH  when set, proxies are started with --no-fast-path
#   MPCPROXY    the program under test (default: the one beside the current directory)
#   WRAP        words to put before every proxy, for instance "valgrind -q --error-exitcode=99"
#   VERB_WRAP, PROGRAM_WRAP   the same for verbs that are done at once, and for programs
#   SLOWDOWN    factor for all deadlines (default 1; 10 when WRAP is set)
#   KEEP        when set, the scenario's directory stays for a look
#   MPYC_PATH   a checkout of MPyC

set -Eeuo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
. "$TOP/tests/finds.sh"
MPCPROXY=$(realpath -- "${MPCPROXY:-./mpcproxy}")
PYTHON=${PYTHON:-/usr/bin/python3}
SLOWDOWN=${SLOWDOWN:-${WRAP:+10}}
SLOWDOWN=${SLOWDOWN:-1}
DEADLINE=$((30 * SLOWDOWN)) # seconds for anything that should take a few at most

# With OWN_NETWORK set, all of a scenario runs on a machine that has nothing but loopback.
if [ -n "${OWN_NETWORK:-}" ] && [ -z "${IN_OWN_NETWORK:-}" ]; then
	for unshare in "unshare -n" "unshare -Urn" none; do
		# shellcheck disable=SC2086
		! $unshare ip link set lo up 2>/dev/null || break
	done
	if [ "$unshare" = none ]; then
		echo "skipped: no network namespace can be made here (unshare -n, ip from iproute2)"
		exit 77
	fi
	# shellcheck disable=SC2086
	IN_OWN_NETWORK=1 exec $unshare sh -c 'ip link set lo up && exec bash "$@"' sh "$0" "$@"
fi

# A scenario that hangs is ended from outside.
if [ -z "${SCENARIO_GUARDED:-}" ]; then
	SCENARIO_GUARDED=1 exec timeout --foreground -k 20 \
		$((${SCENARIO_LIMIT:-240} * SLOWDOWN)) bash "$0" "$@"
fi

T=$(mktemp -d "${TMPDIR:-/tmp}/mpcproxy-test.XXXXXX")
mkdir -m 700 "$T/run" "$T/config" "$T/state"
export XDG_RUNTIME_DIR=$T/run XDG_CONFIG_HOME=$T/config XDG_STATE_HOME=$T/state
export PYTHONDONTWRITEBYTECODE=1

declare -A PID=()     # of what start() started and nobody waited for, by name
declare -A PROXY=()   # those that are proxies or mailboxes: SIGTERM ends them with 0
declare -A BASE=()    # base port, by party
declare -A INDEX=()   # by party
PARTIES=()
PORT=0                # the next port that nobody has
RENDEZVOUS=           # line for session.ini

step() { printf -- '- %s\n' "$*"; }

fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

skip() {
	printf 'skipped: %s\n' "$*"
	exit 77
}

on_error() {
	printf 'FAILED: %s line %s: %s\n' "${BASH_SOURCE[1]##*/}" "$1" "$2" >&2
}

clean_up() {
	local status=$? name code logs
	trap - EXIT ERR
	set +e
	for name in "${!PID[@]}"; do
		kill -TERM "${PID[$name]}" 2>/dev/null
	done
	for name in "${!PID[@]}"; do
		if ! ended "${PID[$name]}" $((10 * SLOWDOWN)); then
			printf 'left over: %s, process %s, did not end on SIGTERM\n' "$name" "${PID[$name]}" >&2
			kill -KILL "${PID[$name]}"
			[ $status -ne 0 ] || status=1
		fi
		wait "${PID[$name]}" 2>/dev/null
		code=$?
		# A sanitizer's or valgrind's verdict at the very end.
		if [ -n "${PROXY[$name]:-}" ] && [ $code -ne 0 ]; then
			printf 'FAILED: %s ended with %d\n' "$name" $code >&2
			[ $status -ne 0 ] || status=1
		fi
	done
	if [ $status -ne 0 ] && [ $status -ne 77 ]; then
		logs=("$T"/*.log)
		[ ! -e "${logs[0]}" ] || tail -n 40 "${logs[@]}" >&2
	fi
	[ -n "${PORT_HOLDER_PID:-}" ] && kill "$PORT_HOLDER_PID" 2>/dev/null
	if [ -n "${KEEP:-}" ]; then
		printf 'kept: %s\n' "$T"
	else
		rm -rf "$T"
	fi
	exit $status
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'printf "FAILED: it took too long\n" >&2; exit 124' TERM
trap 'on_error "$LINENO" "$BASH_COMMAND"' ERR

tool() { "$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE" "$@"; }

# Ports of our own, for the scenario's whole life.
coproc PORT_HOLDER { exec "$PYTHON" "$HERE/tool.py" ports; }
read -r PORT <&"${PORT_HOLDER[0]}" || fail "no free ports"

# port VARIABLE: the next free one
port() {
	printf -v "$1" %s "$PORT"
	PORT=$((PORT + 1))
}

# Processes

# start NAME COMMAND...: in the background, its output goes to NAME.log
start() {
	local name=$1
	shift
	"$@" >>"$T/$name.log" 2>&1 </dev/null &
	PID[$name]=$!
}

# ended PID SECONDS: whether it ends within that time (by itself)
ended() {
	local until=$((${EPOCHREALTIME/[.,]/} + $2 * 1000000))
	while kill -0 "$1" 2>/dev/null; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$until" ] || return 1
		sleep 0.02
	done
}

# finish NAME [SECONDS]: wait for it to end by itself; its exit code is in STATUS
finish() {
	local pid=${PID[$1]}
	ended "$pid" "${2:-$DEADLINE}" || fail "$1 has not ended"
	STATUS=0
	wait "$pid" || STATUS=$?
	unset "PID[$1]"
}

# succeed NAME...: all end by themselves, with 0
succeed() {
	local name
	for name; do
		finish "$name"
		[ "$STATUS" -eq 0 ] || fail "$name ended with $STATUS"
	done
}

# stop NAME... : SIGTERM, and it must end with 0
stop() {
	local name
	for name; do kill -TERM "${PID[$name]}" 2>/dev/null || true; done
	for name; do
		finish "$name"
		[ "$STATUS" -eq 0 ] || fail "$name ended with $STATUS on SIGTERM"
	done
}

# murder NAME...: SIGKILL
murder() {
	local name
	for name; do kill -KILL "${PID[$name]}"; done
	for name; do finish "$name"; done 2>/dev/null
}

# wait_file FILE PATTERN [SKIP]: until a line of it, after so many bytes, matches (Python's re)
wait_file() { "$PYTHON" -I -S "$HERE/wait_file.py" "$DEADLINE" "$@"; }

# wait_log NAME PATTERN: the same for its output
wait_log() { wait_file "$T/$1.log" "$2"; }

# mark NAME / wait_log_since NAME PATTERN: the same, only for lines after the mark
declare -A MARK=()
mark() { MARK[$1]=$(stat -c %s "$T/$1.log" 2>/dev/null || echo 0); }
wait_log_since() { wait_file "$T/$1.log" "$2" "${MARK[$1]}"; }

# eventually COMMAND...: until it succeeds
eventually() {
	local until=$((SECONDS + DEADLINE))
	until "$@"; do
		[ $SECONDS -lt $until ] || fail "not within $DEADLINE s: $*"
		sleep 0.05
	done
}

# exits CODE TEXT COMMAND...: it must exit so, and what it prints must contain the text
exits() {
	local code=$1 text=$2 status=0 out
	shift 2
	out=$("$@" 2>&1) || status=$?
	[ $status -eq "$code" ] || fail "exit code $status instead of $code: $* printed: $out"
	case $out in
	*"$text"*) ;;
	*) fail "'$text' is not in what $* printed: $out" ;;
	esac
}

# Proxies

# A verb in the foreground. The shell cannot be interrupted meanwhile, so it has a limit.
# shellcheck disable=SC2086 # VERB_WRAP is meant to be split
mpcproxy() { timeout --foreground -k 5 $((DEADLINE + 10)) ${VERB_WRAP:-} "$MPCPROXY" "$@"; }

# start_mpcproxy NAME ARGUMENTS...: a proxy or rendezvous, as start does
# shellcheck disable=SC2086
start_mpcproxy() {
	local name=$1
	shift
	start "$name" ${WRAP:-} "$MPCPROXY" "$@"
	PROXY[$name]=1
}

rendezvous_start() {
	mark rendezvous
	start_mpcproxy rendezvous rendezvous -l "${RENDEZVOUS_HOST:-127.0.0.1}:$RENDEZVOUS_PORT" -i "$T/rendezvous.pem"
	wait_log_since rendezvous '^(rendezvous *= *)?tls://'
	RENDEZVOUS=$(grep -o 'tls://[^ ]*' "$T/rendezvous.log" | tail -n 1)
}

# make_session PARTY...: an identity, a base port and a local.ini for each; session.ini
# for all (further lines for [session] in SESSION_LINES); the rendezvous is running.
make_session() {
	local name
	PARTIES=("$@")
	port RENDEZVOUS_PORT
	rendezvous_start
	{
		printf '[session]\nname = test\nrendezvous = %s\n' "$RENDEZVOUS"
		printf '%s\n' "${SESSION_LINES:-}"
	} >"$T/session.ini"
	for name; do
		"$MPCPROXY" keygen "$T/$name.pem" >/dev/null
		printf '[party %s]\nkey = %s\n' "$name" "$("$MPCPROXY" id "$T/$name.pem")" >>"$T/session.ini"
		INDEX[$name]=$((${#INDEX[@]}))
		BASE[$name]=$PORT
		PORT=$((PORT + $#))
		local_ini "$name"
	done
}

# local_ini PARTY [LINE...]
local_ini() {
	local name=$1
	shift
	(
		umask 077
		rm -f "$T/$name.ini"
		{
			printf '[local]\nidentity = %s\nbase-port = %s\nupnp = no\n' "$T/$name.pem" "${BASE[$name]}"
			[ $# -eq 0 ] || printf '%s\n' "$@"
		} >"$T/$name.ini"
	)
}

# proxy_start PARTY...: returns when they run, connected or not
proxy_start() {
	local name
	for name; do
		mark "$name"
		start_mpcproxy "$name" -c "$T/session.ini" --local "$T/$name.ini" \
			${NO_FAST_PATH:+--no-fast-path}
	done
	for name; do wait_log_since "$name" ' info '; done
}

# verb PARTY VERB ARGUMENTS...: towards that party's running proxy
verb() {
	local party=$1 verb=$2
	shift 2
	mpcproxy "$verb" -c "$T/session.ini" --local "$T/$party.ini" "$@"
}

# connected PARTY...: until each of them is connected to all others
connected() {
	local name
	for name; do
		verb "$name" wait --timeout "$DEADLINE" || fail "$name is not connected to everybody"
	done
}

# Programs

# mpyc_flags PARTY: what `mpcproxy flags` prints, known without a proxy
mpyc_flags() {
	local i
	FLAGS=()
	for i in "${!PARTIES[@]}"; do FLAGS+=(-P "localhost:$((BASE[$1] + i))"); done
	FLAGS+=(-I "${INDEX[$1]}")
}

# program_start PARTY [ARGUMENTS...]: the demo, as NAME-program; the party's secret
# number is 10 to the power of its index
program_start() {
	local name=$1
	shift
	mpyc_flags "$name"
	: >"$T/$name-program.log"
	# shellcheck disable=SC2086
	start "$name-program" ${PROGRAM_WRAP:-} "$PYTHON" "$TOP/contrib/demo/secure_sum.py" "${FLAGS[@]}" "$@" \
		$((10 ** INDEX[$name]))
}

# program_end PARTY...: their programs end well, with the right sum
program_end() {
	local name sum
	sum=$(printf '1%.0s' "${PARTIES[@]}")
	for name; do
		succeed "$name-program"
		grep -q "sum $sum," "$T/$name-program.log" || fail "$name computed something else than $sum"
	done
}

# compute: the demo at every party, REPEAT times over the same connections
compute() {
	local name
	for name in "${PARTIES[@]}"; do program_start "$name" --repeat "${REPEAT:-1}"; done
	program_end "${PARTIES[@]}"
}

# three: the usual beginning: alice, bob and carol are connected
three() {
	make_session alice bob carol
	proxy_start alice bob carol
	connected alice bob carol
}

# service NAME PORT|HOST:PORT|PATH: an ordinary service, `tool.py serve`
service() {
	start "$1" "$PYTHON" "$HERE/tool.py" serve "$2"
	wait_log "$1" '^serving'
}

# ordinary: alice, bob and carol, and bob exposes an ordinary service at SERVICE_PORT,
# which alice reaches at FORWARD_PORT and carol at CAROL_PORT
ordinary() {
	make_session alice bob carol
	port SERVICE_PORT
	port FORWARD_PORT
	port CAROL_PORT
	local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT"
	local_ini bob "expose = $SERVICE_PORT for all"
	local_ini carol "forward = $CAROL_PORT to bob:$SERVICE_PORT"
	service service "$SERVICE_PORT"
	proxy_start alice bob carol
	connected alice bob carol
}

# call NAME PORT BEHAVIOUR ARGUMENTS...: a client in the background
call() {
	local name=$1
	shift
	: >"$T/$name.log"
	start "$name" "$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE" call "$@"
}

# greet PORT HEX PROGRAM: a program that sends these bytes and stays until they have
# arrived at PROGRAM (`tool.py catch`)
greet() {
	mark "$3"
	start greeter "$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE" knock "$1" "$2"
	wait_log_since "$3" "^got $2\$"
	kill "${PID[greeter]}"
	finish greeter
	wait_log_since "$3" '^then FIN'
}

# logged NAME PATTERN / not_logged NAME PATTERN: now, without waiting (grep -E)
logged() { grep -Eq -- "$2" "$T/$1.log" || fail "$1 has not said '$2'"; }
not_logged() { ! grep -Eq -- "$2" "$T/$1.log" || fail "$1 said '$2'"; }

# descriptors NAME / memory NAME: how many it has open; its anonymous memory in KiB
descriptors() {
	local open=("/proc/${PID[$1]}/fd/"*)
	echo ${#open[@]}
}
memory() { awk '/^RssAnon/ { print $2 }' "/proc/${PID[$1]}/status"; }

# preload NAME: the program to put before with LD_PRELOAD is in PRELOAD; false when there
# is none, or a sanitizer or valgrind does not go with it
preload() {
	PRELOAD=$(dirname "$MPCPROXY")/tests/scenario/$1.so
	[ -e "$PRELOAD" ] && [ -z "${SANITIZERS:-}${WRAP:-}" ]
}

# With COUNTED set (counted), in_use NAME is the bytes that it has allocated now, and
# allocations NAME how often it has so far.
# shellcheck disable=SC2034 # for scenarios
counted() {
	COUNTED=
	if preload count_malloc; then
		COUNTED=1
		WRAP="env COUNT_MALLOC=$T/malloc LD_PRELOAD=$PRELOAD"
	fi
}
count_of() { od -An -t u8 -j "$2" -N 8 "$T/malloc.${PID[$1]}" | tr -d ' '; }
in_use() { count_of "$1" 8; }
allocations() { count_of "$1" 0; }

# cpu_ms NAME: the processor time it has used
cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) * 1000 / hz) }' "/proc/${PID[$1]}/stat"; }

# json PARTY EXPRESSION: evaluated by Python with s, what status --json of that party's
# proxy says, and peer, its members of "peers" by name
json() {
	verb "$1" status --json | "$PYTHON" -c "import json, sys
s = json.load(sys.stdin)
peer = {p['name']: p for p in s['peers']}
print($2)"
}
