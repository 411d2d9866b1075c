# shellcheck shell=bash
# A laboratory of real NATs: network namespaces, nftables, and Debian's own servers. What
# a script that sources this gets:
#
#   lab_enter "$@"           re-run the script where all this can be done, or skip it
#   lab_internet             the internet, with its servers' addresses (namespace inet)
#   lab_network NAME KIND    a network of that kind at the internet; its party's machine is
#                            the namespace NAME, its routers are NAME.router and NAME.carrier
#   lab_neighbours A B KIND  the same for two parties (A, B) behind one router
#   lab_exec NAME COMMAND... run something there
#   lab_start NAME LOG COMMAND...   and in the background; its process id is in LAB_PID
#   lab_relay                coturn in the internet: STUN and TURN
#
# All of it lives in mount, network and process namespaces of the script's own: nothing of
# it can be seen from outside, two runs cannot meet, and nothing is left when the script
# ends, however it ends. LAB is a directory that goes with it.

set -Eeuo pipefail

LAB_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$LAB_HERE/../finds.sh"
PYTHON=${PYTHON:-/usr/bin/python3}

# Machines in the internet: the numbers of their addresses (203.0.113.N, 2001:db8:0:2::N).
# The first is what NAME.test means. The reflector is the probe's.
RENDEZVOUS_NUMBERS=(10)
RELAY_NUMBERS=(20 21)
REFLECTOR_NUMBERS=(30 31)
RELAY_USER=santa
RELAY_PASSWORD=sleigh
LAB_PROXY_PORT=8080

LAB_PROGRAMS="ip:iproute2 nft:nftables turnserver:coturn miniupnpd:miniupnpd
	tinyproxy:tinyproxy unshare:util-linux setpriv:util-linux nsenter:util-linux openssl:openssl"

lab_skip() {
	printf 'skipped: %s\n' "$*"
	exit 77
}

lab_fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

trap 'printf "FAILED: %s line %s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR

# Where the script runs

# lab_enter ARGUMENTS...: in the outer run this does not return: it runs the script again
# inside, waits for it and ends with its code. As root where that is possible, else as
# root of a user namespace; with LAB_USER_FIRST set, the other way about.
lab_enter() {
	if [ -n "${LAB:-}" ]; then
		lab_inside
		return
	fi
	local program missing='' unshare status=0
	local ways=("unshare -nm" "unshare -Urnm")
	[ -z "${LAB_USER_FIRST:-}" ] || ways=("${ways[1]}" "${ways[0]}")
	PATH=$PATH:/usr/sbin:/sbin
	for program in $LAB_PROGRAMS; do
		command -v "${program%:*}" >/dev/null || missing="$missing ${program#*:}"
	done
	[ -z "$missing" ] || lab_skip "missing Debian packages:$missing"

	LAB=$(mktemp -d "${TMPDIR:-/tmp}/mpcproxy-nat.XXXXXX")
	trap 'rm -rf "$LAB"' EXIT
	for unshare in "${ways[@]}" none; do
		[ "$unshare" != none ] || lab_skip "no namespaces with nftables can be made here, as root" \
			"or as an ordinary user: $(tail -n 1 "$LAB/why")"
		# shellcheck disable=SC2016,SC2086
		! LAB=$LAB $unshare --pid --fork --kill-child bash -c '. "$0"; lab_try' \
			"${BASH_SOURCE[0]}" >"$LAB/why" 2>&1 || break
	done
	export LAB
	# unshare itself ignores SIGINT and SIGTERM; when it is killed, all inside is.
	# shellcheck disable=SC2086
	setpriv --pdeathsig KILL $unshare --pid --fork --kill-child bash "$0" "$@" &
	LAB_PID=$!
	trap 'kill -KILL $LAB_PID; exit 130' INT
	trap 'kill -KILL $LAB_PID; exit 143' TERM HUP
	wait $LAB_PID || status=$?
	exit $status
}

