// SPDX-License-Identifier: Apache-2.0
/* matrixtext.c - a matrix as a table (signs or ports in its cells) and as a graph; see matrix.h. */
#include <string.h>

#include "cli/matrix/matrix.h"

/* Above this many columns of text the columns are numbered. */
#define NAMED_WIDTH 110

static const char *sign(const struct matrix *m, size_t from, size_t to)
{
	switch (mx_kind(mx_cell(m, from, to))) {
	case MX_NONE:
		return ".";
	case MX_SOME:
		return "~";
	case MX_ALL:
		break;
	}
	return mx_is_open(m, from, to) ? "*" : "#";
}

static char *put_counts(char *text, const struct mx_count *c)
{
	char *with =
		rs_asprintf("%s (%llu/%llu/%llu)", text, (unsigned long long)c->n[MX_ALL],
			    (unsigned long long)c->n[MX_SOME], (unsigned long long)c->n[MX_NONE]);

	free(text);
	return with;
}

/* Of a party with others in its row: that of the row, but a lone pod has no pair with itself. */
static char *cell(const struct cli_run *r, const struct matrix *m, const struct mx_party *from,
		  const struct mx_party *to)
{
	size_t i = from->row, k = to->row;
	char *text;

	if (from == to && from->alone)
		return rs_strdup("-");
	if (r->opt.output == CLI_TABLE)
		return rs_strdup(sign(m, i, k));
	text = mx_cell_text(m, mx_cell(m, i, k));
	if (!m->counts || mx_cell(m, i, k) != MX_MIXED)
		return text;
	return put_counts(text, &m->counts[i * m->n_rows + k]);
}

/* Inside -n a name needs no namespace. */
static char *name_of(const struct cli_run *r, const struct mx_party *p)
{
	size_t ns = r->opt.namespace && p->ns && !strcmp(p->ns, r->opt.namespace) &&
				    strcmp(p->kind, "Namespace") != 0
			    ? strlen(p->ns) + 1
			    : 0;
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, p->text + ns);
	return rs_strbuf_steal(&b);
}

/* Signs are narrow: names of columns alone may make the table too wide to read. */
static bool wants_numbers(const struct cli_run *r, char *const *names, size_t n)
{
	size_t i, width = 0;

	for (i = 0; i < n; i++)
		width += strlen(names[i]) + 2;
	return r->opt.output == CLI_TABLE && width > NAMED_WIDTH;
}

static char *row_name(const char *name, size_t i, bool numbers)
{
	return numbers ? rs_asprintf("%zu %s", i + 1, name) : rs_strdup(name);
}

static enum cli_color color_of(const struct matrix *m, const struct mx_party *from,
			       const struct mx_party *to)
{
	static const enum cli_color colors[] = { CLI_BAD, CLI_WARN, CLI_GOOD };

	if (from == to && from->alone)
		return CLI_PLAIN;
	return colors[mx_kind(mx_cell(m, from->row, to->row))];
}

static void put_legend(struct cli_run *r, const struct matrix *m)
{
	if (r->opt.no_headers || (r->opt.output != CLI_TABLE && r->opt.output != CLI_WIDE))
		return;
	if (r->opt.output == CLI_TABLE)
		cli_putf(r,
			 "# allowed   * allowed because not isolated   . denied   ~ some %s   "
			 "- itself\n",
			 m->q.text && m->by == CLI_BY_POD ? "of its ports" : "ports or pairs");
	if (r->opt.output == CLI_WIDE && m->counts)
		cli_put(r, "(a/s/d): pairs with every port allowed, with some, with none\n");
	cli_putf(r, "%s by %s, ", m->q.text ? m->q.text : "every port",
		 m->by == CLI_BY_NS    ? "namespace"
		 : m->by == CLI_BY_POD ? "pod"
				       : "workload");
	cli_putf(r, "IPv%d, from ", m->family);
	cli_put_safe(r, m->cw->from);
	{
		char text[RS_ADDR_STRLEN];

		cli_putf(r, "; world is %s\n", rs_addr_str(&m->world, text));
	}
}

