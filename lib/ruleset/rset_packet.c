// SPDX-License-Identifier: Apache-2.0
/*
 * rset_packet.c - what a packet answers to meta, ct and payload, in the kernel's byte order: words
 * that the kernel keeps as numbers in the order of the host, what stands in packets as it stands.
 */
#include <netinet/in.h>

#include "ruleset/rset.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

/* ---- registers: a short value clears the rest of its word ------------------------------------ */

static void store32(struct rset_view *w, uint8_t reg, uint32_t v)
{
	memcpy(w->regs.b + reg * 4, &v, sizeof(v));
}

static void store16_net(struct rset_view *w, uint8_t reg, uint16_t v)
{
	uint8_t b[4] = { (uint8_t)(v >> 8), (uint8_t)v };

	memcpy(w->regs.b + reg * 4, b, sizeof(b));
}

static void store8(struct rset_view *w, uint8_t reg, uint8_t v)
{
	uint8_t b[4] = { v };

	memcpy(w->regs.b + reg * 4, b, sizeof(b));
}

static uint32_t load32(const struct rset_view *w, uint8_t reg)
{
	uint32_t v;

	memcpy(&v, w->regs.b + reg * 4, sizeof(v));
	return v;
}

static void leave(struct rset_view *w)
{
	w->regs.verdict.code = NFT_BREAK;
}

/* ---- meta ------------------------------------------------------------------------------------ */

const char *rset_meta_name(uint32_t key)
{
	static const char *const names[] = {
		[NFT_META_PROTOCOL] = "protocol", [NFT_META_MARK] = "mark",
		[NFT_META_IIF] = "iif",		  [NFT_META_OIF] = "oif",
		[NFT_META_NFTRACE] = "nftrace",	  [NFT_META_NFPROTO] = "nfproto",
		[NFT_META_L4PROTO] = "l4proto",	  [NFT_META_IIFGROUP] = "iifgroup",
		[NFT_META_OIFGROUP] = "oifgroup",
	};

	return key < RS_ARRAY_SIZE(names) ? names[key] : NULL;
}

/* Without a link its index is 0, its group does not exist. */
static void store_group(struct rset_view *w, uint8_t reg, uint32_t link, uint32_t group)
{
	if (link)
		store32(w, reg, group);
	else
		leave(w);
}

