// SPDX-License-Identifier: Apache-2.0
/* nft_packets.c - real packets between the pods, the node and the world of nft_bed.h. */
#include "nft_check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

/* ---- packets --------------------------------------------------------------------------------- */

static void expect(bool got, bool want, const char *what, int family)
{
	rs_autofree char *line =
		rs_asprintf("v%d %s: %s", family, what, want ? "passes" : "is dropped");

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
		expect(bed_tcp(WORLD, POD_B, f, 9050), false,
		       "tcp world to b, port of another peer", f);
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

/* Eleven of two hundred records come from one pod; the other's are there in full. */
static void test_log_limit(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_stats a, b;

	commit(dp, &full, &(struct rs_dp_commit){ 0 });
	sleep(2);
	dp->ops->stats(dp, &a, NULL);
	bed_sh(POD_C, NULL,
	       "python3 -c 'import socket\ns=socket.socket(2,2)\n"
	       "for i in range(200): s.sendto(b\"x\",(\"10.244.0.2\",9))'");
	dp->ops->stats(dp, &b, NULL);
	check(b.drops[RS_DROP_POLICY_EGRESS].packets - a.drops[RS_DROP_POLICY_EGRESS].packets ==
		      200,
	      "every denied packet is counted");
	check(b.log_suppressed - a.log_suppressed >= 150 &&
		      b.log_suppressed - a.log_suppressed < 200,
	      "records are limited, and what was not recorded is counted");
	rs_dp_stats_free(&a);
	dp->ops->stats(dp, &a, NULL);
	bed_sh(POD_A, NULL,
	       "python3 -c 'import socket\ns=socket.socket(2,2)\n"
	       "for i in range(5): s.sendto(b\"x\",(\"10.244.0.3\",9))'");
	rs_dp_stats_free(&b);
	dp->ops->stats(dp, &b, NULL);
	check(b.drops[RS_DROP_POLICY_INGRESS].packets - a.drops[RS_DROP_POLICY_INGRESS].packets ==
			      5 &&
		      b.log_suppressed == a.log_suppressed,
	      "the limit of one pod hides nothing of another");
	rs_dp_stats_free(&a);
	rs_dp_stats_free(&b);
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

	commit(dp, &full, &done);
	for (size_t i = 0; i < RS_ARRAY_SIZE(lost); i++) {
		bed_sh(NODE, NULL, "nft delete element inet ripstop %s", lost[i]);
		check(!bed_udp(POD_A, POD_B, 4, 5353), lost[i]);
		drifts(dp, "missing");
		commit(dp, &full, &done);
		check(bed_udp(POD_A, POD_B, 4, 5353), "  restored");
	}
	dp->ops->close(dp);
}

static void test_unprogrammed(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	struct rs_dp_stats st;

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
	check(!bed_forged(POD_B, "10.244.0.4", POD_A, 5353),
	      "a pod with its neighbour's address is dropped");
	check(!bed_forged(WORLD, "10.244.0.3", POD_A, 5353),
	      "the world with a pod's address is dropped");
	check(dp->ops->stats(dp, &st, NULL) == 0 && st.drops[RS_DROP_SPOOFED].packets == before + 2,
	      "counted as spoofed");
	rs_dp_stats_free(&st);
	dp->ops->close(dp);
}

void test_plain_packets(void)
{
	test_verdicts();
	test_log_limit();
	test_cut();
	test_unprogrammed();
	test_spoofing();
}

void test_packets(void)
{
	test_plain_packets();
	test_absence();
}
