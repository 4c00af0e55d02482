// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_kernel.c - the eBPF dataplane against the real kernel: commits, read-back, drift, records, and the
 * packets of the nft dataplane's tests. Needs root; works in namespaces of its own only.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "ebpf_bed.h"
#include "nft_check.h"

static void test_probe(void)
{
	rs_auto_err err = { 0 };

	check(bed_ops->probe(&cfg, &err) == 0, "probe: this kernel can carry it");
	if (err.num)
		printf("     %s\n", rs_err_str(&err));
	check(bed_sh(NODE, NULL, "test ! -e " EBPF_DIR) == 0, "probe leaves nothing behind");
}

/* Exit status of a child without privileges: the CNI code of probe's error, 0 when it passed. */
static int probe_as_nobody(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		rs_auto_err err = { 0 };
		int rc = setresuid(65534, 65534, 65534) ? -1 : bed_ops->probe(&cfg, &err);

		printf("     %s; %s\n", rs_err_str(&err), err.hint ? err.hint : "-");
		fflush(stdout);
		_exit(rc && strstr(err.hint ? err.hint : "", "CAP_BPF") ? err.cni : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_privilege(void)
{
	check(probe_as_nobody() == RS_CNI_KERNEL, "without CAP_BPF: code 104, and named");
}

static void test_restart(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	struct rs_ir *ir = NULL;

	check(dp->ops->read(dp, &ir, NULL) == 0 && !ir && dp->ops->is_open(dp),
	      "nothing is there yet, and that is known");
	check(commit(dp, &full, &done) && done.changed && done.rebuilt,
	      "first commit makes the set");
	check(!dp->ops->is_open(dp), "and the node is not open any more");
	check(commit(dp, &full, &done) && !done.changed && !done.messages,
	      "the same again writes nothing");
	check(reads(dp, &full), "read() answers with the IR that was committed");
	check(drifts(dp, NULL) == 0, "audit finds no drift");
	dp->ops->close(dp);
	dp = open_dp();
	check(reads(dp, &full), "a new agent reads the same IR");
	check(commit(dp, &full, &done) && !done.changed, "and has nothing to change");
	dp->ops->close(dp);
	dp = open_dp();
	check(commit(dp, &full, &done) && !done.changed, "also when it commits without reading");
	dp->ops->close(dp);
}

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
	bool all = commit(dp, &full, NULL);

	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < RS_ARRAY_SIZE(steps); i++) {
			all &= commit(dp, &steps[i], &done) && done.changed && !done.rebuilt;
			all &= drifts(dp, NULL) == 0 && reads(dp, &steps[i]);
		}
	check(all, "21 differences, each audited and read back");
	dp->ops->close(dp);
}

static struct rs_ir *random_ranges(unsigned int *seed, uint64_t generation)
{
	struct rs_ir *ir = bed_ir(&full);
	uint32_t at = rand_r(seed) % 3 ? 0 : 1, n = 0;

	ir->generation = generation;
	ir->ranges = rs_ir_alloc(ir, 64, sizeof(*ir->ranges));
	while (n < 64 && at < 200) {
		struct rs_ir_range *r = &ir->ranges[n], *last = n ? r - 1 : NULL;
		uint32_t hi = at + (uint32_t)rand_r(seed) % 6;

		r->lo.family = r->hi.family = RS_AF_IP4;
		memset(r->lo.b, 10, 3);
		memset(r->hi.b, 10, 3);
		r->lo.b[3] = (uint8_t)at;
		r->hi.b[3] = (uint8_t)hi;
		r->cls = 20 + (uint32_t)rand_r(seed) % 3;
		at = hi + 1 + (rand_r(seed) % 2 ? 0 : (uint32_t)rand_r(seed) % 9);
		/* Two that touch and are alike would be one. */
		if (last && last->cls == r->cls && last->hi.b[3] + 1 == r->lo.b[3])
			last->hi = r->hi;
		else
			n++;
	}
	ir->n_ranges = n;
	return ir;
}

static void test_ranges(void)
{
	struct rs_dp *dp = open_dp();
	unsigned int seed = 1;
	bool ok = true;

	commit(dp, &full, NULL);
	for (int i = 0; i < 100 && ok; i++) {
		struct rs_ir *ir = random_ranges(&seed, 100 + (uint64_t)i), *have = NULL;
		struct rs_dp_commit done;
		rs_auto_err err = { 0 };

		ok = dp->ops->commit(dp, ir, &done, &err) == 0 && !done.rebuilt;
		ok = ok && dp->ops->read(dp, &have, &err) == 0 && have && rs_ir_equal(ir, have);
		if (!ok)
			printf("     step %d, rebuilt %d: %s\n", i, done.rebuilt, rs_err_str(&err));
		rs_ir_free(have);
		rs_ir_free(ir);
	}
	check(ok, "100 random changes of ranges, each read back");
	commit(dp, &full, NULL);
	dp->ops->close(dp);
}

