#!/bin/bash
# Our QUIC against the example programs of ngtcp2 with GnuTLS: another TLS library, and
# packet protection that we did not write. Needs Debian's ngtcp2-client, ngtcp2-server
# and openssl.
set -eu

skip()
{
	echo "skipped: $1"
	exit 77
}

PATH=$PATH:/usr/sbin
for tool in gtlsserver:ngtcp2-server gtlsclient:ngtcp2-client openssl:openssl; do
	command -v "${tool%%:*}" >/dev/null ||
		skip "${tool%%:*} is missing (Debian package ${tool#*:})"
done

probe=$PWD/tests/interop/quic_probe
dir=$(mktemp -d)
pid=
# Below the ephemeral range; another for each server.
port=$((20000 + $$ % 10000))

cleanup()
{
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

fail()
{
	echo "FAILED: $1"
	tail -n 20 "$dir"/*.log
	exit 1
}

for who in ours theirs stranger; do
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
		-out "$dir/$who.pem" 2>/dev/null
	chmod 600 "$dir/$who.pem"
	openssl req -x509 -new -key "$dir/$who.pem" -subj "/CN=$who" -days 2 \
		-out "$dir/$who.crt" 2>/dev/null
done
ours=$("$probe" key "$dir/ours.pem")
theirs=$("$probe" key "$dir/theirs.pem")
[ -n "$ours" ] && [ "$ours" != "$theirs" ]
mkdir "$dir/htdocs" "$dir/download"
head -c 300000 /dev/urandom >"$dir/htdocs/probe"

# Our client; the arguments are for their server.
their_server()
{
	what=$1
	shift
	port=$((port + 1))
	gtlsserver -q -d "$dir/htdocs" --verify-client "$@" 127.0.0.1 "$port" \
		"$dir/theirs.pem" "$dir/theirs.crt" >"$dir/server.log" 2>&1 &
	pid=$!
	"$probe" client 127.0.0.1 "$port" "$dir/ours.pem" "$theirs" \
		>"$dir/body" 2>"$dir/client.log" || fail "$what"
	cmp -s "$dir/body" "$dir/htdocs/probe" || fail "$what: the body differs"
	kill "$pid"
	wait "$pid" || :
	pid=
	echo "ok: $what"
}

# Their client; the arguments are for it.
our_server()
{
	what=$1
	shift
	port=$((port + 1))
	rm -f "$dir/download/probe"
	"$probe" server "$port" "$dir/ours.pem" "$theirs" "$dir/htdocs/probe" \
		2>"$dir/server.log" &
	pid=$!
	gtlsclient -q --exit-on-all-streams-close --download="$dir/download" "$@" \
		127.0.0.1 "$port" "https://localhost/probe" >"$dir/client.log" 2>&1 || :
}

served()
{
	our_server "$@"
	wait "$pid" || fail "$what"
	pid=
	cmp -s "$dir/download/probe" "$dir/htdocs/probe" || fail "$what: the body differs"
	echo "ok: $what"
}

refused()
{
	our_server "$@"
	if wait "$pid"; then
		fail "$what: served"
	fi
	pid=
	if grep -q "^established" "$dir/server.log" || [ -s "$dir/download/probe" ]; then
		fail "$what: let in"
	fi
	grep -q "^ended: " "$dir/server.log" || fail "$what"
	echo "ok: $what: $(sed -n 's/^ended: //p' "$dir/server.log")"
}

suite()
{
	echo "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+$1"
}

their_server "our client, AES-128-GCM" --ciphers="$(suite AES-128-GCM)"
their_server "our client, AES-256-GCM" --ciphers="$(suite AES-256-GCM)"
their_server "our client, ChaCha20-Poly1305" --ciphers="$(suite CHACHA20-POLY1305)"
their_server "our client, after a Retry" -V

cert=(--key="$dir/theirs.pem" --cert="$dir/theirs.crt")
served "their client" "${cert[@]}"
served "their client, with a key update" "${cert[@]}" --key-update=20ms \
	--delay-stream=200ms
served "their client, ChaCha20-Poly1305" "${cert[@]}" \
	--ciphers="$(suite CHACHA20-POLY1305)"
refused "their client without a certificate"
refused "their client with another key" --key="$dir/stranger.pem" \
	--cert="$dir/stranger.crt"
