#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stun/stunagent.h>
#include <stun/usages/turn.h>

#include "base/clock.h"
#include "base/connector.h"
#include "base/resolve.h"
#include "path/turn_check.h"

/* Both directions; servers' realms and nonces take a few hundred bytes. */
#define MESSAGE_MAX 1500
#define STUN_HEADER 20

/* Over UDP a request is sent again after this long. */
#define RESEND_MS 500

/* 401 for the request without credentials, 438 for a nonce that has run out. */
#define ROUNDS_MAX 4

struct turn_check {
	struct event_base *base;
	const struct url *server;
	const struct shim *shim;
	const char *user, *password;
	turn_check_done *done;
	void *arg;
	struct resolve *resolve;
	struct connector *connector;
	int fd;
	struct event *readable, *resend, *timeout;
	StunAgent agent;
	StunMessage request, challenge;
	uint8_t out[MESSAGE_MAX], in[MESSAGE_MAX], kept[MESSAGE_MAX];
	size_t out_len, in_len;
	unsigned rounds;
	uint64_t sent_ns, rtt_ns;
	bool credentials; /* are in the request */
	bool over;
};

static void
finish(struct turn_check *c, const char *why)
{
	if (c->over)
		return;
	c->over = true;
	if (c->readable != NULL)
		event_del(c->readable);
	event_del(c->resend);
	event_del(c->timeout);
	c->done(c->arg, c->rtt_ns, why);
}

static void
broke(struct turn_check *c, const char *why)
{
	/* The shim knows better why its connection ended. */
	if (c->shim != NULL && shim_why(c->shim)[0] != '\0')
		why = shim_why(c->shim);
	finish(c, why);
}

