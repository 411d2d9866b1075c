#!/bin/bash
# Every kind of network against every kind: the best path there is must be found, and no
# better one pretended; where that is a relay, or nothing, both sides must say why. The
# tables of paths, reasons and failures say what is expected.
#
# From the environment:
#   MPCPROXY       the program under test
#   NAT_KINDS      only these kinds (default: all; with sanitizers a few, for the time it takes)
#   NAT_ORDERED    when set, each pair both ways round
#   NAT_RUNS       times that each cell is run; the table shows the median
#   NAT_DEAD       when set, a STUN and a TURN server that never answer are configured, too
#   NAT_JOBS       cells at a time
#   NAT_JSON       a file for all times
. "$(dirname "$0")/lab.sh"
MPCPROXY=$(realpath -- "${MPCPROXY:-./mpcproxy}")
lab_enter "$@"

NAT_KINDS=${NAT_KINDS:-${SANITIZERS:+open restricted symmetric dual upnp proxy-only}}
servers=("stun = relay.test" "turn = turn:relay.test?transport=udp"
	"turn = turn:relay.test?transport=tcp" "turn = turns:relay.test:443")
if [ -n "${NAT_DEAD:-}" ]; then # nobody has that address
	servers=("stun = 203.0.113.99" "turn = turn:203.0.113.99?transport=udp" "${servers[@]}")
fi

lab_internet
lab_relay
lab_reflector
lab_start rendezvous "$LAB/rendezvous.log" "$MPCPROXY" rendezvous -l '[::]:443' -i "$LAB/rendezvous.pem"
lab_listens rendezvous "$LAB/rendezvous.log" "$LAB_PID" tcp:443
# shellcheck disable=SC2086
lab_all_networks $NAT_KINDS >"$LAB/probes.log"

status=0
"$PYTHON" "$LAB_HERE/matrix.py" --dir "$LAB" --mpcproxy "$MPCPROXY" --paths "$LAB_HERE/paths" \
	--reasons "$LAB_HERE/reasons" --failures "$LAB_HERE/failures" \
	--rendezvous "tls://rendezvous.test:443$(grep -o '#.*' "$LAB/rendezvous.log")" \
	--turn-user "$RELAY_USER:$RELAY_PASSWORD" --turn-ca "$LAB/relay.pem" \
	--proxy "http://192.168.1.1:$LAB_PROXY_PORT" "${servers[@]/#/--server=}" \
	--kinds "$NAT_KINDS" --runs "${NAT_RUNS:-1}" --jobs "${NAT_JOBS:-8}" \
	${NAT_ORDERED:+--ordered} ${NAT_JSON:+--json "$NAT_JSON"} || status=$?
exit $status
