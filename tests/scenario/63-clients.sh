#!/bin/bash
# Programs that people use: curl through SOCKS5, OpenSSH through `connect` and through
# SOCKS5 with scp of a large file, PostgreSQL's client through a forward (TCP and UNIX
# socket), proxychains4 with a program that knows no proxy. Each is left out, and named,
# where it is not installed.
SCENARIO_LIMIT=900
. "$(dirname "$0")/lib.sh"

has() {
	local need
	for need; do
		[ -x "$need" ] || command -v "$need" >/dev/null || {
			printf -- '- left out: %s is not installed\n' "$need"
			return 1
		}
	done
}

make_session alice bob carol
for name in WEB_PORT SSH_PORT DB_PORT HIDDEN_PORT ABSENT_PORT SOCKS_PORT SECRET_PORT DB_FORWARD; do port $name; done
mkdir -m 700 "$T/pg"
local_ini alice "socks5 = 127.0.0.1:$SOCKS_PORT" "forward = $DB_FORWARD to bob:$DB_PORT" \
	"forward = unix:$T/pg/.s.PGSQL.5432 to bob:unix:$T/db/.s.PGSQL.$DB_PORT"
local_ini bob "expose = $WEB_PORT for alice" "expose = $SSH_PORT for alice" "expose = $ABSENT_PORT for alice" \
	"expose = $DB_PORT for alice" "expose = unix:$T/db/.s.PGSQL.$DB_PORT for alice"
local_ini carol "socks5 = 127.0.0.1:$SECRET_PORT" 'socks5-user = santa' 'socks5-password = reindeer'
proxy_start alice bob carol
connected alice bob carol
mkdir "$T/web"
head -c 20000000 /dev/urandom >"$T/web/large"
sum=$(sha256sum <"$T/web/large")
start web "$PYTHON" -u -m http.server --bind 127.0.0.1 --directory "$T/web" "$WEB_PORT"
wait_log web 'Serving'

printf 'strict_chain\nproxy_dns\nquiet_mode\n[ProxyList]\nsocks5 127.0.0.1 %s\n' "$SOCKS_PORT" >"$T/chains.conf"

