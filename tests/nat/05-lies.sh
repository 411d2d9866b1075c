#!/bin/bash
# STUN servers in the internet that say of us what cannot be, or what is not: nobody sends
# anything there, the log and netcheck name them, and the pair is direct all the same.
. "$(dirname "$0")/lab.sh"
MPCPROXY=$(realpath -- "${MPCPROXY:-./mpcproxy}")
lab_enter "$@"
LIMIT=$((60 * ${SLOWDOWN:-1}))

LIES=(203.0.113.40=10.1.2.3 203.0.113.41=127.0.0.9 203.0.113.42=224.0.0.9 203.0.113.43=9.9.9.9)

lab_internet
lab_relay
lab_server liar 40 41 42 43
lab_start liar "$LAB/liar.log" "$PYTHON" "$LAB_HERE/liar.py" "${LIES[@]}"
lab_listens liar "$LAB/liar.log" "$LAB_PID" udp:3478
lab_start rendezvous "$LAB/rendezvous.log" "$MPCPROXY" rendezvous -l '[::]:443' -i "$LAB/rendezvous.pem"
lab_listens rendezvous "$LAB/rendezvous.log" "$LAB_PID" tcp:443
lab_network alice port-restricted
lab_network bob restricted

for name in alice bob; do "$MPCPROXY" keygen "$LAB/$name.pem" >/dev/null; done
{
	printf '[session]\nname = lab\npath = direct\nrendezvous = tls://rendezvous.test:443%s\n' \
		"$(grep -o '#.*' "$LAB/rendezvous.log")"
	printf 'stun = %s\n' "${LIES[@]%=*}" 203.0.113.20 203.0.113.21
	for name in alice bob; do printf '[party %s]\nkey = %s\n' $name "$("$MPCPROXY" id "$LAB/$name.pem")"; done
} >"$LAB/session.ini"

declare -A PROXY=()
for name in alice bob; do
	mkdir -m 700 "$LAB/run-$name"
	printf '%s\n' "[local]" "identity = $LAB/$name.pem" "proxy = none" >"$LAB/$name.ini"
	lab_exec $name nft 'table inet seen {
		chain output {
			type filter hook output priority filter;
			ip daddr { 10.1.2.3, 127.0.0.9, 224.0.0.9, 9.9.9.9 } counter
		}
	}'
	XDG_RUNTIME_DIR=$LAB/run-$name lab_start $name "$LAB/$name.log" "$MPCPROXY" -v -c "$LAB/session.ini" \
		--local "$LAB/$name.ini"
	PROXY[$name]=$LAB_PID
done

mpcproxy() { XDG_RUNTIME_DIR=$LAB/run-$1 lab_exec "$1" "$MPCPROXY" "$2" -c "$LAB/session.ini" --local "$LAB/$1.ini" "${@:3}"; }

echo "- a direct path between two NATs, with four liars among six servers"
for name in alice bob; do
	for ((i = 0; i < LIMIT * 50; i++)); do
		! grep -q ' runs' "$LAB/$name.log" || break
		sleep 0.02
	done
	mpcproxy $name wait --timeout $LIMIT || lab_fail "$name: $(cat "$LAB/alice.log" "$LAB/bob.log")"
done
mpcproxy alice ping bob -n 1 >/dev/null || lab_fail "no ping"

echo "- the log names three of them; the fourth is outvoted"
for ((i = 0; i < LIMIT * 50; i++)); do
	! grep -q 'of 6 answer' "$LAB/alice.log" || break
	sleep 0.02
done
for lie in "${LIES[@]:0:3}"; do
	grep -q "warn  server=${lie%=*}:3478 STUN: it says that we are at ${lie#*=}:[0-9]*, which cannot be" "$LAB/alice.log" ||
		lab_fail "the log does not name $lie: $(cat "$LAB/alice.log")"
done
echo "- nobody has sent anything where they said"
for name in alice bob; do
	lab_exec $name nft list chain inet seen output | finds 'counter packets 0 bytes 0' ||
		lab_fail "$name has: $(lab_exec $name nft list chain inet seen output)"
done

echo "- netcheck names them, too"
mpcproxy alice netcheck >"$LAB/report" || lab_fail "$(cat "$LAB/report")"
for lie in "${LIES[@]:0:3}"; do
	grep -q "stun .*${lie%=*}.* ${lie#*=}:[0-9]*, which cannot be" "$LAB/report" ||
		lab_fail "netcheck does not name $lie: $(cat "$LAB/report")"
done
for name in alice bob; do
	kill -TERM "${PROXY[$name]}"
	wait "${PROXY[$name]}" || lab_fail "$name ended with $?"
done
