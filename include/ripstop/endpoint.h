/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - the attachment record: one file for each (containerID, ifname) that the plugin made.
 *
 * The plugin writes a record before it touches the kernel and removes it last; the agent reads all
 * of them at start and one when it is told of it. The record, not the API, is the truth about what
 * hangs on this node. Files lie in STATE/endpoints/, one JSON object each, written temp + fsync +
 * link(2), so a crash leaves all or nothing. Everything is keyed by (containerID, ifname), never by
 * pod: the successor of a pod has the same name and another container (failures F19, F6).
 *
 * States: LIVE    - ADD has begun or is done.
 *         TOMBSTONE - DEL came while no agent lived: links are gone, the addresses are not given
 *                   out again before an agent has removed their elements and the record.
 */
#ifndef RIPSTOP_ENDPOINT_H
#define RIPSTOP_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>
#include <ripstop/linkgroup.h>

#define RS_ENDPOINT_VERSION 1
#define RS_CONTAINER_ID_MAX 200 /* bytes; longer ones are refused (code 4) */
#define RS_IFNAME_LEN 16	/* with NUL */
#define RS_ENDPOINT_MAX_IPS 8
enum rs_endpoint_state {
	RS_ENDPOINT_LIVE,
	RS_ENDPOINT_TOMBSTONE,
};

/* Where the labels came from; decides who may replace them. */
enum rs_label_origin {
	RS_LABELS_NONE,	    /* nobody knows: with an API source such a pod is closed */
	RS_LABELS_CNI_ARGS, /* RIPSTOP_LABELS in CNI_ARGS */
	RS_LABELS_CONFIG,   /* args.cni.labels in the network configuration */
	RS_LABELS_MANIFEST, /* a Pod of the folder */
	RS_LABELS_API,
};

struct rs_endpoint_label {
	char *key;
	char *value;
};

/* A named container port, last known (named ports of ingress rules resolve on the subject). */
struct rs_endpoint_port {
	char *name;
	uint8_t proto; /* IP protocol number */
	uint16_t port; /* host order */
};

struct rs_endpoint {
	enum rs_endpoint_state state;
	char *container_id;
	char *ifname;  /* in the pod */
	char *network; /* name of the network configuration */
	char *netns;   /* path at ADD; may be gone or reused later: never trusted for identity */
	char *boot_id; /* of the boot that made it: one of another boot is void */

	char *pod_ns;	/* never NULL: "default" when nothing said */
	char *pod_name; /* never NULL: the containerID when nothing said */
	char *pod_uid;	/* NULL when the runtime gave none */
	enum rs_label_origin label_origin;
	struct rs_endpoint_label *labels; /* last known, sorted by key */
	size_t n_labels;
	struct rs_endpoint_port *ports; /* last known */
	size_t n_ports;

	char host_ifname[RS_IFNAME_LEN];
	uint32_t host_ifindex; /* 0 until the link exists */
	uint8_t pod_mac[6];
	uint8_t host_mac[6];
	struct rs_addr ll; /* the pod's IPv6 link-local address that we gave; family 0 when none */
	uint32_t mtu;
	struct rs_addr ips[RS_ENDPOINT_MAX_IPS];
	size_t n_ips;

	bool ipam_external; /* leases belong to a delegated IPAM plugin */
	int64_t created_s;  /* wall clock */
};

void rs_endpoint_free(struct rs_endpoint *e); /* and the struct itself; NULL is legal */
struct rs_endpoint *rs_endpoint_copy(const struct rs_endpoint *e);

/* "rs" and 11 hex digits of a hash of (containerID, ifname): the host side's name. Two keys may
 * have one: see rs_endpoint_name_rival(). */
void rs_endpoint_host_ifname(const char *container_id, const char *ifname, char out[RS_IFNAME_LEN]);

/* cni.md 6.1 / CNI spec: containerID starts alphanumeric, then [A-Za-z0-9_.-]; at most
 * RS_CONTAINER_ID_MAX. ifname: 1..15 bytes of printable ASCII, not ".", "..", "all" or "default",
 * no '/', ':', '%' (the kernel would choose a name). */
int rs_container_id_check(const char *id, struct rs_err *err);
int rs_ifname_check(const char *ifname, struct rs_err *err);

/* The folder of records. state_dir is created (0700) when missing. */
struct rs_endpoint_store;
int rs_endpoint_store_open(const char *state_dir, struct rs_endpoint_store **out,
			   struct rs_err *err);
void rs_endpoint_store_close(struct rs_endpoint_store *s);
/* How long a change waits for the folder's lock (else 10 s): short for one who serves others. */
void rs_endpoint_store_patience(struct rs_endpoint_store *s, int lock_ms);

/* -EEXIST (CNI code 105) when a record of that key exists; the old one is untouched. */
int rs_endpoint_create(struct rs_endpoint_store *s, const struct rs_endpoint *e,
		       struct rs_err *err);
/* Replace the record of that key (-ENOENT: there is none). A tombstone stays one: -ESTALE. */
int rs_endpoint_update(struct rs_endpoint_store *s, const struct rs_endpoint *e,
		       struct rs_err *err);
/* Read, let fn change what it likes but the key, write: all under one lock, so that plugin and
 * agent never undo each other's changes. Errors as rs_endpoint_update(). */
int rs_endpoint_modify(struct rs_endpoint_store *s, const char *container_id, const char *ifname,
		       void (*fn)(struct rs_endpoint *e, void *arg), void *arg, struct rs_err *err);
/* -ENOENT when there is none; -EBADMSG when it is damaged. The caller frees *out. */
int rs_endpoint_load(struct rs_endpoint_store *s, const char *container_id, const char *ifname,
		     struct rs_endpoint **out, struct rs_err *err);
/* Removing what is not there is no error. */
int rs_endpoint_remove(struct rs_endpoint_store *s, const char *container_id, const char *ifname,
		       struct rs_err *err);

/*
 * Call fn for every record (state LIVE and TOMBSTONE); a damaged file is reported through
 * fn(NULL, name, why, arg) and left where it is. Stops when fn returns non-zero and returns that.
 * The record passed is owned by the callee from then on.
 */
int rs_endpoint_each(struct rs_endpoint_store *s,
		     int (*fn)(struct rs_endpoint *e, const char *name, const struct rs_err *why,
			       void *arg),
		     void *arg, struct rs_err *err);

/* The same without the files that skip() knows already: it is asked first, with the open folder. */
int rs_endpoint_each_but(struct rs_endpoint_store *s,
			 bool (*skip)(int folder, const char *name, void *arg),
			 int (*fn)(struct rs_endpoint *e, const char *name,
				   const struct rs_err *why, void *arg),
			 void *arg, struct rs_err *err);

/* The record (its file's name; the caller frees it) of another key that has the host link name of
 * this one, damaged ones too; *rival is NULL when there is none. -errno when it cannot be known. */
int rs_endpoint_name_rival(struct rs_endpoint_store *s, const char *container_id,
			   const char *ifname, char **rival, struct rs_err *err);

/* JSON text of a record and back (for the files, the control socket's answers, the fuzzer). */
char *rs_endpoint_to_json(const struct rs_endpoint *e);
int rs_endpoint_from_json(const char *text, size_t len, struct rs_endpoint **out,
			  struct rs_err *err);

#endif
