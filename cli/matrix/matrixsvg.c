// SPDX-License-Identifier: Apache-2.0
/* matrixsvg.c - a matrix as a picture: the heat map of the page, with a title for each cell. */
#include <string.h>

#include "cli/matrix/matrix.h"

#define NAMES_FROM 11	 /* smaller cells have no room for a name beside them */
#define TITLES_UP_TO 150 /* rows; above it a title is of a row, and the file stays small */

enum look {
	LOOK_NONE,
	LOOK_SOME,
	LOOK_ALL,
	LOOK_OPEN,
	LOOK_SELF
};

struct picture {
	struct cli_run *r;
	const struct matrix *m;
	char **names; /* of rows, escaped for XML */
	double size;
	size_t left, top;
};

/* Text of objects: for the reader's eyes and for XML, which knows no U+FFFE and U+FFFF. */
static char *xml(const char *text)
{
	rs_auto_strbuf safe = { 0 };
	struct rs_strbuf b = { 0 };
	const unsigned char *p;

	rs_strbuf_puts_safe(&safe, text);
	for (p = (const unsigned char *)rs_strbuf_str(&safe); *p; p++)
		if (*p == '&' || *p == '<' || *p == '>' || *p == '"')
			rs_strbuf_printf(&b, "&#%u;", *p);
		else if (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe)
			rs_strbuf_puts(&b, "\xef\xbf\xbd"), p += 2;
		else
			rs_strbuf_putc(&b, (char)*p);
	return rs_strbuf_steal(&b);
}

static enum look look(const struct matrix *m, size_t from, size_t to)
{
	if (mx_is_self(m, from, to))
		return LOOK_SELF;
	switch (mx_kind(mx_cell(m, from, to))) {
	case MX_NONE:
		return LOOK_NONE;
	case MX_SOME:
		return LOOK_SOME;
	case MX_ALL:
		break;
	}
	return mx_is_open(m, from, to) ? LOOK_OPEN : LOOK_ALL;
}

static const char *const look_words[] = { "denied", "some", "allowed", "open: no policy isolates",
					  "itself" };

/* ---- parts ----------------------------------------------------------------------------------- */

static void put_style(struct picture *p)
{
	cli_put(p->r, "<style>\n"
		      "text { font: 12px system-ui, \"DejaVu Sans\", sans-serif; fill: #1c2127 }\n"
		      ".q { fill: #667080 } .page { fill: #ffffff }\n"
		      ".k0 { fill: #e9ecf0 } .k1 { fill: #8fbbe4 } .k2 { fill: #2a68ab } "
		      ".k3 { fill: #f0cd8c } .k4 { fill: #ffffff }\n"
		      "@media (prefers-color-scheme: dark) {\n"
		      "text { fill: #e4e8ee } .q { fill: #98a2b0 } .page { fill: #14171b }\n"
		      ".k0 { fill: #242931 } .k1 { fill: #3d6590 } .k2 { fill: #6db0f2 } "
		      ".k3 { fill: #8f713c } .k4 { fill: #14171b }\n"
		      "}\n</style>\n");
}

static void put_legend(struct picture *p, size_t y)
{
	size_t x = 16, i;

	for (i = LOOK_NONE; i <= LOOK_OPEN; i++) {
		const char *word = i == LOOK_SOME && !p->m->q.text ? "some ports" : look_words[i];

		cli_putf(p->r,
			 "<rect class=\"k%zu\" x=\"%zu\" y=\"%zu\" width=\"12\" height=\"12\"/>", i,
			 x, y - 10);
		cli_putf(p->r, "<text class=\"q\" x=\"%zu\" y=\"%zu\">%s</text>\n", x + 18, y,
			 word);
		x += 40 + 7 * strlen(word);
	}
}

static void put_head(struct picture *p, size_t width)
{
	static const char *const by[] = { "workload", "pod", "namespace" };
	rs_autofree char *from = xml(p->m->cw->from);
	rs_autofree char *port = p->m->q.text ? xml(p->m->q.text) : NULL;

	cli_putf(p->r, "<rect class=\"page\" width=\"%zu\" height=\"100%%\"/>\n", width);
	cli_put(p->r, "<text x=\"16\" y=\"26\" style=\"font-size: 16px; font-weight: 600\">Who "
		      "reaches whom</text>\n");
	cli_putf(p->r,
		 "<text class=\"q\" x=\"16\" y=\"46\">%s: %s, by %s, IPv%d; rows are clients, "
		 "columns servers</text>\n",
		 from, port ? port : "every port", by[p->m->by], p->m->family);
	put_legend(p, 68);
}

static const char *ns_of(const struct picture *p, size_t row)
{
	const struct matrix *m = p->m;
	const char *ns = m->parties.v[m->members[m->rows[row].first_member]].ns;

	return ns ? ns : "world";
}

