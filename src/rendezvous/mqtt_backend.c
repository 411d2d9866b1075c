#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "rendezvous/backend.h"
#include "rendezvous/backoff.h"
#include "rendezvous/box_name.h"
#include "rendezvous/mqtt_screen.h"
#include "session/shim.h"
#include "session/web_tls.h"

/*
 * An MQTT broker. Every party has a topic in each session, to which it subscribes and the
 * others publish:
 *
 *   TOPIC/BOX        sealed messages
 *   TOPIC/BOX/here   retained: the party is connected; its last will clears it
 *
 * BOX is a hash (box_name.h), TOPIC what the URL says, "mpcproxy" else. The broker keeps
 * nothing of ours: sessions are clean, and what matters is sent again until its recipient
 * acknowledges it (contact.h). So QoS 0 does for reading, and then a packet that is too
 * long can be left out without an answer (mqtt_screen.h). Publishing takes QoS 1 for what
 * the broker's answer tells: that it lives, and whether it refuses our messages.
 *
 * libmosquitto looks up names and validates certificates in its own way, and the former
 * blocks. So it talks to a shim on loopback, and the shim to the broker (shim.h).
 */
#define DEFAULT_TOPIC "mpcproxy"

/* Connecting, TLS, CONNACK and SUBACK together; the shim has limits of its own. */
#define OPEN_TIMEOUT_NS (30 * NS_PER_S)
/* Nothing sent for so long: PINGREQ; nothing back for as long again: it is dead. */
#define KEEPALIVE_S 15
#define TICK_MS     1000
/* A connection that held this long was a good one: the next wait is the shortest. */
#define STEADY_NS (10 * NS_PER_S)
/* Messages on their way to the broker, at most 8 KiB each. Over that they are dropped, as
 * contact.h allows for. */
#define UNACKNOWLEDGED_MAX 1024
/* Packets taken or sent in one go. */
#define PACKETS_MAX 16
#define CHUNK_BYTES 4096

#define TOPIC_BYTES (URL_TOPIC_MAX + 1 + BOX_NAME_LEN + sizeof "/here")

/* A party whose coming and going somebody wants to know of. */
struct followed {
	struct pubkey key;
	char topic[TOPIC_BYTES];
	bool present;
};

struct mqtt {
	struct rendezvous *r;
	struct event_base *base;
	const struct url *url;
	bool has_login;
	struct mqtt_login login;
	char name[URL_HOST_MAX + 32];   /* for the log */
	uint8_t tag[FRAME_TAG_BYTES];
	char box[TOPIC_BYTES], here[TOPIC_BYTES];
	struct followed *followed;
	size_t n_followed;
	SSL_CTX *tls;
	struct shim *shim;
	struct mqtt_screen screen;

	enum { WAITING, GREETING, SUBSCRIBING, ONLINE } state;
	struct mosquitto *mosq; /* NULL while WAITING */
	struct event *readable, *writable, *timer;
	struct backoff backoff;
	uint64_t deadline_ns; /* until ONLINE */
	uint64_t online_ns;
	uint64_t probe_ns; /* a probe's answer is due; CLOCK_NEVER for none */
	bool v3;      /* MQTT 3.1.1, because this broker does not know 5 */
	bool no_will; /* it takes no retained messages */
	int subscription;
	unsigned unacknowledged;
	struct log_gate refusals;

	/* The library is at work: what its callbacks find out is dealt with when it has
	 * returned. */
	bool busy;
	bool closed;
	bool failed;
	char why[RENDEZVOUS_WHY_BYTES];
};

static void
set_timer(struct mqtt *m, unsigned ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	event_add(m->timer, &tv);
}

static void
set_failed(struct mqtt *m, const char *why)
{
	if (m->failed)
		return;
	m->failed = true;
	snprintf(m->why, sizeof m->why, "%s", why);
}

static int
topic_of(const struct mqtt *m, const struct pubkey *key, const char *suffix,
	 char out[TOPIC_BYTES])
{
	char name[BOX_NAME_LEN + 1];

	if (box_name(name, m->tag, key) != 0)
		return -1;
	snprintf(out, TOPIC_BYTES, "%.*s/%s%s", URL_TOPIC_MAX,
		 m->url->path[0] != '\0' ? m->url->path : DEFAULT_TOPIC, name, suffix);
	return 0;
}

/* --- the connection --- */

