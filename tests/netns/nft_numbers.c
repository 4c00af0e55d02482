// SPDX-License-Identifier: Apache-2.0
/*
 * nft_numbers.c - mixed numbers (F6): compiler and dataplane commit batch after batch, in each of which
 * classes, groups or profiles change places, while packets that every state forbids are on their way.
 *
 *	nft_numbers [BATCHES [BEDS [ebpf]]]	default 600 in one bed; several beds run side by side and share the
 *						work, for a commit mostly waits for an RCU grace period
 *
 * A packet's look-ups may straddle a commit; were a number that the batch frees given to another meaning in
 * that same batch, it would be let through. The control does just that, with IRs made by hand, and must leak.
 * Not so the eBPF dataplane, whose packets see one state: there it must not.
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
#include "ebpf_bed.h"
#include "nft_check.h"
#include "policy/policy.h"

#define PORT 7000	  /* forbidden for a, allowed for c, in every state */
#define OTHER_PORT 7001	  /* the other way round */
#define GUESTS 4	  /* pods that come and go */
#define RESTART_EVERY 149 /* batches until another agent takes over */
#define CONTROL_MOST 60000
#define CONTROL_LEAKS 3	  /* enough to know */
#define CONTROL_EBPF 2000 /* batches that must not leak */
#define MOST_BEDS 8

/* ---- traffic --------------------------------------------------------------------------------- */

struct traffic {
	volatile bool go, stop;
	volatile uint64_t sent;	  /* forbidden: a to PORT, c to OTHER_PORT */
	volatile uint64_t leaked; /* of these, at b */
	volatile uint64_t ok_sent;
	volatile uint64_t ok_arrived;
};

/* What one bed found. */
struct result {
	struct traffic t;
	unsigned long batches;
	uint64_t sent, leaked;
	int passed, failed;
};

struct stream {
	int fd;
	bool forbidden;
	bool anew; /* a new source port, hence a new flow, with every packet */
	struct sockaddr_storage to;
	socklen_t len;
};

#define STREAMS 10

static void streams_make(struct stream s[STREAMS])
{
	size_t n = 0;

	for (int f = 4; f <= 6; f += 2)
		for (int k = 0; k < STREAMS / 2; k++) {
			enum bed_place from = k == 2 || k == 3 ? POD_C : POD_A;
			uint16_t port = k == 3 || k == 4 ? OTHER_PORT : PORT;

			s[n].forbidden = k != 2 && k != 4;
			s[n].anew = k == 1;
			s[n].fd = bed_socket(from, f, SOCK_DGRAM | SOCK_NONBLOCK, 0);
			s[n].len = bed_sockaddr(&s[n].to, bed_addr(POD_B, f), f, port);
			n++;
		}
}

static void send_round(struct traffic *t, const struct stream *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	for (size_t i = 0; i < STREAMS; i++, s++) {
		if (s->anew)
			(void)!connect(s->fd, &none, sizeof(none));
		if (sendto(s->fd, s->forbidden ? "bad" : "ok", 3, 0, (const void *)&s->to, s->len) <
		    0)
			continue;
		if (s->forbidden)
			t->sent++;
		else
			t->ok_sent++;
	}
}

static void drain(struct traffic *t, const int *at, size_t n)
{
	char got[8];

	for (size_t i = 0; i < n; i++)
		while (recv(at[i], got, sizeof(got), 0) == 3) {
			if (got[0] == 'b')
				t->leaked++;
			else
				t->ok_arrived++;
		}
}

static void flood(struct traffic *t)
{
	struct stream s[STREAMS];
	int at[4];

	for (int i = 0; i < 4; i++)
		at[i] = bed_socket(POD_B, i % 2 ? 6 : 4, SOCK_DGRAM | SOCK_NONBLOCK,
				   i / 2 ? OTHER_PORT : PORT);
	streams_make(s);
	while (!t->go)
		usleep(1000);
	while (!t->stop) {
		for (int i = 0; i < 8; i++)
			send_round(t, s);
		drain(t, at, 4);
	}
	for (int i = 0; i < 20; i++) { /* what is still on its way */
		usleep(10000);
		drain(t, at, 4);
	}
}

