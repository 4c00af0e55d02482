// SPDX-License-Identifier: Apache-2.0
/* complete.c - completion: verbs, flags and their values by the tables, names by asking. */
#include "cli/complete.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/world/cliworld.h"

#define PATIENCE_MS 1500

struct guess {
	struct cli_run *r;
	const char *word;   /* unfinished */
	const char *before; /* "--output=" */
	const struct cli_command *verb;
	const struct cli_flag *waits; /* the flag whose value comes */
	int nr;			      /* of the operand that comes, from 0 */
	bool only_operands;	      /* behind "--" */
	bool lost;		      /* behind a verb that is none */
	int directive;
};

static void offer(struct guess *g, const char *text, const char *help)
{
	if (strncmp(text, g->word, strlen(g->word)))
		return;
	cli_putf(g->r, "%s%s", g->before, text);
	if (help)
		cli_putf(g->r, "\t%s", help);
	cli_put(g->r, "\n");
}

/* ---- names ----------------------------------------------------------------------------------- */

/* What is asked for, and what came: "shop/db-0" of each object. */
static struct {
	const char *op, *kind;
	struct rs_vec(char *) names;
} asked;

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of objects that need no quotes in any shell, which all legal ones are. */
static bool is_tame(const char *s)
{
	return *s && *s != '-' &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")];
}

static void keep(const char *ns, const char *name)
{
	if (is_tame(ns) && is_tame(name))
		*rs_vec_push(&asked.names) = rs_asprintf("%s/%s", ns, name);
}

/* A command like any other, so that kubectl ripstop runs it for each node. */
static int collect(struct cli_run *r)
{
	rs_autojson struct json_object *list = NULL;
	struct json_object *req = json_object_new_object(), *items;
	size_t i, n;
	int code;

	json_object_object_add(req, "all", json_object_new_boolean(true));
	code = cli_call(r, req, asked.op, asked.kind, &list);
	items = rs_json_get(list, "items");
	n = cli_count(list, "items");
	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);

		keep(rs_json_text(item, "namespace", ""), rs_json_text(item, "name", ""));
	}
	return code;
}

static void collect_from_files(struct cli_run *r)
{
	struct cli_world_paths paths = { .v = r->opt.files,
					 .n = r->opt.n_files,
					 .recursive = r->opt.recursive };
	const struct rs_policy *const *policies;
	struct cli_world *cw = NULL;
	rs_auto_err err = { 0 };
	size_t i, n = 0;

	if (cli_world_files(&paths, &cw, &err) < 0)
		return;
	for (i = 0; !strcmp(asked.op, "pods") && i < cw->n_ends; i++)
		keep(cw->ends[i].ns, cw->ends[i].name);
	policies = rs_store_policies(cw->store, &n);
	for (i = 0; !strcmp(asked.op, "policies") && i < n; i++)
		keep(policies[i]->meta.ns, policies[i]->meta.name);
	cli_world_free(cw);
}

static void collect_live(struct cli_run *r)
{
	static const struct cli_command collector = { .name = "__complete", .run = collect };
	struct rs_strbuf out = r->out;

	memset(&r->out, 0, sizeof(r->out));
	r->cmd = &collector;
	if (!r->opt.timeout_ms)
		r->opt.timeout_ms = PATIENCE_MS;
	cli_self.run(r);
	rs_strbuf_free(&r->out);
	r->out = out;
}

/* Names sorted, each once. */
static void ask(struct cli_run *r, const char *op, const char *kind)
{
	size_t i, k = 0;

	asked.op = op;
	asked.kind = kind;
	if (r->opt.n_files)
		collect_from_files(r);
	else
		collect_live(r);
	if (asked.names.n)
		qsort(asked.names.v, asked.names.n, sizeof(char *), by_text);
	for (i = 0; i < asked.names.n; i++)
		if (k && !strcmp(asked.names.v[k - 1], asked.names.v[i]))
			free(asked.names.v[i]);
		else
			asked.names.v[k++] = asked.names.v[i];
	asked.names.n = k;
}

