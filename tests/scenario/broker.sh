# shellcheck shell=bash
# For scenarios with Debian's mosquitto: sourced after lib.sh.

PATH=$PATH:/usr/sbin:/sbin
grep -q libmosquitto "$MPCPROXY" || skip "this mpcproxy is built without MQTT (Debian package libmosquitto-dev)"
for program in mosquitto mosquitto_sub mosquitto_pub mosquitto_passwd; do
	command -v $program >/dev/null || skip "no $program (Debian packages mosquitto, mosquitto-clients)"
done
port BROKER_PORT

# broker_conf LINE...: of its configuration, besides the listener
broker_conf() {
	{
		printf 'listener %s 127.0.0.1\n' "$BROKER_PORT"
		[ "$(id -u)" -ne 0 ] || printf 'user root\n'
		printf '%s\n' "$@"
	} >"$T/broker.conf"
}

broker_start() {
	mark broker
	start broker mosquitto -c "$T/broker.conf"
	wait_log_since broker 'running$'
}

# place_only URL [PARTY...]: session.ini with that rendezvous alone; with parties also all
# else that make_session makes
place_only() {
	local url=$1
	shift
	if [ $# -gt 0 ]; then
		make_session "$@"
		stop rendezvous
	fi
	sed -i "s|^rendezvous = .*|rendezvous = $url|" "$T/session.ini"
}

# broker_client COMMAND ARGUMENTS...
broker_client() {
	local command=$1
	shift
	"$command" -h 127.0.0.1 -p "$BROKER_PORT" "$@"
}

# The retained messages: topics and payloads
retained() { broker_client mosquitto_sub -t '#' -v --retained-only -W 1 2>/dev/null || true; }

has_retained() { [ "$(retained | wc -l)" -eq "$1" ]; }
until_retained() { eventually has_retained "$1"; }

at_rendezvous() { [ "$(json "$1" "peer['$2']['at_rendezvous']")" = "$3" ]; }
online() { [ "$(json "$1" "s['rendezvous']['online']")" = True ]; }
offline() { [ "$(json "$1" "s['rendezvous']['online']")" = False ]; }

connected_pair() {
	eventually peer_connected "$1" "$2"
	eventually peer_connected "$2" "$1"
}
peer_connected() { [ "$(json "$1" "peer['$2']['connected']")" = True ]; }
