// SPDX-License-Identifier: Apache-2.0
/* hist_check.c - the node as it came about, against one made from the same state in one go. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/prove/canon.h"
#include "tests/prove/hist.h"
#include "tests/prove/walks.h"

#define FLOWS 40
#define TABLE "ripstop"

/* The other node, from scratch. */
struct fresh {
	struct rs_store *store;
	struct rs_local_pod *pods;
	struct rs_ir *ir;
	struct rs_dp *dp;
};

static void fresh_free(struct fresh *f)
{
	hist_close(&f->dp);
	rs_ir_free(f->ir);
	free(f->pods);
	rs_store_free(f->store);
}

static int make_fresh(struct hist *h, struct fresh *f)
{
	struct rs_compiler *c = rs_compiler_new(NULL);
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	struct rs_world w;
	int rc;

	f->store = hist_scratch_store(h, &err);
	rc = f->store ? 0 : -1;
	if (rc == 0) {
		f->pods = hist_locals(h, f->store);
		w = hist_world(h, f->store, f->pods);
		rc = rs_compile(c, &w, &f->ir, NULL, &err);
	}
	if (rc == 0)
		rc = hist_open(h, h->ns_scratch, &f->dp);
	if (rc == 0)
		rc = rs_dp_nft.remove(f->dp, &err);
	if (rc == 0)
		rc = rs_dp_nft.commit(f->dp, f->ir, &done, &err);
	rs_compiler_free(c);
	return rc < 0 ? hist_fail(h, HIST_ERROR, "from scratch: %s", rs_err_str(&err)) : 0;
}

/* ---- IR -------------------------------------------------------------------------------------- */

static int same_ir(struct hist *h, const struct rs_ir *now, const struct rs_ir *fresh, bool people,
		   enum hist_aspect aspect, const char *what)
{
	rs_autofree char *a = pv_canon(now, people), *b = pv_canon(fresh, people);
	rs_autofree char *diff = pv_canon_diff(a, b);

	if (diff)
		return hist_fail(h, aspect, "%s (- now, + from scratch):\n%s", what, diff);
	if (!strncmp(a, "orphan", 6) || strstr(a, "\norphan"))
		return hist_fail(h, aspect, "%s: a number that nothing leads to:\n%s", what,
				 strstr(a, "orphan"));
	return 0;
}

/* ---- kernel ---------------------------------------------------------------------------------- */

static int counts(struct hist *h, int ns, size_t n[4], struct rs_ruleset **rules)
{
	struct rs_dp *dp = NULL;
	struct rs_dp_stats s = { 0 };
	rs_auto_err err = { 0 };
	int rc = hist_open(h, ns, &dp);

	if (rc == 0)
		rc = rs_dp_nft.stats(dp, &s, &err);
	if (rc == 0)
		rc = rs_ruleset_read(TABLE, rules, &err);
	hist_close(&dp);
	n[0] = s.elements;
	n[1] = s.rules;
	rs_dp_stats_free(&s);
	if (rc < 0)
		return hist_fail(h, HIST_ERROR, "kernel: %s", rs_err_str(&err));
	n[2] = rs_ruleset_elements(*rules);
	n[3] = rs_ruleset_rules(*rules);
	return 0;
}

static int read_fresh(struct hist *h, const struct fresh *f)
{
	struct rs_dp *dp = NULL;
	struct rs_ir *seen = NULL;
	rs_auto_err err = { 0 };
	int rc = hist_open(h, h->ns_scratch, &dp);

	if (rc == 0 && (rs_dp_nft.read(dp, &seen, &err) < 0 || !seen))
		rc = hist_fail(h, HIST_ERROR, "read from scratch: %s", rs_err_str(&err));
	if (rc == 0)
		rc = same_ir(h, seen, f->ir, false, HIST_KERNEL, "the kernel from scratch");
	rs_ir_free(seen);
	hist_close(&dp);
	return rc;
}

