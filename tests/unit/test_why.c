#include "check.h"

#include "tunnel/why.h"

static struct why w;
static char out[WHY_BYTES];

static int
set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	w.us.name = "alice";
	w.them.name = "bob";
	w.has_stun = w.has_turn = true;
	w.us.facts.told = w.them.facts.told = true;
	w.us.facts.udp = w.them.facts.udp = SIGNAL_UDP_WORKS;
	w.us.facts.mapping = w.them.facts.mapping = SIGNAL_MAPPING_INDEPENDENT;
	w.us.facts.ipv4 = w.them.facts.ipv4 = true;
	w.us.facts.turn_servers = w.them.facts.turn_servers = 1;
	w.us.facts.relayed = w.them.facts.relayed = true;
	return 0;
}

static void
explains_relays(void **state)
{
	(void)state;
	assert_string_equal(why_relayed(&w, out), "relay: no direct pair answers");
	w.us.facts.mapping = SIGNAL_MAPPING_DEPENDENT;
	assert_string_equal(why_relayed(&w, out),
			    "relay: alice has address-dependent mapping, and bob lets in "
			    "only what it has sent to");
	w.them.facts.mapping = SIGNAL_MAPPING_DEPENDENT;
	assert_string_equal(why_relayed(&w, out),
			    "relay: both sides have address-dependent mapping");
	w.them.facts.udp = SIGNAL_UDP_BLOCKED;
	assert_string_equal(why_relayed(&w, out), "relay: UDP blocked at bob");
	w.us.facts.udp = SIGNAL_UDP_BLOCKED;
	assert_string_equal(why_relayed(&w, out), "relay: no STUN server answers: UDP "
						  "blocked at both sides, or "
						  "the servers are down");
	w.them.facts.ipv4 = false;
	assert_string_equal(why_relayed(&w, out),
			    "relay: bob offers relayed addresses only");
	w.policy = PATH_RELAY;
	assert_string_equal(why_relayed(&w, out), "relay: session.ini says path = relay");
}

static void
explains_one_nat_for_both(void **state)
{
	(void)state;
	w.same_nat = true;
	w.us.facts.mapping = w.them.facts.mapping = SIGNAL_MAPPING_DEPENDENT;
	assert_string_equal(why_relayed(&w, out),
			    "relay: both sides are behind one NAT, which does not lead "
			    "back inside (hairpinning)");
	w.us.facts.udp = SIGNAL_UDP_BLOCKED;
	assert_string_equal(why_relayed(&w, out), "relay: UDP blocked at alice");
}

static void
explains_families_and_firewalls(void **state)
{
	(void)state;
	w.us.facts.mapping = w.them.facts.mapping = SIGNAL_MAPPING_NONE;
	assert_string_equal(why_relayed(&w, out),
			    "relay: no NAT, but a firewall at alice or bob drops UDP");
	w.them.facts.ipv4 = false;
	w.them.facts.ipv6 = true;
	assert_string_equal(why_relayed(&w, out),
			    "relay: alice has IPv4 only, bob IPv6 only");
	w.us.facts.ipv6 = true;
	w.us.facts.mapping = SIGNAL_MAPPING_UNKNOWN;
	w.has_stun = false;
	assert_contains(why_relayed(&w, out), "without stun=");
}

static void
explains_failures(void **state)
{
	(void)state;
	w.them.facts.udp = SIGNAL_UDP_BLOCKED;
	assert_string_equal(why_failed(&w, out), "no path: UDP blocked at bob, no "
						 "relayed pair answers either");
	w.us.facts.relayed = w.them.facts.relayed = false;
	assert_string_equal(why_failed(&w, out), "no path: UDP blocked at bob, no TURN "
						 "server gave a relayed address");
	w.us.facts.turn_servers = w.them.facts.turn_servers = 0;
	assert_string_equal(why_failed(&w, out), "no path: UDP blocked at bob, no "
						 "credentials for turn= in local.ini");
	w.has_turn = false;
	assert_string_equal(why_failed(&w, out),
			    "no path: UDP blocked at bob, no turn= configured");
	w.policy = PATH_DIRECT;
	assert_string_equal(why_failed(&w, out),
			    "no path: UDP blocked at bob, path = direct allows no relay");
	w.policy = PATH_RELAY;
	assert_string_equal(why_failed(&w, out),
			    "no path: only relays are allowed, no turn= configured");
}

/* An older version at the other side, or one that has not answered yet. */
static void
does_without_the_other_sides_facts(void **state)
{
	(void)state;
	memset(&w.them.facts, 0, sizeof w.them.facts);
	assert_string_equal(why_relayed(&w, out), "relay: no direct pair answers");
	w.us.facts.udp = SIGNAL_UDP_BLOCKED;
	assert_string_equal(why_relayed(&w, out), "relay: no STUN server answers alice");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(explains_relays, set_up),
	    cmocka_unit_test_setup(explains_one_nat_for_both, set_up),
	    cmocka_unit_test_setup(explains_families_and_firewalls, set_up),
	    cmocka_unit_test_setup(explains_failures, set_up),
	    cmocka_unit_test_setup(does_without_the_other_sides_facts, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