# The first steps inside. `ip netns` gets a place of its own to write to.
lab_inside() {
	mount --make-rprivate /
	mount -t tmpfs tmpfs /run
	mkdir /run/netns
	# With the process ids of in here; where that is forbidden, it goes without.
	mount -t proc proc /proc 2>/dev/null || true
	{
		echo "127.0.0.1 localhost"
		printf '%s rendezvous.test\n' "203.0.113.${RENDEZVOUS_NUMBERS[0]}" \
			"2001:db8:0:2::${RENDEZVOUS_NUMBERS[0]}"
		printf '%s relay.test\n' "203.0.113.${RELAY_NUMBERS[0]}" "2001:db8:0:2::${RELAY_NUMBERS[0]}"
	} >"$LAB/hosts"
	mount --bind "$LAB/hosts" /etc/hosts
	# No name server: what is not in that file does not exist.
	: >"$LAB/resolv.conf"
	mount --bind "$LAB/resolv.conf" "$(realpath /etc/resolv.conf)"
}

# Whether everything is there that only the kernel can refuse.
lab_try() {
	lab_inside
	lab_namespace try
	lab_namespace other
	lab_link try lan other wan
	ip -n try link add bridge type bridge
	lab_router try full-cone 192.0.2.1 192.168.1.1
}

# Building blocks

# lab_namespace NAME [FILE=VALUE...]: with the given sysctls of /proc/sys/net. IPv6
# addresses are usable at once, without looking for duplicates.
lab_namespace() {
	local name=$1
	shift
	ip netns add "$name"
	ip -n "$name" link set lo up
	# shellcheck disable=SC2016
	lab_exec "$name" sh -c 'cd /proc/sys/net && for i; do echo "${i#*=}" >"${i%%=*}"; done' sh \
		ipv6/conf/default/accept_dad=0 ipv6/conf/default/accept_ra=0 "$@"
}

lab_exec() {
	local name=$1
	shift
	nsenter --net="/run/netns/$name" -- "$@"
}

lab_start() {
	local name=$1 log=$2
	shift 2
	nsenter --net="/run/netns/$name" -- "$@" >"$log" 2>&1 </dev/null &
	LAB_PID=$!
}

# lab_link NAME INTERFACE NAME INTERFACE: a cable
lab_link() {
	ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
	ip -n "$1" link set "$2" up
	ip -n "$3" link set "$4" up
}

# lab_switch NAME INTERFACE ADDRESS...: an interface that is a switch, for lab_plug
lab_switch() {
	local name=$1 interface=$2 address
	shift 2
	# Left to itself, its hardware address would change whenever something is plugged in.
	ip -n "$name" link add "$interface" address 02:00:00:00:00:01 type bridge
	# Where switched packets, too, pass through the tables for IP, hairpinning is not routed.
	# shellcheck disable=SC2016
	lab_exec "$name" sh -c 'f=/proc/sys/net/bridge/bridge-nf-call-iptables; [ ! -e $f ] || echo 0 >$f'
	ip -n "$name" link set "$interface" up
	for address; do ip -n "$name" address add "$address" dev "$interface"; done
}

# lab_plug NAME INTERFACE SWITCH-NAME SWITCH-INTERFACE
lab_plug() {
	local port
	port=port$(ip -n "$3" -o link show master "$4" | wc -l)
	lab_link "$1" "$2" "$3" "$4-$port"
	ip -n "$3" link set "$4-$port" master "$4"
}

# lab_address NAME INTERFACE ADDRESS GATEWAY
lab_address() {
	ip -n "$1" address add "$3" dev "$2"
	ip -n "$1" route add default via "$4"
}

# lab_router NAME RULES WAN-ADDRESS LAN-ADDRESS
lab_router() {
	lab_exec "$1" nft -I "$LAB_HERE/router" -D wan_address="$3" -D lan_address="$4" \
		-f "$LAB_HERE/router/$2.nft"
}

