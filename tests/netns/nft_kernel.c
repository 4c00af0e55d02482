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
#include <unistd.h>

#include <ripstop/dataplane.h>

#include "base/base.h"
#include "nft_bed.h"

static int passed, failed, skipped;

static bool check(bool ok, const char *what)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	fflush(stdout);
	ok ? passed++ : failed++;
	return ok;
}

static struct rs_dp_config cfg;

static struct rs_dp *open_dp(void)
{
	rs_auto_err err = { 0 };
	struct rs_dp *dp = NULL;

	if (rs_dp_nft.open(&cfg, &dp, &err) < 0) {
		fprintf(stderr, "open: %s\n", rs_err_str(&err));
		exit(1);
	}
	return dp;
}

static bool commit(struct rs_dp *dp, const struct bed_policy *p, struct rs_dp_commit *done)
{
	struct rs_ir *ir = bed_ir(p);
	rs_auto_err err = { 0 };
	struct rs_dp_commit d;
	int rc = dp->ops->commit(dp, ir, done ? done : &d, &err);

	if (rc)
		printf("     commit: %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	return rc == 0;
}

/* read() answers with an IR that equals p's. */
static bool reads(struct rs_dp *dp, const struct bed_policy *p)
{
	struct rs_ir *want = bed_ir(p), *have = NULL;
	rs_auto_err err = { 0 };
	int rc = dp->ops->read(dp, &have, &err);
	bool same = !rc && have && rs_ir_equal(want, have) && have->generation == want->generation;

	if (rc)
		printf("     read: %s\n", rs_err_str(&err));
	if (!rc && !same) {
		rs_autofree char *a = rs_ir_print(want);
		rs_autofree char *b = have ? rs_ir_print(have) : rs_strdup("nothing");

		printf("---- wanted\n%s---- read\n%s", a, b);
	}
	rs_ir_free(want);
	rs_ir_free(have);
	return same;
}

static size_t drifts(struct rs_dp *dp, const char *expect)
{
	struct rs_dp_drifts d;
	rs_auto_err err = { 0 };
	size_t n, hit = 0;

	if (dp->ops->audit(dp, &d, &err) < 0) {
		printf("     audit: %s\n", rs_err_str(&err));
		return SIZE_MAX;
	}
	n = d.n;
	for (size_t i = 0; i < d.n; i++) {
		rs_autofree char *line = rs_asprintf("%s: %s", d.v[i].object, d.v[i].what);

		hit += expect && strstr(line, expect) != NULL;
		if (!expect || !strstr(line, expect))
			printf("     drift %s\n", line);
	}
	rs_dp_drifts_free(&d);
	return expect ? hit : n;
}

static bool lists(void)
{
	return !bed_sh(NODE, NULL, "nft list table inet ripstop >/dev/null 2>&1") &&
	       !bed_sh(NODE, NULL, "nft -j list table inet ripstop 2>/dev/null | "
				   "python3 -c 'import json,sys; json.load(sys.stdin)' 2>&1");
}

static const struct bed_policy full = { .generation = 7 };

/* ---- state ------------------------------------------------------------------------------------- */

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

static void test_commit_and_restart(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;

	check(commit(dp, &full, &done) && done.changed && done.rebuilt, "first commit makes the table");
	check(commit(dp, &full, &done) && !done.changed && !done.messages, "the same again sends nothing");
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
		"    if k in o and subprocess.run([\"nft\",\"list\",k,\"inet\",\"ripstop\",o[k][\"name\"]],"
		"stdout=subprocess.DEVNULL).returncode: print(o[k][\"name\"])'";
	rs_autofree char *bad = NULL;
	rs_autofree char *text = NULL;

	bed_sh(NODE, &bad, "%s 2>&1", cmd);
	if (!check(!*bad, "no name is a word of nft's grammar"))
		printf("     %s\n", bad);
	bed_sh(NODE, &text, "nft list table inet ripstop");
	check(strstr(text, "nft cannot load this table again") &&
		      strstr(text, "ct reply ip saddr map @grp_in4 != 0x0") &&
		      strstr(text, "iif . ip saddr @guard4 accept") && !strstr(text, "\t\tgoto client"),
	      "the first comment warns, and rules show their conditions");
}

/* ---- somebody else ----------------------------------------------------------------------------- */

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
	bed_sh(NODE, NULL, "nft add element inet ripstop cls4 '{ 1.2.3.4 : 10 }'; "
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

	bed_sh(NODE, NULL, "nft delete table inet ripstop; nft add table inet ripstop '{ comment \"layout 99\"; }'; "
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
	bed_sh(NODE, NULL, "nft add table ip other; nft add chain ip other pre '{ type filter hook prerouting "
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
	bed_sh(NODE, &text, "nft list chain inet ripstop judge; nft list chain inet ripstop restamp");
	check(!strstr(text, "ct mark"), "nothing compares or writes the mark then");
	check(bed_udp(POD_A, POD_B, 4, 5353) && !bed_udp(POD_A, POD_C, 4, 5353),
	      "and packets are still judged");
	bed_sh(NODE, NULL, "nft add table ip low; nft add chain ip low pre '{ type filter hook prerouting "
			   "priority mangle; }'; nft add rule ip low pre ct mark set ct mark and 0xffff0000 or 5; "
			   "nft delete table ip other");
	usleep(100000);
	dp->ops->watch_read(dp, &(bool){ false }, &(char *){ NULL }, NULL);
	check(!dp->ops->conditions(dp), "bits that are not ours are nobody's business");
	check(commit(dp, &full, &done) && done.rebuilt, "and the cache comes back");
	bed_sh(NODE, NULL, "nft delete table ip low");
	dp->ops->close(dp);
}

/* ---- stamps ------------------------------------------------------------------------------------ */

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
	check(commit(dp, &closed_b, &done) && stamp_of_table() != held && !bed_talk(&conn),
	      "a lost table comes back with a stamp that no flow holds");
	bed_close(&conn);
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	cfg = keep;
}

/* ---- size -------------------------------------------------------------------------------------- */

/* Pitfalls 8, 9, 10: lists below 64 KiB, one send, all answers read. */
static void test_many(void)
{
	static const struct bed_policy many = { .generation = 30, .extra = 100000 };
	static const struct bed_policy one_less = { .generation = 31, .extra = 99999 };
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	rs_autofree char *text = NULL;

	check(commit(dp, &many, &done) && done.changed, "100,000 addresses in one batch");
	printf("     %zu messages, %zu bytes, %.1f ms\n", done.messages, done.bytes, done.ms);
	bed_sh(NODE, &text, "nft list map inet ripstop cls4 | grep -o '10\\.245\\.\\|10\\.246\\.' | wc -l");
	check(atoi(text) == 100000, "the kernel holds every one of them");
	check(drifts(dp, NULL) == 0 && reads(dp, &many), "and they are read back");
	check(news(dp, false), "which was no news");
	check(commit(dp, &one_less, &done) && done.changed && done.messages < 6, "one address leaves");
	printf("     %zu messages, %.3f ms\n", done.messages, done.ms);
	check(commit(dp, &full, &done) && drifts(dp, NULL) == 0, "all leave");
	dp->ops->close(dp);
}

/* ---- packets ----------------------------------------------------------------------------------- */

static void expect(bool got, bool want, const char *what, int family)
{
	rs_autofree char *line = rs_asprintf("v%d %s: %s", family, what, want ? "passes" : "is dropped");

	check(got == want, line);
}

static void test_verdicts(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_stats st;
	struct rs_dp_commit done;

	commit(dp, &full, &done);
	for (int f = 4; f <= 6; f += 2) {
		expect(bed_tcp(POD_A, POD_B, f, 8080), true, "tcp a to b, allowed port", f);
		expect(bed_tcp(POD_A, POD_B, f, 9050), true, "tcp a to b, inside a port range", f);
		expect(bed_tcp(POD_A, POD_B, f, 9101), false, "tcp a to b, past the range", f);
		expect(bed_udp(POD_A, POD_B, f, 5353), true, "udp a to b, allowed port", f);
		expect(bed_udp(POD_A, POD_B, f, 8080), false, "udp a to b, tcp's port", f);
		expect(bed_ping(POD_A, POD_B, f), false, "icmp to b, whose rules have ports", f);
		expect(bed_tcp(WORLD, POD_B, f, 8080), true, "tcp world to b, ipBlock", f);
		expect(bed_tcp(WORLD, POD_B, f, 9050), false, "tcp world to b, port of another peer", f);
		expect(bed_tcp(POD_B, POD_A, f, 80), true, "tcp b to a, not isolated", f);
		expect(bed_ping(WORLD, POD_A, f), true, "icmp world to a, not isolated", f);
		expect(bed_tcp(POD_A, POD_C, f, 80), false, "tcp a to c, default deny", f);
		expect(bed_tcp(POD_C, POD_A, f, 80), false, "tcp c to a, default deny", f);
		expect(bed_udp(POD_C, WORLD, f, 53), false, "udp c to the world", f);
		expect(bed_udp(POD_C, NODE, f, 53), false, "udp c to its node", f);
		expect(bed_tcp(POD_A, NODE, f, 53), true, "tcp a to its node", f);
		expect(bed_tcp(NODE, POD_C, f, 80), true, "tcp node to c, by local origin", f);
		expect(bed_tcp(POD_C, POD_C, f, 80), true, "tcp c to itself", f);
	}
	check(dp->ops->stats(dp, &st, NULL) == 0 && st.drops[RS_DROP_POLICY_INGRESS].packets >= 4 &&
		      st.drops[RS_DROP_POLICY_EGRESS].packets >= 4 && st.n_judged >= 2,
	      "drops are counted by reason");
	check(st.drops[RS_DROP_SPOOFED].packets == 0, "and no pod's kernel counts as a spoofer");
	rs_dp_stats_free(&st);
	dp->ops->close(dp);
}

static void test_cut(void)
{
	static const struct bed_policy closed = { .generation = 41, .no_b_allow = true };
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	struct bed_conn c;

	commit(dp, &full, &done);
	for (int f = 4; f <= 6; f += 2) {
		expect(bed_open(&c, POD_A, POD_B, f, 8080) && bed_talk(&c) && bed_talk(&c), true,
		       "an established connection", f);
		check(commit(dp, &closed, &done) && done.bumped, "tightened");
		expect(bed_talk(&c), false, "its next packet", f);
		check(commit(dp, &full, &done), "loosened");
		expect(bed_talk(&c) || bed_talk(&c) || bed_talk(&c), true, "its retry", f);
		bed_close(&c);
	}
	dp->ops->close(dp);
}

/* What is absent is not open: elements of a living pod go away one by one. */
static void test_absence(void)
{
	static const char *const lost[] = { "grp_in4 '{ 10.244.0.3 }'", "grp_out4 '{ 10.244.0.2 }'",
					    "guard4 '{ \"rsa\" . 10.244.0.2 }'" };
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	struct rs_dp_stats st;

	commit(dp, &full, &done);
	for (size_t i = 0; i < RS_ARRAY_SIZE(lost); i++) {
		bed_sh(NODE, NULL, "nft delete element inet ripstop %s", lost[i]);
		check(!bed_udp(POD_A, POD_B, 4, 5353), lost[i]);
		drifts(dp, "missing");
		commit(dp, &full, &done);
		check(bed_udp(POD_A, POD_B, 4, 5353), "  restored");
	}
	commit(dp, &(struct bed_policy){ .generation = 50, .without_c = true }, &done);
	check(!bed_udp(POD_A, POD_C, 4, 99) && !bed_udp(POD_C, POD_A, 4, 99) &&
		      !bed_udp(WORLD, POD_C, 6, 99) && !bed_udp(POD_C, NODE, 6, 99),
	      "a pod link without a group: nothing to it, nothing from it");
	check(dp->ops->stats(dp, &st, NULL) == 0 && st.drops[RS_DROP_NOT_PROGRAMMED].packets >= 4,
	      "counted as not-programmed");
	rs_dp_stats_free(&st);
	commit(dp, &full, &done);
	bed_sh(NODE, NULL, "ip link set rsc group %u", cfg.link_group ^ 1);
	check(!bed_udp(POD_C, WORLD, 4, 99) && !bed_udp(WORLD, POD_C, 4, 99),
	      "a condemned link is a pod link");
	bed_sh(NODE, NULL, "ip link set rsc group %u", cfg.link_group);
	dp->ops->close(dp);
}

static void test_spoofing(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	struct rs_dp_stats st;
	uint64_t before;

	commit(dp, &full, &done);
	dp->ops->stats(dp, &st, NULL);
	before = st.drops[RS_DROP_SPOOFED].packets;
	rs_dp_stats_free(&st);
	check(bed_forged(WORLD, "192.0.2.2", POD_A, 5353) &&
		      bed_forged(POD_B, "10.244.0.3", POD_A, 5353),
	      "controls: datagrams with their own source arrive");
	check(!bed_forged(POD_B, "10.244.0.4", POD_A, 5353), "a pod with its neighbour's address is dropped");
	check(!bed_forged(WORLD, "10.244.0.3", POD_A, 5353), "the world with a pod's address is dropped");
	check(dp->ops->stats(dp, &st, NULL) == 0 &&
		      st.drops[RS_DROP_SPOOFED].packets == before + 2,
	      "counted as spoofed");
	rs_dp_stats_free(&st);
	dp->ops->close(dp);
}

int main(void)
{
	if (geteuid() != 0) {
		printf("root is needed\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	bed_make();
	rs_dp_config_default(&cfg);
	cfg.link_group = 0x5248;
	test_probe();
	test_commit_and_restart();
	test_differences();
	test_names();
	test_foreign_changes();
	test_other_layout();
	test_verdicts();
	test_cut();
	test_absence();
	test_spoofing();
	test_mark_conflict();
	test_stamps();
	test_many();
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed != 0;
}
