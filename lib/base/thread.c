// SPDX-License-Identifier: Apache-2.0
/* thread.c - threads beside the loop; see thread.h. */
#include "base/thread.h"

#include <signal.h>

#include "base/base.h"

#define STACK_BYTES (256 * RS_KIB)

bool rs_thread_start(pthread_t *out, void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t t;
	bool ok;

	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (!out)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(out ? out : &t, &attr, run, arg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ok;
}
