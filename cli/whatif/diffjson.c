// SPDX-License-Identifier: Apache-2.0
/* diffjson.c - a difference as the object of kind Diff; see docs/json.md. */
#include <string.h>

#include "answer/answer.h"
#include "cli/whatif/diff.h"

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static struct json_object *spans_json(const struct subject *s)
{
	struct json_object *list = json_object_new_array();
	char lo[RS_ADDR_STRLEN], hi[RS_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < s->spans.n; i++) {
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "first", rs_addr_str(&s->spans.v[i].lo, lo));
		rs_json_add_str(o, "last", rs_addr_str(&s->spans.v[i].hi, hi));
		json_object_array_add(list, o);
	}
	return list;
}

struct json_object *subject_json(const struct subject *s)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "text", s->text);
	rs_json_add_str(o, "kind", s->outside ? "Outside" : s->kind);
	if (s->outside) {
		json_object_object_add(o, "ranges", spans_json(s));
		return o;
	}
	if (strcmp(s->kind, "Namespace"))
		rs_json_add_str(o, "namespace", s->ns);
	rs_json_add_str(o, "name", s->name);
	return o;
}

static struct json_object *row_json(const struct diff *d, const struct diff_row *row)
{
	const struct subjects *s = whatif_subjects(d->w);
	struct json_object *o = json_object_new_object();
	rs_autofree char *before = pair_ports_text(d->w, &row->pair, BEFORE);
	rs_autofree char *after = pair_ports_text(d->w, &row->pair, AFTER);

	rs_json_add_str(o, "change", change_words[row->pair.change]);
	json_object_object_add(o, "from", subject_json(&s->v[row->pair.from]));
	json_object_object_add(o, "to", subject_json(&s->v[row->pair.to]));
	rs_json_add_str(o, "before", before);
	rs_json_add_str(o, "after", after);
	rs_json_add_str(o, "why", row->blame.why);
	rs_json_add_str(o, "policy", row->blame.policy);
	rs_json_add_str(o, "where", row->blame.where);
	if (d->traffic)
		add_number(o, "records", row->seen);
	return o;
}

static struct json_object *summary_json(const struct diff *d)
{
	struct json_object *o = json_object_new_object();
	int c;

	for (c = LOST; c < CHANGES; c++)
		add_number(o, change_words[c], d->sections[c].total);
	add_number(o, "unchanged", d->unchanged);
	if (!d->traffic)
		return o;
	add_number(o, "lostInUse", d->sections[LOST].in_use);
	add_number(o, "gainedTried", d->sections[GAINED].in_use);
	add_number(o, "changedInUse", d->sections[CHANGED].in_use);
	add_number(o, "records", d->records.read);
	add_number(o, "recordsWithoutFlow", d->records.other);
	add_number(o, "recordsOfStrangers", d->strangers);
	return o;
}

static struct json_object *subjects_json(const struct diff *d, const struct rs_u32s *v)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < v->n; i++)
		json_object_array_add(list, subject_json(&whatif_subjects(d->w)->v[v->v[i]]));
	return list;
}

struct json_object *diff_json(const struct diff *d, const char *source)
{
	static const char *const by[] = { "workload", "pod", "ns" };
	struct json_object *meta, *o = rs_answer_new("Diff", source, &meta);
	struct json_object *items = json_object_new_array();
	bool all = true;
	size_t i;
	int c;

	rs_json_add_str(meta, "before", d->before);
	rs_json_add_str(meta, "after", d->after);
	rs_json_add_str(o, "by", by[d->by]);
	rs_json_add_str(o, "namespace", d->only);
	json_object_object_add(o, "summary", summary_json(d));
	for (c = LOST; c < CHANGES; c++) {
		for (i = 0; i < d->sections[c].rows.n; i++)
			json_object_array_add(items, row_json(d, &d->sections[c].rows.v[i]));
		all &= d->sections[c].rows.n == d->sections[c].total;
	}
	json_object_object_add(o, "complete", json_object_new_boolean(all));
	json_object_object_add(o, "items", items);
	json_object_object_add(o, "appeared", subjects_json(d, &d->appeared));
	json_object_object_add(o, "vanished", subjects_json(d, &d->vanished));
	return o;
}
