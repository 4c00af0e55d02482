// SPDX-License-Identifier: Apache-2.0
/* rset_walk.c - a packet through the base chains of a hook: rules, jumps, verdicts, policies. */
#include "ruleset/rset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>

/* Jumps are bounded by the stack, rules by the kernel's own patience; this is the walk's. */
#define MAX_RULES_SEEN 4000000u

#define LOOPBACK 1u /* index of lo, in every network namespace */

struct walker {
	const struct rs_ruleset *r;
	struct rset_view view;
	struct rs_walk *out;
	rs_walk_trace trace;
	void *ctx;
	struct rs_err *err;
};

/* Where to go on after a return. */
struct place {
	const struct rset_chain *chain;
	size_t rule;
};

static void tell(struct walker *w, const struct rset_chain *c, const struct rset_rule *rule)
{
	const struct rset_verdict *v = &w->view.regs.verdict;
	rs_auto_strbuf text = { 0 };
	rs_auto_strbuf outcome = { 0 };

	if (!w->trace)
		return;
	rset_say_rule(&text, rule);
	rset_say_verdict(&outcome, v);
	w->trace(w->ctx, c->name, rule->handle, rs_strbuf_str(&text), rs_strbuf_str(&outcome));
}

static int run_rule(struct walker *w, const struct rset_chain *c, const struct rset_rule *rule)
{
	struct rset_verdict *v = &w->view.regs.verdict;

	w->view.counter = NULL;
	w->view.rule_found = 0;
	if (++w->out->rules_seen > MAX_RULES_SEEN)
		return rs_err_set(w->err, ELOOP, "more than %u rules in one walk", MAX_RULES_SEEN);
	for (size_t i = 0; i < rule->exprs.n && v->code == NFT_CONTINUE; i++)
		if (rset_eval(&w->view, &rule->exprs.v[i], w->err))
			return rs_err_wrap(w->err, "chain %.*s, rule handle %llu", RSET_NAME,
					   c->name, (unsigned long long)rule->handle);
	if (v->code == NFT_BREAK)
		w->out->n_found -= w->view.rule_found;
	tell(w, c, rule);
	return 0;
}

/* Run rules from p on until one of them decides something or the chain ends. */
static int run_on(struct walker *w, struct place *p, const struct rset_rule **decided)
{
	struct rset_verdict *v = &w->view.regs.verdict;
	int rc = 0;

	*decided = NULL;
	while (!rc && p->rule < p->chain->rules.n) {
		const struct rset_rule *rule = &p->chain->rules.v[p->rule++];

		v->code = NFT_CONTINUE;
		rc = run_rule(w, p->chain, rule);
		if (v->code != NFT_CONTINUE && v->code != NFT_BREAK) {
			*decided = rule;
			break;
		}
	}
	if (!*decided)
		v->code = NFT_CONTINUE;
	return rc;
}

/* Note who decided. rule NULL: the chain's policy. */
static void decide(struct walker *w, const struct rset_chain *c, const struct rset_rule *rule,
		   uint32_t code)
{
	struct rs_walk *o = w->out;

	o->accept = code == NF_ACCEPT;
	o->by_policy = !rule;
	o->handle = rule ? rule->handle : 0;
	snprintf(o->chain, sizeof(o->chain), "%s", c->name);
	snprintf(o->comment, sizeof(o->comment), "%s", rule && rule->comment ? rule->comment : "");
	snprintf(o->counter, sizeof(o->counter), "%s",
		 rule && w->view.counter ? w->view.counter : "");
}

static int run_base(struct walker *w, const struct rset_chain *base)
{
	struct place p = { .chain = base }, stack[RSET_JUMPS];
	struct rset_verdict *v = &w->view.regs.verdict;
	const struct rset_rule *rule;
	size_t depth = 0;
	int rc;

	memset(&w->view.regs, 0, sizeof(w->view.regs));
	for (;;) {
		rc = run_on(w, &p, &rule);
		if (rc)
			return rc;
		if (v->code == NF_ACCEPT || v->code == NF_DROP) {
			decide(w, p.chain, rule, (uint32_t)v->code);
			return 0;
		}
		if (v->code == NFT_JUMP || v->code == NFT_GOTO) {
			if (v->code == NFT_JUMP && depth == RSET_JUMPS) { /* as the kernel does */
				decide(w, p.chain, rule, NF_DROP);
				return 0;
			}
			if (v->code == NFT_JUMP)
				stack[depth++] = p;
			p = (struct place){ .chain = v->chain };
		} else if (depth) { /* end of a chain, or return */
			p = stack[--depth];
		} else {
			decide(w, base, NULL, base->policy);
			return 0;
		}
	}
}