/* Packets and commits on different CPUs, so that both can really happen at once: the first for commits, the
 * last for packets. */
static cpu_set_t cpus; /* that we may use */

static void pin(bool last)
{
	cpu_set_t one;
	int cpu = -1;

	for (int i = 0; i < CPU_SETSIZE && (cpu < 0 || last); i++)
		if (CPU_ISSET(i, &cpus))
			cpu = i;
	if (cpu < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

/* Before a dataplane is opened: a child would hold its sockets, and the table with them. */
static pid_t flood_fork(struct traffic *t)
{
	pid_t pid;

	memset(t, 0, sizeof(*t));
	fflush(stdout);
	pid = fork();
	if (pid) {
		pin(false);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(true);
	flood(t);
	_exit(0);
}

static void flood_stop(struct traffic *t, pid_t pid)
{
	int status = 0;

	t->stop = true;
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status), "  the flood went on to the end");
}

/* ---- worlds ---------------------------------------------------------------------------------- */

/*
 * Pod a has side=s and c the other; b is in the group of policy g, guest x in that of the other policy. Policy
 * g lets side 1-s come to PORT and side s to OTHER_PORT; the other policy does the reverse. So a never
 * reaches PORT of b, while everything that is looked up on the way has two meanings that change places.
 */
struct state {
	unsigned int side, grp;
	unsigned int guests; /* a bit for each */
};

struct worlds {
	struct rs_store *stores[2][2]; /* side, grp */
	struct rs_labels sided[2], grouped[2], both[2][2];
	struct rs_addr ips[PODS + GUESTS + 1][2];
	struct rs_cidr ranges[2];
};

static struct rs_store *store_of(unsigned int side, unsigned int grp)
{
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };

	for (unsigned int p = 0; p < 2; p++) {
		unsigned int main = p == grp ? 1 - side : side;
		rs_autofree char *text = rs_asprintf(
			"{\"kind\": \"NetworkPolicy\", \"apiVersion\": \"networking.k8s.io/v1\", "
			"\"metadata\": {\"name\": \"g%u\", \"namespace\": \"t\"}, \"spec\": "
			"{\"podSelector\": {\"matchLabels\": {\"grp\": \"%u\"}}, \"ingress\": ["
			"{\"from\": [{\"podSelector\": {\"matchLabels\": {\"side\": \"%u\"}}}], "
			"\"ports\": [{\"protocol\": \"UDP\", \"port\": %d}]}, "
			"{\"from\": [{\"podSelector\": {\"matchLabels\": {\"side\": \"%u\"}}}], "
			"\"ports\": [{\"protocol\": \"UDP\", \"port\": %d}]}]}}",
			p, p, main, PORT, 1 - main, OTHER_PORT);

		if (rs_decode_text(s, "world", text, strlen(text), true, RS_ADMIT_STRICT, &err) <
		    0) {
			fprintf(stderr, "%s\n", rs_err_str(&err));
			exit(1);
		}
	}
	rs_store_finish_folder(s);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(s, k, true);
	return s;
}

static void worlds_make(struct worlds *w)
{
	static const char *const names[] = { "0", "1" };

	memset(w, 0, sizeof(*w));
	for (unsigned int i = 0; i < 2; i++) {
		rs_labels_set(&w->sided[i], "side", names[i]);
		rs_labels_set(&w->grouped[i], "grp", names[i]);
		for (unsigned int j = 0; j < 2; j++) {
			w->stores[i][j] = store_of(i, j);
			rs_labels_set(&w->both[i][j], "side", names[i]);
			rs_labels_set(&w->both[i][j], "grp", names[j]);
		}
	}
	for (int p = 0; p < PODS + GUESTS + 1; p++) {
		rs_autofree char *v4 = rs_asprintf("10.244.0.%d", p + 2);
		rs_autofree char *v6 = rs_asprintf("fd00:10:244::%x", p + 2);

		rs_addr_parse(v4, &w->ips[p][0], NULL);
		rs_addr_parse(v6, &w->ips[p][1], NULL);
	}
	rs_cidr_parse("10.244.0.0/24", &w->ranges[0], NULL, NULL);
	rs_cidr_parse("fd00:10:244::/64", &w->ranges[1], NULL, NULL);
}

