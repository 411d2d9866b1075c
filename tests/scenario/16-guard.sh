#!/bin/bash
# The MPyC service: a connection that does not begin with the index of the party it
# comes from never reaches the program; neither does a TLS record. The own proxy refuses
# it, and where that one does not, the other party's does. `mpyc-guard = no` lets it pass.
. "$(dirname "$0")/lib.sh"

three
to_bob=$((BASE[alice] + 1))  # where alice's program dials bob's
bobs_port=$((BASE[bob] + 1)) # where bob's program listens
start bobs-program "$PYTHON" "$HERE/tool.py" catch "$bobs_port"
wait_log bobs-program listening

# refused PARTY: lies and TLS are refused, and that party's proxy says so
refused() {
	local greeting
	for greeting in 0100 0200 ffff 0001; do
		mark "$1"
		tool knock "$to_bob" $greeting | grep ended >/dev/null || fail "$greeting was not refused"
		wait_log_since "$1" '(warn|error) .*(alice|bob).*index|greets'
	done
	mark "$1"
	tool knock "$to_bob" 16030102000100 | grep ended >/dev/null || fail "TLS was not refused"
	wait_log_since "$1" '[-]-ssl'
}

step "the own proxy refuses"
refused alice

step "one byte, or none, and then nothing"
tool knock "$to_bob" 00 --close fin
tool knock "$to_bob" "" --close fin
tool knock "$to_bob" "" --close rst

step "the other party's proxy refuses"
stop alice
local_ini alice "mpyc-guard = no"
proxy_start alice
connected alice bob carol
refused bob
not_logged bobs-program accepted

step "the truth"
greet "$to_bob" 0000 bobs-program
kill "${PID[bobs-program]}"
finish bobs-program
compute

step "mpyc-guard = no at both"
stop bob
local_ini bob "mpyc-guard = no"
proxy_start bob
connected alice bob carol
start bobs-program "$PYTHON" "$HERE/tool.py" catch "$bobs_port"
wait_log bobs-program listening
greet "$to_bob" 16030102000100 bobs-program
