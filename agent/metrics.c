// SPDX-License-Identifier: Apache-2.0
/* metrics.c - counting and the Prometheus text format; see metrics.h. */
#include "agent/metrics.h"

#include <math.h>
#include <string.h>

#include <ripstop/error.h>

static const double bounds[RS_HIST_BUCKETS] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10,
};

static const int codes[RS_METRIC_CODES] = {
	0,
	RS_CNI_VERSION,
	RS_CNI_UNSUPPORTED,
	RS_CNI_UNKNOWN,
	RS_CNI_ENV,
	RS_CNI_IO,
	RS_CNI_DECODE,
	RS_CNI_CONFIG,
	RS_CNI_NETNS,
	RS_CNI_TRY_AGAIN,
	RS_CNI_UNAVAILABLE,
	RS_CNI_LIMITED,
	RS_CNI_POOL,
	101,
	RS_CNI_LEASES,
	RS_CNI_KERNEL,
	RS_CNI_ATTACHED,
	RS_CNI_INTERNAL,
};

static const char *const commands[RS_CNI_COMMANDS] = { "ADD", "DEL", "CHECK", "GC", "STATUS" };

void rs_hist_observe(struct rs_hist *h, double seconds)
{
	size_t i = 0;

	while (i < RS_HIST_BUCKETS && seconds > bounds[i])
		i++;
	h->n[i]++;
	h->sum += seconds;
}

void rs_metrics_cni(struct rs_metrics *m, enum rs_cni_command command, int code, double seconds)
{
	size_t i = 0;

	while (i + 1 < RS_METRIC_CODES && codes[i] != code)
		i++;
	m->cni[command][i]++;
	rs_hist_observe(&m->cni_s[command], seconds);
}

int rs_cni_command_by_name(const char *name)
{
	for (int i = 0; i < RS_CNI_COMMANDS; i++)
		if (!strcmp(commands[i], name))
			return i;
	return -1;
}

const char *rs_cni_command_name(enum rs_cni_command c)
{
	return commands[c];
}

/* ---- text ------------------------------------------------------------------------------------ */

void rs_metric_head(struct rs_strbuf *out, const char *name, const char *type, const char *help)
{
	rs_strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_number(struct rs_strbuf *out, double v)
{
	if (v == floor(v) && fabs(v) < 9e15)
		rs_strbuf_printf(out, "%.0f", v);
	else
		rs_strbuf_printf(out, "%.9g", v);
}

void rs_metric_sample(struct rs_strbuf *out, const char *name, const char *labels, double value)
{
	rs_strbuf_puts(out, name);
	if (labels && *labels)
		rs_strbuf_printf(out, "{%s}", labels);
	rs_strbuf_putc(out, ' ');
	put_number(out, value);
	rs_strbuf_putc(out, '\n');
}

void rs_metric_label(struct rs_strbuf *out, const char *key, const char *value)
{
	if (out->len)
		rs_strbuf_putc(out, ',');
	rs_strbuf_printf(out, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\n')
			rs_strbuf_puts(out, "\\n");
		else if (*value == '"' || *value == '\\')
			rs_strbuf_printf(out, "\\%c", *value);
		else
			rs_strbuf_putc(out, *value);
	}
	rs_strbuf_putc(out, '"');
}

/* name_bucket{labels,le="..."}, name_sum, name_count. */
static void put_hist(struct rs_strbuf *out, const char *name, const char *labels,
		     const struct rs_hist *h)
{
	rs_autofree char *sum = rs_asprintf("%s_sum", name), *count = rs_asprintf("%s_count", name);
	const char *comma = labels && *labels ? "," : "";
	uint64_t below = 0;

	for (size_t i = 0; i < RS_HIST_BUCKETS; i++) {
		below += h->n[i];
		rs_strbuf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels ? labels : "",
				 comma, bounds[i], (unsigned long long)below);
	}
	below += h->n[RS_HIST_BUCKETS];
	rs_strbuf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels ? labels : "",
			 comma, (unsigned long long)below);
	rs_metric_sample(out, sum, labels, h->sum);
	rs_metric_sample(out, count, labels, (double)below);
}

static void put_cni(struct rs_strbuf *out, const struct rs_metrics *m)
{
	rs_metric_head(
		out, "ripstop_cni_requests_total", "counter",
		"CNI requests that reached the agent, by command and CNI error code (0: success)");
	for (size_t c = 0; c < RS_CNI_COMMANDS; c++)
		for (size_t i = 0; i < RS_METRIC_CODES; i++) {
			rs_autofree char *labels =
				rs_asprintf("command=\"%s\",code=\"%d\"", commands[c], codes[i]);

			if (m->cni[c][i] || i == 0)
				rs_metric_sample(out, "ripstop_cni_requests_total", labels,
						 (double)m->cni[c][i]);
		}
	rs_metric_head(out, "ripstop_cni_seconds", "histogram",
		       "Time from a request at the agent's socket to its answer");
	for (size_t c = 0; c < RS_CNI_COMMANDS; c++) {
		rs_autofree char *labels = rs_asprintf("command=\"%s\"", commands[c]);

		put_hist(out, "ripstop_cni_seconds", labels, &m->cni_s[c]);
	}
}

static void put_counter(struct rs_strbuf *out, const char *name, const char *help, uint64_t n)
{
	rs_metric_head(out, name, "counter", help);
	rs_metric_sample(out, name, NULL, (double)n);
}

void rs_metrics_print(const struct rs_metrics *m, struct rs_strbuf *out)
{
	rs_metric_head(out, "ripstop_commit_seconds", "histogram",
		       "Time of one commit: send to acknowledgement");
	put_hist(out, "ripstop_commit_seconds", NULL, &m->commit_s);
	rs_metric_head(out, "ripstop_policy_programming_seconds", "histogram",
		       "Time from a change of the objects seen to its commit");
	put_hist(out, "ripstop_policy_programming_seconds", NULL, &m->programming_s);
	put_counter(out, "ripstop_commits_total", "Commits that changed the kernel", m->commits);
	put_counter(out, "ripstop_commit_errors_total", "Commits that failed", m->commit_errors);
	put_counter(out, "ripstop_generation_bumps_total",
		    "Commits after which every live flow is judged again", m->bumps);
	put_counter(out, "ripstop_drift_total",
		    "Differences between kernel and committed state that were found and repaired",
		    m->drift);
	put_counter(out, "ripstop_control_clients_refused_total",
		    "Control connections dropped for their number, size, slowness or uid",
		    m->refused_clients);
	put_cni(out, m);
}
