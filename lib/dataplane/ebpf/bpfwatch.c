// SPDX-License-Identifier: Apache-2.0
/*
 * bpfwatch.c - somebody else at our rules: of the anchor nft's notifications tell, of pins an
 * inotify of their folder; of ebpf-tc netlink tells of devices. Of a link that was detached and of
 * a map's element nobody does: links are looked at every two seconds; the maps, and programs at
 * devices, every ten, as long as that is cheap (else the agent's audit does it).
 */
#include "dataplane/ebpf/ebpf.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/watch.h"

#define LOOK_S 2     /* a third of a millisecond */
#define MAPS_EVERY 5 /* looks */
#define CHEAP 10000  /* elements; some milliseconds */
#define GONE (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)

static int add(const struct rs_ebpf_watch *w, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(w->fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int open_all(struct rs_ebpf_watch *w)
{
	struct itimerspec every = { .it_interval.tv_sec = LOOK_S, .it_value.tv_sec = LOOK_S };
	int rc;

	w->fd = epoll_create1(EPOLL_CLOEXEC);
	w->pins = inotify_init1(IN_NONBLOCK | IN_CLOEXEC); /* others may have all that there are */
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->fd < 0 || w->timer < 0 || timerfd_settime(w->timer, 0, &every, NULL))
		return -errno;
	rc = add(w, mnl_socket_get_fd(w->nft));
	if (!rc && w->pins >= 0)
		rc = add(w, w->pins);
	return rc ? rc : add(w, w->timer);
}

int rs_ebpf_watch_open(struct rs_ebpf *e, struct rs_err *err)
{
	int rc = rs_nft_watch_open(mnl_socket_get_portid(e->nl), &e->watch.nft, err);

	if (rc)
		return rc;
	rc = open_all(&e->watch);
	return rc ? rs_err_sys(err, -rc, "watch the pins") : 0;
}

int rs_ebpf_watch_also(struct rs_ebpf *e, int fd)
{
	return add(&e->watch, fd);
}

void rs_ebpf_watch_close(struct rs_ebpf *e)
{
	int fds[] = { e->watch.fd, e->watch.pins, e->watch.timer };

	for (size_t i = 0; i < RS_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (e->watch.nft)
		mnl_socket_close(e->watch.nft);
}

/* Without a watch the timer still looks. */
void rs_ebpf_watch_follow(struct rs_ebpf *e)
{
	rs_autofree char *dir = rs_bpf_set_folder(&e->cfg, e->set.place);
	struct rs_ebpf_watch *w = &e->watch;

	if (w->folder >= 0)
		(void)inotify_rm_watch(w->pins, w->folder);
	w->folder = inotify_add_watch(w->pins, dir, GONE | IN_ONLYDIR);
}

int rs_ebpf_watch_fd(const struct rs_dp *dp)
{
	return ((const struct rs_ebpf *)dp)->watch.fd;
}

/* Whether there was anything to read. */
static bool drain(int fd)
{
	char buf[4096];
	bool any = false;

	while (read(fd, buf, sizeof(buf)) > 0)
		any = true;
	return any;
}

static bool elements_differ(struct rs_ebpf *e)
{
	struct rs_dp_drifts d = { 0 };
	bool differ;

	if (rs_bpf_plan_elements(e->model) > CHEAP)
		return false;
	differ = rs_ebpf_audit(&e->dp, &d, NULL) == 0 && d.n;
	rs_dp_drifts_free(&d);
	return differ;
}

int rs_ebpf_watch_read(struct rs_dp *dp, bool *foreign, char **who, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	bool pins = drain(e->watch.pins), due = drain(e->watch.timer), maps;
	struct rs_nft_news news;
	int rc;

	rs_ebpf_tc_hear(e);
	if (due)
		rs_ebpf_tc_tidy(e);
	rc = rs_nft_watch_drain(e->watch.nft, 0, &news, err);
	*foreign = false;
	*who = news.who;
	if (!e->model)
		return rc;
	if (pins || due)
		*foreign = rs_ebpf_check(e, NULL) == -ESTALE;
	else if (news.ours || news.others)
		*foreign = rs_ebpf_anchor_check(e->nl, NULL) == -ESTALE;
	maps = due && ++e->watch.looks % MAPS_EVERY == 0;
	if (maps && !*foreign)
		*foreign = elements_differ(e);
	return rc;
}