static void
hang_up(struct mqtt *m)
{
	if (m->readable != NULL)
		event_free(m->readable);
	if (m->writable != NULL)
		event_free(m->writable);
	m->readable = m->writable = NULL;
	/* Without a DISCONNECT: the broker is to publish the will. */
	if (m->mosq != NULL)
		mosquitto_destroy(m->mosq);
	m->mosq = NULL;
	m->unacknowledged = 0;
	m->failed = false;
}

/* Drop the connection and try again later. The report comes last: ${m} may be gone after
 * it. */
static void
lost(struct mqtt *m, const char *why)
{
	char kept[RENDEZVOUS_WHY_BYTES];

	snprintf(kept, sizeof kept, "%s", why);
	if (m->state == ONLINE && clock_now_ns() - m->online_ns >= STEADY_NS)
		backoff_reset(&m->backoff);
	hang_up(m);
	m->state = WAITING;
	set_timer(m, backoff_next(&m->backoff));
	backend_offline(m->r, kept);
}

/* Why the library returned ${rc}. */
static void
explain(const struct mqtt *m, int rc, char out[RENDEZVOUS_WHY_BYTES])
{
	const char *why = shim_why(m->shim);

	if (m->failed)
		why = m->why;
	else if (why[0] != '\0')
		;
	else if (rc == MOSQ_ERR_KEEPALIVE)
		why = "the broker does not answer any more";
	else if (rc != MOSQ_ERR_CONN_LOST && rc != MOSQ_ERR_NO_CONN &&
		 rc != MOSQ_ERR_ERRNO)
		why = mosquitto_strerror(rc);
	else if (m->state == GREETING)
		why = "it closes the connection without an answer: is it an MQTT broker?";
	else
		why = "the broker has closed the connection";
	snprintf(out, RENDEZVOUS_WHY_BYTES, "%s", why);
}

static void
watch_writable(struct mqtt *m)
{
	if (mosquitto_want_write(m->mosq))
		event_add(m->writable, NULL);
}

static void destroy(struct mqtt *m);

/* The library has returned ${rc} from something that may have called us back. ${m} may
 * be gone after this. */
