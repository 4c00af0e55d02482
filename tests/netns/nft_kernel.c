// SPDX-License-Identifier: Apache-2.0
/*
 * nft_kernel.c - the nft dataplane against the real kernel: commits, read-back, drift, stamps, listings
 * and a small set of real packets. Needs root; works in network namespaces of its own only.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ripstop/dataplane.h>

#include "base/base.h"
#include "nft_check.h"

/* ---- state ----------------------------------------------------------------------------------- */

static void test_probe(void)
{
	rs_auto_err err = { 0 };
	rs_autofree char *text = NULL;

	check(rs_dp_nft.probe(&cfg, &err) == 0, "probe: this kernel can carry it");
	if (err.num)
		printf("     %s\n", rs_err_str(&err));
	bed_sh(NODE, &text, "nft list ruleset");
	check(!*text, "probe leaves nothing behind");
}

/* Exit status of a child without privileges: the CNI code of probe's error, 0 when it passed. */
static int probe_as_nobody(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		rs_auto_err err = { 0 };
		int rc = setresuid(65534, 65534, 65534) ? -1 : rs_dp_nft.probe(&cfg, &err);

		printf("     %s; %s\n", rs_err_str(&err), err.hint ? err.hint : "-");
		fflush(stdout);
		_exit(rc && strstr(err.hint ? err.hint : "", "CAP_NET_ADMIN") ? err.cni : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_privilege(void)
{
	check(probe_as_nobody() == RS_CNI_KERNEL, "without CAP_NET_ADMIN: code 104, and named");
}

static void test_commit_and_restart(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;

	check(commit(dp, &full, &done) && done.changed && done.rebuilt,
	      "first commit makes the table");
	check(commit(dp, &full, &done) && !done.changed && !done.messages,
	      "the same again sends nothing");
	check(reads(dp, &full), "read() answers with the IR that was committed");
	check(drifts(dp, NULL) == 0, "audit finds no drift");
	check(lists(), "nft list and nft -j list work");
	dp->ops->close(dp);
	check(lists(), "close leaves the table");
	dp = open_dp();
	check(reads(dp, &full), "a new agent reads the same IR");
	check(commit(dp, &full, &done) && !done.changed, "and has nothing to change");
	dp->ops->close(dp);
	dp = open_dp();
	check(commit(dp, &full, &done) && !done.changed, "also when it commits without reading");
	dp->ops->close(dp);
}

/* Pitfalls 3, 4, 11 and 17: changed data, deletions, order of rules, replaced stamp rule. */
static void test_differences(void)
{
	static const struct bed_policy steps[] = {
		{ .generation = 8, .more_for_b = true },
		{ .generation = 9, .no_b_allow = true },
		{ .generation = 10 },
		{ .generation = 11, .without_c = true },
		{ .generation = 12, .extra = 300 },
		{ .generation = 13, .extra = 299 },
		{ .generation = 7 },
	};
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	bool all = true, bumped[RS_ARRAY_SIZE(steps)] = { false };

	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < RS_ARRAY_SIZE(steps); i++) {
			all &= commit(dp, &steps[i], &done) && done.changed && !done.rebuilt;
			bumped[i] = done.bumped;
			all &= drifts(dp, NULL) == 0;
		}
	check(all, "21 differences, each in one batch, each audited");
	check(bumped[1], "a revoke bumps");
	check(bumped[3], "a leave bumps");
	check(reads(dp, &full), "after which the kernel holds the last one");
	check(lists(), "and still lists");
	dp->ops->close(dp);
}

static void test_names(void)
{
	static const char cmd[] =
		"nft -j list table inet ripstop | python3 -c '"
		"import json,sys,subprocess\n"
		"for o in json.load(sys.stdin)[\"nftables\"]:\n"
		"  for k in (\"set\",\"map\",\"chain\",\"counter\"):\n"
		"    if k in o and "
		"subprocess.run([\"nft\",\"list\",k,\"inet\",\"ripstop\",o[k][\"name\"]],"
		"stdout=subprocess.DEVNULL).returncode: print(o[k][\"name\"])'";
	rs_autofree char *bad = NULL;
	rs_autofree char *text = NULL;

	bed_sh(NODE, &bad, "%s 2>&1", cmd);
	if (!check(!*bad, "no name is a word of nft's grammar"))
		printf("     %s\n", bad);
	bed_sh(NODE, &text, "nft list table inet ripstop");
	check(strstr(text, "nft cannot load this table again") &&
		      strstr(text, "ct reply ip saddr map @grp_in4 != 0x0") &&
		      strstr(text, "iif . ip saddr @guard4 accept") &&
		      !strstr(text, "\t\tgoto client"),
	      "the first comment warns, and rules show their conditions");
}

/* ---- somebody else --------------------------------------------------------------------------- */

static bool news(struct rs_dp *dp, bool expect)
{
	struct pollfd p = { .fd = dp->ops->watch_fd(dp), .events = POLLIN };
	rs_autofree char *who = NULL;
	bool foreign = false;

	if (poll(&p, 1, expect ? 500 : 50) == 1)
		dp->ops->watch_read(dp, &foreign, &who, NULL);
	return foreign == expect && (!expect || (who && strstr(who, "(nft)")));
}

static void test_foreign_changes(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;

	commit(dp, &full, &done);
	commit(dp, &(struct bed_policy){ .generation = 8, .extra = 5 }, &done);
	commit(dp, &full, &done);
	check(news(dp, false), "our own changes are no news");
	bed_sh(NODE, NULL, "nft delete element inet ripstop grp_in4 '{ 10.244.0.3 }'");
	check(news(dp, true), "a foreign deletion is news, with who did it");
	check(drifts(dp, "element grp_in4 10.244.0.3: missing") == 1, "audit names the element");
	check(commit(dp, &full, &done) && done.changed && done.bumped && !done.rebuilt,
	      "the next commit restores it with a new stamp");
	check(drifts(dp, NULL) == 0, "and is in sync");
	bed_sh(NODE, NULL,
	       "nft add element inet ripstop cls4 '{ 1.2.3.4 : 10 }'; "
	       "nft delete element inet ripstop grp_out4 '{ 10.244.0.2 }'; "
	       "nft add element inet ripstop grp_out4 '{ 10.244.0.2 : 2 }'");
	check(drifts(dp, "element cls4 1.2.3.4: foreign") == 1 &&
		      drifts(dp, "element grp_out4 10.244.0.2: changed") == 1,
	      "foreign and changed elements are named");
	check(commit(dp, &full, &done) && done.changed && drifts(dp, NULL) == 0, "and mended");
	bed_sh(NODE, NULL, "nft insert rule inet ripstop judge accept");
	check(drifts(dp, "chain judge") == 1, "a foreign rule is drift");
	check(commit(dp, &full, &done) && done.rebuilt && drifts(dp, NULL) == 0,
	      "and the table is made anew");
	bed_sh(NODE, NULL, "nft flush chain inet ripstop out_p1");
	check(drifts(dp, "chain out_p1") == 1 && commit(dp, &full, &done) && done.rebuilt,
	      "an emptied chain too");
	bed_sh(NODE, NULL, "nft flush ruleset");
	check(news(dp, true), "a flush is news");
	check(drifts(dp, "table inet ripstop: missing") == 1, "and drift");
	check(commit(dp, &full, &done) && done.rebuilt && reads(dp, &full), "and restored");
	bed_sh(NODE, NULL, "nft delete element inet ripstop grp_in4 '{ 10.244.0.3 }'");
	check(commit(dp, &(struct bed_policy){ .generation = 9, .without_c = true }, &done) &&
		      drifts(dp, NULL) == 0,
	      "a commit over a deletion that nobody told it of mends that too");
	commit(dp, &full, &done);
	dp->ops->close(dp);
}

static void test_other_layout(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	struct rs_ir *ir = NULL;

	bed_sh(NODE, NULL,
	       "nft delete table inet ripstop; nft add table inet ripstop '{ comment \"layout "
	       "99\"; }'; "
	       "nft add set inet ripstop stamp_now '{ type mark; }'");
	check(dp->ops->read(dp, &ir, &err) == 0 && !ir, "a table of another layout is not adopted");
	check(commit(dp, &full, &done) && done.rebuilt && reads(dp, &full),
	      "and is replaced in one batch");
	check(dp->ops->remove(dp, &err) == 0 && dp->ops->remove(dp, &err) == 0,
	      "remove, also of what is gone");
	check(commit(dp, &full, &done) && done.rebuilt, "after which it can be made again");
	dp->ops->close(dp);
}

static void test_mark_conflict(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	rs_autofree char *before = NULL, *during = NULL, *text = NULL;

	commit(dp, &full, &done);
	before = dp->ops->conditions(dp);
	bed_sh(NODE, NULL,
	       "nft add table ip other; nft add chain ip other pre '{ type filter hook prerouting "
	       "priority mangle; }'; nft add rule ip other pre udp dport 1 ct mark set ct mark and "
	       "0xffff or 0x10000");
	usleep(100000);
	dp->ops->watch_read(dp, &(bool){ false }, &text, NULL);
	free(rs_steal_ptr(&text));
	during = dp->ops->conditions(dp);
	check(!before && during && strstr(during, "table ip other chain pre"),
	      "a foreign writer of our mark is a condition");
	bed_sh(NODE, &text, "nft list set inet ripstop stamp_now");
	check(!strstr(text, "elements"), "and closes the cache at once");
	check(commit(dp, &full, &done) && done.rebuilt && drifts(dp, NULL) == 0,
	      "the next commit takes the cache rules out");
	free(rs_steal_ptr(&text));
	bed_sh(NODE, &text,
	       "nft list chain inet ripstop judge; nft list chain inet ripstop restamp");
	check(!strstr(text, "ct mark"), "nothing compares or writes the mark then");
	check(bed_udp(POD_A, POD_B, 4, 5353) && !bed_udp(POD_A, POD_C, 4, 5353),
	      "and packets are still judged");
	bed_sh(NODE, NULL,
	       "nft add table ip low; nft add chain ip low pre '{ type filter hook prerouting "
	       "priority mangle; }'; nft add rule ip low pre ct mark set ct mark and 0xffff0000 or "
	       "5; "
	       "nft delete table ip other");
	usleep(100000);
	dp->ops->watch_read(dp, &(bool){ false }, &(char *){ NULL }, NULL);
	check(!dp->ops->conditions(dp), "bits that are not ours are nobody's business");
	check(commit(dp, &full, &done) && done.rebuilt, "and the cache comes back");
	bed_sh(NODE, NULL, "nft delete table ip low");
	dp->ops->close(dp);
}

/* ---- stamps ---------------------------------------------------------------------------------- */

static unsigned int stamp_of_table(void)
{
	rs_autofree char *text = NULL;
	const char *p;
	unsigned int bits = 0;

	bed_sh(NODE, &text, "nft list set inet ripstop stamp_now");
	p = strstr(text, "elements = { ");
	if (p)
		sscanf(p + 13, "%x", &bits);
	return bits;
}

/* With three bits there are seven stamps: each is used again and again, and none that a flow holds. */
static void test_stamps(void)
{
	static const struct bed_policy open_b = { .generation = 20 };
	static const struct bed_policy closed_b = { .generation = 21, .no_b_allow = true };
	struct rs_dp_config keep = cfg;
	struct rs_dp_commit done;
	struct bed_conn conn;
	struct rs_dp *dp;
	unsigned int held;
	bool ok = true, distinct = true;

	cfg.ct_mark_mask = 0x00070000;
	dp = open_dp();
	check(commit(dp, &open_b, &done) && done.rebuilt, "another mask makes the table anew");
	check(bed_open(&conn, POD_A, POD_B, 4, 8080) && bed_talk(&conn), "an open connection");
	held = stamp_of_table();
	for (int i = 0; i < 12; i++) {
		ok &= commit(dp, i % 2 ? &open_b : &closed_b, &done);
		/* Silent so far: the flow keeps its stamp, which nobody else may get. */
		distinct &= i > 4 || stamp_of_table() != held;
	}
	check(ok, "12 changes, 6 of them bumps, with seven stamps");
	check(distinct, "a stamp that a live flow holds is not given out");
	commit(dp, &closed_b, &done);
	check(!bed_talk(&conn), "and the flow is cut by the rules in force");
	commit(dp, &open_b, &done);
	bed_sh(NODE, NULL, "nft flush ruleset");
	commit(dp, &open_b, &done);
	held = stamp_of_table();
	check(bed_talk(&conn) || bed_talk(&conn), "a loosened one heals");
	bed_sh(NODE, NULL, "nft delete table inet ripstop");
	ok = commit(dp, &closed_b, &done) && stamp_of_table() != held;
	/* What was sent again while there was no table has come through. */
	bed_forget(&conn);
	check(ok && !bed_talk(&conn), "a lost table comes back with a stamp that no flow holds");
	bed_close(&conn);
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	cfg = keep;
}

/* ---- size ------------------------------------------------------------------------------------ */

/* Pitfalls 8, 9, 10: lists below 64 KiB, one send, all answers read. */
static void test_many(void)
{
	static const struct bed_policy many = { .generation = 30, .extra = 100000 };
	static const struct bed_policy one_less = { .generation = 31, .extra = 99999 };
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	int listed = 0;

	check(commit(dp, &many, &done) && done.changed, "100,000 addresses in one batch");
	printf("     %zu messages, %zu bytes, %.1f ms\n", done.messages, done.bytes, done.ms);
	/* While the kernel still grows the hash table a walk may see an element twice or not. */
	for (int i = 0; i < 5 && listed != 100000; i++) {
		rs_autofree char *text = NULL;

		usleep(i * 300000u);
		bed_sh(NODE, &text,
		       "nft list map inet ripstop cls4 | grep -o '10\\.245\\.\\|10\\.246\\.' | "
		       "wc -l");
		listed = atoi(text);
	}
	check(listed == 100000, "the kernel holds every one of them");
	check(drifts(dp, NULL) == 0 && reads(dp, &many), "and they are read back");
	check(news(dp, false), "which was no news");
	check(commit(dp, &one_less, &done) && done.changed && done.messages < 6,
	      "one address leaves");
	printf("     %zu messages, %.3f ms\n", done.messages, done.ms);
	check(commit(dp, &full, &done) && drifts(dp, NULL) == 0, "all leave");
	dp->ops->close(dp);
}

/* Pitfall 6: intervals that touch, shrink, grow and reach the last address, in one batch each. */
static struct rs_ir *random_ranges(unsigned int *seed, uint64_t generation)
{
	struct rs_ir *ir = bed_ir(&full);
	uint32_t at = rand_r(seed) % 3 ? 0 : 1, n = 0;

	ir->generation = generation;
	ir->ranges = rs_ir_alloc(ir, 64, sizeof(*ir->ranges));
	while (n < 64 && at < 200) {
		struct rs_ir_range *r = &ir->ranges[n++];
		uint32_t hi = at + (uint32_t)rand_r(seed) % 6;

		r->lo.family = r->hi.family = RS_AF_IP4;
		memset(r->lo.b, hi >= 200 ? 255 : 10, 3);
		memset(r->hi.b, hi >= 200 ? 255 : 10, 3);
		r->lo.b[3] = (uint8_t)at;
		r->hi.b[3] = (uint8_t)(hi >= 200 ? 255 : hi);
		r->cls = 20 + (uint32_t)rand_r(seed) % 3;
		at = hi + 1 + (rand_r(seed) % 2 ? 0 : (uint32_t)rand_r(seed) % 9);
	}
	ir->n_ranges = n;
	return ir;
}

static void test_ranges(void)
{
	struct rs_dp *dp = open_dp();
	unsigned int seed = 1;
	bool ok = true;

	for (int i = 0; i < 200 && ok; i++) {
		struct rs_ir *ir = random_ranges(&seed, 100 + (uint64_t)i), *have = NULL;
		struct rs_dp_commit done;
		rs_auto_err err = { 0 };

		ok = dp->ops->commit(dp, ir, &done, &err) == 0 && !(i && done.rebuilt);
		ok = ok && dp->ops->read(dp, &have, &err) == 0 && have && rs_ir_equal(ir, have);
		if (!ok)
			printf("     step %d, rebuilt %d: %s\n", i, done.rebuilt, rs_err_str(&err));
		rs_ir_free(have);
		rs_ir_free(ir);
	}
	check(ok, "200 random changes of ranges, each one batch, each read back");
	check(lists(), "and listed");
	commit(dp, &full, &(struct rs_dp_commit){ 0 });
	dp->ops->close(dp);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "probe", test_probe },
	{ "privilege", test_privilege },
	{ "restart", test_commit_and_restart },
	{ "differences", test_differences },
	{ "names", test_names },
	{ "foreign", test_foreign_changes },
	{ "layout", test_other_layout },
	{ "packets", test_packets },
	{ "hard", test_hard },
	{ "conflict", test_mark_conflict },
	{ "owner", test_owner },
	{ "stamps", test_stamps },
	{ "stale", test_stale },
	{ "ledger", test_ledger },
	{ "quiet", test_quiet },
	{ "ranges", test_ranges },
	{ "many", test_many },
};

/* All of them, or those that are named. */
int main(int argc, char **argv)
{
	if (geteuid() != 0) {
		printf("root is needed\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	bed_make();
	rs_dp_config_default(&cfg);
	cfg.link_group = 0x5248;
	cfg.own_table = false; /* most of these tests are the foreign program */
	for (size_t i = 0; i < RS_ARRAY_SIZE(tests); i++) {
		bool run = argc < 2;

		for (int j = 1; j < argc; j++)
			run |= !strcmp(argv[j], tests[i].name);
		if (run)
			tests[i].run();
	}
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed != 0 || !passed;
}
