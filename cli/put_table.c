// SPDX-License-Identifier: Apache-2.0
/* put_table.c - rows of cells as a table for people, as CSV or as Markdown. */
#include "cli/cli.h"

#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct row {
	char **cells;
	enum cli_color *colors;
	size_t nr; /* as it came */
};

struct cli_table {
	struct cli_column *columns;
	struct rs_vec(struct row) rows;
	size_t n, first, last;
};

struct cli_table *cli_table_new(const struct cli_column *columns, size_t n, size_t first,
				size_t last)
{
	struct cli_table *t = rs_new(struct cli_table);

	t->columns = rs_new0(struct cli_column, n);
	memcpy(t->columns, columns, n * sizeof(*columns));
	t->n = n;
	t->first = first;
	t->last = last;
	return t;
}

void cli_table_row(struct cli_table *t, char **cells)
{
	struct row *row = rs_vec_push(&t->rows);
	size_t i;

	row->nr = t->rows.n;
	row->cells = rs_new0(char *, t->n);
	row->colors = rs_new0(enum cli_color, t->n);
	for (i = 0; i < t->n; i++)
		row->cells[i] = cells[i] ? cells[i] : rs_strdup("-");
}

void cli_table_color(struct cli_table *t, size_t column, enum cli_color color)
{
	t->rows.v[t->rows.n - 1].colors[column] = color;
}

