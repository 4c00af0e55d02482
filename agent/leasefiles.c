// SPDX-License-Identifier: Apache-2.0
/* leasefiles.c - damaged lease files are a condition: each keeps its address from going out. */
#include "agent/agent.h"

#include <sys/stat.h>

#include "ipam/ipam.h"

static int see_lease(struct rs_lease *l, const char *name, const struct rs_err *why, void *arg)
{
	struct rs_conditions *found = arg;

	(void)name;
	if (l)
		rs_lease_clear(l);
	else
		rs_conditions_add(found, "DamagedLease", "its address is given to no pod: %s",
				  rs_err_str(why));
	return 0;
}

static int look(const struct rs_agent *a, struct rs_conditions *found, struct rs_err *err)
{
	struct rs_ipam_config cfg = { .state_dir = a->opt.state_dir, .boot_id = a->boot_id };
	struct rs_ipam *ipam = NULL;
	int rc = rs_ipam_open(&cfg, &ipam, err);

	if (rc == 0)
		rc = rs_ipam_each(ipam, see_lease, found, err);
	rs_ipam_close(ipam);
	return rc;
}

/* The folder's time: no pod came or went since, so nothing is read. A damaged file is looked at
 * until it is gone. */
static bool is_old_news(struct rs_agent *a)
{
	rs_autofree char *path = rs_asprintf("%s/leases", a->opt.state_dir);
	struct timespec before = a->leases_seen;
	struct stat st;

	if (stat(path, &st) < 0)
		return !a->leases.n; /* no pod has ever been here */
	a->leases_seen = st.st_mtim;
	return !a->leases.n && before.tv_sec == st.st_mtim.tv_sec &&
	       before.tv_nsec == st.st_mtim.tv_nsec;
}

void rs_leasefiles_look(struct rs_agent *a)
{
	struct rs_conditions found = { 0 };
	rs_auto_err err = { 0 };

	if (is_old_news(a))
		return;
	if (look(a, &found, &err) < 0)
		rs_log(RS_LOG_ERROR, "leases not read", "error", rs_err_str(&err), NULL);
	rs_conditions_free(&a->leases);
	a->leases = found;
}
