// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_sources.c - what the guards remember of a pod link's sources is none any more when the link
 * has another address, MAC or group, or is nobody's; and none of another link.
 *
 * The judge lets all of these packets pass: a guard alone is between them and pod a.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"
#include "ebpf_bed.h"
#include "nft_check.h"

#define PORT 4242
#define OTHER "10.244.0.77"

/* Pod b's link, otherwise than `full` has it. */
struct change {
	const char *addr; /* its IPv4 address */
	uint8_t mac;	  /* the last byte of its MAC */
	bool gone;
	uint64_t generation;
};

static void keep_guards(struct rs_ir *ir, const struct change *c)
{
	size_t n = 0;

	for (size_t i = 0; i < ir->n_guards; i++) {
		struct rs_ir_guard g = ir->guards[i];

		if (g.ifindex == bed_ifindex(POD_B)) {
			if (c->gone)
				continue;
			if (c->mac)
				g.mac[5] = c->mac;
			if (c->addr && g.addr.family == RS_AF_IP4)
				rs_addr_parse(c->addr, &g.addr, NULL);
		}
		ir->guards[n++] = g;
	}
	ir->n_guards = n;
}

/* b's too, to everybody but the guards. */
static void add_local(struct rs_ir *ir, const char *addr)
{
	struct rs_ir_local *l = rs_ir_alloc(ir, ir->n_locals + 1, sizeof(*l));
	size_t at = 0;

	while (ir->locals[at].addr.family == RS_AF_IP4)
		at++;
	memcpy(l, ir->locals, at * sizeof(*l));
	memcpy(l + at + 1, ir->locals + at, (ir->n_locals - at) * sizeof(*l));
	l[at] = l[POD_B];
	rs_addr_parse(addr, &l[at].addr, NULL);
	ir->locals = l;
	ir->n_locals++;
}

static void put(struct rs_dp *dp, const struct change *c)
{
	struct rs_ir *ir = bed_ir(&full);
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };

	ir->generation = c->generation;
	keep_guards(ir, c);
	add_local(ir, OTHER);
	if (dp->ops->commit(dp, ir, &done, &err))
		check(false, rs_err_str(&err));
	rs_ir_free(ir);
}

static bool from(enum bed_place pod, const char *src)
{
	return bed_forged(pod, src, POD_A, PORT);
}

static bool from_b(void)
{
	return from(POD_B, bed_addr(POD_B, 4));
}

static bool from_b_by_6(void)
{
	return bed_udp(POD_B, POD_A, 6, PORT);
}

/* What was found is remembered by then. */
static bool warm(struct rs_dp *dp)
{
	return commit(dp, &full, NULL) && from_b() && from_b() && from_b_by_6() && from_b_by_6();
}

static void say(bool ok, const char *who, const char *what)
{
	rs_autofree char *line = rs_asprintf("%s: %s", who, what);

	check(ok, line);
}

static void test_links(struct rs_dp *dp, const char *who)
{
	say(warm(dp), who, "control: what b sends arrives");
	say(!from(POD_C, bed_addr(POD_B, 4)) && !from(POD_B, OTHER), who,
	    "neither b's source from c nor another of b");
	put(dp, &(struct change){ .addr = OTHER, .generation = 201 });
	say(!from_b() && from(POD_B, OTHER), who, "b's link has another address");
	say(!from_b() && from_b_by_6() && from(POD_B, OTHER), who, "and what it has it keeps");
	say(warm(dp) && !from(POD_B, OTHER), who, "and the first one again");
	put(dp, &(struct change){ .gone = true, .generation = 202 });
	say(!from_b() && !from_b_by_6(), who, "b's link is nobody's");
	say(warm(dp), who, "and b's again");
}

/* By the netfilter guard: the other one is told of a link by standing there. */
static void test_group(struct rs_dp *dp)
{
	say(warm(dp), "netfilter guard", "control: what b sends arrives");
	bed_sh(NODE, NULL, "ip link set rsb group 0");
	check(!from_b(), "a device that is no pod link any more has no pod's source");
	bed_sh(NODE, NULL, "ip link set rsb group 0x5248");
	check(from_b(), "control: and as a pod link again it has");
}

static void test_mac(struct rs_dp *dp)
{
	check(warm(dp), "control: frames of b's MAC arrive");
	put(dp, &(struct change){ .mac = 9, .generation = 203 });
	check(!from_b() && !from_b_by_6(), "b's link has another MAC");
	check(warm(dp), "and the first one again");
}

static void detach_netfilter(struct rs_dp *dp)
{
	for (int i = 0; i < RS_BPF_FAMILIES; i++)
		bpf_link_detach(rs_ebpf_of(dp)->set.link[i]);
}

/* Each processor remembers for itself: all of it is to be one's. */
static void pin(cpu_set_t *was)
{
	cpu_set_t one;

	sched_getaffinity(0, sizeof(*was), was);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, was)) {
			CPU_SET(i, &one);
			break;
		}
	sched_setaffinity(0, sizeof(one), &one);
}

void test_sources(void)
{
	struct rs_dp *dp = open_dp();
	cpu_set_t was;

	pin(&was);
	commit(dp, &full, NULL);
	test_links(dp, "both guards");
	test_mac(dp);
	if (bed_ops != &rs_dp_ebpf_tc) {
		/* A commit puts back what an audit misses, and nothing has looked. */
		stand_detach("rsb");
		stand_detach("rsc");
		test_links(dp, "netfilter guard");
		test_group(dp);
		drifts(dp, NULL);
		check(commit(dp, &full, NULL) && drifts(dp, NULL) == 0, "all stands again");
		detach_netfilter(dp);
		test_links(dp, "guard at the link");
		drifts(dp, NULL);
		check(commit(dp, &full, NULL) && drifts(dp, NULL) == 0, "all stands again");
	}
	sched_setaffinity(0, sizeof(was), &was);
	dp->ops->close(dp);
}
