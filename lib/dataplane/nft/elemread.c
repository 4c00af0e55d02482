// SPDX-License-Identifier: Apache-2.0
/* elemread.c - elements of a set out of the kernel, and intervals put together again. */
#include "dataplane/nft/readback.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>

#include "base/base.h"

struct walk {
	int (*fn)(const struct rs_nft_raw_elem *e, void *arg);
	void *arg;
	int rc;
};

static void parse_data(const struct nlattr *nest, struct rs_nft_raw_elem *e)
{
	const struct nlattr *a, *v;

	mnl_attr_for_each_nested(a, nest)
	{
		uint16_t type = mnl_attr_get_type(a);

		if (type == NFTA_DATA_VALUE && mnl_attr_get_payload_len(a) == 4)
			e->data = mnl_attr_get_payload(a);
		if (type != NFTA_DATA_VERDICT)
			continue;
		mnl_attr_for_each_nested(v, a)
		{
			if (mnl_attr_get_type(v) == NFTA_VERDICT_CHAIN &&
			    mnl_attr_validate(v, MNL_TYPE_NUL_STRING) >= 0)
				e->chain = mnl_attr_get_str(v);
		}
	}
}

/* {NAME "counter", DATA {BYTES, PACKETS}}; other expressions have no such numbers. */
static void parse_counter(const struct nlattr *nest, struct rs_nft_raw_elem *e)
{
	const struct nlattr *a, *c;

	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_type(a) != NFTA_EXPR_DATA)
			continue;
		mnl_attr_for_each_nested(c, a)
		{
			if (mnl_attr_get_type(c) != NFTA_COUNTER_PACKETS ||
			    mnl_attr_get_payload_len(c) != sizeof(uint64_t))
				continue;
			e->packets = be64toh(mnl_attr_get_u64(c));
			e->counted = true;
		}
	}
}

static void parse_notes(const struct nlattr *a, struct rs_nft_raw_elem *e)
{
	const uint8_t *p = mnl_attr_get_payload(a);
	size_t len = mnl_attr_get_payload_len(a), at = 0;

	while (at + 2 <= len && at + 2 + p[at + 1] <= len) {
		if (p[at] == NFTNL_UDATA_SET_ELEM_COMMENT && p[at + 1]) {
			e->comment = (const char *)p + at + 2;
			e->comment_len = strnlen(e->comment, p[at + 1]);
		}
		at += 2u + p[at + 1];
	}
}

static void parse_elem(const struct nlattr *nest, struct rs_nft_raw_elem *e)
{
	const struct nlattr *a, *k;

	memset(e, 0, sizeof(*e));
	mnl_attr_for_each_nested(a, nest)
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_SET_ELEM_KEY:
			mnl_attr_for_each_nested(k, a)
			{
				if (mnl_attr_get_type(k) != NFTA_DATA_VALUE)
					continue;
				e->key = mnl_attr_get_payload(k);
				e->key_len = mnl_attr_get_payload_len(k);
			}
			break;
		case NFTA_SET_ELEM_DATA:
			parse_data(a, e);
			break;
		case NFTA_SET_ELEM_FLAGS:
			if (mnl_attr_get_payload_len(a) == 4)
				e->interval_end =
					ntohl(mnl_attr_get_u32(a)) & NFT_SET_ELEM_INTERVAL_END;
			break;
		case NFTA_SET_ELEM_USERDATA:
			parse_notes(a, e);
			break;
		case NFTA_SET_ELEM_EXPR:
			parse_counter(a, e);
			break;
		default:
			break;
		}
	}
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	struct walk *w = arg;
	const struct nlattr *a, *list;
	struct rs_nft_raw_elem e;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		mnl_attr_for_each_nested(list, a)
		{
			parse_elem(list, &e);
			/* An error is kept, and the rest of the dump is read without it. */
			if (e.key && !w->rc)
				w->rc = w->fn(&e, w->arg);
		}
	}
	return MNL_CB_OK;
}

int rs_nft_each_elem(struct mnl_socket *nl, const char *table, const char *set,
		     int (*fn)(const struct rs_nft_raw_elem *e, void *arg), void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h;
	int rc;

	h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP,
				  (uint32_t)rs_mono_ms());
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, set);
	rc = rs_nft_dump(nl, h, on_message, &w);
	return rc ? rc : w.rc;
}
