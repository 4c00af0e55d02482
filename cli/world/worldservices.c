// SPDX-License-Identifier: Apache-2.0
/* worldservices.c - Services and what stands behind them: by slices, else by their selectors. */
#include <string.h>

#include "cli/world/worldparts.h"

struct backends {
	struct rs_vec(struct cli_backend) v;
};

/* ---- by EndpointSlices ----------------------------------------------------------------------- */

static void add_slice(const struct rs_slice *e, struct backends *out)
{
	size_t i, k;

	for (k = 0; k < e->n_ports; k++)
		for (i = 0; i < e->n_ends; i++) {
			const struct rs_slice_end *end = &e->ends[i];

			*rs_vec_push(&out->v) = (struct cli_backend){
				.addr = end->addr,
				.pod_ns = end->pod_ns,
				.pod_name = end->pod_name,
				.ready = end->ready,
				.port_name = e->ports[k].name,
				.proto = e->ports[k].proto,
				.port = e->ports[k].port,
			};
		}
}

/* Slices are sorted by name, not by Service. */
static bool add_slices(const struct rs_extras *x, const struct rs_service *o, struct backends *out)
{
	bool any = false;
	size_t i;

	for (i = 0; i < x->n_slices; i++) {
		const struct rs_slice *e = &x->slices[i];

		if (!e->service || strcmp(e->service, o->meta.name) ||
		    strcmp(e->meta.ns, o->meta.ns))
			continue;
		any = true;
		add_slice(e, out);
	}
	return any;
}

/* ---- by the selector ------------------------------------------------------------------------- */

bool cli_service_selects(const struct rs_service *o, const struct rs_labels *labels)
{
	size_t i;

	for (i = 0; i < o->selector.n; i++) {
		const char *value = rs_labels_get(labels, o->selector.v[i].key);

		if (!value || strcmp(value, o->selector.v[i].value))
			return false;
	}
	return o->selector.n > 0;
}

/* 0: the pod has no port of that name. */
static uint16_t target_of(const struct rs_service_port *p, const struct rs_local_pod *l)
{
	size_t i;

	if (p->target_kind == RS_TARGET_SAME)
		return p->port;
	if (p->target_kind == RS_TARGET_NUMBER)
		return p->target;
	for (i = 0; i < l->n_ports; i++)
		if (l->ports[i].proto == p->proto && !strcmp(l->ports[i].name, p->target_name))
			return l->ports[i].port;
	return 0;
}

static void add_pod(const struct rs_service *o, const struct cli_endpoint *e,
		    const struct rs_local_pod *l, struct backends *out)
{
	size_t i, k;

	for (i = 0; i < o->n_ports; i++) {
		uint16_t port = target_of(&o->ports[i], l);

		for (k = 0; port && k < l->n_ips; k++)
			*rs_vec_push(&out->v) = (struct cli_backend){ .addr = l->ips[k],
								      .pod_ns = e->ns,
								      .pod_name = e->name,
								      .ready = true,
								      .port_name = o->ports[i].name,
								      .proto = o->ports[i].proto,
								      .port = port };
	}
}

static void add_selected(const struct cli_world *cw, const struct rs_service *o,
			 struct backends *out)
{
	size_t i;

	for (i = 0; i < cw->w.n_sorted; i++) {
		const struct rs_local_pod *l = &cw->w.locals[i];

		if (!strcmp(cw->ends[i].ns, o->meta.ns) && cli_service_selects(o, l->labels))
			add_pod(o, &cw->ends[i], l, out);
	}
}

static size_t count_host(const struct cli_world *cw, const struct rs_service *o)
{
	const struct cli_absent *v = cw->arena->absent.v;
	size_t i, n = 0;

	for (i = 0; i < cw->arena->absent.n; i++)
		n += !v[i].finished && !strcmp(v[i].ns, o->meta.ns) &&
		     cli_service_selects(o, v[i].labels);
	return n;
}

void cli_make_services(struct cli_world *cw)
{
	const struct rs_extras *x = cw->arena->x;
	size_t i;

	cw->services = rs_new0(struct cli_service, x->n_services);
	cw->n_services = x->n_services;
	for (i = 0; i < x->n_services; i++) {
		struct cli_service *s = &cw->services[i];
		struct backends v = { 0 };

		s->o = &x->services[i];
		s->from_slices = add_slices(x, s->o, &v);
		if (!s->from_slices)
			add_selected(cw, s->o, &v);
		s->n_host = count_host(cw, s->o);
		s->backends = v.v.v;
		s->n_backends = v.v.n;
	}
}
