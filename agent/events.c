// SPDX-License-Identifier: Apache-2.0
/* events.c - gathers what Kubernetes Events tell and sends them, calmly; see events.h. */
#include "agent/events.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/join.h"

#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS 60000

struct rs_events {
	struct rs_agent *agent;
	struct rs_eventbox *box;
	struct rs_poster *poster;
	struct rs_event *sent; /* on its way; NULL: none is */
	char *refused;	       /* why, since the first that was; NULL: they are not */
	int64_t pause_ms;      /* doubles while the server fails */
	int64_t resume_ms;     /* nothing is sent before */
	int odd;	       /* the status that was last complained of */
};

const char *rs_event_result_name(enum rs_event_result r)
{
	static const char *const names[RS_EVENT_RESULTS] = { "sent", "suppressed", "failed" };

	return names[r];
}

int rs_events_new(struct rs_agent *a, struct rs_events **out, struct rs_err *err)
{
	struct rs_source_config cfg = rs_origin_config(&a->opt);
	struct rs_events *e;
	int rc;

	*out = NULL;
	if (!a->opt.events)
		return 0;
	e = rs_new(struct rs_events);
	e->agent = a;
	e->box = rs_eventbox_new(a->opt.node_name);
	rc = rs_poster_open(&cfg, &e->poster, err);
	if (rc < 0) {
		rs_events_free(e);
		return rs_err_wrap(err, "events");
	}
	*out = e;
	return 0;
}

void rs_events_free(struct rs_events *e)
{
	if (!e)
		return;
	rs_poster_close(e->poster);
	if (e->sent)
		rs_eventbox_end(e->box, e->sent, RS_EVENT_FAILED);
	rs_eventbox_free(e->box);
	free(e->refused);
	free(e);
}

int rs_events_fd(const struct rs_events *e)
{
	return e ? rs_poster_fd(e->poster) : -1;
}

void rs_events_run(struct rs_events *e)
{
	if (e)
		rs_poster_run(e->poster);
}

static int64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- what the server says -------------------------------------------------------------------- */

/* A namespace that goes takes no new objects: no right of ours is missing. */
static bool is_of_a_namespace_that_goes(int status, const char *words)
{
	return status == 404 || (status == 403 && strstr(words, "is being terminated"));
}

static void refused(struct rs_events *e, const char *words)
{
	/* Words differ from Event to Event; it is told once. */
	if (!e->refused)
		e->refused = rs_asprintf(
			"the API server takes no Events of ours (%s); where RBAC is the reason, "
			"the "
			"rule that is missing is apiGroups [events.k8s.io], resources [events], "
			"verbs [create]: manifests/optional/events.yaml",
			words);
}

static void complain(struct rs_events *e, int status, const char *words)
{
	if (status != e->odd)
		rs_log(RS_LOG_WARN, "Events are not taken", "error", words, NULL);
	e->odd = status;
}

static void hold_on(struct rs_events *e, int retry_after_s)
{
	e->pause_ms = e->pause_ms ? e->pause_ms * 2 : PAUSE_FIRST_MS;
	if (e->pause_ms > PAUSE_MAX_MS)
		e->pause_ms = PAUSE_MAX_MS;
	e->resume_ms = rs_mono_ms() + e->pause_ms;
	if (retry_after_s * 1000LL > e->pause_ms)
		e->resume_ms = rs_mono_ms() + retry_after_s * 1000LL;
}

/* An outage is told by the source; here it only costs Events. */
static void failed(struct rs_events *e, const struct rs_posted *r, const char *words)
{
	rs_log(RS_LOG_DEBUG, "event not taken", "error", words, NULL);
	if (is_of_a_namespace_that_goes(r->status, words))
		return;
	if (r->status == 403)
		refused(e, words);
	else if (r->status >= 400 && r->status < 500 && r->status != 401 && r->status != 429)
		complain(e, r->status, words);
	hold_on(e, r->retry_after_s);
}

static void works(struct rs_events *e)
{
	e->pause_ms = e->resume_ms = 0;
	e->odd = 0;
	free(e->refused);
	e->refused = NULL;
}

