// SPDX-License-Identifier: Apache-2.0
/*
 * leash.c - `ripstop __leash VERB...`: a verb that ends once stdin does.
 *
 * `kubectl exec` hands no signal on, and what it started goes on when it is gone: a runtime may
 * even keep the pipe open that the verb writes to. But stdin ends with the connection. So
 * `kubectl ripstop` runs what has no end of its own (monitor --follow) or must clean up (capture)
 * by this: at the end of stdin the verb gets a SIGTERM, and SIGKILL when that does not help.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/hidden.h"

#define PATIENCE_MS 5000

/* In the child: with nothing to read, and gone with us even if we are killed. */
static int run(pid_t parent, int argc, char **argv)
{
	rs_autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0)
		return CLI_NO_AGENT;
	return cli_main(argc, argv);
}

static bool stdin_ends(void)
{
	char nothing[4096];
	ssize_t n = read(STDIN_FILENO, nothing, sizeof(nothing));

	return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/* Until it has ended. */
static void hold(pid_t pid, int pidfd)
{
	struct pollfd p[2] = { { .fd = pidfd, .events = POLLIN },
			       { .fd = STDIN_FILENO, .events = POLLIN } };
	int ms = -1, n;

	while ((n = poll(p, 2, ms)) >= 0 || errno == EINTR) {
		if (n > 0 && p[0].revents)
			return;
		if (n == 0)
			kill(pid, SIGKILL);
		if (n <= 0 || !p[1].revents || !stdin_ends())
			continue;
		kill(pid, SIGTERM);
		p[1].fd = -1;
		ms = PATIENCE_MS;
	}
}

int cli_leash(int argc, char **argv)
{
	pid_t parent = getpid(), pid = fork();
	rs_autoclose int pidfd = -1;
	int st = 0;

	if (pid == 0)
		return run(parent, argc, argv);
	if (pid > 0)
		pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		cli_error(NULL, "start %s: %s", argc > 1 ? argv[1] : "a verb", strerror(errno));
		if (pid > 0)
			kill(pid, SIGKILL);
		return CLI_NO_AGENT;
	}
	hold(pid, pidfd);
	while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}
