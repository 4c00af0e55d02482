// SPDX-License-Identifier: Apache-2.0
/*
 * replay_random.c - `random SEED N`: N random events for registry and reconciler, as plugin, API server
 * and kernel make them: ADD, DEL, objects that come and go, runs now and then, commits that fail, kinds
 * that are not known for a while, restarts. In the end everything is committed; what must hold then:
 * what is in force is what one compile from nothing gives, and this node's pods are those whose ADD was
 * answered well and that had no DEL.
 */
#include <string.h>

#include "tests/prove/prove.h"
#include "tests/replay/replay_player.h"

#define PODS 6
#define POLICIES 4
#define PLACES 8 /* addresses of this node */

struct place {	     /* an address, and who holds it */
	char id[16]; /* container, "" when nobody */
	bool waits;  /* its ADD is not answered yet */
};

struct random {
	struct player *p;
	struct pv_rng rng;
	struct place places[PLACES];
	uint32_t serial;
};

static const char *app(struct random *r)
{
	static const char *const apps[] = { "api", "db", "web" };

	return apps[pv_below(&r->rng, 3)];
}

static int put(struct random *r, char *text)
{
	rs_autofree char *owned = text;
	rs_auto_err err = { 0 };

	return stage_put(&r->p->s, owned, &err) < 0 ? play_fail(r->p, "%s", rs_err_str(&err)) : 0;
}

/* ---- objects --------------------------------------------------------------------------------- */

static int put_pod(struct random *r)
{
	/* Elsewhere, with a claim to an address of this node, or without one. */
	static const char *const status[] = { "{podIPs: [{ip: 10.7.2.%u}]}",
					      "{podIPs: [{ip: 10.7.1.%u}]}", "{phase: Pending}" };
	const char *text = status[pv_below(&r->rng, 3)], *at = strstr(text, "%u");
	uint32_t n = pv_below(&r->rng, PODS);
	rs_autofree char *told = at ? rs_asprintf("%.*s%u%s", (int)(at - text), text,
						  2 + pv_below(&r->rng, PLACES), at + 2)
				    : rs_strdup(text);

	return put(r, rs_asprintf("{apiVersion: v1, kind: Pod, metadata: {namespace: shop, "
				  "name: p%u, uid: u%u, labels: {app: %s}}, status: %s}",
				  n, ++r->serial, app(r), told));
}

static int put_policy(struct random *r)
{
	static const char *const rules[] = {
		"ingress: []",
		"ingress: [{from: [{podSelector: {matchLabels: {app: %s}}}]}]",
		"ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}], egress: [{}]",
		"egress: [{to: [{ipBlock: {cidr: 10.7.2.0/29}}], ports: [{port: 80}]}]",
	};
	rs_autofree char *rule = NULL;
	const char *text = rules[pv_below(&r->rng, 4)], *at = strstr(text, "%s");

	rule = at ? rs_asprintf("%.*s%s%s", (int)(at - text), text, app(r), at + 2)
		  : rs_strdup(text);
	return put(r, rs_asprintf("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, "
				  "metadata: {namespace: shop, name: np%u}, spec: "
				  "{podSelector: {matchLabels: {app: %s}}, %s}}",
				  pv_below(&r->rng, POLICIES), app(r), rule));
}

static int put_namespace(struct random *r)
{
	return put(r, rs_asprintf("{apiVersion: v1, kind: Namespace, metadata: {name: shop, "
				  "labels: {team: %s}}}",
				  pv_chance(&r->rng, 50) ? "a" : "b"));
}

static int drop_object(struct random *r)
{
	bool pod = pv_chance(&r->rng, 50);
	rs_autofree char *name =
		rs_asprintf("%s%u", pod ? "p" : "np", pv_below(&r->rng, pod ? PODS : POLICIES));

	stage_delete(&r->p->s, pod ? RS_KIND_POD : RS_KIND_POLICY, "shop", name);
	return 0;
}

/* ---- pods of this node ----------------------------------------------------------------------- */

static void done(void *arg, const struct rs_outcome *o)
{
	struct place *place = arg;

	if (place)
		place->waits = o->err;
}

static struct stage_link *free_link(struct stage *s)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (!s->links[i].ifindex)
			return &s->links[i];
	return s->n_links < STAGE_MAX ? &s->links[s->n_links++] : NULL;
}

