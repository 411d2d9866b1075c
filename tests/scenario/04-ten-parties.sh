#!/bin/bash
# Ten parties, 45 paths, one computation.
. "$(dirname "$0")/lib.sh"

make_session p0 p1 p2 p3 p4 p5 p6 p7 p8 p9
proxy_start "${PARTIES[@]}"
connected "${PARTIES[@]}"
REPEAT=3 compute
stop "${PARTIES[@]}"
