#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* Long enough for a line with two IPv6 candidate pairs. */
#define LINE_MAX_BYTES 1024

static enum log_level max_level = LOG_LEVEL_INFO;

void
log_set_level(enum log_level level)
{
	max_level = level;
}

enum log_level
log_get_level(void)
{
	return max_level;
}

static void __attribute__((format(printf, 3, 0)))
vlog(enum log_level level, const char *name, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	struct timespec ts;
	struct tm tm;
	size_t n;
	int r;

	if (level > max_level)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
	r = snprintf(line + n, sizeof line - n, ".%03dZ %-5s ",
		     (int)(ts.tv_nsec / 1000000), name);
	n += (size_t)r;
	r = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	if (r < 0)
		return;
	n += (size_t)r;
	if (n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix. If stderr is
	 * gone there is nobody left to tell. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

#define DEFINE_LOG(func, level, name)                                                    \
	void func(const char *fmt, ...)                                                  \
	{                                                                                \
		va_list ap;                                                              \
		va_start(ap, fmt);                                                       \
		vlog(level, name, fmt, ap);                                              \
		va_end(ap);                                                              \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR, "error")
DEFINE_LOG(log_warn, LOG_LEVEL_WARN, "warn")
DEFINE_LOG(log_info, LOG_LEVEL_INFO, "info")
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG, "debug")

int
log_gate_pass(struct log_gate *gate, long long now_ns, unsigned *suppressed)
{
	long long refill = (now_ns - gate->last_ns) / 1000000000LL;

	if (refill > 0) {
		gate->tokens_used = refill >= gate->tokens_used
					? 0
					: gate->tokens_used - (unsigned)refill;
		gate->last_ns = now_ns;
	}
	if (gate->tokens_used >= LOG_GATE_BURST) {
		gate->suppressed++;
		return 0;
	}
	gate->tokens_used++;
	if (suppressed != NULL)
		*suppressed = gate->suppressed;
	gate->suppressed = 0;
	return 1;
}

char *
log_clean(char *out, unsigned long size, const void *text, unsigned long len)
{
	const unsigned char *p = text;
	unsigned long i;

	for (i = 0; i < len && i + 1 < size; i++)
		out[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
	out[i] = '\0';
	return out;
}
