// SPDX-License-Identifier: Apache-2.0
/* doctor_rules.c - rules beside ours: saved rulesets that hold a copy of our table, and tables of
 * others that drop what we accept or write our mark. */
#include "cli/doctor/doctor.h"

#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "netlink/nl_rules.h"

#define OURS "ripstop"

/* ---- saved rulesets -------------------------------------------------------------------------- */

static const char why_saved[] =
	"nft cannot load our table again: the boot or a reload of that file fails, or brings rules "
	"of yesterday";

static bool holds_ours(const struct doctor *d, const char *path)
{
	rs_autofree char *text = doctor_read(d, path);

	return text && (strstr(text, "table inet " OURS " ") || strstr(text, "made by ripstop"));
}

static size_t saved_file(struct doctor *d, const char *path)
{
	if (!holds_ours(d, path))
		return 0;
	doctor_say(d, DOCTOR_FAIL, "saved-rules", why_saved,
		   "take table inet ripstop out of it; the agent makes the table itself",
		   "/%s holds our table", path);
	return 1;
}

static void saved(struct doctor *d)
{
	static const char *const files[] = { "etc/nftables.conf", "etc/sysconfig/nftables.conf",
					     "var/lib/nftables/rules-save", "etc/nftables.nft" };
	static const char *const dirs[] = { "etc/nftables", "etc/nftables.d" };
	size_t n = 0;

	for (size_t i = 0; i < RS_ARRAY_SIZE(files); i++)
		n += saved_file(d, files[i]);
	for (size_t i = 0; i < RS_ARRAY_SIZE(dirs); i++) {
		struct doctor_names names = { 0 };

		doctor_list(d, dirs[i], &names);
		for (size_t k = 0; k < names.n; k++) {
			rs_autofree char *path = rs_asprintf("%s/%s", dirs[i], names.v[k]);

			n += saved_file(d, path);
		}
		doctor_names_free(&names);
	}
	if (!n)
		doctor_say(d, DOCTOR_OK, "saved-rules", why_saved, NULL,
			   "no saved ruleset holds our table");
}

/* A service that loads a file flushes everything first, ours too. */
static void flushes(struct doctor *d)
{
	rs_autofree char *text = doctor_read(d, "etc/nftables.conf");

	if (text && strstr(text, "flush ruleset") &&
	    doctor_exists(d, "etc/systemd/system/sysinit.target.wants/nftables.service"))
		doctor_say(d, DOCTOR_WARN, "saved-rules",
			   "a flush of the whole ruleset takes our table too; the agent makes it "
			   "again, and where the kernel lets tables have owners (6.9) it is passed "
			   "by",
			   "flush your own tables by name instead",
			   "nftables.service is on, and /etc/nftables.conf begins with flush "
			   "ruleset");
}

/* ---- tables of others ------------------------------------------------------------------------ */

static const char why_drop[] =
	"an accept of ours ends our chain only: a chain of another table that drops by default "
	"still drops pods' packets, and no counter of ours says so";
static const char why_mark[] =
	"verdicts are remembered in the upper 16 bits of ct mark (ct-mark-mask): who writes them "
	"can make a denied flow pass for judged";

static long long number(struct json_object *o, const char *key)
{
	struct json_object *v = rs_json_get(o, key);

	return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : -1;
}

static bool is_ours(struct json_object *o, const char *key)
{
	const char *name = rs_json_text(o, key, "");

	return !strcmp(rs_json_text(o, "family", ""), "inet") &&
	       (!strcmp(name, OURS) || !strcmp(name, OURS "-nat"));
}

static bool sees_pods(struct json_object *chain)
{
	const char *family = rs_json_text(chain, "family", "");

	return (!strcmp(family, "inet") || !strcmp(family, "ip") || !strcmp(family, "ip6")) &&
	       number(rs_json_get(chain, "base"), "hook") >= 0;
}

