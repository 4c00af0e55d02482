// SPDX-License-Identifier: Apache-2.0
/*
 * bench_bpf.c - the eBPF dataplane's programs and maps by size: what a verdict costs (the kernel runs the
 * program some ten thousand times and tells), and what commits and looks cost (docs/bench.md).
 *
 *	bench_bpf --build DIR --seconds N
 *
 * The sizes are made once, each in a network namespace and with pins of its own; rounds go over all of them.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ripstop/linkgroup.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"
#include "tests/bench/benchkit.h"

#define TCP_SYN 0x02
#define REPEAT 20000
#define ROUNDS 51
#define ENOUGH 21
#define GRACE_US 20000 /* a commit owes it to the next */
#define CLASSES 5000
#define LOCALS 100
#define PORT 8080
#define RULES 1000

static struct rs_addr nth(uint32_t net, uint32_t i)
{
	uint32_t n = net << 24 | i;

	return (struct rs_addr){
		RS_AF_IP4, { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n }
	};
}

/* Pods 10.0.0.1 on, the first hundred of this node; each local one has groups of its own, whose cells
 * name classes; blocks 172.x.x.0/24. */
static void fill_cells(struct rs_ir *ir, uint32_t n)
{
	uint32_t each = n / (2 * LOCALS);

	ir->groups = rs_ir_alloc(ir, 2 * LOCALS, sizeof(*ir->groups));
	ir->cells = rs_ir_alloc(ir, 2 * LOCALS * each, sizeof(*ir->cells));
	for (uint8_t dir = RS_DIR_IN; dir <= RS_DIR_OUT; dir++)
		for (uint32_t g = 1; g <= LOCALS; g++) {
			ir->groups[ir->n_groups++] = (struct rs_ir_group){
				.dir = dir, .group = g, .profile = RS_PROFILE_DENY, .isolated = true
			};
			/* The last two are the blocks' classes. */
			for (uint32_t c = 1; c <= each; c++)
				ir->cells[ir->n_cells++] = (struct rs_ir_cell){
					.dir = dir,
					.group = g,
					.cls = c + 2 > each ? CLASSES + 2 - (each - c) : c,
					.profile = 3 + c % 64,
					.first_why = c % RULES,
					.n_why = 1
				};
		}
}

/* One for each of a thousand policies, and each cell is one's. */
static void fill_rules(struct rs_ir *ir)
{
	ir->rules = rs_ir_alloc(ir, RULES, sizeof(*ir->rules));
	ir->whys = rs_ir_alloc(ir, RULES, sizeof(*ir->whys));
	ir->n_rules = ir->n_whys = RULES;
	for (uint32_t i = 0; i < RULES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "policy-%u", i);
		ir->rules[i] = (struct rs_ir_rule){ .ns = "default",
						    .name = rs_ir_strdup(ir, name),
						    .dir = RS_DIR_IN };
		ir->whys[i] = (struct rs_ir_portrule){ .rule = i, .hi = UINT16_MAX };
	}
}

static void fill_profiles(struct rs_ir *ir)
{
	ir->profiles = rs_ir_alloc(ir, 64, sizeof(*ir->profiles));
	ir->ports = rs_ir_alloc(ir, 128, sizeof(*ir->ports));
	for (uint32_t i = 0; i < 64; i++) {
		ir->profiles[ir->n_profiles++] =
			(struct rs_ir_profile){ .profile = 3 + i, .first = 2 * i, .n = 2 };
		ir->ports[ir->n_ports++] = (struct rs_ir_port){ 6, PORT, PORT, true };
		ir->ports[ir->n_ports++] =
			(struct rs_ir_port){ 17, (uint16_t)(1000 + i), (uint16_t)(2000 + i), true };
	}
}

static void fill_addresses(struct rs_ir *ir, uint32_t n)
{
	ir->addrs = rs_ir_alloc(ir, n, sizeof(*ir->addrs));
	ir->ranges = rs_ir_alloc(ir, n / 10, sizeof(*ir->ranges));
	for (uint32_t i = 1; i <= n; i++)
		ir->addrs[ir->n_addrs++] = (struct rs_ir_addr){ nth(10, i), 1 + i % CLASSES, NULL };
	for (uint32_t i = 0; i < n / 10; i++)
		ir->ranges[ir->n_ranges++] =
			(struct rs_ir_range){ nth(172, i * 512), nth(172, i * 512 + 255),
					      CLASSES + 1 + i % 2 };
}