static void worlds_free(struct worlds *w)
{
	for (unsigned int i = 0; i < 2; i++) {
		rs_labels_free(&w->sided[i]);
		rs_labels_free(&w->grouped[i]);
		for (unsigned int j = 0; j < 2; j++) {
			rs_store_free(w->stores[i][j]);
			rs_labels_free(&w->both[i][j]);
		}
	}
}

static void local(struct rs_local_pod *p, const struct worlds *w, int pod, const char *name,
		  const struct rs_labels *labels)
{
	static const char *const links[PODS] = { "rsa", "rsb", "rsc" };

	*p = (struct rs_local_pod){
		.ns = "t", .name = name, .labels = labels, .ips = w->ips[pod], .n_ips = 2
	};
	if (pod >= PODS)
		return;
	p->ifindex = bed_ifindex(pod);
	p->ifname = links[pod];
	p->mac[0] = 2;
	p->mac[5] = (uint8_t)(pod + 2);
}

static struct rs_ir *compile(struct rs_compiler *c, const struct worlds *w, struct state s)
{
	static const char *const names[GUESTS] = { "y0", "y1", "y2", "y3" };
	struct rs_local_pod pods[PODS + 1 + GUESTS];
	struct rs_world world = {
		.store = w->stores[s.side][s.grp],
		.locals = pods,
		.pod_ranges = w->ranges,
		.n_pod_ranges = 2,
		.node_ranges = w->ranges,
		.n_node_ranges = 2,
	};
	rs_auto_err err = { 0 };
	struct rs_ir *ir = NULL;
	size_t n = 0;

	local(&pods[n++], w, POD_A, "a", &w->sided[s.side]);
	local(&pods[n++], w, POD_B, "b", &w->grouped[s.grp]);
	local(&pods[n++], w, POD_C, "c", &w->sided[1 - s.side]);
	local(&pods[n++], w, PODS, "x", &w->grouped[1 - s.grp]);
	for (unsigned int i = 0; i < GUESTS; i++)
		if (s.guests & 1u << i)
			local(&pods[n++], w, PODS + 1 + (int)i, names[i], &w->both[i & 1][i >> 1]);
	world.n_locals = n;
	if (rs_compile(c, &world, &ir, NULL, &err) < 0)
		printf("     compile: %s\n", rs_err_str(&err));
	return ir;
}

/* One end of the forbidden flow moves at a time; guests come and go with it. */
static struct state step(struct state s, unsigned int *seed)
{
	unsigned int r = (unsigned int)rand_r(seed) >> 8;

	if (r & 1)
		s.side ^= 1;
	else
		s.grp ^= 1;
	s.guests = r >> 1 & ((1u << GUESTS) - 1);
	return s;
}

static bool forbidden(const struct rs_ir *ir, const struct worlds *w)
{
	struct rs_ir_verdict bad, good;

	for (int f = 0; f < 2; f++) {
		rs_ir_eval(ir, &w->ips[POD_A][f], &w->ips[POD_B][f], RS_PROTO_UDP, PORT, &bad);
		rs_ir_eval(ir, &w->ips[POD_C][f], &w->ips[POD_B][f], RS_PROTO_UDP, PORT, &good);
		if (bad.allow || !good.allow)
			return false;
		rs_ir_eval(ir, &w->ips[POD_C][f], &w->ips[POD_B][f], RS_PROTO_UDP, OTHER_PORT,
			   &bad);
		rs_ir_eval(ir, &w->ips[POD_A][f], &w->ips[POD_B][f], RS_PROTO_UDP, OTHER_PORT,
			   &good);
		if (bad.allow || !good.allow)
			return false;
	}
	return true;
}

/* ---- the test -------------------------------------------------------------------------------- */

struct engine {
	struct rs_dp *dp;
	struct rs_compiler *c;
};

/* A new agent: what it knows of numbers is what it reads from the kernel. */
static void engine_start(struct engine *e)
{
	struct rs_ir *ir = NULL;

	e->dp = open_dp();
	e->dp->ops->read(e->dp, &ir, NULL);
	e->c = rs_compiler_new(ir);
	rs_ir_free(ir);
}

