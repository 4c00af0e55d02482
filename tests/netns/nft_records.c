// SPDX-License-Identifier: Apache-2.0
/* nft_records.c - what arrives at the NFLOG group: prefix, limit of each pod, and what was left out. */
#include "nft_check.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"

static void configure(struct mnl_socket *nl, uint16_t group, uint16_t attr, const void *data,
		      size_t len)
{
	char buf[RS_NFT_REQUEST];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = 1;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->res_id = htons(group);
	mnl_attr_put(h, attr, len, data);
	if (rs_nft_dump(nl, h, NULL, NULL) < 0) {
		perror("nflog");
		exit(1);
	}
}

static struct mnl_socket *listen_to(uint16_t group)
{
	struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(128),
					       .copy_mode = NFULNL_COPY_PACKET };
	uint32_t each = htonl(1);
	struct mnl_socket *nl;

	if (rs_nft_socket(0, &nl, NULL) < 0)
		exit(1);
	configure(nl, group, NFULA_CFG_CMD, &bind, sizeof(bind));
	configure(nl, group, NFULA_CFG_MODE, &mode, sizeof(mode));
	configure(nl, group, NFULA_CFG_QTHRESH, &each, sizeof(each));
	return nl;
}

struct records {
	const char *prefix;
	const char *source;
	size_t n;
	size_t others;
};

static int on_record(const struct nlmsghdr *h, void *arg)
{
	struct records *r = arg;
	const struct nlattr *a, *payload = NULL, *prefix = NULL;
	struct in_addr src;
	const uint8_t *ip;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFULA_PAYLOAD)
			payload = a;
		if (mnl_attr_get_type(a) == NFULA_PREFIX)
			prefix = a;
	}
	inet_pton(AF_INET, r->source, &src);
	ip = payload && mnl_attr_get_payload_len(payload) >= 28 ? mnl_attr_get_payload(payload)
								: NULL;
	if (prefix && !strcmp(mnl_attr_get_str(prefix), r->prefix) && ip &&
	    !memcmp(ip + 12, &src, 4))
		r->n++;
	else
		r->others++;
	return MNL_CB_OK;
}

static void drain(struct mnl_socket *nl, struct records *r)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(nl), .events = POLLIN };
	char buf[65536];

	r->n = r->others = 0;
	while (poll(&p, 1, 300) == 1) {
		ssize_t got = recv(p.fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (got <= 0 || mnl_cb_run(buf, (size_t)got, 0, 0, on_record, r) < 0)
			break;
	}
}

static void send_many(enum bed_place from, enum bed_place to, int n)
{
	int fd = bed_socket(from, 4, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(to, 4), 4, 9);

	for (int i = 0; i < n; i++)
		(void)!sendto(fd, "x", 1, 0, (void *)&s, len);
	close(fd);
}

static void read_stats(struct rs_dp *dp, struct rs_dp_stats *st)
{
	if (dp->ops->stats(dp, st, NULL) < 0)
		exit(1);
	rs_dp_stats_free(&(struct rs_dp_stats){ .judged = rs_steal_ptr(&st->judged) });
}

void test_records(struct rs_dp *dp)
{
	struct records c = { .prefix = "rs1 1 o", .source = "10.244.0.4" };
	struct records a = { .prefix = "rs1 0 i", .source = "10.244.0.2" };
	struct mnl_socket *nl = listen_to(cfg.nflog_group);
	struct rs_dp_stats before, after;

	sleep(2);
	read_stats(dp, &before);
	send_many(POD_C, POD_A, 100);
	drain(nl, &c);
	read_stats(dp, &after);
	printf("     %zu records of 100 packets\n", c.n);
	check(c.n >= cfg.log_rate && c.n < 40 && !c.others,
	      "records of a flooding pod: its prefix, its packets, not many");
	check(after.drops[RS_DROP_POLICY_EGRESS].packets -
				      before.drops[RS_DROP_POLICY_EGRESS].packets ==
			      100 &&
		      after.log_suppressed - before.log_suppressed == 100 - c.n,
	      "what was suppressed and what arrived is what was dropped");
	send_many(POD_C, POD_A, 100);
	send_many(POD_A, POD_B, 4);
	drain(nl, &a);
	check(a.n == 4, "another pod's records all arrive beside a flood");
	mnl_socket_close(nl);
}
