#ifndef MPCPROXY_TUNNEL_TURN_H
#define MPCPROXY_TUNNEL_TURN_H

#include <stdint.h>

/* Time-limited TURN credentials as coturn's use-auth-secret takes them: the user name is
 * the time at which they expire, the password an HMAC-SHA1 of it under the secret. */
#define TURN_USER_BYTES     32
#define TURN_PASSWORD_BYTES 32

/* From the clock at ${now_s} (seconds since the epoch), which may be a day behind: they are
 * valid for two. -1 when OpenSSL fails. */
#define TURN_LIFETIME_S (2 * 24 * 60 * 60)
int turn_credentials(const char *secret, int64_t now_s, char user[TURN_USER_BYTES],
		     char password[TURN_PASSWORD_BYTES]);

#endif
