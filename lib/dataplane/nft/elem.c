// SPDX-License-Identifier: Apache-2.0
/*
 * elem.c - set elements to netlink, straight on libmnl: libnftnl would hold a second copy of each.
 *
 * A message's list of elements is one attribute with a 16-bit length, which wraps without an error:
 * lists are cut at 60,000 bytes.
 */
#include "dataplane/nft/encode.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>
#include <libnftnl/udata.h>

#include "base/base.h"

#define LIST_MAX 60000
#define MESSAGE_ROOM 70000

struct writer {
	struct rs_nft_batch *b;
	const char *table;
	const char *set;
	bool del;
	struct nlmsghdr *h; /* NULL between messages */
	struct nlattr *list;
};

struct elem {
	const uint8_t *key;
	size_t key_len;
	bool interval_end;
	const uint32_t *number;
	const char *chain;
	const char *comment;
};

static void flush(struct writer *w)
{
	if (!w->h)
		return;
	mnl_attr_nest_end(w->h, w->list);
	rs_nft_batch_put(w->b, w->h);
	w->h = NULL;
}

static void start(struct writer *w)
{
	w->h = rs_nft_batch_msg(w->b, w->del ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM,
				w->del ? 0 : NLM_F_CREATE, MESSAGE_ROOM);
	mnl_attr_put_strz(w->h, NFTA_SET_ELEM_LIST_TABLE, w->table);
	mnl_attr_put_strz(w->h, NFTA_SET_ELEM_LIST_SET, w->set);
	w->list = mnl_attr_nest_start(w->h, NFTA_SET_ELEM_LIST_ELEMENTS);
}

static void put_data(struct nlmsghdr *h, const struct elem *e)
{
	struct nlattr *nest = mnl_attr_nest_start(h, NFTA_SET_ELEM_DATA), *verdict;

	if (e->chain) {
		verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
		mnl_attr_put_u32(h, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_GOTO));
		mnl_attr_put_strz(h, NFTA_VERDICT_CHAIN, e->chain);
		mnl_attr_nest_end(h, verdict);
	} else {
		mnl_attr_put(h, NFTA_DATA_VALUE, 4, e->number);
	}
	mnl_attr_nest_end(h, nest);
}

/* libnftnl's note format: one byte type, one byte length, the string with its NUL. */
static void put_comment(struct nlmsghdr *h, const char *comment)
{
	size_t len = strlen(comment) + 1;
	uint8_t note[NFT_USERDATA_MAXLEN];

	if (len > sizeof(note) - 2)
		return;
	note[0] = NFTNL_UDATA_SET_ELEM_COMMENT;
	note[1] = (uint8_t)len;
	memcpy(note + 2, comment, len);
	mnl_attr_put(h, NFTA_SET_ELEM_USERDATA, len + 2, note);
}

static void put(struct writer *w, const struct elem *e)
{
	struct nlattr *nest, *key;

	if (w->h && (char *)mnl_nlmsg_get_payload_tail(w->h) - (char *)w->list > LIST_MAX)
		flush(w);
	if (!w->h)
		start(w);
	nest = mnl_attr_nest_start(w->h, NFTA_LIST_ELEM);
	if (e->interval_end)
		mnl_attr_put_u32(w->h, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
	key = mnl_attr_nest_start(w->h, NFTA_SET_ELEM_KEY);
	mnl_attr_put(w->h, NFTA_DATA_VALUE, e->key_len, e->key);
	mnl_attr_nest_end(w->h, key);
	if (!w->del && (e->number || e->chain))
		put_data(w->h, e);
	if (!w->del && e->comment)
		put_comment(w->h, e->comment);
	mnl_attr_nest_end(w->h, nest);
}

/* The first key behind an interval; false when it reaches the last address. */
static bool successor(uint8_t *out, const uint8_t *key, size_t n)
{
	memcpy(out, key, n);
	for (size_t i = n; i-- > 0;)
		if (++out[i])
			return true;
	return false;
}

static void put_entry(struct writer *w, const struct rs_nft_plan *p, enum rs_nft_set_id id,
		      size_t i)
{
	const struct rs_nft_set_def *d = &rs_nft_sets[id];
	char chain[RS_NFT_NAME_LEN];
	uint8_t end[16];
	struct elem e = { .key = rs_nft_key(p, id, i), .key_len = d->key_len };

	if (!w->del)
		e.comment = rs_nft_comment(p, id, i);
	if (d->data == DATA_MARK)
		e.number = &p->set[id].data[i];
	if (d->data == DATA_VERDICT) {
		rs_nft_profile_chain(chain, id == SET_PORTS_IN ? RS_DIR_IN : RS_DIR_OUT,
				     p->set[id].data[i]);
		e.chain = chain;
	}
	put(w, &e);
	if (d->interval && successor(end, e.key + d->key_len, d->key_len))
		put(w, &(struct elem){ .key = end, .key_len = d->key_len, .interval_end = true });
}

void rs_nft_put_elems(struct rs_nft_batch *b, const char *table, const struct rs_nft_plan *p,
		      enum rs_nft_set_id id, const struct rs_nft_indexes *only, bool del)
{
	struct writer w = { .b = b, .table = table, .set = rs_nft_sets[id].name, .del = del };
	size_t n = only ? only->n : p->set[id].n;

	for (size_t i = 0; i < n; i++)
		put_entry(&w, p, id, only ? only->v[i] : i);
	flush(&w);
}

void rs_nft_put_stamp(struct rs_nft_batch *b, const char *table, uint32_t bits, uint64_t generation,
		      bool del)
{
	struct writer w = {
		.b = b, .table = table, .set = rs_nft_sets[SET_STAMP_NOW].name, .del = del
	};
	char text[40];

	snprintf(text, sizeof(text), "generation %" PRIu64, generation);
	put(&w, &(struct elem){ .key = (const uint8_t *)&bits, .key_len = 4, .comment = text });
	flush(&w);
}
