#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "rendezvous/boxes.h"
#include "rendezvous/tree.h"

/*
 * A box holds one queue per sender, a queue holds messages. A sender, a source and a
 * box exist while a message of theirs does. All lists of messages are in order of age.
 */
struct message {
	struct box_message out; /* first: boxes_take() gives it away */
	TAILQ_ENTRY(message) in_queue;
	TAILQ_ENTRY(message) in_sender;
	TAILQ_ENTRY(message) in_source;
	TAILQ_ENTRY(message) in_all;
	struct queue *queue;
	uint64_t stored_ns;
	uint8_t data[];
};
TAILQ_HEAD(messages, message);

struct sender {
	struct pubkey key; /* first, for by_sender() */
	struct messages messages;
	size_t n_queues;
};

struct source {
	struct box_source id; /* first, for by_source() */
	TAILQ_ENTRY(source) in_all;
	struct messages messages;
	size_t bytes;
	size_t share; /* scratch of largest_in_box() */
};

struct queue {
	TAILQ_ENTRY(queue) in_box;
	struct box *box;
	struct sender *sender;
	/* Where the sender was when the queue began: all of it is charged there. */
	struct source *source;
	struct messages messages;
	size_t n, bytes;
};

struct box {
	struct box_id id; /* first, for by_box() */
	TAILQ_HEAD(, queue) queues;
	size_t n_queues, bytes;
};

struct boxes {
	struct boxes_limits limits;
	struct boxes_stats stats;
	struct messages messages;
	TAILQ_HEAD(, source) sources;
	void *box_tree, *sender_tree, *source_tree;
};

static int
by_box(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct box_id));
}

static int
by_sender(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pubkey));
}

static int
by_source(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct box_source));
}

void
box_source_of(struct box_source *source, const union addr *a)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

	memset(source, 0, sizeof *source);
	if (a->sa.sa_family == AF_INET) {
		memcpy(source->prefix, v4_mapped, 12);
		memcpy(source->prefix + 12, &a->in.sin_addr, 4);
	} else if (a->sa.sa_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);

		memcpy(source->prefix, &a->in6.sin6_addr, mapped ? 16 : 8);
	}
}

struct boxes *
boxes_new(const struct boxes_limits *limits)
{
	struct boxes *b = calloc(1, sizeof *b);

	if (b == NULL)
		return NULL;
	b->limits = *limits;
	TAILQ_INIT(&b->messages);
	TAILQ_INIT(&b->sources);
	return b;
}

static size_t
cost(const struct message *m)
{
	return m->out.len + BOXES_OVERHEAD;
}

/* Each frees what it is given once nothing belongs to it any more. */
static void
release_sender(struct boxes *b, struct sender *s)
{
	if (s != NULL && s->n_queues == 0)
		tree_drop(&b->sender_tree, s, by_sender);
}

static void
release_source(struct boxes *b, struct source *s)
{
	if (s != NULL && TAILQ_EMPTY(&s->messages)) {
		TAILQ_REMOVE(&b->sources, s, in_all);
		tree_drop(&b->source_tree, s, by_source);
	}
}

static void
release_box(struct boxes *b, struct box *box)
{
	if (box != NULL && box->n_queues == 0)
		tree_drop(&b->box_tree, box, by_box);
}

static void
release_queue(struct boxes *b, struct queue *q)
{
	if (q->n > 0)
		return;
	TAILQ_REMOVE(&q->box->queues, q, in_box);
	q->box->n_queues--;
	q->sender->n_queues--;
	release_box(b, q->box);
	release_sender(b, q->sender);
	release_source(b, q->source);
	free(q);
}

