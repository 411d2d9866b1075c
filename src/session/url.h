#ifndef MPCPROXY_SESSION_URL_H
#define MPCPROXY_SESSION_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "session/pubkey.h"

#define URL_HOST_MAX 255
#define URL_PATH_MAX 1023
#define URL_USER_MAX 127 /* and as much for a password */
#define URL_TOPIC_MAX 64 /* of MQTT, in front of the parties' own */

#define URL_PIN_BYTES 32

enum url_scheme {
	URL_TLS,   /* tls://HOST:PORT#KEY: a mailbox and its pinned key */
	URL_DIR,   /* dir:PATH */
	URL_MQTT,  /* mqtt://HOST[:1883][/TOPIC] */
	URL_MQTTS, /* mqtts://HOST[:8883][/TOPIC][#sha256/PIN] */
	URL_STUN,  /* HOST[:3478], or stun:HOST[:3478] (RFC 7064) */
	URL_TURN,  /* turn:HOST[:3478][?transport=udp|tcp] (RFC 7065) */
	URL_TURNS, /* turns:HOST[:5349][?transport=tcp][#sha256/PIN] */
};

struct url {
	enum url_scheme scheme;
	char host[URL_HOST_MAX + 1]; /* a name or an address without brackets */
	uint16_t port;
	bool tcp;                    /* turn: transport=tcp */
	struct pubkey key;           /* tls: */
	bool pinned;                 /* turns:, mqtts: to the key with this digest */
	uint8_t pin[URL_PIN_BYTES];  /* SHA-256 of a SubjectPublicKeyInfo */
	/* dir: a folder; mqtt: and mqtts: the beginning of topics, "" for the default */
	char path[URL_PATH_MAX + 1];
	unsigned line;               /* where it stood in its file, 0 when nowhere */
};

/* Which schemes a setting takes. */
enum url_kind { URL_KIND_RENDEZVOUS, URL_KIND_STUN, URL_KIND_TURN };

/* Parse strictly: nothing before, after or between that the grammar above does not
 * name. The message says what was expected. */
int url_parse(struct url *url, enum url_kind kind, const char *text, struct err *err);

/* Whether they lead to the same place in the same way. */
bool url_equal(const struct url *a, const struct url *b);

/* Whether two lists are the same, in the same order. */
bool urls_equal(const struct url *a, size_t n_a, const struct url *b, size_t n_b);

/* As it would be written in session.ini. */
char *url_format(const struct url *url, char *out, unsigned long size);

/* For logs and status: without key and pin. */
char *url_format_public(const struct url *url, char *out, unsigned long size);

/* When ${url} names the mailbox that ${self} serves at ${listen} (AF_UNSPEC: none), let
 * it name that address instead: from inside, the one that others use may lead nowhere. */
void url_of_own_mailbox(struct url *url, const struct pubkey *self,
			const union addr *listen);

/* Split "HOST:PORT" or "[IPV6]:PORT"; ${default_port} 0 means that the port must be
 * given. */
int host_port_parse(char host[URL_HOST_MAX + 1], uint16_t *port, const char *text,
		    uint16_t default_port, struct err *err);

#endif
