// SPDX-License-Identifier: Apache-2.0
/* judging.c - the flows that one question names; the first that is denied is explained. */
#include "cli/offline/offline.h"

#include <errno.h>
#include <string.h>

#include "policy/words.h"
#include "policy/world.h"

#define MAX_PAIRS 1000
#define MAX_ROWS 10000

void cli_flow_ends_clear(struct cli_flow_ends *ends)
{
	size_t i;

	for (i = 0; i < ends->texts.n; i++)
		free(ends->texts.v[i]);
	rs_vec_free(&ends->texts);
	rs_vec_free(&ends->v);
}

/* One pair of ends and a run of ports with one verdict. */
struct row {
	size_t s, d;
	uint16_t lo, hi;
	enum rs_verdict verdict;
};

struct rows {
	struct rs_vec(struct row) v;
	struct json_object *shown; /* the first that is denied, else the first */
	size_t nr_shown;
	uint8_t proto;
};

/* ---- ports ----------------------------------------------------------------------------------- */

static const struct rs_container_port *named(const struct rs_local_pod *l, const char *name,
					     uint8_t proto)
{
	size_t i;

	for (i = 0; i < l->n_ports; i++)
		if (l->ports[i].proto == proto && !strcmp(l->ports[i].name, name))
			return &l->ports[i];
	return NULL;
}

static int no_such_port(const struct cli_flow *f, const struct cli_flow_end *d, struct rs_err *err)
{
	const struct rs_local_pod *l = &f->cw->w.locals[d->end];
	rs_auto_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < l->n_ports; i++)
		rs_strbuf_printf(&b, "%s%s (%s/%u)", i ? ", " : "", l->ports[i].name,
				 rs_answer_proto(l->ports[i].proto), l->ports[i].port);
	rs_err_set(err, ENOENT, "%s declares no port named %s", d->e.text, f->port.name);
	if (!b.len)
		return rs_err_hint(err, "it declares no named port: give a number");
	return rs_err_hint(err, "it declares %s", rs_strbuf_str(&b));
}

/* A plain name means the port of that name, whatever its protocol; TCP first. */
static int resolve_port(const struct cli_flow *f, const struct cli_flow_end *d, struct rows *rows,
			uint16_t *lo, uint16_t *hi, struct rs_err *err)
{
	static const uint8_t protos[] = { RS_PROTO_TCP, RS_PROTO_UDP, RS_PROTO_SCTP };
	const struct rs_container_port *p;
	size_t i;

	rows->proto = f->port.proto;
	*lo = f->port.lo;
	*hi = f->port.hi;
	if (!f->port.name)
		return 0;
	if (d->end == SIZE_MAX)
		return rs_err_set(err, EINVAL,
				  "%s is no pod, so it has no port named %s: give a number",
				  d->e.text, f->port.name);
	p = named(&f->cw->w.locals[d->end], f->port.name, f->port.proto);
	for (i = 0; !p && f->port.any_proto && i < RS_ARRAY_SIZE(protos); i++)
		p = named(&f->cw->w.locals[d->end], f->port.name, protos[i]);
	if (!p)
		return no_such_port(f, d, err);
	rows->proto = p->proto;
	*lo = *hi = p->port;
	return 0;
}

/* ---- one pair -------------------------------------------------------------------------------- */

/* A node reaches the pods that run on it. Where nobody says where a pod runs, a Node that is named
 * is taken for another one, which is judged by its address. */
static bool is_own_node(const struct cli_flow *f, const struct cli_flow_end *server)
{
	const char *at = server->end == SIZE_MAX ? NULL : f->cw->ends[server->end].node;

	return !f->node || (at && !strcmp(at, f->node));
}

static int explain(const struct cli_flow *f, const struct row *row, uint8_t proto,
		   struct json_object *o, enum rs_verdict *verdict, struct rs_err *err)
{
	const struct cli_flow_end *s = &f->src.v.v[row->s], *d = &f->dst.v.v[row->d];
	struct rs_question q = {
		.src = s->e, .dst = d->e, .proto = proto, .port = row->lo, .family = f->family
	};
	bool own = s->e.node && is_own_node(f, d);
	int rc;

