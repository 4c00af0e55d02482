// SPDX-License-Identifier: Apache-2.0
/*
 * lint_callers.c - Services that the API server calls: webhooks and aggregated APIs. It calls from
 * a node's address, which no selector matches: their pods must be open to everybody or to a block.
 */
#include "cli/lint/lint.h"

#include <string.h>

#include "policy/policy.h"

static const struct rs_service *service_of(const struct lint *l, const struct lint_caller *c)
{
	size_t i;

	for (i = 0; i < l->extras->n_services; i++) {
		const struct rs_service *v = &l->extras->services[i];

		if (!strcmp(v->meta.ns, c->ns) && !strcmp(v->meta.name, c->service))
			return v;
	}
	return NULL;
}

static bool is_behind(const struct rs_service *v, const struct lint_end *e)
{
	size_t i;

	for (i = 0; i < v->selector.n; i++) {
		const char *value = rs_labels_get(e->labels, v->selector.v[i].key);

		if (!value || strcmp(value, v->selector.v[i].value))
			return false;
	}
	return v->selector.n > 0 && !e->host_network;
}

/* The pod's own port behind the Service's; 0 when it cannot be told. */
static uint16_t target(const struct rs_service *v, uint16_t port, const struct lint_end *e)
{
	size_t i, k;

	for (i = 0; i < v->n_ports; i++) {
		const struct rs_service_port *p = &v->ports[i];

		if (p->port != port || p->proto != RS_PROTO_TCP)
			continue;
		if (p->target_kind != RS_TARGET_NAME)
			return p->target_kind == RS_TARGET_SAME ? port : p->target;
		for (k = 0; k < e->n_ports; k++)
			if (e->ports[k].proto == RS_PROTO_TCP && e->ports[k].name &&
			    !strcmp(e->ports[k].name, p->target_name))
				return e->ports[k].port;
	}
	return 0;
}

static bool port_matches(const struct rs_rule *r, const struct lint_end *e, uint16_t port)
{
	size_t i, k;

	if (lint_ports_take(r, RS_PROTO_TCP, port))
		return true;
	for (i = 0; i < r->n_ports; i++)
		for (k = 0; r->ports[i].kind == RS_PORT_NAMED && k < e->n_ports; k++)
			if (e->ports[k].port == port && e->ports[k].name &&
			    e->ports[k].proto == r->ports[i].proto &&
			    !strcmp(e->ports[k].name, r->ports[i].name))
				return true;
	return false;
}

/* An ipBlock may be that of the API servers: then nothing is claimed. */
static bool lets_in(const struct lint_policy *pol, const struct lint_end *e, uint16_t port)
{
	size_t i, k;

	for (i = 0; i < pol->p->n_rules[RS_INGRESS]; i++) {
		const struct rs_rule *r = &pol->p->rules[RS_INGRESS][i];

		if (!port_matches(r, e, port))
			continue;
		for (k = 0; k < r->n_peers && !r->peers[k].has_block; k++)
			;
		if (r->any_peer || k < r->n_peers)
			return true;
	}
	return false;
}

/* The first policy that isolates the pod; NULL when none does or the caller gets in. */
static struct lint_policy *locked_by(struct lint *l, const struct lint_end *e, uint16_t port)
{
	struct lint_policy *first = NULL;
	size_t i;

	for (i = 0; i < l->policies.n; i++) {
		struct lint_policy *pol = &l->policies.v[i];

		if (!pol->p || !pol->p->isolates[RS_INGRESS] || !lint_selects(pol, e))
			continue;
		if (lets_in(pol, e, port))
			return NULL;
		if (!first)
			first = pol;
	}
	return first;
}

static void say_locked(struct lint *l, struct lint_policy *pol, const struct lint_caller *c,
		       const struct lint_end *e, uint16_t port)
{
	struct lint_at root = lint_root(pol), spec = lint_field(&root, "spec");
	struct lint_at at = lint_field(&spec, "podSelector");

	lint_say(l, pol, &at,
		 strcmp(c->kind, "APIService") ? LINT_WEBHOOK_LOCK_OUT : LINT_API_SERVICE_LOCK_OUT,
		 "%s %.128s calls Service %s/%s, whose pod %s is isolated here, and no rule lets "
		 "the "
		 "API server reach its port %u",
		 c->kind, c->name, c->ns, c->service, e->name, port);
}

/* One finding a caller: what lets in one pod lets in its neighbours. */
static void check_caller(struct lint *l, const struct lint_caller *c)
{
	const struct rs_service *v = service_of(l, c);
	size_t i, n;
	const struct lint_end *e = lint_ends_of(l, c->ns, &n);

	for (i = 0; v && i < n; i++) {
		uint16_t port = is_behind(v, &e[i]) ? target(v, c->port, &e[i]) : 0;
		struct lint_policy *pol = port ? locked_by(l, &e[i], port) : NULL;

		if (!pol)
			continue;
		say_locked(l, pol, c, &e[i], port);
		return;
	}
}

void lint_check_callers(struct lint *l)
{
	size_t i;

	for (i = 0; i < l->callers.n; i++)
		check_caller(l, &l->callers.v[i]);
}
