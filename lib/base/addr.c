// SPDX-License-Identifier: Apache-2.0
/* addr.c - addresses and CIDR blocks; see <ripstop/addr.h>. */
#include <ripstop/addr.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Four decimal octets, leading zeros allowed: inet_pton() refuses them, Kubernetes does not. */
static bool parse_ip4(const char *s, uint8_t out[4])
{
	int octet;

	for (octet = 0; octet < 4; octet++) {
		unsigned int value = 0, digits = 0;

		while (*s >= '0' && *s <= '9') {
			value = value * 10 + (unsigned int)(*s++ - '0');
			if (value > 255 || ++digits > 15)
				return false;
		}
		if (!digits)
			return false;
		out[octet] = (uint8_t)value;
		if (octet < 3 && *s++ != '.')
			return false;
	}
	return *s == '\0';
}

int rs_addr_parse(const char *s, struct rs_addr *out, struct rs_err *err)
{
	struct rs_addr a = { 0 };

	if (!s || !*s)
		return rs_err_set(err, EINVAL, "empty IP address");
	if (parse_ip4(s, a.b)) {
		a.family = RS_AF_IP4;
	} else {
		memset(a.b, 0, sizeof(a.b));
		if (inet_pton(AF_INET6, s, a.b) != 1)
			return rs_err_set(err, EINVAL, "\"%.64s\" is not an IP address", s);
		a.family = RS_AF_IP6;
	}
	*out = a;
	return 0;
}

static void mask_host_bits(struct rs_addr *a, unsigned int len)
{
	size_t i;

	for (i = 0; i < sizeof(a->b); i++) {
		unsigned int first = (unsigned int)i * 8;

		if (first >= len)
			a->b[i] = 0;
		else if (first + 8 > len)
			a->b[i] &= (uint8_t)(0xff00u >> (len - first));
	}
}

static bool parse_len(const char *s, unsigned int max, unsigned int *len)
{
	size_t digits = strspn(s, "0123456789");

	if (!digits || digits > 3 || s[digits])
		return false;
	if (sscanf(s, "%3u", len) != 1)
		return false;
	return *len <= max;
}

int rs_cidr_parse(const char *s, struct rs_cidr *out, bool *canonical, struct rs_err *err)
{
	char addr[RS_ADDR_STRLEN + 8], text[RS_CIDR_STRLEN];
	const char *slash = s ? strchr(s, '/') : NULL;
	struct rs_cidr c = { 0 };
	unsigned int len = 0;

	if (!slash || (size_t)(slash - s) >= sizeof(addr))
		return rs_err_set(err, EINVAL, "\"%.64s\" is not a CIDR (address/length)",
				  s ? s : "");
	memcpy(addr, s, (size_t)(slash - s));
	addr[slash - s] = '\0';
	if (rs_addr_parse(addr, &c.addr, NULL) < 0 ||
	    !parse_len(slash + 1, rs_addr_bits(c.addr.family), &len))
		return rs_err_set(err, EINVAL, "\"%.64s\" is not a CIDR (address/length)", s);
	c.len = (uint8_t)len;
	mask_host_bits(&c.addr, len);
	if (canonical)
		*canonical = strcmp(rs_cidr_str(&c, text), s) == 0;
	*out = c;
	return 0;
}

const char *rs_addr_str(const struct rs_addr *a, char buf[RS_ADDR_STRLEN])
{
	int af = a->family == RS_AF_IP4 ? AF_INET : AF_INET6;

	if (a->family == RS_AF_NONE || !inet_ntop(af, a->b, buf, RS_ADDR_STRLEN))
		snprintf(buf, RS_ADDR_STRLEN, "-");
	return buf;
}

const char *rs_cidr_str(const struct rs_cidr *c, char buf[RS_CIDR_STRLEN])
{
	char addr[RS_ADDR_STRLEN];

	snprintf(buf, RS_CIDR_STRLEN, "%s/%u", rs_addr_str(&c->addr, addr), c->len);
	return buf;
}

int rs_cidr_cmp(const struct rs_cidr *a, const struct rs_cidr *b)
{
	int d = rs_addr_cmp(&a->addr, &b->addr);

	return d ? d : (int)a->len - (int)b->len;
}

