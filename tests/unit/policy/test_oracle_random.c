// SPDX-License-Identifier: Apache-2.0
/*
 * Random small clusters: the oracle against what the compiled rules of every node say together, and
 * explain against the rules of this node. A mismatch prints the seed and the objects.
 *
 * The cluster has a node A (this one, with records that may differ from the store) and others. The
 * oracle judges as if every node enforced, so the other nodes' rules are compiled as well, from what is true
 * there, and a flow passes when all of them let it pass. ORACLE_SEED=N runs world N only.
 */
#include "policytest.h"

#define WORLDS 1500
#define FLOWS 120
#define EXPLAINS 12
#define PODS 8

static uint64_t state;

static uint32_t rnd(uint32_t n)
{
	state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */
	uint64_t z = state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ (z >> 31)) % n);
}

static bool once_in(uint32_t n)
{
	return rnd(n) == 0;
}

#define pick(list) ((list)[rnd(RS_ARRAY_SIZE(list))])

/* ---- making a cluster ------------------------------------------------------------------------ */

struct made_pod {
	char name[8];
	const char *ns;
	char labels[64];     /* the truth: as the record has them */
	char api_labels[64]; /* as node A's store has them */
	char v4[20];
	char v6[20]; /* "" when single stack */
	const char *ports;
	bool local; /* of node A */
	bool twin;  /* claims the address of the pod before it */
	bool liar;  /* claims an address of node A's pod, or one outside its node's ranges */
	bool host;  /* hostNetwork */
	bool finished;
	bool unknown; /* local, and the API does not know it */
	bool closed;
};

struct cluster {
	struct made_pod pods[PODS];
	bool has_node;		 /* a Node object of the other node with its podCIDRs */
	bool ranges;		 /* pod ranges are configured */
	struct rs_strbuf common; /* namespaces, policies, nodes */
	struct rs_strbuf api;	 /* as node A sees it */
	struct rs_strbuf truth;	 /* as the other nodes see it */
};

static const char *const namespaces[] = { "x", "v", "w", "lost" }; /* lost has no object */

static void make_labels(char *out, size_t len)
{
	static const char *const apps[] = { "", "app: web", "app: db", "app: ''" };
	static const char *const tiers[] = { "", "tier: front", "tier: back" };
	const char *a = pick(apps), *t = pick(tiers);

	snprintf(out, len, "{%s%s%s}", a, *a && *t ? ", " : "", t);
}

static void make_pod(struct cluster *c, unsigned int i)
{
	static const char *const ports[] = {
		"",
		"{name: http, containerPort: 80}",
		"{name: http, containerPort: 8080}, {name: admin, containerPort: 81}",
		"{name: http, containerPort: 80, protocol: UDP}, {name: http, containerPort: 443}",
	};
	struct made_pod *p = &c->pods[i], *before = i ? p - 1 : p;
	unsigned int net;

	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "p%u", i);
	p->ns = pick(namespaces);
	make_labels(p->labels, sizeof(p->labels));
	memcpy(p->api_labels, p->labels, sizeof(p->labels));
	p->ports = pick(ports);
	p->finished = once_in(10);
	p->local = rnd(2);
	if (p->local) {
		p->closed = once_in(12);
		p->unknown = !p->finished && once_in(8);
		if (once_in(4))
			make_labels(p->api_labels, sizeof(p->api_labels));
	} else {
		p->host = once_in(10);
		p->liar = c->has_node && once_in(8);
		p->twin = i && !before->local && !before->twin && !before->liar && !before->host &&
			  !before->finished && !p->liar && once_in(6);
	}
	net = p->local ? 1 : p->liar ? 3 : 2;
	snprintf(p->v4, sizeof(p->v4), "10.244.%u.%u", net, 8 + i);
	if (rnd(2))
		snprintf(p->v6, sizeof(p->v6), "fd00:%u::%u", net, 8 + i);
	if (p->liar && before->local)
		memcpy(p->v4, before->v4, sizeof(p->v4));
	if (p->twin) {
		memcpy(p->v4, before->v4, sizeof(p->v4));
		p->v6[0] = '\0';
	}
}

