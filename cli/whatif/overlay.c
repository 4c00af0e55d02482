// SPDX-License-Identifier: Apache-2.0
/* overlay.c - both worlds of a difference: two folders, or a folder put over what is live. */
#include "cli/whatif/whatif.h"

#include <string.h>

#include "base/jsonio.h"
#include "cli/world/worldparts.h"
#include "object/object_encode.h"
#include "object/store.h"

/* ---- addresses ------------------------------------------------------------------------------- */

/* Who of AFTER has which first address, by index. */
struct holders {
	struct rs_intern addrs;
	struct rs_u32s ends;
};

static void hold(struct holders *h, const struct rs_local_pod *p, uint32_t end)
{
	bool fresh;
	uint32_t at = rs_intern_put(&h->addrs, &p->ips[0], sizeof(p->ips[0]), &fresh);

	if (fresh)
		rs_vec_push(&h->ends);
	h->ends.v[at] = end;
}

static uint32_t holder(const struct holders *h, const struct rs_addr *a)
{
	uint32_t at = rs_intern_find(&h->addrs, a, sizeof(*a));

	return at == RS_NONE ? UINT32_MAX : h->ends.v[at];
}

/* End i of `after` takes the addresses that it has in `before`; who had them gets its own. */
static void take_addresses(struct cli_world *after, uint32_t i, const struct cli_world *before,
			   const struct cli_endpoint *e, struct holders *h)
{
	const struct rs_local_pod *from = cli_world_pod(before, e);
	struct rs_local_pod *to = &after->arena->locals[i], *other;
	uint32_t k;

	if (!from->n_ips || !to->n_ips || !rs_addr_cmp(&from->ips[0], &to->ips[0]))
		return;
	k = holder(h, &from->ips[0]);
	if (k != UINT32_MAX && after->ends[k].given_ip)
		return;
	if (k != UINT32_MAX && k != i) {
		other = &after->arena->locals[k];
		other->ips = to->ips;
		other->n_ips = to->n_ips;
		hold(h, other, k);
	}
	to->ips = from->ips;
	to->n_ips = from->n_ips;
	after->ends[i].given_ip = e->given_ip;
	hold(h, to, i);
}

/* An ipBlock must not make a difference between two addresses that we gave one pod. */
static void settle_addresses(const struct cli_world *before, struct cli_world *after)
{
	struct holders h = { 0 };
	uint32_t i;

	for (i = 0; i < after->n_ends; i++)
		if (after->w.locals[i].n_ips)
			hold(&h, &after->w.locals[i], i);
	for (i = 0; i < after->n_ends; i++) {
		const struct cli_endpoint *e = &after->ends[i];
		const struct cli_endpoint *b = cli_world_endpoint(before, e->ns, e->name);

		if (!e->given_ip && b && !strcmp(b->name, e->name))
			take_addresses(after, i, before, b, &h);
	}
	rs_intern_free(&h.addrs);
	rs_vec_free(&h.ends);
}

/* ---- labels ---------------------------------------------------------------------------------- */

static const struct rs_workload *new_workload(const struct rs_extras *x,
					      const struct cli_endpoint *e)
{
	size_t i;

	for (i = 0; i < x->n_workloads; i++)
		if (!strcmp(x->workloads[i].meta.ns, e->ns) &&
		    !strcmp(x->workloads[i].meta.name, e->workload) &&
		    !strcmp(x->workloads[i].kind, e->workload_kind))
			return &x->workloads[i];
	return NULL;
}

