/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - the operations of the control socket; each answers the request it is given. */
#ifndef RIPSTOP_AGENT_OPS_H
#define RIPSTOP_AGENT_OPS_H

#include "agent/server.h"

const struct rs_ctl_op *rs_op_find(const char *name);

typedef void rs_op_fn(struct rs_agent *a, struct rs_request *req, struct json_object *body);

rs_op_fn rs_op_attach, rs_op_detach, rs_op_check, rs_op_report;		       /* ops_plugin.c */
rs_op_fn rs_op_status, rs_op_pods, rs_op_policies, rs_op_rules, rs_op_version; /* ops_cli.c */
rs_op_fn rs_op_explain;							       /* ops_explain.c */
rs_op_fn rs_op_objects;							       /* ops_objects.c */
rs_op_fn rs_op_ipam;							       /* ops_ipam.c */
rs_op_fn rs_op_verify;							       /* ops_verify.c */

/* {"apiVersion", "kind", "metadata": {...}} of every object that the command line prints. */
struct json_object *rs_op_object(struct rs_agent *a, const char *kind);
/* ops_kernel.c: an end of a flow with that address: "link" of a pod of this node, or "own". */
int rs_op_add_link(struct rs_agent *a, struct json_object *end, const struct rs_addr *addr,
		   struct rs_err *err);
/* "local": which kernel the rules are in, and the link to everybody else. */
void rs_op_add_node(struct rs_agent *a, struct json_object *result, int family);
/* "pod operand": [NS/]NAME or pod/NS/NAME; ns defaults to def. Fills copies. */
int rs_operand_pod(const char *text, const char *def, char **ns, char **name, struct rs_err *err);
/* -ENOENT with the namespaces in which a pod of that name is, as the hint. */
int rs_operand_no_pod(struct rs_agent *a, const char *ns, const char *name, struct rs_err *err);
/* 5432 | tcp/5432 | udp/53 | sctp/9 | icmp. proto 0 stands for ICMP of the flow's family. */
int rs_operand_port(const char *text, uint8_t *proto, uint16_t *port, struct rs_err *err);

#endif
