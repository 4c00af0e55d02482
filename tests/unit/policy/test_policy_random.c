// SPDX-License-Identifier: Apache-2.0
/*
 * Random small worlds: what the IR says of every flow against a reading of the objects, rule by rule,
 * that shares nothing with the compiler but rs_selector_matches(). Explanations must agree as well.
 */
#include "policytest.h"

#include <errno.h>

#define PODS 14
#define LOCALS 5

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}

static const char *const ns_names[] = { "a", "b", "ghost" }; /* ghost has no Namespace object */
static const char *const apps[] = { "web", "api", "db" };
static const char *const extern_ips[] = { "192.0.2.1", "10.0.1.200", "10.0.0.250", "fd00::99",
					  "2001:db8::1" };

static void put_selector(struct rs_strbuf *b)
{
	switch (rnd(6)) {
	case 0:
		rs_strbuf_puts(b, "{}");
		break;
	case 1:
		rs_strbuf_printf(b,
				 "{matchExpressions: [{key: app, operator: NotIn, values: [%s]}]}",
				 apps[rnd(3)]);
		break;
	case 2:
		rs_strbuf_printf(b, "{matchExpressions: [{key: tier, operator: %s}]}",
				 rnd(2) ? "Exists" : "DoesNotExist");
		break;
	case 3:
		rs_strbuf_printf(b,
				 "{matchExpressions: [{key: app, operator: In, values: [%s, %s]}]}",
				 apps[rnd(3)], apps[rnd(3)]);
		break;
	default:
		rs_strbuf_printf(b, "{matchLabels: {app: %s}}", apps[rnd(3)]);
	}
}

static void put_peer(struct rs_strbuf *b)
{
	static const char *const blocks[] = {
		"{cidr: 10.0.0.0/24, except: [10.0.0.0/29]}",
		"{cidr: 0.0.0.0/0}",
		"{cidr: 10.0.0.8/29, except: [10.0.0.9/32, 10.0.0.12/30]}",
		"{cidr: 'fd00::/64'}",
		"{cidr: 192.0.2.0/24}",
		"{cidr: '::/0', except: ['fd00::8/125']}",
		"{cidr: '::ffff:10.0.0.0/104'}"
	};
	uint32_t kind = rnd(4);

	if (kind == 0) {
		rs_strbuf_printf(b, "{ipBlock: %s}", blocks[rnd(RS_ARRAY_SIZE(blocks))]);
		return;
	}
	rs_strbuf_putc(b, '{');
	if (kind & 1) {
		rs_strbuf_puts(b, "podSelector: ");
		put_selector(b);
	}
	if (kind & 2) {
		rs_strbuf_puts(b, kind & 1 ? ", namespaceSelector: " : "namespaceSelector: ");
		put_selector(b);
	}
	rs_strbuf_putc(b, '}');
}

static void put_port(struct rs_strbuf *b)
{
	static const char *const ports[] = { "{port: 80}",
					     "{port: web}",
					     "{port: dns, protocol: UDP}",
					     "{protocol: UDP}",
					     "{port: 8080, endPort: 8090}",
					     "{port: 53, protocol: UDP}",
					     "{port: nobody}",
					     "{protocol: SCTP, port: 80}" };

	rs_strbuf_puts(b, ports[rnd(RS_ARRAY_SIZE(ports))]);
}

static void put_list(struct rs_strbuf *b, const char *key, void (*item)(struct rs_strbuf *))
{
	uint32_t n = 1 + rnd(3), i;

	if (!rnd(4))
		return;
	rs_strbuf_printf(b, "%s: [", key);
	for (i = 0; i < n; i++) {
		rs_strbuf_puts(b, i ? ", " : "");
		item(b);
	}
	rs_strbuf_puts(b, "], ");
}

static void put_rules(struct rs_strbuf *b, const char *key, const char *peers)
{
	uint32_t n = rnd(3), i;

	rs_strbuf_printf(b, "  %s: [", key);
	for (i = 0; i < n; i++) {
		rs_strbuf_puts(b, i ? ", {" : "{");
		put_list(b, peers, put_peer);
		put_list(b, "ports", put_port);
		rs_strbuf_puts(b, "}");
	}
	rs_strbuf_puts(b, "]\n");
}

