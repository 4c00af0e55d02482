/* SPDX-License-Identifier: Apache-2.0 */
/* lint_print.h - findings as a table, as an object, and as SARIF. */
#ifndef RIPSTOP_CLI_LINT_LINT_PRINT_H
#define RIPSTOP_CLI_LINT_LINT_PRINT_H

#include "cli/cli.h"
#include "cli/lint/lint.h"

/* In the form that -o asks for, into r->out. */
void lint_print(struct cli_run *r, const struct lint *l);

/* A SARIF 2.1.0 log, for code review tools; the caller puts it. */
struct json_object *lint_sarif(const struct lint *l);

#endif
