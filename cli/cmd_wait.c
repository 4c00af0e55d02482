// SPDX-License-Identifier: Apache-2.0
/* cmd_wait.c - `ripstop wait`: return when a policy or a pod's rules are in force. */
#include <string.h>
#include <time.h>

#include "cli/wait.h"

#define ASK_MS 5000 /* one question */
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 1000

/* ---- operand --------------------------------------------------------------------------------- */

static bool begins(const char **text, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*text, word, len) != 0)
		return false;
	*text += len;
	return true;
}

/* policy/NS/NAME, pod/NS/NAME; without NS the namespace of -n, else default. */
static int parse(const struct cli_run *r, struct cli_wait *w)
{
	const char *text = r->operands[0], *slash;

	w->policy = begins(&text, "policy/") || begins(&text, "netpol/") ||
		    begins(&text, "networkpolicy/");
	if ((!w->policy && !begins(&text, "pod/")) || !*text)
		goto none;
	slash = strchr(text, '/');
	if (slash && (slash == text || !slash[1] || strchr(slash + 1, '/')))
		goto none;
	w->ns = slash		   ? rs_strndup(text, (size_t)(slash - text))
		: r->opt.namespace ? rs_strdup(r->opt.namespace)
				   : rs_strdup("default");
	w->name = rs_strdup(slash ? slash + 1 : text);
	return 0;
none:
	cli_error("policy/NAMESPACE/NAME or pod/NAMESPACE/NAME", "wait: \"%s\" is neither",
		  r->operands[0]);
	return CLI_USAGE;
}

/* ---- this node ------------------------------------------------------------------------------- */

/* cli_call() itself tells that a policy does not exist. */
int cli_wait_round(struct cli_run *r, struct cli_wait *w, struct json_object *nodes, bool *done)
{
	struct json_object *req = json_object_new_object();
	rs_autojson struct json_object *list = NULL;
	int code;

	rs_json_add_str(req, "namespace", w->ns);
	if (w->policy)
		rs_json_add_str(req, "name", w->name);
	code = cli_call(r, req, w->policy ? "policies" : "pods",
			w->policy ? "PolicyList" : "PodList", &list);
	if (code)
		return code;
	*done = cli_wait_judge(w, rs_json_text(rs_json_get(list, "metadata"), "node", "this node"),
			       list, nodes);
	if (!w->policy &&
	    strstr(rs_json_text(json_object_array_get_idx(nodes, 0), "why", ""), "no such pod")) {
		cli_error("ripstop pods lists those of this node", "no pod %s/%s on this node",
			  w->ns, w->name);
		return CLI_NOT_FOUND;
	}
	return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void sleep_ms(int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

char *cli_wait_why(struct json_object *nodes)
{
	rs_auto_strbuf b = { 0 };

	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		struct json_object *o = json_object_array_get_idx(nodes, i);

		if (!cli_true(o, "enforced"))
			rs_strbuf_printf(&b, "%s%s: %s", b.len ? "; " : "",
					 rs_json_text(o, "node", "this node"),
					 rs_json_text(o, "why", "?"));
	}
	return rs_strbuf_steal(&b);
}

static void tell_timeout(const struct cli_run *r, struct json_object *nodes)
{
	rs_autofree char *why = cli_wait_why(nodes);

	cli_error("ripstop status says what an agent waits for; --timeout SECONDS waits longer",
		  "%s is not in force: %s", r->operands[0], why);
}

int cli_wait(struct cli_run *r, struct cli_wait *w, int64_t limit, struct json_object **nodes,
	     bool *done)
{
	int64_t deadline = rs_mono_ms() + limit, pause = PAUSE_FIRST_MS;
	rs_autojson struct json_object *former = NULL;
	int code;

	w->deadline = deadline;
	*done = false;
	for (;;) {
		int64_t begun = rs_mono_ms(), left = deadline - begun, took;

		json_object_put(former);
		former = rs_steal_ptr(nodes);
		w->answered = former != NULL;
		*nodes = json_object_new_array();
		r->opt.timeout_ms = left < 1 ? 1 : left < ASK_MS ? (int)left : ASK_MS;
		code = (cli_self.wait_round ? cli_self.wait_round : cli_wait_round)(r, w, *nodes,
										    done);
		took = rs_mono_ms() - begun;
		left = deadline - rs_mono_ms();
		/* A round that is cut off says less than the one before it. */
		if (!code && !*done && left <= 0 && former) {
			json_object_put(*nodes);
			*nodes = rs_steal_ptr(&former);
		}
		if (code || *done || left <= pause + took)
			return code;
		sleep_ms(pause);
		pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
	}
}

static int wait(struct cli_run *r, struct cli_wait *w, struct json_object **nodes)
{
	int limit = r->opt.timeout_ms ? r->opt.timeout_ms : CLI_WAIT_MS, code;
	bool done;

	code = cli_wait(r, w, limit, nodes, &done);
	if (code || done)
		return code;
	tell_timeout(r, *nodes);
	return CLI_TIMEOUT;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static struct json_object *result(const struct cli_run *r, const struct cli_wait *w,
				  struct json_object *nodes)
{
	struct json_object *o = json_object_new_object(), *meta = json_object_new_object();

	rs_json_add_str(o, "apiVersion", "ripstop.dev/v1");
	rs_json_add_str(o, "kind", "WaitResult");
	rs_json_add_str(meta, "source", r->kube ? "kubectl" : "agent");
	json_object_object_add(o, "metadata", meta);
	rs_json_add_str(o, "object", w->policy ? "policy" : "pod");
	rs_json_add_str(o, "namespace", w->ns);
	rs_json_add_str(o, "name", w->name);
	rs_json_add_str(o, "uid", w->uid);
	if (w->generation)
		json_object_object_add(o, "objectGeneration", json_object_new_int64(w->generation));
	json_object_object_add(o, "enforced", json_object_new_boolean(true));
	json_object_object_add(o, "nodes", json_object_get(nodes));
	return o;
}

static void put_screen(struct cli_run *r, const struct cli_wait *w, struct json_object *nodes)
{
	size_t n = json_object_array_length(nodes), pods = 0;

	for (size_t i = 0; i < n; i++)
		pods += json_object_get_uint64(
			rs_json_get(json_object_array_get_idx(nodes, i), "pods"));
	cli_putf(r, "%s ", w->policy ? "policy" : "pod");
	cli_put_safe(r, w->ns);
	cli_put(r, "/");
	cli_put_safe(r, w->name);
	cli_put_colored(r, CLI_GOOD, " is in force");
	if (n == 1) {
		cli_put(r, " on ");
		cli_put_safe(r, rs_json_text(json_object_array_get_idx(nodes, 0), "node", "?"));
	} else {
		cli_putf(r, " on %zu nodes", n);
	}
	if (w->policy)
		cli_putf(r, ", for %zu pod%s", pods, pods == 1 ? "" : "s");
	cli_put(r, "\n");
}

int cli_cmd_wait(struct cli_run *r)
{
	struct json_object *nodes = NULL;
	struct cli_wait w = { 0 };
	int code = parse(r, &w);

	if (!code)
		code = wait(r, &w, &nodes);
	if (!code && cli_wants_object(r)) {
		rs_autojson struct json_object *o = result(r, &w, nodes);

		cli_put_object(r, o);
	} else if (!code) {
		put_screen(r, &w, nodes);
	}
	json_object_put(nodes);
	free(w.ns);
	free(w.name);
	free(w.uid);
	return code;
}
