// SPDX-License-Identifier: Apache-2.0
/*
 * bench_packets.c - what a packet of a policed pod pair costs, side by side with the same pair without policy and
 * under rules of other kinds (docs/bench-net.md).
 *
 *	bench_packets --build DIR --seconds N
 *
 * Every configuration has a node and two pods of its own, made and filled once; then rounds go over all of them, in an
 * order that is drawn anew for each round and figure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ripstop/dataplane.h>

#include "base/base.h"
#include "tests/bench/benchkit.h"
#include "tests/bench/flows.h"
#include "tests/bench/pairw.h"
#include "tests/bench/rivals.h"

#define ROUNDS_MAX 51u
#define ROUNDS_MIN 30u	 /* for which samples are made shorter */
#define ENOUGH 21u	 /* of which a ratio may be told */
#define FIGURE_MAX_S 0.3 /* of traffic for one figure */
#define FIGURE_MIN_S 0.06
#define WINDOWS 3u /* samples of one figure in a round */
#define SETTLE_S 0.01

enum kind {
	NO_TABLE,
	OURS,
	OURS_BPF,
	CHAINS,
	PER_PEER,
};

/* Figures, as bits. */
enum {
	UDP = 1,
	CONNECT = 2,
	BULK = 4,
	LATENCY = 8,
	FIGURES = 4,
};

static const char *const figure_name[FIGURES] = { "udp", "connect", "bulk", "latency" };

struct config {
	const char *name;
	enum kind kind;
	size_t policies, pods;
	bool cache;
	unsigned int figures;
	struct podpair pair;
	bool ready;
	double lost; /* the greatest share of datagrams that a sample missed */
	size_t failed[FIGURES], done[FIGURES];
};

static struct config configs[] = {
	{ .name = "none", .kind = NO_TABLE, .figures = UDP | CONNECT | BULK | LATENCY },
	{ .name = "100",
	  .kind = OURS,
	  .policies = 10,
	  .pods = 100,
	  .cache = true,
	  .figures = UDP | CONNECT | BULK | LATENCY },
	{ .name = "1k",
	  .kind = OURS,
	  .policies = 1000,
	  .pods = 10000,
	  .cache = true,
	  .figures = UDP | CONNECT | BULK | LATENCY },
	{ .name = "10k",
	  .kind = OURS,
	  .policies = 10000,
	  .pods = 100000,
	  .cache = true,
	  .figures = UDP | CONNECT | BULK | LATENCY },
	{ .name = "10k.anew", .kind = OURS, .policies = 10000, .pods = 100000, .figures = UDP },
	{ .name = "100.ebpf",
	  .kind = OURS_BPF,
	  .policies = 10,
	  .pods = 100,
	  .figures = UDP | CONNECT },
	{ .name = "10k.ebpf",
	  .kind = OURS_BPF,
	  .policies = 10000,
	  .pods = 100000,
	  .figures = UDP | CONNECT | BULK | LATENCY },
	{ .name = "chains",
	  .kind = CHAINS,
	  .policies = 1000,
	  .pods = 10000,
	  .figures = UDP | CONNECT },
	{ .name = "perpeer",
	  .kind = PER_PEER,
	  .policies = 1000,
	  .pods = 10000,
	  .figures = UDP | CONNECT },
};

#define CONFIGS RS_ARRAY_SIZE(configs)

static const char *no_bpffs; /* why there is none; NULL: there is */

static struct fl_path path_to(const struct config *c, uint16_t port)
{
	return (struct fl_path){ .client_ns = c->pair.pod[0].ns,
				 .server_ns = c->pair.pod[1].ns,
				 .server = c->pair.pod[1].addr,
				 .port = port };
}

/* ---- making them ----------------------------------------------------------------------------- */