static void forget(void)
{
	while (asked.names.n)
		free(asked.names.v[--asked.names.n]);
	rs_vec_free(&asked.names);
}

/* Of -n's namespace without it. */
static void offer_names(struct guess *g, const char *op, const char *kind)
{
	const char *ns = g->r->opt.namespace;
	size_t i, len = ns ? strlen(ns) : 0;

	ask(g->r, op, kind);
	for (i = 0; i < asked.names.n; i++) {
		const char *name = asked.names.v[i];

		if (!ns)
			offer(g, name, NULL);
		else if (!strncmp(name, ns, len) && name[len] == '/')
			offer(g, name + len + 1, NULL);
	}
	forget();
}

static void offer_namespaces(struct guess *g)
{
	rs_autofree char *last = NULL;
	size_t i;

	ask(g->r, "pods", "PodList");
	for (i = 0; i < asked.names.n; i++) {
		const char *name = asked.names.v[i];
		char *ns = rs_strndup(name, strcspn(name, "/"));

		if (!last || strcmp(last, ns))
			offer(g, ns, NULL);
		free(last);
		last = ns;
	}
	forget();
}

/* ---- by the tables --------------------------------------------------------------------------- */

static void offer_verbs(struct guess *g)
{
	const struct cli_command *c;

	for (c = cli_commands; c->name; c++)
		offer(g, c->name, c->help);
}

static void offer_flags_of(struct guess *g, const struct cli_flag *f)
{
	for (; f->name; f++) {
		rs_autofree char *name = rs_asprintf("--%s", f->name);
		char letter[3] = { '-', f->letter, '\0' };

		if (!(f->group & (g->verb ? g->verb->flags | CLI_F_COMMON : CLI_F_COMMON)))
			continue;
		offer(g, name, f->help);
		if (f->letter && !g->word[1])
			offer(g, letter, f->help);
	}
}

/* "auto|always|never" */
static void offer_choices(struct guess *g, const char *choices)
{
	rs_autofree char *copy = rs_strdup(choices);
	char *save = NULL, *word;

	for (word = strtok_r(copy, "|[]", &save); word; word = strtok_r(NULL, "|[]", &save))
		offer(g, word, NULL);
}

static void offer_forms(struct guess *g)
{
	rs_autofree char *forms = cli_forms_text(g->verb ? g->verb->forms : ~0u);
	char *save = NULL, *word;

	for (word = strtok_r(forms, ", ", &save); word; word = strtok_r(NULL, ", ", &save))
		offer(g, word, NULL);
}

static bool is_path(const char *arg)
{
	return strstr(arg, "PATH") || strstr(arg, "FILE") || strstr(arg, "DIR") ||
	       strstr(arg, "FOLDER");
}

static void offer_values(struct guess *g)
{
	const struct cli_flag *f = g->waits;

	if (strchr(f->arg, '|'))
		offer_choices(g, f->arg);
	else if (!strcmp(f->name, "output"))
		offer_forms(g);
	else if (!strcmp(f->name, "namespace"))
		offer_namespaces(g);
	else if (is_path(f->arg))
		g->directive = COMPLETE_FILES;
}

/* The nr-th word of a verb's operands; the last again where it may be repeated. NULL: none. */
static char *operand_of(const struct cli_command *c, int nr)
{
	const char *p = c->operands, *last = p;
	int i;

	for (i = 0; *p && i <= nr; i++) {
		last = p;
		p += strcspn(p, " ");
		p += strspn(p, " ");
	}
	if (!*last || (i <= nr && !strstr(last, "...")))
		return NULL;
	return rs_strndup(last, strcspn(last, " "));
}

static void offer_ports(struct guess *g)
{
	static const char *const ports[] = { "icmp", "sctp/", "tcp/", "udp/" };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(ports); i++)
		offer(g, ports[i], NULL);
	g->directive |= COMPLETE_NO_SPACE;
}

