// SPDX-License-Identifier: Apache-2.0
/* join.c - an ADD waits for its pod's object; see join.h. */
#include "agent/join.h"

#include <errno.h>
#include <string.h>

#define REST_MS 200 /* doubles */
#define REST_MAX_MS 2000

bool rs_join_same_pod(const struct rs_endpoint *rec, const struct rs_pod *pod)
{
	if (!rec->pod_uid || !pod->meta.uid || !strcmp(rec->pod_uid, pod->meta.uid))
		return true;
	return pod->config_hash && !strcmp(rec->pod_uid, pod->config_hash);
}

static void rest(struct rs_join *j, int64_t now_ms)
{
	j->rest_ms = j->rest_ms ? j->rest_ms * 2 : REST_MS;
	if (j->rest_ms > REST_MAX_MS)
		j->rest_ms = REST_MAX_MS;
	j->again_ms = now_ms + j->rest_ms;
	j->state = RS_JOIN_RESTING;
}

static void begin(struct rs_join *j, struct rs_source *src, int64_t now_ms)
{
	rs_auto_err err = { 0 };

	j->number = src->ops->fresh(src, j->rec->pod_ns, j->rec->pod_name, &err);
	j->state = RS_JOIN_READING;
	if (j->number >= 0)
		return;
	rs_err_move(&j->why, &err);
	rest(j, now_ms);
}

/* The read is over: is it the pod that the runtime means? */
static void judge(struct rs_join *j, struct rs_source *src, int64_t now_ms)
{
	const struct rs_endpoint *rec = j->rec;
	const struct rs_pod *pod =
		rs_store_pod(src->ops->store(src), rec->pod_ns, rec->pod_name);

	rs_err_clear(&j->why);
	if (pod && rs_join_same_pod(rec, pod)) {
		j->state = RS_JOIN_DONE;
		return;
	}
	if (pod)
		rs_err_set(&j->why, ENOENT,
			   "the API server has the UID %s for it, the runtime says %s",
			   pod->meta.uid, rec->pod_uid);
	else
		rs_err_set(&j->why, ENOENT, "it came and went");
	rest(j, now_ms);
}

static void look(struct rs_join *j, struct rs_source *src, int64_t now_ms)
{
	rs_auto_err err = { 0 };
	int rc = src->ops->fresh_state(src, j->number, &err);

	if (rc == -EINPROGRESS)
		return;
	if (rc == 0) {
		judge(j, src, now_ms);
		return;
	}
	rs_err_move(&j->why, &err);
	rest(j, now_ms);
}

bool rs_join_step(struct rs_join *j, struct rs_source *src, int64_t now_ms)
{
	if (j->state == RS_JOIN_NEW || (j->state == RS_JOIN_RESTING && now_ms >= j->again_ms))
		begin(j, src, now_ms);
	if (j->state == RS_JOIN_READING)
		look(j, src, now_ms);
	return j->state == RS_JOIN_DONE;
}

int64_t rs_join_due(const struct rs_join *j)
{
	switch (j->state) {
	case RS_JOIN_READING:
		return INT64_MAX;
	case RS_JOIN_RESTING:
		return j->again_ms;
	case RS_JOIN_NEW:
	case RS_JOIN_DONE:
		break;
	}
	return 0;
}

int rs_join_explain(const struct rs_join *j, struct rs_err *err)
{
	if (!j->rec)
		return 0;
	rs_err_set(err, EAGAIN, "pod %s/%s: %s", j->rec->pod_ns, j->rec->pod_name,
		   j->why.num ? rs_err_str(&j->why)
			      : "the API server has not answered the question for it yet");
	return j->why.hint ? rs_err_hint(err, "%s", j->why.hint) : -EAGAIN;
}

void rs_join_clear(struct rs_join *j, struct rs_source *src)
{
	if (j->state == RS_JOIN_READING)
		src->ops->fresh_drop(src, j->number);
	rs_endpoint_free(j->rec);
	rs_err_clear(&j->why);
	*j = (struct rs_join){ 0 };
}
