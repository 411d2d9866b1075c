#include "join/message.h"

#include <string.h>

#define VERSION 1

_Static_assert(4 + ROSTER_MAX <= CONTACT_BODY_MAX, "a roster fits");
_Static_assert(ROSTER_SIGNED_MAX <= CONTACT_BODY_MAX, "so does a signed one");
_Static_assert(5 + JOIN_PARTIES_MAX * (1 + JOIN_HASH_BYTES) <= CONTACT_BODY_MAX,
	       "and everybody's values");
_Static_assert(11 + (JOIN_PARTIES_MAX + 1) * (1 + SESSION_NAME_MAX) <= CONTACT_BODY_MAX,
	       "and everybody's names");

void
join_write_values(struct writer *w, const struct join_values *values)
{
	write_u8(w, (uint8_t)values->n);
	for (size_t i = 0; i < values->n; i++) {
		write_u8(w, values->v[i].index);
		write_bytes(w, values->v[i].value, JOIN_HASH_BYTES);
	}
}

static int
read_values(struct reader *r, struct join_values *values)
{
	values->n = read_u8(r);
	if (values->n > JOIN_PARTIES_MAX)
		return -1;
	for (size_t i = 0; i < values->n; i++) {
		values->v[i].index = read_u8(r);
		read_copy(r, values->v[i].value, JOIN_HASH_BYTES);
		if (i > 0 && values->v[i].index <= values->v[i - 1].index)
			return -1;
	}
	return 0;
}

const uint8_t *
join_value(const struct join_values *values, uint8_t index)
{
	for (size_t i = 0; i < values->n; i++)
		if (values->v[i].index == index)
			return values->v[i].value;
	return NULL;
}

static void
write_name(struct writer *w, const char *name)
{
	size_t len = strlen(name);

	write_u8(w, (uint8_t)len);
	write_bytes(w, name, len);
}

/* Printable ASCII, so that it can be shown. */
static int
read_name(struct reader *r, char out[SESSION_NAME_MAX + 1])
{
	size_t len = read_u8(r);
	const uint8_t *p = read_bytes(r, len);

	if (p == NULL || len > SESSION_NAME_MAX)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return -1;
	memcpy(out, p, len);
	out[len] = '\0';
	return 0;
}

/* What a host says of itself and others must be names already. */
static int
read_proper_name(struct reader *r, char out[SESSION_NAME_MAX + 1])
{
	char name[SESSION_NAME_MAX + 1];

	return read_name(r, name) == 0 ? session_name_parse(out, name, NULL) : -1;
}

static int
read_waiting(struct reader *r, struct join_waiting *w)
{
	w->count = read_u32(r);
	w->void_round = read_u32(r);
	if (read_proper_name(r, w->session) != 0)
		return -1;
	w->wanted = read_u8(r);
	w->n = read_u8(r);
	if (w->wanted > JOIN_PARTIES_MAX || w->n > w->wanted)
		return -1;
	for (size_t i = 0; i < w->n; i++)
		if (read_proper_name(r, w->names[i]) != 0)
			return -1;
	return 0;
}

static void
write_waiting(struct writer *w, const struct join_waiting *waiting)
{
	write_u32(w, waiting->count);
	write_u32(w, waiting->void_round);
	write_name(w, waiting->session);
	write_u8(w, waiting->wanted);
	write_u8(w, (uint8_t)waiting->n);
	for (size_t i = 0; i < waiting->n; i++)
		write_name(w, waiting->names[i]);
}

static int
read_fields(struct join_message *m, struct reader *r, struct join_values *values,
	    struct join_waiting *waiting)
{
	switch (m->type) {
	case JOIN_JOIN:
		return read_u8(r) == VERSION ? read_name(r, m->name) : -1;
	case JOIN_COMMIT:
	case JOIN_REVEAL:
		m->round = read_u32(r);
		m->hash = read_bytes(r, JOIN_HASH_BYTES);
		return 0;
	case JOIN_STORED:
	case JOIN_LEAVE:
	case JOIN_PRESENT:
	case JOIN_ABORTED:
		return 0;
	case JOIN_REFUSED:
		m->refusal = read_u8(r);
		return 0;
	case JOIN_WAITING:
		return read_waiting(r, waiting);
	case JOIN_COMMITS:
	case JOIN_NONCES:
		m->round = read_u32(r);
		return read_values(r, values);
	case JOIN_ROSTER:
		m->round = read_u32(r);
		/* fall through */
	case JOIN_FROZEN:
		m->len = r->left;
		m->data = read_bytes(r, m->len);
		return 0;
	}
	return -1;
}

int
join_decode(struct join_message *m, bool from_host, uint8_t type, const uint8_t *body,
	    size_t len, struct join_values *values, struct join_waiting *waiting)
{
	struct reader r;

	memset(m, 0, sizeof *m);
	if (type != JOIN_PRESENT && from_host != (type >= JOIN_REFUSED))
		return -1;
	m->type = type;
	reader_init(&r, body, len);
	return read_fields(m, &r, values, waiting) == 0 && reader_done(&r) ? 0 : -1;
}

size_t
join_encode(const struct join_message *m, const struct join_values *values,
	    const struct join_waiting *waiting, uint8_t *out)
{
	struct writer w;

	writer_init(&w, out, CONTACT_BODY_MAX);
	switch (m->type) {
	case JOIN_JOIN:
		write_u8(&w, VERSION);
		write_name(&w, m->name);
		break;
	case JOIN_COMMIT:
	case JOIN_REVEAL:
		write_u32(&w, m->round);
		write_bytes(&w, m->hash, JOIN_HASH_BYTES);
		break;
	case JOIN_STORED:
	case JOIN_LEAVE:
	case JOIN_PRESENT:
	case JOIN_ABORTED:
		break;
	case JOIN_REFUSED:
		write_u8(&w, (uint8_t)m->refusal);
		break;
	case JOIN_WAITING:
		write_waiting(&w, waiting);
		break;
	case JOIN_COMMITS:
	case JOIN_NONCES:
		write_u32(&w, m->round);
		join_write_values(&w, values);
		break;
	case JOIN_ROSTER:
		write_u32(&w, m->round);
		/* fall through */
	case JOIN_FROZEN:
		write_bytes(&w, m->data, m->len);
		break;
	}
	return w.len;
}

const char *
join_refusal_text(enum join_refusal refusal)
{
	switch (refusal) {
	case JOIN_REFUSED_FULL:
		return "you are too late: nobody else is expected in this session; ask "
		       "its host for `mpcproxy invite SESSION --add 1`";
	case JOIN_REFUSED_NAME:
		return "another party has that name: choose one with --as NAME";
	case JOIN_REFUSED_BAD_NAME:
		return "no party can have that name: choose one of a-z, 0-9 and `-` with "
		       "--as NAME";
	case JOIN_REFUSED_EXPIRED:
		return "the ticket has expired: ask for a new one";
	case JOIN_REFUSED_PARTY:
		return "you are a party of this session already: `mpcproxy sessions` "
		       "shows it";
	case JOIN_REFUSED_PROTOCOL:
		return "the host did not understand this mpcproxy: are both of the same "
		       "version?";
	case JOIN_REFUSED_TICKET:
		return "the host does not know this ticket (any more): ask for a new one";
	case JOIN_REFUSED_SECOND:
		return "another process is joining with this identity: end that one, or "
		       "name another identity with -i";
	}
	return "the host refused, for a reason that this version does not know";
}