static int attach(struct random *r)
{
	uint32_t at = pv_below(&r->rng, PLACES);
	struct place *place = &r->places[at];
	struct stage *s = &r->p->s;
	struct rs_endpoint *e;
	struct stage_link *l = place->id[0] ? NULL : free_link(s);
	rs_auto_err err = { 0 };
	int rc;

	if (!l)
		return 0;
	snprintf(place->id, sizeof(place->id), "c%u", ++r->serial);
	e = rs_new(struct rs_endpoint);
	e->container_id = rs_strdup(place->id);
	e->ifname = rs_strdup("eth0");
	e->network = rs_strdup("net");
	e->boot_id = rs_strdup(s->boot);
	e->pod_ns = rs_strdup("shop");
	e->pod_name = rs_asprintf("p%u", pv_below(&r->rng, PODS));
	rs_endpoint_host_ifname(e->container_id, e->ifname, e->host_ifname);
	e->host_ifindex = 10 + r->serial;
	e->created_s = 100 + r->serial;
	e->state = RS_ENDPOINT_LIVE;
	e->mtu = 1500;
	e->pod_mac[0] = e->host_mac[0] = 2;
	e->n_ips = 1;
	e->ips[0] = (struct rs_addr){ RS_AF_IP4, { 10, 7, 1, (uint8_t)(2 + at) } };
	*l = (struct stage_link){ .ifindex = e->host_ifindex, .group = 7 };
	memcpy(l->name, e->host_ifname, sizeof(l->name));
	rc = rs_endpoint_create(s->records, e, &err);
	rs_endpoint_free(e);
	if (rc < 0)
		return play_fail(r->p, "record: %s", rs_err_str(&err));
	place->waits = true;
	rs_reconcile_attach(s->rec, place->id, "eth0", s->now_ms, s->now_ms + 100000, done, place);
	return 0;
}

/* What the plugin does last: the link, the record, the lease. */
static void clear_place(struct random *r, struct place *place)
{
	char name[RS_IFNAME_LEN];
	struct stage_link *l;

	rs_endpoint_host_ifname(place->id, "eth0", name);
	l = stage_link(&r->p->s, name);
	if (l)
		*l = (struct stage_link){ .ifindex = 0 };
	rs_endpoint_remove(r->p->s.records, place->id, "eth0", NULL);
	memset(place, 0, sizeof(*place));
}

static int run(struct random *r)
{
	struct stage *s = &r->p->s;

	rs_reconcile_run(s->rec, s->now_ms);
	rs_registry_save_labels(s->reg);
	/* An ADD that failed takes everything back; one that waits still is left alone. */
	for (size_t i = 0; !s->unsynced && i < PLACES; i++)
		if (r->places[i].waits)
			clear_place(r, &r->places[i]);
	return 0;
}

static int detach(struct random *r)
{
	struct place *place = &r->places[pv_below(&r->rng, PLACES)];
	struct stage *s = &r->p->s;
	struct place asked = { .waits = true };

	if (!place->id[0] || place->waits || s->unsynced)
		return 0;
	rs_reconcile_detach(s->rec, place->id, "eth0", s->now_ms, s->now_ms + 100000, done, &asked);
	run(r);
	if (asked.waits) /* refused: a tombstone it is */
		rs_reconcile_detach(s->rec, place->id, "eth0", s->now_ms, s->now_ms + 100000, done,
				    NULL);
	clear_place(r, place);
	return run(r);
}

/* ---- the agent ------------------------------------------------------------------------------- */

static int failing_run(struct random *r)
{
	r->p->s.commit_fails = true;
	rs_reconcile_touch(r->p->s.rec);
	run(r);
	r->p->s.commit_fails = false;
	return 0;
}

static int restart(struct random *r)
{
	rs_auto_err err = { 0 };

	run(r);
	stage_stop(&r->p->s);
	for (size_t i = 0; i < PLACES; i++)
		if (r->places[i].waits)
			clear_place(r, &r->places[i]);
	return stage_start(&r->p->s, &err) < 0 ? play_fail(r->p, "%s", rs_err_str(&err)) : 0;
}

static int forget_a_kind(struct random *r)
{
	struct stage *s = &r->p->s;

	s->unsynced = !s->unsynced;
	stage_synced(s, RS_KIND_POD, !s->unsynced);
	return 0;
}

static int later(struct random *r)
{
	r->p->s.now_ms += 600;
	return 0;
}

static int (*const events[])(struct random *) = {
	put_pod,     put_pod, put_pod, put_policy, put_policy, put_namespace, drop_object,
	drop_object, attach,  attach,  attach,	   detach,     detach,	      run,
	run,	     run,     later,   later,	   restart,    forget_a_kind, failing_run,
};

static int settle(struct random *r)
{
	struct stage *s = &r->p->s;
	const struct rs_ir *ir;
	size_t n = 0;

	if (s->unsynced)
		forget_a_kind(r);
	s->now_ms += 60000; /* longer than any back-off */
	run(r);
	for (size_t i = 0; i < PLACES; i++)
		n += r->places[i].id[0] != '\0';
	ir = rs_reconcile_ir(s->rec);
	if (!ir || ir->n_locals != n || ir->n_guards != n)
		return play_fail(r->p, "%zu pods are here, the IR has %zu and %zu guards", n,
				 ir ? ir->n_locals : 0, ir ? ir->n_guards : 0);
	return play_as_from_scratch(r->p);
}

int play_random(struct player *p)
{
	struct random r = { .p = p };
	long n = strtol(p->words[2], NULL, 10);
	int rc = 0;

	pv_rng_seed(&r.rng, strtoull(p->words[1], NULL, 10), 0);
	for (long i = 0; rc == 0 && i < n; i++) {
		rc = events[pv_below(&r.rng, RS_ARRAY_SIZE(events))](&r);
		if (rc == 0 && i % 25 == 24)
			rc = settle(&r);
		if (rc < 0) {
			rs_autofree char *why = rs_strdup(p->why);

			return play_fail(p, "event %ld: %s", i, why);
		}
	}
	return rc == 0 ? settle(&r) : rc;
}
