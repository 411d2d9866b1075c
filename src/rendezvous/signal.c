#include <string.h>

#include "base/bytes.h"
#include "rendezvous/signal.h"

/* A field: type (1 byte), length (2), value. */
enum field {
	FIELD_GENERATION = 1,        /* 4 bytes */
	FIELD_ICE_UFRAG = 2,         /* RFC 8839, 5.4 */
	FIELD_ICE_PWD = 3,           /* RFC 8839, 5.4 */
	FIELD_CANDIDATE = 4,         /* RFC 8839, 5.1, from the foundation on; repeated */
	FIELD_END_OF_CANDIDATES = 5, /* RFC 8840, 8.2; empty */
	FIELD_FACTS = 6,             /* 4 bytes; a later version's may have more */
	FIELD_DIRECT = 7,            /* no relayed candidates; empty */
};

#define FIELD_HEADER_BYTES 3

#define FACTS_BYTES 4
/* Bits of its third byte. */
enum {
	GATHERED_IPV4 = 1 << 0,
	GATHERED_IPV6 = 1 << 1,
	GATHERED_REFLEXIVE = 1 << 2,
	GATHERED_RELAYED = 1 << 3,
};

/* RFC 8839, 5.4. */
#define UFRAG_MIN 4
#define PWD_MIN   22

/* Generation, ufrag, pwd, facts, the flags and all candidates, each as long as it may be.
 */
#define BUNDLE_MAX                                                                       \
	((6 + SIGNAL_CANDIDATES_MAX) * FIELD_HEADER_BYTES + sizeof(uint32_t) +           \
	 FACTS_BYTES + SIGNAL_UFRAG_MAX + SIGNAL_PWD_MAX +                               \
	 SIGNAL_CANDIDATES_MAX * SIGNAL_CANDIDATE_MAX)

_Static_assert(BUNDLE_MAX <= CONTACT_BODY_MAX, "the largest bundle fits a message");

bool
signal_facts_hide(const struct signal_facts *f)
{
	return f->told && f->relayed && !f->ipv4 && !f->ipv6;
}

static void
write_field(struct writer *w, enum field type, const void *value, size_t len)
{
	write_u8(w, (uint8_t)type);
	write_u16(w, (uint16_t)len);
	write_bytes(w, value, len);
}

static void
write_generation(struct writer *w, uint32_t generation)
{
	write_u8(w, FIELD_GENERATION);
	write_u16(w, sizeof generation);
	write_u32(w, generation);
}

/* The next field, its value as a reader of its own. */
static uint8_t
read_field(struct reader *r, struct reader *value)
{
	uint8_t type = read_u8(r);
	size_t len = read_u16(r);
	const uint8_t *p = read_bytes(r, len);

	reader_init(value, p, p != NULL ? len : 0);
	return type;
}

