// SPDX-License-Identifier: Apache-2.0
/* nflogmsg.c - reads one NFLOG message: attributes of the kernel, then a packet that anybody may
 * have written and of which only the head is there. */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <string.h>

#include "base/base.h"
#include "dataplane/nft/nflog.h"

#define MAX_EXTENSIONS 8
/* enum ip_conntrack_info */
#define CT_RELATED 1u
#define CT_ESTABLISHED_REPLY 3u
#define CT_RELATED_REPLY 4u

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set_addr(struct rs_addr *a, int family, const uint8_t *from)
{
	memset(a, 0, sizeof(*a));
	a->family = (uint8_t)family;
	memcpy(a->b, from, rs_addr_bytes(family));
}

/* What follows the IP header; n is what there is of it. */
static void read_transport(const uint8_t *p, size_t n, struct rs_dp_drop *d)
{
	switch (d->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		if (n < 4)
			return;
		d->has_ports = true;
		d->sport = be16(p);
		d->dport = be16(p + 2);
		if (d->proto == IPPROTO_TCP && n >= 14) {
			d->has_flags = true;
			d->tcp_flags = p[13];
		}
		return;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (n < 2)
			return;
		d->has_icmp = true;
		d->icmp_type = p[0];
		d->icmp_code = p[1];
		return;
	default:
		return;
	}
}

static void read_ip4(const uint8_t *p, size_t n, struct rs_dp_drop *d)
{
	size_t head = (size_t)(p[0] & 0x0f) * 4;

	if (n < 20 || head < 20)
		return;
	set_addr(&d->src, RS_AF_IP4, p + 12);
	set_addr(&d->dst, RS_AF_IP4, p + 16);
	d->proto = p[9];
	if (n > head && !(be16(p + 6) & 0x1fff)) /* a later fragment has no ports */
		read_transport(p + head, n - head, d);
}

/* Length of an extension header, 0 when *next is none. *later: what follows is not the start. */
static size_t extension(uint8_t next, const uint8_t *p, size_t n, bool *later)
{
	if (n < 8)
		return 0;
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return ((size_t)p[1] + 1) * 8;
	case IPPROTO_AH:
		return ((size_t)p[1] + 2) * 4;
	case IPPROTO_FRAGMENT:
		*later = be16(p + 2) & 0xfff8;
		return 8;
	default:
		return 0;
	}
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_AH || next == IPPROTO_FRAGMENT;
}

static void read_ip6(const uint8_t *p, size_t n, struct rs_dp_drop *d)
{
	uint8_t next = p[6];
	bool later = false;
	size_t at = 40;

	set_addr(&d->src, RS_AF_IP6, p + 8);
	set_addr(&d->dst, RS_AF_IP6, p + 24);
	for (int i = 0; i < MAX_EXTENSIONS && is_extension(next); i++) {
		size_t len = at < n ? extension(next, p + at, n - at, &later) : 0;

		if (!len)
			break;
		next = p[at];
		at += len;
	}
	d->proto = next;
	if (!later && at < n)
		read_transport(p + at, n - at, d);
}

/* A second packet in one message takes the place of the first, wholly. */
static void forget_packet(struct rs_dp_drop *d)
{
	memset(&d->src, 0, sizeof(d->src));
	memset(&d->dst, 0, sizeof(d->dst));
	d->proto = d->tcp_flags = d->icmp_type = d->icmp_code = 0;
	d->sport = d->dport = 0;
	d->has_ports = d->has_flags = d->has_icmp = false;
}

static void read_packet(const struct nlattr *a, struct rs_nflog_msg *out)
{
	struct rs_dp_drop *d = &out->drop;
	const uint8_t *p = mnl_attr_get_payload(a);
	size_t n = mnl_attr_get_payload_len(a);

	forget_packet(d);
	out->packet = p;
	out->packet_len = n;
	if (n >= 20 && p[0] >> 4 == 4)
		read_ip4(p, n, d);
	else if (n >= 40 && p[0] >> 4 == 6)
		read_ip6(p, n, d);
}

/* "rs1 R D", RS_NFT_LOG_FORMAT. */
static bool is_ours(const char *s)
{
	return strlen(s) == 7 && !memcmp(s, "rs1 ", 4) && s[4] >= '0' &&
	       s[4] < '0' + RS_DROP_REASONS && s[5] == ' ' && (s[6] == 'i' || s[6] == 'o');
}

static void read_prefix(const struct nlattr *a, struct rs_nflog_msg *out)
{
	const char *s = mnl_attr_get_payload(a);

	out->prefix = mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0 ? NULL : s;
	out->ours = out->prefix && is_ours(s);
	if (!out->ours)
		return;
	out->drop.reason = (enum rs_drop_reason)(s[4] - '0');
	out->drop.from_pod = s[6] == 'o';
}

static bool read_u32(const struct nlattr *a, uint32_t *out)
{
	if (mnl_attr_get_payload_len(a) != sizeof(*out))
		return false;
	*out = ntohl(mnl_attr_get_u32(a));
	return true;
}

static void read_conntrack(const struct nlattr *a, struct rs_dp_drop *d)
{
	uint32_t info;

	if (!read_u32(a, &info))
		return;
	d->tracked = true;
	d->reply = info == CT_ESTABLISHED_REPLY || info == CT_RELATED_REPLY;
	d->related = info == CT_RELATED || info == CT_RELATED_REPLY;
}

static void read_time(const struct nlattr *a, struct rs_dp_drop *d)
{
	struct nfulnl_msg_packet_timestamp t;
	uint64_t sec, usec;

	if (mnl_attr_get_payload_len(a) != sizeof(t))
		return;
	memcpy(&t, mnl_attr_get_payload(a), sizeof(t));
	sec = be64toh(t.sec);
	usec = be64toh(t.usec);
	if (sec && sec < INT64_MAX / 1000000000 && usec < 1000000)
		d->time_ns = (int64_t)(sec * 1000000000 + usec * 1000);
}

/* The next attribute, or the first one after NULL. mnl_attr_for_each() rounds the message's length
 * up, and so would read behind one that ends within a word. */
static const struct nlattr *next_attr(const struct nlmsghdr *h, const struct nlattr *a)
{
	const char *end = (const char *)h + h->nlmsg_len;

	a = a ? mnl_attr_next(a) : mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));
	return (const char *)a < end && mnl_attr_ok(a, (int)(end - (const char *)a)) ? a : NULL;
}

void rs_nflog_parse(const struct nlmsghdr *h, struct rs_nflog_msg *out)
{
	const struct nlattr *a = NULL;

	memset(out, 0, sizeof(*out));
	if (h->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return;
	while ((a = next_attr(h, a))) {
		switch (mnl_attr_get_type(a)) {
		case NFULA_PREFIX:
			read_prefix(a, out);
			break;
		case NFULA_PAYLOAD:
			read_packet(a, out);
			break;
		case NFULA_IFINDEX_INDEV:
			read_u32(a, &out->drop.iif);
			break;
		case NFULA_IFINDEX_OUTDEV:
			read_u32(a, &out->drop.oif);
			break;
		case NFULA_SEQ:
			out->has_seq = read_u32(a, &out->seq);
			break;
		case NFULA_CT_INFO:
			read_conntrack(a, &out->drop);
			break;
		case NFULA_TIMESTAMP:
			read_time(a, &out->drop);
			break;
		default:
			break;
		}
	}
}
