#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/local.h"

static struct party parties[] = {{.name = "alice"}, {.name = "bob"}, {.name = "carol"}};
static const struct session session = {.name = "s", .parties = parties, .n_parties = 3};

static struct local *
parse(const char *text)
{
	struct err err = {""};
	struct local *l = local_parse("f", text, strlen(text), true, &session, &err);

	if (l == NULL)
		fail_msg("%s", err.text);
	return l;
}

static void
assert_refused(const char *text, const char *place, const char *why)
{
	struct err err = {""};

	if (local_parse("f", text, strlen(text), true, &session, &err) != NULL)
		fail_msg("`%s` was accepted", text);
	if (strncmp(err.text, place, strlen(place)) != 0)
		fail_msg("`%s` does not begin with `%s`", err.text, place);
	assert_contains(err.text, why);
}

/* A session.ini may name any broker: the password is for one only. */
static void
a_login_is_for_one_broker(void **state)
{
	struct local *l = parse("[local]\nmqtt-login = mqtts://Broker:1 alice p\n");
	static const struct {
		const char *url;
		bool has;
	} urls[] = {
	    {"mqtts://broker:1/topic", true}, {"mqtt://broker:1", false},
	    {"mqtts://broker", false},	      {"mqtts://broker.evil:1", false},
	    {"mqtts://evil:1", false},
	};
	struct url url;

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		assert_int_equal(url_parse(&url, URL_KIND_RENDEZVOUS, urls[i].url, NULL),
				 0);
		assert_int_equal(local_login(l, &url) != NULL, urls[i].has);
	}
	local_free(l);
}

static void
reads_all_there_is(void **state)
{
	struct local *l;
	char addr[ADDR_TEXT_BYTES];

	(void)state;
	setenv("HOME", "/home/bob", 1);
	l = parse("[local]\n"
		  "identity = ~/id.pem\n"
		  "base-port = 20000\n"
		  "listen = [::]:7470\n"
		  "socks5 = 127.0.0.1:1080\n"
		  "mpyc-guard = no\n"
		  "upnp = yes\n"
		  "fast-path = no\n"
		  "turn-user = u\n"
		  "turn-password = p=;#\n"
		  "expose = 8888 for carol bob\n"
		  "expose = 80 for all\n"
		  "forward = 9000 to alice:22\n"
		  "turn-ca = /dev/null\n"
		  "mqtt-ca = /dev/null\n"
		  "mqtt-login = mqtts://Broker alice  a b;c \n"
		  "mqtt-login = mqtt://[::1]:9 u p\n"
		  "proxy = http://a:b@proxy:3128\n");
	assert_string_equal(l->identity, "/home/bob/id.pem");
	assert_int_equal(l->base_port, 20000);
	assert_string_equal(addr_format(&l->listen, addr), "[::]:7470");
	assert_string_equal(addr_format(&l->socks5.addr, addr), "127.0.0.1:1080");
	assert_false(l->mpyc_guard);
	assert_true(l->upnp);
	assert_false(l->fast_path);
	assert_string_equal(l->turn_user, "u");
	assert_string_equal(l->turn_password, "p=;#");
	assert_string_equal(l->turn_ca, "/dev/null");
	assert_string_equal(l->mqtt_ca, "/dev/null");
	assert_int_equal(l->n_login, 2);
	assert_string_equal(l->login[0].user, "alice");
	assert_string_equal(l->login[0].password, "a b;c");
	assert_string_equal(l->login[1].host, "::1");
	assert_string_equal(l->proxy->host, "proxy");
	assert_int_equal(l->proxy->port, 3128);
	assert_string_equal(l->proxy->http.credentials, "YTpi");
	assert_int_equal(l->n_expose, 3);
	assert_int_equal(l->expose[1].line, 11);
	assert_int_equal(l->n_forward, 1);
	assert_int_equal(addr_port(&l->forward[0].at.addr), 9000);
	assert_int_equal(l->forward[0].party, 0);
	assert_int_equal(l->forward[0].target.port, 22);
	local_free(l);
}

