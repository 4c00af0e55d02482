// SPDX-License-Identifier: Apache-2.0
/* eval.c - one flow against an IR, as a dataplane would judge it; see the head of
 * <ripstop/ir.h>. */
#include <string.h>

#include "policy/irtools.h"
#include "policy/portset.h"

/* The rule that the runs name for a port; a run of every protocol stands behind the exact ones. */
static uint32_t rule_of(const struct rs_ir *ir, uint32_t first, uint32_t n, uint8_t proto,
			uint16_t port)
{
	uint32_t rest = UINT32_MAX, i;

	for (i = first; i < first + n; i++) {
		const struct rs_ir_portrule *r = &ir->whys[i];

		if (r->proto == 0)
			rest = r->rule;
		else if (r->proto == proto && r->lo <= port && port <= r->hi)
			return r->rule;
	}
	return rest;
}

static void decide(const struct rs_ir *ir, struct rs_ir_half *h, uint32_t first, uint32_t n,
		   uint8_t proto, uint16_t port)
{
	const struct rs_ir_port *ports;
	size_t count;

	ports = rs_ir_profile_ports(ir, h->profile, &count);
	h->allow = rs_ports_allow(ports, count, proto, port);
	if (h->allow)
		h->rule = rule_of(ir, first, n, proto, port);
}

static void judge(const struct rs_ir *ir, enum rs_ir_dir dir, uint32_t group,
		  const struct rs_addr *peer, uint8_t proto, uint16_t port, struct rs_ir_half *h)
{
	uint32_t range = rs_ir_class_range(ir, peer), exact;
	const struct rs_ir_cell *cell = NULL;
	const struct rs_ir_group *g;

	h->applies = true;
	h->group = group;
	if (rs_ir_class_exact(ir, peer, &exact))
		cell = rs_ir_cell(ir, dir, group, exact);
	if (!cell && range != RS_CLASS_WORLD)
		cell = rs_ir_cell(ir, dir, group, range);
	if (cell) {
		h->cls = cell->cls;
		h->profile = cell->profile;
		decide(ir, h, cell->first_why, cell->n_why, proto, port);
		return;
	}
	h->cls = RS_CLASS_WORLD;
	g = rs_ir_group(ir, dir, group);
	h->profile = g ? g->profile : RS_PROFILE_DENY;
	decide(ir, h, g ? g->first_why : 0, g ? g->n_why : 0, proto, port);
}

static const struct rs_ir_half none = {
	false, false, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX
};

void rs_ir_eval_others(const struct rs_ir *ir, const struct rs_addr *client,
		       const struct rs_addr *server, uint8_t proto, uint16_t port,
		       struct rs_ir_verdict *out)
{
	const struct rs_ir_local *c = rs_ir_local(ir, client), *s = rs_ir_local(ir, server);

	memset(out, 0, sizeof(*out));
	out->out = out->in = none;
	if (c)
		judge(ir, RS_DIR_OUT, c->out_group, server, proto, port, &out->out);
	if (s)
		judge(ir, RS_DIR_IN, s->in_group, client, proto, port, &out->in);
	out->allow = (!out->out.applies || out->out.allow) && (!out->in.applies || out->in.allow);
}

void rs_ir_eval(const struct rs_ir *ir, const struct rs_addr *client, const struct rs_addr *server,
		uint8_t proto, uint16_t port, struct rs_ir_verdict *out)
{
	if (rs_addr_cmp(client, server) || !rs_ir_local(ir, client)) {
		rs_ir_eval_others(ir, client, server, proto, port, out);
		return;
	}
	*out = (struct rs_ir_verdict){ .allow = true, .self = true, .out = none, .in = none };
}
