#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "session/web_proxy.h"

static void
parses_urls(void **state)
{
	struct web_proxy p;
	struct err err;

	(void)state;
	assert_int_equal(web_proxy_parse(&p, "http://proxy.example:3128", &err), 0);
	assert_string_equal(p.http.host, "proxy.example");
	assert_int_equal(p.http.port, 3128);
	assert_null(p.http.credentials);
	assert_int_equal(web_proxy_parse(&p, "HTTP://10.0.0.1/", &err), 0);
	assert_string_equal(p.http.host, "10.0.0.1");
	assert_int_equal(p.http.port, 80);
	assert_int_equal(web_proxy_parse(&p, "http://[::1]:8080/", &err), 0);
	assert_string_equal(p.http.host, "::1");
	/* RFC 7617, 2. */
	assert_int_equal(web_proxy_parse(&p, "http://Aladdin:open%20sesame@h", &err), 0);
	assert_string_equal(p.http.credentials, "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	assert_int_equal(web_proxy_parse(&p, "http://a:b@c:d%3a@h", &err), 0);
	assert_string_equal(p.http.credentials, "YTpiQGM6ZDo=");
	assert_int_equal(web_proxy_parse(&p, "http://a:@h", &err), 0);
	assert_string_equal(p.http.credentials, "YTo=");
}

static void
refuses_the_rest(void **state)
{
	static const char *const bad[][2] = {
	    {"", "expected http://"},
	    {"proxy:3128", "expected http://"},
	    {"https://proxy:3128", "without TLS"},
	    {"socks5://proxy:1080", "without TLS"},
	    {"http://", "host is missing"},
	    {"http://h:0", "1 to 65535"},
	    {"http://h:1/x", "1 to 65535"},
	    {"http://user@h", "USER:PASSWORD"},
	    {"http://:p@h", "USER:PASSWORD"},
	    {"http://u:%@h", "hexadecimal"},
	    {"http://u:%0@h", "hexadecimal"},
	    {"http://u:%0g@h", "hexadecimal"},
	    {"http://u:%00@h", "hexadecimal"},
	    {"http://u:%0d%0aX@h", "hexadecimal"},
	    {"http://a%3ab:p@h", "no colon"},
	    {"http://h x", "a space"},
	};
	struct web_proxy p;
	struct err err;
	char text[1000];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (web_proxy_parse(&p, bad[i][0], &err) == 0)
			fail_msg("`%s` was accepted", bad[i][0]);
		assert_contains(err.text, bad[i][1]);
	}
	snprintf(text, sizeof text, "http://%0127d:%0127d@h", 1, 1);
	assert_int_equal(web_proxy_parse(&p, text, &err), 0);
	snprintf(text, sizeof text, "http://%0128d:%0127d@h", 1, 1);
	assert_int_equal(web_proxy_parse(&p, text, &err), -1);
	snprintf(text, sizeof text, "http://u:p@%0900d", 1);
	assert_int_equal(web_proxy_parse(&p, text, &err), -1);
}

static void
set(const char *upper, const char *lower, const char *no_upper, const char *no_lower)
{
	setenv("HTTPS_PROXY", upper, 1);
	setenv("https_proxy", lower, 1);
	setenv("NO_PROXY", no_upper, 1);
	setenv("no_proxy", no_lower, 1);
}

static void
reads_the_environment(void **state)
{
	struct web_proxy p;
	struct err err;

	(void)state;
	set("", "", "", "");
	assert_int_equal(web_proxy_from_environment(&p, &err), 0);
	set("", "h:3128", "", "");
	assert_int_equal(web_proxy_from_environment(&p, &err), 1);
	assert_string_equal(p.http.host, "h");
	set("http://u:p@g:1", "h:3128", "", "");
	assert_int_equal(web_proxy_from_environment(&p, &err), 1);
	assert_string_equal(p.http.host, "g");
	assert_non_null(p.http.credentials);
	set("socks5h://h:1", "", "", "");
	assert_int_equal(web_proxy_from_environment(&p, &err), -1);
	assert_contains(err.text, "HTTPS_PROXY");
	set("", "", "", "");
}

static void
knows_exceptions(void **state)
{
	static const struct {
		const char *no, *host;
		bool used;
	} cases[] = {
	    {"", "example.org", true},
	    {"", "localhost", false},
	    {"", "127.9.9.9", false},
	    {"", "::1", false},
	    {"*", "example.org", false},
	    {"example.org", "example.org", false},
	    {"example.org", "A.Example.ORG", false},
	    {"example.org", "notexample.org", true},
	    {"example.org", "org", true},
	    {".example.org", "a.example.org", false},
	    {"a, b.c,example.org", "example.org", false},
	    {"10.0.0.0/8", "10.1.2.3", false},
	    {"10.0.0.0/8", "11.1.2.3", true},
	    {"10.0.0.0/9", "10.128.0.0", true},
	    {"10.0.0.0/33", "10.0.0.0", true},
	    {"10.0.0.0/0", "192.0.2.1", false},
	    {"192.0.2.1", "192.0.2.1", false},
	    {"192.0.2.1", "192.0.2.2", true},
	    {"2001:db8::/32", "2001:db8:1::1", false},
	    {"2001:db8::/32", "2001:db9::1", true},
	    {"0.2.1", "192.0.2.1", true},
	};
	struct web_proxy p;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		set("http://p:1", "", cases[i].no, "");
		assert_int_equal(web_proxy_from_environment(&p, &err), 1);
		if ((web_proxy_for(&p, cases[i].host) != NULL) != cases[i].used)
			fail_msg("NO_PROXY=%s, %s", cases[i].no, cases[i].host);
	}
	set("", "", "", "");
	/* One of local.ini's is for everything. */
	assert_int_equal(web_proxy_parse(&p, "http://p", &err), 0);
	assert_ptr_equal(web_proxy_for(&p, "localhost"), &p.http);
	assert_null(web_proxy_for(NULL, "example.org"));
}

/* What a reload compares. */
static void
compares(void **state)
{
	static const char *const texts[] = {"http://p", "http://q", "http://p:81",
					    "http://u:v@p", "http://u:w@p"};
	enum { N = sizeof texts / sizeof *texts };
	struct web_proxy a, b;
	struct err err;

	(void)state;
	for (int i = 0; i < N; i++) {
		assert_int_equal(web_proxy_parse(&a, texts[i], &err), 0);
		for (int k = 0; k < N; k++) {
			assert_int_equal(web_proxy_parse(&b, texts[k], &err), 0);
			assert_int_equal(web_proxy_equal(&a, &b), i == k);
		}
		assert_false(web_proxy_equal(&a, NULL));
		assert_false(web_proxy_equal(NULL, &a));
	}
	assert_true(web_proxy_equal(NULL, NULL));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compares),
	    cmocka_unit_test(parses_urls),
	    cmocka_unit_test(refuses_the_rest),
	    cmocka_unit_test(reads_the_environment),
	    cmocka_unit_test(knows_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