static void
leave(struct mqtt *m, int rc)
{
	char why[RENDEZVOUS_WHY_BYTES];

	m->busy = false;
	if (m->closed) {
		destroy(m);
	} else if (rc != MOSQ_ERR_SUCCESS || m->failed) {
		/* Some brokers that do not know MQTT 5 say nothing to it. */
		if (m->state == GREETING && rc == MOSQ_ERR_CONN_LOST && !m->failed &&
		    shim_why(m->shim)[0] == '\0')
			m->v3 = !m->v3;
		explain(m, rc, why);
		lost(m, why);
	} else {
		watch_writable(m);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct mqtt *m = arg;

	(void)fd;
	(void)what;
	m->probe_ns = CLOCK_NEVER;
	m->busy = true;
	leave(m, mosquitto_loop_read(m->mosq, PACKETS_MAX));
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct mqtt *m = arg;

	(void)fd;
	(void)what;
	m->busy = true;
	leave(m, mosquitto_loop_write(m->mosq, PACKETS_MAX));
}

/* --- what the library says --- */

static void
on_log(struct mosquitto *mosq, void *arg, int level, const char *text)
{
	const struct mqtt *m = arg;
	char clean[256];

	(void)mosq;
	(void)level;
	log_debug("rendezvous=%s %s", m->name,
		  log_clean(clean, sizeof clean, text, strlen(text)));
}

static void
refused(struct mqtt *m, int rc)
{
	char why[RENDEZVOUS_WHY_BYTES];
	const char *reason =
	    m->v3 ? mosquitto_connack_string(rc) : mosquitto_reason_string(rc);

	switch (rc) {
	case CONNACK_REFUSED_PROTOCOL_VERSION:
	case MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION:
		m->v3 = !m->v3;
		break;
	case MQTT_RC_RETAIN_NOT_SUPPORTED:
		m->no_will = true;
		break;
	case CONNACK_REFUSED_BAD_USERNAME_PASSWORD:
	case CONNACK_REFUSED_NOT_AUTHORIZED:
	case MQTT_RC_BAD_USERNAME_OR_PASSWORD:
	case MQTT_RC_NOT_AUTHORIZED:
		if (m->has_login)
			reason = "it does not accept the user or the password that "
				 "mqtt-login in local.ini gives";
		else
			reason = "it wants a user and a password: give them for this "
				 "broker with mqtt-login in local.ini";
		break;
	}
	snprintf(why, sizeof why, "the broker refuses: %s", reason);
	set_failed(m, why);
}

/* All at once: a subscription each would be a packet each. */
static void
subscribe_followed(struct mqtt *m)
{
	char **topics = calloc(m->n_followed + 1, sizeof *topics);

	for (size_t i = 0; topics != NULL && i < m->n_followed; i++)
		topics[i] = m->followed[i].topic;
	if (topics != NULL && m->n_followed > 0)
		mosquitto_subscribe_multiple(m->mosq, NULL, (int)m->n_followed, topics, 0,
					     0, NULL);
	free(topics);
}

static void
on_connect(struct mosquitto *mosq, void *arg, int rc)
{
	struct mqtt *m = arg;

	if (rc != 0) {
		refused(m, rc);
		return;
	}
	m->state = SUBSCRIBING;
	if (mosquitto_subscribe(mosq, &m->subscription, m->box, 0) != MOSQ_ERR_SUCCESS)
		set_failed(m, "out of memory");
}

static void
on_subscribe(struct mosquitto *mosq, void *arg, int id, int n, const int *granted)
{
	struct mqtt *m = arg;

	if (m->state != SUBSCRIBING || id != m->subscription)
		return;
	if (n < 1 || granted[0] >= 0x80) {
		char why[RENDEZVOUS_WHY_BYTES];

		snprintf(why, sizeof why,
			 "the broker does not let us subscribe to %.64s: its access list "
			 "must allow that",
			 m->box);
		set_failed(m, why);
		return;
	}
	m->state = ONLINE;
	m->online_ns = clock_now_ns();
	if (!m->no_will &&
	    mosquitto_publish(mosq, NULL, m->here, 1, "1", 1, true) == MOSQ_ERR_SUCCESS)
		m->unacknowledged++;
	subscribe_followed(m);
	backend_says_how(m->r, m->v3 ? "MQTT 3.1.1" : "MQTT 5");
	backend_online(m->r);
}

/* PUBACK; MQTT 3.1.1 gives no reason. */
static void
on_publish(struct mosquitto *mosq, void *arg, int id, int reason,
	   const mosquitto_property *properties)
{
	struct mqtt *m = arg;
	char text[RENDEZVOUS_WHY_BYTES];

	(void)mosq;
	(void)id;
	(void)properties;
	if (m->unacknowledged > 0)
		m->unacknowledged--;
	if (reason < 0x80)
		return;
	snprintf(text, sizeof text,
		 "the broker does not take our messages: %s (see its access list)",
		 mosquitto_reason_string(reason));
	backend_trouble(m->r, text);
	if (log_gate_pass(&m->refusals, (long long)clock_now_ns(), NULL))
		log_warn("rendezvous=%s %s", m->name, text);
}

static void
on_presence(struct mqtt *m, struct followed *f, bool present)
{
	if (f->present == present)
		return;
	f->present = present;
	backend_presence(m->r, &f->key, present);
}

static void
on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *msg)
{
	struct mqtt *m = arg;

	(void)mosq;
	if (m->closed || m->failed || m->state != ONLINE)
		return;
	if (strcmp(msg->topic, m->box) == 0) {
		if (msg->payloadlen > 0 && msg->payloadlen <= RENDEZVOUS_MESSAGE_MAX)
			backend_message(m->r, msg->payload, (size_t)msg->payloadlen);
		return;
	}
	for (size_t i = 0; i < m->n_followed; i++) {
		if (strcmp(msg->topic, m->followed[i].topic) == 0) {
			on_presence(m, &m->followed[i], msg->payloadlen > 0);
			return;
		}
	}
}

/* --- what the broker sends, before the library sees it --- */

static int
screen(void *arg, struct evbuffer *from, struct evbuffer *to, struct err *err)
{
	uint8_t in[CHUNK_BYTES], out[CHUNK_BYTES + MQTT_HEADER_MAX];
	struct mqtt *m = arg;
	int len;

	while ((len = evbuffer_remove(from, in, sizeof in)) > 0) {
		uint64_t dropped = m->screen.dropped;
		ptrdiff_t n = mqtt_screen_pass(&m->screen, in, (size_t)len, out);

		if (n < 0)
			return err_set(err, m->state == GREETING
						? "it answers something that is not MQTT"
						: "the broker breaks the protocol");
		if (m->screen.dropped != dropped)
			backend_trouble(m->r, "somebody publishes messages to us that "
					      "are too long; they are left out");
		evbuffer_add(to, out, (size_t)n);
	}
	return 0;
}

