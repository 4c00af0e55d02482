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

static bool set_selector(struct cli_options *o, const char *v)
{
	o->selector = v;
	return cli_is_selector(v);
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
static bool set_ms(int *ms, const char *v)
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
	*ms = (int)n;
	return true;
}

static bool set_timeout(struct cli_options *o, const char *v)
{
	return set_ms(&o->timeout_ms, v);
}

static bool set_interval(struct cli_options *o, const char *v)
{
	return set_ms(&o->interval_ms, v) && o->interval_ms >= 100;
}

static bool set_progress(struct cli_options *o, const char *v)
{
	static const char *const words[] = { "auto", "plain", "none" };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(v, words[i])) {
			o->progress = (enum cli_progress)i;
			return true;
		}
	return false;
}

static bool set_ascii(struct cli_options *o, const char *v)
{
	(void)v;
	return o->ascii = true;
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

static bool set_by(struct cli_options *o, const char *v)
{
	static const char *const words[] = { "workload", "pod", "ns" };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(v, words[i])) {
			o->by = (enum cli_by)i;
			return true;
		}
	return false;
}

static bool set_port(struct cli_options *o, const char *v)
{
	o->port = v;
	return *v != '\0';
}

static bool set_watch(struct cli_options *o, const char *v)
{
	(void)v;
	return o->watch = true;
}

static bool set_install(struct cli_options *o, const char *v)
{
	(void)v;
	return o->install = true;
}

static bool set_kernel(struct cli_options *o, const char *v)
{
	(void)v;
	return o->kernel = true;
}

static bool set_repair(struct cli_options *o, const char *v)
{
	(void)v;
	return o->repair = true;
}

static bool set_explain(struct cli_options *o, const char *v)
{
	(void)v;
	return o->explain = true;
}

static bool set_check(struct cli_options *o, const char *v)
{
	(void)v;
	return o->check = true;
}

static bool set_root(struct cli_options *o, const char *v)
{
	o->root = v;
	return *v != '\0';
}

static bool set_state_dir(struct cli_options *o, const char *v)
{
	o->state_dir = v;
	return *v != '\0';
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
	{ 'l', "selector", "LABELS", "only those with these labels, as kubectl writes it",
	  "ripstop pods -l 'app=api,tier!=be'", CLI_F_LABELS, set_selector },
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
	{ 0, "by", "pod|workload|ns", "what a row and a column stand for (workload)",
	  "ripstop matrix -f k8s/ --by ns", CLI_F_MATRIX, set_by },
	{ 0, "port", "PORT", "judge this port only: 5432, tcp/5432, udp/53, http, tcp/1-1024, icmp",
	  "ripstop matrix -f k8s/ --port tcp/5432", CLI_F_MATRIX, set_port },
	{ 'w', "watch", NULL, "show it again and again until interrupted", "ripstop status -w",
	  CLI_F_WATCH, set_watch },
	{ 0, "root", "DIR", "look at the machine whose files lie there, not at this one",
	  "ripstop doctor --root /mnt", CLI_F_LOCAL, set_root },
	{ 0, "interval", "SECONDS", "with -w: how long from one answer to the next (2; also 500ms)",
	  "ripstop pods -w --interval 10", CLI_F_WATCH, set_interval },
	{ 0, "socket", "PATH", "control socket of the agent (/run/ripstop/agent.sock)",
	  "ripstop status --socket /tmp/n1/agent.sock", CLI_F_AGENT, set_socket },
	{ 0, "timeout", "SECONDS", "how long to wait for the agent (5; also 500ms)",
	  "ripstop status --timeout 1", CLI_F_AGENT, set_timeout },
	{ 0, "expect", "allow|deny", "the verdict that is exit code 0 (allow)",
	  "ripstop explain shop/web shop/db 5432 --expect deny", CLI_F_EXPLAIN, set_expect },
	{ 0, "family", "4|6", "the addresses to judge where an end has both",
	  "ripstop explain shop/web shop/db 5432 --family 6", CLI_F_EXPLAIN | CLI_F_MATRIX,
	  set_family },
	{ 0, "install", NULL, "kubectl: write kubectl_complete-ripstop beside kubectl-ripstop",
	  "ripstop completion kubectl --install", CLI_F_COMPLETION, set_install },
	{ 0, "kernel", NULL, "ask the rules in the kernel too (needs CAP_NET_ADMIN)",
	  "ripstop explain shop/web shop/db 5432 --kernel", CLI_F_KERNEL, set_kernel },
	{ 0, "repair", NULL, "have the agent commit anew what differs", "ripstop verify --repair",
	  CLI_F_VERIFY, set_repair },
	{ 0, "explain", NULL, "say what each difference does to traffic",
	  "ripstop verify --explain", CLI_F_VERIFY, set_explain },
	{ 0, "check", NULL, "compare leases with records, links and the CNI cache; list leaks",
	  "ripstop ipam --check", CLI_F_LOCAL, set_check },
	{ 0, "state-dir", "DIR",
	  "read this state folder instead of asking the agent (/run/ripstop)",
	  "ripstop ipam --state-dir /tmp/n1/state", CLI_F_LOCAL, set_state_dir },
	{ 0, "color", "auto|always|never",
	  "colours (auto: on a terminal or with CLICOLOR_FORCE, without NO_COLOR)",
	  "ripstop rules shop/db --color always", CLI_F_COMMON, set_color },
	{ 0, "progress", "auto|plain|none",
	  "what long work says on stderr (auto: a bar, on a terminal; plain: a line every 5 s)",
	  "ripstop pods --progress none", CLI_F_COMMON, set_progress },
	{ 0, "ascii", NULL, "no letters but those of ASCII, as where the locale is not UTF-8",
	  "ripstop status --ascii", CLI_F_COMMON, set_ascii },
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
	if (r->opt.watch && !(CLI_FORM(r->opt.output) & CLI_FORMS_WATCHED)) {
		cli_error("-w has: table, wide, json, jsonl, yaml", "-w shows no -o %s",
			  output_names[r->opt.output]);
		return CLI_USAGE;
	}
	if (r->opt.interval_ms && !r->opt.watch) {
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
