#!/bin/bash
# Forwards that come and go while the proxy runs; UNIX sockets at either end, IPv6, ranges,
# hosts behind a party; and `connect`, which joins stdin and stdout.
. "$(dirname "$0")/lib.sh"

make_session alice bob carol
for name in SERVICE_PORT SECOND_PORT HIDDEN_PORT ABSENT_PORT FORWARD_PORT SIX_PORT ADDED_PORT WIDE_PORT; do port $name; done
local_ini alice '[forward]' "$FORWARD_PORT = bob:$SERVICE_PORT" "unix:$T/alice.sock = bob:$SERVICE_PORT" \
	"0.0.0.0:$WIDE_PORT for everyone = bob:$SERVICE_PORT"
sed -i "/^\[forward\]/i forward = [::1]:$SIX_PORT to bob:unix:$T/bob.sock" "$T/alice.ini"
local_ini bob "expose = $SERVICE_PORT-$SECOND_PORT for alice" "expose = $ABSENT_PORT for alice" \
	"expose = unix:$T/bob.sock for alice" "expose = 192.0.2.1:80 for alice unsafe" \
	"expose = no-such-host.invalid:80 for alice unsafe"
service service "$SERVICE_PORT"
service second "$SECOND_PORT"
service hidden "$HIDDEN_PORT"
service socket "$T/bob.sock"
proxy_start alice bob carol
connected alice bob carol

step "local.ini's: a port, a UNIX socket, IPv6 to a UNIX socket"
call port "$FORWARD_PORT" exchange
call local-socket "$T/alice.sock" exchange --streams 10
call far-socket "[::1]:$SIX_PORT" exchange --streams 10
succeed port local-socket far-socket
[ "$(stat -c %a "$T/alice.sock")" = 600 ] || fail "the socket is open to others"
call half "$T/alice.sock" listen-first
call other-half "[::1]:$SIX_PORT" talk-first
succeed half other-half

step "what is open to everyone is said so"
logged alice "warn.*$WIDE_PORT is for everyone"
exits 1 "for everyone" mpcproxy check -c "$T/session.ini" --local <(sed 's/ for everyone//' "$T/alice.ini")
call wide "$WIDE_PORT" exchange
succeed wide

step "forwards that are added, listed and removed"
exits 0 "" verb alice forward "$ADDED_PORT" "bob:$SECOND_PORT"
exits 0 "127.0.0.1:$ADDED_PORT to bob:$SECOND_PORT" verb alice forward
exits 0 "unix:$T/alice.sock to bob:$SERVICE_PORT (local.ini)" verb alice forward
call added "$ADDED_PORT" exchange
succeed added
exits 0 "" verb alice forward "unix:$T/added.sock" "bob:unix:$T/bob.sock"
call added "$T/added.sock" exchange
succeed added
exits 1 "already" verb alice forward "$ADDED_PORT" "bob:$SERVICE_PORT"
exits 1 "in use" verb alice forward "$HIDDEN_PORT" "bob:$SERVICE_PORT"
exits 1 "no party \`dave\`" verb alice forward 9 dave:1
exits 1 "this party itself" verb alice forward 9 alice:1
exits 1 "own MPyC" verb alice forward "${BASE[alice]}" "bob:$SERVICE_PORT"
exits 2 "is not loopback" verb alice forward 0.0.0.0:9 bob:1
exits 1 "local.ini's" verb alice forward --remove "$FORWARD_PORT"
call kept "$ADDED_PORT" hold
wait_log kept held
exits 0 "" verb alice reload
exits 0 "to bob:$SECOND_PORT" verb alice forward
exits 0 "" verb alice forward --remove "$ADDED_PORT"
exits 0 "" verb alice forward -r "unix:$T/added.sock"
exits 1 "nothing is forwarded" verb alice forward -r "$ADDED_PORT"
[ ! -e "$T/added.sock" ] || fail "the socket is left over"
exits 0 "refused" tool knock "$ADDED_PORT" 00
kill "${PID[kept]}"
finish kept

step "connect: bytes both ways, each half by itself"
head -c 3000000 /dev/urandom >"$T/data"
(printf 'listen-first 1000000\n' && cat "$T/data") | verb alice connect "bob:$SERVICE_PORT" >"$T/answer"
head -n 1 "$T/answer" | finds "$(sha256sum "$T/data" | cut -c 1-16)" || fail "what arrived is not what was sent"
[ "$(stat -c %s "$T/answer")" -eq 1000017 ] || fail "$(stat -c %s "$T/answer") bytes came back"
printf 'echo\nhello' | verb alice connect "bob:unix:$T/bob.sock" >"$T/answer"
[ "$(cat "$T/answer")" = hello ] || fail "no echo"

step "connect: what goes wrong is said, and the exit code tells"
mark bob
exits 1 "mpcproxy: bob:$HIDDEN_PORT: not exposed" verb alice connect "bob:$HIDDEN_PORT" </dev/null
wait_log_since bob "warn.*alice.*$HIDDEN_PORT.*not exposed"
logged alice "peer=bob target=$HIDDEN_PORT.*not exposed"
exits 1 "not exposed" verb alice connect "bob:unix:/etc/passwd" </dev/null
exits 1 "nothing listens" verb alice connect "bob:$ABSENT_PORT" </dev/null
exits 1 "not exposed" verb carol connect "bob:$SERVICE_PORT" </dev/null
exits 1 "unreachable" verb alice connect "bob:no-such-host.invalid:80" </dev/null
exits 1 "no party" verb alice connect dave:1 </dev/null
exits 1 "bob:$ABSENT_PORT: nothing listens there" verb alice connect "Bob.mpc:$ABSENT_PORT" </dev/null
exits 1 "bob:192.0.2.2:80: not exposed there" verb alice connect 192.0.2.2.bob.mpc:80 </dev/null
exits 2 "there must be a port" verb alice connect db.bob.mpc:db:80 </dev/null
exits 2 "PARTY:PORT" verb alice connect bob </dev/null
exits 1 "broke" bash -c "printf 'reset 0\nx' | '$MPCPROXY' connect -c '$T/session.ini' --local '$T/alice.ini' bob:$SERVICE_PORT"
not_logged hidden served

step "connect that is killed ends the far connection, with a reset"
mark service
mkfifo "$T/pipe"
start joined bash -c "exec '$MPCPROXY' connect -c '$T/session.ini' --local '$T/alice.ini' bob:$SERVICE_PORT <'$T/pipe'"
exec 8>"$T/pipe"
printf 'hold\n' >&8
eventually grep -q '!' "$T/joined.log"
murder joined
exec 8>&-
wait_log_since service 'served hold: RST'

step "nobody else was disturbed"
compute
