// SPDX-License-Identifier: Apache-2.0
/*
 * bpftc.c - programs at devices: the guard at every pod's link and, of ebpf-tc, the verdict at
 * every device of this network namespace.
 *
 * They are clsact filters, which live as long as the device, whatever becomes of the agent. Ours
 * have a priority, a handle and a name of their own, by which they are known; what another program
 * put there stays, and is told of. The clsact itself may be of use to others by now, so it stays
 * too. But a device that is up loses packets for some 2 ms when its first clsact comes: the kernel
 * stops its queues (qdisc_graft()). There they are links (bpftcx.h), where the kernel has them; not
 * everywhere, because coming and going each costs an RCU grace period with all links locked.
 */
#include "dataplane/ebpf/ebpf.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpftcx.h"
#include "dataplane/nft/batch.h"

/* The first place (1) is what others take without asking. */
#define PRIORITY_A 2
#define PRIORITY_B 3
#define HANDLE 0x5253
#define OUR_NAME "rs_tc_"
#define LOOPBACK 1

static uint32_t priority_of(char place)
{
	return place == 'b' ? PRIORITY_B : PRIORITY_A;
}

static uint64_t dev_of(uint32_t index, bool pod)
{
	return 2ull * index + pod;
}

static uint32_t index_of(uint64_t dev)
{
	return (uint32_t)(dev / 2);
}

static int dev_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool has(const struct rs_bpf_devs *d, uint64_t dev)
{
	return d->n && bsearch(&dev, d->v, d->n, sizeof(*d->v), dev_cmp);
}

static void order(struct rs_bpf_devs *d)
{
	if (d->n)
		qsort(d->v, d->n, sizeof(*d->v), dev_cmp);
}

/* RS_BPF_TCS: none. */
static int program_for(const struct rs_ebpf *e, uint64_t dev, bool in)
{
	bool pod = dev & 1;

	if (!e->cfg.bpf_tc)
		return pod && in ? RS_BPF_TC_GUARD : RS_BPF_TCS;
	if (pod)
		return in ? RS_BPF_TC_FROM_POD : RS_BPF_TC_TO_POD;
	return in ? RS_BPF_TC_FROM_WORLD : RS_BPF_TC_TO_WORLD;
}

/* ---- what stands there ----------------------------------------------------------------------- */

struct standing {
	uint32_t id; /* of the program; 0: none */
	bool ours;
};

static int on_filter(const struct nlmsghdr *h, void *arg)
{
	struct standing *st = arg;
	const struct nlattr *a, *b;

	if (h->nlmsg_type != RTM_NEWTFILTER)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(struct tcmsg))
	{
		if (mnl_attr_get_type(a) != TCA_OPTIONS)
			continue;
		mnl_attr_for_each_nested(b, a)
		{
			if (mnl_attr_get_type(b) == TCA_BPF_ID &&
			    mnl_attr_get_payload_len(b) == sizeof(uint32_t))
				st->id = mnl_attr_get_u32(b);
			if (mnl_attr_get_type(b) == TCA_BPF_NAME &&
			    mnl_attr_validate(b, MNL_TYPE_NUL_STRING) >= 0)
				st->ours =
					!strncmp(mnl_attr_get_str(b), OUR_NAME, strlen(OUR_NAME));
		}
	}
	return MNL_CB_OK;
}

/* The head of one, of len bytes, to fill; the request is buf's. */
static void *request(char *buf, uint16_t type, size_t len)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = (uint32_t)rs_mono_ms();
	return mnl_nlmsg_put_extra_header(h, len);
}

static void look(struct rs_ebpf *e, uint32_t index, bool in, char place, struct standing *st)
{
	char buf[RS_NFT_REQUEST];
	struct tcmsg *t = request(buf, RTM_GETTFILTER, sizeof(*t));
	struct nlmsghdr *h = (void *)buf;

	t->tcm_ifindex = (int)index;
	t->tcm_parent = TC_H_MAKE(TC_H_CLSACT, in ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
	t->tcm_handle = HANDLE;
	t->tcm_info = TC_H_MAKE(priority_of(place) << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	memset(st, 0, sizeof(*st));
	(void)rs_nft_dump(e->tc.nl, h, on_filter, st); /* what cannot be found is not there */
}

/* ---- put and take away ----------------------------------------------------------------------- */

static int put_filter(struct rs_ebpf *e, uint32_t index, bool in, char place, int prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)index,
		    .attach_point = in ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, o, .handle = HANDLE, .priority = priority_of(place),
		    .prog_fd = prog);
	struct standing st;
	int rc = bpf_tc_hook_create(&hook);

	if (rc && rc != -EEXIST)
		return rc;
	rc = bpf_tc_attach(&hook, &o);
	if (rc != -EEXIST)
		return rc;
	look(e, index, in, place, &st);
	if (!st.ours)
		return -EBUSY;
	if (st.id == rs_bpf_object_id(prog))
		return 0;
	o.prog_id = 0;
	o.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&hook, &o);
}