/* ---- records --------------------------------------------------------------------------------- */

struct seen {
	struct rs_dp_drop last;
	size_t n;
};

static void on_drop(const struct rs_dp_drop *d, void *arg)
{
	struct seen *s = arg;

	s->last = *d;
	s->n++;
}

static void test_records_of_drops(void)
{
	struct rs_dp *dp = open_dp();
	struct seen s = { 0 };
	struct rs_dp_log_counts counts;
	char src[RS_ADDR_STRLEN];

	commit(dp, &full, NULL);
	check(dp->ops->log_open(dp, NULL) == 0 && dp->ops->log_fd(dp) >= 0, "records are open");
	bed_udp(POD_C, WORLD, 4, 53);
	check(poll(&(struct pollfd){ .fd = dp->ops->log_fd(dp), .events = POLLIN }, 1, 2000) == 1,
	      "a drop makes it readable");
	check(dp->ops->log_read(dp, 10, on_drop, &s, NULL) >= 1 && s.n >= 1 &&
		      s.last.reason == RS_DROP_POLICY_EGRESS && s.last.from_pod &&
		      s.last.has_ports && s.last.dport == 53 && s.last.tracked && !s.last.reply &&
		      s.last.iif == bed_ifindex(POD_C) &&
		      !strcmp(rs_addr_str(&s.last.src, src), bed_addr(POD_C, 4)),
	      "it says who, where to, why and at which end");
	check(llabs(s.last.time_ns / 1000000000 - rs_now_s()) <= 2, "and when");
	for (int i = 0; i < 3; i++)
		bed_udp(POD_A, POD_B, 6, 9);
	s.n = 0;
	check(dp->ops->log_read(dp, 1, on_drop, &s, NULL) == 1 && s.n == 1, "one at a time");
	check(dp->ops->log_read(dp, 10, on_drop, &s, NULL) == 2 && s.n == 3 &&
		      s.last.reason == RS_DROP_POLICY_INGRESS && s.last.src.family == RS_AF_IP6,
	      "and then the others");
	check(dp->ops->log_counts(dp, &counts, NULL) == 0 && counts.received >= 4 &&
		      counts.dropped >= counts.logged && counts.logged >= counts.received,
	      "the counts agree");
	dp->ops->close(dp);
}

static void test_removed(void)
{
	struct rs_dp *dp = open_dp();

	commit(dp, &full, NULL);
	check(!bed_udp(POD_A, POD_C, 4, 99), "control: a denied datagram");
	check(dp->ops->remove(dp, NULL) == 0, "remove");
	check(bed_udp(POD_A, POD_C, 4, 99), "nothing judges any more");
	check(bed_sh(NODE, NULL, "test ! -e " EBPF_DIR) == 0 &&
		      bed_sh(NODE, NULL, "nft list table inet ripstop-ct 2>/dev/null") != 0,
	      "no pin and no anchor is left");
	dp->ops->close(dp);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "probe", test_probe },       { "privilege", test_privilege },
	{ "restart", test_restart },   { "differences", test_differences },
	{ "ranges", test_ranges },     { "packets", test_plain_packets },
	{ "hard", test_hard_packets }, { "records", test_records_of_drops },
	{ "counts", test_counts },     { "sources", test_sources },
	{ "unseen", test_unseen },     { "unfinished", test_unfinished },
	{ "full", test_full },	       { "lists", test_lists },
	{ "moves", test_moves },       { "damage", test_damage },
	{ "pins", test_pins },	       { "replaced", test_replaced },
	{ "devices", test_devices },   { "wayout", test_way_out },
	{ "other", test_other_node },  { "removed", test_removed },
};

/* [clsact] [tc] [TEST...]: all of them, or those that are named. */
int main(int argc, char **argv)
{
	if (geteuid() != 0 || !ebpf_own_bpffs()) {
		printf("root and a bpffs are needed\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	bed_make();
	rs_dp_config_default(&cfg);
	cfg.link_group = 0x5248;
	ebpf_use();
	if (argc > 1 && !strcmp(argv[1], "clsact")) {
		cfg.bpf_clsact = true;
		argv++;
		argc--;
	}
	if (argc > 1 && !strcmp(argv[1], "tc")) {
		bed_ops = &rs_dp_ebpf_tc;
		argv++;
		argc--;
	}
	for (size_t i = 0; i < RS_ARRAY_SIZE(tests); i++) {
		bool run = argc < 2;

		for (int j = 1; j < argc; j++)
			run |= !strcmp(argv[j], tests[i].name);
		if (!run)
			continue;
		printf("== %s\n", tests[i].name);
		fflush(stdout);
		tests[i].run();
	}
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed > 0;
}
