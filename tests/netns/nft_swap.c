// SPDX-License-Identifier: Apache-2.0
/*
 * nft_swap.c - from one policy to another there is no moment of neither (F12): compiler and dataplane
 * swap two policies that say the same of one flow in different words, again and again, while that flow
 * and one that both forbid are on their way.
 *
 *	nft_swap [SWAPS]	default 300
 *
 * Nothing may leak. A packet whose look-ups are under way in the very instant of a commit may be
 * dropped (policy/number.h): one or two of a flow, while a moment of neither takes all that come within
 * it, as the control shows.
 *
 * The controls take the same step in two commits, as two calls of an API would look to a careless
 * agent: without either policy the pod is open, or closed where a third one isolates it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "nft_check.h"
#include "policy/policy.h"

#define PORT 7000
#define FLOWS 4
#define CONTROL_MOST 2000
#define LOST_MOST 10	 /* a swap and flow; in two steps it is hundreds */
#define LEAKS_LEAST 5	 /* enough to know */
#define RUN_LEAST 30

/* ---- traffic --------------------------------------------------------------------------------- */

struct swap_traffic {
	volatile bool go, stop;
	volatile uint64_t rounds;	/* one packet of every flow, allowed and forbidden */
	volatile uint64_t lost, leaked; /* of the allowed, of the forbidden */
	volatile uint64_t run;		/* the most that one flow lost in a row */
};

struct mail {
	uint64_t number; /* from 1 */
	uint32_t flow, forbidden;
};

struct sender {
	int fd;
	bool anew; /* a new flow with every packet */
	struct sockaddr_storage to;
	socklen_t len;
};

static void sender_make(struct sender *s, enum bed_place from, int family, bool anew)
{
	s->fd = bed_socket(from, family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	s->anew = anew;
	s->len = bed_sockaddr(&s->to, bed_addr(POD_B, family), family, PORT);
}

static void sender_send(const struct sender *s, const struct mail *m)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (s->anew)
		(void)!connect(s->fd, &none, sizeof(none));
	(void)!sendto(s->fd, m, sizeof(*m), 0, (const void *)&s->to, s->len);
}

static void missing(struct swap_traffic *t, uint64_t n)
{
	t->lost += n;
	if (t->run < n)
		t->run = n;
}

static void drain(struct swap_traffic *t, const int at[2], uint64_t last[FLOWS])
{
	struct mail m;

	for (int i = 0; i < 2; i++)
		while (recv(at[i], &m, sizeof(m), 0) == sizeof(m)) {
			if (m.forbidden) {
				t->leaked++;
				continue;
			}
			missing(t, m.number - last[m.flow] - 1);
			last[m.flow] = m.number;
		}
}

static void talk(struct swap_traffic *t)
{
	struct sender good[FLOWS], bad[FLOWS];
	uint64_t last[FLOWS] = { 0 };
	int at[2];

	for (int i = 0; i < FLOWS; i++) {
		sender_make(&good[i], POD_C, i & 1 ? 6 : 4, i >> 1);
		sender_make(&bad[i], POD_A, i & 1 ? 6 : 4, i >> 1);
	}
	for (int i = 0; i < 2; i++)
		at[i] = bed_socket(POD_B, i ? 6 : 4, SOCK_DGRAM | SOCK_NONBLOCK, PORT);
	while (!t->go)
		usleep(1000);
	while (!t->stop) {
		for (uint32_t i = 0; i < FLOWS; i++) {
			sender_send(&bad[i], &(struct mail){ t->rounds + 1, i, 1 });
			sender_send(&good[i], &(struct mail){ t->rounds + 1, i, 0 });
		}
		t->rounds++;
		drain(t, at, last);
	}
	for (int i = 0; i < 20; i++) { /* what is still on its way */
		usleep(10000);
		drain(t, at, last);
	}
	for (int i = 0; i < FLOWS; i++)
		missing(t, t->rounds - last[i]);
}

