// SPDX-License-Identifier: Apache-2.0
/*
 * bpfhooks.c - asks the kernel which programs stand at the hooks of this network namespace: a link
 * that somebody detached still has its pin, and says nothing of it.
 */
#include "dataplane/ebpf/ebpf.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"

/* Newer than the headers of Debian 12. */
#define HOOK_TYPE_BPF 2
#define HOOK_BPF_ID 1

struct wanted {
	uint32_t prog; /* 0: any */
	int32_t priority;
	bool found;
};

static uint32_t number(const struct nlattr *a)
{
	return mnl_attr_get_payload_len(a) == 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

/* The id of the program that a hook's description names; 0: it is none. */
static uint32_t program_of(const struct nlattr *info)
{
	uint32_t type = 0, id = 0;
	const struct nlattr *a, *b;

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == NFNLA_HOOK_INFO_TYPE)
			type = number(a);
		if (mnl_attr_get_type(a) != NFNLA_HOOK_INFO_DESC)
			continue;
		mnl_attr_for_each_nested(b, a)
		{
			if (mnl_attr_get_type(b) == HOOK_BPF_ID)
				id = number(b);
		}
	}
	return type == HOOK_TYPE_BPF ? id : 0;
}

static int on_hook(const struct nlmsghdr *h, void *arg)
{
	struct wanted *w = arg;
	const struct nlattr *a;
	uint32_t prog = 0;
	int32_t priority = 0;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFNLA_HOOK_PRIORITY)
			priority = (int32_t)number(a);
		if (mnl_attr_get_type(a) == NFNLA_HOOK_CHAIN_INFO)
			prog = program_of(a);
	}
	w->found |= prog && (!w->prog || prog == w->prog) && priority == w->priority;
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *nl, uint8_t family, uint32_t hook, struct wanted *w)
{
	char buf[RS_NFT_REQUEST];
	int rc = -EINTR;

	for (int i = 0; i < 8 && rc == -EINTR; i++) {
		struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
		struct nfgenmsg *g;

		h->nlmsg_type = NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
		h->nlmsg_seq = (uint32_t)rs_mono_ms();
		g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
		g->nfgen_family = family;
		g->version = NFNETLINK_V0;
		mnl_attr_put_u32(h, NFNLA_HOOK_HOOKNUM, htonl(hook));
		w->found = false;
		rc = rs_nft_dump(nl, h, on_hook, w);
	}
	return rc;
}

static uint32_t program_id(int link)
{
	struct bpf_link_info i = { 0 };
	uint32_t len = sizeof(i);

	return bpf_obj_get_info_by_fd(link, &i, &len) ? 0 : i.prog_id;
}

/* A kernel without nfnetlink_hook cannot be asked; but where a program stands, no other may: one
 * that accepts everything, and is gone at once, tells whether the place is free. */
static bool is_taken(int trial, char place, unsigned int hook, bool six)
{
	int fd = rs_bpf_attach(trial, hook, six, rs_bpf_priority(hook, place));

	if (fd >= 0)
		close(fd);
	return fd == -EBUSY;
}

bool rs_bpf_hook_stands(struct mnl_socket *nl, const struct rs_bpf_set *s, int link)
{
	unsigned int hook = (unsigned int)link / RS_BPF_FAMILIES;
	bool six = link % RS_BPF_FAMILIES;
	struct wanted w = { .prog = program_id(s->link[link]),
			    .priority = rs_bpf_priority(hook, s->place) };
	int rc = ask(nl, six ? NFPROTO_IPV6 : NFPROTO_IPV4, rs_bpf_hook_number(hook), &w);

	return rc || !w.prog ? is_taken(s->trial, s->place, hook, six) : w.found;
}

int rs_bpf_hooks_check(struct mnl_socket *nl, const struct rs_bpf_set *s, struct rs_err *err)
{
	for (int i = 0; i < RS_BPF_LINKS; i++) {
		unsigned int hook = (unsigned int)i / RS_BPF_FAMILIES;

		if (!rs_bpf_hook_stands(nl, s, i))
			return rs_err_set(err, ESTALE, "program at hook %u, priority %d, IPv%d",
					  rs_bpf_hook_number(hook), rs_bpf_priority(hook, s->place),
					  i % RS_BPF_FAMILIES ? 6 : 4);
	}
	return 0;
}

/* Under a seccomp filter the call itself may be the end of us: not for nothing. */
static bool may_load(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return !syscall(SYS_capget, &head, caps) &&
	       (caps[CAP_TO_INDEX(CAP_BPF)].effective & CAP_TO_MASK(CAP_BPF));
}

static int load_trial(void)
{
	static const struct bpf_insn accept_all[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = (enum bpf_attach_type)RS_BPF_ATTACH_NETFILTER);

	if (!may_load())
		return -EPERM;
	return bpf_prog_load((enum bpf_prog_type)RS_BPF_PROG_NETFILTER, "rs_trial", "GPL",
			     accept_all, RS_ARRAY_SIZE(accept_all), &opts);
}

/* *trial: loaded when the first question needs it. */
static bool place_stands(struct mnl_socket *nl, int *trial, char place)
{
	for (int i = 0; i < RS_BPF_LINKS; i++) {
		unsigned int hook = (unsigned int)i / RS_BPF_FAMILIES;
		bool six = i % RS_BPF_FAMILIES;
		struct wanted w = { .priority = rs_bpf_priority(hook, place) };
		int rc = ask(nl, six ? NFPROTO_IPV6 : NFPROTO_IPV4, rs_bpf_hook_number(hook), &w);

		if (rc && *trial == -1)
			*trial = load_trial();
		if (rc)
			w.found = *trial >= 0 && is_taken(*trial, place, hook, six);
		if (!w.found)
			return false;
	}
	return true;
}

bool rs_bpf_hooks_stand(struct mnl_socket *nl)
{
	int trial = -1;
	bool stand = place_stands(nl, &trial, 'a') || place_stands(nl, &trial, 'b');

	if (trial >= 0)
		close(trial);
	return stand;
}
