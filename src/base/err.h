#ifndef MPCPROXY_BASE_ERR_H
#define MPCPROXY_BASE_ERR_H

/*
 * Why something failed, in words for the person who can mend it: what happened,
 * where, and what to do. Functions that can fail for a reason a user should read
 * take a struct err and return -1 or NULL after filling it in.
 */
#define ERR_TEXT_BYTES 512

struct err {
	char text[ERR_TEXT_BYTES];
};

/* Write the message and return -1, so that `return err_set(...)` reads well.
 * ${err} may be NULL. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, with ": " and the text of errno at the end. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, with the newest error of OpenSSL's queue at the end; empties it. */
int err_ssl(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