/* The one that sends stays on one CPU, so that no packet overtakes another; commits have the other. */
static void pin(bool last)
{
	cpu_set_t all, one;
	int cpu = -1;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (int i = 0; i < CPU_SETSIZE && (cpu < 0 || last); i++)
		if (CPU_ISSET(i, &all))
			cpu = i;
	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

/* Before a dataplane is opened: a child would hold its sockets, and the table with them. */
static pid_t talk_fork(struct swap_traffic *t)
{
	pid_t pid;

	memset(t, 0, sizeof(*t));
	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(true);
	talk(t);
	_exit(0);
}

static void talk_stop(struct swap_traffic *t, pid_t pid)
{
	int status = 0;

	t->stop = true;
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status), "  the traffic went on to the end");
}

/* ---- worlds ---------------------------------------------------------------------------------- */

enum { POLICY_A, POLICY_B, NEITHER, A_CLOSED, B_CLOSED, NEITHER_CLOSED, WORLDS };

#define HEAD "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {namespace: t, name: "
#define SUBJECT "}, spec: {podSelector: {matchLabels: {app: b}}"
#define TEXT_A HEAD "a" SUBJECT ", ingress: [{from: [{podSelector: {matchLabels: {app: c}}}], " \
	       "ports: [{protocol: UDP, port: 7000}]}]}}\n---\n"
#define TEXT_B HEAD "b" SUBJECT ", ingress: [{from: [{ipBlock: {cidr: 10.244.0.4/32}}, {ipBlock: " \
	       "{cidr: 'fd00:10:244::4/128'}}], ports: [{protocol: UDP, port: 7000}]}]}}\n---\n"
#define CLOSED HEAD "z" SUBJECT ", ingress: []}}\n---\n"

static const char *const texts[WORLDS] = {
	[POLICY_A] = TEXT_A,
	[POLICY_B] = TEXT_B,
	[NEITHER] = "# none\n",
	[A_CLOSED] = TEXT_A CLOSED,
	[B_CLOSED] = TEXT_B CLOSED,
	[NEITHER_CLOSED] = CLOSED,
};

struct swap_bed {
	struct rs_store *stores[WORLDS];
	struct rs_labels labels[PODS];
	struct rs_addr ips[PODS][2];
	struct rs_cidr ranges[2];
	struct rs_dp *dp;
	struct rs_compiler *c;
};

static struct rs_store *store_of(const char *text)
{
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };

	if (rs_decode_text(s, "world", text, strlen(text), false, RS_ADMIT_STRICT, &err) < 0) {
		fprintf(stderr, "%s\n", rs_err_str(&err));
		exit(1);
	}
	rs_store_finish_folder(s);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(s, k, true);
	return s;
}

static void bed_start(struct swap_bed *b)
{
	static const char *const names[PODS] = { "a", "b", "c" };

	memset(b, 0, sizeof(*b));
	for (int i = 0; i < WORLDS; i++)
		b->stores[i] = store_of(texts[i]);
	for (int p = 0; p < PODS; p++) {
		rs_labels_set(&b->labels[p], "app", names[p]);
		rs_addr_parse(bed_addr(p, 4), &b->ips[p][0], NULL);
		rs_addr_parse(bed_addr(p, 6), &b->ips[p][1], NULL);
	}
	rs_cidr_parse("10.244.0.0/24", &b->ranges[0], NULL, NULL);
	rs_cidr_parse("fd00:10:244::/64", &b->ranges[1], NULL, NULL);
	b->dp = open_dp();
	b->c = rs_compiler_new(NULL);
}

static void bed_stop(struct swap_bed *b)
{
	b->dp->ops->remove(b->dp, NULL);
	b->dp->ops->close(b->dp);
	rs_compiler_free(b->c);
	for (int i = 0; i < WORLDS; i++)
		rs_store_free(b->stores[i]);
	for (int p = 0; p < PODS; p++)
		rs_labels_free(&b->labels[p]);
}