static void take_away(struct rs_ebpf *e, uint32_t index, bool in, char place)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)index,
		    .attach_point = in ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, o, .handle = HANDLE, .priority = priority_of(place));
	struct standing st;

	look(e, index, in, place, &st);
	if (st.ours)
		(void)bpf_tc_detach(&hook, &o);
}

static int on_flags(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	unsigned int *flags = arg;

	if (h->nlmsg_type == RTM_NEWLINK)
		*flags = i->ifi_flags;
	return MNL_CB_OK;
}

static bool is_up(struct rs_ebpf *e, uint32_t index)
{
	char buf[RS_NFT_REQUEST];
	struct ifinfomsg *i = request(buf, RTM_GETLINK, sizeof(*i));
	unsigned int flags = 0;

	i->ifi_index = (int)index;
	(void)rs_nft_dump(e->tc.nl, (void *)buf, on_flags, &flags);
	return flags & IFF_UP;
}

static int on_qdisc(const struct nlmsghdr *h, void *arg)
{
	bool *there = arg;
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWQDISC)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(struct tcmsg))
	{
		if (mnl_attr_get_type(a) == TCA_KIND &&
		    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			*there = !strcmp(mnl_attr_get_str(a), "clsact");
	}
	return MNL_CB_OK;
}

static bool has_clsact(struct rs_ebpf *e, uint32_t index)
{
	char buf[RS_NFT_REQUEST];
	struct tcmsg *t = request(buf, RTM_GETQDISC, sizeof(*t));
	bool there = false;

	t->tcm_ifindex = (int)index;
	t->tcm_parent = TC_H_CLSACT;
	(void)rs_nft_dump(e->tc.nl, (void *)buf, on_qdisc, &there);
	return there;
}

/* Asked when it is needed: an agent of nft makes no call of bpf(), which may be its end. */
static bool has_tcx(struct rs_ebpf *e)
{
	if (!e->tc.asked_tcx)
		e->tc.tcx = !e->cfg.bpf_clsact && rs_bpf_tcx_has();
	e->tc.asked_tcx = true;
	return e->tc.tcx;
}

static bool by_link(struct rs_ebpf *e, const struct rs_bpf_set *s, uint32_t index, bool in)
{
	return rs_bpf_tcx_holds(s, index, in) ||
	       (has_tcx(e) && is_up(e, index) && !has_clsact(e, index));
}

static int put_one(struct rs_ebpf *e, struct rs_bpf_set *s, char place, uint64_t dev, bool in)
{
	int prog = program_for(e, dev, in);

	if (prog == RS_BPF_TCS)
		return 0;
	if (by_link(e, s, index_of(dev), in))
		return rs_bpf_tcx_put(&e->cfg, s, index_of(dev), in, s->tc[prog]);
	return put_filter(e, index_of(dev), in, place, s->tc[prog]);
}

static bool stands(struct rs_ebpf *e, uint64_t dev, bool in, int prog)
{
	struct standing st;

	if (rs_bpf_tcx_holds(&e->set, index_of(dev), in))
		return rs_bpf_tcx_stands(&e->cfg, &e->set, index_of(dev), in, e->set.tc[prog]);
	look(e, index_of(dev), in, e->set.place, &st);
	return st.id && st.id == rs_bpf_object_id(e->set.tc[prog]);
}

/* ---- devices --------------------------------------------------------------------------------- */

struct listing {
	const struct rs_ebpf *e;
	struct rs_bpf_devs *to;
};

static int on_device(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	struct listing *l = arg;
	const struct nlattr *a;
	uint32_t group = 0;

	if (h->nlmsg_type != RTM_NEWLINK || i->ifi_index == LOOPBACK)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*i))
	{
		if (mnl_attr_get_type(a) == IFLA_GROUP && mnl_attr_get_payload_len(a) == 4)
			group = mnl_attr_get_u32(a);
	}
	*rs_vec_push(l->to) =
		dev_of((uint32_t)i->ifi_index, (group & ~1u) == (l->e->cfg.link_group & ~1u));
	return MNL_CB_OK;
}

