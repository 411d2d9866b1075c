#!/bin/bash
# conf/mosquitto.conf, with what it says for session.ini and local.ini, as it is: only names
# become addresses, and the certificate is one of our own. Another CA, a pin, another
# pin; a shared folder beside the broker when that dies.
. "$(dirname "$0")/lib.sh"
. "$HERE/broker.sh"
command -v openssl >/dev/null || skip "no openssl (Debian package openssl)"

SAMPLE=$TOP/conf/mosquitto.conf
sample() { sed -n "s/^#   \($1 = .*\)/\1/p" "$SAMPLE" | sed "s|broker\.example\.org|127.0.0.1:$BROKER_PORT|"; }

certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
		-addext "subjectAltName = IP:127.0.0.1" -keyout "$T/$1.key" -out "$T/$1.pem" 2>/dev/null
}
certificate broker
certificate other
printf 'alice:correct-horse\nbob:battery\n' >"$T/mpcproxy.passwd"
mosquitto_passwd -U "$T/mpcproxy.passwd"
sed -n 's/^# In this file: //p' "$SAMPLE" >"$T/mpcproxy.acl"
chmod 600 "$T/mpcproxy.passwd" "$T/mpcproxy.acl"
[ -s "$T/mpcproxy.acl" ] || fail "there is no access list in $SAMPLE"
{
	[ "$(id -u)" -ne 0 ] || printf 'user root\n'
	sed "s|^listener .*|listener $BROKER_PORT 127.0.0.1|; s|/etc/mosquitto/certs|$T|; s|/etc/mosquitto|$T|" "$SAMPLE"
} >"$T/broker.conf"
broker_start

place_only "$(sample rendezvous | sed 's/^rendezvous = //')" alice bob
login() { sample mqtt-login | sed "s/ alice correct-horse/ $1/"; }

step "the sample, with its CA"
local_ini alice "$(login 'alice correct-horse')" "mqtt-ca = $T/broker.pem"
local_ini bob "$(login 'bob battery')" "mqtt-ca = $T/broker.pem"
proxy_start alice bob
connected alice bob
exits 0 "rendezvous mqtts://127.0.0.1:$BROKER_PORT (MQTT 5): online" verb alice status
compute

step "another CA, and the system's"
stop bob
local_ini bob "$(login 'bob battery')" "mqtt-ca = $T/other.pem"
proxy_start bob
wait_log_since bob 'not reachable: its certificate does not verify for 127.0.0.1'
stop bob
local_ini bob "$(login 'bob battery')"
proxy_start bob
wait_log_since bob 'not reachable: its certificate does not verify .*mqtt-ca'
stop bob alice

step "a pinned key, another one"
pin=$(openssl x509 -in "$T/broker.pem" -noout -pubkey | openssl pkey -pubin -outform DER |
	openssl dgst -sha256 -binary | base64)
place_only "mqtts://127.0.0.1:$BROKER_PORT#sha256/$pin"
local_ini alice "$(login 'alice correct-horse')"
proxy_start alice bob
connected alice bob
stop alice bob
place_only "mqtts://127.0.0.1:$BROKER_PORT#sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
proxy_start alice
wait_log_since alice 'not reachable: its key is not the one that session.ini pins'
stop alice

step "a topic that the access list does not have"
place_only "mqtts://127.0.0.1:$BROKER_PORT/elsewhere#sha256/$pin"
proxy_start alice bob
exits 3 "not connected" verb alice wait --timeout 2
stop alice bob

step "a broker and a shared folder: one is enough, whichever dies"
mkdir "$T/folder"
place_only "mqtts://127.0.0.1:$BROKER_PORT#sha256/$pin"
sed -i "s|^rendezvous = .*|&\nrendezvous = dir:$T/folder|" "$T/session.ini"
murder broker
proxy_start alice bob
connected alice bob
exits 0 "rendezvous dir:$T/folder: online" verb alice status
exits 0 "offline for" verb alice status
stop bob
broker_start
broker_online() { [ "$(json alice "s['rendezvous']['places'][0]['online']")" = True ]; }
eventually broker_online
mv "$T/folder" "$T/gone"
folder_offline() { [ "$(json alice "s['rendezvous']['places'][1]['online']")" = False ]; }
eventually folder_offline
proxy_start bob
connected alice bob
compute
