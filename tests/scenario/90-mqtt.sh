#!/bin/bash
# An MQTT broker as the rendezvous, Debian's mosquitto: plain, with a user and a password,
# and wrong ones; killed and started again in the middle, having lost all it knew.
. "$(dirname "$0")/lib.sh"
. "$HERE/broker.sh"

step "plain"
broker_conf "allow_anonymous true" "log_type all"
broker_start
place_only "mqtt://127.0.0.1:$BROKER_PORT" alice bob carol
proxy_start alice bob carol
connected alice bob carol
compute
[ "$(json alice "s['rendezvous']['places'][0]['how']")" = "MQTT 5" ] || fail "not MQTT 5: $(verb alice status --json)"
[ "$(json alice "s['rendezvous']['places'][0]['sent'] > 0 and s['rendezvous']['places'][0]['received'] > 0")" = True ] ||
	fail "nothing is counted: $(verb alice status)"
exits 0 "rendezvous mqtt://127.0.0.1:$BROKER_PORT (MQTT 5): online for" verb alice status

step "presence: retained while a party runs, gone with its connection, however that ends"
[ "$(retained | wc -l)" -eq 3 ] || fail "not three retained messages: $(retained)"
stop carol
eventually test "$(retained | wc -l)" -eq 2
exits 0 "the rendezvous says that it is not there" verb alice status
murder bob
until_retained 1
eventually at_rendezvous alice bob False
proxy_start bob carol
connected alice bob carol
until_retained 3
[ "$(json alice "peer['bob']['at_rendezvous']")" = True ] || fail "bob is not there: $(verb alice status --json)"

step "no name and no key is seen in topics"
! retained | finds -iE 'alice|bob|carol|test' || fail "a name is seen: $(retained)"

step "killed and started again with nothing left, before a party comes"
stop carol
murder broker
broker_start
proxy_start carol
connected alice bob carol
compute

step "killed during meeting, again and again"
stop alice bob carol
proxy_start alice bob carol
for _ in 1 2 3 4 5; do
	murder broker
	broker_start
	sleep 0.1 # not to wait for anything: a time to be in the middle of something
done
connected alice bob carol
compute
[ "$(json alice "s['rendezvous']['places'][0]['last_error']")" != None ] || fail "no last error: $(verb alice status --json)"

step "when a path falls silent, the connection to the broker is tried"
mark broker
kill -STOP "${PID[alice]}"
wait_log_since broker 'Received SUBSCRIBE from'
kill -CONT "${PID[alice]}"
connected alice bob carol
compute

step "it goes away: what is connected stays so, and status says what happened"
murder broker
compute
eventually offline alice
exits 0 "offline for" verb alice status
broker_start
eventually online alice

step "nothing remains on the broker"
stop alice bob carol
until_retained 0
murder broker

step "a user and a password"
printf 'alice:secret one\nbob:p2\ncarol:p3\n' >"$T/passwd"
mosquitto_passwd -U "$T/passwd"
broker_conf "password_file $T/passwd"
broker_start
local_ini alice "mqtt-login = mqtt://127.0.0.1:$BROKER_PORT alice secret one"
local_ini bob "mqtt-login = mqtt://127.0.0.1:$BROKER_PORT bob p2"
local_ini carol "mqtt-login = mqtt://127.0.0.1:$BROKER_PORT carol wrong"
proxy_start alice bob carol
connected_pair alice bob
wait_log_since carol 'not reachable: the broker refuses: it does not accept the user or the password'
stop carol
local_ini carol "mqtt-login = mqtt://localhost:$BROKER_PORT carol p3"
proxy_start carol
wait_log_since carol 'not reachable: the broker refuses: it wants a user and a password: .*mqtt-login'
stop carol
local_ini carol "mqtt-login = mqtt://127.0.0.1:$BROKER_PORT carol p3"
proxy_start carol
connected alice bob carol
for party in alice bob carol; do not_logged $party 'secret one|p2|p3'; done
stop alice bob carol

step "a password is no part of the shared file"
place_only "mqtt://alice:secret@127.0.0.1:$BROKER_PORT"
exits 1 "mqtt-login" verb alice check
murder broker

step "something that is no broker"
place_only "mqtt://127.0.0.1:$BROKER_PORT"
start babble "$PYTHON" "$HERE/tool.py" babble "$BROKER_PORT"
wait_log babble listening
proxy_start alice
wait_log_since alice 'not reachable: it answers something that is not MQTT'
kill "${PID[babble]}"
finish babble
wait_log_since alice 'not reachable: .*Connection refused'
