// SPDX-License-Identifier: Apache-2.0
/*
 * agent.c - agent/ is the node agent: it keeps the kernel's rules as the policies say, takes pods
 * in for the plugin and answers the command line. This file is its main().
 */
#include "agent/agent.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/cnifiles.h"
#include "agent/dropwatch.h"
#include "agent/events.h"
#include "agent/httpd.h"
#include "agent/install.h"
#include "agent/reaper.h"
#include "agent/server.h"

/* What run and uninstall both need; nothing in the kernel changes here. */
static int open_node(struct rs_agent *a, struct rs_err *err)
{
	struct rs_registry_config cfg = { .host = &a->host,
					  .boot_id = a->boot_id,
					  .link_group = a->opt.link_group,
					  .labels_from_api = rs_origin_is_api(&a->opt) };
	int rc = rs_lock_take(a->opt.state_dir, &a->lock_fd, err);

	/* A dry run disturbs nobody. */
	if (rc == 0 && strcmp(a->opt.dataplane, "null") != 0)
		rc = rs_lock_node(&a->node_fd, err);
	if (rc == 0)
		rc = rs_boot_id(a->boot_id, err);
	if (rc == 0)
		rc = rs_host_open(a->opt.state_dir, &a->host, &a->host_real, err);
	if (rc == 0)
		rc = rs_endpoint_store_open(a->opt.state_dir, &a->records, err);
	if (rc < 0)
		return rc;
	rs_endpoint_store_patience(a->records, RS_LOCK_MS);
	cfg.records = a->records;
	a->reg = rs_registry_new(&cfg);
	return rs_choice_open(a, err);
}

static int adopt(struct rs_agent *a, struct rs_err *err)
{
	struct rs_reconcile_config cfg = {
		.reg = a->reg,
		.dp = a->dp,
		.guarded = a->other_judges,
		.metrics = &a->metrics,
		.node_name = a->opt.node_name,
		.node_ranges = a->opt.node_ranges.v,
		.n_node_ranges = a->opt.node_ranges.n,
		.cluster_ranges = a->opt.cluster_cidr.v,
		.n_cluster_ranges = a->opt.cluster_cidr.n,
		.src = a->src,
	};

	return rs_reconcile_new(&cfg, &a->rec, err);
}

/* What the kernel enforces; by the other dataplane where the first one cannot tell, or cannot even
 * close the pods that are here. */
static int adopt_or_another(struct rs_agent *a, struct rs_err *err)
{
	rs_auto_err why = { 0 };
	int rc = adopt(a, &why);

	if (rc < 0 && rs_choice_has_another(a)) {
		rc = rs_choice_take_another(a, &why, err);
		return rc < 0 ? rc : adopt(a, err);
	}
	rs_err_move(err, &why);
	return rc;
}

static int open_reconciler(struct rs_agent *a, struct rs_err *err)
{
	int rc = rs_origin_open(&a->opt, &a->src, err);

	if (rc < 0)
		return rc;
	rc = rs_registry_scan(a->reg, true, rs_mono_ms(), 0, err);
	if (rc >= 0)
		rc = rs_registry_check_groups(a->reg, err);
	if (rc >= 0 && a->dp->ops != &rs_dp_null)
		rc = rs_routes_check(a, err);
	if (rc >= 0)
		rc = adopt_or_another(a, err);
	if (rc < 0)
		return rc;
	a->in_sync = true;
	rs_reconcile_dispatch(a->rec, rs_mono_ms());
	rs_repair_conditions(a);
	return 0;
}

char *rs_agent_why_not_ready(const struct rs_agent *a)
{
	char *why = rs_reconcile_why_not_ready(a->rec);

	return why ? why : rs_strdup(rs_cnifiles_why_not_ready(a->cnifiles));
}