/* RFC 8839, 5.4: ice-char. */
static bool
is_ice_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* RFC 8839, 5.1: tokens of visible characters with one space between them. */
static bool
is_candidate_char(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

static int
take_text(char *out, const struct reader *value, size_t min, size_t max,
	  bool (*allowed)(uint8_t c))
{
	if (value->left < min || value->left > max)
		return -1;
	for (size_t i = 0; i < value->left; i++) {
		if (!allowed(value->p[i]))
			return -1;
	}
	if (value->left > 0)
		memcpy(out, value->p, value->left);
	out[value->left] = '\0';
	return 0;
}

static int
take_candidate(struct signal_candidates *m, const struct reader *value)
{
	const uint8_t *p = value->p;
	size_t n = value->left;

	if (m->n == SIGNAL_CANDIDATES_MAX)
		return -1;
	if (take_text(m->candidate[m->n], value, 1, SIGNAL_CANDIDATE_MAX,
		      is_candidate_char) != 0)
		return -1;
	if (p[0] == ' ' || p[n - 1] == ' ' || strstr(m->candidate[m->n], "  ") != NULL)
		return -1;
	m->n++;
	return 0;
}

/* What a later version may say beyond what is known here counts as unknown. */
static int
take_facts(struct signal_facts *f, struct reader *value)
{
	uint8_t udp = read_u8(value), mapping = read_u8(value), gathered = read_u8(value);

	f->told = true;
	if (udp <= SIGNAL_UDP_BLOCKED)
		f->udp = udp;
	if (mapping <= SIGNAL_MAPPING_DEPENDENT)
		f->mapping = mapping;
	f->ipv4 = (gathered & GATHERED_IPV4) != 0;
	f->ipv6 = (gathered & GATHERED_IPV6) != 0;
	f->reflexive = (gathered & GATHERED_REFLEXIVE) != 0;
	f->relayed = (gathered & GATHERED_RELAYED) != 0;
	f->turn_servers = read_u8(value);
	return value->ok ? 0 : -1;
}

static void
write_facts(struct writer *w, const struct signal_facts *f)
{
	uint8_t value[FACTS_BYTES] = {
	    (uint8_t)f->udp,
	    (uint8_t)f->mapping,
	    (uint8_t)((f->ipv4 ? GATHERED_IPV4 : 0) | (f->ipv6 ? GATHERED_IPV6 : 0) |
		      (f->reflexive ? GATHERED_REFLEXIVE : 0) |
		      (f->relayed ? GATHERED_RELAYED : 0)),
	    f->turn_servers,
	};

	if (f->told)
		write_field(w, FIELD_FACTS, value, sizeof value);
}

static int
take_field(struct signal_candidates *m, uint8_t type, struct reader *value)
{
	switch (type) {
	case FIELD_GENERATION:
		m->generation = read_u32(value);
		return reader_done(value) ? 0 : -1;
	case FIELD_ICE_UFRAG:
		return take_text(m->ufrag, value, UFRAG_MIN, SIGNAL_UFRAG_MAX,
				 is_ice_char);
	case FIELD_ICE_PWD:
		return take_text(m->pwd, value, PWD_MIN, SIGNAL_PWD_MAX, is_ice_char);
	case FIELD_CANDIDATE:
		return take_candidate(m, value);
	case FIELD_END_OF_CANDIDATES:
		m->last = true;
		return reader_done(value) ? 0 : -1;
	case FIELD_FACTS:
		return take_facts(&m->facts, value);
	case FIELD_DIRECT:
		m->direct = true;
		return reader_done(value) ? 0 : -1;
	default:
		return 0; /* of a later version */
	}
}

/* All fields of a body. ${required} has bit 1 << field for each that must be there. */
static int
decode(struct signal_candidates *m, const uint8_t *body, size_t len, unsigned required)
{
	struct reader r, value;
	unsigned have = 0;

	reader_init(&r, body, len);
	while (r.ok && r.left > 0) {
		uint8_t type = read_field(&r, &value);

		if (!r.ok)
			break;
		if (type >= FIELD_GENERATION && type <= FIELD_DIRECT &&
		    type != FIELD_CANDIDATE) {
			if ((have & 1U << type) != 0)
				return -1;
			have |= 1U << type;
		}
		if (take_field(m, type, &value) != 0)
			return -1;
	}
	return reader_done(&r) && (have & required) == required ? 0 : -1;
}

int
signal_encode_candidates(const struct signal_candidates *m, uint8_t *out, size_t size)
{
	struct writer w;

	if (m->n > SIGNAL_CANDIDATES_MAX)
		return -1;
	writer_init(&w, out, size);
	write_generation(&w, m->generation);
	write_field(&w, FIELD_ICE_UFRAG, m->ufrag, strlen(m->ufrag));
	write_field(&w, FIELD_ICE_PWD, m->pwd, strlen(m->pwd));
	for (size_t i = 0; i < m->n; i++)
		write_field(&w, FIELD_CANDIDATE, m->candidate[i],
			    strlen(m->candidate[i]));
	write_facts(&w, &m->facts);
	if (m->direct)
		write_field(&w, FIELD_DIRECT, NULL, 0);
	if (m->last)
		write_field(&w, FIELD_END_OF_CANDIDATES, NULL, 0);
	return w.ok ? (int)w.len : -1;
}

int
signal_encode_generation(uint32_t generation, uint8_t *out, size_t size)
{
	struct writer w;

	writer_init(&w, out, size);
	write_generation(&w, generation);
	return w.ok ? (int)w.len : -1;
}

int
signal_decode_candidates(struct signal_candidates *m, const uint8_t *body, size_t len)
{
	memset(m, 0, sizeof *m);
	return decode(m, body, len,
		      1U << FIELD_GENERATION | 1U << FIELD_ICE_UFRAG |
			  1U << FIELD_ICE_PWD);
}

int
signal_decode_generation(uint32_t *generation, const uint8_t *body, size_t len)
{
	struct signal_candidates m;

	memset(&m, 0, sizeof m);
	if (decode(&m, body, len, 1U << FIELD_GENERATION) != 0)
		return -1;
	*generation = m.generation;
	return 0;
}
