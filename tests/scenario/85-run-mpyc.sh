#!/bin/bash
# mpcproxy run with MPyC's own programs: right results, in a namespace, with other words
# between the flags; and what hangs MPyC, a party that dies, ends the program.
SCENARIO_LIMIT=600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

[ -n "${MPYC_PATH:-}" ] || skip "MPYC_PATH is not set (a checkout of MPyC)"
export PYTHONPATH=$MPYC_PATH
demos=$MPYC_PATH/demos
DEADLINE=$((DEADLINE * 5)) # MPyC computes
make_session alice bob carol
no_base_ports

# everybody [OPTION...] -- PROGRAM...: at all parties, to a good end
everybody() {
	local name
	for name in alice bob carol; do run_start "$name" "$@"; done
	for name in alice bob carol; do succeed "$name-run"; done
}

step "secretsanta"
everybody -- "$PYTHON" "$demos/secretsanta.py" 4
logged alice-run 'running secretsanta.py, Python 3[^ ]*, MPyC [0-9]'
for name in alice bob carol; do grep 'Assignment\|assign' "$T/$name-run.log" >"$T/$name.result" || true; done
cmp "$T/alice.result" "$T/bob.result" || fail "alice and bob have drawn different lots"

step "aes, isolated, with flags of MPyC's in front"
everybody --isolate -- "$PYTHON" "$demos/aes.py" '{mpyc}' -1

step "MPyC's parameters are compared"
run_start alice -- "$PYTHON" "$demos/secretsanta.py" 4 -K 30
run_start bob -- "$PYTHON" "$demos/secretsanta.py" 4 -K 40
run_start carol -- "$PYTHON" "$demos/secretsanta.py" 4 -K 30
for name in alice bob carol; do
	finish "$name-run"
	[ "$STATUS" -eq 76 ] || fail "$name: exit code $STATUS instead of 76"
done

step "a party dies in the middle: the others' programs end"
cat >"$T/forever.py" <<'END'
from mpyc.runtime import mpc

async def main():
    secint = mpc.SecInt(32)
    async with mpc:
        print("computing", flush=True)
        while True:
            await mpc.output(mpc.sum(mpc.input(secint(1))))

mpc.run(main())
END
for name in alice bob carol; do run_start "$name" -- "$PYTHON" "$T/forever.py"; done
for name in alice bob carol; do wait_log "$name-run" computing; done
murder carol-run
for name in alice bob; do
	finish "$name-run"
	[ "$STATUS" -eq 75 ] || fail "$name: exit code $STATUS instead of 75"
	logged "$name-run" 'carol'
done
