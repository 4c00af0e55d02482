/* SPDX-License-Identifier: Apache-2.0 */
/* recordfit.h - inside cli/: which drop records are about a flow. */
#ifndef RIPSTOP_CLI_RECORDFIT_H
#define RIPSTOP_CLI_RECORDFIT_H

#include "cli/cli.h"

struct cli_tuple {
	struct rs_addr src, dst;
	uint8_t proto;
	int sport, dport; /* -1: any, and what has none */
};

/* Whether the record is of a packet with these ends, in this direction. */
bool cli_record_is_of(struct json_object *record, const struct cli_tuple *t);

#endif