/* Take ${m} out of everything; it is the caller's then. */
static void
detach(struct boxes *b, struct message *m)
{
	struct queue *q = m->queue;
	size_t bytes = cost(m);

	TAILQ_REMOVE(&q->messages, m, in_queue);
	TAILQ_REMOVE(&q->sender->messages, m, in_sender);
	TAILQ_REMOVE(&q->source->messages, m, in_source);
	TAILQ_REMOVE(&b->messages, m, in_all);
	q->n--;
	q->bytes -= bytes;
	q->box->bytes -= bytes;
	q->source->bytes -= bytes;
	b->stats.messages--;
	b->stats.bytes -= bytes;
	release_queue(b, q);
}

static void
replace(struct boxes *b, struct message *m)
{
	detach(b, m);
	free(m);
	b->stats.replaced++;
}

void
boxes_free(struct boxes *b)
{
	struct message *m;

	if (b == NULL)
		return;
	while ((m = TAILQ_FIRST(&b->messages)) != NULL) {
		detach(b, m);
		free(m);
	}
	free(b);
}

static struct queue *
find_queue(const struct box *box, const struct sender *sender)
{
	struct queue *q;

	if (box == NULL || sender == NULL)
		return NULL;
	TAILQ_FOREACH (q, &box->queues, in_box)
		if (q->sender == sender)
			return q;
	return NULL;
}

/*
 * The oldest message in ${box} of the source with the largest share of it: of its
 * bytes, or of its queues. The ${newcomer} (NULL when it holds nothing yet) counts
 * with ${more} on top, so that it does not push out somebody who holds less.
 */
static struct message *
largest_in_box(const struct box *box, struct source *newcomer, size_t more, bool by_bytes)
{
	struct source *largest = NULL;
	struct message *oldest = NULL;
	struct queue *q;

	TAILQ_FOREACH (q, &box->queues, in_box)
		q->source->share = q->source == newcomer ? more : 0;
	TAILQ_FOREACH (q, &box->queues, in_box) {
		q->source->share += by_bytes ? q->bytes : 1;
		if (largest == NULL || q->source->share > largest->share)
			largest = q->source;
	}
	TAILQ_FOREACH (q, &box->queues, in_box) {
		struct message *m = TAILQ_FIRST(&q->messages);

		if (q->source == largest &&
		    (oldest == NULL || m->stored_ns < oldest->stored_ns))
			oldest = m;
	}
	return oldest;
}

static struct message *
largest_of_all(const struct boxes *b, const struct source *newcomer, size_t more)
{
	const struct source *s, *largest = NULL;
	size_t bytes, most = 0;

	TAILQ_FOREACH (s, &b->sources, in_all) {
		bytes = s->bytes + (s == newcomer ? more : 0);
		if (largest == NULL || bytes > most) {
			largest = s;
			most = bytes;
		}
	}
	return TAILQ_FIRST(&largest->messages);
}

/* Enforce every bound for one more message of ${bytes}. Whatever goes may take its
 * box, sender or source along, so each step looks them up anew. */
static void
make_room(struct boxes *b, const struct box_id *id, const struct pubkey *key,
	  const struct box_source *source_id, size_t bytes)
{
	const struct boxes_limits *max = &b->limits;

	for (;;) {
		struct box *box = tree_find(&b->box_tree, id, by_box);
		struct sender *sender = tree_find(&b->sender_tree, key, by_sender);
		struct source *source = tree_find(&b->source_tree, source_id, by_source);
		struct queue *q = find_queue(box, sender);

		if (q != NULL && q->n >= max->per_sender)
			replace(b, TAILQ_FIRST(&q->messages));
		else if (q == NULL && sender != NULL &&
			 sender->n_queues >= max->sender_boxes)
			replace(b, TAILQ_FIRST(&sender->messages));
		else if (q == NULL && box != NULL && box->n_queues >= max->senders)
			replace(b, largest_in_box(box, source, 1, false));
		else if (box != NULL && box->bytes + bytes > max->box_bytes)
			replace(b, largest_in_box(box, source, bytes, true));
		else if (b->stats.bytes + bytes > max->bytes)
			replace(b, largest_of_all(b, source, bytes));
		else
			return;
	}
}

