// SPDX-License-Identifier: Apache-2.0
/* worldaddr.c - the pod ranges of a world, and addresses for endpoints that have none. */
#include <errno.h>
#include <string.h>

#include "cli/world/worldparts.h"

#define DEFAULT_IP4 "10.244.0.0/16"
#define DEFAULT_IP6 "fd00:10:244::/56"
#define MAX_RANGES 1000

/* ---- which families are in use --------------------------------------------------------------- */

static void note(bool *families, const struct rs_addr *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		families[v[i].family == RS_AF_IP6] = true;
}

static void families_of(const struct cli_world *cw, bool *families)
{
	const struct rs_extras *x = cw->arena->x;
	const struct rs_node *const *nodes;
	size_t i, j, n;

	for (i = 0; i < cw->n_ends; i++)
		note(families, cw->w.locals[i].ips, cw->w.locals[i].n_ips);
	nodes = rs_store_nodes(cw->store, &n);
	for (i = 0; i < n; i++)
		for (j = 0; j < nodes[i]->n_pod_cidrs; j++)
			note(families, &nodes[i]->pod_cidrs[j].addr, 1);
	for (i = 0; i < x->n_services; i++)
		note(families, x->services[i].ips, x->services[i].n_cluster_ips);
	if (!families[0] && !families[1])
		families[0] = true;
}

/* ---- the ranges ------------------------------------------------------------------------------ */

static void add_range(struct cli_addresses *a, const struct rs_cidr *c)
{
	size_t i;

	for (i = 0; i < a->n_ranges; i++)
		if (!rs_cidr_cmp(&a->ranges[i], c))
			return;
	a->ranges = rs_reallocarray(a->ranges, a->n_ranges + 1, sizeof(*c));
	a->ranges[a->n_ranges++] = *c;
}

static int parse_ranges(struct cli_addresses *a, const char *text, struct rs_err *err)
{
	rs_autofree char *copy = rs_strdup(text);
	char *word, *save = NULL;
	struct rs_cidr c;

	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (rs_cidr_parse(word, &c, NULL, NULL) < 0)
			return rs_err_set(err, EDOM, "--cluster-cidr: \"%s\" is not a CIDR", word);
		if (a->n_ranges == MAX_RANGES)
			return rs_err_set(err, EDOM, "--cluster-cidr: more than %d", MAX_RANGES);
		add_range(a, &c);
	}
	return a->n_ranges ? 0 : rs_err_set(err, EDOM, "--cluster-cidr: no CIDR");
}

static bool has_family(const struct cli_addresses *a, int family)
{
	size_t i;

	for (i = 0; i < a->n_ranges; i++)
		if (a->ranges[i].addr.family == family)
			return true;
	return false;
}

static void add_default(struct cli_addresses *a, const char *text)
{
	struct rs_cidr c;

	if (rs_cidr_parse(text, &c, NULL, NULL) == 0)
		add_range(a, &c);
}

/* The ranges of Nodes; for a family that is in use and that they do not have, ours. */
static void found_ranges(struct cli_world *cw)
{
	struct cli_addresses *a = &cw->arena->addresses;
	size_t i, j, n;
	const struct rs_node *const *nodes = rs_store_nodes(cw->store, &n);

	for (i = 0; i < n; i++)
		for (j = 0; j < nodes[i]->n_pod_cidrs; j++)
			add_range(a, &nodes[i]->pod_cidrs[j]);
	if (cw->families[0] && !has_family(a, RS_AF_IP4))
		add_default(a, DEFAULT_IP4);
	if (cw->families[1] && !has_family(a, RS_AF_IP6))
		add_default(a, DEFAULT_IP6);
}

static int by_addr(const void *a, const void *b)
{
	return rs_addr_cmp(a, b);
}

static void note_taken(struct cli_world *cw)
{
	struct cli_addresses *a = &cw->arena->addresses;
	struct rs_vec(struct rs_addr) v = { 0 };
	size_t i, j;

	for (i = 0; i < cw->n_ends; i++)
		for (j = 0; j < cw->w.locals[i].n_ips; j++)
			*rs_vec_push(&v) = cw->w.locals[i].ips[j];
	if (v.n)
		qsort(v.v, v.n, sizeof(*v.v), by_addr);
	a->taken = v.v;
	a->n_taken = v.n;
}

int cli_make_ranges(struct cli_world *cw, const char *cluster_cidr, struct rs_err *err)
{
	struct cli_addresses *a = &cw->arena->addresses;
	size_t i;
	int rc = cluster_cidr ? parse_ranges(a, cluster_cidr, err) : 0;

	if (rc < 0)
		return rc;
	families_of(cw, cw->families);
	if (cluster_cidr) {
		cw->families[0] = has_family(a, RS_AF_IP4);
		cw->families[1] = has_family(a, RS_AF_IP6);
	} else {
		found_ranges(cw);
	}
	a->next = rs_new0(struct rs_addr, a->n_ranges);
	a->full = rs_new0(bool, a->n_ranges);
	for (i = 0; i < a->n_ranges; i++)
		a->next[i] = rs_cidr_first(&a->ranges[i]);
	note_taken(cw);
	cw->w.pod_ranges = a->ranges;
	cw->w.n_pod_ranges = a->n_ranges;
	return 0;
}

/* ---- giving ---------------------------------------------------------------------------------- */

/* The next free one of a range; its first address names the network. */
static bool take_from(struct cli_addresses *a, size_t range, struct rs_addr *out)
{
	while (!a->full[range]) {
		if (!rs_addr_next(&a->next[range]) ||
		    !rs_cidr_contains(&a->ranges[range], &a->next[range])) {
			a->full[range] = true;
			break;
		}
		*out = a->next[range];
		if (!a->n_taken || !bsearch(out, a->taken, a->n_taken, sizeof(*out), by_addr))
			return true;
	}
	return false;
}

static int take_family(struct cli_world *cw, int family, struct rs_addr *out, struct rs_err *err)
{
	struct cli_addresses *a = &cw->arena->addresses;
	size_t i;

	for (i = 0; i < a->n_ranges; i++)
		if (a->ranges[i].addr.family == family && take_from(a, i, out))
			return 0;
	rs_err_set(err, EDOM, "the pod ranges hold fewer IPv%d addresses than there are pods",
		   family);
	return rs_err_hint(err, "name larger ones: --cluster-cidr CIDR[,CIDR]");
}

int cli_give_address(struct cli_world *cw, size_t i, struct rs_err *err)
{
	struct rs_local_pod *l = &cw->arena->locals[i];
	struct rs_addr *v;
	int rc = 0;

	if (l->n_ips)
		return 0;
	v = cli_world_keep(cw, rs_new0(struct rs_addr, 2));
	l->ips = v;
	if (cw->families[0])
		rc = take_family(cw, RS_AF_IP4, &v[l->n_ips++], err);
	if (rc == 0 && cw->families[1])
		rc = take_family(cw, RS_AF_IP6, &v[l->n_ips++], err);
	return rc;
}

int cli_move_address(struct cli_world *cw, size_t i, size_t j, struct rs_err *err)
{
	struct rs_local_pod *l = &cw->arena->locals[i];
	struct rs_addr *v = cli_world_keep(cw, rs_memdup(l->ips, l->n_ips * sizeof(*v)));

	l->ips = v;
	return take_family(cw, v[j].family, &v[j], err);
}

void cli_addresses_free(struct cli_addresses *a)
{
	free(a->ranges);
	free(a->next);
	free(a->full);
	free(a->taken);
}