static void put_pod(struct rs_strbuf *b, const struct made_pod *p, const char *labels)
{
	rs_strbuf_printf(b,
			 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s, "
			 "labels: %s}\nspec: {%s%s, containers: [{name: c, ports: [%s]}]}\n"
			 "status: {phase: %s, podIPs: [{ip: %s}%s%s%s]}\n",
			 p->name, p->ns, labels, p->local ? "nodeName: a" : "nodeName: other",
			 p->host ? ", hostNetwork: true" : "", p->ports,
			 p->finished ? "Succeeded" : "Running", p->v4, *p->v6 ? ", {ip: '" : "",
			 p->v6, *p->v6 ? "'}" : "");
}

/* ---- making policies ------------------------------------------------------------------------- */

static void put_selector(struct rs_strbuf *b)
{
	static const char *const selectors[] = {
		"{}",
		"{}",
		"{matchLabels: {app: web}}",
		"{matchLabels: {app: ''}}",
		"{matchLabels: {app: db, tier: back}}",
		"{matchExpressions: [{key: app, operator: In, values: [web, db]}]}",
		"{matchExpressions: [{key: app, operator: NotIn, values: [web, '']}]}",
		"{matchExpressions: [{key: tier, operator: Exists}]}",
		"{matchExpressions: [{key: tier, operator: DoesNotExist}]}",
		("{matchLabels: {app: web}, matchExpressions: "
		 "[{key: app, operator: NotIn, values: [web]}]}"),
		"{matchExpressions: [{key: app, operator: In, values: []}]}",
		"{matchExpressions: [{key: app, operator: Later, values: [web]}]}",
	};

	rs_strbuf_puts(b, pick(selectors));
}

static void put_ns_selector(struct rs_strbuf *b)
{
	static const char *const selectors[] = {
		"{}",
		"{matchLabels: {team: red}}",
		"{matchExpressions: [{key: team, operator: NotIn, values: [red]}]}",
		"{matchExpressions: [{key: team, operator: DoesNotExist}]}",
	};

	rs_strbuf_puts(b, pick(selectors));
}

static void put_block(struct rs_strbuf *b)
{
	static const char *const blocks[] = {
		"{cidr: 0.0.0.0/0}",
		"{cidr: 10.244.1.8/29}",
		"{cidr: 10.244.0.0/16, except: [10.244.1.10/31, 10.244.1.8/30]}",
		"{cidr: 10.0.0.0/8, except: [10.0.0.0/9, 10.128.0.0/9]}",
		"{cidr: 0.0.0.0/0, except: [10.0.0.0/8]}",
		"{cidr: 10.244.2.9/32}",
		"{cidr: 192.0.2.0/28, except: [192.0.2.15/32]}",
		"{cidr: '::/0'}",
		"{cidr: '::/0', except: ['fd00:1::/64', 'fd00:2::a/127']}",
		"{cidr: 'fd00:1::8/125'}",
		"{cidr: '::ffff:10.244.0.0/112'}",
		"{cidr: 10.244.1.0/24, except: [10.0.0.0/8]}", /* not admissible */
	};

	rs_strbuf_printf(b, "{ipBlock: %s}", pick(blocks));
}

static void put_peer(struct rs_strbuf *b)
{
	switch (rnd(9)) {
	case 0:
	case 1:
	case 2:
		put_block(b);
		return;
	case 3:
	case 4:
		rs_strbuf_puts(b, "{podSelector: ");
		put_selector(b);
		break;
	case 5:
		rs_strbuf_puts(b, "{namespaceSelector: ");
		put_ns_selector(b);
		break;
	case 6:
		rs_strbuf_puts(b, "{namespaceSelector: null, podSelector: ");
		put_selector(b);
		break;
	case 7:
		rs_strbuf_puts(b, "{namespaceSelector: ");
		put_ns_selector(b);
		rs_strbuf_puts(b, ", podSelector: ");
		put_selector(b);
		break;
	default:
		rs_strbuf_puts(b, "{somethingOfALaterApi: {}");
	}
	rs_strbuf_putc(b, '}');
}

