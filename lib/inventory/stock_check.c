// SPDX-License-Identifier: Apache-2.0
/* stock_check.c - leases, records, links and the runtime's cache against each other. */
#include <dirent.h>
#include <string.h>
#include <time.h>

#include "base/jsonio.h"
#include "inventory/stock.h"

struct checker {
	const struct stock *s;
	struct json_object *leaks;
	size_t young; /* passed over */
	bool adding;  /* a young lease has no record: an ADD may be under way */
};

static void leak(struct checker *c, const char *what, const char *object, const char *container_id,
		 const char *hint)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "what", what);
	rs_json_add_str(o, "object", object);
	rs_json_add_str(o, "containerID", container_id);
	rs_json_add_str(o, "hint", hint);
	json_object_array_add(c->leaks, o);
}

static bool is_void(const struct stock *s, const char *boot_id)
{
	return strcmp(boot_id, s->boot_id) != 0;
}

static bool is_young_record(const struct rs_endpoint *e)
{
	int64_t age = (int64_t)time(NULL) - e->created_s;

	return age >= 0 && age < RS_INVENTORY_YOUNG_S;
}

/* ---- leases ---------------------------------------------------------------------------------- */

static void check_lease(struct checker *c, const struct rs_lease *l)
{
	char text[RS_ADDR_STRLEN];

	if (l->state != RS_LEASE_HELD || is_void(c->s, l->boot_id) ||
	    stock_record(c->s, l->container_id, l->ifname))
		return;
	if (c->s->now_s - l->since_s < RS_INVENTORY_YOUNG_S) {
		c->young++;
		c->adding = true;
		return;
	}
	leak(c, "lease without a record", rs_addr_str(&l->addr, text), l->container_id,
	     "no such attachment is known: a DEL of the runtime, or a CNI GC, gives it back");
}

static const struct rs_lease *held(const struct stock *s, const struct rs_addr *a)
{
	for (size_t i = 0; i < s->leases.n; i++)
		if (s->leases.v[i].state == RS_LEASE_HELD &&
		    !rs_addr_cmp(&s->leases.v[i].addr, a) && !is_void(s, s->leases.v[i].boot_id))
			return &s->leases.v[i];
	return NULL;
}

/* ---- records --------------------------------------------------------------------------------- */

static char *address_of(const struct rs_endpoint *e, const struct rs_addr *a)
{
	char text[RS_ADDR_STRLEN];

	return rs_asprintf("%s/%s %s", e->pod_ns, e->pod_name, rs_addr_str(a, text));
}

/* Every address of a live record is leased to it, unless another plugin gives them out. */
static void check_addresses(struct checker *c, const struct rs_endpoint *e)
{
	for (size_t i = 0; i < e->n_ips && !e->ipam_external; i++) {
		const struct rs_lease *l = held(c->s, &e->ips[i]);
		rs_autofree char *object = address_of(e, &e->ips[i]);

		if (!l)
			leak(c, "record without its lease", object, e->container_id,
			     "its address may be given to another pod: make the pod anew");
		else if (strcmp(l->container_id, e->container_id) || strcmp(l->ifname, e->ifname))
			leak(c, "record whose address is leased to another", object,
			     e->container_id, "two pods have one address: make one of them anew");
	}
}

static bool has_link(const struct rs_inventory_config *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->n_links; i++)
		if (!strcmp(cfg->links[i].name, name))
			return true;
	return false;
}

static void check_record(struct checker *c, const struct rs_endpoint *e)
{
	rs_autofree char *pod = rs_asprintf("%s/%s", e->pod_ns, e->pod_name);

	if (e->state != RS_ENDPOINT_LIVE || is_void(c->s, e->boot_id))
		return;
	if (is_young_record(e)) {
		c->young++;
		return;
	}
	check_addresses(c, e);
	if (!has_link(c->s->cfg, e->host_ifname))
		leak(c, "record without its link", pod, e->container_id,
		     "the agent releases it when the link has been gone for 5 minutes");
}

static void check_twice(struct checker *c, size_t i, size_t k)
{
	const struct rs_endpoint *a = c->s->records.v[i], *b = c->s->records.v[k];

	if (a->state != RS_ENDPOINT_LIVE || b->state != RS_ENDPOINT_LIVE)
		return;
	for (size_t x = 0; x < a->n_ips; x++)
		for (size_t y = 0; y < b->n_ips; y++)
			if (!rs_addr_cmp(&a->ips[x], &b->ips[y])) {
				rs_autofree char *one = address_of(a, &a->ips[x]);
				rs_autofree char *both =
					rs_asprintf("%s and %s/%s", one, b->pod_ns, b->pod_name);

				leak(c, "address in two records", both, a->container_id,
				     "make one of the two pods anew");
			}
}

