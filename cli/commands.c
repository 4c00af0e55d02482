// SPDX-License-Identifier: Apache-2.0
/* commands.c - the one table of verbs. */
#include "cli/cli.h"

#include <limits.h>
#include <string.h>

const struct cli_command cli_commands[] = {
	{ "status", "", "what the agent of this node does and how it is",
	  "Exit code 0 when the node is ready, 1 when it is not.", "ripstop status", 0, 0,
	  CLI_F_OUTPUT | CLI_F_AGENT, CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_status },
	{ "pods", "[[NS/]NAME...]", "the pods of this node: addresses, isolation, state",
	  "Without -n those of every namespace.", "ripstop pods -n shop", 0, INT_MAX, CLI_F_LIST,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_NAME), cli_cmd_pods },
	{ "policies", "[[NS/]NAME]", "the policies, and the pods of this node that each selects",
	  NULL, "ripstop policies shop/default-deny", 0, 1, CLI_F_LIST,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_NAME), cli_cmd_policies },
	{ "rules", "[NS/]POD", "who may reach a pod, whom it may reach, and by which rule", NULL,
	  "ripstop rules shop/db-0", 1, 1,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_SORT,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT, cli_cmd_rules },
	{ "explain", "SRC DST PORT", "the verdict on one flow, step by step, and why",
	  "SRC and DST are pods ([NS/]NAME), addresses, node (this node itself) or world (an\n"
	  "address that is nobody's). PORT is 5432 (TCP), tcp/5432, udp/53, sctp/9 or icmp.\n"
	  "Exit code 0 when the flow is allowed, 1 when it is denied.",
	  "ripstop explain shop/web shop/db-0 5432", 3, 3,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_AGENT | CLI_F_EXPLAIN,
	  CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_explain },
	{ "monitor", "[[NS/]POD]", "the packets that were dropped, one line a record",
	  "The last 20 records, of POD or of a namespace (-n) where one is given. The kernel "
	  "makes\n"
	  "at most so many records a second and pod (the agent's log-rate); the last line counts\n"
	  "what was dropped without one.",
	  "ripstop monitor shop/db-0 --since 5m", 0, 1,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_AGENT | CLI_F_MONITOR,
	  CLI_FORMS_TEXT | CLI_FORMS_OBJECT | CLI_FORM(CLI_HUBBLE), cli_cmd_monitor },
	{ "version", "", "the versions of this program and of the agent", NULL, "ripstop version",
	  0, 0, CLI_F_OUTPUT | CLI_F_AGENT, CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_version },
	{ "help", "[VERB]", "this text, or what a verb does", NULL, "ripstop help explain", 0, 1, 0,
	  CLI_FORM(CLI_TABLE), cli_cmd_help },
	{ 0 },
};

static const char *command_name(size_t i)
{
	return cli_commands[i].name;
}

const struct cli_command *cli_command_find(const char *name)
{
	const struct cli_command *c;

	for (c = cli_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

const char *cli_command_nearest(const char *name)
{
	return cli_nearest(name, command_name);
}
