// SPDX-License-Identifier: Apache-2.0
/*
 * bpfanchor.c - a program at a netfilter hook does not switch conntrack on; one rule that reads it
 * does. Its chain hangs at no hook, so no packet pays for it.
 */
#include "dataplane/ebpf/ebpf.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>

#include "base/base.h"
#include "dataplane/nft/encode.h"
#include "dataplane/nft/nftmatch.h"

#define TABLE "ripstop-ct"
#define CHAIN "anchor"
#define COMMENT "made by ripstop-agent: keeps connection tracking on for its eBPF programs"
#define STATE_ESTABLISHED 0x02u

static int count_rule(const struct nlmsghdr *h, void *arg)
{
	(void)h;
	++*(size_t *)arg;
	return MNL_CB_OK;
}

static int count_rules(struct mnl_socket *nl, size_t *n)
{
	char buf[RS_NFT_REQUEST];
	int rc = -EINTR;

	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_INET,
							   NLM_F_DUMP, (uint32_t)rs_mono_ms());

		*n = 0;
		mnl_attr_put_strz(h, NFTA_RULE_TABLE, TABLE);
		mnl_attr_put_strz(h, NFTA_RULE_CHAIN, CHAIN);
		rc = rs_nft_dump(nl, h, count_rule, n);
	}
	return rc == -ENOENT ? 0 : rc;
}

int rs_ebpf_anchor_check(struct mnl_socket *nl, struct rs_err *err)
{
	size_t n = 0;
	int rc = count_rules(nl, &n);

	if (rc)
		return rs_err_sys(err, -rc, "read table inet %s", TABLE);
	return n ? 0 : rs_err_set(err, ESTALE, "table inet %s", TABLE);
}

int rs_ebpf_anchor_keep(struct mnl_socket *nl, struct rs_err *err)
{
	struct rs_nft_rule r = { .chain = CHAIN };
	rs_auto_batch b = { 0 };
	int rc = rs_ebpf_anchor_check(nl, err);

	if (rc != -ESTALE)
		return rc;
	rs_m_state(&r, STATE_ESTABLISHED, "established");
	rs_nft_batch_begin(&b);
	rs_nft_put_table(&b, TABLE, 0, COMMENT);
	rs_nft_put_chain(&b, TABLE, CHAIN, NULL, 0, 0);
	rs_nft_put_built(&b, rs_nft_rule_encode(&r, TABLE));
	rc = rs_nft_batch_send(&b, nl, NULL, err);
	return rc ? rs_err_wrap(err, "keep connection tracking on: table inet %s", TABLE) : 0;
}

int rs_ebpf_anchor_remove(struct mnl_socket *nl, struct rs_err *err)
{
	rs_auto_err why = { 0 };
	rs_auto_batch b = { 0 };
	int rc;

	rs_nft_batch_begin(&b);
	rs_nft_put_table_del(&b, TABLE);
	rc = rs_nft_batch_send(&b, nl, NULL, &why);
	if (!rc || rc == -ENOENT)
		return 0;
	rs_err_move(err, &why);
	return rs_err_wrap(err, "remove table inet %s", TABLE);
}
