#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "watch/place.h"

/* 80 bits: no two parties of one user ever meet. */
#define NAME_HASH_BYTES 10
#define NAME_BYTES      (2 * NAME_HASH_BYTES + sizeof ".sock")

static int
hash_name(char out[NAME_BYTES], const struct session *s, const struct party *party)
{
	static const char purpose[] = "mpcproxy control socket";
	uint8_t in[sizeof purpose + sizeof s->name + sizeof party->name + PUBKEY_BYTES];
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct writer w;

	/* Each string with its NUL, so that no two triples write the same bytes. */
	writer_init(&w, in, sizeof in);
	write_bytes(&w, purpose, sizeof purpose);
	write_bytes(&w, s->name, strlen(s->name) + 1);
	write_bytes(&w, party->name, strlen(party->name) + 1);
	write_bytes(&w, party->key.point, PUBKEY_BYTES);
	if (!w.ok || EVP_Digest(in, w.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	for (size_t i = 0; i < NAME_HASH_BYTES; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
	strcpy(out + (size_t)2 * NAME_HASH_BYTES, ".sock");
	return 0;
}

/* A place at ${root}${below}/${name}. ${root} has to exist already when ${given}. */
static bool
fill(struct place *pl, const char *root, bool given, const char *below, const char *name)
{
	int n;

	/* The XDG specification: a relative path is to be ignored. */
	if (root == NULL || root[0] != '/')
		return false;
	memset(pl, 0, sizeof *pl);
	pl->addr.sun_family = AF_UNIX;
	n = snprintf(pl->addr.sun_path, sizeof pl->addr.sun_path, "%s%s/%s", root, below,
		     name);
	if (n < 0 || (size_t)n >= sizeof pl->addr.sun_path)
		return false;
	pl->dir_len = (size_t)n - strlen(name) - 1;
	pl->given_len = given ? strlen(root) : 0;
	return true;
}

size_t
place_list(struct place out[PLACES_MAX], const struct session *s, size_t index,
	   struct err *err)
{
	const char *state = getenv("XDG_STATE_HOME");
	char name[NAME_BYTES];
	size_t n = 0;

	if (hash_name(name, s, &s->parties[index]) != 0) {
		err_ssl(err, "SHA-256 failed");
		return 0;
	}
	if (fill(&out[n], getenv("XDG_RUNTIME_DIR"), true, "/mpcproxy", name))
		n++;
	if (state != NULL && state[0] == '/') {
		if (fill(&out[n], state, false, "/mpcproxy/run", name))
			n++;
	} else if (fill(&out[n], getenv("HOME"), true, "/.local/state/mpcproxy/run",
			name)) {
		n++;
	}
	if (n == 0)
		err_set(err,
			"there is no place for the control socket: set XDG_RUNTIME_DIR "
			"to a directory of your own with a path of at most %zu bytes",
			sizeof out->addr.sun_path - strlen("/mpcproxy/") - NAME_BYTES);
	return n;
}

const char *
place_name(const struct place *pl)
{
	return pl->addr.sun_path + pl->dir_len + 1;
}

/* mkdir -p of ${dir}, but for its first ${given} bytes. */
static int
make_dirs(char *dir, size_t given)
{
	size_t len = strlen(dir);

	for (size_t i = given + 1; i <= len; i++) {
		char c = dir[i];
		int r;

		if (c != '/' && c != '\0')
			continue;
		dir[i] = '\0';
		r = mkdir(dir, 0700);
		dir[i] = c;
		if (r != 0 && errno != EEXIST)
			return -1;
	}
	return 0;
}

int
place_open_dir(const struct place *pl, bool make, struct err *err)
{
	char dir[sizeof pl->addr.sun_path];
	struct stat st;
	int fd, saved;

	memcpy(dir, pl->addr.sun_path, pl->dir_len);
	dir[pl->dir_len] = '\0';
	if (make && make_dirs(dir, pl->given_len) != 0)
		return err_sys(err,
			       "%s: cannot make the control socket's directory (set "
			       "XDG_RUNTIME_DIR to one that you can write to)",
			       dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		saved = errno;
		err_sys(err, "%s: cannot open the control socket's directory", dir);
		errno = saved;
		return -1;
	}
	if (fstat(fd, &st) != 0) {
		err_sys(err, "%s", dir);
		goto fail;
	}
	if (st.st_uid != geteuid()) {
		err_set(err,
			"%s belongs to user %u: set XDG_RUNTIME_DIR to a directory of "
			"your own",
			dir, (unsigned)st.st_uid);
		goto fail;
	}
	if ((st.st_mode & 077) != 0) {
		err_set(err, "%s is open to other users: chmod 700 %s", dir, dir);
		goto fail;
	}
	return fd;

fail:
	close(fd);
	errno = EPERM;
	return -1;
}