# lab_listens NAME LOG PID PORT...: until something listens there (udp:1900, tcp:3478)
lab_listens() {
	local name=$1 log=$2 pid=$3 port tries
	shift 3
	for port; do
		tries=500
		until [ -n "$(lab_exec "$name" ss -Hln --"${port%:*}" "sport = :${port#*:}")" ]; do
			kill -0 "$pid" 2>/dev/null || lab_fail "${log##*/} ended: $(tail -n 5 "$log")"
			[ $((tries -= 1)) -gt 0 ] || lab_fail "nobody listens at $port in $name: $(tail -n 5 "$log")"
			sleep 0.02
		done
	done
}

# The internet: a router between all networks and a few servers

lab_internet() {
	lab_namespace inet ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 \
		ipv4/conf/all/send_redirects=0 ipv4/conf/default/send_redirects=0
	# miniupnpd refuses to serve behind an address that is reserved for documentation.
	lab_switch inet net 198.51.100.1/24 11.0.0.1/24 2001:db8:0:1::1/64
	lab_switch inet servers 203.0.113.1/24 2001:db8:0:2::1/64
	lab_server rendezvous "${RENDEZVOUS_NUMBERS[@]}"
	lab_server relay "${RELAY_NUMBERS[@]}"
	lab_server reflector "${REFLECTOR_NUMBERS[@]}"
	LAB_NETWORKS=10 # number of the next network, its place in all its addresses
}

# lab_server NAME NUMBER...: a machine in the internet
lab_server() {
	local name=$1 number
	shift
	lab_namespace "$name"
	lab_plug "$name" net inet servers
	for number; do
		ip -n "$name" address add "203.0.113.$number/24" dev net
		ip -n "$name" address add "2001:db8:0:2::$number/64" dev net
	done
	ip -n "$name" route add default via 203.0.113.1
	ip -n "$name" route add default via 2001:db8:0:2::1
}

# Networks. Behind every router is 192.168.1.0/24, as at home; the party has .2.

lab_network() {
	local name=$1 kind=$2
	case $kind in
	open)
		lab_host "$name"
		lab_plug "$name" wan inet net
		lab_address "$name" wan "198.51.100.$LAB_NETWORKS/24" 198.51.100.1
		;;
	full-cone | restricted | port-restricted | symmetric | remapping | tcp-only | tcp-443)
		lab_home "$name" "$kind" 198.51.100
		;;
	carrier)
		lab_carrier "$name.carrier" full-cone
		lab_behind_carrier "$name" "$name.carrier" 2
		;;
	dual)
		lab_home "$name" port-restricted 198.51.100
		lab_home_ipv6 "$name"
		;;
	ipv6)
		lab_host "$name"
		lab_gateway "$name.router"
		lab_plug "$name.router" wan inet net
		lab_plug "$name" lan "$name.router" lan
		lab_router "$name.router" router 192.0.2.1 192.0.2.1 # it has none
		lab_home_ipv6 "$name"
		;;
	proxy-only)
		lab_home "$name" "$kind" 198.51.100
		lab_proxy "$name.router"
		;;
	upnp)
		lab_home "$name" "$kind" 11.0.0
		lab_upnp "$name.router"
		;;
	*)
		lab_fail "there is no kind of network called $kind"
		;;
	esac
	LAB_NETWORKS=$((LAB_NETWORKS + 1))
}

# Two parties that share an address. KIND: same-lan; or, each behind a router of its own,
# same-carrier (which does not hairpin) or same-carrier-hairpin (which does).
lab_neighbours() {
	local a=$1 b=$2 kind=$3
	case $kind in
	same-lan)
		lab_home "$a" port-restricted 198.51.100
		lab_host "$b" 25000
		lab_plug "$b" lan "$a.router" lan
		lab_address "$b" lan 192.168.1.3/24 192.168.1.1
		;;
	same-carrier*)
		if [ "$kind" = same-carrier ]; then
			lab_carrier "$a.carrier" full-cone
		else
			lab_carrier "$a.carrier" hairpin
		fi
		lab_behind_carrier "$a" "$a.carrier" 2
		lab_behind_carrier "$b" "$a.carrier" 3 25000
		;;
	*)
		lab_fail "there is no kind of neighbours called $kind"
		;;
	esac
	LAB_NETWORKS=$((LAB_NETWORKS + 1))
}

