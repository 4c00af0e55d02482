// SPDX-License-Identifier: Apache-2.0
/* prove_work.c - a worker: one world after the other, and what may be changed in some of them. */
#include <inttypes.h>
#include <string.h>

#include "tests/prove/prove_run.h"

#define MORPH_EVERY 4 /* worlds */
#define MORPHS_A_WORLD 2
#define MAX_REPORTS 3 /* a worker gives up after so many */

static void count_hits(struct pv_worker *w, const char *words)
{
	size_t i, len;

	for (; words && *words; words += len + (words[len] == ' ')) {
		len = strcspn(words, " ");
		for (i = 0; i < w->ids->n; i++)
			if (strncmp(w->ids->id[i], words, len) == 0 && !w->ids->id[i][len])
				w->t->hits[i]++;
	}
}

static int8_t verdict(const struct pv_verdicts *v, size_t flow)
{
	for (size_t r = 0; r < PV_READERS; r++)
		if (v->v[r][flow] >= 0)
			return v->v[r][flow];
	return -1;
}

static void count(struct pv_worker *w, const struct pv_verdicts *v)
{
	w->t->worlds++;
	w->t->cases += v->n;
	for (size_t i = 0; i < v->n; i++) {
		w->t->deny += verdict(v, i) == 0;
		w->t->explained += v->v[PV_EXPLAIN][i] >= 0 && v->v[PV_OFFLINE][i] >= 0 &&
				   v->v[PV_RULESET][i] >= 0;
		count_hits(w, v->hits[i]);
	}
}

static bool enough(const struct pv_worker *w)
{
	for (unsigned int i = 0; w->o->first && i < w->o->jobs; i++)
		if (w->all[i].findings)
			return true;
	return w->reported >= MAX_REPORTS;
}

static void report(struct pv_worker *w, uint64_t index, const struct pv_case *c,
		   const struct pv_finding *f)
{
	struct pv_case copy = pv_case_copy(c);

	w->t->findings++;
	w->reported++;
	pv_report(w, index, &copy, f);
	pv_case_free(&copy);
}

/* ---- metamorphic rules ------------------------------------------------------------------------- */

static bool try_rule(struct pv_worker *w, uint64_t index, const struct pv_case *c,
		     const struct pv_verdicts *v, size_t rule)
{
	uint64_t rule_seed = index * PV_MAX_MORPHS + rule;
	struct pv_finding f = { 0 };
	struct pv_morphed m = { 0 };

	if (!pv_morph_find(w->judge, c, v, rule, rule_seed, &m, &f))
		return false;
	w->t->morphed++;
	w->t->morph[rule]++;
	snprintf(w->t->morph_name[rule], sizeof(w->t->morph_name[rule]), "%s", m.name);
	if (f.kind != PV_AGREED) /* readers that differ on the changed world: that is the case */
		report(w, index, f.kind == PV_RELATED ? c : &m.c, &f);
	pv_case_free(&m.c);
	return true;
}

static void change(struct pv_worker *w, uint64_t index, const struct pv_case *c,
		   const struct pv_verdicts *v)
{
	size_t n = pv_morphs(), start, done = 0, k;

	if (!n || index % MORPH_EVERY)
		return;
	start = (size_t)(index / MORPH_EVERY * MORPHS_A_WORLD % n);
	pv_judge_use(w->judge, PV_MORPH_READERS);
	for (k = 0; k < n && done < MORPHS_A_WORLD && !enough(w); k++)
		done += try_rule(w, index, c, v, (start + k) % n);
	pv_judge_use(w->judge, w->o->readers);
}

/* ---- worlds ------------------------------------------------------------------------------------ */

static void one_world(struct pv_worker *w, uint64_t index)
{
	struct pv_shape shape = pv_default_shape(false);
	struct pv_verdicts v = { 0 };
	struct pv_finding f = { 0 };
	struct pv_case c = { 0 };

	w->t->now = index;
	pv_generate(w->o->seed, index, &shape, &c);
	pv_judge_find(w->judge, &c, false, &v, &f);
	if (f.kind != PV_AGREED)
		report(w, index, &c, &f);
	if (f.kind != PV_ERROR)
		count(w, &v);
	if (f.kind == PV_AGREED)
		change(w, index, &c, &v);
	pv_verdicts_free(&v);
	pv_case_free(&w->before);
	w->before = c;
}

int pv_work(struct pv_worker *w, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end && !enough(w); i += w->o->jobs)
		one_world(w, i);
	return 0;
}
