/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.h - what people keep in git beside the four kinds of <ripstop/object.h>: workloads,
 * which stand for their pods, Services and EndpointSlices. For the command line; the agent never
 * reads them.
 *
 * What flows in: the same documents. What flows out: arrays of plain structs. Objects of kinds
 * that are neither here nor there are counted.
 *
 *	struct rs_extras *x = rs_extras_new();
 *	rc = rs_decode_text_with(store, x, "k8s/web.yaml", text, len, false, RS_ADMIT_STRICT, &err);
 *	rc = rs_extras_finish(x, &err);		// after the last text
 */
#ifndef RIPSTOP_WORKLOAD_H
#define RIPSTOP_WORKLOAD_H

#include <ripstop/object.h>

/* Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob. */
struct rs_workload {
	struct rs_meta meta; /* its labels are the workload's own, which no policy looks at */
	const char *kind;    /* static */
	char *owner_kind;    /* controller ownerReference, NULL when absent */
	char *owner_name;
	/* of its pods, from the template; a Job's with the labels that its controller adds */
	struct rs_labels labels;
	bool host_network;
	struct rs_container_port *ports;
	size_t n_ports;
};

enum rs_target_kind {
	RS_TARGET_SAME, /* targetPort absent: the port itself */
	RS_TARGET_NUMBER,
	RS_TARGET_NAME,
};

struct rs_service_port {
	char *name; /* NULL when unnamed */
	uint8_t proto;
	uint16_t port;
	uint16_t node_port; /* 0: none */
	enum rs_target_kind target_kind;
	uint16_t target;
	char *target_name;
};

struct rs_service {
	struct rs_meta meta;
	char *type; /* "ClusterIP" when absent */
	bool headless;
	bool local_only;     /* externalTrafficPolicy: Local */
	struct rs_addr *ips; /* clusterIPs, externalIPs, then load balancer addresses */
	size_t n_ips;
	size_t n_cluster_ips; /* of ips, the first */
	struct rs_labels selector;
	struct rs_service_port *ports;
	size_t n_ports;
};

/* One address of an EndpointSlice. */
struct rs_slice_end {
	struct rs_addr addr;
	char *pod_ns, *pod_name; /* targetRef of kind Pod, else NULL */
	bool ready;		 /* absent counts as ready, as in Kubernetes */
};

struct rs_slice_port {
	char *name; /* NULL when unnamed */
	uint8_t proto;
	uint16_t port; /* 0: every port */
};

struct rs_slice {
	struct rs_meta meta;
	char *service; /* label kubernetes.io/service-name; NULL: of no Service */
	struct rs_slice_end *ends;
	size_t n_ends;
	struct rs_slice_port *ports;
	size_t n_ports;
};

struct rs_skipped {
	char *kind;
	size_t n;
};

/* Sorted by (namespace, name, kind) once finished. */
struct rs_extras {
	struct rs_workload *workloads;
	size_t n_workloads, cap_workloads;
	struct rs_service *services;
	size_t n_services, cap_services;
	struct rs_slice *slices;
	size_t n_slices, cap_slices;
	struct rs_skipped *skipped; /* sorted by kind */
	size_t n_skipped, cap_skipped;
	const char *namespace; /* of objects of a file that name none; NULL: "default". Borrowed */
};

struct rs_extras *rs_extras_new(void);
void rs_extras_free(struct rs_extras *x); /* NULL is legal */

/* As rs_decode_text(); what it would skip goes to x. x NULL: the same as rs_decode_text(). */
int rs_decode_text_with(struct rs_store *s, struct rs_extras *x, const char *file, const char *text,
			size_t len, bool json, enum rs_admit admit, struct rs_err *err);

/* As rs_store_finish_folder(), with the namespaces that workloads use. */
void rs_store_finish_with(struct rs_store *s, const struct rs_extras *x);

/* Sort. Two of one kind and name are an error that names both places. */
int rs_extras_finish(struct rs_extras *x, struct rs_err *err);

#endif
