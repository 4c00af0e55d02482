// SPDX-License-Identifier: Apache-2.0
/* lint_blocks.c - ipBlocks: how they are written, and whose addresses they hold. */
#include "cli/lint/lint.h"

#include <string.h>

/* ---- how it is written ----------------------------------------------------------------------- */

/* A number of several digits that begins with 0, in an IPv4 address or as a length. */
static bool leading_zeros(const char *text)
{
	const char *p = text;

	if (strchr(text, ':'))
		return false;
	for (; *p; p++)
		if (*p == '0' && (p == text || p[-1] == '.' || p[-1] == '/') && p[1] >= '0' &&
		    p[1] <= '9')
			return true;
	return false;
}

/* Whether the address has bits below the length, which are not read. */
static bool host_bits(const char *text, const struct rs_cidr *c)
{
	rs_autofree char *alone = rs_strndup(text, strcspn(text, "/"));
	struct rs_addr a;

	return rs_addr_parse(alone, &a, NULL) == 0 && rs_addr_cmp(&a, &c->addr);
}

static void check_text(const struct lint_site *s, const struct lint_at *at, const struct rs_cidr *c)
{
	const char *text = at->node->text;
	char shown[RS_CIDR_STRLEN];

	if (leading_zeros(text))
		lint_say(s->l, s->pol, at, LINT_IP_BLOCK_LEADING_ZEROS, "%.64s is read as %s", text,
			 rs_cidr_str(c, shown));
	if (host_bits(text, c))
		lint_say(s->l, s->pol, at, LINT_IP_BLOCK_HOST_BITS,
			 "%.64s is read as %s, the whole block", text, rs_cidr_str(c, shown));
	if (rs_cidr_is_v4mapped(c))
		lint_say(s->l, s->pol, at, LINT_IP_BLOCK_V4_MAPPED,
			 "%.64s is an IPv4-mapped block, which no packet matches", text);
}

/* ---- whose addresses ------------------------------------------------------------------------- */

static bool is_pod_range(const struct lint *l, const struct rs_cidr *c)
{
	size_t i;

	for (i = 0; i < l->pod_ranges.n; i++)
		if (rs_cidr_covers(&l->pod_ranges.v[i], c))
			return true;
	return false;
}

static bool touches_pods(const struct lint *l, const struct rs_cidr *c)
{
	size_t i;

	for (i = 0; i < l->pod_ranges.n; i++)
		if (rs_cidr_overlaps(&l->pod_ranges.v[i], c))
			return true;
	return false;
}

static const struct lint_end *end_in(const struct lint *l, const struct rs_cidr *c)
{
	size_t i, k;

	for (i = 0; i < l->ends.n; i++)
		for (k = 0; k < l->ends.v[i].n_ips && !l->ends.v[i].host_network; k++)
			if (rs_cidr_contains(c, &l->ends.v[i].ips[k]))
				return &l->ends.v[i];
	return NULL;
}

/* Ranges that are as small as Service ranges are; wider blocks hold much else. */
static bool is_small(const struct rs_cidr *c)
{
	return c->len >= (c->addr.family == RS_AF_IP4 ? 12 : 108);
}

static bool is_single(const struct rs_cidr *c)
{
	return c->len == rs_addr_bits(c->addr.family);
}

/* A Service with a ClusterIP in the block; of a single address any of its addresses counts. */
static const struct rs_service *service_in(const struct lint *l, const struct rs_cidr *c)
{
	size_t i, k;

	for (i = 0; i < l->extras->n_services; i++) {
		const struct rs_service *v = &l->extras->services[i];
		size_t n = is_single(c) ? v->n_ips : v->n_cluster_ips;

		for (k = 0; k < n; k++)
			if (rs_cidr_contains(c, &v->ips[k]))
				return v;
	}
	return NULL;
}

/* What kubeadm and k3s give the API server's Service, and their DNS. */
static const char *usual_service(const struct rs_cidr *c)
{
	static const char *const usual[][2] = {
		{ "10.96.0.0/12", "the usual range of ClusterIPs" },
		{ "10.96.0.1/32", "the usual ClusterIP of the API server" },
		{ "10.96.0.10/32", "the usual ClusterIP of the cluster's DNS" },
		{ "10.43.0.0/16", "the usual range of ClusterIPs in k3s" },
		{ "10.43.0.1/32", "the usual ClusterIP of the API server in k3s" },
		{ "10.43.0.10/32", "the usual ClusterIP of the cluster's DNS in k3s" },
	};
	char text[RS_CIDR_STRLEN];
	size_t i;

	rs_cidr_str(c, text);
	for (i = 0; i < RS_ARRAY_SIZE(usual); i++)
		if (!strcmp(text, usual[i][0]))
			return usual[i][1];
	return NULL;
}

