// SPDX-License-Identifier: Apache-2.0
/* rivals.c - rules of other kinds for the same objects; see rivals.h. */
#include "tests/bench/rivals.h"

#include <string.h>

#define MARK "0x10000"

static const char *const dir_name[RS_DIRECTIONS] = { "in", "out" };
static const char *const peer_field[RS_DIRECTIONS] = { "saddr", "daddr" };
static const char *const pod_field[RS_DIRECTIONS] = { "daddr", "saddr" };

struct text {
	enum rival kind;
	const struct worldw *w;
	const struct rs_pod *const *pods; /* by namespace */
	size_t n_pods;
	struct rs_vec(const struct rs_policy *) done[RS_DIRECTIONS]; /* their chains are written */
	struct rs_strbuf chains, map[RS_DIRECTIONS];
	struct rival_size size;
};

/* ---- what a rule names ----------------------------------------------------------------------- */

static bool takes_namespace(const struct text *t, const struct rs_policy *p,
			    const struct rs_peer *peer, const char *ns)
{
	const struct rs_namespace *n;

	if (!peer->ns_selector.present)
		return !strcmp(p->meta.ns, ns);
	n = rs_store_namespace(t->w->store, ns);
	return n && rs_selector_matches(&peer->ns_selector, &n->meta.labels);
}

static bool takes_pod(const struct rs_peer *peer, const struct rs_pod *pod)
{
	return !peer->pod_selector.present ||
	       rs_selector_matches(&peer->pod_selector, &pod->meta.labels);
}

typedef void address_fn(struct text *t, const struct rs_addr *a, void *arg);

static void each_address(struct text *t, const struct rs_policy *p, const struct rs_rule *r,
			 address_fn *fn, void *arg)
{
	for (size_t k = 0; k < r->n_peers; k++) {
		const char *ns = "";
		bool in = false;

		if (r->peers[k].has_block)
			continue;
		for (size_t i = 0; i < t->n_pods; i++) {
			const struct rs_pod *pod = t->pods[i];

			if (strcmp(ns, pod->meta.ns) != 0) {
				ns = pod->meta.ns;
				in = takes_namespace(t, p, &r->peers[k], ns);
			}
			if (in && takes_pod(&r->peers[k], pod))
				for (size_t a = 0; a < pod->n_ips; a++)
					fn(t, &pod->ips[a], arg);
		}
	}
}

/* "ip saddr 172.16.0.0/16 ip saddr != { 172.16.1.0/24 } " */
static void put_block(struct rs_strbuf *b, const struct rs_ipblock *block, enum rs_direction dir)
{
	char text[RS_CIDR_STRLEN];

	rs_strbuf_printf(b, "ip %s %s ", peer_field[dir], rs_cidr_str(&block->cidr, text));
	if (!block->n_except)
		return;
	rs_strbuf_printf(b, "ip %s != { ", peer_field[dir]);
	for (size_t i = 0; i < block->n_except; i++)
		rs_strbuf_printf(b, "%s%s", i ? ", " : "", rs_cidr_str(&block->except[i], text));
	rs_strbuf_puts(b, " } ");
}

/* All pods of W declare the same ports under the same names. */
static uint16_t named_port(const struct text *t, const char *name)
{
	const struct rs_local_pod *l = &t->w->locals[0];

	for (size_t i = 0; i < l->n_ports; i++)
		if (!strcmp(l->ports[i].name, name))
			return l->ports[i].port;
	return 0;
}

/* " tcp dport { 8080, 10000-10100 }" for the rule's ports of that protocol; false: there are none. */
static bool put_ports(struct text *t, struct rs_strbuf *b, const struct rs_rule *r, uint8_t proto)
{
	const char *between = "";

	for (size_t i = 0; i < r->n_ports; i++) {
		const struct rs_policy_port *p = &r->ports[i];

		if (p->proto != proto)
			continue;
		rs_strbuf_printf(b, "%s",
				 *between		 ? between
				 : proto == RS_PROTO_TCP ? "tcp dport { "
							 : "udp dport { ");
		if (p->kind == RS_PORT_NAMED)
			rs_strbuf_printf(b, "%u", named_port(t, p->name));
		else
			rs_strbuf_printf(b, "%u-%u", p->lo, p->hi);
		between = ", ";
	}
	if (*between)
		rs_strbuf_puts(b, " } ");
	return *between;
}

