// SPDX-License-Identifier: Apache-2.0
/* bpfcount.c - counters; and what separates the maps from the last commit. */
#include "dataplane/ebpf/ebpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"

struct counts {
	struct rs_bpf_count v[RS_BPF_COUNTS];
};

static int read_counts(const struct rs_ebpf *e, struct counts *out, struct rs_err *err)
{
	int cpus = libbpf_num_possible_cpus();
	rs_autofree struct rs_bpf_count *v = NULL;

	memset(out, 0, sizeof(*out));
	if (!e->set.obj)
		return 0;
	if (cpus < 1)
		return rs_err_sys(err, -cpus, "count the processors");
	v = rs_new0(struct rs_bpf_count, (size_t)cpus);
	for (uint32_t i = 0; i < RS_BPF_COUNTS; i++) {
		if (bpf_map_lookup_elem(e->set.counts, &i, v))
			return rs_err_sys(err, errno, "read rs_counts");
		for (int c = 0; c < cpus; c++) {
			out->v[i].packets += v[c].packets;
			out->v[i].bytes += v[c].bytes;
		}
	}
	return 0;
}

static uint64_t dropped(const struct counts *c)
{
	uint64_t n = 0;

	for (int i = 0; i < RS_BPF_COUNT_QUIET; i++)
		n += c->v[i].packets;
	return n;
}

int rs_ebpf_stats(struct rs_dp *dp, struct rs_dp_stats *out, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	struct counts c;
	uint64_t logged;
	struct rs_bpf_judged judged = { 0 };
	int rc = read_counts(e, &c, err);

	memset(out, 0, sizeof(*out));
	if (!rc && e->set.obj)
		rc = rs_bpf_dump_judged(&e->set, &judged, err);
	if (!rc && e->set.obj)
		rc = rs_bpf_rules_count(&e->set, e->book, out, err);
	if (rc) {
		rs_vec_free(&judged);
		rs_dp_stats_free(out);
		return rc;
	}
	out->judged = judged.v;
	out->n_judged = judged.n;
	for (int i = 0; i < RS_BPF_COUNT_QUIET; i++) {
		out->drops[i / 2].packets += c.v[i].packets;
		out->drops[i / 2].bytes += c.v[i].bytes;
	}
	logged = c.v[RS_BPF_COUNT_LOGGED].packets;
	if (e->cfg.log_rate && dropped(&c) > logged)
		out->log_suppressed = dropped(&c) - logged;
	out->elements = rs_bpf_plan_elements(e->model);
	out->rules = e->set.place ? (size_t)rs_bpf_links(&e->cfg) : 0;
	return 0;
}

int rs_ebpf_log_counts(struct rs_dp *dp, struct rs_dp_log_counts *out, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	struct counts c;
	int rc = read_counts(e, &c, err);

	memset(out, 0, sizeof(*out));
	if (rc)
		return rc;
	out->dropped = dropped(&c);
	out->logged = c.v[RS_BPF_COUNT_LOGGED].packets;
	out->received = e->log.received;
	return 0;
}

/* ---- audit ----------------------------------------------------------------------------------- */

struct drifts rs_vec(struct rs_dp_drift);

static void drift(struct drifts *d, char *object, const char *what)
{
	struct rs_dp_drift *x = rs_vec_push(d);

	x->object = object;
	x->what = rs_strdup(what);
}

static void compare(struct drifts *d, const struct rs_bpf_plan *want,
		    const struct rs_bpf_plan *have)
{
	struct rs_bpf_steps steps = { 0 };
	size_t at;

	rs_bpf_steps_make(want, have, &steps);
	for (size_t i = 0; i < steps.n; i++) {
		const struct rs_bpf_step *s = &steps.v[i];
		bool wanted = rs_bpf_table_find(&want->t[s->map], s->map, s->key, &at);

		drift(d, rs_bpf_key_str(s->map, s->key),
		      !wanted	  ? "foreign"
		      : s->leaves ? "missing"
				  : "changed");
	}
	rs_vec_free(&steps);
}

static void on_missing(char *what, void *arg)
{
	drift(arg, what, "missing");
}

int rs_ebpf_audit(struct rs_dp *dp, struct rs_dp_drifts *out, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	rs_auto_bpf_plan *have = NULL;
	rs_auto_err why = { 0 };
	struct drifts d = { 0 };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (!e->model)
		return 0;
	if (rs_ebpf_check(e, &why))
		drift(&d, rs_strdup(rs_err_str(&why)), "changed");
	else
		rc = rs_bpf_dump(&e->set, false, &have, NULL, err);
	if (have)
		compare(&d, e->model, have);
	rs_ebpf_tc_audit(e, on_missing, &d);
	if (d.n)
		e->known = false;
	out->v = d.v;
	out->n = d.n;
	return rc ? rs_err_wrap(err, "audit") : 0;
}

int rs_ebpf_holding(struct rs_dp *dp, struct rs_dp_holding *want, struct rs_dp_holding *have,
		    struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	rs_auto_bpf_plan *p = NULL;
	int rc = e->set.place ? rs_bpf_dump(&e->set, false, &p, NULL, err) : 0;

	memset(want, 0, sizeof(*want));
	memset(have, 0, sizeof(*have));
	if (rc)
		return rs_err_wrap(err, "count what the maps hold");
	if (e->model) {
		want->chains = (size_t)rs_bpf_links(&e->cfg);
		want->sets = RS_BPF_MAPS;
		want->elements = rs_bpf_plan_elements(e->model);
	}
	if (p) {
		for (int i = 0; i < RS_BPF_LINKS; i++)
			have->chains += e->set.link[i] >= 0;
		have->sets = RS_BPF_MAPS;
		have->elements = rs_bpf_plan_elements(p);
	}
	return 0;
}
