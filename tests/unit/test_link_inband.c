#include "link_rig.h"
#include "tunnel/header.h"
#include "tunnel/inband.h"

/*
 * Signals over the connection itself: what two links do when no rendezvous, or none any
 * more, carries a message, and against a peer that abuses it.
 */
static void
set_rendezvous(bool online)
{
	for (int i = 0; i < 2; i++) {
		end[i].deaf = !online;
		link_rendezvous(end[i].link, online);
	}
}

static bool
both_concluded(unsigned n)
{
	return fake_paths.taken_over[0] >= n && fake_paths.taken_over[1] >= n;
}

static void
meet_and_lose_the_rendezvous(void)
{
	UNTIL(rig_both_up());
	rig_check_round_trip();
	set_rendezvous(false);
	/* What was under way by the rendezvous is lost. */
	rig_pass(NS_PER_S);
}

static void
test_a_search(void **state)
{
	(void)state;
	fake_paths.relayed = true;
	meet_and_lose_the_rendezvous();
	UNTIL(rig_both_relayed(false));
	UNTIL(both_concluded(2));
	rig_check_nothing_was_lost();
}

/* The old path carries the negotiation of a new one: ${changes} asks for it. */
static void
check_address_gone(int changes)
{
	meet_and_lose_the_rendezvous();
	fake_paths.lost_address[changes == 0] = true;
	link_network_changed(end[changes].link);
	fake_paths.lost_address[changes == 0] = false;
	UNTIL(rig_both_on(2));
	UNTIL(both_concluded(2));
	rig_check_nothing_was_lost();
}

static void
test_the_clients_address_is_gone(void **state)
{
	(void)state;
	check_address_gone(0);
}

static void
test_the_servers_address_is_gone(void **state)
{
	(void)state;
	check_address_gone(1);
}

/* What is silent is no way for signals: nothing is gathered for it in vain. */
static void
test_an_outage(void **state)
{
	(void)state;
	meet_and_lose_the_rendezvous();
	fake_paths.swallow = true;
	rig_pass(300 * NS_PER_S);
	assert_int_equal(fake_paths.made[0] + fake_paths.made[1], 2);
	fake_paths.swallow = false;
	UNTIL(strcmp(rig_state(&end[0]), "connected") == 0 &&
	      strcmp(rig_state(&end[1]), "connected") == 0);
	/* And it is one again. */
	fake_paths.lost_address[1] = true;
	link_network_changed(end[0].link);
	fake_paths.lost_address[1] = false;
	UNTIL(rig_both_on(2));
	rig_check_nothing_was_lost();
}

/* --- by hand --- */

static void
exchange(void)
{
	uint8_t sealed[2][ENVELOPE_SEALED_MAX];
	char age[LINK_AGE_BYTES];
	struct err err;
	size_t len[2];
	int rc;

	for (int i = 0; i < 2; i++)
		assert_int_equal(link_offer(end[i].link, &err), 0);
	for (int i = 0; i < 2; i++) {
		UNTIL((rc = link_get_offer(end[i].link, sealed[i], &len[i], &err)) != 0);
		assert_int_equal(rc, 1);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(link_take_offer(end[!i].link, sealed[i], len[i], age, &err),
				 LINK_TAKEN);
}

static void
meet_by_hand(void)
{
	set_rendezvous(false);
	exchange();
	UNTIL(rig_both_up());
	rig_check_round_trip();
}

static void
test_by_hand(void **state)
{
	(void)state;
	meet_by_hand();
	/* Both know that the other's agent has done its work, and read the path
	 * themselves. */
	UNTIL(both_concluded(1));
	fake_paths.lost_address[1] = true;
	link_network_changed(end[0].link);
	fake_paths.lost_address[1] = false;
	UNTIL(both_concluded(2));
	rig_check_nothing_was_lost();
}

static void
test_by_hand_over_a_relay(void **state)
{
	(void)state;
	fake_paths.relayed = true;
	meet_by_hand();
	assert_true(rig_both_relayed(true));
	UNTIL(rig_both_relayed(false));
	rig_check_nothing_was_lost();
}

/* Both live, and nothing else is left but new blocks: the connection moves. */
static void
test_by_hand_again(void **state)
{
	(void)state;
	meet_by_hand();
	UNTIL(both_concluded(1));
	fake_path_cut(fake_paths.newest[0]);
	UNTIL(!link_is_well(end[0].link) && !link_is_well(end[1].link));
	rig_pass(100 * NS_PER_S);
	assert_int_equal(fake_paths.made[1], 1);
	exchange();
	UNTIL(both_concluded(2));
	rig_check_nothing_was_lost();
}

/* The life that was met before is dead, though something is heard of the party: the new
 * one, which nobody has met but by its block. */
static void
check_new_life(int who, bool crash)
{
	meet_by_hand();
	UNTIL(both_concluded(1));
	fake_paths.swallow = crash;
	rig_stop(&end[who]);
	fake_paths.swallow = false;
	rig_start(&end[who], who);
	set_rendezvous(false);
	exchange();
	UNTIL(rig_both_up());
	UNTIL(both_concluded(2));
	rig_pass(30 * NS_PER_S);
	rig_check_round_trip();
	assert_false(end[0].refused || end[1].refused);
	/* A rendezvous that comes to life changes nothing. */
	set_rendezvous(true);
	rig_pass(30 * NS_PER_S);
	rig_check_round_trip();
	assert_int_equal(end[who].ups, 1);
	assert_int_equal(end[who].downs, 0);
	assert_int_equal(end[!who].ups, 2);
	assert_int_equal(end[!who].downs, 1);
	assert_false(end[0].refused || end[1].refused);
}

static void
test_the_client_returns(void **state)
{
	(void)state;
	check_new_life(0, false);
}

static void
test_the_server_returns(void **state)
{
	(void)state;
	check_new_life(1, false);
}

static void
test_the_client_returns_after_a_crash(void **state)
{
	(void)state;
	check_new_life(0, true);
}

static void
test_the_server_returns_after_a_crash(void **state)
{
	(void)state;
	check_new_life(1, true);
}

/* --- peers that do not, or abuse it --- */

static void
test_a_peer_that_does_not_take_signals(void **state)
{
	(void)state;
	end[1].no_inband = true;
	meet_and_lose_the_rendezvous();
	link_network_changed(end[0].link);
	rig_pass(10 * NS_PER_S);
	assert_int_equal(fake_paths.made[1], 1);
	set_rendezvous(true);
	rig_check_nothing_was_lost();
}

/* A stream of the test's own. */
struct probe {
	struct link_owner owner; /* first: see conn.h */
	struct quic_stream *qs;
	uint64_t reset; /* its code, 0 for none */
};

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct probe *p = owner;

	(void)data;
	(void)fin;
	quic_stream_consumed(p->qs, len);
}

