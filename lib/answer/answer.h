/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.h - lib/answer makes the JSON objects of docs/json.md from a world of lib/policy.
 *
 * What flows in: a world, and which pod, policy or flow is asked about. What flows out: members of
 * an object that the caller began with rs_answer_new(). The agent answers its socket with them and
 * the command line, asked about files, its user: one code, so one shape.
 */
#ifndef RIPSTOP_ANSWER_ANSWER_H
#define RIPSTOP_ANSWER_ANSWER_H

#include "base/jsonio.h"
#include "policy/policy.h"

/* {"apiVersion", "kind", "metadata": {"source": ...}}. *metadata (may be NULL) is borrowed. */
struct json_object *rs_answer_new(const char *kind, const char *source,
				  struct json_object **metadata);

/* ["a", "b"]; {"app": "db"}; ["10.0.0.1"]. */
struct json_object *rs_answer_strings(char *const *v, size_t n);
struct json_object *rs_answer_labels(const struct rs_labels *l);
struct json_object *rs_answer_ips(const struct rs_addr *v, size_t n);

/* A pod as those see it who ask: a subject. Borrowed. */
struct rs_answer_pod {
	const char *ns, *name;
	const struct rs_labels *labels; /* NULL: not known */
	const struct rs_addr *ips;
	size_t n_ips;
};

/* {"isolated": ..., "policies": [...]} of a pod. */
struct json_object *rs_answer_isolation(const struct rs_world *w, const char *ns,
					const struct rs_labels *labels, bool closed,
					enum rs_direction dir);

/* PolicyList: the items of that namespace and name (NULL: any), with those of the subjects that
 * each selects. -ENOENT when a name is given and there is none. */
int rs_answer_policies(struct json_object *o, const struct rs_world *w,
		       const struct rs_answer_pod *subjects, size_t n, const char *ns,
		       const char *name, struct rs_err *err);

/* Rules: "pod", "ingress" and "egress". -ENOENT when w has no such pod. */
int rs_answer_rules(struct json_object *o, const struct rs_world *w,
		    const struct rs_answer_pod *pod, struct rs_err *err);

/* ---- explain --------------------------------------------------------------------------------- */

/* What an operand means: a pod (by name), a node or a plain address, one address a family at most.
 */
struct rs_answer_end {
	const char *text;
	const char *ns, *name;	 /* NULL: no pod */
	bool node;		 /* the node that judges, itself */
	struct rs_addr ip4, ip6; /* family 0: none */
};

struct rs_question {
	struct rs_answer_end src, dst;
	uint8_t proto; /* 0: ICMP of the family at hand */
	uint16_t port;
	/* 0: any that both ends have, as long as the verdict is the same; then the one that was
	 * judged */
	int family;
};

/*
 * ExplainResult: every member but kind and metadata. ir: the rules in force, against which the
 * reading of the objects is checked; NULL: unchecked. -EUCLEAN: they differ, which is a bug;
 * -EAFNOSUPPORT: the ends share no family; -EINVAL: the families' verdicts differ.
 */
int rs_answer_explain(struct json_object *o, const struct rs_world *w, const struct rs_ir *ir,
		      struct rs_question *q, enum rs_verdict *verdict, struct rs_err *err);

/* "tcp", "udp", "sctp", "icmp" (0). */
const char *rs_answer_proto(uint8_t proto);

#endif
