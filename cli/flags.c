// SPDX-License-Identifier: Apache-2.0
/* flags.c - the walk over argv that reads the table of flags (flagtable.c). */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static const char *flag_name(size_t i)
{
	size_t n = 0;

	while (cli_flags[n].name)
		n++;
	return i < n ? cli_flags[i].name : cli_self.flags[i - n].name;
}

static const struct cli_flag *find_in(const struct cli_flag *f, const char *name, size_t len,
				      char letter)
{
	for (; f->name; f++)
		if (letter ? f->letter == letter
			   : strlen(f->name) == len && !strncmp(f->name, name, len))
			return f;
	return NULL;
}

static const struct cli_flag *find_flag(const char *name, size_t len, char letter)
{
	const struct cli_flag *f = find_in(cli_flags, name, len, letter);

	return f ? f : find_in(cli_self.flags, name, len, letter);
}

static int unknown_flag(const char *arg, size_t len)
{
	rs_autofree char *word = rs_strndup(arg, len);
	const char *near = word[1] == '-' ? cli_nearest(word + 2, flag_name) : NULL;
	rs_autofree char *hint =
		near ? rs_asprintf("did you mean --%s?", near)
		     : rs_asprintf("%sripstop help lists the flags", cli_self.before);

	cli_error(hint, "unknown flag %s", word);
	return CLI_USAGE;
}

struct walk {
	int argc;
	char **argv;
	int i;
};

const struct cli_flag *cli_flag_of(const char *word)
{
	return word[1] == '-' ? find_flag(word + 2, strcspn(word + 2, "="), 0)
			      : find_flag(NULL, 0, word[1]);
}

/* One word: a value that begins with "-" stays a value. */
void cli_hand_on(struct cli_run *r, const struct cli_flag *f, const char *value)
{
	r->flags[r->n_flags++] =
		value ? rs_asprintf("--%s=%s", f->name, value) : rs_asprintf("--%s", f->name);
}

static int apply(struct walk *w, const struct cli_flag *f, const char *value, struct cli_run *r)
{
	rs_autofree char *example = rs_asprintf("%s%s", cli_self.before, f->example);

	if (f->arg && !value) {
		if (w->i + 1 >= w->argc) {
			cli_error(example, "--%s needs a value: %s", f->name, f->arg);
			return CLI_USAGE;
		}
		value = w->argv[++w->i];
	}
	if (!f->arg && value) {
		cli_error(example, "--%s takes no value", f->name);
		return CLI_USAGE;
	}
	if (!f->set)
		cli_hand_on(r, f, value);
	else if (!f->set(&r->opt, value)) {
		if (!strcmp(f->name, "output")) {
			free(example);
			example = cli_forms_text(~0u);
		}
		cli_error(example, "--%s: \"%s\" is not %s", f->name, value, f->arg);
		return CLI_USAGE;
	}
	r->given[r->n_given++] = (struct cli_given){ f, value };
	return 0;
}

/* "--name", "--name=value". */
static int take_long(struct walk *w, struct cli_run *r)
{
	const char *arg = w->argv[w->i], *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
	const struct cli_flag *f = find_flag(arg + 2, len - 2, 0);

	return f ? apply(w, f, eq ? eq + 1 : NULL, r) : unknown_flag(arg, len);
}

/* "-A", "-n NAME", "-nNAME"; letters are not bundled. */
static int take_short(struct walk *w, struct cli_run *r)
{
	const char *arg = w->argv[w->i];
	const struct cli_flag *f = find_flag(NULL, 0, arg[1]);

	if (!f || (arg[2] && !f->arg))
		return unknown_flag(arg, strlen(arg));
	return apply(w, f, arg[2] ? arg + 2 : NULL, r);
}

static int unknown_verb(const char *name)
{
	const char *near = cli_command_nearest(name);
	rs_autofree char *hint =
		near ? rs_asprintf("did you mean %s?", near)
		     : rs_asprintf("%sripstop help lists the verbs", cli_self.before);

	cli_error(hint, "unknown verb %s", name);
	return CLI_USAGE;
}

