// SPDX-License-Identifier: Apache-2.0
/* testrun.c - assertions judged: every pair of pods that the operands mean, every port, every
 * family. */
#include "cli/whatif/assert.h"
#include "cli/whatif/judgeflow.h"

#include <errno.h>
#include <string.h>

/* A node as a client is judged by where it is, never by an address; one must be there all the
 * same. */
#define NODE_IP4 "192.0.2.1"
#define NODE_IP6 "2001:db8::1"

/* Pieces of a range that are judged. */
#define MAX_PIECES 1000

struct ends rs_vec(struct judge_end);

/* A server and the ports that are asked for there. */
struct server {
	struct judge_end end;
	uint8_t proto; /* 0: ICMP */
	uint16_t lo, hi;
};

struct servers rs_vec(struct server);

/* An assertion with its operands found. */
struct question {
	struct assertion *a;
	struct cli_operand from, to;
	struct cli_port port;
	char *absent; /* what it names and nobody knows: it fails */
};

/* What the pairs of one question came to. */
struct tally {
	struct cli_world *cw;
	const struct question *q;
	size_t pairs, against;
	struct judge_flow witness; /* the first pair against what is expected, else the first */
	bool has_witness;
};

static void fail(struct assertion *a, char *reason)
{
	free(a->reason);
	a->reason = reason;
	a->passed = false;
}

/* ---- who is meant ---------------------------------------------------------------------------- */

static struct judge_end address_end(const struct cli_operand *o)
{
	return (struct judge_end){ .end = UINT32_MAX,
				   .addr = { o->addr4, o->addr6 },
				   .text = o->text };
}

static void add_piece(struct ends *out, const struct rs_addr *a)
{
	struct judge_end *e;

	if (out->n >= MAX_PIECES)
		return;
	e = rs_vec_push(out);
	e->end = UINT32_MAX;
	e->addr[family_index(a->family)] = *a;
}

/* One address of each part of a range that the ipBlocks cut it into. */
static void add_range(const struct rs_ir *ir, const struct rs_cidr *c, struct ends *out)
{
	size_t i;

	add_piece(out, &c->addr);
	for (i = 0; i < ir->n_ranges; i++) {
		struct rs_addr after = ir->ranges[i].hi;

		if (rs_cidr_contains(c, &ir->ranges[i].lo) &&
		    rs_addr_cmp(&ir->ranges[i].lo, &c->addr))
			add_piece(out, &ir->ranges[i].lo);
		if (rs_addr_next(&after) && rs_cidr_contains(c, &after))
			add_piece(out, &after);
	}
}

static void add_ends(const struct cli_operand *o, struct ends *out)
{
	size_t i;

	for (i = 0; i < o->n_ends; i++)
		rs_vec_push(out)->end = (uint32_t)o->ends[i];
}

static void add_node(const struct cli_operand *o, struct ends *out)
{
	struct judge_end *e = rs_vec_push(out);

	*e = address_end(o);
	e->node = true;
	if (!e->addr[0].family)
		rs_addr_parse(NODE_IP4, &e->addr[0], NULL);
	if (!e->addr[1].family)
		rs_addr_parse(NODE_IP6, &e->addr[1], NULL);
}

static bool find_clients(const struct cli_world *cw, const struct cli_operand *o, struct ends *out,
			 struct assertion *a)
{
	switch (o->kind) {
	case CLI_OPERAND_ENDPOINTS:
		add_ends(o, out);
		return true;
	case CLI_OPERAND_RANGE:
		add_range(cw->ir, &o->range, out);
		return true;
	case CLI_OPERAND_NODE:
		add_node(o, out);
		return true;
	case CLI_OPERAND_SERVICE:
		fail(a, rs_asprintf("%s is a Service: it begins no connection", o->text));
		return false;
	case CLI_OPERAND_ADDRESS:
		break;
	}
	*rs_vec_push(out) = address_end(o);
	return true;
}

/* ---- servers and their ports ----------------------------------------------------------------- */

static bool add_server(const struct cli_world *cw, const struct judge_end *e,
		       const struct cli_port *p, struct servers *out, struct assertion *a)
{
	const struct rs_local_pod *pod = e->end == UINT32_MAX ? NULL : &cw->w.locals[e->end];
	rs_autofree char *text = NULL;
	size_t i;

	if (!p->name) {
		*rs_vec_push(out) = (struct server){ *e, p->proto, p->lo, p->hi };
		return true;
	}
	for (i = 0; pod && i < pod->n_ports; i++)
		if (pod->ports[i].name && pod->ports[i].proto == p->proto &&
		    !strcmp(pod->ports[i].name, p->name)) {
			*rs_vec_push(out) = (struct server){ *e, p->proto, pod->ports[i].port,
							     pod->ports[i].port };
			return true;
		}
	text = judge_text(cw, e);
	fail(a, pod ? rs_asprintf("%s declares no port named %s", text, p->name)
		    : rs_asprintf("%s is no pod: only pods have named ports", text));
	return false;
}