	/* By local origin, whatever its address: the server's stands in for it. */
	q.src.node = own;
	if (own) {
		q.src.ip4 = d->e.ip4;
		q.src.ip6 = d->e.ip6;
	}
	rc = rs_answer_explain(o, &f->cw->w, f->ir, &q, verdict, err);
	if (rc == 0 && own)
		json_object_object_del(rs_json_get(o, "source"), "ip");
	return rc;
}

static const struct rs_addr *of_family(const struct rs_answer_end *e, int family)
{
	return family == RS_AF_IP4 ? &e->ip4 : &e->ip6;
}

/* The last port that has the verdict of lo, by the rules in both families. */
static uint16_t run_end(const struct cli_flow *f, const struct row *row, uint8_t proto, uint16_t hi)
{
	uint16_t last = hi;
	int family;

	for (family = RS_AF_IP4; family <= RS_AF_IP6; family += RS_AF_IP6 - RS_AF_IP4) {
		const struct rs_addr *a = of_family(&f->src.v.v[row->s].e, family);
		const struct rs_addr *b = of_family(&f->dst.v.v[row->d].e, family);
		struct rs_ir_verdict first, v;
		unsigned int port;

		if (!a->family || !b->family || (f->family && f->family != family))
			continue;
		rs_ir_eval(f->ir, a, b, proto, row->lo, &first);
		for (port = row->lo + 1u; port <= last; port++) {
			rs_ir_eval(f->ir, a, b, proto, (uint16_t)port, &v);
			if (v.allow != first.allow)
				last = (uint16_t)(port - 1);
		}
	}
	return last;
}

/* What is shown in full: the first denied one; the rows before it were allowed. */
static void keep_shown(struct rows *rows, struct json_object *o)
{
	const struct row *v = rows->v.v, *last = &v[rows->v.n - 1];

	if (rows->shown &&
	    (last->verdict == RS_VERDICT_ALLOW || v[rows->nr_shown].verdict == RS_VERDICT_DENY)) {
		json_object_put(o);
		return;
	}
	json_object_put(rows->shown);
	rows->shown = o;
	rows->nr_shown = rows->v.n - 1;
}

static int add_row(const struct cli_flow *f, struct rows *rows, struct row row, struct rs_err *err)
{
	struct json_object *o = json_object_new_object();
	int rc = explain(f, &row, rows->proto, o, &row.verdict, err);

	if (rc < 0) {
		json_object_put(o);
		return rc;
	}
	*rs_vec_push(&rows->v) = row;
	keep_shown(rows, o);
	return 0;
}

static int judge_pair(const struct cli_flow *f, size_t s, size_t d, struct rows *rows,
		      struct rs_err *err)
{
	struct row row = { .s = s, .d = d };
	uint16_t lo, hi;
	int rc = resolve_port(f, &f->dst.v.v[d], rows, &lo, &hi, err);

	while (rc == 0) {
		row.lo = lo;
		row.hi = lo == hi ? hi : run_end(f, &row, rows->proto, hi);
		if (rows->v.n == MAX_ROWS)
			return rs_err_set(err, EINVAL, "more than %d verdicts: ask for less",
					  MAX_ROWS);
		rc = add_row(f, rows, row, err);
		if (row.hi == hi)
			break;
		lo = (uint16_t)(row.hi + 1);
	}
	return rc;
}

/* ---- what the rows say together -------------------------------------------------------------- */

static char *ports_text(uint8_t proto, const struct row *r)
{
	if (!proto)
		return rs_strdup("icmp");
	if (r->lo == r->hi)
		return rs_asprintf("%s/%u", rs_answer_proto(proto), r->lo);
	return rs_asprintf("%s/%u-%u", rs_answer_proto(proto), r->lo, r->hi);
}

/* The text of the parts of a range from the first to the last one. */
static char *ends_text(const struct cli_flow_ends *ends, size_t first, size_t last)
{
	const struct cli_flow_end *a = &ends->v.v[first], *b = &ends->v.v[last];
	const char *end;
	char text[RS_ADDR_STRLEN];

	if (first == last || !b->last.family)
		return rs_strdup(a->e.text);
	end = strchr(a->e.text, '-');
	return rs_asprintf("%.*s-%s", (int)(end ? end - a->e.text : (long)strlen(a->e.text)),
			   a->e.text, rs_addr_str(&b->last, text));
}

