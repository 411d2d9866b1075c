#!/bin/bash
# A party that moves to another address keeps its streams: where its kernel tells of the
# change, where only silence does, and when both move at once.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults.sh"

outage_session alice bob
flow_start alice --bulk
flow_start bob

# moves NAME: what happens to the addresses is in the function; the flows go on within 3 s
moves() {
	step "$1"
	mark alice-flow
	mark bob-flow
	MENDED_MS=$(now_ms)
	$2
	flows_within 3000 alice bob
}

alice_moves() { address alice 10.9.1.1; }
bob_moves() { address bob 10.9.1.2; }
both_move() {
	address alice 10.9.2.1
	address bob 10.9.2.2
}
bob_roams() {
	unplug bob
	address bob 10.9.3.2
	plug bob
}

moves "alice has another address" alice_moves
moves "bob has another address" bob_moves
moves "both at once" both_move
moves "bob is unplugged, and plugged in elsewhere" bob_roams
flow_end alice
flow_end bob
not_logged alice disconnected
not_logged bob disconnected
