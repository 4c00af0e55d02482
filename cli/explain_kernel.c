// SPDX-License-Identifier: Apache-2.0
/* explain_kernel.c - `explain --kernel`: what the rules in the kernel do, beside what the objects
 * say. */
#include "cli/cli.h"

#include <string.h>
#include <time.h>

#include "cli/recordfit.h"

#define READINGS 5
#define PAUSE_MS 100

static struct json_object *one(struct json_object *list, size_t i)
{
	return json_object_array_get_idx(list, i);
}

static bool disagrees(struct json_object *kernel)
{
	struct json_object *agrees = rs_json_get(kernel, "agrees");

	return json_object_is_type(agrees, json_type_boolean) && !json_object_get_boolean(agrees);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static uint64_t generation(struct json_object *o)
{
	return json_object_get_uint64(rs_json_get(rs_json_get(o, "metadata"), "generation"));
}

static bool is_settled(struct json_object *o)
{
	return cli_true(rs_json_get(o, "local"), "committed");
}

static int walk(struct json_object *o)
{
	rs_auto_err err = { 0 };
	int rc = cli_self.kernel(o, &err);

	if (rc == 0)
		return 0;
	cli_error(err.hint, "%s", rs_err_str(&err));
	return CLI_NO_AGENT;
}

static void pause_a_moment(void)
{
	struct timespec t = { .tv_nsec = PAUSE_MS * 1000000L };

	nanosleep(&t, NULL);
}

/* What was not committed yet is no disagreement. */
static void not_compared(struct json_object *o)
{
	struct json_object *k = one(rs_json_get(o, "kernels"), 0);

	json_object_object_del(k, "agrees");
	rs_json_add_str(k, "note", "not compared: the agent is about to commit newer objects");
}

static void note_mended(struct json_object *o)
{
	rs_json_add_str(one(rs_json_get(o, "kernels"), 0), "note",
			"a moment ago it did not agree: it has been mended since (ripstop verify)");
}

/* ---- the last drop --------------------------------------------------------------------------- */

static bool read_tuple(struct json_object *o, struct cli_tuple *t)
{
	struct json_object *port = rs_json_get(o, "port");

	if (rs_addr_parse(rs_json_text(rs_json_get(o, "source"), "ip", ""), &t->src, NULL) < 0 ||
	    rs_addr_parse(rs_json_text(rs_json_get(o, "destination"), "ip", ""), &t->dst, NULL) < 0)
		return false;
	t->proto = cli_protocol(rs_json_text(o, "protocol", ""), t->src.family);
	t->sport = -1;
	t->dport = port ? json_object_get_int(port) : -1;
	return true;
}

/* The newest record of a page that is of the flow, either way; NULL: none. */
static struct json_object *newest(struct json_object *page, const struct cli_tuple *t)
{
	struct cli_tuple back = {
		.src = t->dst, .dst = t->src, .proto = t->proto, .sport = t->dport, .dport = -1
	};
	struct json_object *items = rs_json_get(page, "items");

	for (size_t i = cli_count(page, "items"); i-- > 0;)
		if (cli_record_is_of(one(items, i), t) || cli_record_is_of(one(items, i), &back))
			return one(items, i);
	return NULL;
}

/* Without records there is nothing to add: status says why there are none. */
static struct json_object *ask_page(struct cli_run *r, int64_t from)
{
	struct json_object *req = json_object_new_object(), *page = NULL;
	rs_auto_strbuf told = { 0 };

	json_object_object_add(req, "from", json_object_new_int64(from));
	cli_say_into(&told);
	if (cli_call(r, req, "records", "FlowRecords", &page))
		page = NULL;
	cli_say_into(NULL);
	return page;
}

static void add_last_drop(struct cli_run *r, struct json_object *o)
{
	struct json_object *found = NULL, *drop;
	struct cli_tuple t;
	int64_t from = 1, next = read_tuple(o, &t) ? 2 : 0;
	bool more = next > from;

	while (more) {
		rs_autojson struct json_object *page = ask_page(r, from);
		struct json_object *last = newest(page, &t);

		if (last) {
			json_object_put(found);
			found = json_object_get(last);
		}
		next = json_object_get_int64(rs_json_get(page, "next"));
		more = cli_true(page, "more") && next > from;
		from = next;
	}
	if (!found)
		return;
	drop = json_object_new_object();
	rs_json_add_str(drop, "time", rs_json_text(found, "time", ""));
	rs_json_add_str(drop, "reason", rs_json_text(found, "reason", ""));
	json_object_object_add(one(rs_json_get(o, "kernels"), 0), "lastDrop", drop);
	json_object_put(found);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int compare(struct cli_run *r, struct json_object *(*request)(const struct cli_run *),
		   struct json_object **o)
{
	bool differed = false;
	int code;

	for (int i = 0;; i++) {
		uint64_t before = generation(*o);
		bool settled = is_settled(*o);

		code = walk(*o);
		if (code || !disagrees(one(rs_json_get(*o, "kernels"), 0)))
			break;
		if (differed && settled)
			return 0; /* twice, of one generation */
		if (i + 1 == READINGS) {
			not_compared(*o);
			return 0;
		}
		pause_a_moment();
		json_object_put(rs_steal_ptr(o));
		code = cli_call(r, request(r), "explain", "ExplainResult", o);
		if (code)
			return code;
		differed = settled && generation(*o) == before;
	}
	if (!code && differed)
		note_mended(*o);
	return code;
}

int cli_kernel_compare(struct cli_run *r, struct json_object *(*request)(const struct cli_run *),
		       struct json_object **o)
{
	int code;

	if (!cli_self.kernel)
		return 0; /* those that were asked have done it */
	code = compare(r, request, o);
	if (code == 0)
		add_last_drop(r, *o);
	return code;
}

/* ---- showing --------------------------------------------------------------------------------- */

static void put_found(struct cli_run *r, struct json_object *step)
{
	struct json_object *list = rs_json_get(step, "found");
	size_t i, n = cli_count(step, "found");

	for (i = 0; i < n; i++) {
		struct json_object *e = one(list, i), *judged = rs_json_get(e, "judged");
		const char *comment = rs_json_text(e, "comment", NULL);
		const char *value = rs_json_text(e, "value", NULL);

		if (i && json_object_equal(e, one(list, i - 1)))
			continue; /* looked up by two rules */
		cli_put(r, "         found ");
		cli_put_safe(r, rs_json_text(e, "set", "?"));
		cli_put(r, " { ");
		cli_put_safe(r, rs_json_text(e, "key", "?"));
		if (value) {
			cli_put(r, " : ");
			cli_put_safe(r, value);
		}
		cli_put(r, " }");
		if (comment) {
			cli_put(r, "  ");
			cli_put_safe(r, comment);
		}
		if (json_object_is_type(judged, json_type_int))
			cli_putf(r, "  judged %llu times",
				 (unsigned long long)json_object_get_uint64(judged));
		cli_put(r, "\n");
	}
}

static void put_rule(struct cli_run *r, struct json_object *step)
{
	struct json_object *handle = rs_json_get(step, "handle"),
			   *counter = rs_json_get(step, "counter");
	const char *comment = rs_json_text(step, "comment", NULL);
	const char *program = rs_json_text(step, "program", NULL);

	if (program) {
		cli_put(r, "program ");
		cli_put_safe(r, program);
	} else if (!rs_json_get(step, "chain")) {
		cli_put(r, "no chain there");
	} else {
		cli_put(r, "chain ");
	}
	cli_put_safe(r, rs_json_text(step, "chain", ""));
	if (handle)
		cli_putf(r, ", rule %llu", (unsigned long long)json_object_get_uint64(handle));
	else if (rs_json_get(step, "chain"))
		cli_put(r, ", at its end");
	if (comment) {
		cli_put(r, " (");
		cli_put_safe(r, comment);
		cli_put(r, ")");
	}
	if (counter) {
		cli_put(r, ", ");
		cli_put_safe(r, rs_json_text(counter, "name", "?"));
		cli_putf(r, ": %llu packets so far",
			 (unsigned long long)json_object_get_uint64(
				 rs_json_get(counter, "packets")));
	}
}

/* The hook that decided, with what it found; those before it in a line each. */
static void put_packet(struct cli_run *r, struct json_object *packet, bool found)
{
	struct json_object *hooks = rs_json_get(packet, "hooks");
	size_t i, n = cli_count(packet, "hooks");

	cli_put(r, "     ");
	cli_put_safe(r, rs_json_text(packet, "packet", "?"));
	cli_putf(r, ": %s",
		 strcmp(rs_json_text(packet, "verdict", ""), "allowed") ? "dropped" : "passes");
	cli_put(r, "\n");
	for (i = 0; i < n; i++) {
		struct json_object *step = one(hooks, i);

		cli_put(r, "       ");
		cli_put_safe(r, rs_json_text(step, "hook", "?"));
		cli_put(r, " ");
		cli_put_safe(r, rs_json_text(step, "verdict", "?"));
		cli_put(r, " by ");
		put_rule(r, step);
		cli_put(r, "\n");
		if (found && i + 1 == n)
			put_found(r, step);
	}
}

static void put_head(struct cli_run *r, struct json_object *k)
{
	const char *node = rs_json_text(k, "node", NULL), *note = rs_json_text(k, "note", NULL);
	bool passes = !strcmp(rs_json_text(k, "verdict", ""), "allowed");

	cli_put(r, "Kernel ");
	if (node) {
		cli_put(r, "of ");
		cli_put_safe(r, node);
		cli_put(r, " ");
	}
	if (disagrees(k))
		cli_put_colored(r, CLI_BAD, "DISAGREES");
	else if (cli_true(k, "agrees"))
		cli_put_colored(r, CLI_GOOD, "agrees");
	else
		cli_put(r, cli_true(k, "asked") ? "not compared" : "not asked");
	if (rs_json_get(k, "verdict"))
		cli_put(r, passes ? ": it lets the flow pass" : ": it drops the flow");
	cli_put(r, "\n");
	if (note) {
		cli_put(r, "     ");
		cli_put_safe(r, note);
		cli_put(r, "\n");
	}
}

static void put_last_drop(struct cli_run *r, struct json_object *drop)
{
	if (!drop)
		return;
	cli_put(r, "     last drop of such a packet: ");
	cli_put_safe(r, rs_json_text(drop, "time", "?"));
	cli_put(r, ", ");
	cli_put_safe(r, rs_json_text(drop, "reason", "?"));
	cli_put(r, "\n");
}

/* Whether the last hook of both decided by the same elements. */
static bool same_way(struct json_object *a, struct json_object *b)
{
	struct json_object *x = rs_json_get(a, "hooks"), *y = rs_json_get(b, "hooks");
	size_t n = cli_count(a, "hooks"), m = cli_count(b, "hooks");

	return n && m &&
	       json_object_equal(rs_json_get(one(x, n - 1), "found"),
				 rs_json_get(one(y, m - 1), "found"));
}

/* The first packet says it; the others where they matter, because the kernel differs. */
static void put_kernel(struct cli_run *r, struct json_object *k)
{
	struct json_object *packets = rs_json_get(k, "packets");
	size_t i, n = cli_count(k, "packets");

	put_head(r, k);
	put_last_drop(r, rs_json_get(k, "lastDrop"));
	for (i = 0; i < n && (!i || disagrees(k)); i++)
		put_packet(r, one(packets, i), !i || !same_way(one(packets, 0), one(packets, i)));
	if (n > 1 && !disagrees(k))
		cli_put(r, "     an established flow that is judged anew, and its answers: the "
			   "same verdict holds\n");
}

void cli_kernel_put(struct cli_run *r, struct json_object *o)
{
	struct json_object *list = rs_json_get(o, "kernels");
	size_t i, n = cli_count(o, "kernels");

	for (i = 0; i < n; i++)
		put_kernel(r, one(list, i));
}

int cli_kernel_exit(struct json_object *o, int code)
{
	struct json_object *list = rs_json_get(o, "kernels");
	size_t i, n = cli_count(o, "kernels");
	rs_autofree char *hint = NULL;

	for (i = 0; i < n; i++) {
		if (!disagrees(one(list, i)))
			continue;
		hint = rs_asprintf("this is a bug, or somebody has changed the rules: %sripstop "
				   "verify tells what differs, and please report it with the file "
				   "of: %sripstop bundle",
				   cli_self.before, cli_self.before);
		cli_error(hint, "the kernel of %s does not do what the objects say",
			  rs_json_text(one(list, i), "node", "this node"));
		return CLI_DISAGREES;
	}
	return code;
}