/* Whether row b goes on where row a of the same verdict ends: in the next part of a range. */
static bool goes_on(const struct cli_flow *f, const struct row *a, const struct row *b)
{
	if (a->verdict != b->verdict || a->lo != b->lo || a->hi != b->hi)
		return false;
	if (a->s == b->s && a->d + 1 == b->d)
		return f->dst.v.v[a->d].last.family;
	return f->dst.v.n == 1 && a->s + 1 == b->s && f->src.v.v[a->s].last.family;
}

static struct json_object *parts_json(const struct cli_flow *f, const struct rows *rows)
{
	struct json_object *list = json_object_new_array();
	const struct row *v = rows->v.v;
	size_t i, k;

	for (i = 0; i < rows->v.n; i = k + 1) {
		struct json_object *o = json_object_new_object();
		rs_autofree char *src = NULL, *dst = NULL, *ports = NULL;

		for (k = i; k + 1 < rows->v.n && goes_on(f, &v[k], &v[k + 1]);)
			k++;
		src = ends_text(&f->src, v[i].s, v[k].s);
		dst = ends_text(&f->dst, v[i].d, v[k].d);
		ports = ports_text(rows->proto, &v[i]);
		rs_json_add_str(o, "source", src);
		rs_json_add_str(o, "destination", dst);
		rs_json_add_str(o, "ports", ports);
		rs_json_add_str(o, "verdict",
				v[i].verdict == RS_VERDICT_ALLOW ? "allowed" : "denied");
		json_object_array_add(list, o);
	}
	return list;
}

static bool differ(const struct rows *rows)
{
	size_t i;

	for (i = 1; i < rows->v.n; i++)
		if (rows->v.v[i].verdict != rows->v.v[0].verdict)
			return true;
	return false;
}

/* ---- notes ----------------------------------------------------------------------------------- */

static void put_note(struct rs_strbuf *b, const char *text)
{
	if (b->len)
		rs_strbuf_puts(b, "; ");
	rs_strbuf_puts(b, text);
}

/* Whether the rule lets this address in by an ipBlock only. */
static bool by_block(const struct rs_rule *r, const struct rs_answer_end *e)
{
	bool holds = false;
	size_t i;

	for (i = 0; i < r->n_peers; i++) {
		const struct rs_peer *p = &r->peers[i];

		if (p->invalid)
			continue;
		if (!p->has_block)
			return false;
		holds |= (e->ip4.family && rs_cidr_contains(&p->block.cidr, &e->ip4)) ||
			 (e->ip6.family && rs_cidr_contains(&p->block.cidr, &e->ip6));
	}
	return holds;
}

/* The rule of that name, which allows what self does or takes. */
static const struct rs_rule *rule_named(const struct cli_flow *f, const struct cli_flow_end *self,
					enum rs_direction dir, const char *name)
{
	const struct rs_local_pod *l = self->end == SIZE_MAX ? NULL : &f->cw->w.locals[self->end];
	rs_autofree const struct rs_policy **v = NULL;
	size_t n, i, k;

	if (!l || !name)
		return NULL;
	v = rs_policies_of(&f->cw->w, l->ns, l->labels, dir, &n);
	for (i = 0; i < n; i++)
		for (k = 0; k < v[i]->n_rules[dir]; k++) {
			rs_autofree char *text = rs_rule_name(v[i], dir, k);

			if (!strcmp(text, name))
				return &v[i]->rules[dir][k];
		}
	return NULL;
}

/* The real address may lie elsewhere than the one that we made up. */
static void note_made_up(const struct cli_flow *f, const struct cli_flow_end *self,
			 const struct cli_flow_end *peer, enum rs_direction dir,
			 struct json_object *half, struct rs_strbuf *b)
{
	const struct rs_rule *r = rule_named(f, self, dir, rs_json_text(half, "rule", NULL));
	rs_autofree char *text = NULL;
	char addr[RS_ADDR_STRLEN];

	if (!r || !peer->assumed || !by_block(r, &peer->e))
		return;
	text = rs_asprintf("what was read gives %s no address: %s stands for it, and the ipBlock "
			   "holds that one; --cluster-cidr says where pods really are",
			   peer->e.text,
			   rs_addr_str(peer->e.ip4.family ? &peer->e.ip4 : &peer->e.ip6, addr));
	put_note(b, text);
}