# A party's machine; its ports are below those that a router gives out, and different from
# those of whoever shares an outside address with it.
lab_host() {
	local first=${2:-20000}
	lab_namespace "$1" ipv4/ip_local_port_range="$first $((first + 4999))"
}

lab_gateway() {
	lab_namespace "$1" ipv4/ip_forward=1 ipv6/conf/all/forwarding=1 \
		ipv4/conf/all/send_redirects=0 ipv4/conf/default/send_redirects=0
	lab_switch "$1" lan
}

# lab_home NAME RULES NETWORK [FIRST-PORT]
lab_home() {
	local name=$1
	lab_gateway "$name.router"
	lab_plug "$name.router" wan inet net
	lab_address "$name.router" wan "$3.$LAB_NETWORKS/24" "$3.1"
	lab_inside_home "$name" "$2" "$3.$LAB_NETWORKS"
}

# lab_inside_home NAME RULES WAN-ADDRESS [FIRST-PORT]
lab_inside_home() {
	ip -n "$1.router" address add 192.168.1.1/24 dev lan
	lab_router "$1.router" "$2" "$3" 192.168.1.1
	lab_host "$1" "${4:-}"
	lab_plug "$1" lan "$1.router" lan
	lab_address "$1" lan 192.168.1.2/24 192.168.1.1
}

# IPv6 for a network whose machines and cables are there
lab_home_ipv6() {
	local n=$LAB_NETWORKS
	lab_address "$1.router" wan "2001:db8:0:1::$n/64" 2001:db8:0:1::1
	ip -n "$1.router" address add "2001:db8:$n:1::1/64" dev lan
	ip -n inet route add "2001:db8:$n::/48" via "2001:db8:0:1::$n"
	lab_address "$1" lan "2001:db8:$n:1::2/64" "2001:db8:$n:1::1"
}

# lab_carrier NAME RULES: a carrier's NAT, with 100.64.0.0/10 (RFC 6598) inside
lab_carrier() {
	lab_gateway "$1"
	lab_plug "$1" wan inet net
	lab_address "$1" wan "198.51.100.$LAB_NETWORKS/24" 198.51.100.1
	ip -n "$1" address add 100.64.0.1/10 dev lan
	lab_router "$1" "$2" "198.51.100.$LAB_NETWORKS" 100.64.0.1
}

# lab_behind_carrier NAME CARRIER NUMBER [FIRST-PORT]: a home there
lab_behind_carrier() {
	lab_gateway "$1.router"
	lab_plug "$1.router" wan "$2" lan
	lab_address "$1.router" wan "100.64.0.$3/10" 100.64.0.1
	lab_inside_home "$1" port-restricted "100.64.0.$3" "${4:-}"
}

# Servers

# lab_relay: coturn, with STUN for everybody, and TURN over UDP and TCP (3478) and TLS
# (443) for RELAY_USER
lab_relay() {
	local conf=$LAB/relay.conf
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
		-subj /CN=relay.test -addext subjectAltName=DNS:relay.test \
		-keyout "$LAB/relay.key" -out "$LAB/relay.pem" 2>"$LAB/relay.log"
	{
		printf 'listening-ip=%s\n' "${RELAY_NUMBERS[@]/#/203.0.113.}" \
			"${RELAY_NUMBERS[@]/#/2001:db8:0:2::}"
		printf 'relay-ip=%s\n' "203.0.113.${RELAY_NUMBERS[0]}" "2001:db8:0:2::${RELAY_NUMBERS[0]}"
		printf '%s\n' listening-port=3478 tls-listening-port=443 no-cli no-dtls no-multicast-peers \
			fingerprint lt-cred-mech realm=test "user=$RELAY_USER:$RELAY_PASSWORD" \
			"cert=$LAB/relay.pem" "pkey=$LAB/relay.key" \
			"userdb=$LAB/relay.db" "pidfile=$LAB/relay.pid" log-file=stdout relay-threads=1
	} >"$conf"
	lab_start relay "$LAB/relay.log" turnserver -c "$conf"
	lab_listens relay "$LAB/relay.log" "$LAB_PID" udp:3478 tcp:3478 tcp:443
}

