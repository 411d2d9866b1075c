#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "rendezvous/rendezvous.h"

#define HANG_NS (20 * NS_PER_S)

/* The folder, and one reader in it. */
struct fixture {
	char path[64];
	char box[PATH_MAX]; /* the reader's, once it has been online */
	struct event_base *base;
	struct event *tick;
	struct identity *reader, *writer;
	struct url url;
	struct rendezvous *r;
	unsigned went_online, went_offline;
	char why[256];
	unsigned received;
	char all[512];
	bool close_on_message;
};

#define UNTIL(fx, cond)                                                                  \
	do {                                                                             \
		uint64_t hang_ns = clock_now_ns() + HANG_NS;                             \
		while (!(cond)) {                                                        \
			assert_true(clock_now_ns() < hang_ns);                           \
			event_base_loop((fx)->base, EVLOOP_ONCE);                        \
		}                                                                        \
	} while (0)

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
on_state(void *arg, bool online, const char *why)
{
	struct fixture *fx = arg;

	*(online ? &fx->went_online : &fx->went_offline) += 1;
	snprintf(fx->why, sizeof fx->why, "%s", why != NULL ? why : "");
}

static void
on_message(void *arg, const uint8_t *sealed, size_t len)
{
	struct fixture *fx = arg;

	fx->received++;
	if (len < 16 && sealed[0] != 0)
		snprintf(fx->all + strlen(fx->all), sizeof fx->all - strlen(fx->all),
			 "%.*s,", (int)len, sealed);
	if (fx->close_on_message) {
		rendezvous_close(fx->r);
		fx->r = NULL;
	}
}

/* The only subfolder is the reader's box. */
static void
find_box(struct fixture *fx)
{
	DIR *dir = opendir(fx->path);
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			snprintf(fx->box, sizeof fx->box, "%s/%s", fx->path, e->d_name);
	closedir(dir);
	assert_true(fx->box[0] != '\0');
}

static struct rendezvous *
open_as(struct fixture *fx, const struct identity *id, const char *session)
{
	static const struct rendezvous_callbacks cb = {.state = on_state,
						       .message = on_message};
	struct rendezvous *r =
	    rendezvous_open(fx->base, &fx->url, NULL, session, id, &cb, fx, NULL);

	assert_non_null(r);
	return r;
}

