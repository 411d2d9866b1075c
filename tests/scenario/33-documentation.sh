#!/bin/bash
# Verbs, options and keys are the same in the program, the manual pages, the completions,
# the sample files and README.md.
. "$(dirname "$0")/lib.sh"

"$PYTHON" "$HERE/documentation.py" "$TOP" "$MPCPROXY"

step "the samples are read as they are"
"$MPCPROXY" keygen "$T/alice.pem" >/dev/null
sample=$(sed -n '/^\[party alice\]/,/^key/s/^key = //p' "$TOP/conf/session.ini")
sed "s#$sample#$("$MPCPROXY" id "$T/alice.pem")#" "$TOP/conf/session.ini" >"$T/session.ini"
exits 0 "you are alice" mpcproxy check -c "$T/session.ini" -i "$T/alice.pem" --local "$TOP/conf/local.ini"

step "all that is commented out in local.ini, too"
# No port twice, one of two ways to log in, files and users that are there.
sed -E 's/^; //; /^turn-(user|password)/d; s#(turn-ca|mqtt-ca) = .*#\1 = '"$T"'/ca.pem#
	s#^identity = .*#identity = '"$T"'/alice.pem#; s/www-data/root/' "$TOP/conf/local.ini" |
	(umask 077 && cat >"$T/local.ini")
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" -out "$T/ca.pem" \
	-subj /CN=ca -days 1 2>/dev/null || skip "no openssl (Debian package openssl)"
exits 0 "192.168.1.7:80 for carol, unsafe" mpcproxy check -c "$T/session.ini" --local "$T/local.ini"
