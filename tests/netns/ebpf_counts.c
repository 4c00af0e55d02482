// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_counts.c - packets and bytes of rules: every packet that a rule let through and no other, over commits
 * that change what is around it, and from one agent to the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "ebpf_bed.h"
#include "nft_check.h"

/* Pod b's policies. From class 10: tcp 8080 and 9000-9100 by web[0], udp 5353 by dns[0]; from the
 * blocks: tcp 8080 by world[0]. */
struct rules {
	uint64_t generation;
	uint32_t extra;
	bool other; /* a policy whose name comes first allows the blocks instead of world */
	bool no_dns;
};

static const struct rs_ir_rule all[] = {
	{ .ns = "default", .name = "aaa", .dir = RS_DIR_IN },
	{ .ns = "default", .name = "dns", .dir = RS_DIR_IN },
	{ .ns = "default", .name = "web", .dir = RS_DIR_IN },
	{ .ns = "default", .name = "world", .dir = RS_DIR_IN, .index = 1 },
};

static struct rs_ir *ir_of(const struct rules *r)
{
	struct rs_ir *ir =
		bed_ir(&(struct bed_policy){ .generation = r->generation, .extra = r->extra });
	const uint32_t first = r->other ? 0 : 1, dns = 1 - first, web = 2 - first;
	const uint32_t blocks = r->other ? 0 : 3 - first;
	const struct rs_ir_portrule whys[] = {
		{ 6, 8080, 8080, web },
		{ 6, 9000, 9100, web },
		{ 17, 5353, 5353, r->no_dns ? web : dns },
		{ 6, 8080, 8080, blocks },
	};

	ir->n_rules = RS_ARRAY_SIZE(all) - first;
	ir->rules = rs_ir_alloc(ir, ir->n_rules, sizeof(*all));
	memcpy(ir->rules, all + first, ir->n_rules * sizeof(*all));
	ir->n_whys = RS_ARRAY_SIZE(whys);
	ir->whys = rs_ir_alloc(ir, ir->n_whys, sizeof(*whys));
	memcpy(ir->whys, whys, sizeof(whys));
	ir->cells[0].first_why = 0;
	ir->cells[0].n_why = 3;
	ir->cells[1].first_why = 3;
	ir->cells[1].n_why = 1;
	return ir;
}

static bool put(struct rs_dp *dp, const struct rules *r)
{
	struct rs_ir *ir = ir_of(r);
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	bool ok = dp->ops->commit(dp, ir, &done, &err) == 0;

	if (!ok)
		printf("     commit: %s\n", rs_err_str(&err));
	rs_ir_free(ir);
	return ok;
}

/* Of "web" and so on; packets UINT64_MAX: the dataplane does not tell. */
static struct rs_dp_counter of(struct rs_dp *dp, const char *name)
{
	struct rs_dp_counter n = { UINT64_MAX, 0 };
	struct rs_dp_stats st;

	if (dp->ops->stats(dp, &st, NULL) < 0)
		exit(1);
	for (size_t i = 0; i < st.n_passed; i++)
		if (!strcmp(st.passed[i].name, name) && !strcmp(st.passed[i].ns, "default") &&
		    st.passed[i].dir == RS_DIR_IN && st.passed[i].index == !strcmp(name, "world"))
			n = st.passed[i].n;
	rs_dp_stats_free(&st);
	return n;
}

static bool is(struct rs_dp *dp, const char *name, uint64_t packets, uint64_t bytes)
{
	struct rs_dp_counter n = of(dp, name);

	if (n.packets == packets && n.bytes == bytes)
		return true;
	printf("     %s: %lld packets, %llu bytes; wanted %llu, %llu\n", name, (long long)n.packets,
	       (unsigned long long)n.bytes, (unsigned long long)packets, (unsigned long long)bytes);
	return false;
}

/* ---- traffic --------------------------------------------------------------------------------- */