static bool
exposes(const struct local *l, uint16_t port, size_t party)
{
	return local_exposes(l, &(struct target){.port = port}, false, party);
}

/* What programs call parties, and hosts behind them. */
static void
names_of_parties(void **state)
{
	static const char *const good[][3] = {
	    {"bob:22", "bob", "22"},
	    {"BOB:22", "bob", "22"},
	    {"Bob.mpc.:22", "bob", "22"},
	    {"db.bob.mpc:5432", "bob", "db:5432"},
	    {"DB.Internal.bob.MPC:5432", "bob", "db.internal:5432"},
	    {"10.0.0.1.bob.mpc:80", "bob", "10.0.0.1:80"},
	    {"127.0.0.1.bob.mpc:80", "bob", "80"},
	    {"localhost.bob.mpc:80", "bob", "80"},
	    {"bob:db:5432", "bob", "db:5432"},
	    {"bob.mpc:[::1]:80", "bob", "80"},
	    {"bob.mpc:unix:/run/x", "bob", "unix:/run/x"},
	    {"mpc:1", "mpc", "1"},
	};
	static const char *const bad[] = {
	    "", ":22", "bob", ".mpc:22", "bob..mpc:22", "bob.example:22", "b b:22",
	    "bob_:22", "db.bob.mpc:db:22", "db.bob.mpc:unix:/run/x", "bob.mpc:", "..:1",
	    "a-name-that-is-longer-than-a-party-may-have:22",
	};
	char party[SESSION_NAME_MAX + 1], text[TARGET_TEXT_BYTES], whole[400];
	struct target t;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(
		    target_parse_at(party, sizeof party, &t, good[i][0], &err), 0);
		assert_string_equal(party, good[i][1]);
		assert_string_equal(target_format(&t, text), good[i][2]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (target_parse_at(party, sizeof party, &t, bad[i], &err) == 0)
			fail_msg("`%s` was taken", bad[i]);
	for (size_t n = 230; n < 300; n++) {
		snprintf(whole, sizeof whole, "%0*d.bob.mpc:1", (int)n, 0);
		assert_int_equal(target_parse_at(party, sizeof party, &t, whole, &err),
				 n + strlen(".bob.mpc") <= TARGET_HOST_MAX ? 0 : -1);
	}
}

static struct target
target(const char *text)
{
	struct target t;
	struct err err;

	assert_int_equal(target_parse(&t, text, &err), 0);
	return t;
}

static void
exposes_ranges_hosts_sockets_and_udp(void **state)
{
	struct local *l = parse("[local]\nexpose = 8000-8010 for bob\n"
				"expose = 53/udp for all\n"
				"expose = unix:/run/db.sock for carol\n"
				"expose = db.internal:5432 for carol unsafe\n"
				"expose = [2001:db8:0::1]:80-81 for carol unsafe\n");
	struct target db = target("DB.internal:5432"), socket = target("unix:/run/db.sock"),
		      other = target("unix:/run/DB.sock"), v6 = target("[2001:DB8::1]:81"),
		      dns = target("localhost:53");

	(void)state;
	assert_true(exposes(l, 8000, 1) && exposes(l, 8005, 1) && exposes(l, 8010, 1));
	assert_false(exposes(l, 7999, 1) || exposes(l, 8011, 1) || exposes(l, 8005, 2));
	assert_true(local_exposes(l, &dns, true, 0));
	assert_false(local_exposes(l, &dns, false, 0));
	assert_true(local_exposes(l, &socket, false, 2));
	assert_false(local_exposes(l, &socket, false, 1));
	assert_false(local_exposes(l, &other, false, 2));
	assert_true(local_exposes(l, &db, false, 2));
	assert_false(local_exposes(l, &db, true, 2) || exposes(l, 5432, 2));
	assert_true(local_exposes(l, &v6, false, 2));
	local_free(l);
}

static void
forwards_have_a_section(void **state)
{
	struct local *l = parse("[forward]\n8080 = bob:8888\n"
				"unix:/run/a.sock = carol:unix:/run/b.sock\n"
				"127.0.0.1:8081 = carol:[2001:db8::1]:443\n"
				"0.0.0.0:8082 for everyone = bob:10.0.0.1:80\n"
				"[local]\nforward = [::1]:8083 to bob:1\n");
	char text[TARGET_TEXT_BYTES], at[ENDPOINT_TEXT_BYTES];

	(void)state;
	assert_int_equal(l->n_forward, 5);
	assert_string_equal(endpoint_format(&l->forward[0].at, at), "127.0.0.1:8080");
	assert_string_equal(target_format(&l->forward[0].target, text), "8888");
	assert_string_equal(endpoint_format(&l->forward[1].at, at), "unix:/run/a.sock");
	assert_int_equal(l->forward[1].party, 2);
	assert_string_equal(target_format(&l->forward[1].target, text),
			    "unix:/run/b.sock");
	assert_string_equal(target_format(&l->forward[2].target, text),
			    "[2001:db8::1]:443");
	assert_true(l->forward[3].at.everyone);
	assert_string_equal(target_format(&l->forward[3].target, text), "10.0.0.1:80");
	assert_string_equal(endpoint_format(&l->forward[4].at, at), "[::1]:8083");
	local_free(l);
}

static void
limits_are_of_parties(void **state)
{
	struct local *l = parse("[local]\nmax-streams = 100 for all\n"
				"max-streams = 5 for carol\nmax-rate = 10M for bob\n"
				"max-idle = 2m for bob carol\nlocal-users = root 4242\n");

	(void)state;
	assert_int_equal(local_limit(l, LIMIT_STREAMS, 0), 100);
	assert_int_equal(local_limit(l, LIMIT_STREAMS, 2), 5);
	assert_int_equal(local_limit(l, LIMIT_RATE, 1), 10000000);
	assert_int_equal(local_limit(l, LIMIT_RATE, 2), 0);
	assert_int_equal(local_limit(l, LIMIT_IDLE, 2), 120);
	assert_int_equal(l->users.n, 2);
	assert_int_equal(l->users.uid[0], 0);
	assert_int_equal(l->users.uid[1], 4242);
	local_free(l);
}

static void
exposes_what_is_listed_only(void **state)
{
	struct local *l =
	    parse("[local]\nexpose = 8888 for carol\nexpose = 80 for all\n");

	(void)state;
	assert_true(exposes(l, 8888, 2));
	assert_false(exposes(l, 8888, 1));
	assert_true(exposes(l, 80, 0));
	assert_true(exposes(l, 80, 2));
	assert_false(exposes(l, 22, 2));
	local_free(l);
	l = parse("");
	assert_false(exposes(l, LOCAL_BASE_PORT, 0));
	local_free(l);
}

static void
defaults_are_safe(void **state)
{
	struct local *l = parse("");

	(void)state;
	assert_int_equal(l->base_port, 11365);
	assert_true(l->mpyc_guard);
	assert_true(l->upnp);
	assert_true(l->fast_path);
	assert_int_equal(l->listen.sa.sa_family, AF_UNSPEC);
	assert_false(endpoint_is_set(&l->socks5));
	assert_int_equal(l->n_expose, 0);
	assert_null(l->identity);
	assert_null(l->turn_user);
	assert_null(l->turn_secret);
	assert_null(l->turn_ca);
	assert_null(l->proxy);
	local_free(l);
}

static void
refuses_the_rest(void **state)
{
	static const char *const bad[][2] = {
	    {"identiy = x", "did you mean `identity`?"},
	    {"banana = x", "unknown key `banana`"},
	    {"upnp = yes\nupnp = no", "second time"},
	    {"upnp = true", "yes or no"},
	    {"mpyc-guard = off", "yes or no"},
	    {"identity = ~bob/x", "`~/`"},
	    {"base-port = 0", "1 to 65535"},
	    {"base-port = 65536", "1 to 65535"},
	    {"base-port = http", "1 to 65535"},
	    {"base-port = 65534", "too high"},
	    {"listen = 7470", "host is missing"},
	    {"listen = 0.0.0.0", "port is missing"},
	    {"listen = example.org:7470", "an address and a port"},
	    {"socks5 = 0.0.0.0:1080", "0.0.0.0:1080 for everyone"},
	    {"socks5 = [2001:db8::1]:1080", "is not loopback"},
	    {"socks5 = somewhere:1080", "an address and a port"},
	    {"socks5-user = me", "belong together: add socks5-password"},
	    {"turn-ca = /nonexistent", "cannot read /nonexistent"},
	    {"proxy = proxy:3128", "expected http://"},
	    {"proxy = https://proxy", "without TLS"},
	    {"proxy = none\nproxy = http://p", "second time"},
	    {"expose = 8888", "PORT for PARTY"},
	    {"expose = 8888 for", "PORT for PARTY"},
	    {"expose = 8888 to carol", "PORT for PARTY"},
	    {"expose = 0 for carol", "expected PORT, HOST:PORT"},
	    {"expose = 10.0.0.1:80 for carol", "another machine"},
	    {"expose = 9-8 for carol", "the range 9-8 is empty"},
	    {"expose = 9- for carol", "LOW-HIGH"},
	    {"expose = unix:x for carol", "an absolute path"},
	    {"local-users = nobody-is-called-this", "no user `nobody"},
	    {"max-streams = 0 for carol", "NUMBER for PARTY"},
	    {"max-rate = 10X for carol", "BYTES for PARTY"},
	    {"max-rate = 101G for carol", "BYTES for PARTY"},
	    /* 2^64 and some megabytes */
	    {"max-rate = 18446744074G for carol", "BYTES for PARTY"},
	    {"max-idle = 30m", "TIME for PARTY"},
	    {"expose = 8888 for dave", "no party `dave`"},
	    {"expose = 8888 for carol dave", "no party `dave`"},
	    {"expose = 8888 for carrol", "no party `carrol`: did you mean `carol`?"},
	    {"forward = 9000 to carol", "PARTY:PORT"},
	    {"forward = 9000 to carol:0", "expected PORT, HOST:PORT"},
	    {"forward = 9000 to carol:1 x", "expected PORT, HOST:PORT"},
	    {"forward = 9000 for carol:1", "PORT to PARTY:PORT"},
	    {"forward = 9000 to dave:1", "no party `dave`"},
	    {"outage-limit = 30", "with its unit"},
	    {"outage-limit = m", "with its unit"},
	    {"outage-limit = -1m", "with its unit"},
	    {"outage-limit = 30 m", "with its unit"},
	    {"outage-limit = 30min", "with its unit"},
	    {"outage-limit = 9s", "from 10s to 168h"},
	    {"outage-limit = 169h", "from 10s to 168h"},
	    {"outage-limit = 99999999999999999999h", "with its unit"},
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(text, sizeof text, "[local]\n%s\n", bad[i][0]);
		assert_refused(text, "f:", bad[i][1]);
	}
	assert_refused("[session]\n", "f:1:", "session.ini");
	assert_refused("[party alice]\n", "f:1:", "session.ini");
	assert_refused("[lokal]\n", "f:1:", "there are [local] and [forward]");
	assert_refused("[local]\n[local]\n", "f:2:", "second time");
	assert_refused("upnp = yes\n", "f:1:", "before the first [section]");
	assert_refused("[local]\n\nupnp = maybe\n", "f:3: upnp:", "yes or no");
}

static void
times_have_units(void **state)
{
	static const struct {
		const char *text;
		unsigned seconds;
	} good[] = {{"10s", 10}, {"90s", 90}, {"5m", 300}, {"2h", 7200}, {"168h", 604800}};
	char text[64];
	struct local *l;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(text, sizeof text, "[local]\noutage-limit = %s\n",
			 good[i].text);
		l = parse(text);
		assert_int_equal(l->outage_limit_s, good[i].seconds);
		local_free(l);
	}
}

