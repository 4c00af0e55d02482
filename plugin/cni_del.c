// SPDX-License-Identifier: Apache-2.0
/* cni_del.c - DEL: needs no namespace, no prevResult, no living agent; it may come many times. */
#include "plugin/cni.h"

static int release(struct cni_call *c, struct rs_err *err)
{
	rs_cleanup(cni_cleanup_store) struct rs_endpoint_store *store = NULL;
	rs_cleanup(cni_cleanup_ipam) struct rs_ipam *ipam = NULL;
	struct cni_release r = {
		.conf = &c->conf,
		.container_id = c->env.container_id,
		.ifname = c->env.ifname,
		.ask_agent = true,
		.timeout_ms = c->conf.timeout_s * 1000,
	};
	int rc = rs_endpoint_store_open(c->conf.state_dir, &store, err);

	/* Leases of ours are looked for even when the configuration has changed since. */
	if (rc == 0)
		rc = cni_ipam_open(c, &ipam, err);
	if (rc < 0)
		return rc;
	r.store = store;
	r.ipam = ipam;
	return cni_release(&r, err);
}

int cni_del(struct cni_call *c, struct rs_err *err)
{
	rs_auto_err later = { 0 };
	int rc = release(c, err);

	/* Whatever failed here: what the external plugin holds is given back. */
	if (c->conf.ipam_type && cni_delegate(c, CNI_DEL, NULL, &later) < 0) {
		if (rc == 0) {
			rc = -later.num;
			rs_err_move(err, &later);
		} else {
			cni_warn("%s", rs_err_str(&later));
		}
	}
	return rc;
}
