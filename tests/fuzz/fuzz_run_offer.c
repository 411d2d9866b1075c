/* What a party is about to run: what parses means the same when written back, holds
 * nothing that a terminal could trip over, and agrees with itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/run_message.h"
#include "tunnel/run_offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text, size_t max)
{
	if (strlen(text) > max)
		abort();
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			abort();
}

static void
check_offer(const uint8_t *data, size_t size)
{
	static struct run_offer o, again;
	static uint8_t out[RUN_OFFER_MAX];
	size_t len;

	if (run_offer_parse(&o, data, size) != RUN_OFFER_OK)
		return;
	check_text(o.program, RUN_TEXT_MAX);
	check_text(o.python, RUN_TEXT_MAX);
	check_text(o.mpyc, RUN_TEXT_MAX);
	for (size_t i = 0; i < o.n_words; i++)
		check_text(o.word[i].text, RUN_WORD_MAX);
	len = run_offer_encode(&o, out);
	if (run_offer_parse(&again, out, len) != RUN_OFFER_OK ||
	    memcmp(&o, &again, sizeof o) != 0 || !run_words_agree(&o, &again))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[RUN_MESSAGE_MAX];
	struct run_message m;
	int used = run_message_parse(&m, data, size);

	if (used > 0) {
		if ((size_t)used > size || run_message_encode(&m, out) != (size_t)used ||
		    memcmp(out, data, (size_t)used) != 0)
			abort();
		if (m.type == RUN_MESSAGE_OFFER)
			check_offer(m.value, m.len);
	}
	check_offer(data, size);
	return 0;
}
