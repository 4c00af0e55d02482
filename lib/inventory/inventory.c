// SPDX-License-Identifier: Apache-2.0
/* inventory.c - lib/inventory lists leases and records, and says how many addresses are free. */
#include "inventory/inventory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "inventory/stock.h"

/* ---- reading --------------------------------------------------------------------------------- */

static void damaged(struct stock *s, const char *folder, const char *name, const struct rs_err *why)
{
	*rs_vec_push(&s->damaged) = rs_asprintf("%s/%s: %s", folder, name, rs_err_str(why));
}

static int take_lease(struct rs_lease *l, const char *name, const struct rs_err *why, void *arg)
{
	struct stock *s = arg;

	if (!l) {
		damaged(s, "leases", name, why);
		return 0;
	}
	*rs_vec_push(&s->leases) = *l;
	memset(l, 0, sizeof(*l));
	return 0;
}

static int take_record(struct rs_endpoint *e, const char *name, const struct rs_err *why, void *arg)
{
	struct stock *s = arg;

	if (!e)
		damaged(s, "endpoints", name, why);
	else
		*rs_vec_push(&s->records) = e;
	return 0;
}

static int lease_cmp(const void *a, const void *b)
{
	const struct rs_lease *x = a, *y = b;
	int c = rs_addr_cmp(&x->addr, &y->addr);

	return c ? c : (int)x->state - (int)y->state;
}

static int check_folder(const char *state_dir, const char *sub, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/%s", state_dir, sub);

	if (access(path, R_OK | X_OK) == 0)
		return 0;
	return rs_err_sys(err, errno, "state folder %s", path);
}

/* Of one address the held file counts; see lease.h of lib/ipam. */
static void drop_shadowed(struct stock *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->leases.n; i++) {
		struct rs_lease *l = &s->leases.v[i];

		if (n && !rs_addr_cmp(&s->leases.v[n - 1].addr, &l->addr))
			rs_lease_clear(l);
		else
			s->leases.v[n++] = *l;
	}
	s->leases.n = n;
}

int stock_read(const struct rs_inventory_config *cfg, struct stock *s, struct rs_err *err)
{
	struct rs_ipam_config ipam_cfg = { .state_dir = cfg->state_dir, .rest_s = cfg->rest_s };
	struct rs_endpoint_store *records = NULL;
	struct rs_ipam *ipam = NULL;
	struct timespec now;
	int rc = check_folder(cfg->state_dir, "leases", err);

	memset(s, 0, sizeof(*s));
	s->cfg = cfg;
	clock_gettime(CLOCK_BOOTTIME, &now);
	s->now_s = now.tv_sec;
	if (rc == 0)
		rc = check_folder(cfg->state_dir, "endpoints", err);
	if (rc == 0)
		rc = rs_boot_id(s->boot_id, err);
	if (rc == 0)
		rc = rs_ipam_open(&ipam_cfg, &ipam, err);
	if (rc == 0)
		rc = rs_ipam_each(ipam, take_lease, s, err);
	if (rc == 0)
		rc = rs_endpoint_store_open(cfg->state_dir, &records, err);
	if (rc == 0)
		rc = rs_endpoint_each(records, take_record, s, err);
	rs_ipam_close(ipam);
	rs_endpoint_store_close(records);
	if (s->leases.n)
		qsort(s->leases.v, s->leases.n, sizeof(*s->leases.v), lease_cmp);
	drop_shadowed(s);
	return rc;
}

void stock_free(struct stock *s)
{
	for (size_t i = 0; i < s->leases.n; i++)
		rs_lease_clear(&s->leases.v[i]);
	for (size_t i = 0; i < s->records.n; i++)
		rs_endpoint_free(s->records.v[i]);
	for (size_t i = 0; i < s->damaged.n; i++)
		free(s->damaged.v[i]);
	rs_vec_free(&s->leases);
	rs_vec_free(&s->records);
	rs_vec_free(&s->damaged);
}

const struct rs_endpoint *stock_record(const struct stock *s, const char *container_id,
				       const char *ifname)
{
	for (size_t i = 0; i < s->records.n; i++)
		if (!strcmp(s->records.v[i]->container_id, container_id) &&
		    !strcmp(s->records.v[i]->ifname, ifname))
			return s->records.v[i];
	return NULL;
}

/* ---- showing --------------------------------------------------------------------------------- */

