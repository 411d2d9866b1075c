#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/status.h"

/* One more whenever a member changes its meaning or goes; new members do not count. */
#define SCHEMA 1

/* The longest string that a status holds, with its NUL. */
#define STRING_BYTES 1100

static void
json_string(FILE *out, const char *text)
{
	char clean[STRING_BYTES];

	log_clean(clean, sizeof clean, text, strlen(text));
	putc('"', out);
	for (const char *p = clean; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			putc('\\', out);
		putc(*p, out);
	}
	putc('"', out);
}

/* A time in units of ${unit_ns} with three digits behind the point, whatever the
 * locale. */
static void
json_time(FILE *out, uint64_t ns, uint64_t unit_ns)
{
	fprintf(out, "%" PRIu64 ".%03u", ns / unit_ns,
		(unsigned)(ns % unit_ns / (unit_ns / 1000)));
}

static void
json_age(FILE *out, uint64_t since_ns, uint64_t now_ns)
{
	json_time(out, now_ns > since_ns ? now_ns - since_ns : 0, NS_PER_S);
}

static void
json_candidate(FILE *out, enum path_candidate_type type, const union addr *a)
{
	char host[INET6_ADDRSTRLEN] = "";

	if (a->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
	else
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
	fprintf(out, "{\"type\": \"%s\", \"address\": \"%s\", \"port\": %u}",
		path_candidate_type_name(type), host, addr_port(a));
}

static void
json_path(FILE *out, const struct peer_status *peer)
{
	const struct path_info *path = &peer->path;

	if (!peer->has_path || !path->ready) {
		fputs("null", out);
		return;
	}
	fprintf(out,
		"{\"type\": \"%s\", \"family\": \"%s\", \"carrier\": \"%s\", \"local\": ",
		path->relayed ? "relay" : "direct",
		path->local.sa.sa_family == AF_INET6 ? "IPv6" : "IPv4", path->carrier);
	json_candidate(out, path->local_type, &path->local);
	fputs(", \"remote\": ", out);
	json_candidate(out, path->remote_type, &path->remote);
	putc('}', out);
}

static void
json_peer(FILE *out, const struct peer_status *peer, uint64_t now_ns)
{
	fprintf(out, "    {\"index\": %zu, \"name\": ", peer->index);
	json_string(out, peer->name);
	fprintf(out,
		", \"connected\": %s, \"since_s\": ", peer->connected ? "true" : "false");
	json_age(out, peer->since_ns, now_ns);
	fputs(",\n     \"state\": ", out);
	json_string(out, peer->state);
	fputs(",\n     \"path\": ", out);
	json_path(out, peer);
	fputs(",\n     \"rtt_ms\": ", out);
	if (peer->connected)
		json_time(out, peer->smoothed_rtt_ns, NS_PER_MS);
	else
		fputs("null", out);
	fprintf(out,
		", \"streams\": %zu, \"held\": %zu, \"bytes_sent\": %" PRIu64
		", \"bytes_received\": %" PRIu64 ", \"datagrams_lost\": %" PRIu64 ",\n",
		peer->streams, peer->held, peer->bytes_sent, peer->bytes_received,
		peer->datagrams_lost);
	fprintf(out, "     \"at_rendezvous\": %s,\n",
		peer->presence == PRESENCE_UNKNOWN ? "null"
		: peer->presence == PRESENCE_HERE  ? "true"
						   : "false");
	fputs("     \"why\": ", out);
	if (peer->why[0] != '\0')
		json_string(out, peer->why);
	else
		fputs("null", out);
	fputs(",\n     \"last_error\": ", out);
	if (peer->last_error[0] != '\0')
		json_string(out, peer->last_error);
	else
		fputs("null", out);
	putc('}', out);
}

static void
json_text(FILE *out, const char *name, const char *text)
{
	fprintf(out, ", \"%s\": ", name);
	if (text[0] != '\0')
		json_string(out, text);
	else
		fputs("null", out);
}

static void
json_place(FILE *out, const struct place_status *place, uint64_t now_ns)
{
	fputs("    {\"url\": ", out);
	json_string(out, place->url);
	fprintf(out, ", \"online\": %s, \"since_s\": ",
		place->online ? "true" : "false");
	json_age(out, place->since_ns, now_ns);
	fprintf(out,
		",\n     \"sent\": %" PRIu64 ", \"received\": %" PRIu64
		", \"dropped\": %" PRIu64,
		place->sent, place->received, place->dropped);
	json_text(out, "how", place->how);
	json_text(out, "last_error", place->last_error);
	putc('}', out);
}

void
status_json(FILE *out, const struct proxy *p, uint64_t now_ns)
{
	const char *separator = "";
	struct proxy_status st;
	struct peer_status peer;
	struct place_status place;

	proxy_get_status(p, &st);
	fprintf(out, "{\n  \"schema\": %d,\n  \"session\": ", SCHEMA);
	json_string(out, st.session);
	fputs(",\n  \"party\": ", out);
	json_string(out, st.party);
	fprintf(out,
		",\n  \"index\": %zu,\n  \"parties\": %zu,\n  \"connected\": %zu,\n"
		"  \"base_port\": %u,\n  \"running_s\": ",
		st.index, st.n_parties, st.n_connected, st.base_port);
	json_age(out, st.started_ns, now_ns);
	fprintf(out, ",\n  \"rendezvous\": {\"online\": %s, \"places\": [",
		st.rendezvous_online ? "true" : "false");
	for (size_t i = 0; proxy_get_place_status(p, i, &place) == 0; i++) {
		fputs(i > 0 ? ",\n" : "\n", out);
		json_place(out, &place, now_ns);
	}
	fputs("]},\n  \"peers\": [", out);
	for (size_t i = 0; i < st.n_parties; i++) {
		if (proxy_get_peer_status(p, i, &peer) != 0)
			continue;
		fprintf(out, "%s\n", separator);
		separator = ",";
		json_peer(out, &peer, now_ns);
	}
	fputs("\n  ]\n}\n", out);
}
