// SPDX-License-Identifier: Apache-2.0
/* kubelive.c - the objects of a cluster as `kubectl get` tells them, for the verbs that judge by
 * objects: every kind by a kubectl of its own, side by side; see cli/world/live.h. */
#include "cli/kubectl/kubectl.h"

#include <string.h>

#include "cli/world/live.h"
#include "object/decode.h"
#include "source/apisplit.h"

/* Ten thousand pods are some 100 MiB; each object is parsed alone. */
#define MAX_KIND (512 * RS_MIB)
#define MAX_DEPTH 100

enum part {
	PART_NAMESPACES,
	PART_PODS,
	PART_POLICIES,
	PART_NODES,
	PART_SERVICES,
	PART_SLICES,
	PARTS,
};

static const struct {
	const char *resource;
	bool in_namespaces;
	const char *without; /* what cannot be known without it; NULL: nothing can */
} parts[PARTS] = {
	[PART_NAMESPACES] = { "namespaces", false, NULL },
	[PART_PODS] = { "pods", true, NULL },
	[PART_POLICIES] = { "networkpolicies.networking.k8s.io", true, NULL },
	[PART_NODES] = { "nodes", false, "the cluster's pod ranges" },
	[PART_SERVICES] = { "services", true, "Services, and what is behind them" },
	[PART_SLICES] = { "endpointslices.discovery.k8s.io", true,
			  "the backends of Services but by their selectors" },
};

static int take(void *arg, enum rs_split_part part, const char *text, size_t len,
		struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	struct cli_live *out = arg;
	int rc;

	if (part == RS_SPLIT_REST)
		return 0;
	rc = rs_json_parse(text, len, MAX_DEPTH, &o, err);
	if (rc < 0)
		return rc;
	return rs_decode_json_with(out->store, out->x, "kubectl", o, RS_ADMIT_LENIENT, err);
}

static int split(struct cli_live *out, const struct rs_strbuf *text, struct rs_err *err)
{
	struct rs_split *s = rs_split_new(RS_SPLIT_LIST, take, out);
	int rc = rs_split_feed(s, rs_strbuf_str(text), text->len, err);

	if (rc == 0)
		rc = rs_split_end(s, err);
	rs_split_free(s);
	return rc;
}

/* What kubectl said of one kind. Without a right to Services or Nodes the rest still tells much. */
static int take_part(struct cli_live *out, enum part part, const struct kube_child *c)
{
	struct kube_answer a = { 0 };
	rs_auto_err err = { 0 };
	int code;

	if (!kube_failed(c, false, &a) && split(out, &c->out, &err) < 0)
		kube_refuse(&a, CLI_NO_AGENT,
			    rs_asprintf("kubectl's %s cannot be used: %s", parts[part].resource,
					rs_err_str(&err)),
			    NULL);
	code = a.code;
	if (code == CLI_NO_AGENT && parts[part].without) {
		cli_warn("%s; so %s are not known", a.cause, parts[part].without);
		code = 0;
	} else if (code) {
		kube_tell(&a, NULL);
	} else if (part == PART_SERVICES) {
		out->knows_services = true;
	}
	kube_answer_clear(&a);
	return code;
}

static void question(const struct cli_run *r, enum part part, struct kube_child *c)
{
	kube_begin(r, c, "get");
	kube_words(c, (const char *const[]){ parts[part].resource, "-o", "json", NULL });
	if (parts[part].in_namespaces)
		kube_word(c, "-A");
	c->max_out = MAX_KIND;
}

static char *name_of_cluster(const struct cli_run *r)
{
	for (size_t i = 0; i < r->n_flags; i++)
		if (!strncmp(r->flags[i], "--context=", 10))
			return rs_asprintf("the cluster of context %s", r->flags[i] + 10);
	return rs_strdup("the cluster of kubectl's context");
}

int kube_live(struct cli_run *r, struct cli_live *out)
{
	struct kube_child c[PARTS] = { 0 };
	int code = 0;

	_Static_assert(PARTS <= KUBE_AT_ONCE, "all are asked at once");
	for (int p = 0; p < PARTS; p++)
		question(r, (enum part)p, &c[p]);
	kube_spawn(c, PARTS, r->kube->deadline);
	out->origin = "kubectl";
	out->store = rs_store_new();
	out->x = rs_extras_new();
	for (int p = 0; p < PARTS; p++) {
		if (code == 0)
			code = take_part(out, (enum part)p, &c[p]);
		kube_child_clear(&c[p]);
	}
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(out->store, (enum rs_kind)k, true);
	out->from = name_of_cluster(r);
	return code;
}
