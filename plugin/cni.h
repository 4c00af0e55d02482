/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni.h - what the files of plugin/ share: one CNI call, from its environment to its result.
 *
 * A call is parsed whole before anything is touched. Functions return 0 or a negative errno with an
 * error that carries its CNI code; main prints it once. Warnings go to stderr through cni_warn().
 */
#ifndef RIPSTOP_PLUGIN_CNI_H
#define RIPSTOP_PLUGIN_CNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/endpoint.h>
#include <ripstop/error.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "endpoint/node.h"
#include "ipam/ipam.h"
#include "netlink/netlink.h"

#define CNI_STDIN_MAX (1024u * 1024u)
#define CNI_STDIN_DEPTH 32
#define CNI_STDIN_WAIT_MS 20000
#define CNI_STATE_DIR "/run/ripstop"
#define CNI_VERSION_NEWEST "1.1.0"
#define CNI_MTU_DEFAULT 1500
#define CNI_MTU_MIN6 1280 /* RFC 8200: less carries no IPv6 */

/* The pod's next hops: link-local, the same for every pod, never resolved (static neighbours). */
#define CNI_GATEWAY4 "169.254.1.1"
#define CNI_GATEWAY6 "fe80::1"

enum cni_verb {
	CNI_ADD,
	CNI_DEL,
	CNI_CHECK,
	CNI_GC,
	CNI_STATUS,
	CNI_VERSION,
};

struct cni_labels {
	struct rs_endpoint_label *v;
	size_t n;
	size_t cap;
};

/* ---- environment (cni_environ.c) ------------------------------------------------------------- */

/* The variables as getenv() gives them; NULL when unset. Borrowed. */
struct cni_env_raw {
	const char *command;
	const char *container_id;
	const char *netns;
	const char *ifname;
	const char *path;
	const char *args;
};

struct cni_env {
	enum cni_verb verb;
	char *container_id; /* NULL where the verb needs none */
	char *netns;
	char *ifname;
	char *path;
	char *pod_ns; /* of CNI_ARGS; NULL when it says nothing */
	char *pod_name;
	char *pod_uid;
	bool has_labels; /* RIPSTOP_LABELS was given, if only empty */
	struct cni_labels labels;
};

int cni_env_parse(const struct cni_env_raw *raw, struct cni_env *out, struct rs_err *err);
void cni_env_clear(struct cni_env *env);
const char *cni_verb_name(enum cni_verb verb);

/* ---- labels (cni_labels.c) ------------------------------------------------------------------- */

/* Adds a label after checking Kubernetes' syntax; a second one of a key is -EEXIST. */
int cni_label_add(struct cni_labels *l, const char *key, const char *value, struct rs_err *err);
/* "app:web,tier:be" */
int cni_labels_parse(struct cni_labels *l, const char *text, struct rs_err *err);
void cni_labels_sort(struct cni_labels *l);
void cni_labels_clear(struct cni_labels *l);
/* Names of networks, IPAM plugins and pods: alphanumeric, then [A-Za-z0-9_.-]. */
bool cni_is_name(const char *s, size_t max);

/* ---- configuration (cni_config.c, cni_config_parts.c) ---------------------------------------- */

struct cni_attachment {
	char *container_id;
	char *ifname;
};

struct cni_config {
	struct json_object *raw; /* the whole of stdin */
	char *version;
	char *name;
	char *socket;
	char *state_dir;
	uint32_t mtu; /* 0: not said */
	int timeout_s;
	int status_max_age_s;

	char *ipam_type; /* of an external plugin; NULL: built in */
	struct rs_cidr *ranges;
	size_t n_ranges;
	uint32_t rest_s;

	bool has_labels; /* args.cni.labels was given, if only empty */
	struct cni_labels labels;

	struct json_object *dns;	 /* borrowed from raw; NULL when there is none */
	struct json_object *prev_result; /* likewise */
	bool has_attachments;		 /* absent and empty differ: nothing against everything */
	struct rs_vec(struct cni_attachment) attachments;

	struct rs_strbuf warnings; /* one line each */
};

/* DEL and GC read only what releasing needs: a fault elsewhere cannot keep a pod's resources. */
int cni_config_parse(const char *text, size_t len, enum cni_verb verb, struct cni_config *out,
		     struct rs_err *err);
void cni_config_clear(struct cni_config *c);
/* 0.3.1 -> 31, 0.4.0 -> 40, 1.0.0 -> 100, 1.1.0 -> 110; 0 for any other. */
int cni_version_number(const char *version);
bool cni_config_is_valid_attachment(const struct cni_config *c, const char *container_id,
				    const char *ifname);

int cni_config_ipam(struct cni_config *c, enum cni_verb verb, struct rs_err *err);
int cni_config_labels(struct cni_config *c, struct rs_err *err);
int cni_config_attachments(struct cni_config *c, struct rs_err *err);
void cni_config_warn_unknown(struct cni_config *c);

/* ---- one call -------------------------------------------------------------------------------- */

struct cni_call {
	struct cni_env env;
	struct cni_config conf;
	int64_t start_ms;
};

void cni_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int cni_add(struct cni_call *c, struct json_object **result, struct rs_err *err);
int cni_del(struct cni_call *c, struct rs_err *err);
int cni_check(struct cni_call *c, struct rs_err *err);
int cni_gc(struct cni_call *c, struct rs_err *err);
int cni_status(struct cni_call *c, struct rs_err *err);
struct json_object *cni_version(const char *text, size_t len);

/* ---- results (cni_result.c) ------------------------------------------------------------------ */

/* A route that goes into the result: dst, by way of the family's gateway. */
struct cni_routes {
	struct rs_cidr *v;
	size_t n;
	size_t cap;
};

