// SPDX-License-Identifier: Apache-2.0
/* offline.c - pods, policies and rules of a world of objects. */
#include "cli/offline/offline.h"

#include <errno.h>
#include <string.h>

#include "policy/words.h"

RS_DEFINE_CLEANUP(cleanup_world, struct cli_world *, cli_world_free)

struct json_object *cli_offline_object(const struct cli_world *cw, const char *kind)
{
	struct json_object *meta, *o = rs_answer_new(kind, cw->origin, &meta);

	rs_json_add_str(meta, "from", cw->from);
	return o;
}

/* A name that only a world of objects can resolve. */
static bool is_beyond_agents(const char *operand)
{
	static const char *const kinds[] = { "deploy/", "deployment/", "sts/", "statefulset/",
					     "ds/",	"daemonset/",  "rs/",  "replicaset/",
					     "job/",	"cronjob/",    "cj/",  "svc/",
					     "service/" };
	struct rs_cidr c;
	size_t i;

	if (strchr(operand, '=') || *operand == '@' || rs_cidr_parse(operand, &c, NULL, NULL) == 0)
		return true;
	for (i = 0; i < RS_ARRAY_SIZE(kinds); i++)
		if (!strncmp(operand, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

bool cli_is_offline(const struct cli_run *r)
{
	int i;

	for (i = 0; i < r->n_operands; i++)
		if (is_beyond_agents(r->operands[i]))
			return true;
	return r->opt.n_files;
}

struct rs_answer_pod cli_offline_pod(const struct cli_world *cw, size_t i)
{
	const struct rs_local_pod *l = &cw->w.locals[i];
	bool given = cw->ends[i].given_ip;

	return (struct rs_answer_pod){ .ns = l->ns,
				       .name = l->name,
				       .labels = l->labels,
				       .ips = given ? l->ips : NULL,
				       .n_ips = given ? l->n_ips : 0 };
}

struct json_object *cli_offline_workload(const struct cli_endpoint *e)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "kind", e->workload_kind);
	rs_json_add_str(o, "name", e->workload);
	return o;
}

/* What only objects tell of a pod: whose it is, and where it was written. */
static void add_origin(struct json_object *o, const struct cli_endpoint *e)
{
	rs_autofree char *where = rs_pos_text(&e->pos);

	json_object_object_add(o, "workload", cli_offline_workload(e));
	rs_json_add_str(o, "node", e->node);
	rs_json_add_str(o, "where", where);
}

/* ---- pods ------------------------------------------------------------------------------------ */

static struct json_object *pod_json(const struct cli_world *cw, size_t i)
{
	struct json_object *o = json_object_new_object();
	struct rs_answer_pod p = cli_offline_pod(cw, i);

	rs_json_add_str(o, "namespace", p.ns);
	rs_json_add_str(o, "name", p.name);
	if (p.n_ips)
		json_object_object_add(o, "ips", rs_answer_ips(p.ips, p.n_ips));
	json_object_object_add(o, "labels", rs_answer_labels(p.labels));
	json_object_object_add(o, "ingress",
			       rs_answer_isolation(&cw->w, p.ns, p.labels, false, RS_INGRESS));
	json_object_object_add(o, "egress",
			       rs_answer_isolation(&cw->w, p.ns, p.labels, false, RS_EGRESS));
	add_origin(o, &cw->ends[i]);
	return o;
}

int cli_offline_pods(struct cli_run *r, struct json_object **out)
{
	rs_cleanup(cleanup_world) struct cli_world *cw = NULL;
	struct json_object *items;
	size_t i;
	int code = cli_world_open(r, &cw);

	if (code)
		return code;
	*out = cli_offline_object(cw, "PodList");
	items = json_object_new_array();
	for (i = 0; i < cw->n_ends; i++)
		if (!r->opt.namespace || !strcmp(cw->ends[i].ns, r->opt.namespace))
			json_object_array_add(items, pod_json(cw, i));
	json_object_object_add(*out, "items", items);
	if (cw->n_left_out)
		cli_warn("%zu left out, in the host network or finished: no policy is about them",
			 cw->n_left_out);
	return 0;
}

/* ---- policies -------------------------------------------------------------------------------- */

int cli_offline_policies(struct cli_run *r, struct json_object **out)
{
	rs_cleanup(cleanup_world) struct cli_world *cw = NULL;
	rs_autofree struct rs_answer_pod *pods = NULL;
	rs_auto_err err = { 0 };
	size_t i;
	int code = cli_world_open(r, &cw);

	if (code)
		return code;
	pods = rs_new0(struct rs_answer_pod, cw->n_ends);
	for (i = 0; i < cw->n_ends; i++)
		pods[i] = cli_offline_pod(cw, i);
	*out = cli_offline_object(cw, "PolicyList");
	/* Without a name it cannot fail; names are the caller's to keep. */
	rs_answer_policies(*out, &cw->w, pods, cw->n_ends, r->opt.namespace, NULL, &err);
	return 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* The endpoint that the operand names; of many that are alike the first. */
static int find_one(struct cli_run *r, struct cli_world *cw, size_t *out)
{
	struct cli_operand o;
	rs_auto_err err = { 0 };
	int rc = cli_world_operand(cw, r->operands[0], r->opt.namespace, &o, &err);

	if (rc == 0 && o.kind != CLI_OPERAND_ENDPOINTS) {
		rc = rs_err_set(&err, EINVAL, "%s is no pod: rules are a pod's", r->operands[0]);
		rs_err_hint(&err, "[NS/]POD, deploy/NS/NAME, or 'app=api@NS'");
	} else if (rc == 0 && !strncmp(r->operands[0], "ns/", 3) && o.n_ends > 1) {
		rc = rs_err_set(&err, EINVAL, "%s are %zu pods: rules are a pod's", r->operands[0],
				o.n_ends);
		rs_err_hint(&err, "ripstop pods lists them");
	}
	if (rc < 0) {
		cli_error(err.hint, "%s", rs_err_str(&err));
		cli_operand_clear(&o);
		return cli_operand_code(rc);
	}
	*out = o.ends[0];
	if (o.n_ends > 1)
		cli_warn("%s are %zu pods: these are the rules of %s/%s", r->operands[0], o.n_ends,
			 cw->ends[*out].ns, cw->ends[*out].name);
	cli_operand_clear(&o);
	return 0;
}

int cli_offline_rules(struct cli_run *r, struct json_object **out)
{
	rs_cleanup(cleanup_world) struct cli_world *cw = NULL;
	struct rs_answer_pod pod;
	rs_auto_err err = { 0 };
	size_t i = 0;
	int code = cli_world_open(r, &cw);

	if (code == 0)
		code = find_one(r, cw, &i);
	if (code)
		return code;
	*out = cli_offline_object(cw, "Rules");
	pod = cli_offline_pod(cw, i);
	if (rs_answer_rules(*out, &cw->w, &pod, &err) == 0) {
		add_origin(rs_json_get(*out, "pod"), &cw->ends[i]);
		return 0;
	}
	cli_error(err.hint, "%s", rs_err_str(&err));
	return CLI_NOT_FOUND;
}
