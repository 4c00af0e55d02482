// SPDX-License-Identifier: Apache-2.0
/* subjects.c - who is compared: the endpoints of the worlds by workload, pod or namespace. */
#include "cli/whatif/whatif.h"

#include <string.h>

/* The words of the operand grammar for kinds. */
static const char *short_kind(const char *kind)
{
	static const char *const words[][2] = {
		{ "Deployment", "deploy" }, { "StatefulSet", "sts" }, { "DaemonSet", "ds" },
		{ "ReplicaSet", "rs" },	    { "Job", "job" },	      { "CronJob", "cronjob" },
		{ "Pod", "pod" },
	};
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(kind, words[i][0]))
			return words[i][1];
	return kind;
}

static struct subject subject_of(const struct cli_endpoint *e, enum cli_by by)
{
	struct subject s = { .ns = e->ns, .kind = "Namespace", .name = e->ns };

	if (by == CLI_BY_POD) {
		s.kind = e->is_template ? e->workload_kind : "Pod";
		s.name = e->name;
	} else if (by == CLI_BY_WORKLOAD) {
		s.kind = e->workload_kind;
		s.name = e->workload ? e->workload : e->name;
	}
	return s;
}

static uint32_t find_or_add(struct subjects *out, struct rs_intern *known, struct subject s)
{
	rs_auto_strbuf key = { 0 };
	uint32_t number;
	bool fresh;

	rs_key_str(&key, s.ns);
	rs_key_str(&key, s.kind);
	rs_key_str(&key, s.name);
	number = rs_intern_put(known, key.s, key.len, &fresh);
	if (!fresh)
		return number;
	s.text = strcmp(s.kind, "Namespace") ? rs_asprintf("%s/%s", s.ns, s.name)
					     : rs_asprintf("ns/%s", s.ns);
	*rs_vec_push(out) = s;
	return number;
}

static int by_text(const void *a, const void *b)
{
	const struct subject *x = a, *y = b;
	int d = strcmp(x->text, y->text);

	return d || x->outside ? d : strcmp(x->kind, y->kind);
}

/* Two workloads of one name and different kinds are told apart by their kinds. */
static void tell_apart(struct subjects *s)
{
	rs_autofree bool *same = rs_new0(bool, s->n + 1);
	size_t i;

	for (i = 1; i < s->n; i++)
		if (!strcmp(s->v[i].text, s->v[i - 1].text))
			same[i] = same[i - 1] = true;
	for (i = 0; i < s->n; i++) {
		if (!same[i])
			continue;
		free(s->v[i].text);
		s->v[i].text =
			rs_asprintf("%s/%s/%s", short_kind(s->v[i].kind), s->v[i].ns, s->v[i].name);
	}
}

static void sort(struct subjects *s)
{
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), by_text);
}

void subjects_collect(struct cli_world *const worlds[SIDES], enum cli_by by, struct subjects *out)
{
	struct rs_intern known = { 0 };
	size_t i, k;
	int side;

	for (side = 0; side < SIDES; side++)
		for (i = 0; worlds[side] && i < worlds[side]->n_ends; i++) {
			uint32_t n =
				find_or_add(out, &known, subject_of(&worlds[side]->ends[i], by));

			*rs_vec_push(&out->v[n].ends[side]) = (uint32_t)i;
		}
	rs_intern_free(&known);
	sort(out);
	tell_apart(out);
	sort(out);
	for (side = 0; side < SIDES; side++)
		out->of_end[side] = rs_new0(uint32_t, worlds[side] ? worlds[side]->n_ends + 1 : 1);
	for (i = 0; i < out->n; i++)
		for (side = 0; side < SIDES; side++)
			for (k = 0; k < out->v[i].ends[side].n; k++)
				out->of_end[side][out->v[i].ends[side].v[k]] = (uint32_t)i;
}

void subjects_free(struct subjects *s)
{
	size_t i;
	int side;

	for (i = 0; i < s->n; i++) {
		free(s->v[i].text);
		rs_vec_free(&s->v[i].spans);
		for (side = 0; side < SIDES; side++)
			rs_vec_free(&s->v[i].ends[side]);
	}
	for (side = 0; side < SIDES; side++)
		free(s->of_end[side]);
	rs_vec_free(s);
}
