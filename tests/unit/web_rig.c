#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/addr.h"
#include "check.h"
#include "web_rig.h"

#define DAY_S       86400
#define REQUEST_MAX 4096

static X509 *
new_cert(EVP_PKEY *key, const char *name, long from_s, long to_s)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	return cert;
}

static void
add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

void
web_ca_init(struct web_ca *ca)
{
	ca->key = EVP_EC_gen("P-256");
	ca->cert = new_cert(ca->key, "Test CA", -DAY_S, DAY_S);
	X509_set_issuer_name(ca->cert, X509_get_subject_name(ca->cert));
	add_extension(ca->cert, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(ca->cert, ca->key, EVP_sha256()) > 0);
}

void
web_ca_clear(struct web_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

void
web_ca_write(const struct web_ca *ca, char *path)
{
	FILE *f = fdopen(mkstemp(path), "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, ca->cert), 1);
	assert_int_equal(fclose(f), 0);
}

void
web_cert_init(struct web_cert *c, const struct web_ca *ca, const char *san, long from_s,
	      long to_s)
{
	c->key = EVP_EC_gen("P-256");
	c->cert = new_cert(c->key, "server", from_s, to_s);
	X509_set_issuer_name(c->cert,
			     X509_get_subject_name(ca != NULL ? ca->cert : c->cert));
	add_extension(c->cert, NID_subject_alt_name, san);
	assert_true(X509_sign(c->cert, ca != NULL ? ca->key : c->key, EVP_sha256()) > 0);
}

void
web_cert_clear(struct web_cert *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
}

void
web_cert_pin(const struct web_cert *c, uint8_t digest[32])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(c->key, &der);

	assert_true(n > 0);
	assert_int_equal(EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL), 1);
	OPENSSL_free(der);
}

static struct evconnlistener *
listen_on_loopback(struct event_base *base, evconnlistener_cb cb, void *arg)
{
	struct evconnlistener *l;
	union addr a;

	addr_parse(&a, "127.0.0.1", 0);
	l = evconnlistener_new_bind(base, cb, arg, LEV_OPT_CLOSE_ON_FREE, 16, &a.sa,
				    (int)addr_len(&a));
	assert_non_null(l);
	return l;
}

static uint16_t
port_of(int fd)
{
	union addr a;
	socklen_t len = sizeof a;

	assert_int_equal(getsockname(fd, &a.sa, &len), 0);
	return addr_port(&a);
}

uint16_t
web_closed_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	union addr a;
	uint16_t port;

	addr_parse(&a, "127.0.0.1", 0);
	assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
	port = port_of(fd);
	close(fd);
	return port;
}

/* --- echo --- */

struct echo_conn {
	LIST_ENTRY(echo_conn) entry;
	struct bufferevent *bev;
};

struct web_echo {
	struct event_base *base;
	struct evconnlistener *listener;
	SSL_CTX *tls;
	bool stalled;
	size_t accepted;
	LIST_HEAD(, echo_conn) conns;
};

static void
echo_free_conn(struct echo_conn *c)
{
	LIST_REMOVE(c, entry);
	bufferevent_free(c->bev);
	free(c);
}

static void
echo_on_data(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void
echo_on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		echo_free_conn(arg);
}

static void
echo_on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from,
	       int len, void *arg)
{
	struct web_echo *e = arg;
	struct echo_conn *c = calloc(1, sizeof *c);

	(void)l;
	(void)from;
	(void)len;
	e->accepted++;
	if (e->tls != NULL)
		c->bev = bufferevent_openssl_socket_new(e->base, fd, SSL_new(e->tls),
							BUFFEREVENT_SSL_ACCEPTING,
							BEV_OPT_CLOSE_ON_FREE |
							    BEV_OPT_DEFER_CALLBACKS);
	else
		c->bev = bufferevent_socket_new(e->base, fd,
						BEV_OPT_CLOSE_ON_FREE |
						    BEV_OPT_DEFER_CALLBACKS);
	LIST_INSERT_HEAD(&e->conns, c, entry);
	bufferevent_setcb(c->bev, echo_on_data, NULL, echo_on_event, c);
	if (e->stalled)
		bufferevent_disable(c->bev, EV_READ);
	else
		bufferevent_enable(c->bev, EV_READ);
}

