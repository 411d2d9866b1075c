#include <string.h>

#include "base/bytes.h"
#include "path/stun_query.h"

#define MAGIC_COOKIE 0x2112a442u /* RFC 8489, 5 */
#define HEADER_BYTES 20

/* RFC 8489, 14 and 18; RFC 5780, 7. */
enum {
	BINDING_REQUEST = 0x0001,
	BINDING_SUCCESS = 0x0101,
	BINDING_ERROR = 0x0111,
	MAPPED_ADDRESS = 0x0001,
	CHANGE_REQUEST = 0x0003,
	CHANGED_ADDRESS = 0x0005, /* RFC 3489's name for OTHER-ADDRESS */
	ERROR_CODE = 0x0009,
	XOR_MAPPED_ADDRESS = 0x0020,
	OTHER_ADDRESS = 0x802c,
};

enum { FAMILY_IPV4 = 1, FAMILY_IPV6 = 2 };

size_t
stun_query(uint8_t out[STUN_QUERY_MAX], const uint8_t id[STUN_QUERY_ID],
	   enum stun_change change)
{
	struct writer w;

	writer_init(&w, out, STUN_QUERY_MAX);
	write_u16(&w, BINDING_REQUEST);
	write_u16(&w, change != STUN_CHANGE_NOTHING ? 8 : 0);
	write_u32(&w, MAGIC_COOKIE);
	write_bytes(&w, id, STUN_QUERY_ID);
	if (change != STUN_CHANGE_NOTHING) {
		write_u16(&w, CHANGE_REQUEST);
		write_u16(&w, 4);
		write_u32(&w, change);
	}
	return w.len;
}

/* RFC 8489, 14.1 and 14.2. ${mask}: what an XOR-MAPPED-ADDRESS is masked with (cookie and
 * transaction id), or NULL. */
static int
take_addr(union addr *a, struct reader *r, const uint8_t *mask)
{
	uint8_t bytes[16];
	uint16_t port;
	size_t n;

	memset(a, 0, sizeof *a);
	read_u8(r);
	n = read_u8(r);
	if (n != FAMILY_IPV4 && n != FAMILY_IPV6)
		return -1;
	a->sa.sa_family = n == FAMILY_IPV4 ? AF_INET : AF_INET6;
	n = n == FAMILY_IPV4 ? 4 : 16;
	port = read_u16(r);
	read_copy(r, bytes, n);
	if (!reader_done(r))
		return -1;
	for (size_t i = 0; mask != NULL && i < n; i++)
		bytes[i] ^= mask[i];
	if (mask != NULL)
		port ^= (uint16_t)(MAGIC_COOKIE >> 16);
	if (n == 4)
		memcpy(&a->in.sin_addr, bytes, n);
	else
		memcpy(&a->in6.sin6_addr, bytes, n);
	addr_set_port(a, port);
	return 0;
}

/* RFC 8489, 14.8. */
static int
take_error(struct stun_reply *reply, struct reader *r)
{
	unsigned class, number;

	read_u16(r);
	class = read_u8(r);
	number = read_u8(r);
	if (!r->ok || class < 3 || class > 6 || number > 99)
		return -1;
	reply->error = class * 100 + number;
	return 0;
}

static int
take_attribute(struct stun_reply *reply, uint16_t type, struct reader *value,
	       const uint8_t *mask)
{
	union addr a;

	switch (type) {
	case XOR_MAPPED_ADDRESS:
		return take_addr(&reply->mapped, value, mask);
	case MAPPED_ADDRESS:
		/* Second to the one that no NAT on the way rewrites. */
		if (take_addr(&a, value, NULL) != 0)
			return -1;
		if (reply->mapped.sa.sa_family == AF_UNSPEC)
			reply->mapped = a;
		return 0;
	case OTHER_ADDRESS:
	case CHANGED_ADDRESS:
		return take_addr(&reply->other, value, NULL);
	case ERROR_CODE:
		return take_error(reply, value);
	default:
		/* RFC 8489, 14: those below 0x8000 have to be understood; what servers
		 * send (RESPONSE-ORIGIN, SOFTWARE, FINGERPRINT) is above, or of RFC 3489
		 * (SOURCE-ADDRESS). None changes what the rest means. */
		return 0;
	}
}

int
stun_reply_parse(struct stun_reply *reply, const uint8_t *data, size_t len)
{
	struct reader r, value;
	uint16_t type, length;

	memset(reply, 0, sizeof *reply);
	reader_init(&r, data, len);
	type = read_u16(&r);
	length = read_u16(&r);
	if ((type != BINDING_SUCCESS && type != BINDING_ERROR) ||
	    read_u32(&r) != MAGIC_COOKIE || len > STUN_REPLY_MAX)
		return -1;
	read_copy(&r, reply->id, sizeof reply->id);
	if (!r.ok || length != r.left || length % 4 != 0)
		return -1;
	while (r.left > 0) {
		uint16_t attribute = read_u16(&r);
		size_t n = read_u16(&r);
		const uint8_t *p = read_bytes(&r, n);

		/* The cookie and the id begin at the header's fifth byte. */
		reader_init(&value, p, p != NULL ? n : 0);
		if (p == NULL || take_attribute(reply, attribute, &value, data + 4) != 0)
			return -1;
		read_bytes(&r, (4 - n % 4) % 4);
		if (!r.ok)
			return -1;
	}
	reply->success = type == BINDING_SUCCESS;
	if (reply->success)
		return reply->mapped.sa.sa_family != AF_UNSPEC ? 0 : -1;
	return reply->error != 0 ? 0 : -1;
}
