// SPDX-License-Identifier: Apache-2.0
/* cmd_ipam.c - `ripstop ipam`: addresses that are held, rest and are free; with --check, leaks. */
#include "cli/cli.h"

#include <errno.h>
#include <string.h>

#include "cli/ipam_folder.h"

#define STATE_DIR "/run/ripstop"

static const struct cli_column range_columns[] = {
	{ "RANGE", false },  { "TOTAL", true }, { "HELD", true },
	{ "RESTING", true }, { "FREE", true },
};
static const struct cli_column lease_columns[] = {
	{ "ADDRESS", false }, { "STATE", false },     { "POD", false },
	{ "SECONDS", true },  { "INTERFACE", false }, { "CONTAINER", false },
};
static const struct cli_column leak_columns[] = {
	{ "LEAK", false },
	{ "OBJECT", false },
	{ "CONTAINER", false },
	{ "WHAT TO DO", false },
};

static struct json_object *item(struct json_object *o, const char *key, size_t i)
{
	return json_object_array_get_idx(rs_json_get(o, key), i);
}

/* An IPv6 range holds more than anybody counts. */
static char *count_cell(struct json_object *o, const char *key)
{
	uint64_t n = json_object_get_uint64(rs_json_get(o, key));

	return n >= 1000000000000u ? rs_asprintf("%.1e", (double)n)
				   : rs_asprintf("%llu", (unsigned long long)n);
}

static void put_ranges(struct cli_run *r, struct json_object *o)
{
	size_t i, n = cli_count(o, "ranges"), columns = RS_ARRAY_SIZE(range_columns);
	struct cli_table *t;

	if (!n) {
		cli_put(r, "the ranges of this node are not known, nor how many addresses are free\n");
		return;
	}
	t = cli_table_new(range_columns, columns, 0, columns);
	for (i = 0; i < n; i++) {
		struct json_object *x = item(o, "ranges", i);
		char *cells[] = { cli_cell(x, "range"), count_cell(x, "total"),
				  count_cell(x, "held"), count_cell(x, "resting"),
				  count_cell(x, "free") };

		cli_table_row(t, cells);
	}
	cli_table_end(r, t, "", !r->opt.no_headers);
}

static void put_leases(struct cli_run *r, struct json_object *o)
{
	size_t i, n = cli_count(o, "leases"), columns = RS_ARRAY_SIZE(lease_columns);
	struct cli_table *t;

	if (!n)
		return;
	t = cli_table_new(lease_columns, columns, 0,
			  r->opt.output == CLI_WIDE ? columns : columns - 2);
	for (i = 0; i < n; i++) {
		struct json_object *x = item(o, "leases", i);
		char *cells[] = { cli_cell(x, "address"),   cli_cell(x, "state"),
				  cli_cell(x, "pod"),	    cli_cell_number(x, "ageSeconds"),
				  cli_cell(x, "interface"), cli_cell(x, "containerID") };

		cli_table_row(t, cells);
	}
	cli_table_end(r, t, "", !r->opt.no_headers);
}

static void put_list(struct cli_run *r, const char *before, struct json_object *o, const char *key)
{
	rs_autofree char *text = cli_cell_list(o, key, ", ");

	if (!cli_count(o, key))
		return;
	cli_putf(r, "%s%s\n", before, text);
}

static void put_check(struct cli_run *r, struct json_object *check)
{
	size_t i, n = cli_count(check, "leaks"), columns = RS_ARRAY_SIZE(leak_columns);
	struct cli_table *t = n ? cli_table_new(leak_columns, columns, 0, columns) : NULL;

	for (i = 0; i < n; i++) {
		struct json_object *x = item(check, "leaks", i);
		char *cells[] = { cli_cell(x, "what"), cli_cell(x, "object"),
				  cli_cell(x, "containerID"), cli_cell(x, "hint") };

		cli_table_row(t, cells);
		cli_table_color(t, 0, CLI_BAD);
	}
	if (t)
		cli_table_end(r, t, "", !r->opt.no_headers);
	put_list(r, "compared: ", check, "compared");
	put_list(r, "not compared, because it cannot be read here: ", check, "notCompared");
	if (json_object_get_int64(rs_json_get(check, "young")))
		cli_putf(r, "younger than a minute, passed over: %lld\n",
			 (long long)json_object_get_int64(rs_json_get(check, "young")));
	if (n) {
		cli_putf(r, "%zu leak%s\n", n, n > 1 ? "s" : "");
		return;
	}
	cli_put_colored(r, CLI_GOOD, "no leaks");
	cli_put(r, "\n");
}

static void put_screen(struct cli_run *r, struct json_object *o)
{
	if (!strcmp(rs_json_text(rs_json_get(o, "metadata"), "source", ""), "files")) {
		cli_put(r, "no agent lives: read from ");
		cli_put_safe(r, rs_json_text(o, "stateDir", "?"));
		cli_put(r, "\n");
	}
	put_ranges(r, o);
	put_leases(r, o);
	if (rs_json_get(o, "check"))
		put_check(r, rs_json_get(o, "check"));
}

static int ask(struct cli_run *r, struct json_object **o)
{
	const char *folder = r->opt.state_dir ? r->opt.state_dir : STATE_DIR;
	struct json_object *req;
	rs_auto_err err = { 0 };
	int rc;

	if (!cli_self.agent_lives || (!r->opt.state_dir && cli_self.agent_lives(r))) {
		req = json_object_new_object();
		if (r->opt.check)
			json_object_object_add(req, "check", json_object_new_boolean(true));
		return cli_call(r, req, "ipam", "Ipam", o);
	}
	rc = cli_ipam_folder(folder, r->opt.check, o, &err);
	if (rc == 0)
		return 0;
	cli_error(rc == -ENOENT ? "no agent lives, and there is no state folder: --state-dir, or "
				  "--socket, if they are elsewhere"
				: err.hint,
		  "%s", rs_err_str(&err));
	return CLI_NO_AGENT;
}

int cli_cmd_ipam(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	int code = ask(r, &o);

	if (code)
		return code;
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else
		put_screen(r, o);
	return cli_count(rs_json_get(o, "check"), "leaks") ? CLI_NO : CLI_YES;
}
