/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bpf_kernel.h - the kernel's structs of which we read a member; where it lies is found when the
 * programs are loaded (CO-RE), so no vmlinux.h is needed. */
#ifndef RIPSTOP_BPF_KERNEL_H
#define RIPSTOP_BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define RS_RELOCATED __attribute__((preserve_access_index))

struct net {
	unsigned int dev_base_seq;
} RS_RELOCATED;

typedef struct {
	struct net *net;
} RS_RELOCATED possible_net_t;

struct net_device {
	int ifindex;
	__u32 group;
	possible_net_t nd_net;
} RS_RELOCATED;

struct nf_hook_state {
	__u8 pf;
	struct net_device *in;
	struct net_device *out;
} RS_RELOCATED;

struct sk_buff {
	unsigned long _nfct;
	unsigned int len;
	unsigned int data_len;
	struct net_device *dev;
	void *sk;
	unsigned char *head;
	unsigned char *data;
	__u16 network_header;
} RS_RELOCATED;

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
} RS_RELOCATED;

union nf_inet_addr {
	__u32 all[4];
} RS_RELOCATED;

union nf_conntrack_man_proto {
	__be16 all;
} RS_RELOCATED;

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union nf_conntrack_man_proto u;
	__u16 l3num;
} RS_RELOCATED;

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
	struct {
		__u8 protonum;
	} dst;
} RS_RELOCATED;

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
} RS_RELOCATED;

struct ip_ct_tcp_state {
	__u8 flags;
} RS_RELOCATED;

#define RS_CT_TCP_LIBERAL 0x08 /* of both ends: taken up in mid-stream */

struct ip_ct_tcp {
	struct ip_ct_tcp_state seen[2];
} RS_RELOCATED;

union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
} RS_RELOCATED;

struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2];
	union nf_conntrack_proto proto;
	unsigned long status;
} RS_RELOCATED;

#define RS_CT_SEEN_REPLY 2ul

struct bpf_ct_opts___rs { /* as of 5.18, which later kernels take too */
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

/* The low bits of sk_buff._nfct. */
#define RS_CTINFO_MASK 7ul
#define RS_CTINFO_ESTABLISHED 0
#define RS_CTINFO_RELATED 1
#define RS_CTINFO_NEW 2
#define RS_CTINFO_REPLY 3 /* and above: the packet is the server's */
#define RS_CTINFO_RELATED_REPLY 4

#define RS_PF_IP4 2
#define RS_PF_IP6 10

#define RS_TCP 6
#define RS_UDP 17
#define RS_SCTP 132
#define RS_ICMP 1
#define RS_ICMP6 58

#endif
