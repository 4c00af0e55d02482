// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_nflog.c - libFuzzer entry for drop records: the bytes are what one read of the NFLOG socket
 * gave, and the head of a packet in it may be anybody's. Beside memory safety: what is told of a
 * packet is whole (ports only of protocols that have them, addresses of one family), and the same
 * message says the same twice.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/nflog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_drop(const struct rs_dp_drop *d)
{
	check(d->reason < RS_DROP_REASONS);
	check(d->src.family == d->dst.family);
	check(!d->src.family || d->src.family == RS_AF_IP4 || d->src.family == RS_AF_IP6);
	check(d->src.family || (!d->has_ports && !d->has_icmp && !d->proto));
	check(!(d->has_ports && d->has_icmp));
	check(!d->has_flags || (d->has_ports && d->proto == IPPROTO_TCP));
	check(!d->has_icmp || d->proto == IPPROTO_ICMP || d->proto == IPPROTO_ICMPV6);
	check(d->time_ns >= 0);
	check(d->tracked || (!d->reply && !d->related));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rs_autofree char *buf = rs_memdup(data, size);
	const struct nlmsghdr *h = (const void *)buf;
	int left = (int)size;

	for (; rs_nflog_whole(h, left); h = mnl_nlmsg_next(h, &left)) {
		struct rs_nflog_msg a, b;

		rs_nflog_parse(h, &a);
		rs_nflog_parse(h, &b);
		check(!memcmp(&a, &b, sizeof(a)));
		check_drop(&a.drop);
	}
	return 0;
}
