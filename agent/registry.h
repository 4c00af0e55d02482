/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - the pods that hang on this node, keyed by (containerID, ifname).
 *
 * What flows in: attachment records (files the plugin writes), kernel links, and the objects of the
 * source, which may replace labels and named ports. What flows out: the array of local pods that is
 * compiled. The record, not the object, says what is attached: an entry keeps its last known labels
 * until its DEL, whatever the source says or forgets.
 *
 * No clock and no loop: callers pass the time in.
 */
#ifndef RIPSTOP_AGENT_REGISTRY_H
#define RIPSTOP_AGENT_REGISTRY_H

#include <ripstop/endpoint.h>
#include <ripstop/object.h>

#include "agent/host.h"
#include "base/base.h"
#include "policy/policy.h"

/* One entry. */
struct rs_attached {
	char *key; /* "containerID/ifname": neither can hold a slash */
	struct rs_endpoint *rec;
	struct rs_labels labels; /* last known, as the compiler reads them */
	struct rs_container_port *ports;
	size_t n_ports;
	uint64_t stamp;	       /* of the record, labels and ports (policy.h): new when they are */
	bool closed;	       /* nobody knows its labels */
	bool unsaved;	       /* the record on disk has older labels */
	bool has_link;	       /* its own link is there: name and index agree */
	bool programmed;       /* the committed IR holds it */
	bool seen;	       /* the scan that is under way has come to its record */
	char *conflict;	       /* not compiled, and why; NULL when fine */
	uint64_t generation;   /* since which it is programmed */
	int64_t gone_since_ms; /* its link is missing since; 0 while it is there */
};

struct rs_registry;

struct rs_registry_config {
	struct rs_endpoint_store *records; /* borrowed, like all here */
	const struct rs_host *host;
	const char *boot_id;
	uint32_t link_group;
	bool labels_from_api; /* only the API's labels count; none means closed */
};

struct rs_registry *rs_registry_new(const struct rs_registry_config *cfg);
void rs_registry_free(struct rs_registry *r);

/*
 * Read every record. Records of another boot are removed with their leases, tombstones are kept
 * for rs_registry_bury(), damaged files stay where they are and become a condition: nothing
 * programs their link, so it stays closed. With adopt, live records become entries (at start);
 * without it only what changed under us is taken: tombstones, records that are gone, and live
 * ones that nobody attached and that have had no link for limit_ms.
 * Returns how many entries left the registry.
 */
int rs_registry_scan(struct rs_registry *r, bool adopt, int64_t now_ms, int64_t limit_ms,
		     struct rs_err *err);

/* The record of that key as it stands on disk; the caller frees it. */
int rs_registry_record(const struct rs_registry *r, const char *container_id, const char *ifname,
		       struct rs_endpoint **out, struct rs_err *err);

/* Take one record in (attach): it is loaded, its link and addresses are verified. An entry of
 * the same key is replaced. *out is borrowed. */
int rs_registry_admit(struct rs_registry *r, const char *container_id, const char *ifname,
		      struct rs_attached **out, struct rs_err *err);
void rs_registry_drop(struct rs_registry *r, struct rs_attached *a);
struct rs_attached *rs_registry_find(const struct rs_registry *r, const char *container_id,
				     const char *ifname);
/* By pod name, for people: of several (a pod and its successor) the youngest. */
struct rs_attached *rs_registry_by_pod(const struct rs_registry *r, const char *ns,
				       const char *name);
struct rs_attached *rs_registry_by_addr(const struct rs_registry *r, const struct rs_addr *a);

/* Take labels and named ports from the objects: of pods that changed since the last time, where
 * the store knows which. Records are not written yet. Returns whether anything changed. */
bool rs_registry_relabel(struct rs_registry *r, const struct rs_store *store);

/* Write the labels that are not in the records yet; stops at the first that cannot be written. It
 * takes milliseconds, and nobody waits for it: once the rules are in force. */
void rs_registry_save_labels(struct rs_registry *r);

/* Entries whose link is missing: note since when; those gone for limit_ms are condemned: they
 * leave the registry and wait for rs_registry_bury(). Returns whether the IR may differ. */
bool rs_registry_check_links(struct rs_registry *r, int64_t now_ms, int64_t limit_ms);

/* -EBUSY when the link of an entry lies outside the link group and its neighbour. */
int rs_registry_check_groups(const struct rs_registry *r, struct rs_err *err);

/* After a commit without them: release leases and remove records of everything that is
 * condemned or was a tombstone. What fails stays for the next time. Returns how many are done. */
size_t rs_registry_bury(struct rs_registry *r);
size_t rs_registry_graves(const struct rs_registry *r);

/* Entries sorted by (namespace, name, key); valid until the next change. */
struct rs_attached *const *rs_registry_list(struct rs_registry *r, size_t *n);

/* The same as the compiler wants them, without those in conflict; valid until the next change. */
const struct rs_local_pod *rs_registry_locals(struct rs_registry *r, size_t *n);

/* "FILE: why" of every damaged record the last scan found; valid until the next one. */
char *const *rs_registry_damaged(const struct rs_registry *r, size_t *n);

void rs_registry_conditions(const struct rs_registry *r, struct rs_conditions *out);

const char *rs_label_origin_name(enum rs_label_origin o);

#endif