static void
on_reset(void *owner, uint64_t code)
{
	((struct probe *)owner)->reset = code;
}

static void
on_closed(void *owner, bool lost)
{
	(void)lost;
	((struct probe *)owner)->qs = NULL;
}

static const struct link_stream_ops probe_ops = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_reset,
    .closed = on_closed,
};

static void
open_probe(struct probe *p, struct rig_end *e)
{
	static const struct header_request request = {.host = "signal"};
	uint8_t head[HEADER_REQUEST_MAX];
	size_t len = header_encode_request(&request, head);

	*p = (struct probe){.owner.ops = &probe_ops};
	p->qs = link_open_stream(e->link, &p->owner);
	assert_non_null(p->qs);
	assert_int_equal(quic_stream_write(p->qs, head, len), 0);
	link_flush_soon(e->link);
}

/* One stream for signals is enough for anybody. */
static void
test_a_second_stream(void **state)
{
	static struct probe p;

	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	open_probe(&p, &end[0]);
	UNTIL(p.reset != 0);
	rig_check_nothing_was_lost();
}

/* Without ours, the peer's own is the first. */
static void
hostile_peer(struct probe *p)
{
	end[1].no_inband = true;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	end[1].no_inband = false;
	open_probe(p, &end[0]);
}

static void
test_a_length_that_no_message_has(void **state)
{
	static const uint8_t lengths[][2] = {{0, 0}, {1, 0x72}, {0x19, 0x74}, {0xff, 0xff}};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		static struct probe p;

		hostile_peer(&p);
		quic_stream_write(p.qs, lengths[i], 2);
		link_flush_soon(end[0].link);
		UNTIL(p.reset == QUIC_CODE_PROTOCOL);
		rig_check_round_trip();
	}
	rig_check_nothing_was_lost();
}

/* A flood of what is not sealed for us, as fast as it goes, costs no connection, and what
 * the peer says by the rendezvous meanwhile is heard. */
static void
test_a_flood(void **state)
{
	uint8_t message[2 + ENVELOPE_SEALED_MIN] = {0x01, 0x73, 1};
	static struct probe p;

	(void)state;
	hostile_peer(&p);
	memcpy(message + 3, identity_pubkey(end[0].id), PUBKEY_BYTES);
	for (unsigned sent = 0; sent < 30 * INBAND_BURST; sent++) {
		UNTIL(quic_stream_write(p.qs, message, sizeof message) == 0);
		link_flush_soon(end[0].link);
	}
	assert_int_equal(p.reset, 0);
	link_network_changed(end[0].link);
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(rig_both_on(2));
	rig_check_nothing_was_lost();
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_search),
	    TEST(test_the_clients_address_is_gone),
	    TEST(test_the_servers_address_is_gone),
	    TEST(test_an_outage),
	    TEST(test_by_hand),
	    TEST(test_by_hand_over_a_relay),
	    TEST(test_by_hand_again),
	    TEST(test_the_client_returns),
	    TEST(test_the_server_returns),
	    TEST(test_the_client_returns_after_a_crash),
	    TEST(test_the_server_returns_after_a_crash),
	    TEST(test_a_peer_that_does_not_take_signals),
	    TEST(test_a_second_stream),
	    TEST(test_a_length_that_no_message_has),
	    TEST(test_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
