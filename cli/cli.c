// SPDX-License-Identifier: Apache-2.0
/* cli.c - cli/ is `ripstop`, the debug command line: it asks the agent and renders the answer. */
#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ripstop/ctl.h>

#define TIMEOUT_MS 5000

static bool want_color(int color)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	if (color >= 0)
		return color;
	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

static int run(struct cli_run *r)
{
	if (r->opt.version) {
		cli_put(r, "ripstop " RIPSTOP_VERSION "\n");
		return CLI_YES;
	}
	if (r->opt.help || !r->cmd)
		return cli_cmd_help(r);
	return r->cmd->run(r);
}

/* What has been made goes out at once; a full disk or a closed pipe is told. */
static int flush(const struct cli_run *r, int code)
{
	if (r->out.len && fwrite(r->out.s, 1, r->out.len, stdout) != r->out.len)
		errno = errno ? errno : EIO;
	else if (fflush(stdout) == 0)
		return code;
	cli_error(NULL, "write the answer: %s", strerror(errno));
	return CLI_NO_AGENT;
}

int main(int argc, char **argv)
{
	struct cli_run r = {
		.opt = { .socket = RS_CTL_SOCKET, .timeout_ms = TIMEOUT_MS, .color = -1 },
	};
	int code;

	setlocale(LC_CTYPE, "");
	code = cli_parse(argc, argv, &r);
	if (code == 0 && argc < 2) {
		cli_error("ripstop help lists the verbs", "no verb");
		code = CLI_USAGE;
	} else if (code == 0) {
		r.colored = want_color(r.opt.color);
		code = run(&r);
	}
	code = flush(&r, code);
	rs_strbuf_free(&r.out);
	free(r.operands);
	return code;
}
