// SPDX-License-Identifier: Apache-2.0
/* pick.c - which address comes next; see pick.h and docs/ipam.md. */
#include "ipam/pick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

bool pick_has_family(const struct pick_ranges *r, int family)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->v[i].addr.family == family)
			return true;
	return false;
}

/* Network and broadcast of IPv4, the subnet-router anycast address of IPv6 (RFC 4291 2.6.1); a
 * range of one or two addresses has none of them. */
static bool reserved(const struct rs_cidr *c, const struct rs_addr *a)
{
	struct rs_addr last = rs_cidr_last(c);

	if (c->len + 1u >= rs_addr_bits(c->addr.family))
		return false;
	return !rs_addr_cmp(a, &c->addr) || (c->addr.family == RS_AF_IP4 && !rs_addr_cmp(a, &last));
}

static bool excluded(const struct pick_ranges *r, const struct rs_addr *a)
{
	size_t i;

	for (i = 0; i < r->n_exclude; i++)
		if (!rs_addr_cmp(&r->exclude[i], a))
			return true;
	return false;
}

static bool usable(const struct pick_ranges *r, const struct rs_cidr *c, const struct rs_addr *a)
{
	return !reserved(c, a) && !excluded(r, a);
}

uint64_t pick_total(const struct pick_ranges *r, const struct rs_cidr *c)
{
	struct rs_addr first = rs_cidr_first(c), last = rs_cidr_last(c);
	uint64_t n = rs_addr_distance(&first, &last);
	size_t i, j;

	if (n < UINT64_MAX)
		n++;
	if (c->len + 1u < rs_addr_bits(c->addr.family))
		n -= c->addr.family == RS_AF_IP4 ? 2 : 1;
	for (i = 0; i < r->n_exclude; i++) {
		for (j = 0; j < i && rs_addr_cmp(&r->exclude[j], &r->exclude[i]); j++)
			;
		if (j == i && rs_cidr_contains(c, &r->exclude[i]) && !reserved(c, &r->exclude[i]))
			n--;
	}
	return n;
}

static int cmp_row(const void *key, const void *row)
{
	return rs_addr_cmp(key, &((const struct lease_file *)row)->lease.addr);
}

static bool has_file(const struct lease_table *t, const struct rs_addr *a)
{
	return t->files.n &&
	       bsearch(a, t->files.v, t->files.n, sizeof(*t->files.v), cmp_row) != NULL;
}

/* The first usable address from a on that has no file. Every step passes a file, an excluded or a
 * reserved address, so it is short in a range of any size. */
static bool fresh_from(const struct pick_ranges *r, const struct rs_cidr *c,
		       const struct lease_table *t, struct rs_addr a, struct rs_addr *out)
{
	struct rs_addr last = rs_cidr_last(c);

	while (rs_addr_cmp(&a, &last) <= 0) {
		if (usable(r, c, &a) && !has_file(t, &a)) {
			*out = a;
			return true;
		}
		if (!rs_addr_next(&a))
			break;
	}
	return false;
}

/* Never used: beyond the highest that has a file, else in a gap. */
static bool pick_fresh(const struct pick_ranges *r, const struct rs_cidr *c,
		       const struct lease_table *t, struct rs_addr *out)
{
	const struct rs_addr *highest = NULL;
	struct rs_addr a;
	size_t i;

	for (i = 0; i < t->files.n; i++)
		if (rs_cidr_contains(c, &t->files.v[i].lease.addr))
			highest = &t->files.v[i].lease.addr;
	if (highest) {
		a = *highest;
		if (rs_addr_next(&a) && fresh_from(r, c, t, a, out))
			return true;
	}
	return fresh_from(r, c, t, rs_cidr_first(c), out);
}

