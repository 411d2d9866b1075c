#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "config.h"
#include "options.h"
#include "verbs.h"

#define SETUP_OPTIONS_N 5
#define OPTIONS_MAX     24 /* of a verb, --help and --version included */
#define HELP_COLUMN     26

/* All options of one verb, and what was asked for. */
struct parse {
	const struct verb_usage *usage;
	struct option_spec specs[OPTIONS_MAX];
	size_t n_specs;
	bool given[OPTIONS_MAX];
	bool help;
	bool version;
};

int
options_bad(const char *verb, const char *fmt, ...)
{
	va_list ap;

	fputs("mpcproxy: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry `mpcproxy %s --help`.\n", verb);
	return EXIT_USAGE;
}

void
options_print_version(void)
{
	printf("mpcproxy %s\n", PACKAGE_VERSION);
}

static void
add_specs(struct parse *p, const struct option_spec *specs, size_t n)
{
	for (size_t i = 0; i < n && p->n_specs < OPTIONS_MAX; i++)
		p->specs[p->n_specs++] = specs[i];
}

static void
collect_specs(struct parse *p)
{
	const struct option_spec common[] = {
	    {'h', "help", NULL, "show this", NULL, &p->help, false},
	    {0, "version", NULL, "show the version", NULL, &p->version, false},
	};
	struct setup_options *o = p->usage->setup;

	if (o != NULL) {
		const struct option_spec setup[SETUP_OPTIONS_N] = {
		    {'c', "config", "FILE", "session.ini, or the name of a session",
		     &o->session, NULL, true},
		    {0, "local", "FILE", "local.ini, what concerns this machine",
		     &o->local, NULL, false},
		    {'i', "identity", "FILE", "this party's private key", &o->identity,
		     NULL, false},
		    {'b', "base-port", "PORT", "local port of party 0 (else 11365)",
		     &o->base_port, NULL, false},
		    {'v', "verbose", NULL, "log more", NULL, &o->verbose, false},
		};
		add_specs(p, setup, SETUP_OPTIONS_N);
	}
	add_specs(p, p->usage->options, p->usage->n_options);
	add_specs(p, common, sizeof common / sizeof *common);
}

static void
print_help(const struct parse *p)
{
	const struct verb_usage *u = p->usage;

	printf("Usage: mpcproxy %s%s", u->verb,
	       u->n_options > 0 || u->setup != NULL ? " [OPTION]..." : "");
	printf("%s%s\n%s\n\n", u->operands[0] != '\0' ? " " : "", u->operands, u->help);
	for (size_t i = 0; i < p->n_specs; i++) {
		const struct option_spec *s = &p->specs[i];
		char letter[5] = "    ";
		int column;

		if (s->letter != '\0')
			snprintf(letter, sizeof letter, "-%c, ", s->letter);
		column = printf("  %s--%s%s%s", letter, s->name,
				s->arg != NULL ? " " : "", s->arg != NULL ? s->arg : "");
		printf("%*s  %s%s\n", column < HELP_COLUMN ? HELP_COLUMN - column : 0, "",
		       s->help, s->required ? " (required)" : "");
	}
}

static int
unknown_option(const struct parse *p, const char *name)
{
	const char *words[OPTIONS_MAX];
	const char *near;

	for (size_t i = 0; i < p->n_specs; i++)
		words[i] = p->specs[i].name;
	near = nearest(name, words, p->n_specs);
	if (near != NULL)
		return options_bad(p->usage->verb,
				   "unknown option --%s: did you mean --%s?", name, near);
	return options_bad(p->usage->verb, "unknown option --%s", name);
}

/* ${value} is what stood right behind the option, or NULL; ${next} the argument after
 * it. Sets ${taken} when that one was used. */
static int
apply(struct parse *p, size_t i, const char *value, const char *next, bool *taken)
{
	const struct option_spec *s = &p->specs[i];

	p->given[i] = true;
	*taken = false;
	if (s->arg == NULL) {
		if (value != NULL)
			return options_bad(p->usage->verb, "--%s takes no value",
					   s->name);
		*s->flag = true;
		return OPTIONS_GO_ON;
	}
	if (value == NULL) {
		if (next == NULL)
			return options_bad(p->usage->verb, "--%s wants a value: %s",
					   s->name, s->arg);
		value = next;
		*taken = true;
	}
	*s->text = value;
	return OPTIONS_GO_ON;
}

/* --name, --name=value */
static int
take_long(struct parse *p, char *arg, const char *next, bool *taken)
{
	char *value = strchr(arg, '=');

	if (value != NULL)
		*value++ = '\0';
	for (size_t i = 0; i < p->n_specs; i++) {
		if (strcmp(arg, p->specs[i].name) == 0)
			return apply(p, i, value, next, taken);
	}
	return unknown_option(p, arg);
}

/* -x, -xVALUE, -xyz */
static int
take_letters(struct parse *p, const char *letters, const char *next, bool *taken)
{
	for (const char *l = letters; *l != '\0'; l++) {
		const char *rest = l[1] != '\0' ? l + 1 : NULL;
		size_t i = 0;
		int rc;

		while (i < p->n_specs && p->specs[i].letter != *l)
			i++;
		if (i == p->n_specs)
			return options_bad(p->usage->verb, "unknown option -%c", *l);
		if (p->specs[i].arg != NULL)
			return apply(p, i, rest, next, taken);
		rc = apply(p, i, NULL, NULL, taken);
		if (rc != OPTIONS_GO_ON)
			return rc;
	}
	return OPTIONS_GO_ON;
}

static int
take_all(struct parse *p, int argc, char **argv, size_t *n_operands)
{
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		char *next = i + 1 < argc ? argv[i + 1] : NULL;
		char *arg = argv[i];
		bool taken = false;
		int rc = OPTIONS_GO_ON;

		if (ended || arg[0] != '-' || arg[1] == '\0')
			argv[1 + (*n_operands)++] = arg;
		else if (strcmp(arg, "--") == 0)
			ended = true;
		else if (arg[1] == '-')
			rc = take_long(p, arg + 2, next, &taken);
		else
			rc = take_letters(p, arg + 1, next, &taken);
		if (rc != OPTIONS_GO_ON)
			return rc;
		if (taken)
			i++;
	}
	/* Never beyond the NULL that ends argv. */
	argv[1 + *n_operands] = NULL;
	return OPTIONS_GO_ON;
}

int
options_parse(const struct verb_usage *usage, int argc, char **argv)
{
	struct parse p = {.usage = usage};
	size_t n_operands = 0;
	int rc;

	collect_specs(&p);
	rc = take_all(&p, argc, argv, &n_operands);
	if (p.help) {
		print_help(&p);
		return EXIT_DONE;
	}
	if (p.version) {
		options_print_version();
		return EXIT_DONE;
	}
	if (rc != OPTIONS_GO_ON)
		return rc;
	if (n_operands > usage->max_operands)
		return options_bad(usage->verb, "`%s` is one argument too many",
				   argv[1 + usage->max_operands]);
	if (n_operands < usage->min_operands)
		return options_bad(usage->verb, "an argument is missing: %s",
				   usage->operands);
	for (size_t i = 0; i < p.n_specs; i++) {
		if (p.specs[i].required && !p.given[i])
			return options_bad(usage->verb, "-%c %s is missing: %s",
					   p.specs[i].letter, p.specs[i].arg,
					   p.specs[i].help);
	}
	return OPTIONS_GO_ON;
}
