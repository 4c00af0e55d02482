// SPDX-License-Identifier: Apache-2.0
/*
 * lint_sarif.c - findings as a SARIF log (OASIS Static Analysis Results Interchange Format 2.1.0),
 * which code review tools show beside the lines. Every rule is described, also those without a
 * result; what a policy switched off is a result with a suppression.
 */
#include "cli/lint/lint_print.h"

#include <string.h>

#define SCHEMA                                                                \
	"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/" \
	"sarif-schema-2.1.0.json"

static struct json_object *text_object(const char *text)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "text", text);
	return o;
}

static void add_int(struct json_object *o, const char *key, int n)
{
	json_object_object_add(o, key, json_object_new_int(n));
}

/* ---- the rules ------------------------------------------------------------------------------- */

static struct json_object *rule_of(const struct lint_rule *rule)
{
	struct json_object *o = json_object_new_object(), *level = json_object_new_object();
	struct json_object *help = json_object_new_object();
	rs_autofree char *full = rs_asprintf("%s %s", rule->why, rule->fix);
	rs_autofree char *markdown = rs_asprintf("%s\n\n**What to do:** %s", rule->why, rule->fix);

	rs_json_add_str(o, "id", rule->id);
	json_object_object_add(o, "shortDescription", text_object(rule->title));
	json_object_object_add(o, "fullDescription", text_object(rule->why));
	rs_json_add_str(help, "text", full);
	rs_json_add_str(help, "markdown", markdown);
	json_object_object_add(o, "help", help);
	rs_json_add_str(level, "level", lint_severity_name(rule->severity));
	json_object_object_add(o, "defaultConfiguration", level);
	return o;
}

static struct json_object *tool(void)
{
	struct json_object *o = json_object_new_object(), *driver = json_object_new_object();
	struct json_object *rules = json_object_new_array();
	size_t i;

	for (i = 0; i < LINT_RULES; i++)
		json_object_array_add(rules, rule_of(&lint_rules[i]));
	rs_json_add_str(driver, "name", "ripstop lint");
	rs_json_add_str(driver, "semanticVersion", RIPSTOP_VERSION);
	json_object_object_add(driver, "rules", rules);
	json_object_object_add(o, "driver", driver);
	return o;
}

/* ---- the results ----------------------------------------------------------------------------- */

/* A path as a relative or absolute URI reference: what RFC 3986 does not let stand is %XX, and a
 * colon in the first segment, which would end a scheme. */
static char *uri_of(const char *path)
{
	static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789-._~/!$&'()*+,;=@";
	struct rs_strbuf b = { 0 };

	if (path[0] == '/')
		rs_strbuf_puts(&b, "file://");
	while (!strncmp(path, "./", 2))
		path += 2;
	for (; *path; path++)
		if (strchr(kept, *path))
			rs_strbuf_putc(&b, *path);
		else
			rs_strbuf_printf(&b, "%%%02X", (unsigned char)*path);
	return rs_strbuf_steal(&b);
}

static struct json_object *location_of(const struct lint_finding *f)
{
	struct json_object *o = json_object_new_object(), *physical = json_object_new_object();
	struct json_object *artifact = json_object_new_object(), *region = json_object_new_object();
	struct json_object *logical = json_object_new_object(), *all = json_object_new_array();
	rs_autofree char *uri = uri_of(f->pol->text->name);
	rs_autofree char *name = rs_asprintf("NetworkPolicy %s/%s%s%s", f->pol->ns, f->pol->name,
					     *f->path ? " " : "", f->path);

	rs_json_add_str(artifact, "uri", uri);
	add_int(region, "startLine", f->pos.line);
	add_int(region, "startColumn", f->pos.col);
	json_object_object_add(physical, "artifactLocation", artifact);
	json_object_object_add(physical, "region", region);
	json_object_object_add(o, "physicalLocation", physical);
	rs_json_add_str(logical, "fullyQualifiedName", name);
	json_object_array_add(all, logical);
	json_object_object_add(o, "logicalLocations", all);
	return o;
}

static struct json_object *suppressions(void)
{
	struct json_object *all = json_object_new_array(), *one = json_object_new_object();

	rs_json_add_str(one, "kind", "inSource");
	json_object_array_add(all, one);
	return all;
}

static struct json_object *result_of(const struct lint_finding *f)
{
	struct json_object *o = json_object_new_object(), *places = json_object_new_array();

	rs_json_add_str(o, "ruleId", lint_rules[f->id].id);
	add_int(o, "ruleIndex", (int)f->id);
	rs_json_add_str(o, "level", lint_severity_name(f->severity));
	json_object_object_add(o, "message", text_object(f->text));
	json_object_array_add(places, location_of(f));
	json_object_object_add(o, "locations", places);
	if (f->suppressed)
		json_object_object_add(o, "suppressions", suppressions());
	return o;
}

struct json_object *lint_sarif(const struct lint *l)
{
	struct json_object *log = json_object_new_object(), *run = json_object_new_object();
	struct json_object *runs = json_object_new_array(), *results = json_object_new_array();
	size_t i;

	for (i = 0; i < l->found.n; i++)
		json_object_array_add(results, result_of(&l->found.v[i]));
	json_object_object_add(run, "tool", tool());
	rs_json_add_str(run, "columnKind", "unicodeCodePoints");
	json_object_object_add(run, "results", results);
	json_object_array_add(runs, run);
	rs_json_add_str(log, "$schema", SCHEMA);
	rs_json_add_str(log, "version", "2.1.0");
	json_object_object_add(log, "runs", runs);
	return log;
}