static int commit_ours(const struct config *c, const struct worldw *w, struct rs_err *err)
{
	const struct rs_dp_ops *ops = c->kind == OURS_BPF ? &rs_dp_ebpf : &rs_dp_nft;
	rs_autofree char *pins =
		rs_asprintf(BK_BPFFS "/ripstop-%zu", c->pods); /* a bpffs takes no dot */
	struct rs_compiler *compiler = rs_compiler_new(NULL);
	struct rs_ir *was = NULL, *ir = NULL;
	struct rs_dp_commit done;
	struct rs_dp_config cfg;
	struct rs_dp *dp = NULL;
	int rc;

	rs_dp_config_default(&cfg);
	cfg.verdict_cache = c->cache;
	cfg.bpf_dir = pins;
	rc = ops->open(&cfg, &dp, err);
	if (rc == 0)
		rc = ops->read(dp, &was, err);
	if (rc == 0)
		rc = rs_compile(compiler, &w->w, &ir, NULL, err);
	if (rc == 0)
		rc = ops->commit(dp, ir, &done, err);
	rs_ir_free(was);
	rs_ir_free(ir);
	ops->close(dp);
	rs_compiler_free(compiler);
	return rc;
}

static int load_rival(const struct config *c, const struct worldw *w)
{
	rs_auto_strbuf text = { 0 };
	struct rival_size size;

	rivals_text(c->kind == CHAINS ? RIVAL_CHAINS : RIVAL_PER_PEER, w, &text, &size);
	bench_note("packets %s: %zu policies and %zu pods came to %zu rules of policies with %zu "
		   "addresses on this node",
		   c->name, c->policies, c->pods, size.rules, size.addresses);
	return bk_nft(text.s, text.len);
}

/* In a process of its own, whose memory goes with it. */
static int build_here(const struct config *c)
{
	struct worldw *w = worldw_new(c->policies, c->pods);
	rs_auto_err err = { 0 };
	int rc;

	pairw_put_policies(w);
	pairw_put_pods(w, &c->pair);
	bk_ns_enter(c->pair.node_ns);
	rc = c->kind == OURS || c->kind == OURS_BPF ? commit_ours(c, w, &err) : load_rival(c, w);
	if (rc && err.num)
		fprintf(stderr, "bench_packets: %s: %s\n", c->name, rs_err_str(&err));
	return rc ? 1 : 0;
}