/* Labels that a controller puts on its pods beside those of the template. */
static bool is_controllers(const char *key)
{
	static const char *const keys[] = {
		"pod-template-hash",
		"pod-template-generation",
		"controller-revision-hash",
		"controller-uid",
		"job-name",
		"statefulset.kubernetes.io/pod-name",
		"apps.kubernetes.io/pod-index",
		"batch.kubernetes.io/controller-uid",
		"batch.kubernetes.io/job-name",
		"batch.kubernetes.io/job-completion-index",
	};
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

static void take_template(struct cli_world *cw, size_t i, const struct rs_workload *w)
{
	struct rs_local_pod *p = &cw->arena->locals[i];
	struct rs_labels *labels = rs_new(struct rs_labels);
	size_t k;

	*labels = rs_labels_copy(&w->labels);
	for (k = 0; k < p->labels->n; k++)
		if (is_controllers(p->labels->v[k].key))
			rs_labels_set(labels, p->labels->v[k].key, p->labels->v[k].value);
	*rs_vec_push(&cw->arena->labels) = labels;
	p->labels = labels;
	p->ports = w->ports;
	p->n_ports = w->n_ports;
}

/* Once a workload is applied its pods are those of its template. */
static void settle_labels(struct cli_world *after)
{
	const struct rs_extras *x = after->arena->x;
	size_t i;

	for (i = 0; i < after->n_ends && x->n_workloads; i++) {
		const struct cli_endpoint *e = &after->ends[i];
		const struct rs_workload *w =
			e->is_template || e->pos.file ? NULL : new_workload(x, e);

		if (w)
			take_template(after, i, w);
	}
}

/* ---- live objects under a folder ------------------------------------------------------------- */

/* What is live and not in s goes into s. */
static int fill_up(struct rs_store *s, const struct rs_store *live, struct rs_err *err)
{
	size_t i, n;
	int kind, rc = 0;

	for (kind = 0; kind < RS_KINDS; kind++) {
		const struct rs_meta *const *v = rs_store_metas(live, (enum rs_kind)kind, &n);

		for (i = 0; i < n && rc == 0; i++) {
			rs_autojson struct json_object *o = NULL;

			if (rs_store_find(s, (enum rs_kind)kind, v[i]->ns, v[i]->name))
				continue;
			o = rs_encode((enum rs_kind)kind, v[i]);
			rc = rs_decode_encoded(s, "live objects", o, err);
		}
	}
	return rc;
}

static char *ranges_text(const struct cli_world *cw)
{
	rs_auto_strbuf b = { 0 };
	char text[RS_CIDR_STRLEN];
	size_t i;

	for (i = 0; i < cw->w.n_pod_ranges; i++)
		rs_strbuf_printf(&b, "%s%s", i ? "," : "", rs_cidr_str(&cw->w.pod_ranges[i], text));
	return b.len ? rs_strbuf_steal(&b) : NULL;
}

static int put_over(const struct cli_world_paths *paths, const struct cli_world *live,
		    struct cli_world **out, struct rs_err *err)
{
	rs_autofree char *ranges = ranges_text(live);
	struct rs_extras *x = rs_extras_new();
	struct rs_store *s = rs_store_new();
	size_t n_files = 0;
	int rc;

	x->namespace = paths->namespace;
	rc = cli_read_paths(paths, s, x, &n_files, err);
	if (rc == 0)
		rc = fill_up(s, live->store, err);
	if (rc < 0) {
		rs_extras_free(x);
		rs_store_free(s);
		return rc;
	}
	rs_store_finish_with(s, x);
	rc = cli_world_make(s, x, ranges, live->origin, out, err);
	if (rc < 0)
		return rc;
	(*out)->n_files = n_files;
	(*out)->from = paths->n == 1 ? rs_strdup(paths->v[0])
				     : rs_asprintf("%s and %zu more", paths->v[0], paths->n - 1);
	settle_labels(*out);
	return 0;
}

/* ---- both ------------------------------------------------------------------------------------ */

static int failed(const struct rs_err *err, int rc)
{
	cli_error(err->hint, "%s", rs_err_str(err));
	return cli_world_code(rc);
}

static int open_folders(struct cli_run *r, struct cli_world *worlds[SIDES])
{
	const struct cli_world_paths before = {
		.v = &r->opt.against,
		.n = 1,
		.recursive = r->opt.recursive,
		.cluster_cidr = r->opt.cluster_cidr,
		.namespace = r->opt.namespace,
	};
	rs_auto_err err = { 0 };
	int rc = cli_world_files(&before, &worlds[BEFORE], &err);

	return rc < 0 ? failed(&err, rc) : cli_world_open(r, &worlds[AFTER]);
}

static int open_live(struct cli_run *r, struct cli_world *worlds[SIDES])
{
	const struct cli_world_paths after = {
		.v = r->opt.files,
		.n = r->opt.n_files,
		.recursive = r->opt.recursive,
		.namespace = r->opt.namespace,
	};
	struct cli_run live = *r;
	rs_auto_err err = { 0 };
	int rc;

	live.opt.files = NULL;
	live.opt.n_files = 0;
	rc = cli_world_open(&live, &worlds[BEFORE]);
	if (rc)
		return rc;
	rc = put_over(&after, worlds[BEFORE], &worlds[AFTER], &err);
	return rc < 0 ? failed(&err, rc) : 0;
}

int overlay_open(struct cli_run *r, struct cli_world *worlds[SIDES])
{
	bool live = !r->opt.against || !strcmp(r->opt.against, "live");
	int code;

	if (!r->opt.n_files) {
		cli_error("name the manifests: -f FILE, -f FOLDER, or -f - for standard input",
			  "%s compares files with what there is", r->cmd->name);
		return CLI_USAGE;
	}
	code = live ? open_live(r, worlds) : open_folders(r, worlds);
	if (code == 0)
		settle_addresses(worlds[BEFORE], worlds[AFTER]);
	return code;
}