static bool same_name(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static const struct rs_service_port *service_port(const struct rs_service *s,
						  const struct cli_port *p)
{
	size_t i;

	for (i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == p->proto &&
		    (p->name ? same_name(s->ports[i].name, p->name)
			     : p->lo == p->hi && s->ports[i].port == p->lo))
			return &s->ports[i];
	return NULL;
}

static struct judge_end backend_end(const struct cli_world *cw, const struct cli_backend *b)
{
	const struct cli_endpoint *e =
		b->pod_ns && b->pod_name ? cli_world_endpoint(cw, b->pod_ns, b->pod_name) : NULL;
	struct judge_end out = { .end = e ? (uint32_t)(e - cw->ends) : UINT32_MAX };

	out.addr[family_index(b->addr.family)] = b->addr;
	return out;
}

/* A Service is its backends, each at its own port. */
static bool find_backends(const struct cli_world *cw, const struct question *q, struct servers *out)
{
	const struct cli_service *s = q->to.service;
	const struct rs_service_port *port = service_port(s->o, &q->port);
	size_t i;

	if (!port) {
		fail(q->a, rs_asprintf("%s has no port %s", q->to.text, q->a->port));
		return false;
	}
	for (i = 0; i < s->n_backends; i++)
		if (s->backends[i].proto == port->proto &&
		    same_name(s->backends[i].port_name, port->name))
			*rs_vec_push(out) =
				(struct server){ backend_end(cw, &s->backends[i]), port->proto,
						 s->backends[i].port, s->backends[i].port };
	if (!out->n)
		fail(q->a, rs_asprintf("%s has no backends for port %s", q->to.text, q->a->port));
	return out->n > 0;
}

static bool find_servers(const struct cli_world *cw, const struct question *q, struct servers *out)
{
	struct ends ends = { 0 };
	bool ok = true;
	size_t i;

	if (q->to.kind == CLI_OPERAND_SERVICE)
		return find_backends(cw, q, out);
	if (q->to.kind == CLI_OPERAND_NODE && !q->to.addr4.family && !q->to.addr6.family) {
		fail(q->a, rs_strdup("which node? name one of the Nodes that were read: "
				     "node/NAME"));
		return false;
	}
	if (q->to.kind == CLI_OPERAND_NODE)
		*rs_vec_push(&ends) = address_end(&q->to);
	else
		ok = find_clients(cw, &q->to, &ends, q->a);
	for (i = 0; i < ends.n && ok; i++)
		ok = add_server(cw, &ends.v[i], &q->port, out, q->a);
	rs_vec_free(&ends);
	return ok;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

/* The first port that is not as expected; false when there is none. */
static bool find_port(const struct rs_reach *r, const struct server *s, uint8_t proto, bool allow,
		      uint16_t *port)
{
	uint32_t p;

	for (p = s->lo; p <= s->hi; p++)
		if (rs_reach_allows(r, proto, (uint16_t)p) != allow) {
			*port = (uint16_t)p;
			return true;
		}
	return false;
}

static void reach_of(const struct tally *t, const struct judge_end *c, const struct judge_end *s,
		     int family, struct rs_reach *out)
{
	struct rs_addr from = judge_addr(t->cw, c, family), to = judge_addr(t->cw, s, family);
	bool self = c->end != UINT32_MAX && c->end == s->end && !judge_alike(t->cw, c, s);
	struct rs_reach_key client, server;

	rs_reach_key(t->cw->ir, &from, &client);
	rs_reach_key(t->cw->ir, &to, &server);
	if (self || c->node) {
		client.out_group = server.in_group = UINT32_MAX;
		client.cls = server.cls = RS_CLASS_WORLD;
	}
	rs_ir_reach(t->cw->ir, &client, &server, out);
}

static void judge_pair(struct tally *t, const struct judge_end *c, const struct server *s,
		       int family)
{
	uint8_t proto = s->proto ? s->proto : family == RS_AF_IP4 ? 1 : 58;
	struct rs_reach r = { 0 };
	uint16_t port = s->lo;
	bool against;

	if (!judge_addr(t->cw, c, family).family || !judge_addr(t->cw, &s->end, family).family)
		return;
	reach_of(t, c, &s->end, family, &r);
	against = find_port(&r, s, proto, t->q->a->allow, &port);
	rs_reach_clear(&r);
	if (!t->has_witness || (against && !t->against))
		t->witness = (struct judge_flow){ *c, s->end, family, proto, port };
	t->has_witness = true;
	t->pairs++;
	t->against += against;
}

/* Where several pods are meant, a pod and itself is no pair. */
static bool is_pair(const struct cli_world *cw, const struct judge_end *c, const struct server *s,
		    bool several)
{
	return !several || c->end == UINT32_MAX || c->end != s->end.end ||
	       judge_alike(cw, c, &s->end);
}

static int conclude(struct tally *t, struct rs_err *err)
{
	struct assertion *a = t->q->a;
	rs_autofree char *from = NULL, *to = NULL, *of = NULL, *port = NULL;
	struct judged j = { 0 };
	int rc;

	if (!t->pairs) {
		fail(a, rs_asprintf("%s and %s share no address family", a->from, a->to));
		return 0;
	}
	rc = judge_flow(t->cw, &t->witness, &j, err);
	if (rc < 0)
		return rc;
	from = judge_text(t->cw, &t->witness.src);
	to = judge_text(t->cw, &t->witness.dst);
	port = judge_port_text(t->witness.proto, t->witness.port);
	of = t->against && t->pairs > 1 ? rs_asprintf(" (%zu of %zu pairs)", t->against, t->pairs)
					: rs_strdup("");
	a->passed = !t->against;
	free(a->reason);
	a->reason = rs_asprintf("%s -> %s %s is %s%s: %s", from, to, port,
				j.allow ? "allowed" : "denied", of, j.why);
	a->where = rs_steal_ptr(&j.where);
	judged_clear(&j);
	return 0;
}

static int judge_question(struct cli_world *cw, const struct question *q, struct rs_err *err)
{
	struct tally t = { .cw = cw, .q = q };
	struct ends clients = { 0 };
	struct servers servers = { 0 };
	size_t i, k;
	int rc = 0;
	bool ok;

	if (q->absent) {
		fail(q->a, rs_strdup(q->absent));
		return 0;
	}
	ok = find_clients(cw, &q->from, &clients, q->a) && find_servers(cw, q, &servers);
	for (i = 0; i < clients.n && ok; i++)
		for (k = 0; k < servers.n; k++) {
			bool several = clients.n > 1 || servers.n > 1;

			if (!is_pair(cw, &clients.v[i], &servers.v[k], several))
				continue;
			judge_pair(&t, &clients.v[i], &servers.v[k], RS_AF_IP4);
			judge_pair(&t, &clients.v[i], &servers.v[k], RS_AF_IP6);
		}
	if (ok)
		rc = conclude(&t, err);
	rs_vec_free(&clients);
	rs_vec_free(&servers);
	return rc;
}

/* ---- a suite --------------------------------------------------------------------------------- */

/* What names nobody fails its own test; what is no operand spoils the file. */
static int find_operand(struct cli_world *cw, struct question *q, const char *text, const char *ns,
			struct cli_operand *out, struct rs_err *err)
{
	int rc = cli_world_operand(cw, text, ns, out, err);

	if (rc < 0 && cli_operand_code(rc) == CLI_NOT_FOUND) {
		free(q->absent);
		q->absent = rs_strdup(rs_err_str(err));
		rs_err_clear(err);
		rc = 0;
	}
	return rc;
}

static int find_question(struct cli_world *cw, struct question *q, const char *ns,
			 struct rs_err *err)
{
	int rc = cli_port_parse(q->a->port, &q->port, err);

	if (rc == 0)
		rc = find_operand(cw, q, q->a->from, ns, &q->from, err);
	if (rc == 0)
		rc = find_operand(cw, q, q->a->to, ns, &q->to, err);
	return rc;
}

int suite_run(struct cli_world *cw, struct suite *s, const char *ns, struct rs_err *err)
{
	rs_autofree struct question *q = rs_new0(struct question, s->tests.n + 1);
	const struct rs_ir *ir;
	size_t i;
	int rc = 0;

	ns = s->ns ? s->ns : ns;
	for (i = 0; i < s->tests.n && rc == 0; i++) {
		q[i].a = &s->tests.v[i];
		rc = find_question(cw, &q[i], ns, err);
		if (rc < 0) {
			rs_err_wrap(err, "%s:%d:%d", s->file, q[i].a->line, q[i].a->col);
			rc = -EINVAL;
		}
	}
	if (rc == 0)
		rc = cli_world_ir(cw, &ir, err);
	for (i = 0; i < s->tests.n && rc == 0; i++)
		rc = judge_question(cw, &q[i], err);
	for (i = 0; i < s->tests.n; i++) {
		cli_operand_clear(&q[i].from);
		cli_operand_clear(&q[i].to);
		free(q[i].absent);
	}
	return rc;
}
