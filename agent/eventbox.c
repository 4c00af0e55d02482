// SPDX-License-Identifier: Apache-2.0
/* eventbox.c - what becomes a Kubernetes Event, and when; see eventbox.h. */
#include "agent/eventbox.h"

#include <inttypes.h>
#include <string.h>

/* When the last ones were; as many as may be in a minute. */
struct gate {
	int64_t at[RS_EVENTS_A_MINUTE];
	size_t max, n;
};

/* Drops of one kind. */
struct row {
	char *ns, *pod, *uid, *policies; /* with dir: what tells kinds apart */
	enum rs_direction dir;
	struct rs_event_drop last; /* its texts are those above, and peer */
	char *peer;
	uint64_t packets; /* not told yet; of these the first was at first_ns */
	int64_t first_ns;
	bool gathering; /* an Event of it comes at due_ms */
	int64_t due_ms;
	bool told;
	uint64_t turn; /* of the Event that told it last */
	int64_t told_ms;
	int64_t heard_ms;
};

/* A condition of the node, or the faults of a policy. */
struct lasting {
	char *key;
	bool of_node; /* it can end and begin again */
	bool here, was_here;
	bool told;  /* since it began, as far as is known */
	bool asked; /* since it began there was an Event of it */
	bool tried; /* at all */
	int64_t tried_ms;
};

struct rs_eventbox {
	char *node;
	struct rs_vec(struct row) rows;
	struct rs_vec(struct lasting) lasting;
	struct rs_event *first, *newest;
	size_t waiting;
	struct gate all, drops;
	uint64_t results[RS_EVENT_RESULTS];
	int64_t stamp; /* of the last name */
	uint64_t turns;
};

struct rs_eventbox *rs_eventbox_new(const char *node)
{
	struct rs_eventbox *b = rs_new(struct rs_eventbox);

	b->node = rs_strdup(node);
	b->all.max = RS_EVENTS_A_MINUTE;
	b->drops.max = RS_EVENT_DROPS_A_MINUTE;
	return b;
}

static void row_clear(struct row *r)
{
	free(r->ns);
	free(r->pod);
	free(r->uid);
	free(r->policies);
	free(r->peer);
	memset(r, 0, sizeof(*r));
}

static void event_free(struct rs_event *e)
{
	free(e->path);
	free(e->body);
	free(e->lasting);
	free(e);
}

