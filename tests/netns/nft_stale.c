// SPDX-License-Identifier: Apache-2.0
/*
 * nft_stale.c - what happens between two looks at the kernel: changes that nobody told us of, stamps
 * that run out, and packets that stay inside the rules for longer than a commit.
 */
#include "nft_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/nft.h"

/* ---- a foreign change that is not heard of --------------------------------------------------- */

/* Its watch hears nothing any more: every foreign change falls between the look and the batch. */
static struct rs_dp *open_deaf(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_nft *n = rs_nft_of(dp);

	mnl_socket_close(n->watch);
	if (rs_nft_socket(0, &n->watch, NULL) < 0)
		exit(1);
	never_joins = true;
	return dp;
}

static void test_unheard(void)
{
	static const struct bed_policy without_c = { .generation = 61, .without_c = true };
	static const struct bed_policy one_more = { .generation = 62, .extra = 1 };
	struct rs_dp *dp = open_deaf();
	struct rs_dp_commit done;

	commit(dp, &full, &done);
	bed_sh(NODE, NULL, "nft delete element inet ripstop grp_in4 '{ 10.244.0.4 }'");
	check(commit(dp, &full, &done) && !done.changed,
	      "control: that agent does not hear of a deletion");
	check(!dp->ops->untouched(dp), "but does not take the table for untouched");
	check(commit(dp, &without_c, &done) && done.changed && done.bumped && !done.rebuilt &&
		      drifts(dp, NULL) == 0,
	      "deleting what is gone already: a second try, as a difference, with a bump");
	commit(dp, &full, &done);
	bed_sh(NODE, NULL, "nft add element inet ripstop cls4 '{ 10.245.0.0 : 77 }'");
	check(commit(dp, &one_more, &done) && done.changed && !done.rebuilt &&
		      drifts(dp, NULL) == 0,
	      "adding what is there with other data: the same");
	bed_sh(NODE, NULL, "nft delete table inet ripstop");
	check(commit(dp, &full, &done) && done.rebuilt && strstr(done.why, "there is no table") &&
		      drifts(dp, NULL) == 0,
	      "a table that is gone: a new one, and the commit says why");
	bed_sh(NODE, NULL, "nft flush chain inet ripstop restamp");
	check(commit(dp, &without_c, &done) && done.rebuilt && strstr(done.why, "restamp") &&
		      drifts(dp, NULL) == 0,
	      "a rule that is gone: the same");
	printf("     %s\n", done.why);
	dp->ops->close(dp);
	never_joins = false;
}

static void test_why(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;

	commit(dp, &full, &done);
	check(!done.why[0] || done.rebuilt, "no reason without a rebuild");
	check(!dp->ops->conditions(dp), "this kernel reads back what was written");
	dp->ops->close(dp);
	bed_sh(NODE, NULL, "nft insert rule inet ripstop fresh counter accept");
	dp = open_dp();
	check(commit(dp, &full, &done) && done.rebuilt && strstr(done.why, "chain fresh: rule"),
	      "a start that cannot adopt says which rule");
	printf("     %s\n", done.why);
	dp->ops->close(dp);
}

/* ---- stamps that run out --------------------------------------------------------------------- */

/* Two bits, three stamps, three silent flows that hold one each: the next bump has to sweep. */
static void test_wrap(void)
{
	static const struct bed_policy steps[] = {
		{ .generation = 71 },
		{ .generation = 72, .without_c = true },
		{ .generation = 73 },
		{ .generation = 74, .without_c = true },
	};
	struct rs_dp_config keep = cfg;
	struct rs_dp_commit done;
	struct bed_conn conn[3];
	struct rs_dp *dp;
	bool ok = true;

	cfg.ct_mark_mask = 0x00c00000;
	forget_flows();
	dp = open_dp();
	for (int i = 0; i < 3; i++) {
		ok &= commit(dp, &steps[i], &done) && done.bumped;
		ok &= bed_open(&conn[i], POD_A, POD_B, 4, (uint16_t)(i ? 9000 + i : 8080)) &&
		      bed_talk(&conn[i]);
	}
	check(ok && marked_flows(cfg.ct_mark_mask) == 3, "each of three stamps is held by a flow");
	check(commit(dp, &steps[3], &done) && done.bumped && !dp->ops->conditions(dp),
	      "a fourth bump finds a stamp");
	check(marked_flows(cfg.ct_mark_mask) == 1, "because old flows were swept");
	ok = true;
	for (int i = 0; i < 3; i++)
		ok &= bed_talk(&conn[i]);
	check(ok && marked_flows(cfg.ct_mark_mask) == 3, "they live, judged and stamped again");
	check(commit(dp, &(struct bed_policy){ .generation = 75, .no_b_allow = true }, &done) &&
		      !bed_talk(&conn[0]) && !bed_talk(&conn[1]) && !bed_talk(&conn[2]),
	      "and a revoke cuts all of them");
	for (int i = 0; i < 3; i++)
		bed_close(&conn[i]);
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	cfg = keep;
}

/* ---- grace periods --------------------------------------------------------------------------- */

/* How many grace periods a commit waited for. */
static uint64_t graces_of(struct rs_dp *dp, const struct bed_policy *p, struct rs_dp_commit *done)
{
	uint64_t before = rs_nft_of(dp)->grace.waited;

	if (!commit(dp, p, done))
		return UINT64_MAX;
	return rs_nft_of(dp)->grace.waited - before;
}

/* What was done last was done just now, however slow the machine. */
static void just_now(struct rs_dp *dp)
{
	struct rs_nft_grace *g = &rs_nft_of(dp)->grace;

	if (g->since_ms)
		g->since_ms = rs_mono_ms() + 60000;
}

static uint64_t graces_soon(struct rs_dp *dp, const struct bed_policy *p,
			    struct rs_dp_commit *done)
{
	just_now(dp);
	return graces_of(dp, p, done);
}

static void test_grace(bool cache)
{
	static const struct bed_policy none = { .generation = 80, .no_b_allow = true };
	static const struct bed_policy add = { .generation = 81 };
	static const struct bed_policy again = { .generation = 82, .more_for_b = true };
	static const struct bed_policy leaves = { .generation = 83, .without_c = true };
	struct rs_dp_commit done;
	struct rs_dp *dp;

	cfg.verdict_cache = cache;
	dp = open_dp();
	commit(dp, &none, &done);
	usleep(1100000);
	check(graces_of(dp, &add, &done) == 0 && done.changed && !done.bumped,
	      "a grant alone neither bumps nor waits");
	check(graces_of(dp, &none, &done) == 0 && done.bumped == cache,
	      "a revoke after a grant is not held up");
	check(graces_soon(dp, &add, &done) == 1 && !done.bumped,
	      "a grant right after a revoke waits for a grace period");
	check(graces_soon(dp, &add, &done) == 0 && !done.changed, "nothing to do does not");
	check(graces_soon(dp, &again, &done) == 1, "nor may anything else that soon");
	usleep(1100000);
	check(graces_of(dp, &leaves, &done) == 0, "after a second nothing waits");
	check(graces_soon(dp, &add, &done) == 1, "a leave is followed by a grace period");
	dp->ops->close(dp);
	dp = open_dp();
	check(graces_soon(dp, &leaves, &done) == 1, "a restarted agent does not know, and waits");
	dp->ops->close(dp);
	cfg.verdict_cache = true;
}

void test_stale(void)
{
	test_unheard();
	test_why();
	test_wrap();
	test_grace(true);
	test_grace(false);
}
