// SPDX-License-Identifier: Apache-2.0
/*
 * lint_fields.c - fields that do not exist and values that no API server takes: all of them, where
 * the decoder stops at the first one. What is left the decoder says.
 */
#include "cli/lint/lint.h"

#include <string.h>
#include <strings.h>

#include "object/decode.h"
#include "object/syntax.h"

struct look {
	struct lint *l;
	struct lint_policy *pol;
};

/* ---- unknown fields -------------------------------------------------------------------------- */

static const char *const root_fields[] = {
	"apiVersion", "kind", "metadata", "spec", "status", NULL
};
static const char *const meta_fields[] = { "name",
					   "namespace",
					   "labels",
					   "annotations",
					   "uid",
					   "resourceVersion",
					   "generation",
					   "generateName",
					   "finalizers",
					   "managedFields",
					   "creationTimestamp",
					   "deletionTimestamp",
					   "selfLink",
					   "ownerReferences",
					   "deletionGracePeriodSeconds",
					   NULL };
static const char *const spec_fields[] = { "podSelector", "policyTypes", "ingress", "egress",
					   NULL };
static const char *const rule_fields[RS_DIRECTIONS][3] = {
	[RS_INGRESS] = { "from", "ports", NULL },
	[RS_EGRESS] = { "to", "ports", NULL },
};
static const char *const peer_fields[] = { "podSelector", "namespaceSelector", "ipBlock", NULL };
static const char *const block_fields[] = { "cidr", "except", NULL };
static const char *const port_fields[] = { "protocol", "port", "endPort", NULL };
static const char *const selector_fields[] = { "matchLabels", "matchExpressions", NULL };
static const char *const expression_fields[] = { "key", "operator", "values", NULL };

/* Where a field that is known elsewhere belongs; NULL: it is none. */
static const char *home_of(const char *field)
{
	static const struct {
		const char *const *fields;
		const char *home;
	} homes[] = {
		{ spec_fields, "directly under spec" },
		{ rule_fields[RS_INGRESS], "in a rule, beside ports" },
		{ rule_fields[RS_EGRESS], "in a rule, beside ports" },
		{ peer_fields, "in an item of from or to" },
		{ block_fields, "under ipBlock" },
		{ port_fields, "in an item of ports" },
		{ selector_fields, "under podSelector or namespaceSelector" },
		{ expression_fields, "in an item of matchExpressions" },
	};
	size_t i;

	if (!strcmp(field, "ports"))
		return "in a rule, beside from or to";
	for (i = 0; i < RS_ARRAY_SIZE(homes); i++)
		if (rs_dec_listed(field, homes[i].fields))
			return homes[i].home;
	return NULL;
}

/* In a selector any other word is most likely a label. */
static char *advice(const char *field, const char *const *known)
{
	const char *near = rs_dec_nearest(field, known), *home = home_of(field);

	if (near)
		return rs_asprintf(": is %s meant?", near);
	if (home)
		return rs_asprintf(": it belongs %s", home);
	if (known == selector_fields)
		return rs_asprintf(": labels stand under matchLabels");
	return rs_strdup("");
}

/* What a map is to people: "NetworkPolicy", "podSelector", "an item of from". */
static void say_unknown(const struct look *k, const struct lint_at *map, const struct lint_at *at,
			const char *const *fields)
{
	rs_autofree char *hint = advice(at->key, fields);
	const char *name = !map->up ? "NetworkPolicy" : map->key ? map->key : map->up->key;

	lint_say(k->l, k->pol, at, LINT_UNKNOWN_FIELD, "%s%s has no field \"%.64s\"%s",
		 map->up && !map->key ? "an item of " : "", name, at->key, hint);
}

static void known(const struct look *k, const struct lint_at *map, const char *const *fields)
{
	const struct rs_doc_item *item;

	for (item = lint_items(map, RS_DOC_MAP); item; item = item->next) {
		struct lint_at at = lint_field(map, item->key);

		if (!rs_dec_listed(item->key, fields))
			say_unknown(k, map, &at, fields);
	}
}

/* ---- labels and selectors -------------------------------------------------------------------- */

static void label_value(const struct look *k, const struct lint_at *at)
{
	const char *fault;

	if (!at->node || at->node->type == RS_DOC_LIST || at->node->type == RS_DOC_MAP) {
		lint_say(k->l, k->pol, at, LINT_INVALID_LABEL,
			 "a label's value is a string, not %s",
			 at->node ? rs_doc_type_name(at->node->type) : "null");
		return;
	}
	if (at->node->type != RS_DOC_STRING) {
		lint_say(k->l, k->pol, at, LINT_INVALID_LABEL,
			 "%.64s is read as %s, and a label's value is a string: write \"%.64s\"",
			 at->node->text, rs_doc_type_name(at->node->type), at->node->text);
		return;
	}
	fault = rs_syntax_label_value(at->node->text);
	if (fault)
		lint_say(k->l, k->pol, at, LINT_INVALID_LABEL, "the value \"%.64s\" %s",
			 at->node->text, fault);
}

