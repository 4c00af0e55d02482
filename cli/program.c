// SPDX-License-Identifier: Apache-2.0
/* program.c - a run from argv to exit code, the same for both programs. */
#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
		cli_putf(r, "%s " RIPSTOP_VERSION "\n", cli_self.name);
		return CLI_YES;
	}
	if (r->opt.help || !r->cmd || r->cmd->run == cli_cmd_help)
		return cli_cmd_help(r);
	return cli_self.run(r);
}

/* A full disk or a closed pipe is told. */
int cli_flush(struct cli_run *r)
{
	bool written = !r->out.len || fwrite(r->out.s, 1, r->out.len, stdout) == r->out.len;

	rs_strbuf_reset(&r->out);
	if (written && fflush(stdout) == 0)
		return 0;
	cli_error(NULL, "write the answer: %s", strerror(errno ? errno : EIO));
	return CLI_NO_AGENT;
}

/* What has been made goes out at once. */
static int flush(struct cli_run *r, int code)
{
	int failed = cli_flush(r);

	return failed ? failed : code;
}

int cli_main(int argc, char **argv)
{
	struct cli_run r = { .opt = { .color = -1 } };
	int code;

	setlocale(LC_CTYPE, "");
	code = cli_parse(argc, argv, &r);
	if (code == 0 && argc < 2) {
		rs_autofree char *hint =
			rs_asprintf("%sripstop help lists the verbs", cli_self.before);

		cli_error(hint, "no verb");
		code = CLI_USAGE;
	} else if (code == 0) {
		r.colored = want_color(r.opt.color);
		code = run(&r);
		if (r.refused) {
			rs_strbuf_reset(&r.out);
			code = r.refused;
		}
	}
	code = flush(&r, code);
	rs_strbuf_free(&r.out);
	free(r.operands);
	free(r.named);
	free(r.opt.files);
	while (r.n_flags)
		free(r.flags[--r.n_flags]);
	free(r.flags);
	return code;
}
