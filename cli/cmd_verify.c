// SPDX-License-Identifier: Apache-2.0
/* cmd_verify.c - `ripstop verify`: what the kernel holds against what it should hold. */
#include "cli/cli.h"

#include <string.h>

#include "cli/verify_words.h"

static const struct cli_column objects[] = {
	{ "OBJECT", false },
	{ "DESIRED", true },
	{ "KERNEL", true },
	{ "STATE", false },
};
static const struct cli_column differences[] = {
	{ "WHAT", false },
	{ "OBJECT", false },
	{ "ABOUT", false },
	{ "MEANS", false },
};

static uint64_t number(struct json_object *o, const char *key)
{
	return json_object_get_uint64(rs_json_get(o, key));
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool is_bpf(struct json_object *o)
{
	return begins(rs_json_text(o, "dataplane", ""), "ebpf");
}

/* In which line of the objects a difference counts: "chain in_p3: missing" is a chain, "chain judge:
 * rule handle 7 ..." a rule. Of eBPF what is not in a map is about the programs and their pins. */
static const char *counts_in(bool bpf, const char *object, const char *what)
{
	if (bpf)
		return begins(object, "rs_") ? "elements" : "links";
	if (begins(object, "table") || begins(object, "the table"))
		return "table";
	if (begins(object, "element "))
		return "elements";
	if (begins(object, "set ") || begins(object, "map "))
		return "sets";
	if (strstr(object, " hooked elsewhere") ||
	    (begins(object, "chain ") && !strchr(object, ':') && strcmp(what, "changed")))
		return "chains";
	return "rules";
}

static size_t differ(struct json_object *o, const char *name)
{
	struct json_object *list = rs_json_get(o, "differences");
	size_t i, n = 0;

	for (i = 0; i < cli_count(o, "differences"); i++) {
		struct json_object *x = json_object_array_get_idx(list, i);

		n += !strcmp(name, counts_in(is_bpf(o), rs_json_text(x, "object", ""),
					     rs_json_text(x, "what", "")));
	}
	return n;
}

static void put_objects(struct cli_run *r, struct json_object *o)
{
	struct json_object *list = rs_json_get(o, "objects");
	size_t i, n = cli_count(o, "objects"), columns = RS_ARRAY_SIZE(objects);
	struct cli_table *t = cli_table_new(objects, columns, 0, columns);

	for (i = 0; i < n; i++) {
		struct json_object *x = json_object_array_get_idx(list, i);
		const char *name = rs_json_text(x, "object", "");
		bool ok = !differ(o, name) && number(x, "desired") == number(x, "kernel");
		char *cells[] = { cli_cell(x, "object"), cli_cell_number(x, "desired"),
				  cli_cell_number(x, "kernel"), rs_strdup(ok ? "ok" : "DRIFT") };

		cli_table_row(t, cells);
		cli_table_color(t, columns - 1, ok ? CLI_GOOD : CLI_BAD);
	}
	cli_table_end(r, t, "", !r->opt.no_headers);
}

/* How a rule reads and should read, in the words of nft's library. */
static void put_detail(struct cli_run *r, struct json_object *x)
{
	const char *detail = rs_json_text(x, "detail", NULL);

	if (!detail)
		return;
	cli_put(r, "  ");
	cli_put_safe(r, rs_json_text(x, "object", "?"));
	cli_put(r, ": ");
	cli_put_safe(r, detail);
	cli_put(r, "\n");
}

static void put_differences(struct cli_run *r, struct json_object *o)
{
	struct json_object *list = rs_json_get(o, "differences");
	size_t i, n = cli_count(o, "differences"), columns = RS_ARRAY_SIZE(differences);
	uint64_t total = number(o, "total");
	struct cli_table *t;

	if (!n)
		return;
	t = cli_table_new(differences, columns, 0, r->opt.explain ? columns : columns - 1);
	for (i = 0; i < n; i++) {
		struct json_object *x = json_object_array_get_idx(list, i);
		char *cells[] = { cli_cell(x, "what"), cli_cell(x, "object"), cli_cell(x, "about"),
				  rs_strdup(cli_verify_words(rs_json_text(x, "object", ""),
							     rs_json_text(x, "what", ""))) };

		cli_table_row(t, cells);
	}
	cli_table_end(r, t, "", !r->opt.no_headers);
	for (i = 0; i < n && r->opt.explain; i++)
		put_detail(r, json_object_array_get_idx(list, i));
	if (total > n)
		cli_putf(r, "and %llu more\n", (unsigned long long)(total - n));
}

static void put_who(struct cli_run *r, struct json_object *o)
{
	struct json_object *by = rs_json_get(o, "changedBy");

	if (!by)
		return;
	cli_put(r, "changed last by ");
	cli_put_safe(r, rs_json_text(by, "who", "?"));
	cli_put(r, " at ");
	cli_put_safe(r, rs_json_text(by, "time", "?"));
	cli_put(r, "\n");
}

static void put_background(struct cli_run *r, struct json_object *o)
{
	struct json_object *b = rs_json_get(o, "repair"), *last = rs_json_get(b, "last");
	size_t i, n = cli_count(b, "last");

	if (!cli_true(b, "background"))
		cli_put(r, "background repair is off (repair: off)\n");
	if (!number(b, "times"))
		return;
	cli_putf(r, "mended since the agent's start: %llu differences, %llu times, last at ",
		 (unsigned long long)number(b, "mended"), (unsigned long long)number(b, "times"));
	cli_put_safe(r, rs_json_text(b, "lastTime", "?"));
	cli_put(r, "\n");
	for (i = 0; i < n && r->opt.explain; i++) {
		cli_put(r, "  ");
		cli_put_safe(r, json_object_get_string(json_object_array_get_idx(last, i)));
		cli_put(r, "\n");
	}
}

static void put_sum(struct cli_run *r, struct json_object *o)
{
	uint64_t n = number(o, "total");

	if (!n) {
		cli_put_colored(r, CLI_GOOD, "in sync");
		cli_put(r, r->opt.repair ? ": there was nothing to mend\n" : "\n");
		return;
	}
	cli_putf(r, "%llu difference%s", (unsigned long long)n, n > 1 ? "s" : "");
	if (cli_true(o, "repaired"))
		cli_put(r, ": mended, the kernel is in sync\n");
	else if (r->opt.repair)
		cli_put_colored(r, CLI_BAD, ": NOT mended, the kernel still differs\n");
	else
		cli_putf(r, ". Mend now: %sripstop verify --repair\n", cli_self.before);
}

static void put_screen(struct cli_run *r, struct json_object *o)
{
	if (!cli_count(o, "objects") || !strcmp(rs_json_text(o, "dataplane", ""), "null")) {
		cli_put(r, "the agent's dataplane is ");
		cli_put_safe(r, rs_json_text(o, "dataplane", "?"));
		cli_put(r, ": there is nothing in the kernel to compare\n");
		return;
	}
	put_objects(r, o);
	put_differences(r, o);
	put_who(r, o);
	put_background(r, o);
	put_sum(r, o);
}

int cli_cmd_verify(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	struct json_object *req = json_object_new_object();
	int code;

	if (r->opt.repair)
		json_object_object_add(req, "repair", json_object_new_boolean(true));
	code = cli_call(r, req, "verify", "Verify", &o);
	if (code)
		return code;
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else
		put_screen(r, o);
	return cli_true(o, "inSync") ? CLI_YES : CLI_NO;
}
