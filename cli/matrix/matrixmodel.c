// SPDX-License-Identifier: Apache-2.0
/* matrixmodel.c - parties, units and cells of a world; see matrix.h. */
#include <string.h>

#include "cli/matrix/matrixparts.h"

/* Rows of pods are refused above this: nobody reads them, and the square needs memory. */
#define MAX_ROWS 8000

/* ---- parties --------------------------------------------------------------------------------- */

static struct mx_party *add_party(struct matrix *m, const char *ns, const char *name,
				  const char *kind, char *text)
{
	struct mx_party *p = rs_vec_push(&m->parties);

	p->ns = ns ? rs_strdup(ns) : NULL;
	p->name = rs_strdup(name);
	p->kind = kind;
	p->text = text;
	return p;
}

/* Outside of -n, a namespace is one party. */
static bool is_outside(const struct cli_run *r, const struct cli_endpoint *e)
{
	return r->opt.namespace && strcmp(r->opt.namespace, e->ns) != 0;
}

static int party_order(const struct cli_run *r, enum cli_by by, const struct cli_endpoint *a,
		       const struct cli_endpoint *b)
{
	int c = strcmp(a->ns, b->ns);

	if (c || by == CLI_BY_NS || is_outside(r, a))
		return c;
	if (by == CLI_BY_POD)
		return strcmp(a->name, b->name);
	c = strcmp(a->workload, b->workload);
	return c ? c : strcmp(a->workload_kind, b->workload_kind);
}

static void add_party_of(struct matrix *m, const struct cli_run *r, const struct cli_endpoint *e,
			 bool twin)
{
	bool pod = m->by == CLI_BY_POD;
	const char *name = pod ? e->name : e->workload;
	const char *kind = pod && !e->is_template ? "Pod" : e->workload_kind;

	if (m->by == CLI_BY_NS)
		add_party(m, e->ns, "*", "Namespace", rs_strdup(e->ns));
	else if (is_outside(r, e))
		add_party(m, e->ns, "*", "Namespace", rs_asprintf("%s/*", e->ns));
	else if (twin)
		add_party(m, e->ns, name, kind, rs_asprintf("%s/%s (%s)", e->ns, name, kind));
	else
		add_party(m, e->ns, name, kind, rs_asprintf("%s/%s", e->ns, name));
}

/* ---- ends, in the order of their parties ----------------------------------------------------- */

struct end {
	const struct cli_endpoint *e;
	const struct rs_local_pod *pod; /* NULL: the world */
	struct rs_addr addr;
	uint32_t party;
	struct mx_unit unit;
};

struct gather {
	struct cli_run *r;
	struct matrix *m;
	struct rs_vec(struct end) ends;
};

static bool address_of(const struct rs_local_pod *p, int family, struct rs_addr *out)
{
	size_t i;

	for (i = 0; i < p->n_ips; i++)
		if (p->ips[i].family == family) {
			*out = p->ips[i];
			return true;
		}
	return false;
}

static int by_party(const void *a, const void *b, void *arg)
{
	const struct gather *g = arg;
	const struct cli_endpoint *x = ((const struct end *)a)->e, *y = ((const struct end *)b)->e;
	int c = party_order(g->r, g->m->by, x, y);

	return c ? c : strcmp(x->name, y->name);
}

static void gather_ends(struct gather *g, const struct cli_world *cw)
{
	size_t i;

	for (i = 0; i < cw->n_ends; i++) {
		struct rs_addr a;

		if (!address_of(&cw->w.locals[i], g->m->family, &a)) {
			g->m->n_without++;
			continue;
		}
		*rs_vec_push(&g->ends) =
			(struct end){ .e = &cw->ends[i], .pod = &cw->w.locals[i], .addr = a };
	}
	if (g->ends.n)
		qsort_r(g->ends.v, g->ends.n, sizeof(*g->ends.v), by_party, g);
}

/* Two kinds of workload with one name. */
static bool is_twin(const struct gather *g, const struct end *e)
{
	const struct end *from = g->ends.v, *to = from + g->ends.n, *x;

	for (x = e; x > from && !strcmp(x[-1].e->ns, e->e->ns) &&
		    !strcmp(x[-1].e->workload, e->e->workload);
	     x--)
		;
	for (; x < to && !strcmp(x->e->ns, e->e->ns) && !strcmp(x->e->workload, e->e->workload);
	     x++)
		if (strcmp(x->e->workload_kind, e->e->workload_kind) != 0)
			return true;
	return false;
}

