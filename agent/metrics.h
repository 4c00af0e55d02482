/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - counters and histograms that the agent keeps, and their Prometheus text.
 *
 * Pure data: who serves the text over HTTP (httpd.c) and who gathers the gauges at scrape time
 * (scrape.c) stand apart. No label ever holds a pod's name or address.
 */
#ifndef RIPSTOP_AGENT_METRICS_H
#define RIPSTOP_AGENT_METRICS_H

#include <stdint.h>

#include "base/base.h"

#define RS_HIST_BUCKETS 14

struct rs_hist {
	uint64_t n[RS_HIST_BUCKETS + 1]; /* the last: above all bounds */
	double sum;
};

enum rs_cni_command {
	RS_CNI_ADD,
	RS_CNI_DEL,
	RS_CNI_CHECK,
	RS_CNI_GC,
	RS_CNI_STATUS,
	RS_CNI_COMMANDS,
};

/* Codes that a request can end with; one that is none of these counts as 999. */
#define RS_METRIC_CODES 18

struct rs_metrics {
	struct rs_hist commit_s;
	struct rs_hist programming_s;
	struct rs_hist cni_s[RS_CNI_COMMANDS];
	uint64_t cni[RS_CNI_COMMANDS][RS_METRIC_CODES];
	uint64_t commit_errors;
	uint64_t commits;
	uint64_t bumps;
	uint64_t drift;
	uint64_t refused_clients;
};

void rs_hist_observe(struct rs_hist *h, double seconds);
void rs_metrics_cni(struct rs_metrics *m, enum rs_cni_command command, int code, double seconds);
/* "ADD" ... ; -1 when the word is none of them. */
int rs_cni_command_by_name(const char *name);
const char *rs_cni_command_name(enum rs_cni_command c);

/* Text: `# HELP` and `# TYPE` once, then samples. label is NULL or ready-made by
 * rs_metric_label(). */
void rs_metric_head(struct rs_strbuf *out, const char *name, const char *type, const char *help);
void rs_metric_sample(struct rs_strbuf *out, const char *name, const char *labels, double value);
/* Append key="value" with the value escaped; a comma in front when out is not empty. */
void rs_metric_label(struct rs_strbuf *out, const char *key, const char *value);

/* Everything of m. */
void rs_metrics_print(const struct rs_metrics *m, struct rs_strbuf *out);

#endif
