// SPDX-License-Identifier: Apache-2.0
/* rset_attr.c - strict reading of netlink attributes; see rset_attr.h. */
#include "ruleset/rset_attr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/base.h"
#include "ruleset/rset.h"

void rset_refuse(struct rset_in *in, int errnum, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	va_list ap;

	if (in->rc)
		return;
	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	in->rc = rs_err_set(in->err, errnum, "%s: %s", in->what, text);
}

static void put(struct rset_in *in, const struct nlattr *a, uint32_t known)
{
	uint16_t type = mnl_attr_get_type(a);

	if (type >= RSET_ATTRS || !(known & RSET_A(type)))
		rset_refuse(in, EOPNOTSUPP, "attribute %u is not understood", type);
	else
		in->v[type] = a;
}

static void start(struct rset_in *in, const char *what, struct rs_err *err)
{
	memset(in, 0, sizeof(*in));
	in->what = what;
	in->err = err;
}

void rset_open(struct rset_in *in, const struct nlattr *nest, uint32_t known, const char *what,
	       struct rs_err *err)
{
	const struct nlattr *a;

	start(in, what, err);
	if (!nest)
		return;
	mnl_attr_for_each_nested(a, nest) put(in, a, known);
}

void rset_open_msg(struct rset_in *in, const struct nlmsghdr *h, uint32_t known, const char *what,
		   struct rs_err *err)
{
	const struct nlattr *a;

	start(in, what, err);
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg)) put(in, a, known);
}

/* The attribute when it is there and has the length; else an error is kept. */
static const void *payload(struct rset_in *in, int type, size_t len)
{
	if (in->rc)
		return NULL;
	if (!in->v[type])
		rset_refuse(in, EBADMSG, "attribute %d is missing", type);
	else if (mnl_attr_get_payload_len(in->v[type]) != len)
		rset_refuse(in, EBADMSG, "attribute %d has %u bytes, not %zu", type,
			    mnl_attr_get_payload_len(in->v[type]), len);
	else
		return mnl_attr_get_payload(in->v[type]);
	return NULL;
}

uint8_t rset_u8(struct rset_in *in, int type)
{
	const uint8_t *p = payload(in, type, 1);

	return p ? *p : 0;
}

uint16_t rset_u16_or(struct rset_in *in, int type, uint16_t otherwise)
{
	const void *p = in->v[type] ? payload(in, type, 2) : NULL;
	uint16_t v;

	if (!p)
		return otherwise;
	memcpy(&v, p, sizeof(v));
	return ntohs(v);
}

uint32_t rset_u32(struct rset_in *in, int type)
{
	const void *p = payload(in, type, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

uint32_t rset_u32_or(struct rset_in *in, int type, uint32_t otherwise)
{
	return in->v[type] ? rset_u32(in, type) : otherwise;
}

uint64_t rset_u64_or(struct rset_in *in, int type, uint64_t otherwise)
{
	const void *p = in->v[type] ? payload(in, type, 8) : NULL;
	uint64_t v;

	if (!p)
		return otherwise;
	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

const char *rset_str(struct rset_in *in, int type)
{
	if (!in->rc && (!in->v[type] || mnl_attr_validate(in->v[type], MNL_TYPE_NUL_STRING) < 0))
		rset_refuse(in, EBADMSG, "attribute %d is no string", type);
	return in->rc ? "" : mnl_attr_get_str(in->v[type]);
}

/* The old names NFT_REG_1..4 are four words wide, the others one. */
static uint32_t word_of(uint32_t reg)
{
	if (reg <= NFT_REG_4)
		return reg * NFT_REG_SIZE / NFT_REG32_SIZE;
	if (reg >= NFT_REG32_00 && reg <= NFT_REG32_15)
		return reg - NFT_REG32_00 + RSET_FIRST;
	return UINT32_MAX;
}

uint8_t rset_reg_or_verdict(struct rset_in *in, int type, uint32_t len)
{
	uint32_t reg = rset_u32(in, type), word = word_of(reg);

	if (in->rc)
		return RSET_FIRST;
	if (word == UINT32_MAX || len > RSET_VALUE_MAX || word * 4 + len > RSET_REG_BYTES) {
		rset_refuse(in, EBADMSG, "register %u does not hold %u bytes", reg, len);
		return RSET_FIRST;
	}
	return (uint8_t)word;
}

uint8_t rset_reg(struct rset_in *in, int type, uint32_t len)
{
	uint8_t word = rset_reg_or_verdict(in, type, len);

	if (word >= RSET_FIRST)
		return word;
	rset_refuse(in, EBADMSG, "the verdict register holds no value");
	return RSET_FIRST;
}

uint8_t *rset_value(struct rset_in *in, int type, uint8_t *len)
{
	struct rset_in data;
	const struct nlattr *a;
	size_t n;

	*len = 0;
	if (!in->rc && !in->v[type])
		rset_refuse(in, EBADMSG, "attribute %d is missing", type);
	if (in->rc)
		return NULL;
	rset_open(&data, in->v[type], RSET_A(NFTA_DATA_VALUE), in->what, in->err);
	in->rc = data.rc;
	a = data.v[NFTA_DATA_VALUE];
	n = a ? mnl_attr_get_payload_len(a) : 0;
	if (n < 1 || n > RSET_VALUE_MAX)
		rset_refuse(in, EBADMSG, "a value of %zu bytes", n);
	if (in->rc)
		return NULL;
	*len = (uint8_t)n;
	return rs_memdup(mnl_attr_get_payload(a), n);
}

void rset_flags(struct rset_in *in, uint32_t flags, uint32_t known, const char *name)
{
	if (flags & ~known)
		rset_refuse(in, EOPNOTSUPP, "%s 0x%x: bits that are not understood", name, flags);
}