static void on_posted(void *arg, const struct rs_posted *r, const struct rs_err *err)
{
	enum rs_event_result result = !err ? RS_EVENT_SENT : RS_EVENT_FAILED;
	struct rs_events *e = arg;

	/* Another node, or the agent before this one, has told the same. */
	if (r->status == 409)
		result = RS_EVENT_SUPPRESSED;
	if (result == RS_EVENT_FAILED)
		failed(e, r, rs_err_str(err));
	else
		works(e);
	rs_eventbox_end(e->box, e->sent, result);
	e->sent = NULL;
}

static void send_next(struct rs_events *e, int64_t mono_ms)
{
	struct rs_posted none = { 0 };
	rs_auto_err err = { 0 };

	if (e->sent || mono_ms < e->resume_ms)
		return;
	e->sent = rs_eventbox_take(e->box);
	if (e->sent &&
	    rs_poster_send(e->poster, e->sent->path, e->sent->body, on_posted, e, &err) < 0)
		on_posted(e, &none, &err);
}

/* ---- what is told ---------------------------------------------------------------------------- */

void rs_events_tick(struct rs_events *e, int64_t mono_ms)
{
	struct rs_agent *a;
	const struct rs_node *node;

	if (!e)
		return;
	a = e->agent;
	node = rs_store_node(a->src->ops->store(a->src), a->opt.node_name);
	/* Without its object, as the kubelet calls it. */
	rs_eventbox_lasting(
		e->box, &a->conditions,
		&(struct rs_event_about){ .api_version = "v1",
					  .kind = "Node",
					  .name = a->opt.node_name,
					  .uid = node ? node->meta.uid : a->opt.node_name },
		mono_ms, wall_ns());
	rs_eventbox_turn(e->box, mono_ms, wall_ns());
	rs_poster_run(e->poster);
	send_next(e, mono_ms);
}

/* The object of the pod that refused, where it is still the one that was attached. */
static const struct rs_pod *subject_of(const struct rs_agent *a, const char *full_name)
{
	const char *slash = strchr(full_name, '/');
	rs_autofree char *ns = slash ? rs_strndup(full_name, (size_t)(slash - full_name)) : NULL;
	const struct rs_attached *entry;
	const struct rs_pod *pod;

	if (!ns)
		return NULL;
	entry = rs_registry_by_pod(a->reg, ns, slash + 1);
	pod = rs_store_pod(a->src->ops->store(a->src), ns, slash + 1);
	return entry && pod && rs_join_same_pod(entry->rec, pod) ? pod : NULL;
}

void rs_events_drop(struct rs_events *e, const struct rs_drop_made *made)
{
	const struct rs_dp_drop *d = &made->drop;
	bool sent_it = d->from_pod != d->reply; /* the pod that refused is the packet's source */
	const struct rs_pod *pod;

	if (!e || !made->pod || !rs_event_of_drop(d))
		return;
	pod = subject_of(e->agent, made->pod);
	if (!pod)
		return;
	rs_eventbox_drop(e->box,
			 &(struct rs_event_drop){
				 .ns = pod->meta.ns,
				 .pod = pod->meta.name,
				 /* What kubectl asks for where the object mirrors a static pod. */
				 .uid = pod->config_hash ? pod->config_hash : pod->meta.uid,
				 .dir = made->entry.dir,
				 .policies = made->policies,
				 .peer = sent_it ? made->entry.dst : made->entry.src,
				 .addr = sent_it ? d->dst : d->src,
				 .proto = d->proto,
				 .has_port = d->has_ports,
				 .port = d->reply ? d->sport : d->dport,
				 .more = made->more,
				 .time_ns = made->entry.time_ns },
			 rs_mono_ms());
}

/* ---- for those who report -------------------------------------------------------------------- */

void rs_events_conditions(const struct rs_events *e, struct rs_conditions *c)
{
	if (e && e->refused)
		rs_conditions_add(c, "Events", "%s", e->refused);
}

uint64_t rs_events_count(const struct rs_events *e, enum rs_event_result r)
{
	return rs_eventbox_count(e->box, r);
}
