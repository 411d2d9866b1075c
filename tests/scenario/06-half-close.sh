#!/bin/bash
# FIN stays FIN, after all data, and closes one half only: ours first, theirs first.
. "$(dirname "$0")/lib.sh"

ordinary
for length in 0 1 5000 3000000; do
	step "$length bytes"
	call ours "$FORWARD_PORT" listen-first --length $length
	succeed ours
	call theirs "$CAROL_PORT" talk-first --length $length
	succeed theirs
	wait_log service "served talk-first $(grep -o '[0-9a-f]*$' "$T/theirs.log")"
done

step "small messages to and fro"
call echoes "$FORWARD_PORT" echo --streams 2000 --length 64
succeed echoes