static void
transmit(struct turn_check *c)
{
	const struct timeval again = {0, RESEND_MS * 1000};

	if (send(c->fd, c->out, c->out_len, MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
		broke(c, errno == ECONNREFUSED ? "refused" : strerror(errno));
		return;
	}
	c->sent_ns = clock_now_ns();
	if (!c->server->tcp)
		event_add(c->resend, &again);
}

/* ${challenge}: the server's answer to the request without credentials, or NULL. */
static void
ask(struct turn_check *c, StunMessage *challenge)
{
	c->credentials = challenge != NULL;
	c->out_len =
	    stun_usage_turn_create(&c->agent, &c->request, c->out, sizeof c->out,
				   challenge, STUN_USAGE_TURN_REQUEST_PORT_NORMAL, -1, -1,
				   (uint8_t *)(uintptr_t)c->user, strlen(c->user),
				   (uint8_t *)(uintptr_t)c->password, strlen(c->password),
				   STUN_USAGE_TURN_COMPATIBILITY_RFC5766);
	if (c->out_len == 0 || ++c->rounds > ROUNDS_MAX)
		finish(c, "the server's answers lead nowhere");
	else
		transmit(c);
}

/* Best effort: what is not given back expires. */
static void
give_back(struct turn_check *c)
{
	c->out_len =
	    stun_usage_turn_create_refresh(&c->agent, &c->request, c->out, sizeof c->out,
					   &c->challenge, 0,
					   (uint8_t *)(uintptr_t)c->user, strlen(c->user),
					   (uint8_t *)(uintptr_t)c->password,
					   strlen(c->password),
					   STUN_USAGE_TURN_COMPATIBILITY_RFC5766);
	if (c->out_len > 0)
		(void)!send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
}

/* Time-limited credentials begin with the time of their end. */
static bool
has_expired(const char *user)
{
	char digits[24];
	uint64_t end_s;
	size_t n = strcspn(user, ":");

	if (n >= sizeof digits)
		return false;
	memcpy(digits, user, n);
	digits[n] = '\0';
	return number_parse(&end_s, digits, 1000000000, UINT32_MAX) == 0 &&
	       (time_t)end_s < time(NULL);
}

static void
refused(struct turn_check *c, int code)
{
	char why[160];

	switch (code) {
	case 401:
	case 441:
		if (has_expired(c->user))
			snprintf(why, sizeof why,
				 "the credentials have expired (%d): turn-user and "
				 "turn-password in local.ini; turn-secret makes new ones "
				 "by itself",
				 code);
		else
			snprintf(why, sizeof why,
				 "wrong credentials (%d): turn-user and turn-password, "
				 "or "
				 "turn-secret, in local.ini; with turn-secret the clock "
				 "must be "
				 "right",
				 code);
		break;
	case 486:
	case 508:
		snprintf(why, sizeof why, "the server has no capacity left (%d)", code);
		break;
	default:
		snprintf(why, sizeof why, "the server answers with error %d", code);
		break;
	}
	finish(c, why);
}

static void
answered(struct turn_check *c, StunMessage *m)
{
	struct sockaddr_storage relayed, mapped, other;
	socklen_t relayed_len = sizeof relayed, mapped_len = sizeof mapped,
		  other_len = sizeof other;
	uint32_t bandwidth, lifetime;
	int code = 0;

	if (c->rtt_ns == 0)
		c->rtt_ns = clock_now_ns() - c->sent_ns;
	event_del(c->resend);
	switch (stun_usage_turn_process(m, &relayed, &relayed_len, &mapped, &mapped_len,
					&other, &other_len, &bandwidth, &lifetime,
					STUN_USAGE_TURN_COMPATIBILITY_RFC5766)) {
	case STUN_USAGE_TURN_RETURN_RELAY_SUCCESS:
	case STUN_USAGE_TURN_RETURN_MAPPED_SUCCESS:
		give_back(c);
		finish(c, NULL);
		break;
	case STUN_USAGE_TURN_RETURN_ERROR:
		if (stun_message_find_error(m, &code) == STUN_MESSAGE_RETURN_SUCCESS &&
		    ((code == 401 && !c->credentials) || code == 438)) {
			/* It points into what the next answer overwrites. */
			memcpy(c->kept, c->in, sizeof c->kept);
			c->challenge = *m;
			c->challenge.buffer = c->kept;
			ask(c, &c->challenge);
		} else {
			refused(c, code);
		}
		break;
	default:
		finish(c, "the server's answer makes no sense");
		break;
	}
}

static void
take_message(struct turn_check *c, size_t len)
{
	StunValidationStatus status;
	StunMessage m;

	status = stun_agent_validate(&c->agent, &m, c->in, len, NULL, NULL);
	if (status == STUN_VALIDATION_SUCCESS)
		answered(c, &m);
	else if (c->server->tcp)
		finish(c, "what answers there is no TURN server");
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct turn_check *c = arg;
	ssize_t n = recv(fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
	size_t len;

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		broke(c, n == 0                  ? "the server closed the connection"
			 : errno == ECONNREFUSED ? "refused"
						 : strerror(errno));
		return;
	}
	if (!c->server->tcp) {
		take_message(c, (size_t)n);
		return;
	}
	/* RFC 8489, 6.2.2: the header tells a message's length. Requests are answered one
	 * by one. */
	c->in_len += (size_t)n;
	if (c->in_len < STUN_HEADER)
		return;
	len = STUN_HEADER + ((size_t)c->in[2] << 8 | c->in[3]);
	if (c->in[0] > 3 || len > sizeof c->in) {
		finish(c, "what answers there is no TURN server");
	} else if (c->in_len >= len) {
		c->in_len = 0;
		take_message(c, len);
	}
}

static void
on_resend(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	transmit(arg);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	broke(arg, "timed out");
}

static void
start(struct turn_check *c, int fd)
{
	c->fd = fd;
	c->readable = event_new(c->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	if (c->readable == NULL || event_add(c->readable, NULL) != 0)
		finish(c, "out of memory");
	else
		ask(c, NULL);
}

static void
on_connected(void *arg, int fd, const char *why)
{
	struct turn_check *c = arg;

	c->connector = NULL;
	if (fd >= 0)
		start(c, fd);
	else
		finish(c, why);
}

static void
on_resolved(void *arg, const union addr *addrs, size_t n, const char *why)
{
	struct turn_check *c = arg;
	char text[160];
	int fd;

	c->resolve = NULL;
	if (n == 0) {
		snprintf(text, sizeof text, "name not found: %s", why);
		finish(c, text);
		return;
	}
	fd = socket(addrs[0].sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &addrs[0].sa, addr_len(&addrs[0])) != 0) {
		snprintf(text, sizeof text, "cannot send: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		finish(c, text);
		return;
	}
	start(c, fd);
}

static int
begin(struct turn_check *c, struct err *err)
{
	const struct timeval limit = {TURN_CHECK_TIMEOUT_MS / 1000,
				      TURN_CHECK_TIMEOUT_MS % 1000 * 1000};

	if (event_add(c->timeout, &limit) != 0)
		return err_set(err, "out of memory");
	if (c->shim != NULL)
		c->connector =
		    connector_start(c->base, NULL,
				    shim_addr(c->shim)->sa.sa_family == AF_INET6
					? "::1"
					: "127.0.0.1",
				    addr_port(shim_addr(c->shim)), 0, on_connected, c,
				    err);
	else if (c->server->tcp)
		c->connector = connector_start(c->base, NULL, c->server->host,
					       c->server->port, 0, on_connected, c, err);
	else
		c->resolve = resolve_start(c->base, c->server->host, c->server->port,
					   on_resolved, c, err);
	return c->connector != NULL || c->resolve != NULL ? 0 : -1;
}

struct turn_check *
turn_check_new(struct event_base *base, const struct url *server, const struct shim *shim,
	       const char *user, const char *password, turn_check_done *done, void *arg,
	       struct err *err)
{
	struct turn_check *c = calloc(1, sizeof *c);

	if (c == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	c->base = base;
	c->server = server;
	c->shim = shim;
	c->user = user;
	c->password = password;
	c->done = done;
	c->arg = arg;
	c->fd = -1;
	stun_agent_init(&c->agent, STUN_ALL_KNOWN_ATTRIBUTES, STUN_COMPATIBILITY_RFC5389,
			STUN_AGENT_USAGE_LONG_TERM_CREDENTIALS);
	c->resend = evtimer_new(base, on_resend, c);
	c->timeout = evtimer_new(base, on_timeout, c);
	if (c->resend == NULL || c->timeout == NULL) {
		err_set(err, "out of memory");
		goto fail;
	}
	if (begin(c, err) != 0)
		goto fail;
	return c;

fail:
	turn_check_free(c);
	return NULL;
}

void
turn_check_free(struct turn_check *c)
{
	if (c == NULL)
		return;
	resolve_cancel(c->resolve);
	connector_cancel(c->connector);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->resend != NULL)
		event_free(c->resend);
	if (c->timeout != NULL)
		event_free(c->timeout);
	if (c->fd >= 0)
		close(c->fd);
	explicit_bzero(c, sizeof *c);
	free(c);
}
