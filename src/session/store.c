#include "session/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "session/identity.h"
#include "session/ini.h"
#include "session/roster.h"
#include "session/url.h"

#define INI       ".ini"
#define STATE     ".state"
#define STATE_MAX 8192 /* bytes of the file */

/* Beyond, it is no directory of sessions. */
#define LIST_MAX 4096

char *
store_path(const char *name, const char *suffix)
{
	char below[sizeof "sessions/" + SESSION_NAME_MAX + 16];
	int n = snprintf(below, sizeof below, "sessions%s%s%s", name[0] != '\0' ? "/" : "",
			 name, suffix != NULL ? suffix : "");

	return n > 0 && (size_t)n < sizeof below ? identity_default_path(below) : NULL;
}

/* ${path} with its suffix replaced; malloc'ed. */
static char *
beside(const char *path, const char *suffix)
{
	size_t len = strlen(path), cut = strlen(INI);
	char *out = malloc(len + strlen(suffix) + 1);

	if (out == NULL)
		return NULL;
	if (len > cut && strcmp(path + len - cut, INI) == 0)
		len -= cut;
	memcpy(out, path, len);
	strcpy(out + len, suffix);
	return out;
}

/* ${given} without ".ini"; -1 when that is no name. */
static int
take_name(char name[SESSION_NAME_MAX + 1], const char *given)
{
	size_t len = strlen(given), cut = strlen(INI);
	char text[SESSION_NAME_MAX + 1];

	if (len > cut && strcmp(given + len - cut, INI) == 0)
		len -= cut;
	if (len > SESSION_NAME_MAX)
		return -1;
	memcpy(text, given, len);
	text[len] = '\0';
	return session_name_parse(name, text, NULL);
}

bool
store_is_name(const char *given)
{
	char name[SESSION_NAME_MAX + 1];

	return take_name(name, given) == 0;
}

char *
store_resolve(const char *given)
{
	char name[SESSION_NAME_MAX + 1];
	char *path;

	if (access(given, F_OK) == 0 || take_name(name, given) != 0)
		return strdup(given);
	path = store_path(name, INI);
	if (path != NULL && access(path, F_OK) == 0)
		return path;
	free(path);
	return strdup(given);
}

/* --- writing --- */

static int
make_directories(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int rc = copy != NULL ? 0 : err_set(err, "out of memory");

	for (char *p = copy; rc == 0 && (p = strchr(p + 1, '/')) != NULL; *p = '/') {
		*p = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			rc = err_sys(err, "directory %s cannot be made", copy);
	}
	free(copy);
	return rc;
}

/* Who replaces files in ${path}'s directory, which is made, has it for itself until the
 * descriptor is closed: a proxy and a verb may want to at the same time. */
static int
lock(const char *path, struct err *err)
{
	char *dir;
	int fd = -1;

	if (make_directories(path, err) != 0)
		return -1;
	dir = strdup(path);
	if (dir == NULL)
		return err_set(err, "out of memory");
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) != 0) {
		err_sys(err, "the directory of %s cannot be locked", path);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	free(dir);
	return fd;
}

/* Replace ${path}, whose directory is locked, by ${text}: the old file or the new one,
 * whatever happens. */
static int
replace(const char *path, const char *text, size_t len, struct err *err)
{
	char *temporary = beside(path, ".new");
	int fd = -1, rc = -1;
	FILE *out = NULL;

	if (temporary == NULL) {
		err_set(err, "out of memory");
		goto out;
	}
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || (out = fdopen(fd, "w")) == NULL) {
		err_sys(err, "%s cannot be made", temporary);
		if (fd >= 0)
			close(fd);
		goto out;
	}
	rc = fwrite(text, 1, len, out) == len && fflush(out) == 0 && fsync(fd) == 0 ? 0
										    : -1;
	if (fclose(out) != 0 || rc != 0 || rename(temporary, path) != 0) {
		rc = err_sys(err, "%s cannot be written", path);
		unlink(temporary);
	}
out:
	free(temporary);
	return rc;
}

/* Whether ${s} may take the place of what is at ${path}. */
static int
check_successor(const struct session *s, const char *path, struct err *err)
{
	struct session *old;
	struct err why;
	int rc = 0;

	if (access(path, F_OK) != 0)
		return 0;
	old = session_load(path, &why);
	if (old == NULL)
		return err_set(err, "there is a file that is no session: %s", why.text);
	if (old->version == 0 || !pubkey_equal(&old->host, &s->host) ||
	    strcmp(old->name, s->name) != 0)
		rc = err_set(err,
			     "there is another session %s already, %s: `mpcproxy leave "
			     "%s` removes it",
			     s->name, path, s->name);
	else if (old->version > s->version)
		rc = err_set(err,
			     "session %s has version %llu here, and %llu is older: what "
			     "its host has changed cannot be taken back",
			     s->name, (unsigned long long)old->version,
			     (unsigned long long)s->version);
	else if (old->version == s->version &&
		 memcmp(old->roster_digest, s->roster_digest, sizeof s->roster_digest) !=
		     0)
		rc = err_set(err,
			     "session %s has another version %llu here: its host has "
			     "signed two",
			     s->name, (unsigned long long)s->version);
	session_free(old);
	return rc;
}

