// SPDX-License-Identifier: Apache-2.0
/* rset_take_set.c - sets, maps and their elements from netlink messages; how they are searched. */
#include "ruleset/rset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "ruleset/rset_attr.h"

/* Newer than the headers that this is built with: the kernel's choice of a structure by name, and
 * how many elements it holds. */
#define SET_TYPE 19
#define SET_COUNT 20

#define SET_FLAGS                                                                                  \
	(NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT | \
	 NFT_SET_EVAL | NFT_SET_OBJECT | NFT_SET_CONCAT | NFT_SET_EXPR)

#define A RSET_A
#define SET_KNOWN                                                                                  \
	(A(NFTA_SET_TABLE) | A(NFTA_SET_NAME) | A(NFTA_SET_FLAGS) | A(NFTA_SET_KEY_TYPE) |         \
	 A(NFTA_SET_KEY_LEN) | A(NFTA_SET_DATA_TYPE) | A(NFTA_SET_DATA_LEN) | A(NFTA_SET_POLICY) | \
	 A(NFTA_SET_DESC) | A(NFTA_SET_ID) | A(NFTA_SET_TIMEOUT) | A(NFTA_SET_GC_INTERVAL) |       \
	 A(NFTA_SET_USERDATA) | A(NFTA_SET_PAD) | A(NFTA_SET_OBJ_TYPE) | A(NFTA_SET_HANDLE) |      \
	 A(NFTA_SET_EXPR) | A(NFTA_SET_EXPRESSIONS) | A(SET_TYPE) | A(SET_COUNT))
#define ELEM_KNOWN                                                                            \
	(A(NFTA_SET_ELEM_KEY) | A(NFTA_SET_ELEM_DATA) | A(NFTA_SET_ELEM_FLAGS) |              \
	 A(NFTA_SET_ELEM_TIMEOUT) | A(NFTA_SET_ELEM_EXPIRATION) | A(NFTA_SET_ELEM_USERDATA) | \
	 A(NFTA_SET_ELEM_EXPR) | A(NFTA_SET_ELEM_PAD) | A(NFTA_SET_ELEM_OBJREF) |             \
	 A(NFTA_SET_ELEM_KEY_END) | A(NFTA_SET_ELEM_EXPRESSIONS))

static void elem_free(struct rset_elem *e)
{
	free(e->key);
	free(e->comment);
}

