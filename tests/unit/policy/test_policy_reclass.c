// SPDX-License-Identifier: Apache-2.0
/*
 * Classes taken over from the compile before (reclass.h): one compiler lives with a store through
 * random changes, another gets a store of its own each time and so has to look at every pod. Both
 * must come to the same IR, numbers, words and conditions included.
 */
#include "policytest.h"

#include "object/store.h"

#define PODS 40u
#define POLICIES 8u
#define LOCALS 10u
#define SPACES 4u /* the last has no Namespace object */

static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}

static const char *const spaces[SPACES] = { "a", "b", "c", "ghost" };
static const char *const apps[] = { "web", "api", "db" };

struct hung { /* a pod of this node: what its record says */
	uint32_t pod;
	struct rs_labels labels;
	struct rs_addr ips[2];
	uint32_t ifindex;
	bool there, closed;
};

struct pair {
	char *text[SPACES + PODS + POLICIES]; /* YAML of each object; NULL: there is none */
	struct tw *one;			      /* keeps its store */
	struct rs_compiler *other;
	struct hung hung[LOCALS];
	bool expected[PODS];
	struct rs_local_pod room[PODS];
	struct rs_cidr node_ranges[2];
	uint64_t steps, moves, joins;
};

/* ---- objects --------------------------------------------------------------------------------- */

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
	default:
		rs_strbuf_printf(b, "{matchLabels: {app: %s}}", apps[rnd(3)]);
	}
}

static void put_peer(struct rs_strbuf *b)
{
	static const char *const blocks[] = { "{cidr: 10.0.0.0/27, except: [10.0.0.4/30]}",
					      "{cidr: 0.0.0.0/0}", "{cidr: 10.0.0.16/28}",
					      "{cidr: 'fd00::/124'}", "{cidr: 192.0.2.0/24}" };
	uint32_t kind = rnd(5);

	if (!kind) {
		rs_strbuf_printf(b, "{ipBlock: %s}", blocks[rnd(RS_ARRAY_SIZE(blocks))]);
		return;
	}
	rs_strbuf_puts(b, "{");
	if (kind != 2) {
		rs_strbuf_puts(b, "podSelector: ");
		put_selector(b);
	}
	if (kind == 2 || kind == 3) {
		rs_strbuf_puts(b, kind == 3 ? ", namespaceSelector: " : "namespaceSelector: ");
		put_selector(b);
	}
	rs_strbuf_puts(b, "}");
}

static void put_port(struct rs_strbuf *b)
{
	static const char *const ports[] = { "{port: 80}", "{port: web}", "{protocol: UDP}",
					     "{port: 8080, endPort: 8090}",
					     "{port: dns, protocol: UDP}" };

	/* Names rarely: a name by which peers were not told apart is looked for everywhere. */
	rs_strbuf_puts(b, ports[rnd(8) ? rnd(4) & 2 : rnd(RS_ARRAY_SIZE(ports))]);
}