/* Before conntrack's own hook a packet has no flow, unless it came over lo and brought one. At the
 * very priority it depends on who came first, which nothing tells. */
static int see_flow(struct walker *w, const struct rset_chain *c)
{
	bool early = (c->hook == NF_INET_PRE_ROUTING && w->view.p->iif != LOOPBACK) ||
		     c->hook == NF_INET_LOCAL_OUT;

	if (early && c->prio == NF_IP_PRI_CONNTRACK)
		return rs_err_set(w->err, EOPNOTSUPP,
				  "chain %.*s: at the priority of connection tracking, is not "
				  "understood",
				  RSET_NAME, c->name);
	w->view.no_flow_yet = early && c->prio < NF_IP_PRI_CONNTRACK;
	return 0;
}

static int run_hook(struct walker *w, uint32_t hook)
{
	int rc = 0;

	for (size_t i = 0; !rc && w->out->accept && i < w->r->bases.n; i++) {
		const struct rset_chain *c = w->r->bases.v[i];

		if (c->hook != hook)
			continue;
		rc = see_flow(w, c);
		if (!rc)
			rc = run_base(w, c);
	}
	return rc;
}

/* ---- the packet ------------------------------------------------------------------------------ */

static bool is_family(const struct rs_addr *a)
{
	return a->family == RS_AF_IP4 || a->family == RS_AF_IP6;
}

static bool one_family(const struct rs_ct_tuple *t, uint8_t family)
{
	return t->src.family == family && t->dst.family == family;
}

static int check_packet(const struct rs_packet *p, struct rs_err *err)
{
	uint8_t s = p->ct_state;

	if (!is_family(&p->src) || p->src.family != p->dst.family)
		return rs_err_set(err, EINVAL, "packet: its ends are not of one family");
	if (p->ip_words && (p->ip_words < 5 || p->ip_words > 15))
		return rs_err_set(err, EINVAL, "packet: a header of %u words", p->ip_words);
	if (s != RS_CT_INVALID && s != RS_CT_ESTABLISHED && s != RS_CT_RELATED && s != RS_CT_NEW &&
	    s != RS_CT_UNTRACKED)
		return rs_err_set(err, EINVAL, "packet: ct state 0x%02x is not one state", s);
	if (s != RS_CT_INVALID && s != RS_CT_UNTRACKED &&
	    (!is_family(&p->orig.src) || !one_family(&p->orig, p->orig.src.family) ||
	     !one_family(&p->reply, p->orig.src.family)))
		return rs_err_set(err, EINVAL,
				  "packet: the ends of its flow are not of one family");
	return 0;
}

static void start(struct walker *w, const struct rs_packet *p)
{
	memset(w->out, 0, sizeof(*w->out));
	w->out->accept = true;
	w->out->by_policy = true; /* no chain at the hook: nothing decided */
	w->view.p = p;
	w->view.found = w->out;
	w->view.mark = p->mark;
	w->view.ct_mark = p->ct_mark;
	rset_image_make(&w->view.image, p);
}

static void finish(struct walker *w)
{
	struct rs_walk *o = w->out;
	rs_auto_strbuf prefix = { 0 };

	o->mark = w->view.mark;
	o->ct_mark = w->view.ct_mark;
	o->notrack = w->view.notrack;
	o->marked = w->view.marked;
	o->logged = w->view.log_prefix != NULL;
	if (o->logged)
		rs_strbuf_puts_safe(&prefix, w->view.log_prefix);
	snprintf(o->log_prefix, sizeof(o->log_prefix), "%s", rs_strbuf_str(&prefix));
}

int rs_ruleset_walk(const struct rs_ruleset *r, enum rs_hook hook, const struct rs_packet *p,
		    struct rs_walk *out, rs_walk_trace trace, void *ctx, struct rs_err *err)
{
	static const uint32_t hooks[] = {
		[RS_HOOK_PREROUTING] = NF_INET_PRE_ROUTING,   [RS_HOOK_INPUT] = NF_INET_LOCAL_IN,
		[RS_HOOK_FORWARD] = NF_INET_FORWARD,	      [RS_HOOK_OUTPUT] = NF_INET_LOCAL_OUT,
		[RS_HOOK_POSTROUTING] = NF_INET_POST_ROUTING,
	};
	struct walker w = { .r = r, .out = out, .trace = trace, .ctx = ctx, .err = err };
	int rc = check_packet(p, err);

	if (rc)
		return rc;
	if ((size_t)hook >= RS_ARRAY_SIZE(hooks))
		return rs_err_set(err, EINVAL, "no hook %d", (int)hook);
	start(&w, p);
	rc = run_hook(&w, hooks[hook]);
	finish(&w);
	return rc;
}