# lab_proxy ROUTER: an HTTP proxy that lets HTTPS pass, as in a company
lab_proxy() {
	local conf=$LAB/$1.proxy.conf
	printf '%s\n' "Port $LAB_PROXY_PORT" "Listen 192.168.1.1" "Timeout 60" "MaxClients 100" \
		"Allow 192.168.1.0/24" "ConnectPort 443" "LogLevel Connect" >"$conf"
	lab_start "$1" "$LAB/$1.proxy.log" tinyproxy -d -c "$conf"
	lab_listens "$1" "$LAB/$1.proxy.log" "$LAB_PID" "tcp:$LAB_PROXY_PORT"
}

# lab_upnp ROUTER: miniupnpd; it needs a route for what it announces
lab_upnp() {
	local conf=$LAB/$1.upnp.conf
	printf '%s\n' ext_ifname=wan listening_ip=lan http_port=5000 enable_upnp=yes enable_natpmp=yes \
		secure_mode=yes "lease_file=$LAB/$1.leases" uuid="$(cat /proc/sys/kernel/random/uuid)" \
		'allow 1024-65535 192.168.1.0/24 1024-65535' 'deny 0-65535 0.0.0.0/0 0-65535' >"$conf"
	ip -n "$1" route add 239.0.0.0/8 dev lan
	lab_start "$1" "$LAB/$1.upnp.log" miniupnpd -d -f "$conf" -P "$LAB/$1.upnp.pid"
	lab_listens "$1" "$LAB/$1.upnp.log" "$LAB_PID" udp:1900 tcp:5000
}

# The reflector's addresses, as the probe takes them.
REFLECTORS=("${REFLECTOR_NUMBERS[@]/#/203.0.113.}" "${REFLECTOR_NUMBERS[@]/#/2001:db8:0:2::}")

# lab_reflector: what the probe measures against
lab_reflector() {
	lab_start reflector "$LAB/reflector.log" "$PYTHON" "$LAB_HERE/probe.py" reflect "${REFLECTORS[@]}"
	lab_listens reflector "$LAB/reflector.log" "$LAB_PID" udp:3001
}

# lab_probe NAME [EXPECTED]: what kind of network it is; fails when it is another
lab_probe() {
	lab_exec "$1" "$PYTHON" "$LAB_HERE/probe.py" measure "${REFLECTORS[@]}" ${2:+--expect "$2"}
}

# lab_all_networks KIND...: these kinds of the file kinds (none: all), twice each, KIND-1 and
# KIND-2, and probed
lab_all_networks() {
	local kind expected name pids='' wanted=" $* "
	while read -r kind expected; do
		case $kind in '' | '#'*) continue ;; esac
		[ $# -eq 0 ] || [[ $wanted = *" $kind "* ]] || continue
		case $kind in
		same-*)
			lab_neighbours "$kind-1" "$kind-2" "$kind"
			;;
		*)
			lab_network "$kind-1" "$kind"
			lab_network "$kind-2" "$kind"
			;;
		esac
		for name in "$kind-1" "$kind-2"; do
			(lab_probe "$name" "$expected" || lab_fail "$name is not $kind") >"$LAB/$name.probe" 2>&1 &
			pids="$pids $!:$name"
		done
	done <"$LAB_HERE/kinds"
	for name in $pids; do
		wait "${name%%:*}" || lab_fail "$(cat "$LAB/${name#*:}.probe")"
		case $name in *-1) printf '%-23s%s\n' "${name#*:}" "$(head -n 1 "$LAB/${name#*:}.probe")" ;; esac
	done
}
