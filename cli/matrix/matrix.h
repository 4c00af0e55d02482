/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matrix.h - cli/matrix/ shows who reaches whom in a world, all ends against all.
 *
 * matrixmodel.c makes the model below from a cli_world; the others render it: matrixtext.c (table,
 * wide, csv, md, dot), matrixjson.c (json, jsonl, yaml), matrixsvg.c, matrixhtml.c (with the page in
 * matrix.html, matrix.css and matrix.js). cmd_matrix.c is the verb.
 *
 * A party is what the reader sees as one: a pod, a workload, a namespace, or the world (an address
 * outside that is nobody's). Its ends fall into units, which are alike in every respect that
 * decides: the same groups and class. Parties that reach the same and are reached by the same, from
 * and by everybody, share a row. So cells are worked out between units, and shown between rows.
 */
#ifndef RIPSTOP_CLI_MATRIX_MATRIX_H
#define RIPSTOP_CLI_MATRIX_MATRIX_H

#include "cli/world/cliworld.h"
#include "policy/reach.h"

enum mx_kind {
	MX_NONE, /* no pair, on no port */
	MX_SOME,
	MX_ALL, /* every pair, on every port that was asked for */
};

/* Of a cell: a number of the table, or pairs that differ. With --port only the first three. */
#define MX_MIXED UINT32_MAX

struct mx_question {
	const char *text; /* of --port; NULL: every port */
	struct cli_port port;
};

struct mx_unit {
	struct rs_reach_key key;
	uint8_t proto; /* what the asked port means at this server; 0: it has no such port */
	uint16_t lo, hi;
	bool icmp;
};

/* So many ends of a party are of that unit. */
struct mx_share {
	uint32_t unit;
	uint32_t n;
};

struct mx_party {
	char *ns;			/* NULL: the world */
	char *name;			/* "*": all of a namespace */
	char *text;			/* "shop/web", "shop", "world"; not escaped */
	const char *kind;		/* "Deployment", "Namespace", "World" */
	const struct rs_labels *labels; /* of its first end; NULL: has none of its own */
	size_t first_share, n_shares;
	size_t n_ends;
	bool alone;		      /* one pod that is no template: there is no pair of its own */
	bool isolated[RS_DIRECTIONS]; /* at least one of its ends */
	uint32_t row;
};

/* Pairs of ends, for --by ns. */
struct mx_count {
	uint64_t n[3]; /* by enum mx_kind */
};

struct mx_row {
	size_t first_member, n_members; /* of members: parties in their order */
	bool isolated[RS_DIRECTIONS];
};

struct matrix {
	const struct cli_world *cw;
	const struct rs_ir *ir;
	enum cli_by by;
	int family;
	struct mx_question q;
	struct rs_addr world;
	size_t n_without; /* ends that have no address of that family */

	struct rs_vec(struct mx_unit) units;
	struct rs_vec(struct mx_party) parties; /* by (ns, name); the world last */
	struct rs_vec(struct mx_share) shares;
	struct rs_reach_table *table; /* over the units */

	struct mx_row *rows;
	size_t n_rows;
	uint32_t *members;	 /* of rows: parties */
	uint32_t *cells;	 /* [from * n_rows + to] */
	struct mx_count *counts; /* likewise, with CLI_BY_NS; else NULL */
};

/* 0, or an exit code after the error was told. */
int mx_make(struct cli_run *r, struct cli_world *cw, struct matrix **out);
void mx_free(struct matrix *m); /* NULL is legal */

static inline uint32_t mx_cell(const struct matrix *m, size_t from, size_t to)
{
	return m->cells[from * m->n_rows + to];
}

enum mx_kind mx_kind(uint32_t cell);
/* The party itself is the only one there: nothing was judged. */
bool mx_is_self(const struct matrix *m, size_t from, size_t to);
/* No policy isolates anybody of either. */
bool mx_is_open(const struct matrix *m, size_t from, size_t to);
/* "any", "tcp/80 udp/53", "none", "mixed"; with --port "allowed", "denied", "some"; allocated. */
char *mx_cell_text(const struct matrix *m, uint32_t cell);
/* The first of a row, "shop/web", or with others "shop/web +3"; not escaped, allocated. */
char *mx_row_text(const struct matrix *m, size_t row);

void mx_put_table(struct cli_run *r, const struct matrix *m);
void mx_put_dot(struct cli_run *r, const struct matrix *m);
void mx_put_object(struct cli_run *r, const struct matrix *m);
void mx_put_svg(struct cli_run *r, const struct matrix *m);
void mx_put_html(struct cli_run *r, const struct matrix *m);

#endif