static const uint8_t protos[] = { RS_PROTO_TCP, RS_PROTO_UDP };

/* ---- chain per policy ------------------------------------------------------------------------ */

static void put_element(struct text *t, const struct rs_addr *a, void *arg)
{
	struct rs_strbuf *b = arg;
	char text[RS_ADDR_STRLEN];

	rs_strbuf_printf(b, "%s%s", b->len ? ", " : "", rs_addr_str(a, text));
	t->size.addresses++;
}

/* One rule of a policy: from its set, or from its block, to its ports. */
static void put_accepts(struct text *t, struct rs_strbuf *rules, const struct rs_rule *r,
			enum rs_direction dir, const char *set)
{
	for (size_t k = 0; k < RS_ARRAY_SIZE(protos); k++) {
		rs_auto_strbuf ports = { 0 };

		if (!put_ports(t, &ports, r, protos[k]))
			continue;
		rs_strbuf_printf(rules, "  ip %s @%s %smeta mark set meta mark | " MARK "\n",
				 peer_field[dir], set, rs_strbuf_str(&ports));
		for (size_t i = 0; i < r->n_peers; i++) {
			if (!r->peers[i].has_block)
				continue;
			rs_strbuf_puts(rules, "  ");
			put_block(rules, &r->peers[i].block, dir);
			rs_strbuf_printf(rules, "%smeta mark set meta mark | " MARK "\n",
					 rs_strbuf_str(&ports));
		}
	}
}

/* The number of a policy's chain, which is written the first time. */
static size_t policy_chain(struct text *t, const struct rs_policy *p, enum rs_direction dir)
{
	rs_auto_strbuf rules = { 0 };
	size_t n = t->done[dir].n;

	for (size_t i = 0; i < n; i++)
		if (t->done[dir].v[i] == p)
			return i;
	*rs_vec_push(&t->done[dir]) = p;
	for (size_t i = 0; i < p->n_rules[dir]; i++) {
		rs_autofree char *set = rs_asprintf("%s_%zu_%zu", dir_name[dir], n, i);
		rs_auto_strbuf elements = { 0 };

		each_address(t, p, &p->rules[dir][i], put_element, &elements);
		rs_strbuf_printf(&t->chains, " set %s { type ipv4_addr; %s%s%s }\n", set,
				 elements.len ? "elements = { " : "", rs_strbuf_str(&elements),
				 elements.len ? " }" : "");
		put_accepts(t, &rules, &p->rules[dir][i], dir, set);
		t->size.rules++;
	}
	rs_strbuf_printf(&t->chains, " chain %s_%zu {\n%s }\n", dir_name[dir], n,
			 rs_strbuf_str(&rules));
	return n;
}

static void put_policies(struct text *t, struct rs_strbuf *pod, const struct rs_policy *const *v,
			 size_t n, enum rs_direction dir)
{
	rs_strbuf_puts(pod, "  meta mark set meta mark & 0xfffeffff\n");
	for (size_t i = 0; i < n; i++)
		rs_strbuf_printf(pod, "  jump %s_%zu\n  meta mark & " MARK " == " MARK " return\n",
				 dir_name[dir], policy_chain(t, v[i], dir));
}

/* ---- rule per peer --------------------------------------------------------------------------- */

struct peer_rules {
	struct rs_strbuf *pod;
	enum rs_direction dir;
	const char *ports;
};

static void put_peer(struct text *t, const struct rs_addr *a, void *arg)
{
	const struct peer_rules *x = arg;
	char text[RS_ADDR_STRLEN];

	rs_strbuf_printf(x->pod, "  ip %s %s jump %s\n", peer_field[x->dir], rs_addr_str(a, text),
			 x->ports);
	t->size.addresses++;
}