static size_t drops(struct doctor *d, struct json_object *rules)
{
	static const char *const hooks[] = { "prerouting", "input", "forward", "output",
					     "postrouting" };
	struct json_object *list = rs_json_get(rules, "chains");
	size_t found = 0;

	for (size_t i = 0; i < cli_count(rules, "chains"); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		long long hook = number(rs_json_get(c, "base"), "hook");

		if (is_ours(c, "table") || !sees_pods(c) || number(c, "policy") != NF_DROP ||
		    hook >= (long long)RS_ARRAY_SIZE(hooks) || hook == NF_INET_LOCAL_OUT)
			continue;
		found++;
		doctor_say(d, DOCTOR_WARN, "other-rules", why_drop,
			   "let it accept pods' traffic (iptables -P FORWARD ACCEPT, or accept "
			   "rules for the pod ranges)",
			   "table %s %s, chain %s drops by default at %s",
			   rs_json_text(c, "family", "?"), rs_json_text(c, "table", "?"),
			   rs_json_text(c, "name", "?"), hooks[hook]);
	}
	return found;
}

static bool writes_mark(struct json_object *rule)
{
	struct json_object *list = rs_json_get(rule, "exprs");

	for (size_t i = 0; i < cli_count(rule, "exprs"); i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		struct json_object *ct = rs_json_get(e, "ct"), *t = rs_json_get(e, "target");

		if (number(ct, "sreg") >= 0 && number(ct, "key") == NFT_CT_MARK)
			return true;
		if (!strcmp(rs_json_text(t, "name", ""), "CONNMARK"))
			return true;
	}
	return false;
}

static size_t marks(struct doctor *d, struct json_object *rules)
{
	struct json_object *list = rs_json_get(rules, "rules");
	size_t found = 0;

	for (size_t i = 0; i < cli_count(rules, "rules"); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);

		if (is_ours(c, "table") || !writes_mark(c))
			continue;
		if (!found++)
			doctor_say(d, DOCTOR_WARN, "other-rules", why_mark,
				   "where it writes our bits the agent switches its cache off and "
				   "says so in ripstop status; else choose other bits with "
				   "--ct-mark-mask",
				   "table %s %s, chain %s, rule %lld writes ct mark",
				   rs_json_text(c, "family", "?"), rs_json_text(c, "table", "?"),
				   rs_json_text(c, "chain", "?"), number(c, "handle"));
	}
	return found;
}

static size_t count_others(struct json_object *rules)
{
	struct json_object *list = rs_json_get(rules, "tables");
	size_t n = 0;

	for (size_t i = 0; i < cli_count(rules, "tables"); i++)
		n += !is_ours(json_object_array_get_idx(list, i), "name");
	return n;
}

/* Rules of the old interface are no part of nf_tables, and only iptables-legacy reads them. */
static void legacy(struct doctor *d)
{
	rs_autofree char *tables = doctor_read(d, "proc/net/ip_tables_names");

	if (tables && strstr(tables, "filter"))
		doctor_say(d, DOCTOR_WARN, "other-rules", why_drop,
			   "see iptables-legacy -S; use iptables-nft instead",
			   "rules of iptables-legacy are loaded; nobody else can read them");
}

static void others(struct doctor *d)
{
	rs_autojson struct json_object *rules = NULL;
	rs_auto_err err = { 0 };
	size_t n;

	legacy(d);
	if (*d->root) {
		doctor_say(d, DOCTOR_OK, "other-rules", why_drop, NULL,
			   "not asked: below this root there is no kernel");
		return;
	}
	if (rs_nl_rules(0, &rules, &err) < 0) {
		doctor_say(d, DOCTOR_WARN, "other-rules", why_drop,
			   err.hint ? err.hint : "does the kernel have nf_tables?", "not known: %s",
			   rs_err_str(&err));
		return;
	}
	n = count_others(rules);
	if (!(drops(d, rules) + marks(d, rules)))
		doctor_say(d, DOCTOR_OK, "other-rules", why_drop, NULL,
			   "%zu tables of others; none drops by default or writes ct mark", n);
}

void doctor_rules(struct doctor *d)
{
	saved(d);
	flushes(d);
	others(d);
}
