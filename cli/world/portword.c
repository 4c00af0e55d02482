// SPDX-License-Identifier: Apache-2.0
/* portword.c - the words for ports: 5432, tcp/5432, udp/53, tcp/8000-8100, http, icmp. */
#include <errno.h>
#include <string.h>

#include "cli/world/cliworld.h"

static int bad(const char *text, struct rs_err *err)
{
	rs_err_set(err, EINVAL, "\"%s\" is no port", text);
	return rs_err_hint(err,
			   "5432 (TCP), tcp/5432, udp/53, sctp/9, tcp/8000-8100, a named port, "
			   "or icmp; ports are 1 to 65535");
}

/* Digits up to end; 0 when they are no port. */
static uint16_t number(const char *s, const char *end)
{
	unsigned long n = 0;

	if (s == end || end - s > 5)
		return 0;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return 0;
		n = n * 10 + (unsigned long)(*s - '0');
	}
	return n <= 65535 ? (uint16_t)n : 0;
}

/* A service name as in RFC 6335: at most 15 of a-z, 0-9 and '-', one letter at least. */
static bool is_name(const char *s)
{
	size_t n = strlen(s);

	return n && n <= 15 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	       strpbrk(s, "abcdefghijklmnopqrstuvwxyz") && s[0] != '-' && s[n - 1] != '-' &&
	       !strstr(s, "--");
}

int cli_port_parse(const char *text, struct cli_port *out, struct rs_err *err)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} protocols[] = { { "tcp/", 6 }, { "udp/", 17 }, { "sctp/", 132 } };
	const char *s = text, *dash;
	size_t i;

	*out = (struct cli_port){ .proto = 6 };
	if (!strcmp(text, "icmp")) {
		out->proto = 0;
		return 0;
	}
	for (i = 0; i < RS_ARRAY_SIZE(protocols); i++)
		if (!strncmp(text, protocols[i].word, strlen(protocols[i].word))) {
			out->proto = protocols[i].proto;
			s = text + strlen(protocols[i].word);
		}
	if (is_name(s)) {
		out->name = s;
		out->any_proto = s == text;
		return 0;
	}
	dash = strchr(s, '-');
	out->lo = number(s, dash ? dash : s + strlen(s));
	out->hi = dash ? number(dash + 1, s + strlen(s)) : out->lo;
	return out->lo && out->lo <= out->hi ? 0 : bad(text, err);
}
