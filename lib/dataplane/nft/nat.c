// SPDX-License-Identifier: Apache-2.0
/*
 * nat.c - table inet ripstop-nat: masquerade of what leaves the pod ranges; see
 * <ripstop/masquerade.h>.
 *
 * What should be there and what is there are both written as lines of text, and compared. One
 * difference, and the table is made anew in one batch: it is small, and rarely changes.
 */
#include <ripstop/masquerade.h>

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"
#include "dataplane/nft/encode.h"
#include "dataplane/nft/nftmatch.h"
#include "dataplane/nft/readback.h"
#include "dataplane/nft/rules.h"

#define CHAIN "leaving"
#define CHAIN_TYPE "nat"
#define PRIO_SRCNAT 100
#define TRIES 8
#define COMMENT "made by ripstop-agent: what leaves the pod ranges takes the node's address"
#define TY_IP4 7u /* data types of nft(8) */
#define TY_IP6 8u

/* Which addresses, and of which family. */
enum set_id {
	OF_PODS4,
	OF_PODS6,
	STAYS4,
	STAYS6,
	N_SETS,
};

static const char *const set_names[N_SETS] = { "of_pods4", "of_pods6", "stays4", "stays6" };

struct span {
	struct rs_addr lo, hi;
};

/* What should be there: merged ranges for each set. */
struct plan {
	struct rs_vec(struct span) set[N_SETS];
};

struct rs_masq {
	struct mnl_socket *nl;
};

static bool is_v6(size_t id)
{
	return id == OF_PODS6 || id == STAYS6;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static int by_cidr(const void *a, const void *b)
{
	return rs_cidr_cmp(a, b);
}

static void add_span(struct plan *p, size_t id, const struct rs_cidr *c)
{
	struct span new = { rs_cidr_first(c), rs_cidr_last(c) };
	struct span *last = p->set[id].n ? &p->set[id].v[p->set[id].n - 1] : NULL;
	struct rs_addr next;

	if (last) {
		next = last->hi;
		/* Inside the last one, or right behind it; one that ends at the last address
		 * of all has everything later inside. */
		if (!rs_addr_next(&next) || rs_addr_cmp(&new.lo, &next) <= 0) {
			if (rs_addr_cmp(&new.hi, &last->hi) > 0)
				last->hi = new.hi;
			return;
		}
	}
	*rs_vec_push(&p->set[id]) = new;
}

static void add_ranges(struct plan *p, size_t id4, const struct rs_cidr *v, size_t n)
{
	rs_autofree struct rs_cidr *sorted = rs_memdup(v, n * sizeof(*v));

	if (n)
		qsort(sorted, n, sizeof(*sorted), by_cidr);
	for (size_t i = 0; i < n; i++)
		add_span(p, id4 + (sorted[i].addr.family == RS_AF_IP6), &sorted[i]);
}

static void plan_clear(struct plan *p)
{
	for (size_t i = 0; i < N_SETS; i++)
		rs_vec_free(&p->set[i]);
}

/* ---- the table's parts ----------------------------------------------------------------------- */

static void *must(void *p)
{
	if (!p)
		rs_oom();
	return p;
}

static struct nftnl_rule *make_rule(int family)
{
	struct rs_nft_rule r = { .chain = CHAIN };
	struct nftnl_expr *e = must(nftnl_expr_alloc("masq"));
	struct nftnl_rule *rule;
	size_t six = family == RS_AF_IP6;

	rs_m_packet_in(&r, family, false, set_names[OF_PODS4 + six], false);
	rs_x_addr(&r, family, true, 8);
	rs_x_lookup(&r, set_names[STAYS4 + six], 8, RS_REG_NONE, true);
	rule = rs_nft_rule_encode(&r, RS_MASQ_TABLE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
	nftnl_rule_add_expr(rule, e);
	return rule;
}

static void put_set(struct rs_nft_batch *b, uint32_t id)
{
	struct nftnl_set *s = must(nftnl_set_alloc());
	struct nlmsghdr *h;

	nftnl_set_set_str(s, NFTNL_SET_TABLE, RS_MASQ_TABLE);
	nftnl_set_set_str(s, NFTNL_SET_NAME, set_names[id]);
	nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_INTERVAL);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, is_v6(id) ? TY_IP6 : TY_IP4);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, is_v6(id) ? 16 : 4);
	nftnl_set_set_u32(s, NFTNL_SET_ID, id + 1);
	h = rs_nft_batch_msg(b, NFT_MSG_NEWSET, NLM_F_CREATE, 1024);
	nftnl_set_nlmsg_build_payload(h, s);
	rs_nft_batch_put(b, h);
	nftnl_set_free(s);
}

