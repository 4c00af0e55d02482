// SPDX-License-Identifier: Apache-2.0
/* ops_plugin.c - what the CNI plugin asks: attach, detach, check, report. */
#include "agent/ops.h"

#include <errno.h>
#include <string.h>

#include "agent/reaper.h"
#include "base/jsonio.h"

#define DEADLINE_MS 10000
#define DEADLINE_MAX_MS 120000
#define VERB_MAX 16

/* An attach or a detach on its way. */
struct call {
	struct rs_agent *a;
	struct rs_request *req; /* NULL: answered */
	enum rs_cni_command command;
	char *container_id;
	char *ifname;
	int64_t begun_ms, deadline_ms;
	bool link_gone; /* it was wished, and the reaper has deleted it */
};

static void call_free(struct call *c)
{
	free(c->container_id);
	free(c->ifname);
	free(c);
}

static int read_key(struct json_object *body, char **container_id, char **ifname,
		    struct rs_err *err)
{
	int rc = rs_json_str(body, "containerID", RS_CONTAINER_ID_MAX, container_id, err);

	if (rc == 0)
		rc = rs_json_str(body, "ifname", RS_IFNAME_LEN - 1, ifname, err);
	if (rc == 0)
		rc = rs_container_id_check(*container_id, err);
	return rc < 0 ? rc : rs_ifname_check(*ifname, err);
}

static char *addresses(const struct rs_endpoint *e)
{
	rs_auto_strbuf b = { 0 };
	char text[RS_ADDR_STRLEN];

	for (size_t i = 0; e && i < e->n_ips; i++)
		rs_strbuf_printf(&b, "%s%s", i ? "," : "", rs_addr_str(&e->ips[i], text));
	return b.len ? rs_strbuf_steal(&b) : NULL;
}

static void log_call(const struct call *c, const struct rs_outcome *o)
{
	rs_autofree char *pod = o->name ? rs_asprintf("%s/%s", o->ns, o->name) : NULL;
	rs_autofree char *ips = addresses(o->rec);

	rs_log(o->err ? RS_LOG_ERROR : RS_LOG_INFO, rs_cni_command_name(c->command), "pod", pod,
	       "address", ips, "containerID", c->container_id, "ifname", c->ifname, "generation",
	       o->err ? NULL : RS_LOG_U64(o->generation), "ms", RS_LOG_U64(o->ms), "cause",
	       o->err ? rs_err_str(o->err) : NULL, NULL);
}

static int failure(const struct rs_outcome *o)
{
	if (!o->err)
		return 0;
	return o->err->cni ? o->err->cni : RS_CNI_INTERNAL;
}

static void answer(struct call *c, uint64_t generation)
{
	struct json_object *result = json_object_new_object();

	json_object_object_add(result, "generation", json_object_new_uint64(generation));
	rs_json_add_str(result, "dataplane", c->a->dp->ops->name);
	if (c->link_gone)
		json_object_object_add(result, "linkGone", json_object_new_boolean(true));
	rs_request_answer(rs_steal_ptr(&c->req), result);
}

static void done(void *arg, const struct rs_outcome *o)
{
	struct call *c = arg;

	/* Somebody waits for the answer, nobody for the log. */
	if (o->err)
		rs_request_fail(rs_steal_ptr(&c->req), o->err);
	else
		answer(c, o->generation);
	log_call(c, o);
	/* A failed ADD comes back as the plugin's report, and is counted there. */
	if (!o->err || c->command != RS_CNI_ADD)
		rs_metrics_cni(&c->a->metrics, c->command, failure(o), (double)o->ms / 1000);
	call_free(c);
}

static void detach(struct call *c)
{
	rs_reconcile_detach(c->a->rec, c->container_id, c->ifname, c->begun_ms, c->deadline_ms,
			    done, c);
	rs_loop_kick(c->a);
}

/* A link that stays keeps its rules; the plugin puts it down, and asks again without it. */
static void reaped(void *arg, bool gone)
{
	struct call *c = arg;
	rs_auto_err err = { 0 };

	c->link_gone = gone;
	if (gone) {
		detach(c);
		return;
	}
	rs_err_set(&err, EBUSY, "the link of container %s is not gone: left to the plugin",
		   c->container_id);
	rs_request_fail(rs_steal_ptr(&c->req), &err);
	call_free(c);
}

/* The link first, with others that go now: its rules are there for as long as it is. What the
 * agent's own record says of it counts. False: it knows of none. */
static bool reap(struct call *c)
{
	const struct rs_attached *e = rs_registry_find(c->a->reg, c->container_id, c->ifname);

	if (!e || !e->rec->host_ifindex)
		return false;
	rs_reaper_wish(c->a->reaper, e->rec, c->begun_ms, reaped, c);
	return true;
}

