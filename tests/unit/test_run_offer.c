#include <stdio.h>

#include "check.h"
#include "tunnel/run_message.h"
#include "tunnel/run_offer.h"

static void
add(struct run_offer *o, const char *text, bool shown)
{
	run_word_set(&o->word[o->n_words++], text, shown);
}

static struct run_offer
sample(void)
{
	struct run_offer o = {.program = "secure_sum.py", .python = "3.11.2"};

	memset(o.nonce, 7, sizeof o.nonce);
	memset(o.digest, 9, sizeof o.digest);
	add(&o, "--repeat", true);
	add(&o, "100", true);
	return o;
}

static void
test_there_and_back(void **state)
{
	struct run_offer o = sample(), back;
	uint8_t out[RUN_OFFER_MAX];
	size_t len;

	(void)state;
	add(&o, "52", false);
	o.open_end = true;
	len = run_offer_encode(&o, out);
	assert_int_equal(run_offer_parse(&back, out, len), RUN_OFFER_OK);
	assert_memory_equal(&o, &back, sizeof o);
	for (size_t n = 0; n < len; n++) {
		/* Cut between two fields behind the obligatory ones it is another offer.
		 */
		if (run_offer_parse(&back, out, n) == RUN_OFFER_OK)
			assert_true(back.n_words < o.n_words || !back.open_end ||
				    back.python[0] == '\0');
	}
	out[0]++;
	assert_int_equal(run_offer_parse(&back, out, len), RUN_OFFER_OTHER_VERSION);
}

static void
test_the_longest_fits(void **state)
{
	static struct run_offer o, back;
	uint8_t out[RUN_OFFER_MAX];
	char word[RUN_WORD_MAX + 1];

	(void)state;
	memset(word, 'x', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	memset(o.program, 'p', RUN_TEXT_MAX);
	memset(o.python, '3', RUN_TEXT_MAX);
	memset(o.mpyc, '0', RUN_TEXT_MAX);
	while (o.n_words < RUN_WORDS_MAX)
		add(&o, word, true);
	assert_int_equal(run_offer_parse(&back, out, run_offer_encode(&o, out)),
			 RUN_OFFER_OK);
	assert_memory_equal(&o, &back, sizeof o);
}

static void
test_what_is_refused(void **state)
{
	struct run_offer o = sample(), back;
	uint8_t out[RUN_OFFER_MAX];
	size_t len = run_offer_encode(&o, out);
	const uint8_t twice[] = {4, 0, 1, '3'};
	const uint8_t control[] = {5, 0, 1, '\033'};
	const uint8_t hidden[] = {6, 0, 3, RUN_WORD_HIDDEN, '5', '2'};
	const uint8_t value[] = {6, 0, 4, RUN_WORD_OPTION, '-', 'T', '1'};
	const uint8_t unknown[] = {200, 0, 1, 'x'};

	(void)state;
#define WITH(field)                                                                      \
	(memcpy(out + len, field, sizeof field),                                         \
	 run_offer_parse(&back, out, len + sizeof field))
	assert_int_equal(WITH(twice), RUN_OFFER_MALFORMED);
	assert_int_equal(WITH(control), RUN_OFFER_MALFORMED);
	/* A hidden word that is there all the same; a name with a value in it. */
	assert_int_equal(WITH(hidden), RUN_OFFER_MALFORMED);
	assert_int_equal(WITH(value), RUN_OFFER_MALFORMED);
	assert_int_equal(WITH(unknown), RUN_OFFER_OK);
#undef WITH
	assert_int_equal(run_offer_parse(&back, out, 0), RUN_OFFER_MALFORMED);
	assert_int_equal(run_offer_parse(&back, out, 1), RUN_OFFER_MALFORMED);
}

static const struct run_word *
hidden(const char *text)
{
	static struct run_word w;

	run_word_set(&w, text, false);
	return &w;
}

static void
test_what_others_learn(void **state)
{
	static const struct {
		const char *text, *told;
	} options[] = {{"--repeat", "--repeat"},
		       {"--salary=52", "--salary="},
		       {"-T", "-T"},
		       {"-T52", "-T"},
		       {"--bit-length=8", "--bit-length="}};
	static const char *const values[] = {"52",
					     "-52",
					     "",
					     "-",
					     "--",
					     "x=1",
					     "--5",
					     "--salary is 52",
					     "--s\xc3\xa4lary"};
	char lengthy[400];

	(void)state;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		assert_int_equal(hidden(options[i].text)->kind, RUN_WORD_OPTION);
		assert_string_equal(hidden(options[i].text)->text, options[i].told);
	}
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		assert_int_equal(hidden(values[i])->kind, RUN_WORD_HIDDEN);
		assert_string_equal(hidden(values[i])->text, "");
	}
	memset(lengthy, 'n', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	memcpy(lengthy, "--", 2);
	assert_int_equal(hidden(lengthy)->kind, RUN_WORD_HIDDEN);
}

