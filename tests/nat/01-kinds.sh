#!/bin/bash
# Every kind of network is what its name says: mapping, filtering and all else as in the
# file kinds, measured by the probe. Arguments: only these kinds.
. "$(dirname "$0")/lab.sh"
LAB_USER_FIRST=1 lab_enter "$@"

lab_internet
lab_relay
lab_reflector
lab_all_networks "$@"