static bool in_force(struct swap_bed *b, int world)
{
	static const char *const names[PODS] = { "a", "b", "c" }, *const links[] = { "rsa", "rsb", "rsc" };
	struct rs_local_pod pods[PODS];
	struct rs_world w = { .store = b->stores[world], .locals = pods, .n_locals = PODS,
			      .pod_ranges = b->ranges, .n_pod_ranges = 2,
			      .node_ranges = b->ranges, .n_node_ranges = 2 };
	struct rs_dp_commit done = { 0 };
	rs_auto_err err = { 0 };
	struct rs_ir *ir = NULL;
	bool ok;

	for (int p = 0; p < PODS; p++)
		pods[p] = (struct rs_local_pod){ .ns = "t", .name = names[p], .labels = &b->labels[p],
						 .ips = b->ips[p], .n_ips = 2,
						 .ifindex = bed_ifindex(p), .ifname = links[p],
						 .mac = { 2, 0, 0, 0, 0, (uint8_t)(p + 2) } };
	ok = rs_compile(b->c, &w, &ir, NULL, &err) == 0 &&
	     b->dp->ops->commit(b->dp, ir, &done, &err) == 0;
	if (ok)
		rs_compiler_committed(b->c, ir);
	else
		printf("     %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	return ok;
}

/* ---- the tests ------------------------------------------------------------------------------- */

static void report(const char *what, unsigned long n, const struct swap_traffic *t)
{
	printf("     %s: %lu swaps under %llu packets of each sort; %llu allowed ones lost, at most %llu "
	       "of a flow in a row; %llu forbidden ones leaked\n",
	       what, n, (unsigned long long)t->rounds * FLOWS, (unsigned long long)t->lost,
	       (unsigned long long)t->run, (unsigned long long)t->leaked);
}

static void test_swap(struct swap_traffic *t, unsigned long swaps)
{
	pid_t pid = talk_fork(t);
	struct swap_bed b;
	unsigned long n = 0;
	bool ok;

	bed_start(&b);
	ok = in_force(&b, POLICY_A);
	t->go = true;
	for (uint64_t seen = 0; ok && n < swaps; n++) {
		ok = in_force(&b, n & 1 ? POLICY_A : POLICY_B);
		/* however slow the machine: some rounds of packets for every swap */
		while (t->rounds < seen + 4)
			usleep(200);
		seen = t->rounds;
	}
	talk_stop(t, pid);
	report("F12", n, t);
	check(ok && n == swaps, "every swap was committed");
	/* Of all swaps together: a receiver that is not run for a while loses some, too. */
	check(t->lost < LOST_MOST * FLOWS * swaps,
	      "F12 policies are swapped without a moment of neither");
	check(t->leaked == 0, "F12 while policies are swapped no forbidden packet passes");
	bed_stop(&b);
}

/* Where the same is done in two steps, what must not happen does. */
static void test_two_steps(struct swap_traffic *t, bool closed)
{
	pid_t pid = talk_fork(t);
	int a = closed ? A_CLOSED : POLICY_A, none = closed ? NEITHER_CLOSED : NEITHER;
	struct swap_bed b;
	unsigned long n = 0;
	bool ok;

	bed_start(&b);
	ok = in_force(&b, a);
	t->go = true;
	for (; ok && n < CONTROL_MOST; n++) {
		if (closed ? t->run >= RUN_LEAST : t->leaked >= LEAKS_LEAST)
			break;
		ok = in_force(&b, none) && in_force(&b, n & 1 ? a : a + 1);
		usleep(500);
	}
	talk_stop(t, pid);
	report(closed ? "control, isolated in between" : "control, free in between", n, t);
	check(ok, "the controls were committed");
	if (closed)
		check(t->run >= RUN_LEAST, "control: in two steps allowed packets are lost");
	else
		check(t->leaked >= LEAKS_LEAST, "control: in two steps forbidden packets leak");
	bed_stop(&b);
}

int main(int argc, char **argv)
{
	unsigned long swaps = argc > 1 ? strtoul(argv[1], NULL, 10) : 300;
	struct swap_traffic *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (geteuid() != 0) {
		printf("root is needed\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	if (t == MAP_FAILED || !swaps) {
		fprintf(stderr, "usage: nft_swap [SWAPS]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	bed_make();
	rs_dp_config_default(&cfg);
	cfg.link_group = 0x5248;
	test_swap(t, swaps);
	test_two_steps(t, false);
	test_two_steps(t, true);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed != 0 || !passed;
}
