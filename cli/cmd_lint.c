// SPDX-License-Identifier: Apache-2.0
/* cmd_lint.c - `ripstop lint`: the mistakes that people make in NetworkPolicies, in files. */
#include "cli/cli.h"

#include <string.h>

#include "cli/lint/lint.h"
#include "cli/lint/lint_print.h"
#include "cli/world/cliworld.h"

RS_DEFINE_CLEANUP(cleanup_lint, struct lint *, lint_free)

static int unknown_rule(const char *word)
{
	const char *near = lint_rule_nearest(word);
	rs_autofree char *hint = near ? rs_asprintf("did you mean %s?", near)
				      : rs_strdup("docs/lint.md lists the rules");

	cli_error(hint, "--disable: there is no rule %s", word);
	return CLI_USAGE;
}

static int disable(struct lint *l, const struct cli_options *o)
{
	size_t i;

	for (i = 0; i < o->n_disabled; i++) {
		rs_autofree char *copy = rs_strdup(o->disabled[i]);
		char *word, *save = NULL;

		for (word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
			enum lint_id id = lint_rule_find(word, strlen(word));

			if (id == LINT_RULES)
				return unknown_rule(word);
			l->disabled[id] = true;
		}
	}
	return 0;
}

static void set_least(struct lint *l, const char *severity)
{
	while (severity && strcmp(lint_severity_name(l->least), severity))
		l->least++;
}

static int take(void *arg, const char *file, char *text, size_t len, bool json, struct rs_err *err)
{
	return lint_add_text(arg, file, text, len, json, err);
}

static int look(struct cli_run *r, struct lint *l)
{
	const struct cli_world_paths paths = { .v = r->opt.files,
					       .n = r->opt.n_files,
					       .recursive = r->opt.recursive };
	rs_auto_err err = { 0 };
	size_t n_files;
	int rc;

	l->extras->namespace = r->opt.namespace;
	rc = cli_read_texts(&paths, take, l, &n_files, &err);
	if (rc == 0)
		rc = lint_run(l, r->opt.cluster_cidr, &err);
	if (rc < 0)
		cli_error(err.hint, "%s", rs_err_str(&err));
	return cli_world_code(rc);
}

int cli_cmd_lint(struct cli_run *r)
{
	rs_cleanup(cleanup_lint) struct lint *l = lint_new();
	int code = disable(l, &r->opt);

	if (code)
		return code;
	if (!r->opt.n_files) {
		cli_error("ripstop lint -f FOLDER, -f FILE, or -f - for standard input",
			  "lint: no -f says which files to read");
		return CLI_USAGE;
	}
	set_least(l, r->opt.severity);
	code = look(r, l);
	if (code)
		return code;
	if (!l->policies.n)
		cli_warn("there is no NetworkPolicy in these files");
	lint_print(r, l);
	return lint_count(l, LINT_WARNING) || lint_count(l, LINT_ERROR) ? CLI_NO : CLI_YES;
}