static void put_bound(struct nftnl_set *s, const struct rs_addr *a, bool end)
{
	struct nftnl_set_elem *e = must(nftnl_set_elem_alloc());

	nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, a->b, (uint32_t)rs_addr_bytes(a->family));
	if (end)
		nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nftnl_set_elem_add(s, e);
}

/* One message holds some thousand bounds (a list's length is a 16-bit number). */
#define SPANS_A_MESSAGE 500

static void put_spans(struct rs_nft_batch *b, const struct plan *p, size_t id)
{
	for (size_t i = 0; i < p->set[id].n; i += SPANS_A_MESSAGE) {
		struct nftnl_set *s = must(nftnl_set_alloc());
		struct nlmsghdr *h;

		nftnl_set_set_str(s, NFTNL_SET_TABLE, RS_MASQ_TABLE);
		nftnl_set_set_str(s, NFTNL_SET_NAME, set_names[id]);
		for (size_t k = i; k < p->set[id].n && k < i + SPANS_A_MESSAGE; k++) {
			struct rs_addr end = p->set[id].v[k].hi;

			put_bound(s, &p->set[id].v[k].lo, false);
			if (rs_addr_next(&end))
				put_bound(s, &end, true);
		}
		h = rs_nft_batch_msg(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, 65536);
		nftnl_set_elems_nlmsg_build_payload(h, s);
		rs_nft_batch_put(b, h);
		nftnl_set_free(s);
	}
}

static void put_all(struct rs_nft_batch *b, const struct plan *p)
{
	rs_nft_put_table(b, RS_MASQ_TABLE, 0, COMMENT);
	for (uint32_t id = 0; id < N_SETS; id++) {
		put_set(b, id);
		put_spans(b, p, id);
	}
	rs_nft_put_chain(b, RS_MASQ_TABLE, CHAIN, CHAIN_TYPE, NF_INET_POST_ROUTING, PRIO_SRCNAT);
	rs_nft_put_built(b, make_rule(RS_AF_IP4));
	rs_nft_put_built(b, make_rule(RS_AF_IP6));
}

/* ---- as text: what should be there ----------------------------------------------------------- */

static void say_chain(struct rs_strbuf *t, const char *name, const char *type, uint32_t hook,
		      int32_t prio, uint32_t policy)
{
	rs_strbuf_printf(t, "chain %s %s %u %d %u\n", name, type, hook, prio, policy);
}

static void say_set(struct rs_strbuf *t, const char *name, uint32_t flags, uint32_t key_len)
{
	rs_strbuf_printf(t, "set %s %u %u\n", name, flags, key_len);
}

static void say_bound(struct rs_strbuf *t, const uint8_t *key, size_t len, bool end)
{
	for (size_t i = 0; i < len; i++)
		rs_strbuf_printf(t, "%02x", key[i]);
	rs_strbuf_puts(t, end ? ")\n" : " [\n");
}

static void say_rule(struct rs_strbuf *t, const char *chain, struct nftnl_rule *rule)
{
	rs_autofree char *text = rs_nft_rule_text(rule);

	rs_strbuf_printf(t, "rule %s %s\n", chain, text);
}

static void say_plan(struct rs_strbuf *t, const struct plan *p)
{
	rs_strbuf_puts(t, "table 0\n");
	say_chain(t, CHAIN, CHAIN_TYPE, NF_INET_POST_ROUTING, PRIO_SRCNAT, NF_ACCEPT);
	for (size_t id = 0; id < N_SETS; id++)
		say_set(t, set_names[id], NFT_SET_INTERVAL, is_v6(id) ? 16 : 4);
	for (size_t id = 0; id < N_SETS; id++) {
		rs_strbuf_printf(t, "in %s\n", set_names[id]);
		for (size_t i = 0; i < p->set[id].n; i++) {
			const struct span *s = &p->set[id].v[i];
			size_t len = rs_addr_bytes(s->lo.family);
			struct rs_addr end = s->hi;

			say_bound(t, s->lo.b, len, false);
			if (rs_addr_next(&end))
				say_bound(t, end.b, len, true);
		}
	}
	for (int family = RS_AF_IP4; family <= RS_AF_IP6; family += 2) {
		struct nftnl_rule *rule = make_rule(family);

		say_rule(t, CHAIN, rule);
		nftnl_rule_free(rule);
	}
}

