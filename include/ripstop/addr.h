/* SPDX-License-Identifier: Apache-2.0 */
/*
 * addr.h - IP addresses, CIDR blocks and ranges of both families, as plain values.
 *
 * Bytes are in network order, so memcmp() orders addresses of one family numerically and interval
 * arithmetic works on the byte string. IPv4 uses the first 4 of the 16 bytes; the rest are zero, so
 * whole structs compare with memcmp() and hash as keys (there is no padding).
 */
#ifndef RIPSTOP_ADDR_H
#define RIPSTOP_ADDR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ripstop/error.h>

enum rs_family {
	RS_AF_NONE = 0,
	RS_AF_IP4 = 4,
	RS_AF_IP6 = 6,
};

struct rs_addr {
	uint8_t family; /* enum rs_family */
	uint8_t b[16];	/* network byte order; unused bytes are zero */
};

struct rs_cidr {
	struct rs_addr addr; /* host bits are always zero: constructors mask them */
	uint8_t len;	     /* prefix length: 0..32 or 0..128 */
};

/* Longest text: IPv6 address, '/', three digits, NUL. */
#define RS_ADDR_STRLEN 46
#define RS_CIDR_STRLEN 50

/* Bytes (4 or 16) and bits (32 or 128) of a family. */
static inline size_t rs_addr_bytes(int family)
{
	return family == RS_AF_IP4 ? 4 : 16;
}

static inline unsigned int rs_addr_bits(int family)
{
	return family == RS_AF_IP4 ? 32 : 128;
}

/*
 * Parse one address as Kubernetes reads it: IPv4 octets with leading zeros are decimal
 * (k8s.io/utils/net ParseIPSloppy), no zone, no port. A v4-mapped IPv6 address stays IPv6.
 */
int rs_addr_parse(const char *s, struct rs_addr *out, struct rs_err *err);

/*
 * Parse ADDR/LEN; host bits are masked (an object made by an old API server may hold them).
 * *canonical (may be NULL) tells whether the text was already in canonical form.
 */
int rs_cidr_parse(const char *s, struct rs_cidr *out, bool *canonical, struct rs_err *err);

/* Canonical text (RFC 5952 for IPv6). Returns buf. */
const char *rs_addr_str(const struct rs_addr *a, char buf[RS_ADDR_STRLEN]);
const char *rs_cidr_str(const struct rs_cidr *c, char buf[RS_CIDR_STRLEN]);

/* Total order: family, then number. As memcmp() has it; inline, for a compile asks some 100,000
 * times. */
static inline int rs_addr_cmp(const struct rs_addr *a, const struct rs_addr *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	if (x != y)
		return be64toh(x) < be64toh(y) ? -1 : 1;
	memcpy(&x, &a->b[7], sizeof(x));
	memcpy(&y, &b->b[7], sizeof(y));
	if (x != y)
		return be64toh(x) < be64toh(y) ? -1 : 1;
	return (int)a->b[15] - (int)b->b[15];
}

int rs_cidr_cmp(const struct rs_cidr *a, const struct rs_cidr *b);

bool rs_cidr_contains(const struct rs_cidr *c, const struct rs_addr *a);
/* Whether any of the @n blocks contains @a. */
bool rs_cidrs_contain(const struct rs_cidr *v, size_t n, const struct rs_addr *a);
bool rs_cidr_covers(const struct rs_cidr *outer, const struct rs_cidr *inner);
bool rs_cidr_overlaps(const struct rs_cidr *a, const struct rs_cidr *b);

/* First and last address of a block. */
struct rs_addr rs_cidr_first(const struct rs_cidr *c);
struct rs_addr rs_cidr_last(const struct rs_cidr *c);

/* The next or previous address; false when there is none (a is left alone). */
bool rs_addr_next(struct rs_addr *a);
bool rs_addr_prev(struct rs_addr *a);

/* a + n within the family; false on overflow (a is left alone). */
bool rs_addr_add(struct rs_addr *a, uint64_t n);

/* b - a, capped at UINT64_MAX; both of one family and a <= b. */
uint64_t rs_addr_distance(const struct rs_addr *a, const struct rs_addr *b);

/* ::ffff:0:0/96 (RFC 4291 2.5.5.2): such a block matches nothing in a policy. */
bool rs_cidr_is_v4mapped(const struct rs_cidr *c);
bool rs_addr_is_loopback(const struct rs_addr *a);  /* 127/8, ::1 */
bool rs_addr_is_linklocal(const struct rs_addr *a); /* 169.254/16, fe80::/10 */
bool rs_addr_is_multicast(const struct rs_addr *a); /* 224/4, ff00::/8 */
bool rs_addr_is_unspecified(const struct rs_addr *a);

#endif
