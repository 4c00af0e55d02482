// SPDX-License-Identifier: Apache-2.0
/* hist_run.c - one history: a generated cluster, then step after step, then the last check. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/prove/hist_events.h"

#define MAX_POLICIES 16
#define MAX_PODS 30

/* The name is what the closing lines say; ids of docs/semantics.md where it is about one. */
const struct hist_kind hist_steps[] = {
	{ "pod_comes", 8, hist_pod_comes },
	{ "pod_goes", 6, hist_pod_goes },
	{ "D11_pod_relabelled", 9, hist_pod_relabelled },
	{ "F4_pod_has_another_phase", 5, hist_pod_phase },
	{ "F5_pod_terminates", 3, hist_pod_terminates },
	{ "pod_has_another_address", 4, hist_pod_addressed },
	{ "F20_pod_has_another_uid", 3, hist_pod_uid },
	{ "pod_attached", 9, hist_add },
	{ "pod_detached", 5, hist_del },
	{ "F21_address_from_the_record", 5, hist_add_before_status },
	{ "F6_address_goes_on", 7, hist_address_goes_on },
	{ "F19_successor_and_late_del", 6, hist_successor },
	{ "D12_namespace_relabelled", 5, hist_ns_relabelled },
	{ "namespace_goes", 2, hist_ns_goes },
	{ "F24_namespace_made_again", 4, hist_ns_again },
	{ "policy_comes", 5, hist_policy_comes },
	{ "policy_goes", 5, hist_policy_goes },
	{ "policy_edited", 9, hist_policy_edited },
	{ "policy_has_other_ports", 8, hist_policy_ports },
	{ "policy_has_one_more_block", 8, hist_policy_block },
	{ "F25_policy_made_again", 5, hist_policy_again },
	{ "node_changed", 3, hist_node_changed },
	{ "only_pods_elsewhere_change", 6, hist_elsewhere },
	{ "news_arrive_late", 16, hist_some },
	{ "F27_kinds_in_any_order", 8, hist_any_order },
	{ "F27_one_kind_runs_ahead", 4, hist_reordered },
	{ "news_squashed", 4, hist_squash },
	{ "F16_relist", 5, hist_relist_step },
	{ "commit", 16, hist_commit_step },
	{ "commit_fails", 6, hist_lost_step },
	{ "F14_restart", 5, hist_restart },
	{ "F28_foreign_hand", 3, hist_foreign },
	{ "check", 4, hist_check },
};

size_t hist_kinds(void)
{
	return RS_ARRAY_SIZE(hist_steps);
}

int hist_fail(struct hist *h, enum hist_aspect aspect, const char *fmt, ...)
{
	va_list ap;

	if (h->aspect)
		return -1;
	va_start(ap, fmt);
	h->why = rs_vasprintf(fmt, ap);
	va_end(ap);
	h->aspect = aspect;
	return -1;
}

void hist_note(struct hist *h, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rs_strbuf_vprintf(&h->log, fmt, ap);
	va_end(ap);
	rs_strbuf_putc(&h->log, '\n');
}

struct hist_step *hist_draw(uint64_t seed, uint64_t index, size_t n)
{
	struct hist_step *v = rs_new0(struct hist_step, n);
	uint32_t sum = 0;
	struct pv_rng r;

	/* Apart from the stream that makes the world. */
	pv_rng_seed(&r, seed ^ 0x686973746f7279 /* "history" */, index);
	for (size_t i = 0; i < hist_kinds(); i++)
		sum += hist_steps[i].weight;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = pv_below(&r, sum);

		while (at >= hist_steps[v[i].kind].weight)
			at -= hist_steps[v[i].kind++].weight;
		v[i].seed = pv_rng_next(&r);
	}
	return v;
}

static int begin(struct hist *h, uint64_t seed, uint64_t index)
{
	const struct pv_shape shape = { MAX_PODS, MAX_POLICIES, 1, PV_MAX_NODES, false };
	rs_auto_err err = { 0 };

	pv_rng_seed(&h->rng, seed, index);
	pv_generate(seed, index, &shape, &h->base);
	pv_generate(~seed, index, &shape, &h->donor);
	if (hist_state_begin(h, &err) < 0)
		return hist_fail(h, HIST_ERROR, "%s", rs_err_str(&err));
	/* Some pods hang here before anything is compiled. */
	for (uint32_t n = 1 + pv_below(&h->rng, 6); n; n--)
		hist_add(h);
	return hist_node_begin(h);
}

void hist_play(uint64_t seed, uint64_t index, const struct hist_step *steps, size_t n,
	       struct hist_result *out)
{
	struct hist *h = rs_new(struct hist);
	int rc = begin(h, seed, index);
	size_t i;

	for (i = 0; rc == 0 && i < n; i++) {
		pv_rng_seed(&h->rng, steps[i].seed, 0);
		rc = hist_steps[steps[i].kind].play(h);
	}
	pv_rng_seed(&h->rng, seed, index);
	if (rc == 0)
		hist_check(h);
	*out = (struct hist_result){
		.aspect = h->aspect,
		.why = h->why,
		.log = rs_strbuf_steal(&h->log),
		.checks = h->checks,
		.compiles = h->compiles,
		.quick = h->quick,
		.moves = h->moves,
		.commits = h->commits,
		.unsynced = h->unsynced,
		.flows = h->flows,
	};
	hist_node_free(h);
	hist_state_free(h);
	free(h);
}