/* ---- as text: what is there ------------------------------------------------------------------ */

struct reader {
	struct rs_strbuf text;
	bool exists;
};

static int on_table(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_table *t = must(nftnl_table_alloc());
	struct reader *r = arg;

	if (nftnl_table_nlmsg_parse(h, t) == 0 &&
	    nftnl_table_get_u32(t, NFTNL_TABLE_FAMILY) == NFPROTO_INET &&
	    !strcmp(nftnl_table_get_str(t, NFTNL_TABLE_NAME), RS_MASQ_TABLE)) {
		r->exists = true;
		rs_strbuf_printf(&r->text, "table %u\n", nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS));
	}
	nftnl_table_free(t);
	return MNL_CB_OK;
}

static bool in_table(const char *table, uint32_t family)
{
	return table && !strcmp(table, RS_MASQ_TABLE) && family == NFPROTO_INET;
}

static int on_chain(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_chain *c = must(nftnl_chain_alloc());
	struct reader *r = arg;
	const char *type;

	if (nftnl_chain_nlmsg_parse(h, c) == 0 &&
	    in_table(nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE),
		     nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY))) {
		type = nftnl_chain_get_str(c, NFTNL_CHAIN_TYPE);
		say_chain(&r->text, nftnl_chain_get_str(c, NFTNL_CHAIN_NAME), type ? type : "-",
			  nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM),
			  nftnl_chain_get_s32(c, NFTNL_CHAIN_PRIO),
			  nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY));
	}
	nftnl_chain_free(c);
	return MNL_CB_OK;
}

static int on_set(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_set *s = must(nftnl_set_alloc());
	struct reader *r = arg;

	if (nftnl_set_nlmsg_parse(h, s) == 0 &&
	    in_table(nftnl_set_get_str(s, NFTNL_SET_TABLE), nftnl_set_get_u32(s, NFTNL_SET_FAMILY)))
		say_set(&r->text, nftnl_set_get_str(s, NFTNL_SET_NAME),
			nftnl_set_get_u32(s, NFTNL_SET_FLAGS),
			nftnl_set_get_u32(s, NFTNL_SET_KEY_LEN));
	nftnl_set_free(s);
	return MNL_CB_OK;
}

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_rule *rule = must(nftnl_rule_alloc());
	struct reader *r = arg;

	if (nftnl_rule_nlmsg_parse(h, rule) == 0 &&
	    in_table(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE),
		     nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY)))
		say_rule(&r->text, nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN), rule);
	nftnl_rule_free(rule);
	return MNL_CB_OK;
}

struct bound {
	uint8_t key[16];
	uint8_t len;
	bool end;
};

struct bounds {
	struct rs_vec(struct bound) b;
};

static int on_elem(const struct rs_nft_raw_elem *e, void *arg)
{
	struct bounds *all = arg;
	struct bound *b = rs_vec_push(&all->b);

	b->len = (uint8_t)(e->key_len < sizeof(b->key) ? e->key_len : sizeof(b->key));
	memcpy(b->key, e->key, b->len);
	b->end = e->interval_end;
	return 0;
}

/* By key; of one key the end of the interval before stands first. */
static int by_key(const void *a, const void *b)
{
	const struct bound *x = a, *y = b;
	int c = memcmp(x->key, y->key, sizeof(x->key));

	return c ? c : (int)y->end - (int)x->end;
}

