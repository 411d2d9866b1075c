# shellcheck shell=bash
# For scenarios of `mpcproxy run` with a program, after lib.sh.

# run_start PARTY ARGUMENTS...: `mpcproxy run` of that party, as NAME-run
run_start() {
	local party=$1
	shift
	: >"$T/$party-run.log"
	# shellcheck disable=SC2086
	start "$party-run" ${WRAP:-} "$MPCPROXY" run -c "$T/session.ini" --local "$T/$party.ini" "$@"
}

# no_base_ports: `run` chooses them
no_base_ports() {
	local name
	for name in "${PARTIES[@]}"; do
		(
			umask 077
			printf '[local]\nidentity = %s\nupnp = no\n' "$T/$name.pem" >"$T/$name.ini"
		)
	done
}
