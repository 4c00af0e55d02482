// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_maps.c - the eBPF programs in the kernel and the second reading of their maps say the same of
 * random packets, in a small world that has one of everything: ends without groups, links without
 * entries, long lists of ports, an unfinished commit. Root; in namespaces of its own.
 *
 *	ebpf_maps [PACKETS [SEED]]	default 20000 1
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ripstop/linkgroup.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"
#include "tests/prove/bpfwalk.h"

#define CLASSES 4
#define GROUPS 3
#define LONG_LIST 9

static uint64_t state;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

#define ONE_OF(v) ((v)[below(RS_ARRAY_SIZE(v))])

/* ---- the world ------------------------------------------------------------------------------- */

/* 1 to 4 are local (4 without groups), 5 and 6 have a class, 7 is nobody, the rest is outside. */
static const char *const v4[] = { "10.0.0.1",	   "10.0.0.2",	"10.0.0.3",  "10.0.0.4",
				  "10.0.0.5",	   "10.0.0.6",	"10.0.0.7",  "203.0.113.9",
				  "203.0.113.200", "192.0.2.1", "127.0.0.1", "224.0.0.5",
				  "239.1.1.1" };
static const char *const v6[] = { "fd00::1",   "fd00::2", "fd00::3",	 "fd00::4",	  "fd00::5",
				  "fd00::6",   "fd00::7", "2001:db8::9", "2001:db8:1::9", "fe80::1",
				  "fe80::a:1", "::",	  "::1",	 "ff02::1" };

static struct rs_addr addr(const char *text)
{
	struct rs_addr a = { 0 };

	rs_addr_parse(text, &a, NULL);
	return a;
}

static struct rs_addr nth(int family, size_t n)
{
	return addr(family == 4 ? v4[n] : v6[n]);
}

static void fill_profiles(struct rs_ir *ir)
{
	static const struct rs_ir_port short_lists[] = {
		{ 6, 80, 80, true },   { 6, 9000, 9100, true }, { 17, 53, 53, true },
		{ 0, 0, 65535, true }, { 132, 0, 65535, true }, { 47, 0, 65535, true },
	};
	static const uint32_t ends[] = { 3, 4, 6 }; /* of profiles 3, 4, 5 in there */
	uint32_t first = 0;

	ir->profiles = rs_ir_alloc(ir, 8, sizeof(*ir->profiles));
	ir->ports = rs_ir_alloc(ir, 64, sizeof(*ir->ports));
	for (uint32_t i = 0; i < RS_ARRAY_SIZE(ends); first = ends[i++])
		ir->profiles[ir->n_profiles++] =
			(struct rs_ir_profile){ 3 + i, first, ends[i] - first };
	memcpy(ir->ports, short_lists, sizeof(short_lists));
	ir->n_ports = first;
	ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ 6, first, LONG_LIST };
	for (uint16_t i = 0; i < LONG_LIST; i++)
		ir->ports[ir->n_ports++] = (struct rs_ir_port){ 6, (uint16_t)(70 + 1000 * i),
								(uint16_t)(90 + 1000 * i), true };
}

static uint32_t a_profile(void)
{
	return 1 + below(6);
}

static void fill_groups(struct rs_ir *ir)
{
	ir->groups = rs_ir_alloc(ir, 2 * GROUPS, sizeof(*ir->groups));
	ir->cells = rs_ir_alloc(ir, 2 * GROUPS * CLASSES, sizeof(*ir->cells));
	for (uint8_t dir = RS_DIR_IN; dir <= RS_DIR_OUT; dir++)
		for (uint32_t g = 1; g <= GROUPS; g++) {
			bool isolated = g > 1;

			ir->groups[ir->n_groups++] =
				(struct rs_ir_group){ .dir = dir,
						      .group = g,
						      .isolated = isolated,
						      .profile = isolated ? RS_PROFILE_DENY
									  : RS_PROFILE_ALLOW };
			for (uint32_t c = 1; isolated && c <= CLASSES; c++)
				if (below(2))
					ir->cells[ir->n_cells++] =
						(struct rs_ir_cell){ .dir = dir,
								     .group = g,
								     .cls = c,
								     .profile = a_profile() };
		}
}

static void add_family(struct rs_ir *ir, int family)
{
	for (size_t i = 0; i < 6; i++)
		ir->addrs[ir->n_addrs++] =
			(struct rs_ir_addr){ nth(family, i), 1 + below(CLASSES), NULL };
	for (uint32_t i = 0; i < 4; i++) {
		struct rs_ir_guard *g = &ir->guards[ir->n_guards];
		uint32_t group = i < 3 ? 1 + below(GROUPS) : 0;

		ir->locals[ir->n_locals++] =
			(struct rs_ir_local){ nth(family, i), group, group ? 1 + below(GROUPS) : 0,
					      NULL };
		*g = (struct rs_ir_guard){ .ifindex = 101 + i, .addr = nth(family, i) };
		g->ll = addr("fe80::a:1");
		ir->n_guards += i != 2; /* the third one's link is not programmed */
	}
}

