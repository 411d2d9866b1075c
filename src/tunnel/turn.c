#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tunnel/turn.h"

int
turn_credentials(const char *secret, int64_t now_s, char user[TURN_USER_BYTES],
		 char password[TURN_PASSWORD_BYTES])
{
	uint8_t mac[20];
	unsigned len = sizeof mac;

	snprintf(user, TURN_USER_BYTES, "%" PRId64 ":mpcproxy", now_s + TURN_LIFETIME_S);
	if (HMAC(EVP_sha1(), secret, (int)strlen(secret), (const uint8_t *)user,
		 strlen(user), mac, &len) == NULL)
		return -1;
	EVP_EncodeBlock((uint8_t *)password, mac, (int)len);
	return 0;
}
