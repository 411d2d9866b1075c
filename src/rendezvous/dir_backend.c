#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "rendezvous/backend.h"
#include "rendezvous/box_name.h"
#include "rendezvous/frame.h"

/*
 * A folder that parties share or synchronise. Every party has a box in each session, a
 * subfolder; a message is one file in it, written under another name and renamed, so
 * that nobody reads half of it:
 *
 *   PATH/box-BOX/msg-SENDER-TIME-RANDOM
 *
 * BOX and SENDER are the start of a hash over session and key. TIME orders one sender's
 * own files and is compared with nobody else's. The reader deletes what it takes. The
 * folder is trusted with nothing: whoever can write to it can delete messages and leave
 * garbage, which is bounded here and refused by the seal.
 */
#define POLL_INTERVAL_MS  1000 /* network file systems do not notify */
#define POLL_AGAIN_MS     20   /* when a scan has left something for later */
#define SCAN_ENTRIES_MAX  1024 /* looked at in one go */
#define SCAN_MESSAGES_MAX 64   /* taken in one go */
#define KEEP_MAX          8    /* my messages that may wait in one box */
/* What nobody will take any more. Not a matter of safety, and the clocks of those who
 * share a folder may differ by a day or two. */
#define AGE_MAX_S (7 * 24 * 3600)

#define BOX_DIR_BYTES (sizeof "box-" + BOX_NAME_LEN)
/* "msg-" SENDER "-" TIME "-" RANDOM */
#define MSG_LEN  (4 + BOX_NAME_LEN + 1 + 16 + 1 + 16)
#define MSG_NAME (MSG_LEN + 1)
/* While it is written the name starts otherwise. */
#define PREFIX_READY   "msg-"
#define PREFIX_WRITING "tmp-"

struct dir {
	struct rendezvous *r;
	const char *path;
	uint8_t tag[FRAME_TAG_BYTES];
	char box[BOX_DIR_BYTES];       /* mine */
	char self[BOX_NAME_LEN + 1]; /* as SENDER */
	struct event *timer;
	struct event *notified; /* NULL: no inotify */
	int inotify;
	struct log_gate log_not_taken;
	/* The newest in my own box that I wrote: for other processes of my party. */
	char own[KEEP_MAX][MSG_NAME];
	size_t n_own;      /* so far */
	DIR *scan;         /* under way when the last one left something */
	bool busy, closed; /* dir_close() inside a report leaves the rest to us */
};

static int
dir_box_name(char out[BOX_DIR_BYTES], const uint8_t tag[FRAME_TAG_BYTES],
	     const struct pubkey *key)
{
	char name[BOX_NAME_LEN + 1];

	if (box_name(name, tag, key) != 0)
		return -1;
	snprintf(out, BOX_DIR_BYTES, "box-%s", name);
	return 0;
}

static bool
is_message_name(const char *name, const char *prefix)
{
	if (strlen(name) != MSG_LEN || strncmp(name, prefix, 4) != 0)
		return false;
	for (size_t i = 4; i < MSG_LEN; i++) {
		bool dash = i == 4 + BOX_NAME_LEN || i == 4 + BOX_NAME_LEN + 17;

		if (dash ? name[i] != '-' : strchr("0123456789abcdef", name[i]) == NULL)
			return false;
	}
	return true;
}

/* Open box ${name}, made when it is not there with the permissions of the folder
 * itself: whoever may use the one may use the other. */
static int
open_box(const struct dir *d, const char *name, struct err *err)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int root = open(d->path, flags), box;
	struct stat st;

	if (root < 0)
		return err_sys(err, "cannot open the folder");
	box = openat(root, name, flags | O_NOFOLLOW);
	if (box < 0 && errno == ENOENT && fstat(root, &st) == 0 &&
	    mkdirat(root, name, 0700) == 0) {
		box = openat(root, name, flags | O_NOFOLLOW);
		if (box >= 0 && fchmod(box, st.st_mode & 02777) != 0)
			log_debug("rendezvous=dir:%s cannot set the mode of %s: %s",
				  d->path, name, strerror(errno));
	}
	if (box < 0)
		err_sys(err, "cannot open %s in the folder", name);
	close(root);
	return box;
}

static void
set_timer(struct dir *d, unsigned ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	event_add(d->timer, &tv);
}

