// SPDX-License-Identifier: Apache-2.0
/*
 * capwhy.c - the comment of a packet: what became of it, and by which policy.
 *
 * The reason is the agent's: its drop records say it for the flow at that time. The kernel limits
 * them (log-rate), so a packet may be without one, and then its comment says so.
 */
#include "cli/capture/seeing.h"

#include <string.h>

#include "cli/put_record.h"
#include "cli/recordfit.h"

#define KEPT 4096

struct capture_why {
	struct cli_run *r;
	bool asks;    /* an agent lives */
	int64_t next; /* id of its next record; 0: nothing was asked yet */
	struct rs_vec(struct json_object *) records;
};

/* The agent's answers, told to nobody: a capture goes on without them. */
static struct json_object *ask(struct capture_why *w)
{
	struct json_object *req = json_object_new_object(), *o = NULL;
	rs_auto_strbuf told = { 0 };

	json_object_object_add(req, "from", json_object_new_int64(w->next ? w->next : INT64_MAX));
	cli_say_into(&told);
	if (cli_call(w->r, req, "records", "FlowRecords", &o))
		o = NULL;
	cli_say_into(NULL);
	return o;
}

static void keep(struct capture_why *w, struct json_object *page)
{
	struct json_object *items = rs_json_get(page, "items");

	for (size_t i = 0; i < cli_count(page, "items"); i++) {
		if (w->records.n == KEPT) {
			json_object_put(w->records.v[0]);
			memmove(w->records.v, w->records.v + 1, (KEPT - 1) * sizeof(*w->records.v));
			w->records.n--;
		}
		*rs_vec_push(&w->records) = json_object_get(json_object_array_get_idx(items, i));
	}
}

/* What came since the last time. An agent that began anew counts from 1 again. */
static void refresh(struct capture_why *w)
{
	bool more = w->asks;

	while (more) {
		rs_autojson struct json_object *page = ask(w);
		int64_t next = json_object_get_int64(rs_json_get(page, "next"));

		more = page && next >= 1;
		w->asks = more;
		if (!more)
			return;
		keep(w, page);
		more = cli_true(page, "more") && next > w->next;
		w->next = next;
	}
}

struct capture_why *capture_why_new(struct cli_run *r)
{
	struct capture_why *w = rs_new(struct capture_why);

	w->r = r;
	w->asks = cli_self.agent_lives && cli_self.agent_lives(r);
	refresh(w);
	return w;
}

void capture_why_free(struct capture_why *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->records.n; i++)
		json_object_put(w->records.v[i]);
	rs_vec_free(&w->records);
	free(w);
}

/* ---- the record of a packet ------------------------------------------------------------------ */

static struct json_object *find(const struct capture_why *w, const struct rs_dp_drop *d)
{
	struct cli_tuple t = { .src = d->src,
			       .dst = d->dst,
			       .proto = d->proto,
			       .sport = d->has_ports ? d->sport : -1,
			       .dport = d->has_ports ? d->dport : -1 };

	for (size_t i = w->records.n; i-- > 0;)
		if (cli_record_is_of(w->records.v[i], &t))
			return w->records.v[i];
	return NULL;
}

static char *of_record(struct json_object *record)
{
	struct cli_run into = { .opt = { .output = CLI_WIDE } };
	char *text;

	cli_put_why(&into, record, true);
	text = rs_asprintf("dropped, %s:%s", rs_json_text(record, "reason", "?"),
			   rs_strbuf_str(&into.out));
	rs_strbuf_free(&into.out);
	return text;
}

static char *without_record(const struct capture_why *w, const struct rs_capture_packet *p)
{
	return rs_asprintf("dropped by Ripstop's %s; %s",
			   p->fate == RS_CAPTURE_GUARD ? "guard of the pod's link"
						       : "verdict of policy",
			   w->asks ? "no drop record tells why (noise of the pod's own, or over "
				     "the log limit)"
				   : "why is not known: no agent answers");
}

char *capture_why(struct capture_why *w, const struct rs_capture_packet *p)
{
	struct json_object *record;

	switch (p->fate) {
	case RS_CAPTURE_PASSED:
		return rs_strdup("passed");
	case RS_CAPTURE_UNKNOWN:
		return rs_strdup("verdict not known: copies were lost, or the capture ended");
	default:
		break;
	}
	record = find(w, &p->head);
	if (!record) {
		refresh(w);
		record = find(w, &p->head);
	}
	return record ? of_record(record) : without_record(w, p);
}
