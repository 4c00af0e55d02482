// SPDX-License-Identifier: Apache-2.0
/* prove_table.c - what the run must have shown beside agreement: enough of everything. A line is a test,
 * named by the id of its rule. */
#include <inttypes.h>

#include "tests/prove/prove_run.h"

struct table {
	unsigned int lines;
	unsigned int misses;
};

static void line(struct table *t, const char *name, uint64_t got, uint64_t need, const char *means)
{
	t->lines++;
	if (got < need)
		t->misses++;
	printf("%s %-34s  %9" PRIu64 " of %-7" PRIu64 " %s\n", got < need ? "failed" : "passed",
	       name, got, need, means);
}

unsigned int pv_table(const struct pv_options *o, const struct pv_ids *ids,
		      const struct pv_tally *sum, unsigned int *lines)
{
	uint64_t each = o->cases / 1000 ? o->cases / 1000 : 1, worlds = o->cases / PV_MAX_FLOWS;
	uint64_t deny = sum->cases ? sum->deny * 100 / sum->cases : 0;
	uint64_t allow = sum->cases ? (sum->cases - sum->deny) * 100 / sum->cases : 0;
	unsigned int explained = 1u << PV_EXPLAIN | 1u << PV_OFFLINE | 1u << PV_RULESET;
	struct table t = { 0 };
	size_t i, n = pv_morphs();

	if (ids->n)
		printf("flows by the rule that they are about: count, of the number needed\n");
	for (i = 0; i < ids->n; i++)
		line(&t, ids->id[i], sum->hits[i], each, ids->means[i]);
	if (n)
		printf("changed worlds by metamorphic rule\n");
	for (i = 0; i < n && i < PV_MAX_MORPHS; i++)
		line(&t, sum->morph_name[i][0] ? sum->morph_name[i] : "(never applied)",
		     sum->morph[i], worlds / 200, "");
	printf("the whole\n");
	line(&t, "worlds", sum->worlds, worlds ? worlds : 1, "");
	line(&t, "cases", sum->cases, o->cases, "");
	if ((o->readers & explained) == explained)
		line(&t, "explained", sum->explained, o->cases,
		     "explain's verdict, by node and offline, is that of the rules in the kernel");
	line(&t, "denied, per cent", deny, 30, "");
	line(&t, "allowed, per cent", allow, 30, "");
	*lines = t.lines;
	return t.misses;
}
