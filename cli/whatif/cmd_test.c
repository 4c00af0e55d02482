// SPDX-License-Identifier: Apache-2.0
/* cmd_test.c - `ripstop test -f tests.yaml`: assertions about who reaches whom. */
#include "cli/whatif/assert.h"

static int failed(const struct rs_err *err, int code)
{
	cli_error(err->hint, "%s", rs_err_str(err));
	return code;
}

/* The world of a suite: the manifests of -f and its own; where there are none, what is live. */
static int open_world(struct cli_run *r, const struct suite *s, const struct paths *shared,
		      struct cli_world **out)
{
	struct cli_world_paths paths = {
		.recursive = r->opt.recursive,
		.cluster_cidr = r->opt.cluster_cidr,
		.namespace = r->opt.namespace,
	};
	struct cli_run live = *r;
	struct paths all = { 0 };
	rs_auto_err err = { 0 };
	size_t i, n;
	const char *const *warnings;
	int rc;

	for (i = 0; i < shared->n; i++)
		*rs_vec_push(&all) = shared->v[i];
	for (i = 0; i < s->n_manifests; i++)
		*rs_vec_push(&all) = s->manifests[i];
	if (!all.n) {
		live.opt.files = NULL;
		live.opt.n_files = 0;
		return cli_world_open(&live, out);
	}
	paths.v = all.v;
	paths.n = all.n;
	rc = cli_world_files(&paths, out, &err);
	rs_vec_free(&all);
	if (rc < 0)
		return failed(&err, cli_world_code(rc));
	warnings = rs_store_warnings((*out)->store, &n);
	for (i = 0; i < n; i++)
		cli_warn("%s", warnings[i]);
	return 0;
}

static int run_suite(struct cli_run *r, struct suite *s, const struct paths *manifests,
		     const char **source)
{
	struct cli_world *cw = NULL;
	rs_auto_err err = { 0 };
	int rc, code = open_world(r, s, manifests, &cw);

	if (code == 0) {
		*source = cw->origin;
		rc = suite_run(cw, s, r->opt.namespace ? r->opt.namespace : "default", &err);
		if (rc < 0)
			code = failed(&err, CLI_BAD_INPUT);
	}
	cli_world_free(cw);
	return code;
}

static int read_suites(struct cli_run *r, struct suites *suites, struct paths *manifests)
{
	rs_auto_err err = { 0 };
	int rc;

	if (!r->opt.n_files) {
		cli_error("-f tests.yaml [-f MANIFESTS]; an installation is tested by kubectl "
			  "ripstop test --self",
			  "name a file of assertions");
		return CLI_USAGE;
	}
	rc = suites_read(r, suites, manifests, &err);
	if (rc < 0)
		return failed(&err, cli_world_code(rc));
	if (suites->n)
		return 0;
	cli_error("one begins: apiVersion: ripstop.dev/v1, kind: NetworkPolicyTest",
		  "there is no NetworkPolicyTest in %s", r->opt.files[0]);
	return CLI_BAD_INPUT;
}

int cli_self_check(const struct cli_run *r)
{
	if (r->opt.keep && !r->opt.self) {
		cli_error(NULL, "--keep is about --self, and there is no --self");
		return CLI_USAGE;
	}
	if (!r->opt.self)
		return 0;
	if (r->opt.n_files || r->opt.recursive || r->opt.cluster_cidr) {
		cli_error("leave one of them out: test -f TESTS, or test --self",
			  "--self asks no files");
		return CLI_USAGE;
	}
	if (!r->kube) {
		cli_error("kubectl ripstop test --self, where kubectl reaches the cluster",
			  "--self needs a cluster's API: an agent cannot make pods");
		return CLI_USAGE;
	}
	if (!r->opt.namespace && !r->opt.node)
		return 0;
	cli_error(NULL, "--%s means nothing to --self: %s", r->opt.namespace ? "namespace" : "node",
		  r->opt.namespace ? "it makes a namespace of its own"
				   : "the scheduler chooses the nodes");
	return CLI_USAGE;
}

int cli_cmd_test(struct cli_run *r)
{
	struct suites suites = { 0 };
	struct paths manifests = { 0 };
	const char *source = "files";
	size_t i;
	int code = cli_self_check(r);

	if (code == 0)
		code = read_suites(r, &suites, &manifests);
	for (i = 0; i < suites.n && code == 0; i++)
		code = run_suite(r, &suites.v[i], &manifests, &source);
	if (code == 0) {
		suites_put(r, &suites, source);
		code = suites_failed(&suites) ? CLI_NO : CLI_YES;
	}
	suites_free(&suites);
	rs_vec_free(&manifests);
	return code;
}
