/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hidden.h - inside cli/: verbs for programs of our own, which no table lists.
 *
 * `kubectl ripstop` runs them in containers of our image, where there is nothing but our programs.
 * Each gets a command line of its own, argv[0] its name, and returns an exit code.
 */
#ifndef RIPSTOP_CLI_HIDDEN_H
#define RIPSTOP_CLI_HIDDEN_H

#include "cli/cli.h"

/* leash.c: argv[1] is a verb, run as ever; it is ended when stdin ends. Its exit code. */
int cli_leash(int argc, char **argv);

/* ---- selfpeer.c: the two ends of `test --self` ----------------------------------------------- */

/* What a listener answers: these words, its host name (a pod's is its name), the end of the
 * line. */
#define CLI_PEER_GREETING "ripstop-selftest "
#define CLI_PEER_MAX_LINE 300
#define CLI_PEER_WAIT_MS 3000
#define CLI_PEER_LIFE_S 600

/* __listen PORT...: answer everybody on both families. It ends after CLI_PEER_LIFE_S (0), so that
 * nothing is left where nobody comes to remove it. */
int cli_listen(int argc, char **argv);

/* __connect ADDRESS PORT: its answer goes to out. 0; 1 when nothing came within CLI_PEER_WAIT_MS: a
 * packet was dropped; 3 when the network, or no listener, said no. */
int cli_connect(int argc, char **argv, struct rs_strbuf *out);

#endif
