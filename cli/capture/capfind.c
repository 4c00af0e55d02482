// SPDX-License-Identifier: Apache-2.0
/* capfind.c - finds the link of a pod in the records of its attachments. */
#include "cli/capture/seeing.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#define STATE_DIR "/run/ripstop"

struct search {
	char *ns, *name; /* ns NULL: any */
	struct rs_endpoint *found;
	size_t n_found, n_damaged;
};

static bool is_it(const struct search *s, const struct rs_endpoint *e)
{
	return !strcmp(e->pod_name, s->name) && (!s->ns || !strcmp(e->pod_ns, s->ns));
}

/* The kernel gives a number to another link once its own is gone; the name says whose it is. */
static bool has_link(const struct rs_endpoint *e)
{
	char name[IF_NAMESIZE];

	return e->host_ifindex && if_indextoname(e->host_ifindex, name) &&
	       !strcmp(name, e->host_ifname);
}

/* Of one pod's several the first one: eth0 before net1. */
static bool comes_first(const struct search *s, const struct rs_endpoint *e)
{
	return !s->found || strcmp(e->ifname, s->found->ifname) < 0;
}

static int visit(struct rs_endpoint *e, const char *name, const struct rs_err *why, void *arg)
{
	struct search *s = arg;

	(void)name;
	(void)why;
	if (!e) {
		s->n_damaged++;
		return 0;
	}
	if (e->state != RS_ENDPOINT_LIVE || !is_it(s, e) || !has_link(e)) {
		rs_endpoint_free(e);
		return 0;
	}
	s->n_found++;
	if (comes_first(s, e)) {
		rs_endpoint_free(s->found);
		s->found = e;
	} else {
		rs_endpoint_free(e);
	}
	return 0;
}

static int read_folder(const char *dir, struct search *s, struct rs_err *err)
{
	rs_autofree char *records = rs_asprintf("%s/endpoints", dir);
	struct rs_endpoint_store *store;
	int rc;

	/* Opening it would make it. */
	if (access(records, R_OK | X_OK) < 0)
		return rs_err_sys(err, errno, "read %s", records);
	rc = rs_endpoint_store_open(dir, &store, err);
	if (rc < 0)
		return rc;
	rc = rs_endpoint_each(store, visit, s, err);
	rs_endpoint_store_close(store);
	return rc;
}

static int conclude(const char *operand, const char *dir, struct search *s,
		    struct rs_endpoint **out)
{
	if (!s->found) {
		cli_error("ripstop pods lists those of this node; for one elsewhere: kubectl "
			  "ripstop capture",
			  "no pod %s has a link on this node%s", operand,
			  s->n_damaged ? " (some records are damaged: ripstop ipam --check)" : "");
		return CLI_NOT_FOUND;
	}
	if (s->n_found > 1 && !s->ns) {
		cli_error("name its namespace: NS/POD, or -n", "%zu pods are called %s in %s",
			  s->n_found, operand, dir);
		return CLI_USAGE;
	}
	*out = rs_steal_ptr(&s->found);
	return 0;
}

int capture_find(struct cli_run *r, const char *operand, struct rs_endpoint **out)
{
	const char *dir = r->opt.state_dir ? r->opt.state_dir : STATE_DIR;
	const char *slash = strchr(operand, '/');
	struct search s = { .ns = slash ? rs_strndup(operand, (size_t)(slash - operand)) : NULL,
			    .name = rs_strdup(slash ? slash + 1 : operand) };
	rs_auto_err err = { 0 };
	int code;

	if (read_folder(dir, &s, &err) < 0) {
		cli_error(err.num == EACCES
				  ? "only root may read it: sudo"
				  : "is Ripstop installed here? --state-dir names another",
			  "%s", rs_err_str(&err));
		code = CLI_NO_AGENT;
	} else {
		code = conclude(operand, dir, &s, out);
	}
	rs_endpoint_free(s.found);
	free(s.ns);
	free(s.name);
	return code;
}
