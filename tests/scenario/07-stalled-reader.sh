#!/bin/bash
# A reader that stops reading stops the writer at the far end; memory stays bounded,
# and other streams of the same pair go on.
. "$(dirname "$0")/lib.sh"

# Not under valgrind or a sanitizer, whose own memory is counted too.
rss_mib() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/${PID[$1]}/status"; }

ordinary
before=$(rss_mib alice)
start stalled "$PYTHON" "$HERE/tool.py" --timeout 3 call "$FORWARD_PORT" stall
wait_log service 'served stall'
succeed stalled
mib=$(grep -o '[0-9]* MiB' "$T/stalled.log" | cut -d' ' -f1)
step "the writer was stopped after $mib MiB"
# Two socket buffers on each side (6 and 4 MiB at most by default), the sender's buffer
# and the receiver's window (8 MiB each).
[ "$mib" -le 48 ] || fail "$mib MiB went to somebody who does not read"

step "four writers that are stopped, and one stream that goes on"
for i in 1 2 3 4; do
	start "stalled$i" "$PYTHON" "$HERE/tool.py" --timeout 3 call "$FORWARD_PORT" stall
done
call exchange "$FORWARD_PORT" exchange --streams 5 --length 1000000
succeed exchange stalled1 stalled2 stalled3 stalled4
after=$(rss_mib alice)
step "alice's memory: $before MiB before, $after MiB after; bob's: $(rss_mib bob) MiB"
if [ -z "${WRAP:-}${SANITIZERS:-}" ]; then
	[ $((after - before)) -le 100 ] || fail "the writers' proxy grew by $((after - before)) MiB"
	[ "$(rss_mib bob)" -le $((before + 100)) ] || fail "the reader's proxy grew to $(rss_mib bob) MiB"
fi