struct web_echo *
web_echo_new(struct event_base *base, const struct web_cert *tls, bool stalled)
{
	struct web_echo *e = calloc(1, sizeof *e);

	e->base = base;
	e->stalled = stalled;
	LIST_INIT(&e->conns);
	if (tls != NULL) {
		e->tls = SSL_CTX_new(TLS_server_method());
		assert_int_equal(SSL_CTX_use_certificate(e->tls, tls->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(e->tls, tls->key), 1);
	}
	e->listener = listen_on_loopback(base, echo_on_accept, e);
	return e;
}

uint16_t
web_echo_port(const struct web_echo *e)
{
	return port_of(evconnlistener_get_fd(e->listener));
}

size_t
web_echo_accepted(const struct web_echo *e)
{
	return e->accepted;
}

void
web_echo_free(struct web_echo *e)
{
	while (!LIST_EMPTY(&e->conns))
		echo_free_conn(LIST_FIRST(&e->conns));
	evconnlistener_free(e->listener);
	SSL_CTX_free(e->tls);
	free(e);
}

/* --- HTTP proxy --- */

struct relay_conn {
	LIST_ENTRY(relay_conn) entry;
	struct web_relay *relay;
	struct bufferevent *client, *server;
	char *answer; /* what is left of it, and where it begins */
	char *rest;
};

struct web_relay {
	struct event_base *base;
	struct evconnlistener *listener;
	char *answer;
	size_t piece;
	uint16_t target;
	char request[REQUEST_MAX];
	LIST_HEAD(, relay_conn) conns;
};

static void
relay_free_conn(struct relay_conn *c)
{
	LIST_REMOVE(c, entry);
	bufferevent_free(c->client);
	if (c->server != NULL)
		bufferevent_free(c->server);
	free(c->answer);
	free(c);
}

static void
relay_on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		relay_free_conn(arg);
}

static void
relay_on_server_data(struct bufferevent *bev, void *arg)
{
	struct relay_conn *c = arg;

	bufferevent_write_buffer(c->client, bufferevent_get_input(bev));
}

/* One piece after the other, each in a segment of its own. */
static void
relay_on_written(struct bufferevent *bev, void *arg)
{
	struct relay_conn *c = arg;
	size_t left = c->rest != NULL ? strlen(c->rest) : 0;
	size_t n = c->relay->piece > 0 && c->relay->piece < left ? c->relay->piece : left;

	if (left == 0)
		return;
	bufferevent_write(bev, c->rest, n);
	c->rest += n;
}

static void
relay_answer(struct relay_conn *c, const char *answer)
{
	c->answer = c->rest = strdup(answer);
	relay_on_written(c->client, c);
}

static void
relay_connect(struct relay_conn *c)
{
	union addr a;

	addr_parse(&a, "127.0.0.1", c->relay->target);
	c->server =
	    bufferevent_socket_new(c->relay->base, -1,
				   BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	bufferevent_setcb(c->server, relay_on_server_data, NULL, relay_on_event, c);
	bufferevent_enable(c->server, EV_READ);
	assert_int_equal(bufferevent_socket_connect(c->server, &a.sa, (int)addr_len(&a)),
			 0);
	relay_answer(c, "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n");
}

static void
relay_on_client_data(struct bufferevent *bev, void *arg)
{
	struct relay_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	ev_ssize_t n;

	if (c->server != NULL) {
		bufferevent_write_buffer(c->server, in);
		return;
	}
	if (end.pos < 0 || c->answer != NULL)
		return;
	n = evbuffer_remove(in, c->relay->request, (size_t)end.pos + 4);
	c->relay->request[n] = '\0';
	if (c->relay->answer != NULL)
		relay_answer(c, c->relay->answer);
	else
		relay_connect(c);
}

static void
relay_on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from,
		int len, void *arg)
{
	struct web_relay *r = arg;
	struct relay_conn *c = calloc(1, sizeof *c);

	(void)l;
	(void)from;
	(void)len;
	c->relay = r;
	c->client =
	    bufferevent_socket_new(r->base, fd,
				   BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	LIST_INSERT_HEAD(&r->conns, c, entry);
	bufferevent_setcb(c->client, relay_on_client_data, relay_on_written,
			  relay_on_event, c);
	bufferevent_enable(c->client, EV_READ);
	/* Answers nothing, in this way: closes at once. */
	if (r->answer != NULL && r->answer[0] == '\0')
		relay_free_conn(c);
}

struct web_relay *
web_relay_new(struct event_base *base, const char *answer, size_t piece, uint16_t target)
{
	struct web_relay *r = calloc(1, sizeof *r);

	r->base = base;
	r->answer = answer != NULL ? strdup(answer) : NULL;
	r->piece = piece;
	r->target = target;
	LIST_INIT(&r->conns);
	r->listener = listen_on_loopback(base, relay_on_accept, r);
	return r;
}

uint16_t
web_relay_port(const struct web_relay *r)
{
	return port_of(evconnlistener_get_fd(r->listener));
}

const char *
web_relay_request(const struct web_relay *r)
{
	return r->request;
}

void
web_relay_free(struct web_relay *r)
{
	while (!LIST_EMPTY(&r->conns))
		relay_free_conn(LIST_FIRST(&r->conns));
	evconnlistener_free(r->listener);
	free(r->answer);
	free(r);
}
