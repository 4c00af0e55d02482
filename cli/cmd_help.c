// SPDX-License-Identifier: Apache-2.0
/*
 * cmd_help.c - `ripstop help [VERB]`, and the table of verbs and flags as an object, for what else
 * is made of it: man pages, completion, tests.
 */
#include "cli/cli.h"

#include <string.h>

static const struct {
	int code;
	const char *means;
} exits[] = {
	{ 0, "yes: allowed, ready, listed, no difference" },
	{ 1, "no: denied, not ready, a difference, a failed test" },
	{ 2, "usage: unknown verb or flag, an operand that is none" },
	{ 3, "what was named does not exist" },
	{ 4, "no agent: it cannot be reached, refuses, or its answer cannot be used" },
	{ 5, "kubectl ripstop: some nodes did not answer" },
	{ 6, "the input is invalid; stderr says where" },
	{ 7, "explain: the kernel does not do what the objects say" },
	{ 124, "the time of --timeout is up" },
};

/* ---- one line of a flag ---------------------------------------------------------------------- */

static void put_table(struct cli_run *r, const struct cli_flag *f, unsigned int groups)
{
	for (; f->name; f++) {
		rs_autofree char *left = NULL;

		if (!(f->group & groups))
			continue;
		left = rs_asprintf("%s%c%s --%s%s%s", f->letter ? "-" : " ",
				   f->letter ? f->letter : ' ', f->letter ? "," : " ", f->name,
				   f->arg ? " " : "", f->arg ? f->arg : "");
		cli_putf(r, "  %-32s %s\n", left, f->help);
	}
}

static void put_flags(struct cli_run *r, unsigned int groups)
{
	cli_put(r, "\nFlags\n");
	put_table(r, cli_flags, groups);
	put_table(r, cli_self.flags, groups);
}

static void put_exits(struct cli_run *r)
{
	size_t i;

	cli_put(r, "\nExit codes\n");
	for (i = 0; i < RS_ARRAY_SIZE(exits); i++)
		cli_putf(r, "  %-4d %s\n", exits[i].code, exits[i].means);
}

/* ---- the screens ----------------------------------------------------------------------------- */

static int help_all(struct cli_run *r)
{
	const struct cli_command *c;

	cli_putf(r, "%s\n\nUsage: %sripstop VERB [OPERAND...] [FLAG...]\n\nVerbs\n", cli_self.about,
		 cli_self.before);
	for (c = cli_commands; c->name; c++) {
		rs_autofree char *left =
			rs_asprintf("%s%s%s", c->name, *c->operands ? " " : "", c->operands);

		cli_putf(r, "  %-32s %s\n", left, c->help);
	}
	cli_putf(r, "\n%sripstop help VERB tells the flags, forms and examples of one.\n",
		 cli_self.before);
	put_flags(r, CLI_F_COMMON | CLI_F_OUTPUT | CLI_F_NAMESPACE);
	cli_put(r, "\nExamples\n");
	for (c = cli_commands; c->name; c++)
		cli_putf(r, "  %s%s\n", cli_self.before, c->example);
	put_exits(r);
	return CLI_YES;
}

/* Whether an example is one of that verb: "ripstop VERB ...". */
static bool is_about(const char *example, const char *verb)
{
	const char *word = strchr(example, ' ');
	size_t len = strlen(verb);

	return word && !strncmp(word + 1, verb, len) && strchr(" ", word[1 + len]);
}

static void put_examples(struct cli_run *r, const struct cli_command *c)
{
	const struct cli_flag *f;

	cli_putf(r, "\nExamples\n  %s%s\n", cli_self.before, c->example);
	for (f = cli_flags; f->name; f++)
		if ((f->group & (c->flags | CLI_F_COMMON)) && is_about(f->example, c->name) &&
		    strcmp(f->example, c->example))
			cli_putf(r, "  %s%s\n", cli_self.before, f->example);
}

