// SPDX-License-Identifier: Apache-2.0
/* cmd_diff.c - `ripstop diff -f NEW`: who could no longer reach whom, and who could anew. */
#include <errno.h>
#include <string.h>

#include "cli/whatif/diff.h"

/* Rows a section without --all, for eyes and for programs; and with it. */
#define FEW 20
#define MANY 10000
#define MOST 1000000

static size_t limit_of(const struct cli_run *r)
{
	bool eyes = CLI_FORM(r->opt.output) & (CLI_FORMS_TEXT | CLI_FORM(CLI_MD));

	return r->opt.show_all ? MOST : eyes ? FEW : MANY;
}

static void put(struct cli_run *r, const struct diff *d, const char *source)
{
	rs_autojson struct json_object *o = NULL;

	if (!cli_wants_object(r)) {
		diff_text(r, d);
		return;
	}
	o = diff_json(d, source);
	cli_put_object(r, o);
}

static void tell_cut(const struct cli_run *r, const struct diff *d)
{
	const char *how = r->opt.show_all ? "look at namespaces: --by ns" : "--all lists more";
	int c;

	for (c = LOST; c < CHANGES; c++)
		if (d->sections[c].rows.n >= MANY && d->sections[c].rows.n < d->sections[c].total)
			cli_warn("only the first %zu pairs %s are listed; %s",
				 d->sections[c].rows.n, change_words[c], how);
}

static void tell_conditions(const struct cli_world *cw)
{
	size_t i;

	for (i = 0; i < cw->conditions.n; i++)
		cli_warn("%s: %s", cw->from, cw->conditions.v[i].text);
}

static int compare(struct cli_run *r, struct cli_world *worlds[SIDES], struct diff *d)
{
	rs_auto_err err = { 0 };
	int rc;

	d->before = worlds[BEFORE]->from;
	d->after = worlds[AFTER]->from;
	d->by = r->opt.by;
	d->only = r->opt.namespace;
	rc = whatif_new(r, worlds, r->opt.namespace, &d->w, &err);
	if (rc == 0)
		rc = diff_make(d->w, r->opt.traffic, limit_of(r), d, &err);
	if (rc < 0) {
		cli_error(err.hint, "%s", rs_err_str(&err));
		return cli_world_code(rc);
	}
	tell_conditions(worlds[BEFORE]);
	tell_conditions(worlds[AFTER]);
	tell_cut(r, d);
	if (d->vanished.n && !worlds[AFTER]->n_ends)
		cli_warn(
			"%s holds no pods or workloads, so there is no pair to compare: name their "
			"folder with -f too",
			d->after);
	put(r, d, worlds[BEFORE]->origin);
	return diff_differs(d) ? CLI_NO : CLI_YES;
}

static bool is_known(const char *ns, struct cli_world *const worlds[SIDES])
{
	return !ns || cli_world_has_namespace(worlds[BEFORE], ns) ||
	       cli_world_has_namespace(worlds[AFTER], ns);
}

int cli_cmd_diff(struct cli_run *r)
{
	struct cli_world *worlds[SIDES] = { NULL, NULL };
	struct diff d = { 0 };
	int code = traffic_check(r);

	if (code == 0)
		code = overlay_open(r, worlds);
	if (code == 0 && !is_known(r->opt.namespace, worlds)) {
		cli_error("without -n pairs of every namespace are compared",
			  "diff: no namespace %s in %s or %s", r->opt.namespace,
			  worlds[BEFORE]->from, worlds[AFTER]->from);
		code = CLI_NOT_FOUND;
	}
	if (code == 0)
		code = compare(r, worlds, &d);
	diff_free(&d);
	whatif_free(d.w);
	cli_world_free(worlds[BEFORE]);
	cli_world_free(worlds[AFTER]);
	return code;
}
