#!/bin/bash
# Identities: made once and never overwritten, refused when something is wrong with them.
. "$(dirname "$0")/lib.sh"

step "keygen, id"
key=$(mpcproxy keygen "$T/alice.pem" | grep -o '[A-Za-z0-9+/]\{44\}')
[ "$(mpcproxy id "$T/alice.pem")" = "$key" ] || fail "id prints another key than keygen"
[ "$(stat -c %a "$T/alice.pem")" = 600 ] || fail "the file's mode is not 0600"
case $(mpcproxy id "$T/alice.pem" --did) in
did:key:zDn*) ;;
*) fail "no did:key of a P-256 key" ;;
esac
openssl pkey -in "$T/alice.pem" -noout || fail "OpenSSL cannot read the file"

step "the default file"
mpcproxy keygen >/dev/null
[ -f "$XDG_CONFIG_HOME/mpcproxy/identity.pem" ] || fail "keygen did not use the default file"
[ "$(stat -c %a "$XDG_CONFIG_HOME/mpcproxy")" = 700 ] || fail "the directory's mode is not 0700"
[ "$(mpcproxy id)" != "$key" ] || fail "two identities have one key"

step "never overwritten"
cp "$T/alice.pem" "$T/before.pem"
exits 1 "$T/alice.pem" mpcproxy keygen "$T/alice.pem"
cmp "$T/alice.pem" "$T/before.pem"
exits 1 "identity.pem" mpcproxy keygen
ln -s "$T/nowhere.pem" "$T/link.pem"
exits 1 "$T/link.pem" mpcproxy keygen "$T/link.pem"

step "missing"
exits 1 "$T/none.pem" mpcproxy id "$T/none.pem"

step "others can read it"
for mode in 640 604 660; do
	chmod $mode "$T/before.pem"
	exits 1 "$T/before.pem" mpcproxy id "$T/before.pem"
done

step "no PEM, another curve, another kind of key, a public key"
umask 077
echo "not a key" >"$T/text.pem"
: >"$T/empty.pem"
head -c 100000 /dev/urandom >"$T/random.pem"
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$T/p384.pem"
openssl genpkey -quiet -algorithm ED25519 -out "$T/ed25519.pem"
openssl pkey -in "$T/alice.pem" -pubout -out "$T/public.pem"
mkdir "$T/directory.pem"
for file in text empty random p384 ed25519 public directory; do
	exits 1 "$T/$file.pem" mpcproxy id "$T/$file.pem"
done
openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes-128-cbc -pass pass:x \
	-out "$T/locked.pem"
exits 1 "$T/locked.pem" timeout 10 "$MPCPROXY" id "$T/locked.pem" </dev/null

step "a directory where nothing can be written"
if [ "$(id -u)" -ne 0 ]; then
	mkdir -m 500 "$T/closed"
	exits 1 "$T/closed/new.pem" mpcproxy keygen "$T/closed/new.pem"
fi
exits 1 "/dev/null/new.pem" mpcproxy keygen /dev/null/new.pem
