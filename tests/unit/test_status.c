/* What status says, to the letter; and that its JSON is JSON whatever the strings hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake_proxy.h"
#include "watch/flags.h"
#include "watch/status.h"

#define START_NS (1000 * NS_PER_S)

static struct proxy proxy;
static char *text;

static int
set_up(void **state)
{
	(void)state;
	fake_proxy_init(&proxy, NULL);
	proxy.status.started_ns = START_NS;
	proxy.peer[0].since_ns = START_NS + 1 * NS_PER_S;
	proxy.place.since_ns = START_NS + 1 * NS_PER_S;
	proxy.peer[2].since_ns = START_NS;
	text = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(text);
	return 0;
}

static char *
render(void (*write)(FILE *, const struct proxy *, uint64_t), uint64_t now_ns)
{
	size_t len;
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &len);
	assert_non_null(out);
	write(out, &proxy, now_ns);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void
test_text(void **state)
{
	(void)state;
	proxy.peer[0].streams = 1;
	proxy.peer[0].bytes_sent = 12449999;
	proxy.peer[0].bytes_received = 999;
	strcpy(proxy.peer[2].last_error, "no pair of candidates worked");
	assert_string_equal(
	    render(status_text, START_NS + 253 * NS_PER_S),
	    "session santa, you are bob (index 1 of 3), running for 4m13s\n"
	    "1 of 2 connected\n"
	    "rendezvous tls://alice.example.org:7470: online for 4m12s, 12 sent, 9 "
	    "received\n"
	    "\n"
	    "  # party      state                  since       rtt  streams        sent  "
	    "received\n"
	    "  0 alice      connected              4m12s   23.1 ms  1           12.4 MB  "
	    "   "
	    "999 B\n"
	    "       direct, IPv4, socket, host 192.0.2.1:4711 - srflx 203.0.113.5:9999\n"
	    "  2 carol      waiting for it         4m13s         -  0               0 B  "
	    "     "
	    "0 B\n"
	    "       last error: no pair of candidates worked\n");
}

static void
test_text_of_rendezvous(void **state)
{
	(void)state;
	proxy.peer[2].presence = PRESENCE_HERE;
	proxy.peer[0].presence = PRESENCE_GONE; /* it is connected all the same */
	proxy.place.dropped = 7;
	strcpy(proxy.place.url, "mqtts://broker.example.org:8883");
	strcpy(proxy.place.how, "MQTT 5");
	strcpy(proxy.place.last_error, "the broker has closed the connection");
	render(status_text, START_NS + 4 * NS_PER_S);
	assert_non_null(
	    strstr(text, "rendezvous mqtts://broker.example.org:8883 (MQTT 5): online "
			 "for 3s, 12 sent, 9 received, 7 dropped\n"
			 "       last error: the broker has closed the connection\n"));
	assert_non_null(strstr(text, "       the rendezvous says that it is there\n"));
	assert_null(strstr(text, "not there"));
	proxy.place.online = false;
	render(status_text, START_NS + 4 * NS_PER_S);
	assert_non_null(
	    strstr(text, "offline for 3s, 12 sent, 9 received, 7 dropped\n"
			 "       the broker has closed the connection\n"));
	/* By hand. */
	proxy.status.n_rendezvous = 0;
	render(status_text, START_NS);
	assert_null(strstr(text, "mqtts"));
}

static void
test_text_of_a_relayed_path_with_held_streams(void **state)
{
	struct path_info *path = &proxy.peer[0].path;

	(void)state;
	path->carrier = "agent";
	path->relayed = true;
	path->local_type = PATH_RELAYED;
	addr_parse(&path->local, "2001:db8::1", 1);
	addr_parse(&path->remote, "2001:db8::2", 2);
	proxy.peer[0].streams = 3;
	proxy.peer[0].held = 2;
	render(status_text, START_NS);
	assert_non_null(
	    strstr(text, "relay, IPv6, agent, relay [2001:db8::1]:1 - srflx [2001:db8::2]:2\n"));
	assert_non_null(strstr(text, " 3, 2 held "));
}

