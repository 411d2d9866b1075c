#include "base/clock.h"
#include "proxy_rig.h"
#include "session/roster.h"
#include "tunnel/header.h"

/* What carol, whose streams are the test's, can tell bob of the session, which alice hosts
 * and which is in version 2. Alice does not run. */

static struct proxy_rig rig;
static struct raw_party carol;
static struct raw_stream stream;
static uint8_t packed[ROSTER_SIGNED_MAX + 1];
static size_t packed_len;

static const uint8_t header[] = {5, 1, 0, 3, 6, 'r', 'o', 's', 't', 'e', 'r', 0, 0};

/* The session in ${version} and with that name, in ${packed}, as ${i} signs it in
 * alice's name. */
static void
pack(unsigned version, const char *name, size_t i)
{
	struct session *s;
	struct err err;
	int len = roster_pack(rig.session, packed, &err);

	s = roster_unpack(packed, (size_t)len, &rig.session->host, &err);
	assert_non_null(s);
	s->version = version;
	strcpy(s->name, name);
	assert_int_equal(roster_sign(s, rig.party[i].id, &err), 0);
	s->host = rig.session->host;
	len = roster_pack(s, packed, &err);
	assert_true(len > 0);
	packed_len = (size_t)len;
	session_free(s);
}

static int
setup(void **state)
{
	struct err err;

	(void)state;
	rig_init(&rig, 3);
	rig.session->version = 2;
	assert_int_equal(roster_sign(rig.session, rig.party[0].id, &err), 0);
	rig_start(&rig, 1, "");
	raw_start(&carol, &rig, 2, 1);
	RIG_UNTIL(&rig, link_is_up(carol.link));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	raw_stop(&carol);
	rig_free(&rig);
	return 0;
}

static void
begin(struct raw_stream *s)
{
	raw_open(&carol, s);
	raw_send(&carol, s, header, sizeof header);
}

/* What is in ${packed}, to its end; bob answers, whatever he thinks of it. */
static void
tell(void)
{
	uint8_t reply[HEADER_REPLY_BYTES];

	begin(&stream);
	raw_send(&carol, &stream, packed, packed_len);
	raw_finish(&carol, &stream);
	RIG_UNTIL(&rig, stream.fin);
	header_encode_reply(REPLY_SUCCEEDED, reply);
	assert_int_equal(stream.n_got, sizeof reply);
	assert_memory_equal(stream.got, reply, sizeof reply);
	RIG_UNTIL(&rig, stream.closed);
}

static unsigned
news(void)
{
	return rig.party[1].news;
}

static void
test_news_of_the_host(void **state)
{
	(void)state;
	pack(3, "test", 0);
	tell();
	assert_int_equal(news(), 3);
	pack(17, "test", 0);
	tell();
	assert_int_equal(news(), 17);
}

static void
test_nothing_else_is_news(void **state)
{
	(void)state;
	/* What bob has, and what he had before. */
	pack(2, "test", 0);
	tell();
	pack(1, "test", 0);
	tell();
	/* Signed by carol, by bob himself; of another session of alice's. */
	pack(3, "test", 2);
	tell();
	pack(3, "test", 1);
	tell();
	pack(3, "other", 0);
	tell();
	/* A bit is another one; something is missing, or appended; nothing is there. */
	pack(3, "test", 0);
	packed[packed_len - 1] ^= 1;
	tell();
	packed[packed_len - 1] ^= 1;
	packed_len--;
	tell();
	packed_len += 2;
	tell();
	packed_len = 0;
	tell();
	assert_int_equal(news(), 0);
	assert_true(link_is_up(carol.link));
}

/* No more is held than the longest roster, once. */
static void
test_bounds(void **state)
{
	static struct raw_stream second;
	static const uint8_t zeros[ROSTER_SIGNED_MAX + 1];

	(void)state;
	begin(&stream);
	raw_send(&carol, &stream, zeros, sizeof zeros);
	RIG_UNTIL(&rig, stream.reset);
	assert_int_equal(stream.code, QUIC_CODE_PROTOCOL);
	raw_abort(&carol, &stream);
	begin(&stream);
	raw_send(&carol, &stream, zeros, sizeof zeros - 1);
	begin(&second);
	raw_send(&carol, &second, zeros, 1);
	RIG_UNTIL(&rig, stream.reset);
	assert_int_equal(stream.code, QUIC_CODE_CANCELLED);
	raw_abort(&carol, &stream);
	assert_false(second.reset);
	/* Given up half-way; and a third one is as good as the first. */
	raw_abort(&carol, &second);
	pack(3, "test", 0);
	tell();
	assert_int_equal(news(), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_news_of_the_host, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nothing_else_is_news, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
