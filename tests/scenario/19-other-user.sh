#!/bin/bash
# Another user of the same machine: connects to the listeners (also sending and closing
# at once), squats on the MPyC port, opens the control socket, binds the proxy's UDP
# addresses. He gets nothing, and disturbs nobody.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can act as another user"

# He gets a copy of his tool where he can read it, and sees names, but no contents.
mkdir -m 755 "$T/his"
install -m 755 "$HERE/tool.py" "$T/his/"
chmod 711 "$T"
he=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$PYTHON" "$T/his/tool.py" --timeout
	"$DEADLINE")

ordinary

step "he connects to a forwarded port"
"${he[@]}" knock "$FORWARD_PORT" 65786368616e676520302030 | grep -E 'ended|refused' >/dev/null || fail "he was served"
for close in fin rst; do
	for _ in 1 2 3 4 5 6 7 8 9 10; do "${he[@]}" knock "$FORWARD_PORT" 6563686f0a --close $close >/dev/null; done
done
wait_log alice 'warn.*(user|uid|owner)'

step "he dials bob's program as alice's would"
port_to_bob=$((BASE[alice] + 1))
start bobs-program "$PYTHON" "$HERE/tool.py" catch $((BASE[bob] + 1))
wait_log bobs-program listening
"${he[@]}" knock "$port_to_bob" 0000 | grep -E 'ended|refused' >/dev/null || fail "he was served"
for close in fin rst; do
	for _ in 1 2 3 4 5 6 7 8 9 10; do "${he[@]}" knock "$port_to_bob" 0000 --close $close >/dev/null; done
done

step "what he sent has gone nowhere; alice's own bytes have"
call exchange "$FORWARD_PORT" exchange --length 1000
succeed exchange
greet "$port_to_bob" 0000 bobs-program
[ "$(grep -c accepted "$T/bobs-program.log")" -eq 1 ] || fail "bob's program was dialled for him"
not_logged service 'served (echo|nothing|with)'
kill "${PID[bobs-program]}"
finish bobs-program

step "he squats on bob's MPyC port: no greeting reaches him"
start squatter "${he[@]}" catch $((BASE[bob] + 1))
wait_log squatter listening
mark bob
program_start alice
wait_log_since bob '(warn|error).*(user|uid|owner)'
not_logged squatter 'got [0-9a-f]'
kill "${PID[squatter]}"
finish squatter
program_start bob
program_start carol
program_end alice bob carol

step "the control socket"
find "$XDG_RUNTIME_DIR" -type s >"$T/sockets"
[ "$(wc -l <"$T/sockets")" -eq 3 ] || fail "not three control sockets"
while read -r socket; do
	[ "$(stat -c %a "$(dirname "$socket")")" = 700 ] || fail "others can enter $(dirname "$socket")"
	# Even where the directories let him through.
	chmod 711 "$XDG_RUNTIME_DIR" "$(dirname "$socket")"
	chmod 666 "$socket"
	"${he[@]}" unix-connect "$socket" || fail "he was answered"
	chmod 600 "$socket"
	chmod 700 "$XDG_RUNTIME_DIR" "$(dirname "$socket")"
done <"$T/sockets"

step "the UDP addresses"
for party in "${PARTIES[@]}"; do
	tool udp-sockets "${PID[$party]}" >"$T/udp"
	[ -s "$T/udp" ] || fail "$party has no UDP socket"
	while read -r host port; do
		"${he[@]}" udp-bind "$host" "$port" || fail "he shares $host port $port with $party"
	done <"$T/udp"
done

step "nobody was disturbed"
connected alice bob carol
compute