static void put_port(struct rs_strbuf *b)
{
	static const char *const protos[] = { "", "protocol: TCP", "protocol: UDP",
					      "protocol: SCTP" };
	static const char *const ports[] = {
		"",	      "port: 80",
		"port: 81",   "port: http",
		"port: http", "port: admin",
		"port: 443",  "port: 80, endPort: 443",
		"port: 1",    "port: 65535",
		"port: 8080", "port: 81, endPort: 65535",
		"port: 0",    "port: 90, endPort: 80",
	};
	const char *proto = pick(protos), *port = pick(ports);

	rs_strbuf_printf(b, "{%s%s%s}", proto, *proto && *port ? ", " : "", port);
}

static void put_list(struct rs_strbuf *b, const char *key, void (*item)(struct rs_strbuf *))
{
	uint32_t i, n = 1 + rnd(3);

	if (once_in(4)) {
		static const char *const none[] = { "", "%s: null, ", "%s: [], " };

		rs_strbuf_printf(b, pick(none), key);
		return;
	}
	rs_strbuf_printf(b, "%s: [", key);
	for (i = 0; i < n; i++) {
		rs_strbuf_puts(b, i ? ", " : "");
		item(b);
	}
	rs_strbuf_puts(b, "], ");
}

static void put_rules(struct rs_strbuf *b, const char *dir, const char *peers)
{
	uint32_t i, n = rnd(4);

	rs_strbuf_printf(b, "  %s: [", dir);
	for (i = 0; i < n; i++) {
		rs_strbuf_puts(b, i ? ", {" : "{");
		put_list(b, peers, put_peer);
		put_list(b, "ports", put_port);
		rs_strbuf_puts(b, "}");
	}
	rs_strbuf_puts(b, "]\n");
}

static void put_policy(struct rs_strbuf *b, unsigned int i)
{
	static const char *const types[] = {
		"[Ingress]", "[Egress]", "[Ingress, Egress]", "[Egress, Ingress]", "[]", "null",
	};

	rs_strbuf_printf(b,
			 "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
			 "metadata: {name: n%u, namespace: %s}\nspec:\n  policyTypes: %s\n"
			 "  podSelector: ",
			 i, pick(namespaces), pick(types));
	put_selector(b);
	rs_strbuf_putc(b, '\n');
	put_rules(b, "ingress", "from");
	put_rules(b, "egress", "to");
}

static void make_cluster(struct cluster *c)
{
	unsigned int i, n = rnd(7);

	c->has_node = rnd(2);
	c->ranges = rnd(2);
	rs_strbuf_puts(&c->common, NS("x", "team: red") NS("v", "team: blue") NS("w", ""));
	if (c->has_node)
		rs_strbuf_puts(&c->common,
			       "---\napiVersion: v1\nkind: Node\nmetadata: {name: other}\n"
			       "spec: {podCIDRs: [10.244.2.0/24, 'fd00:2::/64']}\n");
	for (i = 0; i < n; i++)
		put_policy(&c->common, i);
	rs_strbuf_puts(&c->api, rs_strbuf_str(&c->common));
	rs_strbuf_puts(&c->truth, rs_strbuf_str(&c->common));
	for (i = 0; i < PODS; i++) {
		make_pod(c, i);
		if (!c->pods[i].unknown)
			put_pod(&c->api, &c->pods[i], c->pods[i].api_labels);
		if (!c->pods[i].liar)
			put_pod(&c->truth, &c->pods[i], c->pods[i].labels);
	}
}

