/* SPDX-License-Identifier: Apache-2.0 */
/* judgeflow.h - one flow in one world: the verdict, and why in a line. For simulate --traffic and
 * test. */
#ifndef RIPSTOP_CLI_WHATIF_JUDGEFLOW_H
#define RIPSTOP_CLI_WHATIF_JUDGEFLOW_H

#include "cli/whatif/whatif.h"

/* An endpoint, or an address that is nobody's. */
struct judge_end {
	uint32_t end; /* UINT32_MAX: an address */
	bool node;    /* the node that judges, itself */
	struct rs_addr addr[FAMILIES];
	const char *text; /* NULL: its name or address */
};

struct judge_flow {
	struct judge_end src, dst;
	int family;
	uint8_t proto;
	uint16_t port;
};

struct judged {
	bool allow;
	char *why;   /* the rule that allows it; the end that denies it and why */
	char *where; /* of that rule, or of the one that came closest; may be NULL */
};

/* family 0: it has no address of that family. */
struct rs_addr judge_addr(const struct cli_world *cw, const struct judge_end *e, int family);
/* Allocated, not escaped. */
char *judge_text(const struct cli_world *cw, const struct judge_end *e);
/* Two pods of one template: not one pod that reaches itself. */
bool judge_alike(const struct cli_world *cw, const struct judge_end *src,
		 const struct judge_end *dst);

/* "tcp/5432", "icmp". Allocated. */
char *judge_port_text(uint8_t proto, uint16_t port);

int judge_flow(struct cli_world *cw, const struct judge_flow *q, struct judged *out,
	       struct rs_err *err);
void judged_clear(struct judged *j);

#endif
