#!/bin/bash
# A changed session.ini and local.ini are applied to running proxies, by the verb reload
# and by SIGHUP: parties that come, go and move to another index, forwards and expose
# rules; whoever is not concerned goes on without noticing. A faulty file changes nothing.
. "$(dirname "$0")/lib.sh"

reload() {
	local name
	for name; do verb "$name" reload >"$T/reload.out" 2>&1 || fail "$name: $(cat "$T/reload.out")"; done
}

# without PARTY: session.ini as it was made, without that party
whole() { cp "$T/all.ini" "$T/session.ini"; }
without() {
	awk -v out="[party $1]" '/^\[/ { skip = ($0 == out) } !skip' "$T/all.ini" >"$T/session.ini"
}

make_session alice bob carol dave
cp "$T/session.ini" "$T/all.ini"
for name in SERVICE_PORT FORWARD_PORT SECOND_PORT CAROL_PORT DAVE_PORT; do port $name; done
service service "$SERVICE_PORT"
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT"
local_ini bob "expose = $SERVICE_PORT for alice"
local_ini carol "expose = $SERVICE_PORT for alice"
local_ini dave "forward = $DAVE_PORT to alice:$SERVICE_PORT"
proxy_start alice bob carol dave
connected alice bob carol dave
start flow "$PYTHON" "$HERE/tool.py" flow "$FORWARD_PORT"
wait_log flow '^flows'

step "a faulty session.ini changes nothing, and says why here and in the log"
printf '[party eve]\nkey = nonsense\n' >>"$T/session.ini"
mark alice
exits 1 "session.ini:" verb alice reload
kill -HUP "${PID[alice]}"
wait_log_since alice 'error.*nothing has changed.*session.ini:[0-9]+'
whole

step "a faulty local.ini too, to whoever asks with good files"
cp "$T/alice.ini" "$T/good.ini"
mark alice
printf 'expose = 99999 for bob\n' >>"$T/alice.ini"
exits 1 "nothing has changed" mpcproxy reload -c "$T/session.ini" --local "$T/good.ini"
wait_log_since alice 'error.*nothing has changed.*alice.ini:[0-9]+'

step "and one that asks for a port that is taken"
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT" "forward = $SERVICE_PORT to bob:1"
exits 1 "nothing has changed" verb alice reload
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT"

step "another name of the session, or without ourselves: no"
sed 's/^name = test/name = other/' "$T/all.ini" >"$T/session.ini"
kill -HUP "${PID[alice]}"
wait_log_since alice 'error.*another session'
without alice
kill -HUP "${PID[alice]}"
wait_log_since alice 'error.*(not in it|no party of session)'
whole

step "a forward more, and an expose rule more, while bytes flow"
mark alice
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT" "forward = $SECOND_PORT to bob:$SERVICE_PORT" \
	"forward = $CAROL_PORT to carol:$SERVICE_PORT"
kill -HUP "${PID[alice]}"
wait_log_since alice 'reloaded'
call second "$SECOND_PORT" exchange
succeed second

step "carol is removed: nobody else notices, her connections close at once"
call held "$CAROL_PORT" hold
wait_log held held
without carol
exits 1 "has no party" verb alice reload
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT"
mark carol
reload alice
grep -q '1 removed.*changed: forward$' "$T/reload.out" || fail "the removal is not told: $(cat "$T/reload.out")"
reload bob dave
wait_log_since carol 'peer=alice disconnected'
grep -q '1 removed, 0 restarted, the others are as they were$' "$T/reload.out" ||
	fail "something else is told: $(cat "$T/reload.out")"
[ "$(json alice "len(s['peers'])")" = 2 ] || fail "alice still knows carol"
[ "$(json dave "s['index']")" = 2 ] || fail "dave has not moved up"
connected alice bob dave
wait_log held 'ended: RST'
succeed held

step "dave has carol's index now: MPyC runs between the three"
PARTIES=(alice bob dave)
INDEX[dave]=2
compute

step "and she comes back"
whole
PARTIES=(alice bob carol dave)
INDEX[dave]=3
reload alice bob dave
connected alice bob carol dave
compute

step "expose rules: dave gets access, and loses it again with the connection he has"
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT" "expose = $SERVICE_PORT for dave"
reload alice
call granted "$DAVE_PORT" hold
wait_log granted held
local_ini alice "forward = $FORWARD_PORT to bob:$SERVICE_PORT"
reload alice
wait_log granted 'ended: RST'
succeed granted
exits 0 'ended: RST' tool knock "$DAVE_PORT" 65786368616e6765

step "what counts later is said"
printf 'outage-limit = 40m\nfast-path = no\nmax-rate = 10M for all\n' >>"$T/alice.ini"
reload alice
fast_path='fast-path (paths from now on), '
[ -z "${NO_FAST_PATH:-}" ] || fast_path= # --no-fast-path has said so already
grep -qF "changed: limits, ${fast_path}outage-limit (connections" "$T/reload.out" ||
	fail "the changes are not told: $(cat "$T/reload.out")"
reload alice
grep -q 'as they were$' "$T/reload.out" || fail "changes are told: $(cat "$T/reload.out")"

step "the others have gone on all the while"
kill "${PID[flow]}"
succeed flow
not_logged alice 'peer=bob.*disconnected'
