// SPDX-License-Identifier: Apache-2.0
/*
 * yaml_scalar.c - what a plain YAML scalar means: the rules of sigs.k8s.io/yaml (go-yaml v2), in
 * which yes, no, on and off are bools and 012 is octal. Whoever means a string quotes it.
 */
#include "object/doc_build.h"

#include <string.h>

#include "base/base.h"

static bool one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

static bool word(const char *text, struct rs_doc_node *node)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES",
					   "on",   "On",   "ON",   "y",	  "Y",	 NULL };
	static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO",
					  "off",   "Off",   "OFF",   "n",  "N",	 NULL };
	static const char *const floats[] = { ".nan",  ".NaN",	".NAN",	 ".inf",  ".Inf",
					      ".INF",  "+.inf", "+.Inf", "+.INF", "-.inf",
					      "-.Inf", "-.INF", NULL };

	if (one_of(text, nulls)) {
		node->type = RS_DOC_NULL;
	} else if (one_of(text, yes) || one_of(text, no)) {
		node->type = RS_DOC_BOOL;
		node->boolean = one_of(text, yes);
	} else if (one_of(text, floats)) {
		node->type = RS_DOC_FLOAT;
	} else {
		return false;
	}
	return true;
}

static int base_of(const char **digits)
{
	const char *s = *digits;
	int base = 10;

	if (s[0] != '0' || !s[1])
		return base;
	switch (s[1]) {
	case 'x':
	case 'X':
		base = 16;
		break;
	case 'o':
	case 'O':
		base = 8;
		break;
	case 'b':
	case 'B':
		base = 2;
		break;
	default:
		*digits = s + 1;
		return 8;
	}
	*digits = s + 2;
	return base;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Go's ParseInt(s, 0, 64). */
static bool integer(const char *s, int64_t *out)
{
	bool minus = *s == '-';
	int64_t value = 0;
	int base;

	s += *s == '-' || *s == '+';
	base = base_of(&s);
	if (!*s)
		return false;
	for (; *s; s++) {
		int d = digit(*s);

		if (d >= base || __builtin_mul_overflow(value, base, &value) ||
		    __builtin_sub_overflow(value, d, &value))
			return false;
	}
	/* Summed up below zero, where INT64_MIN fits too. */
	if (!minus && __builtin_sub_overflow((int64_t)0, value, &value))
		return false;
	*out = value;
	return true;
}

/* ^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$ */
static bool decimal(const char *s)
{
	size_t whole, fraction = 0;

	s += *s == '-' || *s == '+';
	whole = strspn(s, "0123456789");
	s += whole;
	if (*s == '.') {
		fraction = strspn(s + 1, "0123456789");
		s += 1 + fraction;
	}
	if (!whole && !fraction)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		if (!strspn(s, "0123456789"))
			return false;
		s += strspn(s, "0123456789");
	}
	return !*s;
}

static void number(const char *text, struct rs_doc_node *node)
{
	rs_autofree char *plain = rs_strdup(text);
	char *w = plain;
	const char *r;

	for (r = text; *r; r++)
		if (*r != '_')
			*w++ = *r;
	*w = '\0';
	if (integer(plain, &node->integer))
		node->type = RS_DOC_INT;
	else if (decimal(*text == '.' ? text : plain))
		node->type = RS_DOC_FLOAT;
}

void rs_yaml_resolve(const char *text, struct rs_doc_node *node)
{
	node->type = RS_DOC_STRING;
	if (!word(text, node) && *text && strchr("+-.0123456789", *text))
		number(text, node);
}