static void labels(const struct look *k, const struct lint_at *map)
{
	const struct rs_doc_item *item;

	for (item = lint_items(map, RS_DOC_MAP); item; item = item->next) {
		struct lint_at at = lint_key(map, item);
		const char *fault = rs_syntax_label_key(item->key);

		if (fault)
			lint_say(k->l, k->pol, &at, LINT_INVALID_LABEL, "the key \"%.64s\" %s",
				 item->key, fault);
		else
			label_value(k, &at);
	}
}

static void expression(const struct look *k, const struct lint_at *expr)
{
	struct lint_at key = lint_field(expr, "key"), values = lint_field(expr, "values");
	const struct rs_doc_item *item;
	const char *fault = NULL;
	size_t i = 0;

	known(k, expr, expression_fields);
	if (key.node && key.node->type == RS_DOC_STRING)
		fault = rs_syntax_label_key(key.node->text);
	if (fault)
		lint_say(k->l, k->pol, &key, LINT_INVALID_LABEL, "the key \"%.64s\" %s",
			 key.node->text, fault);
	for (item = lint_items(&values, RS_DOC_LIST); item; item = item->next) {
		struct lint_at at = lint_item(&values, i++, item);

		label_value(k, &at);
	}
}

static void selector(const struct look *k, const struct lint_at *map, const char *field)
{
	struct lint_at at = lint_field(map, field), list = lint_field(&at, "matchExpressions");
	struct lint_at match = lint_field(&at, "matchLabels");
	const struct rs_doc_item *item;
	size_t i = 0;

	known(k, &at, selector_fields);
	labels(k, &match);
	for (item = lint_items(&list, RS_DOC_LIST); item; item = item->next) {
		struct lint_at expr = lint_item(&list, i++, item);

		expression(k, &expr);
	}
}

/* ---- peers ----------------------------------------------------------------------------------- */

static bool read_cidr(const struct look *k, const struct lint_at *at, struct rs_cidr *out)
{
	if (!at->node || at->node->type != RS_DOC_STRING)
		return false;
	if (rs_cidr_parse(at->node->text, out, NULL, NULL) == 0)
		return true;
	lint_say(k->l, k->pol, at, LINT_INVALID_IP_BLOCK,
		 "\"%.64s\" is not a CIDR (address/length)", at->node->text);
	return false;
}

static void except(const struct look *k, const struct lint_at *at, const struct rs_cidr *whole)
{
	char inner[RS_CIDR_STRLEN], outer[RS_CIDR_STRLEN];
	struct rs_cidr e;

	if (!read_cidr(k, at, &e) || !whole || (rs_cidr_covers(whole, &e) && e.len > whole->len))
		return;
	lint_say(k->l, k->pol, at, LINT_INVALID_IP_BLOCK, "the except %s %s %s",
		 rs_cidr_str(&e, inner),
		 rs_cidr_covers(&e, whole) ? "takes away all of" : "does not lie within",
		 rs_cidr_str(whole, outer));
}

static void block(const struct look *k, const struct lint_at *peer)
{
	struct lint_at at = lint_field(peer, "ipBlock"), cidr = lint_field(&at, "cidr");
	struct lint_at list = lint_field(&at, "except");
	const struct rs_doc_item *item;
	struct rs_cidr whole;
	size_t i = 0;
	bool good;

	known(k, &at, block_fields);
	good = read_cidr(k, &cidr, &whole);
	if (at.node && !cidr.node)
		lint_say(k->l, k->pol, &at, LINT_INVALID_IP_BLOCK, "the ipBlock has no cidr");
	for (item = lint_items(&list, RS_DOC_LIST); item; item = item->next) {
		struct lint_at e = lint_item(&list, i++, item);

		except(k, &e, good ? &whole : NULL);
	}
}

/* A field with nothing behind it is null, which is not the same as {}. */
static const char *null_field(const struct lint_at *at)
{
	const char *const *f;

	for (f = peer_fields; *f; f++)
		if (lint_field(at, *f).there)
			return *f;
	return NULL;
}

static void peer(const struct look *k, const struct lint_at *at)
{
	struct lint_at blk = lint_field(at, "ipBlock");
	bool selects =
		lint_field(at, "podSelector").node || lint_field(at, "namespaceSelector").node;
	const char *null;

	known(k, at, peer_fields);
	selector(k, at, "podSelector");
	selector(k, at, "namespaceSelector");
	block(k, at);
	if (blk.node && selects)
		lint_say(k->l, k->pol, &blk, LINT_INVALID_IP_BLOCK,
			 "ipBlock cannot stand beside a selector in one item");
	if (blk.node || selects || (at->node && at->node->type != RS_DOC_MAP))
		return;
	null = null_field(at);
	if (null)
		lint_say(k->l, k->pol, at, LINT_EMPTY_PEER,
			 "%s with nothing behind it is null, so this peer is empty: write %s: {}",
			 null, null);
	else if (!at->node || !at->node->n)
		lint_say(k->l, k->pol, at, LINT_EMPTY_PEER,
			 "this peer is empty: it matches nobody");
}