static void free_table(struct cli_table *t)
{
	size_t i, k;

	for (i = 0; i < t->rows.n; i++) {
		for (k = 0; k < t->n; k++)
			free(t->rows.v[i].cells[k]);
		free(t->rows.v[i].cells);
		free(t->rows.v[i].colors);
	}
	rs_vec_free(&t->rows);
	free(t->columns);
	free(t);
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool is_number(const char *s)
{
	char *end;

	strtod(s, &end);
	return end != s && !*end;
}

/* Numbers by value, words by bytes, what is not known last. */
static int compare(const char *a, const char *b)
{
	bool no_a = !strcmp(a, "-"), no_b = !strcmp(b, "-");
	double x, y;

	if (no_a || no_b)
		return no_a - no_b;
	if (!is_number(a) || !is_number(b))
		return strcmp(a, b);
	x = strtod(a, NULL);
	y = strtod(b, NULL);
	return (x > y) - (x < y);
}

static int by_column(const void *a, const void *b, void *column)
{
	const struct row *x = a, *y = b;
	size_t c = *(size_t *)column;
	int order = compare(x->cells[c], y->cells[c]);

	return order ? order : (x->nr > y->nr) - (x->nr < y->nr);
}

static void sort(struct cli_run *r, struct cli_table *t)
{
	rs_auto_strbuf names = { 0 };
	size_t c;

	for (c = 0; c < t->n && strcasecmp(t->columns[c].name, r->opt.sort_by); c++)
		rs_strbuf_printf(&names, "%s%s", c ? ", " : "", t->columns[c].name);
	if (c < t->n && t->rows.n)
		qsort_r(t->rows.v, t->rows.n, sizeof(*t->rows.v), by_column, &c);
	if (c < t->n || r->refused)
		return;
	cli_error(names.s, "--sort-by: there is no column %s", r->opt.sort_by);
	r->refused = CLI_USAGE;
}

/* ---- CSV (RFC 4180) and Markdown ------------------------------------------------------------- */

/* Quoted where it must be. What a spreadsheet would run as a formula gets an apostrophe; our "-"
 * is nothing. */
static void put_csv(struct rs_strbuf *b, const char *cell)
{
	if (!strcmp(cell, "-"))
		return;
	if (!strpbrk(cell, ",\"") && !strchr("=+-@", *cell)) {
		rs_strbuf_puts(b, cell);
		return;
	}
	rs_strbuf_putc(b, '"');
	if (cell[1] && strchr("=+-@", *cell) && !is_number(cell))
		rs_strbuf_putc(b, '\'');
	for (; *cell; cell++) {
		if (*cell == '"')
			rs_strbuf_putc(b, '"');
		rs_strbuf_putc(b, *cell);
	}
	rs_strbuf_putc(b, '"');
}

static void put_md(struct rs_strbuf *b, const char *cell)
{
	for (; *cell; cell++) {
		if (strchr("\\`*_[]<>|~", *cell))
			rs_strbuf_putc(b, '\\');
		rs_strbuf_putc(b, *cell);
	}
}

struct form {
	const char *begin, *between, *end; /* of a line */
	void (*cell)(struct rs_strbuf *b, const char *cell);
	bool whole; /* hidden columns too */
};

static const struct form csv = { "", ",", "\r\n", put_csv, true };
static const struct form md = { "| ", " | ", " |\n", put_md, false };

/* One line; of one of many nodes its name stands first. */
static void put_line(struct cli_run *r, const struct form *f, const struct cli_table *t,
		     const char *node, const struct row *row)
{
	size_t i = f->whole ? 0 : t->first, last = f->whole ? t->n : t->last;
	const char *between = "";

	cli_put(r, f->begin);
	if (r->at_node) {
		f->cell(&r->out, node);
		between = f->between;
	}
	for (; i < last; i++) {
		cli_put(r, between);
		f->cell(&r->out, row ? row->cells[i] : t->columns[i].name);
		between = f->between;
	}
	cli_put(r, f->end);
}

static void put_rule(struct cli_run *r, const struct cli_table *t)
{
	size_t i;

	cli_put(r, "|");
	if (r->at_node)
		cli_put(r, " --- |");
	for (i = t->first; i < t->last; i++)
		cli_put(r, t->columns[i].right ? " ---: |" : " --- |");
	cli_put(r, "\n");
}

/* The tables of many nodes are one: only the first has the names of columns. */
static void put_plain(struct cli_run *r, const struct form *f, const struct cli_table *t,
		      bool headers)
{
	rs_autofree char *node = NULL;
	rs_auto_strbuf safe = { 0 };
	bool first = !r->at_node || !r->n_tables;
	size_t i;

	rs_strbuf_puts_safe(&safe, r->at_node ? r->at_node : "");
	node = rs_strbuf_steal(&safe);
	if (first && (headers || f == &md))
		put_line(r, f, t, "NODE", NULL);
	if (first && f == &md)
		put_rule(r, t);
	for (i = 0; i < t->rows.n; i++)
		put_line(r, f, t, node, &t->rows.v[i]);
}

bool cli_only_tables(const struct cli_run *r)
{
	return r->opt.output == CLI_CSV || r->opt.output == CLI_MD;
}

/* ---- for people ------------------------------------------------------------------------------ */

static struct libscols_table *new_view(const struct cli_table *t)
{
	struct libscols_table *tb = scols_new_table();
	size_t i;

	if (!tb)
		rs_oom();
	/* Never cut to the terminal: a shortened name is a wrong name. */
	scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
	/* Cells are escaped already; a second time would double every backslash. */
	scols_table_enable_noencoding(tb, 1);
	scols_table_set_column_separator(tb, "  ");
	for (i = t->first; i < t->last; i++)
		if (!scols_table_new_column(tb, t->columns[i].name, 0,
					    t->columns[i].right ? SCOLS_FL_RIGHT : 0))
			rs_oom();
	return tb;
}

static void add_line(struct libscols_table *tb, const struct cli_table *t, const struct row *row)
{
	static const char *const colors[] = { NULL, "green", "red", "brown" };
	struct libscols_line *line = scols_table_new_line(tb, NULL);
	size_t i;

	if (!line)
		rs_oom();
	for (i = t->first; i < t->last; i++) {
		if (scols_line_set_data(line, i - t->first, row->cells[i]))
			rs_oom();
		if (row->colors[i])
			scols_cell_set_color(scols_line_get_cell(line, i - t->first),
					     colors[row->colors[i]]);
	}
}

static void put_view(struct cli_run *r, const struct cli_table *t, const char *indent, bool headers)
{
	struct libscols_table *tb = new_view(t);
	char *text = NULL, *line, *save = NULL;
	size_t i;

	for (i = 0; i < t->rows.n; i++)
		add_line(tb, t, &t->rows.v[i]);
	scols_table_enable_noheadings(tb, !headers);
	scols_table_enable_colors(tb, r->colored);
	if (scols_print_table_to_string(tb, &text))
		rs_oom();
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(line);

		while (len && line[len - 1] == ' ')
			len--;
		cli_putf(r, "%s%.*s\n", indent, (int)len, line);
	}
	free(text);
	scols_unref_table(tb);
}

void cli_table_end(struct cli_run *r, struct cli_table *t, const char *indent, bool headers)
{
	if (r->opt.sort_by)
		sort(r, t);
	if (r->opt.output == CLI_CSV)
		put_plain(r, &csv, t, headers);
	else if (r->opt.output == CLI_MD)
		put_plain(r, &md, t, headers);
	else
		put_view(r, t, indent, headers);
	r->n_tables++;
	free_table(t);
}
