/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - STATE/node.json: what the agent tells the plugin without a socket call.
 *
 * Written by the agent (temp, fsync, rename) at start, at every change and every 10 s; read by the
 * plugin for ranges and MTU (ADD) and for STATUS. A file of another boot counts as absent; one
 * older than the plugin's limit (120 s) means that no agent lives.
 */
#ifndef RIPSTOP_ENDPOINT_NODE_H
#define RIPSTOP_ENDPOINT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/addr.h>
#include <ripstop/error.h>

#define RS_NODE_FILE "node.json"

struct rs_node_info {
	char *boot_id;
	char *node;		/* node name */
	char *dataplane;	/* "nft" */
	char *version;
	struct rs_cidr *ranges; /* this node's pod ranges; may be empty (see the conflist) */
	size_t n_ranges;
	uint32_t mtu;		/* 0: the plugin takes the uplink's */
	uint32_t link_group;
	bool ready;		/* synced and committed: an ADD issued now would be served */
	char *why_not;		/* when not ready: one sentence */
	int64_t written_s;	/* wall clock */
};

void rs_node_info_clear(struct rs_node_info *n);
int rs_node_info_write(const char *state_dir, const struct rs_node_info *n, struct rs_err *err);
/* -ENOENT when there is none, or it is of another boot. */
int rs_node_info_read(const char *state_dir, struct rs_node_info *out, struct rs_err *err);
int rs_node_info_from_json(const char *text, size_t len, struct rs_node_info *out,
			   struct rs_err *err);
char *rs_node_info_to_json(const struct rs_node_info *n);

#endif
