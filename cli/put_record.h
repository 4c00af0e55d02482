/* SPDX-License-Identifier: Apache-2.0 */
/* put_record.h - inside cli/: one drop record on one line, for people and for Hubble's reader; and
 * what else `monitor` and its follower of a cluster share. */
#ifndef RIPSTOP_CLI_PUT_RECORD_H
#define RIPSTOP_CLI_PUT_RECORD_H

#include "cli/cli.h"

/* "  by shop/default-deny  miss: ...": what the end of the line says. */
void cli_put_why(struct cli_run *r, struct json_object *record, bool wide);
/* "00:31:07.412  DENY ingress  shop/web:40112 -> shop/db-0:5432  tcp SYN  by ...": -o wide tells
 * more. */
void cli_put_record(struct cli_run *r, struct json_object *record);

/* {"flow":{...},"node_name":...,"time":...}, as `hubble observe --input-file` reads it. */
void cli_put_hubble(struct cli_run *r, struct json_object *record);

/* The object on one line. */
void cli_put_line(struct cli_run *r, struct json_object *o);

/* ---- cmd_monitor.c --------------------------------------------------------------------------- */

/* Whether the flags of monitor go together. 0, or an exit code after the error was told. */
int cli_monitor_check(const struct cli_run *r);

/* Packets that were dropped and have no record. */
struct cli_unseen {
	int64_t suppressed, lost, rate;
	const char *when; /* "while this followed" */
};

/* Add what an agent's counts (FlowRecords) grew by; first NULL: from their beginning. False: they
 * do not go on from there, or there are none. */
bool cli_unseen_since(struct cli_unseen *u, struct json_object *first, struct json_object *now);

/* The last line of a table; for programs a warning, where there were some. */
void cli_put_unseen(struct cli_run *r, const struct cli_unseen *u);

#endif
