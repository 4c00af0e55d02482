/* SPDX-License-Identifier: Apache-2.0 */
/* registry_internal.h - what registry.c, records.c and relabel.c share. */
#ifndef RIPSTOP_AGENT_REGISTRY_INTERNAL_H
#define RIPSTOP_AGENT_REGISTRY_INTERNAL_H

#include "agent/glance.h"
#include "agent/log.h"
#include "agent/registry.h"

/* A live record without an entry, and since when it has had no link. */
struct rs_stray {
	char *key;
	int64_t since_ms;
	bool seen;
};

struct rs_registry {
	struct rs_registry_config cfg;
	struct rs_vec(struct rs_attached *) entries;
	struct rs_vec(struct rs_endpoint *) graves;
	struct rs_vec(char *) damaged; /* "file: why" */
	struct rs_vec(struct rs_stray) strays;
	struct rs_local_pod *locals;
	bool sorted; /* entries, by namespace and name */
	/* Entries have the labels of this moment of a store (object/store.h); news: all but those
	 * that have come since. */
	uint64_t labels_serial, labels_sequence;
	bool news;
	struct rs_glance glance;
};

char *rs_attached_key(const char *container_id, const char *ifname);
struct rs_attached *rs_registry_insert(struct rs_registry *r, struct rs_endpoint *rec);
int rs_attached_verify_link(const struct rs_registry *r, const struct rs_endpoint *e,
			    struct rs_err *err);
void rs_registry_settle_conflicts(struct rs_registry *r);

/* Remember a record whose elements, leases and file are to go; takes it over. Known ones are
 * freed. */
void rs_registry_entomb(struct rs_registry *r, struct rs_endpoint *e);

void rs_container_ports_free(struct rs_container_port *v, size_t n);

#endif
