// SPDX-License-Identifier: Apache-2.0
/*
 * readback.c - reads our table out of the kernel.
 *
 * Whether the fixed parts are what they should be is decided by comparing what libnftnl prints for
 * the kernel's object with what it prints for ours. Anything unexpected makes the table unusable,
 * never an error: the next commit then makes it anew.
 */
#include "dataplane/nft/readback.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "base/base.h"
#include "dataplane/nft/ledger.h"
#include "dataplane/nft/rules.h"

#define TRIES 8

void rs_nft_kernel_clear(struct rs_nft_kernel *k)
{
	free(k->why_not);
	free(k->stamps);
	rs_nft_plan_free(k->plan);
	memset(k, 0, sizeof(*k));
}

/* The first fault found is the one that is told. */
static void fault(struct rs_nft_kernel *k, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void fault(struct rs_nft_kernel *k, const char *fmt, ...)
{
	va_list ap;

	if (k->why_not)
		return;
	va_start(ap, fmt);
	k->why_not = rs_vasprintf(fmt, ap);
	va_end(ap);
}

static int dump(struct mnl_socket *nl, uint16_t type, uint16_t table_attr, mnl_cb_t cb, void *arg)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h =
		nftnl_nlmsg_build_hdr(buf, type, NFPROTO_INET, NLM_F_DUMP, (uint32_t)rs_mono_ms());

	if (table_attr)
		mnl_attr_put_strz(h, table_attr, RS_NFT_TABLE);
	return rs_nft_dump(nl, h, cb, arg);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int comment_cb(const struct nftnl_udata *attr, void *arg)
{
	char *out = arg;

	if (nftnl_udata_type(attr) == NFTNL_UDATA_TABLE_COMMENT)
		snprintf(out, NFT_USERDATA_MAXLEN, "%.*s", (int)nftnl_udata_len(attr),
			 (const char *)nftnl_udata_get(attr));
	return 0;
}

static void check_comment(struct rs_nft_kernel *k, struct nftnl_table *t)
{
	char comment[NFT_USERDATA_MAXLEN] = "";
	const void *notes;
	uint32_t len;

	notes = nftnl_table_get_data(t, NFTNL_TABLE_USERDATA, &len);
	if (notes)
		nftnl_udata_parse(notes, len, comment_cb, comment);
	if (strcmp(comment, rs_nft_table_comment) != 0)
		fault(k, "the table is not of layout %d", RS_NFT_LAYOUT);
}

static int on_table(const struct nlmsghdr *h, void *arg)
{
	struct rs_nft_kernel *k = arg;
	struct nftnl_table *t = nftnl_table_alloc();

	if (t && nftnl_table_nlmsg_parse(h, t) == 0 &&
	    nftnl_table_get_u32(t, NFTNL_TABLE_FAMILY) == NFPROTO_INET &&
	    !strcmp(nftnl_table_get_str(t, NFTNL_TABLE_NAME), RS_NFT_TABLE)) {
		k->exists = true;
		k->flags = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS);
		if (nftnl_table_is_set(t, NFTNL_TABLE_OWNER))
			k->owner = nftnl_table_get_u32(t, NFTNL_TABLE_OWNER);
		check_comment(k, t);
		if (k->flags & NFT_TABLE_F_DORMANT)
			fault(k, "the table is switched off (dormant)");
	}
	nftnl_table_free(t);
	return MNL_CB_OK;
}

/* ---- sets and chains ------------------------------------------------------------------------- */

struct shape {
	struct rs_nft_kernel *k;
	bool set[SETS];
	bool chain[64];
	struct rs_nft_rules *rules;
};

static int on_set(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct shape *shape = arg;
	const struct rs_nft_set_def *d;
	uint32_t flags;
	int id;

	if (!s || nftnl_set_nlmsg_parse(h, s) < 0)
		goto out;
	id = rs_nft_set_by_name(nftnl_set_get_str(s, NFTNL_SET_NAME));
	if (id < 0)
		goto out;
	d = &rs_nft_sets[id];
	flags = nftnl_set_get_u32(s, NFTNL_SET_FLAGS);
	shape->set[id] = nftnl_set_get_u32(s, NFTNL_SET_KEY_TYPE) == d->key_type &&
			 nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN) == d->key_len &&
			 !(flags & NFT_SET_MAP) == (d->data == DATA_NONE) &&
			 !(flags & NFT_SET_INTERVAL) == !d->interval &&
			 !(flags & NFT_SET_TIMEOUT) == !d->dynamic;
