#!/bin/bash
# No rendezvous at all: the parties meet by blocks of text, one from each to all others,
# passed on as mail programs do; early, late, damaged, old, foreign and repeated ones.
. "$(dirname "$0")/lib.sh"

# mailed NAME: what becomes of its block on the way: quoted, rewrapped, with CRLF and
# signatures
mailed() {
	{
		printf 'Hi,\r\nhere it is.\r\n\r\n'
		"$PYTHON" - "$T/$1.block" <<-'END'
			import sys, textwrap
			lines = open(sys.argv[1]).read().split()
			text = open(sys.argv[1]).read().splitlines()
			body = "".join(text[1:-1])
			for line in [text[0], *textwrap.wrap(body, 41), text[-1]]:
			    sys.stdout.write("> > " + line + " \r\n")
		END
		printf '\r\n-- \r\n%s\r\n' "$1"
	} >"$T/$1.mail"
}

# offer PARTY...: its block goes to PARTY.block
offer() {
	local party
	for party; do verb "$party" offer >"$T/$party.block" 2>"$T/$party.note" || fail "$(cat "$T/$party.note")"; done
}

# accept PARTY FILE...
accept() {
	local party=$1
	shift
	verb "$party" accept "$@" >"$T/$party.accepted" 2>&1 || fail "$party: $(cat "$T/$party.accepted")"
}

# peer_connected PARTY OTHER / missing PARTY OTHER: as PARTY sees it
peer_connected() { [ "$(json "$1" "peer['$2']['connected']")" = True ]; }
missing() { [ "$(json "$1" "peer['$2']['connected']")" = False ]; }

make_session alice bob carol
stop rendezvous
sed -i '/^rendezvous/d' "$T/session.ini"
exits 0 "" verb alice check
exits 1 "is running" verb alice offer
proxy_start alice bob carol
exits 3 "no block exchanged yet" verb alice wait --timeout 0

step "one block from each party, as mailed, pasted in any order"
offer alice bob carol
grep -q 'this block is for bob, carol:' "$T/alice.note" || fail "no word of whom it is for: $(cat "$T/alice.note")"
exits 3 "waiting for its block" verb alice wait --timeout 0
for party in alice bob carol; do mailed $party; done
accept alice "$T/bob.mail" "$T/carol.mail"
cat "$T/carol.mail" "$T/bob.block" "$T/alice.mail" | verb bob accept >"$T/bob.accepted" 2>&1 || fail "$(cat "$T/bob.accepted")"
grep -q 'own block is passed over' "$T/bob.accepted" || fail "own block: $(cat "$T/bob.accepted")"
accept carol "$T/alice.block" "$T/bob.mail"
connected alice bob carol
# Over the connection they tell each other that ICE has done its work.
carrier=socket
[ -z "${NO_FAST_PATH:-}" ] || carrier=agent
carried() { [ "$(verb "$1" status | grep -c "direct, IPv., $carrier, ")" -eq 2 ]; }
for party in alice bob carol; do eventually carried $party; done
compute
exits 1 "every party is connected" verb alice offer
exits 0 "alice is connected already" verb bob accept "$T/alice.block"

step "damaged, cut short, of another session, from a stranger, none at all"
stop carol
# The checksum is at the end; change a character in the middle.
"$PYTHON" - "$T/alice.block" "$T/damaged.block" <<-'END'
	import sys
	text = list(open(sys.argv[1]).read())
	i = len(text) // 2
	while text[i] in "\n-":
	    i += 1
	text[i] = "A" if text[i] != "A" else "B"
	open(sys.argv[2], "w").write("".join(text))
END
exits 1 "checksum is wrong" verb bob accept "$T/damaged.block"
head -n 5 "$T/alice.block" >"$T/short.block"
exits 1 "cut short" verb bob accept "$T/short.block"
cat "$T/short.block" "$T/alice.block" >"$T/both.block"
exits 1 "alice is connected already" verb bob accept "$T/both.block"
exits 1 "no block of another party" verb bob accept </dev/null
exits 1 "cannot open $T/nothing" verb bob accept "$T/nothing"
sed '3s/./!/' "$T/alice.block" >"$T/odd.block"
exits 1 "line 3: a character that no block has" verb bob accept "$T/odd.block"
sed "s/^name = test/name = other/" "$T/session.ini" >"$T/other.ini"
start_mpcproxy other -c "$T/other.ini" --local "$T/carol.ini"
wait_log other ' info '
mpcproxy offer -c "$T/other.ini" --local "$T/carol.ini" >"$T/other.block" 2>/dev/null
exits 1 "another session than test" verb bob accept "$T/other.block"
stop other

step "a party comes back: a block that answers its earlier life is refused, new ones connect"
proxy_start carol
eventually missing alice carol
eventually missing bob carol
offer carol
accept alice "$T/carol.block"
offer alice
stop carol
proxy_start carol
exits 1 "answers one of an earlier run of this proxy" verb carol accept "$T/alice.block"
offer carol bob
accept alice "$T/carol.block"
grep -q 'makes the block that it needs' "$T/alice.accepted" || fail "alice is not told: $(cat "$T/alice.accepted")"
accept bob "$T/carol.block"
offer alice
accept carol "$T/alice.block" "$T/bob.block"
connected alice bob carol
compute

step "hours between (here: longer than ICE tries by itself)"
stop bob alice
proxy_start alice bob
eventually missing carol alice
offer alice bob
accept alice "$T/bob.block"
sleep 15 # all of alice's checks have failed by now
exits 3 "checking candidate pairs" verb alice wait --timeout 0
accept bob "$T/alice.block"
eventually peer_connected alice bob
eventually peer_connected bob alice

step "killed and started again: who is silent is offered a block, and its new life connects"
carried_by() { verb "$1" status | finds "direct, IPv., $carrier, "; }
murder bob
proxy_start bob
silent() { [ "$(json alice "peer['bob']['state']")" = "connected, but silent" ]; }
eventually silent
offer alice bob
accept alice "$T/bob.block"
accept bob "$T/alice.block"
eventually carried_by bob
wait_log bob 'peer=alice .*connected'
wait_log alice 'peer=bob disconnected: replaced by a new connection'
