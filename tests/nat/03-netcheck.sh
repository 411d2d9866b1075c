#!/bin/bash
# netcheck behind each kind of network says what the lab's probe found: whether UDP gets
# out, mapping, filtering, and whether the relay is reached over UDP, TCP and TLS.
. "$(dirname "$0")/lab.sh"
MPCPROXY=$(realpath -- "${MPCPROXY:-./mpcproxy}")
lab_enter "$@"

# Kind, UDP, mapping, filtering (RFC 4787), which TURN lines work (u, t, s), the verdict.
KINDS='
open            yes none                 endpoint-independent       uts all parties
restricted      yes endpoint-independent address-dependent          uts most parties
port-restricted yes endpoint-independent address and port-dependent uts most parties
symmetric       yes address-dependent    address and port-dependent uts only to parties
tcp-443         no  unknown              unknown                    --s everybody else
proxy-only      no  unknown              unknown                    --s everybody else
'

lab_internet
lab_relay
lab_reflector
lab_start rendezvous "$LAB/rendezvous.log" "$MPCPROXY" rendezvous -l '[::]:443' -i "$LAB/rendezvous.pem"
lab_listens rendezvous "$LAB/rendezvous.log" "$LAB_PID" tcp:443
# shellcheck disable=SC2046
lab_all_networks $(awk 'NF { print $1 }' <<<"$KINDS") >"$LAB/probes.log"

for name in alice bob; do "$MPCPROXY" keygen "$LAB/$name.pem" >/dev/null; done
{
	printf '[session]\nname = lab\nrendezvous = tls://rendezvous.test:443%s\n' "$(grep -o '#.*' "$LAB/rendezvous.log")"
	printf '%s\n' "stun = relay.test" "turn = turn:relay.test?transport=udp" \
		"turn = turn:relay.test?transport=tcp" "turn = turns:relay.test:443"
	for name in alice bob; do printf '[party %s]\nkey = %s\n' $name "$("$MPCPROXY" id "$LAB/$name.pem")"; done
} >"$LAB/session.ini"

# says KIND: its expected line is in EXPECTED
says() {
	local kind=$1 proxy=none
	[ "$kind" != proxy-only ] || proxy=http://192.168.1.1:$LAB_PROXY_PORT
	(
		umask 077
		printf '%s\n' "[local]" "identity = $LAB/alice.pem" "turn-user = $RELAY_USER" \
			"turn-password = $RELAY_PASSWORD" "turn-ca = $LAB/relay.pem" "proxy = $proxy" >"$LAB/$kind.ini"
	)
	lab_exec "$kind-1" "$MPCPROXY" netcheck -c "$LAB/session.ini" --local "$LAB/$kind.ini" --json >"$LAB/$kind.json" ||
		lab_fail "netcheck behind $kind does not exit with 0: $(cat "$LAB/$kind.json")"
	"$PYTHON" - "$LAB/$kind.json" "${EXPECTED[@]}" <<'PYTHON' || lab_fail "$kind: $(cat "$LAB/$kind.json")"
import json, sys
report = json.load(open(sys.argv[1]))
udp, mapping, filtering, turn, verdict = sys.argv[2:]
works = [s['works'] for s in report['servers'] if s['kind'] == 'turn']
assert report['udp'] == udp
assert report['mapping'] == mapping
assert report['filtering'] == filtering
assert works == [c != '-' for c in turn]
assert verdict in report['verdict']
PYTHON
	printf '%-16s%s\n' "$kind" "$("$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["verdict"])' <"$LAB/$kind.json")"
}

pids=
while read -r kind udp mapping rest; do
	[ -n "$kind" ] || continue
	# The filtering may have spaces in it.
	[[ $rest =~ ^(.*[a-z])\ +([-uts]{3})\ (.*)$ ]]
	EXPECTED=("$udp" "$mapping" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}")
	says "$kind" &
	pids="$pids $!"
done <<<"$KINDS"
for pid in $pids; do wait "$pid"; done