static void say(int fd, const char *ip, int family, uint16_t port, int times, size_t len)
{
	struct sockaddr_storage s;
	socklen_t n = bed_sockaddr(&s, ip, family, port);
	char data[1024] = { 0 };

	for (int i = 0; i < times; i++)
		(void)!sendto(fd, data, len, 0, (void *)&s, n);
}

static int hear(int fd)
{
	char buf[2048];
	int n = 0;

	while (bed_readable(fd) && recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		n++;
	return n;
}

/* Asks of a at b's port, and b's answers; the payloads are of these lengths. */
static bool talk(int family, uint16_t port, int asks, size_t ask, int answers, size_t answer)
{
	int b = bed_socket(POD_B, family, SOCK_DGRAM, port);
	int a = bed_socket(POD_A, family, SOCK_DGRAM, 4444);
	bool ok;

	say(a, bed_addr(POD_B, family), family, port, asks, ask);
	ok = hear(b) == asks;
	say(b, bed_addr(POD_A, family), family, 4444, answers, answer);
	ok &= hear(a) == answers;
	close(a);
	close(b);
	return ok;
}

/* Headers of a datagram. */
static size_t head(int family)
{
	return (family == 4 ? 20 : 40) + 8;
}

#define WITNESS "table inet witness"

/* What another program of the kernel counts at the same hook, of tcp/8080. */
static struct rs_dp_counter witness(void)
{
	struct rs_dp_counter n = { 0 };
	rs_autofree char *text = NULL;
	unsigned long long packets, bytes;
	const char *at;

	bed_sh(NODE, &text, "nft list counter inet witness seen");
	at = text ? strstr(text, "packets ") : NULL;
	if (at && sscanf(at, "packets %llu bytes %llu", &packets, &bytes) == 2)
		n = (struct rs_dp_counter){ packets, bytes };
	return n;
}

static void test_exact(struct rs_dp *dp)
{
	uint64_t packets = 0, bytes = 0;
	struct rs_dp_counter seen, n;

	check(is(dp, "dns", 0, 0) && is(dp, "web", 0, 0) && is(dp, "world", 0, 0),
	      "all begin at 0");
	for (int f = 4; f <= 6; f += 2) {
		if (!talk(f, 5353, 40, 100, 25, 700))
			check(false, "control: the datagrams arrive");
		packets += 65;
		bytes += 40 * (head(f) + 100) + 25 * (head(f) + 700);
	}
	check(is(dp, "dns", packets, bytes), "datagrams and their answers, to the byte");
	check(is(dp, "web", 0, 0) && is(dp, "world", 0, 0), "and no other rule's");
	bed_udp(POD_A, POD_B, 4, 5354);
	bed_udp(POD_A, POD_C, 4, 5353);
	check(is(dp, "dns", packets, bytes) && is(dp, "web", 0, 0),
	      "what is denied counts nowhere");
	bed_udp(POD_B, POD_A, 4, 5353);
	check(is(dp, "dns", packets, bytes), "what no policy is about counts nowhere");
	bed_sh(NODE, NULL,
	       "nft 'add " WITNESS " ; add counter inet witness seen ; add chain inet witness c { "
	       "type filter hook postrouting priority 50 ; } ; add rule inet witness c "
	       "tcp dport 8080 counter name seen ; add rule inet witness c "
	       "tcp sport 8080 counter name seen'");
	for (int f = 4; f <= 6; f += 2)
		for (int i = 0; i < 5; i++)
			if (!bed_tcp(POD_A, POD_B, f, 8080))
				check(false, "control: a connection");
	usleep(50000);
	seen = witness();
	n = of(dp, "web");
	printf("     %llu packets, %llu bytes of tcp\n", (unsigned long long)seen.packets,
	       (unsigned long long)seen.bytes);
	check(seen.packets > 30 && n.packets == seen.packets && n.bytes == seen.bytes,
	      "connections: what another table counts at this hook");
	bed_sh(NODE, NULL, "nft delete " WITNESS);
	check(is(dp, "world", 0, 0) && bed_tcp(WORLD, POD_B, 4, 8080) &&
		      of(dp, "world").packets >= 5,
	      "a cell of one rule");
}

/* ---- what is around them changes ------------------------------------------------------------- */

static void test_commits(struct rs_dp *dp)
{
	struct rs_dp_counter dns = of(dp, "dns"), web = of(dp, "web");

	for (uint64_t i = 0; i < 6; i++)
		put(dp, &(struct rules){ .generation = 21 + i, .extra = (uint32_t)(i % 3) * 40 });
	check(is(dp, "dns", dns.packets, dns.bytes) && is(dp, "web", web.packets, web.bytes),
	      "commits about others: the counters stay");
	put(dp, &(struct rules){ .generation = 30, .other = true });
	check(is(dp, "dns", dns.packets, dns.bytes) && is(dp, "web", web.packets, web.bytes) &&
		      is(dp, "aaa", 0, 0) && is(dp, "world", UINT64_MAX, 0),
	      "a rule that comes before them: theirs stay, its begins, that of one that went is "
	      "gone");
	talk(4, 5353, 7, 10, 0, 0);
	check(is(dp, "dns", dns.packets + 7, dns.bytes + 7 * (head(4) + 10)), "and they go on");
	bed_tcp(WORLD, POD_B, 4, 8080);
	check(of(dp, "aaa").packets >= 5, "the new one counts");
	put(dp, &(struct rules){ .generation = 31, .no_dns = true });
	talk(4, 5353, 3, 10, 0, 0);
	check(is(dp, "dns", UINT64_MAX, 0) &&
		      is(dp, "web", web.packets + 3, web.bytes + 3 * (head(4) + 10)) &&
		      is(dp, "world", 0, 0),
	      "another rule allows the same: it counts now; one that came again begins anew");
	for (uint64_t i = 0; i < 4; i++)
		put(dp, &(struct rules){ .generation = 32 + i, .other = i % 2, .no_dns = i % 2 });
	put(dp, &(struct rules){ .generation = 40 });
	check(is(dp, "dns", 0, 0) && is(dp, "world", 0, 0),
	      "a slot that another rule had begins at 0");
	check(drifts(dp, NULL) == 0, "no drift");
}

static void test_next_agent(struct rs_dp *dp)
{
	struct rs_dp_counter web = of(dp, "web");
	struct rs_dp_commit done;
	struct rs_ir *have = NULL;

	talk(4, 5353, 9, 10, 4, 10);
	dp->ops->close(dp);
	talk(4, 5353, 5, 10, 0, 0);
	dp = open_dp();
	check(dp->ops->read(dp, &have, NULL) == 0 && have, "another agent reads the maps");
	check(is(dp, "dns", 18, 18 * (head(4) + 10)) && is(dp, "web", web.packets, web.bytes),
	      "and what they counted, also while no agent lived");
	check(dp->ops->commit(dp, have, &done, NULL) == 0 && !done.changed,
	      "what it has read says nothing of rules: nothing is written");
	rs_ir_free(have);
	check(is(dp, "dns", 18, 18 * (head(4) + 10)), "and they stay");
	check(put(dp, &(struct rules){ .generation = 41, .extra = 3 }) &&
		      is(dp, "dns", 18, 18 * (head(4) + 10)) &&
		      is(dp, "web", web.packets, web.bytes),
	      "over its first commit too");
	talk(6, 5353, 1, 10, 0, 0);
	check(is(dp, "dns", 19, 18 * (head(4) + 10) + head(6) + 10), "and they go on");
	commit(dp, &full, NULL);
	dp->ops->close(dp);
}

void test_counts(void)
{
	struct rs_dp *dp = open_dp();

	dp->ops->remove(dp, NULL);
	check(put(dp, &(struct rules){ .generation = 20 }), "rules that are to count");
	test_exact(dp);
	test_commits(dp);
	test_next_agent(dp);
}
