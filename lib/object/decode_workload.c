// SPDX-License-Identifier: Apache-2.0
/* decode_workload.c - workloads: their name, and what their pods look like. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

/* The Job controller labels the pods of a Job with its name. */
static void add_job_labels(struct rs_workload *w)
{
	if (strcmp(w->kind, "Job") || strlen(w->meta.name) > 63)
		return;
	rs_labels_set(&w->labels, "job-name", w->meta.name);
	rs_labels_set(&w->labels, "batch.kubernetes.io/job-name", w->meta.name);
}

static int template(struct rs_dec *d, const struct rs_at *up, struct rs_workload *w)
{
	struct rs_at at = rs_at_field(up, "template");
	struct rs_at meta = rs_at_field(&at, "metadata"), spec = rs_at_field(&at, "spec");
	struct rs_pod pod = { 0 };
	int rc;

	if (!at.node)
		return rs_dec_fail(d, &at, "the pod template is missing");
	if (rs_dec_type(d, &at, RS_DOC_MAP) < 0 || rs_dec_type(d, &meta, RS_DOC_MAP) < 0 ||
	    rs_dec_labels(d, &meta, "labels", &w->labels) < 0)
		return -EINVAL;
	rc = rs_dec_pod_spec(d, &spec, &pod);
	free(pod.node);
	w->host_network = pod.host_network;
	w->ports = pod.ports;
	w->n_ports = pod.n_ports;
	return rc;
}

/* A CronJob's template stands one step deeper, in the one of its Jobs. */
static int job_template(struct rs_dec *d, const struct rs_at *spec, struct rs_workload *w)
{
	struct rs_at job = rs_at_field(spec, "jobTemplate"), inner = rs_at_field(&job, "spec");

	if (rs_dec_type(d, &job, RS_DOC_MAP) < 0 || rs_dec_type(d, &inner, RS_DOC_MAP) < 0)
		return -EINVAL;
	return template(d, &inner, w);
}

int rs_dec_workload(struct rs_dec *d, const struct rs_at *root, struct rs_workload *w)
{
	struct rs_at meta = rs_at_field(root, "metadata"), spec = rs_at_field(root, "spec");
	int rc;

	if (rs_dec_meta(d, root, true, &w->meta) < 0 ||
	    rs_dec_owner(d, &meta, &w->owner_kind, &w->owner_name) < 0 ||
	    rs_dec_type(d, &spec, RS_DOC_MAP) < 0)
		return -EINVAL;
	rc = strcmp(w->kind, "CronJob") ? template(d, &spec, w) : job_template(d, &spec, w);
	if (rc == 0)
		add_job_labels(w);
	return rc;
}
