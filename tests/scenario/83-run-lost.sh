#!/bin/bash
# A program that waits in vain is ended: when a party's proxy is gone for good, when its
# program has failed, when the own proxy has ended.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

make_session alice bob carol
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
