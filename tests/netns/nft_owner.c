// SPDX-License-Identifier: Apache-2.0
/*
 * nft_owner.c - a table that only its agent may change (owner and persist), through a foreign flush, a
 * killed agent, an orphan and a second agent.
 */
#include "nft_check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/nft.h"

#define FLAG_OWNER 2u
#define FLAG_PERSIST 4u

struct agent {
	pid_t pid;
	int out; /* its end closes when it dies; a byte says that it has committed */
};

/* Another process that owns the table until it is killed. */
static struct agent start_agent(void)
{
	struct agent a = { 0 };
	int fd[2];
	char ready = 0;

	if (pipe(fd) < 0)
		exit(1);
	a.pid = fork();
	if (a.pid == 0) {
		ready = commit(open_dp(), &full, NULL);
		(void)!write(fd[1], &ready, 1);
		pause();
		_exit(0);
	}
	close(fd[1]);
	a.out = fd[0];
	check(read(a.out, &ready, 1) == 1 && ready, "another process owns the table");
	return a;
}

static void kill_agent(struct agent *a)
{
	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
	close(a->out);
}

static bool judges(void)
{
	return bed_udp(POD_A, POD_B, 4, 5353) && !bed_udp(POD_A, POD_C, 4, 5353) &&
	       !bed_udp(POD_C, WORLD, 6, 53);
}

/* What a person would type against it, each alone. */
static void test_foreign_hands(void)
{
	static const char *const cmds[] = {
		"nft delete element inet ripstop grp_in4 '{ 10.244.0.3 }'",
		"nft flush chain inet ripstop fresh",
		"nft insert rule inet ripstop judge accept",
		"nft delete table inet ripstop",
		"nft flush table inet ripstop",
	};

	for (size_t i = 0; i < RS_ARRAY_SIZE(cmds); i++) {
		rs_autofree char *line = rs_asprintf("refused: %s", cmds[i]);

		check(bed_sh(NODE, NULL, "%s 2>/dev/null", cmds[i]) != 0, line);
	}
	bed_sh(NODE, NULL, "nft add table ip bystander");
	check(bed_sh(NODE, NULL, "nft flush ruleset") == 0 &&
		      bed_sh(NODE, NULL, "nft list table ip bystander 2>/dev/null") != 0,
	      "control: flush ruleset takes another table away");
}

static void test_second_agent(const struct agent *a)
{
	rs_autofree char *who = rs_asprintf("pid %d (nft_kernel)", (int)a->pid);
	struct rs_dp *dp = open_dp();
	struct rs_ir *ir = NULL, *want = bed_ir(&full);
	struct rs_dp_commit done;
	rs_auto_err read_err = { 0 }, commit_err = { 0 }, remove_err = { 0 };

	check(dp->ops->read(dp, &ir, &read_err) == -EPERM && strstr(rs_err_str(&read_err), who),
	      "read: the error names the process that owns it");
	printf("     %s; %s\n", rs_err_str(&read_err), read_err.hint ? read_err.hint : "-");
	check(dp->ops->commit(dp, want, &done, &commit_err) == -EPERM &&
		      strstr(rs_err_str(&commit_err), who),
	      "commit too");
	check(dp->ops->remove(dp, &remove_err) == -EPERM && strstr(rs_err_str(&remove_err), who),
	      "and remove");
	rs_ir_free(want);
	dp->ops->close(dp);
}

/* nft 1.0.6 has no word for persist. */
static uint32_t table_flags(void)
{
	struct rs_dp *dp = open_dp();
	rs_auto_kernel k = { .rules_only = true };
	int rc = rs_nft_readback(rs_nft_of(dp)->nl, &cfg, true, &k, NULL);

	dp->ops->close(dp);
	return rc ? 0 : k.flags;
}

static void test_orphan(void)
{
	struct rs_dp *dp;
	struct rs_dp_commit done;
	struct agent a = start_agent();
	uint32_t owned = table_flags();

	kill_agent(&a);
	check(owned == (FLAG_OWNER | FLAG_PERSIST) && table_flags() == FLAG_PERSIST && lists(),
	      "kill -9 leaves an orphan");
	check(judges(), "whose rules work");
	dp = open_dp();
	check(reads(dp, &full) && commit(dp, &full, &done) && !done.changed && !done.rebuilt,
	      "the next agent claims it and changes nothing");
	check(bed_sh(NODE, NULL, "nft delete table inet ripstop 2>/dev/null") != 0, "and owns it");
	check(commit(dp, &(struct bed_policy){ .generation = 8, .no_b_allow = true }, &done) &&
		      !done.rebuilt && drifts(dp, NULL) == 0,
	      "and commits to it");
	dp->ops->close(dp);
	dp = open_dp();
	check(commit(dp, &full, &done) && done.changed && !done.rebuilt,
	      "a commit without a read claims an orphan too");
	dp->ops->close(dp);
	bed_sh(NODE, NULL, "nft delete element inet ripstop grp_in4 '{ 10.244.0.3 }'");
	dp = open_dp();
	check(commit(dp, &full, &done) && done.changed && !done.rebuilt && drifts(dp, NULL) == 0,
	      "what was taken from an orphan is restored");
	dp->ops->close(dp);
}

static void test_remove_orphan(void)
{
	struct agent a = start_agent();
	struct rs_dp *dp;
	rs_auto_err err = { 0 };

	kill_agent(&a);
	dp = open_dp();
	check(dp->ops->remove(dp, &err) == 0 &&
		      bed_sh(NODE, NULL, "nft list table inet ripstop 2>/dev/null") != 0,
	      "remove() takes an orphan away");
	dp->ops->close(dp);
}

static bool kernel_owns(void)
{
	struct rs_dp *dp = open_dp();
	rs_autofree char *why = NULL;
	struct rs_dp_commit done;

	check(commit(dp, &full, &done), "a table as this kernel can keep it");
	why = dp->ops->conditions(dp);
	check(why ? !done.rebuilt : done.rebuilt && strstr(done.why, "has to be owned"),
	      "made anew, and that is said, only where it can be owned");
	if (why)
		printf("     %s\n", why);
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	return !why;
}

void test_owner(void)
{
	struct rs_dp_config keep = cfg, fresh;
	struct rs_dp_commit done;
	struct agent a;
	struct rs_dp *dp;

	dp = open_dp();
	commit(dp, &full, &done);
	dp->ops->close(dp);
	rs_dp_config_default(&fresh);
	check(fresh.own_table, "owning is the default");
	cfg.own_table = true;
	if (kernel_owns()) {
		a = start_agent();
		test_foreign_hands();
		check(judges(), "the rules are whole");
		test_second_agent(&a);
		kill_agent(&a);
		test_orphan();
		test_remove_orphan();
	} else {
		skipped++;
	}
	cfg = keep;
	dp = open_dp();
	check(commit(dp, &full, &done) && drifts(dp, NULL) == 0, "back to a table without owner");
	dp->ops->close(dp);
}
