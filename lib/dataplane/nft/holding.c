// SPDX-License-Identifier: Apache-2.0
/* holding.c - how many chains, rules, sets and elements there should be and are; for people. */
#include "dataplane/nft/nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "base/base.h"
#include "dataplane/nft/skeleton.h"

struct count {
	struct rs_dp_holding *have;
	struct rs_vec(char *) sets; /* that packets do not fill */
};

static bool is_ours(const char *table)
{
	return table && !strcmp(table, RS_NFT_TABLE);
}

static int on_chain(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct count *n = arg;

	if (c && nftnl_chain_nlmsg_parse(h, c) == 0 &&
	    is_ours(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE)))
		n->have->chains++;
	nftnl_chain_free(c);
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_rule *r = nftnl_rule_alloc();
	struct count *n = arg;

	if (r && nftnl_rule_nlmsg_parse(h, r) == 0 &&
	    is_ours(nftnl_rule_get_str(r, NFTNL_RULE_TABLE)))
		n->have->rules++;
	nftnl_rule_free(r);
	return MNL_CB_OK;
}

static int on_set(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct count *n = arg;

	if (s && nftnl_set_nlmsg_parse(h, s) == 0 &&
	    is_ours(nftnl_set_get_str(s, NFTNL_SET_TABLE))) {
		n->have->sets++;
		if (!(nftnl_set_get_u32(s, NFTNL_SET_FLAGS) & NFT_SET_EVAL))
			*rs_vec_push(&n->sets) = rs_strdup(nftnl_set_get_str(s, NFTNL_SET_NAME));
	}
	nftnl_set_free(s);
	return MNL_CB_OK;
}

static int on_elem(const struct rs_nft_raw_elem *e, void *arg)
{
	struct rs_dp_holding *have = arg;

	(void)e;
	have->elements++;
	return 0;
}

static int dump(struct mnl_socket *nl, uint16_t type, uint16_t table_attr, mnl_cb_t cb, void *arg)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h =
		nftnl_nlmsg_build_hdr(buf, type, NFPROTO_INET, NLM_F_DUMP, (uint32_t)rs_mono_ms());

	mnl_attr_put_strz(h, table_attr, RS_NFT_TABLE);
	return rs_nft_dump(nl, h, cb, arg);
}

static int count_once(struct mnl_socket *nl, struct rs_dp_holding *have)
{
	struct count n = { .have = have };
	int rc;

	memset(have, 0, sizeof(*have));
	rc = dump(nl, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, on_chain, &n);
	if (!rc)
		rc = dump(nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, on_rule, &n);
	if (!rc)
		rc = dump(nl, NFT_MSG_GETSET, NFTA_SET_TABLE, on_set, &n);
	for (size_t i = 0; i < n.sets.n; i++) {
		if (!rc)
			rc = rs_nft_each_elem(nl, RS_NFT_TABLE, n.sets.v[i], on_elem, have);
		free(n.sets.v[i]);
	}
	rs_vec_free(&n.sets);
	return rc;
}

static void count_wanted(const struct rs_nft *n, struct rs_dp_holding *want)
{
	const struct rs_nft_plan *p = n->want ? n->want : n->model;
	struct rs_nft_skeleton sk;

	memset(want, 0, sizeof(*want));
	if (!p)
		return;
	rs_nft_skeleton_make(&sk, &n->cfg, rs_nft_cache(n), n->stamp);
	want->tables = 1;
	want->chains = rs_nft_n_chains + p->profiles.n;
	want->rules = sk.n + p->profiles.n + p->ports.n; /* a profile's last rule is no port's */
	want->sets = SETS;
	want->elements = rs_nft_plan_elements(p) + 1; /* stamp_now */
	rs_nft_skeleton_free(&sk);
}

int rs_nft_holding(struct rs_dp *dp, struct rs_dp_holding *want, struct rs_dp_holding *have,
		   struct rs_err *err)
{
	struct rs_nft *n = rs_nft_of(dp);
	int rc = -EINTR;

	for (int i = 0; i < 8 && (rc == -EINTR || rc == -ENOENT); i++)
		rc = count_once(n->nl, have);
	if (rc == -ENOENT) { /* no table: nothing to count */
		memset(have, 0, sizeof(*have));
		rc = 0;
	}
	if (rc)
		return rs_err_sys(err, -rc, "count what table inet %s holds", RS_NFT_TABLE);
	have->tables = have->chains || have->sets;
	count_wanted(n, want);
	return 0;
}