static void make_parties(struct gather *g)
{
	struct matrix *m = g->m;
	struct mx_party *p;
	size_t i;

	for (i = 0; i < g->ends.n; i++) {
		struct end *e = &g->ends.v[i];

		if (!i || party_order(g->r, m->by, e[-1].e, e->e))
			add_party_of(m, g->r, e->e, m->by == CLI_BY_WORKLOAD && is_twin(g, e));
		p = &m->parties.v[m->parties.n - 1];
		if (!p->n_ends++ && strcmp(p->kind, "Namespace") != 0)
			p->labels = e->pod->labels;
		p->alone = p->n_ends == 1 && !e->e->is_template;
		e->party = (uint32_t)m->parties.n - 1;
	}
	p = add_party(m, NULL, "world", "World", rs_strdup("world"));
	p->n_ends = 1;
	p->alone = true;
	*rs_vec_push(&g->ends) =
		(struct end){ .addr = m->world, .party = (uint32_t)m->parties.n - 1 };
}

/* ---- units ----------------------------------------------------------------------------------- */

/* A named port is what the server calls so. */
static void ask_port(const struct mx_question *q, const struct rs_local_pod *server,
		     struct mx_unit *u)
{
	size_t i;

	if (!q->text)
		return;
	if (!q->port.name) {
		u->icmp = q->port.proto == 0;
		u->proto = q->port.proto;
		u->lo = q->port.lo;
		u->hi = q->port.hi;
		return;
	}
	for (i = 0; server && i < server->n_ports; i++)
		if (server->ports[i].name && !strcmp(server->ports[i].name, q->port.name)) {
			u->proto = server->ports[i].proto;
			u->lo = u->hi = server->ports[i].port;
			return;
		}
}