/* Held, resting, or free again: rested files are kept as history. Void: of another boot. */
static const char *state_of(const struct stock *s, const struct rs_lease *l)
{
	if (strcmp(l->boot_id, s->boot_id))
		return "void";
	if (l->state == RS_LEASE_HELD)
		return "held";
	return s->now_s - l->since_s < (int64_t)s->cfg->rest_s ? "resting" : "rested";
}

static struct json_object *lease_json(const struct stock *s, const struct rs_lease *l)
{
	const struct rs_endpoint *e = stock_record(s, l->container_id, l->ifname);
	struct json_object *o = json_object_new_object();
	char text[RS_ADDR_STRLEN];

	rs_json_add_str(o, "address", rs_addr_str(&l->addr, text));
	rs_json_add_str(o, "state", state_of(s, l));
	if (e && l->state == RS_LEASE_HELD) {
		rs_autofree char *pod = rs_asprintf("%s/%s", e->pod_ns, e->pod_name);

		rs_json_add_str(o, "pod", pod);
	}
	rs_json_add_str(o, "containerID", l->container_id);
	rs_json_add_str(o, "interface", l->ifname);
	if (!strcmp(l->boot_id, s->boot_id) && s->now_s >= l->since_s)
		json_object_object_add(o, "ageSeconds",
				       json_object_new_int64(s->now_s - l->since_s));
	return o;
}

static size_t count_in(const struct stock *s, const struct rs_cidr *range, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < s->leases.n; i++)
		n += rs_cidr_contains(range, &s->leases.v[i].addr) &&
		     !strcmp(state_of(s, &s->leases.v[i]), state);
	return n;
}

/* Addresses of the range that can be given out at all. */
static int total_of(const struct stock *s, const struct rs_cidr *range, uint64_t *total,
		    struct rs_err *err)
{
	struct rs_ipam_config cfg = { .state_dir = s->cfg->state_dir,
				      .ranges = range,
				      .n_ranges = 1,
				      .rest_s = s->cfg->rest_s };
	struct rs_ipam_usage usage = { 0 };
	struct rs_ipam *ipam;
	int rc = rs_ipam_open(&cfg, &ipam, err);

	if (rc < 0)
		return rc;
	rc = rs_ipam_usage(ipam, &usage, err);
	rs_ipam_close(ipam);
	*total = usage.total;
	return rc;
}

static int range_json(const struct stock *s, const struct rs_cidr *range, struct json_object *list,
		      struct rs_err *err)
{
	size_t held = count_in(s, range, "held"), resting = count_in(s, range, "resting");
	struct json_object *o;
	char text[RS_CIDR_STRLEN];
	uint64_t total;
	int rc = total_of(s, range, &total, err);

	if (rc < 0)
		return rs_err_wrap(err, "range %s", rs_cidr_str(range, text));
	o = json_object_new_object();
	rs_json_add_str(o, "range", rs_cidr_str(range, text));
	json_object_object_add(o, "total", json_object_new_uint64(total));
	json_object_object_add(o, "held", json_object_new_uint64(held));
	json_object_object_add(o, "resting", json_object_new_uint64(resting));
	json_object_object_add(
		o, "free",
		json_object_new_uint64(total > held + resting ? total - held - resting : 0));
	json_object_array_add(list, o);
	return 0;
}

static int add_ranges(const struct stock *s, struct json_object *o, struct rs_err *err)
{
	struct json_object *list = json_object_new_array();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < s->cfg->n_ranges; i++)
		rc = range_json(s, &s->cfg->ranges[i], list, err);
	json_object_object_add(o, "ranges", list);
	return rc;
}

static void add_leases(const struct stock *s, struct json_object *o)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < s->leases.n; i++)
		if (strcmp(state_of(s, &s->leases.v[i]), "rested"))
			json_object_array_add(list, lease_json(s, &s->leases.v[i]));
	json_object_object_add(o, "leases", list);
}

int rs_inventory_json(const struct rs_inventory_config *cfg, bool check, struct json_object *o,
		      struct rs_err *err)
{
	struct stock s;
	int rc = stock_read(cfg, &s, err);

	rs_json_add_str(o, "stateDir", cfg->state_dir);
	json_object_object_add(o, "restSeconds", json_object_new_int64(cfg->rest_s));
	if (rc == 0)
		rc = add_ranges(&s, o, err);
	if (rc == 0)
		add_leases(&s, o);
	if (rc == 0 && check)
		stock_check(&s, o);
	stock_free(&s);
	return rc;
}