static void put_pod(struct rs_strbuf *b, uint32_t i)
{
	rs_strbuf_printf(
		b, "---\nkind: Pod\napiVersion: v1\nmetadata: {name: p%u, namespace: %s, labels: {",
		i, ns_names[rnd(3)]);
	if (rnd(5))
		rs_strbuf_printf(b, "app: %s, ", apps[rnd(3)]);
	if (!rnd(3))
		rs_strbuf_puts(b, "tier: t");
	rs_strbuf_printf(b, "}}\nspec: {%scontainers: [{name: c, image: i, ports: [",
			 rnd(10) ? "" : "hostNetwork: true, ");
	if (rnd(2))
		rs_strbuf_printf(b, "{name: web, containerPort: %u}, ", rnd(2) ? 80 : 8085);
	if (!rnd(3))
		rs_strbuf_puts(b, "{name: dns, protocol: UDP, containerPort: 53}");
	rs_strbuf_printf(b,
			 "]}]}\nstatus: {phase: %s, podIPs: [{ip: 10.0.0.%u}, {ip: 'fd00::%x'}]}\n",
			 rnd(8) ? "Running" : "Succeeded", rnd(12) ? i + 1 : 3u, i + 1);
}

static char *world_text(void)
{
	struct rs_strbuf b = { 0 };
	uint32_t i;

	rs_strbuf_puts(&b, NS("a", "app: web") NS("b", "tier: t"));
	for (i = 0; i < PODS; i++)
		put_pod(&b, i);
	for (i = 0; i < 6; i++) {
		static const char *const types[] = { "[Ingress]", "[Egress]", "[Ingress, Egress]" };

		rs_strbuf_printf(&b,
				 "---\nkind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n"
				 "metadata: {name: n%u, namespace: %s}\nspec:\n  podSelector: ",
				 i, ns_names[rnd(3)]);
		put_selector(&b);
		rs_strbuf_printf(&b, "\n  policyTypes: %s\n", types[rnd(3)]);
		put_rules(&b, "ingress", "from");
		put_rules(&b, "egress", "to");
	}
	return rs_strbuf_steal(&b);
}

/* ---- the plain reading ----------------------------------------------------------------------- */

struct actor {
	const char *ns;
	const struct rs_labels *labels;
	const struct rs_container_port *ports;
	size_t n_ports;
	bool peer; /* selectors see it */
};

static bool is_local_pod(const struct tw *t, const struct rs_pod *p)
{
	size_t i;

	for (i = 0; i < t->w.n_locals; i++)
		if (!strcmp(t->locals[i].name, p->meta.name) &&
		    !strcmp(t->locals[i].ns, p->meta.ns))
			return true;
	return false;
}

static bool has_ip(const struct rs_addr *v, size_t n, const struct rs_addr *a)
{
	while (n--)
		if (!rs_addr_cmp(&v[n], a))
			return true;
	return false;
}

static size_t actors_at(const struct tw *t, const struct rs_addr *a, struct actor *out)
{
	const struct rs_pod *const *pods;
	size_t i, n, count = 0;

	for (i = 0; i < t->w.n_locals; i++) {
		const struct rs_local_pod *l = &t->locals[i];
		const struct rs_pod *p = rs_store_pod(t->store, l->ns, l->name);

		if (has_ip(l->ips, l->n_ips, a))
			out[count++] = (struct actor){ l->ns, l->labels, l->ports, l->n_ports,
						       !l->closed && !rs_pod_finished(p) };
	}
	if (count)
		return count;
	pods = rs_store_pods(t->store, &n);
	for (i = 0; i < n; i++) {
		const struct rs_pod *p = pods[i];

		if (has_ip(p->ips, p->n_ips, a) && !is_local_pod(t, p) && !p->host_network &&
		    !rs_pod_finished(p))
			out[count++] = (struct actor){ p->meta.ns, &p->meta.labels, p->ports,
						       p->n_ports, true };
	}
	return count;
}

