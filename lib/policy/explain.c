// SPDX-License-Identifier: Apache-2.0
/*
 * explain.c - why a flow is allowed or denied, read from the objects and checked against the
 * compiled IR.
 *
 * The reading is the plain one of match.h, rule by rule; the IR came from the compiler's classes.
 * Where the two differ one of them is wrong, and the caller is told so instead of getting an
 * answer.
 */
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "policy/nearmiss.h"
#include "policy/words.h"

/* A flow end, found in the world. */
struct end {
	const struct rs_flow_end *asked;
	struct rs_addr addr;
	struct rs_views claims; /* who lives there */
	const struct rs_local_pod *local;
	char *text;
	/* the addresses to choose from */
	const struct rs_addr *ips;
	size_t n_ips;
	const char *odd; /* why selectors do not see the named pod; NULL */
};

static void end_free(struct end *e)
{
	rs_vec_free(&e->claims);
	free(e->text);
}

static int find_pod(const struct rs_world *w, struct end *e, struct rs_err *err)
{
	const struct rs_local_pod *l = rs_world_local(w, e->asked->ns, e->asked->name);
	const struct rs_pod *p = rs_store_pod(w->store, e->asked->ns, e->asked->name);

	e->text = rs_pod_text(e->asked->ns, e->asked->name);
	if (!l && !p)
		return rs_err_set(err, ENOENT, "there is no pod %s", e->text);
	e->ips = l ? l->ips : p->ips;
	e->n_ips = l ? l->n_ips : p->n_ips;
	if (!e->n_ips)
		return rs_err_set(err, EADDRNOTAVAIL, "pod %s has no address yet", e->text);
	if (p ? rs_pod_finished(p) : w->complete)
		e->odd = p ? "has finished: as a peer it has lost its address"
			   : "is finished or gone from the API: as a peer it has lost its address";
	else if (!l && p->host_network)
		e->odd = "uses the host's network: selectors do not match it, its address is the "
			 "node's";
	return 0;
}

static int find_end(const struct rs_world *w, const struct rs_flow_end *asked, struct end *e,
		    struct rs_err *err)
{
	char text[RS_ADDR_STRLEN];
	int rc;

	e->asked = asked;
	if (!asked->node && asked->name) {
		rc = find_pod(w, e, err);
		if (rc < 0 || asked->addr.family == RS_AF_NONE)
			return rc;
		for (; e->n_ips; e->ips++, e->n_ips--)
			if (!rs_addr_cmp(e->ips, &asked->addr))
				break;
		if (!e->n_ips)
			return rs_err_set(err, EADDRNOTAVAIL, "pod %s does not hold %s", e->text,
					  rs_addr_str(&asked->addr, text));
		e->n_ips = 1;
		return 0;
	}
	e->ips = &asked->addr;
	e->n_ips = asked->addr.family != RS_AF_NONE;
	e->text = rs_strdup(asked->node ? "this node" : rs_addr_str(&asked->addr, text));
	if (!asked->node && !e->n_ips)
		return rs_err_set(err, EINVAL,
				  "an end of the flow is neither a pod nor an address");
	return 0;
}

static const struct rs_addr *of_family(const struct end *e, int family)
{
	size_t i;

	for (i = 0; i < e->n_ips; i++)
		if (e->ips[i].family == family)
			return &e->ips[i];
	return NULL;
}

/* Both ends of one family: the first of the source's addresses to which the destination has a
 * like. */
static int choose_family(struct end *src, struct end *dst, struct rs_err *err)
{
	size_t i;

	if (dst->asked->node && !dst->n_ips)
		return rs_err_set(err, EINVAL, "the destination is the node: say which address");
	if (src->asked->node && !src->n_ips) {
		dst->addr = dst->ips[0];
		return 0;
	}
	for (i = 0; i < src->n_ips; i++) {
		const struct rs_addr *match = of_family(dst, src->ips[i].family);

		if (!match)
			continue;
		src->addr = src->ips[i];
		dst->addr = *match;
		return 0;
	}
	return rs_err_set(err, EAFNOSUPPORT,
			  "%s and %s have no address of the same family (%s has IPv%d only)",
			  src->text, dst->text, src->text, src->ips[0].family);
}

static void find_claims(const struct rs_world *w, struct end *e)
{
	size_t i;

	if (e->addr.family == RS_AF_NONE || e->asked->node)
		return;
	rs_world_claims(w, &e->addr, &e->claims);
	for (i = 0; i < e->claims.n && !e->local; i++)
		e->local = e->claims.v[i].local;
	if (e->asked->name && e->local &&
	    (strcmp(e->local->name, e->asked->name) != 0 ||
	     strcmp(e->local->ns, e->asked->ns) != 0))
		e->odd = "does not count at its address: a pod of this node holds it";
	if (!e->asked->name && e->claims.n) {
		free(e->text);
		e->text = rs_pod_text(e->claims.v[0].ns, e->claims.v[0].name);
	}
}

