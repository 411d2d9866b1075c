#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/mqtt_screen.h"

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What passes is the same however the input is cut, and passes again unchanged. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[INPUT_MAX], parts[INPUT_MAX], again[INPUT_MAX];
	struct mqtt_screen s = {0}, t = {0}, u = {0};
	ptrdiff_t n, m = 0;

	if (size == 0 || size > INPUT_MAX - MQTT_HEADER_MAX)
		return 0;
	n = mqtt_screen_pass(&s, data, size, whole);
	for (size_t i = 0, step = data[0] % 7 + 1; i < size && m >= 0; i += step) {
		ptrdiff_t k = mqtt_screen_pass(
		    &t, data + i, size - i < step ? size - i : step, parts + m);

		m = k < 0 ? -1 : m + k;
	}
	if (n != m || (n > 0 && memcmp(whole, parts, (size_t)n) != 0))
		abort();
	if (n < 0)
		return 0;
	if ((size_t)n > size || s.dropped != t.dropped)
		abort();
	if (mqtt_screen_pass(&u, whole, (size_t)n, again) != n || u.dropped != 0 ||
	    memcmp(whole, again, (size_t)n) != 0)
		abort();
	return 0;
}