static void offer_operands(struct guess *g)
{
	rs_autofree char *what = operand_of(g->verb, g->nr);
	bool end = what && (strstr(what, "SRC") || strstr(what, "DST") || strstr(what, "ENDPOINT"));

	if (!what)
		return;
	if (strstr(what, "VERB"))
		offer_verbs(g);
	else if (strstr(what, "PORT"))
		offer_ports(g);
	else if (end || strstr(what, "POD") || !strcmp(g->verb->name, "pods"))
		offer_names(g, "pods", "PodList");
	else if (strstr(what, "POLICY") || !strcmp(g->verb->name, "policies"))
		offer_names(g, "policies", "PolicyList");
	else if (is_path(what))
		g->directive = COMPLETE_FILES;
	else if (strchr(what, '|'))
		offer_choices(g, what);
	if (end) {
		offer(g, "node", "this node itself");
		offer(g, "world", "an address that is nobody's");
	}
}

/* ---- the line -------------------------------------------------------------------------------- */

static void take_value(struct guess *g, const struct cli_flag *f, char *value)
{
	if (f->set)
		f->set(&g->r->opt, value);
	else
		cli_hand_on(g->r, f, f->arg ? value : NULL);
}

/* "--name", "--name=value", "-n", "-nvalue" */
static void take_flag(struct guess *g, const struct cli_flag *f, char *word)
{
	char *eq = strchr(word, '=');
	char *value = word[1] != '-' ? word + 2 : eq ? eq + 1 : word + strlen(word);

	if (f->arg && !*value)
		g->waits = f;
	else if (f->arg || !f->set)
		take_value(g, f, value);
}

static void take_operand(struct guess *g, const char *word)
{
	if (g->verb)
		g->nr++;
	else
		g->verb = cli_command_find(word);
	g->lost = !g->verb;
}

/* Words that are done: what has been said so far. Wrong ones are left to the run to refuse. */
static void take_word(struct guess *g, char *word)
{
	const struct cli_flag *f;

	if (g->waits) {
		take_value(g, g->waits, word);
		g->waits = NULL;
	} else if (g->only_operands || *word != '-' || !word[1]) {
		take_operand(g, word);
	} else if (!strcmp(word, "--")) {
		g->only_operands = true;
	} else {
		f = cli_flag_of(word);
		if (f)
			take_flag(g, f, word);
	}
}

/* "--output=js" is a word of its own to us. */
static void split(struct guess *g, char **before)
{
	const char *value = strchr(g->word, '=');
	const struct cli_flag *f = NULL;

	if (!g->waits && !g->only_operands && value && !strncmp(g->word, "--", 2))
		f = cli_flag_of(g->word);
	if (!f || !f->arg)
		return;
	*before = rs_strndup(g->word, (size_t)(value + 1 - g->word));
	g->before = *before;
	g->word = value + 1;
	g->waits = f;
}

static void guess(struct guess *g)
{
	if (g->waits) {
		offer_values(g);
	} else if (*g->word == '-' && !g->only_operands) {
		offer_flags_of(g, cli_flags);
		offer_flags_of(g, cli_self.flags);
	} else if (g->verb) {
		offer_operands(g);
	} else if (!g->lost) {
		offer_verbs(g);
	}
}

/* A prompt is no place for errors, and nothing may read what is being typed. */
static void be_silent(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
}

int cli_complete(struct cli_run *r, int n, char **words)
{
	struct guess g = { .r = r, .before = "", .directive = COMPLETE_NO_FILES };
	rs_autofree char *before = NULL;
	int i;

	r->operands = rs_new0(char *, 1);
	r->named = rs_new0(bool, 1);
	r->flags = rs_new0(char *, (size_t)n + 1);
	be_silent();
	for (i = 0; i + 1 < n; i++)
		take_word(&g, words[i]);
	g.word = n ? words[n - 1] : "";
	split(&g, &before);
	guess(&g);
	cli_putf(r, ":%d\n", g.directive);
	return CLI_YES;
}
