// SPDX-License-Identifier: Apache-2.0
/* lint_world.c - the pods and namespaces of the files, and what a selector takes of them. */
#include "cli/lint/lint.h"

#include <errno.h>
#include <string.h>

#include "policy/policy.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

/* ---- gathering ------------------------------------------------------------------------------- */

static int by_end(const void *a, const void *b)
{
	const struct lint_end *x = a, *y = b;
	int d = strcmp(x->ns, y->ns);

	return d ? d : strcmp(x->name, y->name);
}

static void add_pods(struct lint *l)
{
	size_t n, i;
	const struct rs_pod *const *pods = rs_store_pods(l->store, &n);

	for (i = 0; i < n; i++) {
		const struct rs_pod *p = pods[i];

		if (rs_pod_finished(p))
			continue;
		*rs_vec_push(&l->ends) = (struct lint_end){ .ns = p->meta.ns,
							    .name = p->meta.name,
							    .kind = "Pod",
							    .labels = &p->meta.labels,
							    .ports = p->ports,
							    .n_ports = p->n_ports,
							    .ips = p->ips,
							    .n_ips = p->n_ips,
							    .host_network = p->host_network };
	}
}

static void add_workloads(struct lint *l)
{
	size_t i;

	for (i = 0; i < l->extras->n_workloads; i++) {
		const struct rs_workload *w = &l->extras->workloads[i];

		*rs_vec_push(&l->ends) = (struct lint_end){ .ns = w->meta.ns,
							    .name = w->meta.name,
							    .kind = w->kind,
							    .labels = &w->labels,
							    .ports = w->ports,
							    .n_ports = w->n_ports,
							    .host_network = w->host_network };
	}
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static int by_space(const void *a, const void *b)
{
	return strcmp(((const struct lint_space *)a)->name, ((const struct lint_space *)b)->name);
}

const struct lint_space *lint_space(const struct lint *l, const char *name)
{
	const struct lint_space key = { .name = name };

	return l->spaces.n ? bsearch(&key, l->spaces.v, l->spaces.n, sizeof(key), by_space) : NULL;
}

static void add_space(struct lint *l, const char *name, const struct rs_labels *labels,
		      bool defined)
{
	struct lint_space *s = rs_vec_push(&l->spaces);

	s->name = name;
	s->defined = defined;
	if (labels)
		s->labels = rs_labels_copy(labels);
	rs_labels_set(&s->labels, NAME_LABEL, name);
}

/* Those that are defined, then those that only hold pods; both come sorted. */
static void add_spaces(struct lint *l)
{
	size_t n, i, defined;
	const struct rs_namespace *const *all = rs_store_namespaces(l->store, &n);
	const char *last = NULL;

	for (i = 0; i < n; i++)
		if (!all[i]->implied)
			add_space(l, all[i]->meta.name, &all[i]->meta.labels, true);
	defined = l->spaces.n;
	for (i = 0; i < l->ends.n; i++) {
		const struct lint_space key = { .name = l->ends.v[i].ns };

		if (last && !strcmp(last, key.name))
			continue;
		last = key.name;
		if (!defined || !bsearch(&key, l->spaces.v, defined, sizeof(key), by_space))
			add_space(l, key.name, NULL, false);
	}
	if (l->spaces.n)
		qsort(l->spaces.v, l->spaces.n, sizeof(*l->spaces.v), by_space);
}

static void count_ends(struct lint *l)
{
	size_t i, k = 0;

	for (i = 0; i < l->ends.n; i++) {
		while (strcmp(l->spaces.v[k].name, l->ends.v[i].ns))
			k++;
		if (!l->spaces.v[k].n_ends++)
			l->spaces.v[k].first_end = i;
	}
}

static void mark_makers(struct lint *l)
{
	size_t i;

	for (i = 0; i < l->makers.n; i++) {
		const struct lint_space *s = lint_space(l, l->makers.v[i]);

		if (s)
			l->spaces.v[s - l->spaces.v].has_makers = true;
	}
}

const struct rs_labels *lint_space_labels(const struct lint *l, const char *name,
					  struct rs_labels *room)
{
	const struct lint_space *s = lint_space(l, name);

	if (s)
		return &s->labels;
	rs_labels_set(room, NAME_LABEL, name);
	return room;
}

bool lint_is_system_space(const char *name)
{
	return !strcmp(name, "default") || !strncmp(name, "kube-", 5);
}

/* ---- pod ranges ------------------------------------------------------------------------------ */

/* "CIDR[,CIDR]". */
static int given_ranges(struct lint *l, const char *text, struct rs_err *err)
{
	rs_autofree char *copy = rs_strdup(text);
	char *word, *save = NULL;

	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (rs_cidr_parse(word, rs_vec_push(&l->pod_ranges), NULL, NULL) < 0)
			return rs_err_set(err, EDOM, "--cluster-cidr: \"%s\" is not a CIDR", word);
	l->ranges_given = true;
	return l->pod_ranges.n ? 0 : rs_err_set(err, EDOM, "--cluster-cidr: no CIDR");
}

static int find_ranges(struct lint *l, const char *cluster_cidr, struct rs_err *err)
{
	size_t n, i, k;
	const struct rs_node *const *nodes = rs_store_nodes(l->store, &n);

	if (cluster_cidr)
		return given_ranges(l, cluster_cidr, err);
	for (i = 0; i < n; i++)
		for (k = 0; k < nodes[i]->n_pod_cidrs; k++)
			*rs_vec_push(&l->pod_ranges) = nodes[i]->pod_cidrs[k];
	l->ranges_given = l->pod_ranges.n > 0;
	if (!l->ranges_given)
		rs_cidr_parse("10.244.0.0/16", rs_vec_push(&l->pod_ranges), NULL, NULL);
	return 0;
}

int lint_world_settle(struct lint *l, const char *cluster_cidr, struct rs_err *err)
{
	add_pods(l);
	add_workloads(l);
	if (l->ends.n)
		qsort(l->ends.v, l->ends.n, sizeof(*l->ends.v), by_end);
	add_spaces(l);
	count_ends(l);
	mark_makers(l);
	return find_ranges(l, cluster_cidr, err);
}

/* ---- selecting ------------------------------------------------------------------------------- */

const struct lint_end *lint_ends_of(const struct lint *l, const char *ns, size_t *n)
{
	const struct lint_space *s = lint_space(l, ns);

	*n = s ? s->n_ends : 0;
	return *n ? l->ends.v + s->first_end : NULL;
}

bool lint_selects(const struct lint_policy *pol, const struct lint_end *e)
{
	return !e->host_network && !strcmp(pol->ns, e->ns) &&
	       rs_selector_matches(&pol->p->subject, e->labels);
}

bool lint_peer_takes_space(const struct lint_policy *pol, const struct rs_peer *p,
			   const struct lint_space *s)
{
	if (p->has_block)
		return false;
	if (!p->ns_selector.present)
		return !strcmp(pol->ns, s->name);
	return rs_selector_matches(&p->ns_selector, &s->labels);
}

bool lint_peer_takes_labels(const struct rs_peer *p, const struct lint_end *e)
{
	return !p->pod_selector.present || rs_selector_matches(&p->pod_selector, e->labels);
}

bool lint_declares(const struct lint_end *e, const struct rs_policy_port *p)
{
	size_t i;

	for (i = 0; i < e->n_ports; i++)
		if (e->ports[i].proto == p->proto && e->ports[i].name &&
		    !strcmp(e->ports[i].name, p->name))
			return true;
	return false;
}

/* ---- slips of the pen ------------------------------------------------------------------------ */

/* Whether b is a with one letter taken out. */
static bool one_less(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a && !strcmp(a + 1, b);
}

static bool swapped(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return a[0] && a[1] && a[0] == b[1] && a[1] == b[0] && !strcmp(a + 2, b + 2);
}

bool lint_one_slip(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	if (n < 4 || m < 4)
		return false;
	return n == m ? swapped(a, b) : n > m ? one_less(a, b) : one_less(b, a);
}
