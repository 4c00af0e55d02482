// SPDX-License-Identifier: Apache-2.0
/* records.c - the registry against the folder of records: scan, tombstones, burial; see
 * registry.h. */
#include "agent/registry_internal.h"

#include <errno.h>
#include <string.h>

struct scan {
	struct rs_registry *r;
	bool adopt;
	int64_t now_ms;
	int64_t limit_ms;
	int left; /* entries that left the registry */
};

static bool same_key(const struct rs_endpoint *a, const struct rs_endpoint *b)
{
	return !strcmp(a->container_id, b->container_id) && !strcmp(a->ifname, b->ifname);
}

void rs_registry_entomb(struct rs_registry *r, struct rs_endpoint *e)
{
	for (size_t i = 0; i < r->graves.n; i++)
		if (same_key(r->graves.v[i], e)) {
			rs_endpoint_free(e);
			return;
		}
	*rs_vec_push(&r->graves) = e;
}

size_t rs_registry_graves(const struct rs_registry *r)
{
	return r->graves.n;
}

static void note_damaged(struct scan *s, const char *name, const struct rs_err *why)
{
	char *line = rs_asprintf("%s: %s", name, rs_err_str(why));

	*rs_vec_push(&s->r->damaged) = line;
	/* What could not be read just now may be fine. */
	if (!s->adopt && why->num == EBADMSG)
		rs_glance_keep(&s->r->glance, name, &(struct rs_glance_note){ .damage = line });
}

/* A file that is as it was, and with which nothing was to be done then. */
static bool known(int folder, const char *name, void *arg)
{
	struct scan *s = arg;
	const struct rs_glance_note *note =
		s->adopt ? NULL : rs_glance_look(&s->r->glance, folder, name);
	struct rs_attached *a;

	if (note && note->damage) {
		*rs_vec_push(&s->r->damaged) = rs_strdup(note->damage);
		return true;
	}
	a = note ? rs_registry_find(s->r, note->container_id, note->ifname) : NULL;
	if (a)
		a->seen = true;
	return a;
}

/* A record of another boot: its links are gone with that kernel. */
static void forget_void(struct rs_registry *r, const struct rs_endpoint *e)
{
	rs_auto_err err = { 0 };
	int rc = e->ipam_external ? 0 : r->cfg.host->release(r->cfg.host->arg, e, &err);

	if (rc == 0)
		rc = rs_endpoint_remove(r->cfg.records, e->container_id, e->ifname, &err);
	rs_log(rc == 0 ? RS_LOG_INFO : RS_LOG_ERROR, "record of another boot removed", "pod",
	       e->pod_name, "namespace", e->pod_ns, "containerID", e->container_id, "error",
	       rc == 0 ? NULL : rs_err_str(&err), NULL);
}

static void take_tombstone(struct scan *s, struct rs_endpoint *e)
{
	struct rs_attached *a = rs_registry_find(s->r, e->container_id, e->ifname);

	if (a) {
		rs_registry_drop(s->r, a);
		s->left++;
	}
	rs_registry_entomb(s->r, e);
}

static struct rs_stray *stray(struct scan *s, const struct rs_endpoint *e)
{
	rs_autofree char *key = rs_attached_key(e->container_id, e->ifname);
	struct rs_stray *new;

	for (size_t i = 0; i < s->r->strays.n; i++)
		if (!strcmp(s->r->strays.v[i].key, key))
			return &s->r->strays.v[i];
	new = rs_vec_push(&s->r->strays);
	new->key = rs_steal_ptr(&key);
	new->since_ms = s->now_ms;
	return new;
}

/* A live record that nobody attached: an ADD on its way, or what a killed plugin left. The second
 * shows by having no link for long. */
