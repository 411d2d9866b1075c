#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "path_rig.h"

/* Relayed paths, through coturn's turnserver on loopback. */

#define TURNSERVER "/usr/bin/turnserver"
#define SKIPPED    77
#define ATTEMPTS   500 /* of 20 ms: until the server answers */

static pid_t server;
static uint16_t port;
static char directory[] = "/tmp/mpcproxy-turn-XXXXXX";

/* A port that is free for TCP and for UDP. */
static uint16_t
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	int tcp, udp, r;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	do {
		a.sin_port = 0;
		tcp = socket(AF_INET, SOCK_STREAM, 0);
		udp = socket(AF_INET, SOCK_DGRAM, 0);
		bind(tcp, (struct sockaddr *)&a, sizeof a);
		getsockname(tcp, (struct sockaddr *)&a, &len);
		r = bind(udp, (struct sockaddr *)&a, sizeof a);
		close(tcp);
		close(udp);
	} while (r != 0);
	return ntohs(a.sin_port);
}

/* A port where sockets are bound, for TCP and UDP, that never answer: the program's end
 * closes them. */
static uint16_t
silent_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(free_port());
	assert_int_equal(bind(tcp, (struct sockaddr *)&a, len), 0);
	assert_int_equal(bind(udp, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(tcp, 100), 0);
	return ntohs(a.sin_port);
}

static void
run_server(void)
{
	char port_text[8], pid_file[64], database[64];

	snprintf(port_text, sizeof port_text, "%u", port);
	snprintf(pid_file, sizeof pid_file, "%s/pid", directory);
	snprintf(database, sizeof database, "%s/db", directory);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (freopen("/dev/null", "w", stdout) == NULL ||
	    freopen("/dev/null", "w", stderr) == NULL)
		_exit(1);
	execl(TURNSERVER, "turnserver", "-n", "--listening-ip=127.0.0.1",
	      "--relay-ip=127.0.0.1", "-p", port_text, "--no-tls", "--no-dtls",
	      "--no-cli", "--allow-loopback-peers", "--lt-cred-mech", "--realm=test",
	      "--user=alice:wonder", "--log-file=/dev/null", "--pidfile", pid_file,
	      "--userdb", database, (char *)NULL);
	_exit(1);
}

/* Whether a Binding request (RFC 8489) is answered within 20 ms. */
static bool
answers(void)
{
	static const uint8_t request[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct pollfd p = {.events = POLLIN};
	uint8_t answer[100];
	bool good;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p.fd = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(p.fd, request, sizeof request, 0, (struct sockaddr *)&a, sizeof a);
	good = poll(&p, 1, 20) == 1 && recv(p.fd, answer, sizeof answer, 0) >= 20;
	close(p.fd);
	/* Refused at once: wait all the same. */
	if (!good)
		poll(NULL, 0, 20);
	return good;
}

static int
start_server(void **state)
{
	int i;

	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	port = free_port();
	server = fork();
	if (server == 0)
		run_server();
	for (i = 0; i < ATTEMPTS; i++)
		if (answers())
			return 0;
	return -1;
}

static int
stop_server(void **state)
{
	static const char *const files[] = {"pid", "db"};
	char name[64];
	size_t i;

	(void)state;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	for (i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(name, sizeof name, "%s/%s", directory, files[i]);
		unlink(name);
	}
	return rmdir(directory);
}

/* A session with the server, in each way it can be named. */
struct servers {
	struct url stun, turn;
	struct session session;
};

static void
use_server(struct servers *s, const char *host, bool tcp)
{
	memset(s, 0, sizeof *s);
	s->stun.scheme = URL_STUN;
	snprintf(s->stun.host, sizeof s->stun.host, "%s", host);
	s->stun.port = port;
	s->turn = s->stun;
	s->turn.scheme = URL_TURN;
	s->turn.tcp = tcp;
	s->session.stun = &s->stun;
	s->session.n_stun = 1;
	s->session.turn = &s->turn;
	s->session.n_turn = 1;
	rig_use_hosts("127.0.0.1", NULL);
	/* Only an answer ends gathering in this test. */
	rig_ctx->times.gather_ms = 60000;
}

static void
configure(struct end *e, struct servers *s, enum path_policy policy)
{
	memset(e, 0, sizeof *e);
	e->cfg.session = &s->session;
	e->cfg.turn_user = "alice";
	e->cfg.turn_password = "wonder";
	e->cfg.policy = policy;
}

static size_t
count(const struct end *e, const char *text)
{
	const struct path_bundle *b;
	size_t i, k, n = 0;

	for (i = 0; i < e->n_sent; i++) {
		b = &e->sent[i].bundle;
		for (k = 0; k < b->n; k++)
			n += strstr(b->candidate[k], text) != NULL;
	}
	return n;
}

static bool
has_closed(void *arg)
{
	(void)arg;
	return rig_ctx->closing == 0;
}

static void
close_pair(struct end *e)
{
	rig_close(&e[0]);
	rig_close(&e[1]);
	rig_run_until(has_closed, NULL);
}

static void
relay(const char *host, bool tcp)
{
	struct servers s;
	struct end e[2];
	struct ends all = {e, 2};
	struct path_info info;

	use_server(&s, host, tcp);
	configure(&e[0], &s, PATH_RELAY);
	configure(&e[1], &s, PATH_RELAY);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	path_get_info(e[0].path, &info);
	assert_true(info.relayed);
	assert_int_equal(info.local_type, PATH_RELAYED);
	/* Our own address is not told. */
	assert_true(count(&e[0], "typ relay raddr 0.0.0.0 rport 9") > 0);
	assert_int_equal(count(&e[0], "typ host"), 0);
	assert_int_equal(count(&e[0], "typ srflx"), 0);
	close_pair(e);
}

static void
relays_over_udp(void **state)
{
	(void)state;
	relay("127.0.0.1", false);
}

static void
relays_over_tcp(void **state)
{
	(void)state;
	relay("127.0.0.1", true);
}

static void
resolves_names(void **state)
{
	(void)state;
	relay("localhost", false);
}

/* One side insists, the other does not mind. */
static void
relays_for_one_side(void **state)
{
	struct servers s;
	struct end e[2];
	struct ends all = {e, 2};
	struct path_info info;

	(void)state;
	use_server(&s, "127.0.0.1", false);
	configure(&e[0], &s, PATH_ANY);
	configure(&e[1], &s, PATH_RELAY);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	path_get_info(e[0].path, &info);
	assert_true(info.relayed);
	close_pair(e);
}

static void
prefers_direct_pairs(void **state)
{
	struct servers s;
	struct end e[2];
	struct ends all = {e, 2};
	struct path_info info;

	(void)state;
	use_server(&s, "127.0.0.1", false);
	configure(&e[0], &s, PATH_ANY);
	configure(&e[1], &s, PATH_ANY);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	path_get_info(e[0].path, &info);
	assert_false(info.relayed);
	rig_run_until(rig_has_last_bundle, &e[0]);
	assert_int_equal(count(&e[0], "typ relay"), 1);
	close_pair(e);
}

static bool
has_relayed_pair(void *arg)
{
	struct end *e = arg;

	return e[0].n_ready > 0 && e[1].n_ready > 0;
}

/* A server that does not answer costs nothing but its own candidates. */
static void
does_not_wait_for_dead_servers(void **state)
{
	struct servers s;
	struct url turn[2];
	struct end e[2];

	(void)state;
	use_server(&s, "127.0.0.1", false);
	/* Takes connections and datagrams, and says nothing. */
	turn[0] = turn[1] = s.turn;
	turn[0].port = silent_port();
	turn[0].tcp = true;
	s.session.turn = turn;
	s.session.n_turn = 2;
	s.stun.port = turn[0].port;
	configure(&e[0], &s, PATH_RELAY);
	configure(&e[1], &s, PATH_RELAY);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(has_relayed_pair, e);
	/* Gathering goes on. */
	assert_false(rig_has_last_bundle(&e[0]));
	rig_exchange(&e[0], &e[1]);
	close_pair(e);
}

/* "direct" uses no relay of its own, and none of the other side's. */
static void
never_relays_when_told_so(void **state)
{
	struct servers s;
	struct end e[2];

	(void)state;
	use_server(&s, "127.0.0.1", false);
	rig_ctx->times.answer_ms = 100;
	rig_ctx->times.connect_ms = 1000;
	configure(&e[0], &s, PATH_DIRECT);
	configure(&e[1], &s, PATH_RELAY);
	/* Otherwise its checks would come from the relay's address. */
	e[0].wrong_pwd = "0123456789012345678901";
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_has_failed, &e[0]);
	assert_non_null(strstr(e[0].why, "no usable candidate"));
	assert_int_equal(count(&e[0], "typ relay"), 0);
	close_pair(e);
}

