/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete.h - inside cli/: what may stand at the end of a command line.
 *
 * Shells ask with `ripstop __complete WORD...`, the last word unfinished or empty. Each candidate
 * is a line, its description behind a tab; the last line is ":N", a sum of COMPLETE_ bits. This is
 * the protocol of cobra, so kubectl (kubectl_complete-ripstop) reads it too. What cannot be known,
 * for want of an agent, is left out without a word.
 */
#ifndef RIPSTOP_CLI_COMPLETE_H
#define RIPSTOP_CLI_COMPLETE_H

#include "cli/cli.h"

enum {
	COMPLETE_FILES = 0,
	COMPLETE_NO_SPACE = 2,
	COMPLETE_NO_FILES = 4,
};

/* Always exit code 0. */
int cli_complete(struct cli_run *r, int n, char **words);

#endif
