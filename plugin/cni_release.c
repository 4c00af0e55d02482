// SPDX-License-Identifier: Apache-2.0
/* cni_release.c - giving back what a key holds, in the one order that cannot leak. */
#include <errno.h>
#include <string.h>

#include "plugin/cni.h"

uint32_t cni_link_group(const struct cni_config *conf)
{
	struct rs_node_info node;
	uint32_t group = 0;

	if (rs_node_info_read(conf->state_dir, &node, NULL) == 0) {
		group = node.link_group;
		rs_node_info_clear(&node);
	}
	return group ? group : RS_LINK_GROUP;
}

/* By its hardware address, which was drawn for this attachment; without a record by its group. */
static bool is_ours(const struct cni_release *r, const struct rs_endpoint *e,
		    const struct rs_link *l)
{
	uint32_t group;

	if (strcmp(l->kind, "veth"))
		return false;
	if (e)
		return memcmp(l->mac, e->host_mac, sizeof(l->mac)) == 0;
	group = cni_link_group(r->conf);
	return l->group == group || l->group == (group ^ 1);
}

/* Found by its name alone: is it another attachment's? Not to know counts as yes. */
static bool is_anothers(const struct cni_release *r)
{
	rs_autofree char *rival = NULL;

	return rs_endpoint_name_rival(r->store, r->container_id, r->ifname, &rival, NULL) < 0 ||
	       rival;
}

static bool find_link(const struct cni_release *r, const struct rs_endpoint *e, struct rs_nl *nl,
		      struct rs_link *out)
{
	char name[RS_IFNAME_LEN];

	if (e && e->host_ifindex && rs_link_get_index(nl, e->host_ifindex, out, NULL) == 0 &&
	    is_ours(r, e, out))
		return true;
	rs_endpoint_host_ifname(r->container_id, r->ifname, name);
	return rs_link_get(nl, name, out, NULL) == 0 && is_ours(r, e, out) &&
	       (e || !is_anothers(r));
}

/* The address comes after the record and stands in it before any agent is asked: without one there
 * was nothing to ask for, and nothing that an agent which reads the record could put anywhere. */
static bool is_unheard(const struct cni_release *r, const struct rs_endpoint *e)
{
	return r->unheard || (e && e->state == RS_ENDPOINT_LIVE && !e->n_ips && !e->host_ifindex);
}

/* What came of asking the agent to take the rules away. */
enum said {
	NOT_ASKED,
	DETACHED,
	REFUSED,   /* or nobody answered: the agent does it when it finds the tombstone */
	LINK_LEFT, /* it could not delete the link, and took nothing away */
};

/* *link: the agent is to delete it before; after this whether it may be there. */
static enum said ask_agent(const struct cni_release *r, bool unheard, bool *link)
{
	rs_auto_err err = { 0 };
	bool asked = *link, nobody;
	int rc;

	if (!r->ask_agent)
		return DETACHED;
	rc = cni_agent_detach(r->conf, r->container_id, r->ifname, r->timeout_ms, link, &nobody,
			      &err);
	if (rc == 0 || (unheard && nobody))
		return DETACHED;
	if (asked && rc == -EBUSY && !nobody)
		return LINK_LEFT;
	cni_warn("container %s: its rules are left to the agent to remove: %s", r->container_id,
		 rs_err_str(&err));
	return REFUSED;
}

static void set_tombstone(struct rs_endpoint *e, void *arg)
{
	(void)arg;
	e->state = RS_ENDPOINT_TOMBSTONE;
}

