/* SPDX-License-Identifier: Apache-2.0 */
/* recordfit.h - inside cli/: which drop records are about an explained flow. */
#ifndef RIPSTOP_CLI_RECORDFIT_H
#define RIPSTOP_CLI_RECORDFIT_H

#include "cli/cli.h"

struct cli_tuple {
	struct rs_addr src, dst;
	uint8_t proto;
	int sport, dport; /* -1: any, and what has none */
};

/* The protocol that an explained flow names; "icmp" is that of the family. */
uint8_t cli_protocol(const char *name, int family);

/* Whether the record is of a packet with these ends, in this direction. */
bool cli_record_is_of(struct json_object *record, const struct cli_tuple *t);

#endif
