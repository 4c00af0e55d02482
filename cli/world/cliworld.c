// SPDX-License-Identifier: Apache-2.0
/* cliworld.c - one world of objects to ask, whoever they came from; see cliworld.h. */
#include <errno.h>
#include <string.h>

#include "cli/world/live.h"
#include "cli/world/worldparts.h"

RS_DEFINE_CLEANUP(cleanup_world, struct cli_world *, cli_world_free)

void *cli_world_keep(struct cli_world *cw, void *block)
{
	*rs_vec_push(&cw->arena->blocks) = block;
	return block;
}

void cli_world_free(struct cli_world *cw)
{
	struct cli_world_arena *a = cw ? cw->arena : NULL;
	struct rs_ir *part = a ? a->part : NULL;
	size_t i;

	if (!cw)
		return;
	for (i = 0; i < cw->n_services; i++)
		free(cw->services[i].backends);
	for (i = 0; i < a->blocks.n; i++)
		free(a->blocks.v[i]);
	for (i = 0; i < a->labels.n; i++) {
		rs_labels_free(a->labels.v[i]);
		free(a->labels.v[i]);
	}
	rs_vec_free(&a->blocks);
	rs_vec_free(&a->labels);
	rs_vec_free(&a->absent);
	cli_addresses_free(&a->addresses);
	rs_extras_free(a->x);
	free(a->locals);
	free(a);
	free(cw->services);
	free(cw->ends);
	free(cw->from);
	free(cw->skipped);
	rs_conditions_free(&cw->conditions);
	rs_ir_free(cw->ir);
	rs_ir_free(part);
	rs_compiler_free(cw->compiler);
	rs_store_free(cw->store);
	free(cw);
}

/* ---- what was read --------------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
	const struct rs_skipped *x = a, *y = b;

	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->kind, y->kind);
}

/* The most frequent kinds first. */
static void count_skipped(struct cli_world *cw)
{
	struct rs_extras *x = cw->arena->x;
	rs_auto_strbuf b = { 0 };
	size_t i;

	if (!x->n_skipped)
		return;
	qsort(x->skipped, x->n_skipped, sizeof(*x->skipped), by_count);
	for (i = 0; i < x->n_skipped; i++) {
		cw->n_skipped += x->skipped[i].n;
		if (i < 5)
			rs_strbuf_printf(&b, "%s%zu %s", i ? ", " : "", x->skipped[i].n,
					 x->skipped[i].kind);
	}
	if (x->n_skipped > 5)
		rs_strbuf_puts(&b, ", ...");
	cw->skipped = rs_strbuf_steal(&b);
}

static void count_objects(struct cli_world *cw)
{
	const struct rs_extras *x = cw->arena->x;
	const struct rs_namespace *const *ns;
	size_t n, i;

	cw->n_objects = x->n_workloads + x->n_services + x->n_slices;
	ns = rs_store_namespaces(cw->store, &n);
	for (i = 0; i < n; i++)
		cw->n_objects += !ns[i]->implied;
	rs_store_pods(cw->store, &n);
	cw->n_objects += n;
	rs_store_policies(cw->store, &n);
	cw->n_objects += n;
	rs_store_nodes(cw->store, &n);
	cw->n_objects += n;
	count_skipped(cw);
}

/* ---- making ---------------------------------------------------------------------------------- */

static int make(struct cli_world *cw, const char *cluster_cidr, struct rs_err *err)
{
	size_t i;
	int rc;

	cli_make_ends(cw);
	rc = cli_make_ranges(cw, cluster_cidr, err);
	for (i = 0; i < cw->n_ends && rc == 0; i++)
		rc = cli_give_address(cw, i, err);
	if (rc < 0)
		return rc;
	cli_make_services(cw);
	count_objects(cw);
	return 0;
}

