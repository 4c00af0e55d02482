// SPDX-License-Identifier: Apache-2.0
/* cli.c - cli/ is `ripstop`, the debug command line: it asks the agent and renders the answer. */
#include "cli/capture/seeing.h"
#include "cli/cli.h"
#include "cli/world/live.h"

static const struct cli_flag no_flags[] = { { 0 } };

static int run(struct cli_run *r)
{
	return r->cmd->run(r);
}

const struct cli_program cli_self = {
	.name = "ripstop",
	.before = "",
	.about = "ripstop shows what is enforced for the pods of this node, and why.",
	.flags = no_flags,
	.run = run,
	.kernel = cli_kernel_walk,
	.agent_lives = cli_agent_lives,
	.live = cli_live_agent,
	.capture = cli_capture_here,
};

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