static bool check_service(const struct lint_site *s, const struct lint_at *at,
			  const struct rs_cidr *c)
{
	const struct rs_service *v = NULL;
	char text[RS_CIDR_STRLEN];
	const char *usual;

	if (is_small(c) && !touches_pods(s->l, c))
		v = service_in(s->l, c);
	usual = v ? NULL : usual_service(c);
	rs_cidr_str(c, text);
	if (v && is_single(c))
		lint_say(
			s->l, s->pol, at, LINT_SERVICE_IP_IN_IP_BLOCK,
			"%s is the address of Service %s/%s, and policies judge the pods behind it",
			text, v->meta.ns, v->meta.name);
	else if (v)
		lint_say(s->l, s->pol, at, LINT_SERVICE_IP_IN_IP_BLOCK,
			 "%s holds the ClusterIP of Service %s/%s, and policies judge the pods "
			 "behind it",
			 text, v->meta.ns, v->meta.name);
	else if (usual)
		lint_say_as(s->l, s->pol, at, LINT_SERVICE_IP_IN_IP_BLOCK, LINT_NOTE,
			    "%s is %s, and policies judge the pods behind a Service", text, usual);
	return v || usual;
}

static void check_pods(const struct lint_site *s, const struct lint_at *at, const struct rs_cidr *c)
{
	const struct lint_end *e = is_single(c) ? end_in(s->l, c) : NULL;
	char text[RS_CIDR_STRLEN];

	rs_cidr_str(c, text);
	if (e)
		lint_say(s->l, s->pol, at, LINT_POD_IP_IN_IP_BLOCK,
			 "%s is the address of pod %s/%s, which changes when it starts anew", text,
			 e->ns, e->name);
	else if (is_pod_range(s->l, c))
		lint_say_as(
			s->l, s->pol, at, LINT_POD_IP_IN_IP_BLOCK,
			s->l->ranges_given ? LINT_WARNING : LINT_NOTE,
			"%s lies within the %spod range: pods are better selected by their labels",
			text, s->l->ranges_given ? "" : "usual ");
}

/* ---- what is left ---------------------------------------------------------------------------- */

static int by_cidr(const void *a, const void *b)
{
	return rs_cidr_cmp(a, b);
}

/* Whether the excepts, sorted, leave no address of the block. */
static bool all_excepted(const struct rs_ipblock *b)
{
	rs_autofree struct rs_cidr *v = NULL;
	struct rs_addr next = rs_cidr_first(&b->cidr), end = rs_cidr_last(&b->cidr);
	size_t i;

	if (b->n_except < 2)
		return false;
	v = rs_memdup(b->except, b->n_except * sizeof(*v));
	qsort(v, b->n_except, sizeof(*v), by_cidr);
	for (i = 0; i < b->n_except; i++) {
		struct rs_addr first = rs_cidr_first(&v[i]), last = rs_cidr_last(&v[i]);

		if (rs_addr_cmp(&first, &next) > 0)
			return false;
		if (rs_addr_cmp(&last, &next) < 0)
			continue;
		next = last;
		if (rs_addr_cmp(&last, &end) >= 0 || !rs_addr_next(&next))
			return true;
	}
	return false;
}

static void check_block(const struct lint_site *s, size_t i)
{
	const struct rs_ipblock *b = &s->rule->peers[i].block;
	struct lint_at peer = lint_peer_at(s, i), at = lint_field(&peer, "ipBlock");
	struct lint_at cidr = lint_field(&at, "cidr"), list = lint_field(&at, "except");
	const struct rs_doc_item *item;
	size_t k = 0;

	check_text(s, &cidr, &b->cidr);
	if (!check_service(s, &cidr, &b->cidr))
		check_pods(s, &cidr, &b->cidr);
	for (item = lint_items(&list, RS_DOC_LIST); item && k < b->n_except; item = item->next) {
		struct lint_at e = lint_item(&list, k, item);

		check_text(s, &e, &b->except[k++]);
	}
	if (all_excepted(b))
		lint_say(s->l, s->pol, &list, LINT_IP_BLOCK_ALL_EXCEPTED,
			 "the excepts leave nothing of %s", cidr.node->text);
}

static void check_rule(const struct lint_site *s)
{
	size_t i;

	for (i = 0; i < s->rule->n_peers; i++)
		if (s->rule->peers[i].has_block)
			check_block(s, i);
}

void lint_check_blocks(struct lint *l)
{
	lint_each_rule(l, check_rule);
}
