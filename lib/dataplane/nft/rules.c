// SPDX-License-Identifier: Apache-2.0
/* rules.c - compares rules by what libnftnl prints for the kernel's and for ours. */
#include "dataplane/nft/rules.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "base/base.h"
#include "dataplane/nft/encode.h"
#include "dataplane/nft/skeleton.h"

struct seen {
	size_t chain; /* index of its chain */
	uint64_t handle;
	char *text;
	struct rs_ir_port match;
};

struct rs_nft_rules {
	struct rs_vec(char *) chains;
	struct rs_vec(struct seen) v; /* in the kernel's order: chain by chain */
};

struct rs_nft_rules *rs_nft_rules_new(void)
{
	return rs_new(struct rs_nft_rules);
}

void rs_nft_rules_free(struct rs_nft_rules *r)
{
	for (size_t i = 0; i < r->chains.n; i++)
		free(r->chains.v[i]);
	for (size_t i = 0; i < r->v.n; i++)
		free(r->v.v[i].text);
	rs_vec_free(&r->chains);
	rs_vec_free(&r->v);
	free(r);
}

void rs_nft_rules_chain(struct rs_nft_rules *r, const char *name)
{
	*rs_vec_push(&r->chains) = rs_strdup(name);
}

/* Chains arrive in their order, and rules chain by chain: the last one is the likely one. */
static size_t chain_index(const struct rs_nft_rules *r, const char *name, size_t guess)
{
	for (size_t i = guess; i < r->chains.n; i++)
		if (!strcmp(r->chains.v[i], name))
			return i;
	for (size_t i = 0; i < guess && i < r->chains.n; i++)
		if (!strcmp(r->chains.v[i], name))
			return i;
	return SIZE_MAX;
}

/* ---- one rule as text ------------------------------------------------------------------------ */

static int expr_text(struct nftnl_expr *e, void *arg)
{
	struct rs_strbuf *b = arg;
	char buf[512];

	if (nftnl_expr_snprintf(buf, sizeof(buf), e, NFTNL_OUTPUT_DEFAULT, 0) < 0)
		buf[0] = '\0';
	rs_strbuf_printf(b, "%s %s;", nftnl_expr_get_str(e, NFTNL_EXPR_NAME), buf);
	return 0;
}

static int note_text(const struct nftnl_udata *attr, void *arg)
{
	struct rs_strbuf *b = arg;

	if (nftnl_udata_type(attr) == NFTNL_UDATA_RULE_COMMENT && nftnl_udata_len(attr))
		rs_strbuf_printf(b, "# %.*s", (int)nftnl_udata_len(attr),
				 (const char *)nftnl_udata_get(attr));
	return 0;
}

char *rs_nft_rule_text(struct nftnl_rule *rule)
{
	struct rs_strbuf b = { 0 };
	const void *notes;
	uint32_t len;

	nftnl_expr_foreach(rule, expr_text, &b);
	notes = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);
	if (notes)
		nftnl_udata_parse(notes, len, note_text, &b);
	return rs_strbuf_steal(&b);
}

static char *our_text(const struct rs_nft_rule *r)
{
	struct nftnl_rule *rule = rs_nft_rule_encode(r, RS_NFT_TABLE);
	char *text = rs_nft_rule_text(rule);

	nftnl_rule_free(rule);
	return text;
}

/* ---- the ports of a rule --------------------------------------------------------------------- */

/* What a rule of a profile chain says; whether it says only that is decided by its text. */
static int read_port(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	struct seen *s = arg;
	const uint8_t *a, *b;
	uint32_t len;

	if (!strcmp(name, "cmp")) {
		a = nftnl_expr_get(e, NFTNL_EXPR_CMP_DATA, &len);
		if (a && len == 1)
			s->match.proto = a[0];
		if (a && len == 2)
			s->match.lo = s->match.hi = (uint16_t)(a[0] << 8 | a[1]);
	} else if (!strcmp(name, "range")) {
		a = nftnl_expr_get(e, NFTNL_EXPR_RANGE_FROM_DATA, &len);
		if (a && len == 2)
			s->match.lo = (uint16_t)(a[0] << 8 | a[1]);
		b = nftnl_expr_get(e, NFTNL_EXPR_RANGE_TO_DATA, &len);
		if (b && len == 2)
			s->match.hi = (uint16_t)(b[0] << 8 | b[1]);
	} else if (!strcmp(name, "immediate")) {
		const char *to = nftnl_expr_get_str(e, NFTNL_EXPR_IMM_CHAIN);

		s->match.allow = !to || !strcmp(to, "restamp");
	}
	return 0;
}

int rs_nft_rules_take(const struct nlmsghdr *h, void *arg)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct rs_nft_rules *r = arg;
	size_t guess = r->v.n ? r->v.v[r->v.n - 1].chain : 0;
	struct seen *s;

	if (!rule || nftnl_rule_nlmsg_parse(h, rule) < 0 ||
	    strcmp(nftnl_rule_get_str(rule, NFTNL_RULE_TABLE), RS_NFT_TABLE) != 0) {
		nftnl_rule_free(rule);
		return MNL_CB_OK;
	}
	if (guess == SIZE_MAX)
		guess = 0;
	s = rs_vec_push(&r->v);
	s->chain = chain_index(r, nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN), guess);
	s->handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
	s->text = rs_nft_rule_text(rule);
	s->match.hi = 65535;
	nftnl_expr_foreach(rule, read_port, s);
	nftnl_rule_free(rule);
	return MNL_CB_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* First rule of a chain and how many; rules of one chain stand together. */
