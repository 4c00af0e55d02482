// SPDX-License-Identifier: Apache-2.0
/* program.c - a run from argv to exit code, the same for both programs. */
#include "cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/complete.h"
#include "cli/hidden.h"
#include "cli/term.h"
#include "cli/watching.h"

/* What is for people; programs read UTF-8. */
static void to_ascii(struct rs_strbuf *b)
{
	rs_autofree char *text = cli_term_text(rs_strbuf_steal(b));

	rs_strbuf_puts(b, text);
}

static int run(struct cli_run *r)
{
	if (r->opt.version) {
		cli_putf(r, "%s " RIPSTOP_VERSION "\n", cli_self.name);
		return CLI_YES;
	}
	if (r->opt.help || !r->cmd || r->cmd->run == cli_cmd_help)
		return cli_cmd_help(r);
	if (r->cmd->run == cli_cmd_completion)
		return cli_cmd_completion(r);
	return cli_self.run(r);
}

/* An answer that could not be written as it was asked for is none. */
static int answer(struct cli_run *r)
{
	int code;

	r->refused = 0;
	code = run(r);
	if (r->refused)
		rs_strbuf_reset(&r->out);
	if (!cli_wants_object(r) && r->out.len)
		to_ascii(&r->out);
	return r->refused ? r->refused : code;
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

/* What is no verb of people: other programs' questions. */
static bool is_of_ours(const char *word)
{
	static const char *const words[] = { "__complete", "__table", "__leash", "__listen",
					     "__connect" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static int hidden(struct cli_run *r, int argc, char **argv)
{
	if (!strcmp(argv[1], "__complete"))
		return cli_complete(r, argc - 2, argv + 2);
	if (!strcmp(argv[1], "__leash"))
		return cli_leash(argc - 1, argv + 1);
	if (!strcmp(argv[1], "__listen"))
		return cli_listen(argc - 1, argv + 1);
	if (!strcmp(argv[1], "__connect"))
		return cli_connect(argc - 1, argv + 1, &r->out);
	cli_put_itself(r);
	return CLI_YES;
}

static void clear(struct cli_run *r)
{
	rs_strbuf_free(&r->out);
	free(r->operands);
	free(r->named);
	free(r->given);
	free(r->opt.files);
	free(r->opt.disabled);
	while (r->n_flags)
		free(r->flags[--r->n_flags]);
	free(r->flags);
}

int cli_main(int argc, char **argv)
{
	struct cli_run r = { .opt = { .color = -1 } };
	int code;

	setlocale(LC_CTYPE, "");
	cli_term_ascii(false);
	if (argc > 1 && is_of_ours(argv[1])) {
		code = flush(&r, hidden(&r, argc, argv));
		clear(&r);
		return code;
	}
	code = cli_parse(argc, argv, &r);
	if (r.opt.ascii)
		cli_term_ascii(true);
	if (code == 0 && argc < 2) {
		rs_autofree char *hint =
			rs_asprintf("%sripstop help lists the verbs", cli_self.before);

		cli_error(hint, "no verb");
		code = CLI_USAGE;
	} else if (code == 0) {
		size_t height;

		r.colored = cli_term_color(r.opt.color);
		cli_term_size(&r.width, &height);
		/* It is for watching. */
		if (r.cmd && r.cmd->run == cli_cmd_top && isatty(STDOUT_FILENO) &&
		    CLI_FORM(r.opt.output) & CLI_FORMS_TEXT)
			r.opt.watch = true;
		code = r.opt.watch && !r.opt.help && !r.opt.version ? cli_watch(&r, answer)
								    : answer(&r);
	}
	code = flush(&r, code);
	clear(&r);
	return code;
}
