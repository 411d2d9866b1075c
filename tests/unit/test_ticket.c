#include "check.h"

#include <stdio.h>

#include "base/base64url.h"
#include "session/ticket.h"

#define HOST "A2sX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"
#define PIN  "Ayn9oI2/JE1fY1n3GCs7KTmP50qaxrjcckWoDLZCffwH"

static void
make(struct ticket *t, const char *url)
{
	struct err err = {""};

	memset(t, 0, sizeof *t);
	memset(t->secret, 0x5a, sizeof t->secret);
	assert_int_equal(pubkey_parse(&t->host, HOST, &err), 0);
	t->expires_s = 1893456000;
	if (url_parse(&t->rendezvous, URL_KIND_RENDEZVOUS, url, &err) != 0)
		fail_msg("%s: %s", url, err.text);
}

static void
check_round_trip(const char *url)
{
	char text[TICKET_TEXT_MAX + 1], again[1200];
	struct ticket t, back;
	struct err err = {""};

	make(&t, url);
	if (ticket_format(&t, text, &err) != 0)
		fail_msg("%s: %s", url, err.text);
	assert_true(strlen(text) <= TICKET_TEXT_MAX);
	assert_true(strncmp(text, "mpc1:", 5) == 0);
	if (ticket_parse(&back, text, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	assert_memory_equal(back.secret, t.secret, sizeof t.secret);
	assert_true(pubkey_equal(&back.host, &t.host));
	assert_int_equal(back.expires_s, t.expires_s);
	assert_string_equal(url_format(&back.rendezvous, again, sizeof again), url);
}

static void
round_trips(void **state)
{
	(void)state;
	check_round_trip("tls://relay.example.org:7470#" PIN);
	check_round_trip("tls://alice.example.org:7470#" HOST);
	check_round_trip("tls://[2001:db8:1111:2222:3333:4444:5555:6666]:7470#" PIN);
	check_round_trip("tls://192.0.2.1:7470#" HOST);
	check_round_trip("mqtts://broker.example.org:8883");
	check_round_trip("dir:/mnt/shared folder/mpc");
}

static void
refuses(const char *text, const char *why)
{
	struct err err = {""};
	struct ticket t;

	if (ticket_parse(&t, text, &err) == 0)
		fail_msg("%s was taken", text);
	assert_contains(err.text, why);
}

static void
every_cut_is_told(void **state)
{
	char text[TICKET_TEXT_MAX + 1];
	struct ticket t;
	size_t full;

	(void)state;
	make(&t, "tls://relay.example.org:7470#" PIN);
	assert_int_equal(ticket_format(&t, text, NULL), 0);
	full = strlen(text);
	for (size_t len = full - 1; len > 9; len--) {
		text[len] = '\0';
		refuses(text, "was cut");
	}
	for (size_t len = 9; len > 5; len--) {
		text[len] = '\0';
		refuses(text, "");
	}
	text[4] = '\0';
	refuses(text, "begins with mpc1:");
	refuses("", "begins with mpc1:");
}

/* Every character, replaced by another, dropped or doubled. */
static void
every_slip_is_noticed(void **state)
{
	char text[TICKET_TEXT_MAX + 1], wrong[TICKET_TEXT_MAX + 3];
	struct ticket t;
	struct err err;
	size_t full;

	(void)state;
	make(&t, "tls://alice.example.org:7470#" HOST);
	assert_int_equal(ticket_format(&t, text, NULL), 0);
	full = strlen(text);
	for (size_t i = 5; i < full; i++) {
		strcpy(wrong, text);
		wrong[i] = text[i] == 'A' ? 'B' : 'A';
		assert_int_equal(ticket_parse(&t, wrong, &err), -1);
		memcpy(wrong, text, i);
		strcpy(wrong + i, text + i + 1);
		assert_int_equal(ticket_parse(&t, wrong, &err), -1);
		memcpy(wrong, text, i);
		strcpy(wrong + i, text + i - 1);
		assert_int_equal(ticket_parse(&t, wrong, &err), -1);
		if (i + 1 < full && text[i] != text[i + 1]) {
			strcpy(wrong, text);
			wrong[i] = text[i + 1];
			wrong[i + 1] = text[i];
			assert_int_equal(ticket_parse(&t, wrong, &err), -1);
		}
	}
	snprintf(wrong, sizeof wrong, "%s.", text);
	refuses(wrong, "is none that a ticket has");
	snprintf(wrong, sizeof wrong, "%sAB", text);
	refuses(wrong, "appended");
	snprintf(wrong, sizeof wrong, "%s", text);
	wrong[5] = 'Z';
	refuses(wrong, "another version");
	snprintf(wrong, sizeof wrong, "%s", text);
	wrong[30] = wrong[30] == 'x' ? 'y' : 'x';
	refuses(wrong, "mistyped");
}

static void
rendezvous_that_does_not_fit(void **state)
{
	char text[TICKET_TEXT_MAX + 1], url[400];
	struct ticket t;
	struct err err = {""};

	(void)state;
	snprintf(url, sizeof url, "tls://%.60s.%.60s.example:7470#" PIN,
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	make(&t, url);
	assert_int_equal(ticket_format(&t, text, &err), -1);
	assert_contains(err.text, "too long for a ticket");
}

static void
psk_is_of_the_secret(void **state)
{
	uint8_t psk[3][TICKET_PSK_BYTES];
	struct ticket t;

	(void)state;
	make(&t, "tls://alice.example.org:7470#" HOST);
	assert_int_equal(ticket_psk(&t, psk[0]), 0);
	t.expires_s++;
	assert_int_equal(ticket_psk(&t, psk[1]), 0);
	t.secret[15] ^= 1;
	assert_int_equal(ticket_psk(&t, psk[2]), 0);
	assert_memory_equal(psk[0], psk[1], sizeof psk[0]);
	assert_memory_not_equal(psk[0], psk[2], sizeof psk[0]);
}

static void
base64url(void **state)
{
	static const uint8_t bytes[] = {0xfb, 0xff, 0xfe, 0, 0x10};
	uint8_t out[8];
	char text[16];
	size_t bad;

	(void)state;
	for (size_t n = 0; n <= sizeof bytes; n++) {
		base64url_encode(text, bytes, n);
		assert_int_equal(strlen(text), BASE64URL_CHARS(n));
		assert_int_equal(base64url_decode(out, sizeof out, text, strlen(text),
						  &bad),
				 n);
		assert_memory_equal(out, bytes, n);
	}
	assert_string_equal(text, "-__-ABA");
	assert_int_equal(base64url_decode(out, 4, text, 7, &bad), -1); /* no room */
	assert_int_equal(base64url_decode(out, 8, "-__-ABB", 7, &bad), -1);
	assert_int_equal(bad, 7);
	assert_int_equal(base64url_decode(out, 8, "-__+", 4, &bad), -1);
	assert_int_equal(bad, 3);
	assert_int_equal(base64url_decode(out, 8, "-__-A", 5, &bad), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trips),
	    cmocka_unit_test(every_cut_is_told),
	    cmocka_unit_test(every_slip_is_noticed),
	    cmocka_unit_test(rendezvous_that_does_not_fit),
	    cmocka_unit_test(psk_is_of_the_secret),
	    cmocka_unit_test(base64url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