static int list_devices(struct rs_ebpf *e, struct rs_bpf_devs *to, struct rs_err *err)
{
	struct listing l = { .e = e, .to = to };
	char buf[RS_NFT_REQUEST];
	int rc = -EINTR;

	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

		h->nlmsg_type = RTM_GETLINK;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		h->nlmsg_seq = (uint32_t)rs_mono_ms();
		mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
		to->n = 0;
		rc = rs_nft_dump(e->tc.nl, h, on_device, &l);
	}
	order(to);
	return rc ? rs_err_sys(err, -rc, "list the devices") : 0;
}

static void links_of(const struct rs_bpf_plan *p, struct rs_bpf_devs *to)
{
	const struct rs_bpf_table *t = &p->t[RS_BPF_MAP_LINKS];
	uint32_t index;

	for (size_t i = 0; i < t->n; i++) {
		memcpy(&index, rs_bpf_key(t, RS_BPF_MAP_LINKS, i), sizeof(index));
		*rs_vec_push(to) = dev_of(index, true);
	}
	order(to);
}

static bool has_link(const struct rs_bpf_plan *p, uint64_t dev)
{
	uint32_t index = index_of(dev);
	size_t at;

	return dev & 1 && p &&
	       rs_bpf_table_find(&p->t[RS_BPF_MAP_LINKS], RS_BPF_MAP_LINKS, (const uint8_t *)&index,
				 &at);
}

/* ---- in step --------------------------------------------------------------------------------- */

static char *say_where(uint64_t dev, int rc)
{
	char name[IF_NAMESIZE];

	if (!if_indextoname(index_of(dev), name))
		snprintf(name, sizeof(name), "%u", index_of(dev));
	if (rc == -ERANGE)
		return rs_asprintf("other programs have all the room at device %s (tcx)", name);
	if (rc == -EBUSY || rc == -EINVAL)
		return rs_asprintf(
			"another program's filter stands where ours should, at device %s, "
			"priority %d or %d",
			name, PRIORITY_A, PRIORITY_B);
	return rs_asprintf("no program can stand at device %s: %s", name, strerror(-rc));
}

static bool is_gone(int rc)
{
	return rc == -ENODEV || rc == -ENXIO;
}

/* A pod that comes must not come without; the others judge on as they did. */
static bool must_stand(const struct rs_ebpf *e, const struct rs_bpf_plan *to, uint64_t dev)
{
	return e->cfg.bpf_tc && has_link(to, dev) && !has_link(e->model, dev);
}

/* The one at pods' links that asks whether the others stand comes last. */
static bool comes_last(uint64_t dev, bool in)
{
	return dev & 1 && in;
}

/* done: where all that was wanted stands. */
static int stand_at(struct rs_ebpf *e, struct rs_bpf_set *s, char place,
		    const struct rs_bpf_plan *to, const struct rs_bpf_devs *all, bool last,
		    struct rs_bpf_devs *done, struct rs_err *err)
{
	for (size_t i = 0; i < all->n; i++) {
		uint64_t dev = all->v[i];
		int rc = 0;

		for (int in = 0; in < 2 && !rc && !has(&e->tc.known, dev); in++)
			if (comes_last(dev, in) == last)
				rc = put_one(e, s, place, dev, in);
		/* Of ebpf-tc an index that comes again is another device, and is looked at. */
		if (!rc || (is_gone(rc) && !e->cfg.bpf_tc))
			*rs_vec_push(done) = dev;
		if (!rc || is_gone(rc))
			continue;
		if (!e->tc.why)
			e->tc.why = say_where(dev, rc);
		if (must_stand(e, to, dev))
			return rs_err_sys(err, -rc, "%s", e->tc.why);
	}
	return 0;
}

static bool is_used(uint32_t ifindex, void *arg)
{
	return has(arg, dev_of(ifindex, true)) || has(arg, dev_of(ifindex, false));
}

/* A pod's link goes a moment after the commit without it: whoever looks again finds that. */
void rs_ebpf_tc_tidy(struct rs_ebpf *e)
{
	if (e->set.place)
		rs_bpf_tcx_prune(&e->cfg, &e->set, is_used, &e->tc.known);
}

