#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/status.h"

/* Wide enough for the longest thing of its kind, in columns of the table. */
#define AGE_BYTES    24
#define AMOUNT_BYTES 24

/* "N, M held". */
#define STREAMS_BYTES 48

static uint64_t
age_ns(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

/* "4s", "4m12s", "3h05m", "12d03h": the two units that matter. */
static char *
format_age(char out[AGE_BYTES], uint64_t ns)
{
	uint64_t s = ns / NS_PER_S;

	if (s < 60)
		snprintf(out, AGE_BYTES, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(out, AGE_BYTES, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, AGE_BYTES, "%" PRIu64 "h%02um", s / 3600,
			 (unsigned)(s / 60 % 60));
	else
		snprintf(out, AGE_BYTES, "%" PRIu64 "d%02uh", s / 86400,
			 (unsigned)(s / 3600 % 24));
	return out;
}

/* "999 B", "12.4 MB": decimal units with one digit behind the point. */
static char *
format_amount(char out[AMOUNT_BYTES], uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t unit = 1000;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(out, AMOUNT_BYTES, "%" PRIu64 " B", bytes);
		return out;
	}
	for (; bytes / unit >= 1000 && i + 1 < sizeof units / sizeof units[0]; i++)
		unit *= 1000;
	snprintf(out, AMOUNT_BYTES, "%" PRIu64 ".%u %s", bytes / unit,
		 (unsigned)(bytes % unit / (unit / 10)), units[i]);
	return out;
}

static char *
format_rtt(char out[AMOUNT_BYTES], uint64_t ns)
{
	snprintf(out, AMOUNT_BYTES, "%" PRIu64 ".%u ms", (uint64_t)(ns / NS_PER_MS),
		 (unsigned)(ns % NS_PER_MS / (NS_PER_MS / 10)));
	return out;
}

static const char *
family_name(const union addr *a)
{
	return a->sa.sa_family == AF_INET6 ? "IPv6" : "IPv4";
}

static void
text_path(FILE *out, const struct path_info *path)
{
	char local[ADDR_TEXT_BYTES], remote[ADDR_TEXT_BYTES];

	fprintf(out, "       %s, %s, %s, %s %s - %s %s\n",
		path->relayed ? "relay" : "direct", family_name(&path->local),
		path->carrier, path_candidate_type_name(path->local_type),
		addr_format(&path->local, local),
		path_candidate_type_name(path->remote_type),
		addr_format(&path->remote, remote));
}

static void
text_presence(FILE *out, enum presence presence)
{
	if (presence != PRESENCE_UNKNOWN)
		fprintf(out, "       the rendezvous says that it is %s\n",
			presence == PRESENCE_HERE ? "there" : "not there");
}

static void
text_peer(FILE *out, const struct peer_status *peer, uint64_t now_ns)
{
	char state[sizeof peer->state], error[sizeof peer->last_error];
	char why[sizeof peer->why];
	char age[AGE_BYTES], streams[STREAMS_BYTES];
	char rtt[AMOUNT_BYTES] = "-", sent[AMOUNT_BYTES], received[AMOUNT_BYTES];

	log_clean(state, sizeof state, peer->state, strlen(peer->state));
	format_age(age, age_ns(peer->since_ns, now_ns));
	if (peer->connected)
		format_rtt(rtt, peer->smoothed_rtt_ns);
	snprintf(streams, sizeof streams, peer->held > 0 ? "%zu, %zu held" : "%zu",
		 peer->streams, peer->held);
	fprintf(out, "%3zu %-10s %-20s %7s %9s  %-9s %9s %9s\n", peer->index, peer->name,
		state, age, rtt, streams, format_amount(sent, peer->bytes_sent),
		format_amount(received, peer->bytes_received));
	if (peer->has_path && peer->path.ready)
		text_path(out, &peer->path);
	if (!peer->connected)
		text_presence(out, peer->presence);
	if (peer->why[0] != '\0')
		fprintf(out, "       %s\n",
			log_clean(why, sizeof why, peer->why, strlen(peer->why)));
	if (peer->last_error[0] != '\0')
		fprintf(out, "       last error: %s\n",
			log_clean(error, sizeof error, peer->last_error,
				  strlen(peer->last_error)));
}

/* "rendezvous dir:/srv/mpc: online for 4m12s, 12 sent, 9 received" */
static void
text_place(FILE *out, const struct place_status *place, uint64_t now_ns)
{
	char text[sizeof place->url], age[AGE_BYTES];

	fprintf(out, "rendezvous %s%s%s%s: %s for %s",
		log_clean(text, sizeof text, place->url, strlen(place->url)),
		place->how[0] != '\0' ? " (" : "", place->how,
		place->how[0] != '\0' ? ")" : "", place->online ? "online" : "offline",
		format_age(age, age_ns(place->since_ns, now_ns)));
	fprintf(out, ", %" PRIu64 " sent, %" PRIu64 " received", place->sent,
		place->received);
	if (place->dropped > 0)
		fprintf(out, ", %" PRIu64 " dropped", place->dropped);
	putc('\n', out);
	/* Why it is offline now is the last error. */
	if (place->last_error[0] != '\0')
		fprintf(out, "       %s%s\n", place->online ? "last error: " : "",
			log_clean(text, sizeof text, place->last_error,
				  strlen(place->last_error)));
}

void
status_text(FILE *out, const struct proxy *p, uint64_t now_ns)
{
	struct proxy_status st;
	struct peer_status peer;
	struct place_status place;
	char age[AGE_BYTES];

	proxy_get_status(p, &st);
	fprintf(out, "session %s, you are %s (index %zu of %zu), running for %s\n",
		st.session, st.party, st.index, st.n_parties,
		format_age(age, age_ns(st.started_ns, now_ns)));
	fprintf(out, "%zu of %zu connected\n", st.n_connected, st.n_parties - 1);
	for (size_t i = 0; proxy_get_place_status(p, i, &place) == 0; i++)
		text_place(out, &place, now_ns);
	fprintf(out, "\n  # %-10s %-20s %7s %9s  %-9s %9s %9s\n", "party", "state",
		"since", "rtt", "streams", "sent", "received");
	for (size_t i = 0; i < st.n_parties; i++) {
		if (proxy_get_peer_status(p, i, &peer) == 0)
			text_peer(out, &peer, now_ns);
	}
}

size_t
status_missing(FILE *out, const struct proxy *p)
{
	struct proxy_status st;
	struct peer_status peer;
	char state[sizeof peer.state];
	size_t missing = 0;

	proxy_get_status(p, &st);
	for (size_t i = 0; i < st.n_parties; i++) {
		if (proxy_get_peer_status(p, i, &peer) != 0 || peer.connected)
			continue;
		fprintf(out, "not connected: %s (%s)\n", peer.name,
			log_clean(state, sizeof state, peer.state, strlen(peer.state)));
		missing++;
	}
	return missing;
}
