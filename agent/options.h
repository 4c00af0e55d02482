/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the agent's settings, from flag, variable and file, by one table (options.c).
 *
 * Each row of the table is the flag --x-y, the variable RIPSTOP_X_Y and the key x-y of the
 * configuration file; the first of the three that is given counts.
 */
#ifndef RIPSTOP_AGENT_OPTIONS_H
#define RIPSTOP_AGENT_OPTIONS_H

#include <stdio.h>

#include <ripstop/dataplane.h>

#include "agent/log.h"
#include "base/base.h"

#define RS_CONFIG_FILE "/etc/ripstop/ripstop.conf"

enum rs_agent_command {
	RS_AGENT_RUN,
	RS_AGENT_INSTALL,
	RS_AGENT_UNINSTALL,
	RS_AGENT_HELP,
	RS_AGENT_VERSION,
};

struct rs_cidr_list {
	struct rs_cidr *v;
	size_t n;
};

struct rs_options {
	enum rs_agent_command command;
	char *config;
	char *manifests; /* NULL: an API server */
	char *kubeconfig;
	char *api_server;
	char *state_dir;
	char *socket; /* never NULL: STATE/agent.sock by default */
	char *node_name;
	struct rs_cidr_list node_ranges;
	struct rs_cidr_list cluster_cidr;
	uint32_t mtu;
	char *dataplane;
	bool allow_no_enforcement;
	bool verdict_cache;
	bool own_table;
	bool repair;
	uint32_t ct_mark_mask;
	uint32_t nflog_group;
	uint32_t log_rate;
	char *bpf_dir;
	uint32_t bpf_entries;
	char *drop_log;		/* NULL: none; "-": stdout */
	uint32_t drop_log_size; /* MiB */
	uint32_t drop_log_files;
	uint32_t link_group;
	bool node_routes;
	char *masquerade;
	struct rs_cidr_list masquerade_exclude;
	bool install_conflist;
	char *cni_conf_dir;
	char *cni_bin_dir;
	char *plugin;	       /* NULL: beside this program */
	char *metrics_address; /* "" is off */
	bool metrics_per_policy;
	bool events;
	char *log_format;
	char *log_level;
	bool force;
	bool stay;
};

/* Read argv, environ and the file. Errors name where the value stood (-EINVAL: usage). */
int rs_options_read(struct rs_options *o, int argc, char *const *argv, char *const *envp,
		    struct rs_err *err);
void rs_options_clear(struct rs_options *o);

void rs_options_help(FILE *to);

struct rs_dp_config rs_options_dataplane(const struct rs_options *o);
bool rs_options_masquerade(const struct rs_options *o);
enum rs_log_level rs_options_log_level(const struct rs_options *o);

#endif