static int
setup(void **state)
{
	const struct timeval tv = {0, 5000};
	struct fixture *fx = calloc(1, sizeof *fx);

	assert_non_null(fx);
	strcpy(fx->path, "/tmp/mpcproxy-dir-XXXXXX");
	assert_non_null(mkdtemp(fx->path));
	fx->base = event_base_new();
	fx->tick = event_new(fx->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(fx->tick, &tv);
	fx->reader = identity_ephemeral(NULL);
	fx->writer = identity_ephemeral(NULL);
	fx->url.scheme = URL_DIR;
	strcpy(fx->url.path, fx->path);
	fx->r = open_as(fx, fx->reader, "test");
	assert_int_equal(fx->went_online, 0);
	UNTIL(fx, fx->went_online == 1);
	find_box(fx);
	*state = fx;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;
	char command[128];

	rendezvous_close(fx->r);
	identity_free(fx->reader);
	identity_free(fx->writer);
	event_free(fx->tick);
	event_base_free(fx->base);
	snprintf(command, sizeof command, "rm -rf %s", fx->path);
	assert_int_equal(system(command), 0);
	free(fx);
	return 0;
}

static unsigned
files_in_box(const struct fixture *fx)
{
	DIR *dir = opendir(fx->box);
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static struct rendezvous *
open_writer(struct fixture *fx, const char *session)
{
	unsigned before = fx->went_online;
	struct rendezvous *w = open_as(fx, fx->writer, session);

	UNTIL(fx, fx->went_online == before + 1);
	return w;
}

static void
say(struct fixture *fx, struct rendezvous *from, const char *text)
{
	assert_int_equal(rendezvous_send(from, identity_pubkey(fx->reader),
					 (const uint8_t *)text, strlen(text)),
			 0);
}

/* A file in the box under a name that the reader takes, or almost: ${prefix} of four
 * characters, ${n} tells them apart. */
static char *
path_in_box(const struct fixture *fx, const char *prefix, unsigned n, char *out,
	    size_t size)
{
	snprintf(out, size, "%s/%s%032x-%016x-%016x", fx->box, prefix, 7, n, 1);
	return out;
}

static void
put_file(const char *path, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

static void
messages_arrive_and_are_deleted(void **state)
{
	static uint8_t largest[RENDEZVOUS_MESSAGE_MAX + 1];
	struct fixture *fx = *state;
	struct rendezvous *w = open_writer(fx, "test");

	say(fx, w, "hello");
	assert_int_equal(fx->received, 0);
	UNTIL(fx, fx->received == 1);
	assert_string_equal(fx->all, "hello,");
	assert_int_equal(files_in_box(fx), 0);
	assert_int_equal(rendezvous_send(w, identity_pubkey(fx->reader), largest,
					 RENDEZVOUS_MESSAGE_MAX),
			 0);
	assert_int_equal(rendezvous_send(w, identity_pubkey(fx->reader), largest,
					 sizeof largest),
			 -1);
	UNTIL(fx, fx->received == 2);
	rendezvous_close(w);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
the_newest_of_mine_wait(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *w = open_writer(fx, "test");
	char got[8][4];

	rendezvous_close(fx->r);
	fx->r = NULL;
	for (unsigned i = 0; i < 20; i++) {
		char text[4];

		snprintf(text, sizeof text, "%02u", i);
		say(fx, w, text);
	}
	assert_int_equal(files_in_box(fx), 8);
	fx->r = open_as(fx, fx->reader, "test");
	UNTIL(fx, fx->received == 8);
	for (unsigned i = 0; i < 8; i++)
		snprintf(got[i], sizeof got[i], "%.2s", fx->all + 3 * i);
	/* A folder has no order. */
	qsort(got, 8, sizeof got[0], by_text);
	assert_string_equal(got[0], "12");
	assert_string_equal(got[7], "19");
	rendezvous_close(w);
}

static void
sessions_are_apart(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *other = open_writer(fx, "another");
	struct rendezvous *w = open_writer(fx, "test");

	say(fx, other, "unseen");
	say(fx, w, "seen");
	UNTIL(fx, fx->received == 1);
	assert_string_equal(fx->all, "seen,");
	rendezvous_close(other);
	rendezvous_close(w);
}

/* Everything that somebody else can put into a shared folder. */
static void
hostile_contents_are_passed_over(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *w = open_writer(fx, "test");
	char path[PATH_MAX + 128], secret[PATH_MAX];
	unsigned n = 0;

	rendezvous_close(fx->r);
	fx->r = NULL;
	snprintf(secret, sizeof secret, "%s/.secret", fx->path);
	put_file(secret, 10);
	assert_int_equal(symlink(secret, path_in_box(fx, "msg-", n++, path, sizeof path)),
			 0);
	assert_int_equal(symlink("/nowhere",
				 path_in_box(fx, "msg-", n++, path, sizeof path)),
			 0);
	assert_int_equal(mkdir(path_in_box(fx, "msg-", n++, path, sizeof path), 0700), 0);
	assert_int_equal(mkfifo(path_in_box(fx, "msg-", n++, path, sizeof path), 0600),
			 0);
	/* Nearly a name. */
	put_file(path_in_box(fx, "tmp-", n++, path, sizeof path), 10);
	put_file(path_in_box(fx, "MSG-", n++, path, sizeof path), 10);
	path_in_box(fx, "msg-", n++, path, sizeof path);
	strcat(path, "0");
	put_file(path, 10);
	path[strlen(path) - 2] = '\0';
	put_file(path, 10);
	snprintf(path, sizeof path, "%s/msg-", fx->box);
	put_file(path, 10);
	/* Names that are right with contents that are not: these go. */
	put_file(path_in_box(fx, "msg-", 100, path, sizeof path), 0);
	put_file(path_in_box(fx, "msg-", 101, path, sizeof path),
		 RENDEZVOUS_MESSAGE_MAX + 1);
	assert_int_equal(files_in_box(fx), 11);
	fx->r = open_as(fx, fx->reader, "test");
	say(fx, w, "good");
	UNTIL(fx, fx->received == 1);
	assert_string_equal(fx->all, "good,");
	UNTIL(fx, files_in_box(fx) == 9);
	assert_int_equal(access(secret, F_OK), 0);
	rendezvous_close(w);
}

static void
a_flood_does_not_hide_a_message(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *w = open_writer(fx, "test");
	char path[PATH_MAX + 128];

	for (unsigned i = 0; i < 3000; i++)
		put_file(path_in_box(fx, i % 2 ? "msg-" : "xyz-", i, path, sizeof path),
			 1);
	say(fx, w, "good");
	UNTIL(fx, strstr(fx->all, "good,") != NULL);
	rendezvous_close(w);
}

static void
the_old_are_deleted_unread(void **state)
{
	const struct timespec old[2] = {{1000000, 0}, {1000000, 0}};
	struct fixture *fx = *state;
	char path[PATH_MAX + 128];

	rendezvous_close(fx->r);
	for (unsigned i = 0; i < 2; i++) {
		put_file(path_in_box(fx, i == 0 ? "msg-" : "tmp-", i, path, sizeof path),
			 1);
		assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	}
	fx->r = open_as(fx, fx->reader, "test");
	UNTIL(fx, files_in_box(fx) == 0);
	assert_int_equal(fx->received, 0);
}

/* The writer's clock is a day behind, and the folder keeps its times. */
static void
a_day_is_not_old(void **state)
{
	const time_t yesterday = time(NULL) - 24 * 3600;
	const struct timespec times[2] = {{yesterday, 0}, {yesterday, 0}};
	struct fixture *fx = *state;
	char path[PATH_MAX + 128];

	rendezvous_close(fx->r);
	put_file(path_in_box(fx, "msg-", 1, path, sizeof path), 1);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	fx->r = open_as(fx, fx->reader, "test");
	UNTIL(fx, files_in_box(fx) == 0);
	assert_int_equal(fx->received, 1);
}

/* What a process leaves in its own box is for another process of the same party. */
static void
own_messages_are_for_others(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *w = open_writer(fx, "test"), *other;

	say(fx, fx->r, "to my party");
	say(fx, w, "to you");
	UNTIL(fx, fx->received == 1);
	assert_string_equal(fx->all, "to you,");
	assert_int_equal(files_in_box(fx), 1);
	other = open_as(fx, fx->reader, "test");
	UNTIL(fx, fx->received == 2);
	assert_string_equal(fx->all, "to you,to my party,");
	rendezvous_close(other);
	rendezvous_close(w);
}

static void
a_box_that_is_a_symlink_is_refused(void **state)
{
	struct fixture *fx = *state;
	char elsewhere[PATH_MAX];

	snprintf(elsewhere, sizeof elsewhere, "%s/.elsewhere", fx->path);
	assert_int_equal(rename(fx->box, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, fx->box), 0);
	UNTIL(fx, fx->went_offline == 1);
	assert_false(rendezvous_online(fx->r));
	assert_int_equal(unlink(fx->box), 0);
	UNTIL(fx, rendezvous_online(fx->r));
}

static void
a_folder_may_go_and_come_back(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *w;

	assert_int_equal(rmdir(fx->box), 0);
	assert_int_equal(rmdir(fx->path), 0);
	UNTIL(fx, fx->went_offline == 1);
	assert_non_null(strstr(fx->why, "No such file"));
	assert_int_equal(mkdir(fx->path, 0755), 0);
	UNTIL(fx, rendezvous_online(fx->r));
	w = open_writer(fx, "test");
	say(fx, w, "hello");
	UNTIL(fx, fx->received == 1);
	rendezvous_close(w);
}

static void
boxes_have_the_folder_s_mode(void **state)
{
	struct fixture *fx = *state;
	struct stat st;

	assert_int_equal(rmdir(fx->box), 0);
	assert_int_equal(chmod(fx->path, 01777), 0);
	UNTIL(fx, stat(fx->box, &st) == 0);
	/* Not the sticky bit, which would keep a reader from deleting. */
	assert_int_equal(st.st_mode & 07777, 0777);
}

static void
closing_inside_a_callback_is_fine(void **state)
{
	struct fixture *fx = *state;
	struct rendezvous *w = open_writer(fx, "test");

	fx->close_on_message = true;
	say(fx, w, "one");
	say(fx, w, "two");
	UNTIL(fx, fx->r == NULL);
	assert_int_equal(fx->received, 1);
	assert_int_equal(files_in_box(fx), 1);
	rendezvous_close(w);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(messages_arrive_and_are_deleted),
	    TEST(the_newest_of_mine_wait),
	    TEST(sessions_are_apart),
	    TEST(hostile_contents_are_passed_over),
	    TEST(a_flood_does_not_hide_a_message),
	    TEST(the_old_are_deleted_unread),
	    TEST(a_day_is_not_old),
	    TEST(own_messages_are_for_others),
	    TEST(a_box_that_is_a_symlink_is_refused),
	    TEST(a_folder_may_go_and_come_back),
	    TEST(boxes_have_the_folder_s_mode),
	    TEST(closing_inside_a_callback_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