/* --- connecting --- */

/* Random, and new each time: whoever knew it could have the broker take another
 * connection for ours. 1 to 23 letters and digits is what every broker takes. */
static int
client_id(char out[24])
{
	uint8_t random[7];

	if (RAND_bytes(random, sizeof random) != 1)
		return -1;
	snprintf(out, 24, "mpcproxy%02x%02x%02x%02x%02x%02x%02x", random[0], random[1],
		 random[2], random[3], random[4], random[5], random[6]);
	return 0;
}

static int
configure(struct mqtt *m)
{
	struct mosquitto *mosq = m->mosq;

	mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION,
			     m->v3 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
	mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
	if (m->has_login &&
	    mosquitto_username_pw_set(mosq, m->login.user, m->login.password) !=
		MOSQ_ERR_SUCCESS)
		return -1;
	if (!m->no_will &&
	    mosquitto_will_set(mosq, m->here, 0, NULL, 1, true) != MOSQ_ERR_SUCCESS)
		return -1;
	mosquitto_log_callback_set(mosq, on_log);
	mosquitto_connect_callback_set(mosq, on_connect);
	mosquitto_subscribe_callback_set(mosq, on_subscribe);
	mosquitto_publish_v5_callback_set(mosq, on_publish);
	mosquitto_message_callback_set(mosq, on_message);
	return 0;
}

/* To the shim, which accepts at once, and with an address, so that nothing blocks. */
static int
greet(struct mqtt *m)
{
	char id[24];
	int fd, rc;

	if (client_id(id) != 0)
		return MOSQ_ERR_UNKNOWN;
	m->mosq = mosquitto_new(id, true, m);
	if (m->mosq == NULL || configure(m) != 0)
		return MOSQ_ERR_NOMEM;
	mqtt_screen_begin(&m->screen);
	rc = mosquitto_connect_async(m->mosq, "127.0.0.1", addr_port(shim_addr(m->shim)),
				     KEEPALIVE_S);
	if (rc != MOSQ_ERR_SUCCESS)
		return rc;
	fd = mosquitto_socket(m->mosq);
	m->readable = event_new(m->base, fd, EV_READ | EV_PERSIST, on_readable, m);
	m->writable = event_new(m->base, fd, EV_WRITE, on_writable, m);
	if (m->readable == NULL || m->writable == NULL ||
	    event_add(m->readable, NULL) != 0)
		return MOSQ_ERR_NOMEM;
	return MOSQ_ERR_SUCCESS;
}

static void
begin(struct mqtt *m)
{
	int rc;

	m->state = GREETING;
	m->probe_ns = CLOCK_NEVER;
	m->deadline_ns = clock_now_ns() + OPEN_TIMEOUT_NS;
	for (size_t i = 0; i < m->n_followed; i++)
		m->followed[i].present = false;
	m->busy = true;
	rc = greet(m);
	if (rc == MOSQ_ERR_SUCCESS) {
		event_add(m->writable, NULL);
		set_timer(m, TICK_MS);
	}
	leave(m, rc);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mqtt *m = arg;

	(void)fd;
	(void)what;
	if (m->state == WAITING) {
		begin(m);
		return;
	}
	if (m->state != ONLINE && clock_now_ns() >= m->deadline_ns) {
		lost(m, "it accepts connections but does not answer: is it an MQTT "
			"broker?");
		return;
	}
	if (clock_now_ns() >= m->probe_ns) {
		leave(m, MOSQ_ERR_KEEPALIVE);
		return;
	}
	set_timer(m, TICK_MS);
	m->busy = true;
	leave(m, mosquitto_loop_misc(m->mosq));
}

/* --- what the owner asks --- */

static int
mqtt_send(void *impl, const struct pubkey *to, const uint8_t *msg, size_t len)
{
	struct mqtt *m = impl;
	char topic[TOPIC_BYTES];
	int rc;

	if (m->state != ONLINE || m->failed || m->unacknowledged >= UNACKNOWLEDGED_MAX ||
	    topic_of(m, to, "", topic) != 0)
		return -1;
	rc = mosquitto_publish(m->mosq, NULL, topic, (int)len, msg, 1, false);
	if (rc == MOSQ_ERR_SUCCESS) {
		m->unacknowledged++;
		if (!m->busy)
			watch_writable(m);
		return 0;
	}
	if (rc == MOSQ_ERR_OVERSIZE_PACKET) {
		backend_trouble(m->r, "the broker takes no messages as long as ours");
	} else {
		set_failed(m, mosquitto_strerror(rc));
		set_timer(m, 0); /* no reports from within a call */
	}
	return -1;
}

