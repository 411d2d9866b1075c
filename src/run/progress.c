#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/progress.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MAX     400

struct shown {
	enum run_party_state state;
	char text[48];
	bool told; /* as a line, where there is no terminal */
	enum run_party_state told_state;
};

struct progress {
	const struct session *session;
	size_t own;
	bool terminal;
	bool dirty; /* there is a line that changes */
	uint64_t started_ns;
	struct shown *party;
};

struct progress *
progress_new(const struct session *s, size_t own)
{
	struct progress *p = calloc(1, sizeof *p);
	const char *term = getenv("TERM");

	if (p == NULL || (p->party = calloc(s->n_parties, sizeof *p->party)) == NULL) {
		free(p);
		return NULL;
	}
	p->session = s;
	p->own = own;
	p->started_ns = clock_now_ns();
	p->terminal =
	    isatty(STDERR_FILENO) == 1 && term != NULL && strcmp(term, "dumb") != 0;
	return p;
}

void
progress_free(struct progress *p)
{
	if (p == NULL)
		return;
	progress_clear(p);
	free(p->party);
	free(p);
}

static const char *
describe(const struct shown *s)
{
	switch (s->state) {
	case RUN_PARTY_ABSENT:
		return s->text[0] != '\0' ? s->text : "not connected";
	case RUN_PARTY_CONNECTED:
		return "no program yet";
	case RUN_PARTY_BUSY:
		return "its last program still runs";
	case RUN_PARTY_UNABLE:
		return "its mpcproxy cannot: another version";
	case RUN_PARTY_OFFERS:
		return "waits as well";
	default:
		return "ready";
	}
}

static size_t
width(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_col == 0)
		return WIDTH_DEFAULT;
	return ws.ws_col < WIDTH_MAX ? ws.ws_col : WIDTH_MAX;
}

/* The cursor stays at the line's beginning, so that a line of the log covers it. */
static void
show_line(struct progress *p)
{
	char line[WIDTH_MAX + 1];
	size_t room = width() - 1, len = 0, waiting = 0;
	uint64_t s = (clock_now_ns() - p->started_ns) / NS_PER_S;
	FILE *f = fmemopen(line, room + 1, "w");

	if (f == NULL)
		return;
	setvbuf(f, NULL, _IONBF, 0);
	fprintf(f, "%" PRIu64 " s, waiting for", s);
	for (size_t i = 0; i < p->session->n_parties; i++) {
		if (i == p->own || p->party[i].state >= RUN_PARTY_OFFERS)
			continue;
		fprintf(f, "%s %s (%s)", waiting++ > 0 ? "," : "",
			p->session->parties[i].name, describe(&p->party[i]));
	}
	if (waiting == 0)
		fputs(" all to be ready", f);
	len = (size_t)(ftell(f) > 0 ? ftell(f) : 0);
	fclose(f);
	line[len < room ? len : room] = '\0';
	fprintf(stderr, "\r\033[K%s\r", line);
	fflush(stderr);
	p->dirty = true;
}

void
progress_show(struct progress *p)
{
	if (p != NULL && p->terminal)
		show_line(p);
}

void
progress_party(struct progress *p, size_t index, enum run_party_state state,
	       const char *text)
{
	struct shown *s;

	if (p == NULL || index >= p->session->n_parties)
		return;
	s = &p->party[index];
	s->state = state;
	snprintf(s->text, sizeof s->text, "%s", text);
	if (p->terminal) {
		show_line(p);
		return;
	}
	/* How it is being connected changes too often to be told. */
	if (s->told ? s->told_state == state : state == RUN_PARTY_ABSENT)
		return;
	s->told = true;
	s->told_state = state;
	fprintf(stderr, "mpcproxy: %s: %s\n", p->session->parties[index].name,
		state == RUN_PARTY_ABSENT      ? "not connected any more"
		: state == RUN_PARTY_CONNECTED ? "connected, no program yet"
		: state == RUN_PARTY_OFFERS    ? "is there"
					       : describe(s));
}

void
progress_missing(struct progress *p)
{
	for (size_t i = 0; p != NULL && i < p->session->n_parties; i++)
		if (i != p->own && p->party[i].state < RUN_PARTY_OFFERS)
			fprintf(stderr, "mpcproxy: %s: %s\n", p->session->parties[i].name,
				describe(&p->party[i]));
}

void
progress_clear(struct progress *p)
{
	if (p == NULL || !p->dirty)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->dirty = false;
}
