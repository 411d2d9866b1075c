#!/bin/bash
# Three parties on one machine: connected, the flags, a computation, the status, a ping.
. "$(dirname "$0")/lib.sh"

three

step "a single line says when all are connected"
for party in "${PARTIES[@]}"; do
	wait_log "$party" 'all .*connected'
	[ "$(grep -c 'all .*connected' "$T/$party.log")" -eq 1 ] || fail "$party says it more than once"
done

step "the flags"
for party in "${PARTIES[@]}"; do
	mpyc_flags "$party"
	printed=$(verb "$party" flags)
	[ "$printed" = "${FLAGS[*]}" ] || fail "$party: '$printed' instead of '${FLAGS[*]}'"
done

step "a computation"
REPEAT=20 compute

step "status"
verb alice status | grep bob >/dev/null || fail "bob is not in alice's status"
[ "$(json alice "(s['connected'], sorted(peer), peer['bob']['path']['type'])")" = \
	"(2, ['bob', 'carol'], 'direct')" ] || fail "status --json says: $(verb alice status --json)"

step "ping"
verb alice ping bob -n 3 | grep 'min' >/dev/null || fail "no minimum in what ping prints"
exits 1 mallory verb alice ping mallory

step "the end"
stop "${PARTIES[@]}" rendezvous
