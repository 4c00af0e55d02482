// SPDX-License-Identifier: Apache-2.0
/* cni_agent.c - what the plugin asks of the agent over the control socket. */
#include <errno.h>
#include <unistd.h>

#include <ripstop/ctl.h>

#include "plugin/cni.h"

#define REPORT_MS 200
/* The agent gives up this much earlier than we do, so that its reason still reaches us. */
#define ANSWER_MARGIN_MS 300

static struct json_object *request(const char *op, const char *container_id, const char *ifname)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "op", op);
	rs_json_add_str(o, "containerID", container_id);
	rs_json_add_str(o, "ifname", ifname);
	return o;
}

/* What remains of the call's time; at least a moment, so that a late call still gets an answer. */
static int left_ms(const struct cni_call *c)
{
	int64_t left = c->start_ms + (int64_t)c->conf.timeout_s * 1000 - rs_mono_ms();

	return left > 100 ? (int)left : 100;
}

struct meanwhile {
	rs_ctl_meanwhile_fn *fn;
	void *arg;
	bool failed;
};

static int work_meanwhile(void *arg, struct rs_err *err)
{
	struct meanwhile *m = arg;
	int rc = m->fn(m->arg, err);

	m->failed = rc < 0;
	return rc;
}

int cni_agent_attach(struct cni_call *c, int (*fn)(void *arg, struct rs_err *err), void *arg,
		     bool *nobody, struct rs_err *err)
{
	rs_autojson struct json_object *o = request("attach", c->env.container_id, c->env.ifname);
	struct meanwhile m = { .fn = fn, .arg = arg };
	int left = left_ms(c), rc;
	int deadline = left > 2 * ANSWER_MARGIN_MS ? left - ANSWER_MARGIN_MS : left / 2;

	json_object_object_add(o, "deadlineMs", json_object_new_int(deadline));
	rc = rs_ctl_call_while(c->conf.socket, o, left, work_meanwhile, &m, nobody, err);
	if (rc < 0 && !m.failed) {
		rs_err_wrap(err, "the agent did not take the pod");
		/* Whatever stood in the way may be gone by the next try. */
		rs_err_cni(err, RS_CNI_TRY_AGAIN);
	}
	return rc;
}

int cni_agent_detach(const struct cni_config *conf, const char *container_id, const char *ifname,
		     int timeout_ms, bool *link, bool *nobody, struct rs_err *err)
{
	rs_autojson struct json_object *o = request("detach", container_id, ifname);
	rs_autojson struct json_object *result = NULL;
	int rc;

	if (*link)
		json_object_object_add(o, "takeLink", json_object_new_boolean(true));
	rc = rs_ctl_call_told(conf->socket, o, timeout_ms, false, &result, nobody, err);
	if (rc == 0 && json_object_get_boolean(rs_json_get(result, "linkGone")))
		*link = false;
	return rc;
}

static bool nobody_there(const struct cni_call *c, int rc)
{
	if (rc == -ENOENT) /* the agent may say this too, of the pod */
		return access(c->conf.socket, F_OK) < 0;
	return rc == -ECONNREFUSED || rc == -ECONNRESET || rc == -ETIMEDOUT || rc == -EPIPE;
}

int cni_agent_check(struct cni_call *c, struct rs_err *err)
{
	rs_autojson struct json_object *o = request("check", c->env.container_id, c->env.ifname);
	int rc = rs_ctl_call(c->conf.socket, o, left_ms(c), NULL, err);

	return nobody_there(c, rc) ? -ENOTCONN : rc;
}

void cni_agent_report(struct cni_call *c, const struct rs_err *why)
{
	rs_autojson struct json_object *o = request("report", c->env.container_id, c->env.ifname);
	rs_autofree char *pod = NULL;

	if (c->env.pod_name)
		pod = rs_asprintf("%s/%s", c->env.pod_ns ? c->env.pod_ns : "default",
				  c->env.pod_name);
	rs_json_add_str(o, "verb", cni_verb_name(c->env.verb));
	rs_json_add_str(o, "pod", pod);
	json_object_object_add(o, "cni",
			       json_object_new_int(why->cni ? why->cni : RS_CNI_INTERNAL));
	rs_json_add_str(o, "message", rs_err_str(why));
	json_object_object_add(o, "ms", json_object_new_int64(rs_mono_ms() - c->start_ms));
	/* Only a courtesy: the error goes to the runtime in any case. */
	rs_ctl_call(c->conf.socket, o, REPORT_MS, NULL, NULL);
}