static void
turn_credentials_belong_together(void **state)
{
	(void)state;
	assert_refused("[local]\nturn-user = u\n", "f:", "add turn-password");
	assert_refused("[local]\nturn-password = p\n", "f:", "add turn-user");
	assert_refused("[local]\nmqtt-login = mqtts://h u\n", "f:2", "URL USER PASSWORD");
	assert_refused("[local]\nmqtt-login = dir:/p u p\n", "f:2", "mqtts://HOST");
	assert_refused("[local]\nmqtt-login = mqtts://h/t u p\n", "f:2", "without topic");
	assert_refused("[local]\nmqtt-login = mqtts:h u p\n", "f:2", "the broker: ");
	assert_refused("[local]\nmqtt-ca = /nonexistent\n", "f:2", "cannot read");
	assert_refused("[local]\nturn-secret = s\nturn-user = u\n", "f:", "leave out");
	local_free(parse("[local]\nturn-secret = s\n"));
}

static void
bounds_its_lists(void **state)
{
	char text[64 * (LOCAL_EXPOSE_MAX + 2)];
	size_t len = (size_t)sprintf(text, "[local]\n");

	(void)state;
	for (unsigned i = 0; i < LOCAL_EXPOSE_MAX; i++)
		len += (size_t)sprintf(text + len, "expose = %u for all\n", 1 + i);
	local_free(parse(text));
	strcpy(text + len, "expose = 99 for all\n");
	assert_refused(text, "f:66:", "more than 64");

	len = (size_t)sprintf(text, "[local]\n");
	for (unsigned i = 0; i < LOCAL_FORWARD_MAX; i++)
		len += (size_t)sprintf(text + len, "forward = %u to bob:1\n", 1 + i);
	local_free(parse(text));
	strcpy(text + len, "forward = 99 to bob:1\n");
	assert_refused(text, "f:66:", "more than 64");
}

