// SPDX-License-Identifier: Apache-2.0
#include "cli/matrix/matrix.h"
void mx_put_html(struct cli_run *r, const struct matrix *m)
{
	(void)m;
	cli_put(r, "");
}
void mx_put_svg(struct cli_run *r, const struct matrix *m)
{
	(void)m;
	cli_put(r, "");
}
