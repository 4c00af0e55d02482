// SPDX-License-Identifier: Apache-2.0
/*
 * peakrss.c - run a program and say how much memory it took at its peak.
 *
 *	peakrss FILE PROGRAM [ARGUMENT...]
 *
 * Writes the peak of resident memory in KiB to FILE, as one line; the exit code is the program's. The kernel counts what
 * a child shared with its parent before exec, so the parent must be small: this one is linked statically and does nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int leave(const char *what)
{
	perror(what);
	return 125;
}

int main(int argc, char **argv)
{
	struct rusage use;
	char text[32];
	int status, fd, n;
	pid_t pid;

	if (argc < 3) {
		fputs("usage: peakrss FILE PROGRAM [ARGUMENT...]\n", stderr);
		return 125;
	}
	pid = fork();
	if (pid < 0)
		return leave("fork");
	if (!pid) {
		execv(argv[2], argv + 2);
		_exit(leave(argv[2]));
	}
	if (wait4(pid, &status, 0, &use) < 0)
		return leave("wait4");
	fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	n = snprintf(text, sizeof(text), "%ld\n", use.ru_maxrss);
	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return leave(argv[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