static void note_range(const struct cli_flow_ends *ends, struct rs_strbuf *b)
{
	rs_autofree char *text = NULL;

	if (!ends->n_pods_inside)
		return;
	text = rs_asprintf("%zu pod address%s in the range %s left out: ask for those pods by name",
			   ends->n_pods_inside, ends->n_pods_inside == 1 ? "" : "es",
			   ends->n_pods_inside == 1 ? "is" : "are");
	put_note(b, text);
}

static void add_notes(const struct cli_flow *f, const struct rows *rows, struct json_object *o)
{
	const struct row *row = &rows->v.v[rows->nr_shown];
	const struct cli_flow_end *s = &f->src.v.v[row->s], *d = &f->dst.v.v[row->d];
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts(&b, rs_json_text(o, "note", ""));
	if (f->dst.siblings)
		put_note(&b, "this is between two pods of it; each of them always reaches itself");
	note_range(&f->src, &b);
	note_range(&f->dst, &b);
	note_made_up(f, s, d, RS_EGRESS, rs_json_get(o, "egress"), &b);
	note_made_up(f, d, s, RS_INGRESS, rs_json_get(o, "ingress"), &b);
	if (b.len)
		rs_json_add_str(o, "note", rs_strbuf_str(&b));
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Among the pods of a workload that speak to each other; each reaches itself anyway. */
static bool is_same_pod(const struct cli_flow *f, size_t s, size_t d)
{
	size_t end = f->src.v.v[s].end;

	return end != SIZE_MAX && end == f->dst.v.v[d].end && f->src.v.n > 1 && f->dst.v.n > 1;
}

static int judge_all(const struct cli_flow *f, struct rows *rows, struct rs_err *err)
{
	size_t s, d;
	int rc = 0;

	if (f->src.v.n * f->dst.v.n > MAX_PAIRS) {
		rs_err_set(err, EINVAL, "these are %zu flows: explain tells of one, or of a few",
			   f->src.v.n * f->dst.v.n);
		return rs_err_hint(err, "ripstop matrix tells of many");
	}
	for (s = 0; s < f->src.v.n && rc == 0; s++)
		for (d = 0; d < f->dst.v.n && rc == 0; d++)
			if (!is_same_pod(f, s, d))
				rc = judge_pair(f, s, d, rows, err);
	return rc;
}

static void add_workload(const struct cli_flow *f, const struct cli_flow_end *e,
			 struct json_object *end)
{
	const struct cli_endpoint *p = e->end == SIZE_MAX ? NULL : &f->cw->ends[e->end];

	if (!p || p->hypothetical)
		return;
	json_object_object_add(end, "workload", cli_offline_workload(p));
}

static void fill(const struct cli_flow *f, const struct rows *rows, struct json_object *o)
{
	const struct row *row = &rows->v.v[rows->nr_shown];
	struct row whole = { .lo = f->port.lo, .hi = f->port.hi };

	json_object_object_foreach(rows->shown, key, value)
		json_object_object_add(o, key, json_object_get(value));
	add_workload(f, &f->src.v.v[row->s], rs_json_get(o, "source"));
	add_workload(f, &f->dst.v.v[row->d], rs_json_get(o, "destination"));
	if (rows->v.n > 1)
		json_object_object_add(o, "flows", json_object_new_int64((int64_t)rows->v.n));
	if (!f->port.name && f->port.lo != f->port.hi) {
		rs_autofree char *text = ports_text(rows->proto, &whole);

		rs_json_add_str(o, "ports", text);
	}
	if (differ(rows))
		json_object_object_add(o, "parts", parts_json(f, rows));
	add_notes(f, rows, o);
}

int cli_judge(const struct cli_flow *f, struct json_object *o, enum rs_verdict *verdict,
	      struct rs_err *err)
{
	struct rows rows = { 0 };
	int rc = judge_all(f, &rows, err);

	if (rc == 0) {
		fill(f, &rows, o);
		*verdict = rows.v.v[rows.nr_shown].verdict;
	}
	json_object_put(rows.shown);
	rs_vec_free(&rows.v);
	return rc;
}