static void load_meta(struct rset_view *w, const struct rset_expr *x)
{
	const struct rs_packet *p = w->p;
	bool v4 = p->src.family == RS_AF_IP4;

	switch (x->key) {
	case NFT_META_PROTOCOL:
		store16_net(w, x->dreg, v4 ? ETH_P_IP : ETH_P_IPV6);
		break;
	case NFT_META_MARK:
		store32(w, x->dreg, w->mark);
		break;
	case NFT_META_IIF:
		store32(w, x->dreg, p->iif);
		break;
	case NFT_META_OIF:
		store32(w, x->dreg, p->oif);
		break;
	case NFT_META_NFPROTO:
		store8(w, x->dreg, v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
		break;
	case NFT_META_L4PROTO:
		store8(w, x->dreg, p->proto);
		break;
	case NFT_META_IIFGROUP:
		store_group(w, x->dreg, p->iif, p->iif_group);
		break;
	default: /* NFT_META_OIFGROUP; others were refused when the rule was read */
		store_group(w, x->dreg, p->oif, p->oif_group);
		break;
	}
}

/* ---- ct -------------------------------------------------------------------------------------- */

const char *rset_ct_name(uint32_t key)
{
	static const char *const names[] = {
		[NFT_CT_STATE] = "state",	  [NFT_CT_DIRECTION] = "direction",
		[NFT_CT_MARK] = "mark",		  [NFT_CT_L3PROTOCOL] = "l3proto",
		[NFT_CT_SRC] = "saddr",		  [NFT_CT_DST] = "daddr",
		[NFT_CT_PROTOCOL] = "protocol",	  [NFT_CT_PROTO_SRC] = "proto-src",
		[NFT_CT_PROTO_DST] = "proto-dst", [NFT_CT_SRC_IP] = "ip saddr",
		[NFT_CT_DST_IP] = "ip daddr",	  [NFT_CT_SRC_IP6] = "ip6 saddr",
		[NFT_CT_DST_IP6] = "ip6 daddr",
	};

	return key < RS_ARRAY_SIZE(names) ? names[key] : NULL;
}

static bool has_flow(const struct rset_view *w)
{
	return !w->no_flow_yet && !w->notrack &&
	       !(w->p->ct_state & (RS_CT_INVALID | RS_CT_UNTRACKED));
}

static uint32_t ct_state(const struct rset_view *w)
{
	if (has_flow(w))
		return w->p->ct_state;
	if (w->notrack || (!w->no_flow_yet && w->p->ct_state & RS_CT_UNTRACKED))
		return RS_CT_UNTRACKED;
	return RS_CT_INVALID;
}

static void store_addr(struct rset_view *w, uint8_t reg, const struct rs_addr *a)
{
	memcpy(w->regs.b + reg * 4, a->b, rs_addr_bytes(a->family));
}

static void store_addr_of(struct rset_view *w, uint8_t reg, const struct rs_addr *a, uint8_t family)
{
	if (a->family == family)
		store_addr(w, reg, a);
	else
		leave(w);
}

/* A flow's own keys. The family of a flow is that of its tuples. */
static void load_tuple(struct rset_view *w, const struct rset_expr *x)
{
	const struct rs_ct_tuple *t = x->dir ? &w->p->reply : &w->p->orig;

	switch (x->key) {
	case NFT_CT_SRC:
		store_addr(w, x->dreg, &t->src);
		break;
	case NFT_CT_DST:
		store_addr(w, x->dreg, &t->dst);
		break;
	case NFT_CT_SRC_IP:
		store_addr_of(w, x->dreg, &t->src, RS_AF_IP4);
		break;
	case NFT_CT_SRC_IP6:
		store_addr_of(w, x->dreg, &t->src, RS_AF_IP6);
		break;
	case NFT_CT_DST_IP:
		store_addr_of(w, x->dreg, &t->dst, RS_AF_IP4);
		break;
	case NFT_CT_DST_IP6:
		store_addr_of(w, x->dreg, &t->dst, RS_AF_IP6);
		break;
	case NFT_CT_PROTO_SRC:
		store16_net(w, x->dreg, t->sport);
		break;
	default: /* NFT_CT_PROTO_DST */
		store16_net(w, x->dreg, t->dport);
		break;
	}
}

static void load_ct(struct rset_view *w, const struct rset_expr *x)
{
	if (x->key == NFT_CT_STATE) {
		store32(w, x->dreg, ct_state(w));
		return;
	}
	if (!has_flow(w)) {
		leave(w);
		return;
	}
	switch (x->key) {
	case NFT_CT_DIRECTION:
		store8(w, x->dreg, w->p->ct_reply);
		break;
	case NFT_CT_MARK:
		store32(w, x->dreg, w->ct_mark);
		break;
	case NFT_CT_PROTOCOL:
		store8(w, x->dreg, w->p->ct_proto);
		break;
	case NFT_CT_L3PROTOCOL:
		store8(w, x->dreg,
		       w->p->orig.src.family == RS_AF_IP4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
		break;
	default:
		load_tuple(w, x);
		break;
	}
}

/* ---- payload --------------------------------------------------------------------------------- */

static uint64_t bits(unsigned int from, unsigned int n)
{
	return ((1ull << n) - 1) << from;
}

static void put(uint8_t *image, uint64_t *known, unsigned int at, const void *v, unsigned int n)
{
	memcpy(image + at, v, n);
	*known |= bits(at, n);
}

static void make_link(struct rset_image *im, const struct rs_packet *p)
{
	uint16_t type = htobe16(p->src.family == RS_AF_IP4 ? ETH_P_IP : ETH_P_IPV6);

	if (!p->has_mac)
		return;
	put(im->link, &im->link_known, 6, p->src_mac, 6);
	put(im->link, &im->link_known, 12, &type, 2);
}

/* Not the next header of IPv6: p->proto is that of the last one. Its first byte says the version,
 * and half of a traffic class that is taken for 0. */
static void make_net(struct rset_image *im, const struct rs_packet *p)
{
	bool v4 = p->src.family == RS_AF_IP4;
	uint8_t first = v4 ? 0x40 | (p->ip_words ? p->ip_words : 5) : 0x60;

	put(im->net, &im->net_known, 0, &first, 1);
	put(im->net, &im->net_known, v4 ? 8 : 7, &p->ttl, 1);
	if (v4)
		put(im->net, &im->net_known, 9, &p->proto, 1);
	put(im->net, &im->net_known, v4 ? 12 : 8, p->src.b, v4 ? 4 : 16);
	put(im->net, &im->net_known, v4 ? 16 : 24, p->dst.b, v4 ? 4 : 16);
}

static void make_trans(struct rset_image *im, const struct rs_packet *p)
{
	uint16_t ports[2] = { htobe16(p->sport), htobe16(p->dport) };

	if (p->proto == IPPROTO_TCP)
		put(im->trans, &im->trans_known, 13, &p->tcp_flags, 1);
	if (p->proto == IPPROTO_SCTP)
		put(im->trans, &im->trans_known, 12, &p->sctp_chunk, 1);
	switch (p->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
		put(im->trans, &im->trans_known, 0, ports, 4);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put(im->trans, &im->trans_known, 0, &p->icmp_type, 1);
		put(im->trans, &im->trans_known, 1, &p->icmp_code, 1);
		break;
	default:
		break;
	}
}

void rset_image_make(struct rset_image *im, const struct rs_packet *p)
{
	memset(im, 0, sizeof(*im));
	make_link(im, p);
	make_net(im, p);
	make_trans(im, p);
}

static int load_payload(struct rset_view *w, const struct rset_expr *x, struct rs_err *err)
{
	static const char *const names[] = { "link", "network", "transport" };
	const struct rset_image *im = &w->image;
	const uint8_t *from[] = { im->link, im->net, im->trans };
	const size_t size[] = { sizeof(im->link), sizeof(im->net), sizeof(im->trans) };
	const uint64_t known[] = { im->link_known, im->net_known, im->trans_known };
	uint32_t end = x->off + x->len;

	if (x->len % 4)
		memset(w->regs.b + (x->dreg + x->len / 4) * 4, 0, 4);
	if (x->key == NFT_PAYLOAD_LL_HEADER && !w->p->has_mac) {
		leave(w);
		return 0;
	}
	if (end > size[x->key] || bits(x->off, x->len) & ~known[x->key])
		return rs_err_set(err, EOPNOTSUPP,
				  "payload: the description of the packet does not say what is at "
				  "%s header + %u, %u bytes (protocol %u)",
				  names[x->key], x->off, x->len, w->p->proto);
	memcpy(w->regs.b + x->dreg * 4, from[x->key] + x->off, x->len);
	return 0;
}

int rset_load(struct rset_view *w, const struct rset_expr *x, struct rs_err *err)
{
	if (x->op == RSET_META)
		load_meta(w, x);
	else if (x->op == RSET_CT)
		load_ct(w, x);
	else
		return load_payload(w, x, err);
	return 0;
}

/* What has a flow keeps it. */
void rset_notrack(struct rset_view *w)
{
	if (!has_flow(w))
		w->notrack = true;
}

/* Writing the mark of a flow that is not there does nothing; the rule goes on. */
void rset_store(struct rset_view *w, const struct rset_expr *x)
{
	if (x->op == RSET_META_SET && x->key == NFT_META_MARK)
		w->mark = load32(w, x->sreg);
	if (x->op != RSET_CT_SET || !has_flow(w))
		return;
	w->ct_mark = load32(w, x->sreg);
	w->marked = true;
}
