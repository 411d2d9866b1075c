#!/bin/bash
# A program that waits in vain is ended: when a party's proxy is gone for good, when its
# program has failed, when the own proxy has ended.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

make_session alice bob carol
# Room for a fourth, and the shortest outage-limit.
for name in alice bob carol; do
	BASE[$name]=$PORT
	PORT=$((PORT + 4))
	local_ini "$name" 'outage-limit = 10s'
done
demo=$TOP/contrib/demo/secure_sum.py
printf '#!/bin/sh\ntrap "" TERM\necho deaf\nwhile :; do sleep 0.05; done\n' >"$T/deaf"
printf '#!/bin/sh\ntrap "echo told to end; exit 9" TERM\necho waiting\nwhile :; do sleep 0.05; done\n' >"$T/waits"
chmod +x "$T/deaf" "$T/waits"

ends() { # ends NAME CODE
	finish "$1-run"
	[ "$STATUS" -eq "$2" ] || fail "$1: exit code $STATUS instead of $2"
}

step "a party's proxy is killed and another one started"
proxy_start alice bob carol
connected alice bob carol
for name in alice bob carol; do run_start "$name" -- "$T/waits"; done
for name in alice bob carol; do wait_log "$name-run" '^waiting'; done
murder carol
ends carol 75
logged carol-run 'the proxy has ended'
proxy_start carol
for name in alice bob; do
	ends "$name" 75
	logged "$name-run" 'carol is lost'
	logged "$name-run" 'ending the program'
	logged "$name-run" 'told to end'
done
connected alice bob carol

step "a party is added while programs run, which does not concern them"
printf '#!/bin/sh\necho waiting\nwhile [ ! -e "%s" ]; do sleep 0.05; done\n' "$T/go" >"$T/until"
chmod +x "$T/until"
for name in alice bob carol; do run_start "$name" -- "$T/until"; done
for name in alice bob carol; do wait_log "$name-run" '^waiting'; done
cp "$T/session.ini" "$T/three.ini"
"$MPCPROXY" keygen "$T/dave.pem" >/dev/null
printf '[party dave]\nkey = %s\n' "$("$MPCPROXY" id "$T/dave.pem")" >>"$T/session.ini"
for name in alice bob carol; do verb "$name" reload >/dev/null; done
touch "$T/go"
for name in alice bob carol; do ends "$name" 0; done
cp "$T/three.ini" "$T/session.ini"
for name in alice bob carol; do verb "$name" reload >/dev/null; done

step "a party is taken out while programs run"
for name in alice bob carol; do run_start "$name" -- "$T/waits"; done
for name in alice bob carol; do wait_log "$name-run" '^waiting'; done
sed '/^\[party carol\]/,$d' "$T/three.ini" >"$T/session.ini"
for name in alice bob; do verb "$name" reload >/dev/null; done
for name in alice bob carol; do ends "$name" 75; done
for name in alice bob; do logged "$name-run" 'carol is lost'; done
cp "$T/three.ini" "$T/session.ini"
for name in alice bob; do verb "$name" reload >/dev/null; done
connected alice bob carol

step "nothing is heard of a party for longer than outage-limit"
for name in alice bob carol; do run_start "$name" -- "$T/waits"; done
for name in alice bob carol; do wait_log "$name-run" '^waiting'; done
kill -STOP "${PID[carol]}"
for name in alice bob; do
	ends "$name" 75
	logged "$name-run" ' is lost: '
done
logged_outage=$(grep -h 'peer=carol disconnected: .*(outage-limit)' "$T/alice.log" "$T/bob.log" || true)
[ -n "$logged_outage" ] || fail "neither alice nor bob has given carol up"
kill -CONT "${PID[carol]}"
ends carol 75
connected alice bob carol

step "what does not end on SIGTERM is killed"
for name in alice bob carol; do run_start "$name" --allow-different -- "$T/$([ $name = alice ] && echo deaf || echo waits)"; done
wait_log alice-run '^deaf'
wait_log bob-run '^waiting'
wait_log carol-run '^waiting'
murder carol
proxy_start carol
ends alice 75
logged alice-run 'killing it'
ends bob 75
ends carol 75
connected alice bob carol

step "a party's verb is killed: its program goes with it, and the others' end"
for name in alice bob carol; do run_start "$name" -- "$T/waits"; done
for name in alice bob carol; do wait_log "$name-run" '^waiting'; done
murder carol-run
ends alice 75
ends bob 75
logged alice-run 'carol: its run was ended'

step "a program fails while the others wait for it"
for name in alice carol; do run_start "$name" --allow-different -- "$PYTHON" "$demo" 1; done
run_start bob --allow-different -- sh -c 'exit 5'
ends bob 5
for name in alice carol; do
	ends "$name" 75
	logged "$name-run" 'bob: its program has ended with exit code 5'
	logged "$name-run" 'bob is lost: .*ours waits for it'
done

step "one that has all it needs may go on"
run_start bob --allow-different -- sh -c "$PYTHON $demo {mpyc} 1; exit 5"
for name in alice carol; do
	run_start "$name" --allow-different -- sh -c "$PYTHON $demo {mpyc} 1 && sleep 6 && echo all done"
done
ends bob 5
for name in alice carol; do
	ends "$name" 0
	logged "$name-run" 'all done'
	logged "$name-run" 'bob: its program has ended with exit code 5'
done
