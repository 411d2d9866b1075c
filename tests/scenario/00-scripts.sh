#!/bin/bash
# What is not compiled is at least read: scripts by shellcheck, manual pages by mandoc.
SCENARIO_LIMIT=900
. "$(dirname "$0")/lib.sh"

command -v shellcheck >/dev/null || skip "no shellcheck (Debian package shellcheck)"
cd "$TOP"

mapfile -t scripts < <(grep -lIEr '^#!/bin/(ba)?sh' .ci contrib tests --include='*.sh' --include=run \
	--include=quickstart 2>/dev/null)
[ ${#scripts[@]} -gt 5 ] || fail "only ${#scripts[@]} scripts"
step "shellcheck: ${#scripts[@]} scripts"
shellcheck "${scripts[@]}" tests/scenario/lib.sh tests/scenario/faults.sh tests/scenario/broker.sh \
	contrib/completion/mpcproxy

step "no test ends a pipe with grep -q: finds.sh says why"
! grep -rnE --include='*.sh' '\| *grep -[a-zA-Z]*q' tests || fail "use finds"

if command -v mandoc >/dev/null; then
	mapfile -t pages < <(find doc -name '*.[1-8]')
	step "mandoc: ${#pages[@]} manual pages"
	[ ${#pages[@]} -eq 0 ] || mandoc -T lint -W warning "${pages[@]}"
fi