static void put_name(struct picture *p, const char *text, double middle)
{
	cli_putf(p->r, "<text text-anchor=\"end\" x=\"%zu\" y=\"%.1f\">%s</text>", p->left - 6,
		 (double)p->top + middle + 4, text);
	cli_putf(p->r, "<text transform=\"translate(%.1f %zu) rotate(-90)\">%s</text>\n",
		 (double)p->left + middle + 4, p->top - 6, text);
}

/* Names of rows and columns, or of namespaces where there is no room for more. */
static void put_names(struct picture *p)
{
	size_t n = p->m->n_rows, i, k;

	for (i = 0; i < n; i = k) {
		rs_autofree char *ns = xml(ns_of(p, i));

		for (k = i + 1; p->size < NAMES_FROM && k < n && !strcmp(ns_of(p, k), ns_of(p, i));)
			k++;
		if (p->size >= NAMES_FROM)
			put_name(p, p->names[i], ((double)i + 0.5) * p->size);
		else if ((double)(k - i) * p->size >= 13)
			put_name(p, ns, (double)(i + k) * p->size / 2);
	}
}

static void put_cell(struct picture *p, size_t from, size_t to)
{
	rs_autofree char *text = mx_cell_text(p->m, mx_cell(p->m, from, to));
	enum look k = look(p->m, from, to);
	double gap = p->size >= 6 ? 1 : 0;

	cli_putf(p->r, "<rect class=\"k%d\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\">",
		 k, (double)p->left + (double)to * p->size, (double)p->top + (double)from * p->size,
		 p->size - gap, p->size - gap);
	cli_putf(p->r, "<title>%s \xe2\x86\x92 %s: %s</title></rect>\n", p->names[from],
		 p->names[to], k == LOOK_SELF ? look_words[k] : text);
}

/* The cells of one look in a row: runs, in units of cells. */
static void put_runs(struct picture *p, size_t from, enum look k)
{
	size_t n = p->m->n_rows, to, end;
	bool any = false;

	for (to = 0; to < n; to = end) {
		for (end = to; end < n && look(p->m, from, end) == k; end++)
			;
		if (end == to) {
			end++;
			continue;
		}
		if (!any)
			cli_putf(p->r, "<path class=\"k%d\" d=\"", k);
		any = true;
		cli_putf(p->r, "M%zu %zuh%zuv1H%zuz", to, from, end - to, to);
	}
	if (any)
		cli_put(p->r, "\"/>\n");
}

static void put_row(struct picture *p, size_t from)
{
	enum look k;

	cli_putf(p->r, "<g><title>from %s</title>", p->names[from]);
	for (k = LOOK_NONE; k <= LOOK_SELF; k++)
		put_runs(p, from, k);
	cli_put(p->r, "</g>\n");
}

static void put_cells(struct picture *p)
{
	size_t n = p->m->n_rows, from, to;

	if (n > TITLES_UP_TO)
		cli_putf(p->r,
			 "<g transform=\"translate(%zu %zu) scale(%.4f)\" "
			 "shape-rendering=\"crispEdges\">\n",
			 p->left, p->top, p->size);
	for (from = 0; from < n; from++)
		if (n > TITLES_UP_TO)
			put_row(p, from);
		else
			for (to = 0; to < n; to++)
				put_cell(p, from, to);
	if (n > TITLES_UP_TO)
		cli_put(p->r, "</g>\n");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Characters, not bytes: about 7 pixels each. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n * 7;
}

static void measure(struct picture *p)
{
	size_t i, widest = 60;

	p->size = 1600.0 / (double)p->m->n_rows;
	p->size = p->size > 18 ? 18 : p->size < 1 ? 1 : p->size;
	for (i = 0; i < p->m->n_rows; i++) {
		size_t w = width_of(p->size >= NAMES_FROM ? p->names[i] : ns_of(p, i));

		widest = w > widest ? w : widest;
	}
	p->left = widest + 24;
	p->top = widest + 92;
}

void mx_put_svg(struct cli_run *r, const struct matrix *m)
{
	struct picture p = { .r = r, .m = m, .names = rs_new0(char *, m->n_rows) };
	size_t i, side, width;

	for (i = 0; i < m->n_rows; i++) {
		rs_autofree char *text = mx_row_text(m, i);

		p.names[i] = xml(text);
	}
	measure(&p);
	side = (size_t)((double)m->n_rows * p.size) + 1;
	width = p.left + side + 16 < 620 ? 620 : p.left + side + 16;
	cli_putf(r,
		 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" "
		 "viewBox=\"0 0 %zu %zu\" role=\"img\">\n<title>Who reaches whom</title>\n",
		 width, p.top + side + 16, width, p.top + side + 16);
	put_style(&p);
	put_head(&p, width);
	put_names(&p);
	put_cells(&p);
	cli_put(r, "</svg>\n");
	for (i = 0; i < m->n_rows; i++)
		free(p.names[i]);
	free(p.names);
}
