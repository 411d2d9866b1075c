/* First: it makes pipe2 visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "run/probe.h"
#include "run/program.h"

#define MARK "mpcproxy-probe-1"

/* Where Python would look for modules: beside the program's file, or in the current
 * directory. MPyC is looked at, not run: it would read the command line. */
static const char script[] =
    "import sys, os, platform, re, importlib.util as u\n"
    "kind, name = sys.argv[1:]\n"
    "if not (sys.flags.isolated or getattr(sys.flags, 'safe_path', False)):\n"
    "    sys.path[0] = os.path.dirname(os.path.realpath(name)) if kind == 'f' else ''\n"
    "def origin(module):\n"
    "    try:\n"
    "        s = u.find_spec(module)\n"
    "        if s and s.submodule_search_locations and kind == 'm' and module == name:\n"
    "            s = u.find_spec(module + '.__main__')\n"
    "        return s.origin or '-' if s else '-'\n"
    "    except Exception:\n"
    "        return '-'\n"
    "def mpyc():\n"
    "    try:\n"
    "        with open(origin('mpyc'), encoding='utf-8') as f:\n"
    "            m = re.search(r'^__version__ *= *.([\\w.+-]+).', f.read(), re.M)\n"
    "            return m.group(1) if m else 'unknown'\n"
    "    except OSError:\n"
    "        return '-'\n"
    "python = platform.python_version()\n"
    "if platform.python_implementation() != 'CPython':\n"
    "    python += ' ' + platform.python_implementation()\n"
    "print('\\n" MARK
    "', python, mpyc(), origin(name) if kind == 'm' else '-', sep='\\n')\n";

static int
take_line(const char **text, char *out, size_t size)
{
	size_t n = strcspn(*text, "\n");

	if ((*text)[n] != '\n' || n == 0 || n >= size)
		return -1;
	memcpy(out, *text, n);
	out[n] = '\0';
	*text += n + 1;
	return 0;
}

static int
take_version(const char **text, char out[RUN_TEXT_MAX + 1])
{
	if (take_line(text, out, RUN_TEXT_MAX + 1) != 0)
		return -1;
	for (const char *p = out; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return -1;
	return 0;
}

int
probe_parse(const char *text, struct run_offer *o, char *module, size_t size)
{
	static const char mark[] = "\n" MARK "\n";
	const char *last = NULL;

	for (const char *p = text; (p = strstr(p, mark)) != NULL; p++)
		last = p + sizeof mark - 1;
	if (last == NULL || take_version(&last, o->python) != 0 ||
	    take_version(&last, o->mpyc) != 0 || take_line(&last, module, size) != 0)
		return -1;
	if (strcmp(o->mpyc, "-") == 0)
		o->mpyc[0] = '\0';
	return *last == '\0' ? 0 : -1;
}

/* --- asking --- */

static pid_t
start(const struct command *c, int out)
{
	char **argv = calloc(c->n_python + 5, sizeof *argv);
	size_t n = c->n_python;
	pid_t pid;
	int null;

	if (argv == NULL)
		return -1;
	memcpy(argv, c->python, n * sizeof *argv);
	argv[n++] = (char *)(uintptr_t) "-c";
	argv[n++] = (char *)(uintptr_t)script;
	argv[n++] = (char *)(uintptr_t)(c->kind == COMMAND_MODULE ? "m"
					: c->kind == COMMAND_FILE ? "f"
								  : "c");
	argv[n++] = c->kind == COMMAND_FILE ? c->file : c->words[c->program];
	pid = fork();
	if (pid == 0) {
		program_restore_signals();
		setpgid(0, 0);
		null = open("/dev/null", O_RDWR);
		if (null >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1 &&
		    dup2(null, 2) == 2)
			execvp(argv[0], argv);
		_exit(127);
	}
	free(argv);
	return pid;
}

/* All that it prints; -1 when it takes too long or prints too much. */
static int
collect(int fd, char *text, size_t size)
{
	uint64_t deadline_ns = clock_now_ns() + PROBE_LIMIT_S * NS_PER_S;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	size_t len = 0;

	while (clock_now_ns() < deadline_ns && len + 1 < size) {
		ssize_t n;

		if (poll(&pfd, 1, 100) <= 0)
			continue;
		n = read(fd, text + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			text[len] = '\0';
			return 0;
		}
		len += (size_t)n;
	}
	return -1;
}

static int
ask(const struct command *c, char *text, size_t size, struct err *err)
{
	int fds[2], status, rc;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(err, "cannot make a pipe");
	pid = start(c, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_sys(err, "cannot start %s", c->python[0]);
	}
	rc = collect(fds[0], text, size);
	close(fds[0]);
	if (rc != 0)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc != 0)
		return err_set(err, "%s does not say its version within %d s",
			       c->python[0], PROBE_LIMIT_S);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, "%s cannot run a line of Python: try %s -c pass",
			       c->python[0], c->python[0]);
	return 0;
}

static int
digest_code(const char *code, uint8_t digest[RUN_DIGEST_BYTES])
{
	return EVP_Digest(code, strlen(code), digest, NULL, EVP_sha256(), NULL) == 1 ? 0
										     : -1;
}

int
probe(const struct command *c, struct run_offer *o, struct err *err)
{
	static char text[PROBE_OUTPUT_MAX];
	char module[4096] = "-";

	if (c->n_python > 0) {
		if (ask(c, text, sizeof text, err) != 0)
			return -1;
		if (probe_parse(text, o, module, sizeof module) != 0)
			return err_set(err, "%s does not tell its version", c->python[0]);
	}
	switch (c->kind) {
	case COMMAND_CODE:
		return digest_code(c->words[c->program], o->digest);
	case COMMAND_MODULE:
		if (strcmp(module, "-") == 0)
			return err_set(err, "Python finds no module %s",
				       c->words[c->program]);
		return command_digest_file(module, o->digest, err);
	default:
		return command_digest_file(c->file, o->digest, err);
	}
}
