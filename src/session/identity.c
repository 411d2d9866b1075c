#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "session/identity.h"

/* A P-256 key has about 240 bytes, and some hundred more with parameters before it. */
#define PEM_MAX 16384

struct identity {
	EVP_PKEY *evp;
	struct pubkey pub;
};

static struct identity *
identity_new(EVP_PKEY *evp)
{
	struct identity *id = calloc(1, sizeof *id);

	if (id == NULL)
		return NULL;
	if (pubkey_from_evp(&id->pub, evp) != 0) {
		free(id);
		return NULL;
	}
	id->evp = evp;
	return id;
}

struct identity *
identity_ephemeral(struct err *err)
{
	EVP_PKEY *evp = EVP_EC_gen("P-256");
	struct identity *id;

	if (evp == NULL) {
		err_ssl(err, "a P-256 key cannot be made");
		return NULL;
	}
	id = identity_new(evp);
	if (id == NULL) {
		err_set(err, "out of memory");
		EVP_PKEY_free(evp);
	}
	return id;
}

void
identity_free(struct identity *id)
{
	if (id == NULL)
		return;
	EVP_PKEY_free(id->evp);
	free(id);
}

const struct pubkey *
identity_pubkey(const struct identity *id)
{
	return &id->pub;
}

EVP_PKEY *
identity_evp(const struct identity *id)
{
	return id->evp;
}

/* Make the directories above ${path}. */
static int
make_parents(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int rc = -1;

	if (copy == NULL)
		return err_set(err, "out of memory");
	for (char *p = copy + 1; *copy != '\0' && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
			err_sys(err, "directory %s cannot be made", copy);
			goto out;
		}
		*p = '/';
	}
	rc = 0;
out:
	free(copy);
	return rc;
}

static int
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

/* Create ${path} with what ${bio} holds; nothing is left behind on failure. */
static int
write_new_file(const char *path, BIO *bio, struct err *err)
{
	char *pem;
	long len = BIO_get_mem_data(bio, &pem);
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 && errno == EEXIST)
		return err_set(err,
			       "%s exists already and is never overwritten: `mpcproxy id "
			       "%s` prints its public key",
			       path, path);
	if (fd == -1)
		return err_sys(err, "%s cannot be made", path);
	if (len <= 0 || write_all(fd, pem, (size_t)len) != 0) {
		err_sys(err, "%s cannot be written", path);
		goto err1;
	}
	if (close(fd) != 0) {
		err_sys(err, "%s cannot be written", path);
		goto err0;
	}
	return 0;

err1:
	close(fd);
err0:
	unlink(path);
	return -1;
}

int
identity_generate(const char *path, struct err *err)
{
	EVP_PKEY *evp;
	BIO *bio;
	int rc = -1;

	evp = EVP_EC_gen("P-256");
	/* Cleanses the private key when it is freed. */
	bio = BIO_new(BIO_s_secmem());
	if (evp == NULL || bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(bio, evp, NULL, NULL, 0, NULL, NULL) != 1) {
		err_ssl(err, "a P-256 key cannot be made");
		goto out;
	}
	if (make_parents(path, err) == 0)
		rc = write_new_file(path, bio, err);
out:
	BIO_free(bio);
	EVP_PKEY_free(evp);
	return rc;
}

/* Open ${path} if it is a file that nobody else can read. */
static int
open_private(const char *path, struct err *err)
{
	struct stat st;
	int fd;

	/* O_NONBLOCK: do not wait for the other end of a named pipe. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && errno == ENOENT)
		return err_set(err,
			       "the identity %s does not exist: make one with `mpcproxy "
			       "keygen %s`",
			       path, path);
	if (fd == -1)
		return err_sys(err, "the identity %s cannot be opened", path);
	if (fstat(fd, &st) != 0) {
		err_sys(err, "the identity %s cannot be examined", path);
		goto err1;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(err, "the identity %s is no regular file", path);
		goto err1;
	}
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		err_set(err,
			"the identity %s has mode %04o, so that others can use it: "
			"`chmod 600 %s`, or make another if somebody may have read it",
			path, (unsigned)(st.st_mode & 07777), path);
		goto err1;
	}
	return fd;

err1:
	close(fd);
	return -1;
}

/* Never ask on the terminal for the password of an encrypted key. */
static int
no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static ssize_t
read_all(int fd, char *data, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static EVP_PKEY *
read_pem(const char *path, const char *pem, size_t len, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	EVP_PKEY *evp;

	if (bio == NULL) {
		err_ssl(err, "%s", path);
		return NULL;
	}
	evp = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (evp == NULL) {
		ERR_clear_error();
		err_set(err,
			"the identity %s holds no unencrypted private key in PEM: name "
			"the file that `mpcproxy keygen` made",
			path);
	}
	BIO_free(bio);
	return evp;
}

/* Whether it is P-256, and the private key belongs to the public one. */
static bool
is_sound(EVP_PKEY *evp)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
	bool sound = ctx != NULL && EVP_PKEY_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return sound;
}

struct identity *
identity_load(const char *path, struct err *err)
{
	struct identity *id = NULL;
	EVP_PKEY *evp = NULL;
	char pem[PEM_MAX];
	ssize_t len;
	int fd;

	fd = open_private(path, err);
	if (fd == -1)
		return NULL;
	len = read_all(fd, pem, sizeof pem);
	if (len < 0)
		err_sys(err, "the identity %s cannot be read", path);
	else
		evp = read_pem(path, pem, (size_t)len, err);
	if (evp == NULL)
		goto out;
	id = identity_new(evp);
	if (id == NULL || !is_sound(evp)) {
		err_set(err,
			"the identity %s is no P-256 key: make one with `mpcproxy "
			"keygen`",
			path);
		/* identity_free() frees the key, too. */
		if (id != NULL)
			identity_free(id);
		else
			EVP_PKEY_free(evp);
		id = NULL;
	}
out:
	OPENSSL_cleanse(pem, sizeof pem);
	close(fd);
	return id;
}

char *
identity_default_path(const char *name)
{
	static const char ours[] = "/mpcproxy/";
	const char *dir = getenv("XDG_CONFIG_HOME");
	const char *below = "";
	size_t size;
	char *path;

	/* "All paths must be absolute"; others are to be ignored (XDG base directory
	 * specification). */
	if (dir == NULL || dir[0] != '/') {
		dir = getenv("HOME");
		below = "/.config";
	}
	if (dir == NULL || dir[0] == '\0')
		return NULL;
	size = strlen(dir) + strlen(below) + strlen(ours) + strlen(name) + 1;
	path = malloc(size);
	if (path != NULL)
		snprintf(path, size, "%s%s%s%s", dir, below, ours, name);
	return path;
}