/* The ports of a rule of a policy stand in a chain that its peers' rules share. */
static void put_port_chain(struct text *t, const struct rs_rule *r, const char *name)
{
	rs_strbuf_printf(&t->chains, " chain %s {\n", name);
	for (size_t k = 0; k < RS_ARRAY_SIZE(protos); k++) {
		rs_auto_strbuf ports = { 0 };

		if (put_ports(t, &ports, r, protos[k]))
			rs_strbuf_printf(&t->chains, "  %smeta mark set meta mark | " MARK "\n",
					 rs_strbuf_str(&ports));
	}
	rs_strbuf_puts(&t->chains, " }\n");
}

static void put_peers(struct text *t, struct rs_strbuf *pod, const struct rs_policy *p,
		      enum rs_direction dir)
{
	for (size_t i = 0; i < p->n_rules[dir]; i++) {
		const struct rs_rule *r = &p->rules[dir][i];
		rs_autofree char *ports = rs_asprintf("ports_%zu", t->size.rules++);
		struct peer_rules x = { .pod = pod, .dir = dir, .ports = ports };

		put_port_chain(t, r, ports);
		each_address(t, p, r, put_peer, &x);
		for (size_t k = 0; k < r->n_peers; k++) {
			if (!r->peers[k].has_block)
				continue;
			rs_strbuf_puts(pod, "  ");
			put_block(pod, &r->peers[k].block, dir);
			rs_strbuf_printf(pod, "jump %s\n", ports);
		}
		rs_strbuf_puts(pod, "  meta mark & " MARK " == " MARK " return\n");
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void put_pod(struct text *t, size_t nth, enum rs_direction dir)
{
	const struct rs_local_pod *l = &t->w->locals[nth];
	size_t n;
	rs_autofree const struct rs_policy **v =
		rs_policies_of(&t->w->w, l->ns, l->labels, dir, &n);
	rs_auto_strbuf pod = { 0 };
	char addr[RS_ADDR_STRLEN];

	if (!n)
		return;
	if (t->kind == RIVAL_CHAINS) {
		put_policies(t, &pod, v, n, dir);
	} else {
		rs_strbuf_puts(&pod, "  meta mark set meta mark & 0xfffeffff\n");
		for (size_t i = 0; i < n; i++)
			put_peers(t, &pod, v[i], dir);
	}
	rs_strbuf_printf(&t->chains, " chain pod_%zu_%s {\n%s  counter drop\n }\n", nth,
			 dir_name[dir], pod.s);
	rs_strbuf_printf(&t->map[dir], "%s%s : jump pod_%zu_%s", t->map[dir].len ? ", " : "",
			 rs_addr_str(&l->ips[0], addr), nth, dir_name[dir]);
}

void rivals_text(enum rival kind, const struct worldw *w, struct rs_strbuf *out,
		 struct rival_size *size)
{
	struct text t = { .kind = kind, .w = w };

	t.pods = rs_store_pods(w->store, &t.n_pods);
	for (size_t i = 0; i < w->n_locals; i++)
		for (int dir = 0; dir < RS_DIRECTIONS; dir++)
			put_pod(&t, i, (enum rs_direction)dir);
	rs_strbuf_printf(
		out,
		"table ip rival {\n%s chain forward {\n  type filter hook forward priority -10;\n"
		"  ct state established,related accept\n",
		rs_strbuf_str(&t.chains));
	for (int dir = RS_DIRECTIONS - 1; dir >= 0; dir--)
		if (t.map[dir].len)
			rs_strbuf_printf(out, "  ip %s vmap { %s }\n", pod_field[dir],
					 t.map[dir].s);
	rs_strbuf_puts(out, " }\n}\n");
	*size = t.size;
	for (int dir = 0; dir < RS_DIRECTIONS; dir++) {
		rs_strbuf_free(&t.map[dir]);
		rs_vec_free(&t.done[dir]);
	}
	rs_strbuf_free(&t.chains);
}