out:
	nftnl_set_free(s);
	return MNL_CB_OK;
}

static int on_chain(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct shape *shape = arg;
	const char *name;

	if (!c || nftnl_chain_nlmsg_parse(h, c) < 0)
		goto out;
	name = nftnl_chain_get_str(c, NFTNL_CHAIN_NAME);
	rs_nft_rules_chain(shape->rules, name);
	for (size_t i = 0; i < rs_nft_n_chains; i++) {
		const struct rs_nft_chain_def *d = &rs_nft_chains[i];

		if (strcmp(d->name, name) != 0)
			continue;
		shape->chain[i] =
			nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM) == d->base &&
			(!d->base || (nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == d->hook &&
				      nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO) == d->prio));
	}
out:
	nftnl_chain_free(c);
	return MNL_CB_OK;
}

static int read_shape(struct mnl_socket *nl, struct rs_nft_kernel *k, struct rs_nft_rules *rules)
{
	struct shape shape = { .k = k, .rules = rules };
	int rc = dump(nl, NFT_MSG_GETSET, NFTA_SET_TABLE, on_set, &shape);

	if (!rc)
		rc = dump(nl, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, on_chain, &shape);
	if (rc)
		return rc;
	for (int i = 0; i < SETS; i++)
		if (!shape.set[i])
			fault(k, "set %s is missing or of another type", rs_nft_sets[i].name);
	for (size_t i = 0; i < rs_nft_n_chains; i++)
		if (!shape.chain[i])
			fault(k, "chain %s is missing or hooked elsewhere", rs_nft_chains[i].name);
	return 0;
}

/* ---- elements -------------------------------------------------------------------------------- */

struct bound {
	uint8_t key[16];
	bool end;
	uint32_t data;
};

struct reader {
	struct rs_nft_kernel *k;
	enum rs_nft_set_id id;
	struct rs_vec(struct bound) bounds;
	size_t len; /* of the key: for the sort */
};

static int take_elem(const struct rs_nft_raw_elem *e, void *arg)
{
	struct reader *r = arg;
	const struct rs_nft_set_def *d = &rs_nft_sets[r->id];
	char comment[RS_NFT_COMMENT_MAX + 1] = "";
	uint32_t data = 0, profile;
	uint8_t dir;

	if (e->key_len != d->key_len) {
		fault(r->k, "set %s: a key of %zu bytes", d->name, e->key_len);
		return 0;
	}
	if (d->data == DATA_MARK && e->data)
		memcpy(&data, e->data, 4);
	if (d->data == DATA_VERDICT) {
		if (!e->chain || !rs_nft_profile_of_chain(e->chain, &dir, &profile) ||
		    dir != (r->id == SET_PORTS_IN ? RS_DIR_IN : RS_DIR_OUT)) {
			fault(r->k, "map %s: an entry that goes elsewhere", d->name);
			return 0;
		}
		data = profile;
	}
	if (d->interval) {
		struct bound *b = rs_vec_push(&r->bounds);

		memcpy(b->key, e->key, e->key_len);
		b->end = e->interval_end;
		b->data = data;
		return 0;
	}
	if (e->comment && e->comment_len <= RS_NFT_COMMENT_MAX)
		memcpy(comment, e->comment, e->comment_len);
	rs_nft_plan_add(r->k->plan, r->id, e->key, data, comment);
	return 0;
}

/* By key; of one key the end of the interval before stands first. */
static int bound_cmp(const void *a, const void *b)
{
	const struct bound *x = a, *y = b;
	int c = memcmp(x->key, y->key, sizeof(x->key));

	return c ? c : (int)y->end - (int)x->end;
}

static void join_bounds(struct reader *r)
{
	size_t len = rs_nft_sets[r->id].key_len;

	if (r->bounds.n)
		qsort(r->bounds.v, r->bounds.n, sizeof(*r->bounds.v), bound_cmp);
	for (size_t i = 0; i < r->bounds.n; i++) {
		struct bound *lo = &r->bounds.v[i];
		bool last = i + 1 == r->bounds.n;
		uint8_t key[32];

		if (lo->end) {
			fault(r->k, "set %s: an end without its interval", rs_nft_sets[r->id].name);
			return;
		}
		memcpy(key, lo->key, len);
		memset(key + len, 0xff, len);
		if (!last) {
			struct bound *hi = &r->bounds.v[++i];
			size_t at = len;

			if (!hi->end) {
				fault(r->k, "set %s: an interval without its end",
				      rs_nft_sets[r->id].name);
				return;
			}
			memcpy(key + len, hi->key, len);
			while (at-- > 0 && key[len + at]-- == 0) /* the last address inside */
				;
		}
		rs_nft_plan_add(r->k->plan, r->id, key, lo->data, NULL);
	}
}