static struct rs_ir *world(uint32_t n, uint32_t locals)
{
	struct rs_ir *ir = rs_ir_new();

	ir->generation = n + locals;
	fill_addresses(ir, n);
	fill_cells(ir, n);
	fill_profiles(ir);
	fill_rules(ir);
	ir->locals = rs_ir_alloc(ir, locals, sizeof(*ir->locals));
	ir->guards = rs_ir_alloc(ir, locals, sizeof(*ir->guards));
	for (uint32_t i = 1; i <= locals; i++) {
		uint32_t g = 1 + (i - 1) % LOCALS;

		ir->locals[ir->n_locals++] = (struct rs_ir_local){ nth(10, i), g, g, NULL };
		ir->guards[ir->n_guards++] =
			(struct rs_ir_guard){ .ifindex = 100 + i, .addr = nth(10, i) };
	}
	return ir;
}

/* ---- what is measured ------------------------------------------------------------------------ */

struct size {
	const char *name;
	uint32_t n;
	int ns;
	struct rs_dp *dp;
	struct rs_ir *more, *less; /* less: the last pod of this node has not come yet */
};

static struct size sizes[] = {
	{ .name = "1k", .n = 1000 },
	{ .name = "10k", .n = 10000 },
	{ .name = "100k", .n = 100000 },
};

#define SIZES RS_ARRAY_SIZE(sizes)

static void say(const char *what, const struct size *z, int round, double value, const char *unit)
{
	char series[64];

	snprintf(series, sizeof(series), "bpf.%s.%s", what, z->name);
	bench_value(series, round, value, unit);
}

/* A first packet is looked up in the maps; what was allowed is remembered for those behind it. len
 * 0: a description that nothing counts. */
static void verdict(const struct size *z, int round, const char *what, struct rs_addr server,
		    uint32_t len, bool first, bool accepted)
{
	struct rs_addr client = nth(10, 1);
	struct rs_bpf_case c = { .hook = RS_BPF_HOOK_FORWARDED };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = &c, .data_size_in = sizeof(c),
		    .repeat = REPEAT);

	c.view.iif = c.view.oif = 101;
	c.view.iif_group = RS_LINK_GROUP;
	c.view.oif_group = server.b[0] == 10 ? RS_LINK_GROUP : 0;
	c.view.src = c.view.client = rs_bpf_addr_of(&client);
	c.view.dst = c.view.server = rs_bpf_addr_of(&server);
	c.view.state = first ? RS_BPF_CT_NEW : RS_BPF_CT_ESTABLISHED;
	c.view.tcp_flags = first ? TCP_SYN : 0;
	c.view.l4_read = 1;
	c.view.flow_proto = c.view.l4 = 6;
	c.view.port = PORT;
	c.view.len = len;
	if (bpf_prog_test_run_opts(rs_ebpf_of(z->dp)->set.judge, &o))
		bench_die("the kernel does not run the judge: %s", strerror(errno));
	if ((o.retval == RS_BPF_ACCEPT) != accepted)
		bench_die("bpf.%s.%s: the verdict is wrong", what, z->name);
	say(what, z, round, o.duration, "ns");
}

static void verdicts(const struct size *z, int round)
{
	verdict(z, round, "verdict", nth(10, 2), 0, true, true);
	verdict(z, round, "verdict-counted", nth(10, 2), 100, true, true);
	verdict(z, round, "verdict-again", nth(10, 2), 0, false, true);
	verdict(z, round, "verdict-block", nth(172, 10), 0, true, true);
	verdict(z, round, "verdict-denied", nth(192, 1), 0, true, false);
}

