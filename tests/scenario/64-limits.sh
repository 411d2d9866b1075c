#!/bin/bash
# What local.ini lets a party use: how many connections, how many bytes a second, by TCP and
# by UDP, and for how long connections may be silent. MPyC's own are outside of all of it.
. "$(dirname "$0")/lib.sh"

RATE=200000
BURST=20000 # a tenth of it
IDLE=1

# now_ms
now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# within_rate WHAT BYTES MS: no more than so many have moved in that time
within_rate() {
	local most=$((BURST + $3 * RATE / 1000))
	[ "$2" -le $most ] || fail "$1: $2 bytes in $3 ms, $most are allowed"
}

make_session alice bob carol
for name in SERVICE_PORT FORWARD_PORT CAROL_PORT SOCKS_PORT UDP_PORT RELAY_PORT SECOND_RELAY; do port $name; done
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT" "socks5 = 127.0.0.1:$SOCKS_PORT"
local_ini bob "expose = $SERVICE_PORT for all" "expose = $UDP_PORT/udp for alice" "max-streams = 2 for alice"
local_ini carol "forward = $CAROL_PORT to bob:$SERVICE_PORT"
service service "$SERVICE_PORT"
proxy_start alice bob carol
connected alice bob carol

step "two connections at once, and not three; both ends say why"
call first "$FORWARD_PORT" hold
call second "$FORWARD_PORT" hold
wait_log first held
wait_log second held
mark alice
exits 0 'ended: RST' tool knock "$FORWARD_PORT" 65786368616e6765
wait_log bob 'warn.*peer=alice a stream is refused: .*max-streams'
wait_log_since alice "peer=bob target=$SERVICE_PORT a connection is refused"
exits 97 "(1)" curl -sS --max-time "$DEADLINE" --socks5-hostname "localhost:$SOCKS_PORT" "http://bob:$SERVICE_PORT/"
[ "$(grep -c 'served' "$T/service.log")" -eq 0 ] || fail "the service was reached"

step "another party, and MPyC, have all of theirs"
call others "$CAROL_PORT" exchange --streams 10 --length 1000
succeed others
compute

step "one that ends makes room for another"
kill "${PID[first]}"
finish first
wait_log service 'served hold: (RST|FIN)'
eventually tool call "$FORWARD_PORT" exchange --length 1000 >/dev/null 2>&1
kill "${PID[second]}"
finish second

step "the party that opens can limit itself"
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT" "max-streams = 1 for all"
local_ini bob "expose = $SERVICE_PORT for all" "expose = $UDP_PORT/udp for alice"
exits 0 "" verb alice reload
exits 0 "" verb bob reload
call alone "$FORWARD_PORT" hold
wait_log alone held
exits 0 'ended: RST' tool knock "$FORWARD_PORT" 65786368616e6765
logged alice 'warn.*peer=bob a stream is refused: .*max-streams'
kill "${PID[alone]}"
finish alone

step "$RATE bytes a second from alice, and as many to her; carol is not concerned"
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT" "socks5 = 127.0.0.1:$SOCKS_PORT"
local_ini bob "expose = $SERVICE_PORT for all" "expose = $UDP_PORT/udp for alice" "max-rate = 200k for alice"
exits 0 "" verb alice reload
exits 0 "" verb bob reload
begun=$(now_ms)
start flow "$PYTHON" "$HERE/tool.py" flow "$FORWARD_PORT" --bulk --window 100000
wait_log flow '^flows'
call quick "$CAROL_PORT" exchange --length 2000000
succeed quick
eventually sh -c "[ $((begun + 2000)) -le \$(date +%s%3N) ]"
kill "${PID[flow]}"
succeed flow
moved=$(sed -n 's/^all \([0-9]*\) bytes.*/\1/p' "$T/flow.log")
within_rate "TCP" "$moved" $(($(now_ms) - begun))
[ "$moved" -gt $((2 * BURST)) ] || fail "only $moved bytes have moved in two seconds"

step "so it is with UDP: what exceeds it is lost"
start udp "$PYTHON" "$HERE/tool.py" udp-echo "$UDP_PORT"
wait_log udp '^echoing'
start relay "$PYTHON" "$HERE/tool.py" --timeout "$DEADLINE" udp-relay "$RELAY_PORT" "$SOCKS_PORT" bob "$UDP_PORT"
wait_log relay '^relaying'
begun=$(now_ms)
returned=$(tool udp-flood "$RELAY_PORT" 2000 1000)
within_rate "UDP" $((returned * 1000)) $(($(now_ms) - begun))
[ "$returned" -ge 10 ] || fail "only $returned datagrams of 2000 have come back"

step "and a destination by UDP is a connection among the others"
local_ini bob "expose = $SERVICE_PORT for all" "expose = $UDP_PORT/udp for alice" "max-streams = 1 for alice" \
	"max-idle = ${IDLE}s for all"
mark bob
exits 0 "" verb bob reload
exits 0 'ended: RST' tool knock "$FORWARD_PORT" 65786368616e6765
wait_log_since bob 'warn.*peer=alice a stream is refused: .*max-streams'
kill "${PID[relay]}"
finish relay

step "silence: a connection is ended after $IDLE s, MPyC's is not"
start bobs-program "$PYTHON" "$HERE/tool.py" catch $((BASE[bob] + 1))
wait_log bobs-program listening
exec 8<>"/dev/tcp/127.0.0.1/$((BASE[alice] + 1))"
printf '\0\0' >&8
wait_log bobs-program '^got 0000$'
mark bob
eventually tool call "$FORWARD_PORT" exchange --length 1000 >/dev/null 2>&1
call silent "$FORWARD_PORT" hold
wait_log silent held
wait_log_since bob 'peer=alice a stream is ended: nothing has moved for 1 s \(max-idle\)'
wait_log silent 'ended: RST'
succeed silent
printf '\1\2' >&8
wait_log bobs-program '^got 0102$'
exec 8>&-
wait_log bobs-program '^then FIN'
kill "${PID[bobs-program]}"
finish bobs-program
compute
