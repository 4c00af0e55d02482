// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_nflog.c - libFuzzer entry for drop records: the bytes are what one read of the NFLOG socket
 * gave, and the head of a packet in it may be anybody's. Beside memory safety: what is told of a
 * packet is whole (ports only of protocols that have them, addresses of one family), the same
 * message says the same twice, and the packets go through the pairing of a capture.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/nflog.h"
#include "dataplane/nft/tap.h"

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

/* What is pointed at lies inside the message. */
static void check_inside(const struct nlmsghdr *h, const void *at, size_t n)
{
	const char *begin = (const char *)h, *p = at;

	check(!p || (p >= begin && n <= h->nlmsg_len && p + n <= begin + h->nlmsg_len));
}

static void take(const struct rs_nflog_msg *m, struct rs_tap_pairs **t)
{
	struct rs_capture_packet p = { .from_pod = m->drop.iif & 1,
				       .data = m->packet,
				       .len = m->packet_len };
	enum tap_point point = (enum tap_point)(m->seq % TAP_POINTS);

	if (!m->packet)
		return;
	if (!*t)
		*t = rs_tap_pairs_new();
	rs_tap_pairs_add(*t, point, &p, 0);
	if (m->seq & 0x100)
		rs_tap_pairs_lost(*t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rs_tap_pairs *t = NULL;
	rs_autofree char *buf = rs_memdup(data, size);
	const struct nlmsghdr *h = (const void *)buf;
	int left = (int)size;

	for (; rs_nflog_whole(h, left); h = mnl_nlmsg_next(h, &left)) {
		struct rs_nflog_msg a, b;

		rs_nflog_parse(h, &a);
		rs_nflog_parse(h, &b);
		check(!memcmp(&a, &b, sizeof(a)));
		check_drop(&a.drop);
		check_inside(h, a.packet, a.packet_len);
		check_inside(h, a.prefix, a.prefix ? strlen(a.prefix) + 1 : 0);
		take(&a, &t);
	}
	while (t && rs_tap_pairs_next(t, TAP_PATIENCE_MS))
		;
	check(!t || rs_tap_pairs_due(t) == -1);
	rs_tap_pairs_free(t);
	return 0;
}