struct json_object *cni_result(const struct cni_call *c, const struct rs_endpoint *e,
			       const struct cni_routes *routes, struct json_object *dns);
struct json_object *cni_error_json(const char *version, const struct rs_err *err);
/* Addresses of a result's "ips", of any of our versions. At most max; more is -E2BIG. */
int cni_result_ips(struct json_object *result, struct rs_addr *out, size_t max, size_t *n,
		   struct rs_err *err);
const char *cni_mac_str(const uint8_t mac[6], char buf[18]);
struct rs_addr cni_gateway(int family);
bool cni_has_family(const struct rs_endpoint *e, int family);

/* ---- addresses (cni_lease.c, cni_delegate.c) ------------------------------------------------- */

/* Ranges of the configuration, else of node.json; refuses any that holds the node's addresses. */
int cni_ranges(struct cni_call *c, const struct rs_node_info *node, struct rs_nl *host,
	       struct rs_err *err);
/* The same check for single addresses (/32, /128) or ranges that come from elsewhere. */
int cni_refuse_node_addrs(struct rs_nl *host, const struct rs_cidr *ranges, size_t n,
			  struct rs_err *err);
int cni_ipam_open(struct cni_call *c, struct rs_ipam **out, struct rs_err *err);
RS_DEFINE_CLEANUP(cni_cleanup_ipam, struct rs_ipam *, rs_ipam_close)
RS_DEFINE_CLEANUP(cni_cleanup_store, struct rs_endpoint_store *, rs_endpoint_store_close)
RS_DEFINE_CLEANUP(cni_cleanup_nl, struct rs_nl *, rs_nl_close)
RS_DEFINE_CLEANUP(cni_cleanup_endpoint, struct rs_endpoint *, rs_endpoint_free)

/*
 * Run the external IPAM plugin with our environment and stdin, under the verb given.
 * *result (may be NULL) is what it printed on success. Bounded in output and time.
 */
int cni_delegate(struct cni_call *c, enum cni_verb verb, struct json_object **result,
		 struct rs_err *err);
/* What an ADD of the delegate answered, taken over: addresses into e, routes, DNS (borrowed). */
int cni_delegate_take(struct json_object *result, struct rs_endpoint *e, struct cni_routes *routes,
		      struct json_object **dns, struct rs_err *err);

/* ---- kernel (cni_plumb.c, cni_sysctl.c) ------------------------------------------------------ */

struct cni_plumb {
	struct rs_nl *host;
	struct rs_nl *pod;
	int netns_fd;
	struct rs_link host_link;
	struct rs_link pod_link;
};

int cni_plumb_open(struct cni_plumb *p, const struct cni_call *c, struct rs_err *err);
void cni_plumb_close(struct cni_plumb *p);
/* The pair, both ends down: all that an agent needs to know of it. */
int cni_plumb_create(struct cni_plumb *p, struct rs_endpoint_store *store, struct rs_endpoint *e,
		     uint32_t group, struct rs_err *err);
/* Everything but the host end's going up: no packet passes yet. */
int cni_plumb_dress(struct cni_plumb *p, const struct rs_endpoint *e,
		    const struct cni_routes *routes, struct rs_err *err);
/* After the agent's answer: the link goes up, the node learns the way, the pod can send. */
int cni_plumb_open_gate(struct cni_plumb *p, const struct rs_endpoint *e, struct rs_err *err);

int cni_sysctl_forwarding(struct rs_nl *host, const struct rs_endpoint *e, struct rs_err *err);
int cni_sysctl_host_link(struct rs_nl *host, const struct rs_endpoint *e, struct rs_err *err);
int cni_sysctl_pod_link(int netns_fd, const struct rs_endpoint *e, struct rs_err *err);

/* ---- the agent (cni_agent.c) ----------------------------------------------------------------- */

/* fn is called once while the agent works; it has been when this succeeds.
 * *nobody: at no try was there anybody at the socket; no agent has heard of the pod. */
int cni_agent_attach(struct cni_call *c, int (*fn)(void *arg, struct rs_err *err), void *arg,
		     bool *nobody, struct rs_err *err);
/* *link: there is one, which the agent is to delete with others before it takes the rules away;
 * false when it has. -EBUSY: it could not, and took no rule away. */
int cni_agent_detach(const struct cni_config *conf, const char *container_id, const char *ifname,
		     int timeout_ms, bool *link, bool *nobody, struct rs_err *err);
/* -ENOTCONN when there is nobody to ask. */
int cni_agent_check(struct cni_call *c, struct rs_err *err);
void cni_agent_report(struct cni_call *c, const struct rs_err *why);

/* ---- release (cni_release.c) ----------------------------------------------------------------- */

struct cni_release {
	const struct cni_config *conf;
	struct rs_endpoint_store *store;
	struct rs_ipam *ipam; /* NULL: leases belong to an external plugin */
	const char *container_id;
	const char *ifname;
	bool ask_agent; /* false only while the agent cannot have heard of it */
	bool unheard;	/* nor has any: with nobody to ask there is nothing to clear */
	int timeout_ms; /* for the agent */
};

/*
 * The agent deletes the link (those that leave together as one) and then takes its rules away. A
 * link that it does not delete goes here: down before the rules go, then away. Then record, then
 * lease; goes on after a fault and reports the first one. When the agent does not answer, the
 * record becomes a tombstone and the lease stays, which is no fault. What no agent ever heard of
 * needs no tombstone while there is none: its record goes at once.
 */
int cni_release(const struct cni_release *r, struct rs_err *err);
/* The group of pod links' host ends: node.json's, else RS_LINK_GROUP. */
uint32_t cni_link_group(const struct cni_config *conf);

#endif
