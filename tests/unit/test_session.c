#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "session/session.h"

#define KEY_0 "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAF"
#define KEY_1 "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAG"
#define KEY_2 "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI"

#define HEAD    "[session]\nname = s\nrendezvous = dir:/x\n"
#define PARTY_0 "[party a]\nkey = " KEY_0 "\n"
#define PARTY_1 "[party b]\nkey = " KEY_1 "\n"
#define PARTIES PARTY_0 PARTY_1

static struct session *
parse(const char *text)
{
	struct err err = {""};
	struct session *s = session_parse("f", text, strlen(text), &err);

	if (s == NULL)
		fail_msg("%s", err.text);
	return s;
}

/* ${text} is refused with a message that begins with ${place} and contains ${why}. */
static void
assert_refused_n(const char *text, size_t len, const char *place, const char *why)
{
	struct err err = {""};
	struct session *s = session_parse("f", text, len, &err);

	if (s != NULL)
		fail_msg("`%s` was accepted", text);
	if (strncmp(err.text, place, strlen(place)) != 0)
		fail_msg("`%s` does not begin with `%s`", err.text, place);
	assert_contains(err.text, why);
}

static void
assert_refused(const char *text, const char *place, const char *why)
{
	assert_refused_n(text, strlen(text), place, why);
}

static void
reads_all_there_is(void **state)
{
	struct session *s = parse("\xef\xbb\xbf# a comment\n"
				  "[session] ; another\r\n"
				  "  name\t=  santa ; and one more\r\n"
				  "rendezvous= tls://h:1#" KEY_2 "\n"
				  "rendezvous= dir:/p;q\n"
				  "stun = stun.example\n"
				  "turn = turn:h?transport=tcp\n"
				  "path = relay\n"
				  "\n"
				  "   [party alice]\n"
				  "   key = " KEY_0 "\n"
				  "[party bob-2]\n"
				  "path = direct\n"
				  "key=" KEY_1);
	struct pubkey key;

	(void)state;
	assert_string_equal(s->name, "santa");
	assert_int_equal(s->n_rendezvous, 2);
	assert_int_equal(s->rendezvous[0].scheme, URL_TLS);
	assert_int_equal(s->rendezvous[0].line, 4);
	assert_string_equal(s->rendezvous[1].path, "/p;q");
	assert_int_equal(s->n_stun, 1);
	assert_int_equal(s->n_turn, 1);
	assert_int_equal(s->policy, PATH_RELAY);
	assert_int_equal(s->n_parties, 2);
	assert_string_equal(s->parties[0].name, "alice");
	assert_int_equal(s->parties[0].line, 10);
	/* The session's, since alice's section does not say. */
	assert_int_equal(s->parties[0].policy, PATH_RELAY);
	assert_int_equal(s->parties[1].policy, PATH_DIRECT);
	assert_int_equal(session_find_name(s, "bob-2"), 1);
	assert_int_equal(session_find_name(s, "bob"), -1);
	assert_int_equal(pubkey_parse(&key, KEY_1, NULL), 0);
	assert_int_equal(session_find_key(s, &key), 1);
	assert_int_equal(pubkey_parse(&key, KEY_2, NULL), 0);
	assert_int_equal(session_find_key(s, &key), -1);
	session_free(s);
}

static void
refuses_bad_sections(void **state)
{
	(void)state;
	assert_refused(HEAD PARTIES "[local]\n", "f:8:", "local.ini");
	assert_refused(HEAD PARTIES "[locale]\n", "f:8:", "unknown section [locale]");
	assert_refused("[sesion]\n", "f:1:", "did you mean [session]?");
	assert_refused(HEAD "[Party a]\n", "f:4:", "did you mean [party NAME]?");
	assert_refused(HEAD "[party]\n", "f:4:", "party NAME");
	assert_refused(HEAD PARTIES "[session]\n", "f:8:", "second time");
	assert_refused("[session\n", "f:1:", "`]` is missing");
	assert_refused("[session] name = s\n", "f:1:", "follows the section");
	assert_refused("[session ;]\n", "f:1:", "`;`");
	assert_refused("name = s\n" HEAD, "f:1:", "before the first [section]");
	assert_refused(PARTIES, "f:", "no [session] section");
	assert_refused("", "f:", "no [session] section");
}

