#!/bin/bash
# mpcproxy run --isolate needs no privileges: as an ordinary user without capabilities.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/run.sh"

user=(--no-new-privs --inh-caps=-all --bounding-set=-all)
uid=$(id -u)
[ "$uid" -ne 0 ] || uid=65534
[ "$(id -u)" -ne 0 ] || user=(--reuid 65534 --regid 65534 --clear-groups "${user[@]}")
[ "$(id -u)" -eq 0 ] || user=(--no-new-privs)
setpriv "${user[@]}" unshare -Un true 2>/dev/null || skip "unprivileged user namespaces are forbidden here"

# Where that user can get at them.
install -m 755 "$MPCPROXY" "$T/mpcproxy"
install -m 644 "$TOP/contrib/demo/secure_sum.py" "$T/"
MPCPROXY=$T/mpcproxy
make_session alice bob carol
no_base_ports
[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$T"
WRAP="setpriv ${user[*]}"

step "three isolated programs compute"
for name in alice bob carol; do
	run_start "$name" --isolate -- "$PYTHON" "$T/secure_sum.py" '{mpyc}' "$((10 ** INDEX[$name]))"
done
for name in alice bob carol; do
	succeed "$name-run"
	logged "$name-run" 'sum 111,'
done

step "who it is, and what it may"
for name in alice bob carol; do
	run_start "$name" --isolate -- sh -c 'id -u; grep CapEff /proc/self/status; unshare -n true || echo no more'
done
for name in alice bob carol; do
	succeed "$name-run"
	logged "$name-run" "^$uid\$"
	logged "$name-run" '^CapEff:.0000000000000000$'
	logged "$name-run" '^no more'
done
