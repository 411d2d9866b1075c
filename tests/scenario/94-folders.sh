#!/bin/bash
# A folder as the rendezvous: where the kernel tells of no new files, looked at once a second;
# and two folders on two machines, which a synchroniser keeps alike.
. "$(dirname "$0")/lib.sh"

mkdir "$T/one" "$T/two"
make_session alice bob
stop rendezvous
sed -i "s|^rendezvous = .*|rendezvous = dir:$T/one|" "$T/session.ini"

messages() { find "$T/$1" -name 'msg-*' ! -name '*conflict*' | wc -l; }
none_left() { [ "$(messages one)" -eq 0 ] && [ "$(messages two)" -eq 0 ]; }

step "two folders, kept alike with delay, out of order, with temporary files and conflicts"
sed "s|dir:$T/one|dir:$T/two|" "$T/session.ini" >"$T/bob.session.ini"
start sync "$PYTHON" "$HERE/sync.py" "$T/one" "$T/two"
proxy_start alice
start_mpcproxy bob -c "$T/bob.session.ini" --local "$T/bob.ini"
connected alice
wait_log bob 'all 2 parties are connected|peer=alice .* connected'
wait_log sync copied
exits 0 "rendezvous dir:$T/one: online for" verb alice status
[ "$(json alice "s['rendezvous']['places'][0]['received'] > 0")" = True ] || fail "nothing is counted"

step "what was taken is gone in both"
wait_log sync deleted
eventually none_left
stop alice bob
kill "${PID[sync]}"
finish sync

step "without inotify"
cat >"$T/no-inotify" <<'END'
#!/bin/sh
exec unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' sh "$@"
END
chmod +x "$T/no-inotify"
"$T/no-inotify" true 2>/dev/null || skip "no user namespace can be made here (the rest was shown)"
WRAP="${WRAP:-} $T/no-inotify"
proxy_start alice bob
connected alice bob
for party in alice bob; do
	! find "/proc/${PID[$party]}/fd" -lname 'anon_inode:inotify' | finds . || fail "$party has inotify"
done
compute
eventually none_left
