#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "netcheck.h"

static const char *const answers[] =
    {[PROBE_UNKNOWN] = "unknown", [PROBE_YES] = "yes", [PROBE_NO] = "no"};

static const char *const mappings[] = {
    [PROBE_MAPPING_UNKNOWN] = "unknown",
    [PROBE_MAPPING_NONE] = "none",
    [PROBE_MAPPING_INDEPENDENT] = "endpoint-independent",
    [PROBE_MAPPING_DEPENDENT] = "address-dependent",
};

static const char *const filterings[] = {
    [PROBE_FILTERING_UNKNOWN] = "unknown",
    [PROBE_FILTERING_INDEPENDENT] = "endpoint-independent",
    [PROBE_FILTERING_ADDRESS] = "address-dependent",
    [PROBE_FILTERING_PORT] = "address and port-dependent",
};

static const char *const upnps[] = {
    [NETCHECK_UPNP_OFF] = "off",
    [NETCHECK_UPNP_NO] = "no",
    [NETCHECK_UPNP_YES] = "yes",
};

static bool
any_works(const struct netcheck_report *r, const char *kind, bool without_udp)
{
	for (size_t i = 0; i < r->n_servers; i++)
		if (r->server[i].works && strcmp(r->server[i].kind, kind) == 0 &&
		    (!without_udp || r->server[i].over_tcp))
			return true;
	return false;
}

static bool
is_named(const struct netcheck_report *r, const char *kind)
{
	for (size_t i = 0; i < r->n_servers; i++)
		if (strcmp(r->server[i].kind, kind) == 0)
			return true;
	return false;
}

bool
netcheck_is_well(const struct netcheck_report *r)
{
	return any_works(r, "rendezvous", false) &&
	       (r->udp != PROBE_NO || any_works(r, "turn", true));
}

static void
relay_verdict(FILE *out, const struct netcheck_report *r, bool tcp, const char *whom)
{
	if (any_works(r, "turn", tcp))
		fprintf(out, "Paths to %s go over a relay, and there is one.\n", whom);
	else
		fprintf(out,
			"Paths to %s need a relay, and none works: add turn = "
			"turns:HOST:443 "
			"to session.ini, and its credentials to local.ini.\n",
			whom);
}

/* What the router maps takes packets from everybody. */
static void
upnp_verdict(FILE *out)
{
	fputs("The router maps ports (UPnP): direct paths to nearly all parties that "
	      "have UDP.\n",
	      out);
}

static void
unknown_verdict(FILE *out, const struct netcheck_report *r)
{
	if (r->udp == PROBE_YES)
		fputs("UDP gets out; what the NAT does takes a second STUN server to "
		      "tell: add stun = HOST to session.ini.\n",
		      out);
	else if (is_named(r, "stun"))
		fputs("No STUN server could be asked, for the reason above, and without "
		      "one there is no telling.\n",
		      out);
	else
		fputs("Without a STUN server there is no telling: add stun = HOST to "
		      "session.ini.\n",
		      out);
}

void
netcheck_verdict(FILE *out, const struct netcheck_report *r)
{
	if (!any_works(r, "rendezvous", false))
		fputs("No rendezvous is reached, so nobody is found: see above for the "
		      "reason.\n",
		      out);
	if (r->udp == PROBE_NO) {
		fputs("No STUN server answers: unless they are all down, UDP does not "
		      "get "
		      "out of this network, and direct paths do not leave it.\n",
		      out);
		relay_verdict(out, r, true, "everybody else");
		return;
	}
	switch (r->mapping) {
	case PROBE_MAPPING_NONE:
		fputs("No NAT: direct paths to all parties, unless a firewall drops "
		      "UDP.\n",
		      out);
		break;
	case PROBE_MAPPING_INDEPENDENT:
		if (r->upnp == NETCHECK_UPNP_YES) {
			upnp_verdict(out);
			break;
		}
		fputs("Direct paths to most parties.\n", out);
		/* With less filtering, what such a NAT sends gets in. */
		if (r->filtering == PROBE_FILTERING_PORT ||
		    r->filtering == PROBE_FILTERING_UNKNOWN)
			relay_verdict(out, r, false,
				      "parties behind NATs with address-dependent "
				      "mapping");
		break;
	case PROBE_MAPPING_DEPENDENT:
		if (r->upnp == NETCHECK_UPNP_YES) {
			upnp_verdict(out);
			break;
		}
		fputs("Direct paths only to parties without a NAT, or whose NAT filters "
		      "little; a router with UPnP switched on could do better.\n",
		      out);
		relay_verdict(out, r, false, "the others");
		break;
	case PROBE_MAPPING_UNKNOWN:
		unknown_verdict(out, r);
		break;
	}
}

static void
text_server(FILE *out, const struct netcheck_server *s)
{
	char why[sizeof s->why];

	fprintf(out, "  %-11s %-44s ", s->kind, s->name);
	if (s->works)
		fprintf(out, "%" PRIu64 ".%u ms\n", (uint64_t)(s->rtt_ns / NS_PER_MS),
			(unsigned)(s->rtt_ns % NS_PER_MS / (NS_PER_MS / 10)));
	else
		fprintf(out, "%s\n", log_clean(why, sizeof why, s->why, strlen(s->why)));
}

static const char *
public_text(const union addr *a, char out[INET6_ADDRSTRLEN])
{
	const void *host = a->sa.sa_family == AF_INET ? (const void *)&a->in.sin_addr
						      : &a->in6.sin6_addr;

	return inet_ntop(a->sa.sa_family, host, out, INET6_ADDRSTRLEN);
}