static void take_stray(struct scan *s, struct rs_endpoint *e)
{
	struct rs_stray *seen = stray(s, e);

	seen->seen = true;
	if (rs_attached_verify_link(s->r, e, NULL) != -ENODEV)
		seen->since_ms = s->now_ms;
	if (s->now_ms - seen->since_ms < s->limit_ms) {
		rs_endpoint_free(e);
		return;
	}
	rs_log(RS_LOG_WARN, "released: an ADD that never ended", "pod", e->pod_name, "namespace",
	       e->pod_ns, "containerID", e->container_id, NULL);
	rs_registry_entomb(s->r, e);
}

static void forget_strays(struct rs_registry *r)
{
	for (size_t i = 0; i < r->strays.n;) {
		if (r->strays.v[i].seen) {
			r->strays.v[i++].seen = false;
			continue;
		}
		free(r->strays.v[i].key);
		r->strays.v[i] = r->strays.v[--r->strays.n];
	}
}

static void take_live(struct scan *s, struct rs_endpoint *e, const char *name)
{
	struct rs_attached *a = rs_registry_find(s->r, e->container_id, e->ifname);

	if (a) {
		a->seen = true;
		if (!s->adopt)
			rs_glance_keep(
				&s->r->glance, name,
				&(struct rs_glance_note){ e->container_id, e->ifname, NULL });
		rs_endpoint_free(e);
		return;
	}
	if (!s->adopt) {
		take_stray(s, e);
		return;
	}
	a = rs_registry_insert(s->r, e);
	a->has_link = rs_attached_verify_link(s->r, e, NULL) == 0;
}

static int visit(struct rs_endpoint *e, const char *name, const struct rs_err *why, void *arg)
{
	struct scan *s = arg;

	if (!e) {
		note_damaged(s, name, why);
		return 0;
	}
	if (!e->boot_id || strcmp(e->boot_id, s->r->cfg.boot_id) != 0) {
		forget_void(s->r, e);
		rs_endpoint_free(e);
	} else if (e->state == RS_ENDPOINT_TOMBSTONE) {
		take_tombstone(s, e);
	} else {
		take_live(s, e, name);
	}
	return 0;
}

/* Entries whose record somebody removed: the plugin's DEL got through and its detach did not. */
static void drop_without_record(struct scan *s)
{
	struct rs_registry *r = s->r;

	for (size_t i = 0; i < r->entries.n;) {
		struct rs_attached *a = r->entries.v[i];
		struct rs_endpoint *now = NULL;
		int rc = a->seen ? 0
				 : rs_endpoint_load(r->cfg.records, a->rec->container_id,
						    a->rec->ifname, &now, NULL);

		rs_endpoint_free(now);
		if (rc == -ENOENT) {
			rs_log(RS_LOG_WARN, "dropped: its record is gone", "pod", a->rec->pod_name,
			       "namespace", a->rec->pod_ns, "containerID", a->rec->container_id,
			       NULL);
			rs_registry_drop(r, a);
			s->left++;
		} else {
			i++;
		}
	}
}

int rs_registry_scan(struct rs_registry *r, bool adopt, int64_t now_ms, int64_t limit_ms,
		     struct rs_err *err)
{
	struct scan s = { r, adopt, now_ms, limit_ms, 0 };
	int rc;

	for (size_t i = 0; i < r->damaged.n; i++)
		free(r->damaged.v[i]);
	r->damaged.n = 0;
	for (size_t i = 0; i < r->entries.n; i++)
		r->entries.v[i]->seen = false;
	rc = rs_endpoint_each_but(r->cfg.records, known, visit, &s, err);
	if (rc < 0)
		return rs_err_wrap(err, "read the attachment records");
	forget_strays(r);
	if (!adopt)
		rs_glance_sweep(&r->glance);
	if (adopt)
		rs_registry_settle_conflicts(r);
	else
		drop_without_record(&s);
	return s.left;
}

/* A DEL may have got through meanwhile and the same container have been added anew: then record and
 * lease are the new attachment's. Each attachment draws its MAC addresses. */
