// SPDX-License-Identifier: Apache-2.0
/*
 * ebpf_stand.c - programs at devices, as somebody else sees, puts and takes them away: links (tcx)
 * or, where the kernel has none or the bed wants it so, clsact filters.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpftcx.h"
#include "ebpf_bed.h"
#include "nft_check.h"

#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define MOST 63 /* programs at one end of a device: the kernel's limit */
#define OF_ANOTHER "foreign"

static bool by_links(void)
{
	return !cfg.bpf_clsact && rs_bpf_tcx_has();
}

struct ends {
	uint32_t n, prog[MOST], link[MOST];
};

static void ask(const char *dev, bool in, struct ends *out)
{
	struct { /* of union bpf_attr */
		uint32_t ifindex, type, query_flags, attach_flags;
		uint64_t prog_ids;
		uint32_t count, pad;
		uint64_t prog_flags, link_ids, link_flags, revision;
	} attr = { .ifindex = if_nametoindex(dev),
		   .type = in ? TCX_INGRESS : TCX_EGRESS,
		   .prog_ids = (uintptr_t)out->prog,
		   .link_ids = (uintptr_t)out->link,
		   .count = MOST };

	memset(out, 0, sizeof(*out));
	if (!syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)))
		out->n = attr.count;
}

static void name_of(uint32_t prog, char *to)
{
	rs_autoclose int fd = bpf_prog_get_fd_by_id(prog);
	struct bpf_prog_info i = { 0 };
	uint32_t len = sizeof(i);

	*to = '\0';
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &i, &len))
		snprintf(to, sizeof(i.name) + 1, "%s", i.name);
}

static char *links_text(const char *dev)
{
	rs_auto_strbuf b = { 0 };
	char name[BPF_OBJ_NAME_LEN + 1];
	struct ends ends;

	for (int in = 1; in >= 0; in--) {
		ask(dev, in, &ends);
		for (uint32_t i = 0; i < ends.n; i++) {
			name_of(ends.prog[i], name);
			rs_strbuf_printf(&b, "%s %s %u link %u\n", in ? "in" : "out", name,
					 ends.prog[i], ends.link[i]);
		}
	}
	return rs_strdup(b.s ? b.s : "");
}

char *stand_programs(const char *dev)
{
	char *text = NULL;

	if (by_links())
		return links_text(dev);
	bed_sh(NODE, &text,
	       "(tc filter show dev %s ingress; tc filter show dev %s egress) | "
	       "grep -o 'pref.* bpf chain.*handle.*'",
	       dev, dev);
	return text;
}

void stand_detach(const char *dev)
{
	struct ends ends;

	if (!by_links()) {
		bed_sh(NODE, NULL,
		       "tc filter del dev %s ingress prio 2; tc filter del dev %s ingress prio 3",
		       dev, dev);
		return;
	}
	ask(dev, true, &ends);
	for (uint32_t i = 0; i < ends.n; i++) {
		rs_autoclose int fd = ends.link[i] ? bpf_link_get_fd_by_id(ends.link[i]) : -1;

		if (fd >= 0 && bpf_link_detach(fd))
			check(false, "a link is detached");
	}
}

/* ---- other programs' ------------------------------------------------------------------------- */

static int load_foreign(void)
{
	static const struct bpf_insn go_on[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, OF_ANOTHER, "GPL", go_on,
			     RS_ARRAY_SIZE(go_on), NULL);
}

/* With all that a filter of ours is known by but the name. */
static bool put_filter(const char *dev, int prog, uint32_t priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(dev),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, o, .handle = 0x5253, .priority = priority, .prog_fd = prog);

	(void)bpf_tc_hook_create(&hook);
	return !bpf_tc_attach(&hook, &o);
}

static bool attach(const char *dev, int prog)
{
	struct {
		uint32_t ifindex, prog, type, flags;
		uint64_t rest[4];
	} attr = { .ifindex = if_nametoindex(dev), .prog = (uint32_t)prog, .type = TCX_INGRESS };

	return !syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr));
}

static void put(const char *dev, uint32_t priority)
{
	rs_autoclose int prog = load_foreign();

	if (prog < 0 || !(by_links() ? attach(dev, prog) : put_filter(dev, prog, priority)))
		check(false, "a foreign program stands");
}

void stand_foreign(const char *dev)
{
	put(dev, 9);
}

void stand_no_room(const char *dev)
{
	for (uint32_t i = 0; i < (by_links() ? MOST : 2); i++)
		put(dev, 2 + i);
}

void stand_clear(const char *dev)
{
	struct ends ends;

	bed_sh(NODE, NULL, "tc filter del dev %s ingress", dev);
	ask(dev, true, &ends);
	for (uint32_t i = 0; by_links() && i < ends.n; i++) {
		rs_autoclose int fd = bpf_prog_get_fd_by_id(ends.prog[i]);
		struct {
			uint32_t ifindex, prog, type, flags;
			uint64_t rest[4];
		} attr = { .ifindex = if_nametoindex(dev),
			   .prog = (uint32_t)fd,
			   .type = TCX_INGRESS };

		if (!ends.link[i] && syscall(SYS_bpf, BPF_PROG_DETACH, &attr, sizeof(attr)))
			check(false, "a foreign program is taken away");
	}
}

/* A link goes a moment after its pin. */
bool stand_gone(const char *dev)
{
	for (int i = 0; i < 100; i++) {
		rs_autofree char *left = stand_programs(dev);

		if (!strstr(left, "rs_tc_"))
			return true;
		usleep(10000);
	}
	return false;
}

bool stand_only_foreign(const char *dev)
{
	rs_autofree char *left = stand_gone(dev) ? stand_programs(dev) : rs_strdup("");

	return strstr(left, OF_ANOTHER) != NULL;
}