/* ---- ports ----------------------------------------------------------------------------------- */

static bool is_port(const struct rs_doc_node *node)
{
	return node->type == RS_DOC_INT && node->integer >= 1 && node->integer <= 65535;
}

/* A numeric string is a name, and no name is made of digits only (semantics C19). */
static bool port_number(const struct look *k, const struct lint_at *at)
{
	const struct rs_doc_node *node = at->node;
	const char *fault = node->type == RS_DOC_STRING ? rs_syntax_port_name(node->text) : NULL;

	if (is_port(node))
		return true;
	if (fault && *node->text && !node->text[strspn(node->text, "0123456789")])
		lint_say(k->l, k->pol, at, LINT_INVALID_PORT,
			 "\"%.64s\" in quotes is a name, not a number: write it without quotes",
			 node->text);
	else if (fault)
		lint_say(k->l, k->pol, at, LINT_INVALID_PORT, "\"%.64s\" %s", node->text, fault);
	else if (node->type == RS_DOC_INT || node->type == RS_DOC_FLOAT)
		lint_say(k->l, k->pol, at, LINT_INVALID_PORT, "%.64s is not a port (1..65535)",
			 node->text);
	return false;
}

static void end_port(const struct look *k, const struct lint_at *at, const struct lint_at *port)
{
	if (!at->node)
		return;
	if (!port->node)
		lint_say(k->l, k->pol, at, LINT_INVALID_END_PORT, "endPort without a port");
	else if (port->node->type == RS_DOC_STRING)
		lint_say(k->l, k->pol, at, LINT_INVALID_END_PORT,
			 "endPort cannot follow a named port (%.64s)", port->node->text);
	else if (!is_port(at->node))
		lint_say(k->l, k->pol, at, LINT_INVALID_END_PORT,
			 "endPort is not a port number (1..65535)");
	else if (is_port(port->node) && at->node->integer < port->node->integer)
		lint_say(k->l, k->pol, at, LINT_INVALID_END_PORT, "endPort %s is below port %s",
			 at->node->text, port->node->text);
}

static void protocol(const struct look *k, const struct lint_at *at)
{
	static const char *const names[] = { "TCP", "UDP", "SCTP" };
	const char *text, *meant = NULL;
	size_t i;

	if (!at->node || at->node->type != RS_DOC_STRING)
		return;
	text = at->node->text;
	for (i = 0; i < RS_ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i]))
			return;
		if (!strcasecmp(text, names[i]))
			meant = names[i];
	}
	lint_say(k->l, k->pol, at, LINT_UNKNOWN_PROTOCOL,
		 "\"%.64s\" is not a protocol of a policy (TCP, UDP, SCTP)%s%s", text,
		 meant ? ": write " : "", meant ? meant : "");
}

static void port(const struct look *k, const struct lint_at *at)
{
	struct lint_at number = lint_field(at, "port"), end = lint_field(at, "endPort");
	struct lint_at proto = lint_field(at, "protocol");

	known(k, at, port_fields);
	protocol(k, &proto);
	if (number.node)
		port_number(k, &number);
	end_port(k, &end, &number);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void rule(const struct look *k, const struct lint_at *at, enum rs_direction dir)
{
	struct lint_at peers = lint_field(at, lint_peers_key(dir)), ports = lint_field(at, "ports");
	const struct rs_doc_item *item;
	size_t i = 0;

	known(k, at, rule_fields[dir]);
	for (item = lint_items(&peers, RS_DOC_LIST); item; item = item->next) {
		struct lint_at p = lint_item(&peers, i++, item);

		peer(k, &p);
	}
	i = 0;
	for (item = lint_items(&ports, RS_DOC_LIST); item; item = item->next) {
		struct lint_at p = lint_item(&ports, i++, item);

		port(k, &p);
	}
}

void lint_check_fields(struct lint *l, struct lint_policy *pol)
{
	const struct look k = { l, pol };
	struct lint_at root = lint_root(pol), spec = lint_field(&root, "spec");
	struct lint_at meta = lint_field(&root, "metadata"), own = lint_field(&meta, "labels");
	const struct rs_doc_item *item;
	size_t i;
	int dir;

	known(&k, &root, root_fields);
	known(&k, &meta, meta_fields);
	labels(&k, &own);
	known(&k, &spec, spec_fields);
	selector(&k, &spec, "podSelector");
	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		struct lint_at list = lint_field(&spec, lint_rules_key((enum rs_direction)dir));

		i = 0;
		for (item = lint_items(&list, RS_DOC_LIST); item; item = item->next) {
			struct lint_at at = lint_item(&list, i++, item);

			rule(&k, &at, (enum rs_direction)dir);
		}
	}
}
