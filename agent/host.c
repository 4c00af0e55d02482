// SPDX-License-Identifier: Apache-2.0
/* host.c - links, addresses and leases of the real machine; see host.h. */
#include "agent/host.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "ipam/ipam.h"

struct rs_host_real {
	char *state_dir;
	struct rs_nl *nl;
	struct rs_link *held; /* by name; NULL: none */
	size_t n_held;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct rs_link *)a)->name, ((const struct rs_link *)b)->name);
}

static int link_held(const struct rs_host_real *h, const char *name, struct rs_link *out,
		     struct rs_err *err)
{
	const struct rs_link *found = NULL;
	struct rs_link key = { 0 };

	if (strlen(name) < sizeof(key.name)) {
		memcpy(key.name, name, strlen(name) + 1);
		found = bsearch(&key, h->held, h->n_held, sizeof(key), by_name);
	}
	if (!found)
		return rs_err_set(err, ENODEV, "link %s: %s", name, strerror(ENODEV));
	*out = *found;
	return 0;
}

static int real_link(void *arg, const char *name, struct rs_link *out, struct rs_err *err)
{
	struct rs_host_real *h = arg;

	return h->held ? link_held(h, name, out, err) : rs_link_get(h->nl, name, out, err);
}

static int real_own_addr(void *arg, const struct rs_addr *a, struct rs_err *err)
{
	struct rs_host_real *h = arg;
	rs_autofree struct rs_link_addr *v = NULL;
	size_t n = 0;
	int rc = rs_addr_list(h->nl, 0, &v, &n, err);

	if (rc < 0)
		return rs_err_wrap(err, "read this node's addresses");
	for (size_t i = 0; i < n; i++)
		if (!rs_addr_cmp(&v[i].addr, a))
			return 1;
	return 0;
}

static int real_release(void *arg, const struct rs_endpoint *e, struct rs_err *err)
{
	struct rs_host_real *h = arg;
	struct rs_ipam_config cfg = { .state_dir = h->state_dir, .lock_ms = RS_LOCK_MS };
	struct rs_ipam *ipam = NULL;
	int rc = rs_ipam_open(&cfg, &ipam, err);

	if (rc < 0)
		return rc;
	/* A tombstone in the place of a lost record names no address. */
	rc = e->n_ips ? rs_ipam_release_addrs(ipam, e->container_id, e->ifname, e->ips, e->n_ips,
					      err)
		      : rs_ipam_release(ipam, e->container_id, e->ifname, err);
	rs_ipam_close(ipam);
	return rc;
}

int rs_host_open(const char *state_dir, struct rs_host *host, struct rs_host_real **out,
		 struct rs_err *err)
{
	struct rs_nl *nl = NULL;
	int rc = rs_nl_open(&nl, err);

	if (rc < 0)
		return rc;
	*out = rs_new(struct rs_host_real);
	(*out)->state_dir = rs_strdup(state_dir);
	(*out)->nl = nl;
	*host = (struct rs_host){ real_link, real_own_addr, real_release, *out };
	return 0;
}

void rs_host_hold_links(struct rs_host_real *h)
{
	rs_host_release_links(h);
	if (rs_link_list(h->nl, &h->held, &h->n_held, NULL) < 0 || !h->n_held)
		rs_host_release_links(h);
	else
		qsort(h->held, h->n_held, sizeof(*h->held), by_name);
}

void rs_host_release_links(struct rs_host_real *h)
{
	free(h->held);
	h->held = NULL;
	h->n_held = 0;
}

void rs_host_close(struct rs_host_real *h)
{
	if (!h)
		return;
	rs_host_release_links(h);
	rs_nl_close(h->nl);
	free(h->state_dir);
	free(h);
}

struct rs_nl *rs_host_netlink(struct rs_host_real *h)
{
	return h->nl;
}
