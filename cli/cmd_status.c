// SPDX-License-Identifier: Apache-2.0
/* cmd_status.c - `ripstop status`: the agent of this node on one screen. */
#include "cli/cli.h"

#include <string.h>

static long long number(struct json_object *o, const char *key, long long def)
{
	struct json_object *v = rs_json_get(o, key);

	return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : def;
}

static void put_since(struct cli_run *r, const char *before, long long s, const char *after)
{
	if (s < 0)
		return;
	if (s >= 86400)
		cli_putf(r, "%s%lldd %02lldh%s", before, s / 86400, s / 3600 % 24, after);
	else if (s >= 3600)
		cli_putf(r, "%s%lldh %02lldm%s", before, s / 3600, s / 60 % 60, after);
	else if (s >= 60)
		cli_putf(r, "%s%lldm %02llds%s", before, s / 60, s % 60, after);
	else
		cli_putf(r, "%s%lld s%s", before, s, after);
}

static void put_head(struct cli_run *r, struct json_object *o)
{
	bool ready = cli_true(o, "ready");
	long long rss = number(o, "rssBytes", -1);

	cli_put(r, "Ripstop ");
	cli_put_safe(r, rs_json_text(o, "version", "?"));
	cli_put(r, " on ");
	cli_put_safe(r, rs_json_text(rs_json_get(o, "metadata"), "node", "this node"));
	cli_put(r, "   ");
	cli_put_colored(r, ready ? CLI_GOOD : CLI_BAD, ready ? "ready" : "NOT READY");
	put_since(r, "   up ", number(o, "uptimeSeconds", -1), "");
	if (rss >= 0)
		cli_putf(r, "   rss %.1f MiB", (double)rss / (1024.0 * 1024.0));
	cli_put(r, "\n");
	if (!ready) {
		cli_put(r, "  not ready:  ");
		cli_put_safe(r, rs_json_text(o, "notReadyReason", "the agent gave no reason"));
		cli_put(r, "\n");
	}
}

static void put_error(struct cli_run *r, struct json_object *part)
{
	const char *error = rs_json_text(part, "error", NULL);
	const char *hint = rs_json_text(part, "hint", NULL);

	if (!error)
		return;
	cli_put(r, "              ");
	cli_put_colored(r, CLI_BAD, "ERROR");
	cli_put(r, " ");
	cli_put_safe(r, error);
	cli_put(r, "\n");
	if (!hint)
		return;
	cli_put(r, "              ");
	cli_put_safe(r, hint);
	cli_put(r, "\n");
}

/* "(as configured)"; where it is not plainly that, a line says why. */
static const char *choice_word(struct json_object *d)
{
	const char *asked = rs_json_text(d, "configured", NULL);

	if (!asked)
		return "";
	if (cli_true(d, "fallback"))
		return " (fallback)";
	return strcmp(asked, rs_json_text(d, "name", "")) ? " (auto)" : " (as configured)";
}

static void put_choice(struct cli_run *r, struct json_object *d)
{
	const char *word = choice_word(d);
	const char *beside = rs_json_text(d, "beside", NULL);

	if (*word && strcmp(word, " (as configured)")) {
		cli_put(r, "              ");
		cli_put_safe(r, rs_json_text(d, "why", "the agent gave no reason"));
		cli_put(r, "\n");
	}
	if (!beside)
		return;
	cli_put(r, "              rules of ");
	cli_put_safe(r, beside);
	cli_put(r, " judge too\n");
}

static void put_dataplane(struct cli_run *r, struct json_object *o)
{
	struct json_object *d = rs_json_get(o, "dataplane");
	struct json_object *ms = rs_json_get(d, "lastCommitMs");
	long long gen = number(rs_json_get(o, "metadata"), "generation", -1);

	if (!d)
		return;
	cli_put(r, "  dataplane   ");
	cli_put_safe(r, rs_json_text(d, "name", "-"));
	cli_put(r, choice_word(d));
	if (rs_json_get(d, "inSync")) {
		cli_put(r, "   ");
		cli_put_colored(r, cli_true(d, "inSync") ? CLI_GOOD : CLI_BAD,
				cli_true(d, "inSync") ? "in sync" : "NOT IN SYNC");
	}
	if (gen >= 0)
		cli_putf(r, "   generation %lld", gen);
	if (number(d, "rules", -1) >= 0)
		cli_putf(r, "   %lld rules", number(d, "rules", -1));
	if (number(d, "elements", -1) >= 0)
		cli_putf(r, "   %lld elements", number(d, "elements", -1));
	if (json_object_is_type(ms, json_type_double) || json_object_is_type(ms, json_type_int))
		cli_putf(r, "   last commit %.1f ms", json_object_get_double(ms));
	if (rs_json_get(d, "verdictCache"))
		cli_putf(r, "   verdict cache %s", cli_true(d, "verdictCache") ? "on" : "off");
	cli_put(r, "\n");
	put_choice(r, d);
	put_error(r, d);
}

