// SPDX-License-Identifier: Apache-2.0
/* reaper.c - links of pods that leave, deleted together on a thread of its own; see reaper.h. */
#include "agent/reaper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "base/base.h"
#include "netlink/netlink.h"

#define STACK_BYTES (256 * RS_KIB)
#define PATIENCE_MS 5000
#define STOP_WAIT_S 1

struct wish {
	uint32_t ifindex;
	char name[RS_NL_IFNAME_LEN];
	bool take; /* it is a pod's link, to be deleted now */
	bool gone;
	/* The loop's alone, also while the thread works. */
	int64_t since_ms;
	rs_reaped_fn *fn; /* NULL: answered already */
	void *arg;
};

struct wishes {
	struct rs_vec(struct wish) w;
};

struct rs_reaper {
	uint32_t group;
	struct rs_nl *nl;
	struct wishes waiting;
	struct wishes round; /* the thread's while busy */
	struct rs_err why;   /* likewise: what went wrong in it */
	bool busy;
	bool started;
	bool stop;
	int go_fd, done_fd;
	pthread_t thread;
};

/* ---- the thread ------------------------------------------------------------------------------ */

static const struct rs_link *find(const struct rs_link *v, size_t n, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].ifindex == ifindex)
			return &v[i];
	return NULL;
}

static bool is_pods(const struct rs_reaper *r, const struct rs_link *l, const char *name)
{
	return !strcmp(l->name, name) && !strcmp(l->kind, "veth") &&
	       (l->group == r->group || l->group == (r->group ^ 1));
}

static void judge(const struct rs_reaper *r, struct wish *w, const struct rs_link *l)
{
	w->gone = !l;
	w->take = l && is_pods(r, l, w->name);
}

static int look_at_one(struct rs_reaper *r, struct wish *w)
{
	struct rs_link link;
	int rc = rs_link_get_index(r->nl, w->ifindex, &link, &r->why);

	if (rc < 0 && rc != -ENODEV)
		return rc;
	rs_err_clear(&r->why);
	judge(r, w, rc == 0 ? &link : NULL);
	return 0;
}

static int look_at_all(struct rs_reaper *r)
{
	rs_autofree struct rs_link *v = NULL;
	size_t n = 0;
	int rc = rs_link_list(r->nl, &v, &n, &r->why);

	for (size_t i = 0; rc == 0 && i < r->round.w.n; i++)
		judge(r, &r->round.w.v[i], find(v, n, r->round.w.v[i].ifindex));
	return rc;
}

/* What is to be deleted, and what is gone already. */
static int look(struct rs_reaper *r, size_t *n_take)
{
	int rc = r->round.w.n == 1 ? look_at_one(r, r->round.w.v) : look_at_all(r);

	*n_take = 0;
	for (size_t i = 0; rc == 0 && i < r->round.w.n; i++)
		*n_take += r->round.w.v[i].take;
	return rc;
}

static bool is_taken(const struct rs_reaper *r, uint32_t ifindex)
{
	for (size_t i = 0; i < r->round.w.n; i++)
		if (r->round.w.v[i].take && r->round.w.v[i].ifindex == ifindex)
			return true;
	return false;
}

/* Into the condemned group with them; then nothing else may be in it. */
static bool gather(struct rs_reaper *r)
{
	rs_autofree struct rs_link *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->round.w.n; i++)
		if (r->round.w.v[i].take)
			rs_link_set_group(r->nl, r->round.w.v[i].ifindex, r->group ^ 1, NULL);
	if (rs_link_list(r->nl, &v, &n, &r->why) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (v[i].group == (r->group ^ 1) && !is_taken(r, v[i].ifindex)) {
			rs_err_set(&r->why, EBUSY,
				   "link %s is in group %u, which is for links of pods that leave",
				   v[i].name, v[i].group);
			return false;
		}
	return true;
}

static void delete_each(struct rs_reaper *r)
{
	for (size_t i = 0; i < r->round.w.n; i++) {
		struct wish *w = &r->round.w.v[i];

		if (w->take)
			w->gone = rs_link_del(r->nl, w->ifindex, &r->why) == 0;
	}
}

/* After a group delete: a link that could not be moved into it is still there. */
static void work(struct rs_reaper *r)
{
	size_t n = 0;

	if (look(r, &n) < 0 || !n)
		return;
	if (n > 1 && gather(r) && rs_link_del_group(r->nl, r->group ^ 1, &r->why) == 0 &&
	    (look(r, &n) < 0 || !n))
		return;
	delete_each(r);
}