static bool is_succeeded(const struct rs_registry *r, const struct rs_endpoint *e)
{
	struct rs_endpoint *now = NULL;
	bool other = false;

	if (rs_endpoint_load(r->cfg.records, e->container_id, e->ifname, &now, NULL) == 0)
		other = now->state == RS_ENDPOINT_LIVE &&
			memcmp(now->host_mac, e->host_mac, sizeof(now->host_mac)) != 0;
	rs_endpoint_free(now);
	return other;
}

/* 0: it may be taken out of the list of graves. */
static int bury_one(struct rs_registry *r, const struct rs_endpoint *e)
{
	rs_auto_err err = { 0 };
	int rc = 0;

	if (is_succeeded(r, e))
		return 0;
	if (!e->ipam_external)
		rc = r->cfg.host->release(r->cfg.host->arg, e, &err);
	if (rc == 0)
		rc = rs_endpoint_remove(r->cfg.records, e->container_id, e->ifname, &err);
	if (rc < 0) {
		rs_log(RS_LOG_ERROR, "a record cannot be removed", "containerID", e->container_id,
		       "error", rs_err_str(&err), NULL);
		return rc;
	}
	/* Another plugin's leases go when the runtime's DEL reaches that plugin, not before. */
	rs_log(RS_LOG_INFO, "record removed", "pod", e->pod_name, "namespace", e->pod_ns,
	       "containerID", e->container_id, "leases", e->ipam_external ? "external" : "resting",
	       NULL);
	return 0;
}

/* The guard knows pods by their link group alone: in another one a pod could send as anybody. */
int rs_registry_check_groups(const struct rs_registry *r, struct rs_err *err)
{
	for (size_t i = 0; i < r->entries.n; i++) {
		const struct rs_endpoint *e = r->entries.v[i]->rec;
		struct rs_link link = { 0 };

		if (r->cfg.host->link(r->cfg.host->arg, e->host_ifname, &link, NULL) < 0 ||
		    link.ifindex != e->host_ifindex || link.group == r->cfg.link_group ||
		    link.group == (r->cfg.link_group ^ 1))
			continue;
		rs_err_set(err, EBUSY,
			   "link %s of pod %s/%s is in link group %u, pod links are to be in %u",
			   e->host_ifname, e->pod_ns, e->pod_name, link.group, r->cfg.link_group);
		return rs_err_hint(err, "keep --link-group while the node has pods of that group");
	}
	return 0;
}

size_t rs_registry_bury(struct rs_registry *r)
{
	size_t done = 0;

	for (size_t i = 0; i < r->graves.n;) {
		int rc = bury_one(r, r->graves.v[i]);

		if (rc == -ETIMEDOUT)
			break; /* the others would wait for the same lock */
		if (rc < 0) {
			i++;
			continue;
		}
		rs_endpoint_free(r->graves.v[i]);
		r->graves.v[i] = r->graves.v[--r->graves.n];
		done++;
	}
	return done;
}

char *const *rs_registry_damaged(const struct rs_registry *r, size_t *n)
{
	*n = r->damaged.n;
	return r->damaged.v;
}

void rs_registry_conditions(const struct rs_registry *r, struct rs_conditions *out)
{
	for (size_t i = 0; i < r->damaged.n; i++)
		rs_conditions_add(out, "DamagedRecord", "endpoints/%s", r->damaged.v[i]);
	for (size_t i = 0; i < r->entries.n; i++) {
		const struct rs_attached *a = r->entries.v[i];

		if (a->conflict)
			rs_conditions_add(out, "AddressClaimedTwice",
					  "pod %s/%s (%s) is closed: %s", a->rec->pod_ns,
					  a->rec->pod_name, a->key, a->conflict);
		else if (a->closed)
			rs_conditions_add(out, "PodWithoutLabels",
					  "pod %s/%s is closed: nobody knows its labels",
					  a->rec->pod_ns, a->rec->pod_name);
	}
}