static int cmp_time(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

/* When the rest is over. A stamp from the future counts as one of now. */
static struct timespec rest_end(const struct lease_file *f, uint32_t rest_s, struct timespec now)
{
	struct timespec end = cmp_time(&f->since, &now) > 0 ? now : f->since;

	end.tv_sec += rest_s;
	return end;
}

bool pick_resting(const struct lease_file *f, uint32_t rest_s, struct timespec now)
{
	struct timespec end = rest_end(f, rest_s, now);

	return f->lease.state == RS_LEASE_RESTING && cmp_time(&end, &now) > 0;
}

/* The row of a range that has rested longest, among all or among those whose rest is over. */
static const struct lease_file *longest(const struct pick_ranges *r, const struct rs_cidr *c,
					const struct lease_table *t, struct timespec now, bool over,
					size_t *count)
{
	const struct lease_file *best = NULL;
	size_t i;

	*count = 0;
	for (i = 0; i < t->files.n; i++) {
		const struct lease_file *f = &t->files.v[i];

		if (f->lease.state != RS_LEASE_RESTING || !rs_cidr_contains(c, &f->lease.addr) ||
		    !usable(r, c, &f->lease.addr) || (over && pick_resting(f, r->rest_s, now)))
			continue;
		++*count;
		if (!best || cmp_time(&f->since, &best->since) < 0)
			best = f;
	}
	return best;
}

static int none_left(const struct pick_ranges *r, int family, const struct lease_table *t,
		     struct timespec now, struct rs_err *err)
{
	const struct lease_file *next = NULL;
	rs_auto_strbuf names = { 0 };
	struct timespec end;
	size_t i, count, resting = 0;
	int64_t wait;
	int rc;

	for (i = 0; i < r->n; i++) {
		const struct lease_file *f;
		char text[RS_CIDR_STRLEN];

		if (r->v[i].addr.family != family)
			continue;
		rs_strbuf_printf(&names, "%s%s", names.len ? ", " : "",
				 rs_cidr_str(&r->v[i], text));
		f = longest(r, &r->v[i], t, now, false, &count);
		resting += count;
		if (f && (!next || cmp_time(&f->since, &next->since) < 0))
			next = f;
	}
	if (!next) {
		rc = rs_err_set(err, EADDRNOTAVAIL, "no IPv%d address is left in %s: all are held",
				family, rs_strbuf_str(&names));
		rs_err_cni(err, RS_CNI_POOL);
		rs_err_hint(err, "give this node more addresses, or fewer pods");
		return rc;
	}
	end = rest_end(next, r->rest_s, now);
	wait = end.tv_sec - now.tv_sec + (end.tv_nsec > now.tv_nsec);
	rc = rs_err_set(err, EAGAIN,
			"no IPv%d address is free in %s: %zu still rest, the next is free in "
			"%lld s",
			family, rs_strbuf_str(&names), resting, (long long)wait);
	rs_err_cni(err, RS_CNI_TRY_AGAIN);
	return rc;
}

int pick_address(const struct pick_ranges *r, int family, const struct lease_table *t,
		 struct timespec now, struct rs_addr *out, struct rs_err *err)
{
	size_t i, count;

	for (i = 0; i < r->n; i++) {
		const struct lease_file *f;

		if (r->v[i].addr.family != family)
			continue;
		if (pick_fresh(r, &r->v[i], t, out))
			return 0;
		f = longest(r, &r->v[i], t, now, true, &count);
		if (f) {
			*out = f->lease.addr;
			return 0;
		}
	}
	return none_left(r, family, t, now, err);
}

const struct lease_file *pick_prunable(const struct pick_ranges *r, const struct lease_table *t,
				       struct timespec now)
{
	size_t i, count;

	for (i = 0; i < r->n; i++) {
		const struct lease_file *f;

		if (pick_total(r, &r->v[i]) <= PICK_SMALL)
			continue;
		f = longest(r, &r->v[i], t, now, true, &count);
		if (f && count > PICK_KEEP)
			return f;
	}
	return NULL;
}
