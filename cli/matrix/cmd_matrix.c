// SPDX-License-Identifier: Apache-2.0
/* cmd_matrix.c - `ripstop matrix`: who reaches whom, all against all. */
#include "cli/matrix/matrix.h"

static void put(struct cli_run *r, const struct matrix *m)
{
	switch (r->opt.output) {
	case CLI_HTML:
		mx_put_html(r, m);
		return;
	case CLI_SVG:
		mx_put_svg(r, m);
		return;
	case CLI_DOT:
		mx_put_dot(r, m);
		return;
	default:
		break;
	}
	if (cli_wants_object(r))
		mx_put_object(r, m);
	else
		mx_put_table(r, m);
}

int cli_cmd_matrix(struct cli_run *r)
{
	struct cli_world *cw = NULL;
	struct matrix *m = NULL;
	int code = cli_world_open(r, &cw);

	if (!code)
		code = mx_make(r, cw, &m);
	if (!code && m->n_without)
		cli_warn("%zu pods have no IPv%d address and are left out", m->n_without,
			 m->family);
	if (!code)
		put(r, m);
	mx_free(m);
	cli_world_free(cw);
	return code;
}