static void put_list(struct rs_strbuf *b, const char *key, void (*item)(struct rs_strbuf *))
{
	uint32_t n = 1 + rnd(2), i;

	if (!rnd(6))
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

/* Pod i is always of one namespace, so that its name stays its own. */
static const char *space_of(uint32_t pod)
{
	return spaces[pod % SPACES];
}

static char *pod_text(uint32_t i)
{
	struct rs_strbuf b = { 0 };
	uint32_t at = rnd(25) ? i + 1 : 1 + rnd(PODS); /* now and then another's address */

	rs_strbuf_printf(&b,
			 "---\nkind: Pod\napiVersion: v1\nmetadata: {name: p%u, namespace: %s, "
			 "labels: {",
			 i, space_of(i));
	if (rnd(5))
		rs_strbuf_printf(&b, "app: %s, ", apps[rnd(3)]);
	if (!rnd(3))
		rs_strbuf_puts(&b, "tier: t");
	rs_strbuf_printf(&b, "}}\nspec: {nodeName: n, containers: [{name: c, image: i, ports: [");
	if (rnd(2))
		rs_strbuf_printf(&b, "{name: web, containerPort: %u}, ", rnd(2) ? 80 : 8085);
	if (!rnd(3))
		rs_strbuf_puts(&b, "{name: dns, protocol: UDP, containerPort: 53}");
	rs_strbuf_printf(&b, "]}]}\nstatus: {phase: %s%s", rnd(10) ? "Running" : "Succeeded",
			 rnd(8) ? "" : "}\n");
	if (b.s[b.len - 1] != '\n')
		rs_strbuf_printf(&b, ", podIPs: [{ip: %s.%u}, {ip: 'fd00::%x'}]}\n",
				 rnd(40) ? "10.0.0" : "198.51.100", at, at);
	return rs_strbuf_steal(&b);
}

/* As it is when the scheduler binds it. */
static char *pending_text(uint32_t i)
{
	return rs_asprintf("---\nkind: Pod\napiVersion: v1\nmetadata: {name: p%u, namespace: %s, "
			   "labels: {app: %s}}\nstatus: {phase: Pending}\n",
			   i, space_of(i), apps[rnd(3)]);
}

static char *policy_text(uint32_t i)
{
	static const char *const types[] = { "[Ingress]", "[Egress]", "[Ingress, Egress]" };
	struct rs_strbuf b = { 0 };

	rs_strbuf_printf(&b,
			 "---\nkind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n"
			 "metadata: {name: n%u, namespace: %s}\nspec:\n  podSelector: ",
			 i, spaces[i % SPACES]);
	put_selector(&b);
	rs_strbuf_printf(&b, "\n  policyTypes: %s\n", types[rnd(3)]);
	put_rules(&b, "ingress", "from");
	put_rules(&b, "egress", "to");
	return rs_strbuf_steal(&b);
}

static char *space_text(uint32_t i)
{
	return rs_asprintf("---\nkind: Namespace\napiVersion: v1\nmetadata: {name: %s, labels: "
			   "{app: %s%s}}\n",
			   spaces[i], apps[rnd(3)], rnd(2) ? ", tier: t" : "");
}

static void set(struct pair *p, uint32_t slot, char *text)
{
	free(p->text[slot]);
	p->text[slot] = text;
	tw_yaml(p->one, text);
}

static void gone(struct pair *p, uint32_t slot, enum rs_kind kind, const char *ns, uint32_t i)
{
	rs_autofree char *name = rs_asprintf("%c%u", kind == RS_KIND_POD ? 'p' : 'n', i);

	free(p->text[slot]);
	p->text[slot] = NULL;
	rs_store_del(p->one->store, kind, ns, name);
}

/* ---- pods of this node ----------------------------------------------------------------------- */

static void names_of(struct hung *h, char *ns, char *name, size_t n)
{
	snprintf(ns, n, "%s", space_of(h->pod));
	snprintf(name, n, "p%u", h->pod);
}

static const struct rs_pod *object_of(struct pair *p, struct hung *h)
{
	char ns[16], name[16];

	names_of(h, ns, name, sizeof(ns));
	return rs_store_pod(p->one->store, ns, name);
}

static bool hangs(const struct pair *p, uint32_t pod)
{
	for (uint32_t i = 0; i < LOCALS; i++)
		if (p->hung[i].there && p->hung[i].pod == pod)
			return true;
	return false;
}

static void hang(struct pair *p, struct hung *h, uint32_t pod)
{
	static uint32_t links;

	if (hangs(p, pod))
		return;
	rs_labels_free(&h->labels);
	*h = (struct hung){ .pod = pod, .there = true, .closed = !rnd(8), .ifindex = ++links };
	h->ips[0] = (struct rs_addr){ .family = RS_AF_IP4, .b = { 10, 0, 0, (uint8_t)(pod + 1) } };
	h->ips[1] = (struct rs_addr){ .family = RS_AF_IP6, .b = { 0xfd } };
	h->ips[1].b[15] = (uint8_t)(pod + 1);
}

/* As the registry does it: the object's labels, while there is one. */
static void relabel(struct pair *p)
{
	for (uint32_t i = 0; i < LOCALS; i++) {
		struct hung *h = &p->hung[i];
		const struct rs_pod *pod = h->there ? object_of(p, h) : NULL;

		if (!pod)
			continue;
		rs_labels_free(&h->labels);
		h->labels = rs_labels_copy(&pod->meta.labels);
		h->closed = false;
	}
}

static int cmp_local(const void *a, const void *b)
{
	const struct rs_local_pod *x = a, *y = b;
	int d = strcmp(x->ns, y->ns);

	return d ? d : strcmp(x->name, y->name);
}

static void list_locals(struct pair *p, char (*names)[2][16])
{
	struct tw *t = p->one;
	size_t n = 0;

	for (uint32_t i = 0; i < LOCALS; i++) {
		struct hung *h = &p->hung[i];
		const struct rs_pod *pod = h->there ? object_of(p, h) : NULL;

		if (!h->there)
			continue;
		names_of(h, names[n][0], names[n][1], sizeof(names[n][0]));
		t->locals[n] = (struct rs_local_pod){
			.ns = names[n][0],
			.name = names[n][1],
			.labels = &h->labels,
			.closed = h->closed,
			.ips = h->ips,
			.n_ips = 2,
			.ports = pod ? pod->ports : NULL,
			.n_ports = pod ? pod->n_ports : 0,
			.ifindex = h->ifindex,
			.ifname = "rstest",
		};
		n++;
	}
	qsort(t->locals, n, sizeof(*t->locals), cmp_local);
	t->w.n_locals = t->w.n_sorted = n;
}

static void list_expected(struct pair *p)
{
	struct tw *t = p->one;
	size_t n = 0;

	for (uint32_t i = 0; i < PODS; i++) {
		struct hung h = { .pod = i };
		const struct rs_pod *pod = p->expected[i] && !hangs(p, i) ? object_of(p, &h) : NULL;

		if (!pod || rs_pod_finished(pod))
			continue;
		p->room[n++] = (struct rs_local_pod){
			.ns = pod->meta.ns,
			.name = pod->meta.name,
			.labels = &pod->meta.labels,
			.ports = pod->ports,
			.n_ports = pod->n_ports,
		};
	}
	qsort(p->room, n, sizeof(*p->room), cmp_local);
	t->w.expected = p->room;
	t->w.n_expected = n;
}

/* ---- one step -------------------------------------------------------------------------------- */

static void change(struct pair *p)
{
	uint32_t pod = rnd(PODS), policy = rnd(POLICIES);
	struct hung *h = &p->hung[rnd(LOCALS)];

	switch (rnd(20)) {
	case 0:
	case 1:
	case 2:
		set(p, SPACES + pod, pod_text(pod));
		break;
	case 3:
		gone(p, SPACES + pod, RS_KIND_POD, space_of(pod), pod);
		break;
	case 4:
	case 5:
	case 6:
		set(p, SPACES + PODS + policy, policy_text(policy));
		break;
	case 7:
	case 8:
		gone(p, SPACES + PODS + policy, RS_KIND_POLICY, spaces[policy % SPACES], policy);
		break;
	case 9:
	case 18:
		h->there = false;
		break;
	case 10:
		h->closed = !h->closed;
		break;
	case 11:
		if (!rnd(6))
			set(p, policy % (SPACES - 1), space_text(policy % (SPACES - 1)));
		break;
	case 12:
		p->expected[pod] = !p->expected[pod];
		break;
	case 13:
	case 14:
		if (hangs(p, pod))
			break;
		p->expected[pod] = true;
		set(p, SPACES + pod, pending_text(pod));
		break;
	case 15:
	case 16:
	case 17:
		for (uint32_t i = 0; i < PODS && (!p->expected[pod] || hangs(p, pod)); i++)
			pod = (pod + 1) % PODS;
		for (uint32_t i = 0; i < LOCALS && h->there; i++)
			h = &p->hung[i];
		/* fallthrough */
	default:
		if (!h->there)
			hang(p, h, pod);
	}
}

static struct rs_store *fresh_store(const struct pair *p)
{
	struct rs_store *kept = p->one->store, *s;

	p->one->store = rs_store_new();
	for (size_t i = 0; i < RS_ARRAY_SIZE(p->text); i++)
		if (p->text[i])
			tw_yaml(p->one, p->text[i]);
	s = p->one->store;
	p->one->store = kept;
	return s;
}

static void same_conditions(const struct rs_conditions *a, const struct rs_conditions *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_string_equal(a->v[i].type, b->v[i].type);
		assert_string_equal(a->v[i].text, b->v[i].text);
	}
}