static int take_stamp(const struct rs_nft_raw_elem *e, void *arg)
{
	struct rs_nft_kernel *k = arg;
	char text[RS_NFT_COMMENT_MAX + 1] = "";
	uint32_t bits;

	if (e->key_len != 4)
		return 0;
	memcpy(&bits, e->key, 4);
	k->stamps = rs_vec_grow_(k->stamps, k->n_stamps, &k->stamps_cap, sizeof(bits));
	k->stamps[k->n_stamps++] = bits;
	if (k->plan && e->comment && e->comment_len <= RS_NFT_COMMENT_MAX) {
		memcpy(text, e->comment, e->comment_len);
		if (sscanf(text, "generation %" SCNu64, &k->plan->generation) != 1)
			fault(k, "set stamp_now does not tell its generation");
	}
	return 0;
}

static int read_elements(struct mnl_socket *nl, struct rs_nft_kernel *k)
{
	for (int id = 0; id < SETS_OF_STATE; id++) {
		struct reader r = { .k = k, .id = id };
		int rc = rs_nft_each_elem(nl, RS_NFT_TABLE, rs_nft_sets[id].name, take_elem, &r);

		if (!rc && rs_nft_sets[id].interval)
			join_bounds(&r);
		rs_vec_free(&r.bounds);
		if (rc)
			return rc;
	}
	rs_nft_plan_sort(k->plan);
	k->elements = true;
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int read_once(struct mnl_socket *nl, const struct rs_dp_config *cfg, bool cache,
		     struct rs_nft_kernel *k)
{
	struct rs_nft_rules *rules;
	int rc = dump(nl, NFT_MSG_GETTABLE, 0, on_table, k);

	if (rc || !k->exists)
		return rc;
	if (!k->why_not)
		k->plan = rs_nft_plan_new();
	/* Also of a table that cannot be adopted: its stamps may still be given out until it
	 * goes. */
	rc = rs_nft_each_elem(nl, RS_NFT_TABLE, rs_nft_sets[SET_STAMP_NOW].name, take_stamp, k);
	if (k->why_not)
		return rc == -ENOENT ? 0 : rc;
	if (rc == -ENOENT) {
		fault(k, "set stamp_now is missing");
		return 0;
	}
	if (!rc && k->n_stamps != 1)
		fault(k, "set stamp_now holds %zu stamps", k->n_stamps);
	rules = rs_nft_rules_new();
	if (!rc)
		rc = read_shape(nl, k, rules);
	if (!rc && !k->why_not)
		rc = dump(nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, rs_nft_rules_take, rules);
	if (!rc && !k->why_not && !k->rules_only)
		rc = read_elements(nl, k);
	if (!rc && !k->why_not) {
		rs_autofree char *why = rs_nft_rules_check(rules, cfg, cache, k);

		if (why)
			fault(k, "%s", why);
	}
	rs_nft_rules_free(rules);
	k->usable = !k->why_not;
	return rc;
}

static int read_between(struct mnl_socket *nl, const struct rs_dp_config *cfg, bool cache,
			struct rs_nft_kernel *k)
{
	uint32_t before, after;
	int rc;

	(void)rs_nft_generation(nl, &before);
	rc = read_once(nl, cfg, cache, k);
	if (!rc && rs_nft_generation(nl, &after) == 0 && before == after)
		k->generation = after;
	return rc;
}

int rs_nft_readback(struct mnl_socket *nl, const struct rs_dp_config *cfg, bool cache,
		    struct rs_nft_kernel *out, struct rs_err *err)
{
	bool rules_only = out->rules_only;
	int rc = -EINTR;

	for (int i = 0; i < TRIES && (rc == -EINTR || rc == -ENOENT); i++) {
		memset(out, 0, sizeof(*out));
		out->rules_only = rules_only;
		rc = read_between(nl, cfg, cache, out);
		if (rc)
			rs_nft_kernel_clear(out);
	}
	if (rc == -EINTR)
		return rs_err_set(err, EAGAIN,
				  "read table inet %s: somebody keeps changing the ruleset",
				  RS_NFT_TABLE);
	if (rc)
		return rs_err_sys(err, -rc, "read table inet %s", RS_NFT_TABLE);
	return 0;
}