/* What cannot be deleted would be taken again and again: it is not taken at all. */
static void
not_taken(struct dir *d, const char *name, int error)
{
	unsigned held_back;

	if (log_gate_pass(&d->log_not_taken, (long long)clock_now_ns(), &held_back))
		log_warn("rendezvous=dir:%s suppressed=%u cannot take a message: "
			 "deleting "
			 "%s/%s: %s",
			 d->path, held_back, d->box, name, strerror(error));
}

/* Read file ${name} of ${box} into ${out} and delete it. Returns its length, 0 when it
 * is not to be had or no message. */
static size_t
take(struct dir *d, int box, const char *name, uint8_t out[RENDEZVOUS_MESSAGE_MAX])
{
	struct stat st;
	ssize_t n = -1;
	int fd;

	/* Before it is opened too: opening a device can have effects. */
	if (fstatat(box, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return 0;
	fd = openat(box, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size <= RENDEZVOUS_MESSAGE_MAX && time(NULL) - st.st_mtime <= AGE_MAX_S)
		n = read(fd, out, (size_t)st.st_size);
	close(fd);
	if (unlinkat(box, name, 0) != 0) {
		not_taken(d, name, errno);
		return 0;
	}
	return n > 0 && n == st.st_size ? (size_t)n : 0;
}

/* What a writer that died has left. */
static void
remove_stale(int box, const char *name)
{
	struct stat st;

	if (fstatat(box, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    time(NULL) - st.st_mtime > AGE_MAX_S)
		unlinkat(box, name, 0);
}

static void
finish_scan(struct dir *d)
{
	if (d->scan != NULL)
		closedir(d->scan);
	d->scan = NULL;
}

static int
begin_scan(struct dir *d, struct err *err)
{
	char watched[PATH_MAX];
	int box;

	if (d->scan != NULL)
		return 0;
	box = open_box(d, d->box, err);
	if (box < 0)
		return -1;
	d->scan = fdopendir(box);
	if (d->scan == NULL) {
		err_sys(err, "cannot read the folder");
		close(box);
		return -1;
	}
	/* Every time, because the box may be another one than before; watching the
	 * same one again changes nothing. */
	if (d->notified != NULL) {
		snprintf(watched, sizeof watched, "/proc/self/fd/%d", box);
		inotify_add_watch(d->inotify, watched, IN_MOVED_TO);
	}
	return 0;
}

static bool
is_own(const struct dir *d, const char *name)
{
	for (size_t i = 0; i < KEEP_MAX; i++)
		if (strcmp(d->own[i], name) == 0)
			return true;
	return false;
}

/* One portion of the box. Returns whether more is left. */
static bool
scan_some(struct dir *d)
{
	uint8_t msg[RENDEZVOUS_MESSAGE_MAX];
	unsigned entries = 0, messages = 0;
	struct dirent *e;
	size_t len;

	while (entries++ < SCAN_ENTRIES_MAX && messages < SCAN_MESSAGES_MAX) {
		e = readdir(d->scan);
		if (e == NULL) {
			finish_scan(d);
			return false;
		}
		if (is_message_name(e->d_name, PREFIX_WRITING))
			remove_stale(dirfd(d->scan), e->d_name);
		if (!is_message_name(e->d_name, PREFIX_READY) || is_own(d, e->d_name))
			continue;
		len = take(d, dirfd(d->scan), e->d_name, msg);
		if (len == 0)
			continue;
		messages++;
		backend_message(d->r, msg, len);
		if (d->closed)
			return false;
	}
	return true;
}

static void
destroy(struct dir *d)
{
	finish_scan(d);
	if (d->notified != NULL)
		event_free(d->notified);
	if (d->inotify >= 0)
		close(d->inotify);
	if (d->timer != NULL)
		event_free(d->timer);
	free(d);
}

static void
poll_box(struct dir *d)
{
	unsigned again_ms = POLL_INTERVAL_MS;
	struct err err;

	d->busy = true;
	if (begin_scan(d, &err) != 0) {
		backend_offline(d->r, err.text);
	} else {
		backend_online(d->r);
		if (!d->closed && scan_some(d))
			again_ms = POLL_AGAIN_MS;
	}
	d->busy = false;
	if (d->closed)
		destroy(d);
	else
		set_timer(d, again_ms);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	poll_box(arg);
}

static void
on_notified(evutil_socket_t fd, short what, void *arg)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct dir *d = arg;

	(void)what;
	/* Which files does not matter: the box is scanned. */
	while (read(fd, events, sizeof events) > 0)
		;
	poll_box(d);
}

/* Of my own messages in ${box} the newest KEEP_MAX - 1 stay, so that there is room for
 * one. */
static void
thin_out(const struct dir *d, int box)
{
	char mine[KEEP_MAX][MSG_NAME]; /* the newest, in order */
	unsigned n = 0, entries = 0;
	struct dirent *e;
	DIR *scan;
	int fd = openat(box, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	scan = fd >= 0 ? fdopendir(fd) : NULL;
	if (scan == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (entries++ < SCAN_ENTRIES_MAX && (e = readdir(scan)) != NULL) {
		unsigned i;

		if (!is_message_name(e->d_name, PREFIX_READY) ||
		    strncmp(e->d_name + 4, d->self, BOX_NAME_LEN) != 0)
			continue;
		for (i = n; i > 0 && strcmp(mine[i - 1], e->d_name) > 0; i--)
			memcpy(mine[i], mine[i - 1], MSG_NAME);
		memcpy(mine[i], e->d_name, MSG_NAME);
		if (++n == KEEP_MAX) {
			unlinkat(box, mine[0], 0);
			memmove(mine[0], mine[1], (size_t)(--n) * MSG_NAME);
		}
	}
	closedir(scan);
}

static int
write_all(int fd, const uint8_t *msg, size_t len)
{
	ssize_t n = write(fd, msg, len);

	/* To a regular file of this size: all, or the disk is full. */
	return n == (ssize_t)len ? 0 : -1;
}

static int
dir_send(void *impl, const struct pubkey *to, const uint8_t *msg, size_t len)
{
	char name[MSG_NAME], writing[MSG_NAME], box_text[BOX_DIR_BYTES];
	struct dir *d = impl;
	struct timespec now;
	uint64_t random;
	struct stat st;
	int box, fd;

	if (dir_box_name(box_text, d->tag, to) != 0 ||
	    RAND_bytes((unsigned char *)&random, sizeof random) != 1)
		return -1;
	box = open_box(d, box_text, NULL);
	if (box < 0)
		return -1;
	thin_out(d, box);
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof name, PREFIX_READY "%s-%016" PRIx64 "-%016" PRIx64, d->self,
		 (uint64_t)((uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec),
		 random);
	memcpy(writing, name, sizeof writing);
	memcpy(writing, PREFIX_WRITING, 4);
	fd = openat(box, writing, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		goto err1;
	if (fstat(box, &st) != 0 || fchmod(fd, st.st_mode & 0666) != 0)
		log_debug("rendezvous=dir:%s cannot set a mode: %s", d->path,
			  strerror(errno));
	if (strcmp(box_text, d->box) == 0)
		memcpy(d->own[d->n_own++ % KEEP_MAX], name, sizeof name);
	if (write_all(fd, msg, len) != 0 || renameat(box, writing, box, name) != 0)
		goto err2;
	close(fd);
	close(box);
	return 0;

err2:
	close(fd);
	unlinkat(box, writing, 0);
err1:
	close(box);
	return -1;
}

static void
dir_close(void *impl)
{
	struct dir *d = impl;

	d->closed = true;
	if (!d->busy)
		destroy(d);
}

/* Without inotify the timer alone finds messages. */
static void
start_inotify(struct dir *d, struct event_base *base)
{
	d->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (d->inotify < 0)
		return;
	d->notified = event_new(base, d->inotify, EV_READ | EV_PERSIST, on_notified, d);
	if (d->notified != NULL)
		event_add(d->notified, NULL);
}

static void *
dir_open(struct rendezvous *r, struct event_base *base, const struct url *url,
	 const struct local *local, const char *session_name,
	 const struct identity *self, struct err *err)
{
	struct dir *d = calloc(1, sizeof *d);

	(void)local;
	if (d == NULL) {
		err_sys(err, "cannot open the rendezvous");
		return NULL;
	}
	d->r = r;
	d->path = url->path;
	d->inotify = -1;
	d->timer = evtimer_new(base, on_timer, d);
	if (d->timer == NULL || frame_session_tag(d->tag, session_name) != 0 ||
	    box_name(d->self, d->tag, identity_pubkey(self)) != 0 ||
	    dir_box_name(d->box, d->tag, identity_pubkey(self)) != 0) {
		err_set(err, "cannot open the rendezvous: out of memory");
		destroy(d);
		return NULL;
	}
	start_inotify(d, base);
	set_timer(d, 0);
	return d;
}

const struct backend dir_backend = {
    .open = dir_open,
    .close = dir_close,
    .send = dir_send,
};
