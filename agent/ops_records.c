// SPDX-License-Identifier: Apache-2.0
/* ops_records.c - records: the drop records that fit the question, and how many there are not. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/dropwatch.h"
#include "agent/ops.h"
#include "base/jsonio.h"

/* Of the records of one answer: the frame has room for the rest. */
#define MAX_BYTES (768 * RS_KIB)
#define MAX_ITEMS 2000

struct question {
	uint64_t from; /* an id */
	size_t last;   /* 0: from `from` on */
	size_t max;
	int64_t since_ns;
	const char *ns;
	char *pod;
	int reason, dir; /* -1: any */
};

static int word_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return (int)i;
	return -1;
}

static int read_reason(struct json_object *body, struct question *q, struct rs_err *err)
{
	const char *word = rs_json_text(body, "reason", NULL);
	const char *names[RS_DROP_REASONS];

	for (int i = 0; i < RS_DROP_REASONS; i++)
		names[i] = rs_drop_reason_name((enum rs_drop_reason)i);
	q->reason = word ? word_of(word, names, RS_DROP_REASONS) : -1;
	if (!word || q->reason >= 0)
		return 0;
	rs_err_set(err, EINVAL, "'%.40s' is no reason of a drop", word);
	return rs_err_hint(err, "the reasons are policy-ingress, policy-egress, not-programmed, "
				"spoofed, invalid, malformed");
}

