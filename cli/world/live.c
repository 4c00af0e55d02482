// SPDX-License-Identifier: Apache-2.0
/* live.c - the objects of the agent of this node, page by page; see live.h. */
#include "cli/world/live.h"

#include <string.h>

#include "object/encode.h"

/* How often it is begun again because something changed between two pages. */
#define TRIES 10
#define MAX_RANGES 500

void cli_live_clear(struct cli_live *l)
{
	free(l->from);
	rs_store_free(l->store);
	rs_extras_free(l->x);
	free(l->pod_ranges);
	memset(l, 0, sizeof(*l));
}

/* One reading: what was first said of the state, and where we are. */
struct reading {
	struct cli_run *r;
	struct cli_live *out;
	char *revision;
	bool stale;
	size_t n_closed;
};

static int unusable(const char *why)
{
	cli_error("are this program and the agent of one release? see: ripstop version",
		  "the agent's objects cannot be used: %s", why);
	return CLI_NO_AGENT;
}

static struct json_object *question(enum rs_kind kind, const char *after)
{
	struct json_object *q = json_object_new_object();

	rs_json_add_str(q, "of", rs_kind_name(kind));
	rs_json_add_str(q, "after", after);
	return q;
}

static int take_items(struct reading *g, struct json_object *page)
{
	struct json_object *items = rs_json_get(page, "items");
	rs_auto_err err = { 0 };

	for (size_t i = 0; i < cli_count(page, "items"); i++) {
		uint64_t before = rs_store_revision(g->out->store);

		if (rs_decode_encoded(g->out->store, "agent", json_object_array_get_idx(items, i),
				      &err) < 0)
			return unusable(rs_err_str(&err));
		/* A world that lacks an object would be another one. */
		if (rs_store_revision(g->out->store) == before)
			return unusable("an object cannot be read");
	}
	g->n_closed += cli_count(page, "closed");
	return 0;
}

/* *after: where the next page begins, NULL when this was the last one. */
static int take_page(struct reading *g, struct json_object *page, char **after)
{
	const char *revision = rs_json_text(page, "revision", "");
	const char *next = rs_json_text(page, "next", NULL);

	if (!g->revision)
		g->revision = rs_strdup(revision);
	g->stale = strcmp(g->revision, revision) != 0;
	if (next && !cli_count(page, "items"))
		return unusable("a page without objects is not the last one");
	free(*after);
	*after = rs_strdup(next);
	return g->stale ? 0 : take_items(g, page);
}

/* More of them than --cluster-cidr takes are those of Nodes anyway. */
static void take_ranges(struct cli_live *l, struct json_object *page)
{
	struct json_object *list = rs_json_get(page, "podRanges");
	size_t n = cli_count(page, "podRanges");
	rs_auto_strbuf b = { 0 };

	for (size_t i = 0; i < n && n < MAX_RANGES; i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(list, i));

		rs_strbuf_printf(&b, "%s%s", b.len ? "," : "", text ? text : "?");
	}
	l->pod_ranges = b.len ? rs_strbuf_steal(&b) : NULL;
}

/* Where the objects are a folder's, the namespaces that it only uses exist too. */
static void finish(struct cli_live *l, struct json_object *page)
{
	struct json_object *meta = rs_json_get(page, "metadata");
	rs_autofree char *generation = cli_cell_number(meta, "generation");

	if (!strcmp(rs_json_text(meta, "source", ""), "folder"))
		rs_store_finish_folder(l->store);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(l->store, (enum rs_kind)k, true);
	l->from = rs_asprintf("the agent of %s, generation %s",
			      rs_json_text(meta, "node", "this node"), generation);
}

static int read_kind(struct reading *g, enum rs_kind kind)
{
	rs_autofree char *after = NULL;
	int code = 0;

	do {
		rs_autojson struct json_object *page = NULL;

		code = cli_call(g->r, question(kind, after), "objects", "ObjectPage", &page);
		if (code == 0)
			code = take_page(g, page, &after);
		if (code == 0 && !g->stale && kind == RS_KIND_NODE && !after) {
			take_ranges(g->out, page);
			finish(g->out, page);
		}
	} while (code == 0 && after && !g->stale);
	return code;
}

static int read_all(struct reading *g)
{
	/* Nodes come last: with them it is complete. */
	static const enum rs_kind order[] = { RS_KIND_NAMESPACE, RS_KIND_POD, RS_KIND_POLICY,
					      RS_KIND_NODE };
	int code = 0;

	g->out->origin = "agent";
	g->out->store = rs_store_new();
	g->out->x = rs_extras_new();
	for (size_t i = 0; i < RS_ARRAY_SIZE(order) && code == 0 && !g->stale; i++)
		code = read_kind(g, order[i]);
	return code;
}

int cli_live_agent(struct cli_run *r, struct cli_live *out)
{
	for (int i = 0; i < TRIES; i++) {
		struct reading g = { .r = r, .out = out };
		int code = read_all(&g);

		free(g.revision);
		if (code == 0 && !g.stale && g.n_closed)
			cli_warn("nobody knows the labels of %zu pods: the agent denies them "
				 "everything; here they stand as pods without labels",
				 g.n_closed);
		if (code || !g.stale)
			return code;
		cli_live_clear(out);
	}
	cli_error("try again, or ask files with -f",
		  "the agent's objects change faster than they can be read (%d times)", TRIES);
	return CLI_NO_AGENT;
}
