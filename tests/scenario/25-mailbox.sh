#!/bin/bash
# The verb rendezvous: its key, the line it prints, and what strangers get from it.
. "$(dirname "$0")/lib.sh"

line='^tls://127\.0\.0\.1:[0-9]+#[A-Za-z0-9+/]{44}$'

step "a key on first use, the line for session.ini alone on stdout"
port RENDEZVOUS_PORT
# shellcheck disable=SC2086
${WRAP:-} "$MPCPROXY" rendezvous -l "127.0.0.1:$RENDEZVOUS_PORT" -i "$T/new/rendezvous.pem" \
	>"$T/stdout.log" 2>"$T/stderr.log" &
PID[first]=$!
wait_file "$T/stdout.log" "$line"
[ "$(wc -l <"$T/stdout.log")" -eq 1 ] || fail "more than one line"
[ ! -s "$T/stderr.log" ] || fail "something on stderr"
[ "$(stat -c %a "$T/new/rendezvous.pem")" = 600 ] || fail "the file's mode is not 0600"
first=$(cat "$T/stdout.log")
[ "${first#*#}" = "$(mpcproxy id "$T/new/rendezvous.pem")" ] || fail "the key is not the file's"

step "a port in use"
exits 1 "127.0.0.1:$RENDEZVOUS_PORT: another program has this port" \
	mpcproxy rendezvous -l "127.0.0.1:$RENDEZVOUS_PORT" -i "$T/new/rendezvous.pem"

step "strangers: nothing, HTTP, TLS without a certificate or another protocol"
exec 3<>"/dev/tcp/127.0.0.1/$RENDEZVOUS_PORT" && exec 3>&-
exec 3<>"/dev/tcp/127.0.0.1/$RENDEZVOUS_PORT"
printf 'GET / HTTP/1.0' >&3
timeout "$DEADLINE" cat <&3 >/dev/null 2>&1 || [ $? -ne 124 ] || fail "HTTP is not refused"
exec 3>&-
for alpn in mpcproxy-mailbox/1 h2; do
	! timeout "$DEADLINE" openssl s_client -connect "127.0.0.1:$RENDEZVOUS_PORT" -alpn "$alpn" \
		-ign_eof </dev/null >"$T/s_client.log" 2>&1 || fail "openssl with ALPN $alpn was served"
	grep -q alert "$T/s_client.log" || fail "no alert for openssl with ALPN $alpn"
done
wait_file "$T/stderr.log" 'from=127\.0\.0\.1:[0-9]+ .*closed:'

step "SIGTERM and SIGINT end it, the key stays"
stop first
start_mpcproxy second rendezvous -l "127.0.0.1:$RENDEZVOUS_PORT" -i "$T/new/rendezvous.pem"
wait_log second "$line"
[ "$(cat "$T/second.log")" = "$first" ] || fail "another line after a restart"
kill -INT "${PID[second]}"
succeed second

step "any port, the default key, a wildcard address"
start_mpcproxy any rendezvous -l 0.0.0.0:0
wait_log any '^tls://[^:]+:[1-9][0-9]*#'
wait_log any 'put the name or address by which the parties reach it'
[ -f "$XDG_CONFIG_HOME/mpcproxy/rendezvous.pem" ] || fail "the default file was not used"
stop any

step "what is said to nobody is written to no socket"
# shellcheck disable=SC2086
${WRAP:-} "$MPCPROXY" rendezvous -l 127.0.0.1:0 >"$T/closed.log" <&- 2>&- &
PID[closed]=$!
wait_file "$T/closed.log" "$line"
for fd in 0 2; do
	file=$(readlink "/proc/${PID[closed]}/fd/$fd")
	[ "$file" = /dev/null ] || fail "descriptor $fd is $file"
done
stop closed
# shellcheck disable=SC2016
exits 1 "standard output" sh -c '"$1" --version >&-' sh "$MPCPROXY"

step "bad command lines and keys"
exits 2 "-l HOST:PORT is missing" mpcproxy rendezvous
for listen in localhost 127.0.0.1 127.0.0.1:70000 '::1:7470' ':7470' '127.0.0.1:x' ':0' ''; do
	exits 2 "--help" mpcproxy rendezvous -l "$listen"
done
printf 'no key' >"$T/text.pem"
chmod 600 "$T/text.pem"
exits 1 "$T/text.pem" mpcproxy rendezvous -l 127.0.0.1:0 -i "$T/text.pem"
chmod 644 "$T/new/rendezvous.pem"
exits 1 "$T/new/rendezvous.pem" mpcproxy rendezvous -l 127.0.0.1:0 -i "$T/new/rendezvous.pem"
ln -s "$T/nowhere.pem" "$T/link.pem"
exits 1 "$T/link.pem" mpcproxy rendezvous -l 127.0.0.1:0 -i "$T/link.pem"
