// SPDX-License-Identifier: Apache-2.0
/*
 * nft_quiet.c - what somebody else does while we do not listen (lib/dataplane/nft/quiet.c) is heard of all the
 * same. The program is linked with --wrap=rs_nft_watch_member: what happens between leaving and coming back happens
 * there.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/watch.h"
#include "nft_check.h"

int __real_rs_nft_watch_member(struct mnl_socket *nl, bool in);
int __wrap_rs_nft_watch_member(struct mnl_socket *nl, bool in);

bool never_joins;

static const char *after_leaving, *before_coming; /* commands, once */
static unsigned int left, came, refused;

int __wrap_rs_nft_watch_member(struct mnl_socket *nl, bool in)
{
	const char **say = in ? &before_coming : &after_leaving;
	int rc = 0;

	if (never_joins)
		return 0;
	if (in && refused) {
		refused--;
		return -ENOBUFS;
	}
	if (!in)
		rc = __real_rs_nft_watch_member(nl, in);
	if (*say && bed_sh(NODE, NULL, "%s", *say) != 0)
		printf("     failed: %s\n", *say);
	*say = NULL;
	if (in)
		rc = __real_rs_nft_watch_member(nl, in);
	*(in ? &came : &left) += 1;
	return rc;
}

/* Whether the socket wakes its reader, and for our table. */
static bool told(struct rs_dp *dp)
{
	struct pollfd p = { .fd = dp->ops->watch_fd(dp), .events = POLLIN };
	rs_autofree char *who = NULL;
	bool foreign = false;

	if (poll(&p, 1, 50) == 1)
		dp->ops->watch_read(dp, &foreign, &who, NULL);
	return foreign;
}

static const struct bed_policy more = { .generation = 50, .extra = 500 };

/* Back to a table that is as it should be, by small steps that are not quiet. */
static void settle(struct rs_dp *dp)
{
	struct rs_dp_commit done;

	drifts(dp, NULL);
	commit(dp, &full, &done);
	told(dp);
	check(drifts(dp, NULL) == 0 && dp->ops->untouched(dp), "and is mended");
}

static void nobody_else(struct rs_dp *dp)
{
	static const struct bed_policy step = { .generation = 51, .extra = 501 };
	struct rs_dp_commit done;

	left = came = 0;
	check(commit(dp, &more, &done) && left == 1 && came == 1, "a large batch is sent quietly");
	check(!told(dp) && dp->ops->untouched(dp), "nothing was missed, and that is known");
	check(commit(dp, &step, &done) && left == 1 && dp->ops->untouched(dp),
	      "a small one is not: leaving would cost more");
	bed_sh(NODE, NULL, "nft add element inet ripstop cls4 '{ 1.2.3.4 : 10 }'");
	check(told(dp), "after it the table's news are heard again");
	settle(dp);
}

static void in_between(struct rs_dp *dp)
{
	static const char add[] = "nft add element inet ripstop free4 '{ 1.2.3.4 }'";
	struct rs_dp_commit done;

	after_leaving = add;
	check(commit(dp, &more, &done) && !after_leaving, "somebody changes the table before it");
	check(!dp->ops->untouched(dp), "which nobody takes for certain");
	settle(dp);
	before_coming = add;
	check(commit(dp, &more, &done) && !before_coming && told(dp),
	      "or behind it: the reader is woken");
	check(drifts(dp, "element free4 1.2.3.4: foreign") == 1, "and finds it");
	settle(dp);
	before_coming = "nft flush ruleset";
	check(commit(dp, &more, &done) && told(dp), "or flushes all");
	settle(dp);
}

static void another_table(struct rs_dp *dp)
{
	struct rs_dp_commit done;
	rs_autofree char *text = NULL;

	before_coming = "nft add table ip other; nft add chain ip other pre '{ type filter hook "
			"prerouting priority mangle; }'; nft add rule ip other pre ct mark set ct "
			"mark and 0xffff or 0x10000";
	check(commit(dp, &more, &done) && !dp->ops->conditions(dp) && told(dp),
	      "another table comes that writes our mark");
	text = dp->ops->conditions(dp);
	check(text && strstr(text, "table ip other chain pre"), "it is found");
	bed_sh(NODE, NULL, "nft delete table ip other");
	usleep(100000);
	told(dp);
	settle(dp);
}

static void no_way_back(struct rs_dp *dp)
{
	struct rs_dp_commit done;

	refused = 1;
	check(commit(dp, &more, &done) && told(dp), "a socket that cannot come back says so");
	check(drifts(dp, NULL) == 0, "what follows is a look");
	bed_sh(NODE, NULL, "nft add element inet ripstop cls4 '{ 1.2.3.4 : 10 }'");
	check(told(dp), "since which it hears again");
	settle(dp);
}

void test_quiet(void)
{
	struct rs_dp *dp = open_dp();

	commit(dp, &full, &(struct rs_dp_commit){ 0 });
	told(dp);
	nobody_else(dp);
	in_between(dp);
	another_table(dp);
	no_way_back(dp);
	dp->ops->close(dp);
}
