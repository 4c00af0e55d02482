// SPDX-License-Identifier: Apache-2.0
/* cut.c - a range of addresses, cut where an ipBlock begins or ends. */
#include <errno.h>
#include <string.h>

#include "cli/offline/offline.h"

#define MAX_PARTS 1000

/* Every address that a pod of the world has. */
struct held {
	struct rs_vec(struct rs_addr) v;
};

static int by_addr(const void *a, const void *b)
{
	return rs_addr_cmp(a, b);
}

static void list_held(const struct cli_world *cw, struct held *h)
{
	size_t i, j;

	for (i = 0; i < cw->n_ends; i++)
		for (j = 0; j < cw->w.locals[i].n_ips; j++)
			*rs_vec_push(&h->v) = cw->w.locals[i].ips[j];
	if (h->v.n)
		qsort(h->v.v, h->v.n, sizeof(*h->v.v), by_addr);
}

/* The first address of the part that is no pod's; false when there is none. */
static bool free_address(const struct held *h, const struct rs_addr *lo, const struct rs_addr *hi,
			 struct rs_addr *out)
{
	*out = *lo;
	while (h->v.n && bsearch(out, h->v.v, h->v.n, sizeof(*out), by_addr))
		if (!rs_addr_cmp(out, hi) || !rs_addr_next(out))
			return false;
	return true;
}

static char *part_text(const struct rs_addr *lo, const struct rs_addr *hi)
{
	char a[RS_ADDR_STRLEN], b[RS_ADDR_STRLEN];

	if (!rs_addr_cmp(lo, hi))
		return rs_strdup(rs_addr_str(lo, a));
	return rs_asprintf("%s-%s", rs_addr_str(lo, a), rs_addr_str(hi, b));
}

static void add_part(const struct held *h, const struct rs_addr *lo, const struct rs_addr *hi,
		     struct cli_flow_ends *out)
{
	struct cli_flow_end *e;
	struct rs_addr at;

	if (!free_address(h, lo, hi, &at))
		return;
	e = rs_vec_push(&out->v);
	*rs_vec_push(&out->texts) = part_text(lo, hi);
	*e = (struct cli_flow_end){ .end = SIZE_MAX, .last = *hi };
	e->e.text = out->texts.v[out->texts.n - 1];
	*(at.family == RS_AF_IP4 ? &e->e.ip4 : &e->e.ip6) = at;
}

static void count_pods(const struct cli_world *cw, const struct rs_cidr *range,
		       struct cli_flow_ends *out)
{
	size_t i, j;

	for (i = 0; i < cw->n_ends; i++)
		for (j = 0; cw->ends[i].given_ip && j < cw->w.locals[i].n_ips; j++)
			out->n_pods_inside += rs_cidr_contains(range, &cw->w.locals[i].ips[j]);
}

/* The gap before r, if there is one, and r itself; *lo moves behind them. False at the end. */
static bool add_range(const struct held *h, const struct rs_ir_range *r, const struct rs_addr *last,
		      struct rs_addr *lo, struct cli_flow_ends *out)
{
	struct rs_addr hi;

	if (rs_addr_cmp(&r->lo, lo) > 0) {
		hi = r->lo;
		rs_addr_prev(&hi);
		add_part(h, lo, &hi, out);
		*lo = r->lo;
	}
	hi = rs_addr_cmp(&r->hi, last) < 0 ? r->hi : *last;
	add_part(h, lo, &hi, out);
	*lo = hi;
	return rs_addr_cmp(&hi, last) && rs_addr_next(lo);
}

static int cut(const struct held *h, const struct rs_ir *ir, const struct rs_cidr *range,
	       struct cli_flow_ends *out, struct rs_err *err)
{
	struct rs_addr lo = rs_cidr_first(range), last = rs_cidr_last(range);
	char text[RS_CIDR_STRLEN];
	bool more = true;
	size_t i;

	for (i = 0; i < ir->n_ranges && more; i++) {
		const struct rs_ir_range *r = &ir->ranges[i];

		if (r->lo.family != lo.family || rs_addr_cmp(&r->hi, &lo) < 0)
			continue;
		if (rs_addr_cmp(&r->lo, &last) > 0)
			break;
		more = add_range(h, r, &last, &lo, out);
		if (out->v.n > MAX_PARTS)
			return rs_err_set(err, EINVAL,
					  "ipBlocks cut %s into more than %d parts: name a "
					  "smaller range",
					  rs_cidr_str(range, text), MAX_PARTS);
	}
	if (more)
		add_part(h, &lo, &last, out);
	if (!out->v.n)
		return rs_err_set(err, EINVAL, "every address of %s is a pod's: name the pods",
				  rs_cidr_str(range, text));
	return 0;
}

int cli_cut_range(const struct cli_world *cw, const struct rs_ir *ir, const struct rs_cidr *range,
		  struct cli_flow_ends *out, struct rs_err *err)
{
	struct held h = { 0 };
	int rc;

	list_held(cw, &h);
	count_pods(cw, range, out);
	rc = cut(&h, ir, range, out, err);
	rs_vec_free(&h.v);
	return rc;
}