static void free_cluster(struct cluster *c)
{
	rs_strbuf_free(&c->common);
	rs_strbuf_free(&c->api);
	rs_strbuf_free(&c->truth);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static const struct rs_labels no_labels;

/* What a record holds comes from `truth`, a store in which every pod is as it really is. */
static struct tw *make_node(const struct cluster *c, const char *objects)
{
	struct tw *t = tw_new(objects);

	if (c->ranges) {
		tw_range(t, "10.244.0.0/16");
		tw_range(t, "fd00::/16");
	}
	return t;
}

static void add_record(struct tw *t, const struct rs_store *truth, const struct made_pod *p)
{
	const struct rs_pod *o = rs_store_pod(truth, p->ns, p->name);
	struct rs_labels copy = rs_labels_copy(p->closed ? &no_labels : &o->meta.labels);
	struct rs_local_pod *l = &t->locals[t->w.n_locals++];

	*l = (struct rs_local_pod){
		.ns = o->meta.ns,
		.name = o->meta.name,
		.labels = rs_memdup(&copy, sizeof(copy)),
		.closed = p->closed,
		.ips = rs_memdup(o->ips, o->n_ips * sizeof(*o->ips)),
		.n_ips = o->n_ips,
		.ports = o->ports,
		.n_ports = o->n_ports,
		.ifindex = (uint32_t)t->w.n_locals,
		.ifname = "rstest",
	};
}

/* Pods of other nodes that hold an address at all; of twins the first or the second. */
static bool of_other_node(const struct made_pod *p, bool twins)
{
	return !p->local && !p->liar && !p->host && !p->finished && p->twin == twins;
}

/* ---- judging --------------------------------------------------------------------------------- */

struct judge {
	struct tw *a;	      /* this node */
	struct tw *others[2]; /* all pods of other nodes; the second twins */
	uint64_t seed;
	const struct cluster *c;
};

static void mismatch(const struct judge *j, const struct rs_flow *f, const char *who, bool oracle,
		     bool other)
{
	char s[RS_ADDR_STRLEN], d[RS_ADDR_STRLEN];
	size_t i;

	for (i = 0; i < PODS; i++) {
		const struct made_pod *p = &j->c->pods[i];

		print_message("# %s/%s %s %s labels %s%s%s%s%s\n", p->ns, p->name, p->v4, p->v6,
			      p->labels, p->local ? " local" : "", p->closed ? " closed" : "",
			      p->liar ? " liar" : "", p->twin ? " twin" : "");
	}
	fputs(rs_strbuf_str(&j->c->api), stderr); /* longer than a message of cmocka may be */
	fail_msg("ORACLE_SEED=%llu ranges %d: %s -> %s proto %u port %u%s: oracle %s, %s %s",
		 (unsigned long long)j->seed, j->c->ranges, rs_addr_str(&f->src.addr, s),
		 rs_addr_str(&f->dst.addr, d), f->proto, f->port, f->src.node ? " from node" : "",
		 oracle ? "allows" : "denies", who, other ? "allows" : "denies");
}

/* An isolated end that allows must name the rule. */
static bool rule_named(const struct rs_ir *ir, enum rs_ir_dir dir, const struct rs_ir_half *h)
{
	return !h->applies || !h->allow || !rs_ir_group(ir, dir, h->group)->isolated ||
	       h->rule < ir->n_rules;
}

static bool ir_allows(const struct tw *t, const struct rs_flow *f)
{
	struct rs_ir_verdict v;

	rs_ir_eval(t->ir, &f->src.addr, &f->dst.addr, f->proto, f->port, &v);
	if (!v.self) {
		assert_true(rule_named(t->ir, RS_DIR_OUT, &v.out));
		assert_true(rule_named(t->ir, RS_DIR_IN, &v.in));
	}
	return v.allow;
}

static bool local_end(const struct judge *j, const struct rs_flow_end *e)
{
	return !e->node && rs_ir_local(j->a->ir, &e->addr);
}

static void make_end(const struct judge *j, struct rs_flow_end *e, int family)
{
	static const char *const others4[] = {
		"10.244.1.7", "10.244.1.16", "10.244.3.3", "10.244.2.9", "192.0.2.0",
		"192.0.2.1",  "192.0.2.15",  "192.0.2.16", "11.0.0.0",	 "9.255.255.255",
	};
	static const char *const others6[] = {
		"fd00:1::7",   "fd00:1::10",	    "fd00:2::a",
		"2001:db8::1", "::ffff:10.244.1.8", "fd01::",
	};
	const struct made_pod *p = &j->c->pods[rnd(PODS)];

	memset(e, 0, sizeof(*e));
	if (once_in(3) || (family == RS_AF_IP6 && !*p->v6))
		e->addr = A(family == RS_AF_IP6 ? pick(others6) : pick(others4));
	else
		e->addr = A(family == RS_AF_IP6 ? p->v6 : p->v4);
}

static void make_flow(const struct judge *j, struct rs_flow *f)
{
	static const uint16_t ports[] = { 80, 81, 443, 444, 79, 8080, 1, 65535 };
	static const uint8_t protos[] = { TCP, TCP, TCP, UDP, SCTP, ICMP, 47 };
	int family = once_in(3) ? RS_AF_IP6 : RS_AF_IP4;

	memset(f, 0, sizeof(*f));
	make_end(j, &f->src, family);
	make_end(j, &f->dst, family);
	if (family == RS_AF_IP4 && once_in(16)) {
		f->src.addr = A("192.0.2.1");
		f->src.node = true;
	}
	f->proto = pick(protos);
	if (f->proto == ICMP && family == RS_AF_IP6)
		f->proto = 58;
	f->port = f->proto == TCP || f->proto == UDP || f->proto == SCTP ? pick(ports) : 0;
}

static void check_explain(const struct judge *j, const struct rs_flow *f, bool here)
{
	struct rs_explanation *x = NULL;
	rs_auto_err err = { 0 };

	if (rs_explain(&j->a->w, j->a->ir, f, &x, &err) < 0) {
		print_message("explain: %s\n", rs_err_str(&err));
		mismatch(j, f, "explain fails; IR", here, here);
	}
	if ((x->verdict == RS_VERDICT_ALLOW) != here || !x->denied_at != here)
		mismatch(j, f, "(the IR of this node, that is) and explain", here,
			 x->verdict == RS_VERDICT_ALLOW);
	rs_explanation_free(x);
}

/* Local origin reaches every pod of the node; the kernel knows it before it asks the IR. */
static void check_from_node(const struct judge *j, const struct rs_flow *f, bool oracle)
{
	if (!oracle)
		mismatch(j, f, "local origin", oracle, true);
	check_explain(j, f, true);
}

static bool check_flow(const struct judge *j, bool explain)
{
	struct rs_flow f;
	bool oracle, here, all;
	size_t i;

	make_flow(j, &f);
	if (!local_end(j, &f.src) && !local_end(j, &f.dst))
		return false;
	oracle = rs_oracle(&j->a->w, &f) == RS_VERDICT_ALLOW;
	if (f.src.node) {
		check_from_node(j, &f, oracle);
		return true;
	}
	all = here = ir_allows(j->a, &f);
	for (i = 0; i < RS_ARRAY_SIZE(j->others); i++)
		all = all && ir_allows(j->others[i], &f);
	if (oracle != all)
		mismatch(j, &f, "the nodes' rules", oracle, all);
	if (explain)
		check_explain(j, &f, here);
	return true;
}

static unsigned int run_world(uint64_t seed)
{
	struct judge j = { .seed = seed };
	struct cluster c = { 0 };
	unsigned int i, n = 0;
	struct tw *truth;

	state = seed;
	make_cluster(&c);
	j.c = &c;
	truth = make_node(&c, rs_strbuf_str(&c.truth));
	j.a = make_node(&c, rs_strbuf_str(&c.api));
	for (i = 0; i < 2; i++) {
		j.others[i] = make_node(&c, NULL);
		j.others[i]->w.store = truth->store;
	}
	for (i = 0; i < PODS; i++) {
		if (c.pods[i].local)
			add_record(j.a, truth->store, &c.pods[i]);
		if (of_other_node(&c.pods[i], false))
			add_record(j.others[0], truth->store, &c.pods[i]);
		if (of_other_node(&c.pods[i], true))
			add_record(j.others[1], truth->store, &c.pods[i]);
	}
	tw_compile(j.a);
	tw_compile(j.others[0]);
	tw_compile(j.others[1]);
	for (i = 0; i < FLOWS; i++)
		n += check_flow(&j, i < EXPLAINS);
	tw_free(j.a);
	tw_free(j.others[0]);
	tw_free(j.others[1]);
	tw_free(truth);
	free_cluster(&c);
	return n;
}

static void test_oracle_and_rules_agree_on_random_clusters(void **unused)
{
	const char *one = getenv("ORACLE_SEED"), *many = getenv("ORACLE_WORLDS");
	uint64_t seed, n = many ? strtoull(many, NULL, 10) : WORLDS;
	unsigned long judged = 0;

	(void)unused;
	if (one) {
		run_world(strtoull(one, NULL, 10));
		return;
	}
	for (seed = 1; seed <= n; seed++)
		judged += run_world(seed);
	print_message("%lu flows judged in %llu worlds\n", judged, (unsigned long long)n);
	assert_true(judged > n * FLOWS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle_and_rules_agree_on_random_clusters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