static int read_elements(struct rs_masq *m, struct reader *r, const char *set)
{
	struct bounds all = { 0 };
	int rc = rs_nft_each_elem(m->nl, RS_MASQ_TABLE, set, on_elem, &all);

	rs_strbuf_printf(&r->text, "in %s\n", set);
	if (all.b.n)
		qsort(all.b.v, all.b.n, sizeof(*all.b.v), by_key);
	for (size_t i = 0; i < all.b.n; i++)
		say_bound(&r->text, all.b.v[i].key, all.b.v[i].len, all.b.v[i].end);
	rs_vec_free(&all.b);
	/* A set that is missing shows in the text. */
	return rc == -ENOENT ? 0 : rc;
}

static int dump(struct rs_masq *m, uint16_t type, uint16_t table_attr, mnl_cb_t cb,
		struct reader *r)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h =
		nftnl_nlmsg_build_hdr(buf, type, NFPROTO_INET, NLM_F_DUMP, (uint32_t)rs_mono_ms());
	int rc;

	if (table_attr)
		mnl_attr_put_strz(h, table_attr, RS_MASQ_TABLE);
	rc = rs_nft_dump(m->nl, h, cb, r);
	return rc == -ENOENT ? 0 : rc;
}

static int read_once(struct rs_masq *m, struct reader *r)
{
	int rc = dump(m, NFT_MSG_GETTABLE, 0, on_table, r);

	if (rc || !r->exists)
		return rc;
	rc = dump(m, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, on_chain, r);
	if (!rc)
		rc = dump(m, NFT_MSG_GETSET, NFTA_SET_TABLE, on_set, r);
	for (size_t id = 0; !rc && id < N_SETS; id++)
		rc = read_elements(m, r, set_names[id]);
	return rc ? rc : dump(m, NFT_MSG_GETRULE, NFTA_RULE_TABLE, on_rule, r);
}

/* A dump that was overtaken by a change is begun again. */
static int read_kernel(struct rs_masq *m, struct reader *r, struct rs_err *err)
{
	int rc = -EINTR;

	for (int i = 0; i < TRIES && rc == -EINTR; i++) {
		rs_strbuf_reset(&r->text);
		r->exists = false;
		rc = read_once(m, r);
	}
	return rc ? rs_err_sys(err, -rc, "read table inet %s", RS_MASQ_TABLE) : 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int rs_masq_open(struct rs_masq **out, struct rs_err *err)
{
	struct mnl_socket *nl = NULL;
	int rc = rs_nft_socket(0, &nl, err);

	if (rc < 0)
		return rc;
	*out = rs_new(struct rs_masq);
	(*out)->nl = nl;
	return 0;
}

void rs_masq_close(struct rs_masq *m)
{
	if (!m)
		return;
	mnl_socket_close(m->nl);
	free(m);
}

/* plan NULL: no table. */
static int make(struct rs_masq *m, const struct plan *plan, bool exists, struct rs_err *err)
{
	rs_auto_batch b = { 0 };
	int rc;

	rs_nft_batch_begin(&b);
	if (exists)
		rs_nft_put_table_del(&b, RS_MASQ_TABLE);
	if (plan)
		put_all(&b, plan);
	rc = rs_nft_batch_send(&b, m->nl, NULL, err);
	return rc < 0 ? rs_err_wrap(err, "table inet %s", RS_MASQ_TABLE) : 1;
}

static int sync_plan(struct rs_masq *m, const struct plan *plan, struct rs_err *err)
{
	rs_auto_strbuf want = { 0 };
	struct reader have = { 0 };
	int rc = read_kernel(m, &have, err);

	if (rc == 0 && plan) {
		say_plan(&want, plan);
		if (strcmp(rs_strbuf_str(&want), rs_strbuf_str(&have.text)) != 0)
			rc = make(m, plan, have.exists, err);
	} else if (rc == 0 && have.exists) {
		rc = make(m, NULL, true, err);
	}
	rs_strbuf_free(&have.text);
	return rc;
}

int rs_masq_sync(struct rs_masq *m, const struct rs_masq_want *want, struct rs_err *err)
{
	struct plan plan = { 0 };
	int rc;

	if (!want || !want->n_from)
		return sync_plan(m, NULL, err);
	add_ranges(&plan, OF_PODS4, want->from, want->n_from);
	add_ranges(&plan, STAYS4, want->keep, want->n_keep);
	rc = sync_plan(m, &plan, err);
	plan_clear(&plan);
	return rc;
}