int rs_ebpf_tc_sync(struct rs_ebpf *e, struct rs_bpf_set *s, char place,
		    const struct rs_bpf_plan *to, struct rs_err *err)
{
	uint32_t before = e->cfg.bpf_tc ? rs_bpf_run_devices(s) : 0;
	struct rs_bpf_devs all = { 0 }, most = { 0 }, done = { 0 };
	int rc = 0;

	if (e->tc.missing)
		rs_ebpf_tc_forget(e);
	free(rs_steal_ptr(&e->tc.why));
	if (e->cfg.bpf_tc)
		rc = list_devices(e, &all, err);
	else
		links_of(to, &all);
	if (!rc)
		rc = stand_at(e, s, place, to, &all, false, &most, err);
	if (e->cfg.bpf_tc && !rc && !e->tc.why && rs_bpf_run_devices(s) == before)
		s->cfg->devices = before;
	if (!rc)
		rc = stand_at(e, s, place, to, &most, true, &done, err);
	rs_bpf_tcx_prune(&e->cfg, s, is_used, &all);
	rs_vec_free(&all);
	rs_vec_free(&most);
	if (rc) {
		rs_vec_free(&done);
		return rc;
	}
	rs_vec_free(&e->tc.known);
	e->tc.known = done;
	return 0;
}

void rs_ebpf_tc_forget(struct rs_ebpf *e)
{
	rs_vec_free(&e->tc.known);
	e->tc.missing = false;
}

/* The same again until the next commit mends it: who looks need not be who mends. */
void rs_ebpf_tc_audit(struct rs_ebpf *e, rs_bpf_tc_fn *fn, void *arg)
{
	size_t missing = 0;

	for (size_t i = 0; i < e->tc.known.n; i++)
		for (int in = 0; in < 2; in++) {
			uint64_t dev = e->tc.known.v[i];
			int prog = program_for(e, dev, in);
			char name[IF_NAMESIZE];

			if (prog == RS_BPF_TCS || !if_indextoname(index_of(dev), name) ||
			    stands(e, dev, in, prog))
				continue;
			fn(rs_asprintf("program %s at device %s", rs_bpf_tc_name(prog), name), arg);
			missing++;
		}
	if (!missing)
		return;
	e->tc.missing = true;
	if (e->cfg.bpf_tc)
		e->set.cfg->devices = 0;
}

int rs_ebpf_tc_remove(struct rs_ebpf *e, char place, struct rs_err *err)
{
	struct rs_bpf_devs all = { 0 };
	int rc = list_devices(e, &all, err);

	for (size_t i = 0; i < all.n; i++)
		for (const char *p = "ab"; *p; p++)
			for (int in = 0; in < 2 && (!place || place == *p); in++)
				take_away(e, index_of(all.v[i]), in, *p);
	rs_vec_free(&all);
	return rc;
}

int rs_ebpf_tc_remove_strays(struct rs_ebpf *e, char place, struct rs_err *err)
{
	struct rs_bpf_devs all = { 0 };
	int rc = list_devices(e, &all, err);

	for (size_t i = 0; i < all.n; i++)
		for (int in = 0; in < 2; in++)
			if (program_for(e, all.v[i], in) == RS_BPF_TCS)
				take_away(e, index_of(all.v[i]), in, place);
	rs_vec_free(&all);
	return rc;
}

/* ---- news of devices ------------------------------------------------------------------------- */

static int open_watch(struct rs_ebpf *e, struct rs_err *err)
{
	int rc;

	e->tc.watch = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!e->tc.watch || mnl_socket_bind(e->tc.watch, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
		return rs_err_sys(err, errno, "watch the devices");
	rc = rs_ebpf_watch_also(e, mnl_socket_get_fd(e->tc.watch));
	return rc ? rs_err_sys(err, -rc, "watch the devices") : 0;
}

int rs_ebpf_tc_open(struct rs_ebpf *e, struct rs_err *err)
{
	e->tc.nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!e->tc.nl || mnl_socket_bind(e->tc.nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return rs_err_sys(err, errno, "open a netlink socket");
	return e->cfg.bpf_tc ? open_watch(e, err) : 0;
}

void rs_ebpf_tc_close(struct rs_ebpf *e)
{
	if (e->tc.nl)
		mnl_socket_close(e->tc.nl);
	if (e->tc.watch)
		mnl_socket_close(e->tc.watch);
	rs_vec_free(&e->tc.known);
	free(e->tc.why);
}

/* What is said does not matter, nor what was lost: the devices are listed anew. */
static bool drain(struct mnl_socket *nl)
{
	char buf[8192];
	bool any = false;

	for (;;) {
		ssize_t n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ENOBUFS)
			return any;
		any = true;
	}
}

void rs_ebpf_tc_hear(struct rs_ebpf *e)
{
	if (!e->tc.watch || !drain(e->tc.watch) || !e->set.place || !e->model)
		return;
	(void)rs_ebpf_tc_sync(e, &e->set, e->set.place, e->model, NULL);
}
