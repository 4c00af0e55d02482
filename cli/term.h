/* SPDX-License-Identifier: Apache-2.0 */
/*
 * term.h - inside cli/: what the terminal is like, and text that fits it.
 *
 * Lines are fitted to a terminal only: what goes into a pipe or a file is as long as it is. Where
 * the locale is not UTF-8, or with --ascii, text for people is ASCII: our own signs have a form in
 * it, what comes from objects appears as \xNN.
 */
#ifndef RIPSTOP_CLI_TERM_H
#define RIPSTOP_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>

/* Colours: `color` of the options; a terminal, NO_COLOR, CLICOLOR_FORCE, TERM. */
bool cli_term_color(int color);

/* Columns and lines of the terminal that stdout is; 0 when it is none. */
void cli_term_size(size_t *width, size_t *height);

/* Whether text must be ASCII; settles it for all text that follows, stderr included. */
void cli_term_ascii(bool wanted);
bool cli_term_is_ascii(void);

/* The text, in ASCII where it must be; the caller frees it. Takes `text`. */
char *cli_term_text(char *text);

/* Columns that UTF-8 text takes on a terminal. */
size_t cli_term_width(const char *text);

/* The next piece of *text that is at most `width` wide, cut behind a space or a mark where one is
 * near; *text moves on. NULL at its end; the caller frees it. */
char *cli_term_cut(const char **text, size_t width);

#endif
