#!/bin/bash
# Why something cannot be reached, as the far end knows it, is what SOCKS5 clients are told by
# their reply codes and `connect` says in words: network and host unreachable, refused, timed
# out, not allowed. And what is no SOCKS5 request is answered or closed, and never hangs.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

command -v curl >/dev/null || skip "curl is not installed"

# Behind bob there are networks that do not answer, as his routes say.
ip route add unreachable 198.51.100.0/24
ip -6 route add unreachable 2001:db8:1::/48
ip route add prohibit 192.0.2.0/24

make_session alice bob
for name in SOCKS_PORT CLOSED_PORT DEAF_PORT SIX_PORT; do port $name; done
local_ini alice "socks5 = 127.0.0.1:$SOCKS_PORT"
local_ini bob "expose = $CLOSED_PORT for alice" "expose = $DEAF_PORT for alice" \
	"expose = 203.0.113.1:80 for alice unsafe" "expose = 198.51.100.1:80 for alice unsafe" \
	"expose = 192.0.2.1:80 for alice unsafe" "expose = no-such-host.invalid:80 for alice unsafe" \
	"expose = [2001:db8:1::1]:80 for alice unsafe" "expose = [2001:db8:2::1]:80 for alice unsafe" \
	"expose = unix:$T/nobody.sock for alice"
start deaf "$PYTHON" "$HERE/tool.py" deaf "$DEAF_PORT"
proxy_start alice bob
connected alice bob
wait_log deaf '^deaf$'

# told CODE HOST:PORT: so a SOCKS5 client's request is answered
told() {
	exits 97 "($1)" curl -sS --max-time $((DEADLINE + 30)) --socks5-hostname "localhost:$SOCKS_PORT" "http://$2/"
}

# A client that says no more, and one that no answer comes for: it takes the proxy 10 seconds
# and the far end 15 to give up, so all else happens meanwhile.
start silent "$PYTHON" "$HERE/tool.py" --timeout $((DEADLINE + 30)) knock "$SOCKS_PORT" 05
start late curl -sS --max-time $((DEADLINE + 30)) --socks5-hostname "localhost:$SOCKS_PORT" "http://bob:$DEAF_PORT/"

# First, while lines about refusals are not yet left out.
step "2: not exposed, no party, oneself"
told 2 203.0.113.2.bob.mpc:80
logged bob 'warn.*peer=alice asked for 203.0.113.2:80, which is not exposed to it'
logged alice 'peer=bob target=203.0.113.2:80 a connection is refused: not exposed'
told 2 bob:9
told 2 carol:80
told 2 alice:80
told 2 203.0.113.1:80

step "3: there is no route"
told 3 203.0.113.1.bob.mpc:80
exits 1 "network is unreachable" verb alice connect bob:203.0.113.1:80 </dev/null
exits 1 "network is unreachable" verb alice connect 'bob:[2001:db8:2::1]:80' </dev/null

step "4: the host does not answer, or has no address"
told 4 198.51.100.1.bob.mpc:80
told 4 no-such-host.invalid.bob.mpc:80
exits 1 "host is unreachable" verb alice connect bob:198.51.100.1:80 </dev/null
exits 1 "host is unreachable" verb alice connect 'bob:[2001:db8:1::1]:80' </dev/null

step "5: nobody listens"
told 5 "bob:$CLOSED_PORT"
exits 1 "nothing listens" verb alice connect "bob:$CLOSED_PORT" </dev/null
exits 1 "nothing listens" verb alice connect "bob:unix:$T/nobody.sock" </dev/null

step "1: anything else, for instance a route that prohibits it"
told 1 192.0.2.1.bob.mpc:80

step "what is no request"
tool socks-malformed "$SOCKS_PORT"

step "a client that says no more is hung up on"
finish silent
logged silent "^ended: FIN"

step "6: no answer within 15 s"
finish late
[ "$STATUS" -eq 97 ] || fail "curl ended with $STATUS"
logged late '\(6\)'
compute
