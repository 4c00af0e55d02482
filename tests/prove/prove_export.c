// SPDX-License-Identifier: Apache-2.0
/* prove_export.c - strict worlds with their verdicts, one JSON object a line, for real packets. */
#include <errno.h>
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/prove_run.h"

#define STREAM 0x7061636b657473ULL /* worlds of their own, not those of the run: "packets" */

static int put_case(FILE *f, struct pv_case *c, const struct pv_verdicts *v, struct rs_err *err)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < v->n; i++)
		json_object_array_add(list, json_object_new_boolean(v->v[PV_ORACLE][i]));
	json_object_object_add(c->root, "verdicts", list);
	if (fprintf(f, "%s\n", json_object_to_json_string_ext(c->root, JSON_C_TO_STRING_PLAIN)) < 0)
		return rs_err_sys(err, errno, "write");
	return 0;
}

static int export_world(struct pv_judge *j, uint64_t seed, uint64_t index, FILE *f, uint64_t *flows,
			struct rs_err *err)
{
	struct pv_shape shape = pv_default_shape(true);
	struct pv_verdicts v = { 0 };
	struct pv_finding found = { 0 };
	struct pv_case c = { 0 };
	int rc;

	pv_generate(seed ^ STREAM, index, &shape, &c);
	pv_judge_find(j, &c, false, &v, &found);
	if (found.kind != PV_AGREED)
		rc = rs_err_set(err, EUCLEAN, "world %llu: %s", (unsigned long long)index,
				found.text);
	else
		rc = put_case(f, &c, &v, err);
	*flows += v.n;
	pv_verdicts_free(&v);
	pv_case_free(&c);
	return rc;
}

int pv_export(const struct pv_options *o, struct rs_err *err)
{
	rs_autofclose FILE *f = fopen(o->export, "we");
	uint64_t flows = 0, i = 0, worlds = (o->packets + PV_MAX_FLOWS - 1) / PV_MAX_FLOWS;
	struct pv_judge *j;
	int rc;

	if (!f)
		return rs_err_sys(err, errno, "%s", o->export);
	rc = pv_judge_new(1u << PV_ORACLE | 1u << PV_IR, &j, err);
	if (rc < 0)
		return rc;
	for (; rc == 0 && (flows < o->packets || i < worlds); i++)
		rc = export_world(j, o->seed, i, f, &flows, err);
	pv_judge_free(j);
	if (rc == 0 && fflush(f) < 0)
		rc = rs_err_sys(err, errno, "%s", o->export);
	if (rc == 0)
		printf("%llu flows in %llu worlds for packets: %s\n", (unsigned long long)flows,
		       (unsigned long long)i, o->export);
	return rc;
}