void rset_set_free(struct rset_set *s)
{
	for (size_t i = 0; i < s->elems.n; i++)
		elem_free(&s->elems.v[i]);
	if (s->has_catchall)
		elem_free(&s->catchall);
	rs_vec_free(&s->elems);
	free(s->name);
	free(s);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void take_field(struct rset_in *in, const struct nlattr *nest, struct rset_set *s)
{
	struct rset_in f;
	uint32_t len;

	rset_open(&f, nest, A(NFTA_SET_FIELD_LEN), "field of a set", in->err);
	len = rset_u32(&f, NFTA_SET_FIELD_LEN);
	in->rc = in->rc ? in->rc : f.rc;
	if (!len || len > RSET_VALUE_MAX || s->n_fields == RSET_FIELDS)
		rset_refuse(in, EOPNOTSUPP, "field %zu of %u bytes", s->n_fields + 1, len);
	else
		s->fields[s->n_fields++] = (uint8_t)len;
}

static void take_desc(struct rset_in *in, struct rset_set *s)
{
	struct rset_in desc;
	const struct nlattr *a;

	rset_open(&desc, in->v[NFTA_SET_DESC], A(NFTA_SET_DESC_SIZE) | A(NFTA_SET_DESC_CONCAT),
		  "description of a set", in->err);
	in->rc = in->rc ? in->rc : desc.rc;
	if (in->rc || !desc.v[NFTA_SET_DESC_CONCAT])
		return;
	mnl_attr_for_each_nested(a, desc.v[NFTA_SET_DESC_CONCAT]) take_field(in, a, s);
}

static void check_fields(struct rset_in *in, const struct rset_set *s)
{
	size_t sum = 0;

	for (size_t i = 0; i < s->n_fields; i++)
		sum += (s->fields[i] + 3u) / 4 * 4;
	if (s->n_fields && sum != s->klen)
		rset_refuse(in, EOPNOTSUPP, "fields of %zu bytes in a key of %u", sum, s->klen);
}

static void take_shape(struct rset_in *in, struct rset_set *s)
{
	s->flags = rset_u32_or(in, NFTA_SET_FLAGS, 0);
	rset_flags(in, s->flags, SET_FLAGS, "flags");
	s->key_type = rset_u32_or(in, NFTA_SET_KEY_TYPE, 0);
	s->klen = rset_u32(in, NFTA_SET_KEY_LEN);
	if (s->flags & NFT_SET_MAP) {
		s->verdicts = rset_u32(in, NFTA_SET_DATA_TYPE) == NFT_DATA_VERDICT;
		s->dlen = s->verdicts ? 0 : rset_u32(in, NFTA_SET_DATA_LEN);
	}
	if (!in->rc && (!s->klen || s->klen > RSET_VALUE_MAX || s->dlen > RSET_VALUE_MAX))
		rset_refuse(in, EBADMSG, "keys of %u and data of %u bytes", s->klen, s->dlen);
	if (in->v[NFTA_SET_DESC])
		take_desc(in, s);
	check_fields(in, s);
	s->ranges = s->flags & NFT_SET_INTERVAL && s->n_fields > 1;
}

int rset_take_set(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	struct rset_set *s;
	struct rset_in in;
	const char *name;

	rset_open_msg(&in, h, SET_KNOWN, "set", err);
	if (strcmp(rset_str(&in, NFTA_SET_TABLE), r->table) != 0)
		return in.rc;
	name = rset_str(&in, NFTA_SET_NAME);
	if (!in.rc && rset_set_find(r, name))
		rset_refuse(&in, EBADMSG, "two of one name");
	s = rs_new(struct rset_set);
	s->name = rs_strdup(name);
	take_shape(&in, s);
	if (in.rc) {
		rs_err_wrap(err, "set %.*s", RSET_NAME, name);
		rset_set_free(s);
		return in.rc;
	}
	HASH_ADD_KEYPTR(hh, r->sets, s->name, strlen(s->name), s);
	return 0;
}

/* ---- elements -------------------------------------------------------------------------------- */

/* One part of an element (key, end of a range, data) to where the set keeps it. */
static void take_part(struct rset_in *in, int type, uint8_t *to, size_t want)
{
	uint8_t len = 0;
	rs_autofree uint8_t *v = rset_value(in, type, &len);

	if (v && len != want)
		rset_refuse(in, EBADMSG, "attribute %d has %u bytes, not %zu", type, len, want);
	else if (v)
		memcpy(to, v, want);
}

static void take_data(struct rs_ruleset *r, struct rset_in *in, const struct rset_set *s,
		      struct rset_elem *e)
{
	struct rset_in data;

	if (s->verdicts) {
		rset_open(&data, in->v[NFTA_SET_ELEM_DATA], A(NFTA_DATA_VERDICT), in->what,
			  in->err);
		rset_take_verdict(r, &data, &e->verdict);
		in->rc = in->rc ? in->rc : data.rc;
	} else if (s->dlen) {
		take_part(in, NFTA_SET_ELEM_DATA, e->key + rset_data_at(s), s->dlen);
	}
}

static void take_keys(struct rset_in *in, const struct rset_set *s, struct rset_elem *e)
{
	take_part(in, NFTA_SET_ELEM_KEY, e->key, s->klen);
	if (!in->v[NFTA_SET_ELEM_KEY_END]) {
		if (s->ranges)
			memcpy(e->key + s->klen, e->key, s->klen);
	} else if (!s->ranges) {
		rset_refuse(in, EOPNOTSUPP, "a range in a set without ranges");
	} else {
		take_part(in, NFTA_SET_ELEM_KEY_END, e->key + s->klen, s->klen);
	}
}

static void put_elem(struct rs_ruleset *r, struct rset_set *s, const struct rset_elem *e,
		     bool catchall)
{
	r->n_elems += !e->end;
	if (catchall) {
		if (s->has_catchall)
			elem_free(&s->catchall);
		s->catchall = *e;
		s->has_catchall = true;
		return;
	}
	*rs_vec_push(&s->elems) = *e;
}

/* In its last moment: a kernel that lists it does not find it any more. */
static bool expired(struct rset_in *in)
{
	return in->v[NFTA_SET_ELEM_EXPIRATION] && !rset_u64_or(in, NFTA_SET_ELEM_EXPIRATION, 0);
}

static int take_elem(struct rs_ruleset *r, struct rset_set *s, const struct nlattr *nest,
		     struct rs_err *err)
{
	struct rset_elem e = { .seq = (uint32_t)s->elems.n };
	struct rset_state state = { 0 };
	struct rset_in in;
	uint32_t flags;
	bool catchall, gone;

	rset_open(&in, nest, ELEM_KNOWN, "element", err);
	flags = rset_u32_or(&in, NFTA_SET_ELEM_FLAGS, 0);
	rset_flags(&in, flags, NFT_SET_ELEM_INTERVAL_END | NFT_SET_ELEM_CATCHALL, "flags");
	catchall = flags & NFT_SET_ELEM_CATCHALL;
	e.end = flags & NFT_SET_ELEM_INTERVAL_END;
	if (e.end && (s->ranges || catchall || !(s->flags & NFT_SET_INTERVAL)))
		rset_refuse(&in, EOPNOTSUPP, "an end of an interval where there is none");
	e.key = rs_calloc(2ul * s->klen + s->dlen, 1);
	if (!catchall)
		take_keys(&in, s, &e);
	if (!e.end)
		take_data(r, &in, s, &e);
	if (!in.rc)
		in.rc = rset_take_stateful(r, in.v[NFTA_SET_ELEM_EXPR],
					   in.v[NFTA_SET_ELEM_EXPRESSIONS], &state, err);
	e.leaves = state.leaves;
	e.counted = state.counted;
	e.packets = state.packets;
	e.comment = rset_comment(in.v[NFTA_SET_ELEM_USERDATA]);
	gone = expired(&in);
	if (in.rc || gone)
		elem_free(&e);
	else
		put_elem(r, s, &e, catchall);
	return in.rc;
}

int rset_take_elems(struct rs_ruleset *r, const struct nlmsghdr *h, struct rs_err *err)
{
	const struct nlattr *a;
	struct rset_set *s;
	struct rset_in in;
	const char *name;
	int rc;

	rset_open_msg(&in, h,
		      A(NFTA_SET_ELEM_LIST_TABLE) | A(NFTA_SET_ELEM_LIST_SET) |
			      A(NFTA_SET_ELEM_LIST_ELEMENTS),
		      "elements", err);
	if (strcmp(rset_str(&in, NFTA_SET_ELEM_LIST_TABLE), r->table) != 0)
		return in.rc;
	name = rset_str(&in, NFTA_SET_ELEM_LIST_SET);
	s = in.rc ? NULL : rset_set_find(r, name);
	if (!s)
		rset_refuse(&in, EBADMSG, "of no set of the name %.*s", RSET_NAME, name);
	rc = in.rc;
	if (rc || !in.v[NFTA_SET_ELEM_LIST_ELEMENTS])
		return rc;
	mnl_attr_for_each_nested(a, in.v[NFTA_SET_ELEM_LIST_ELEMENTS])
	{
		if (!rc)
			rc = take_elem(r, s, a, err);
	}
	return rc ? rs_err_wrap(err, "set %.*s", RSET_NAME, name) : 0;
}

/* ---- searching ------------------------------------------------------------------------------- */

/* By key; where an interval ends and the next begins at one key, the end stands first. */
static int elem_cmp(const void *a, const void *b, void *set)
{
	const struct rset_elem *x = a, *y = b;
	const struct rset_set *s = set;
	int d = memcmp(x->key, y->key, s->klen);

	return d ? d : (int)y->end - (int)x->end;
}

void rset_index(struct rset_set *s)
{
	if (!s->ranges && s->elems.n)
		qsort_r(s->elems.v, s->elems.n, sizeof(*s->elems.v), elem_cmp, s);
}

/* The last element whose key is not behind `key`. */
static const struct rset_elem *at_or_before(const struct rset_set *s, const uint8_t *key)
{
	size_t lo = 0, hi = s->elems.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(s->elems.v[mid].key, key, s->klen) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &s->elems.v[lo - 1] : NULL;
}

static bool in_ranges(const struct rset_set *s, const struct rset_elem *e, const uint8_t *key)
{
	const uint8_t *end = e->key + s->klen;
	size_t at = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		size_t len = s->fields[i];

		if (memcmp(key + at, e->key + at, len) < 0 || memcmp(key + at, end + at, len) > 0)
			return false;
		at += (len + 3) / 4 * 4;
	}
	return true;
}

static const struct rset_elem *find(const struct rset_set *s, const uint8_t *key)
{
	const struct rset_elem *e;

	if (s->ranges) {
		for (size_t i = 0; i < s->elems.n; i++)
			if (in_ranges(s, &s->elems.v[i], key))
				return &s->elems.v[i];
		return NULL;
	}
	e = at_or_before(s, key);
	if (!e || e->end)
		return NULL;
	if (!(s->flags & NFT_SET_INTERVAL) && memcmp(e->key, key, s->klen) != 0)
		return NULL;
	return e;
}

const struct rset_elem *rset_set_get(const struct rset_set *s, const uint8_t *key)
{
	const struct rset_elem *e = find(s, key);

	return e || !s->has_catchall ? e : &s->catchall;
}
