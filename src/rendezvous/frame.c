#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "rendezvous/frame.h"

/* The range of a type's payload length; false for a type that this side never
 * sends. */
static bool
payload_bounds(uint8_t type, bool from_mailbox, size_t *min, size_t *max)
{
	if (((type & 0x80) != 0) != from_mailbox)
		return false;
	switch (type) {
	case FRAME_OPEN:
		*min = *max = FRAME_TAG_BYTES;
		return true;
	case FRAME_SEND:
		*min = PUBKEY_BYTES + 1;
		*max = PUBKEY_BYTES + RENDEZVOUS_MESSAGE_MAX;
		return true;
	case FRAME_PING:
	case FRAME_PONG:
		*min = *max = 0;
		return true;
	case FRAME_READY:
		*min = *max = 8;
		return true;
	case FRAME_MESSAGE:
		*min = 1;
		*max = RENDEZVOUS_MESSAGE_MAX;
		return true;
	case FRAME_ERROR:
		*min = 2;
		*max = 2 + FRAME_TEXT_MAX;
		return true;
	default:
		return false;
	}
}

static void
read_payload(struct frame *f, struct reader *r)
{
	switch (f->type) {
	case FRAME_OPEN:
		f->tag = read_bytes(r, FRAME_TAG_BYTES);
		return;
	case FRAME_READY:
		f->message_max = read_u32(r);
		f->idle_ms = read_u32(r);
		return;
	case FRAME_PING:
	case FRAME_PONG:
		return;
	case FRAME_SEND:
		f->to = read_bytes(r, PUBKEY_BYTES);
		break;
	case FRAME_ERROR:
		f->code = read_u16(r);
		break;
	case FRAME_MESSAGE:
		break;
	}
	f->len = r->left;
	f->body = read_bytes(r, r->left);
}

ssize_t
frame_parse(struct frame *f, bool from_mailbox, const uint8_t *data, size_t len,
	    struct err *err)
{
	struct reader r;
	size_t min, max, payload;

	memset(f, 0, sizeof *f);
	if (len >= 1 && data[0] != FRAME_VERSION)
		return err_set(err, "speaks version %u of the protocol, not %u", data[0],
			       FRAME_VERSION);
	if (len >= 2 && !payload_bounds(data[1], from_mailbox, &min, &max))
		return err_set(err, "sends a frame of unknown type 0x%02x", data[1]);
	if (len < FRAME_HEADER_BYTES)
		return 0;
	payload = (size_t)data[2] << 8 | data[3];
	if (payload < min || payload > max)
		return err_set(err, "sends a frame of type 0x%02x with %zu bytes",
			       data[1], payload);
	if (len < FRAME_HEADER_BYTES + payload)
		return 0;
	f->type = data[1];
	reader_init(&r, data + FRAME_HEADER_BYTES, payload);
	read_payload(f, &r);
	return (ssize_t)(FRAME_HEADER_BYTES + payload);
}

static void
write_payload(const struct frame *f, struct writer *w)
{
	switch (f->type) {
	case FRAME_OPEN:
		write_bytes(w, f->tag, FRAME_TAG_BYTES);
		return;
	case FRAME_READY:
		write_u32(w, f->message_max);
		write_u32(w, f->idle_ms);
		return;
	case FRAME_PING:
	case FRAME_PONG:
		return;
	case FRAME_SEND:
		write_bytes(w, f->to, PUBKEY_BYTES);
		break;
	case FRAME_ERROR:
		write_u16(w, f->code);
		break;
	case FRAME_MESSAGE:
		break;
	}
	write_bytes(w, f->body, f->len);
}

ssize_t
frame_encode(const struct frame *f, uint8_t *out, size_t size)
{
	struct writer w;
	size_t min, max, payload;

	writer_init(&w, out, size);
	write_u8(&w, FRAME_VERSION);
	write_u8(&w, (uint8_t)f->type);
	write_u16(&w, 0);
	write_payload(f, &w);
	if (!w.ok || !payload_bounds((uint8_t)f->type, (f->type & 0x80) != 0, &min, &max))
		return -1;
	payload = w.len - FRAME_HEADER_BYTES;
	if (payload < min || payload > max)
		return -1;
	out[2] = (uint8_t)(payload >> 8);
	out[3] = (uint8_t)payload;
	return (ssize_t)w.len;
}

int
frame_session_tag(uint8_t tag[FRAME_TAG_BYTES], const char *session_name)
{
	static const char label[] = "mpcproxy mailbox session";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t digest[EVP_MAX_MD_SIZE];
	int ret = -1;

	if (ctx == NULL)
		return -1;
	/* The label's NUL separates it from the name. */
	if (EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, label, sizeof label) == 1 &&
	    EVP_DigestUpdate(ctx, session_name, strlen(session_name)) == 1 &&
	    EVP_DigestFinal_ex(ctx, digest, NULL) == 1) {
		memcpy(tag, digest, FRAME_TAG_BYTES);
		ret = 0;
	}
	EVP_MD_CTX_free(ctx);
	return ret;
}
