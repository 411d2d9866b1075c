#!/bin/bash
# mpcproxy run at a terminal, and signals: prompts work, Ctrl-C interrupts once, Ctrl-Z and
# fg stop and continue it, other signals are passed on, and progress is one line.
. "$(dirname "$0")/lib.sh"

make_session alice bob
proxy_start bob
"$PYTHON" "$HERE/run_terminal.py" "$MPCPROXY" "$T" "$DEADLINE" || fail "see above"