static void
reports_a_wrong_password(void **state)
{
	struct servers s;
	struct end e = {0};

	(void)state;
	use_server(&s, "127.0.0.1", false);
	configure(&e, &s, PATH_RELAY);
	e.cfg.turn_password = "wrong";
	rig_open(&e, NULL);
	rig_run_until(rig_has_failed, &e);
	assert_non_null(strstr(e.why, "turn-password"));
	assert_int_equal(e.n_sent, 0);
	rig_close(&e);
	rig_run_until(has_closed, NULL);
}

/* More than the connection to the TURN server takes at once: writable() comes. */
static void
waits_for_the_connection(void **state)
{
	struct servers s;
	struct end e[2];
	struct ends all = {e, 2};
	static uint8_t data[60 * 1200];
	size_t taken, rounds = 0;

	(void)state;
	use_server(&s, "127.0.0.1", true);
	configure(&e[0], &s, PATH_RELAY);
	configure(&e[1], &s, PATH_RELAY);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	memset(data, 0x55, sizeof data);
	kill(server, SIGSTOP);
	do {
		taken = path_send(e[0].path, data, sizeof data, 1200);
		assert_true(taken % 1200 == 0);
	} while (taken == sizeof data && ++rounds < 1000);
	kill(server, SIGCONT);
	assert_true(taken < sizeof data);
	rig_run_until(rig_is_writable, &e[0]);
	assert_true(path_send(e[0].path, data, 1200, 1200) == 1200);
	close_pair(e);
}

static void
closes_while_it_starts(void **state)
{
	struct servers s;
	struct end e[2];
	unsigned ms;

	(void)state;
	for (ms = 0; ms < 200; ms += 20) {
		use_server(&s, "127.0.0.1", ms % 40 == 0);
		configure(&e[0], &s, PATH_RELAY);
		configure(&e[1], &s, PATH_ANY);
		rig_open_pair(&e[0], &e[1]);
		rig_run_for(ms);
		rig_close(&e[0]);
		rig_close(&e[1]);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(relays_over_udp),
	    TEST(relays_over_tcp),
	    TEST(resolves_names),
	    TEST(relays_for_one_side),
	    TEST(does_not_wait_for_dead_servers),
	    TEST(prefers_direct_pairs),
	    TEST(never_relays_when_told_so),
	    TEST(reports_a_wrong_password),
	    TEST(waits_for_the_connection),
	    TEST(closes_while_it_starts),
	};

	if (access(TURNSERVER, X_OK) != 0) {
		printf("skipped: no %s (Debian package coturn)\n", TURNSERVER);
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