/* Nothing too much and nothing too little; also by a reader that knows no IR. */
static int same_kernel(struct hist *h, const struct fresh *f, struct rs_ruleset *rules[2])
{
	static const char *const names[4] = { "elements", "rules", "elements read back",
					      "rules read back" };
	size_t now[4] = { 0 }, fresh[4] = { 0 };
	int rc = hist_kernel_holds(h, HIST_KERNEL, "at a check");

	if (rc == 0)
		rc = read_fresh(h, f);
	if (rc == 0)
		rc = counts(h, h->ns_now, now, &rules[0]);
	if (rc == 0)
		rc = counts(h, h->ns_scratch, fresh, &rules[1]);
	for (size_t i = 0; rc == 0 && i < RS_ARRAY_SIZE(now); i++)
		if (now[i] != fresh[i])
			rc = hist_fail(h, HIST_KERNEL, "%zu %s, from scratch %zu", now[i], names[i],
				       fresh[i]);
	return rc;
}

static int no_drift(struct hist *h)
{
	struct rs_dp_drifts d = { 0 };
	rs_auto_err err = { 0 };
	int rc = 0;

	if (rs_dp_nft.audit(h->dp, &d, &err) < 0)
		return hist_fail(h, HIST_ERROR, "audit: %s", rs_err_str(&err));
	if (d.n)
		rc = hist_fail(h, HIST_KERNEL, "drift: %s %s", d.v[0].object, d.v[0].what);
	rs_dp_drifts_free(&d);
	return rc;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* What comes from there, or goes there from a pod, is dropped by the guard. */
static bool forged(const struct rs_ir *ir, const struct pv_end *e)
{
	return rs_addr_is_loopback(&e->addr) ||
	       (e->kind == PV_END_HOST &&
		rs_cidrs_contain(ir->node_ranges, ir->n_node_ranges, &e->addr));
}

/* A pod of this node, or an address that some relation speaks of, or one beside. */
static struct pv_end some_end(struct hist *h, const struct pv_scene *s, const struct rs_ir *ir)
{
	struct pv_end e = { .kind = PV_END_HOST, .node = -1, .name = "somebody" };
	uint32_t what = pv_below(&h->rng, 10);

	if (what < 5 && s->nodes[0].locals.n) {
		const struct rs_local_pod *p =
			&s->nodes[0].locals.v[pv_below(&h->rng, (uint32_t)s->nodes[0].locals.n)];

		e = (struct pv_end){ PV_END_POD, 0, p, NULL,
				     p->ips[pv_below(&h->rng, (uint32_t)p->n_ips)] };
	} else if (what < 8 && ir->n_addrs) {
		e.addr = ir->addrs[pv_below(&h->rng, (uint32_t)ir->n_addrs)].addr;
	} else if (what < 9 && ir->n_ranges) {
		const struct rs_ir_range *r =
			&ir->ranges[pv_below(&h->rng, (uint32_t)ir->n_ranges)];

		e.addr = pv_chance(&h->rng, 50) ? r->lo : r->hi;
	} else if (h->hosts.n) {
		e.addr = h->hosts.v[pv_below(&h->rng, (uint32_t)h->hosts.n)];
	}
	for (size_t i = 0; e.kind == PV_END_HOST && i < s->nodes[0].locals.n; i++)
		for (size_t k = 0; k < s->nodes[0].locals.v[i].n_ips; k++)
			if (!rs_addr_cmp(&e.addr, &s->nodes[0].locals.v[i].ips[k]))
				e = (struct pv_end){ PV_END_POD, 0, &s->nodes[0].locals.v[i], NULL,
						     e.addr };
	return e;
}

static bool some_flow(struct hist *h, const struct pv_scene *s, const struct rs_ir *ir,
		      struct pv_flow *f)
{
	static const uint8_t protos[] = { 6, 6, 6, 17, 17, 132, 1, 47 };
	static const uint16_t ports[] = { 1, 2, 53, 80, 81, 443, 8080, 8081, 65534, 65535 };

	memset(f, 0, sizeof(*f));
	f->src = some_end(h, s, ir);
	f->dst = some_end(h, s, ir);
	f->family = f->src.addr.family;
	f->proto = protos[pv_below(&h->rng, RS_ARRAY_SIZE(protos))];
	if (f->proto == 1 && f->family == 6)
		f->proto = 58;
	if (f->proto == 6 || f->proto == 17 || f->proto == 132)
		f->port = ports[pv_below(&h->rng, RS_ARRAY_SIZE(ports))];
	return f->family && f->dst.addr.family == f->family &&
	       (f->src.kind == PV_END_POD || f->dst.kind == PV_END_POD) &&
	       rs_addr_cmp(&f->src.addr, &f->dst.addr) != 0;
}

static int one_verdict(struct hist *h, struct pv_walks w[2], const struct fresh *f,
		       const struct pv_flow *flow)
{
	rs_autofree char *text = pv_flow_text(flow), *broken[2] = { NULL, NULL };
	struct rs_ir_verdict v[2];
	bool allow[2] = { 0 };
	rs_auto_err err = { 0 };
	int rc = 0;

	rs_ir_eval(h->ir, &flow->src.addr, &flow->dst.addr, flow->proto, flow->port, &v[0]);
	rs_ir_eval(f->ir, &flow->src.addr, &flow->dst.addr, flow->proto, flow->port, &v[1]);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = pv_walks_flow(&w[i], flow, &allow[i], &broken[i], &err);
	if (rc < 0)
		hist_fail(h, HIST_ERROR, "walk %s: %s", text, rs_err_str(&err));
	else if (v[0].allow != v[1].allow)
		rc = hist_fail(h, HIST_VERDICT, "%s: the IR says %d, from scratch %d", text,
			       v[0].allow, v[1].allow);
	else if (allow[0] != allow[1] || !broken[0] != !broken[1])
		rc = hist_fail(h, HIST_VERDICT, "%s: the rules say %d%s, from scratch %d%s", text,
			       allow[0], broken[0] ? broken[0] : "", allow[1],
			       broken[1] ? broken[1] : "");
	else if (forged(f->ir, &flow->src) || forged(f->ir, &flow->dst))
		rc = 0; /* the IR does not know where a packet came from */
	else if (allow[0] != v[0].allow || broken[0])
		rc = hist_fail(h, HIST_VERDICT, "%s: the IR says %d, the rules %d %s", text,
			       v[0].allow, allow[0], broken[0] ? broken[0] : "");
	h->flows++;
	free(broken[1]);
	broken[1] = NULL;
	return rc;
}

static int same_verdicts(struct hist *h, const struct fresh *f, struct rs_ruleset *rules[2])
{
	pv_auto_scene struct pv_scene *s = rs_new(struct pv_scene);
	struct pv_walks w[2] = { { .scene = s, .rules = { rules[0] } },
				 { .scene = s, .rules = { rules[1] } } };
	rs_auto_err err = { 0 };
	struct pv_flow flow;
	int rc = 0;

	s->n_nodes = 1;
	s->nodes[0].at.name = h->node;
	for (size_t i = 0; i < h->locals.n; i++)
		*rs_vec_push(&s->nodes[0].locals) = f->pods[i];
	s->store = hist_scratch_store(h, &err);
	for (int i = 0; rc == 0 && i < 2; i++)
		if (!s->store || pv_walks_begin(&w[i], &err) < 0)
			rc = hist_fail(h, HIST_VERDICT, "%s: %s", i ? "from scratch" : "now",
				       rs_err_str(&err));
	for (int i = 0; rc == 0 && i < FLOWS; i++)
		if (some_flow(h, s, f->ir, &flow))
			rc = one_verdict(h, w, f, &flow);
	return rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int compare(struct hist *h, const struct fresh *f)
{
	struct rs_ruleset *rules[2] = { NULL, NULL };
	int rc = same_ir(h, h->ir, f->ir, true, HIST_IR, "the IR");

	if (rc == 0)
		rc = same_kernel(h, f, rules);
	if (rc == 0)
		rc = same_verdicts(h, f, rules);
	if (rc == 0)
		rc = no_drift(h);
	rs_ruleset_free(rules[0]);
	rs_ruleset_free(rules[1]);
	return rc;
}

int hist_check(struct hist *h)
{
	struct fresh f = { 0 };
	int rc;

	hist_note(h, "check: %zu objects, %zu pods here", h->objects.n, h->locals.n);
	rc = hist_deliver_all(h);
	if (rc == 0)
		rc = hist_compile(h, HIST_COMMITTED);
	if (rc == 0)
		rc = make_fresh(h, &f);
	if (rc == 0)
		rc = compare(h, &f);
	/* Once more, with nothing new: nothing may change. */
	if (rc == 0)
		rc = hist_compile(h, HIST_COMMITTED);
	fresh_free(&f);
	h->checks++;
	return rc;
}
