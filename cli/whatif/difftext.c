// SPDX-License-Identifier: Apache-2.0
/* difftext.c - a difference for people: a section each for what is lost, gained and changed; or as
 * one table (wide, csv, md). */
#include <string.h>

#include "cli/whatif/diff.h"

static char *safe(const char *text)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, text ? text : "-");
	return rs_strbuf_steal(&b);
}

static const char *text_of(const struct diff *d, uint32_t subject)
{
	return whatif_subjects(d->w)->v[subject].text;
}

static char *traffic_cell(const struct diff_row *row)
{
	if (!row->seen)
		return rs_strdup("not seen");
	return rs_asprintf("%s: %llu", row->pair.change == GAINED ? "TRIED" : "IN USE",
			   (unsigned long long)row->seen);
}

/* ---- sections -------------------------------------------------------------------------------- */

static const struct {
	const char *title, *sign;
	enum cli_color color;
} looks[CHANGES] = {
	[LOST] = { "LOST", "-", CLI_BAD },
	[GAINED] = { "GAINED", "+", CLI_GOOD },
	[CHANGED] = { "CHANGED", "~", CLI_WARN },
};

static char *ports_cell(const struct diff *d, const struct pair *p)
{
	rs_autofree char *before = pair_ports_text(d->w, p, BEFORE);
	rs_autofree char *after = pair_ports_text(d->w, p, AFTER);

	if (p->change == CHANGED)
		return rs_asprintf("%s => %s", before, after);
	return rs_strdup(p->change == LOST ? before : after);
}

static void add_short(const struct diff *d, struct cli_table *t, const struct diff_row *row)
{
	char *cells[] = {
		rs_strdup(looks[row->pair.change].sign),
		safe(text_of(d, row->pair.from)),
		rs_strdup("->"),
		safe(text_of(d, row->pair.to)),
		ports_cell(d, &row->pair),
		safe(row->blame.why),
		safe(row->blame.where),
		d->traffic ? traffic_cell(row) : NULL,
	};

	cli_table_row(t, cells);
	cli_table_color(t, 0, looks[row->pair.change].color);
	if (row->seen && row->pair.change != GAINED)
		cli_table_color(t, 7, CLI_BAD);
}

static void put_section(struct cli_run *r, const struct diff *d, enum change change)
{
	static const struct cli_column columns[] = { { "", false },	 { "FROM", false },
						     { "", false },	 { "TO", false },
						     { "PORTS", false }, { "WHY", false },
						     { "WHERE", false }, { "TRAFFIC", false } };
	const struct diff_section *s = &d->sections[change];
	unsigned long long total = s->total, rest = total - s->rows.n;
	struct cli_table *t;
	size_t i, n = RS_ARRAY_SIZE(columns) - !d->traffic;

	if (!total)
		return;
	cli_put_colored(r, looks[change].color, looks[change].title);
	cli_putf(r, "   (%llu pair%s)\n", total, total == 1 ? "" : "s");
	t = cli_table_new(columns, RS_ARRAY_SIZE(columns), 0, n);
	for (i = 0; i < s->rows.n; i++)
		add_short(d, t, &s->rows.v[i]);
	cli_table_end(r, t, " ", false);
	if (rest)
		cli_putf(r, " ... %llu more (--all)\n", rest);
}

/* ---- one table ------------------------------------------------------------------------------- */

static void add_long(const struct diff *d, struct cli_table *t, const struct diff_row *row)
{
	char *cells[] = {
		rs_strdup(change_words[row->pair.change]),
		safe(text_of(d, row->pair.from)),
		safe(text_of(d, row->pair.to)),
		pair_ports_text(d->w, &row->pair, BEFORE),
		pair_ports_text(d->w, &row->pair, AFTER),
		safe(row->blame.why),
		safe(row->blame.policy),
		safe(row->blame.where),
		d->traffic ? traffic_cell(row) : NULL,
	};

	cli_table_row(t, cells);
	cli_table_color(t, 0, looks[row->pair.change].color);
}

static void put_one_table(struct cli_run *r, const struct diff *d)
{
	static const struct cli_column columns[] = { { "CHANGE", false }, { "FROM", false },
						     { "TO", false },	  { "BEFORE", false },
						     { "AFTER", false },  { "WHY", false },
						     { "POLICY", false }, { "WHERE", false },
						     { "TRAFFIC", false } };
	size_t n = RS_ARRAY_SIZE(columns) - !d->traffic, i;
	struct cli_table *t = cli_table_new(columns, n, 0, n);
	int c;

	for (c = LOST; c < CHANGES; c++)
		for (i = 0; i < d->sections[c].rows.n; i++)
			add_long(d, t, &d->sections[c].rows.v[i]);
	cli_table_end(r, t, "", !r->opt.no_headers);
}

/* ---- the frame ------------------------------------------------------------------------------- */

static void put_subjects(struct cli_run *r, const struct diff *d, const char *title,
			 const struct rs_u32s *v)
{
	size_t i, most = r->opt.show_all ? v->n : 20;

	if (!v->n)
		return;
	cli_putf(r, "%s   (%zu)\n ", title, v->n);
	for (i = 0; i < v->n && i < most; i++) {
		cli_put(r, i ? ", " : "");
		cli_put_safe(r, text_of(d, v->v[i]));
	}
	if (i < v->n)
		cli_putf(r, ", and %zu more (--all)", v->n - i);
	cli_put(r, "\n");
}

static void put_heading(struct cli_run *r, const struct diff *d)
{
	static const char *const by[] = { "workload", "pod", "namespace" };

	cli_put(r, "comparing ");
	cli_put_safe(r, d->after);
	cli_put(r, " with ");
	cli_put_safe(r, d->before);
	cli_putf(r, ", by %s", by[d->by]);
	if (d->only) {
		cli_put(r, ", pairs of namespace ");
		cli_put_safe(r, d->only);
	}
	cli_put(r, "\n");
}

static void put_use(struct cli_run *r, const struct diff *d, enum change change)
{
	const struct diff_section *s = &d->sections[change];

	cli_putf(r, "%llu %s", (unsigned long long)s->total, change_words[change]);
	if (d->traffic)
		cli_putf(r, " (%llu %s)", (unsigned long long)s->in_use,
			 change == GAINED ? "tried" : "in use");
}

static void put_summary(struct cli_run *r, const struct diff *d)
{
	int c;

	for (c = LOST; c < CHANGES; c++) {
		put_use(r, d, (enum change)c);
		cli_put(r, ", ");
	}
	cli_putf(r, "%llu unchanged\n", (unsigned long long)d->unchanged);
	if (d->traffic)
		cli_putf(r, "%zu records read, %zu no flow, %zu of a pod that is in neither\n",
			 d->records.read, d->records.other, d->strangers);
}

void diff_text(struct cli_run *r, const struct diff *d)
{
	int c;

	if (cli_only_tables(r)) {
		put_one_table(r, d);
		return;
	}
	put_heading(r, d);
	for (c = LOST; c < CHANGES && r->opt.output == CLI_TABLE; c++)
		put_section(r, d, (enum change)c);
	if (r->opt.output == CLI_WIDE && diff_differs(d))
		put_one_table(r, d);
	put_subjects(r, d, "APPEARED", &d->appeared);
	put_subjects(r, d, "VANISHED", &d->vanished);
	put_summary(r, d);
}
