// SPDX-License-Identifier: Apache-2.0
/*
 * golden_runner.c - checks every golden case without packets: the compiled IR and the dataplane's plan
 * against their files, and each flow against the IR, the oracle and the explanation.
 *
 *	golden_runner [--update|--flows-only] DIR [CASE...]
 *
 * Every flow is judged twice: by one node that holds all local pods, and by two nodes that share
 * them, so that pairs on one node and across nodes get the same verdict (semantics A16).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifndef GOLDEN_WITHOUT_NFT
#include <ripstop/dataplane.h>
#endif

#include "tests/support/golden_case.h"

#define MAX_TEXT (8UL * 1024UL * 1024UL)
#define MAX_STATES 9

static struct {
	unsigned int passed, failed, skipped;
	bool update;
	bool flows_only; /* not the recorded texts: they notice any change at all */
} run;

struct golden {
	const char *name;
	char *dir;
	struct golden_world world;
	struct golden_locals locals;
	struct rs_compiler *compiler;
};

RS_DEFINE_CLEANUP(store_release, struct rs_store *, rs_store_free)
RS_DEFINE_CLEANUP(ir_release, struct rs_ir *, rs_ir_free)
RS_DEFINE_CLEANUP(compiler_release, struct rs_compiler *, rs_compiler_free)
RS_DEFINE_CLEANUP(explanation_release, struct rs_explanation *, rs_explanation_free)