static void
refuses_bad_keys(void **state)
{
	(void)state;
	assert_refused("[session]\nstunn = h\n", "f:2:", "did you mean `stun`?");
	assert_refused("[session]\nbanana = h\n", "f:2:", "unknown key `banana`");
	assert_refused(HEAD PARTIES "keys = x\n", "f:8:", "did you mean `key`?");
	assert_refused(HEAD "[party a]\nname = x\n", "f:5:", "a party has key and path");
	assert_refused("[session]\nName = h\n", "f:2:", "did you mean `name`?");
	assert_refused("[session]\nname = a\nname = b\n", "f:3:", "second time");
	assert_refused(HEAD PARTIES "key = " KEY_2 "\n", "f:8:", "second time");
	assert_refused("[session]\nname\n", "f:2:", "expected `key = value`");
	assert_refused("[session]\nname ; = x\n", "f:2:", "expected `key = value`");
	assert_refused("[session]\nname\n\n\nstun = h\n",
		       "f:2:", "expected `key = value`");
	assert_refused("[session]\nname = \n", "f:2:", "no value");
	assert_refused("[session]\nname = ; x\n", "f:2:", "no value");
	assert_refused("[session]\n= x\n", "f:2:", "no key");
	assert_refused("[session]\n=\n", "f:2:", "no key");
	/* An indented line does not continue the one before it. */
	assert_refused("[session]\nname = s\n  t\n", "f:3:", "expected `key = value`");
}

static void
local_keys_belong_elsewhere(void **state)
{
	static const char *const keys[] = {
	    "identity",  "base-port",     "listen",      "socks5", "mpyc-guard", "upnp",
	    "turn-user", "turn-password", "turn-secret", "expose", "forward",
	};
	char text[100];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		snprintf(text, sizeof text, "[session]\n%s = x\n", keys[i]);
		assert_refused(text, "f:2:", "local.ini");
		snprintf(text, sizeof text, "[party a]\n%s = x\n", keys[i]);
		assert_refused(text, "f:2:", "must not decide it");
	}
}

static void
refuses_bad_names(void **state)
{
	static const char *const bad[] = {
	    "A",
	    "a_b",
	    "a b",
	    "\xc3\xa4",
	    "../a",
	    "a.b",
	    "a/b",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "a                                               b",
	    "                                                 b",
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "[session]\nname = x%s\n", bad[i]);
		assert_refused(text, "f:2:", "a-z, 0-9 and `-`");
		snprintf(text, sizeof text, HEAD "[party %s]\n", bad[i]);
		assert_refused(text, "f:4:", "a-z, 0-9 and `-`");
	}
	assert_refused(HEAD "[party ]\n", "f:4:", "a-z, 0-9 and `-`");
	assert_refused(HEAD "[party all]\n", "f:4:", "every party");
}

static void
refuses_bad_parties(void **state)
{
	(void)state;
	assert_refused(HEAD PARTIES "[party a]\n", "f:8:", "listed already (line 4)");
	assert_refused(HEAD PARTIES "[party c]\nkey = " KEY_0 "\n",
		       "f:9:", "c has the same key as a (line 4)");
	assert_refused(HEAD "[party a]\nkey = AAAA\n", "f:5:", "44 characters");
	assert_refused(HEAD "[party a]\nkey = "
			    "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n",
		       "f:5:", "no point on the curve");
	assert_refused(HEAD "[party a]\n" PARTY_1, "f:4:", "party a has no key");
	assert_refused(HEAD PARTY_0 "[party c]", "f:6:", "party c has no key");
	assert_refused(HEAD PARTY_0, "f:", "one party only");
	assert_refused(HEAD, "f:", "no party");
	assert_refused(HEAD PARTY_0 "path = Direct\n", "f:6:", "any, direct or relay");
}

