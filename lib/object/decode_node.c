// SPDX-License-Identifier: Apache-2.0
/* decode_node.c - a Node: its pod ranges and its own addresses. */
#include "object/decode.h"

#include <errno.h>
#include <string.h>

#include "base/base.h"

static int add_cidr(struct rs_dec *d, const struct rs_at *at, struct rs_node *n)
{
	const char *text;
	struct rs_cidr c;

	if (rs_dec_text(d, at, &text) < 0)
		return -EINVAL;
	if (rs_cidr_parse(text, &c, NULL, NULL) < 0)
		return rs_dec_fail(d, at, "\"%.64s\" is not a CIDR (address/length)", text);
	n->pod_cidrs[n->n_pod_cidrs++] = c;
	return 0;
}

static int pod_cidrs(struct rs_dec *d, const struct rs_at *spec, struct rs_node *n)
{
	struct rs_at list = rs_at_field(spec, "podCIDRs"), one = rs_at_field(spec, "podCIDR");
	const struct rs_doc_item *item;
	size_t i = 0;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	n->pod_cidrs = rs_new0(struct rs_cidr, rs_at_count(&list) + 1);
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, i++, item);
		int rc = add_cidr(d, &at, n);

		if (rs_dec_contain(d, rc, NULL) < 0)
			return rc;
	}
	if (!rs_at_count(&list) && one.node)
		return rs_dec_contain(d, add_cidr(d, &one, n), NULL);
	return 0;
}

/* InternalIPs in front, each kind in its order. */
static void insert_address(struct rs_node *n, const struct rs_addr *a, bool internal)
{
	size_t at = internal ? n->n_internal++ : n->n_addrs;

	memmove(&n->addrs[at + 1], &n->addrs[at], (n->n_addrs - at) * sizeof(*a));
	n->addrs[at] = *a;
	n->n_addrs++;
}

static int add_address(struct rs_dec *d, const struct rs_at *at, struct rs_node *n)
{
	struct rs_at address = rs_at_field(at, "address");
	const char *type, *text;
	struct rs_addr a;

	if (rs_dec_type(d, at, RS_DOC_MAP) < 0 || rs_dec_string(d, at, "type", &type) < 0)
		return -EINVAL;
	if (!type || (strcmp(type, "InternalIP") && strcmp(type, "ExternalIP")))
		return 0;
	if (rs_dec_text(d, &address, &text) < 0)
		return -EINVAL;
	if (rs_addr_parse(text, &a, NULL) < 0)
		return rs_dec_fail(d, &address, "\"%.64s\" is not an IP address", text);
	insert_address(n, &a, !strcmp(type, "InternalIP"));
	return 0;
}

static int addresses(struct rs_dec *d, const struct rs_at *status, struct rs_node *n)
{
	struct rs_at list = rs_at_field(status, "addresses");
	const struct rs_doc_item *item;
	size_t i = 0;

	if (rs_dec_type(d, &list, RS_DOC_LIST) < 0)
		return -EINVAL;
	n->addrs = rs_new0(struct rs_addr, rs_at_count(&list));
	for (item = rs_at_first(&list); item; item = item->next) {
		struct rs_at at = rs_at_item(&list, i++, item);
		int rc = add_address(d, &at, n);

		if (rs_dec_contain(d, rc, NULL) < 0)
			return rc;
	}
	return 0;
}

int rs_dec_node(struct rs_dec *d, const struct rs_at *root, struct rs_node *n)
{
	struct rs_at spec = rs_at_field(root, "spec"), status = rs_at_field(root, "status");

	if (rs_dec_meta(d, root, false, &n->meta) < 0 || rs_dec_type(d, &spec, RS_DOC_MAP) < 0 ||
	    rs_dec_type(d, &status, RS_DOC_MAP) < 0 || pod_cidrs(d, &spec, n) < 0)
		return -EINVAL;
	return addresses(d, &status, n);
}
