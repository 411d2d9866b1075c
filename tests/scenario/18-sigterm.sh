#!/bin/bash
# SIGTERM and SIGINT: what streams hold is still sent, then nothing is left behind: no
# socket, no file.
. "$(dirname "$0")/lib.sh"

ordinary

step "a transfer that has left the program arrives, although its proxy is ended"
call sent "$FORWARD_PORT" talk-first --length 0
succeed sent
for signal in TERM INT; do
	mark service
	call sent "$FORWARD_PORT" talk-first --length 2000000
	succeed sent
	kill -$signal "${PID[alice]}"
	finish alice
	[ "$STATUS" -eq 0 ] || fail "exit code $STATUS after SIG$signal"
	wait_log_since service "served talk-first $(grep -o '[0-9a-f]*$' "$T/sent.log")"
	proxy_start alice
	connected alice
done

step "an open stream does not delay the end for long"
call held "$FORWARD_PORT" hold
wait_log held '^held'
stop alice
succeed held

step "others see alice leave, and come back"
exits 3 alice verb bob wait --timeout 1
proxy_start alice
connected alice bob carol

step "nothing is left"
stop alice bob carol
left=$(find "$XDG_RUNTIME_DIR" -mindepth 1 ! -type d)
[ -z "$left" ] || fail "left in the runtime directory: $left"
for party in "${PARTIES[@]}"; do
	for ((i = 0; i < ${#PARTIES[@]}; i++)); do
		tool knock $((BASE[$party] + i)) "" | grep refused >/dev/null || fail "port $((BASE[$party] + i)) is still open"
	done
	exits 1 "running" verb "$party" status
done

step "a control socket that a killed proxy has left is no obstacle"
proxy_start alice bob carol
connected alice
murder alice
exits 1 "" verb alice status
proxy_start alice
connected alice