static bool block_holds(const struct rs_ipblock *b, const struct rs_addr *a)
{
	size_t i;

	if (rs_cidr_is_v4mapped(&b->cidr) || !rs_cidr_contains(&b->cidr, a))
		return false;
	for (i = 0; i < b->n_except; i++)
		if (rs_cidr_contains(&b->except[i], a))
			return false;
	return true;
}

static bool plain_peer(const struct tw *t, const struct rs_policy *p, const struct rs_peer *x,
		       const struct actor *who, const struct rs_addr *a)
{
	const struct rs_namespace *ns;

	if (x->invalid)
		return false;
	if (x->has_block)
		return block_holds(&x->block, a);
	if (!who || !who->peer)
		return false;
	ns = rs_store_namespace(t->store, who->ns);
	if (x->ns_selector.present) {
		if (!ns || !rs_selector_matches(&x->ns_selector, &ns->meta.labels))
			return false;
	} else if (strcmp(p->meta.ns, who->ns) != 0) {
		return false;
	}
	return !x->pod_selector.present || rs_selector_matches(&x->pod_selector, who->labels);
}

static bool plain_port(const struct rs_policy_port *x, const struct actor *server, uint8_t proto,
		       uint16_t port)
{
	size_t i;

	if (x->invalid || x->proto != proto)
		return false;
	if (x->kind == RS_PORT_ANY)
		return true;
	if (x->kind == RS_PORT_RANGE)
		return x->lo <= port && port <= x->hi;
	for (i = 0; server && i < server->n_ports; i++)
		if (server->ports[i].name && !strcmp(server->ports[i].name, x->name) &&
		    server->ports[i].proto == proto && server->ports[i].port == port)
			return true;
	return false;
}

static bool plain_rule(const struct tw *t, const struct rs_policy *p, const struct rs_rule *r,
		       const struct actor *who, const struct rs_addr *a, const struct actor *server,
		       uint8_t proto, uint16_t port)
{
	bool peer = r->any_peer, ports = r->any_port;
	size_t i;

	for (i = 0; i < r->n_peers; i++)
		peer = peer || plain_peer(t, p, &r->peers[i], who, a);
	for (i = 0; i < r->n_ports; i++)
		ports = ports || plain_port(&r->ports[i], server, proto, port);
	return peer && ports;
}

static bool plain_half(const struct tw *t, const struct actor *subject, const struct actor *who,
		       const struct rs_addr *peer, enum rs_direction dir, uint8_t proto,
		       uint16_t port)
{
	const struct rs_policy *const *v;
	const struct actor *server = dir == RS_INGRESS ? subject : who && who->peer ? who : NULL;
	bool isolated = false;
	size_t n, i, k;

	v = rs_store_policies(t->store, &n);
	for (i = 0; i < n; i++) {
		const struct rs_policy *p = v[i];

		if (strcmp(p->meta.ns, subject->ns) != 0 || !p->isolates[dir] ||
		    !rs_selector_matches(&p->subject, subject->labels))
			continue;
		isolated = true;
		for (k = 0; k < p->n_rules[dir]; k++)
			if (plain_rule(t, p, &p->rules[dir][k], who, peer, server, proto, port))
				return true;
	}
	return !isolated;
}

/* What every claimant of the peer's address may. */
static bool plain_side(const struct tw *t, const struct rs_addr *self, const struct rs_addr *peer,
		       enum rs_direction dir, uint8_t proto, uint16_t port)
{
	struct actor subjects[PODS], peers[PODS];
	size_t n_subjects = actors_at(t, self, subjects), n = actors_at(t, peer, peers), i;

	if (n_subjects > 1)
		return false; /* two pods of this node at one address: closed */
	if (!n)
		return plain_half(t, subjects, NULL, peer, dir, proto, port);
	for (i = 0; i < n; i++)
		if (!plain_half(t, subjects, &peers[i], peer, dir, proto, port))
			return false;
	return true;
}

static bool is_local_addr(const struct tw *t, const struct rs_addr *a)
{
	size_t i;

	for (i = 0; i < t->w.n_locals; i++)
		if (has_ip(t->locals[i].ips, t->locals[i].n_ips, a))
			return true;
	return false;
}

