// SPDX-License-Identifier: Apache-2.0
/* decode_policy.c - NetworkPolicy v1, defaulted and validated as the API server does it. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "object/object_free.h"
#include "object/syntax.h"

static const struct {
	const char *type;
	const char *list;
	const char *peers;
} dirs[RS_DIRECTIONS] = {
	[RS_INGRESS] = { "Ingress", "ingress", "from" },
	[RS_EGRESS] = { "Egress", "egress", "to" },
};

/* ---- ports ----------------------------------------------------------------------------------- */

/* A string is a name, never a number in quotes (semantics C19). */
static int named_port(struct rs_dec *d, const struct rs_at *at, struct rs_policy_port *p)
{
	const char *text = at->node->text, *fault = rs_syntax_port_name(text);

	if (fault && *text && !text[strspn(text, "0123456789")])
		return rs_dec_fail(d, at, "\"%.64s\" in quotes is a name, not a number", text);
	if (fault)
		return rs_dec_fail(d, at, "\"%.64s\" %s", text, fault);
	p->kind = RS_PORT_NAMED;
	p->name = rs_strdup(text);
	return 0;
}

static int end_port(struct rs_dec *d, const struct rs_at *map, struct rs_policy_port *p)
{
	struct rs_at at = rs_at_field(map, "endPort");

	if (!at.node)
		return 0;
	if (p->kind != RS_PORT_RANGE)
		return rs_dec_fail(d, &at, "endPort needs a port with a number");
	if (rs_dec_port(d, &at, &p->hi) < 0)
		return -EINVAL;
	if (p->hi < p->lo)
		return rs_dec_fail(d, &at, "%u is below the port, %u", p->hi, p->lo);
	return 0;
}

static int port(struct rs_dec *d, const struct rs_at *at, struct rs_policy_port *p)
{
	static const char *const fields[] = { "protocol", "port", "endPort", NULL };
	struct rs_at number = rs_at_field(at, "port");

	if (!at->node)
		return rs_dec_fail(d, at, "null is not a port; {} is every TCP port");
	if (rs_dec_encoded_fault(d, at) < 0 || rs_dec_type(d, at, RS_DOC_MAP) < 0 ||
	    rs_dec_known(d, at, fields) < 0 || rs_dec_proto(d, at, &p->proto) < 0)
		return -EINVAL;
	if (number.node && number.node->type == RS_DOC_STRING) {
		if (named_port(d, &number, p) < 0)
			return -EINVAL;
	} else if (number.node) {
		if (rs_dec_port(d, &number, &p->lo) < 0)
			return -EINVAL;
		p->kind = RS_PORT_RANGE;
		p->hi = p->lo;
	}
	return end_port(d, at, p);
}

static int ports(struct rs_dec *d, const struct rs_at *rule, struct rs_rule *r)
{
	struct rs_at list = rs_at_field(rule, "ports");
	const struct rs_doc_item *item;
	int rc = rs_dec_type(d, &list, RS_DOC_LIST);

	if (rc < 0)
		return rc;
	r->any_port = !rs_at_count(&list);
	if (r->any_port)
		return 0;
	r->ports = rs_new0(struct rs_policy_port, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, r->n_ports, item);
		struct rs_policy_port *p = &r->ports[r->n_ports++];

		p->pos = rs_dec_pos(d, &at);
		rc = port(d, &at, p);
		p->invalid = rc < 0;
		if (rs_dec_contain(d, rc, &p->why) < 0)
			return rc;
	}
	return 0;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static int cidr(struct rs_dec *d, const struct rs_at *at, struct rs_cidr *out)
{
	char shown[RS_CIDR_STRLEN];
	const char *text;
	bool canonical;

	if (!at->node)
		return rs_dec_fail(d, at, "the CIDR is missing");
	if (rs_dec_text(d, at, &text) < 0)
		return -EINVAL;
	if (rs_cidr_parse(text, out, &canonical, NULL) < 0)
		return rs_dec_fail(d, at, "\"%.64s\" is not a CIDR (address/length)", text);
	if (!canonical)
		rs_dec_warn(d, at, "\"%.64s\" is read as %s", text, rs_cidr_str(out, shown));
	if (rs_cidr_is_v4mapped(out))
		rs_dec_warn(d, at, "%.64s is a v4-mapped IPv6 block and matches nothing", text);
	return 0;
}

static int excepts(struct rs_dec *d, const struct rs_at *block, struct rs_ipblock *b)
{
	struct rs_at list = rs_at_field(block, "except");
	const struct rs_doc_item *item;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	if (!rs_at_count(&list))
		return 0;
	b->except = rs_new0(struct rs_cidr, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, b->n_except, item);
		struct rs_cidr *e = &b->except[b->n_except++];
		char inner[RS_CIDR_STRLEN], outer[RS_CIDR_STRLEN];

		if (cidr(d, &at, e) < 0)
			return -EINVAL;
		if (!rs_cidr_covers(&b->cidr, e) || b->cidr.len == e->len)
			return rs_dec_fail(d, &at, "%s is not a strict part of %s",
					   rs_cidr_str(e, inner), rs_cidr_str(&b->cidr, outer));
	}
	return 0;
}