static int read_call(struct call *c, struct json_object *body, bool *take_link, struct rs_err *err)
{
	int64_t left = DEADLINE_MS;
	int rc = read_key(body, &c->container_id, &c->ifname, err);

	if (rc == 0)
		rc = rs_json_opt_int(body, "deadlineMs", 0, INT32_MAX, &left, err);
	if (rc == 0)
		rc = rs_json_opt_bool(body, "takeLink", take_link, err);
	if (left > DEADLINE_MAX_MS)
		left = DEADLINE_MAX_MS;
	c->begun_ms = rs_mono_ms();
	c->deadline_ms = c->begun_ms + left;
	return rc;
}

static void start(struct rs_agent *a, struct rs_request *req, struct json_object *body,
		  enum rs_cni_command command)
{
	struct call *c = rs_new(struct call);
	bool take_link = false;
	rs_auto_err err = { 0 };

	c->a = a;
	c->req = req;
	c->command = command;
	if (read_call(c, body, &take_link, &err) < 0) {
		rs_request_fail(req, &err);
		call_free(c);
		return;
	}
	if (command == RS_CNI_ADD) {
		rs_reconcile_attach(a->rec, c->container_id, c->ifname, c->begun_ms, c->deadline_ms,
				    done, c);
		rs_loop_kick(a);
	} else if (!take_link || !reap(c)) {
		detach(c);
	}
}

void rs_op_attach(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	start(a, req, body, RS_CNI_ADD);
}

void rs_op_detach(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	start(a, req, body, RS_CNI_DEL);
}

/* Its elements are in the kernel as they should be. */
static int check(struct rs_agent *a, const char *container_id, const char *ifname,
		 struct rs_err *err)
{
	struct rs_attached *e = rs_registry_find(a->reg, container_id, ifname);
	int n;

	if (!e)
		return rs_err_set(err, ENOENT, "the agent knows no attachment %s of %s", ifname,
				  container_id);
	if (e->conflict || !e->programmed)
		return rs_err_set(err, EAGAIN, "pod %s/%s is not programmed: %s", e->rec->pod_ns,
				  e->rec->pod_name,
				  e->conflict ? e->conflict : "nothing is committed yet");
	if (!e->has_link)
		return rs_err_set(err, ENODEV, "the host link %s of the record is not there",
				  e->rec->host_ifname);
	n = rs_repair_audit(a, "found by CHECK", rs_mono_ms(), err);
	if (n > 0)
		return rs_err_set(
			err, EUCLEAN,
			"the kernel's rules had %d differences to what they should be; %s", n,
			a->opt.repair ? "they are repaired" : "ripstop verify --repair mends them");
	return n;
}

void rs_op_check(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	rs_autofree char *container_id = NULL, *ifname = NULL;
	int64_t begun = rs_mono_ms();
	struct json_object *result;
	rs_auto_err err = { 0 };
	int rc = read_key(body, &container_id, &ifname, &err);

	if (rc == 0)
		rc = check(a, container_id, ifname, &err);
	if (rc < 0) {
		rs_request_fail(req, &err);
		return;
	}
	rs_metrics_cni(&a->metrics, RS_CNI_CHECK, 0, (double)(rs_mono_ms() - begun) / 1000);
	result = json_object_new_object();
	json_object_object_add(result, "generation",
			       json_object_new_uint64(rs_reconcile_generation(a->rec)));
	rs_request_answer(req, result);
}

/* One line for the log: what went wrong in the plugin, where nobody else looks. */
void rs_op_report(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	rs_autofree char *verb = NULL;
	int64_t code = RS_CNI_INTERNAL, ms = 0;
	rs_auto_err err = { 0 };
	char number[24];
	int command, rc;

	rc = rs_json_str(body, "verb", VERB_MAX, &verb, &err);
	if (rc == 0)
		rc = rs_json_opt_int(body, "cni", 0, 9999, &code, &err);
	if (rc == 0)
		rc = rs_json_opt_int(body, "ms", 0, INT32_MAX, &ms, &err);
	if (rc < 0) {
		rs_request_fail(req, &err);
		return;
	}
	command = rs_cni_command_by_name(verb);
	if (command >= 0)
		rs_metrics_cni(&a->metrics, (enum rs_cni_command)command, (int)code,
			       (double)ms / 1000);
	rs_log(code ? RS_LOG_ERROR : RS_LOG_INFO, "plugin", "verb", verb, "pod",
	       rs_json_text(body, "pod", NULL), "containerID",
	       rs_json_text(body, "containerID", NULL), "ifname",
	       rs_json_text(body, "ifname", NULL), "code", rs_log_u64_(number, (uint64_t)code),
	       "ms", RS_LOG_U64(ms), "cause", rs_json_text(body, "message", NULL), NULL);
	rs_request_answer(req, NULL);
}