static void
text_family(FILE *out, const char *name, bool have, const union addr *public)
{
	char host[INET6_ADDRSTRLEN];

	if (public->sa.sa_family != AF_UNSPEC)
		fprintf(out, "  %-11s others see %s\n", name, public_text(public, host));
	else
		fprintf(out, "  %-11s %s\n", name,
			have ? "an address, but no STUN server answers over it" : "none");
}

static void
text_upnp(FILE *out, const struct netcheck_report *r)
{
	char outside[ADDR_TEXT_BYTES], host[INET6_ADDRSTRLEN], why[sizeof r->upnp_why];

	fprintf(out, "  %-11s ", "UPnP");
	if (r->upnp == NETCHECK_UPNP_OFF)
		fputs("off: upnp = no\n", out);
	else if (r->upnp == NETCHECK_UPNP_NO)
		fprintf(out, "no: %s\n",
			log_clean(why, sizeof why, r->upnp_why, strlen(r->upnp_why)));
	else
		fprintf(out, "the router, %s, maps ports; at %s for instance\n",
			public_text(&r->router, host),
			addr_format(&r->router_outside, outside));
}

void
netcheck_text(FILE *out, const struct netcheck_report *r)
{
	fprintf(out, "session %s, the network of %s\n", r->session, r->party);
	fprintf(out, "  %-11s %s\n", "UDP",
		r->udp == PROBE_YES  ? "gets out"
		: r->udp == PROBE_NO ? "no STUN server answers"
				     : "unknown: there is no STUN server that could be asked");
	text_family(out, "IPv4", r->ipv4, &r->public[PROBE_IPV4]);
	text_family(out, "IPv6", r->ipv6, &r->public[PROBE_IPV6]);
	fprintf(out, "  %-11s %s\n", "mapping", mappings[r->mapping]);
	fprintf(out, "  %-11s %s\n", "filtering", filterings[r->filtering]);
	fprintf(out, "  %-11s %s\n", "hairpin", answers[r->hairpin]);
	text_upnp(out, r);
	for (size_t i = 0; i < r->n_servers; i++)
		text_server(out, &r->server[i]);
	putc('\n', out);
	netcheck_verdict(out, r);
}

static void
json_string(FILE *out, const char *text)
{
	char clean[ERR_TEXT_BYTES];

	log_clean(clean, sizeof clean, text, strlen(text));
	putc('"', out);
	for (const char *p = clean; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			putc('\\', out);
		putc(*p, out);
	}
	putc('"', out);
}

static void
json_public(FILE *out, const char *name, const union addr *a)
{
	char host[INET6_ADDRSTRLEN];

	fprintf(out, "  \"%s\": ", name);
	if (a->sa.sa_family != AF_UNSPEC)
		fprintf(out, "\"%s\",\n", public_text(a, host));
	else
		fputs("null,\n", out);
}

static void
json_server(FILE *out, const struct netcheck_server *s)
{
	fprintf(out, "    {\"kind\": \"%s\", \"server\": ", s->kind);
	json_string(out, s->name);
	fprintf(out, ", \"works\": %s, \"rtt_ms\": ", s->works ? "true" : "false");
	if (s->works)
		fprintf(out, "%" PRIu64 ".%03u, \"why\": null}",
			(uint64_t)(s->rtt_ns / NS_PER_MS),
			(unsigned)(s->rtt_ns % NS_PER_MS / NS_PER_US));
	else {
		fputs("null, \"why\": ", out);
		json_string(out, s->why);
		putc('}', out);
	}
}

void
netcheck_json(FILE *out, const struct netcheck_report *r)
{
	char *verdict = NULL;
	size_t len;
	FILE *memory;

	fputs("{\n  \"schema\": 1,\n  \"session\": ", out);
	json_string(out, r->session);
	fputs(",\n  \"party\": ", out);
	json_string(out, r->party);
	fprintf(out,
		",\n  \"well\": %s,\n  \"udp\": \"%s\",\n  \"mapping\": \"%s\",\n"
		"  \"filtering\": \"%s\",\n  \"hairpin\": \"%s\",\n  \"upnp\": \"%s\",\n",
		netcheck_is_well(r) ? "true" : "false", answers[r->udp],
		mappings[r->mapping], filterings[r->filtering], answers[r->hairpin],
		upnps[r->upnp]);
	json_public(out, "router", &r->router);
	json_public(out, "router_outside", &r->router_outside);
	fputs("  \"upnp_why\": ", out);
	if (r->upnp == NETCHECK_UPNP_NO)
		json_string(out, r->upnp_why);
	else
		fputs("null", out);
	fputs(",\n", out);
	json_public(out, "public_ipv4", &r->public[PROBE_IPV4]);
	json_public(out, "public_ipv6", &r->public[PROBE_IPV6]);
	fputs("  \"servers\": [", out);
	for (size_t i = 0; i < r->n_servers; i++) {
		fputs(i > 0 ? ",\n" : "\n", out);
		json_server(out, &r->server[i]);
	}
	fputs("\n  ],\n  \"verdict\": ", out);
	memory = open_memstream(&verdict, &len);
	if (memory != NULL) {
		netcheck_verdict(memory, r);
		fclose(memory);
		/* One line. */
		for (char *p = verdict; (p = strchr(p, '\n')) != NULL;)
			*p = p[1] == '\0' ? '\0' : ' ';
	}
	json_string(out, verdict != NULL ? verdict : "");
	free(verdict);
	fputs("\n}\n", out);
}
