// SPDX-License-Identifier: Apache-2.0
/*
 * nft_ruleset.c - the table that the nft dataplane makes, read back by lib/ruleset: what a walk says
 * about a packet is what becomes of it between the pods of the test bed.
 */
#include <ripstop/ruleset.h>

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "nft_check.h"

#define GROUP 0x5248u /* of the bed's pod links */
#define UPLINK 900u   /* any index that is no pod's */

static struct rs_ruleset *rules;

static bool is_pod(enum bed_place p)
{
	return p < PODS;
}

/* A first packet of a flow between two places, as the node's hooks see it. */
static struct rs_packet first(enum bed_place from, enum bed_place to, int family, uint8_t proto,
			      uint16_t port)
{
	struct rs_packet p = { .proto = proto,
			       .ct_proto = proto,
			       .ttl = 63,
			       .dport = port,
			       .sport = 40000,
			       .tcp_flags = 2,
			       .sctp_chunk = 1,
			       .ct_state = RS_CT_NEW };

	rs_addr_parse(bed_addr(from, family), &p.src, NULL);
	rs_addr_parse(bed_addr(to, family), &p.dst, NULL);
	if (proto == 1 || proto == 58) {
		p.icmp_type = proto == 1 ? 8 : 128;
		p.sport = 7;
		p.dport = (uint16_t)(p.icmp_type << 8);
	}
	p.orig = (struct rs_ct_tuple){ p.src, p.dst, p.sport, p.dport };
	p.reply = (struct rs_ct_tuple){ p.dst, p.src, p.dport, p.sport };
	p.iif = from == NODE ? 0 : is_pod(from) ? bed_ifindex(from) : UPLINK;
	p.oif = to == NODE ? 0 : is_pod(to) ? bed_ifindex(to) : UPLINK;
	p.iif_group = is_pod(from) ? GROUP : 0;
	p.oif_group = is_pod(to) ? GROUP : 0;
	return p;
}

/* At prerouting a packet has no link to leave by yet. */
static bool at(enum rs_hook hook, struct rs_packet p, struct rs_walk *w)
{
	rs_auto_err err = { 0 };

	if (hook == RS_HOOK_PREROUTING)
		p.oif = p.oif_group = 0;
	if (rs_ruleset_walk(rules, hook, &p, w, NULL, NULL, &err)) {
		printf("     %s\n", rs_err_str(&err));
		check(false, "the walk comes to an end");
		return false;
	}
	return w->accept;
}

/* Guard, then the judging hook. */
static bool walk(const struct rs_packet *p, enum bed_place to, struct rs_walk *w)
{
	if (p->iif && !at(RS_HOOK_PREROUTING, *p, w))
		return false;
	return at(to == NODE ? RS_HOOK_INPUT : RS_HOOK_POSTROUTING, *p, w);
}

struct flow {
	enum bed_place from, to;
	uint8_t proto; /* 1: ping of the family */
	uint16_t port;
	bool allowed;
	const char *chain; /* where the walk ends, by family 4; NULL: not asked */
};

static const struct flow flows[] = {
	{ POD_A, POD_B, 6, 8080, true, "restamp" },   { POD_A, POD_B, 6, 8081, false, "deny_in" },
	{ POD_A, POD_B, 6, 9050, true, "restamp" },   { POD_A, POD_B, 17, 5353, true, "restamp" },
	{ POD_A, POD_B, 17, 8080, false, "deny_in" }, { POD_A, POD_B, 1, 0, false, "deny_in" },
	{ POD_A, POD_C, 6, 8080, false, "deny_in" },  { POD_C, POD_A, 17, 9, false, "deny_out" },
	{ POD_B, POD_A, 6, 1234, true, "restamp" },   { POD_B, POD_A, 1, 0, true, "restamp" },
	{ WORLD, POD_B, 6, 8080, true, "restamp" },   { WORLD, POD_B, 6, 9050, false, "deny_in" },
	{ WORLD, POD_A, 17, 77, true, "restamp" },    { POD_A, WORLD, 6, 99, true, "restamp" },
	{ NODE, POD_C, 6, 5000, true, "made_here" },  { POD_C, NODE, 6, 5000, false, "deny_out" },
	{ POD_A, NODE, 17, 5001, true, "restamp" },
};

static bool send_one(const struct flow *f, int family)
{
	if (f->proto == 6)
		return bed_tcp(f->from, f->to, family, f->port);
	if (f->proto == 17)
		return bed_udp(f->from, f->to, family, f->port);
	return bed_ping(f->from, f->to, family);
}

static void check_flow(const struct flow *f, int family)
{
	uint8_t proto = f->proto == 1 && family == 6 ? 58 : f->proto;
	struct rs_packet p = first(f->from, f->to, family, proto, f->port);
	struct rs_walk w = { 0 };
	bool walked = walk(&p, f->to, &w), passed_through = send_one(f, family);
	char what[160];

	snprintf(what, sizeof(what), "IPv%d %d to %d, protocol %u port %u: walk %s (%s), packet %s",
		 family, f->from, f->to, proto, f->port, walked ? "accept" : "drop", w.chain,
		 passed_through ? "arrives" : "does not");
	check(walked == f->allowed && passed_through == f->allowed && !strcmp(w.chain, f->chain),
	      what);
}

