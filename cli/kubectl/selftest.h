/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.h - inside cli/kubectl/: the parts of `kubectl ripstop test --self`.
 *
 * selfmake.c makes the namespace, its pods and policies, and removes them; selftest.c sends packets
 * and judges; selfsay.c shows what came out.
 */
#ifndef RIPSTOP_CLI_SELFTEST_H
#define RIPSTOP_CLI_SELFTEST_H

#include "cli/kubectl/kubectl.h"

/* The server listens on both; policies speak of the first. */
#define SELF_PORT 8080
#define SELF_OTHER_PORT 8081
#define SELF_CALL_MS 30000 /* one call of kubectl */

enum self_result {
	SELF_NOT_RUN,
	SELF_OK,
	SELF_FAILED,
};

/* What became of packets, and what explain says of them. */
enum self_fate {
	SELF_UNKNOWN,
	SELF_PASS,
	SELF_DROP,
	SELF_REFUSED, /* somebody, or no listener, said no: it was not dropped */
};

struct self_check {
	char *name;
	enum self_result result;
	/* Of a flow, to NULL: it is about none. */
	char *to;
	int port;
	bool allow; /* what is expected */
	enum self_fate packets, explain;
	char *found; /* a line; of a failure the reason */
	char *hint;  /* NULL: none */
};

struct self_end {
	const char *name; /* of the pod */
	char *node;
	char *ips[2];
	bool mute[2]; /* nothing comes through even without a policy */
	size_t n_ips;
};

struct self_test {
	struct cli_run *r;
	char *ns;
	char *image, *pull_policy;
	struct json_object *pull_secrets; /* NULL: none */
	struct self_end server, client;
	struct rs_vec(struct self_check) checks;
	bool made; /* there is a namespace of ours */
	bool disagrees;
	struct kube_answer why; /* code: it could not be run on */
	struct rs_strbuf said;	/* on the way, for stderr */
};

/* ---- selfmake.c ------------------------------------------------------------------------------ */

/* What the agents' image is, whether we may do it all, and the namespace. 0, or a code with the
 * cause in t->why; so too the others. */
int self_prepare(struct self_test *t);
/* The pods. *trouble: why they are not ready in time; NULL: they are. */
int self_pods(struct self_test *t, char **trouble);
/* A policy (JSON) is created. */
int self_create(struct self_test *t, const char *object);
/* The namespace goes, whatever has happened. wait: until it is gone. NULL, or why it is not; the
 * caller frees it. */
char *self_remove(struct self_test *t, bool wait);

char *self_policy(const struct self_test *t, const char *name, const char *spec);

/* ---- selfsay.c ------------------------------------------------------------------------------- */

void self_put(struct cli_run *r, const struct self_test *t);
size_t self_count(const struct self_test *t, enum self_result result);

#endif
