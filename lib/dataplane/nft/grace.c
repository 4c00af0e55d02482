// SPDX-License-Identifier: Apache-2.0
/* grace.c - waits for RCU grace periods; see grace.h. */
#include "dataplane/nft/grace.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/thread.h"

/* Surely over, whatever the machine. */
#define LONG_MS 1000

/* Shared by two: whoever leaves last frees it. */
struct rs_nft_waiter {
	pthread_mutex_t lock;
	pthread_cond_t news;
	uint64_t asked, done;
	bool failed; /* no membarrier here */
	bool left;   /* one of the two is gone */
};

static bool wait_one(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

/* ---- a turn on every processor --------------------------------------------------------------- */

/* More of them, and the turns take as long as the grace period. */
#define MAX_CPUS 64
#define LIST_BYTES 4096

static bool is_empty(const char *path)
{
	rs_autofree char *text = NULL;
	size_t len;

	if (rs_file_read(path, LIST_BYTES, &text, &len, NULL) < 0)
		return true;
	return !text[strspn(text, " \n")] || !strcmp(text, "(null)\n"); /* as some kernels say it */
}

/* "0-3,7". False: it cannot be read, or there are too many. */
static bool online(cpu_set_t *out)
{
	rs_autofree char *text = NULL;
	char *p;
	size_t len;

	if (rs_file_read("/sys/devices/system/cpu/online", LIST_BYTES, &text, &len, NULL) < 0)
		return false;
	CPU_ZERO(out);
	for (p = text; *p && *p != '\n'; p += *p == ',') {
		char *end;
		unsigned long lo = strtoul(p, &end, 10), hi = lo;

		if (end == p)
			return false;
		if (*end == '-')
			hi = strtoul(end + 1, &end, 10);
		if (hi < lo || hi >= CPU_SETSIZE)
			return false;
		for (; lo <= hi; lo++)
			CPU_SET(lo, out);
		p = end;
	}
	return CPU_COUNT(out) > 0 && CPU_COUNT(out) <= MAX_CPUS;
}

/*
 * Packets that are judged are in softirq, where nothing else gets the processor: who has had it
 * since has waited for them. Not so with PREEMPT_RT, and for what a program hands back (NFQUEUE);
 * and processors that are kept free of everybody (nohz_full) are not for us.
 */
static bool may_visit(void)
{
	return is_empty("/proc/self/net/netfilter/nfnetlink_queue") &&
	       is_empty("/sys/devices/system/cpu/nohz_full") &&
	       access("/sys/kernel/realtime", F_OK) < 0;
}

/* False: some were not reached. */
static bool visit_all(void)
{
	cpu_set_t before, all, one;
	bool ok = true;
	int i;

	if (!may_visit() || !online(&all) || sched_getaffinity(0, sizeof(before), &before) < 0)
		return false;
	for (i = 0; ok && i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		ok = sched_setaffinity(0, sizeof(one), &one) == 0;
	}
	sched_setaffinity(0, sizeof(before), &before);
	return ok;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* With the lock held, which it gives back. */
static void leave(struct rs_nft_waiter *w)
{
	bool last = w->left;

	w->left = true;
	pthread_cond_broadcast(&w->news);
	pthread_mutex_unlock(&w->lock);
	if (!last)
		return;
	pthread_cond_destroy(&w->news);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void *run(void *arg)
{
	struct rs_nft_waiter *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->left && !w->failed) {
		uint64_t asked = w->asked;
		bool ok;

		if (asked == w->done) {
			pthread_cond_wait(&w->news, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		ok = visit_all() || wait_one();
		pthread_mutex_lock(&w->lock);
		if (ok)
			w->done = asked;
		w->failed = !ok;
		pthread_cond_broadcast(&w->news);
	}
	leave(w);
	return NULL;
}

static struct rs_nft_waiter *waiter_new(void)
{
	struct rs_nft_waiter *w = rs_new(struct rs_nft_waiter);

	if (pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->news, NULL) == 0 &&
	    rs_thread_start(NULL, run, w))
		return w;
	free(w);
	return NULL;
}

/* ---- what is owed ---------------------------------------------------------------------------- */

void rs_nft_grace_owe(struct rs_nft_grace *g)
{
	g->since_ms = rs_mono_ms();
	g->owed = true;
}

void rs_nft_grace_begin(struct rs_nft_grace *g)
{
	rs_nft_grace_owe(g);
	if (!g->w)
		g->w = waiter_new();
	if (!g->w)
		return;
	g->owed = false; /* one that was owed before is over when this one is */
	g->due = true;
}

void rs_nft_grace_go(struct rs_nft_grace *g)
{
	if (!g->due)
		return;
	g->due = false;
	pthread_mutex_lock(&g->w->lock);
	g->w->asked++;
	pthread_cond_signal(&g->w->news);
	pthread_mutex_unlock(&g->w->lock);
}

/* False: it cannot be known. */
static bool thread_done(struct rs_nft_waiter *w)
{
	bool ok;

	pthread_mutex_lock(&w->lock);
	while (w->done != w->asked && !w->failed && !w->left)
		pthread_cond_wait(&w->news, &w->lock);
	ok = w->done == w->asked;
	pthread_mutex_unlock(&w->lock);
	return ok;
}

void rs_nft_grace_wait(struct rs_nft_grace *g)
{
	int64_t since = rs_mono_ms() - g->since_ms;
	struct timespec rest;

	if (!g->since_ms || since >= LONG_MS)
		return;
	g->waited++;
	rs_nft_grace_go(g);
	if (g->owed ? wait_one() : !g->w || thread_done(g->w)) {
		g->owed = false;
		return;
	}
	rest.tv_sec = 0;
	rest.tv_nsec = (LONG_MS - since) * 1000000 - 1;
	nanosleep(&rest, NULL);
}

void rs_nft_grace_end(struct rs_nft_grace *g)
{
	if (!g->w)
		return;
	pthread_mutex_lock(&g->w->lock);
	leave(g->w);
	g->w = NULL;
	g->due = false;
}
