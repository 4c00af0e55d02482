// SPDX-License-Identifier: Apache-2.0
/* scrape.c - the text of /metrics: counters of metrics.c and gauges gathered now. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/addresses.h"
#include "agent/agent.h"
#include "agent/dropwatch.h"
#include "agent/events.h"

static void gauge(struct rs_strbuf *out, const char *name, const char *help, double v)
{
	rs_metric_head(out, name, "gauge", help);
	rs_metric_sample(out, name, NULL, v);
}

static void counter(struct rs_strbuf *out, const char *name, const char *help, double v)
{
	rs_metric_head(out, name, "counter", help);
	rs_metric_sample(out, name, NULL, v);
}

static void labelled(struct rs_strbuf *out, const char *name, const char *key, const char *value,
		     double v)
{
	rs_auto_strbuf labels = { 0 };

	rs_metric_label(&labels, key, value);
	rs_metric_sample(out, name, rs_strbuf_str(&labels), v);
}

/* ---- the process ----------------------------------------------------------------------------- */

/* Pages: size, resident. */
static void memory(unsigned long pages[2])
{
	rs_autofclose FILE *f = fopen("/proc/self/statm", "re");

	pages[0] = pages[1] = 0;
	if (f && fscanf(f, "%lu %lu", &pages[0], &pages[1]) != 2)
		pages[0] = pages[1] = 0;
}

