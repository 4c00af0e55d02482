// SPDX-License-Identifier: Apache-2.0
/* reaper.c - links of pods that leave, deleted together on threads of their own; see reaper.h. */
#include "agent/reaper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/log.h"
#include "base/base.h"
#include "base/thread.h"
#include "netlink/netlink.h"

#define PATIENCE_MS 5000
#define STOP_WAIT_S 1

/* Rounds at a time: one whose links are going, the others while the kernel frees theirs. */
#define HANDS 4

struct wish {
	uint32_t ifindex;
	char name[RS_NL_IFNAME_LEN];
	uint8_t mac[6];
	bool take;  /* it is a pod's link, to be deleted now */
	bool moved; /* into the condemned group */
	bool gone;
	/* The loop's alone, also while the thread works. */
	bool told; /* that it is gone, by the kernel */
	int64_t since_ms;
	rs_reaped_fn *fn; /* NULL: answered already */
	void *arg;
};

struct wishes {
	struct rs_vec(struct wish) w;
};

/* A thread and its round, which is the thread's while busy. */
struct hand {
	struct rs_reaper *reaper;
	struct rs_nl *nl;
	struct wishes round;
	struct rs_err why;   /* what went wrong in it */
	bool together;	     /* nothing forbids to delete the condemned group */
	atomic_size_t going; /* links that the thread is about to delete; 0: not known yet */
	bool busy;
	atomic_bool over; /* the thread has done with the round */
	bool started;
	int go_fd;
	pthread_t thread;
};

struct rs_reaper {
	uint32_t group;
	struct wishes waiting;
	struct hand hands[HANDS];
	atomic_bool stop;
	bool listens;
	int done_fd; /* a thread has done with its round */
	int news_fd; /* links that go */
	int both_fd; /* epoll of the two */
};

/* ---- the thread ------------------------------------------------------------------------------ */

static const struct rs_link *find(const struct rs_link *v, size_t n, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].ifindex == ifindex)
			return &v[i];
	return NULL;
}

static bool is_pods(const struct rs_reaper *r, const struct rs_link *l, const struct wish *w)
{
	return !strcmp(l->name, w->name) && !strcmp(l->kind, "veth") &&
	       !memcmp(l->mac, w->mac, sizeof(l->mac)) &&
	       (l->group == r->group || l->group == (r->group ^ 1));
}

static void judge(const struct rs_reaper *r, struct wish *w, const struct rs_link *l)
{
	w->gone = !l;
	w->take = l && is_pods(r, l, w);
}

static int look_at_one(struct hand *h, struct wish *w)
{
	struct rs_link link;
	int rc = rs_link_get_index(h->nl, w->ifindex, &link, &h->why);

	if (rc < 0 && rc != -ENODEV)
		return rc;
	rs_err_clear(&h->why);
	judge(h->reaper, w, rc == 0 ? &link : NULL);
	return 0;
}

static bool is_taken(const struct hand *h, uint32_t ifindex)
{
	for (size_t i = 0; i < h->round.w.n; i++)
		if (h->round.w.v[i].take && h->round.w.v[i].ifindex == ifindex)
			return true;
	return false;
}

/* A link in the condemned group that is none of these? Then it is not deleted as a whole. */
static bool has_stranger(struct hand *h, const struct rs_link *v, size_t n)
{
	uint32_t condemned = h->reaper->group ^ 1;

	for (size_t i = 0; i < n; i++)
		if (v[i].group == condemned && !is_taken(h, v[i].ifindex)) {
			rs_err_set(&h->why, EBUSY,
				   "link %s is in group %u, which is for links of pods that leave",
				   v[i].name, v[i].group);
			return true;
		}
	return false;
}

static int look_at_all(struct hand *h)
{
	rs_autofree struct rs_link *v = NULL;
	size_t n = 0;
	int rc = rs_link_list(h->nl, &v, &n, &h->why);

	for (size_t i = 0; rc == 0 && i < h->round.w.n; i++)
		judge(h->reaper, &h->round.w.v[i], find(v, n, h->round.w.v[i].ifindex));
	h->together = rc == 0 && !has_stranger(h, v, n);
	return rc;
}

/* What is to be deleted, and what is gone already. */
static int look(struct hand *h, size_t *n_take)
{
	int rc = h->round.w.n == 1 ? look_at_one(h, h->round.w.v) : look_at_all(h);

	*n_take = 0;
	for (size_t i = 0; rc == 0 && i < h->round.w.n; i++)
		*n_take += h->round.w.v[i].take;
	return rc;
}

