// SPDX-License-Identifier: Apache-2.0
/* nft_check.c - what the files of nft_kernel share. */
#include "nft_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"

int passed, failed, skipped;

bool check(bool ok, const char *what)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	fflush(stdout);
	ok ? passed++ : failed++;
	return ok;
}

struct rs_dp_config cfg;
const struct rs_dp_ops *bed_ops = &rs_dp_nft;
const struct bed_policy full = { .generation = 7 };

struct rs_dp *open_dp(void)
{
	rs_auto_err err = { 0 };
	struct rs_dp *dp = NULL;

	if (bed_ops->open(&cfg, &dp, &err) < 0) {
		fprintf(stderr, "open: %s\n", rs_err_str(&err));
		exit(1);
	}
	return dp;
}

bool commit(struct rs_dp *dp, const struct bed_policy *p, struct rs_dp_commit *done)
{
	struct rs_ir *ir = bed_ir(p);
	rs_auto_err err = { 0 };
	struct rs_dp_commit d;
	int rc = dp->ops->commit(dp, ir, done ? done : &d, &err);

	if (rc)
		printf("     commit: %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	return rc == 0;
}

/* read() answers with an IR that equals p's. */
bool reads(struct rs_dp *dp, const struct bed_policy *p)
{
	struct rs_ir *want = bed_ir(p), *have = NULL;
	rs_auto_err err = { 0 };
	int rc = dp->ops->read(dp, &have, &err);
	bool same = !rc && have && rs_ir_equal(want, have) && have->generation == want->generation;

	if (rc)
		printf("     read: %s\n", rs_err_str(&err));
	if (!rc && !same) {
		rs_autofree char *a = rs_ir_print(want);
		rs_autofree char *b = have ? rs_ir_print(have) : rs_strdup("nothing");

		printf("---- wanted\n%s---- read\n%s", a, b);
	}
	rs_ir_free(want);
	rs_ir_free(have);
	return same;
}

size_t drifts(struct rs_dp *dp, const char *expect)
{
	struct rs_dp_drifts d;
	rs_auto_err err = { 0 };
	size_t n, hit = 0;

	if (dp->ops->audit(dp, &d, &err) < 0) {
		printf("     audit: %s\n", rs_err_str(&err));
		return SIZE_MAX;
	}
	n = d.n;
	for (size_t i = 0; i < d.n; i++) {
		rs_autofree char *line = rs_asprintf("%s: %s", d.v[i].object, d.v[i].what);

		hit += expect && strstr(line, expect) != NULL;
		if (!expect || !strstr(line, expect))
			printf("     drift %s\n", line);
	}
	rs_dp_drifts_free(&d);
	return expect ? hit : n;
}

bool lists(void)
{
	return !bed_sh(NODE, NULL, "nft list table inet ripstop >/dev/null 2>&1") &&
	       !bed_sh(NODE, NULL,
		       "nft -j list table inet ripstop 2>/dev/null | "
		       "python3 -c 'import json,sys; json.load(sys.stdin)' 2>&1");
}

/* ---- conntrack ------------------------------------------------------------------------------- */

static int conntrack(uint16_t type, uint16_t flags, mnl_cb_t cb, void *arg)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct mnl_socket *nl;
	int rc;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = 1;
	mnl_nlmsg_put_extra_header(h, sizeof(struct nfgenmsg));
	if (rs_nft_socket(0, &nl, NULL) < 0)
		exit(1);
	rc = rs_nft_dump(nl, h, cb, arg);
	mnl_socket_close(nl);
	return rc;
}

void forget_flows(void)
{
	check(conntrack(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, NULL, NULL) == 0, "conntrack is emptied");
}

struct marked {
	uint32_t mask;
	unsigned int n;
};

static int on_flow(const struct nlmsghdr *h, void *arg)
{
	struct marked *m = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == CTA_MARK)
			m->n += (ntohl(mnl_attr_get_u32(a)) & m->mask) != 0;
	}
	return MNL_CB_OK;
}

unsigned int marked_flows(uint32_t mask)
{
	struct marked m = { .mask = mask };

	conntrack(IPCTNL_MSG_CT_GET, NLM_F_DUMP, on_flow, &m);
	return m.n;
}
