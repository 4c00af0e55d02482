// SPDX-License-Identifier: Apache-2.0
/* kubebundle.c - `kubectl ripstop bundle`: the archive of every node in one, as `ripstop bundle -O
 * -` in the agents' containers makes them. */
#include "cli/kubectl/kubectl.h"

#include <string.h>

#include "cli/bundle/bundle.h"

#define MAX_ARCHIVE (128 * RS_MIB)

struct gathering {
	struct cli_run *r;
	struct tarball *t;
	char *dir;
	struct json_object *files, *omitted;
	size_t n, n_failed;
};

static bool is_archive(const struct rs_strbuf *b)
{
	return b->len > 18 && (unsigned char)b->s[0] == 0x1f && (unsigned char)b->s[1] == 0x8b;
}

static void leave_out(struct gathering *g, const char *what, const char *why, bool failed)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "what", what);
	rs_json_add_str(o, "why", why);
	json_object_object_add(o, "failed", json_object_new_boolean(failed));
	json_object_array_add(g->omitted, o);
	g->n_failed += failed;
}

/* Names of nodes are DNS names: they may stand in a path. */
static bool is_file_name(const char *s)
{
	return *s && *s != '.' && strlen(s) <= 63 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == strlen(s);
}

static void take(struct gathering *g, const struct kube_agent *agent, const struct kube_child *c)
{
	rs_autofree char *name = rs_asprintf("%s.tar.gz", agent->node);
	rs_autofree char *path = rs_asprintf("%s/%s", g->dir, name);
	struct kube_answer a = { 0 };
	struct json_object *o;

	/* Code 5 is an archive too: the one that says what it lacks. */
	if (!is_archive(&c->out) || !is_file_name(agent->node)) {
		if (!kube_failed(c, true, &a))
			kube_refuse(&a, CLI_NO_AGENT, rs_strdup("it gave no archive"), NULL);
		kube_tell(&a, agent->node);
		leave_out(g, agent->node, a.cause, true);
		kube_answer_clear(&a);
		return;
	}
	tarball_add(g->t, path, c->out.s, c->out.len);
	o = json_object_new_object();
	rs_json_add_str(o, "name", name);
	rs_json_add_str(o, "what", "the archive of that node");
	json_object_object_add(o, "bytes", json_object_new_uint64(c->out.len));
	json_object_array_add(g->files, o);
	g->n++;
}

/* One after another: an archive may be large. */
static void gather(struct gathering *g, const struct kube_agent *agent)
{
	struct kube_child c = { .node = agent->node, .max_out = MAX_ARCHIVE };

	if (agent->trouble) {
		cli_warn("%s: %s", agent->node, agent->trouble);
		leave_out(g, agent->node, agent->trouble, true);
		return;
	}
	kube_begin(g->r, &c, "exec");
	kube_words(&c,
		   (const char *const[]){ "-n", kube_agent_namespace(g->r), agent->pod, "-c",
					  "agent", "--", "ripstop", "bundle", "-O", "-", NULL });
	if (g->r->opt.redact)
		kube_word(&c, "--redact");
	if (g->r->opt.socket) {
		kube_word(&c, "--socket");
		kube_word(&c, g->r->opt.socket);
	}
	kube_spawn(&c, 1, g->r->kube->deadline);
	take(g, agent, &c);
	kube_child_clear(&c);
}

static int end(struct gathering *g, struct rs_strbuf *out, struct rs_err *err)
{
	rs_autojson struct json_object *m = json_object_new_object();
	struct json_object *meta = json_object_new_object();
	rs_autofree char *path = rs_asprintf("%s/MANIFEST.json", g->dir);
	const char *text;

	rs_json_add_str(m, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(m, "kind", "Bundle");
	rs_json_add_str(meta, "source", "kubectl");
	json_object_object_add(m, "metadata", meta);
	rs_json_add_str(m, "version", RIPSTOP_VERSION);
	json_object_object_add(m, "redacted", json_object_new_boolean(g->r->opt.redact));
	if (g->r->opt.redact)
		leave_out(g, "hashes that agree from node to node",
			  "each node has a key of its own", false);
	json_object_object_add(m, "files", json_object_get(g->files));
	json_object_object_add(m, "omitted", json_object_get(g->omitted));
	text = json_object_to_json_string_ext(m, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE);
	tarball_add(g->t, path, text, strlen(text));
	return tarball_end(rs_steal_ptr(&g->t), out, err);
}

static int put(struct gathering *g)
{
	rs_auto_strbuf data = { 0 };
	rs_auto_err err = { 0 };
	int code;

	if (!g->n)
		return CLI_NO_AGENT;
	if (end(g, &data, &err) < 0) {
		cli_error(NULL, "%s", rs_err_str(&err));
		return CLI_NO_AGENT;
	}
	code = cli_bundle_put(g->r, g->dir, &data);
	if (code)
		return code;
	if (!g->r->opt.output_file || strcmp(g->r->opt.output_file, "-"))
		cli_putf(g->r, ": archives of %zu nodes\n", g->n);
	return g->n_failed ? CLI_PARTIAL : CLI_YES;
}

int kube_bundle(struct cli_run *r)
{
	struct gathering g = { .r = r };
	struct kube *k = r->kube;
	int code = cli_bundle_check(r);

	if (code)
		return code;
	if (kube_find_agents(r, r->opt.node, &k->agents, &k->none))
		return kube_tell(&k->none, NULL);
	g.dir = cli_bundle_name("cluster");
	g.t = tarball_new(rs_now_s());
	g.files = json_object_new_array();
	g.omitted = json_object_new_array();
	for (size_t i = 0; i < k->agents.n; i++)
		gather(&g, &k->agents.v[i]);
	code = put(&g);
	tarball_free(g.t);
	json_object_put(g.files);
	json_object_put(g.omitted);
	free(g.dir);
	return code;
}
