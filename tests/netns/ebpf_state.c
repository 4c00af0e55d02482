// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_state.c - the maps between two states: what is written is not seen before its epoch, a commit
 * that dies or fails leaves what was in force, damage is found and mended, one set replaces another.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"
#include "ebpf_bed.h"
#include "nft_check.h"

static const struct bed_policy closed = { .generation = 60, .no_b_allow = true };

static void say(bool ok, const char *what, int family)
{
	rs_autofree char *line = rs_asprintf("v%d %s", family, what);

	check(ok, line);
}

/* The verdicts of `full`, or of `closed`. */
static bool judged_as(bool open_b)
{
	bool ok = true;

	for (int f = 4; f <= 6; f += 2)
		ok &= bed_udp(POD_A, POD_B, f, 5353) == open_b && !bed_udp(POD_A, POD_B, f, 5354) &&
		      bed_udp(POD_B, POD_A, f, 99) && !bed_udp(POD_A, POD_C, f, 99);
	return ok;
}

/* The steps from what is in force to p, written, and the epoch left where it is. */
static bool write_only(struct rs_dp *dp, const struct bed_policy *p)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	struct rs_ir *ir = bed_ir(p);
	rs_auto_bpf_plan *to = NULL;
	struct rs_bpf_steps steps = { 0 };
	bool ok = rs_bpf_plan_from_ir(ir, NULL, &to, NULL) == 0;

	if (ok) {
		rs_bpf_steps_make(e->model, to, &steps);
		ok = steps.n &&
		     rs_bpf_steps_apply(&e->set, &steps, e->set.cfg->epoch + 1, NULL) == 0;
	}
	rs_vec_free(&steps);
	rs_ir_free(ir);
	return ok;
}

void test_unseen(void)
{
	struct rs_dp *dp = open_dp();

	commit(dp, &full, NULL);
	check(judged_as(true), "control: the state in force");
	check(write_only(dp, &closed), "the next state is written");
	check(judged_as(true), "and nobody sees it");
	rs_ebpf_of(dp)->set.cfg->epoch++;
	check(judged_as(false), "one store, and everybody does");
	dp->ops->close(dp);
	dp = open_dp();
	check(commit(dp, &full, NULL) && judged_as(true), "back again");
	dp->ops->close(dp);
}

/* An agent that was killed between writing and turning. */
void test_unfinished(void)
{
	struct rs_dp *dp = open_dp();

	commit(dp, &full, NULL);
	check(write_only(dp, &closed), "a commit that was never finished");
	dp->ops->close(dp);
	dp = open_dp();
	check(reads(dp, &full), "the next agent reads what is in force");
	check(commit(dp, &(struct bed_policy){ .generation = 61, .extra = 5 }, NULL),
	      "and commits something else");
	check(judged_as(true), "which is all that happens");
	check(drifts(dp, NULL) == 0, "no drift");
	check(commit(dp, &full, NULL), "back again");
	dp->ops->close(dp);
}

/* A map at its limit: the change fails as a whole. */
void test_full(void)
{
	struct rs_dp_config big = cfg;
	struct rs_dp_commit done;
	struct rs_dp *dp = open_dp();
	rs_auto_err err = { 0 };
	struct rs_ir *ir;

	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	cfg.bpf_entries = 64;
	dp = open_dp();
	check(commit(dp, &full, NULL) && judged_as(true), "maps of 64 elements");
	ir = bed_ir(&(struct bed_policy){ .generation = 70, .extra = 500, .no_b_allow = true });
	check(dp->ops->commit(dp, ir, &done, &err) == -ENOSPC, "500 more addresses do not fit");
	printf("     %s; %s\n", rs_err_str(&err), err.hint ? err.hint : "-");
	check(strstr(rs_err_str(&err), "rs_ends is full") != NULL, "and the error says so");
	rs_ir_free(ir);
	check(judged_as(true), "what was in force is in force");
	check(reads(dp, &full), "and is what is read");
	for (uint64_t i = 0; i < 4; i++)
		commit(dp, &(struct bed_policy){ .generation = 71 + i, .extra = i % 2 ? 0 : 20 },
		       NULL);
	check(drifts(dp, NULL) == 0, "smaller changes go on");
	dp->ops->remove(dp, NULL);
	dp->ops->close(dp);
	cfg = big;
}

