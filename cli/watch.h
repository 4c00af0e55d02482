/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - inside cli/: -w, one question asked again and again.
 */
#ifndef RIPSTOP_CLI_WATCH_H
#define RIPSTOP_CLI_WATCH_H

#include "cli/cli.h"

/* Run it every --interval until somebody ends it. Returns the exit code of the last answer; what
 * was to be written has been written. */
int cli_watch(struct cli_run *r, int (*run)(struct cli_run *r));

#endif
