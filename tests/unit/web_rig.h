#ifndef MPCPROXY_TESTS_WEB_RIG_H
#define MPCPROXY_TESTS_WEB_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <openssl/ssl.h>

/* Servers of the web's kind on loopback, in the loop of the test: one that echoes, with
 * or without TLS, and an HTTP proxy. */

/* A CA, and what it says of a server. */
struct web_ca {
	EVP_PKEY *key;
	X509 *cert;
};

struct web_cert {
	EVP_PKEY *key;
	X509 *cert;
};

void web_ca_init(struct web_ca *ca);
void web_ca_clear(struct web_ca *ca);
/* PEM, into a new file; ${path} is a template for mkstemp(). */
void web_ca_write(const struct web_ca *ca, char *path);

/* ${san} as "DNS:localhost" or "IP:127.0.0.1"; valid from ${from_s} to ${to_s} from now.
 * Self-signed when ${ca} is NULL. */
void web_cert_init(struct web_cert *c, const struct web_ca *ca, const char *san,
		   long from_s, long to_s);
void web_cert_clear(struct web_cert *c);
void web_cert_pin(const struct web_cert *c, uint8_t digest[32]);

/* Echoes; with ${stalled} it does not even read. */
struct web_echo;
struct web_echo *web_echo_new(struct event_base *base, const struct web_cert *tls,
			      bool stalled);
uint16_t web_echo_port(const struct web_echo *e);
size_t web_echo_accepted(const struct web_echo *e);
void web_echo_free(struct web_echo *e);

/* An HTTP proxy that answers with ${answer}, or, when that is NULL, connects to port
 * ${target} of loopback whatever it is asked for. ${piece}: bytes of the answer in
 * each write (0: all). */
struct web_relay;
struct web_relay *web_relay_new(struct event_base *base, const char *answer, size_t piece,
				uint16_t target);
uint16_t web_relay_port(const struct web_relay *r);
/* The head of the latest request. */
const char *web_relay_request(const struct web_relay *r);
void web_relay_free(struct web_relay *r);

/* A TCP port of 127.0.0.1 where nobody listens. */
uint16_t web_closed_port(void);

#endif