int cli_world_make(struct rs_store *s, struct rs_extras *x, const char *cluster_cidr,
		   const char *origin, struct cli_world **out, struct rs_err *err)
{
	rs_cleanup(cleanup_world) struct cli_world *cw = rs_new(struct cli_world);
	int rc;

	cw->arena = rs_new(struct cli_world_arena);
	cw->store = s;
	cw->w.store = s;
	cw->w.everyone = true;
	cw->arena->x = x;
	cw->origin = origin;
	cw->knows_services = strcmp(origin, "agent") != 0;
	rc = rs_extras_finish(x, err);
	if (rc == 0)
		rc = make(cw, cluster_cidr, err);
	if (rc < 0)
		return rc;
	*out = rs_steal_ptr(&cw);
	return 0;
}

/* "k8s (41 files)", "a.yaml and 2 more". */
static char *describe(const struct cli_world_paths *paths, size_t n_files)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts(&b, !strcmp(paths->v[0], "-") ? "stdin" : paths->v[0]);
	if (paths->n > 1)
		rs_strbuf_printf(&b, " and %zu more", paths->n - 1);
	if (n_files != paths->n)
		rs_strbuf_printf(&b, " (%zu file%s)", n_files, n_files == 1 ? "" : "s");
	return rs_strbuf_steal(&b);
}

int cli_world_files(const struct cli_world_paths *paths, struct cli_world **out, struct rs_err *err)
{
	struct rs_extras *x = rs_extras_new();
	struct rs_store *s = rs_store_new();
	size_t n_files = 0;
	int rc;

	x->namespace = paths->namespace;
	rc = cli_read_paths(paths, s, x, &n_files, err);
	if (rc < 0) {
		rs_extras_free(x);
		rs_store_free(s);
		return rc;
	}
	rs_store_finish_with(s, x);
	rc = cli_world_make(s, x, paths->cluster_cidr, "files", out, err);
	if (rc < 0)
		return rc;
	(*out)->n_files = n_files;
	(*out)->from = describe(paths, n_files);
	return 0;
}

int cli_world_code(int rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
		return CLI_NOT_FOUND;
	case EDOM: /* a flag's value */
		return CLI_USAGE;
	case EACCES:
	case EPERM:
	case EIO:
	case ENXIO:
		return CLI_NO_AGENT;
	default:
		return CLI_BAD_INPUT;
	}
}

/* ---- opening --------------------------------------------------------------------------------- */

static void tell(const struct cli_world *cw)
{
	size_t i, n;
	const char *const *v = rs_store_warnings(cw->store, &n);

	for (i = 0; i < n; i++)
		cli_warn("%s", v[i]);
	if (!cw->n_objects)
		cli_warn("%s holds nothing that Ripstop reads", cw->from);
	if (cw->n_skipped)
		cli_warn("%zu object%s of other kinds skipped: %s", cw->n_skipped,
			 cw->n_skipped == 1 ? "" : "s", cw->skipped);
}

static int failed(int rc, const struct rs_err *err)
{
	cli_error(err->hint, "%s", rs_err_str(err));
	return cli_world_code(rc);
}

static int open_live(struct cli_run *r, struct cli_world **out)
{
	struct cli_live live = { 0 };
	rs_auto_err err = { 0 };
	int code = cli_self.live(r, &live), rc;

	if (code) {
		cli_live_clear(&live);
		return code;
	}
	rc = cli_world_make(rs_steal_ptr(&live.store), rs_steal_ptr(&live.x),
			    r->opt.cluster_cidr ? r->opt.cluster_cidr : live.pod_ranges,
			    live.origin, out, &err);
	if (rc == 0) {
		(*out)->from = rs_steal_ptr(&live.from);
		(*out)->knows_services = live.knows_services;
		tell(*out);
	}
	cli_live_clear(&live);
	return rc < 0 ? failed(rc, &err) : 0;
}

static bool reads_stdin(const struct cli_world_paths *paths)
{
	size_t i;

	for (i = 0; i < paths->n; i++)
		if (!strcmp(paths->v[i], "-"))
			return true;
	return false;
}