/* What is to be deleted into the condemned group, and that is deleted. What could not be moved is
 * left. */
static void delete_together(struct hand *h)
{
	uint32_t condemned = h->reaper->group ^ 1;
	size_t n = 0;

	for (size_t i = 0; i < h->round.w.n; i++) {
		struct wish *w = &h->round.w.v[i];

		w->moved = w->take && rs_link_set_group(h->nl, w->ifindex, condemned, NULL) == 0;
		n += w->moved;
	}
	if (!n || rs_link_del_group(h->nl, condemned, &h->why) < 0)
		return;
	for (size_t i = 0; i < h->round.w.n; i++) {
		struct wish *w = &h->round.w.v[i];

		w->gone = w->gone || w->moved;
		w->take = w->take && !w->moved;
	}
}

static void delete_each(struct hand *h)
{
	for (size_t i = 0; i < h->round.w.n; i++) {
		struct wish *w = &h->round.w.v[i];

		if (w->take)
			w->gone = rs_link_del(h->nl, w->ifindex, &h->why) == 0;
	}
}

static void work(struct hand *h)
{
	size_t n = 0;

	h->together = false;
	if (look(h, &n) < 0 || !n)
		return;
	h->going = n;
	if (n > 1 && h->together)
		delete_together(h);
	delete_each(h);
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
	struct hand *h = arg;

	while (is_told(h->go_fd) && !h->reaper->stop) {
		work(h);
		h->over = true;
		tell(h->reaper->done_fd);
	}
	return NULL;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int watch(struct rs_reaper *r, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(r->both_fd, EPOLL_CTL_ADD, fd, &ev);
}

static int open_fds(struct rs_reaper *r, struct rs_err *err)
{
	bool ok;

	r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->both_fd = epoll_create1(EPOLL_CLOEXEC);
	ok = r->done_fd >= 0 && r->both_fd >= 0 && watch(r, r->done_fd) == 0;
	for (size_t i = 0; ok && i < HANDS; i++) {
		r->hands[i].go_fd = eventfd(0, EFD_CLOEXEC);
		ok = r->hands[i].go_fd >= 0;
	}
	if (!ok)
		return rs_err_sys(err, errno, "descriptors for links that leave");
	/* Without news a link is told to be gone when the kernel has freed it. */
	if (rs_link_news_open(&r->news_fd, NULL) == 0)
		watch(r, r->news_fd);
	return 0;
}

int rs_reaper_new(uint32_t link_group, struct rs_reaper **out, struct rs_err *err)
{
	struct rs_reaper *r = rs_new(struct rs_reaper);
	int rc;

	r->group = link_group;
	r->done_fd = r->news_fd = r->both_fd = -1;
	for (size_t i = 0; i < HANDS; i++) {
		r->hands[i].reaper = r;
		r->hands[i].go_fd = -1;
	}
	rc = open_fds(r, err);
	if (rc < 0) {
		rs_reaper_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static bool is_started(struct hand *h)
{
	if (!h->started && (h->nl || rs_nl_open(&h->nl, NULL) == 0))
		h->started = rs_thread_start(&h->thread, run, h);
	return h->started;
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
		answer(&mine.w.v[i], mine.w.v[i].gone || mine.w.v[i].told);
	rs_vec_free(&mine.w);
}

static bool is_waited_for(const struct hand *h)
{
	for (size_t i = 0; h->busy && i < h->round.w.n; i++)
		if (h->round.w.v[i].fn)
			return true;
	return false;
}

/* Who may take what waits. While somebody waits for links to go, others gather. */
static struct hand *free_hand(struct rs_reaper *r)
{
	struct hand *found = NULL;

	for (size_t i = 0; i < HANDS; i++) {
		if (is_waited_for(&r->hands[i]))
			return NULL;
		if (!found && !r->hands[i].busy)
			found = &r->hands[i];
	}
	return found;
}

static void listen_while(struct rs_reaper *r, bool busy)
{
	if (r->news_fd >= 0 && r->listens != busy && rs_link_news_listen(r->news_fd, busy) == 0)
		r->listens = busy;
}

static void start_round(struct rs_reaper *r)
{
	struct hand *h = r->waiting.w.n ? free_hand(r) : NULL;

	if (!h)
		return;
	listen_while(r, true);
	h->round = r->waiting;
	memset(&r->waiting, 0, sizeof(r->waiting));
	h->going = 0;
	h->busy = true;
	if (is_started(h)) {
		tell(h->go_fd);
		return;
	}
	/* Without a thread the round is over at once, and nothing gone. */
	h->over = true;
	tell(r->done_fd);
}

void rs_reaper_wish(struct rs_reaper *r, const struct rs_endpoint *rec, int64_t now_ms,
		    rs_reaped_fn *fn, void *arg)
{
	struct wish *w = rs_vec_push(&r->waiting.w);

	*w = (struct wish){
		.ifindex = rec->host_ifindex, .since_ms = now_ms, .fn = fn, .arg = arg
	};
	memcpy(w->name, rec->host_ifname, strnlen(rec->host_ifname, sizeof(w->name) - 1));
	memcpy(w->mac, rec->host_mac, sizeof(w->mac));
	start_round(r);
}

int rs_reaper_fd(const struct rs_reaper *r)
{
	return r->both_fd;
}

/* Those whose links have gone, once all have that are going. */
static void answer_told(struct hand *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->round.w.n; i++)
		n += h->round.w.v[i].told;
	for (size_t i = 0; n && n >= h->going && i < h->round.w.n; i++)
		if (h->round.w.v[i].told)
			answer(&h->round.w.v[i], true);
}

static void on_gone(void *arg, uint32_t ifindex)
{
	struct rs_reaper *r = arg;

	for (size_t i = 0; i < HANDS; i++) {
		struct hand *h = &r->hands[i];

		for (size_t k = 0; h->busy && k < h->round.w.n; k++)
			if (h->round.w.v[k].ifindex == ifindex)
				h->round.w.v[k].told = true;
		if (h->busy)
			answer_told(h);
	}
}

static void end_round(struct hand *h)
{
	if (h->why.num)
		rs_log(RS_LOG_WARN, "links of pods that leave", "error", rs_err_str(&h->why), NULL);
	rs_err_clear(&h->why);
	rs_log(RS_LOG_DEBUG, "links of pods that left", "links", RS_LOG_U64(h->round.w.n), NULL);
	h->over = false;
	h->busy = false;
	answer_all(&h->round);
}

void rs_reaper_round(struct rs_reaper *r)
{
	bool busy = false;

	if (r->listens)
		rs_link_news_read(r->news_fd, on_gone, r);
	if (is_told(r->done_fd))
		for (size_t i = 0; i < HANDS; i++)
			if (r->hands[i].over)
				end_round(&r->hands[i]);
	start_round(r);
	for (size_t i = 0; i < HANDS; i++)
		busy = busy || r->hands[i].busy;
	listen_while(r, busy);
}

static void sweep(struct wishes *all, int64_t now_ms)
{
	for (size_t i = 0; i < all->w.n; i++)
		if (now_ms - all->w.v[i].since_ms > PATIENCE_MS)
			answer(&all->w.v[i], all->w.v[i].told);
}

void rs_reaper_sweep(struct rs_reaper *r, int64_t now_ms)
{
	for (size_t i = 0; i < HANDS; i++)
		sweep(&r->hands[i].round, now_ms);
	sweep(&r->waiting, now_ms);
}

/* A thread that the kernel holds goes with the process. */
static bool are_joined(struct rs_reaper *r)
{
	struct timespec until;
	bool ok = true;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	r->stop = true;
	for (size_t i = 0; i < HANDS; i++)
		if (r->hands[i].started)
			tell(r->hands[i].go_fd);
	for (size_t i = 0; i < HANDS; i++)
		if (r->hands[i].started)
			ok = pthread_timedjoin_np(r->hands[i].thread, NULL, &until) == 0 && ok;
	return ok;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void rs_reaper_free(struct rs_reaper *r)
{
	if (!r)
		return;
	rs_reaper_sweep(r, INT64_MAX);
	if (!are_joined(r))
		return;
	for (size_t i = 0; i < HANDS; i++) {
		rs_vec_free(&r->hands[i].round.w);
		rs_err_clear(&r->hands[i].why);
		rs_nl_close(r->hands[i].nl);
		close_fd(r->hands[i].go_fd);
	}
	rs_vec_free(&r->waiting.w);
	close_fd(r->done_fd);
	close_fd(r->news_fd);
	close_fd(r->both_fd);
	free(r);
}