if has curl; then
	through=(curl -sS --max-time "$DEADLINE" --socks5-hostname "localhost:$SOCKS_PORT")
	step "curl: bob, bob.mpc, and nothing else"
	[ "$("${through[@]}" "http://bob:$WEB_PORT/large" | sha256sum)" = "$sum" ] || fail "what curl fetched is not right"
	[ "$("${through[@]}" "http://BOB.mpc:$WEB_PORT/large" | sha256sum)" = "$sum" ] || fail "not from bob.mpc"
	exits 97 "(2)" "${through[@]}" "http://example.org/"
	exits 97 "(2)" "${through[@]}" "http://alice:$WEB_PORT/"
	exits 97 "(2)" "${through[@]}" "http://192.0.2.1/"
	exits 97 "(2)" "${through[@]}" "http://[2001:db8::1]/"
	exits 97 "(2)" "${through[@]}" "http://bob:$HIDDEN_PORT/"
	exits 97 "(5)" "${through[@]}" "http://bob:$ABSENT_PORT/"
	step "curl: a password"
	asks=(curl -sS --max-time "$DEADLINE" --socks5-hostname "localhost:$SECRET_PORT")
	exits 97 "" "${asks[@]}" "http://bob:$WEB_PORT/"
	exits 97 "" "${asks[@]}" --proxy-user santa:rudolph "http://bob:$WEB_PORT/"
	exits 97 "(2)" "${asks[@]}" --proxy-user santa:reindeer "http://bob:$WEB_PORT/"
fi

if has /usr/sbin/sshd ssh scp ssh-keygen && [ "$(id -u)" -eq 0 ]; then
	step "OpenSSH through connect, and through SOCKS5; scp of 20 MB each way"
	ssh-keygen -q -t ed25519 -N '' -f "$T/host"
	ssh-keygen -q -t ed25519 -N '' -f "$T/key"
	cp "$T/key.pub" "$T/authorized"
	mkdir -p /run/sshd
	printf 'bob %s\n' "$(cat "$T/host.pub")" >"$T/known"
	cat >"$T/sshd.conf" <<-END
		ListenAddress 127.0.0.1:$SSH_PORT
		HostKey $T/host
		PidFile none
		AuthorizedKeysFile $T/authorized
		StrictModes no
		UsePAM no
		PasswordAuthentication no
		PermitRootLogin yes
		Subsystem sftp internal-sftp
	END
	start sshd /usr/sbin/sshd -D -e -f "$T/sshd.conf"
	wait_log sshd 'listening'
	options=(-F none -i "$T/key" -o BatchMode=yes -o "UserKnownHostsFile=$T/known" -o HostKeyAlias=bob)
	connect="$MPCPROXY connect -c $T/session.ini --local $T/alice.ini %h:%p"
	[ "$(ssh "${options[@]}" -o "ProxyCommand=$connect" -p "$SSH_PORT" root@bob echo over)" = over ] || fail "ssh"
	scp -q "${options[@]}" -o "ProxyCommand=$connect" -P "$SSH_PORT" "$T/web/large" "root@bob:$T/copied"
	[ "$(sha256sum <"$T/copied")" = "$sum" ] || fail "what scp wrote is not right"
	exits 255 "not exposed" ssh "${options[@]}" -o "ProxyCommand=$connect" -p "$HIDDEN_PORT" root@bob true
	if has proxychains4; then
		proxychains4 -f "$T/chains.conf" scp -q "${options[@]}" -P "$SSH_PORT" "root@bob:$T/web/large" "$T/fetched"
		[ "$(sha256sum <"$T/fetched")" = "$sum" ] || fail "what scp fetched is not right"
	fi
	kill "${PID[sshd]}"
	finish sshd
fi

initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | tail -n 1) || initdb=initdb
if has "$initdb" psql && [ "$(id -u)" -eq 0 ] && id postgres >/dev/null 2>&1; then
	step "psql through a forward, and from UNIX socket to UNIX socket"
	bin=$(dirname "$initdb")
	chmod 711 "$T"
	mkdir -m 700 "$T/db" && chown postgres "$T/db"
	as=(setpriv --reuid postgres --regid postgres --clear-groups env HOME="$T/db")
	(cd / && "${as[@]}" "$initdb" -D "$T/db/data" -A trust --no-sync >"$T/initdb.log" 2>&1) || fail "initdb"
	start postgres "${as[@]}" "$bin/postgres" -D "$T/db/data" -p "$DB_PORT" -k "$T/db" -c fsync=off
	wait_log postgres 'ready to accept'
	sql="select sum(i), md5(string_agg(i::text, ',' order by i)) from generate_series(1, 200000) i"
	want=$(psql -U postgres -h "$T/db" -p "$DB_PORT" -Atc "$sql" postgres)
	[ "$(psql -U postgres -h localhost -p "$DB_FORWARD" -Atc "$sql" postgres)" = "$want" ] || fail "psql over TCP"
	[ "$(psql -U postgres -h "$T/pg" -p 5432 -Atc "$sql" postgres)" = "$want" ] || fail "psql over UNIX sockets"
	kill -INT "${PID[postgres]}"
	finish postgres
fi

if has proxychains4; then
	step "proxychains4 with a program that knows no proxy"
	got=$(proxychains4 -f "$T/chains.conf" "$PYTHON" -c "
import socket, hashlib, sys
s = socket.create_connection((socket.gethostbyname('bob'), $WEB_PORT))
s.sendall(b'GET /large HTTP/1.0\r\n\r\n')
data = b''
while part := s.recv(65536): data += part
print(hashlib.sha256(data.split(b'\r\n\r\n', 1)[1]).hexdigest())")
	[ "$got" = "${sum%% *}" ] || fail "through proxychains4 came $got"
fi

step "nobody was disturbed"
compute
