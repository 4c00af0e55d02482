// SPDX-License-Identifier: Apache-2.0
/* ledger.c - transactions accounted for, by their numbers; see ledger.h. */
#include "dataplane/nft/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <libnftnl/common.h>

#include "base/base.h"
#include "dataplane/nft/watch.h"

#define TRIES 3 /* somebody may be at work just now */

static int on_generation(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a;
	uint32_t *out = arg;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFTA_GEN_ID && mnl_attr_get_payload_len(a) == 4)
			*out = ntohl(mnl_attr_get_u32(a));
	}
	return MNL_CB_STOP; /* one message is all there is */
}

int rs_nft_generation(struct mnl_socket *nl, uint32_t *out)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETGEN, NFPROTO_UNSPEC, 0,
						   (uint32_t)rs_mono_ms());
	int rc;

	*out = 0;
	rc = rs_nft_dump(nl, h, on_generation, out);
	if (!rc && !*out)
		rc = -ENODATA; /* it is never given out */
	return rc;
}

void rs_nft_ledger_begin(struct rs_nft_ledger *l, uint32_t base)
{
	*l = (struct rs_nft_ledger){ .known = base != 0, .base = base };
}

void rs_nft_ledger_end(struct rs_nft_ledger *l)
{
	l->known = false;
}

bool rs_nft_ledger_closes(const struct rs_nft_ledger *l, uint32_t number)
{
	return l->known && number == l->base + l->own + l->others;
}

/* ---- with the handle ------------------------------------------------------------------------- */

int rs_nft_send(struct rs_nft *n, struct rs_nft_batch *b, double *ms, struct rs_err *err)
{
	int rc = rs_nft_send_quietly(n, b, ms, err);

	n->ledger.own++;
	if (rc)
		rs_nft_ledger_end(&n->ledger);
	return rc;
}

void rs_nft_take_news(struct rs_nft *n, const struct rs_nft_news *news)
{
	n->others_changed |= news->others;
	n->ledger.others += news->transactions;
	if (news->ours)
		rs_nft_ledger_end(&n->ledger);
}

bool rs_nft_untouched(struct rs_dp *dp)
{
	struct rs_nft *n = rs_nft_of(dp);
	uint32_t now;

	for (int i = 0; i < TRIES; i++) {
		if (!n->known || n->drifted || !n->model || n->model != n->want ||
		    rs_nft_generation(n->nl, &now) < 0)
			return false;
		if (rs_nft_ledger_closes(&n->ledger, now))
			return rs_nft_check_others(n, NULL) == 0 && n->known;
		rs_nft_hear_news(n);
	}
	return false;
}