static void
test_ages(void **state)
{
	static const struct {
		uint64_t s;
		const char *text;
	} cases[] = {
	    {0, "running for 0s\n"},
	    {59, "running for 59s\n"},
	    {60, "running for 1m00s\n"},
	    {3599, "running for 59m59s\n"},
	    {3600, "running for 1h00m\n"},
	    {86399, "running for 23h59m\n"},
	    {86400 * 12 + 3 * 3600, "running for 12d03h\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		render(status_text, START_NS + cases[i].s * NS_PER_S);
		assert_non_null(strstr(text, cases[i].text));
	}
	/* A clock that was read before the event is not four centuries late. */
	render(status_text, START_NS - 1);
	assert_non_null(strstr(text, "running for 0s\n"));
}

static void
test_amounts(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
	    {999, " 999 B "},      {1000, " 1.0 kB "},       {999999, " 999.9 kB "},
	    {1000000, " 1.0 MB "}, {1234567890, " 1.2 GB "}, {UINT64_MAX, " 18.4 EB "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		proxy.peer[0].bytes_sent = cases[i].bytes;
		render(status_text, START_NS);
		assert_non_null(strstr(text, cases[i].text));
	}
}

/* RFC 8259, as far as it concerns a reader: the end of the value at ${p}, or NULL. */
static const char *json_value(const char *p);

static const char *
json_space(const char *p)
{
	return p + strspn(p, " \n");
}

static const char *
json_text(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if (*p == '\\' && strchr("\"\\", *++p) == NULL)
			return NULL;
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			return NULL;
	}
	return p + 1;
}

static const char *
json_number(const char *p)
{
	size_t n = strspn(p, "0123456789");

	if (n == 0 || (n > 1 && *p == '0'))
		return NULL;
	p += n;
	if (*p == '.') {
		n = strspn(++p, "0123456789");
		return n > 0 ? p + n : NULL;
	}
	return p;
}

static const char *
json_members(const char *p, char end, bool named)
{
	p = json_space(p);
	while (p != NULL && *p != end) {
		if (named) {
			p = json_text(p);
			if (p == NULL || *(p = json_space(p)) != ':')
				return NULL;
			p = json_space(p + 1);
		}
		if ((p = json_value(p)) == NULL)
			return NULL;
		p = json_space(p);
		if (*p == ',') {
			p = json_space(p + 1);
			if (*p == end)
				return NULL;
		} else if (*p != end) {
			return NULL;
		}
	}
	return p != NULL ? p + 1 : NULL;
}

static const char *
json_value(const char *p)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < 3; i++) {
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	}
	switch (*p) {
	case '{':
		return json_members(p + 1, '}', true);
	case '[':
		return json_members(p + 1, ']', false);
	case '"':
		return json_text(p);
	default:
		return json_number(p);
	}
}

static void
assert_json(const char *p)
{
	p = json_value(p);
	assert_non_null(p);
	assert_string_equal(json_space(p), "");
}

