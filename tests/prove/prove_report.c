// SPDX-License-Identifier: Apache-2.0
/* prove_report.c - a finding, made small enough to be read, printed and kept. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/prove_run.h"
#include "tests/prove/scene.h"
#include "tests/prove/yaml_out.h"

#define MAX_STEPS 2500

struct again {
	struct pv_judge *judge;
	const struct pv_case *before; /* judged first; NULL: from nothing */
	const struct pv_finding *want;
};

/* The same mistake, not another one that the smaller case happens to show. */
static bool same(const struct pv_finding *a, const struct pv_finding *b)
{
	const char *x = strchr(a->text, ':'), *y = strchr(b->text, ':');

	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case PV_ERROR:
		return a->rc == b->rc && x && y && strncmp(x, y, 40) == 0;
	case PV_DIFFER:
		return memcmp(a->v, b->v, sizeof(a->v)) == 0;
	case PV_BROKEN: /* "flow 7: the answer: it should ..." */
		return a->v[PV_RULESET] == b->v[PV_RULESET] && a->v[PV_EBPF] == b->v[PV_EBPF] &&
		       x && y && strcspn(x + 1, ":") == strcspn(y + 1, ":") &&
		       strncmp(x, y, strcspn(x + 1, ":")) == 0;
	case PV_RELATED:
		return a->reader == b->reader && a->v[a->reader] == b->v[a->reader];
	case PV_AGREED:
		break;
	}
	return true;
}

static bool shows_related(const struct again *a, const struct pv_case *c)
{
	struct pv_morphed m = { 0 };
	struct pv_verdicts v = { 0 };
	struct pv_finding f = { 0 };

	pv_judge_find(a->judge, c, true, &v, &f);
	if (f.kind == PV_AGREED &&
	    pv_morph_find(a->judge, c, &v, a->want->rule, a->want->rule_seed, &m, &f))
		pv_case_free(&m.c);
	pv_verdicts_free(&v);
	return same(a->want, &f);
}