static void put_age(struct cli_run *r, struct json_object *kind)
{
	rs_autofree char *name = cli_cell(kind, "kind");

	cli_putf(r, "%s ", name);
	if (cli_true(kind, "synced"))
		put_since(r, "", number(kind, "ageSeconds", -1), " ago");
	else
		cli_put_colored(r, CLI_BAD, "NOT SYNCED");
}

/* How long ago each list or watch last gave a sign of life. */
static void put_kinds(struct cli_run *r, struct json_object *source)
{
	struct json_object *list = rs_json_get(source, "kinds");
	size_t n = cli_count(source, "kinds");

	if (!n)
		return;
	for (size_t i = 0; i < n; i++) {
		cli_put(r, i ? "   " : "              ");
		put_age(r, json_object_array_get_idx(list, i));
	}
	cli_put(r, "\n");
	for (size_t i = 0; i < n; i++) {
		struct json_object *k = json_object_array_get_idx(list, i);
		rs_autofree char *name = cli_cell(k, "kind");

		if (r->opt.output == CLI_WIDE)
			cli_putf(r,
				 "              %-14s %lld lists, %lld watches, %lld events, %lld "
				 "failures, %lld unreadable\n",
				 name, number(k, "lists", 0), number(k, "watches", 0),
				 number(k, "events", 0), number(k, "failures", 0),
				 number(k, "unreadable", 0));
		put_error(r, k);
	}
}

static void put_source(struct cli_run *r, struct json_object *o)
{
	struct json_object *s = rs_json_get(o, "source");

	if (!s)
		return;
	cli_put(r, "  source      ");
	cli_put_safe(r, rs_json_text(s, "kind", "-"));
	cli_put(r, " ");
	cli_put_safe(r, rs_json_text(s, "path", ""));
	cli_put(r, "   ");
	cli_put_colored(r, cli_true(s, "synced") ? CLI_GOOD : CLI_BAD,
			cli_true(s, "synced") ? "synced" : "NOT SYNCED");
	put_since(r, "   last read ", number(s, "ageSeconds", -1), " ago");
	cli_put(r, "\n");
	put_error(r, s);
	put_kinds(r, s);
}

static void put_cni(struct cli_run *r, struct json_object *o)
{
	struct json_object *c = rs_json_get(o, "cni");
	const char *before = rs_json_text(c, "before", NULL);

	if (!c)
		return;
	cli_put(r, "  cni         ");
	cli_put_safe(r, rs_json_text(c, "conflist", "-"));
	if (!cli_true(c, "written")) {
		cli_put(r, "   ");
		cli_put_colored(r, CLI_BAD, "NOT WRITTEN");
	}
	cli_put(r, "   first in order: ");
	cli_put_colored(r, before ? CLI_BAD : CLI_PLAIN, before ? "NO, after " : "yes");
	if (before)
		cli_put_safe(r, before);
	cli_put(r, "\n");
}

#define BAR 20

/* Of IPv6 ranges nobody counts what is free. */
static void put_family(struct cli_run *r, struct json_object *f, bool many)
{
	long long used = number(f, "used", -1), total = number(f, "total", -1), bar;

	if (used < 0)
		return;
	cli_put(r, "   ");
	if (many)
		cli_putf(r, "IPv%lld ", number(f, "family", 4));
	cli_putf(r, "%lld used", used);
	if (total <= 0 || total > UINT32_MAX)
		return;
	bar = used >= total ? BAR : (used * BAR + total - 1) / total;
	cli_putf(r, ", %lld free   |%.*s%.*s|", total > used ? total - used : 0, (int)bar,
		 "####################", (int)(BAR - bar), "....................");
}

static void put_ipam(struct cli_run *r, struct json_object *o)
{
	struct json_object *i = rs_json_get(o, "ipam"), *list = rs_json_get(i, "families");
	rs_autofree char *ranges = cli_cell_list(i, "ranges", "   ");
	size_t n = cli_count(i, "families");

	cli_putf(r, "  ipam        %s", ranges);
	for (size_t k = 0; k < n; k++)
		put_family(r, json_object_array_get_idx(list, k), n > 1);
	cli_put(r, "\n");
	put_error(r, i);
}