static void
test_json(void **state)
{
	(void)state;
	proxy.peer[0].bytes_sent = UINT64_MAX;
	strcpy(proxy.peer[2].last_error, "no pair worked");
	strcpy(proxy.peer[2].why, "no path: UDP blocked at carol");
	assert_json(render(status_json, START_NS + 253 * NS_PER_S));
	assert_string_equal(
	    text,
	    "{\n"
	    "  \"schema\": 1,\n"
	    "  \"session\": \"santa\",\n"
	    "  \"party\": \"bob\",\n"
	    "  \"index\": 1,\n"
	    "  \"parties\": 3,\n"
	    "  \"connected\": 1,\n"
	    "  \"base_port\": 11365,\n"
	    "  \"running_s\": 253.000,\n"
	    "  \"rendezvous\": {\"online\": true, \"places\": [\n"
	    "    {\"url\": \"tls://alice.example.org:7470\", \"online\": true, "
	    "\"since_s\": 252.000,\n"
	    "     \"sent\": 12, \"received\": 9, \"dropped\": 0, \"how\": null, "
	    "\"last_error\": null}]},\n"
	    "  \"peers\": [\n"
	    "    {\"index\": 0, \"name\": \"alice\", \"connected\": true, \"since_s\": "
	    "252.000,\n"
	    "     \"state\": \"connected\",\n"
	    "     \"path\": {\"type\": \"direct\", \"family\": \"IPv4\", \"carrier\": "
	    "\"socket\", \"local\": {\"type\": \"host\", \"address\": "
	    "\"192.0.2.1\", \"port\": 4711}, \"remote\": {\"type\": \"srflx\", "
	    "\"address\": "
	    "\"203.0.113.5\", \"port\": 9999}},\n"
	    "     \"rtt_ms\": 23.104, \"streams\": 0, \"held\": 0, \"bytes_sent\": "
	    "18446744073709551615, \"bytes_received\": 0, \"datagrams_lost\": 0,\n"
	    "     \"at_rendezvous\": null,\n"
	    "     \"why\": null,\n"
	    "     \"last_error\": null},\n"
	    "    {\"index\": 2, \"name\": \"carol\", \"connected\": false, \"since_s\": "
	    "253.000,\n"
	    "     \"state\": \"waiting for it\",\n"
	    "     \"path\": null,\n"
	    "     \"rtt_ms\": null, \"streams\": 0, \"held\": 0, \"bytes_sent\": 0, "
	    "\"bytes_received\": 0, \"datagrams_lost\": 0,\n"
	    "     \"at_rendezvous\": null,\n"
	    "     \"why\": \"no path: UDP blocked at carol\",\n"
	    "     \"last_error\": \"no pair worked\"}\n"
	    "  ]\n"
	    "}\n");
}

static void
test_json_of_hostile_strings(void **state)
{
	char *error = proxy.peer[2].last_error;

	(void)state;
	for (int i = 0; i < 199; i++)
		error[i] = (char)(i + 1);
	error[199] = '\0';
	memset(proxy.place.url, '"', sizeof proxy.place.url - 1);
	memset(proxy.peer[0].last_error, 0xc3, sizeof proxy.peer[0].last_error - 1);
	assert_json(render(status_json, START_NS));
	assert_non_null(strstr(text, "!\\\"#$"));
	assert_non_null(strstr(text, "[\\\\]"));
}

/* Nothing that could move a terminal's cursor gets through. */
static void
test_text_of_hostile_strings(void **state)
{
	(void)state;
	strcpy(proxy.peer[2].last_error, "a\033[2Jb\nc\xff");
	strcpy(proxy.peer[2].why, "a\033[2Jb\nc\xff");
	strcpy(proxy.peer[2].state, "\t\r");
	strcpy(proxy.place.url, "dir:/tmp/\n");
	render(status_text, START_NS);
	assert_non_null(strstr(text, "last error: a?[2Jb?c?\n"));
	assert_non_null(strstr(text, "dir:/tmp/?: online"));
	assert_non_null(strstr(text, "carol      ?? "));
}

static void
test_missing(void **state)
{
	size_t len;
	FILE *out;

	(void)state;
	out = open_memstream(&text, &len);
	assert_int_equal(status_missing(out, &proxy), 1);
	fclose(out);
	assert_string_equal(text, "not connected: carol (waiting for it)\n");
	free(text);
	fake_proxy_connect(&proxy, 2, true);
	out = open_memstream(&text, &len);
	assert_int_equal(status_missing(out, &proxy), 0);
	fclose(out);
	assert_string_equal(text, "");
}

static void
test_flags(void **state)
{
	size_t len;
	FILE *out;

	(void)state;
	out = open_memstream(&text, &len);
	flags_write(out, 11365, 3, 1);
	fclose(out);
	assert_string_equal(text, "-P localhost:11365 -P localhost:11366 -P "
				  "localhost:11367 -I 1\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_text, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_text_of_rendezvous, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_text_of_a_relayed_path_with_held_streams,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_ages, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_amounts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_json_of_hostile_strings, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(test_text_of_hostile_strings, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_flags, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