static const struct seen *rules_of(const struct rs_nft_rules *r, size_t chain, size_t *n)
{
	size_t i = 0;

	*n = 0;
	while (i < r->v.n && r->v.v[i].chain != chain)
		i++;
	while (i + *n < r->v.n && r->v.v[i + *n].chain == chain)
		(*n)++;
	return &r->v.v[i];
}

static char *check_fixed_chain(const struct rs_nft_rules *r, const struct rs_nft_skeleton *sk,
			       const char *name, struct rs_nft_kernel *k)
{
	const struct seen *have;
	size_t n, at = 0;

	have = rules_of(r, chain_index(r, name, 0), &n);
	for (size_t i = 0; i < sk->n; i++) {
		rs_autofree char *want = NULL;

		if (strcmp(sk->v[i].chain, name) != 0)
			continue;
		if (at == n)
			return rs_asprintf("chain %s: rule %zu is missing", name, at + 1);
		want = our_text(&sk->v[i]);
		if (strcmp(want, have[at].text) != 0)
			return rs_asprintf(
				"chain %s: rule handle %llu is another than it should be "
				"(has %s, wants %s)",
				name, (unsigned long long)have[at].handle, have[at].text, want);
		if (sk->v[i].stamps)
			k->stamp_handle = have[at].handle;
		at++;
	}
	if (at != n)
		return rs_asprintf("chain %s: foreign rule handle %llu", name,
				   (unsigned long long)have[at].handle);
	return NULL;
}

static char *check_fixed(const struct rs_nft_rules *r, const struct rs_dp_config *cfg, bool cache,
			 struct rs_nft_kernel *k)
{
	uint16_t stamp =
		(uint16_t)((k->stamps[0] & cfg->ct_mark_mask) >> __builtin_ctz(cfg->ct_mark_mask));
	struct rs_nft_skeleton sk;
	char *why = NULL;

	if (k->stamps[0] & ~cfg->ct_mark_mask || !stamp)
		return rs_asprintf("the stamp 0x%08x does not lie in our mask 0x%08x", k->stamps[0],
				   cfg->ct_mark_mask);
	rs_nft_skeleton_make(&sk, cfg, cache, stamp);
	for (size_t i = 0; i < rs_nft_n_chains && !why; i++)
		why = check_fixed_chain(r, &sk, rs_nft_chains[i].name, k);
	rs_nft_skeleton_free(&sk);
	return why;
}

static char *check_profile(const struct seen *have, size_t n, const char *name,
			   struct rs_nft_profile *pr, struct rs_nft_plan *plan)
{
	for (size_t i = 0; i < n; i++) {
		rs_autofree char *want = NULL;
		const struct rs_ir_port *m = &have[i].match;
		bool last = i + 1 == n;
		struct rs_nft_rule rule;

		if (last)
			rs_nft_port_end(&rule, pr->dir);
		else
			rs_nft_port_rule(&rule, pr->dir, m->proto, m->lo, m->hi, m->allow);
		rule.chain = name;
		want = our_text(&rule);
		if (strcmp(want, have[i].text) != 0)
			return rs_asprintf("chain %s: rule handle %llu is not one of ours (has %s)",
					   name, (unsigned long long)have[i].handle, have[i].text);
		if (!last)
			*rs_vec_push(&plan->ports) = *m;
	}
	if (!n)
		return rs_asprintf("chain %s is empty", name);
	pr->n = (uint32_t)n - 1;
	return NULL;
}

/* Rules per chain in one walk: with thousands of profiles a search for each would be quadratic. */
static char *check_profiles(const struct rs_nft_rules *r, struct rs_nft_plan *plan)
{
	rs_autofree size_t *first = rs_new0(size_t, r->chains.n);
	rs_autofree size_t *count = rs_new0(size_t, r->chains.n);

	for (size_t i = 0; i < r->v.n; i++) {
		size_t c = r->v.v[i].chain;

		if (c == SIZE_MAX)
			return rs_asprintf("a rule in a chain that appeared meanwhile");
		if (!count[c]++)
			first[c] = i;
	}
	for (size_t c = 0; c < r->chains.n; c++) {
		struct rs_nft_profile pr = { .first = (uint32_t)plan->ports.n };
		char *why;

		if (!rs_nft_profile_of_chain(r->chains.v[c], &pr.dir, &pr.profile))
			continue;
		why = check_profile(&r->v.v[first[c]], count[c], r->chains.v[c], &pr, plan);
		if (why)
			return why;
		*rs_vec_push(&plan->profiles) = pr;
	}
	return NULL;
}

char *rs_nft_rules_check(struct rs_nft_rules *r, const struct rs_dp_config *cfg, bool cache,
			 struct rs_nft_kernel *k)
{
	char *why = check_fixed(r, cfg, cache, k);

	if (!why)
		why = check_profiles(r, k->plan);
	if (!why)
		rs_nft_plan_sort(k->plan);
	k->rules = r->v.n;
	return why;
}