static bool is_told(int fd)
{
	uint64_t n;
	ssize_t rc;

	do
		rc = read(fd, &n, sizeof(n));
	while (rc < 0 && errno == EINTR);
	return rc == (ssize_t)sizeof(n);
}

static void tell(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd takes it, or the descriptors are not ours any more */
}

static void *run(void *arg)
{
	struct rs_reaper *r = arg;

	while (is_told(r->go_fd) && !r->stop) {
		work(r);
		tell(r->done_fd);
	}
	return NULL;
}

/* ---- the loop -------------------------------------------------------------------------------- */

int rs_reaper_new(uint32_t link_group, struct rs_reaper **out, struct rs_err *err)
{
	struct rs_reaper *r = rs_new(struct rs_reaper);

	r->group = link_group;
	r->go_fd = eventfd(0, EFD_CLOEXEC);
	r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->go_fd < 0 || r->done_fd < 0) {
		int rc = rs_err_sys(err, errno, "eventfd");

		rs_reaper_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

/* Signals are the loop's. */
static int start_thread(struct rs_reaper *r)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&r->thread, &attr, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

static bool is_started(struct rs_reaper *r)
{
	if (!r->started && (r->nl || rs_nl_open(&r->nl, NULL) == 0))
		r->started = start_thread(r) == 0;
	return r->started;
}

static void answer(struct wish *w, bool gone)
{
	rs_reaped_fn *fn = w->fn;

	w->fn = NULL;
	if (fn)
		fn(w->arg, gone);
}

static void answer_all(struct wishes *all)
{
	struct wishes mine = *all;

	/* Who is answered may wish anew. */
	memset(all, 0, sizeof(*all));
	for (size_t i = 0; i < mine.w.n; i++)
		answer(&mine.w.v[i], mine.w.v[i].gone);
	rs_vec_free(&mine.w);
}

static void start_round(struct rs_reaper *r)
{
	if (r->busy || !r->waiting.w.n)
		return;
	r->round = r->waiting;
	memset(&r->waiting, 0, sizeof(r->waiting));
	r->busy = true;
	/* Without a thread the round is over at once, and nothing gone. */
	tell(is_started(r) ? r->go_fd : r->done_fd);
}

void rs_reaper_wish(struct rs_reaper *r, uint32_t ifindex, const char *name, int64_t now_ms,
		    rs_reaped_fn *fn, void *arg)
{
	struct wish *w = rs_vec_push(&r->waiting.w);

	*w = (struct wish){ .ifindex = ifindex, .since_ms = now_ms, .fn = fn, .arg = arg };
	memcpy(w->name, name, strnlen(name, sizeof(w->name) - 1));
	start_round(r);
}

int rs_reaper_fd(const struct rs_reaper *r)
{
	return r->done_fd;
}

void rs_reaper_round(struct rs_reaper *r)
{
	if (!is_told(r->done_fd))
		return;
	if (r->why.num)
		rs_log(RS_LOG_WARN, "links of pods that leave", "error", rs_err_str(&r->why), NULL);
	rs_err_clear(&r->why);
	rs_log(RS_LOG_DEBUG, "links of pods that left", "links", RS_LOG_U64(r->round.w.n), NULL);
	r->busy = false;
	answer_all(&r->round);
	start_round(r);
}

static void sweep(struct wishes *all, int64_t now_ms)
{
	for (size_t i = 0; i < all->w.n; i++)
		if (now_ms - all->w.v[i].since_ms > PATIENCE_MS)
			answer(&all->w.v[i], false);
}

void rs_reaper_sweep(struct rs_reaper *r, int64_t now_ms)
{
	sweep(&r->round, now_ms);
	sweep(&r->waiting, now_ms);
}

/* A thread that the kernel holds goes with the process. */
static bool is_joined(struct rs_reaper *r)
{
	struct timespec until;

	if (!r->started)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	r->stop = true;
	tell(r->go_fd);
	return pthread_timedjoin_np(r->thread, NULL, &until) == 0;
}

void rs_reaper_free(struct rs_reaper *r)
{
	if (!r)
		return;
	sweep(&r->round, INT64_MAX);
	sweep(&r->waiting, INT64_MAX);
	if (!is_joined(r))
		return;
	rs_vec_free(&r->round.w);
	rs_vec_free(&r->waiting.w);
	rs_err_clear(&r->why);
	rs_nl_close(r->nl);
	if (r->go_fd >= 0)
		close(r->go_fd);
	if (r->done_fd >= 0)
		close(r->done_fd);
	free(r);
}
