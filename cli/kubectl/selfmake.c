// SPDX-License-Identifier: Apache-2.0
/*
 * selfmake.c - what `test --self` makes in a cluster, and takes away again: a namespace of a random
 * name, two pods of the agents' own image, policies.
 *
 * The namespace enforces the Pod Security level "restricted", which the pods obey. Whoever kills us
 * leaves it behind: the pods end by themselves after some minutes, the rest are objects without
 * work.
 */
#include "cli/kubectl/selftest.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "cli/hidden.h"

#define NAMESPACE "ripstop-selftest-"
#define LABELS                                    \
	"\"app.kubernetes.io/name\":\"ripstop\"," \
	"\"app.kubernetes.io/component\":\"selftest\""
#define ROLE "ripstop.dev/selftest"
#define MAX_TEXT 4096
#define READY_MS 120000
#define GONE_MS 90000
#define PAUSE_MS 500
/* The account of a new namespace comes a moment after it, and no pod is taken before. */
#define ACCOUNT_MS 30000

static int64_t in_time(int64_t ms)
{
	return rs_mono_ms() + ms;
}

static int refuse(struct self_test *t, int code, char *cause, const char *hint)
{
	kube_refuse(&t->why, code, cause, hint);
	return code;
}

/* ---- whose image ----------------------------------------------------------------------------- */

static struct json_object *agent_container(struct json_object *pod)
{
	struct json_object *spec = rs_json_get(pod, "spec");
	struct json_object *list = rs_json_get(spec, "containers");

	for (size_t i = 0; i < cli_count(spec, "containers"); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);

		if (!strcmp(rs_json_text(c, "name", ""), "agent"))
			return c;
	}
	return NULL;
}

static int read_image(struct self_test *t, struct json_object *pod, struct rs_err *err)
{
	struct json_object *c = agent_container(pod);
	struct json_object *secrets = rs_json_get(rs_json_get(pod, "spec"), "imagePullSecrets");
	int rc = rs_json_str(c, "image", MAX_TEXT, &t->image, err);

	if (rc == 0)
		rc = rs_json_opt_str(c, "imagePullPolicy", MAX_TEXT, &t->pull_policy, err);
	if (rc == 0 && json_object_is_type(secrets, json_type_array))
		t->pull_secrets = json_object_get(secrets);
	return rc;
}

static const struct kube_agent *running_agent(const struct kube_agents *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (!v->v[i].trouble)
			return &v->v[i];
	return NULL;
}

static int ask_image(struct self_test *t, const struct kube_agent *agent)
{
	struct kube_child c = { .max_out = KUBE_MAX_GET };
	struct kube_answer a = { 0 };
	rs_auto_err err = { 0 };

	kube_begin(t->r, &c, "get");
	kube_words(&c, (const char *const[]){ "pods", "-o", "json", "-n",
					      kube_agent_namespace(t->r), "--", agent->pod, NULL });
	kube_spawn(&c, 1, in_time(SELF_CALL_MS));
	kube_read(&c, "Pod", false, false, &a);
	kube_child_clear(&c);
	if (!a.code && read_image(t, a.o, &err) < 0)
		kube_refuse(&a, CLI_NO_AGENT,
			    rs_asprintf("the image of pod %s cannot be told: %s", agent->pod,
					rs_err_str(&err)),
			    NULL);
	t->why = a;
	json_object_put(rs_steal_ptr(&t->why.o));
	return t->why.code;
}

static int find_image(struct self_test *t)
{
	struct kube_agents agents = { 0 };
	const struct kube_agent *agent;

	t->r->kube->deadline = in_time(SELF_CALL_MS);
	if (kube_find_agents(t->r, NULL, &agents, &t->why) == 0) {
		kube_answer_clear(&t->why);
		agent = running_agent(&agents);
		if (agent)
			ask_image(t, agent);
		else
			kube_not_running(t->r, &agents.v[0], &t->why);
	}
	kube_agents_clear(&agents);
	return t->why.code;
}

/* ---- rights ---------------------------------------------------------------------------------- */

static const struct right {
	const char *verb, *resource, *sub;
	bool in_namespace;
} rights[] = {
	{ "create", "namespaces", NULL, false },
	{ "get", "namespaces", NULL, false },
	{ "delete", "namespaces", NULL, false },
	{ "create", "pods", NULL, true },
	{ "get", "pods", NULL, true },
	{ "create", "pods", "exec", true },
	{ "create", "networkpolicies.networking.k8s.io", NULL, true },
	{ "get", "networkpolicies.networking.k8s.io", NULL, true },
};

