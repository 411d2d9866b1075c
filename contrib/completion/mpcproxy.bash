# bash completion for mpcproxy: source it, or install it as
# /usr/share/bash-completion/completions/mpcproxy

# The names of the parties in the session's file that the command line names.
_mpcproxy_parties() {
	local i file=
	for ((i = 1; i < ${#COMP_WORDS[@]} - 1; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --config) file=${COMP_WORDS[i + 1]/#\~/$HOME} ;;
		esac
	done
	[[ -r $file ]] || file=${XDG_CONFIG_HOME:-$HOME/.config}/mpcproxy/sessions/${file%.ini}.ini
	[[ -r $file ]] && sed -n 's/^[[:space:]]*\[party \([a-z0-9-]*\)\].*/\1/p' "$file"
}

# Complete the words from $1 on as a command line of their own.
_mpcproxy_program() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif ((COMP_CWORD == $1)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

# Sessions that were made by invitation.
_mpcproxy_sessions() {
	local file
	for file in "${XDG_CONFIG_HOME:-$HOME/.config}"/mpcproxy/sessions/*.ini; do
		[[ -r $file ]] && file=${file##*/} && printf '%s\n' "${file%.ini}"
	done
}

_mpcproxy() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verbs='run invite join revoke leave sessions keygen id check netcheck flags wait status ping connect forward reload offer accept rendezvous'
	local setup='-c --config --local -i --identity -b --base-port -v --verbose'
	local adhoc='-i --identity --local -b --base-port -v --verbose'
	local common='-h --help --version'
	local verb=run options word i

	# Behind -- stands a program.
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			_mpcproxy_program $((i + 1))
			return
		fi
	done

	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case " $verbs " in
		*" $word "*)
			verb=$word
			break
			;;
		esac
		[[ $word == -* ]] && break
	done

	case $prev in
	-c | --config | --local | -i | --identity)
		compopt -o filenames
		mapfile -t COMPREPLY < <(
			[[ $prev != -c && $prev != --config ]] || compgen -W "$(_mpcproxy_sessions)" -- "$cur"
			compgen -f -- "$cur" || :
		)
		return
		;;
	--parties | --add | --rendezvous | --address | --stun | --turn | --expires | --as | -b | --base-port | -t | --timeout | -n | --count | -l | --listen)
		return
		;;
	esac

	case $verb in
	run) options="$setup --no-fast-path --socks5 --isolate --allow-different --show-args -t --timeout $common" ;;
	check | flags | reload | offer | accept | connect) options="$setup $common" ;;
	wait) options="$setup -t --timeout $common" ;;
	netcheck | status) options="$setup --json $common" ;;
	forward) options="$setup -r --remove $common" ;;
	ping) options="$setup -n --count $common" ;;
	invite) options="-n --parties --add --rendezvous --address -l --listen --stun --turn --expires --qr -y --yes --as $adhoc $common" ;;
	join) options="--as $adhoc $common" ;;
	revoke) options="-i --identity --local $common" ;;
	leave | sessions) options=$common ;;
	rendezvous) options="-l --listen -i --identity -v --verbose $common" ;;
	id) options="--did $common" ;;
	keygen) options=$common ;;
	esac

	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
	elif [[ $verb == invite || $verb == revoke || $verb == leave ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mpcproxy_sessions)" -- "$cur")
	elif [[ $verb == ping ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mpcproxy_parties)" -- "$cur")
	elif [[ $verb == id || $verb == keygen ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -F _mpcproxy mpcproxy