static int ipblock(struct rs_dec *d, const struct rs_at *at, struct rs_ipblock *b)
{
	static const char *const fields[] = { "cidr", "except", NULL };
	struct rs_at text = rs_at_field(at, "cidr");

	if (rs_dec_type(d, at, RS_DOC_MAP) < 0 || rs_dec_known(d, at, fields) < 0 ||
	    cidr(d, &text, &b->cidr) < 0)
		return -EINVAL;
	return excepts(d, at, b);
}

/* A selector that was contained makes its peer match nothing, whatever the other one says. */
static void inherit_fault(struct rs_peer *p)
{
	const struct rs_selector *s = p->ns_selector.invalid ? &p->ns_selector : &p->pod_selector;

	if (!s->invalid)
		return;
	p->invalid = true;
	p->why = rs_strdup(s->why);
}

static int peer(struct rs_dec *d, const struct rs_at *at, struct rs_peer *p)
{
	static const char *const fields[] = { "podSelector", "namespaceSelector", "ipBlock", NULL };
	struct rs_at block = rs_at_field(at, "ipBlock");

	if (rs_dec_encoded_fault(d, at) < 0 || rs_dec_type(d, at, RS_DOC_MAP) < 0 ||
	    rs_dec_known(d, at, fields) < 0 ||
	    rs_dec_selector(d, at, "namespaceSelector", &p->ns_selector) < 0 ||
	    rs_dec_selector(d, at, "podSelector", &p->pod_selector) < 0)
		return -EINVAL;
	inherit_fault(p);
	p->has_block = block.node != NULL;
	if (!p->has_block && !p->ns_selector.present && !p->pod_selector.present)
		return rs_dec_fail(d, at, "a peer needs podSelector, namespaceSelector or ipBlock");
	if (!p->has_block)
		return 0;
	if (p->ns_selector.present || p->pod_selector.present)
		return rs_dec_fail(d, &block, "ipBlock cannot stand beside a selector in one peer");
	return ipblock(d, &block, &p->block);
}

static int peers(struct rs_dec *d, const struct rs_at *rule, const char *field, struct rs_rule *r)
{
	struct rs_at list = rs_at_field(rule, field);
	const struct rs_doc_item *item;
	int rc = rs_dec_type(d, &list, RS_DOC_LIST);

	if (rc < 0)
		return rc;
	r->any_peer = !rs_at_count(&list);
	if (r->any_peer)
		return 0;
	r->peers = rs_new0(struct rs_peer, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, r->n_peers, item);
		struct rs_peer *p = &r->peers[r->n_peers++];

		p->pos = rs_dec_pos(d, &at);
		rc = peer(d, &at, p);
		p->invalid |= rc < 0;
		if (rs_dec_contain(d, rc, &p->why) < 0)
			return rc;
	}
	return 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static int rule(struct rs_dec *d, const struct rs_at *at, enum rs_direction dir, struct rs_rule *r)
{
	const char *const fields[] = { dirs[dir].peers, "ports", NULL };

	if (!at->node)
		return rs_dec_fail(d, at, "null is not a rule; {} allows everything");
	if (rs_dec_encoded_fault(d, at) < 0 || rs_dec_type(d, at, RS_DOC_MAP) < 0 ||
	    rs_dec_known(d, at, fields) < 0 || peers(d, at, dirs[dir].peers, r) < 0)
		return -EINVAL;
	return ports(d, at, r);
}

/* A rule whose fault nothing smaller could hold allows nothing. */
static void close_rule(struct rs_rule *r)
{
	struct rs_pos pos = r->pos;

	rs_rule_free_in(r);
	*r = (struct rs_rule){ .pos = pos };
}

static int rules(struct rs_dec *d, const struct rs_at *spec, enum rs_direction dir,
		 struct rs_policy *p)
{
	struct rs_at list = rs_at_field(spec, dirs[dir].list);
	const struct rs_doc_item *item;
	int rc = rs_dec_type(d, &list, RS_DOC_LIST);

	if (rc < 0)
		return rc;
	if (!rs_at_count(&list))
		return 0;
	p->rules[dir] = rs_new0(struct rs_rule, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, p->n_rules[dir], item);
		struct rs_rule *r = &p->rules[dir][p->n_rules[dir]++];

		r->pos = rs_dec_pos(d, &at);
		rc = rule(d, &at, dir, r);
		if (rc < 0 && rs_dec_contain(d, rc, NULL) < 0)
			return rc;
		if (rc < 0)
			close_rule(r);
	}
	return 0;
}