static struct queue *
get_queue(struct boxes *b, const struct box_id *id, const struct pubkey *key,
	  const struct box_source *source_id)
{
	struct source *source = NULL;
	struct sender *sender = NULL;
	struct box *box;
	struct queue *q;
	bool added;

	box = tree_get(&b->box_tree, id, sizeof *id, sizeof *box, by_box, &added);
	if (box == NULL)
		return NULL;
	if (added)
		TAILQ_INIT(&box->queues);
	sender = tree_get(&b->sender_tree, key, sizeof *key, sizeof *sender, by_sender,
			  &added);
	if (sender == NULL)
		goto fail;
	if (added)
		TAILQ_INIT(&sender->messages);
	q = find_queue(box, sender);
	if (q != NULL)
		return q;
	source = tree_get(&b->source_tree, source_id, sizeof *source_id, sizeof *source,
			  by_source, &added);
	if (source == NULL)
		goto fail;
	if (added) {
		TAILQ_INIT(&source->messages);
		TAILQ_INSERT_TAIL(&b->sources, source, in_all);
	}
	q = calloc(1, sizeof *q);
	if (q == NULL)
		goto fail;
	TAILQ_INIT(&q->messages);
	q->box = box;
	q->sender = sender;
	q->source = source;
	TAILQ_INSERT_TAIL(&box->queues, q, in_box);
	box->n_queues++;
	sender->n_queues++;
	return q;

fail:
	release_source(b, source);
	release_sender(b, sender);
	release_box(b, box);
	return NULL;
}

int
boxes_put(struct boxes *b, const struct box_id *id, const struct pubkey *sender,
	  const struct box_source *source, const uint8_t *msg, size_t len,
	  uint64_t now_ns)
{
	size_t bytes = len + BOXES_OVERHEAD;
	struct message *m;
	struct queue *q;

	if (bytes > b->limits.box_bytes || bytes > b->limits.bytes)
		return -1;
	m = malloc(sizeof *m + len);
	if (m == NULL)
		return -1;
	make_room(b, id, sender, source, bytes);
	q = get_queue(b, id, sender, source);
	if (q == NULL) {
		free(m);
		return -1;
	}
	memcpy(m->data, msg, len);
	m->out.len = len;
	m->out.data = m->data;
	m->queue = q;
	m->stored_ns = now_ns;
	TAILQ_INSERT_TAIL(&q->messages, m, in_queue);
	TAILQ_INSERT_TAIL(&q->sender->messages, m, in_sender);
	TAILQ_INSERT_TAIL(&q->source->messages, m, in_source);
	TAILQ_INSERT_TAIL(&b->messages, m, in_all);
	q->n++;
	q->bytes += bytes;
	q->box->bytes += bytes;
	q->source->bytes += bytes;
	b->stats.messages++;
	b->stats.bytes += bytes;
	return 0;
}

struct box_message *
boxes_take(struct boxes *b, const struct box_id *id)
{
	struct box *box = tree_find(&b->box_tree, id, by_box);
	struct message *m;
	struct queue *q;

	if (box == NULL)
		return NULL;
	/* The queue that was served goes to the end of the line. */
	q = TAILQ_FIRST(&box->queues);
	TAILQ_REMOVE(&box->queues, q, in_box);
	TAILQ_INSERT_TAIL(&box->queues, q, in_box);
	m = TAILQ_FIRST(&q->messages);
	detach(b, m);
	return &m->out;
}

void
boxes_expire(struct boxes *b, uint64_t now_ns)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&b->messages)) != NULL &&
	       now_ns - m->stored_ns >= b->limits.age_ns) {
		detach(b, m);
		free(m);
		b->stats.expired++;
	}
}

void
boxes_get_stats(const struct boxes *b, struct boxes_stats *stats)
{
	*stats = b->stats;
}
