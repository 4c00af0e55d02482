// SPDX-License-Identifier: Apache-2.0
/* bpfevent.c - drop records from the ring buffer. */
#include "dataplane/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

_Static_assert((int)RS_BPF_REASONS == (int)RS_DROP_REASONS, "one list of reasons");
_Static_assert((int)RS_BPF_MALFORMED == (int)RS_DROP_MALFORMED, "in one order");

/* Records bear the time since boot. */
static int64_t wall_clock(uint64_t mono_ns)
{
	struct timespec wall, mono;

	if (clock_gettime(CLOCK_REALTIME, &wall) || clock_gettime(CLOCK_MONOTONIC, &mono))
		return 0;
	return (wall.tv_sec - mono.tv_sec) * 1000000000LL + wall.tv_nsec - mono.tv_nsec +
	       (int64_t)mono_ns;
}

static void take_l4(const struct rs_bpf_view *v, struct rs_dp_drop *d)
{
	d->proto = v->l4;
	if (!v->l4_read)
		return;
	d->has_ports = v->l4 == IPPROTO_TCP || v->l4 == IPPROTO_UDP || v->l4 == IPPROTO_SCTP;
	d->has_flags = v->l4 == IPPROTO_TCP;
	d->has_icmp = v->l4 == IPPROTO_ICMP || v->l4 == IPPROTO_ICMPV6;
	d->sport = v->sport;
	d->dport = v->dport;
	d->tcp_flags = v->tcp_flags;
	d->icmp_type = v->icmp_type;
	d->icmp_code = v->icmp_code;
}

static bool to_drop(const struct rs_bpf_event *e, struct rs_dp_drop *d)
{
	const struct rs_bpf_view *v = &e->view;

	if (e->verdict >= RS_BPF_COUNT_QUIET)
		return false;
	memset(d, 0, sizeof(*d));
	d->reason = (enum rs_drop_reason)(e->verdict / 2);
	d->from_pod = e->verdict & 1;
	d->time_ns = wall_clock(e->time_ns);
	d->iif = v->iif;
	d->oif = v->oif;
	if (!v->broken) {
		d->src = rs_bpf_addr_to(&v->src);
		d->dst = rs_bpf_addr_to(&v->dst);
		take_l4(v, d);
	}
	/* Who opened a flow that is taken up in mid-stream is not known. */
	d->tracked = v->state != RS_BPF_CT_NONE &&
		     !(d->reason == RS_DROP_INVALID && v->state == RS_BPF_CT_NEW);
	d->reply = v->reply;
	d->related = v->state == RS_BPF_CT_RELATED;
	d->group = e->group;
	d->generation = e->generation;
	return true;
}

/* A negative number ends the reading; the record is taken all the same. */
static int on_record(void *arg, void *data, size_t len)
{
	struct rs_ebpf_log *log = arg;
	struct rs_bpf_event e;
	struct rs_dp_drop d;

	if (!log->fn || len < sizeof(e))
		return 0;
	memcpy(&e, data, sizeof(e));
	if (to_drop(&e, &d)) {
		log->received++;
		log->fn(&d, log->arg);
	}
	return --log->left ? 0 : -EAGAIN;
}

void rs_ebpf_log_close(struct rs_ebpf *e)
{
	ring_buffer__free(e->log.ring);
	if (e->log.fd >= 0)
		close(e->log.fd);
	e->log = (struct rs_ebpf_log){ .fd = -1 };
}

static int first_ring(struct rs_ebpf *e)
{
	struct epoll_event ev = { .events = EPOLLIN };

	e->log.ring = ring_buffer__new(e->set.events, on_record, &e->log, NULL);
	if (!e->log.ring)
		return -errno;
	return epoll_ctl(e->log.fd, EPOLL_CTL_ADD, ring_buffer__epoll_fd(e->log.ring), &ev) ? -errno
											    : 0;
}

void rs_ebpf_log_follow(struct rs_ebpf *e)
{
	if (e->log.fd < 0)
		return;
	if (e->log.ring)
		(void)ring_buffer__add(e->log.ring, e->set.events, on_record, &e->log);
	else
		(void)first_ring(e);
}

/* At an agent's first start there is no set yet: then the ring comes with it. */
int rs_ebpf_log_open(struct rs_dp *dp, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	int rc;

	if (!e->cfg.log_rate)
		return rs_err_set(err, ENODATA, "no drop records are made (log rate 0)");
	rs_ebpf_log_close(e);
	e->log.fd = epoll_create1(EPOLL_CLOEXEC);
	rc = e->log.fd < 0 ? -errno : e->set.obj ? first_ring(e) : 0;
	if (rc) {
		rs_ebpf_log_close(e);
		return rs_err_sys(err, -rc, "drop records: open the ring buffer");
	}
	/* What waits there is of a time when nobody asked. */
	if (e->log.ring)
		(void)ring_buffer__consume(e->log.ring);
	return 0;
}

int rs_ebpf_log_fd(const struct rs_dp *dp)
{
	return ((const struct rs_ebpf *)dp)->log.fd;
}

int rs_ebpf_log_read(struct rs_dp *dp, size_t max, rs_dp_drop_fn *fn, void *arg, struct rs_err *err)
{
	struct rs_ebpf_log *log = &rs_ebpf_of(dp)->log;
	int rc;

	if (!log->ring || !max)
		return 0;
	log->fn = fn;
	log->arg = arg;
	log->left = max;
	rc = ring_buffer__consume(log->ring);
	if (rc == -EAGAIN)
		return (int)max;
	if (rc < 0)
		return rs_err_sys(err, -rc, "drop records: read the ring buffer");
	return (int)(max - log->left);
}
