// SPDX-License-Identifier: Apache-2.0
/* interrupt.c - Ctrl-C, SIGTERM and a terminal that goes, where something must be ended well: they
 * wait in a descriptor until somebody looks. */
#include "cli/kubectl/kubectl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int fd = -1;
static sigset_t caught;
static struct sigaction int_before;

/* What was ignored when we began (nohup, a job in the background) stays so. */
static void choose(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction was;

	sigemptyset(&caught);
	for (size_t i = 0; i < RS_ARRAY_SIZE(signals); i++)
		if (sigaction(signals[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaddset(&caught, signals[i]);
}

/* A terminal sends SIGINT to children too. Those that we start begin with it ignored, and end when
 * we say so: what is blocked waits for us all the same. */
bool kube_catch(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	choose();
	sigprocmask(SIG_BLOCK, &caught, NULL);
	sigaction(SIGINT, &ignore, &int_before);
	fd = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd >= 0)
		return true;
	cli_error(NULL, "wait for signals: %s", strerror(errno));
	kube_release();
	return false;
}

int kube_signal_fd(void)
{
	return fd;
}

bool kube_caught(void)
{
	return fd >= 0 && kube_rest(0);
}

bool kube_rest(int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

void kube_forget(void)
{
	struct signalfd_siginfo one;

	while (fd >= 0 && read(fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		;
}

void kube_release(void)
{
	kube_forget();
	if (fd >= 0)
		close(fd);
	fd = -1;
	sigaction(SIGINT, &int_before, NULL);
	sigprocmask(SIG_UNBLOCK, &caught, NULL);
}
