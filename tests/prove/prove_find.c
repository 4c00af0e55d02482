// SPDX-License-Identifier: Apache-2.0
/* prove_find.c - verdicts of several readers against each other, and of a changed world against its
 * original. */
#include <errno.h>
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/prove_run.h"

static const char *const names[PV_READERS] = { "oracle",  "IR",	     "ruleset", "second oracle",
					       "explain", "offline", "eBPF" };

static const char *word(int8_t v)
{
	return v < 0 ? "-" : v ? "allow" : "deny";
}

static bool differ(const struct pv_verdicts *v, size_t flow)
{
	int8_t seen = -1;

	for (size_t r = 0; r < PV_READERS; r++) {
		if (v->v[r][flow] < 0)
			continue;
		if (seen >= 0 && seen != v->v[r][flow])
			return true;
		seen = v->v[r][flow];
	}
	return false;
}

static void keep_verdicts(const struct pv_verdicts *v, size_t flow, struct pv_finding *out)
{
	out->flow = flow;
	for (size_t r = 0; r < PV_READERS; r++)
		out->v[r] = v->v[r][flow];
}

void pv_find(const struct pv_verdicts *v, struct pv_finding *out)
{
	size_t i, r, at;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < v->n; i++) {
		if (!differ(v, i))
			continue;
		out->kind = PV_DIFFER;
		keep_verdicts(v, i, out);
		at = (size_t)snprintf(out->text, sizeof(out->text), "flow %zu:", i);
		for (r = 0; r < PV_READERS; r++)
			at += (size_t)snprintf(out->text + at, sizeof(out->text) - at, " %s %s%s",
					       names[r], word(out->v[r]),
					       r + 1 < PV_READERS ? "," : "");
		return;
	}
	for (i = 0; i < v->n; i++) {
		if (!v->broken[i])
			continue;
		out->kind = PV_BROKEN;
		keep_verdicts(v, i, out);
		snprintf(out->text, sizeof(out->text), "flow %zu: %s", i, v->broken[i]);
		return;
	}
}

void pv_judge_find(struct pv_judge *j, const struct pv_case *c, bool fresh, struct pv_verdicts *v,
		   struct pv_finding *out)
{
	struct pv_verdicts own = { 0 };
	rs_auto_err err = { 0 };
	int rc = pv_judge_case(j, c, fresh, &own, &err);

	if (rc < 0) {
		*out = (struct pv_finding){ .kind = PV_ERROR, .rc = rc };
		snprintf(out->text, sizeof(out->text), "no verdict: %s", rs_err_str(&err));
	} else {
		pv_find(&own, out);
	}
	if (v)
		*v = own;
	else
		pv_verdicts_free(&own);
}

/* ---- a changed world ------------------------------------------------------------------------- */

static bool end_in(json_object *flow, const char *end, const char *ns)
{
	const char *pod = rs_json_text(rs_json_get(flow, end), "pod", NULL);
	size_t len = strlen(ns);

	return pod && strncmp(pod, ns, len) == 0 && pod[len] == '/';
}

static bool holds(const struct pv_morphed *m, json_object *flow, int8_t before, int8_t after)
{
	if (before < 0 || after < 0)
		return true;
	switch (m->relation) {
	case PV_SAME:
		return before == after;
	case PV_ONLY_LOOSER:
		return !before || after;
	case PV_SAME_OUTSIDE:
		return before == after || end_in(flow, "src", m->ns) || end_in(flow, "dst", m->ns);
	}
	return false;
}

static void compare(const struct pv_case *c, const struct pv_morphed *m,
		    const struct pv_verdicts *before, const struct pv_verdicts *after,
		    struct pv_finding *out)
{
	json_object *flows = rs_json_get(c->root, "flows");

	for (size_t i = 0; i < before->n; i++)
		for (size_t r = 0; r < PV_READERS; r++) {
			json_object *flow = json_object_array_get_idx(flows, i);
			int8_t b = before->v[r][i], a = after->v[r][i];

			if (holds(m, flow, b, a))
				continue;
			out->kind = PV_RELATED;
			keep_verdicts(before, i, out);
			out->reader = r;
			snprintf(out->text, sizeof(out->text),
				 "flow %zu: '%s' changes what %s says from %s to %s", i, m->name,
				 names[r], word(b), word(a));
			return;
		}
}

bool pv_morph_find(struct pv_judge *j, const struct pv_case *c, const struct pv_verdicts *before,
		   size_t rule, uint64_t rule_seed, struct pv_morphed *m, struct pv_finding *out)
{
	struct pv_verdicts after = { 0 };
	struct pv_rng r;

	memset(out, 0, sizeof(*out));
	pv_rng_seed(&r, rule_seed, rule);
	if (!pv_morph(c, rule, &r, m))
		return false;
	pv_judge_find(j, &m->c, false, &after, out);
	if (out->kind == PV_AGREED && after.n != before->n)
		*out = (struct pv_finding){ .kind = PV_ERROR,
					    .rc = -EINVAL,
					    .text = "a metamorphic rule changed the flows" };
	if (out->kind == PV_AGREED)
		compare(c, m, before, &after, out);
	out->rule = rule;
	out->rule_seed = rule_seed;
	pv_verdicts_free(&after);
	return true;
}
