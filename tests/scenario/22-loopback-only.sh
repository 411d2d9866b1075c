#!/bin/bash
# A machine without any network but loopback, IPv4 and IPv6, and then IPv4 alone.
OWN_NETWORK=1
. "$(dirname "$0")/lib.sh"

three
compute
[ "$(json alice "peer['bob']['path']['type']")" = direct ] || fail "$(verb alice status)"
stop alice bob carol

step "without IPv6"
ip -6 address flush dev lo 2>/dev/null || true
proxy_start alice bob carol
connected alice bob carol
compute