uint64_t rs_process_rss(void)
{
	unsigned long pages[2];

	memory(pages);
	return (uint64_t)pages[1] * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
	rs_autoclosedir DIR *d = opendir("/proc/self/fd");
	double n = 0;

	while (d && readdir(d))
		n++;
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static double start_time(const struct rs_agent *a)
{
	return (double)(rs_now_s() - (rs_mono_ms() - a->started_ms) / 1000);
}

static void put_process(const struct rs_agent *a, struct rs_strbuf *out)
{
	struct rusage ru = { 0 };
	struct rlimit rl = { 0 };
	unsigned long pages[2];
	double page = (double)sysconf(_SC_PAGESIZE);

	getrusage(RUSAGE_SELF, &ru);
	getrlimit(RLIMIT_NOFILE, &rl);
	memory(pages);
	rs_metric_head(out, "process_cpu_seconds_total", "counter", "User and system CPU time");
	rs_metric_sample(out, "process_cpu_seconds_total", NULL,
			 (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
				 (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	gauge(out, "process_resident_memory_bytes", "Resident memory", (double)pages[1] * page);
	gauge(out, "process_virtual_memory_bytes", "Virtual memory", (double)pages[0] * page);
	gauge(out, "process_open_fds", "Open descriptors", open_fds());
	gauge(out, "process_max_fds", "Limit of open descriptors", (double)rl.rlim_cur);
	gauge(out, "process_start_time_seconds", "Start, seconds since the epoch", start_time(a));
}

/* ---- the node -------------------------------------------------------------------------------- */

static void put_endpoints(struct rs_agent *a, struct rs_strbuf *out)
{
	static const char *const dirs[] = { "ingress", "egress" };
	size_t n, count[RS_DIRECTIONS] = { 0 };
	struct rs_attached *const *v;
	struct rs_world w;

	rs_reconcile_world(a->rec, &w);
	v = rs_registry_list(a->reg, &n);
	gauge(out, "ripstop_endpoints", "Pods attached on this node", (double)n);
	for (int dir = 0; dir < RS_DIRECTIONS; dir++)
		for (size_t i = 0; i < n; i++) {
			size_t policies = 0;

			free(rs_policies_of(&w, v[i]->rec->pod_ns, &v[i]->labels,
					    (enum rs_direction)dir, &policies));
			count[dir] += policies || v[i]->closed;
		}
	rs_metric_head(out, "ripstop_endpoints_isolated", "gauge",
		       "Pods of this node that a policy isolates, by direction");
	for (int dir = 0; dir < RS_DIRECTIONS; dir++)
		labelled(out, "ripstop_endpoints_isolated", "direction", dirs[dir],
			 (double)count[dir]);
}

static void put_family(struct rs_strbuf *out, const struct rs_address_use *u)
{
	static const char name[] = "ripstop_ipam_addresses";
	const char *family = u->family == 6 ? "6" : "4";
	uint64_t unused = u->total > u->held ? u->total - u->held : 0;

	for (int used = 1; used >= 0; used--) {
		rs_auto_strbuf labels = { 0 };

		rs_metric_label(&labels, "family", family);
		rs_metric_label(&labels, "state", used ? "used" : "free");
		rs_metric_sample(out, name, rs_strbuf_str(&labels),
				 (double)(used ? u->held : unused));
	}
}

static void put_addresses(struct rs_agent *a, struct rs_strbuf *out)
{
	struct rs_address_use use[2];
	rs_auto_err err = { 0 };

	if (rs_address_use(a, use, &err) < 0) {
		rs_log(RS_LOG_WARN, "leases", "error", rs_err_str(&err), NULL);
		return;
	}
	rs_metric_head(out, "ripstop_ipam_addresses", "gauge",
		       "Addresses of this node's pod ranges, by family and state");
	for (size_t i = 0; i < RS_ARRAY_SIZE(use); i++)
		if (use[i].total)
			put_family(out, &use[i]);
}

static void put_ready(struct rs_agent *a, struct rs_strbuf *out)
{
	rs_autofree char *why = rs_agent_why_not_ready(a);

	gauge(out, "ripstop_ready", "1 when an ADD would be served", !why);
}

static const char *kind_label(int k)
{
	static const char *const names[RS_KINDS] = {
		[RS_KIND_NAMESPACE] = "namespaces",
		[RS_KIND_POD] = "pods",
		[RS_KIND_POLICY] = "networkpolicies",
		[RS_KIND_NODE] = "nodes",
	};

	return names[k];
}

/* One number of every kind. */
#define PUT_KINDS(out, kinds, name, type, help, field)                  \
	do {                                                            \
		rs_metric_head(out, name, type, help);                  \
		for (int k_ = 0; k_ < RS_KINDS; k_++)                   \
			labelled(out, name, "resource", kind_label(k_), \
				 (double)(kinds)[k_].field);            \
	} while (0)

static void put_kinds(struct rs_agent *a, struct rs_strbuf *out)
{
	struct rs_source_kind s[RS_KINDS] = { 0 };

	for (int k = 0; k < RS_KINDS; k++)
		a->src->ops->kind(a->src, (enum rs_kind)k, &s[k]);
	PUT_KINDS(out, s, "ripstop_source_lists_total", "counter", "Lists begun", lists);
	PUT_KINDS(out, s, "ripstop_source_watches_total", "counter", "Watches begun", watches);
	PUT_KINDS(out, s, "ripstop_source_events_total", "counter", "Events taken", events);
	PUT_KINDS(out, s, "ripstop_source_failures_total", "counter",
		  "Requests that ended otherwise than they should", failures);
	PUT_KINDS(out, s, "ripstop_source_unreadable_total", "counter",
		  "Objects that could not be decoded and were left out", unreadable);
	rs_metric_head(out, "ripstop_source_resource_age_seconds", "gauge",
		       "Seconds since the last sign of life of a list or watch");
	for (int k = 0; k < RS_KINDS; k++)
		if (s[k].age_s >= 0)
			labelled(out, "ripstop_source_resource_age_seconds", "resource",
				 kind_label(k), (double)s[k].age_s);
}

static void put_source(struct rs_agent *a, struct rs_strbuf *out)
{
	const struct rs_store *store = a->src->ops->store(a->src);
	int64_t age = a->src->ops->age_s(a->src);
	size_t n;

	rs_store_policies(store, &n);
	gauge(out, "ripstop_policies", "NetworkPolicies known", (double)n);
	gauge(out, "ripstop_source_synced", "1 when the objects have been read",
	      rs_reconcile_synced(a->rec));
	if (age >= 0)
		gauge(out, "ripstop_source_age_seconds",
		      "Seconds since the source last heard from its origin", (double)age);
	if (a->src->ops->kind)
		put_kinds(a, out);
	gauge(out, "ripstop_generation", "Generation in force",
	      (double)rs_reconcile_generation(a->rec));
}

static void put_passed(struct rs_strbuf *out, const struct rs_dp_stats *s, bool bytes)
{
	const char *name = bytes ? "ripstop_rule_bytes_total" : "ripstop_rule_packets_total";

	rs_metric_head(out, name, "counter",
		       bytes ? "Bytes of these packets, from their IP headers on"
			     : "Packets that a rule let through, both ways");
	for (size_t i = 0; i < s->n_passed; i++) {
		const struct rs_dp_passed *p = &s->passed[i];
		rs_autofree char *index = rs_asprintf("%u", p->index);
		rs_auto_strbuf labels = { 0 };

		rs_metric_label(&labels, "policy_namespace", p->ns);
		rs_metric_label(&labels, "policy", p->name);
		rs_metric_label(&labels, "direction", p->dir == RS_DIR_OUT ? "egress" : "ingress");
		rs_metric_label(&labels, "rule", index);
		rs_metric_sample(out, name, rs_strbuf_str(&labels),
				 (double)(bytes ? p->n.bytes : p->n.packets));
	}
}

static void put_dataplane(struct rs_agent *a, struct rs_strbuf *out)
{
	struct rs_dp_stats s = { 0 };
	rs_auto_err err = { 0 };

	if (a->dp->ops->stats(a->dp, &s, &err) < 0) {
		rs_log(RS_LOG_WARN, "dataplane statistics", "error", rs_err_str(&err), NULL);
		return;
	}
	gauge(out, "ripstop_set_elements", "Set elements in the kernel", (double)s.elements);
	gauge(out, "ripstop_rules", "Rules in the kernel", (double)s.rules);
	rs_metric_head(out, "ripstop_drops_total", "counter", "Packets dropped, by reason");
	for (int i = 0; i < RS_DROP_REASONS; i++)
		labelled(out, "ripstop_drops_total", "reason",
			 rs_drop_reason_name((enum rs_drop_reason)i), (double)s.drops[i].packets);
	if (a->opt.metrics_per_policy && s.n_passed) {
		put_passed(out, &s, false);
		put_passed(out, &s, true);
	}
	rs_dp_stats_free(&s);
}

static void put_drop_records(struct rs_agent *a, struct rs_strbuf *out)
{
	const struct rs_drop_account *c = rs_dropwatch_account(a->drops);

	if (rs_dropwatch_why_not(a->drops))
		return;
	rs_dropwatch_settle(a->drops);
	rs_metric_head(out, "ripstop_drop_records_total", "counter",
		       "Dropped packets since the start, by what became of their records");
	labelled(out, "ripstop_drop_records_total", "result", "emitted", (double)c->records);
	labelled(out, "ripstop_drop_records_total", "result", "suppressed", (double)c->suppressed);
	labelled(out, "ripstop_drop_records_total", "result", "lost", (double)c->lost);
	if (a->opt.drop_log)
		counter(out, "ripstop_drop_log_unwritten_total",
			"Records that could not be written to the drop log",
			(double)rs_dropwatch_unwritten(a->drops));
}

static void put_events(const struct rs_agent *a, struct rs_strbuf *out)
{
	static const char *const name = "ripstop_events_total";

	if (!a->events)
		return;
	rs_metric_head(
		out, name, "counter",
		"Kubernetes Events, by what became of them; suppressed: by our own limits, or "
		"told by another node");
	for (int r = 0; r < RS_EVENT_RESULTS; r++)
		labelled(out, name, "result", rs_event_result_name((enum rs_event_result)r),
			 (double)rs_events_count(a->events, (enum rs_event_result)r));
}

/* Only with --metrics-per-policy: names of objects become labels. */
static void put_policy_drops(struct rs_agent *a, struct rs_strbuf *out)
{
	static const char *const name = "ripstop_policy_drop_records_total";
	static const char *const dirs[] = { "ingress", "egress" };
	const struct rs_drop_policy *v;
	size_t n;

	v = rs_droplog_policies(rs_dropwatch_log(a->drops), &n);
	if (!a->opt.metrics_per_policy || rs_dropwatch_why_not(a->drops))
		return;
	rs_metric_head(out, name, "counter",
		       "Drop records by policy that refused; several may have refused one packet");
	for (size_t i = 0; i < n; i++) {
		const char *slash = v[i].name ? strchr(v[i].name, '/') : NULL;
		rs_autofree char *ns =
			slash ? rs_strndup(v[i].name, (size_t)(slash - v[i].name)) : NULL;
		rs_auto_strbuf labels = { 0 };

		rs_metric_label(&labels, "policy_namespace", ns ? ns : "");
		rs_metric_label(&labels, "policy", slash ? slash + 1 : "(others)");
		rs_metric_label(&labels, "direction", dirs[v[i].dir]);
		rs_metric_sample(out, name, rs_strbuf_str(&labels), (double)v[i].records);
	}
}

/* Sorted by type: one sample for each, counting its lines. */
static void put_conditions(struct rs_agent *a, struct rs_strbuf *out)
{
	const struct rs_conditions *c = &a->conditions;

	rs_board_update(a);
	rs_metric_head(out, "ripstop_condition", "gauge",
		       "Conditions a person should know, by type");
	for (size_t i = 0, same; i < c->n; i += same) {
		for (same = 1; i + same < c->n && !strcmp(c->v[i].type, c->v[i + same].type);)
			same++;
		labelled(out, "ripstop_condition", "type", c->v[i].type, (double)same);
	}
}

char *rs_scrape(struct rs_agent *a)
{
	rs_auto_strbuf out = { 0 }, labels = { 0 };

	rs_metric_label(&labels, "version", RIPSTOP_VERSION);
	rs_metric_label(&labels, "backend", a->dp->ops->name);
	rs_metric_head(&out, "ripstop_build_info", "gauge", "Version and dataplane; always 1");
	rs_metric_sample(&out, "ripstop_build_info", rs_strbuf_str(&labels), 1);
	put_ready(a, &out);
	put_endpoints(a, &out);
	put_addresses(a, &out);
	put_source(a, &out);
	put_dataplane(a, &out);
	put_drop_records(a, &out);
	put_policy_drops(a, &out);
	put_events(a, &out);
	put_conditions(a, &out);
	rs_metrics_print(&a->metrics, &out);
	put_process(a, &out);
	return rs_strbuf_steal(&out);
}