int
store_save(const struct session *s, const char *path, struct err *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int fd, rc = -1;

	if (out == NULL)
		return err_set(err, "out of memory");
	roster_write_ini(out, s);
	if (fclose(out) != 0) {
		err_set(err, "out of memory");
	} else if ((fd = lock(path, err)) >= 0) {
		if (check_successor(s, path, err) == 0)
			rc = replace(path, text, len, err);
		close(fd);
	}
	free(text);
	return rc;
}

/* --- state --- */

static int
take_address(union addr *addr, const char *value, struct err *err)
{
	char host[URL_HOST_MAX + 1];
	uint16_t port;

	if (host_port_parse(host, &port, value, 0, err) != 0)
		return -1;
	return addr_parse(addr, host, port) == 0
		   ? 0
		   : err_set(err, "listen wants an address, not a name");
}

static int
take_entry(void *arg, const struct ini_entry *e, struct err *err)
{
	struct store_state *state = arg;
	char **text = NULL;

	if (e->key == NULL)
		return strcmp(e->section, "state") == 0
			   ? 0
			   : err_set(err, "unknown section [%s]", e->section);
	if (strcmp(e->key, "base-port") == 0)
		return port_parse(&state->base_port, e->value) == 0
			   ? 0
			   : err_set(err, "base-port wants a port");
	if (strcmp(e->key, "listen") == 0)
		return take_address(&state->listen, e->value, err);
	if (strcmp(e->key, "identity") == 0)
		text = &state->identity;
	else if (strcmp(e->key, "ticket") == 0)
		text = &state->ticket;
	else
		return err_set(err, "unknown key `%s`", e->key);
	free(*text);
	*text = strdup(e->value);
	return *text != NULL ? 0 : err_set(err, "out of memory");
}

int
store_state_load(struct store_state *state, const char *path, struct err *err)
{
	char *file = beside(path, STATE);
	struct ini_text text;
	int rc = 0;

	memset(state, 0, sizeof *state);
	if (file == NULL)
		return err_set(err, "out of memory");
	if (access(file, F_OK) == 0) {
		rc = ini_text_read(&text, file, STATE_MAX, err);
		if (rc == 0) {
			rc = ini_parse_text(file, text.data, text.len, take_entry, state,
					    err);
			ini_text_free(&text);
		}
	}
	if (rc != 0)
		store_state_free(state);
	free(file);
	return rc;
}

int
store_state_save(const struct store_state *state, const char *path, struct err *err)
{
	char *file = beside(path, STATE), *text = NULL, addr[ADDR_TEXT_BYTES];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int fd, rc = -1;

	if (out == NULL || file == NULL) {
		err_set(err, "out of memory");
		goto out;
	}
	fprintf(out, "# What mpcproxy remembers of this session; it concerns this machine "
		     "alone.\n[state]\n");
	if (state->identity != NULL)
		fprintf(out, "identity = %s\n", state->identity);
	if (state->base_port != 0)
		fprintf(out, "base-port = %u\n", state->base_port);
	if (state->listen.sa.sa_family != AF_UNSPEC)
		fprintf(out, "listen = %s\n", addr_format(&state->listen, addr));
	if (state->ticket != NULL)
		fprintf(out, "# Whoever has this can ask to join, until it expires.\n"
			     "ticket = %s\n",
			state->ticket);
	if (fclose(out) != 0) {
		err_set(err, "out of memory");
	} else if ((fd = lock(file, err)) >= 0) {
		rc = replace(file, text, len, err);
		close(fd);
	}
	out = NULL;
out:
	if (out != NULL)
		fclose(out);
	if (text != NULL)
		OPENSSL_cleanse(text, len);
	free(text);
	free(file);
	return rc;
}

void
store_state_free(struct store_state *state)
{
	free(state->identity);
	if (state->ticket != NULL)
		OPENSSL_cleanse(state->ticket, strlen(state->ticket));
	free(state->ticket);
	memset(state, 0, sizeof *state);
}

/* --- all of them --- */

int
store_remove(const char *name, struct err *err)
{
	static const char *const suffixes[] = {INI, STATE, ".new", STATE ".new"};
	char *dir = store_path("", NULL), *path;
	bool found = false;
	int rc = 0;

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		path = store_path(name, suffixes[i]);
		if (path != NULL && unlink(path) == 0)
			found = true;
		else if (path != NULL && errno != ENOENT)
			rc = err_sys(err, "%s cannot be removed", path);
		free(path);
	}
	if (dir != NULL)
		rmdir(dir);
	free(dir);
	if (rc == 0 && !found)
		rc = err_set(err,
			     "there is no session %s: `mpcproxy sessions` lists those "
			     "there are",
			     name);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
store_list(size_t *n)
{
	char *dir = store_path("", NULL);
	DIR *d = dir != NULL ? opendir(dir) : NULL;
	char **list = calloc(LIST_MAX, sizeof *list);
	struct dirent *e;

	*n = 0;
	while (d != NULL && list != NULL && *n < LIST_MAX && (e = readdir(d)) != NULL) {
		char name[SESSION_NAME_MAX + 1];
		size_t len = strlen(e->d_name), cut = strlen(INI);

		if (len <= cut || len - cut > SESSION_NAME_MAX ||
		    strcmp(e->d_name + len - cut, INI) != 0)
			continue;
		e->d_name[len - cut] = '\0';
		if (session_name_parse(name, e->d_name, NULL) == 0 &&
		    (list[*n] = strdup(name)) != NULL)
			++*n;
	}
	if (d != NULL)
		closedir(d);
	free(dir);
	if (list != NULL)
		qsort(list, *n, sizeof *list, by_name);
	return list;
}
