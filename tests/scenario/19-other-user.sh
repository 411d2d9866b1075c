#!/bin/bash
# Another user of the same machine: connects to the listeners (also sending and closing
# at once), to a UNIX socket whose mode lets him, and to SOCKS5; sends datagrams to somebody's
# association; squats on the MPyC port, opens the control socket, binds the proxy's UDP
# addresses. He gets nothing, and disturbs nobody, until local-users names him.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "only root can act as another user"

# He gets a copy of his tool where he can read it, and sees names, but no contents.
mkdir -m 755 "$T/his"
install -m 755 "$HERE/tool.py" "$T/his/"
chmod 711 "$T"
he=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$PYTHON" "$T/his/tool.py" --timeout
	"$DEADLINE")

ordinary
for name in SOCKS_PORT UDP_PORT; do port $name; done
alices=("forward = $FORWARD_PORT to bob:$SERVICE_PORT" "forward = unix:$T/alice.sock to bob:$SERVICE_PORT"
	"socks5 = 127.0.0.1:$SOCKS_PORT")
local_ini alice "${alices[@]}"
local_ini bob "expose = $SERVICE_PORT for all" "expose = $UDP_PORT/udp for all"
exits 0 "changed: forward, socks5" verb alice reload
exits 0 "changed: expose" verb bob reload
start udp "$PYTHON" "$HERE/tool.py" udp-echo "$UDP_PORT"
wait_log udp '^echoing'

# associate NAME COMMAND...: an association; its UDP port is in ASSOCIATED, and the lines that
# it is to send come from descriptor 7
associate() {
	mkfifo "$T/$1.in"
	# shellcheck disable=SC2016 # they are of that shell
	start "$1" sh -c 'in=$1 && shift && exec "$@" <"$in"' sh "$T/$1.in" "${@:2}" \
		udp-associate "$SOCKS_PORT" bob "$UDP_PORT"
	exec 7>"$T/$1.in"
	wait_log "$1" '^127.0.0.1 [0-9]+$'
	ASSOCIATED=$(sed -n 's/^127.0.0.1 //p' "$T/$1.log")
}

step "he connects to a forwarded port"
"${he[@]}" knock "$FORWARD_PORT" 65786368616e676520302030 | grep -E 'ended|refused' >/dev/null || fail "he was served"
for close in fin rst; do
	for _ in 1 2 3 4 5 6 7 8 9 10; do "${he[@]}" knock "$FORWARD_PORT" 6563686f0a --close $close >/dev/null; done
done
wait_log alice 'warn.*(user|uid|owner)'

step "to a UNIX socket: its mode keeps him out, and so does who he is"
exits 0 "the file's mode" "${he[@]}" knock "$T/alice.sock" 6563686f0a
chmod 666 "$T/alice.sock"
mark alice
exits 0 "ended" "${he[@]}" knock "$T/alice.sock" 6563686f0a
wait_log_since alice "warn.*listen=unix:$T/alice.sock refused.*user 65534"
chmod 600 "$T/alice.sock"

step "to SOCKS5, and to the UDP address of an association that is not his"
mark alice
exits 0 "ended" "${he[@]}" knock "$SOCKS_PORT" 050100
wait_log_since alice "warn.*listen=127.0.0.1:$SOCKS_PORT refused.*user 65534"
associate ours "$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE"
mark alice
start intruder "${he[@]}" udp-intrude "$ASSOCIATED" bob "$UDP_PORT" --stay
wait_log_since alice 'warn.*refused a local datagram.*user 65534'
kill "${PID[intruder]}"
finish intruder
echo first >&7
wait_log ours '^answered first'
"${he[@]}" udp-intrude "$ASSOCIATED" bob "$UDP_PORT"
echo second >&7
wait_log ours '^answered second'
exec 7>&-
succeed ours
not_logged udp 'got intruder'

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

step "local-users lets him in, from the next reload on"
local_ini alice "${alices[@]}" "local-users = 65534"
exits 0 "changed: local-users" verb alice reload
"${he[@]}" call "$FORWARD_PORT" exchange --length 1000
"${he[@]}" call "$T/alice.sock" exchange --length 1000
[ "$(stat -c %a "$T/alice.sock")" = 666 ] || fail "the socket's mode keeps him out"
associate his "${he[@]}"
echo his >&7
wait_log his '^answered his'
exec 7>&-
succeed his

step "and keeps him out again when it is gone"
local_ini alice "${alices[@]}"
exits 0 "changed: local-users" verb alice reload
exits 0 "ended" "${he[@]}" knock "$FORWARD_PORT" 6563686f0a
exits 0 "the file's mode" "${he[@]}" knock "$T/alice.sock" 6563686f0a

step "so it is with what is for everyone"
local_ini alice "forward = 127.0.0.1:$FORWARD_PORT for everyone to bob:$SERVICE_PORT"
exits 0 "changed: forward" verb alice reload
logged alice "warn.*$FORWARD_PORT is for everyone"
"${he[@]}" call "$FORWARD_PORT" exchange --length 1000
local_ini alice "${alices[@]}"
exits 0 "changed: forward" verb alice reload
exits 0 "ended" "${he[@]}" knock "$FORWARD_PORT" 6563686f0a

step "nobody was disturbed"
connected alice bob carol
compute
