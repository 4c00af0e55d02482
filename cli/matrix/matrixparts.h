/* SPDX-License-Identifier: Apache-2.0 */
/* matrixparts.h - the steps of mx_make(), for its two files. */
#ifndef RIPSTOP_CLI_MATRIX_MATRIXPARTS_H
#define RIPSTOP_CLI_MATRIX_MATRIXPARTS_H

#include "cli/matrix/matrix.h"

/* Parties with the same units share a row from the beginning. */
void mx_make_rows(struct matrix *m);
void mx_make_cells(struct matrix *m);
/* Rows that turned out to be equal become one. */
void mx_fold_rows(struct matrix *m);

#endif