static bool plain(const struct tw *t, const struct rs_addr *c, const struct rs_addr *s,
		  uint8_t proto, uint16_t port)
{
	if (!rs_addr_cmp(c, s))
		return true;
	if (is_local_addr(t, c) && !plain_side(t, c, s, RS_EGRESS, proto, port))
		return false;
	return !is_local_addr(t, s) || plain_side(t, s, c, RS_INGRESS, proto, port);
}

/* ---- the comparison -------------------------------------------------------------------------- */

static const struct {
	uint8_t proto;
	uint16_t port;
} probes[] = { { TCP, 80 }, { TCP, 8085 }, { UDP, 53 }, { UDP, 80 }, { SCTP, 80 }, { ICMP, 0 } };

static void check_flow(struct tw *t, const struct rs_addr *c, const struct rs_addr *s, size_t probe,
		       const char *text)
{
	struct rs_flow f = { .src.addr = *c,
			     .dst.addr = *s,
			     .proto = probes[probe].proto,
			     .port = probes[probe].port };
	bool want = plain(t, c, s, f.proto, f.port);
	char x[RS_ADDR_STRLEN], y[RS_ADDR_STRLEN];
	rs_auto_err err = { 0 };
	struct rs_explanation *why;
	struct rs_ir_verdict v;

	rs_ir_eval(t->ir, c, s, f.proto, f.port, &v);
	if (v.allow != want) {
		rs_autofree char *ir = rs_ir_print(t->ir);

		fprintf(stderr, "%s\n%s", text, ir); /* too long for cmocka's buffer */
		fail_msg("%s -> %s %u/%u: IR %d, objects %d", rs_addr_str(c, x), rs_addr_str(s, y),
			 f.proto, f.port, v.allow, want);
	}
	if (rs_explain(&t->w, t->ir, &f, &why, &err) < 0)
		fail_msg("%s\n%s", rs_err_str(&err), text);
	assert_int_equal(why->verdict == RS_VERDICT_ALLOW, want);
	assert_int_equal(why->denied_at == NULL, want);
	rs_explanation_free(why);
}

static size_t all_addresses(const struct tw *t, struct rs_addr *out)
{
	const struct rs_pod *const *pods;
	size_t n, i, k, count = 0;

	pods = rs_store_pods(t->store, &n);
	for (i = 0; i < n; i++)
		for (k = 0; k < pods[i]->n_ips; k++)
			out[count++] = pods[i]->ips[k];
	for (i = 0; i < RS_ARRAY_SIZE(extern_ips); i++)
		out[count++] = A(extern_ips[i]);
	return count;
}

static void check_world(struct tw *t, const char *text)
{
	struct rs_addr v[PODS * 2 + 8];
	size_t n = all_addresses(t, v), i, k, p;

	for (i = 0; i < n; i++)
		for (k = 0; k < n; k++)
			for (p = 0; p < RS_ARRAY_SIZE(probes) && v[i].family == v[k].family; p++)
				check_flow(t, &v[i], &v[k], p, text);
}

static void one_world(uint64_t start)
{
	const struct rs_pod *const *pods;
	rs_autofree char *text = NULL;
	struct tw *t;
	size_t n, i;

	seed = start * 0x9e3779b97f4a7c15ULL + 1;
	text = world_text();
	t = tw_new(text);
	if (rnd(2))
		tw_range(t, "10.0.0.0/16");
	if (t->w.n_pod_ranges)
		tw_range(t, "fd00::/64");
	pods = rs_store_pods(t->store, &n);
	for (i = 0; i < n && t->w.n_locals < LOCALS; i++)
		if (!pods[i]->host_network && rnd(2))
			tw_local(t, pods[i]->meta.ns, pods[i]->meta.name);
	tw_compile(t);
	check_world(t, text);
	tw_free(t);
}

static void random_worlds_equal_the_plain_reading(void **state)
{
	uint64_t i, n = getenv("RS_WORLDS") ? strtoull(getenv("RS_WORLDS"), NULL, 10) : 60;

	(void)state;
	for (i = 1; i <= n; i++)
		one_world(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_worlds_equal_the_plain_reading),
	};

	return cmocka_run_group_tests_name("policy/random", tests, NULL, NULL);
}
