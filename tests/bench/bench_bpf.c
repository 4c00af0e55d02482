// SPDX-License-Identifier: Apache-2.0
/*
 * bench_bpf.c - the eBPF dataplane's programs and maps by size: what a verdict costs (the kernel runs the
 * program a hundred thousand times and tells), and what commits cost. Root; in namespaces of its own.
 *
 *	bench_bpf [ENTRIES...]		default 1000 10000 100000
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <ripstop/linkgroup.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"

#define REPEAT 100000
#define ROUNDS 9
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

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Median of some rounds, in ns; the verdict in *verdict. */
static uint32_t cost(const struct rs_bpf_set *s, const struct rs_bpf_case *c, uint32_t *verdict)
{
	uint32_t ns[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = c, .data_size_in = sizeof(*c),
			    .repeat = REPEAT);

		if (bpf_prog_test_run_opts(s->judge, &o)) {
			perror("run");
			exit(1);
		}
		ns[i] = o.duration;
		*verdict = o.retval;
	}
	qsort(ns, ROUNDS, sizeof(*ns), cmp_u32);
	return ns[ROUNDS / 2];
}

/* len 0: a description that nothing counts. */
static void show(const struct rs_bpf_set *s, const char *what, struct rs_addr client,
		 struct rs_addr server, uint16_t port, uint32_t len)
{
	struct rs_bpf_case c = { .hook = RS_BPF_HOOK_FORWARDED };
	uint32_t verdict, ns;

	c.view.iif = c.view.oif = 101;
	c.view.iif_group = client.b[0] == 10 ? RS_LINK_GROUP : 0;
	c.view.oif_group = server.b[0] == 10 ? RS_LINK_GROUP : 0;
	c.view.src = c.view.client = rs_bpf_addr_of(&client);
	c.view.dst = c.view.server = rs_bpf_addr_of(&server);
	c.view.state = RS_BPF_CT_ESTABLISHED;
	c.view.flow_proto = c.view.l4 = 6;
	c.view.port = port;
	c.view.len = len;
	ns = cost(s, &c, &verdict);
	printf("  %-44s %5u ns, %s\n", what, ns, verdict == RS_BPF_ACCEPT ? "accepted" : "dropped");
}

static double commit(struct rs_dp *dp, const struct rs_ir *ir, struct rs_dp_commit *done)
{
	rs_auto_err err = { 0 };
	double begin = now_ms();

	if (dp->ops->commit(dp, ir, done, &err)) {
		fprintf(stderr, "commit: %s\n", rs_err_str(&err));
		exit(1);
	}
	return now_ms() - begin;
}

static void measure_commits(struct rs_dp *dp, uint32_t n)
{
	struct rs_ir *more = world(n, LOCALS), *less = world(n, LOCALS - 1);
	struct rs_ir_move v = { .addr = nth(11, 1), .from = RS_CLASS_NONE, .to = 1 };
	struct rs_ir_moves m = { .generation = 1, .v = &v, .n = 1 };
	struct rs_dp_commit done;
	double begin;

	commit(dp, less, &done);
	usleep(50000); /* the grace period that it owes */
	printf("  a pod joins, as a whole commit               %8.2f ms, %zu writes and the "
	       "epoch\n",
	       commit(dp, more, &done), done.messages);
	usleep(50000);
	begin = now_ms();
	if (dp->ops->shift(dp, more, &m, &done, NULL) == 0)
		printf("  a pod elsewhere, as a move                   %8.3f ms, %zu write and the "
		       "epoch\n",
		       now_ms() - begin, done.messages);
	rs_ir_free(more);
	rs_ir_free(less);
}

/* What the agent does every few seconds. */
static void measure_looks(struct rs_dp *dp)
{
	struct rs_dp_drifts d = { 0 };
	double begin = now_ms(), check;

	(void)rs_ebpf_check(rs_ebpf_of(dp), NULL);
	check = now_ms() - begin;
	begin = now_ms();
	(void)dp->ops->audit(dp, &d, NULL);
	printf("  a look at pins and hooks                     %8.3f ms; an audit %.3f ms, %zu "
	       "differences\n",
	       check, now_ms() - begin, d.n);
	rs_dp_drifts_free(&d);
}

static void measure(const struct rs_dp_config *cfg, uint32_t n)
{
	struct rs_ir *ir = world(n, LOCALS);
	struct rs_dp_commit done;
	struct rs_dp *dp;
	double ms;

	if (rs_dp_ebpf.open(cfg, &dp, NULL))
		exit(1);
	ms = commit(dp, ir, &done);
	printf("%u addresses, %zu cells, %zu blocks: the whole set in %.0f ms, %zu writes\n", n,
	       ir->n_cells, ir->n_ranges, ms, done.messages);
	show(&rs_ebpf_of(dp)->set, "both ends isolated, a cell each", nth(10, 1), nth(10, 2), PORT,
	     0);
	show(&rs_ebpf_of(dp)->set, "the same, counted for two rules", nth(10, 1), nth(10, 2), PORT,
	     100);
	show(&rs_ebpf_of(dp)->set, "to a block", nth(10, 1), nth(172, 10), PORT, 0);
	show(&rs_ebpf_of(dp)->set, "denied by the client's default", nth(10, 1), nth(192, 1), PORT,
	     0);
	show(&rs_ebpf_of(dp)->set, "nobody of ours", nth(192, 1), nth(193, 1), PORT, 0);
	measure_commits(dp, n);
	measure_looks(dp);
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	rs_ir_free(ir);
}

int main(int argc, char **argv)
{
	struct rs_dp_config cfg;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL)) {
		fprintf(stderr, "bench_bpf: root and a bpffs are needed: %s\n", strerror(errno));
		return 2;
	}
	rs_dp_config_default(&cfg);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		measure(&cfg, (uint32_t)strtoul(argv[i], NULL, 10));
	for (uint32_t n = 1000; argc < 2 && n <= 100000; n *= 10)
		measure(&cfg, n);
	return 0;
}
