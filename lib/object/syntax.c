// SPDX-License-Identifier: Apache-2.0
/* syntax.c - the names Kubernetes allows; see syntax.h. ASCII only, whatever the locale says. */
#include "object/syntax.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alnum(char c)
{
	return lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/* n bytes of [a-z0-9]([-a-z0-9]*[a-z0-9])? */
static bool dns_part(const char *s, size_t n)
{
	size_t i;

	if (!n || !lower_or_digit(s[0]) || !lower_or_digit(s[n - 1]))
		return false;
	for (i = 0; i < n; i++)
		if (!lower_or_digit(s[i]) && s[i] != '-')
			return false;
	return true;
}

const char *rs_syntax_dns_label(const char *s)
{
	size_t n = strlen(s);

	if (n > 63)
		return "is longer than 63 characters";
	if (!dns_part(s, n))
		return "is not a DNS label (lower-case letters, digits, '-' inside)";
	return NULL;
}

static const char *subdomain(const char *s, size_t n)
{
	const char *end = s + n;

	if (n > 253)
		return "is longer than 253 characters";
	for (;;) {
		const char *dot = memchr(s, '.', (size_t)(end - s));

		if (!dns_part(s, (size_t)((dot ? dot : end) - s)))
			return "is not a DNS name (lower-case letters, digits, '-' and '.' inside)";
		if (!dot)
			return NULL;
		s = dot + 1;
	}
}

const char *rs_syntax_dns_subdomain(const char *s)
{
	return subdomain(s, strlen(s));
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool qualified(const char *s, size_t n)
{
	size_t i;

	if (!n || !alnum(s[0]) || !alnum(s[n - 1]))
		return false;
	for (i = 0; i < n; i++)
		if (!alnum(s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

const char *rs_syntax_label_key(const char *s)
{
	const char *slash = strchr(s, '/');
	const char *name = slash ? slash + 1 : s;

	if (strlen(name) > 63)
		return "has a name longer than 63 characters";
	if (!qualified(name, strlen(name)))
		return "is not a label key (letters, digits, '-', '_' and '.' inside)";
	if (slash && subdomain(s, (size_t)(slash - s)))
		return "has a prefix that is not a DNS name";
	return NULL;
}

const char *rs_syntax_label_value(const char *s)
{
	size_t n = strlen(s);

	if (n > 63)
		return "is longer than 63 characters";
	if (n && !qualified(s, n))
		return "is not a label value (letters, digits, '-', '_' and '.' inside)";
	return NULL;
}

const char *rs_syntax_port_name(const char *s)
{
	size_t n = strlen(s), i;
	bool letter = false;

	if (n > 15)
		return "is longer than 15 characters";
	if (!dns_part(s, n) || strstr(s, "--"))
		return "is not a port name (lower-case letters, digits, single '-' inside)";
	for (i = 0; i < n; i++)
		letter |= s[i] >= 'a';
	return letter ? NULL : "is not a port name: it has no letter";
}