static void
assert_ports_refused(const char *text, const char *why)
{
	struct local *l = parse(text);
	struct err err = {""};

	assert_int_equal(local_check_ports(l, &session, 1, &err), -1);
	assert_contains(err.text, why);
	local_free(l);
}

static void
every_port_is_used_once(void **state)
{
	struct local *l =
	    parse("[local]\nlisten = 0.0.0.0:11364\nsocks5 = [::1]:11368\n"
		  "forward = 9000 to carol:11365\nexpose = 11368 for all\n");
	struct err err = {""};

	(void)state;
	assert_int_equal(local_check_ports(l, &session, 1, &err), 0);
	assert_int_equal(local_set_base_port(l, "11366", 3, &err), 0);
	assert_int_equal(local_check_ports(l, &session, 1, &err), -1);
	assert_contains(err.text, "f: socks5 has port 11368");
	assert_contains(err.text, "carol");
	local_free(l);
	assert_ports_refused("[local]\nlisten = 0.0.0.0:11365\n", "alice");
	assert_ports_refused("[local]\nforward = 11367 to carol:1\n", "forward (line 2)");
	assert_ports_refused("[local]\nforward = 9 to carol:1\nforward = 9 to alice:1\n",
			     "same port 9");
	assert_ports_refused("[local]\nforward = 9 to bob:1\n", "this party itself");
}

