// SPDX-License-Identifier: Apache-2.0
/* cmd_help.c - `ripstop help [VERB]`, made of the tables of verbs and flags. */
#include "cli/cli.h"

#include <string.h>

static void put_table(struct cli_run *r, const struct cli_flag *f, unsigned int groups)
{
	for (; f->name; f++) {
		rs_autofree char *left = NULL;

		if (!(f->group & groups))
			continue;
		left = rs_asprintf("%s%c%s --%s%s%s", f->letter ? "-" : " ",
				   f->letter ? f->letter : ' ', f->letter ? "," : " ", f->name,
				   f->arg ? " " : "", f->arg ? f->arg : "");
		cli_putf(r, "  %-30s %s\n", left, f->help);
	}
}

static void put_flags(struct cli_run *r, unsigned int groups)
{
	cli_put(r, "\nFlags\n");
	put_table(r, cli_flags, groups);
	put_table(r, cli_self.flags, groups);
}

static int help_all(struct cli_run *r)
{
	const struct cli_command *c;

	cli_putf(r, "%s\n\nUsage: %sripstop VERB [OPERAND...] [FLAG...]\n\nVerbs\n", cli_self.about,
		 cli_self.before);
	for (c = cli_commands; c->name; c++) {
		rs_autofree char *left = rs_asprintf("%s %s", c->name, c->operands);

		cli_putf(r, "  %-30s %s\n", left, c->help);
	}
	put_flags(r, ~0u);
	cli_put(r, "\nExamples\n");
	for (c = cli_commands; c->name; c++)
		cli_putf(r, "  %s%s\n", cli_self.before, c->example);
	cli_put(r, "\nExit codes\n"
		   "  0 yes (allowed, ready)   1 no (denied, not ready)   2 usage   3 not found\n"
		   "  4 no agent, or refused   6 input invalid            124 time-out\n");
	cli_put(r, cli_self.codes);
	return CLI_YES;
}

static int help_one(struct cli_run *r, const struct cli_command *c)
{
	const struct cli_flag *f;

	cli_putf(r, "%sripstop %s: %s.\n\nUsage: %sripstop %s%s%s [FLAG...]\n", cli_self.before,
		 c->name, c->help, cli_self.before, c->name, *c->operands ? " " : "", c->operands);
	if (c->details)
		cli_putf(r, "\n%s\n", c->details);
	put_flags(r, c->flags | CLI_F_COMMON);
	cli_putf(r, "\nExamples\n  %s%s\n", cli_self.before, c->example);
	for (f = cli_flags; f->name; f++)
		if ((f->group & c->flags) && !strncmp(f->example + 8, c->name, strlen(c->name)) &&
		    strcmp(f->example, c->example))
			cli_putf(r, "  %s%s\n", cli_self.before, f->example);
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