static void same_ir(const struct pair *p, const struct rs_ir *a, const struct rs_ir *b)
{
	rs_autofree char *x = rs_ir_print(a), *y = rs_ir_print(b);

	if (strcmp(x, y) != 0)
		fail_msg("step %llu:\n%s\n---- from scratch:\n%s", (unsigned long long)p->steps, x,
			 y);
	assert_true(rs_ir_equal(a, b));
}

static bool moved(struct pair *p)
{
	struct rs_ir_moves m;
	bool joins;

	if (!rnd(3) || !p->one->ir || !rs_compile_moves(p->one->comp, &p->one->w, true, &m))
		return false;
	rs_ir_apply(p->one->ir, &m);
	rs_compiler_moved(p->one->comp, &m);
	joins = m.n_locals > 0;
	rs_ir_moves_clear(&m);
	p->moves++;
	p->joins += joins;
	return true;
}

static void compile_both(struct pair *p)
{
	char names[LOCALS][2][16];
	struct tw *t = p->one;
	struct rs_conditions cond = { 0 };
	struct rs_ir *ir = NULL, *whole;
	struct rs_world w;
	bool by_moves;

	relabel(p);
	list_locals(p, names);
	list_expected(p);
	by_moves = moved(p);
	if (!by_moves)
		ir = tw_compile_only(t);
	w = t->w;
	w.store = fresh_store(p);
	assert_int_equal(rs_compile(p->other, &w, &whole, &cond, NULL), 0);
	same_ir(p, by_moves ? t->ir : ir, whole);
	if (!by_moves)
		same_conditions(&t->cond, &cond);
	rs_conditions_free(&cond);
	rs_store_free((struct rs_store *)(uintptr_t)w.store);
	/* Now and then the kernel does not take it. */
	if (by_moves || rnd(10))
		rs_compiler_committed(p->other, whole);
	else
		rs_ir_free(rs_steal_ptr(&ir));
	rs_ir_free(whole);
	if (!ir)
		return;
	rs_compiler_committed(t->comp, ir);
	rs_ir_free(t->ir);
	t->ir = ir;
}

