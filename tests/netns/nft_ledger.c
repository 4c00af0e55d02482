// SPDX-License-Identifier: Apache-2.0
/*
 * nft_ledger.c - "nobody but us has changed the table" (lib/dataplane/nft/ledger.h): said only where it
 * is true, of real transactions of our own, of others about other tables, about ours, about both, and of
 * news that were lost.
 */
#include <stdio.h>
#include <sys/socket.h>

#include "base/base.h"
#include "dataplane/nft/nft.h"
#include "nft_check.h"

static bool untouched(struct rs_dp *dp)
{
	return dp->ops->untouched(dp);
}

/* What was found is mended, and certain again. */
static void settle(struct rs_dp *dp, const char *what)
{
	struct rs_dp_commit done;

	drifts(dp, NULL);
	check(commit(dp, &full, &done) && untouched(dp), what);
}

static void ours(struct rs_dp *dp)
{
	static const struct bed_policy steps[] = {
		{ .generation = 8, .extra = 5 },
		{ .generation = 9, .no_b_allow = true },
		{ .generation = 10, .without_c = true },
		{ .generation = 7 },
	};
	struct rs_dp_commit done;
	bool all = true;

	check(!untouched(dp), "nothing is certain of a kernel that was not looked at");
	check(commit(dp, &full, &done) && untouched(dp), "a commit makes it certain");
	for (size_t i = 0; i < RS_ARRAY_SIZE(steps); i++)
		all &= commit(dp, &steps[i], &done) && untouched(dp);
	check(all, "our own changes leave it so");
	check(drifts(dp, NULL) == 0 && untouched(dp), "so does an audit");
}

static void of_others(struct rs_dp *dp)
{
	bed_sh(NODE, NULL,
	       "for i in 1 2 3 4 5; do nft add table ip other; nft add chain ip other c; nft "
	       "delete "
	       "table ip other; done");
	check(untouched(dp), "other tables may change as often as they like");
	bed_sh(NODE, NULL, "nft add element inet ripstop cls4 '{ 1.2.3.4 : 10 }'");
	check(!untouched(dp), "a foreign element ends it");
	settle(dp, "until it is mended");
	bed_sh(NODE, NULL,
	       "nft add element inet ripstop cls4 '{ 1.2.3.4 : 10 }'; nft delete element inet "
	       "ripstop cls4 '{ 1.2.3.4 }'");
	check(!untouched(dp) && drifts(dp, NULL) == 0, "a change and back is a change");
	settle(dp, "that leaves nothing to mend");
	bed_sh(NODE, NULL,
	       "nft 'add table ip other; add element inet ripstop cls4 { 1.2.3.4 : 10 }; add chain "
	       "ip "
	       "other c'");
	check(!untouched(dp), "one transaction about two tables is about ours");
	settle(dp, "until it is mended, too");
	bed_sh(NODE, NULL, "nft flush ruleset");
	check(!untouched(dp), "a flush ends it");
	settle(dp, "until the table is there again");
}

/* The socket holds little: of much that happens something is not told. */
static void lost(struct rs_dp *dp)
{
	int fd = dp->ops->watch_fd(dp), small = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	bed_sh(NODE, NULL,
	       "for i in $(seq 60); do echo add table ip t$i; done | nft -f -; nft delete element "
	       "inet ripstop grp_in4 '{ 10.244.0.3 }'; for i in $(seq 60); do echo delete table ip "
	       "t$i; done | nft -f -");
	check(!untouched(dp), "news that were lost prove nothing");
	check(drifts(dp, "element grp_in4 10.244.0.3: missing") == 1, "and there was something");
	settle(dp, "which is mended");
}

/* A commit that changes nothing, over a table that another handle left. */
static void after_us(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;

	check(commit(dp, &full, &done) && !done.changed && untouched(dp),
	      "an adopted table is certain after the first commit");
	dp->ops->close(dp);
}

void test_ledger(void)
{
	struct rs_dp *dp = open_dp();

	ours(dp);
	of_others(dp);
	lost(dp);
	dp->ops->close(dp);
	after_us();
}