/* ---- policyTypes ----------------------------------------------------------------------------- */

static int policy_type(struct rs_dec *d, const struct rs_at *at, struct rs_policy *p)
{
	const char *text;
	int dir;

	if (rs_dec_text(d, at, &text) < 0)
		return -EINVAL;
	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		if (!strcmp(text, dirs[dir].type)) {
			p->isolates[dir] = true;
			return 0;
		}
	}
	return rs_dec_fail(d, at, "\"%.64s\" is not a policy type (Ingress, Egress)", text);
}

/* Rules of a direction that is isolated, but not by a word that we know, allow nothing. */
static void close_unnamed(struct rs_policy *p)
{
	int dir;

	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		if (p->isolates[dir])
			continue;
		rs_rules_free(p->rules[dir], p->n_rules[dir]);
		p->rules[dir] = NULL;
		p->n_rules[dir] = 0;
		p->isolates[dir] = true;
	}
}

/* Semantics A2 to A5. A word that we do not know may mean either direction: both are isolated. */
static int policy_types(struct rs_dec *d, const struct rs_at *spec, struct rs_policy *p)
{
	struct rs_at list = rs_at_field(spec, "policyTypes");
	const struct rs_doc_item *item;
	size_t n = 0;
	int rc = rs_dec_type(d, &list, RS_DOC_LIST);
	bool any = false, unknown = rc < 0;

	if (rs_dec_contain(d, rc, NULL) < 0)
		return rc;
	for (item = unknown ? NULL : rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, n++, item);

		rc = policy_type(d, &at, p);
		if (rs_dec_contain(d, rc, NULL) < 0)
			return rc;
		any = true;
		unknown |= rc < 0;
	}
	if (unknown) {
		close_unnamed(p);
		return 0;
	}
	if (!any) {
		p->isolates[RS_INGRESS] = true;
		p->isolates[RS_EGRESS] = p->n_rules[RS_EGRESS] > 0;
	}
	return 0;
}

/* Rules of a direction that policyTypes leaves out were checked and count for nothing (A3, A4). */
static void drop_unused(struct rs_dec *d, const struct rs_at *spec, enum rs_direction dir,
			struct rs_policy *p)
{
	struct rs_at list = rs_at_field(spec, dirs[dir].list);

	if (p->isolates[dir] || !p->n_rules[dir])
		return;
	rs_dec_warn(d, &list, "ignored, because policyTypes does not hold %s", dirs[dir].type);
	rs_rules_free(p->rules[dir], p->n_rules[dir]);
	p->rules[dir] = NULL;
	p->n_rules[dir] = 0;
}

/* ---- the policy ------------------------------------------------------------------------------ */

static int spec_fields(struct rs_dec *d, const struct rs_at *root, const struct rs_at *spec,
		       struct rs_policy *p)
{
	static const char *const top[] = {
		"apiVersion", "kind", "metadata", "spec", "status", NULL
	};
	static const char *const fields[] = { "podSelector", "policyTypes", "ingress", "egress",
					      NULL };

	if (rs_dec_known(d, root, top) < 0 || rs_dec_type(d, spec, RS_DOC_MAP) < 0 ||
	    rs_dec_known(d, spec, fields) < 0 ||
	    rs_dec_selector(d, spec, "podSelector", &p->subject) < 0 ||
	    rules(d, spec, RS_INGRESS, p) < 0 || rules(d, spec, RS_EGRESS, p) < 0)
		return -EINVAL;
	return policy_types(d, spec, p);
}

/* Nothing of it can be trusted: it isolates its whole namespace and allows nothing. */
static void close_policy(struct rs_policy *p)
{
	int dir;

	for (dir = 0; dir < RS_DIRECTIONS; dir++) {
		rs_rules_free(p->rules[dir], p->n_rules[dir]);
		p->rules[dir] = NULL;
		p->n_rules[dir] = 0;
		p->isolates[dir] = true;
	}
	p->subject.invalid = true;
}

int rs_dec_policy(struct rs_dec *d, const struct rs_at *root, struct rs_policy *p)
{
	struct rs_at spec;
	int rc;

	rc = rs_dec_meta(d, root, true, &p->meta);
	if (rc < 0 && !p->meta.ns)
		return rc; /* a namespace that nobody knows cannot be closed */
	spec = rs_at_field(root, "spec");
	if (rc == 0)
		rc = spec_fields(d, root, &spec, p);
	if (rc < 0) {
		rc = rs_dec_contain(d, rc, &p->subject.why);
		if (rc < 0)
			return rc;
		close_policy(p);
	}
	/* Absent selects all pods of the namespace (semantics A9). */
	p->subject.present = true;
	p->subject_invalid = p->subject.invalid;
	drop_unused(d, &spec, RS_INGRESS, p);
	drop_unused(d, &spec, RS_EGRESS, p);
	return 0;
}