/* ---- links ----------------------------------------------------------------------------------- */

/* Nothing tells how old a link is: while an ADD may be under way, one without a record is its. */

static void check_links(struct checker *c)
{
	const struct rs_inventory_config *cfg = c->s->cfg;

	for (size_t i = 0; i < cfg->n_links; i++) {
		bool known = !cfg->links[i].of_pod;

		for (size_t k = 0; k < c->s->records.n && !known; k++)
			known = !strcmp(c->s->records.v[k]->host_ifname, cfg->links[i].name);
		if (!known && c->adding)
			c->young++;
		else if (!known)
			leak(c, "pod link without a record", cfg->links[i].name, NULL,
			     "nothing passes it; an ADD that is under way ends it, else: ip link "
			     "delete");
	}
}

/* ---- the runtime's cache --------------------------------------------------------------------- */

/* libcni names a result NETWORK-CONTAINERID-IFNAME. */
static char *cache_name(const struct rs_endpoint *e)
{
	return rs_asprintf("%s-%s-%s", e->network, e->container_id, e->ifname);
}

static bool in_records(const struct stock *s, const char *name)
{
	for (size_t i = 0; i < s->records.n; i++) {
		rs_autofree char *own = cache_name(s->records.v[i]);

		if (!strcmp(own, name))
			return true;
	}
	return false;
}

/* Of one of the networks that we have records of. */
static bool of_our_network(const struct stock *s, const char *name)
{
	for (size_t i = 0; i < s->records.n; i++) {
		const char *network = s->records.v[i]->network;

		if (!strncmp(name, network, strlen(network)) && name[strlen(network)] == '-')
			return true;
	}
	return false;
}

/* Whether the runtime keeps results of ours there at all; some have none. */
static bool check_cache(struct checker *c)
{
	DIR *dir = c->s->cfg->cni_cache ? opendir(c->s->cfg->cni_cache) : NULL;
	const struct dirent *d;

	if (!dir)
		return false;
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.' && of_our_network(c->s, d->d_name) &&
		    !in_records(c->s, d->d_name))
			leak(c, "cached result without a record", d->d_name, NULL,
			     "the runtime believes that pod attached: restart the pod");
	closedir(dir);
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void add_word(struct json_object *list, const char *word)
{
	json_object_array_add(list, json_object_new_string(word));
}

static void compare(struct checker *c)
{
	const struct stock *s = c->s;

	for (size_t i = 0; i < s->damaged.n; i++)
		leak(c, "damaged file", s->damaged.v[i], NULL,
		     "the address of a damaged lease file is given to no pod: see the file");
	for (size_t i = 0; i < s->leases.n; i++)
		check_lease(c, &s->leases.v[i]);
	for (size_t i = 0; i < s->records.n; i++)
		check_record(c, s->records.v[i]);
	for (size_t i = 0; i < s->records.n; i++)
		for (size_t k = i + 1; k < s->records.n; k++)
			check_twice(c, i, k);
}

void stock_check(const struct stock *s, struct json_object *o)
{
	struct json_object *check = json_object_new_object();
	struct json_object *compared = json_object_new_array(), *left = json_object_new_array();
	struct checker c = { .s = s, .leaks = json_object_new_array() };
	size_t tombstones = 0;

	compare(&c);
	add_word(compared, "leases");
	add_word(compared, "records");
	add_word(compared, "links of records");
	if (s->cfg->knows_pod_links)
		check_links(&c);
	add_word(s->cfg->knows_pod_links ? compared : left, "records of links");
	add_word(check_cache(&c) ? compared : left, "CNI cache");
	for (size_t i = 0; i < s->records.n; i++)
		tombstones += s->records.v[i]->state == RS_ENDPOINT_TOMBSTONE;
	json_object_object_add(check, "leaks", c.leaks);
	json_object_object_add(check, "compared", compared);
	json_object_object_add(check, "notCompared", left);
	json_object_object_add(check, "records", json_object_new_uint64(s->records.n - tombstones));
	json_object_object_add(check, "tombstones", json_object_new_uint64(tombstones));
	json_object_object_add(check, "young", json_object_new_uint64(c.young));
	json_object_object_add(o, "check", check);
}
