// SPDX-License-Identifier: Apache-2.0
/* term.c - what the terminal is like, and text that fits it. */
#include "cli/term.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/base.h"

static bool ascii_only;

static bool is_set(const char *name)
{
	const char *v = getenv(name);

	return v && *v;
}

bool cli_term_color(int color)
{
	const char *term = getenv("TERM"), *force = getenv("CLICOLOR_FORCE");

	if (color >= 0)
		return color;
	if (is_set("NO_COLOR"))
		return false;
	if (force && *force && strcmp(force, "0"))
		return true;
	return isatty(STDOUT_FILENO) && !(term && !strcmp(term, "dumb"));
}

void cli_term_size(size_t *width, size_t *height)
{
	struct winsize w = { 0 };

	*width = *height = 0;
	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0)
		return;
	*width = w.ws_col;
	*height = w.ws_row;
}

/* ---- ASCII ----------------------------------------------------------------------------------- */

void cli_term_ascii(bool wanted)
{
	ascii_only = wanted || strcmp(nl_langinfo(CODESET), "UTF-8");
}

bool cli_term_is_ascii(void)
{
	return ascii_only;
}

/* Signs that we write ourselves. */
static const struct {
	const char *sign, *ascii;
} signs[] = {
	{ "…", "..." }, { "→", "->" }, { "←", "<-" }, { "─", "-" }, { "│", "|" },  { "├", "|" },
	{ "└", "`" },	{ "•", "*" },  { "·", "." },  { "×", "x" }, { "✓", "ok" }, { "✗", "no" },
};

/* In ASCII what begins at p; how many bytes of it. */
static size_t to_ascii(struct rs_strbuf *b, const char *p)
{
	size_t i;

	if ((unsigned char)*p < 0x80) {
		rs_strbuf_putc(b, *p);
		return 1;
	}
	for (i = 0; i < RS_ARRAY_SIZE(signs); i++)
		if (!strncmp(p, signs[i].sign, strlen(signs[i].sign))) {
			rs_strbuf_puts(b, signs[i].ascii);
			return strlen(signs[i].sign);
		}
	rs_strbuf_printf(b, "\\x%02x", (unsigned char)*p);
	return 1;
}

char *cli_term_text(char *text)
{
	rs_auto_strbuf b = { 0 };
	const char *p = text;

	if (!ascii_only || !text)
		return text;
	while (*p)
		p += to_ascii(&b, p);
	free(text);
	return rs_strbuf_steal(&b);
}

/* ---- width ----------------------------------------------------------------------------------- */

/* Bytes of the character at p, and its columns. */
static size_t step(const char *p, size_t *columns)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t n = mbrtowc(&c, p, strlen(p), &state);
	int w;

	*columns = 0;
	if (p[0] == '\033' && p[1] == '[') /* a colour */
		return strcspn(p, "m") + (strchr(p, 'm') != NULL);
	*columns = 1;
	if (n == 0 || n == (size_t)-1 || n == (size_t)-2)
		return 1;
	w = wcwidth(c);
	*columns = w < 0 ? 1 : (size_t)w;
	return n;
}

size_t cli_term_width(const char *text)
{
	size_t width = 0, w;

	while (*text) {
		text += step(text, &w);
		width += w;
	}
	return width;
}

/* How much of text to take: all that fits, or up to the last good place if that is not too short. */
static size_t fitting(const char *text, size_t width)
{
	size_t at = 0, columns = 0, good = 0, good_columns = 0, w, n;

	while (text[at]) {
		n = step(text + at, &w);
		if (columns + w > width && at)
			return good_columns * 2 >= width ? good : at;
		at += n;
		columns += w;
		if (strchr(" ,/-", text[at - 1])) {
			good = at;
			good_columns = columns;
		}
	}
	return at;
}

char *cli_term_cut(const char **text, size_t width)
{
	size_t n = fitting(*text, width);
	char *piece = n ? rs_strndup(*text, n) : NULL;

	*text += n;
	while (n && **text == ' ')
		(*text)++;
	return piece;
}