void rs_eventbox_free(struct rs_eventbox *b)
{
	struct rs_event *e;

	if (!b)
		return;
	while ((e = rs_eventbox_take(b)))
		event_free(e);
	for (size_t i = 0; i < b->rows.n; i++)
		row_clear(&b->rows.v[i]);
	for (size_t i = 0; i < b->lasting.n; i++)
		free(b->lasting.v[i].key);
	rs_vec_free(&b->rows);
	rs_vec_free(&b->lasting);
	free(b->node);
	free(b);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static bool gate_open(const struct gate *g, int64_t mono_ms)
{
	return g->n < g->max || mono_ms - g->at[g->n % g->max] >= 60000;
}

static void gate_pass(struct gate *g, int64_t mono_ms)
{
	g->at[g->n++ % g->max] = mono_ms;
}

struct rs_event *rs_eventbox_take(struct rs_eventbox *b)
{
	struct rs_event *e = b->first;

	if (!e)
		return NULL;
	b->first = e->next;
	e->next = NULL;
	b->waiting--;
	return e;
}

static void untell(struct rs_eventbox *b, const char *key)
{
	for (size_t i = 0; i < b->lasting.n; i++)
		if (!strcmp(b->lasting.v[i].key, key))
			b->lasting.v[i].told = false;
}

void rs_eventbox_end(struct rs_eventbox *b, struct rs_event *e, enum rs_event_result r)
{
	b->results[r]++;
	if (r == RS_EVENT_FAILED && e->lasting)
		untell(b, e->lasting);
	/* The next packet tries again, and not five minutes later. */
	for (size_t i = 0; r == RS_EVENT_FAILED && e->turn && i < b->rows.n; i++)
		if (b->rows.v[i].turn == e->turn)
			b->rows.v[i].told = false;
	event_free(e);
}

/* False: there is no such object. */
static bool queue(struct rs_eventbox *b, const struct rs_event_words *w, const char *lasting,
		  uint64_t turn)
{
	struct rs_event *e = rs_new(struct rs_event), *oldest;

	if (!rs_event_compose(w, &e->path, &e->body)) {
		event_free(e);
		b->results[RS_EVENT_FAILED]++;
		return false;
	}
	e->lasting = rs_strdup(lasting);
	e->turn = turn;
	if (b->waiting == RS_EVENT_QUEUE) {
		oldest = rs_eventbox_take(b);
		b->results[RS_EVENT_SUPPRESSED]++;
		if (oldest->lasting)
			untell(b, oldest->lasting);
		event_free(oldest);
	}
	if (b->first)
		b->newest->next = e;
	else
		b->first = e;
	b->newest = e;
	b->waiting++;
	return true;
}

/* What no other Event of this node is called. */
static char *stamp(struct rs_eventbox *b, int64_t wall_ns)
{
	b->stamp = wall_ns > b->stamp ? wall_ns : b->stamp + 1;
	return rs_asprintf("%" PRIx64, (uint64_t)b->stamp);
}

/* ---- drops ----------------------------------------------------------------------------------- */

static bool is_limited_broadcast(const struct rs_addr *a)
{
	char text[RS_ADDR_STRLEN];

	return a->family == RS_AF_IP4 && !strcmp(rs_addr_str(a, text), "255.255.255.255");
}

bool rs_event_of_drop(const struct rs_dp_drop *d)
{
	return (d->reason == RS_DROP_POLICY_INGRESS || d->reason == RS_DROP_POLICY_EGRESS) &&
	       d->src.family && !d->related && !rs_addr_is_multicast(&d->dst) &&
	       !is_limited_broadcast(&d->dst);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

static struct row *row_of(struct rs_eventbox *b, const struct rs_event_drop *d)
{
	struct row *quiet = NULL, *r;

	for (size_t i = 0; i < b->rows.n; i++) {
		r = &b->rows.v[i];
		if (r->dir == d->dir && !strcmp(r->pod, d->pod) && !strcmp(r->ns, d->ns) &&
		    same_text(r->uid, d->uid) && !strcmp(r->policies, d->policies))
			return r;
		if (!quiet || r->heard_ms < quiet->heard_ms)
			quiet = r;
	}
	if (b->rows.n < RS_EVENT_ROWS) {
		r = rs_vec_push(&b->rows);
	} else {
		r = quiet;
		b->results[RS_EVENT_SUPPRESSED] += r->gathering;
		row_clear(r);
	}
	r->ns = rs_strdup(d->ns);
	r->pod = rs_strdup(d->pod);
	r->uid = rs_strdup(d->uid);
	r->policies = rs_strdup(d->policies);
	r->dir = d->dir;
	return r;
}

static void remember(struct row *r, const struct rs_event_drop *d)
{
	bool more = r->packets && r->last.more;

	if (!r->packets++)
		r->first_ns = d->time_ns;
	if (!same_text(r->peer, d->peer)) {
		free(r->peer);
		r->peer = rs_strdup(d->peer);
	}
	r->last = *d;
	r->last.more |= more;
	r->last.ns = r->ns;
	r->last.pod = r->pod;
	r->last.uid = r->uid;
	r->last.policies = r->policies;
	r->last.peer = r->peer;
}

void rs_eventbox_drop(struct rs_eventbox *b, const struct rs_event_drop *d, int64_t mono_ms)
{
	struct row *r = row_of(b, d);

	remember(r, d);
	r->heard_ms = mono_ms;
	if (r->gathering || (r->told && mono_ms - r->told_ms < RS_EVENT_QUIET_MS)) {
		b->results[RS_EVENT_SUPPRESSED]++;
		return;
	}
	r->gathering = true;
	r->due_ms = mono_ms + RS_EVENT_GATHER_MS;
}

static void tell_row(struct rs_eventbox *b, struct row *r, int64_t mono_ms, int64_t wall_ns)
{
	rs_autofree char *note = rs_event_drop_note(&r->last, r->packets);
	rs_autofree char *tail = stamp(b, wall_ns);
	struct rs_event_words w = {
		.about = { "v1", "Pod", r->ns, r->pod, r->uid },
		.node = b->node,
		.reason = "PolicyDrop",
		.action = "Drop",
		.note = note,
		.tail = tail,
		.first_ns = r->first_ns,
		.last_ns = r->last.time_ns,
		.count = r->packets,
	};

	r->turn = ++b->turns;
	if (queue(b, &w, NULL, r->turn)) {
		gate_pass(&b->all, mono_ms);
		gate_pass(&b->drops, mono_ms);
	}
	r->told = true;
	r->told_ms = mono_ms;
	r->packets = 0;
}

void rs_eventbox_turn(struct rs_eventbox *b, int64_t mono_ms, int64_t wall_ns)
{
	for (size_t i = 0; i < b->rows.n; i++) {
		struct row *r = &b->rows.v[i];

		if (!r->gathering || mono_ms < r->due_ms)
			continue;
		r->gathering = false;
		if (gate_open(&b->all, mono_ms) && gate_open(&b->drops, mono_ms))
			tell_row(b, r, mono_ms, wall_ns);
		else
			b->results[RS_EVENT_SUPPRESSED]++;
	}
}

/* ---- what lasts ------------------------------------------------------------------------------ */

/* Told of the policy itself, or by the lack of Events. */
static bool is_told_elsewhere(const struct rs_condition *c)
{
	return !c->about && (!strcmp(c->type, "InvalidPolicy") || !strcmp(c->type, "Events"));
}

/* A policy's is the same on every node, and so is its Event's name: the API server takes one. */
static char *key_of(const struct rs_condition *c)
{
	if (!c->about)
		return rs_strdup(c->type);
	return rs_asprintf("%s.%" PRId64, c->about->uid ? c->about->uid : c->about->name,
			   c->about->generation);
}

static struct lasting *lasting_of(struct rs_eventbox *b, const struct rs_condition *c,
				  const char *key)
{
	struct lasting *old = NULL, *l;

	for (size_t i = 0; i < b->lasting.n; i++) {
		l = &b->lasting.v[i];
		if (l->of_node == !c->about && !strcmp(l->key, key))
			return l;
		if (!l->here && !l->was_here && (!old || l->tried_ms < old->tried_ms))
			old = l;
	}
	if (b->lasting.n < RS_EVENT_LASTING)
		l = rs_vec_push(&b->lasting);
	else if (old)
		l = old;
	else
		return NULL;
	free(l->key);
	*l = (struct lasting){ .key = rs_strdup(key), .of_node = !c->about };
	return l;
}

static bool is_due(const struct rs_eventbox *b, const struct lasting *l, int64_t mono_ms)
{
	return !l->told && (!l->tried || mono_ms - l->tried_ms >= RS_EVENT_QUIET_MS) &&
	       gate_open(&b->all, mono_ms);
}

/* more: lines of the same that stand behind this one. */
static void tell_lasting(struct rs_eventbox *b, struct lasting *l, const struct rs_condition *c,
			 size_t more, const struct rs_event_about *node, int64_t wall_ns)
{
	rs_autofree char *rest = more ? rs_asprintf(" (and %zu more)", more) : rs_strdup("");
	rs_autofree char *note = rs_asprintf("%.900s%s", c->text, rest);
	rs_autofree char *tail = c->about ? rs_strdup(l->key) : stamp(b, wall_ns);
	struct rs_event_words w = {
		.about = *node,
		.node = b->node,
		.reason = c->type,
		.action = c->about ? "Compile" : "Check",
		.note = note,
		.tail = tail,
		.first_ns = wall_ns,
		.last_ns = wall_ns,
		.count = 1,
	};

	if (c->about)
		w.about = (struct rs_event_about){ "networking.k8s.io/v1", "NetworkPolicy",
						   c->about->ns, c->about->name, c->about->uid };
	queue(b, &w, l->key, 0);
}

static bool is_same(const struct rs_condition *a, const struct rs_condition *b)
{
	if (strcmp(a->type, b->type) != 0 || !a->about != !b->about)
		return false;
	return !a->about ||
	       (!strcmp(a->about->ns, b->about->ns) && !strcmp(a->about->name, b->about->name));
}

/* It is there; more: so many lines of it besides. */
static void see(struct rs_eventbox *b, const struct rs_condition *c, size_t more,
		const struct rs_event_about *node, int64_t mono_ms, int64_t wall_ns)
{
	rs_autofree char *key = key_of(c);
	struct lasting *l = lasting_of(b, c, key);

	if (!l || l->here)
		return;
	l->here = true;
	if (!is_due(b, l, mono_ms))
		return;
	l->told = l->asked = l->tried = true;
	l->tried_ms = mono_ms;
	gate_pass(&b->all, mono_ms);
	tell_lasting(b, l, c, more, node, wall_ns);
}

static void ended(struct rs_eventbox *b, struct lasting *l)
{
	b->results[RS_EVENT_SUPPRESSED] += !l->asked;
	/* A policy's fault is that of its generation for ever. */
	l->asked = !l->of_node;
	if (l->of_node)
		l->told = false;
}

void rs_eventbox_lasting(struct rs_eventbox *b, const struct rs_conditions *c,
			 const struct rs_event_about *node, int64_t mono_ms, int64_t wall_ns)
{
	for (size_t i = 0; i < b->lasting.n; i++) {
		b->lasting.v[i].was_here = b->lasting.v[i].here;
		b->lasting.v[i].here = false;
	}
	for (size_t i = 0, same, faults = 0; i < c->n; i += same) {
		for (same = 1; i + same < c->n && is_same(&c->v[i], &c->v[i + same]);)
			same++;
		if (is_told_elsewhere(&c->v[i]) || (c->v[i].about && faults++ >= RS_EVENT_FAULTS))
			continue;
		see(b, &c->v[i], same - 1, node, mono_ms, wall_ns);
	}
	for (size_t i = 0; i < b->lasting.n; i++)
		if (b->lasting.v[i].was_here && !b->lasting.v[i].here)
			ended(b, &b->lasting.v[i]);
}

/* ---- for those who report -------------------------------------------------------------------- */

uint64_t rs_eventbox_count(const struct rs_eventbox *b, enum rs_event_result r)
{
	return b->results[r];
}

size_t rs_eventbox_waiting(const struct rs_eventbox *b)
{
	return b->waiting;
}