static int read_direction(struct json_object *body, struct question *q, struct rs_err *err)
{
	static const char *const names[] = { "ingress", "egress" };
	const char *word = rs_json_text(body, "direction", NULL);

	q->dir = word ? word_of(word, names, 2) : -1;
	if (word && q->dir < 0)
		return rs_err_set(err, EINVAL, "direction is ingress or egress");
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int read_numbers(struct json_object *body, struct question *q, struct rs_err *err)
{
	int64_t from = 0, last = 0, max = MAX_ITEMS, since = 0;
	int rc = rs_json_opt_int(body, "from", 0, INT64_MAX, &from, err);

	if (rc == 0)
		rc = rs_json_opt_int(body, "last", 1, INT32_MAX, &last, err);
	if (rc == 0)
		rc = rs_json_opt_int(body, "max", 1, MAX_ITEMS, &max, err);
	if (rc == 0)
		rc = rs_json_opt_int(body, "sinceMs", 1, 366 * 86400000LL, &since, err);
	q->from = (uint64_t)from;
	q->last = (size_t)last;
	q->max = (size_t)max;
	q->since_ns = since ? now_ns() - since * 1000000 : 0;
	return rc;
}

static int read_question(struct json_object *body, struct question *q, struct rs_err *err)
{
	rs_autofree char *ns = NULL, *name = NULL;
	const char *pod = rs_json_text(body, "pod", NULL);
	int rc = read_numbers(body, q, err);

	if (rc == 0)
		rc = read_reason(body, q, err);
	if (rc == 0)
		rc = read_direction(body, q, err);
	q->ns = rs_json_text(body, "namespace", NULL);
	if (rc < 0 || !pod)
		return rc;
	rc = rs_operand_pod(pod, q->ns, &ns, &name, err);
	if (rc < 0)
		return rc;
	q->pod = rs_asprintf("%s/%s", ns, name);
	q->ns = NULL;
	return 0;
}

static bool in_namespace(const char *pod, const char *ns)
{
	size_t len = strlen(ns);

	return pod && !strncmp(pod, ns, len) && pod[len] == '/';
}

static bool fits(const struct question *q, const struct rs_drop_entry *e)
{
	if (e->id < q->from || e->time_ns < q->since_ns)
		return false;
	if ((q->reason >= 0 && e->reason != (enum rs_drop_reason)q->reason) ||
	    (q->dir >= 0 && e->dir != (enum rs_direction)q->dir))
		return false;
	if (q->pod && !(e->src && !strcmp(e->src, q->pod)) && !(e->dst && !strcmp(e->dst, q->pod)))
		return false;
	return !q->ns || in_namespace(e->src, q->ns) || in_namespace(e->dst, q->ns);
}

/* Index of the first of the last so many that fit. */
static size_t first_of(const struct rs_droplog *l, const struct question *q)
{
	size_t i = rs_droplog_count(l), left = q->last;

	while (q->last && i > 0 && left > 0)
		left -= fits(q, rs_droplog_at(l, --i));
	return q->last ? i : 0;
}

/* A record as it is kept: text that is JSON already. */
static struct json_object *as_it_is(const char *text)
{
	struct json_object *o = json_object_new_object();

	json_object_set_serializer(o, json_object_userdata_to_json_string, rs_strdup(text),
				   json_object_free_userdata);
	return o;
}

static void add_items(const struct rs_droplog *l, const struct question *q, struct json_object *o)
{
	struct json_object *items = json_object_new_array();
	size_t n = rs_droplog_count(l), bytes = 0, i = first_of(l, q);
	uint64_t next = rs_droplog_next(l);

	for (; i < n; i++) {
		const struct rs_drop_entry *e = rs_droplog_at(l, i);

		if (!fits(q, e))
			continue;
		if (json_object_array_length(items) == q->max || bytes + e->len > MAX_BYTES) {
			next = e->id;
			break;
		}
		json_object_array_add(items, as_it_is(e->text));
		bytes += e->len + 2;
	}
	json_object_object_add(o, "items", items);
	json_object_object_add(o, "next", json_object_new_uint64(next));
	json_object_object_add(o, "more", json_object_new_boolean(i < n));
	if (n)
		json_object_object_add(o, "oldest",
				       json_object_new_uint64(rs_droplog_at(l, 0)->id));
}

static void add_count(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void add_counts(const struct rs_agent *a, struct json_object *o)
{
	const struct rs_drop_account *c = rs_dropwatch_account(a->drops);
	struct json_object *counts = json_object_new_object();
	const char *why = rs_dropwatch_why_not(a->drops);

	if (why) {
		rs_json_add_str(o, "whyNone", why);
		json_object_put(counts);
		return;
	}
	rs_json_add_time(counts, "since", c->since_ns / 1000000000);
	add_count(counts, "dropped", c->dropped);
	add_count(counts, "records", c->records);
	add_count(counts, "suppressed", c->suppressed);
	add_count(counts, "lost", c->lost);
	json_object_object_add(o, "counts", counts);
	json_object_object_add(o, "ratePerPod", json_object_new_int64(a->opt.log_rate));
}

/* A pod of which nothing is known may be a slip; one that is gone may have left records. */
static int check_pod(struct rs_agent *a, const struct question *q, struct json_object *o,
		     struct rs_err *err)
{
	const char *slash = q->pod ? strchr(q->pod, '/') : NULL;
	rs_autofree char *ns = slash ? rs_strndup(q->pod, (size_t)(slash - q->pod)) : NULL;

	if (!slash || json_object_array_length(rs_json_get(o, "items")) ||
	    rs_registry_by_pod(a->reg, ns, slash + 1) ||
	    rs_store_pod(a->src->ops->store(a->src), ns, slash + 1))
		return 0;
	return rs_operand_no_pod(a, ns, slash + 1, err);
}

void rs_op_records(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct question q = { 0 };
	rs_autojson struct json_object *o = NULL;
	rs_auto_err err = { 0 };
	int rc = read_question(body, &q, &err);

	if (rc == 0) {
		rs_dropwatch_settle(a->drops);
		o = rs_op_object(a, "FlowRecords");
		add_items(rs_dropwatch_log(a->drops), &q, o);
		add_counts(a, o);
		rc = check_pod(a, &q, o, &err);
	}
	if (rc < 0)
		rs_request_fail(req, &err);
	else
		rs_request_answer(req, rs_steal_ptr(&o));
	free(q.pod);
}