static void half_set(struct rs_half_explained *h, enum rs_verdict v, char *reason)
{
	free(h->reason);
	h->known = true;
	h->verdict = v;
	h->reason = reason;
}

/* Which rule allows, if any does: policies come sorted, rules in their order. */
static bool find_allowing(const struct rs_half *h, const struct rs_policy *const *policies,
			  size_t n, struct rs_half_explained *out)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		const struct rs_policy *p = policies[i];

		for (k = 0; !rs_policy_subject_bad(p) && k < p->n_rules[h->dir]; k++) {
			const struct rs_rule *r = &p->rules[h->dir][k];

			if (!rs_half_rule_allows(h, p, r))
				continue;
			if (!out->rule) {
				out->rule = rs_rule_name(p, h->dir, k);
				out->where = rs_pos_text(&r->pos);
			}
			return true;
		}
	}
	return false;
}

static void list_isolating(const struct rs_policy *const *policies, size_t n,
			   struct rs_half_explained *out)
{
	size_t i;

	out->isolated_by = rs_new0(char *, n);
	for (i = 0; i < n; i++)
		out->isolated_by[out->n_isolated_by++] =
			rs_pod_text(policies[i]->meta.ns, policies[i]->meta.name);
}

static const char *dir_word(enum rs_direction dir)
{
	return dir == RS_INGRESS ? "ingress" : "egress";
}

/* "isolated by a/x", "isolated by a/x and a/y", "isolated by a/x and 4 others" */
static void put_isolating(struct rs_strbuf *b, const struct rs_half_explained *x)
{
	rs_strbuf_printf(b, "isolated by %s", x->isolated_by[0]);
	if (x->n_isolated_by == 2)
		rs_strbuf_printf(b, " and %s", x->isolated_by[1]);
	else if (x->n_isolated_by > 2)
		rs_strbuf_printf(b, " and %zu others", x->n_isolated_by - 1);
}

/* Says port and peer both: which of the two is amiss stands in the near miss. */
static char *deny_reason(const struct rs_half *h, const struct rs_half_explained *x)
{
	const char *many = x->n_isolated_by > 1 ? "none of their" : "none of its";
	struct rs_strbuf b = { 0 };

	put_isolating(&b, x);
	if (x->miss_rule)
		rs_strbuf_printf(&b, "; %s rules allows ", many);
	else
		rs_strbuf_printf(&b, ", without any %s rule: a policy is needed that allows ",
				 dir_word(h->dir));
	rs_put_flow_port(&b, h);
	rs_strbuf_printf(&b, " %s %s", h->dir == RS_INGRESS ? "from" : "to", h->peer_text);
	return rs_strbuf_steal(&b);
}

static void judge_claims(struct rs_half *h, const struct end *peer,
			 const struct rs_policy *const *policies, size_t n,
			 struct rs_half_explained *out)
{
	size_t i, count = peer->claims.n ? peer->claims.n : 1;

	for (i = 0; i < count; i++) {
		h->peer = peer->claims.n ? &peer->claims.v[i] : NULL;
		if (h->dir == RS_EGRESS) {
			h->declared = h->peer ? h->peer->ports : NULL;
			h->n_declared = h->peer ? h->peer->n_ports : 0;
		}
		if (find_allowing(h, policies, n, out))
			continue;
		free(out->rule);
		free(out->where);
		out->rule = out->where = NULL;
		rs_near_miss(h, policies, n, out);
		half_set(out, RS_VERDICT_DENY, deny_reason(h, out));
		return;
	}
	half_set(out, RS_VERDICT_ALLOW, rs_asprintf("%s allows it", out->rule));
}

/* More than one pod of this node at one address: the compiler closes them all. */
static bool is_closed(const struct end *e)
{
	size_t i;

	for (i = 0; i < e->claims.n; i++)
		if (e->claims.v[i].local && e->claims.v[i].local->closed)
			return true;
	return e->claims.n > 1;
}

static void explain_half(const struct rs_world *w, const struct end *self, const struct end *peer,
			 enum rs_direction dir, const struct rs_flow *f,
			 struct rs_half_explained *out)
{
	rs_autofree const struct rs_policy **policies = NULL;
	struct rs_half h = {
		.dir = dir,
		.subject = self->local,
		.peer_text = peer->text,
		.peer_addr = peer->addr,
		.server_text = dir == RS_INGRESS ? self->text : peer->text,
		.proto = f->proto,
		.port = f->port,
	};
	size_t n;