/* ---- what only a walk can show -------------------------------------------------------------- */

static void check_stamp(void)
{
	struct rs_packet p = first(POD_A, POD_B, 4, 6, 8080);
	struct rs_walk w;

	p.ct_mark = 0x1234;
	check(walk(&p, POD_B, &w) && w.marked && (w.ct_mark & 0xffff) == 0x1234 &&
		      w.ct_mark >> 16 != 0,
	      "an allowed flow gets the stamp, the lower bits stay");
	p.ct_state = RS_CT_ESTABLISHED;
	p.ct_mark = w.ct_mark;
	check(walk(&p, POD_B, &w) && !strcmp(w.chain, "forwarded") && !w.marked,
	      "with the stamp it passes at the hook");
	p.dport = p.orig.dport = p.reply.sport = 8081;
	p.ct_mark = 0xfffe0000;
	check(!walk(&p, POD_B, &w) && w.logged && !strcmp(w.log_prefix, "rs1 0 i"),
	      "a forbidden one with another stamp does not, and is recorded");
}

static void check_guard(void)
{
	struct rs_packet p = first(POD_A, POD_B, 4, 17, 5353);
	struct rs_walk w;

	rs_addr_parse("10.244.0.77", &p.src, NULL);
	check(!at(RS_HOOK_PREROUTING, p, &w) && !strcmp(w.chain, "spoofed"), "a forged source");
	p = first(WORLD, POD_B, 4, 17, 5353);
	rs_addr_parse(bed_addr(POD_A, 4), &p.src, NULL);
	check(!at(RS_HOOK_PREROUTING, p, &w) && !strcmp(w.chain, "spoofed"),
	      "a pod's source from another link");
	p = first(POD_A, NODE, 4, 17, 53);
	rs_addr_parse("127.0.0.1", &p.dst, NULL);
	check(!at(RS_HOOK_PREROUTING, p, &w) && !strcmp(w.chain, "spoofed"), "to 127.0.0.1");
	p = first(POD_A, NODE, 6, 58, 0);
	p.icmp_type = 134;
	check(!at(RS_HOOK_PREROUTING, p, &w) && !strcmp(w.chain, "pod_icmp6"),
	      "a router advertisement");
	p = first(POD_A, POD_B, 4, 17, 5353);
	p.iif_group = GROUP ^ 1;
	check(at(RS_HOOK_PREROUTING, p, &w), "from a condemned link, the rules still hold");
}

static void check_without_flow(void)
{
	struct rs_packet p = first(POD_A, POD_B, 4, 6, 8080);
	struct rs_walk w;

	p.ct_state = RS_CT_INVALID;
	check(!walk(&p, POD_B, &w) && !strcmp(w.chain, "invalid_to"), "no flow, isolated end");
	p = first(POD_A, WORLD, 4, 6, 8080);
	p.ct_state = RS_CT_UNTRACKED;
	check(walk(&p, WORLD, &w) && !strcmp(w.chain, "no_flow"), "no flow, no isolated end");
	p = first(POD_A, POD_B, 4, 6, 8080);
	p.tcp_flags = 0x10;
	check(!walk(&p, POD_B, &w) && !strcmp(w.chain, "invalid_to"), "TCP in mid-stream");
	p = first(POD_A, POD_B, 4, 132, 8080);
	p.sctp_chunk = 4;
	check(!walk(&p, POD_B, &w) && !strcmp(w.chain, "invalid_to"),
	      "an SCTP heartbeat without a flow");
	p = first(POD_A, WORLD, 4, 132, 8080);
	p.sctp_chunk = 4;
	check(walk(&p, WORLD, &w), "  between free ends");
}

static void check_size(struct rs_dp *dp)
{
	struct bed_policy many = full;
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	int64_t start;
	int rc;

	many.extra = 100000;
	many.generation++;
	check(commit(dp, &many, &done), "100,000 more addresses");
	rs_ruleset_free(rules);
	start = rs_mono_ms();
	rc = rs_ruleset_read("ripstop", &rules, &err);
	printf("     read in %lld ms\n", (long long)(rs_mono_ms() - start));
	check(!rc && rs_ruleset_elements(rules) > 100000, "and all of them are read");
}

int main(void)
{
	rs_auto_err err = { 0 };
	struct rs_dp_commit done;
	struct rs_dp *dp;

	bed_make();
	rs_dp_config_default(&cfg);
	cfg.link_group = GROUP;
	dp = open_dp();
	check(commit(dp, &full, &done), "the table is made");
	check(rs_ruleset_read("ripstop", &rules, &err) == 0, "and is understood");
	if (!rules) {
		printf("     %s\n", rs_err_str(&err));
		return 1;
	}
	for (size_t i = 0; i < RS_ARRAY_SIZE(flows); i++)
		for (int family = 4; family <= 6; family += 2)
			check_flow(&flows[i], family);
	check_stamp();
	check_guard();
	check_without_flow();
	check_size(dp);
	rs_ruleset_free(rules);
	dp->ops->close(dp);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed ? 1 : 0;
}
