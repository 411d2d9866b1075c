#!/bin/bash
# Joining that is interrupted, and repeated: before the others are there, between the words
# and the confirmation, after all is agreed upon; and an invitation that is ended.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/adhoc.sh"

# The answer is typed by hand here, when the time has come.
mkfifo "$T/keys"
exec 9<>"$T/keys"
cat >"$T/typist.py" <<'EOF'
import os, pty, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
keys = os.open(sys.argv[1], os.O_RDWR)
while True:
    ready, _, _ = select.select([fd, keys], [], [])
    if keys in ready:
        os.write(fd, os.read(keys, 256))
    if fd in ready:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        os.write(1, data.replace(b'\r\n', b'\n'))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) % 256)
EOF
mark alice
# shellcheck disable=SC2086
begins_at alice "$PYTHON" "$T/typist.py" "$T/keys" ${WRAP:-} "$MPCPROXY" invite santa --parties 3
ticket alice

step "bob is killed while he waits, and comes back"
begins bob join "$TICKET"
wait_log bob '2 of 3 parties are there'
murder bob
begins bob join "$TICKET"
wait_log_since bob '2 of 3 parties are there'

step "bob leaves with Ctrl-C, and comes back under another name"
mark alice
kill -INT "${PID[bob]}"
unset 'PROXY[bob]'
finish bob
wait_log_since alice '^bob is not there any more: it has left'
begins bob join "$TICKET" --as robert
wait_log_since alice '^robert has joined'

step "carol is killed between the words and the confirmation: other words"
begins carol join "$TICKET"
first=$(words carol)
[ "$(words alice)" = "$first" ] || fail "other words"
mark alice
mark bob
murder carol
wait_log_since alice 'carol is not there any more: .* Forget the words above'
wait_log_since bob 'forget these words'
mark alice
mark bob
begins carol join "$TICKET"
second=$(words carol)
[ "$second" != "$first" ] || fail "the same words again"
[ "$(words alice)" = "$second" ] || fail "alice sees other words"
[ "$(words bob)" = "$second" ] || fail "bob sees other words"

step "confirmed"
echo y >&9
all_connected santa alice bob carol

step "carol loses the files and joins once more: late, but a party"
stop carol
types carol leave santa
begins carol join "$TICKET"
wait_log_since carol 'You are a party of it already'
all_connected santa alice bob carol
same_file santa alice bob carol

step "the same when alice has started again meanwhile"
kill -TERM "$(pgrep -P "${PID[alice]}")"
succeed alice
stop carol
types carol leave santa
begins alice -c santa
begins carol join "$TICKET"
wait_log_since carol 'You are a party of it already'
all_connected santa alice bob carol
exits 1 "you are too late" types dave join "$TICKET"
stop alice bob carol

step "an invitation that is ended: those who wait are told"
at_terminal erin y invite party --parties 3
ticket erin
begins frank join "$TICKET"
unset 'PROXY[frank]'
wait_log erin '^frank has joined'
kill -INT "${PID[erin]}"
finish frank
[ "$STATUS" -eq 1 ] || fail "frank ended with $STATUS"
logged frank 'the host has ended the invitation'
finish erin
[ "$STATUS" -eq 1 ] || fail "erin ended with $STATUS"

step "what was typed before the words were there does not confirm them"
mark helen
# shellcheck disable=SC2086
begins_at helen "$PYTHON" "$HERE/terminal.py" --answer "mpcproxy join =y" --answer "\\[y/N\\] =n" -- \
	${WRAP:-} "$MPCPROXY" invite before --parties 2
ticket helen
begins ian join "$TICKET"
unset 'PROXY[ian]'
finish helen
[ "$STATUS" -eq 1 ] || fail "helen ended with $STATUS"
logged helen 'Not confirmed'
finish ian
logged ian 'the host has ended the invitation'