static void
refuses_bad_servers(void **state)
{
	char text[400] = "[session]\n";

	(void)state;
	assert_refused("[session]\nrendezvous = tls://h:70000#" KEY_0 "\n",
		       "f:2: rendezvous:", "1 to 65535");
	assert_refused("[session]\nturn = relay.example\n",
		       "f:2: turn:", "expected turn:");
	assert_refused("[session]\nstun = h:port\n", "f:2: stun:", "1 to 65535");
	assert_refused("[session]\nrendezvous = dir:/x\n" PARTIES, "f:", "no name");
	for (int i = 0; i <= SESSION_SERVERS_MAX; i++)
		strcat(text, "stun = h\n");
	assert_refused(text, "f:10:", "more than 8");
}

static void
refuses_what_is_no_text(void **state)
{
	static const char nul[] = "[session]\nname = s\0t\n";
	char text[600];

	(void)state;
	assert_refused_n(nul, sizeof nul - 1, "f:2:", "0x00");
	assert_refused("\x7f"
		       "ELF\x02\x01\x01",
		       "f:1:", "0x7f");
	assert_refused("[session]\nname = \x1b[31m\n", "f:2:", "0x1b");
	assert_refused("[session]\rname = s\n", "f:1:", "0x0d");
	/* Neither cut nor split, whatever it is. */
	snprintf(text, sizeof text, "[session]\nname = %0200d\n", 1);
	assert_refused(text, "f:2:", "the line has 207 bytes and may have 198");
	snprintf(text, sizeof text, "[session]\n# %0300d\nname = s\n", 1);
	assert_refused(text, "f:2:", "the line has 302 bytes");
	snprintf(text, sizeof text, "[session]\nstun=%0194d\n", 1);
	assert_refused(text, "f:2:", "the line has 199 bytes");
	snprintf(text, sizeof text, "[session]\nstun=%0193d\n", 1);
	assert_refused(text, "f:2: stun:", "neither a name nor an address");
	snprintf(text, sizeof text, "[session]\nstun=h%200s;%s\n" HEAD, "", "");
	assert_refused(text, "f:2:", "the line has");
}

/* A file of ${n} parties with keys made from 5, 6, 8 and so on; malloc'ed. */
static char *
crowd(size_t n)
{
	char *text = malloc(100 * (n + 1));
	size_t len = (size_t)sprintf(text, HEAD);
	struct pubkey key = {{2}};
	uint8_t bytes[PUBKEY_BYTES] = {2};
	char key_text[PUBKEY_TEXT_BYTES];
	unsigned x = 0;

	for (size_t i = 0; i < n; i++) {
		do {
			x++;
			bytes[31] = (uint8_t)(x >> 8);
			bytes[32] = (uint8_t)x;
		} while (pubkey_from_bytes(&key, bytes) != 0);
		len += (size_t)sprintf(text + len, "[party p%zu]\nkey = %s\n", i,
				       pubkey_format(&key, key_text));
	}
	return text;
}

static void
counts_parties(void **state)
{
	char *text = crowd(SESSION_PARTIES_MAX);
	struct session *s = parse(text);

	(void)state;
	assert_int_equal(s->n_parties, SESSION_PARTIES_MAX);
	assert_string_equal(s->parties[255].name, "p255");
	session_free(s);
	free(text);
	text = crowd(SESSION_PARTIES_MAX + 1);
	assert_refused(text, "f:516:", "more than 256 parties");
	free(text);
}

