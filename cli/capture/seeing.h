/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seeing.h - cli/capture/ writes the packets of a pod of this node, each with its verdict, to a
 * pcapng file.
 *
 * In: the record of the pod's attachment (state folder), which tells its link; copies of packets
 * from the kernel (<ripstop/capture.h>); the agent's drop records, for the reasons. Out: a file.
 */
#ifndef RIPSTOP_CLI_CAPTURE_SEEING_H
#define RIPSTOP_CLI_CAPTURE_SEEING_H

#include <ripstop/capture.h>
#include <ripstop/endpoint.h>

#include "cli/cli.h"

int cli_capture_here(struct cli_run *r);

/* ---- capfind.c: which link is the pod's ---------------------------------------------------- */

/* The record of the pod, [NAMESPACE/]NAME, whose link is there. 0, or an exit code after the error
 * was told. The caller frees *out. */
int capture_find(struct cli_run *r, const char *operand, struct rs_endpoint **out);

/* ---- capwhy.c: why a packet was dropped ------------------------------------------------------ */

struct capture_why;

struct capture_why *capture_why_new(struct cli_run *r);
void capture_why_free(struct capture_why *w); /* NULL is legal */
/* "dropped, policy-ingress: by shop/default-deny ...": the comment of a packet; the caller frees it.
 * Asks the agent, where one lives. */
char *capture_why(struct capture_why *w, const struct rs_capture_packet *p);

/* ---- pcapng.c: the file --------------------------------------------------------------------- */

/*
 * Blocks of a pcapng file (IETF draft-ietf-opsawg-pcapng) into b, in this machine's byte order:
 * the section and its one interface, then packets, at last what was lost.
 */
void pcapng_begin(struct rs_strbuf *b, const char *interface, const char *about, uint32_t snaplen);
void pcapng_packet(struct rs_strbuf *b, const struct rs_capture_packet *p, const char *comment);
void pcapng_end(struct rs_strbuf *b, uint64_t packets, uint64_t lost);

#endif
