// SPDX-License-Identifier: Apache-2.0
/*
 * matrixhtml.c - a matrix as one page that needs nothing else: matrix.html with matrix.css,
 * three scripts and the data in it. They are built into the program as they stand in this folder.
 */
#include <string.h>

#include "cli/matrix/matrixparts.h"

#define EMBED(name, file)                                      \
	extern const char name[];                              \
	__asm__(".section .rodata." #name ",\"a\",@progbits\n" \
		".global " #name "\n" #name ":\n"              \
		".incbin \"cli/matrix/" file "\"\n"            \
		".byte 0\n"                                    \
		".previous\n")

EMBED(mx_page, "matrix.html");
EMBED(mx_style, "matrix.css");
EMBED(mx_reach, "matrixreach.js");
EMBED(mx_why, "matrixwhy.js");
EMBED(mx_map, "matrix.js");

/* The page up to a mark; returns what is behind it. */
static const char *put_until(struct cli_run *r, const char *page, const char *mark)
{
	const char *at = strstr(page, mark);

	rs_strbuf_add(&r->out, page, (size_t)(at - page));
	return at + strlen(mark);
}

void mx_put_html(struct cli_run *r, const struct matrix *m)
{
	const char *rest = put_until(r, mx_page, "@STYLE@");

	cli_put(r, mx_style);
	rest = put_until(r, rest, "@DATA@");
	mx_put_data(&r->out, m);
	rest = put_until(r, rest, "@REACH@");
	cli_put(r, mx_reach);
	rest = put_until(r, rest, "@WHY@");
	cli_put(r, mx_why);
	rest = put_until(r, rest, "@MAP@");
	cli_put(r, mx_map);
	cli_put(r, rest);
}