bool rs_cidr_contains(const struct rs_cidr *c, const struct rs_addr *a)
{
	struct rs_addr net = *a;

	if (a->family != c->addr.family)
		return false;
	mask_host_bits(&net, c->len);
	return rs_addr_cmp(&net, &c->addr) == 0;
}

bool rs_cidrs_contain(const struct rs_cidr *v, size_t n, const struct rs_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (rs_cidr_contains(&v[i], a))
			return true;
	return false;
}

bool rs_cidr_covers(const struct rs_cidr *outer, const struct rs_cidr *inner)
{
	return outer->len <= inner->len && rs_cidr_contains(outer, &inner->addr);
}

bool rs_cidr_overlaps(const struct rs_cidr *a, const struct rs_cidr *b)
{
	return rs_cidr_covers(a, b) || rs_cidr_covers(b, a);
}

struct rs_addr rs_cidr_first(const struct rs_cidr *c)
{
	return c->addr;
}

struct rs_addr rs_cidr_last(const struct rs_cidr *c)
{
	struct rs_addr a = c->addr;
	size_t i;

	for (i = 0; i < rs_addr_bytes(a.family); i++) {
		unsigned int first = (unsigned int)i * 8;

		if (first >= c->len)
			a.b[i] = 0xff;
		else if (first + 8 > c->len)
			a.b[i] |= (uint8_t)(0xffu >> (c->len - first));
	}
	return a;
}

bool rs_addr_add(struct rs_addr *a, uint64_t n)
{
	struct rs_addr sum = *a;
	size_t i = rs_addr_bytes(a->family);
	uint64_t carry = 0;

	while (i-- > 0) {
		uint64_t v = sum.b[i] + (n & 0xff) + carry;

		sum.b[i] = (uint8_t)v;
		carry = v >> 8;
		n >>= 8;
	}
	if (carry || n)
		return false;
	*a = sum;
	return true;
}

bool rs_addr_next(struct rs_addr *a)
{
	return rs_addr_add(a, 1);
}

bool rs_addr_prev(struct rs_addr *a)
{
	struct rs_addr d = *a;
	size_t i = rs_addr_bytes(a->family);

	while (i-- > 0) {
		if (d.b[i]--) {
			*a = d;
			return true;
		}
	}
	return false;
}

uint64_t rs_addr_distance(const struct rs_addr *a, const struct rs_addr *b)
{
	size_t n = rs_addr_bytes(a->family), i;
	uint8_t diff[16] = { 0 };
	uint64_t out = 0;
	int borrow = 0;

	for (i = n; i-- > 0;) {
		int v = b->b[i] - a->b[i] - borrow;

		borrow = v < 0;
		diff[i] = (uint8_t)(v + (borrow ? 256 : 0));
	}
	for (i = 0; i < n; i++) {
		if (i + 8 < n && diff[i])
			return UINT64_MAX;
		out = out << 8 | diff[i];
	}
	return out;
}

bool rs_cidr_is_v4mapped(const struct rs_cidr *c)
{
	static const struct rs_cidr mapped = {
		.addr = { .family = RS_AF_IP6, .b = { [10] = 0xff, [11] = 0xff } },
		.len = 96,
	};

	return rs_cidr_covers(&mapped, c);
}

bool rs_addr_is_loopback(const struct rs_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == RS_AF_IP4)
		return a->b[0] == 127;
	return a->family == RS_AF_IP6 && !memcmp(a->b, one, sizeof(one));
}

bool rs_addr_is_linklocal(const struct rs_addr *a)
{
	if (a->family == RS_AF_IP4)
		return a->b[0] == 169 && a->b[1] == 254;
	return a->family == RS_AF_IP6 && a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool rs_addr_is_multicast(const struct rs_addr *a)
{
	if (a->family == RS_AF_IP4)
		return (a->b[0] & 0xf0) == 0xe0;
	return a->family == RS_AF_IP6 && a->b[0] == 0xff;
}

bool rs_addr_is_unspecified(const struct rs_addr *a)
{
	static const uint8_t zero[16];

	return !memcmp(a->b, zero, sizeof(zero));
}