static int cmp_unit(const struct mx_unit *a, const struct mx_unit *b)
{
	int c = rs_reach_key_cmp(&a->key, &b->key);

	if (c)
		return c;
	if (a->proto != b->proto)
		return a->proto < b->proto ? -1 : 1;
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

static int by_unit(const void *a, const void *b)
{
	return cmp_unit(&(*(struct end *const *)a)->unit, &(*(struct end *const *)b)->unit);
}

static int by_share(const void *a, const void *b)
{
	const struct mx_share *x = a, *y = b;

	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* Shares of one party: sorted by unit, one a unit. */
static void add_shares(struct matrix *m, const struct end *v, const uint32_t *unit, size_t n)
{
	struct mx_party *p = &m->parties.v[v->party];
	size_t i, first = m->shares.n, last;

	for (i = 0; i < n; i++)
		*rs_vec_push(&m->shares) =
			(struct mx_share){ unit[i], 1, v[i].e ? v[i].e->name : NULL };
	qsort(m->shares.v + first, n, sizeof(*m->shares.v), by_share);
	for (i = last = first; i < first + n; i++)
		if (i == first || m->shares.v[i].unit != m->shares.v[last - 1].unit)
			m->shares.v[last++] = m->shares.v[i];
		else
			m->shares.v[last - 1].n++;
	m->shares.n = last;
	p->first_share = first;
	p->n_shares = last - first;
}

static void make_units(struct gather *g)
{
	size_t n = g->ends.n, i, first;
	rs_autofree struct end **sorted = rs_new0(struct end *, n);
	rs_autofree uint32_t *unit = rs_new0(uint32_t, n);
	struct matrix *m = g->m;

	for (i = 0; i < n; i++) {
		struct end *e = sorted[i] = &g->ends.v[i];

		rs_reach_key(m->ir, &e->addr, &e->unit.key);
		ask_port(&m->q, e->pod, &e->unit);
	}
	qsort(sorted, n, sizeof(struct end *), by_unit);
	for (i = 0; i < n; i++) {
		if (!i || by_unit(&sorted[i - 1], &sorted[i]))
			*rs_vec_push(&m->units) = sorted[i]->unit;
		unit[sorted[i] - g->ends.v] = (uint32_t)m->units.n - 1;
	}
	for (i = first = 0; i < n; i++)
		if (i + 1 == n || g->ends.v[i + 1].party != g->ends.v[first].party) {
			add_shares(m, &g->ends.v[first], &unit[first], i + 1 - first);
			first = i + 1;
		}
}

static void make_reach_table(struct matrix *m)
{
	rs_autofree struct rs_reach_key *keys = rs_new0(struct rs_reach_key, m->units.n);
	size_t i, k;

	for (i = 0; i < m->units.n; i++)
		keys[i] = m->units.v[i].key;
	m->table = rs_reach_table_new(m->ir, keys, m->units.n);
	for (i = 0; i < m->parties.n; i++) {
		struct mx_party *p = &m->parties.v[i];

		for (k = p->first_share; k < p->first_share + p->n_shares; k++) {
			uint32_t u = m->shares.v[k].unit;

			p->isolated[RS_EGRESS] |= rs_reach_table_isolated(m->table, u, RS_DIR_OUT);
			p->isolated[RS_INGRESS] |= rs_reach_table_isolated(m->table, u, RS_DIR_IN);
		}
	}
}

/* ---- the question ---------------------------------------------------------------------------- */

static int read_port(struct cli_run *r, struct mx_question *q)
{
	rs_auto_err err = { 0 };

	if (!r->opt.port)
		return 0;
	q->text = r->opt.port;
	if (cli_port_parse(q->text, &q->port, &err) < 0) {
		cli_error("ripstop matrix --port tcp/5432", "matrix: --port: %s", rs_err_str(&err));
		return CLI_USAGE;
	}
	return 0;
}

static int find_world(struct matrix *m, struct cli_world *cw)
{
	struct cli_operand o = { 0 };
	rs_auto_err err = { 0 };
	int rc = cli_world_operand(cw, "world", NULL, &o, &err);

	m->world = m->family == 6 ? o.addr6 : o.addr4;
	cli_operand_clear(&o);
	if (rc < 0)
		cli_error(NULL, "matrix: %s", rs_err_str(&err));
	return rc < 0 ? CLI_BAD_INPUT : 0;
}

static int compile(struct matrix *m, struct cli_world *cw)
{
	rs_auto_err err = { 0 };

	if (cli_world_ir(cw, &m->ir, &err) == 0)
		return 0;
	cli_error(NULL, "matrix: %s", rs_err_str(&err));
	return CLI_BAD_INPUT;
}

static int ask(struct cli_run *r, struct cli_world *cw, struct matrix *m)
{
	int code = read_port(r, &m->q);

	if (code)
		return code;
	if (r->opt.namespace && !cli_world_has_namespace(cw, r->opt.namespace)) {
		cli_error("without -n every namespace is shown", "matrix: no namespace %s in %s",
			  r->opt.namespace, cw->from);
		return CLI_NOT_FOUND;
	}
	if (!cw->n_ends) {
		cli_error("it needs pods, or workloads such as a Deployment",
			  "matrix: no pod in %s: there is nothing to show", cw->from);
		return CLI_NOT_FOUND;
	}
	m->family = r->opt.family ? r->opt.family : cw->families[0] ? 4 : 6;
	code = find_world(m, cw);
	return code ? code : compile(m, cw);
}

static int too_many(const struct matrix *m)
{
	cli_error("--by workload or --by ns, or -n NAMESPACE",
		  "matrix: %zu parties that differ are more than the %d that it can show",
		  m->n_rows, MAX_ROWS);
	return CLI_USAGE;
}

int mx_make(struct cli_run *r, struct cli_world *cw, struct matrix **out)
{
	struct matrix *m = rs_new(struct matrix);
	struct gather g = { .r = r, .m = m };
	int code;

	m->cw = cw;
	m->by = r->opt.by;
	code = ask(r, cw, m);
	if (!code) {
		gather_ends(&g, cw);
		make_parties(&g);
		make_units(&g);
		make_reach_table(m);
		mx_make_rows(m);
		if (m->n_rows > MAX_ROWS)
			code = too_many(m);
	}
	rs_vec_free(&g.ends);
	if (!code) {
		mx_make_cells(m);
		mx_fold_rows(m);
		*out = m;
		return 0;
	}
	mx_free(m);
	return code;
}

void mx_free(struct matrix *m)
{
	size_t i;

	if (!m)
		return;
	for (i = 0; i < m->parties.n; i++) {
		free(m->parties.v[i].ns);
		free(m->parties.v[i].name);
		free(m->parties.v[i].text);
	}
	rs_vec_free(&m->parties);
	rs_vec_free(&m->units);
	rs_vec_free(&m->shares);
	rs_reach_table_free(m->table);
	free(m->rows);
	free(m->members);
	free(m->cells);
	free(m->counts);
	free(m);
}