static int guard_cmp(const void *a, const void *b)
{
	const struct rs_ir_guard *x = a, *y = b;

	return x->ifindex != y->ifindex ? (x->ifindex < y->ifindex ? -1 : 1)
					: rs_addr_cmp(&x->addr, &y->addr);
}

static struct rs_ir *a_world(uint64_t generation)
{
	struct rs_ir *ir = rs_ir_new();
	struct rs_cidr c;

	ir->generation = generation;
	fill_profiles(ir);
	fill_groups(ir);
	ir->addrs = rs_ir_alloc(ir, 12, sizeof(*ir->addrs));
	ir->locals = rs_ir_alloc(ir, 8, sizeof(*ir->locals));
	ir->guards = rs_ir_alloc(ir, 9, sizeof(*ir->guards));
	add_family(ir, 4);
	add_family(ir, 6);
	qsort(ir->guards, ir->n_guards, sizeof(*ir->guards), guard_cmp);
	ir->ranges = rs_ir_alloc(ir, 2, sizeof(*ir->ranges));
	ir->ranges[ir->n_ranges++] =
		(struct rs_ir_range){ addr("203.0.113.0"), addr("203.0.113.99"),
				      1 + below(CLASSES) };
	ir->ranges[ir->n_ranges++] =
		(struct rs_ir_range){ addr("2001:db8::"), addr("2001:db8::ffff"),
				      1 + below(CLASSES) };
	ir->node_ranges = rs_ir_alloc(ir, 2, sizeof(*ir->node_ranges));
	for (int i = 0; i < 2; i++)
		if (!rs_cidr_parse(i ? "fd00::/64" : "10.0.0.0/24", &c, NULL, NULL))
			ir->node_ranges[ir->n_node_ranges++] = c;
	return ir;
}

/* The next state is written, and its epoch does not come. */
static bool write_only(struct rs_dp *dp, const struct rs_ir *ir)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	struct rs_bpf_steps steps = { 0 };
	rs_auto_bpf_plan *to = NULL;
	bool ok = rs_bpf_plan_from_ir(ir, NULL, &to, NULL) == 0;

	if (ok)
		rs_bpf_steps_make(e->model, to, &steps);
	ok = ok && steps.n && rs_bpf_steps_apply(&e->set, &steps, e->set.cfg->epoch + 1, NULL) == 0;
	rs_vec_free(&steps);
	return ok;
}

/* ---- a packet -------------------------------------------------------------------------------- */

/* Of the pod that holds an address; 2 is the uplink. */
static uint32_t link_of(const struct rs_addr *a)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct rs_addr four = nth(4, i), six = nth(6, i);

		if (!rs_addr_cmp(a, &four) || !rs_addr_cmp(a, &six))
			return 101 + i;
	}
	return 2;
}

static void choose_links(struct rs_packet *p)
{
	static const uint32_t links[] = { 0, 0, 1, 2, 2, 101, 102, 103, 104, 150 };

	p->iif = ONE_OF(links);
	p->oif = ONE_OF(links);
	if (below(3)) { /* as they are */
		p->iif = link_of(&p->src);
		p->oif = link_of(&p->dst);
	}
	p->iif_group = p->iif > 100 ? RS_LINK_GROUP ^ below(2) : 0;
	p->oif_group = p->oif > 100 ? RS_LINK_GROUP ^ below(2) : 0;
}

static void choose_flow(struct rs_packet *p, int family)
{
	static const uint8_t states[] = { RS_CT_INVALID,     RS_CT_UNTRACKED, RS_CT_NEW,
					  RS_CT_NEW,	     RS_CT_NEW,	      RS_CT_ESTABLISHED,
					  RS_CT_ESTABLISHED, RS_CT_RELATED };
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	size_t n = family == 4 ? RS_ARRAY_SIZE(v4) : RS_ARRAY_SIZE(v6);

	p->ct_state = ONE_OF(states);
	p->ct_reply = below(2);
	p->ct_proto = p->ct_state == RS_CT_RELATED ? ONE_OF(protos) : p->proto;
	p->orig.src = p->ct_reply ? p->dst : p->src;
	p->reply.src = p->ct_reply ? p->src : p->dst;
	if (p->ct_state == RS_CT_RELATED && below(2)) { /* about somebody else's flow */
		p->orig.src = nth(family, below((uint32_t)n));
		p->reply.src = nth(family, below((uint32_t)n));
	}
	p->orig.dst = p->reply.src;
	p->reply.dst = p->orig.src;
}

static void choose_port(struct rs_packet *p)
{
	static const uint16_t ports[] = { 53, 75, 80, 81, 1080, 9050, 9100, 9101, 65535 };

	p->dport = ONE_OF(ports);
	p->reply.sport = p->dport;
	p->orig.dport = p->dport;
}

