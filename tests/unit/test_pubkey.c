#include "check.h"

#include <stdio.h>

#include <openssl/ec.h>

#include "session/pubkey.h"

/* The curve's generator (SEC 2, 2.4.2). */
#define GENERATOR "A2sX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"

static void
formats_what_it_parses(void **state)
{
	struct pubkey key;
	struct err err;
	char text[PUBKEY_TEXT_BYTES];

	(void)state;
	assert_int_equal(pubkey_parse(&key, GENERATOR, &err), 0);
	assert_int_equal(key.point[0], 3);
	assert_int_equal(key.point[1], 0x6b);
	assert_int_equal(key.point[32], 0x96);
	assert_string_equal(pubkey_format(&key, text), GENERATOR);
}

/* An example of the did:key method's specification. */
static void
formats_did_key(void **state)
{
	struct pubkey key;
	char text[PUBKEY_DID_BYTES];

	(void)state;
	assert_int_equal(pubkey_parse(&key,
				      "A4oKxZotMIbooSp4/UdzptUqDKYe9sFBnhWgW8xtr857",
				      NULL),
			 0);
	assert_string_equal(pubkey_format_did(&key, text),
			    "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv");
}

static void
refuses_other_text(void **state)
{
	static const char *const bad[] = {
	    "",
	    "A2sX",
	    GENERATOR "=",
	    GENERATOR "A",
	    " " GENERATOR,
	    GENERATOR "\n",
	    "A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW", /* base64url */
	    "A2sX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMK=",
	    "A2sX0fLhLEJH+Lzm5WOk PJ3A32BLeszoPShOUXYmMKW",
	};
	struct pubkey key;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(pubkey_parse(&key, bad[i], &err), -1);
		assert_contains(err.text, "44 characters");
	}
}

static void
refuses_what_is_no_point(void **state)
{
	static const char *const bad[] = {
	    "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", /* x = 1 has no y */
	    "Av////8AAAABAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAE", /* x = p + 5, as 5 */
	    "AP//////////////////////////////////////////",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* infinity, padded */
	    "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW", /* "uncompressed" */
	    "BmsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW", /* "hybrid" */
	};
	struct pubkey key, untouched;
	struct err err;

	(void)state;
	memset(&key, 0xee, sizeof key);
	untouched = key;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(pubkey_parse(&key, bad[i], &err), -1);
		assert_contains(err.text, "no point on the curve");
		assert_memory_equal(&key, &untouched, sizeof key);
	}
}

static void
converts_to_openssl_and_back(void **state)
{
	/* One with each sign of y. */
	static const char *const keys[] =
	    {GENERATOR, "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAF"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pubkey key, back;
		EVP_PKEY *evp;

		assert_int_equal(pubkey_parse(&key, keys[i], NULL), 0);
		evp = pubkey_to_evp(&key);
		assert_non_null(evp);
		assert_int_equal(pubkey_from_evp(&back, evp), 0);
		assert_true(pubkey_equal(&key, &back));
		back.point[32] ^= 1;
		assert_false(pubkey_equal(&key, &back));
		EVP_PKEY_free(evp);
	}
}

static void
refuses_other_kinds_of_keys(void **state)
{
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	struct pubkey key;

	(void)state;
	assert_non_null(p384);
	assert_non_null(x25519);
	assert_int_equal(pubkey_from_evp(&key, p384), -1);
	assert_int_equal(pubkey_from_evp(&key, x25519), -1);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(x25519);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats_what_it_parses),
	    cmocka_unit_test(formats_did_key),
	    cmocka_unit_test(refuses_other_text),
	    cmocka_unit_test(refuses_what_is_no_point),
	    cmocka_unit_test(converts_to_openssl_and_back),
	    cmocka_unit_test(refuses_other_kinds_of_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
