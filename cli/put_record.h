/* SPDX-License-Identifier: Apache-2.0 */
/* put_record.h - inside cli/: one drop record on one line, for people and for Hubble's reader. */
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

#endif
