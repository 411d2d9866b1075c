#!/bin/bash
# The parties' proxies start in every order, with the programs before and after them.
. "$(dirname "$0")/lib.sh"

make_session alice bob carol
for order in "alice bob carol" "alice carol bob" "bob alice carol" "bob carol alice" \
	"carol alice bob" "carol bob alice"; do
	read -ra names <<<"$order"

	step "$order, programs first"
	for party in "${names[@]}"; do program_start "$party"; done
	for party in "${names[@]}"; do
		proxy_start "$party"
	done
	program_end "${names[@]}"
	stop "${names[@]}"

	step "$order, each program right after its proxy"
	for party in "${names[@]}"; do
		proxy_start "$party"
		program_start "$party"
	done
	program_end "${names[@]}"
	stop "${names[@]}"
done

step "a party that comes once the others have long been waiting"
proxy_start alice bob
program_start alice
program_start bob
exits 3 carol verb alice wait --timeout 1
proxy_start carol
program_start carol
program_end alice bob carol