static int
mqtt_follow(void *impl, const struct pubkey *key)
{
	struct mqtt *m = impl;
	struct followed *f =
	    realloc(m->followed, (m->n_followed + 1) * sizeof *m->followed);

	if (f == NULL)
		return -1;
	m->followed = f;
	f += m->n_followed;
	*f = (struct followed){.key = *key};
	if (topic_of(m, key, "/here", f->topic) != 0)
		return -1;
	m->n_followed++;
	if (m->state == ONLINE)
		mosquitto_subscribe(m->mosq, NULL, f->topic, 0);
	return 0;
}

/* A connection from an address that is gone would be found dead half a minute later. */
static void
mqtt_network_changed(void *impl)
{
	struct mqtt *m = impl;

	backoff_reset(&m->backoff);
	if (m->state == WAITING)
		set_timer(m, 0);
	else
		lost(m, "the network has changed");
}

/* The broker answers a subscription, also one that it has: the library sends PINGREQ only
 * when it wants to. */
static void
mqtt_probe(void *impl)
{
	struct mqtt *m = impl;

	if (m->state != ONLINE || m->failed || m->probe_ns != CLOCK_NEVER ||
	    mosquitto_subscribe(m->mosq, NULL, m->box, 0) != MOSQ_ERR_SUCCESS)
		return;
	m->probe_ns = clock_now_ns() + RENDEZVOUS_PROBE_MS * NS_PER_MS;
	if (!m->busy)
		watch_writable(m);
}

static void
destroy(struct mqtt *m)
{
	hang_up(m);
	shim_free(m->shim);
	SSL_CTX_free(m->tls);
	if (m->timer != NULL)
		event_free(m->timer);
	free(m->followed);
	OPENSSL_cleanse(&m->login, sizeof m->login);
	free(m);
	mosquitto_lib_cleanup();
}

static void
mqtt_close(void *impl)
{
	struct mqtt *m = impl;

	m->closed = true;
	if (!m->busy)
		destroy(m);
}

static int
make_shim(struct mqtt *m, const struct local *local, struct err *err)
{
	const struct http_proxy *proxy = NULL;

	if (m->url->scheme == URL_MQTTS) {
		m->tls = web_tls_context(local != NULL ? local->mqtt_ca : NULL, "mqtt-ca",
					 err);
		if (m->tls == NULL)
			return -1;
	}
	if (local != NULL)
		proxy = web_proxy_for(local->proxy, m->url->host);
	m->shim = shim_new(m->base, AF_INET, m->url, proxy, m->tls, err);
	if (m->shim == NULL)
		return -1;
	shim_screen(m->shim, screen, m);
	return 0;
}

static void *
mqtt_open(struct rendezvous *r, struct event_base *base, const struct url *url,
	  const struct local *local, const char *session_name,
	  const struct identity *self, struct err *err)
{
	struct mqtt *m = calloc(1, sizeof *m);
	const struct mqtt_login *login;

	if (m == NULL || mosquitto_lib_init() != MOSQ_ERR_SUCCESS) {
		err_set(err, "cannot open the rendezvous: out of memory");
		free(m);
		return NULL;
	}
	m->r = r;
	m->base = base;
	m->url = url;
	login = local != NULL ? local_login(local, url) : NULL;
	m->has_login = login != NULL;
	if (login != NULL)
		m->login = *login;
	m->state = WAITING;
	backoff_reset(&m->backoff);
	url_format_public(url, m->name, sizeof m->name);
	m->timer = evtimer_new(base, on_timer, m);
	if (m->timer == NULL || frame_session_tag(m->tag, session_name) != 0 ||
	    topic_of(m, identity_pubkey(self), "", m->box) != 0 ||
	    topic_of(m, identity_pubkey(self), "/here", m->here) != 0) {
		err_set(err, "cannot open the rendezvous: out of memory");
		goto fail;
	}
	if (make_shim(m, local, err) != 0)
		goto fail;
	set_timer(m, 0);
	return m;

fail:
	destroy(m);
	return NULL;
}

const struct backend mqtt_backend = {
    .open = mqtt_open,
    .close = mqtt_close,
    .network_changed = mqtt_network_changed,
    .probe = mqtt_probe,
    .send = mqtt_send,
    .follow = mqtt_follow,
};
