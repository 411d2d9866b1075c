#!/bin/bash
# The command line: help and version everywhere, a hint and exit code 2 for what is not
# understood, 1 with a reason when a proxy is needed and none runs.
. "$(dirname "$0")/lib.sh"

verbs=$(mpcproxy --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | xargs)
[ "$(wc -w <<<"$verbs")" -ge 20 ] || fail "only these verbs: $verbs"

step "help and version"
mpcproxy --help | grep keygen >/dev/null || fail "--help does not name the verbs"
mpcproxy --version | grep -E '^mpcproxy [0-9]+\.[0-9]+' >/dev/null || fail "no version"
for verb in $verbs; do
	mpcproxy "$verb" --help | grep -i "usage.*$verb" >/dev/null || fail "$verb --help"
	mpcproxy "$verb" --version | grep '^mpcproxy ' >/dev/null || fail "$verb --version"
done

step "what is not understood"
exits 2 "--help" mpcproxy
exits 2 "frobnicate" mpcproxy frobnicate
exits 2 "--help" mpcproxy frobnicate
exits 2 "--frobnicate" mpcproxy --frobnicate
for verb in $verbs; do
	exits 2 "--frobnicate"$'\n'"Try \`mpcproxy $verb --help" mpcproxy "$verb" --frobnicate
done
for verb in check flags wait status; do
	exits 2 "-c" mpcproxy "$verb"
	exits 2 "" mpcproxy "$verb" -c
	exits 2 "extra" mpcproxy "$verb" -c x.ini extra
done
exits 2 "" mpcproxy ping -c x.ini
exits 2 "-l" mpcproxy rendezvous
exits 2 "" mpcproxy keygen one two

step "what is nearly right is told how it is right"
exits 0 "Usage: mpcproxy run" mpcproxy help run
exits 2 "frobnicate" mpcproxy help frobnicate
exits 2 "mpcproxy -c session.ini" mpcproxy session.ini
exits 2 "name of a session" mpcproxy status
exits 2 "run -c FILE -- python3" mpcproxy run -c x.ini python3 program.py
exits 2 "host is missing" mpcproxy rendezvous -l 7470
exits 1 "no session santa" mpcproxy -c santa
exits 1 "x.ini, and no file of that name" mpcproxy -c x.ini
exits 1 "x.ini does not exist" mpcproxy -c ./x.ini
exits 0 "mpcproxy invite" mpcproxy sessions

make_session alice bob carol
exits 127 "cannot be found" verb alice run -- no-such-program
exits 126 "not executable" verb alice run -- "$T/session.ini"
exits 1 "no-such.py" verb alice run -- "$PYTHON" no-such.py

step "servers that cannot be used"
sed '/^rendezvous/d; s/^name.*/&\nstun = stun.invalid\nturn = turn:turn.invalid/' "$T/session.ini" >"$T/servers.ini"
exits 0 "none: meet by hand" mpcproxy check -c "$T/servers.ini" --local "$T/alice.ini"
exits 0 "no turn-user" mpcproxy check -c "$T/servers.ini" --local "$T/alice.ini"
exits 1 "No STUN server could be asked" mpcproxy netcheck -c "$T/servers.ini" --local "$T/alice.ini"

exits 2 "timeout" verb alice wait --timeout soon
exits 2 "" verb alice ping bob -n 0
exits 2 "" verb alice ping bob -n many

step "no proxy runs"
exits 1 "running" verb alice status
exits 1 "running" verb alice ping bob
mpyc_flags alice
[ "$(verb alice flags)" = "${FLAGS[*]}" ] || fail "flags without a proxy: $(verb alice flags)"

step "SOCKS5 where the command line says, which must be loopback"
exits 1 "--socks5: " verb alice run --socks5 192.0.2.1:1080
exits 1 "--socks5: " verb alice run --socks5 nonsense

step "a run's own base port is what flags prints"
mark alice
port OTHER_BASE
PORT=$((PORT + 2))
port SOCKS_PORT
start_mpcproxy alice -c "$T/session.ini" --local "$T/alice.ini" -b "$OTHER_BASE" --socks5 "127.0.0.1:$SOCKS_PORT"
wait_log_since alice ' info '
BASE[alice]=$OTHER_BASE
mpyc_flags alice
[ "$(verb alice flags)" = "${FLAGS[*]}" ] || fail "flags of a running proxy: $(verb alice flags)"
(exec 3<>"/dev/tcp/127.0.0.1/$SOCKS_PORT") || fail "nobody listens where --socks5 says"
