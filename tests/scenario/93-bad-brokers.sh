#!/bin/bash
# MQTT brokers as they are found: one that speaks 3.1.1 only, one behind an HTTP proxy, one
# that keeps hardly anything, is slow, cut off, flooded, loses messages; a login that is
# put right by a reload. Nothing that two parties need is lost.
. "$(dirname "$0")/lib.sh"
. "$HERE/broker.sh"
tinyproxy=$(command -v tinyproxy) || skip "no tinyproxy (Debian package tinyproxy)"
unset HTTPS_PROXY https_proxy NO_PROXY no_proxy

port LINE_PORT
port WEB_PORT

# line_start OPTION...: the way to the broker
line_start() {
	mark line
	start line "$PYTHON" "$HERE/bad_broker.py" "$LINE_PORT" "$BROKER_PORT" "$@"
	wait_log_since line listening
}
line_stop() {
	kill "${PID[line]}"
	finish line
}

how() { [ "$(json "$1" "s['rendezvous']['places'][0]['how']")" = "$2" ]; }

# meet: two proxies that have never met
meet() {
	proxy_start alice bob
	connected alice bob
}

place_only "mqtt://127.0.0.1:$LINE_PORT" alice bob
printf 'alice:pa\nbob:pb\n' >"$T/passwd"
mosquitto_passwd -U "$T/passwd"
broker_conf "password_file $T/passwd" "max_queued_messages 1" "max_inflight_messages 1"
broker_start
login="mqtt-login = mqtt://127.0.0.1:$LINE_PORT"
local_ini alice "$login alice pa"
local_ini bob "$login bob pb"

for way in refuse hang-up; do
	step "3.1.1 only, and 5 makes it $way; one message at a time; all topics are opaque"
	line_start --only-311 $way
	start eavesdropper mosquitto_sub -h 127.0.0.1 -p "$BROKER_PORT" -u alice -P pa -t '#' -F '%t %l'
	meet
	how alice "MQTT 3.1.1" || fail "not 3.1.1: $(verb alice status --json)"
	wait_log_since line 'refused 5'
	wait_log_since line 'connect 4'
	compute
	eventually at_rendezvous alice bob True
	kill "${PID[eavesdropper]}"
	finish eavesdropper
	[ "$(grep -cE '^mpcproxy/[0-9a-f]{32} [0-9]+$' "$T/eavesdropper.log")" -ge 2 ] || fail "nothing was overheard"
	! grep -vE '^mpcproxy/[0-9a-f]{32}(/here)? [0-9]+$' "$T/eavesdropper.log" || fail "a topic or a message says too much"
	rm "$T/eavesdropper.log"
	stop alice bob
	line_stop
done

step "a wrong password, in 3.1.1 as well, is put right by a reload"
line_start --only-311 refuse
local_ini bob "$login bob wrong"
proxy_start alice bob
wait_log_since bob 'not reachable: the broker refuses: it does not accept the user or the password'
local_ini bob "$login bob pb"
verb bob reload
connected alice bob
not_logged bob 'pb$|wrong'
stop alice bob
line_stop

step "a third of all messages get lost"
line_start --drop 33
meet
wait_log_since line dropped
compute
stop alice bob
line_stop

step "cut off again and again, in the middle of anything"
line_start --cut 12000
meet
wait_log_since line '^cut'
stop alice bob
line_stop

step "a byte in a millisecond, packets that stall"
line_start --drip 0.001 --stall 0.2
meet
stop alice bob
line_stop

step "flooded by somebody who may publish"
line_start
proxy_start alice
box=$(mosquitto_sub -h 127.0.0.1 -p "$BROKER_PORT" -u alice -P pa -t 'mpcproxy/+/here' -C 1 -F %t)
# Twenty thousand messages of the right length, which no party has sealed.
"$PYTHON" -c 'print("\n".join(["\x01" + "x" * 370] * 20000))' >"$T/flood"
# shellcheck disable=SC2016 # for the inner shell
start flood sh -c 'exec mosquitto_pub -h 127.0.0.1 -p "$1" -u bob -P pb -t "$2" -l <"$3"' \
	sh "$BROKER_PORT" "${box%/here}" "$T/flood"
proxy_start bob
connected alice bob
compute
stop alice bob
line_stop

step "through an HTTP proxy"
printf '%s\n' "Port $WEB_PORT" "Listen 127.0.0.1" "LogLevel Connect" "ConnectPort $BROKER_PORT" >"$T/web.conf"
start web "$tinyproxy" -d -c "$T/web.conf"
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
eventually listens "$WEB_PORT"
place_only "mqtt://127.0.0.1:$BROKER_PORT"
for party in alice bob; do
	local_ini $party "mqtt-login = mqtt://127.0.0.1:$BROKER_PORT $party p${party:0:1}" \
		"proxy = http://127.0.0.1:$WEB_PORT"
done
meet
[ "$(grep -c "CONNECT 127.0.0.1:$BROKER_PORT " "$T/web.log")" -ge 2 ] || fail "the broker was reached in another way"
compute