static void
base_port_leaves_room_for_all(void **state)
{
	struct local *l = parse("");
	struct err err;

	(void)state;
	assert_int_equal(local_set_base_port(l, "65533", 3, &err), 0);
	assert_int_equal(l->base_port, 65533);
	assert_int_equal(local_set_base_port(l, "65534", 3, &err), -1);
	assert_contains(err.text, "too high");
	assert_int_equal(local_set_base_port(l, "", 3, &err), -1);
	assert_int_equal(l->base_port, 65533);
	local_free(l);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
secrets_are_for_the_owner_only(void **state)
{
	char path[] = "/tmp/test_local.XXXXXX";
	int fd = mkstemp(path);
	struct err err = {""};
	struct local *l;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	write_file(path, "[local]\nturn-secret = s\n", 0600);
	l = local_load(path, &session, &err);
	assert_non_null(l);
	local_free(l);
	write_file(path, "[local]\nturn-secret = s\n", 0640);
	assert_null(local_load(path, &session, &err));
	assert_contains(err.text, ":2:");
	assert_contains(err.text, "chmod 600");
	write_file(path, "[local]\nturn-user=u\nturn-password = s\n", 0604);
	assert_null(local_load(path, &session, &err));
	assert_contains(err.text, "chmod 600");
	/* Without a secret anybody may read it, but not write it. */
	write_file(path, "[local]\nupnp = yes\n", 0644);
	l = local_load(path, &session, &err);
	assert_non_null(l);
	assert_true(l->upnp);
	local_free(l);
	write_file(path, "[local]\nupnp = yes\n", 0646);
	assert_null(local_load(path, &session, &err));
	assert_contains(err.text, "chmod 600");
	unlink(path);
}

static void
only_the_default_file_may_be_absent(void **state)
{
	char dir[] = "/tmp/test_local.XXXXXX";
	char path[100];
	struct err err = {""};
	struct local *l;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("XDG_CONFIG_HOME", dir, 1);
	l = local_load(NULL, &session, &err);
	assert_non_null(l);
	assert_null(l->file);
	local_free(l);
	snprintf(path, sizeof path, "%s/mpcproxy", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/mpcproxy/local.ini", dir);
	assert_null(local_load(path, &session, &err));
	assert_contains(err.text, "does not exist");
	write_file(path, "[local]\nbase-port = 7\n", 0600);
	l = local_load(NULL, &session, &err);
	assert_non_null(l);
	assert_int_equal(l->base_port, 7);
	assert_string_equal(l->file, path);
	local_free(l);
	unlink(path);
	snprintf(path, sizeof path, "%s/mpcproxy", dir);
	rmdir(path);
	rmdir(dir);
}

/* As it stands, and with every setting that it shows switched on. */
static void
sample_is_valid(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], text[8192];
	struct err err = {""};
	struct local *l;
	unsigned shown = 0;
	FILE *f;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s/conf/local.ini", srcdir != NULL ? srcdir : ".");
	l = local_load(path, &session, &err);
	if (l == NULL)
		fail_msg("%s", err.text);
	local_free(l);

	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	for (char *p = text; (p = strstr(p, "\n; ")) != NULL;) {
		/* One excludes turn-user, the others name files. */
		if (strncmp(p + 3, "turn-secret", 11) != 0 &&
		    strncmp(p + 3, "turn-ca", 7) != 0 &&
		    strncmp(p + 3, "mqtt-ca", 7) != 0)
			p[1] = ' ';
		p += 3;
		shown++;
	}
	assert_int_equal(shown, 33);
	l = parse(text);
	assert_int_equal(local_check_ports(l, &session, 0, &err), 0);
	/* Those that show a default show the right one. */
	assert_int_equal(l->base_port, LOCAL_BASE_PORT);
	assert_true(l->mpyc_guard);
	assert_true(l->upnp);
	assert_int_equal(l->outage_limit_s, LOCAL_OUTAGE_LIMIT_S);
	local_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_all_there_is),
    cmocka_unit_test(a_login_is_for_one_broker),
	    cmocka_unit_test(exposes_what_is_listed_only),
	    cmocka_unit_test(exposes_ranges_hosts_sockets_and_udp),
	    cmocka_unit_test(forwards_have_a_section),
	    cmocka_unit_test(limits_are_of_parties),
	    cmocka_unit_test(defaults_are_safe),
	    cmocka_unit_test(refuses_the_rest),
	    cmocka_unit_test(times_have_units),
	    cmocka_unit_test(turn_credentials_belong_together),
	    cmocka_unit_test(bounds_its_lists),
	    cmocka_unit_test(every_port_is_used_once),
	    cmocka_unit_test(base_port_leaves_room_for_all),
	    cmocka_unit_test(secrets_are_for_the_owner_only),
	    cmocka_unit_test(only_the_default_file_may_be_absent),
	    cmocka_unit_test(names_of_parties),
	    cmocka_unit_test(sample_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