static int help_one(struct cli_run *r, const struct cli_command *c)
{
	rs_autofree char *forms = cli_forms_text(c->forms);

	cli_putf(r, "%sripstop %s: %s.\n\nUsage: %sripstop %s%s%s [FLAG...]\n", cli_self.before,
		 c->name, c->help, cli_self.before, c->name, *c->operands ? " " : "", c->operands);
	if (c->details)
		cli_putf(r, "\n%s\n", c->details);
	put_flags(r, c->flags | CLI_F_COMMON);
	if (c->flags & CLI_F_OUTPUT)
		cli_putf(r, "\nForms of -o\n  %s\n", forms);
	put_examples(r, c);
	put_exits(r);
	return CLI_YES;
}

int cli_cmd_help(struct cli_run *r)
{
	const struct cli_command *c = r->cmd;
	rs_autofree char *hint = NULL;
	const char *near;

	if (c && c->run == cli_cmd_help && !r->opt.help)
		c = r->n_operands ? cli_command_find(r->operands[0]) : NULL;
	if (c)
		return help_one(r, c);
	if (!r->cmd || !r->n_operands)
		return help_all(r);
	near = cli_command_nearest(r->operands[0]);
	hint = near ? rs_strdup(near)
		    : rs_asprintf("%sripstop help lists the verbs", cli_self.before);
	cli_error(hint, "unknown verb %s", r->operands[0]);
	return CLI_USAGE;
}

/* ---- the table as an object ------------------------------------------------------------------ */

static void add_flags(struct json_object *list, const struct cli_flag *f, bool ours)
{
	for (; f->name; f++) {
		struct json_object *o = json_object_new_object();
		char letter[2] = { f->letter, '\0' };

		if (f->letter)
			rs_json_add_str(o, "letter", letter);
		rs_json_add_str(o, "name", f->name);
		rs_json_add_str(o, "arg", f->arg);
		rs_json_add_str(o, "help", f->help);
		rs_json_add_str(o, "example", f->example);
		json_object_object_add(o, "common",
				       json_object_new_boolean(f->group & CLI_F_COMMON));
		json_object_object_add(o, "ofProgram", json_object_new_boolean(ours));
		json_object_array_add(list, o);
	}
}

static struct json_object *flags_of(const struct cli_command *c)
{
	struct json_object *list = json_object_new_array();
	const struct cli_flag *f;

	for (f = cli_flags; f->name; f++)
		if (f->group & c->flags)
			json_object_array_add(list, json_object_new_string(f->name));
	return list;
}

static struct json_object *forms_of(const struct cli_command *c)
{
	struct json_object *list = json_object_new_array();
	rs_autofree char *forms = cli_forms_text(c->forms);
	char *save = NULL, *word;

	for (word = strtok_r(forms, ", ", &save); word; word = strtok_r(NULL, ", ", &save))
		json_object_array_add(list, json_object_new_string(word));
	return list;
}

static struct json_object *verbs(void)
{
	struct json_object *list = json_object_new_array();
	const struct cli_command *c;

	for (c = cli_commands; c->name; c++) {
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "name", c->name);
		rs_json_add_str(o, "operands", c->operands);
		rs_json_add_str(o, "help", c->help);
		rs_json_add_str(o, "details", c->details);
		rs_json_add_str(o, "example", c->example);
		json_object_object_add(o, "flags", flags_of(c));
		if (c->flags & CLI_F_OUTPUT)
			json_object_object_add(o, "forms", forms_of(c));
		json_object_array_add(list, o);
	}
	return list;
}

void cli_put_itself(struct cli_run *r)
{
	rs_autojson struct json_object *o = json_object_new_object();
	struct json_object *flags = json_object_new_array(), *codes = json_object_new_object();
	size_t i;

	rs_json_add_str(o, "program", cli_self.name);
	rs_json_add_str(o, "version", RIPSTOP_VERSION);
	rs_json_add_str(o, "before", cli_self.before);
	rs_json_add_str(o, "about", cli_self.about);
	json_object_object_add(o, "verbs", verbs());
	add_flags(flags, cli_flags, false);
	add_flags(flags, cli_self.flags, true);
	json_object_object_add(o, "flags", flags);
	for (i = 0; i < RS_ARRAY_SIZE(exits); i++) {
		rs_autofree char *code = rs_asprintf("%d", exits[i].code);

		rs_json_add_str(codes, code, exits[i].means);
	}
	json_object_object_add(o, "exitCodes", codes);
	r->opt.output = CLI_JSON;
	cli_put_object(r, o);
}