/* The profile of a's class at b gets these ports. */
static bool commit_ports(struct rs_dp *dp, const struct rs_ir_port *ports, size_t n)
{
	struct rs_ir *ir = bed_ir(&full);
	struct rs_ir_port *all = rs_ir_alloc(ir, ir->n_ports + n, sizeof(*all));
	struct rs_dp_commit done;
	bool ok;

	memcpy(all, ir->ports, ir->n_ports * sizeof(*all));
	memcpy(all + ir->n_ports, ports, n * sizeof(*all));
	ir->ports = all;
	ir->profiles[2].first = (uint32_t)ir->n_ports;
	ir->profiles[2].n = (uint32_t)n;
	ir->n_ports += n;
	ok = dp->ops->commit(dp, ir, &done, NULL) == 0;
	rs_ir_free(ir);
	return ok;
}

/* More runs of ports than one value holds; and what is said of all protocols that are not named. */
void test_lists(void)
{
	static const struct rs_ir_port list[] = {
		{ 6, 7000, 7000, true }, { 6, 7002, 7002, true }, { 6, 7004, 7004, true },
		{ 6, 7006, 7006, true }, { 6, 7008, 7008, true }, { 6, 7010, 7012, true },
	};
	static const struct rs_ir_port rest[] = { { 0, 0, 65535, true } };
	struct rs_dp *dp = open_dp();

	check(commit(dp, &full, NULL) && commit_ports(dp, list, RS_ARRAY_SIZE(list)),
	      "a list of six runs");
	check(bed_tcp(POD_A, POD_B, 4, 7000) && bed_tcp(POD_A, POD_B, 6, 7008) &&
		      bed_tcp(POD_A, POD_B, 4, 7012),
	      "its ports pass");
	check(!bed_tcp(POD_A, POD_B, 4, 7001) && !bed_tcp(POD_A, POD_B, 6, 7013) &&
		      !bed_udp(POD_A, POD_B, 4, 7000),
	      "those between and behind them do not, nor another protocol's");
	check(commit_ports(dp, rest, 1), "everything, without a name");
	check(bed_tcp(POD_A, POD_B, 4, 7001) && bed_udp(POD_A, POD_B, 6, 7000) &&
		      bed_ping(POD_A, POD_B, 4),
	      "every protocol passes");
	check(commit(dp, &full, NULL) && !bed_tcp(POD_A, POD_B, 4, 7000), "back again");
	dp->ops->close(dp);
}

