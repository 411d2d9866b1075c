#ifndef MPCPROXY_SESSION_LOCAL_H
#define MPCPROXY_SESSION_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/owner.h"
#include "session/endpoint.h"
#include "session/session.h"
#include "session/target.h"
#include "session/url.h"
#include "session/web_proxy.h"

/* local.ini: what concerns this machine alone. Nothing here can be said in the shared
 * session.ini, so that whoever writes that file gains no power over this machine. */
#define LOCAL_BASE_PORT   11365 /* MPyC's own default */
#define LOCAL_EXPOSE_MAX  64
#define LOCAL_FORWARD_MAX 64
#define LOCAL_LIMITS_MAX  64
#define LOCAL_STREAMS_MAX 4096                  /* that a limit may allow */
#define LOCAL_RATE_MAX    (100ULL * 1000 * 1000 * 1000)
#define LOCAL_IDLE_MAX    (7 * 24 * 3600)
#define LOCAL_SOCKS_AUTH_MAX 255 /* RFC 1929 */

/* How long a dead path is tolerated, in seconds. */
#define LOCAL_OUTAGE_LIMIT_S   (30 * 60)
#define LOCAL_OUTAGE_LIMIT_MIN 10 /* below it, a moment's silence would end streams */
#define LOCAL_OUTAGE_LIMIT_MAX (7 * 24 * 3600)

/* `expose = WHAT for PARTY [PARTY ...]`, or `for all`: what others may reach here besides
 * MPyC. WHAT is a target, with LOW-HIGH for its port perhaps, and /udp. */
struct expose {
	struct target first;
	uint16_t last; /* port */
	bool udp;
	bool for_all;
	uint16_t party; /* index, unless for_all; several parties give several entries */
	unsigned line;
};

/* `forward = ENDPOINT to PARTY:TARGET`, and lines of [forward]. */
struct forward {
	struct endpoint at;
	uint16_t party;
	struct target target;
	unsigned line;
};

#define LOCAL_LOGIN_MAX 8

/* `mqtt-login = URL USER PASSWORD`: whoever writes session.ini could name a broker of his
 * own there, so a password is for one broker and goes to no other. */
struct mqtt_login {
	enum url_scheme scheme;
	char host[URL_HOST_MAX + 1];
	uint16_t port;
	char user[URL_USER_MAX + 1];
	char password[URL_USER_MAX + 1];
};

/* What one party may use of us, besides MPyC. */
enum limit_kind {
	LIMIT_STREAMS, /* open at once, in each direction */
	LIMIT_RATE,    /* bytes each second, in each direction */
	LIMIT_IDLE,    /* seconds without a byte, after which a stream is ended */
};

struct limit {
	enum limit_kind kind;
	bool for_all;
	uint16_t party;
	uint64_t value;
};

struct local {
	char *file;     /* for messages; NULL when there is none */
	char *identity; /* path, or NULL for the default */
	uint16_t base_port;
	bool has_base_port; /* somebody has chosen it */
	union addr listen; /* mailbox served from this proxy; AF_UNSPEC: none */
	struct endpoint socks5;
	char *socks5_user; /* RFC 1929; NULL: no authentication */
	char *socks5_password;
	struct owner_users users; /* who may connect here besides our own user */
	bool mpyc_guard;
	bool upnp; /* the router may be asked for ports */
	bool fast_path; /* a UDP socket of our own beside libnice's */
	unsigned outage_limit_s;
	char *turn_user; /* NULL: none */
	char *turn_password;
	char *turn_secret; /* coturn's time-limited credentials; excludes the above */
	char *turn_ca;     /* PEM file that turns: servers are verified against; NULL: the
			      system's CAs */
	struct mqtt_login login[LOCAL_LOGIN_MAX];
	size_t n_login;
	char *mqtt_ca; /* as turn_ca, for mqtts: brokers */
	struct web_proxy *proxy; /* NULL: none */
	bool no_proxy;           /* `proxy = none`: whatever the environment says */
	struct expose expose[LOCAL_EXPOSE_MAX];
	size_t n_expose;
	struct forward forward[LOCAL_FORWARD_MAX];
	size_t n_forward;
	struct limit limit[LOCAL_LIMITS_MAX];
	size_t n_limit;
};

/*
 * Read ${path}; party names in it are looked up in ${s}. A NULL ${path} means the
 * default file, which may be absent: then all settings have their defaults. A file
 * with secrets in it that others can read is refused. Where the file says nothing of a
 * proxy, HTTPS_PROXY in the environment counts (a malformed one is logged and ignored).
 */
struct local *local_load(const char *path, const struct session *s, struct err *err);
void local_free(struct local *l);

#define LOCAL_FILE_MAX (64 * 1024) /* bytes of local.ini */

/* The same from ${len} bytes of ${text}, which messages call ${file}; ${secret} says
 * that nobody else can read them. */
struct local *local_parse(const char *file, const char *text, size_t len, bool secret,
			  const struct session *s, struct err *err);

/* Whether ${party} may reach ${t} from here. */
bool local_exposes(const struct local *l, const struct target *t, bool udp, size_t party);

/* What ${party} may use of ${kind}; 0: no limit. */
uint64_t local_limit(const struct local *l, enum limit_kind kind, size_t party);

/* Fill in ${f} from the two halves of a forward. */
int forward_parse(struct forward *f, const struct session *s, const char *at,
		  const char *to, struct err *err);

/* User and password for ${broker}; NULL when none are given for just this one. */
const struct mqtt_login *local_login(const struct local *l, const struct url *broker);

/* Whether ${key} is a key of [local]. */
bool local_is_key(const char *key);

/* Take ${text} as the base port of ${n_parties} parties, in place of local.ini's. */
int local_set_base_port(struct local *l, const char *text, size_t n_parties,
			struct err *err);

/* Whether every local port is used once (the parties', socks5, listen and forward), and
 * nothing is forwarded to party ${own}, which is us. */
int local_check_ports(const struct local *l, const struct session *s, size_t own,
		      struct err *err);

#endif
