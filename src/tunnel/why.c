#include <stdio.h>

#include "tunnel/why.h"

static bool
blocked(const struct why_side *s)
{
	return s->facts.told && s->facts.udp == SIGNAL_UDP_BLOCKED;
}

static bool
works(const struct why_side *s)
{
	return s->facts.told && s->facts.udp == SIGNAL_UDP_WORKS;
}

static bool
dependent(const struct why_side *s)
{
	return s->facts.told && s->facts.mapping == SIGNAL_MAPPING_DEPENDENT;
}

static bool
reachable(const struct why_side *s)
{
	return s->facts.told && s->facts.mapping == SIGNAL_MAPPING_NONE;
}

static bool
no_common_family(const struct signal_facts *a, const struct signal_facts *b)
{
	return a->told && b->told && (a->ipv4 || a->ipv6) && (b->ipv4 || b->ipv6) &&
	       !(a->ipv4 && b->ipv4) && !(a->ipv6 && b->ipv6);
}

static const char *
families(const struct signal_facts *f)
{
	return f->ipv4 ? "IPv4" : "IPv6";
}

/* The one of both for which ${is} holds, when it does for one. */
static const struct why_side *
one_of(const struct why *w, bool (*is)(const struct why_side *s))
{
	if (is(&w->us) == is(&w->them))
		return NULL;
	return is(&w->us) ? &w->us : &w->them;
}

/* Why no direct pair works. */
static void
no_direct(const struct why *w, char *out, size_t size)
{
	const struct why_side *one;

	/* Where the other side reaches the same servers, they are up. */
	if (blocked(&w->us) && blocked(&w->them))
		snprintf(out, size,
			 "no STUN server answers: UDP blocked at both sides, or the "
			 "servers are down");
	else if ((one = one_of(w, blocked)) != NULL && (works(&w->us) || works(&w->them)))
		snprintf(out, size, "UDP blocked at %s", one->name);
	else if (one != NULL)
		snprintf(out, size, "no STUN server answers %s", one->name);
	else if (no_common_family(&w->us.facts, &w->them.facts))
		snprintf(out, size, "%s has %s only, %s %s only", w->us.name,
			 families(&w->us.facts), w->them.name, families(&w->them.facts));
	else if (w->same_nat)
		snprintf(out, size,
			 "both sides are behind one NAT, which does not lead back inside "
			 "(hairpinning)");
	else if (dependent(&w->us) && dependent(&w->them))
		snprintf(out, size, "both sides have address-dependent mapping");
	else if ((one = one_of(w, dependent)) != NULL)
		snprintf(out, size,
			 "%s has address-dependent mapping, and %s lets in only what it "
			 "has sent to",
			 one->name, one == &w->us ? w->them.name : w->us.name);
	else if (reachable(&w->us) && reachable(&w->them))
		snprintf(out, size, "no NAT, but a firewall at %s or %s drops UDP",
			 w->us.name, w->them.name);
	else if (!w->has_stun)
		snprintf(out, size,
			 "no direct pair answers, and without stun= in session.ini none "
			 "can be found through a NAT");
	else
		snprintf(out, size, "no direct pair answers");
}

char *
why_relayed(const struct why *w, char out[WHY_BYTES])
{
	char direct[WHY_BYTES - 16];

	if (w->policy == PATH_RELAY) {
		snprintf(out, WHY_BYTES, "relay: session.ini says path = relay");
	} else if (signal_facts_hide(&w->them.facts)) {
		snprintf(out, WHY_BYTES, "relay: %s offers relayed addresses only",
			 w->them.name);
	} else {
		no_direct(w, direct, sizeof direct);
		snprintf(out, WHY_BYTES, "relay: %s", direct);
	}
	return out;
}

/* Why no relay helped. */
static const char *
no_relay(const struct why *w)
{
	if (w->policy == PATH_DIRECT)
		return "path = direct allows no relay";
	if (!w->has_turn)
		return "no turn= configured";
	if (w->us.facts.turn_servers == 0 && w->them.facts.turn_servers == 0)
		return "no credentials for turn= in local.ini";
	if (!w->us.facts.relayed && !w->them.facts.relayed)
		return "no TURN server gave a relayed address";
	return "no relayed pair answers either";
}

char *
why_failed(const struct why *w, char out[WHY_BYTES])
{
	char direct[WHY_BYTES - 80];

	if (w->policy == PATH_RELAY) {
		snprintf(out, WHY_BYTES, "no path: only relays are allowed, %s",
			 no_relay(w));
		return out;
	}
	no_direct(w, direct, sizeof direct);
	snprintf(out, WHY_BYTES, "no path: %s, %s", direct, no_relay(w));
	return out;
}
