#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>

#include "base/log.h"
#include "path/upnp.h"

/* How long to wait for answers to a search. libminiupnpc waits that long again after each
 * one. Nearly all routers answer at once; for the others there is a second try. */
static const int patience_ms[] = {250, 1500};

/* Hops of the search: UPnP Device Architecture 1.1, 1.3.2. */
#define SEARCH_TTL 2

/* Outside ports that are tried in turn when the one that is wished is taken. */
#define PORTS_TRIED 4

/* UPnP's errors of AddPortMapping (WANIPConnection:1, 2.4.16.4) that have a remedy. */
enum {
	CONFLICT_IN_MAPPING_ENTRY = 718,
	SAME_PORT_VALUES_REQUIRED = 724,
	ONLY_PERMANENT_LEASES = 725,
};

struct upnp {
	struct UPNPUrls urls;
	struct IGDdatas data;
};

/* Whether ${url} is http://GATEWAY[:PORT]/..., in digits. */
static bool
is_at(const char *url, const union addr *gateway)
{
	char start[INET_ADDRSTRLEN + 8] = "http://";
	size_t n = strlen(start);

	if (inet_ntop(AF_INET, &gateway->in.sin_addr, start + n,
		      (socklen_t)(sizeof start - n)) == NULL)
		return false;
	n = strlen(start);
	return url != NULL && strncmp(url, start, n) == 0 &&
	       (url[n] == ':' || url[n] == '/' || url[n] == '\0');
}

/* The router's description, from where it says. */
static struct upnp *
describe(const struct UPNPDev *device, const union addr *gateway, struct err *err)
{
	struct upnp *u = calloc(1, sizeof *u);
	char own[INET6_ADDRSTRLEN];

	if (u == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (UPNP_GetIGDFromUrl(device->descURL, &u->urls, &u->data, own, sizeof own) !=
	    1) {
		err_set(err, "the router does not describe itself");
		goto err1;
	}
	if (u->data.first.servicetype[0] == '\0' || !is_at(u->urls.controlURL, gateway)) {
		err_set(err, "the router's description makes no sense");
		goto err2;
	}
	return u;

err2:
	FreeUPNPUrls(&u->urls);
err1:
	free(u);
	return NULL;
}

/* ${answered}: the router has, be it with nonsense. */
static struct upnp *
search(const union addr *gateway, int wait_ms, bool *answered, struct err *err)
{
	/* A router of version 2 answers a search for version 1, too. */
	static const char type[] = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
	struct UPNPDev *list, *i;
	struct upnp *u = NULL;
	int e;

	err_set(err, "no router answers");
	list = upnpDiscoverDevice(type, wait_ms, NULL, NULL, UPNP_LOCAL_PORT_ANY, 0,
				  SEARCH_TTL, &e);
	for (i = list; i != NULL && !*answered; i = i->pNext) {
		*answered = is_at(i->descURL, gateway);
		if (*answered)
			u = describe(i, gateway, err);
	}
	freeUPNPDevlist(list);
	return u;
}

struct upnp *
upnp_find(const union addr *gateway, struct err *err)
{
	struct upnp *u = NULL;
	bool answered = false;
	size_t i;

	for (i = 0; !answered && i < sizeof patience_ms / sizeof *patience_ms; i++)
		u = search(gateway, patience_ms[i], &answered, err);
	return u;
}

void
upnp_free(struct upnp *u)
{
	if (u == NULL)
		return;
	FreeUPNPUrls(&u->urls);
	free(u);
}

static int
failed(struct err *err, const char *what, int code)
{
	const char *text = strupnperror(code);

	if (code == UPNPCOMMAND_HTTP_ERROR)
		return err_set(err, "%s: the router does not answer", what);
	return err_set(err, "%s: the router answers with error %d%s%s", what, code,
		       text != NULL ? ", " : "", text != NULL ? text : "");
}

int
upnp_external(struct upnp *u, union addr *out, struct err *err)
{
	/* libminiupnpc copies up to 16 bytes, with or without a NUL. */
	char text[64] = "", shown[64];
	int e = UPNP_GetExternalIPAddress(u->urls.controlURL, u->data.first.servicetype,
					  text);

	if (e != UPNPCOMMAND_SUCCESS)
		return failed(err, "its outside address", e);
	if (addr_parse(out, text, 0) != 0 || out->sa.sa_family != AF_INET)
		return err_set(err, "the router's outside address is \"%s\"",
			       log_clean(shown, sizeof shown, text, strlen(text)));
	return 0;
}

static int
map(struct upnp *u, const union addr *internal, unsigned lease_s, uint16_t port)
{
	char inside[INET_ADDRSTRLEN], inside_port[8], outside_port[8], lease[16];

	if (inet_ntop(AF_INET, &internal->in.sin_addr, inside, sizeof inside) == NULL)
		return UPNPCOMMAND_INVALID_ARGS;
	snprintf(inside_port, sizeof inside_port, "%u", addr_port(internal));
	snprintf(outside_port, sizeof outside_port, "%u", port);
	snprintf(lease, sizeof lease, "%u", lease_s);
	return UPNP_AddPortMapping(u->urls.controlURL, u->data.first.servicetype,
				   outside_port, inside_port, inside, "mpcproxy", "UDP",
				   NULL, lease);
}

/* From 49152 on, where nobody expects a service (RFC 6335). */
static uint16_t
random_port(void)
{
	uint16_t r = 0;

	return getentropy(&r, sizeof r) == 0 ? (uint16_t)(0xc000 | r) : 0xc000;
}

int
upnp_map(struct upnp *u, const union addr *internal, unsigned lease_s, uint16_t *port,
	 struct err *err)
{
	uint16_t wish = *port;
	int e = UPNPCOMMAND_UNKNOWN_ERROR;

	for (unsigned i = 0; i < PORTS_TRIED; i++) {
		e = map(u, internal, lease_s, wish);
		if (e != CONFLICT_IN_MAPPING_ENTRY)
			break;
		wish = random_port();
	}
	switch (e) {
	case UPNPCOMMAND_SUCCESS:
		*port = wish;
		return 0;
	case ONLY_PERMANENT_LEASES:
		return err_set(err, "the router maps ports for ever only");
	case CONFLICT_IN_MAPPING_ENTRY:
	case SAME_PORT_VALUES_REQUIRED:
		return err_set(err, "the port is taken at the router");
	default:
		return failed(err, "a mapping", e);
	}
}

int
upnp_unmap(struct upnp *u, uint16_t port, struct err *err)
{
	char text[8];
	int e;

	snprintf(text, sizeof text, "%u", port);
	e = UPNP_DeletePortMapping(u->urls.controlURL, u->data.first.servicetype, text,
				   "UDP", NULL);
	return e == UPNPCOMMAND_SUCCESS ? 0 : failed(err, "taking a mapping back", e);
}