/* Addresses that come, go and change their class, without a plan of everything. */
void test_moves(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_ir *ir = bed_ir(&full), *have = NULL;
	struct rs_ir_move v[2] = { { .from = RS_CLASS_NONE, .to = 10 }, { .from = 10, .to = 11 } };
	struct rs_ir_moves m = { .generation = 90, .v = v, .n = 2 };
	struct rs_dp_commit done;
	bool same;

	commit(dp, &full, NULL);
	rs_addr_parse("10.9.9.9", &v[0].addr, NULL);
	rs_addr_parse(bed_addr(POD_A, 4), &v[1].addr, NULL);
	if (rs_addr_cmp(&v[0].addr, &v[1].addr) > 0)
		check(false, "moves are in order");
	check(bed_udp(POD_A, POD_B, 4, 5353), "control: a is of a class that b lets in");
	check(dp->ops->shift(dp, ir, &m, &done, NULL) == 0 && done.changed && done.messages == 2,
	      "one comes, one moves: two writes");
	rs_ir_apply(ir, &m);
	ir->generation = 90;
	same = dp->ops->read(dp, &have, NULL) == 0 && have && rs_ir_equal(ir, have);
	check(same && have->generation == 90, "which read() answers with");
	check(!bed_udp(POD_A, POD_B, 4, 5353) && drifts(dp, NULL) == 0, "and which is in force");
	check(dp->ops->shift(dp, ir, &m, &done, NULL) == -ESTALE, "from where nobody is: refused");
	check(commit(dp, &full, NULL) && bed_udp(POD_A, POD_B, 4, 5353), "back again");
	rs_ir_free(ir);
	rs_ir_free(have);
	dp->ops->close(dp);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void delete_end(struct rs_dp *dp, const char *text)
{
	struct rs_bpf_addr key;
	struct rs_addr a;

	rs_addr_parse(text, &a, NULL);
	key = rs_bpf_addr_of(&a);
	bpf_map_delete_elem(rs_ebpf_of(dp)->set.map[RS_BPF_MAP_ENDS], &key);
}

static void delete_link(struct rs_dp *dp, uint32_t index)
{
	bpf_map_delete_elem(rs_ebpf_of(dp)->set.map[RS_BPF_MAP_LINKS], &index);
}

/* Heard at once, and mended without a new set: nothing of ours was out of our hands. */
static void take_pins(struct rs_dp *dp, const char *command, const char *named)
{
	struct pollfd p = { .fd = dp->ops->watch_fd(dp), .events = POLLIN };
	struct rs_dp_commit done;
	bool foreign = false;
	char *who = NULL;

	dp->ops->watch_read(dp, &foreign, &who, NULL); /* of what was before */
	free(rs_steal_ptr(&who));
	check(!foreign && poll(&p, 1, 0) == 0, "nothing is the matter");
	printf("     %s\n", command);
	bed_sh(NODE, NULL, "%s", command);
	check(poll(&p, 1, 1000) == 1 && dp->ops->watch_read(dp, &foreign, &who, NULL) == 0 &&
		      foreign,
	      "it hears of it");
	free(who);
	check(drifts(dp, named) == 1, "audit names what is gone");
	check(commit(dp, &full, &done) && !done.rebuilt && drifts(dp, NULL) == 0 && judged_as(true),
	      "pinned again, without a new set");
}

static void take_each_kind(struct rs_dp *dp)
{
	if (bed_ops == &rs_dp_ebpf_tc) {
		take_pins(dp, "rm " EBPF_DIR "/*/link_sockets", "link_sockets");
		take_pins(dp, "rm " EBPF_DIR "/*/rs_cells " EBPF_DIR "/*/prog_rs_tc_to_pod",
			  "rs_cells");
		take_pins(dp, "cd " EBPF_DIR "/* && mv prog_rs_tc_to_world prog_rs_tc_to_pod",
			  "prog_rs_tc_to_pod");
	} else {
		take_pins(dp, "rm " EBPF_DIR "/*/link_forwarded4", "link_forwarded4");
		take_pins(dp, "rm " EBPF_DIR "/*/rs_cells " EBPF_DIR "/*/prog_guard", "rs_cells");
		take_pins(dp, "cd " EBPF_DIR "/* && rm link_guard6 && mv link_guard4 link_guard6",
			  "link_guard4");
	}
	take_pins(dp, "rm -r " EBPF_DIR, "pin " EBPF_DIR);
}

void test_pins(void)
{
	bool tc = bed_ops == &rs_dp_ebpf_tc;
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	rs_auto_err err = { 0 };
	struct rs_ir *ir = bed_ir(&full);

	commit(dp, &full, NULL);
	take_each_kind(dp);
	dp->ops->close(dp);
	dp = open_dp();
	check(commit(dp, &full, &done) && !done.changed, "the next agent adopts what was mended");
	for (int i = 0; i < (tc ? 1 : RS_BPF_LINKS); i += 2)
		bpf_link_detach(rs_ebpf_of(dp)->set.link[i]);
	check(tc || bed_udp(POD_A, POD_B, 4, 5354),
	      "control: programs that were detached judge nobody");
	check(drifts(dp, tc ? "look-up of sockets" : "program at hook") == 1,
	      "although their pins are there, it is found");
	check(commit(dp, &full, &done) && !done.rebuilt && drifts(dp, NULL) == 0 && judged_as(true),
	      "and mended, without a new set");
	check(bed_sh(NODE, NULL, "umount -l /sys/fs/bpf && mount -t tmpfs none /sys/fs/bpf") == 0,
	      "the bpffs is gone, and every pin with it");
	check(drifts(dp, "pin ") == 1, "which is found");
	check(dp->ops->commit(dp, ir, &done, &err) < 0 && strstr(rs_err_str(&err), "no bpffs"),
	      "and cannot be mended");
	printf("     %s\n", rs_err_str(&err));
	check(judged_as(true), "the programs go on judging");
	check(bed_sh(NODE, NULL, "umount /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf") == 0 &&
		      commit(dp, &full, NULL) && drifts(dp, NULL) == 0 && judged_as(true),
	      "until it is there again");
	rs_ir_free(ir);
	dp->ops->close(dp);
}

void test_damage(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	struct rs_dp_stats st;
	bool foreign;
	char *who;

	commit(dp, &full, NULL);
	check(bed_udp(POD_A, POD_B, 4, 5353), "control: an allowed datagram");
	delete_end(dp, bed_addr(POD_B, 4));
	check(!bed_udp(POD_A, POD_B, 4, 5353), "an address that is lost: closed, not open");
	check(drifts(dp, "rs_ends 10.244.0.3: missing") == 1, "audit names it");
	check(commit(dp, &full, NULL) && bed_udp(POD_A, POD_B, 4, 5353), "and the commit mends it");
	delete_link(dp, bed_ifindex(POD_A));
	/* A source that came from it since the last commit may be remembered. */
	check(!bed_udp(POD_A, POD_B, 6, 5353), "a link that is lost: nothing new comes from it");
	check(drifts(dp, "missing") == 1 && commit(dp, &full, NULL) &&
		      bed_udp(POD_A, POD_B, 6, 5353),
	      "found and mended");
	check(dp->ops->stats(dp, &st, NULL) == 0 && st.drops[RS_DROP_NOT_PROGRAMMED].packets >= 2,
	      "counted as not-programmed");
	rs_dp_stats_free(&st);
	check(bed_sh(NODE, NULL, "nft flush ruleset") == 0, "somebody flushes nft's rules");
	check(dp->ops->watch_read(dp, &foreign, &who, NULL) == 0 && foreign,
	      "of which it hears: conntrack may be off");
	free(who);
	check(drifts(dp, "ripstop-ct") == 1 && commit(dp, &full, &done) && !done.rebuilt &&
		      drifts(dp, NULL) == 0 && judged_as(true),
	      "found, and mended without a new set");
	check(dp->ops->watch_read(dp, &foreign, &who, NULL) == 0 && !foreign,
	      "our own mending is no news");
	dp->ops->close(dp);
}

/* ---- one set for another --------------------------------------------------------------------- */

static char *places(void)
{
	char *text = NULL;

	bed_sh(NODE, &text, "ls " EBPF_DIR " | tr '\\n' ' '");
	return text;
}

/* Another configuration that the programs of a set cannot change to: as another version. */
void test_replaced(void)
{
	struct rs_dp *dp = open_dp();
	struct rs_dp_commit done;
	rs_autofree char *before = NULL;
	rs_autofree char *after = NULL;
	struct bed_conn c;

	commit(dp, &full, NULL);
	before = places();
	for (int f = 4; f <= 6; f += 2) {
		say(bed_open(&c, POD_A, POD_B, f, 8080) && bed_talk(&c), "a connection", f);
		dp->ops->close(dp);
		cfg.link_group ^= 2;
		dp = open_dp();
		check(commit(dp, &full, &done) && done.rebuilt, "a set that cannot be adopted");
		printf("     %s\n", done.why);
		cfg.link_group ^= 2;
		dp->ops->close(dp);
		dp = open_dp();
		check(commit(dp, &full, &done) && done.rebuilt, "and one that takes its place");
		say(bed_talk(&c), "the connection goes on", f);
		bed_close(&c);
		check(judged_as(true), "judged as before");
	}
	after = places();
	printf("     %s-> %s\n", before, after);
	check(strlen(after) == strlen("v1a "), "one set is there");
	dp->ops->close(dp);
}

void test_other_node(void)
{
	struct rs_dp *dp = open_dp();
	rs_auto_err err = { 0 };
	struct rs_ir *ir = NULL;

	commit(dp, &full, NULL);
	dp->ops->close(dp);
	bed_enter(WORLD);
	dp = open_dp();
	check(dp->ops->read(dp, &ir, &err) == -EBUSY, "pins of another node are not touched");
	printf("     %s; %s\n", rs_err_str(&err), err.hint ? err.hint : "-");
	check(commit(dp, &full, NULL) == false, "not by a commit");
	check(dp->ops->remove(dp, NULL) == -EBUSY, "and not by a removal");
	dp->ops->close(dp);
	bed_enter(NODE);
	check(judged_as(true), "and go on judging");
}