static void check(bool good, const struct golden *g, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void check(bool good, const struct golden *g, const char *fmt, ...)
{
	va_list ap;

	if (good) {
		run.passed++;
		return;
	}
	run.failed++;
	printf("FAIL %s: ", g->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void first_difference(const char *want, const char *got, char *out, size_t len)
{
	int line = 1;
	size_t i, start = 0;

	for (i = 0; want[i] && want[i] == got[i]; i++) {
		if (want[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	snprintf(out, len, "line %d: expected '%.*s', got '%.*s'", line,
		 (int)strcspn(want + start, "\n"), want + start, (int)strcspn(got + start, "\n"),
		 got + start);
}

static void write_text(const struct golden *g, const char *path, const char *text)
{
	rs_autofclose FILE *f = fopen(path, "we");

	check(f && fputs(text, f) >= 0 && fflush(f) == 0, g, "%s cannot be written: %s", path,
	      strerror(errno));
}

static void compare_text(const struct golden *g, const char *path, const char *got)
{
	rs_autofree char *want = NULL;
	rs_auto_err err = { 0 };
	char diff[512];

	if (run.update) {
		write_text(g, path, got);
		return;
	}
	if (rs_file_read(path, MAX_TEXT, &want, NULL, &err) < 0) {
		check(false, g, "%s (--update writes it)", rs_err_str(&err));
		return;
	}
	first_difference(want, got, diff, sizeof(diff));
	check(strcmp(want, got) == 0, g, "%s: %s", path, diff);
}

static void compare_texts(const struct golden *g, const char *suffix, const struct rs_ir *ir)
{
	rs_autofree char *ir_path = rs_asprintf("%s/ir%s.txt", g->dir, suffix);
	rs_autofree char *nft_path = rs_asprintf("%s/nft%s.txt", g->dir, suffix);
	rs_autofree char *ir_text = rs_ir_print(ir);

	compare_text(g, ir_path, ir_text);
#ifndef GOLDEN_WITHOUT_NFT
	rs_autofree char *nft_text = rs_dp_nft.print(NULL, ir);

	compare_text(g, nft_path, nft_text);
#else
	(void)nft_path;
	run.skipped++;
#endif
}

/* ---- flows ----------------------------------------------------------------------------------- */

static const char *word(bool allow)
{
	return allow ? "allow" : "deny";
}

static struct rs_flow_end end_of(const struct golden_end *e, int family)
{
	return (struct rs_flow_end){
		.ns = e->ns,
		.name = e->ns ? e->name : NULL,
		.addr = e->addr[family],
		.node = e->node,
	};
}

static struct rs_flow flow_of(const struct golden_flow *f, int family)
{
	return (struct rs_flow){
		.src = end_of(&f->src, family),
		.dst = end_of(&f->dst, family),
		.proto = f->proto[family],
		.port = f->port,
	};
}

static char *flow_text(const struct golden_flow *f, int family, const char *node)
{
	return rs_asprintf("flows line %d: %s%s%s %s%s%s %s @%d%s", f->line,
			   f->src.ns ? f->src.ns : "", f->src.ns ? "/" : "", f->src.name,
			   f->dst.ns ? f->dst.ns : "", f->dst.ns ? "/" : "", f->dst.name,
			   f->proto_text, family ? 6 : 4, node);
}

/* A denial names its end and gives a reason there; an allowed flow names no end. */
static bool explained_well(const struct rs_explanation *x)
{
	const struct rs_half_explained *half;

	if (x->verdict == RS_VERDICT_ALLOW)
		return !x->denied_at;
	if (!x->denied_at)
		return false;
	half = strncmp(x->denied_at, "egress", 6) == 0 ? &x->egress : &x->ingress;
	return half->known && half->verdict == RS_VERDICT_DENY && half->reason && *half->reason;
}

static void check_explain(const struct golden *g, const struct rs_world *w, const struct rs_ir *ir,
			  const struct rs_flow *flow, bool allow, const char *text)
{
	__attribute__((cleanup(explanation_release))) struct rs_explanation *x = NULL;
	rs_auto_err err = { 0 };

	if (rs_explain(w, ir, flow, &x, &err) < 0) {
		check(false, g, "%s: explain: %s", text, rs_err_str(&err));
		return;
	}
	check((x->verdict == RS_VERDICT_ALLOW) == allow, g, "%s: expected %s, explain says %s",
	      text, word(allow), word(x->verdict == RS_VERDICT_ALLOW));
	check(explained_well(x), g, "%s: a denial without an end or a reason (%s)", text,
	      x->denied_at ? x->denied_at : "-");
}

static void check_flow(const struct golden *g, const struct rs_world *w, const struct rs_ir *ir,
		       const struct golden_flow *f, int family)
{
	rs_autofree char *text = flow_text(f, family, "");
	struct rs_flow flow = flow_of(f, family);
	struct rs_ir_verdict v;
	bool oracle;

	oracle = rs_oracle(w, &flow) == RS_VERDICT_ALLOW;
	check(oracle == f->allow, g, "%s: expected %s, oracle says %s", text, word(f->allow),
	      word(oracle));
	check_explain(g, w, ir, &flow, f->allow, text);
	if (f->src.node)
		return; /* the kernel knows local origin before it asks the IR */
	rs_ir_eval(ir, &flow.src.addr, &flow.dst.addr, flow.proto, flow.port, &v);
	check(v.allow == f->allow, g, "%s: expected %s, IR says %s", text, word(f->allow),
	      word(v.allow));
}

/* ---- two nodes ------------------------------------------------------------------------------- */

static bool even(size_t index)
{
	return index % 2 == 0;
}

static bool odd(size_t index)
{
	return index % 2 == 1;
}

static struct rs_ir *compile_half(const struct golden *g, struct rs_world w,
				  bool (*keep)(size_t index), const char *name)
{
	__attribute__((cleanup(compiler_release))) struct rs_compiler *c = rs_compiler_new(NULL);
	rs_autofree struct rs_local_pod *locals = golden_locals_view(&g->locals, keep, &w.n_locals);
	struct rs_ir *ir = NULL;
	rs_auto_err err = { 0 };

	w.locals = locals;
	if (rs_compile(c, &w, &ir, NULL, &err) < 0)
		check(false, g, "compile for %s: %s", name, rs_err_str(&err));
	return ir;
}

/* The same pods on two nodes that both enforce: every verdict must be what it was on one. */
static void check_two_nodes(const struct golden *g, const struct rs_world *w,
			    const struct golden_flows *flows)
{
	__attribute__((cleanup(ir_release))) struct rs_ir *a = NULL;
	__attribute__((cleanup(ir_release))) struct rs_ir *b = NULL;
	struct rs_ir_verdict va, vb;
	const struct golden_flow *f;
	struct rs_flow flow;
	size_t i;
	int fam;

	for (i = 0; i < g->locals.n; i++)
		if (!g->locals.v[i].in_objects)
			return; /* the other node could not know such a pod */
	a = compile_half(g, *w, even, "node A");
	b = compile_half(g, *w, odd, "node B");
	for (i = 0; a && b && i < flows->n; i++) {
		f = &flows->v[i];
		for (fam = 0; fam < 2; fam++) {
			rs_autofree char *text = flow_text(f, fam, " on two nodes");

			if (!f->family[fam] || f->src.node)
				continue;
			flow = flow_of(f, fam);
			rs_ir_eval(a, &flow.src.addr, &flow.dst.addr, flow.proto, flow.port, &va);
			rs_ir_eval(b, &flow.src.addr, &flow.dst.addr, flow.proto, flow.port, &vb);
			check((va.allow && vb.allow) == f->allow, g,
			      "%s: expected %s, node A says %s, node B %s", text, word(f->allow),
			      word(va.allow), word(vb.allow));
		}
	}
}

/* ---- one state ------------------------------------------------------------------------------- */

static int load_objects(const char *path, bool lenient, struct rs_store *store, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	const char *base;
	size_t len;
	int rc;
	int kind;

	rc = rs_file_read(path, RS_DOC_MAX_BYTES, &text, &len, err);
	if (rc < 0)
		return rc;
	base = strrchr(path, '/') + 1; /* positions do not depend on where the tree lies */
	rc = rs_decode_text(store, base, text, len, false,
			    lenient ? RS_ADMIT_LENIENT : RS_ADMIT_STRICT, err);
	if (rc < 0)
		return rc;
	if (!lenient)
		rs_store_finish_folder(store);
	for (kind = 0; kind < RS_KINDS; kind++)
		rs_store_set_synced(store, (enum rs_kind)kind, true);
	return 0;
}

static void judge(struct golden *g, const struct rs_world *w, const char *suffix,
		  const struct golden_flows *flows)
{
	__attribute__((cleanup(ir_release))) struct rs_ir *ir = NULL;
	rs_auto_err err = { 0 };
	size_t i;
	int fam;

	if (rs_compile(g->compiler, w, &ir, NULL, &err) < 0) {
		check(false, g, "compile: %s", rs_err_str(&err));
		return;
	}
	rs_compiler_committed(g->compiler, ir);
	if (!run.flows_only)
		compare_texts(g, suffix, ir);
	for (i = 0; i < flows->n; i++)
		for (fam = 0; fam < 2; fam++)
			if (flows->v[i].family[fam])
				check_flow(g, w, ir, &flows->v[i], fam);
	check_two_nodes(g, w, flows);
}

static int run_state(struct golden *g, const char *suffix, struct rs_err *err)
{
	__attribute__((cleanup(store_release))) struct rs_store *store = rs_store_new();
	__attribute__((cleanup(golden_flows_free))) struct golden_flows flows = { 0 };
	rs_autofree char *objects = rs_asprintf("%s/objects%s.yaml", g->dir, suffix);
	rs_autofree char *flows_path = rs_asprintf("%s/flows%s", g->dir, suffix);
	rs_autofree struct rs_local_pod *locals = NULL;
	struct rs_world w = {
		.store = store,
		.pod_ranges = g->world.pod_ranges.v,
		.n_pod_ranges = g->world.pod_ranges.n,
		.node_ranges = g->world.node_ranges.v,
		.n_node_ranges = g->world.node_ranges.n,
		.complete = g->world.complete,
	};
	int rc;

	rc = load_objects(objects, g->world.lenient, store, err);
	if (rc == 0)
		rc = golden_locals_update(&g->locals, &g->world, store, err);
	if (rc == 0)
		rc = golden_flows_read(flows_path, &g->world, store, &g->locals, &flows, err);
	if (rc < 0)
		return rc;
	locals = golden_locals_view(&g->locals, NULL, &w.n_locals);
	w.locals = locals;
	judge(g, &w, suffix, &flows);
	return 0;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static bool has_state(const struct golden *g, unsigned int state)
{
	rs_autofree char *path = rs_asprintf("%s/objects.%u.yaml", g->dir, state);

	return access(path, F_OK) == 0;
}

static int run_states(struct golden *g, struct rs_err *err)
{
	char suffix[16];
	unsigned int i;
	int rc;

	rc = golden_world_read(g->dir, &g->world, err);
	if (rc < 0)
		return rc;
	if (!has_state(g, 1))
		return run_state(g, "", err);
	for (i = 1; i <= MAX_STATES && has_state(g, i); i++) {
		snprintf(suffix, sizeof(suffix), ".%u", i);
		rc = run_state(g, suffix, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void run_case(const char *root, const char *name)
{
	struct golden g = {
		.name = name,
		.dir = rs_asprintf("%s/%s", root, name),
		.compiler = rs_compiler_new(NULL),
	};
	rs_auto_err err = { 0 };
	unsigned int failed = run.failed;

	if (run_states(&g, &err) < 0)
		check(false, &g, "%s", rs_err_str(&err));
	printf("%-8s %s\n", run.failed == failed ? "passed" : "failed", name);
	rs_compiler_free(g.compiler);
	golden_locals_free(&g.locals);
	golden_world_free(&g.world);
	free(g.dir);
}

static int is_case(const struct dirent *e)
{
	return e->d_name[0] != '.' && strcmp(e->d_name, "README.md") != 0;
}

static int run_all(const char *root)
{
	struct dirent **list;
	int i, n;

	n = scandir(root, &list, is_case, alphasort);
	if (n <= 0) {
		fprintf(stderr, "golden_runner: no case in %s\n", root);
		return -1;
	}
	for (i = 0; i < n; i++) {
		run_case(root, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}

int main(int argc, char **argv)
{
	int i = 1;

	if (i < argc && strcmp(argv[i], "--update") == 0) {
		run.update = true;
		i++;
	} else if (i < argc && strcmp(argv[i], "--flows-only") == 0) {
		run.flows_only = true;
		i++;
	}
	if (i >= argc) {
		fprintf(stderr, "usage: golden_runner [--update|--flows-only] DIR [CASE...]\n");
		return 2;
	}
	if (i + 1 == argc && run_all(argv[i]) < 0)
		return 2;
	for (int c = i + 1; c < argc; c++)
		run_case(argv[i], argv[c]);
	printf("%u passed, %u failed, %u skipped\n", run.passed, run.failed, run.skipped);
	return run.failed ? 1 : 0;
}
