// SPDX-License-Identifier: Apache-2.0
/* uninstall.c - the one thing that takes rules, routes and state away; see docs/agent.md. */
#include "agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/install.h"
#include "base/statedir.h"
#include "endpoint/node.h"

/* Whose record cannot be read is attached too: nothing says that it is not. */
static void list_damaged(const struct rs_agent *a)
{
	size_t n = 0;
	char *const *v = rs_registry_damaged(a->reg, &n);

	for (size_t i = 0; i < n; i++) {
		rs_auto_strbuf line = { 0 };

		rs_strbuf_puts_safe(&line, v[i]);
		printf("loses its policy: the pod of a record that is damaged: %s\n",
		       rs_strbuf_str(&line));
	}
}

/* Names every pod that would lose its policy on stdout. */
static int list_pods(struct rs_agent *a, size_t *n, struct rs_err *err)
{
	struct rs_attached *const *v;
	int rc = rs_registry_scan(a->reg, true, rs_mono_ms(), 0, err);

	if (rc < 0)
		return rc;
	v = rs_registry_list(a->reg, n);
	for (size_t i = 0; i < *n; i++) {
		rs_auto_strbuf line = { 0 };

		rs_strbuf_puts_safe(&line, v[i]->rec->pod_ns);
		rs_strbuf_putc(&line, '/');
		rs_strbuf_puts_safe(&line, v[i]->rec->pod_name);
		printf("loses its policy: %s\n", rs_strbuf_str(&line));
	}
	list_damaged(a);
	return 0;
}

static int unlink_one(const char *name, void *arg)
{
	return rs_statedir_unlink(arg, name, NULL);
}

static int empty_folder(const char *state_dir, const char *sub, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/%s", state_dir, sub);
	struct rs_statedir d = { .fd = -1 };
	int rc = rs_statedir_open(state_dir, sub, &d, err), lock;

	if (rc < 0)
		return rc;
	lock = rs_statedir_lock(&d, err);
	rc = lock < 0 ? lock : rs_statedir_each(&d, unlink_one, &d, err);
	rs_statedir_sweep(&d);
	if (lock >= 0)
		close(lock);
	rs_statedir_close(&d);
	if (rc == 0 && rmdir(path) < 0 && errno != ENOENT)
		return rs_err_sys(err, errno, "remove %s", path);
	return rc;
}

static void remove_file(const char *state_dir, const char *name)
{
	rs_autofree char *path = rs_asprintf("%s/%s", state_dir, name);

	unlink(path);
}

static int remove_state(const struct rs_agent *a, struct rs_err *err)
{
	int rc = empty_folder(a->opt.state_dir, "endpoints", err);

	if (rc == 0)
		rc = empty_folder(a->opt.state_dir, "leases", err);
	if (rc < 0)
		return rc;
	rc = empty_folder(a->opt.state_dir, "held", err);
	if (rc < 0)
		return rc;
	unlink(a->opt.socket);
	remove_file(a->opt.state_dir, RS_NODE_FILE);
	remove_file(a->opt.state_dir, "agent.lock");
	/* It may be a folder that somebody else uses too, or a mount in a read-only root, as in the
	 * DaemonSet that uninstalls: then it stays, empty of ours. */
	if (rmdir(a->opt.state_dir) < 0 && errno != ENOTEMPTY && errno != EBUSY &&
	    errno != EROFS && errno != ENOENT)
		return rs_err_sys(err, errno, "remove %s", a->opt.state_dir);
	return 0;
}

static int refuse(const struct rs_agent *a, size_t n_pods, struct rs_err *err)
{
	size_t n = 0;
	char *const *damaged = rs_registry_damaged(a->reg, &n);

	if (!n_pods && !n)
		return 0;
	if (n)
		rs_err_set(err, EBUSY,
			   "%zu pods are attached and would lose their policy, %zu of them with a "
			   "damaged record: %s%s",
			   n_pods + n, n, damaged[0], n > 1 ? ", ..." : "");
	else
		rs_err_set(err, EBUSY, "%zu pods are attached and would lose their policy", n_pods);
	return rs_err_hint(err, "remove them first, or say --force");
}

static int remove_one(const char *dir, const char *name, struct rs_err *err)
{
	bool removed = false;
	int rc = rs_install_remove(dir, name, &removed, err);

	if (removed)
		printf("removed: %s/%s\n", dir, name);
	return rc;
}

/* Their records may be gone: an uninstall that was cut short has removed them. */
static size_t count_pod_links(const struct rs_agent *a)
{
	rs_autofree struct rs_link *v = NULL;
	size_t n = 0, found = 0;

	if (rs_link_list(rs_host_netlink(a->host_real), &v, &n, NULL) < 0)
		return 1; /* not known: then there may be some */
	for (size_t i = 0; i < n; i++)
		found += v[i].group == a->opt.link_group;
	return found;
}

/* Pods that are still attached need the plugin to go: then it stays. */
static int remove_plugin(struct rs_agent *a, size_t n_pods, struct rs_err *err)
{
	if (!a->opt.install_conflist)
		return 0;
	if (!n_pods && !count_pod_links(a))
		return remove_one(a->opt.cni_bin_dir, RS_PLUGIN_NAME, err);
	printf("stays, for the pods that are attached: %s/%s\n", a->opt.cni_bin_dir,
	       RS_PLUGIN_NAME);
	return 0;
}

int rs_uninstall(struct rs_agent *a, struct rs_err *err)
{
	size_t n = 0, damaged = 0;
	int rc = list_pods(a, &n, err);

	rs_registry_damaged(a->reg, &damaged);
	if (rc == 0 && !a->opt.force)
		rc = refuse(a, n, err);
	if (rc < 0)
		return rc;
	/* First what tells the runtime that pods can come. */
	if (a->opt.install_conflist)
		rc = remove_one(a->opt.cni_conf_dir, RS_CONFLIST_NAME, err);
	if (rc == 0)
		rc = a->dp->ops->remove(a->dp, err);
	if (rc == 0)
		rc = rs_otherplane_remove(a, err);
	if (rc == 0)
		rc = rs_masquerade_remove(err);
	if (rc == 0)
		rc = rs_routes_remove(rs_host_netlink(a->host_real), err);
	if (rc == 0)
		rc = remove_state(a, err);
	if (rc == 0)
		rc = remove_plugin(a, n + damaged, err);
	if (rc == 0)
		printf("removed: rules, routes, %s\n", a->opt.state_dir);
	return rc;
}
