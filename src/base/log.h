#ifndef MPCPROXY_BASE_LOG_H
#define MPCPROXY_BASE_LOG_H

/*
 * One line per event on stderr:
 *
 *   2026-03-04T05:06:07.123Z info  peer=bob path=direct rtt=23ms connected
 *
 * Facts come first as key=value, then what happened in words. `info` is for the
 * user, `debug` for developers. Nothing secret is ever passed to these functions:
 * no key, no ufrag's password, no byte of a stream.
 */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Lines above ${level} are dropped. The
 * default is info. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A gate for lines that somebody else can provoke. Holds up to LOG_GATE_BURST
 * lines at once, and one more every second; what is held back is counted.
 */
#define LOG_GATE_BURST 5
struct log_gate {
	unsigned tokens_used;
	unsigned suppressed;
	long long last_ns;
};

/* Whether a line may pass ${gate} at ${now_ns} (monotonic). When it may, and
 * ${suppressed} is not NULL, the number of lines held back since the last one
 * that passed goes there. A zeroed gate is open. */
int log_gate_pass(struct log_gate *gate, long long now_ns, unsigned *suppressed);

/*
 * Text from outside made fit for a log line or a terminal: bytes outside printable
 * ASCII become '?', and it is cut to fit ${out} of ${size} bytes. Returns ${out}.
 */
char *log_clean(char *out, unsigned long size, const void *text, unsigned long len);

#endif
