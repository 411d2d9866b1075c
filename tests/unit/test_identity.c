#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "session/identity.h"

#define PATH_BYTES 256

/* A directory of its own for every test. */
static int
make_dir(void **state)
{
	char template[] = "/tmp/test_identity.XXXXXX";

	if (mkdtemp(template) == NULL)
		return -1;
	*state = strdup(template);
	return *state == NULL ? -1 : 0;
}

static int
remove_dir(void **state)
{
	static const char *const names[] = {"id.pem", "a/b/id.pem", "a/b", "a", "link"};
	char path[PATH_BYTES];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", (char *)*state, names[i]);
		remove(path);
	}
	rmdir(*state);
	free(*state);
	return 0;
}

static char *
in_dir(void **state, const char *name, char out[PATH_BYTES])
{
	snprintf(out, PATH_BYTES, "%s/%s", (char *)*state, name);
	return out;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* ${evp} as a file. */
static void
write_key(const char *path, EVP_PKEY *evp, const EVP_CIPHER *cipher)
{
	FILE *f = fopen(path, "w");

	assert_non_null(evp);
	assert_non_null(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(PEM_write_PKCS8PrivateKey(f, evp, cipher,
						   cipher != NULL ? "secret" : NULL,
						   cipher != NULL ? 6 : 0, NULL, NULL),
			 1);
	assert_int_equal(fclose(f), 0);
	EVP_PKEY_free(evp);
}

static void
assert_refused(const char *path, const char *reason)
{
	struct err err = {""};

	assert_null(identity_load(path, &err));
	assert_contains(err.text, path);
	assert_contains(err.text, reason);
}

static void
loads_what_it_generated(void **state)
{
	char path[PATH_BYTES], dir[PATH_BYTES];
	struct identity *id, *again;
	struct pubkey from_evp;
	struct err err;

	in_dir(state, "a/b/id.pem", path);
	assert_int_equal(identity_generate(path, &err), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(in_dir(state, "a", dir)), 0700);
	assert_int_equal(mode_of(in_dir(state, "a/b", dir)), 0700);
	id = identity_load(path, &err);
	again = identity_load(path, &err);
	assert_non_null(id);
	assert_non_null(again);
	assert_true(pubkey_equal(identity_pubkey(id), identity_pubkey(again)));
	assert_int_equal(pubkey_from_evp(&from_evp, identity_evp(id)), 0);
	assert_true(pubkey_equal(identity_pubkey(id), &from_evp));
	identity_free(id);
	identity_free(again);
}

static void
never_overwrites(void **state)
{
	char path[PATH_BYTES], link[PATH_BYTES];
	struct identity *before, *after;
	struct err err;

	in_dir(state, "id.pem", path);
	assert_int_equal(identity_generate(path, &err), 0);
	before = identity_load(path, &err);
	assert_int_equal(identity_generate(path, &err), -1);
	assert_contains(err.text, "never overwritten");
	after = identity_load(path, &err);
	assert_true(pubkey_equal(identity_pubkey(before), identity_pubkey(after)));
	identity_free(before);
	identity_free(after);
	/* Nor through a symbolic link that leads nowhere yet. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(path, in_dir(state, "link", link)), 0);
	assert_int_equal(identity_generate(link, &err), -1);
	assert_int_equal(access(path, F_OK), -1);
}

static void
every_key_is_another(void **state)
{
	struct identity *a = identity_ephemeral(NULL), *b = identity_ephemeral(NULL);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_false(pubkey_equal(identity_pubkey(a), identity_pubkey(b)));
	identity_free(a);
	identity_free(b);
	identity_free(NULL);
}

static void
refuses_files_that_others_can_use(void **state)
{
	char path[PATH_BYTES];
	struct err err;

	in_dir(state, "id.pem", path);
	assert_int_equal(identity_generate(path, &err), 0);
	for (mode_t bit = 01; bit <= 040; bit <<= 1) {
		assert_int_equal(chmod(path, 0600 | bit), 0);
		assert_refused(path, "chmod 600");
	}
	/* Read-only is as good as it gets. */
	assert_int_equal(chmod(path, 0400), 0);
	{
		struct identity *id = identity_load(path, &err);

		assert_non_null(id);
		identity_free(id);
	}
}

static void
refuses_what_is_no_key(void **state)
{
	char path[PATH_BYTES];

	assert_refused(in_dir(state, "id.pem", path), "mpcproxy keygen");
	assert_refused(*state, "no regular file");
	write_file(path, "");
	assert_refused(path, "no unencrypted private key");
	write_file(path,
		   "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	assert_refused(path, "no unencrypted private key");
	assert_int_equal(mkfifo(in_dir(state, "link", path), 0600), 0);
	assert_refused(path, "no regular file");
}

static void
refuses_other_keys(void **state)
{
	char path[PATH_BYTES];

	in_dir(state, "id.pem", path);
	write_key(path, EVP_EC_gen("P-384"), NULL);
	assert_refused(path, "no P-256 key");
	write_key(path, EVP_EC_gen("secp256k1"), NULL);
	assert_refused(path, "no P-256 key");
	write_key(path, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL);
	assert_refused(path, "no P-256 key");
	/* Without asking anybody for the password. */
	write_key(path, EVP_EC_gen("P-256"), EVP_aes_128_cbc());
	assert_refused(path, "no unencrypted private key");
}

static void
default_path_follows_the_environment(void **state)
{
	char *path;

	(void)state;
	setenv("HOME", "/home/bob", 1);
	setenv("XDG_CONFIG_HOME", "/config", 1);
	path = identity_default_path("x");
	assert_string_equal(path, "/config/mpcproxy/x");
	free(path);
	setenv("XDG_CONFIG_HOME", "relative", 1);
	path = identity_default_path("x");
	assert_string_equal(path, "/home/bob/.config/mpcproxy/x");
	free(path);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("HOME");
	assert_null(identity_default_path("x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(loads_what_it_generated, make_dir,
					    remove_dir),
	    cmocka_unit_test_setup_teardown(never_overwrites, make_dir, remove_dir),
	    cmocka_unit_test(every_key_is_another),
	    cmocka_unit_test_setup_teardown(refuses_files_that_others_can_use, make_dir,
					    remove_dir),
	    cmocka_unit_test_setup_teardown(refuses_what_is_no_key, make_dir, remove_dir),
	    cmocka_unit_test_setup_teardown(refuses_other_keys, make_dir, remove_dir),
	    cmocka_unit_test(default_path_follows_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
