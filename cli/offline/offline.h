/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offline.h - cli/offline/ answers pods, policies, rules and explain from a world of objects
 * (cli/world) instead of asking agents, in the same objects and on the same screens.
 */
#ifndef RIPSTOP_CLI_OFFLINE_OFFLINE_H
#define RIPSTOP_CLI_OFFLINE_OFFLINE_H

#include "answer/answer.h"
#include "cli/world/cliworld.h"

/* {"apiVersion", "kind", "metadata": {"source": "files", "from": "k8s (3 files)"}} */
struct json_object *cli_offline_object(const struct cli_world *cw, const char *kind);

struct rs_answer_pod cli_offline_pod(const struct cli_world *cw, size_t i);

/* {"kind": "Deployment", "name": "web"} */
struct json_object *cli_offline_workload(const struct cli_endpoint *e);

/* Each gives the object that cli_call() would; 0, or an exit code after the error was told. */
int cli_offline_pods(struct cli_run *r, struct json_object **out);
int cli_offline_policies(struct cli_run *r, struct json_object **out);
int cli_offline_rules(struct cli_run *r, struct json_object **out);
int cli_offline_explain(struct cli_run *r, struct json_object **out); /* flow.c */

/* Whether the verb is to be answered from objects: -f, or operands that agents do not know. */
bool cli_is_offline(const struct cli_run *r);

/* ---- judging.c: one flow, or many that one question names ------------------------------------ */

/* One of the ends that an operand stands for. */
struct cli_flow_end {
	struct rs_answer_end e;
	size_t end;	     /* of the world's endpoints; SIZE_MAX: none */
	struct rs_addr last; /* of a part of a range; family 0: one address only */
	bool assumed;	     /* its addresses are ours */
};

struct cli_flow_ends {
	struct rs_vec(struct cli_flow_end) v;
	struct rs_vec(char *) texts;
	size_t n_pods_inside; /* of a range: pods that have addresses in it */
	bool siblings;	      /* the flow is between two pods of one template */
};

void cli_flow_ends_clear(struct cli_flow_ends *ends);

struct cli_flow {
	struct cli_world *cw;
	const struct rs_ir *ir;
	struct cli_flow_ends src, dst;
	size_t sibling;	      /* another pod of the template that the source is; SIZE_MAX: none */
	struct cli_port port; /* a name is the destination's to resolve */
	int family;	      /* 0: any */
	const char *node;     /* the source is that Node; NULL: none, or the server's own */
};

/*
 * The members of an ExplainResult about f; all flows of f must be allowed for it to be. Where they
 * differ, "parts" says how.
 */
int cli_judge(const struct cli_flow *f, struct json_object *o, enum rs_verdict *verdict,
	      struct rs_err *err);

/* ---- cut.c: ranges --------------------------------------------------------------------------- */

/* The parts of a range that rules can tell apart, without the addresses of pods. */
int cli_cut_range(const struct cli_world *cw, const struct rs_ir *ir, const struct rs_cidr *range,
		  struct cli_flow_ends *out, struct rs_err *err);

/* ---- through.c: Services --------------------------------------------------------------------- */

/* The endpoint behind a Service that a backend is; SIZE_MAX: none that was read. */
size_t cli_find_backend(const struct cli_world *cw, const struct cli_service *s,
			const struct cli_backend *b);

/* ExplainResult of a flow to a Service: what it leads to, and each backend explained. */
int cli_judge_service(struct cli_flow *f, const struct cli_service *s, struct json_object *o,
		      struct rs_err *err);

#endif
