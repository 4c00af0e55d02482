// SPDX-License-Identifier: Apache-2.0
/* effective.c - what is in force for one pod: its isolating policies and their rules, in words. */
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "policy/match.h"
#include "policy/words.h"

/* The pod that is asked about, of this node or of the store. */
struct who {
	const char *ns;
	const struct rs_labels *labels;
	const struct rs_container_port *ports;
	size_t n_ports;
};

static int find(const struct rs_world *w, const char *ns, const char *name, struct who *out,
		struct rs_err *err)
{
	const struct rs_local_pod *l = rs_world_local(w, ns, name);
	const struct rs_pod *p = rs_store_pod(w->store, ns, name);
	rs_autofree char *text = rs_pod_text(ns, name);

	out->ns = ns;
	if (l) {
		out->labels = l->closed ? NULL : l->labels;
		out->ports = l->ports;
		out->n_ports = l->n_ports;
		return 0;
	}
	if (!p)
		return rs_err_set(err, ENOENT, "there is no pod %s", text);
	if (p->host_network)
		return rs_err_set(err, ENOTSUP,
				  "pod %s uses the host's network: no policy applies "
				  "to it",
				  text);
	out->labels = &p->meta.labels;
	out->ports = p->ports;
	out->n_ports = p->n_ports;
	return 0;
}

/* How many known pods a selector item holds. */
static size_t count_pods(const struct rs_world *w, const struct rs_policy *p,
			 const struct rs_peer *peer)
{
	/* A pod that is only thought of is nobody's peer yet. */
	size_t i, n, count = 0, n_locals = w->everyone ? w->n_sorted : w->n_locals;
	const struct rs_pod *const *pods;

	for (i = 0; i < n_locals; i++) {
		struct rs_view v;

		rs_view_local(w, &w->locals[i], &v);
		count += rs_peer_matches(p, peer, &v, &(struct rs_addr){ 0 });
	}
	pods = rs_store_pods(w->store, &n);
	for (i = 0; i < n; i++) {
		struct rs_view v = {
			.ns = pods[i]->meta.ns,
			.name = pods[i]->meta.name,
			.labels = &pods[i]->meta.labels,
			.ns_labels = rs_world_ns_labels(w, pods[i]->meta.ns),
		};

		if (pods[i]->n_ips && rs_pod_is_peer(pods[i]) && !rs_world_local(w, v.ns, v.name))
			count += rs_peer_matches(p, peer, &v, &(struct rs_addr){ 0 });
	}
	return count;
}

static char *say_peers(const struct rs_world *w, const struct rs_policy *p, const struct rs_rule *r)
{
	struct rs_strbuf b = { 0 };
	size_t i;

	if (r->any_peer)
		return rs_strdup("any");
	for (i = 0; i < r->n_peers; i++) {
		if (i)
			rs_strbuf_puts(&b, "; ");
		rs_put_peer(&b, p, &r->peers[i]);
		if (rs_peer_by_selector(&r->peers[i])) {
			size_t n = count_pods(w, p, &r->peers[i]);

			rs_strbuf_printf(&b, " (%zu pod%s)", n, n == 1 ? "" : "s");
		}
	}
	if (!r->n_peers)
		rs_strbuf_puts(&b, "nobody");
	return rs_strbuf_steal(&b);
}

static bool has_peer(const struct rs_rule *r)
{
	size_t i;

	for (i = 0; i < r->n_peers; i++)
		if (!r->peers[i].invalid &&
		    (r->peers[i].has_block || rs_peer_by_selector(&r->peers[i])))
			return true;
	return r->any_peer;
}

static bool declares(const struct who *who, const struct rs_policy_port *p)
{
	size_t i;

	for (i = 0; i < who->n_ports; i++)
		if (who->ports[i].name && who->ports[i].proto == p->proto &&
		    !strcmp(who->ports[i].name, p->name))
			return true;
	return false;
}

/* An egress name is the destination's to declare, so it may always mean something. */
static bool has_port(const struct who *who, const struct rs_rule *r, enum rs_direction dir)
{
	size_t i;

	for (i = 0; i < r->n_ports; i++) {
		const struct rs_policy_port *p = &r->ports[i];

		if (p->invalid)
			continue;
		if (p->kind != RS_PORT_NAMED || dir == RS_EGRESS || declares(who, p))
			return true;
	}
	return r->any_port;
}

static void add_rule(const struct rs_world *w, const struct who *who, const struct rs_policy *p,
		     enum rs_direction dir, size_t index, struct rs_effective_rule *out)
{
	const struct rs_rule *r = &p->rules[dir][index];
	struct rs_strbuf ports = { 0 };

	out->dir = dir;
	out->peers = say_peers(w, p, r);
	rs_put_rule_ports(&ports, r);
	out->ports = rs_strbuf_steal(&ports);
	out->source = rs_pod_text(p->meta.ns, p->meta.name);
	out->index = (uint32_t)index;
	out->where = rs_pos_text(&r->pos);
	if (rs_policy_subject_bad(p))
		out->why_nothing = rs_strdup("the policy's podSelector is not valid");
	else if (!has_peer(r))
		out->why_nothing = rs_strdup("it has no valid peer");
	else if (!has_port(who, r, dir))
		out->why_nothing =
			rs_strdup("it has no valid port, or only names that the pod does "
				  "not declare");
	out->allows_nothing = out->why_nothing;
}

static void add_direction(const struct rs_world *w, const struct who *who, enum rs_direction dir,
			  struct rs_effective_rules *out)
{
	rs_autofree const struct rs_policy **v = NULL;
	size_t n, total = out->n, i, k;

	v = rs_policies_of(w, who->ns, who->labels, dir, &n);
	out->isolated[dir] = n;
	out->isolated_by[dir] = rs_new0(char *, n);
	for (i = 0; i < n; i++) {
		out->isolated_by[dir][out->n_isolated_by[dir]++] =
			rs_pod_text(v[i]->meta.ns, v[i]->meta.name);
		total += v[i]->n_rules[dir];
	}
	out->v = rs_reallocarray(out->v, total, sizeof(*out->v));
	memset(out->v + out->n, 0, (total - out->n) * sizeof(*out->v));
	for (i = 0; i < n; i++)
		for (k = 0; k < v[i]->n_rules[dir]; k++)
			add_rule(w, who, v[i], dir, k, &out->v[out->n++]);
}

int rs_effective_rules(const struct rs_world *w, const char *ns, const char *name,
		       struct rs_effective_rules **out, struct rs_err *err)
{
	struct rs_effective_rules *r;
	struct who who = { 0 };
	int rc = find(w, ns, name, &who, err), dir;

	*out = NULL;
	if (rc < 0)
		return rc;
	r = rs_new(struct rs_effective_rules);
	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		if (who.labels)
			add_direction(w, &who, (enum rs_direction)dir, r);
		else
			r->isolated[dir] = true; /* closed: by no policy, and with no rule */
	}
	*out = r;
	return 0;
}

void rs_effective_rules_free(struct rs_effective_rules *r)
{
	size_t i;
	int dir;

	if (!r)
		return;
	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		for (i = 0; i < r->n_isolated_by[dir]; i++)
			free(r->isolated_by[dir][i]);
		free(r->isolated_by[dir]);
	}
	for (i = 0; i < r->n; i++) {
		free(r->v[i].peers);
		free(r->v[i].ports);
		free(r->v[i].source);
		free(r->v[i].where);
		free(r->v[i].why_nothing);
	}
	free(r->v);
	free(r);
}
