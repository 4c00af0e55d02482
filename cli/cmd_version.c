// SPDX-License-Identifier: Apache-2.0
/* cmd_version.c - `ripstop version`: this program and the agent. */
#include "cli/cli.h"

static struct json_object *alone(void)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "Version");
	return o;
}

int cli_cmd_version(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	rs_autofree char *agent = NULL;
	int code = cli_call(r, json_object_new_object(), "version", "Version", &o);

	/* Without an agent the half that is known is told, and the exit code says the rest. */
	if (!o)
		o = alone();
	else
		agent = cli_cell(o, rs_json_get(o, "agent") ? "agent" : "version");
	rs_json_add_str(o, "version", RIPSTOP_VERSION);
	if (cli_wants_object(r))
		cli_put_object(r, o);
	else
		cli_putf(r, "ripstop  " RIPSTOP_VERSION "\nagent    %s\n",
			 agent ? agent : "not reached");
	return code;
}