static bool shows(void *ctx, const struct pv_case *c)
{
	const struct again *a = ctx;
	struct pv_finding f = { 0 };

	if (a->want->kind == PV_RELATED)
		return shows_related(a, c);
	if (a->before)
		pv_judge_find(a->judge, a->before, true, NULL, &f);
	pv_judge_find(a->judge, c, !a->before, NULL, &f);
	return same(a->want, &f);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_verdicts(struct rs_strbuf *b, const struct pv_verdicts *v, size_t i)
{
	static const char *const names[PV_READERS] = { "oracle", "IR",	    "ruleset",
						       "second", "explain", "offline" };

	for (size_t r = 0; r < PV_READERS; r++)
		rs_strbuf_printf(b, "  %s %s", names[r],
				 v->v[r][i] < 0 ? "-"
				 : v->v[r][i]	? "allow"
						: "deny");
	if (v->hits[i])
		rs_strbuf_printf(b, "  (%s)", v->hits[i]);
	if (v->broken[i])
		rs_strbuf_printf(b, "\n    %s", v->broken[i]);
	rs_strbuf_putc(b, '\n');
}

void pv_print_case(struct rs_strbuf *b, struct pv_judge *j, const struct pv_case *c)
{
	pv_auto_scene struct pv_scene *s = NULL;
	json_object *objects = rs_json_get(c->root, "objects");
	struct pv_verdicts v = { 0 };
	rs_auto_err err = { 0 };
	size_t i;

	for (i = 0; i < json_object_array_length(objects); i++) {
		rs_strbuf_puts(b, "---\n");
		pv_yaml_put(b, json_object_array_get_idx(objects, i));
	}
	rs_strbuf_printf(b, "--- world\n%s\n--- flows\n",
			 json_object_to_json_string_ext(rs_json_get(c->root, "world"),
							JSON_C_TO_STRING_SPACED));
	if (pv_scene_make(c, &s, &err) < 0 || pv_judge_case(j, c, true, &v, &err) < 0) {
		rs_strbuf_printf(b, "%s\n", rs_err_str(&err));
		return;
	}
	for (i = 0; i < s->n_flows; i++) {
		rs_autofree char *text = pv_flow_text(&s->flows[i]);

		rs_strbuf_printf(b, "%s\n ", text);
		put_verdicts(b, &v, i);
	}
	pv_verdicts_free(&v);
}

/* ---- keeping --------------------------------------------------------------------------------- */

static void remove_old(const char *dir)
{
	static const char *const files[] = { "objects.yaml", "world", "flows", "ir.txt",
					     "nft.txt" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(files); i++) {
		rs_autofree char *path = rs_asprintf("%s/%s", dir, files[i]);

		unlink(path);
	}
	rmdir(dir);
}

/* As a golden case, from the first node that sees it; with what the API text (the oracle) says. */
static void save_golden(struct rs_strbuf *b, struct pv_judge *j, const struct pv_case *c,
			const char *dir)
{
	struct pv_verdicts v = { 0 };
	rs_auto_err err = { 0 };
	size_t node;
	int rc = pv_judge_case(j, c, true, &v, &err);

	remove_old(dir);
	if (rc == 0)
		rc = -ENODATA;
	for (node = 0; rc == -ENODATA && node < PV_MAX_NODES; node++) {
		rs_err_clear(&err);
		rc = pv_golden_write(c, v.v[PV_ORACLE][0] >= 0 ? v.v[PV_ORACLE] : v.v[PV_SECOND],
				     node, dir, &err);
	}
	pv_verdicts_free(&v);
	if (rc < 0) {
		rs_strbuf_printf(b, "no golden case: %s\n", rs_err_str(&err));
		return;
	}
	rs_strbuf_printf(b,
			 "a golden case with one command (read its flows first: the verdicts are "
			 "those of the oracle):\n  make golden-add FROM=%s NAME=...\n",
			 dir);
}

static void save(struct rs_strbuf *b, struct pv_worker *w, uint64_t index, const struct pv_case *c)
{
	rs_autofree char *dir =
		rs_asprintf("%s/mismatch-%" PRIu64 "-%" PRIu64, w->o->out, w->o->seed, index);
	rs_autofree char *json = rs_asprintf("%s.json", dir);
	rs_auto_err err = { 0 };
	int rc = rs_mkdir_p(w->o->out, 0755, &err);

	if (rc == 0 && json_object_to_file_ext(json, c->root, JSON_C_TO_STRING_PLAIN) < 0)
		rc = rs_err_sys(&err, errno, "%s", json);
	if (rc < 0) {
		rs_strbuf_printf(b, "not saved: %s\n", rs_err_str(&err));
		return;
	}
	rs_strbuf_printf(b, "again: prove --case %s\n", json);
	save_golden(b, w->judge, c, dir);
}

/* ---- the report ------------------------------------------------------------------------------ */

/* A judge of its own: what went before must not help or hinder. */
static void make_small(struct rs_strbuf *b, struct pv_worker *w, struct pv_judge *j,
		       struct pv_case *c, const struct pv_finding *found)
{
	struct again a = { .judge = j, .want = found };

	if (!shows(&a, c)) {
		a.before = w->before.root && found->kind != PV_RELATED ? &w->before : NULL;
		if (!a.before || !shows(&a, c)) {
			rs_strbuf_puts(b, "it does not show again by itself: here as it was\n");
			return;
		}
		rs_strbuf_printf(
			b, "it shows only as a difference to the world before (number - %u)\n",
			w->o->jobs);
	}
	pv_shrink(c, shows, &a, MAX_STEPS);
}

void pv_report(struct pv_worker *w, uint64_t index, struct pv_case *c,
	       const struct pv_finding *found)
{
	rs_auto_strbuf b = { 0 };
	rs_auto_err err = { 0 };
	struct pv_judge *j;

	rs_strbuf_printf(&b, "FAIL mismatch in world %" PRIu64 " of seed %" PRIu64 ": %s\n", index,
			 w->o->seed, found->text);
	if (w->o->first) {
		fputs(b.s, stdout);
		return;
	}
	if (pv_judge_new(w->o->readers, &j, &err) < 0) {
		printf("%s%s\n", rs_strbuf_str(&b), rs_err_str(&err));
		return;
	}
	make_small(&b, w, j, c, found);
	pv_print_case(&b, j, c);
	save(&b, w, index, c);
	pv_judge_free(j);
	rs_strbuf_puts(&b, "\n");
	fwrite(b.s, 1, b.len, stdout);
	fflush(stdout);
}