static void engine_stop(struct engine *e)
{
	rs_compiler_free(e->c);
	e->dp->ops->close(e->dp);
}

static bool advance(struct engine *e, const struct worlds *w, struct state s, bool *changed)
{
	struct rs_ir *ir = compile(e->c, w, s);
	struct rs_dp_commit done = { 0 };
	rs_auto_err err = { 0 };
	bool ok = ir && forbidden(ir, w) && e->dp->ops->commit(e->dp, ir, &done, &err) == 0;

	if (ok)
		rs_compiler_committed(e->c, ir);
	else
		printf("     commit: %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	*changed = done.changed;
	return ok;
}

static void report(const char *what, unsigned long batches, const struct traffic *t, int64_t ms)
{
	printf("     %s: %lu batches in %.1f s (%.1f ms each), %llu forbidden packets sent, %llu "
	       "passed; "
	       "%llu of %llu allowed ones passed\n",
	       what, batches, (double)ms / 1e3, (double)ms / (double)(batches ? batches : 1),
	       (unsigned long long)t->sent, (unsigned long long)t->leaked,
	       (unsigned long long)t->ok_arrived, (unsigned long long)t->ok_sent);
}

static void test_numbers(struct result *r, unsigned long batches)
{
	struct traffic *t = &r->t;
	struct state s = { 0 };
	unsigned int seed = 6;
	struct worlds w;
	struct engine e;
	unsigned long n = 0, same = 0;
	bool ok, changed;
	int64_t begin;
	pid_t pid;

	worlds_make(&w);
	pid = flood_fork(t);
	engine_start(&e);
	check(advance(&e, &w, s, &changed), "the first world is committed");
	t->go = true;
	begin = rs_mono_ms();
	for (ok = true; ok && n < batches; n++) {
		bool restart = n % RESTART_EVERY == RESTART_EVERY - 1;

		if (restart) {
			engine_stop(&e);
			engine_start(&e);
		}
		s = step(s, &seed);
		ok = advance(&e, &w, s, &changed) && (changed || restart);
		/* Without guests the worlds are mirror images; who does not know the old names sees one. */
		same += !changed;
		if (n % 10000 == 9999)
			report("so far", n + 1, t, rs_mono_ms() - begin);
	}
	begin = rs_mono_ms() - begin;
	flood_stop(t, pid);
	check(ok && n == batches,
	      "every batch was committed, and changed something unless an agent was new");
	report("compiler and dataplane", n, t, begin);
	printf("     %lu restarts found nothing to change\n", same);
	check(t->leaked == 0, "F6: no forbidden packet passed");
	check(t->sent >= batches, "at least one was sent for each batch");
	check(t->ok_arrived > 0, "control: what every world allows passed meanwhile");
	r->batches = n;
	r->sent = t->sent;
	r->leaked = t->leaked;
	engine_stop(&e);
	worlds_free(&w);
}

/* ---- control --------------------------------------------------------------------------------- */

/* a has class 10 and c 11, or the other way round; only c's may send to PORT of b. */
static struct rs_ir *swapped(const struct worlds *w, unsigned int s, uint64_t generation)
{
	struct rs_ir *ir = bed_ir(&(struct bed_policy){ .generation = generation });
	static const struct rs_ir_port ports[] = { { RS_PROTO_UDP, PORT, PORT, true },
						   { RS_PROTO_UDP, OTHER_PORT, OTHER_PORT, true } };

	ir->addrs = rs_ir_alloc(ir, 4, sizeof(*ir->addrs));
	ir->n_addrs = 0;
	for (int f = 0; f < 2; f++) {
		ir->addrs[ir->n_addrs++] = (struct rs_ir_addr){ w->ips[POD_A][f], 10 + s, "t/a" };
		ir->addrs[ir->n_addrs++] = (struct rs_ir_addr){ w->ips[POD_C][f], 11 - s, "t/c" };
	}
	/* c of that bed is isolated; not here */
	for (size_t i = 0; i < ir->n_groups; i++)
		if (ir->groups[i].dir == RS_DIR_OUT) {
			ir->groups[i].profile = RS_PROFILE_ALLOW;
			ir->groups[i].isolated = false;
		}
	ir->n_ranges = 0;
	ir->profiles[2] = (struct rs_ir_profile){ 3, 0, 1 };
	ir->profiles[3] = (struct rs_ir_profile){ 4, 1, 1 };
	ir->n_profiles = 4;
	ir->ports = rs_ir_alloc(ir, 2, sizeof(*ir->ports));
	memcpy(ir->ports, ports, sizeof(ports));
	ir->n_ports = 2;
	ir->cells = rs_ir_alloc(ir, 2, sizeof(*ir->cells));
	ir->n_cells = 2;
	ir->cells[0] = (struct rs_ir_cell){ RS_DIR_IN, 2, 10, s ? 3 : 4, 0, 0 };
	ir->cells[1] = (struct rs_ir_cell){ RS_DIR_IN, 2, 11, s ? 4 : 3, 0, 0 };
	return ir;
}

static void test_control(struct traffic *t, bool ebpf)
{
	unsigned long most = ebpf ? CONTROL_EBPF : CONTROL_MOST;
	pid_t pid = flood_fork(t);
	struct rs_dp *dp = open_dp();
	rs_auto_err err = { 0 };
	struct worlds w;
	unsigned long n;
	int64_t begin;
	bool ok = true;

	worlds_make(&w);
	begin = rs_mono_ms();
	for (n = 0; ok && n < most && t->leaked < CONTROL_LEAKS; n++) {
		struct rs_ir *ir = swapped(&w, n & 1, 1000 + n);
		struct rs_dp_commit done;

		ok = forbidden(ir, &w) && dp->ops->commit(dp, ir, &done, &err) == 0;
		rs_ir_free(ir);
		t->go = true;
	}
	begin = rs_mono_ms() - begin;
	flood_stop(t, pid);
	check(ok, "control: worlds with swapped numbers are committed");
	report("numbers used again in the same batch", n, t, begin);
	if (ebpf)
		check(!t->leaked && t->sent >= most && t->ok_arrived,
		      "they do not leak: a packet sees one state");
	else
		check(t->leaked >= CONTROL_LEAKS, "control: they leak, so this bed can see it");
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	worlds_free(&w);
}

static void bed_run(struct result *r, unsigned long batches, bool ebpf)
{
	if (ebpf && !ebpf_own_bpffs())
		_exit(1);
	bed_make();
	rs_dp_config_default(&cfg);
	cfg.link_group = 0x5248;
	if (ebpf)
		ebpf_use();
	test_numbers(r, batches);
	test_control(&r->t, ebpf);
	r->passed = passed;
	r->failed = failed;
	fflush(stdout);
}

/* Each bed in a process of its own; its numbers come back in shared memory. */
static void beds_run(struct result *r, unsigned long batches, int beds, bool ebpf)
{
	pid_t pid[MOST_BEDS];

	for (int i = 0; i < beds; i++) {
		fflush(stdout);
		pid[i] = fork();
		if (pid[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bed_run(&r[i], batches / (unsigned long)beds, ebpf);
		_exit(0);
	}
	for (int i = 0; i < beds; i++) {
		int status = 0;

		waitpid(pid[i], &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			failed++;
	}
}

int main(int argc, char **argv)
{
	unsigned long batches = argc > 1 ? strtoul(argv[1], NULL, 10) : 600, n = 0;
	unsigned long long sent = 0, leaked = 0;
	int beds = argc > 2 ? atoi(argv[2]) : 1;
	struct result *r = mmap(NULL, MOST_BEDS * sizeof(*r), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (geteuid() != 0) {
		printf("root is needed\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	if (r == MAP_FAILED || !batches || beds < 1 || beds > MOST_BEDS) {
		fprintf(stderr, "usage: nft_numbers [BATCHES [BEDS [ebpf]]]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		CPU_ZERO(&cpus);
	beds_run(r, batches, beds, argc > 3 && !strcmp(argv[3], "ebpf"));
	for (int i = 0; i < beds; i++) {
		n += r[i].batches;
		sent += r[i].sent;
		leaked += r[i].leaked;
		passed += r[i].passed;
		failed += r[i].failed;
	}
	printf("F6: %lu batches, %llu forbidden packets sent, %llu passed\n", n, sent, leaked);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed != 0 || !passed;
}
