// SPDX-License-Identifier: Apache-2.0
/* flags.c - the one table of flags, and the walk over argv that reads it. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static bool set_namespace(struct cli_options *o, const char *v)
{
	o->namespace = v;
	return *v && !strchr(v, '/');
}

static bool set_all(struct cli_options *o, const char *v)
{
	(void)v;
	return o->all_namespaces = true;
}

static const char *const output_names[CLI_OUTPUTS] = {
	"table", "wide", "json", "jsonl", "yaml",  "name",  "csv",
	"md",	 "dot",	 "svg",	 "html",  "sarif", "junit", "hubble",
};

static bool set_output(struct cli_options *o, const char *v)
{
	size_t i;

	for (i = 0; i < CLI_OUTPUTS; i++)
		if (!strcmp(v, output_names[i])) {
			o->output = (enum cli_output)i;
			return true;
		}
	return false;
}

char *cli_forms_text(unsigned int forms)
{
	rs_auto_strbuf b = { 0 };
	unsigned int i;

	for (i = 0; i < CLI_OUTPUTS; i++)
		if (forms & CLI_FORM(i))
			rs_strbuf_printf(&b, "%s%s", b.len ? ", " : "", output_names[i]);
	return rs_strbuf_steal(&b);
}

static bool set_sort_by(struct cli_options *o, const char *v)
{
	o->sort_by = v;
	return *v != '\0';
}

static bool set_no_headers(struct cli_options *o, const char *v)
{
	(void)v;
	return o->no_headers = true;
}

static bool set_socket(struct cli_options *o, const char *v)
{
	o->socket = v;
	return *v != '\0';
}

/* Seconds, or with a unit: 5, 5s, 500ms. */
static bool set_timeout(struct cli_options *o, const char *v)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	if (end == v || *v < '0' || *v > '9' || errno || n <= 0 || n > 86400000)
		return false;
	if (strcmp(end, "ms")) {
		if ((*end && strcmp(end, "s")) || n > 86400)
			return false;
		n *= 1000;
	}
	o->timeout_ms = (int)n;
	return true;
}

static bool set_color(struct cli_options *o, const char *v)
{
	if (!strcmp(v, "auto"))
		o->color = -1;
	else if (!strcmp(v, "always"))
		o->color = 1;
	else if (!strcmp(v, "never"))
		o->color = 0;
	else
		return false;
	return true;
}

static bool set_expect(struct cli_options *o, const char *v)
{
	o->expect = !strcmp(v, "deny") ? CLI_EXPECT_DENY : CLI_EXPECT_ALLOW;
	return !strcmp(v, "deny") || !strcmp(v, "allow");
}

static bool set_family(struct cli_options *o, const char *v)
{
	o->family = !strcmp(v, "6") ? 6 : 4;
	return !strcmp(v, "4") || !strcmp(v, "6");
}

static bool set_file(struct cli_options *o, const char *v)
{
	o->files = rs_reallocarray(o->files, o->n_files + 1, sizeof(*o->files));
	o->files[o->n_files++] = v;
	return *v != '\0';
}

static bool set_recursive(struct cli_options *o, const char *v)
{
	(void)v;
	return o->recursive = true;
}

static bool set_cluster_cidr(struct cli_options *o, const char *v)
{
	o->cluster_cidr = v;
	return *v != '\0';
}

static bool set_watch(struct cli_options *o, const char *v)
{
	(void)v;
	return o->watch = true;
}

static bool set_dropped(struct cli_options *o, const char *v)
{
	(void)v;
	o->verdict = "dropped";
	return true;
}

static bool set_verdict(struct cli_options *o, const char *v)
{
	o->verdict = v;
	return *v != '\0';
}

static bool set_reason(struct cli_options *o, const char *v)
{
	o->reason = v;
	return *v != '\0';
}

static bool set_direction(struct cli_options *o, const char *v)
{
	o->direction = v;
	return !strcmp(v, "ingress") || !strcmp(v, "egress");
}

static bool set_follow(struct cli_options *o, const char *v)
{
	(void)v;
	return o->follow = true;
}

static bool set_last(struct cli_options *o, const char *v)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	o->last = (int)n;
	o->has_last = true;
	return *v >= '0' && *v <= '9' && !*end && !errno && n <= 1000000;
}

/* 90, 90s, 5m, 2h, 1d. */
static bool set_since(struct cli_options *o, const char *v)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	unit = *end ? strchr(units, *end) : units;
	if (*v < '0' || *v > '9' || errno || n <= 0 || !unit || (*end && end[1]) ||
	    n > 366 * 86400L / seconds[unit - units])
		return false;
	o->since_ms = n * seconds[unit - units] * 1000;
	return true;
}

static bool set_help(struct cli_options *o, const char *v)
{
	(void)v;
	return o->help = true;
}

static bool set_version(struct cli_options *o, const char *v)
{
	(void)v;
	return o->version = true;
}

