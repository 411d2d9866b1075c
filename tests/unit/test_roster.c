#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "session/roster.h"

/* Alice's session with Bob, whose host Alice is, and somebody else. */
struct rig {
	struct identity *alice, *bob, *mallory;
	struct session *s;
	uint8_t packed[ROSTER_SIGNED_MAX];
	size_t len;
};

static struct session *
draft(const struct rig *r, unsigned version, const char *more)
{
	char a[PUBKEY_TEXT_BYTES], b[PUBKEY_TEXT_BYTES], text[2048];
	struct err err = {""};
	struct session *s;

	snprintf(text, sizeof text,
		 "[session]\nname = santa\nversion = %u\nhost = %s\n"
		 "rendezvous = tls://relay.example:7470#%s\nrendezvous = dir:/some where\n"
		 "stun = stun.example\nturn = turn:t.example?transport=tcp\npath = direct\n%s"
		 "[party alice]\nkey = %s\n[party bob]\nkey = %s\npath = relay\n",
		 version, pubkey_format(identity_pubkey(r->alice), a), a, more, a,
		 pubkey_format(identity_pubkey(r->bob), b));
	s = session_parse_draft("f", text, strlen(text), &err);
	if (s == NULL)
		fail_msg("%s", err.text);
	return s;
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	struct err err = {""};
	int len;

	r->alice = identity_ephemeral(NULL);
	r->bob = identity_ephemeral(NULL);
	r->mallory = identity_ephemeral(NULL);
	r->s = draft(r, 7, "");
	assert_int_equal(roster_sign(r->s, r->alice, &err), 0);
	len = roster_pack(r->s, r->packed, &err);
	assert_true(len > 0);
	r->len = (size_t)len;
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	identity_free(r->alice);
	identity_free(r->bob);
	identity_free(r->mallory);
	session_free(r->s);
	free(r);
	return 0;
}

#define INI_MAX 4096

static char *
ini(char text[INI_MAX], const struct session *s)
{
	FILE *out = fmemopen(text, INI_MAX, "w");

	assert_non_null(out);
	roster_write_ini(out, s);
	fclose(out);
	return text;
}

static struct session *
unpack(const struct rig *r, const struct identity *host)
{
	struct err err;

	return roster_unpack(r->packed, r->len, identity_pubkey(host), &err);
}

static void
survives_both_forms(void **state)
{
	struct rig *r = *state;
	struct session *s = unpack(r, r->alice);
	struct err err = {""};
	char text[INI_MAX], again[INI_MAX];

	assert_non_null(s);
	assert_int_equal(s->version, 7);
	assert_int_equal(s->n_parties, 2);
	assert_int_equal(s->policy, PATH_DIRECT);
	assert_int_equal(s->parties[0].policy, PATH_DIRECT);
	assert_int_equal(s->parties[1].policy, PATH_RELAY);
	assert_int_equal(s->n_rendezvous, 2);
	assert_string_equal(s->rendezvous[1].path, "/some where");
	assert_true(s->turn[0].tcp);
	assert_memory_equal(s->roster_digest, r->s->roster_digest, 32);
	ini(text, s);
	session_free(s);
	s = session_parse("f", text, strlen(text), &err);
	if (s == NULL)
		fail_msg("%s", err.text);
	assert_string_equal(text, ini(again, s));
	session_free(s);
}

static void
another_version_is_another_roster(void **state)
{
	struct rig *r = *state;
	struct session *s = draft(r, 8, "");

	assert_memory_not_equal(s->roster_digest, r->s->roster_digest, 32);
	session_free(s);
}

static void
every_bit_is_signed(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < r->len; i++) {
		struct session *s;

		r->packed[i] ^= 1;
		s = unpack(r, r->alice);
		if (s != NULL)
			fail_msg("byte %zu is not signed", i);
		r->packed[i] ^= 1;
	}
	for (size_t full = r->len; r->len > 0;) {
		r->len--;
		assert_null(unpack(r, r->alice));
		if (r->len == 0) {
			r->len = full;
			break;
		}
	}
	assert_null(unpack(r, r->mallory));
}

static void
only_the_host_signs(void **state)
{
	struct rig *r = *state;
	struct session *s = draft(r, 9, "");
	struct err err;

	/* With Mallory's signature over a roster that names Alice as its host. */
	assert_int_equal(roster_sign(s, r->mallory, &err), 0);
	s->host = *identity_pubkey(r->alice);
	assert_int_equal(roster_verify(s, &err), -1);
	r->len = (size_t)roster_pack(s, r->packed, &err);
	assert_null(unpack(r, r->alice));
	assert_null(unpack(r, r->mallory));
	session_free(s);
}

/* ${from} in a signed session.ini becomes ${to}: it is refused with ${why}. */
static void
refused(const struct rig *r, const char *from, const char *to, const char *why)
{
	char text[INI_MAX], changed[2 * INI_MAX];
	const char *at = strstr(ini(text, r->s), from);
	struct err err = {""};

	assert_non_null(at);
	snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to,
		 at + strlen(from));
	assert_null(session_parse("f", changed, strlen(changed), &err));
	assert_contains(err.text, why);
}

static void
file_changed_by_hand(void **state)
{
	struct rig *r = *state;

	refused(r, "version = 7", "version = 8", "changed by hand");
	refused(r, "party bob", "party eve", "changed by hand");
	refused(r, "path = relay", "path = any", "changed by hand");
	refused(r, "stun.example", "stun.example.org", "changed by hand");
	refused(r, "version = 7\n", "", "belong together");
	refused(r, "version = 7", "version = 0", "number from 1");
	refused(r, "signature = ", "signature = !", "damaged");
	refused(r, "host = A", "host = B", "");
}

static void
decode_is_strict(void **state)
{
	struct rig *r = *state;
	uint8_t roster[ROSTER_MAX + 1];
	struct err err;
	struct session *s;
	int len = roster_encode(r->s, roster, &err);

	s = roster_decode(roster, (size_t)len, &err);
	assert_non_null(s);
	session_free(s);
	assert_null(roster_decode(roster, (size_t)len - 1, &err));
	roster[len] = 0;
	assert_null(roster_decode(roster, (size_t)len + 1, &err));
	/* A line of its own, smuggled into a name. */
	memcpy(roster + 1 + 8 + 33 + 1, "x\ny=z", 5);
	assert_null(roster_decode(roster, (size_t)len, &err));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(survives_both_forms),	TEST(another_version_is_another_roster),
	    TEST(every_bit_is_signed),	TEST(only_the_host_signs),
	    TEST(file_changed_by_hand), TEST(decode_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