	if (is_closed(self)) {
		half_set(out, RS_VERDICT_DENY,
			 rs_asprintf("%s is closed: its labels are not known, or another pod of "
				     "this node has its address",
				     self->text));
		return;
	}
	policies = rs_policies_of(w, self->local->ns, self->local->labels, dir, &n);
	list_isolating(policies, n, out);
	if (!n) {
		half_set(out, RS_VERDICT_ALLOW,
			 rs_asprintf("no policy isolates its %s", dir_word(dir)));
		return;
	}
	if (dir == RS_INGRESS) {
		h.declared = self->local->ports;
		h.n_declared = self->local->n_ports;
	}
	judge_claims(&h, peer, policies, n, out);
}

/* Why nobody judges this half here. */
static char *why_unjudged(const struct rs_world *w, const struct end *e, enum rs_direction dir)
{
	if (e->asked->node)
		return rs_strdup(dir == RS_INGRESS
					 ? "no policy guards the node: the pod's egress decides"
					 : "no policy judges what the node begins");
	if (e->claims.n)
		return rs_asprintf("the node of %s judges it", e->text);
	if (w->everyone)
		return rs_strdup("no pod: no policy judges it");
	return rs_strdup("no pod of this node: no policy judges it here");
}

static void explain_halves(const struct rs_world *w, const struct end *src, const struct end *dst,
			   const struct rs_flow *f, struct rs_explanation *x)
{
	if (src->local)
		explain_half(w, src, dst, RS_EGRESS, f, &x->egress);
	if (dst->local && src->asked->node)
		half_set(&x->ingress, RS_VERDICT_ALLOW,
			 rs_strdup("it comes from this node itself: that always reaches its own "
				   "pods"));
	else if (dst->local)
		explain_half(w, dst, src, RS_INGRESS, f, &x->ingress);
	if (!x->egress.known)
		x->egress.reason = why_unjudged(w, src, RS_EGRESS);
	if (!x->ingress.known)
		x->ingress.reason = why_unjudged(w, dst, RS_INGRESS);
}

/* ---- the check against the IR ---------------------------------------------------------------- */

static bool over_budget(const struct rs_ir *ir, enum rs_ir_dir dir, const struct rs_ir_half *h)
{
	const struct rs_ir_group *g = h->applies ? rs_ir_group(ir, dir, h->group) : NULL;

	return g && g->over_budget;
}

static void check_half(const struct rs_ir *ir, enum rs_ir_dir dir, const struct rs_ir_half *h,
		       struct rs_half_explained *x, bool *differs)
{
	if (over_budget(ir, dir, h) && x->known) {
		half_set(x, RS_VERDICT_DENY,
			 rs_strdup("its policies need more cells or address intervals than can be "
				   "enforced: everything is denied (see the conditions)"));
		return;
	}
	if (h->applies != x->known || (x->known && h->allow != (x->verdict == RS_VERDICT_ALLOW)))
		*differs = true;
}

