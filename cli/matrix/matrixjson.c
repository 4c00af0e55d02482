// SPDX-License-Identifier: Apache-2.0
/* matrixjson.c - a matrix as the object of kind Matrix; see matrix.h and docs/json.md. */
#include <string.h>

#include "cli/matrix/matrix.h"

static const char *const by_words[] = { "workload", "pod", "ns" };
static const char *const kind_words[] = { "none", "some", "all" };

static void add_int(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static struct json_object *party_object(const struct matrix *m, const struct mx_party *p)
{
	struct json_object *o = json_object_new_object();
	char text[RS_ADDR_STRLEN];

	rs_json_add_str(o, "text", p->text);
	rs_json_add_str(o, "kind", p->kind);
	rs_json_add_str(o, "namespace", p->ns);
	if (p->ns && strcmp(p->kind, "Namespace") != 0)
		rs_json_add_str(o, "name", p->name);
	if (p->ns)
		add_int(o, "pods", p->n_ends);
	else
		rs_json_add_str(o, "ip", rs_addr_str(&m->world, text));
	return o;
}

static struct json_object *reach_object(const struct matrix *m, size_t from, size_t to)
{
	struct json_object *o = json_object_new_object();
	uint32_t c = mx_cell(m, from, to);
	rs_autofree char *text = mx_cell_text(m, c);

	json_object_object_add(o, "rows", json_object_new_array());
	rs_json_add_str(o, "reach", kind_words[mx_kind(c)]);
	if (!m->q.text && c != MX_MIXED)
		rs_json_add_str(o, "ports", text);
	if (m->counts) {
		const struct mx_count *n = &m->counts[from * m->n_rows + to];
		struct json_object *pairs = json_object_new_object();

		add_int(pairs, "all", n->n[MX_ALL]);
		add_int(pairs, "some", n->n[MX_SOME]);
		add_int(pairs, "none", n->n[MX_NONE]);
		json_object_object_add(o, "pairs", pairs);
	}
	return o;
}

/* Rows of the same cell share an item; those with counts of their own have one each. */
static struct json_object *to_array(const struct matrix *m, size_t from)
{
	struct json_object *list = json_object_new_array();
	rs_autofree uint32_t *cells = rs_new0(uint32_t, m->n_rows);
	size_t to, i, n = 0;

	for (to = 0; to < m->n_rows; to++) {
		uint32_t c = mx_cell(m, from, to);
		struct json_object *item;

		if (mx_kind(c) == MX_NONE || mx_is_self(m, from, to))
			continue;
		for (i = 0; i < n && (m->counts || cells[i] != c); i++)
			;
		if (i == n) {
			cells[n++] = c;
			json_object_array_add(list, reach_object(m, from, to));
		}
		item = json_object_array_get_idx(list, i);
		json_object_array_add(rs_json_get(item, "rows"), json_object_new_uint64(to));
	}
	return list;
}

static struct json_object *row_object(const struct matrix *m, size_t row)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	const struct mx_row *x = &m->rows[row];
	size_t i;

	add_int(o, "row", row);
	for (i = 0; i < x->n_members; i++)
		json_object_array_add(
			list, party_object(m, &m->parties.v[m->members[x->first_member + i]]));
	json_object_object_add(o, "endpoints", list);
	json_object_object_add(o, "egressIsolated",
			       json_object_new_boolean(x->isolated[RS_EGRESS]));
	json_object_object_add(o, "ingressIsolated",
			       json_object_new_boolean(x->isolated[RS_INGRESS]));
	json_object_object_add(o, "to", to_array(m, row));
	return o;
}

void mx_put_object(struct cli_run *r, const struct matrix *m)
{
	rs_autojson struct json_object *o = json_object_new_object();
	struct json_object *meta = json_object_new_object(), *items = json_object_new_array();
	size_t i;

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "Matrix");
	rs_json_add_str(meta, "source", m->cw->origin);
	rs_json_add_str(meta, "from", m->cw->from);
	json_object_object_add(o, "metadata", meta);
	rs_json_add_str(o, "by", by_words[m->by]);
	rs_json_add_str(o, "port", m->q.text);
	add_int(o, "family", (uint64_t)m->family);
	for (i = 0; i < m->n_rows; i++)
		json_object_array_add(items, row_object(m, i));
	json_object_object_add(o, "items", items);
	cli_put_object(r, o);
}
