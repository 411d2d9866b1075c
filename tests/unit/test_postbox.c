#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib.h>

#include "path/postbox.h"

#define THREADS 4
#define ROUNDS  2000

struct owner {
	struct postbox *box;
	GMainContext *context;
	unsigned last, all;
	int n;
	bool close;
};

static void
on_delivery(void *arg, unsigned bit)
{
	struct owner *o = arg;

	/* One at a time. */
	assert_int_equal(bit & (bit - 1), 0);
	o->last = bit;
	o->all |= bit;
	o->n++;
	if (o->close)
		postbox_close(o->box);
}

static void
open_box(struct owner *o)
{
	o->context = g_main_context_new();
	o->box = postbox_new(o->context, on_delivery, o);
}

static void
close_box(struct owner *o)
{
	if (!o->close)
		postbox_close(o->box);
	g_main_context_unref(o->context);
}

static void
run(struct owner *o)
{
	while (g_main_context_iteration(o->context, FALSE))
		;
}

static void
delivers_in_order(void **state)
{
	struct owner o = {0};

	(void)state;
	open_box(&o);
	run(&o);
	assert_int_equal(o.n, 0);
	postbox_post(o.box, 4 | 1);
	postbox_post(o.box, 4 | 2);
	assert_int_equal(o.n, 0);
	g_main_context_iteration(o.context, FALSE);
	assert_int_equal(o.last, 1);
	g_main_context_iteration(o.context, FALSE);
	assert_int_equal(o.last, 2);
	run(&o);
	assert_int_equal(o.last, 4);
	assert_int_equal(o.n, 3);
	postbox_post(o.box, 8 | 16);
	postbox_recall(o.box, 8);
	run(&o);
	assert_int_equal(o.all, 1 | 2 | 4 | 16);
	close_box(&o);
}

static void
may_be_closed_while_it_delivers(void **state)
{
	struct owner o = {.close = true};
	struct postbox *other;

	(void)state;
	open_box(&o);
	other = postbox_ref(o.box);
	postbox_post(o.box, 1 | 2);
	run(&o);
	assert_int_equal(o.n, 1);
	/* Somebody else has not noticed yet. */
	postbox_post(other, 4);
	run(&o);
	assert_int_equal(o.n, 1);
	postbox_unref(other);
	close_box(&o);
}

struct sender {
	struct postbox *box;
	unsigned bit;
};

static gpointer
send_often(gpointer arg)
{
	struct sender *s = arg;
	int i;

	for (i = 0; i < ROUNDS; i++)
		postbox_post(s->box, s->bit);
	postbox_post(s->box, s->bit << THREADS);
	postbox_unref(s->box);
	return NULL;
}

/* Whatever the threads do last arrives. */
static void
takes_from_threads(void **state)
{
	struct owner o = {0};
	struct sender s[THREADS];
	GThread *thread[THREADS];
	unsigned i, last = ((1u << THREADS) - 1) << THREADS;

	(void)state;
	open_box(&o);
	for (i = 0; i < THREADS; i++) {
		s[i].box = postbox_ref(o.box);
		s[i].bit = 1u << i;
		thread[i] = g_thread_new("sender", send_often, &s[i]);
	}
	while ((o.all & last) != last)
		g_main_context_iteration(o.context, TRUE);
	for (i = 0; i < THREADS; i++)
		g_thread_join(thread[i]);
	run(&o);
	assert_int_equal(o.all, (1u << 2 * THREADS) - 1);
	close_box(&o);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(delivers_in_order),
	    cmocka_unit_test(may_be_closed_while_it_delivers),
	    cmocka_unit_test(takes_from_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