/* Does the verb have the form of -o, and what it is told about tables a table? */
static int check_form(const struct cli_run *r)
{
	rs_autofree char *forms = cli_forms_text(r->cmd->forms);
	rs_autofree char *hint = rs_asprintf("%s has: %s", r->cmd->name, forms);

	if (!(r->cmd->forms & CLI_FORM(r->opt.output)))
		cli_error(hint, "%s has no form -o %s", r->cmd->name,
			  cli_output_name(r->opt.output));
	else if (r->opt.sort_by && !(CLI_FORM(r->opt.output) & CLI_FORMS_TABLE))
		cli_error(NULL, "--sort-by sorts tables, and -o %s is none",
			  cli_output_name(r->opt.output));
	else
		return 0;
	return CLI_USAGE;
}

/* Does what was given fit the verb? */
static int check(const struct cli_run *r)
{
	rs_autofree char *usage = NULL;
	size_t i;

	if (!r->cmd || r->opt.help)
		return 0;
	usage = rs_asprintf("usage: %sripstop %s %s", cli_self.before, r->cmd->name,
			    r->cmd->operands);
	for (i = 0; i < r->n_given; i++)
		if (!(r->given[i].flag->group & (r->cmd->flags | CLI_F_COMMON))) {
			cli_error(usage, "--%s means nothing to %s", r->given[i].flag->name,
				  r->cmd->name);
			return CLI_USAGE;
		}
	if (check_form(r))
		return CLI_USAGE;
	if (r->n_operands < r->cmd->min || r->n_operands > r->cmd->max) {
		cli_error(usage, "%s: too %s operands", r->cmd->name,
			  r->n_operands < r->cmd->min ? "few" : "many");
		return CLI_USAGE;
	}
	for (i = 0; i < (size_t)r->n_operands; i++)
		if (!*r->operands[i]) {
			cli_error(usage, "%s: operand %zu is empty", r->cmd->name, i + 1);
			return CLI_USAGE;
		}
	if (r->opt.by >= CLI_BY_POLICY && r->cmd->run != cli_cmd_top) {
		cli_error(usage, "--by policy and --by reason are for top");
		return CLI_USAGE;
	}
	if (r->opt.watch && !(CLI_FORM(r->opt.output) & CLI_FORMS_WATCHED)) {
		cli_error("-w has: table, wide, json, jsonl, yaml", "-w shows no -o %s",
			  cli_output_name(r->opt.output));
		return CLI_USAGE;
	}
	if (r->opt.interval_ms && !r->opt.watch && r->cmd->run != cli_cmd_top) {
		cli_error(NULL, "--interval is about -w, and there is no -w");
		return CLI_USAGE;
	}
	if (r->opt.namespace && r->opt.all_namespaces) {
		cli_error(usage, "-n and -A contradict each other");
		return CLI_USAGE;
	}
	return 0;
}

static int take_word(const char *arg, struct cli_run *r, char *word)
{
	if (r->cmd) {
		r->operands[r->n_operands++] = word;
		return 0;
	}
	r->cmd = cli_command_find(arg);
	return r->cmd ? 0 : unknown_verb(arg);
}

int cli_parse(int argc, char **argv, struct cli_run *r)
{
	struct walk w = { .argc = argc, .argv = argv, .i = 1 };
	bool words_only = false;
	int rc = 0;

	r->operands = rs_new0(char *, (size_t)argc + 1);
	r->named = rs_new0(bool, (size_t)argc + 1);
	r->flags = rs_new0(char *, (size_t)argc + 1);
	r->given = rs_new0(struct cli_given, (size_t)argc + 1);
	for (; w.i < argc && rc == 0; w.i++) {
		char *arg = argv[w.i];

		if (words_only || arg[0] != '-' || !arg[1])
			rc = take_word(arg, r, arg);
		else if (!strcmp(arg, "--"))
			words_only = true;
		else if (arg[1] == '-')
			rc = take_long(&w, r);
		else
			rc = take_short(&w, r);
	}
	return rc ? rc : check(r);
}
