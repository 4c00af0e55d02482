// SPDX-License-Identifier: Apache-2.0
/* stamp.c - chooses stamps that no live flow holds, over ctnetlink. */
#include "dataplane/nft/stamp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "base/base.h"

/* A flow whose stamp is old: what ctnetlink needs to find it again. */
struct old_flow {
	uint8_t family;
	uint16_t zone;
	bool has_zone;
	uint16_t tuple_len;
	uint8_t tuple[128];
};

struct sweep {
	struct rs_nft_stamps *s;
	uint16_t keep; /* with `old`: flows of every other stamp are gathered */
	struct rs_vec(struct old_flow) old;
	bool gather;
};

static size_t held_bytes(const struct rs_nft_stamps *s)
{
	return s->last / 8 + 1;
}

static bool is_held(const struct rs_nft_stamps *s, uint32_t stamp)
{
	return s->held[stamp / 8] >> stamp % 8 & 1;
}

int rs_nft_stamps_init(struct rs_nft_stamps *s, uint32_t mask, struct rs_err *err)
{
	uint32_t low = mask ? mask >> __builtin_ctz(mask) : 0;

	memset(s, 0, sizeof(*s));
	if (!mask || (low & (low + 1)) || low > 0xffff || low < 3)
		return rs_err_set(err, EINVAL,
				  "ct mark mask 0x%08x: it must be 2 to 16 bits without a gap",
				  mask);
	s->mask = mask;
	s->last = low;
	s->held = rs_new0(uint8_t, held_bytes(s));
	return 0;
}

void rs_nft_stamps_free(struct rs_nft_stamps *s)
{
	free(s->held);
	memset(s, 0, sizeof(*s));
}

void rs_nft_stamps_hold(struct rs_nft_stamps *s, uint16_t stamp)
{
	if (stamp <= s->last)
		s->held[stamp / 8] |= (uint8_t)(1u << stamp % 8);
}

static struct nlmsghdr *ct_request(char *buf, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = (uint32_t)rs_mono_ms();
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

static void remember(struct sweep *w, const struct nlmsghdr *h, const struct nlattr *tuple,
		     const struct nlattr *zone)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct old_flow *f;

	if (!tuple || mnl_attr_get_payload_len(tuple) > sizeof(f->tuple))
		return;
	f = rs_vec_push(&w->old);
	f->family = g->nfgen_family;
	f->tuple_len = mnl_attr_get_payload_len(tuple);
	memcpy(f->tuple, mnl_attr_get_payload(tuple), f->tuple_len);
	if (zone && mnl_attr_get_payload_len(zone) == 2) {
		f->has_zone = true;
		f->zone = mnl_attr_get_u16(zone);
	}
}

static int on_flow(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a, *tuple = NULL, *zone = NULL;
	struct sweep *w = arg;
	uint32_t mark = 0, stamp;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(a)) {
		case CTA_MARK:
			if (mnl_attr_get_payload_len(a) == 4)
				mark = ntohl(mnl_attr_get_u32(a));
			break;
		case CTA_TUPLE_ORIG:
			tuple = a;
			break;
		case CTA_ZONE:
			zone = a;
			break;
		default:
			break;
		}
	}
	stamp = (mark & w->s->mask) >> __builtin_ctz(w->s->mask);
	if (!stamp)
		return MNL_CB_OK;
	rs_nft_stamps_hold(w->s, (uint16_t)stamp);
	if (w->gather && stamp != w->keep)
		remember(w, h, tuple, zone);
	return MNL_CB_OK;
}

static int dump_flows(struct sweep *w, struct mnl_socket *nl, struct rs_err *err)
{
	char buf[RS_NFT_REQUEST];
	int rc = -EINTR;

	for (int i = 0; i < 8 && rc == -EINTR; i++)
		rc = rs_nft_dump(nl, ct_request(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC),
				 on_flow, w);
	/* A flow that such a dump may have missed is one that ended or began meanwhile, and a
	 * new one can only hold the current stamp; but what cannot be read through is not
	 * trusted. */
	if (rc)
		return rs_err_sys(err, -rc, "read the marks of conntrack");
	return 0;
}

int rs_nft_stamps_load(struct rs_nft_stamps *s, struct mnl_socket *nl, struct rs_err *err)
{
	struct sweep w = { .s = s };
	int rc;

	memset(s->held, 0, held_bytes(s));
	rc = dump_flows(&w, nl, err);
	s->loaded = rc == 0;
	return rc;
}

/* Zero our bits in one flow; that it is gone, or cannot be changed, shows in the dump that
 * follows. */
static void clear_flow(const struct rs_nft_stamps *s, struct mnl_socket *nl,
		       const struct old_flow *f)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h = ct_request(buf, IPCTNL_MSG_CT_NEW, NLM_F_ACK, f->family);

	mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, f->tuple_len, f->tuple);
	if (f->has_zone)
		mnl_attr_put_u16(h, CTA_ZONE, f->zone);
	mnl_attr_put_u32(h, CTA_MARK, 0);
	mnl_attr_put_u32(h, CTA_MARK_MASK, htonl(s->mask));
	(void)rs_nft_dump(nl, h, NULL, NULL);
}

static int sweep(struct rs_nft_stamps *s, struct mnl_socket *nl, uint16_t keep, struct rs_err *err)
{
	struct sweep w = { .s = s, .keep = keep, .gather = true };
	int rc = dump_flows(&w, nl, err);

	for (size_t i = 0; !rc && i < w.old.n; i++)
		clear_flow(s, nl, &w.old.v[i]);
	rs_vec_free(&w.old);
	return rc ? rc : rs_nft_stamps_load(s, nl, err);
}

static uint16_t find_free(const struct rs_nft_stamps *s, uint16_t current)
{
	for (uint32_t i = 1; i <= s->last; i++) {
		uint32_t stamp = (current + i - 1) % s->last + 1;

		if (!is_held(s, stamp))
			return (uint16_t)stamp;
	}
	return 0;
}

int rs_nft_stamps_next(struct rs_nft_stamps *s, struct mnl_socket *nl, uint16_t current,
		       uint16_t *out, struct rs_err *err)
{
	uint16_t stamp;
	int rc = 0;

	if (!s->loaded)
		rc = rs_nft_stamps_load(s, nl, err);
	if (rc)
		return rc;
	rs_nft_stamps_hold(s, current);
	stamp = find_free(s, current);
	for (int pass = 0; !stamp && pass < 2; pass++) {
		rc = pass ? sweep(s, nl, current, err) : rs_nft_stamps_load(s, nl, err);
		if (rc)
			return rc;
		rs_nft_stamps_hold(s, current);
		stamp = find_free(s, current);
	}
	if (!stamp)
		return rs_err_set(
			err, EBUSY,
			"every stamp of mask 0x%08x is held by a flow and cannot be swept",
			s->mask);
	rs_nft_stamps_hold(s, stamp);
	*out = stamp;
	return 0;
}