static void ask_right(const struct self_test *t, const struct right *x, struct kube_child *c)
{
	c->max_out = 64 * RS_KIB;
	kube_begin(t->r, c, "auth");
	kube_words(c, (const char *const[]){ "can-i", x->verb, x->resource, NULL });
	if (x->sub) {
		rs_autofree char *sub = rs_asprintf("--subresource=%s", x->sub);

		kube_word(c, sub);
	}
	if (x->in_namespace)
		kube_words(c, (const char *const[]){ "-n", t->ns, NULL });
	else
		kube_word(c, "-A");
}

/* "no" is an answer, with exit code 1. Any other failure is one. */
static bool may(const struct kube_child *c, struct kube_answer *a)
{
	const char *said = rs_strbuf_str(&c->out);

	if (!strncmp(said, "yes", 3))
		return true;
	if (strncmp(said, "no", 2) != 0 && !a->code && !kube_failed(c, false, a))
		kube_refuse(a, CLI_NO_AGENT,
			    rs_strdup("kubectl auth can-i says neither yes nor no"), NULL);
	return false;
}

/* Asked before anything is made: what may be made and not removed would stay. */
static int check_rights(struct self_test *t)
{
	struct kube_child c[RS_ARRAY_SIZE(rights)] = { 0 };
	struct kube_answer a = { 0 };
	rs_auto_strbuf lacking = { 0 };

	_Static_assert(RS_ARRAY_SIZE(rights) <= KUBE_AT_ONCE, "all are asked at once");
	for (size_t i = 0; i < RS_ARRAY_SIZE(rights); i++)
		ask_right(t, &rights[i], &c[i]);
	kube_spawn(c, RS_ARRAY_SIZE(rights), in_time(SELF_CALL_MS));
	for (size_t i = 0; i < RS_ARRAY_SIZE(rights); i++) {
		const struct right *x = &rights[i];

		if (!may(&c[i], &a))
			rs_strbuf_printf(&lacking, "%s%s %s%s%s", lacking.len ? ", " : "", x->verb,
					 x->resource, x->sub ? "/" : "", x->sub ? x->sub : "");
		kube_child_clear(&c[i]);
	}
	if (a.code)
		t->why = a;
	else if (lacking.len)
		refuse(t, CLI_NO_AGENT, rs_asprintf("you may not: %s", lacking.s),
		       "it makes a namespace with two pods and policies, and removes it; the role "
		       "cluster-admin may");
	return t->why.code;
}

/* ---- objects --------------------------------------------------------------------------------- */

int self_create(struct self_test *t, const char *object)
{
	struct kube_child c = { .input = object, .max_out = 64 * RS_KIB };

	kube_begin(t->r, &c, "create");
	kube_words(&c, (const char *const[]){ "-f", "-", NULL });
	kube_spawn(&c, 1, in_time(SELF_CALL_MS));
	kube_failed(&c, false, &t->why);
	kube_child_clear(&c);
	return t->why.code;
}

static char *random_name(void)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	unsigned char b[6];
	char s[sizeof(b) + 1] = "";

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return NULL;
	for (size_t i = 0; i < sizeof(b); i++)
		s[i] = letters[b[i] % (sizeof(letters) - 1)];
	return rs_asprintf(NAMESPACE "%s", s);
}

/* What became of a create that did not end is not known, so it counts as done; the name is ours. */
static int make_namespace(struct self_test *t)
{
	rs_autofree char *object = rs_asprintf(
		"{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\","
		"\"labels\":{" LABELS ",\"pod-security.kubernetes.io/enforce\":\"restricted\"}}}",
		t->ns);

	t->made = true;
	if (self_create(t, object) && !kube_caught() && t->why.code != CLI_TIMEOUT)
		t->made = false;
	return t->why.code;
}

static void put_texts(struct rs_strbuf *b, const struct self_test *t)
{
	rs_strbuf_puts(b, "\"image\":");
	rs_strbuf_put_json(b, t->image);
	if (t->pull_policy) {
		rs_strbuf_puts(b, ",\"imagePullPolicy\":");
		rs_strbuf_put_json(b, t->pull_policy);
	}
}

