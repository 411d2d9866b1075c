#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/err.h"

static void
append(struct err *err, const char *text)
{
	size_t n = strlen(err->text);

	snprintf(err->text + n, sizeof err->text - n, ": %s", text);
}

#define FORMAT(err, fmt)                                                                 \
	do {                                                                             \
		va_list ap;                                                              \
		va_start(ap, fmt);                                                       \
		vsnprintf((err)->text, sizeof(err)->text, fmt, ap);                      \
		va_end(ap);                                                              \
	} while (0)

int
err_set(struct err *err, const char *fmt, ...)
{
	if (err != NULL)
		FORMAT(err, fmt);
	return -1;
}

int
err_sys(struct err *err, const char *fmt, ...)
{
	int saved = errno;

	if (err != NULL) {
		FORMAT(err, fmt);
		append(err, strerror(saved));
	}
	return -1;
}

int
err_ssl(struct err *err, const char *fmt, ...)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);

	ERR_clear_error();
	if (err != NULL) {
		FORMAT(err, fmt);
		if (reason != NULL)
			append(err, reason);
	}
	return -1;
}
