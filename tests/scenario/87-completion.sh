#!/bin/bash
# Completion in bash: every verb and every option that --help tells, sessions, parties, and
# the program behind --; the zsh file parses and names the same verbs.
. "$(dirname "$0")/lib.sh"

compopt() { :; } # it works within a completion alone
# shellcheck source=/dev/null
. "$TOP/contrib/completion/mpcproxy"

# complete_line WORD...: what there is for the last of the words, in REPLY, one a line
complete_line() {
	COMP_WORDS=(mpcproxy "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_mpcproxy
	REPLY=$(printf '%s\n' "${COMPREPLY[@]}")
}
# offered WORD: it is among them
offered() { grep -Fxq -- "$1" <<<"$REPLY" || fail "'${COMP_WORDS[*]}' does not offer $1 but: $REPLY"; }

"$MPCPROXY" --help >"$T/help"
mapfile -t verbs < <(sed -n 's/^  \([a-z]*\) .*/\1/p' "$T/help" | sort -u)
[ ${#verbs[@]} -gt 15 ] || fail "only ${#verbs[@]} verbs in --help"
step "${#verbs[@]} verbs, and their options"
for verb in "${verbs[@]}"; do
	complete_line "${verb:0:1}"
	offered "$verb"
	grep -qw "$verb" "$TOP/contrib/completion/_mpcproxy" || fail "zsh does not know $verb"
	complete_line "$verb" -
	"$MPCPROXY" "$verb" --help >"$T/verb"
	mapfile -t options < <(grep -oE '^ +(-[a-zA-Z], )?--[a-z0-9-]+' "$T/verb" | grep -oE '\-\-?[a-zA-Z0-9-]+')
	[ ${#options[@]} -ge 2 ] || fail "$verb --help tells ${#options[@]} options"
	for option in "${options[@]}"; do offered "$option"; done
done

step "sessions and parties"
mkdir -p "$XDG_CONFIG_HOME/mpcproxy/sessions"
printf '[session]\nname = santa\n[party alice]\n[party bob]\n' >"$XDG_CONFIG_HOME/mpcproxy/sessions/santa.ini"
for verb in invite revoke leave; do
	complete_line $verb s
	offered santa
done
complete_line wait -c sa
offered santa
complete_line ping -c santa b
offered bob
complete_line ping -c "$XDG_CONFIG_HOME/mpcproxy/sessions/santa.ini" b
offered bob

step "the program behind --"
complete_line run -c santa -- bas
offered bash
command -v zsh >/dev/null || { step "no zsh to ask" && exit 0; }
zsh -n "$TOP/contrib/completion/_mpcproxy" || fail "zsh does not parse its file"
