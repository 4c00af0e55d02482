// SPDX-License-Identifier: Apache-2.0
/* foreign.c - looks through all other tables for what writes our bits of ct mark. */
#include "dataplane/nft/foreign.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_connmark.h>
#include <stdlib.h>
#include <string.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"
#include "dataplane/nft/schema.h"

#define MAX_LINES 16
#define ALL_BITS 0xffffffffu
#define REGS 32

/* What a register may hold of ct mark: the bits that differ from the mark as it was. */
struct scan {
	uint32_t mask;
	uint32_t changed[REGS];
	uint32_t written; /* by the rule at hand */
	size_t lines;
	struct rs_strbuf text;
};

static void load(struct scan *s, uint32_t reg, uint32_t changed)
{
	if (reg < REGS)
		s->changed[reg] = changed;
}

static void see_ct(struct scan *s, struct nftnl_expr *e)
{
	bool mark = nftnl_expr_get_u32(e, NFTNL_EXPR_CT_KEY) == NFT_CT_MARK;
	uint32_t reg;

	if (nftnl_expr_is_set(e, NFTNL_EXPR_CT_SREG)) {
		reg = nftnl_expr_get_u32(e, NFTNL_EXPR_CT_SREG);
		if (mark)
			s->written |= reg < REGS ? s->changed[reg] : ALL_BITS;
	} else {
		load(s, nftnl_expr_get_u32(e, NFTNL_EXPR_CT_DREG), mark ? 0 : ALL_BITS);
	}
}

static void see_bitwise(struct scan *s, struct nftnl_expr *e)
{
	uint32_t from = nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_SREG), changed = ALL_BITS;
	uint32_t mask_len = 0, xor_len = 0, mask, xor;
	const void *m = nftnl_expr_get(e, NFTNL_EXPR_BITWISE_MASK, &mask_len);
	const void *x = nftnl_expr_get(e, NFTNL_EXPR_BITWISE_XOR, &xor_len);

	if (nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_OP) == NFT_BITWISE_BOOL && m && x &&
	    mask_len == 4 && xor_len == 4 && from < REGS) {
		memcpy(&mask, m, 4);
		memcpy(&xor, x, 4);
		changed = s->changed[from] | ~mask | xor;
	}
	load(s, nftnl_expr_get_u32(e, NFTNL_EXPR_BITWISE_DREG), changed);
}

/* iptables-nft carries its targets whole. RESTORE writes the packet's mark, not the flow's. */
static void see_target(struct scan *s, struct nftnl_expr *e)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_TG_NAME);
	struct xt_connmark_tginfo1 info;
	uint32_t len = 0;
	const void *data;

	if (!name || strcmp(name, "CONNMARK") != 0)
		return;
	data = nftnl_expr_get(e, NFTNL_EXPR_TG_INFO, &len);
	if (!data || len < sizeof(info)) {
		s->written = ALL_BITS;
		return;
	}
	memcpy(&info, data, sizeof(info));
	if (info.mode == XT_CONNMARK_SET)
		s->written |= info.ctmask | info.ctmark;
	else if (info.mode == XT_CONNMARK_SAVE)
		s->written |= info.ctmask | info.nfmask;
}

/* Any other expression that fills a register fills it with something that is not ct mark. */
static void see_other(struct scan *s, struct nftnl_expr *e, const char *name)
{
	static const struct {
		const char *name;
		uint16_t dreg;
	} loads[] = {
		{ "immediate", NFTNL_EXPR_IMM_DREG },
		{ "meta", NFTNL_EXPR_META_DREG },
		{ "payload", NFTNL_EXPR_PAYLOAD_DREG },
		{ "lookup", NFTNL_EXPR_LOOKUP_DREG },
		{ "numgen", NFTNL_EXPR_NG_DREG },
		{ "hash", NFTNL_EXPR_HASH_DREG },
		{ "byteorder", NFTNL_EXPR_BYTEORDER_DREG },
		{ "fib", NFTNL_EXPR_FIB_DREG },
		{ "rt", NFTNL_EXPR_RT_DREG },
		{ "socket", NFTNL_EXPR_SOCKET_DREG },
		{ "osf", NFTNL_EXPR_OSF_DREG },
		{ "exthdr", NFTNL_EXPR_EXTHDR_DREG },
	};

	for (size_t i = 0; i < RS_ARRAY_SIZE(loads); i++)
		if (!strcmp(loads[i].name, name) && nftnl_expr_is_set(e, loads[i].dreg))
			load(s, nftnl_expr_get_u32(e, loads[i].dreg), ALL_BITS);
}

static int see(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	struct scan *s = arg;

	if (!strcmp(name, "ct"))
		see_ct(s, e);
	else if (!strcmp(name, "bitwise"))
		see_bitwise(s, e);
	else if (!strcmp(name, "target"))
		see_target(s, e);
	else
		see_other(s, e, name);
	return 0;
}

static const char *family_name(uint32_t family)
{
	switch (family) {
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_NETDEV:
		return "netdev";
	default:
		return "?";
	}
}

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	struct scan *s = arg;
	const char *table;

	if (!r || nftnl_rule_nlmsg_parse(h, r) < 0)
		goto out;
	table = nftnl_rule_get_str(r, NFTNL_RULE_TABLE);
	if (!strcmp(table, RS_NFT_TABLE) &&
	    nftnl_rule_get_u32(r, NFTNL_RULE_FAMILY) == NFPROTO_INET)
		goto out;
	memset(s->changed, 0xff, sizeof(s->changed));
	s->written = 0;
	nftnl_expr_foreach(r, see, s);
	if (!(s->written & s->mask))
		goto out;
	if (s->lines++ < MAX_LINES) {
		rs_strbuf_printf(&s->text, "table %s ",
				 family_name(nftnl_rule_get_u32(r, NFTNL_RULE_FAMILY)));
		rs_strbuf_puts_safe(&s->text, table);
		rs_strbuf_puts(&s->text, " chain ");
		rs_strbuf_puts_safe(&s->text, nftnl_rule_get_str(r, NFTNL_RULE_CHAIN));
		rs_strbuf_printf(&s->text,
				 " rule %llu writes ct mark bits 0x%08x, which are ours (mask "
				 "0x%08x): every packet is judged, without the cache\n",
				 (unsigned long long)nftnl_rule_get_u64(r, NFTNL_RULE_HANDLE),
				 s->written & s->mask, s->mask);
	}
out:
	nftnl_rule_free(r);
	return MNL_CB_OK;
}

int rs_nft_foreign_scan(struct mnl_socket *nl, uint32_t mask, char **text, struct rs_err *err)
{
	char buf[RS_NFT_REQUEST];
	int rc = -EINTR;

	*text = NULL;
	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		struct scan s = { .mask = mask };

		rc = rs_nft_dump(nl,
				 nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_UNSPEC,
						       NLM_F_DUMP, (uint32_t)rs_mono_ms()),
				 on_rule, &s);
		if (!rc && s.text.len) {
			s.text.s[--s.text.len] = '\0'; /* the last newline */
			*text = rs_strbuf_steal(&s.text);
		}
		rs_strbuf_free(&s.text);
	}
	return rc ? rs_err_sys(err, -rc, "look through the other tables") : 0;
}