static bool build(const struct config *c)
{
	int status;
	pid_t pid;

	if (c->kind == NO_TABLE)
		return true;
	pid = fork();
	if (pid < 0)
		bench_die("fork failed");
	if (pid == 0)
		_exit(build_here(c));
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A configuration that does not police would be a fast one. */
static const char *wrong_verdict(const struct config *c)
{
	struct fl_path open = path_to(c, PAIRW_PORT), closed = path_to(c, PAIRW_CLOSED);

	if (!fl_udp_passes(&open))
		return "allowed traffic does not get through";
	if (fl_udp_passes(&closed) != (c->kind == NO_TABLE))
		return c->kind == NO_TABLE ? "traffic is lost without any policy"
					   : "forbidden traffic gets through: nothing is policed";
	return NULL;
}

static void skip_all(const struct config *c, const char *why)
{
	static const char *const latency[] = { "latency50", "latency99" };

	for (unsigned int f = 0; f < FIGURES; f++) {
		char series[64];

		if (!(c->figures & 1u << f))
			continue;
		for (unsigned int k = 0; k < (1u << f == LATENCY ? 2u : 1u); k++) {
			snprintf(series, sizeof(series), "packets.%s.%s",
				 1u << f == LATENCY ? latency[k] : figure_name[f], c->name);
			bk_skip(series, "%s", why);
		}
	}
}

static void make(struct config *c)
{
	const struct rs_addr addr[2] = { pairw_addr(0), pairw_addr(1) };
	double t0 = bk_now();
	const char *why;

	podpair_make(&c->pair, addr);
	if (podpair_kube_proxy(&c->pair) != 0)
		bench_die("nft does not take kube-proxy's rules: is nftables installed?");
	if (c->kind == OURS_BPF && no_bpffs)
		why = "no bpffs can be mounted here";
	else
		why = build(c) ? NULL : "its rules could not be built here";
	if (!why) {
		podpair_open(&c->pair);
		why = wrong_verdict(c);
	}
	c->ready = !why;
	if (why)
		skip_all(c, why);
	else if (c->kind != NO_TABLE)
		bench_note("packets %s: world and rules made in %.1f s", c->name, bk_now() - t0);
}

/* ---- figures --------------------------------------------------------------------------------- */

static void sample(const char *figure, struct config *c, size_t round, double value,
		   const char *unit)
{
	char series[64];

	snprintf(series, sizeof(series), "packets.%s.%s", figure, c->name);
	bench_value(series, (int)round, value, unit);
}

static bool measure_udp(struct config *c, size_t round, double seconds)
{
	struct fl_path p = path_to(c, PAIRW_PORT + 1);
	double lost, rate = fl_udp_rate(&p, seconds, &lost);

	if (lost > c->lost)
		c->lost = lost;
	if (rate > 0)
		sample("udp", c, round, rate, "packets/s");
	return rate > 0;
}

static bool measure_connect(struct config *c, size_t round, double seconds)
{
	struct fl_path p = path_to(c, PAIRW_PORT + 2);
	double rate = fl_connect_rate(&p, seconds);

	if (rate > 0)
		sample("connect", c, round, rate, "connections/s");
	return rate > 0;
}

static bool measure_bulk(struct config *c, size_t round, double seconds)
{
	struct fl_path p = path_to(c, PAIRW_PORT + 3);
	double rate = fl_bulk_rate(&p, seconds);

	if (rate > 0)
		sample("bulk", c, round, rate, "Gbit/s");
	return rate > 0;
}

static bool measure_latency(struct config *c, size_t round, double seconds)
{
	struct fl_path p = path_to(c, PAIRW_PORT + 4);
	double p50, p99;

	if (!fl_latency(&p, seconds, &p50, &p99))
		return false;
	sample("latency50", c, round, p50, "us");
	sample("latency99", c, round, p99, "us");
	return true;
}

static bool (*const measure[FIGURES])(struct config *, size_t,
				      double) = { measure_udp, measure_connect, measure_bulk,
						  measure_latency };

static void one_round(size_t round, double seconds)
{
	size_t order[CONFIGS];

	for (size_t i = 0; i < CONFIGS; i++)
		order[i] = i;
	for (unsigned int f = 0; f < FIGURES; f++) {
		bk_shuffle(order, CONFIGS);
		for (size_t i = 0; i < CONFIGS; i++) {
			struct config *c = &configs[order[i]];

			if (!c->ready || !(c->figures & 1u << f))
				continue;
			for (unsigned int k = 0; k < WINDOWS; k++) {
				c->done[f]++;
				c->failed[f] += !measure[f](c, round, seconds / WINDOWS);
			}
		}
	}
}

static size_t figures_a_round(void)
{
	size_t n = 0;

	for (size_t i = 0; i < CONFIGS; i++)
		if (configs[i].ready)
			n += (size_t)__builtin_popcount(configs[i].figures);
	return n;
}

static double fit(double seconds_left)
{
	size_t figures = figures_a_round();
	double each = seconds_left / (double)(ROUNDS_MIN * (figures + !figures)) - SETTLE_S;

	return each > FIGURE_MAX_S ? FIGURE_MAX_S : each < FIGURE_MIN_S ? FIGURE_MIN_S : each;
}

static void tell_failures(void)
{
	for (size_t i = 0; i < CONFIGS; i++) {
		struct config *c = &configs[i];

		for (unsigned int f = 0; f < FIGURES; f++)
			if (c->failed[f])
				bench_note(
					"packets.%s.%s: %zu of %zu samples failed and are left out",
					figure_name[f], c->name, c->failed[f], c->done[f]);
		if (c->lost > 0.001)
			bench_note("packets.udp.%s: up to %.2f %% of a sample's datagrams did not "
				   "arrive; they are not counted",
				   c->name, 100 * c->lost);
	}
}

static void run(double end)
{
	double begun = bk_now(), now = begun, each = fit(end - now);
	size_t round = 0;

	bench_note(
		"packets: both ends of a flow are one thread on one processor; %.2f s a figure and "
		"round",
		each);
	while (round < ROUNDS_MAX && (!round || now + (now - begun) / (double)round <= end)) {
		one_round(++round, each);
		now = bk_now();
	}
	if (round < ENOUGH)
		bench_note("packets: only %zu rounds fitted into the time", round);
}

int main(int argc, char **argv)
{
	struct bench_args args;

	bench_args_read(&args, argc, argv);
	bk_need_root();
	bk_pin();
	no_bpffs = bk_bpffs();
	for (size_t i = 0; i < CONFIGS; i++)
		make(&configs[i]);
	if (!configs[0].ready)
		bench_die("the pair without any table does not work: nothing to compare with");
	run(args.started_ms / 1e3 + args.seconds);
	tell_failures();
	return 0;
}