const struct cli_flag cli_flags[] = {
	{ 'n', "namespace", "NAME", "the namespace of plain names, and the only one to list",
	  "ripstop pods -n shop", CLI_F_NAMESPACE, set_namespace },
	{ 'A', "all-namespaces", NULL, "list every namespace (what happens without -n)",
	  "ripstop pods -A", CLI_F_ALL, set_all },
	{ 'o', "output", "FORM", "form of the answer; a verb's help says which it has",
	  "ripstop status -o json", CLI_F_OUTPUT, set_output },
	{ 0, "no-headers", NULL, "no line of column names", "ripstop pods --no-headers",
	  CLI_F_HEADERS, set_no_headers },
	{ 0, "sort-by", "COLUMN", "sort the table by a column, numbers by value",
	  "ripstop pods --sort-by policies", CLI_F_SORT, set_sort_by },
	{ 'f', "filename", "PATH", "ask files instead of an agent: a file, a folder, or - (stdin)",
	  "ripstop explain -f k8s/ shop/web shop/db 5432", CLI_F_FILES, set_file },
	{ 'R', "recursive", NULL, "go into the folders of a folder too", "ripstop lint -R -f k8s/",
	  CLI_F_FILES, set_recursive },
	{ 0, "cluster-cidr", "CIDR[,CIDR]",
	  "the cluster's pod ranges, where pods without an address stand (10.244.0.0/16)",
	  "ripstop matrix -f k8s/ --cluster-cidr 10.0.0.0/8", CLI_F_FILES, set_cluster_cidr },
	{ 'w', "watch", NULL, "show it again and again until interrupted", "ripstop status -w",
	  CLI_F_WATCH, set_watch },
	{ 0, "socket", "PATH", "control socket of the agent (/run/ripstop/agent.sock)",
	  "ripstop status --socket /tmp/n1/agent.sock", CLI_F_AGENT, set_socket },
	{ 0, "timeout", "SECONDS", "how long to wait for the agent (5; also 500ms)",
	  "ripstop status --timeout 1", CLI_F_AGENT, set_timeout },
	{ 0, "expect", "allow|deny", "the verdict that is exit code 0 (allow)",
	  "ripstop explain shop/web shop/db 5432 --expect deny", CLI_F_EXPLAIN, set_expect },
	{ 0, "family", "4|6", "the addresses to judge where an end has both",
	  "ripstop explain shop/web shop/db 5432 --family 6", CLI_F_EXPLAIN, set_family },
	{ 0, "dropped", NULL, "dropped packets only, as yet the only ones with records",
	  "ripstop monitor --dropped", CLI_F_MONITOR, set_dropped },
	{ 0, "verdict", "dropped", "packets with this verdict only",
	  "ripstop monitor --verdict dropped", CLI_F_MONITOR, set_verdict },
	{ 0, "reason", "REASON", "drops of this reason only, such as policy-ingress or spoofed",
	  "ripstop monitor --reason policy-egress", CLI_F_MONITOR, set_reason },
	{ 0, "direction", "ingress|egress", "drops at this end only: towards a pod, or from it",
	  "ripstop monitor --direction egress", CLI_F_MONITOR, set_direction },
	{ 0, "follow", NULL, "wait for more until interrupted", "ripstop monitor --follow",
	  CLI_F_MONITOR, set_follow },
	{ 0, "since", "TIME", "records of the last 90, 90s, 5m, 2h or 1d",
	  "ripstop monitor --since 5m", CLI_F_MONITOR, set_since },
	{ 0, "last", "N", "the last N records that fit (20; with --since all)",
	  "ripstop monitor --last 100", CLI_F_MONITOR, set_last },
	{ 0, "color", "auto|always|never", "colours (auto: on a terminal, without NO_COLOR)",
	  "ripstop rules shop/db --color always", CLI_F_COMMON, set_color },
	{ 'h', "help", NULL, "help for ripstop or for a verb", "ripstop explain --help",
	  CLI_F_COMMON, set_help },
	{ 0, "version", NULL, "version of this program", "ripstop --version", CLI_F_COMMON,
	  set_version },
	{ 0 },
};

static const char *flag_name(size_t i)
{
	static const size_t n = RS_ARRAY_SIZE(cli_flags) - 1;

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
	unsigned int groups; /* of the flags that were given */
	const struct cli_flag *given[64];
	size_t n_given;
};

/* To kubectl, as one word: a value that begins with "-" stays a value. */
static void hand_on(struct cli_run *r, const struct cli_flag *f, const char *value)
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
		hand_on(r, f, value);
	else if (!f->set(&r->opt, value)) {
		if (f->set == set_output) {
			free(example);
			example = cli_forms_text(~0u);
		}
		cli_error(example, "--%s: \"%s\" is not %s", f->name, value, f->arg);
		return CLI_USAGE;
	}
	if (w->n_given < RS_ARRAY_SIZE(w->given))
		w->given[w->n_given++] = f;
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
		cli_error(hint, "%s has no form -o %s", r->cmd->name, output_names[r->opt.output]);
	else if (r->opt.sort_by && !(CLI_FORM(r->opt.output) & CLI_FORMS_TABLE))
		cli_error(NULL, "--sort-by sorts tables, and -o %s is none",
			  output_names[r->opt.output]);
	else
		return 0;
	return CLI_USAGE;
}

/* Does what was given fit the verb? */
static int check(const struct walk *w, const struct cli_run *r)
{
	rs_autofree char *usage = NULL;
	size_t i;

	if (!r->cmd || r->opt.help)
		return 0;
	usage = rs_asprintf("usage: %sripstop %s %s", cli_self.before, r->cmd->name,
			    r->cmd->operands);
	for (i = 0; i < w->n_given; i++)
		if (!(w->given[i]->group & (r->cmd->flags | CLI_F_COMMON))) {
			cli_error(usage, "--%s means nothing to %s", w->given[i]->name,
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
	return rc ? rc : check(&w, r);
}
