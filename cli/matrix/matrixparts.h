/* SPDX-License-Identifier: Apache-2.0 */
/* matrixparts.h - what the files of cli/matrix/ do for each other. */
#ifndef RIPSTOP_CLI_MATRIX_MATRIXPARTS_H
#define RIPSTOP_CLI_MATRIX_MATRIXPARTS_H

#include "cli/matrix/matrix.h"
#include "policy/reachtools.h"

/* Parties with the same units share a row from the beginning. */
void mx_make_rows(struct matrix *m);
void mx_make_cells(struct matrix *m);
/* Rows that turned out to be equal become one. */
void mx_fold_rows(struct matrix *m);

/* The data of the HTML page, as JSON that is safe inside a script element. */
void mx_put_data(struct rs_strbuf *b, const struct matrix *m);

#endif