static struct rs_packet a_packet(void)
{
	static const uint8_t tcp_flags[] = { 0x02, 0x02, 0x10, 0x12, 0x04, 0x11 };
	static const uint8_t protos[] = { IPPROTO_TCP,	IPPROTO_TCP,  IPPROTO_UDP,
					  IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_GRE };
	static const uint8_t icmp[] = { 0, 3, 8, 128, 129, 130, 133, 135, 136, 137, 143 };
	int family = below(2) ? 4 : 6;
	size_t n = family == 4 ? RS_ARRAY_SIZE(v4) : RS_ARRAY_SIZE(v6);
	struct rs_packet p = { .proto = ONE_OF(protos), .ttl = below(2) ? 255 : 64 };

	if (family == 6 && p.proto == IPPROTO_ICMP)
		p.proto = IPPROTO_ICMPV6;
	p.src = nth(family, below((uint32_t)n));
	p.dst = nth(family, below((uint32_t)n));
	p.ip_words = family == 4 && !below(8) ? 6 : 0;
	p.sport = 40001;
	choose_port(&p);
	p.tcp_flags = ONE_OF(tcp_flags);
	p.sctp_chunk = (uint8_t)below(2);
	p.icmp_type = ONE_OF(icmp);
	choose_links(&p);
	choose_flow(&p, family);
	return p;
}

/* ---- the run --------------------------------------------------------------------------------- */

static size_t differ, said[RS_DROP_REASONS + 1];

static void ask(struct rs_dp *dp, enum rs_hook hook, const struct rs_packet *p)
{
	char src[RS_ADDR_STRLEN], dst[RS_ADDR_STRLEN];
	rs_auto_err err = { 0 };
	unsigned int verdict = 0;
	struct rs_walk w;

	if (pv_bpf_walk(dp, hook, p, &w, &err) == 0) {
		sscanf(w.chain, "verdict %u", &verdict);
		said[verdict == RS_BPF_ACCEPT || verdict == RS_BPF_COUNT_QUIET ? RS_DROP_REASONS
									       : verdict / 2]++;
		return;
	}
	if (differ++ < 5)
		printf("     hook %d, %s > %s, protocol %u to %u, state %#x%s, links %u %u: %s\n",
		       hook, rs_addr_str(&p->src, src), rs_addr_str(&p->dst, dst), p->proto,
		       p->dport, p->ct_state, p->ct_reply ? " reply" : "", p->iif, p->oif,
		       rs_err_str(&err));
}

/* And some like it, for which the program may remember what it said. */
static void one(struct rs_dp *dp)
{
	static const enum rs_hook hooks[] = { RS_HOOK_PREROUTING, RS_HOOK_INPUT,
					      RS_HOOK_POSTROUTING };
	enum rs_hook hook = ONE_OF(hooks);
	struct rs_packet p = a_packet();

	if (hook == RS_HOOK_PREROUTING)
		p.ct_state = RS_CT_INVALID;
	ask(dp, hook, &p);
	for (int i = 0; hook != RS_HOOK_PREROUTING && i < 2; i++) {
		p.ct_state = RS_CT_ESTABLISHED;
		choose_links(&p);
		if (below(2))
			choose_port(&p);
		ask(dp, hook, &p);
	}
}

/* Each processor remembers for itself. */
static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	(void)sched_setaffinity(0, sizeof(here), &here);
}

static bool next_world(struct rs_dp **dp, uint64_t generation)
{
	struct rs_ir *ir = a_world(generation), *later = a_world(generation + 1);
	rs_auto_err err = { 0 };
	bool ok = pv_bpf_commit(dp, 0, ir, &err) == 0;

	if (ok && generation % 2)
		ok = write_only(*dp, later);
	if (!ok)
		printf("FAIL a world: %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	rs_ir_free(later);
	return ok;
}

int main(int argc, char **argv)
{
	unsigned long packets = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	struct rs_dp *dp = NULL;
	rs_auto_err err = { 0 };
	int passed = 0, failed = 0;

	state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) || pv_bpf_mount(&err) < 0) {
		printf("root and a bpffs are needed %s\n0 passed, 0 failed, 1 skipped\n",
		       rs_err_str(&err));
		return 0;
	}
	stay_here();
	for (uint64_t w = 0; w < 20 && !failed; w++) {
		failed += !next_world(&dp, 1 + w);
		for (unsigned long i = 0; i < packets / 20 && !failed; i++)
			one(dp);
		if (dp && !failed && w % 2 == 0) { /* what was written and never came */
			dp->ops->close(dp);
			dp = NULL;
		}
	}
	failed += differ > 0;
	passed += !differ;
	printf("%s %lu packets: program and maps read again, %zu differ\n",
	       differ ? "FAIL" : "ok  ", packets, differ);
	for (int i = 0; i <= RS_DROP_REASONS; i++) {
		const char *name = i < RS_DROP_REASONS ? rs_drop_reason_name((enum rs_drop_reason)i)
						       : "passed, or quiet";
		bool enough = said[i] || i == RS_DROP_MALFORMED;

		printf("%s %zu %s\n", enough ? "ok  " : "FAIL", said[i], name);
		passed += enough;
		failed += !enough;
	}
	if (dp)
		dp->ops->close(dp);
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed > 0;
}
