# shellcheck shell=bash
# finds PATTERN..., at the end of a pipe: as grep -q, but reads to the end. grep goes at the first
# match, and under pipefail the SIGPIPE of whoever still writes then counts as "not found".
finds() {
	local all
	all=$(cat)
	grep -q "$@" <<<"$all"
}
