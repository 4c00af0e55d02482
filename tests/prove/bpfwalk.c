// SPDX-License-Identifier: Apache-2.0
/* bpfwalk.c - see bpfwalk.h. */
#include "tests/prove/bpfwalk.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include <ripstop/mapset.h>

#include "base/base.h"
#include "dataplane/ebpf/ebpf.h"

#define BPFFS "/sys/fs/bpf"

int pv_bpf_mount(struct rs_err *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", BPFFS, "bpf", 0, NULL) < 0)
		return rs_err_sys(err, errno, "a bpffs of its own");
	return 0;
}

int pv_bpf_commit(struct rs_dp **dp, size_t node, const struct rs_ir *ir, struct rs_err *err)
{
	rs_autofree char *dir = rs_asprintf("%s/node%zu", BPFFS, node);
	struct rs_dp_commit done;
	struct rs_dp_config cfg;
	int rc = 0;

	if (!*dp) {
		rs_dp_config_default(&cfg);
		cfg.bpf_dir = dir;
		rc = rs_dp_ebpf.open(&cfg, dp, err);
	}
	return rc ? rc : rs_dp_ebpf.commit(*dp, ir, &done, err);
}

static uint8_t state_of(const struct rs_packet *p)
{
	switch (p->ct_state) {
	case RS_CT_NEW:
		return RS_BPF_CT_NEW;
	case RS_CT_ESTABLISHED:
		return RS_BPF_CT_ESTABLISHED;
	case RS_CT_RELATED:
		return RS_BPF_CT_RELATED;
	default:
		return RS_BPF_CT_NONE;
	}
}

static void describe(const struct rs_packet *p, struct rs_bpf_view *v)
{
	v->src = rs_bpf_addr_of(&p->src);
	v->dst = rs_bpf_addr_of(&p->dst);
	v->iif = p->iif;
	v->oif = p->oif;
	v->iif_group = p->iif_group;
	v->oif_group = p->oif_group;
	v->l4 = p->proto;
	v->l4_read = 1;
	v->sport = p->sport;
	v->dport = p->dport;
	v->tcp_flags = p->tcp_flags;
	v->sctp_chunk = p->sctp_chunk;
	v->icmp_type = p->icmp_type;
	v->icmp_code = p->icmp_code;
	v->hops = p->ttl;
	v->options = p->ip_words && p->ip_words != 5;
	v->state = state_of(p);
	if (v->state == RS_BPF_CT_NONE)
		return;
	v->client = rs_bpf_addr_of(&p->orig.src);
	v->server = rs_bpf_addr_of(&p->reply.src);
	v->flow_proto = p->ct_proto;
	v->reply = p->ct_reply;
	if (p->ct_proto != IPPROTO_ICMP && p->ct_proto != IPPROTO_ICMPV6)
		v->port = p->reply.sport;
}

static const char *reason_of(int verdict)
{
	if (verdict == RS_BPF_ACCEPT)
		return "";
	return verdict == RS_BPF_COUNT_QUIET
		       ? "quiet"
		       : rs_drop_reason_name((enum rs_drop_reason)(verdict / 2));
}

/* The maps read a second time, by code that shares nothing with the program: it must say the same. */
static int read_again(struct rs_dp *dp, enum rs_hook hook, const struct rs_packet *p, int verdict,
		      struct rs_err *err)
{
	struct rs_mapset *maps = NULL;
	struct rs_mapwalk w;
	int rc = rs_mapset_open(rs_ebpf_of(dp)->dir, &maps, err);

	if (!rc)
		rc = rs_mapset_walk(maps, hook, p, &w, err);
	if (!rc && (!w.attached || strcmp(w.reason ? w.reason : "", reason_of(verdict)) != 0))
		rc = rs_err_set(err, EBADMSG, "%s says %d, the maps read again say %s", w.program,
				verdict, w.reason ? w.reason : "accept");
	rs_mapset_close(maps);
	return rc;
}

int pv_bpf_walk(struct rs_dp *dp, enum rs_hook hook, const struct rs_packet *p, struct rs_walk *out,
		struct rs_err *err)
{
	struct rs_bpf_case c = {
		.hook = hook == RS_HOOK_PREROUTING ? RS_BPF_HOOK_GUARD
			: hook == RS_HOOK_INPUT	   ? RS_BPF_HOOK_TO_NODE
						   : RS_BPF_HOOK_FORWARDED,
	};
	int rc;

	describe(p, &c.view);
	rc = rs_bpf_run_judge(&rs_ebpf_of(dp)->set, &c);
	if (rc < 0)
		return rs_err_sys(err, -rc, "run the program");
	memset(out, 0, sizeof(*out));
	out->accept = rc == RS_BPF_ACCEPT;
	snprintf(out->chain, sizeof(out->chain), "verdict %d", rc);
	return read_again(dp, hook, p, rc, err);
}