static void begin(struct pair *p, uint64_t number)
{
	seed = number;
	p->one = tw_new(NULL);
	p->other = rs_compiler_new(NULL);
	tw_range(p->one, "10.0.0.0/16");
	tw_range(p->one, "fd00::/64");
	p->node_ranges[0] = C("10.0.0.0/24");
	p->node_ranges[1] = C("fd00::/120");
	p->one->w.node_ranges = p->node_ranges;
	p->one->w.n_node_ranges = 2;
	p->one->w.complete = false;
	for (uint32_t i = 0; i < SPACES - 1; i++)
		set(p, i, space_text(i));
	for (uint32_t i = 0; i < PODS; i++)
		if (rnd(4))
			set(p, SPACES + i, pod_text(i));
	for (uint32_t i = 0; i < POLICIES; i++)
		if (rnd(3))
			set(p, SPACES + PODS + i, policy_text(i));
	for (uint32_t i = 0; i < LOCALS / 2; i++)
		hang(p, &p->hung[i], i * 3);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(p->one->store, (enum rs_kind)k, true);
}

static void end(struct pair *p)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(p->text); i++)
		free(p->text[i]);
	for (uint32_t i = 0; i < LOCALS; i++)
		rs_labels_free(&p->hung[i].labels);
	rs_compiler_free(p->other);
	p->one->w.n_locals = 0; /* not its own */
	tw_free(p->one);
}

static void whatever_changes_it_is_a_whole_compile(void **state)
{
	uint64_t quick = 0, moves = 0, joins = 0, steps = 0;

	(void)state;
	for (uint64_t number = 1; number <= 60; number++) {
		struct pair p = { 0 };

		begin(&p, number * 0x9e3779b97f4a7c15);
		for (; p.steps < 40; p.steps++) {
			for (uint32_t n = rnd(3) ? 1 : rnd(4); n; n--)
				change(&p);
			compile_both(&p);
		}
		assert_int_equal(rs_compiler_quick(p.other), 0);
		quick += rs_compiler_quick(p.one->comp);
		moves += p.moves;
		joins += p.joins;
		steps += p.steps;
		end(&p);
	}
	print_message("of %llu steps %llu took classes over, %llu were moves, %llu of them with "
		      "pods that were expected\n",
		      (unsigned long long)steps, (unsigned long long)quick,
		      (unsigned long long)moves, (unsigned long long)joins);
	assert_true(quick > steps / 4);
	assert_true(moves > steps / 20);
	assert_true(joins > steps / 50);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_changes_it_is_a_whole_compile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