void mx_put_table(struct cli_run *r, const struct matrix *m)
{
	size_t n = m->parties.n, i, k;
	rs_autofree struct cli_column *columns = rs_new0(struct cli_column, n + 1);
	rs_autofree char **names = rs_new0(char *, n), **numbers = rs_new0(char *, n);
	rs_autofree char **cells = rs_new0(char *, n + 1);
	struct cli_table *t;
	bool numbered;

	for (i = 0; i < n; i++) {
		names[i] = name_of(r, &m->parties.v[i]);
		numbers[i] = rs_asprintf("%zu", i + 1);
	}
	numbered = wants_numbers(r, names, n);
	columns[0].name = "from \\ to";
	for (i = 0; i < n; i++)
		columns[i + 1].name = numbered ? numbers[i] : names[i];
	t = cli_table_new(columns, n + 1, 0, n + 1);
	for (i = 0; i < n; i++) {
		cells[0] = row_name(names[i], i, numbered);
		for (k = 0; k < n; k++)
			cells[k + 1] = cell(r, m, &m->parties.v[i], &m->parties.v[k]);
		cli_table_row(t, cells);
		for (k = 0; k < n; k++)
			cli_table_color(t, k + 1, color_of(m, &m->parties.v[i], &m->parties.v[k]));
	}
	cli_table_end(r, t, "", !r->opt.no_headers);
	put_legend(r, m);
	for (i = 0; i < n; i++) {
		free(names[i]);
		free(numbers[i]);
	}
}

/* ---- a graph --------------------------------------------------------------------------------- */

/* A string of the DOT language: a backslash begins an escape of its own there. */
static void put_quoted(struct cli_run *r, const char *text)
{
	rs_auto_strbuf safe = { 0 };
	const char *p;

	rs_strbuf_puts_safe(&safe, text);
	cli_put(r, "\"");
	for (p = rs_strbuf_str(&safe); *p; p++) {
		if (*p == '"' || *p == '\\')
			cli_put(r, "\\");
		cli_putf(r, "%c", *p);
	}
	cli_put(r, "\"");
}

static void put_node(struct cli_run *r, const struct matrix *m, size_t row)
{
	const struct mx_row *o = &m->rows[row];
	rs_auto_strbuf text = { 0 };
	size_t i;

	for (i = 0; i < o->n_members; i++) {
		if (i)
			rs_strbuf_puts(&text, i % 3 ? ", " : ",\n");
		rs_strbuf_puts(&text, m->parties.v[m->members[o->first_member + i]].text);
	}
	cli_putf(r, "\tr%zu [label=", row);
	put_quoted(r, rs_strbuf_str(&text));
	cli_put(r, "];\n");
}

static void put_edge(struct cli_run *r, const struct matrix *m, size_t from, size_t to)
{
	uint32_t c = mx_cell(m, from, to);
	rs_autofree char *text = mx_cell_text(m, c);

	if (mx_kind(c) == MX_NONE || mx_is_self(m, from, to))
		return;
	cli_putf(r, "\tr%zu -> r%zu [label=", from, to);
	put_quoted(r, text);
	cli_put(r, mx_is_open(m, from, to) ? ", style=dashed];\n" : "];\n");
}

void mx_put_dot(struct cli_run *r, const struct matrix *m)
{
	size_t i, k;

	cli_put(r, "digraph reach {\n\tgraph [rankdir=LR];\n"
		   "\tnode [shape=box, fontname=\"sans-serif\"];\n"
		   "\tedge [fontname=\"sans-serif\", fontsize=10];\n");
	for (i = 0; i < m->n_rows; i++)
		put_node(r, m, i);
	for (i = 0; i < m->n_rows; i++)
		for (k = 0; k < m->n_rows; k++)
			put_edge(r, m, i, k);
	cli_put(r, "}\n");
}
