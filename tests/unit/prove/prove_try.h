/* SPDX-License-Identifier: Apache-2.0 */
/* prove_try.h - for the tests of the generator: worlds by number, and what the oracle says of them. */
#ifndef RIPSTOP_TESTS_PROVE_TRY_H
#define RIPSTOP_TESTS_PROVE_TRY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/prove/scene.h"

static const struct pv_shape whole = { 60, 40, PV_MAX_FLOWS, PV_MAX_NODES, false };
static const struct pv_shape strict = { 60, 40, PV_MAX_FLOWS, PV_MAX_NODES, true };

static inline const char *case_text(const struct pv_case *c)
{
	return json_object_to_json_string_ext(c->root, JSON_C_TO_STRING_PLAIN);
}

static inline struct rs_flow_end oracle_end(const struct pv_end *e)
{
	return (struct rs_flow_end){
		.ns = e->pod ? e->pod->ns : NULL,
		.name = e->pod ? e->pod->name : NULL,
		.addr = e->addr,
		.node = e->kind == PV_END_NODE,
	};
}

static inline bool oracle_allows(const struct pv_scene *s, const struct pv_flow *f)
{
	int node = f->src.node >= 0 ? f->src.node : f->dst.node;
	struct rs_world w = pv_scene_world(s, node >= 0 ? (size_t)node : 0);
	struct rs_flow flow = {
		.src = oracle_end(&f->src),
		.dst = oracle_end(&f->dst),
		.proto = f->proto,
		.port = f->port,
	};

	return rs_oracle(&w, &flow) == RS_VERDICT_ALLOW;
}

static inline struct pv_scene *scene_of(const struct pv_case *c)
{
	rs_auto_err err = { 0 };
	struct pv_scene *s;

	if (pv_scene_make(c, &s, &err) < 0)
		fail_msg("%s\n%s", rs_err_str(&err), case_text(c));
	return s;
}

#endif
