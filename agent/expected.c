// SPDX-License-Identifier: Apache-2.0
/* expected.c - pods that are bound to this node and do not hang on it yet; see expected.h. */
#include "agent/expected.h"

#include <string.h>

#include "agent/join.h"
#include "object/store.h"

/* A pod of this node. The object of a pod that did not change since stays where it is (store.h). */
struct bound {
	char *ns, *name;
	const struct rs_pod *pod;
};

struct rs_expected {
	const char *node_name;
	uint64_t serial, sequence;	  /* of the store that `pods` was read from */
	struct rs_vec(struct bound) pods; /* sorted */
	struct rs_local_pod list[RS_EXPECTED_MAX];
};

struct rs_expected *rs_expected_new(const char *node_name)
{
	struct rs_expected *e = rs_new(struct rs_expected);

	e->node_name = node_name;
	return e;
}

static void forget_all(struct rs_expected *e)
{
	for (size_t i = 0; i < e->pods.n; i++) {
		free(e->pods.v[i].ns);
		free(e->pods.v[i].name);
	}
	rs_vec_free(&e->pods);
}

void rs_expected_free(struct rs_expected *e)
{
	if (!e)
		return;
	forget_all(e);
	free(e);
}

/* ---- who is bound to this node --------------------------------------------------------------- */

static bool is_bound(const struct rs_expected *e, const struct rs_pod *p)
{
	return p && p->node && !p->host_network && strcmp(p->node, e->node_name) == 0;
}

static int cmp_bound(const struct bound *b, const char *ns, const char *name)
{
	int d = strcmp(b->ns, ns);

	return d ? d : strcmp(b->name, name);
}

/* Where that pod is, or would be. */
static size_t place(const struct rs_expected *e, const char *ns, const char *name, bool *there)
{
	size_t lo = 0, hi = e->pods.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (cmp_bound(&e->pods.v[mid], ns, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*there = lo < e->pods.n && cmp_bound(&e->pods.v[lo], ns, name) == 0;
	return lo;
}

static void remember(struct rs_expected *e, const struct rs_pod *p)
{
	bool there;
	size_t at = place(e, p->meta.ns, p->meta.name, &there);

	if (!there) {
		rs_vec_push(&e->pods);
		memmove(&e->pods.v[at + 1], &e->pods.v[at],
			(e->pods.n - 1 - at) * sizeof(*e->pods.v));
		e->pods.v[at] = (struct bound){ .ns = rs_strdup(p->meta.ns),
						.name = rs_strdup(p->meta.name) };
	}
	e->pods.v[at].pod = p;
}

static void forget(struct rs_expected *e, const char *ns, const char *name)
{
	bool there;
	size_t at = place(e, ns, name, &there);

	if (!there)
		return;
	free(e->pods.v[at].ns);
	free(e->pods.v[at].name);
	e->pods.n--;
	memmove(&e->pods.v[at], &e->pods.v[at + 1], (e->pods.n - at) * sizeof(*e->pods.v));
}

static void read_all(struct rs_expected *e, const struct rs_store *store)
{
	size_t n;
	const struct rs_pod *const *v = rs_store_pods(store, &n);

	forget_all(e);
	for (size_t i = 0; i < n; i++)
		if (is_bound(e, v[i]))
			*rs_vec_push(&e->pods) = (struct bound){ rs_strdup(v[i]->meta.ns),
								 rs_strdup(v[i]->meta.name), v[i] };
}

static void follow(struct rs_expected *e, const struct rs_store *store)
{
	size_t n;

	if (e->serial != rs_store_serial(store) || !rs_store_changes(store, e->sequence, &n)) {
		read_all(e, store);
		n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct rs_store_change ch = rs_store_change(store, e->sequence, i);
		const struct rs_pod *now;

		if (ch.kind != RS_KIND_POD)
			continue;
		now = rs_store_pod(store, ch.ns, ch.name);
		if (is_bound(e, now))
			remember(e, now);
		else if (is_bound(e, (const struct rs_pod *)(const void *)ch.was))
			forget(e, ch.ns, ch.name);
	}
	e->serial = rs_store_serial(store);
	e->sequence = rs_store_sequence(store);
}

/* ---- who of them is still to come ------------------------------------------------------------ */

/* Whether one of the sorted entries is that pod; *at moves along. */
static bool is_attached(const struct bound *b, struct rs_attached *const *v, size_t n, size_t *at)
{
	while (*at < n && cmp_bound(b, v[*at]->rec->pod_ns, v[*at]->rec->pod_name) > 0)
		(*at)++;
	for (size_t i = *at; i < n; i++) {
		if (cmp_bound(b, v[i]->rec->pod_ns, v[i]->rec->pod_name) != 0)
			return false;
		if (rs_join_same_pod(v[i]->rec, b->pod))
			return true;
	}
	return false;
}

const struct rs_local_pod *rs_expected_list(struct rs_expected *e, const struct rs_store *store,
					    struct rs_registry *reg, size_t *n)
{
	struct rs_attached *const *v;
	size_t n_attached, at = 0;

	*n = 0;
	if (!e->node_name)
		return e->list;
	follow(e, store);
	v = rs_registry_list(reg, &n_attached);
	for (size_t i = 0; i < e->pods.n && *n < RS_EXPECTED_MAX; i++) {
		const struct rs_pod *p = e->pods.v[i].pod;

		if (rs_pod_finished(p) || p->meta.deleting ||
		    is_attached(&e->pods.v[i], v, n_attached, &at))
			continue;
		e->list[(*n)++] = (struct rs_local_pod){
			.ns = p->meta.ns,
			.name = p->meta.name,
			.labels = &p->meta.labels,
			.ports = p->ports,
			.n_ports = p->n_ports,
		};
	}
	return e->list;
}