/* As strict as it can be: the level "restricted" and more. The client prefers another node. */
static char *pod_object(const struct self_test *t, const char *name, bool elsewhere)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_printf(&b,
			 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\","
			 "\"namespace\":\"%s\",\"labels\":{" LABELS ",\"" ROLE "\":\"%s\"}},"
			 "\"spec\":{\"restartPolicy\":\"Never\",\"activeDeadlineSeconds\":%d,"
			 "\"terminationGracePeriodSeconds\":1,\"enableServiceLinks\":false,"
			 "\"automountServiceAccountToken\":false,"
			 "\"nodeSelector\":{\"kubernetes.io/os\":\"linux\"},"
			 "\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":65532,"
			 "\"runAsGroup\":65532,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},",
			 name, t->ns, name, 2 * CLI_PEER_LIFE_S);
	if (t->pull_secrets)
		rs_strbuf_printf(
			&b, "\"imagePullSecrets\":%s,",
			json_object_to_json_string_ext(t->pull_secrets, JSON_C_TO_STRING_PLAIN));
	if (elsewhere)
		rs_strbuf_puts(
			&b, "\"affinity\":{\"podAntiAffinity\":{"
			    "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":100,"
			    "\"podAffinityTerm\":{\"topologyKey\":\"kubernetes.io/hostname\","
			    "\"labelSelector\":{\"matchLabels\":{" LABELS "}}}}]}},");
	rs_strbuf_puts(&b, "\"containers\":[{\"name\":\"peer\",");
	put_texts(&b, t);
	rs_strbuf_printf(
		&b,
		",\"command\":[\"ripstop\",\"__listen\",\"%d\",\"%d\"],"
		"\"resources\":{\"requests\":{\"cpu\":\"5m\",\"memory\":\"16Mi\"},"
		"\"limits\":{\"cpu\":\"200m\",\"memory\":\"64Mi\"}},"
		"\"securityContext\":{\"allowPrivilegeEscalation\":false,"
		"\"readOnlyRootFilesystem\":true,\"capabilities\":{\"drop\":[\"ALL\"]}}}]}}",
		SELF_PORT, SELF_OTHER_PORT);
	return rs_strbuf_steal(&b);
}

char *self_policy(const struct self_test *t, const char *name, const char *spec)
{
	return rs_asprintf("{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
			   "\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"labels\":{" LABELS
			   "}},\"spec\":%s}",
			   name, t->ns, spec);
}

static int create_pod(struct self_test *t, const char *name, bool elsewhere)
{
	rs_autofree char *object = pod_object(t, name, elsewhere);
	int64_t end = in_time(ACCOUNT_MS);

	while (self_create(t, object)) {
		const char *cause = t->why.cause ? t->why.cause : "";

		if (!strstr(cause, "service account") && !strstr(cause, "serviceaccount"))
			break;
		if (rs_mono_ms() >= end || kube_rest(PAUSE_MS))
			break;
		kube_answer_clear(&t->why);
	}
	return t->why.code;
}

int self_prepare(struct self_test *t)
{
	t->ns = random_name();
	if (!t->ns)
		return refuse(t, CLI_NO_AGENT, rs_asprintf("random bytes: %s", strerror(errno)),
			      NULL);
	if (find_image(t) || check_rights(t))
		return t->why.code;
	return make_namespace(t);
}

/* ---- until they are ready -------------------------------------------------------------------- */

/* A pod that no node takes says why in a condition. */
static const char *why_unscheduled(struct json_object *status)
{
	struct json_object *list = rs_json_get(status, "conditions");

	for (size_t i = 0; i < cli_count(status, "conditions"); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);

		if (!strcmp(rs_json_text(c, "type", ""), "PodScheduled") &&
		    !strcmp(rs_json_text(c, "status", ""), "False"))
			return rs_json_text(c, "message", rs_json_text(c, "reason", "no reason"));
	}
	return NULL;
}

static bool is_valid_ip(const char *text)
{
	struct rs_addr a;

	return text && rs_addr_parse(text, &a, NULL) == 0;
}

static void take_ips(struct self_end *e, struct json_object *status)
{
	struct json_object *list = rs_json_get(status, "podIPs");

	while (e->n_ips)
		free(e->ips[--e->n_ips]);
	for (size_t i = 0; i < cli_count(status, "podIPs") && e->n_ips < 2; i++) {
		const char *ip = rs_json_text(json_object_array_get_idx(list, i), "ip", NULL);

		if (is_valid_ip(ip))
			e->ips[e->n_ips++] = rs_strdup(ip);
	}
}

