// SPDX-License-Identifier: Apache-2.0
/* origin.c - which source this agent takes its objects from, and how it is doing. */
#include "agent/agent.h"

#include <stdlib.h>

/* A watch is told something every minute, and is opened anew after two without a word. */
#define STALE_S 300

bool rs_origin_is_api(const struct rs_options *o)
{
	return !o->manifests;
}

struct rs_source_config rs_origin_config(const struct rs_options *o)
{
	return (struct rs_source_config){
		.path = o->manifests,
		.kubeconfig = o->kubeconfig,
		.api_server = o->api_server,
		.state_dir = o->state_dir,
		.node_name = o->node_name,
	};
}

int rs_origin_open(const struct rs_options *o, struct rs_source **out, struct rs_err *err)
{
	struct rs_source_config cfg = rs_origin_config(o);
	const struct rs_source_ops *ops = rs_origin_is_api(o) ? &rs_source_api : &rs_source_folder;
	int rc = ops->open(&cfg, out, err);

	return rc < 0 ? rs_err_wrap(err, "%s source", ops->name) : 0;
}

char *rs_origin_name(const struct rs_options *o)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!rs_origin_is_api(o))
		return rs_strdup(o->manifests);
	if (o->api_server)
		return rs_strdup(o->api_server);
	return o->kubeconfig ? rs_strdup(o->kubeconfig)
			     : rs_asprintf("%s:%s", host ? host : "?", port ? port : "?");
}

void rs_origin_conditions(const struct rs_agent *a, struct rs_conditions *c)
{
	const struct rs_source_ops *ops = a->src->ops;

	for (int k = 0; ops->kind && k < RS_KINDS; k++) {
		struct rs_source_kind s = { 0 };

		ops->kind(a->src, (enum rs_kind)k, &s);
		/* In whole periods, or each second would be another condition. */
		if (s.age_s >= STALE_S)
			rs_conditions_add(c, "SourceStale",
					  "%s objects: the API server has told nothing for more "
					  "than %lld minutes; what is in force is of then",
					  rs_kind_name((enum rs_kind)k),
					  (long long)(s.age_s / STALE_S * (STALE_S / 60)));
	}
}
