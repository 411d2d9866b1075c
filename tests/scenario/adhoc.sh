# shellcheck shell=bash disable=SC2034
# For scenarios of people who invite and join: sourced after lib.sh. Everybody has a home
# directory of his own, empty at first, and types what the README says.

# as PERSON COMMAND...: in that person's home directory
as() {
	local who=$1
	shift
	mkdir -p "$T/home/$who"
	(cd "$T/home/$who" &&
		exec env -u XDG_RUNTIME_DIR -u XDG_CONFIG_HOME -u XDG_STATE_HOME \
			HOME="$T/home/$who" USER="$who" "$@")
}

# types PERSON VERB ARGUMENTS...: a verb that is done at once
# shellcheck disable=SC2086 # VERB_WRAP is meant to be split
types() {
	local who=$1
	shift
	as "$who" timeout --foreground -k 5 $((DEADLINE + 10)) ${VERB_WRAP:-} "$MPCPROXY" "$@"
}

# begins PERSON VERB ARGUMENTS...: one that goes on, as PERSON, its output in PERSON.log
# shellcheck disable=SC2086
begins() {
	local who=$1
	shift
	mark "$who"
	begins_at "$who" ${WRAP:-} "$MPCPROXY" "$@"
	# shellcheck disable=SC2004 # a name, not a number
	PROXY[$who]=1
}

# shellcheck disable=SC2094
begins_at() {
	local who=$1
	shift
	mkdir -p "$T/home/$who"
	start "$who" env -u XDG_RUNTIME_DIR -u XDG_CONFIG_HOME -u XDG_STATE_HOME \
		-C "$T/home/$who" HOME="$T/home/$who" USER="$who" "$@"
}

# at_terminal PERSON ANSWER VERB ARGUMENTS...: the same at a terminal, with that answer to
# the question whether the words are the same
at_terminal() {
	local who=$1 answer=$2
	shift 2
	mark "$who"
	# shellcheck disable=SC2086
	begins_at "$who" "$PYTHON" "$HERE/terminal.py" --answer "\\[y/N\\] =$answer" -- \
		${WRAP:-} "$MPCPROXY" "$@"
}

# ticket PERSON: what that person's invitation has printed, in TICKET
ticket() {
	wait_log_since "$1" '^mpcproxy join mpc1:'
	TICKET=$(tail -c "+$((MARK[$1] + 1))" "$T/$1.log" | grep -o 'mpc1:[A-Za-z0-9_-]*' | head -n 1)
}

# words PERSON: the four words that the person sees, once there are any
words() {
	wait_log_since "$1" '^ {6}[a-z]+ [a-z]+ [a-z]+ [a-z]+$'
	tail -c "+$((MARK[$1] + 1))" "$T/$1.log" | grep -E '^ {6}[a-z]+ [a-z]+ [a-z]+ [a-z]+$' | tail -n 1
}

# all_connected SESSION PERSON...
all_connected() {
	local session=$1 who
	shift
	for who; do
		eventually test -e "$(session_file "$who" "$session")"
		types "$who" wait -c "$session" --timeout "$DEADLINE" || fail "$who is not connected"
	done
}

# compute_together SESSION PERSON...: the demo, with 1 from each
compute_together() {
	local session=$1 who flags
	shift
	for who; do
		flags=$(types "$who" flags -c "$session")
		: >"$T/$who-program.log"
		# shellcheck disable=SC2086
		start "$who-program" ${PROGRAM_WRAP:-} "$PYTHON" "$TOP/contrib/demo/secure_sum.py" $flags 1
	done
	for who; do
		succeed "$who-program"
		grep -q "sum $#," "$T/$who-program.log" || fail "$who computed something else than $#"
	done
}

session_file() { printf %s "$T/home/$1/.config/mpcproxy/sessions/$2.ini"; }

# same_file SESSION PERSON PERSON...: all have the same session.ini
same_file() {
	local session=$1 first=$2 who
	shift 2
	for who; do
		cmp "$(session_file "$first" "$session")" "$(session_file "$who" "$session")" ||
			fail "$first and $who have different files"
	done
}
