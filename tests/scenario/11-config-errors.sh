#!/bin/bash
# Every mistake in session.ini and local.ini is named with file and line.
. "$(dirname "$0")/lib.sh"

for party in alice bob mallory; do
	"$MPCPROXY" keygen "$T/$party.pem" >/dev/null
	declare "$party=$("$MPCPROXY" id "$T/$party.pem")"
done
# shellcheck disable=SC2154
place="tls://127.0.0.1:7470#$mallory"

# Nine lines that are right; a mistake replaces one of them or comes after them.
# shellcheck disable=SC2154
good=("[session]" "name = test" "rendezvous = $place" "" "[party alice]" "key = $alice" ""
	"[party bob]" "key = $bob")
local_ini=("[local]" "identity = $T/alice.pem" "upnp = no")

write() {
	(umask 077 && printf '%s\n' "${@:2}" >"$T/$1")
}

# wrong FILE LINE: check refuses, and names the place
wrong() {
	exits 1 "$1:$2" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"
}

# line NUMBER TEXT: session.ini with this line instead; the mistake is there, or on the
# line given as third argument
line() {
	local changed=("${good[@]}")
	changed[$1 - 1]=$2
	write session.ini "${changed[@]}"
	printf -- '- session.ini:%s: %.60s\n' "${3:-$1}" "$2"
	wrong session.ini "${3:-$1}"
}

# more LINE TEXT...: session.ini with further lines, the mistake on line LINE
more() {
	write session.ini "${good[@]}" "${@:2}"
	printf -- '- session.ini:%s: %.60s\n' "$1" "$2"
	wrong session.ini "$1"
}

# here LINE TEXT...: local.ini with further lines (from 4 on)
here() {
	write local.ini "${local_ini[@]}" "${@:2}"
	printf -- '- local.ini:%s: %.60s\n' "$1" "$2"
	wrong local.ini "$1"
	write local.ini "${local_ini[@]}"
}

write local.ini "${local_ini[@]}"
write session.ini "${good[@]}"
step "all is well"
mpcproxy check -c "$T/session.ini" --local "$T/local.ini"

step "no such file"
exits 1 "$T/none.ini" mpcproxy check -c "$T/none.ini" --local "$T/local.ini"
exits 1 "$T/none.ini" mpcproxy check -c "$T/session.ini" --local "$T/none.ini"

line 1 "[sessions]"
line 1 "name"
line 2 "nmae = test"
line 2 "name = Test"
line 2 "name = "
line 2 "name = a-name-that-is-much-longer-than-32-characters"
line 3 "rendezvous = tls://127.0.0.1:7470"
line 3 "rendezvous = tls://127.0.0.1#$mallory"
line 3 "rendezvous = tls://127.0.0.1:99999#$mallory"
line 3 "rendezvous = tls://127.0.0.1:0#$mallory"
line 3 "rendezvous = tls://127.0.0.1:7470#no-key"
line 3 "rendezvous = gopher://127.0.0.1:7470"
line 5 "[party Alice]"
line 5 "[party bob]" 8
line 5 "[party]"
line 5 "[party a/b]"
line 5 "[party a b]"
line 6 "key = $bob" 9
line 6 "key = ${alice:0:43}"
line 6 "key = ${alice}A"
line 6 "key = A/////////////////////////////////////////"
line 6 "kee = $alice"
line 6 "identity = $T/alice.pem"
line 4 "stun = :3478"
line 4 "stun = stun.example.org:0"
line 4 "turn = relay.example.org:port"
line 4 "turn = turn:relay.example.org?transport=sctp"
line 4 "path = sideways"
line 4 "stun = stun.example.org # no comment"
line 4 "base-port = 11365"
line 4 "# $(printf 'x%.0s' {1..5000})"
line 4 "stun = $(printf 'x%.0s' {1..300}).example.org:3478"
more 10 "[local]" "base-port = 11365"
more 10 "[party carol]"
more 10 "key = $bob"

step "the own key is not in the list"
write session.ini "${good[@]}"
exits 1 "$mallory" mpcproxy check -c "$T/session.ini" -i "$T/mallory.pem" --local "$T/local.ini"

step "a comment behind a value is asked for in its form"
write session.ini "${good[@]:0:3}" "stun = stun.example.org # ours" "${good[@]:4}"
exits 1 'a comment behind a value begins' mpcproxy check -c "$T/session.ini" --local "$T/local.ini"
write session.ini "${good[@]:0:3}" "stun = stun.example.org ; ours" "${good[@]:4}"
exits 0 "stun.example.org" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"

step "one party only"
write session.ini "${good[@]:0:6}"
exits 1 "session.ini" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"

step "257 parties"
"$PYTHON" - "$T/session.ini" <<'END'
import base64, sys
# Compressed points of P-256: x and the square root's parity.
p = 2**256 - 2**224 + 2**192 + 2**96 - 1
b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
keys, x = [], 1
while len(keys) < 257:
    x += 1
    square = (x**3 - 3 * x + b) % p
    if pow(square, (p - 1) // 2, p) == 1:
        keys.append(base64.b64encode(b"\2" + x.to_bytes(32, "big")).decode())
with open(sys.argv[1], "a") as file:
    for i, key in enumerate(keys):
        file.write(f"[party p{i}]\nkey = {key}\n")
END
exits 1 "session.ini:" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"
exits 1 "256" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"

write session.ini "${good[@]}"
here 4 "[session]" "name = test"
here 4 "base-prot = 11365"
here 4 "base-port = 0"
here 4 "base-port = 65535"
here 4 "base-port = 11365x"
here 4 "listen = 7470"
here 4 "socks5 = 192.0.2.1:1080"
here 4 "mpyc-guard = perhaps"
here 4 "expose = 8888"
here 4 "expose = 0 for bob"
here 4 "expose = 8888 for mallory"
here 4 "forward = 9000 to bob"
here 4 "forward = 9000 to mallory:80"
here 4 "forward = 70000 to bob:80"

step "credentials that do not go together"
for lines in "turn-password = only-this" "turn-user = only-this" $'turn-secret = one\nturn-user = two\nturn-password = three'; do
	write local.ini "${local_ini[@]}" "$lines"
	exits 1 "local.ini: turn-" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"
done

step "a local.ini with a secret that others can read"
write local.ini "${local_ini[@]}" "turn-secret = hush"
chmod 644 "$T/local.ini"
exits 1 "local.ini" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"
