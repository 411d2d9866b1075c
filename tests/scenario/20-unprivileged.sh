#!/bin/bash
# As in a locked-down container: an ordinary user, no capabilities, no new privileges, a
# file system that cannot be written to. A runtime directory is all that is needed.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" -eq 0 ]; then
	namespace=(unshare -m)
	user=(--reuid 65534 --regid 65534 --clear-groups)
else
	namespace=(unshare -U --map-current-user --keep-caps -m)
	user=()
fi
"${namespace[@]}" mount --bind "$XDG_RUNTIME_DIR" "$XDG_RUNTIME_DIR" 2>/dev/null ||
	skip "no mount namespace can be made here (unshare -m)"

# Everything that is started goes through this script.
cat >"$T/locked" <<END
#!/bin/sh
exec ${namespace[*]} sh -c '
	mount --bind "$XDG_RUNTIME_DIR" "$XDG_RUNTIME_DIR" || exit
	while read -r _ _ _ _ where _; do
		case \$where in
		/proc/* | /sys/* | /dev/* | "$XDG_RUNTIME_DIR") ;;
		*) mount -o remount,bind,ro "\$where" 2>/dev/null ;;
		esac
	done </proc/self/mountinfo
	exec setpriv ${user[*]} --no-new-privs --inh-caps=-all --ambient-caps=-all \
		--bounding-set=-all "\$@"' sh "\$@"
END
chmod 755 "$T/locked"

step "the cage"
"$T/locked" "$PYTHON" - "$XDG_RUNTIME_DIR" "$T" <<'END'
import os, sys
status = dict(line.split(":\t", 1) for line in open("/proc/self/status") if ":\t" in line)
assert os.getuid() != 0, "still root"
for caps in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
    assert int(status[caps], 16) == 0, f"{caps} is not empty"
assert status["NoNewPrivs"].strip() == "1", "new privileges are possible"
for path in "/", "/tmp", "/var/tmp", sys.argv[2]:
    try:
        open(f"{path}/mpcproxy-test", "w")
    except OSError:
        continue
    sys.exit(f"{path} can be written to")
END

# Where that user can get at them.
install -m 755 "$MPCPROXY" "$T/mpcproxy"
mkdir -p "$T/contrib/demo"
install -m 644 "$TOP/contrib/demo/secure_sum.py" "$T/contrib/demo/"
MPCPROXY=$T/mpcproxy TOP=$T

# Keys are made before the cage is closed.
own() { [ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$T"; }
"$MPCPROXY" keygen "$T/rendezvous.pem" >/dev/null
own
WRAP=$T/locked VERB_WRAP=$T/locked PROGRAM_WRAP=$T/locked
make_session alice bob carol
own

proxy_start alice bob carol
connected alice bob carol
compute
verb alice status >/dev/null
verb alice ping bob -n 1 >/dev/null
stop alice bob carol rendezvous

step "without a runtime directory the message says what to do"
rm -rf "$XDG_STATE_HOME"
mkdir -p "$T/home" && chmod 555 "$T/home"
exits 1 XDG_RUNTIME_DIR env -u XDG_RUNTIME_DIR -u XDG_STATE_HOME HOME="$T/home" \
	timeout "$DEADLINE" "$T/locked" "$MPCPROXY" -c "$T/session.ini" --local "$T/alice.ini"