/* In the place of a record that is damaged or gone: enough for the agent to know what to clear. */
static int write_tombstone(const struct cni_release *r, struct rs_err *err)
{
	char boot[RS_BOOT_ID_LEN];
	struct rs_endpoint e = {
		.state = RS_ENDPOINT_TOMBSTONE,
		.container_id = (char *)(uintptr_t)r->container_id,
		.ifname = (char *)(uintptr_t)r->ifname,
		.network = r->conf->name,
		.boot_id = boot,
		.pod_ns = (char *)(uintptr_t) "default",
		.pod_name = (char *)(uintptr_t)r->container_id,
		.ipam_external = r->conf->ipam_type != NULL,
		.created_s = rs_now_s(),
	};
	int rc = rs_boot_id(boot, err);

	rs_endpoint_host_ifname(r->container_id, r->ifname, e.host_ifname);
	if (rc == 0)
		rc = rs_endpoint_remove(r->store, r->container_id, r->ifname, err);
	return rc < 0 ? rc : rs_endpoint_create(r->store, &e, err);
}

static int entomb(const struct cni_release *r, struct rs_err *err)
{
	int rc = rs_endpoint_modify(r->store, r->container_id, r->ifname, set_tombstone, NULL, err);

	if (rc == -ENOENT || rc == -EBADMSG) {
		rs_err_clear(err);
		rc = write_tombstone(r, err);
	}
	return rc;
}

/* Without an agent that deletes it: down, then its rules, then away. */
static int drop_link_here(const struct cni_release *r, const struct rs_endpoint *e, bool known,
			  enum said *said, struct rs_err *err)
{
	rs_cleanup(cni_cleanup_nl) struct rs_nl *nl = NULL;
	bool found, none = false;
	struct rs_link link;
	int rc = rs_nl_open(&nl, err);

	if (rc < 0)
		return rc;
	found = find_link(r, e, nl, &link);
	/* A link that will not go down may still be deleted. */
	if (found)
		rs_link_set_up(nl, link.ifindex, false, NULL);
	if (*said == NOT_ASKED || *said == LINK_LEFT)
		*said = !known && !found ? DETACHED : ask_agent(r, is_unheard(r, e), &none);
	return found ? rs_link_del(nl, link.ifindex, err) : 0;
}

/* The agent deletes it with others that go now, and then their rules, for which no link is left. */
static int drop_link(const struct cni_release *r, const struct rs_endpoint *e, bool known,
		     bool *detached, struct rs_err *err)
{
	enum said said = NOT_ASKED;
	bool link = e && e->host_ifindex && r->ask_agent;
	int rc = 0;

	if (link)
		said = ask_agent(r, is_unheard(r, e), &link);
	if (said == NOT_ASKED || link)
		rc = drop_link_here(r, e, known, &said, err);
	*detached = said == DETACHED;
	return rc;
}

/* Its record names what it holds, once it has addresses at all; else it is looked for. */
static int release_lease(const struct cni_release *r, const struct rs_endpoint *e,
			 struct rs_err *err)
{
	if (e && e->n_ips && !e->ipam_external)
		return rs_ipam_release_addrs(r->ipam, r->container_id, r->ifname, e->ips, e->n_ips,
					     err);
	return rs_ipam_release(r->ipam, r->container_id, r->ifname, err);
}

int cni_release(const struct cni_release *r, struct rs_err *err)
{
	rs_cleanup(cni_cleanup_endpoint) struct rs_endpoint *e = NULL;
	bool detached = false, none = false;
	int rc = rs_endpoint_load(r->store, r->container_id, r->ifname, &e, err);
	bool known = rc == 0 || rc == -EBADMSG;

	if (rc == -EBADMSG)
		cni_warn("%s", rs_err_str(err));
	if (rc < 0 && rc != -ENOENT && rc != -EBADMSG)
		return rc;
	rs_err_clear(err);
	rc = drop_link(r, e, known, &detached, err);
	if (rc < 0)
		return rc;
	if (!detached)
		return entomb(r, err);
	rc = rs_endpoint_remove(r->store, r->container_id, r->ifname, err);
	/*
	 * An agent that starts reads the records and only then listens. One that read ours before
	 * it went either hears this, or looks at the records again once it listens.
	 */
	if (rc == 0 && is_unheard(r, e) && ask_agent(r, true, &none) != DETACHED)
		return entomb(r, err);
	return rc == 0 && r->ipam ? release_lease(r, e, err) : rc;
}