static void put_counts(struct cli_run *r, struct json_object *o)
{
	struct json_object *b = rs_json_get(o, "objects"), *e = rs_json_get(o, "endpoints");

	if (b)
		cli_putf(r, "  objects     %lld namespaces, %lld pods, %lld policies\n",
			 number(b, "namespaces", 0), number(b, "pods", 0),
			 number(b, "policies", 0));
	if (e)
		cli_putf(r,
			 "  endpoints   %lld pods: %lld isolated for ingress, %lld for egress, "
			 "%lld closed\n",
			 number(e, "total", 0), number(e, "isolatedIngress", 0),
			 number(e, "isolatedEgress", 0), number(e, "closed", 0));
}

static void put_drops(struct cli_run *r, struct json_object *o)
{
	struct json_object *d = rs_json_get(o, "drops");
	struct json_object_iterator it, end;
	rs_auto_strbuf parts = { 0 };
	long long total = 0, n;

	if (!json_object_is_type(d, json_type_object))
		return;
	end = json_object_iter_end(d);
	for (it = json_object_iter_begin(d); !json_object_iter_equal(&it, &end);
	     json_object_iter_next(&it)) {
		n = json_object_get_int64(json_object_iter_peek_value(&it));
		if (n <= 0 || __builtin_add_overflow(total, n, &total))
			continue;
		rs_strbuf_puts(&parts, parts.len ? ", " : " (");
		rs_strbuf_puts_safe(&parts, json_object_iter_peek_name(&it));
		rs_strbuf_printf(&parts, " %lld", n);
	}
	cli_putf(r, "  drops       %lld packets%s%s\n", total, rs_strbuf_str(&parts),
		 parts.len ? ")" : "");
}

/* The last minutes, and whether the records tell all of it. */
static void put_recent(struct cli_run *r, struct json_object *o)
{
	struct json_object *d = rs_json_get(o, "recentDrops"), *c = rs_json_get(o, "dropRecords");
	const char *top = rs_json_text(d, "topPolicy", NULL);
	const char *why = rs_json_text(c, "whyNone", NULL);

	if (why) {
		cli_put(r, "              no records: ");
		cli_put_safe(r, why);
		cli_put(r, "\n");
	}
	if (!d)
		return;
	cli_putf(r, "              %lld in the last %lld min", number(d, "packets", 0),
		 number(d, "seconds", 0) / 60);
	if (top) {
		cli_put(r, " (top: ");
		cli_put_safe(r, top);
		cli_putf(r, " %lld)", number(d, "topRecords", 0));
	}
	cli_putf(r, "   records %lld, suppressed %lld, lost %lld\n", number(c, "records", 0),
		 number(c, "suppressed", 0), number(c, "lost", 0));
}

static void put_notes(struct cli_run *r, struct json_object *o)
{
	struct json_object *c = rs_json_get(o, "conditions"), *w = rs_json_get(o, "warnings");
	size_t i, n = cli_count(o, "conditions");

	for (i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(c, i);

		cli_put_colored(r, CLI_BAD, "CONDITION");
		cli_put(r, "  ");
		cli_put_safe(r, rs_json_text(item, "type", "-"));
		cli_put(r, ": ");
		cli_put_safe(r, rs_json_text(item, "message", "-"));
		cli_put(r, "\n");
	}
	n = cli_count(o, "warnings");
	for (i = 0; i < n; i++) {
		const char *s = json_object_get_string(json_object_array_get_idx(w, i));

		cli_put_colored(r, CLI_WARN, "WARNING");
		cli_put(r, "    ");
		cli_put_safe(r, s ? s : "-");
		cli_put(r, "\n");
	}
}

int cli_cmd_status(struct cli_run *r)
{
	rs_autojson struct json_object *o = NULL;
	int code = cli_call(r, json_object_new_object(), "status", "Status", &o);

	if (code)
		return code;
	if (cli_wants_object(r)) {
		cli_put_object(r, o);
	} else {
		put_head(r, o);
		put_dataplane(r, o);
		put_source(r, o);
		put_cni(r, o);
		put_ipam(r, o);
		put_counts(r, o);
		put_drops(r, o);
		put_recent(r, o);
		put_notes(r, o);
	}
	return cli_true(o, "ready") ? CLI_YES : CLI_NO;
}