static int run(struct rs_agent *a, struct rs_err *err)
{
	rs_autofree char *origin = rs_origin_name(&a->opt);
	size_t n = 0;
	int rc = open_reconciler(a, err);

	if (rc == 0) {
		a->cnifiles = rs_cnifiles_new(&a->opt);
		rs_cnifiles_sync(a->cnifiles, false, rs_mono_ms());
	}
	if (rc == 0)
		rc = rs_events_new(a, &a->events, err);
	if (rc == 0)
		rc = rs_dropwatch_new(a, &a->drops, err);
	if (rc == 0)
		rc = rs_reaper_new(a->opt.link_group, &a->reaper, err);
	if (rc == 0)
		rc = rs_loop_start(a, err);
	if (rc == 0)
		rc = rs_server_start(a, err);
	if (rc == 0)
		rc = rs_httpd_start(a, err);
	if (rc < 0)
		return rc;
	/* A record that a plugin took back before it could have told us is not ours to keep. */
	rs_gc_run(a, rs_mono_ms());
	rs_registry_list(a->reg, &n);
	rs_log(RS_LOG_INFO, "started", "version", RIPSTOP_VERSION, "node", a->opt.node_name,
	       "dataplane", a->dp->ops->name, "source", a->src->ops->name, "origin", origin,
	       "endpoints", RS_LOG_U64(n), "adopted_generation",
	       RS_LOG_U64(rs_reconcile_generation(a->rec)), NULL);
	rs_board_update(a);
	/* Else the first commit writes it: a restart never shows a node that was ready as not
	 * ready. */
	if (!rs_reconcile_synced(a->rec))
		rs_nodefile_update(a, rs_mono_ms());
	return rs_loop_run(a, err);
}

/* The kernel keeps everything, and node.json stays: it ages, so that a restart does not flap the
 * node. */
static void close_all(struct rs_agent *a)
{
	rs_masquerade_free(a->masq);
	rs_cnifiles_free(a->cnifiles);
	rs_dropwatch_free(a->drops);
	/* Its answers are requests to the reconciler, whose answers go to the server. */
	rs_reaper_free(a->reaper);
	rs_reconcile_free(a->rec);
	rs_server_stop(a->server);
	rs_httpd_stop(a->httpd);
	rs_loop_stop(a);
	rs_events_free(a->events);
	if (a->src)
		a->src->ops->close(a->src);
	if (a->dp)
		a->dp->ops->close(a->dp);
	rs_registry_free(a->reg);
	rs_endpoint_store_close(a->records);
	rs_host_close(a->host_real);
	rs_conditions_free(&a->conditions);
	rs_conditions_free(&a->routes);
	rs_conditions_free(&a->leases);
	free(a->dp_conditions);
	free(a->why_not_first);
	free(a->why_other_stays);
	rs_repair_free(&a->repairs);
	free(a->node_json);
	if (a->node_fd >= 0)
		close(a->node_fd);
	if (a->lock_fd >= 0)
		close(a->lock_fd);
	rs_options_clear(&a->opt);
}

static int complain(const struct rs_err *err)
{
	rs_auto_strbuf text = { 0 };

	rs_strbuf_puts_safe(&text, rs_err_str(err));
	fprintf(stderr, "ripstop-agent: %s\n", rs_strbuf_str(&text));
	if (err->hint)
		fprintf(stderr, "ripstop-agent: %s\n", err->hint);
	return 1;
}

/* A DaemonSet starts again what ends. */
static void stay(void)
{
	sigset_t set;
	int which;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	puts("done: waits for SIGTERM");
	fflush(stdout);
	sigwait(&set, &which);
}

static int act(struct rs_agent *a, struct rs_err *err)
{
	int rc;

	if (a->opt.command == RS_AGENT_INSTALL)
		return rs_install(&a->opt, err);
	rs_log_setup(rs_options_log_level(&a->opt), !strcmp(a->opt.log_format, "json"));
	a->started_ms = rs_mono_ms();
	umask(077);
	rc = open_node(a, err);
	if (rc < 0)
		return rc;
	return a->opt.command == RS_AGENT_UNINSTALL ? rs_uninstall(a, err) : run(a, err);
}

/*
 * The lists of a compile are large and short-lived: mapped for themselves they go back to the
 * system with free(3), whatever was allocated since. Left alone malloc(3) raises these bounds to
 * the largest that was freed. A second heap for the few threads would hold nothing.
 */
static void tune_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

int main(int argc, char **argv)
{
	struct rs_agent a = { .lock_fd = -1, .node_fd = -1 };
	rs_auto_err err = { 0 };
	int rc;

	tune_heap();
	rc = rs_options_read(&a.opt, argc, argv, environ, &err);
	if (rc < 0) {
		complain(&err);
		rs_options_clear(&a.opt);
		return 2;
	}
	if (a.opt.command == RS_AGENT_HELP) {
		rs_options_help(stdout);
	} else if (a.opt.command == RS_AGENT_VERSION) {
		puts("ripstop-agent " RIPSTOP_VERSION);
	} else {
		rc = act(&a, &err);
		if (rc < 0)
			rc = complain(&err);
		else if (a.opt.stay && a.opt.command != RS_AGENT_RUN)
			stay();
	}
	close_all(&a);
	return rc;
}