static void
test_agreement(void **state)
{
	struct run_word a, b;
	struct run_offer x = sample(), y = sample();
	char lengthy[400];

	(void)state;
#define AGREE(s, ss, t, ts)                                                              \
	(run_word_set(&a, s, ss), run_word_set(&b, t, ts),                               \
	 run_word_agrees(&a, &b) && run_word_agrees(&b, &a))
	assert_true(AGREE("8", true, "8", true));
	assert_false(AGREE("8", true, "9", true));
	assert_true(AGREE("8", true, "9", false));
	assert_true(AGREE("8", false, "9", false));
	assert_false(AGREE("-x", true, "9", false));
	assert_true(AGREE("--n=8", true, "--n=9", false));
	assert_false(AGREE("--n=8", false, "--m=8", false));
	/* What cannot be shown as it is still differs when it differs. */
	assert_true(AGREE("\xc3\xa4", true, "\xc3\xa4", true));
	assert_false(AGREE("\xc3\xa4", true, "\xc3\xb6", true));
	memset(lengthy, 'n', sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	run_word_set(&a, lengthy, true);
	lengthy[sizeof lengthy - 2] = 'm';
	run_word_set(&b, lengthy, true);
	assert_false(run_word_agrees(&a, &b));
#undef AGREE

	assert_true(run_words_agree(&x, &y));
	add(&y, "52", true);
	assert_false(run_words_agree(&x, &y));
	assert_false(run_words_agree(&y, &x));
	x.open_end = true;
	assert_true(run_words_agree(&x, &y));
	assert_true(run_words_agree(&y, &x));
	x.n_words = 1;
	assert_true(run_words_agree(&x, &y));
	run_word_set(&x.word[0], "--other", true);
	assert_false(run_words_agree(&x, &y));
}

static void
test_messages(void **state)
{
	const uint8_t digest[RUN_DIGEST_BYTES] = {1, 2, 3};
	struct run_message m = {.type = RUN_MESSAGE_READY,
				.value = digest,
				.len = sizeof digest};
	const struct run_message end = {.type = RUN_MESSAGE_END,
					.how = RUN_END_GIVEN_UP,
					.code = 130};
	uint8_t out[RUN_MESSAGE_MAX];
	size_t len = run_message_encode(&m, out);
	static const uint8_t bad[][3] = {{0, 0, 1},    {4, 0, 1},  {1, 0, 0},
					 {1, 0x20, 1}, {2, 0, 31}, {3, 0, 3}};

	(void)state;
	for (size_t n = 0; n < len; n++)
		assert_int_equal(run_message_parse(&m, out, n), 0);
	assert_int_equal(run_message_parse(&m, out, len), len);
	assert_int_equal(m.type, RUN_MESSAGE_READY);
	assert_memory_equal(m.value, digest, sizeof digest);
	len = run_message_encode(&end, out);
	assert_int_equal(run_message_parse(&m, out, len), len);
	assert_int_equal(m.how, RUN_END_GIVEN_UP);
	assert_int_equal(m.code, 130);
	out[RUN_MESSAGE_HEAD_BYTES] = RUN_END_GONE + 1;
	assert_int_equal(run_message_parse(&m, out, len), -1);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(run_message_parse(&m, bad[i], sizeof bad[i]), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_the_longest_fits),
	    cmocka_unit_test(test_what_is_refused),
	    cmocka_unit_test(test_what_others_learn),
	    cmocka_unit_test(test_agreement),
	    cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