int cli_world_open(struct cli_run *r, struct cli_world **out)
{
	struct cli_world_paths paths = {
		.v = r->opt.files,
		.n = r->opt.n_files,
		.recursive = r->opt.recursive,
		.cluster_cidr = r->opt.cluster_cidr,
		.namespace = r->opt.namespace,
	};
	rs_auto_err err = { 0 };
	int rc;

	if (!paths.n)
		return open_live(r, out);
	if (r->opt.watch && reads_stdin(&paths)) {
		cli_error("write it to a file first, and watch that",
			  "-w reads again and again, and -f - can be read once");
		return CLI_USAGE;
	}
	rc = cli_world_files(&paths, out, &err);
	if (rc < 0)
		return failed(rc, &err);
	tell(*out);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool cli_world_has_namespace(const struct cli_world *cw, const char *ns)
{
	size_t i;

	if (rs_store_namespace(cw->store, ns))
		return true;
	for (i = 0; i < cw->n_ends; i++)
		if (!strcmp(cw->ends[i].ns, ns))
			return true;
	return false;
}

int cli_world_ir(struct cli_world *cw, const struct rs_ir **ir, struct rs_err *err)
{
	int rc;

	if (!cw->ir) {
		cw->compiler = rs_compiler_new(NULL);
		rc = rs_compile(cw->compiler, &cw->w, &cw->ir, &cw->conditions, err);
		if (rc < 0)
			return rc;
	}
	*ir = cw->ir;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct rs_local_pod *x = a, *y = b;
	int cmp = strcmp(x->ns, y->ns);

	return cmp ? cmp : strcmp(x->name, y->name);
}

int cli_world_ir_of(struct cli_world *cw, const size_t *ends, size_t n, const struct rs_ir **ir,
		    struct rs_err *err)
{
	rs_autofree struct rs_local_pod *locals = rs_new0(struct rs_local_pod, n);
	struct rs_compiler *compiler = rs_compiler_new(NULL);
	struct rs_world w = cw->w;
	size_t i, k = 0;
	int rc;

	for (i = 0; i < n; i++)
		locals[i] = cw->w.locals[ends[i]];
	if (n)
		qsort(locals, n, sizeof(*locals), by_name);
	for (i = 0; i < n; i++)
		if (!k || by_name(&locals[i], &locals[k - 1]))
			locals[k++] = locals[i];
	w.locals = locals;
	w.n_locals = w.n_sorted = k;
	rs_ir_free(cw->arena->part);
	cw->arena->part = NULL;
	rc = rs_compile(compiler, &w, &cw->arena->part, &cw->conditions, err);
	rs_compiler_free(compiler);
	*ir = cw->arena->part;
	return rc;
}

static const struct cli_endpoint *exact(const struct cli_world *cw, const char *ns,
					const char *name)
{
	size_t lo = 0, hi = cw->w.n_sorted, i;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(cw->ends[mid].ns, ns);

		if (!cmp)
			cmp = strcmp(cw->ends[mid].name, name);
		if (!cmp)
			return &cw->ends[mid];
		if (cmp < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (i = cw->w.n_sorted; i < cw->n_ends; i++)
		if (!strcmp(cw->ends[i].ns, ns) && !strcmp(cw->ends[i].name, name))
			return &cw->ends[i];
	return NULL;
}

/* "db-0" of the template of StatefulSet db. */
static const struct cli_endpoint *ordinal(const struct cli_world *cw, const char *ns,
					  const char *name)
{
	const char *dash = strrchr(name, '-');
	const struct cli_endpoint *e;
	rs_autofree char *set = NULL;

	if (!dash || !dash[1] || strspn(dash + 1, "0123456789") != strlen(dash + 1))
		return NULL;
	set = rs_strndup(name, (size_t)(dash - name));
	e = exact(cw, ns, set);
	return e && e->is_template && !strcmp(e->workload_kind, "StatefulSet") ? e : NULL;
}

const struct cli_endpoint *cli_world_endpoint(const struct cli_world *cw, const char *ns,
					      const char *name)
{
	const struct cli_endpoint *e = exact(cw, ns, name);

	return e ? e : ordinal(cw, ns, name);
}

const struct rs_local_pod *cli_world_pod(const struct cli_world *cw, const struct cli_endpoint *e)
{
	return &cw->w.locals[e - cw->ends];
}

char *cli_endpoint_text(const struct cli_endpoint *e)
{
	return rs_asprintf("%s/%s", e->ns, e->name);
}
