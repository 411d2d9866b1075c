#!/bin/bash
# Party 0's program is killed and started again while its streams are held because
# the others' programs are not there yet, ten times. No greeting of an earlier program
# may arrive.
. "$(dirname "$0")/lib.sh"

three
for round in 1 2 3 4 5 6 7 8 9 10; do
	program_start alice
	held() { [ "$(json alice "sum(p['held'] for p in peer.values())")" -ge 1 ]; }
	eventually held
	murder alice-program
done
step "killed $round times"

step "a computation"
compute

step "the same while one of the others is there already"
program_start bob
for round in 1 2 3 4 5 6 7 8 9 10; do
	program_start alice
	eventually held
	murder alice-program
	murder bob-program
	program_start bob
done
program_start alice
program_start carol
program_end alice bob carol