/* How many writes; in ms what it took. */
static size_t commit(const struct size *z, const struct rs_ir *ir, double *ms)
{
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	double begin;

	usleep(GRACE_US);
	begin = bench_now_ms();
	if (z->dp->ops->commit(z->dp, ir, &done, &err))
		bench_die("commit at %s: %s", z->name, rs_err_str(&err));
	*ms = bench_now_ms() - begin;
	return done.messages;
}

/* The store that makes a commit valid is a write too. */
static void join(const struct size *z, int round)
{
	double ms;
	size_t writes;

	commit(z, z->less, &ms);
	writes = commit(z, z->more, &ms);
	say("join", z, round, (double)writes + 1, "writes");
	say("join-time", z, round, ms, "ms");
}

static void move(const struct size *z, int round)
{
	struct rs_ir_move v = { .addr = nth(11, 1), .from = RS_CLASS_NONE, .to = 1 };
	struct rs_ir_move back = { .addr = v.addr, .from = 1, .to = RS_CLASS_NONE };
	struct rs_ir_moves there = { .generation = 1, .v = &v, .n = 1 };
	struct rs_ir_moves home = { .generation = 2, .v = &back, .n = 1 };
	struct rs_dp_commit done;
	double begin;

	usleep(GRACE_US);
	begin = bench_now_ms();
	if (z->dp->ops->shift(z->dp, z->more, &there, &done, NULL))
		bench_die("a move at %s failed", z->name);
	say("move", z, round, bench_now_ms() - begin, "ms");
	usleep(GRACE_US);
	if (z->dp->ops->shift(z->dp, z->more, &home, &done, NULL))
		bench_die("a move back at %s failed", z->name);
}

/* What the agent does every second. */
static void look(const struct size *z, int round)
{
	double begin = bench_now_ms();

	bk_ns_enter(z->ns);
	if (rs_ebpf_check(rs_ebpf_of(z->dp), NULL))
		bench_die("at %s something is not as it was made", z->name);
	say("look", z, round, bench_now_ms() - begin, "ms");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void make(struct size *z)
{
	rs_autofree char *pins = rs_asprintf(BK_BPFFS "/%s", z->name);
	struct rs_dp_config cfg;
	rs_auto_err err = { 0 };
	double ms;
	size_t writes;

	z->ns = bk_ns_new();
	z->more = world(z->n, LOCALS);
	z->less = world(z->n, LOCALS - 1);
	rs_dp_config_default(&cfg);
	cfg.bpf_dir = pins;
	if (rs_dp_ebpf.open(&cfg, &z->dp, &err))
		bench_die("eBPF cannot be had here: %s", rs_err_str(&err));
	writes = commit(z, z->more, &ms);
	bench_note(
		"bpf %s: %u addresses, %zu cells, %zu blocks: the whole set in %.0f ms, %zu writes",
		z->name, z->n, z->more->n_cells, z->more->n_ranges, ms, writes);
}

static void one_round(int round)
{
	size_t order[SIZES] = { 0, 1, 2 };

	bk_shuffle(order, SIZES);
	for (size_t i = 0; i < SIZES; i++)
		verdicts(&sizes[order[i]], round);
	for (size_t i = 0; i < SIZES; i++) {
		join(&sizes[order[i]], round);
		move(&sizes[order[i]], round);
		look(&sizes[order[i]], round);
	}
}

int main(int argc, char **argv)
{
	struct bench_args args;
	const char *no_bpffs;
	int round = 0;

	bench_args_read(&args, argc, argv);
	bk_need_root();
	no_bpffs = bk_bpffs();
	if (no_bpffs)
		bench_die("no bpffs can be mounted here: %s", no_bpffs);
	bk_pin();
	for (size_t i = 0; i < SIZES; i++)
		make(&sizes[i]);
	while (round < ROUNDS && (round < ENOUGH || bench_share_gone(&args) < 0.9))
		one_round(++round);
	for (size_t i = 0; i < SIZES; i++) {
		bk_ns_enter(sizes[i].ns);
		sizes[i].dp->ops->remove(sizes[i].dp, NULL);
		sizes[i].dp->ops->close(sizes[i].dp);
		rs_ir_free(sizes[i].more);
		rs_ir_free(sizes[i].less);
	}
	return 0;
}
