// SPDX-License-Identifier: Apache-2.0
/* simflows.c - flow records, each judged by one world. */
#include "cli/whatif/judgeflow.h"
#include "cli/whatif/simulate.h"

#include <string.h>

/* A flow of the records, put together with those that are equal. */
struct key {
	uint32_t from, to; /* endpoints, or UINT32_MAX */
	struct rs_addr src, dst;
	uint8_t proto, family;
	uint16_t port;
};

struct counted {
	uint64_t seen, dropped;
};

struct taking {
	struct sim *s;
	struct lookup *lookup;
	struct rs_intern keys;
	struct rs_vec(struct counted) counts;
};

static int family_of(const struct cli_world *cw, const struct record *r, uint32_t from, uint32_t to)
{
	int family = r->from.addr.family ? r->from.addr.family : r->to.addr.family;
	struct judge_end a = { .end = from }, b = { .end = to };
	int other;

	if (r->proto == 1 || r->proto == 58)
		return r->proto == 1 ? RS_AF_IP4 : RS_AF_IP6;
	a.addr[family_index(r->from.addr.family)] = r->from.addr;
	b.addr[family_index(r->to.addr.family)] = r->to.addr;
	family = family ? family : RS_AF_IP4;
	other = family == RS_AF_IP4 ? RS_AF_IP6 : RS_AF_IP4;
	return judge_addr(cw, &a, family).family && judge_addr(cw, &b, family).family ? family
										      : other;
}

static void take_record(void *ctx, const struct record *r)
{
	struct taking *t = ctx;
	struct counted *c;
	struct key k;
	bool fresh;
	uint32_t at;

	memset(&k, 0, sizeof(k));
	if (!lookup_end(t->lookup, &r->from, &k.from) || !lookup_end(t->lookup, &r->to, &k.to) ||
	    (k.from == UINT32_MAX && k.to == UINT32_MAX)) {
		t->s->strangers++;
		return;
	}
	k.src = k.from == UINT32_MAX ? r->from.addr : (struct rs_addr){ 0 };
	k.dst = k.to == UINT32_MAX ? r->to.addr : (struct rs_addr){ 0 };
	k.proto = r->proto;
	k.port = r->port;
	k.family = (uint8_t)family_of(t->s->cw, r, k.from, k.to);
	at = rs_intern_put(&t->keys, &k, sizeof(k), &fresh);
	c = fresh ? rs_vec_push(&t->counts) : &t->counts.v[at];
	c->seen += r->n;
	c->dropped += r->dropped ? r->n : 0;
}

static int judge_one(struct sim *s, const struct key *k, const struct counted *c,
		     struct rs_err *err)
{
	struct judge_flow q = { .src = { .end = k->from },
				.dst = { .end = k->to },
				.family = k->family,
				.proto = k->proto,
				.port = k->port };
	struct judged j;
	struct sim_flow *f;
	int rc;

	q.src.addr[family_index(k->src.family)] = k->src;
	q.dst.addr[family_index(k->dst.family)] = k->dst;
	if (!judge_addr(s->cw, &q.src, q.family).family ||
	    !judge_addr(s->cw, &q.dst, q.family).family) {
		s->strangers++;
		return 0;
	}
	rc = judge_flow(s->cw, &q, &j, err);
	if (rc < 0)
		return rc;
	f = rs_vec_push(&s->flows);
	f->from = judge_text(s->cw, &q.src);
	f->to = judge_text(s->cw, &q.dst);
	f->src = k->src;
	f->dst = k->dst;
	f->proto = k->proto;
	f->port = k->port;
	f->seen = c->seen;
	f->dropped = c->dropped;
	f->allowed = j.allow;
	f->why = rs_steal_ptr(&j.why);
	f->where = rs_steal_ptr(&j.where);
	s->n_denied += !j.allow;
	return 0;
}

/* Denied first, then by what was seen most. */
static int flow_cmp(const void *a, const void *b)
{
	const struct sim_flow *x = a, *y = b;
	int d;

	if (x->allowed != y->allowed)
		return x->allowed - y->allowed;
	if (x->seen != y->seen)
		return x->seen < y->seen ? 1 : -1;
	d = strcmp(x->from, y->from);
	d = d ? d : strcmp(x->to, y->to);
	return d ? d : x->port - y->port;
}

int sim_read_traffic(struct sim *s, const char *path, struct rs_err *err)
{
	struct taking t = { .s = s, .lookup = lookup_new(s->cw) };
	size_t i, len;
	int rc = traffic_read(path, take_record, &t, &s->records, err);

	for (i = 0; i < t.keys.by_id.n && rc == 0; i++)
		rc = judge_one(s, rs_intern_key(&t.keys, (uint32_t)i, &len), &t.counts.v[i], err);
	if (s->flows.n > 1)
		qsort(s->flows.v, s->flows.n, sizeof(*s->flows.v), flow_cmp);
	lookup_free(t.lookup);
	rs_intern_free(&t.keys);
	rs_vec_free(&t.counts);
	return rc;
}
