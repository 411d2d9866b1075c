#include "check.h"

#include <stdio.h>

#include "session/url.h"

#define KEY "A2sX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"

#define PIN "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="

/* Parse ${text}; it must come out as ${full} and, for logs, as ${public}. */
static struct url
check(enum url_kind kind, const char *text, const char *full, const char *public)
{
	struct url url;
	struct err err = {""};
	char out[URL_PATH_MAX + 64];

	if (url_parse(&url, kind, text, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(url_format(&url, out, sizeof out), full);
	assert_string_equal(url_format_public(&url, out, sizeof out), public);
	return url;
}

static void
parses_rendezvous(void **state)
{
	struct url url;

	(void)state;
	url = check(URL_KIND_RENDEZVOUS, "tls://a.example:7470#" KEY,
		    "tls://a.example:7470#" KEY, "tls://a.example:7470");
	assert_int_equal(url.scheme, URL_TLS);
	assert_string_equal(url.host, "a.example");
	assert_int_equal(url.port, 7470);
	assert_int_equal(url.key.point[1], 0x6b);

	url = check(URL_KIND_RENDEZVOUS, "tls://[2001:db8::1]:1#" KEY,
		    "tls://[2001:db8::1]:1#" KEY, "tls://[2001:db8::1]:1");
	assert_string_equal(url.host, "2001:db8::1");

	url = check(URL_KIND_RENDEZVOUS, "dir:/srv/Shared Files", "dir:/srv/Shared Files",
		    "dir:/srv/Shared Files");
	assert_int_equal(url.scheme, URL_DIR);

	url = check(URL_KIND_RENDEZVOUS, "mqtt://h", "mqtt://h:1883", "mqtt://h:1883");
	assert_string_equal(url.path, "");
	url = check(URL_KIND_RENDEZVOUS, "mqtts://10.0.0.1:9/lab/mpc#sha256/" PIN,
		    "mqtts://10.0.0.1:9/lab/mpc#sha256/" PIN,
		    "mqtts://10.0.0.1:9/lab/mpc");
	assert_string_equal(url.path, "lab/mpc");
	assert_true(url.pinned);
	check(URL_KIND_RENDEZVOUS, "mqtts://h", "mqtts://h:8883", "mqtts://h:8883");
}

static void
parses_stun_and_turn(void **state)
{
	struct url url;

	(void)state;
	check(URL_KIND_STUN, "stun.example", "stun:stun.example:3478",
	      "stun:stun.example:3478");
	check(URL_KIND_STUN, "stun:h:19302", "stun:h:19302", "stun:h:19302");
	check(URL_KIND_STUN, "[::1]", "stun:[::1]:3478", "stun:[::1]:3478");
	/* A host of that name. */
	check(URL_KIND_STUN, "stun", "stun:stun:3478", "stun:stun:3478");
	url = check(URL_KIND_TURN, "turn:h", "turn:h:3478?transport=udp",
		    "turn:h:3478?transport=udp");
	assert_false(url.tcp);
	url = check(URL_KIND_TURN, "turn:h:1?transport=tcp", "turn:h:1?transport=tcp",
		    "turn:h:1?transport=tcp");
	assert_true(url.tcp);
	url =
	    check(URL_KIND_TURN, "turns:h?transport=tcp", "turns:h:5349", "turns:h:5349");
	assert_int_equal(url.scheme, URL_TURNS);
	assert_true(url.tcp);
	assert_false(url.pinned);
	url = check(URL_KIND_TURN, "turns:h:443#sha256/" PIN, "turns:h:443#sha256/" PIN,
		    "turns:h:443");
	assert_true(url.pinned);
	assert_int_equal(url.pin[0], 0x9f);
	assert_int_equal(url.pin[31], 0x08);
	check(URL_KIND_TURN, "turns:h:443?transport=tcp#sha256/" PIN,
	      "turns:h:443#sha256/" PIN, "turns:h:443");
}

static void
assert_refused(enum url_kind kind, const char *text, const char *reason)
{
	struct url url;
	struct err err = {""};

	if (url_parse(&url, kind, text, &err) == 0)
		fail_msg("`%s` was accepted", text);
	assert_contains(err.text, reason);
}

static void
refuses_the_rest(void **state)
{
	static const struct {
		enum url_kind kind;
		const char *text, *reason;
	} bad[] = {
	    {URL_KIND_RENDEZVOUS, "", "expected tls://"},
	    {URL_KIND_RENDEZVOUS, "http://h:1", "expected tls://"},
	    {URL_KIND_RENDEZVOUS, "TLS://h:1#" KEY, "expected tls://"},
	    {URL_KIND_RENDEZVOUS, "tls://h:1", "KEY is missing"},
	    {URL_KIND_RENDEZVOUS, "tls://h:1#", "mailbox's key"},
	    {URL_KIND_RENDEZVOUS, "tls://h:1#" KEY "x", "mailbox's key"},
	    {URL_KIND_RENDEZVOUS, "tls://h#" KEY, "port is missing"},
	    {URL_KIND_RENDEZVOUS, "tls://h:0#" KEY, "1 to 65535"},
	    {URL_KIND_RENDEZVOUS, "tls://h:65536#" KEY, "1 to 65535"},
	    {URL_KIND_RENDEZVOUS, "tls://h:#" KEY, "1 to 65535"},
	    {URL_KIND_RENDEZVOUS, "tls://:1#" KEY, "host is missing"},
	    {URL_KIND_RENDEZVOUS, "tls://h:1/#" KEY, "1 to 65535"},
	    {URL_KIND_RENDEZVOUS, "tls://u:p@h:1#" KEY, "after the host"},
	    {URL_KIND_RENDEZVOUS, "tls://::1:1#" KEY, "host is missing"},
	    {URL_KIND_RENDEZVOUS, "tls://[::1:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://[127.0.0.1]:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://[fe80::1%eth0]:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://[::1]1#" KEY, "after the host"},
	    {URL_KIND_RENDEZVOUS, "tls://1.2.3.256:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://a..b:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://a.b.:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://-a:1#" KEY, "neither a name nor"},
	    {URL_KIND_RENDEZVOUS, "tls://a b:1#" KEY, "a space"},
	    {URL_KIND_RENDEZVOUS, "tls://a\xc3\xa4:1#" KEY, "a space"},
	    {URL_KIND_RENDEZVOUS, "dir:", "PATH is missing"},
	    {URL_KIND_RENDEZVOUS, "dir:/a\nb", "a space"},
	    {URL_KIND_RENDEZVOUS, "mqtt://", "host is missing"},
	    {URL_KIND_RENDEZVOUS, "mqtt://bob:p@h", "mqtt-login"},
	    {URL_KIND_RENDEZVOUS, "mqtt://bob@h", "mqtt-login"},
	    {URL_KIND_RENDEZVOUS, "mqtt://h#sha256/" PIN, "only an mqtts: broker"},
	    {URL_KIND_RENDEZVOUS, "mqtts://h#x", "expected sha256/"},
	    {URL_KIND_RENDEZVOUS, "mqtts://h/", "topics are to begin with"},
	    {URL_KIND_RENDEZVOUS, "mqtts://h/a/", "topics are to begin with"},
	    {URL_KIND_RENDEZVOUS, "mqtts://h//a", "topics are to begin with"},
	    {URL_KIND_RENDEZVOUS, "mqtts://h/+", "topics are to begin with"},
	    {URL_KIND_RENDEZVOUS, "mqtts://h/$SYS", "topics are to begin with"},
	    {URL_KIND_STUN, "", "host is missing"},
	    {URL_KIND_STUN, "turn:h", "after the host"},
	    {URL_KIND_STUN, "stun://h", "neither a name nor"},
	    {URL_KIND_TURN, "h", "expected turn:"},
	    {URL_KIND_TURN, "turn:h?", "expected transport="},
	    {URL_KIND_TURN, "turn:h?transport=sctp", "expected transport="},
	    {URL_KIND_TURN, "turn:h?transport=udp&x=1", "expected transport="},
	    {URL_KIND_TURN, "turns:h?transport=udp", "expected transport=tcp"},
	    {URL_KIND_TURN, "turn:h#sha256/" PIN, "only a turns: server"},
	    {URL_KIND_TURN, "turns:h#", "expected sha256/"},
	    {URL_KIND_TURN, "turns:h#" PIN, "expected sha256/"},
	    {URL_KIND_TURN, "turns:h#sha256/" PIN "=", "expected sha256/"},
	    {URL_KIND_TURN, "turns:h#sha256/*4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
	     "expected sha256/"},
	    /* The same bytes, written in another way. */
	    {URL_KIND_TURN, "turns:h#sha256/n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgh=",
	     "expected sha256/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_refused(bad[i].kind, bad[i].text, bad[i].reason);
}

static void
bounds_every_part(void **state)
{
	char text[4 * URL_PATH_MAX];
	struct url url;

	(void)state;
	/* The longest label there is, and one more. */
	snprintf(text, sizeof text, "%063d.example", 1);
	assert_int_equal(url_parse(&url, URL_KIND_STUN, text, NULL), 0);
	snprintf(text, sizeof text, "%064d.example", 1);
	assert_refused(URL_KIND_STUN, text, "neither a name nor");
	snprintf(text, sizeof text, "%0256d", 1);
	assert_refused(URL_KIND_STUN, text, "too long");
	snprintf(text, sizeof text, "dir:%0*d", URL_PATH_MAX, 1);
	assert_int_equal(url_parse(&url, URL_KIND_RENDEZVOUS, text, NULL), 0);
	assert_int_equal(strlen(url.path), URL_PATH_MAX);
	snprintf(text, sizeof text, "dir:%0*d", URL_PATH_MAX + 1, 1);
	assert_refused(URL_KIND_RENDEZVOUS, text, "longer than");
	snprintf(text, sizeof text, "dir:%0*d", 3 * URL_PATH_MAX, 1);
	assert_refused(URL_KIND_RENDEZVOUS, text, "longer than");
	snprintf(text, sizeof text, "mqtt://h/%0*d", URL_TOPIC_MAX, 1);
	assert_int_equal(url_parse(&url, URL_KIND_RENDEZVOUS, text, NULL), 0);
	snprintf(text, sizeof text, "mqtt://h/%0*d", URL_TOPIC_MAX + 1, 1);
	assert_refused(URL_KIND_RENDEZVOUS, text, "topics are to begin with");
}

static void
format_stays_in_its_buffer(void **state)
{
	struct url url;
	char out[8];

	(void)state;
	assert_int_equal(url_parse(&url, URL_KIND_RENDEZVOUS, "tls://a.example:7470#" KEY,
				   NULL),
			 0);
	assert_string_equal(url_format(&url, out, sizeof out), "tls://a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parses_rendezvous),
	    cmocka_unit_test(parses_stun_and_turn),
	    cmocka_unit_test(refuses_the_rest),
	    cmocka_unit_test(bounds_every_part),
	    cmocka_unit_test(format_stays_in_its_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