static void
digest_covers_who_is_who(void **state)
{
	static const char *const different[] = {
	    "[session]\nname = t\nrendezvous = dir:/x\n" PARTIES,
	    HEAD PARTY_1 PARTY_0,
	    HEAD PARTY_0 "[party c]\nkey = " KEY_1,
	    HEAD PARTY_0 "[party b]\nkey = " KEY_2,
	    HEAD PARTIES "[party c]\nkey = " KEY_2,
	};
	/* SHA-256 over 1 "s", 1 "a" KEY_0, 1 "b" KEY_1. */
	uint8_t bytes[2 + 2 * (2 + PUBKEY_BYTES)] = {1, 's', 1, 'a', 2};
	uint8_t expected[32];
	struct session *s = parse(HEAD PARTIES);
	/* Where they meet is not who they are. */
	struct session *same =
	    parse("[session]\nname=s\nrendezvous=dir:/y\nstun=h\n" PARTIES);

	(void)state;
	bytes[4 + 32] = 5;
	bytes[37] = 1;
	bytes[38] = 'b';
	bytes[39] = 2;
	bytes[39 + 32] = 6;
	assert_int_equal(EVP_Digest(bytes, sizeof bytes, expected, NULL, EVP_sha256(),
				    NULL),
			 1);
	assert_memory_equal(s->roster_digest, expected, 32);
	assert_memory_equal(s->roster_digest, same->roster_digest, 32);
	for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
		struct session *other = parse(different[i]);

		assert_memory_not_equal(s->roster_digest, other->roster_digest, 32);
		session_free(other);
	}
	session_free(s);
	session_free(same);
}

static void
own_index_is_the_key_s(void **state)
{
	struct identity *id = identity_ephemeral(NULL);
	struct session *s = parse(HEAD PARTIES);
	char key[PUBKEY_TEXT_BYTES];
	struct err err;

	(void)state;
	assert_int_equal(session_own_index(s, id, &err), -1);
	assert_contains(err.text, pubkey_format(identity_pubkey(id), key));
	assert_contains(err.text, "-i");
	s->parties[1].key = *identity_pubkey(id);
	assert_int_equal(session_own_index(s, id, &err), 1);
	session_free(s);
	identity_free(id);
}

static void
reads_files_only(void **state)
{
	char path[] = "/tmp/test_session.XXXXXX";
	int fd = mkstemp(path);
	struct session *s;
	struct err err;

	(void)state;
	assert_true(fd >= 0);
	assert_true(write(fd, HEAD PARTIES, strlen(HEAD PARTIES)) > 0);
	s = session_load(path, &err);
	assert_non_null(s);
	session_free(s);
	assert_int_equal(ftruncate(fd, SESSION_FILE_MAX + 1), 0);
	assert_null(session_load(path, &err));
	assert_contains(err.text, "larger than 262144 bytes");
	close(fd);
	unlink(path);
	assert_null(session_load(path, &err));
	assert_contains(err.text, "does not exist");
	assert_null(session_load("/tmp", &err));
	assert_contains(err.text, "is a directory");
	/* Without end. */
	assert_null(session_load("/dev/zero", &err));
	assert_contains(err.text, "larger than");
}

static void
sample_is_valid(void **state)
{
	const char *srcdir = getenv("srcdir");
	struct err err = {""};
	struct session *s;
	char path[4096];

	(void)state;
	snprintf(path, sizeof path, "%s/conf/session.ini", srcdir != NULL ? srcdir : ".");
	s = session_load(path, &err);
	if (s == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(s->n_parties, 3);
	session_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_all_there_is),
	    cmocka_unit_test(refuses_bad_sections),
	    cmocka_unit_test(refuses_bad_keys),
	    cmocka_unit_test(local_keys_belong_elsewhere),
	    cmocka_unit_test(refuses_bad_names),
	    cmocka_unit_test(refuses_bad_parties),
	    cmocka_unit_test(refuses_bad_servers),
	    cmocka_unit_test(refuses_what_is_no_text),
	    cmocka_unit_test(counts_parties),
	    cmocka_unit_test(digest_covers_who_is_who),
	    cmocka_unit_test(own_index_is_the_key_s),
	    cmocka_unit_test(reads_files_only),
	    cmocka_unit_test(sample_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
