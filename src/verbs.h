#ifndef MPCPROXY_VERBS_H
#define MPCPROXY_VERBS_H

/*
 * The verbs of the command line, one per cmd_*.c. Each gets the arguments from
 * its own name on (argv[0] is the verb) and returns the exit code:
 *
 *   0  done
 *   1  it could not be done; the message on stderr says why and what to do
 *   2  the command line was wrong
 *   3  (wait, run) the time was up before every party was connected, or ready
 *  75  (run) the session was lost while the program ran, and it was ended
 *  76  (run) the parties were about to run different things
 *
 * With a program, run returns that one's code; 126 and 127 mean what they mean to a shell.
 */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_TIMEOUT = 3,
	EXIT_LOST = 75,
	EXIT_DIFFERENT = 76,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
};

int cmd_run(int argc, char **argv);
int cmd_invite(int argc, char **argv);
int cmd_join(int argc, char **argv);
int cmd_revoke(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_sessions(int argc, char **argv);
int cmd_keygen(int argc, char **argv);
int cmd_id(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_netcheck(int argc, char **argv);
int cmd_flags(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_offer(int argc, char **argv);
int cmd_accept(int argc, char **argv);
int cmd_ping(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_forward(int argc, char **argv);
int cmd_rendezvous(int argc, char **argv);

#endif