static int cross_check(const struct rs_ir *ir, const struct end *src, const struct end *dst,
		       const struct rs_flow *f, struct rs_explanation *x, struct rs_err *err)
{
	struct rs_ir_verdict v;
	bool differs = false;

	if (!ir || src->asked->node)
		return 0;
	rs_ir_eval(ir, &src->addr, &dst->addr, f->proto, f->port, &v);
	check_half(ir, RS_DIR_OUT, &v.out, &x->egress, &differs);
	check_half(ir, RS_DIR_IN, &v.in, &x->ingress, &differs);
	if (!differs)
		return 0;
	return rs_err_set(err, EUCLEAN,
			  "the rules in force do not say what the objects say about %s to %s: in "
			  "force %s, by the objects egress %s, ingress %s",
			  src->text, dst->text, v.allow ? "it is allowed" : "it is denied",
			  !x->egress.known			  ? "not judged here"
			  : x->egress.verdict == RS_VERDICT_ALLOW ? "allowed"
								  : "denied",
			  !x->ingress.known			   ? "not judged here"
			  : x->ingress.verdict == RS_VERDICT_ALLOW ? "allowed"
								   : "denied");
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void conclude(const struct end *src, const struct end *dst, struct rs_explanation *x)
{
	x->verdict = RS_VERDICT_ALLOW;
	if (x->egress.known && x->egress.verdict == RS_VERDICT_DENY)
		x->denied_at = rs_asprintf("egress of %s", src->text);
	else if (x->ingress.known && x->ingress.verdict == RS_VERDICT_DENY)
		x->denied_at = rs_asprintf("ingress of %s", dst->text);
	if (x->denied_at)
		x->verdict = RS_VERDICT_DENY;
}

static void put_note(struct rs_strbuf *b, const char *text, const char *rest)
{
	if (b->len)
		rs_strbuf_puts(b, "; ");
	rs_strbuf_puts(b, text);
	rs_strbuf_puts(b, rest);
}

static void note_end(struct rs_strbuf *b, const struct end *e)
{
	char addr[RS_ADDR_STRLEN];

	if (e->odd)
		put_note(b, e->text, "");
	if (e->odd)
		rs_strbuf_printf(b, " %s", e->odd);
	if (e->claims.n > 1)
		put_note(b, rs_addr_str(&e->addr, addr),
			 " is claimed by more than one pod: only what is allowed for all is "
			 "allowed");
}

/* An address that looks like a pod's: selectors would be expected to match it. */
static void note_unheld(struct rs_strbuf *b, const struct rs_world *w, const struct end *e)
{
	char addr[RS_ADDR_STRLEN];

	if (!e->claims.n && !e->asked->node &&
	    rs_cidrs_contain(w->pod_ranges, w->n_pod_ranges, &e->addr))
		put_note(b, rs_addr_str(&e->addr, addr),
			 " lies in the pod ranges, but no pod that is known here holds it");
}

static char *make_note(const struct rs_world *w, const struct end *src, const struct end *dst,
		       const struct rs_explanation *x)
{
	struct rs_strbuf b = { 0 };

	note_end(&b, src);
	note_end(&b, dst);
	note_unheld(&b, w, src);
	note_unheld(&b, w, dst);
	if (!x->egress.known && !x->ingress.known)
		put_note(&b,
			 w->everyone ? "neither end is a pod: no policy judges it"
				     : "neither end is a pod of this node: nothing is judged here",
			 "");
	else if (src->local && !x->ingress.known && dst->claims.n)
		put_note(&b, dst->text, " is on another node, which judges its ingress");
	else if (dst->local && !x->egress.known && src->claims.n)
		put_note(&b, src->text, " is on another node, which judges its egress");
	if (!b.len)
		return NULL;
	return rs_strbuf_steal(&b);
}

static int explain(const struct rs_world *w, const struct rs_ir *ir, const struct rs_flow *flow,
		   struct end *src, struct end *dst, struct rs_explanation *x, struct rs_err *err)
{
	int rc = find_end(w, &flow->src, src, err);

	if (rc == 0)
		rc = find_end(w, &flow->dst, dst, err);
	if (rc == 0)
		rc = choose_family(src, dst, err);
	if (rc < 0)
		return rc;
	find_claims(w, src);
	find_claims(w, dst);
	if (src->local && !rs_addr_cmp(&src->addr, &dst->addr)) {
		x->verdict = RS_VERDICT_ALLOW;
		x->note = rs_strdup("a pod always reaches itself");
		x->egress.reason = rs_strdup("a pod always reaches itself");
		x->ingress.reason = rs_strdup("a pod always reaches itself");
		return 0;
	}
	explain_halves(w, src, dst, flow, x);
	rc = cross_check(ir, src, dst, flow, x, err);
	if (rc < 0)
		return rc;
	conclude(src, dst, x);
	x->note = make_note(w, src, dst, x);
	return 0;
}

int rs_explain(const struct rs_world *w, const struct rs_ir *ir, const struct rs_flow *flow,
	       struct rs_explanation **out, struct rs_err *err)
{
	struct rs_explanation *x = rs_new(struct rs_explanation);
	struct end src = { 0 }, dst = { 0 };
	int rc = explain(w, ir, flow, &src, &dst, x, err);

	end_free(&src);
	end_free(&dst);
	if (rc < 0) {
		rs_explanation_free(x);
		x = NULL;
	}
	*out = x;
	return rc;
}

static void half_free(struct rs_half_explained *h)
{
	size_t i;

	for (i = 0; i < h->n_isolated_by; i++)
		free(h->isolated_by[i]);
	free(h->isolated_by);
	free(h->reason);
	free(h->rule);
	free(h->where);
	free(h->miss_rule);
	free(h->miss_where);
	free(h->miss_ports);
	free(h->miss_peers);
	free(h->miss_hint);
}

void rs_explanation_free(struct rs_explanation *x)
{
	if (!x)
		return;
	half_free(&x->egress);
	half_free(&x->ingress);
	free(x->denied_at);
	free(x->note);
	free(x);
}