/* NULL: it is ready. */
static char *read_end(struct self_end *e, struct json_object *pod)
{
	struct json_object *status = rs_json_get(pod, "status");
	const char *unscheduled = why_unscheduled(status);
	rs_autofree char *trouble = kube_pod_trouble(pod, "peer");

	free(e->node);
	e->node = rs_strdup(rs_json_text(rs_json_get(pod, "spec"), "nodeName", NULL));
	take_ips(e, status);
	if (!e->node)
		return rs_asprintf("pod %s is on no node: %s", e->name,
				   unscheduled ? unscheduled : "nobody has scheduled it");
	if (trouble)
		return rs_asprintf("pod %s on %s: %s", e->name, e->node, trouble);
	return e->n_ips ? NULL : rs_asprintf("pod %s on %s has no address", e->name, e->node);
}

static struct json_object *find_end(struct json_object *list, const char *name)
{
	struct json_object *items = rs_json_get(list, "items");

	for (size_t i = 0; i < cli_count(list, "items"); i++) {
		struct json_object *o = json_object_array_get_idx(items, i);

		if (!strcmp(rs_json_text(rs_json_get(o, "metadata"), "name", ""), name))
			return o;
	}
	return NULL;
}

static int look(struct self_test *t, char **trouble)
{
	struct kube_child c = { .max_out = KUBE_MAX_GET };

	kube_begin(t->r, &c, "get");
	kube_words(&c, (const char *const[]){ "pods", "-o", "json", "-n", t->ns, "--",
					      t->server.name, t->client.name, NULL });
	kube_spawn(&c, 1, in_time(SELF_CALL_MS));
	kube_read(&c, "List", false, false, &t->why);
	kube_child_clear(&c);
	if (t->why.code)
		return t->why.code;
	*trouble = read_end(&t->server, find_end(t->why.o, t->server.name));
	if (!*trouble)
		*trouble = read_end(&t->client, find_end(t->why.o, t->client.name));
	kube_answer_clear(&t->why);
	return 0;
}

int self_pods(struct self_test *t, char **trouble)
{
	int64_t end = in_time(t->r->opt.timeout_ms ? t->r->opt.timeout_ms : READY_MS);

	*trouble = NULL;
	if (create_pod(t, t->server.name, false) || create_pod(t, t->client.name, true))
		return t->why.code;
	for (;;) {
		free(rs_steal_ptr(trouble));
		if (look(t, trouble) || !*trouble || rs_mono_ms() >= end || kube_rest(PAUSE_MS))
			return t->why.code;
	}
}

/* ---- its end --------------------------------------------------------------------------------- */

static char *remove_namespace(struct self_test *t)
{
	struct kube_child c = { .max_out = 64 * RS_KIB };
	struct kube_answer a = { 0 };
	char *why = NULL;

	kube_begin(t->r, &c, "delete");
	kube_words(&c, (const char *const[]){ "namespace", "--ignore-not-found", "--wait=false",
					      "--", t->ns, NULL });
	kube_spawn(&c, 1, in_time(SELF_CALL_MS));
	if (kube_failed(&c, false, &a))
		why = rs_strdup(a.cause);
	kube_answer_clear(&a);
	kube_child_clear(&c);
	return why;
}

static bool is_gone(struct self_test *t)
{
	struct kube_child c = { .max_out = KUBE_MAX_GET };
	struct kube_answer a = { 0 };
	bool gone;

	kube_begin(t->r, &c, "get");
	kube_words(&c, (const char *const[]){ "namespaces", "--ignore-not-found", "-o", "json",
					      "--", t->ns, NULL });
	kube_spawn(&c, 1, in_time(SELF_CALL_MS));
	kube_read(&c, "Namespace", false, true, &a);
	gone = !a.code && !a.o;
	kube_answer_clear(&a);
	kube_child_clear(&c);
	return gone;
}

char *self_remove(struct self_test *t, bool wait)
{
	int64_t end;
	char *why;

	/* A signal that has come must not keep us from it, one that comes now may. */
	kube_forget();
	why = remove_namespace(t);
	if (why && kube_caught()) {
		free(why);
		kube_forget();
		why = remove_namespace(t);
		if (!why && wait)
			why = rs_strdup("interrupted before it was gone");
	}
	end = in_time(GONE_MS);
	while (!why && wait && !is_gone(t)) {
		if (kube_rest(PAUSE_MS))
			return rs_strdup("interrupted before it was gone");
		if (rs_mono_ms() >= end)
			return rs_asprintf("it is still there after %d s", GONE_MS / 1000);
	}
	return why;
}
