// SPDX-License-Identifier: Apache-2.0
/* nl_rules.c - nf_tables as JSON, whosever tables they are; see nl_rules.h. */
#include "netlink/nl_rules.h"

#include <errno.h>
/* Before the kernel's headers, which then leave its names alone. */
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "netlink/nl_internal.h"

#define MAX_ATTR 64
#define COMMENT_TYPE 0 /* of the items in user data: NFTNL_UDATA_*_COMMENT */

enum form {
	TEXT,
	BE32,
	BE64,
	HEX,
	NEST, /* with fields of its own */
};

struct field {
	uint16_t attr;
	const char *name;
	enum form form;
	const struct field *nested;
};

/* ---- the grammar ----------------------------------------------------------------------------- */

static const struct field verdict[] = { { NFTA_VERDICT_CODE, "code", BE32, NULL },
					{ NFTA_VERDICT_CHAIN, "chain", TEXT, NULL },
					{ 0 } };
static const struct field data[] = { { NFTA_DATA_VALUE, "value", HEX, NULL },
				     { NFTA_DATA_VERDICT, "verdict", NEST, verdict },
				     { 0 } };
static const struct field table[] = { { NFTA_TABLE_NAME, "name", TEXT, NULL },
				      { NFTA_TABLE_FLAGS, "flags", BE32, NULL },
				      { 0 } };
static const struct field hook[] = { { NFTA_HOOK_HOOKNUM, "hook", BE32, NULL },
				     { NFTA_HOOK_PRIORITY, "priority", BE32, NULL },
				     { NFTA_HOOK_DEV, "device", TEXT, NULL },
				     { 0 } };
static const struct field chain[] = { { NFTA_CHAIN_TABLE, "table", TEXT, NULL },
				      { NFTA_CHAIN_NAME, "name", TEXT, NULL },
				      { NFTA_CHAIN_HANDLE, "handle", BE64, NULL },
				      { NFTA_CHAIN_TYPE, "type", TEXT, NULL },
				      { NFTA_CHAIN_HOOK, "base", NEST, hook },
				      { NFTA_CHAIN_POLICY, "policy", BE32, NULL },
				      { 0 } };
static const struct field rule[] = { { NFTA_RULE_TABLE, "table", TEXT, NULL },
				     { NFTA_RULE_CHAIN, "chain", TEXT, NULL },
				     { NFTA_RULE_HANDLE, "handle", BE64, NULL },
				     { 0 } };
static const struct field set[] = { { NFTA_SET_TABLE, "table", TEXT, NULL },
				    { NFTA_SET_NAME, "name", TEXT, NULL },
				    { NFTA_SET_FLAGS, "flags", BE32, NULL },
				    { NFTA_SET_KEY_TYPE, "keyType", BE32, NULL },
				    { NFTA_SET_KEY_LEN, "keyLen", BE32, NULL },
				    { NFTA_SET_DATA_TYPE, "dataType", BE32, NULL },
				    { NFTA_SET_DATA_LEN, "dataLen", BE32, NULL },
				    { 0 } };
static const struct field elem[] = { { NFTA_SET_ELEM_KEY, "key", NEST, data },
				     { NFTA_SET_ELEM_KEY_END, "keyEnd", NEST, data },
				     { NFTA_SET_ELEM_DATA, "data", NEST, data },
				     { NFTA_SET_ELEM_FLAGS, "flags", BE32, NULL },
				     { 0 } };

/* Of the expressions that a reader asks for most; others are told by number. */
static const struct field ct[] = { { NFTA_CT_DREG, "dreg", BE32, NULL },
				   { NFTA_CT_SREG, "sreg", BE32, NULL },
				   { NFTA_CT_KEY, "key", BE32, NULL },
				   { 0 } };
static const struct field meta[] = { { NFTA_META_DREG, "dreg", BE32, NULL },
				     { NFTA_META_SREG, "sreg", BE32, NULL },
				     { NFTA_META_KEY, "key", BE32, NULL },
				     { 0 } };
static const struct field counter[] = { { NFTA_COUNTER_BYTES, "bytes", BE64, NULL },
					{ NFTA_COUNTER_PACKETS, "packets", BE64, NULL },
					{ 0 } };
static const struct field lookup[] = { { NFTA_LOOKUP_SET, "set", TEXT, NULL },
				       { NFTA_LOOKUP_SREG, "sreg", BE32, NULL },
				       { NFTA_LOOKUP_DREG, "dreg", BE32, NULL },
				       { NFTA_LOOKUP_FLAGS, "flags", BE32, NULL },
				       { 0 } };
static const struct field immediate[] = { { NFTA_IMMEDIATE_DREG, "dreg", BE32, NULL },
					  { NFTA_IMMEDIATE_DATA, "data", NEST, data },
					  { 0 } };
static const struct field cmp[] = { { NFTA_CMP_SREG, "sreg", BE32, NULL },
				    { NFTA_CMP_OP, "op", BE32, NULL },
				    { NFTA_CMP_DATA, "data", NEST, data },
				    { 0 } };
static const struct field target[] = { { NFTA_TARGET_NAME, "name", TEXT, NULL },
				       { NFTA_TARGET_INFO, "info", HEX, NULL },
				       { 0 } };

static const struct {
	const char *name;
	const struct field *fields;
} exprs[] = {
	{ "ct", ct },	      { "meta", meta },		  { "counter", counter },
	{ "lookup", lookup }, { "immediate", immediate }, { "cmp", cmp },
	{ "target", target },
};

/* ---- attributes to JSON ---------------------------------------------------------------------- */

static void add_hex(struct json_object *o, const char *key, const struct nlattr *a)
{
	const uint8_t *p = nla_data(a);
	rs_auto_strbuf b = { 0 };

	for (int i = 0; i < nla_len(a); i++)
		rs_strbuf_printf(&b, "%02x", p[i]);
	rs_json_add_str(o, key, rs_strbuf_str(&b));
}

static void add_text(struct json_object *o, const char *key, const struct nlattr *a)
{
	rs_autofree char *s = rs_strndup(nla_data(a), (size_t)nla_len(a));

	rs_json_add_str(o, key, s);
}

static uint64_t be64(const struct nlattr *a)
{
	const uint8_t *p = nla_data(a);
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

static uint32_t be32(const struct nlattr *a)
{
	const uint8_t *p = nla_data(a);

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void add_fields(struct json_object *o, const struct field *fields, struct nlattr *head,
		       int len);

static void add_field(struct json_object *o, const struct field *f, struct nlattr *a)
{
	if (f->form == TEXT) {
		add_text(o, f->name, a);
	} else if (f->form == BE32 && nla_len(a) >= 4) {
		json_object_object_add(o, f->name, json_object_new_int64(be32(a)));
	} else if (f->form == BE64 && nla_len(a) >= 8) {
		json_object_object_add(o, f->name, json_object_new_uint64(be64(a)));
	} else if (f->form == NEST) {
		struct json_object *map = json_object_new_object();

		add_fields(map, f->nested, nla_data(a), nla_len(a));
		json_object_object_add(o, f->name, map);
	} else {
		add_hex(o, f->name, a);
	}
}

static const struct field *known(const struct field *fields, int attr)
{
	for (const struct field *f = fields; f->name; f++)
		if (f->attr == attr)
			return f;
	return NULL;
}

static void add_fields(struct json_object *o, const struct field *fields, struct nlattr *head,
		       int len)
{
	struct nlattr *a;
	int rem;

	nla_for_each_attr(a, head, len, rem)
	{
		const struct field *f = known(fields, nla_type(a));

		if (f)
			add_field(o, f, a);
	}
}

/* ---- expressions ----------------------------------------------------------------------------- */

static void add_numbered(struct json_object *o, struct nlattr *head, int len)
{
	struct nlattr *a;
	int rem;

	nla_for_each_attr(a, head, len, rem)
	{
		char key[8];

		snprintf(key, sizeof(key), "%d", nla_type(a));
		add_hex(o, key, a);
	}
}

static struct json_object *expr_json(struct nlattr *nested)
{
	struct json_object *o = json_object_new_object(), *map = json_object_new_object();
	struct nlattr *tb[NFTA_EXPR_MAX + 1];
	rs_autofree char *name = NULL;
	const struct field *fields = NULL;

	if (nla_parse_nested(tb, NFTA_EXPR_MAX, nested, NULL) < 0 || !tb[NFTA_EXPR_NAME]) {
		json_object_put(map);
		return o;
	}
	name = rs_strndup(nla_data(tb[NFTA_EXPR_NAME]), (size_t)nla_len(tb[NFTA_EXPR_NAME]));
	for (size_t i = 0; i < RS_ARRAY_SIZE(exprs); i++)
		if (!strcmp(exprs[i].name, name))
			fields = exprs[i].fields;
	if (tb[NFTA_EXPR_DATA] && fields)
		add_fields(map, fields, nla_data(tb[NFTA_EXPR_DATA]), nla_len(tb[NFTA_EXPR_DATA]));
	else if (tb[NFTA_EXPR_DATA])
		add_numbered(map, nla_data(tb[NFTA_EXPR_DATA]), nla_len(tb[NFTA_EXPR_DATA]));
	rs_utf8_scrub(name, strlen(name));
	json_object_object_add(o, name, map);
	return o;
}

static struct json_object *exprs_json(struct nlattr *list)
{
	struct json_object *o = json_object_new_array();
	struct nlattr *a;
	int rem;

	nla_for_each_nested(a, list, rem) if (nla_type(a) == NFTA_LIST_ELEM)
		json_object_array_add(o, expr_json(a));
	return o;
}

/* User data: items of type, length, bytes. */
static void add_comment(struct json_object *o, const struct nlattr *a)
{
	const uint8_t *p = a ? nla_data(a) : NULL;
	int left = a ? nla_len(a) : 0;

	while (left >= 2 && p[1] <= left - 2) {
		if (p[0] == COMMENT_TYPE) {
			rs_autofree char *s = rs_strndup((const char *)p + 2, p[1]);

			rs_json_add_str(o, "comment", s);
			return;
		}
		left -= 2 + p[1];
		p += 2 + p[1];
	}
}

/* ---- dumps ----------------------------------------------------------------------------------- */

struct dump {
	struct json_object *list;
	const struct field *fields;
	int comment; /* attribute of the user data; 0: none */
	size_t n, max;
};

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_ARP:
		return "arp";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_NETDEV:
		return "netdev";
	default:
		return "unknown";
	}
}

static int on_object(struct nlmsghdr *h, void *arg)
{
	struct json_object *o = json_object_new_object();
	const struct nfgenmsg *g = nlmsg_data(h);
	struct nlattr *head, *a;
	struct dump *d = arg;
	int len;

	if (nlmsg_datalen(h) < (int)sizeof(*g)) {
		json_object_put(o);
		return -EPROTO;
	}
	head = nlmsg_attrdata(h, sizeof(*g));
	len = nlmsg_attrlen(h, sizeof(*g));
	rs_json_add_str(o, "family", family_name(g->nfgen_family));
	add_fields(o, d->fields, head, len);
	if (d->comment)
		add_comment(o, nla_find(head, len, d->comment));
	if (d->fields == rule && (a = nla_find(head, len, NFTA_RULE_EXPRESSIONS)))
		json_object_object_add(o, "exprs", exprs_json(a));
	json_object_array_add(d->list, o);
	return 0;
}

static int on_elements(struct nlmsghdr *h, void *arg)
{
	struct nlattr *list, *a;
	struct dump *d = arg;
	int rem;

	list = nla_find(nlmsg_attrdata(h, sizeof(struct nfgenmsg)),
			nlmsg_attrlen(h, sizeof(struct nfgenmsg)), NFTA_SET_ELEM_LIST_ELEMENTS);
	if (!list)
		return 0;
	nla_for_each_nested(a, list, rem)
	{
		struct json_object *o;

		if (d->n++ >= d->max)
			continue;
		o = json_object_new_object();
		add_fields(o, elem, nla_data(a), nla_len(a));
		json_object_array_add(d->list, o);
	}
	return 0;
}

static struct nl_msg *question(int type, uint8_t family)
{
	struct nfgenmsg g = { .nfgen_family = family, .version = NFNETLINK_V0 };

	return rs_nl_msg(NFNL_SUBSYS_NFTABLES << 8 | type, NLM_F_DUMP, &g, sizeof(g));
}

static struct json_object *add_list(struct json_object *o, const char *key)
{
	struct json_object *list = json_object_new_array();

	json_object_object_add(o, key, list);
	return list;
}

static int dump(struct rs_nl *nl, int type, const struct field *fields, int comment,
		struct json_object *list)
{
	struct dump d = { .list = list, .fields = fields, .comment = comment };

	return rs_nl_talk(nl, question(type, NFPROTO_UNSPEC), on_object, &d);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static uint8_t family_of(const char *name)
{
	static const uint8_t all[] = { NFPROTO_INET, NFPROTO_IPV4,   NFPROTO_IPV6,
				       NFPROTO_ARP,  NFPROTO_BRIDGE, NFPROTO_NETDEV };

	for (size_t i = 0; i < RS_ARRAY_SIZE(all); i++)
		if (!strcmp(family_name(all[i]), name))
			return all[i];
	return NFPROTO_UNSPEC;
}

static int add_elements(struct rs_nl *nl, struct json_object *o, size_t *room)
{
	struct dump d = { .list = json_object_new_array(), .max = *room };
	struct nl_msg *msg = question(NFT_MSG_GETSETELEM, family_of(rs_json_text(o, "family", "")));
	int rc;

	if (nla_put_string(msg, NFTA_SET_ELEM_LIST_TABLE, rs_json_text(o, "table", "")) < 0 ||
	    nla_put_string(msg, NFTA_SET_ELEM_LIST_SET, rs_json_text(o, "name", "")) < 0) {
		nlmsg_free(msg);
		json_object_put(d.list);
		return -EMSGSIZE;
	}
	rc = rs_nl_talk(nl, msg, on_elements, &d);
	*room -= d.n < *room ? d.n : *room;
	json_object_object_add(o, "size", json_object_new_uint64(d.n));
	json_object_object_add(o, "elements", d.list);
	if (d.n > d.max)
		json_object_object_add(o, "omitted", json_object_new_uint64(d.n - d.max));
	return rc == -ENOENT ? -EAGAIN : rc;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int read_all(struct rs_nl *nl, size_t max, struct json_object *o)
{
	struct json_object *sets;
	int rc = dump(nl, NFT_MSG_GETTABLE, table, NFTA_TABLE_USERDATA, add_list(o, "tables"));

	if (rc == 0)
		rc = dump(nl, NFT_MSG_GETCHAIN, chain, NFTA_CHAIN_USERDATA, add_list(o, "chains"));
	if (rc == 0)
		rc = dump(nl, NFT_MSG_GETRULE, rule, NFTA_RULE_USERDATA, add_list(o, "rules"));
	sets = add_list(o, "sets");
	if (rc == 0)
		rc = dump(nl, NFT_MSG_GETSET, set, 0, sets);
	for (size_t i = 0; rc == 0 && i < json_object_array_length(sets); i++)
		rc = add_elements(nl, json_object_array_get_idx(sets, i), &max);
	return rc;
}

static int open_netfilter(struct rs_nl *nl, struct rs_err *err)
{
	nl->sk = nl_socket_alloc();
	if (!nl->sk)
		rs_oom();
	if (nl_connect(nl->sk, NETLINK_NETFILTER) < 0)
		return rs_err_set(err, EIO, "open a netlink socket to netfilter");
	/* One element dump message may be large. */
	nl_socket_set_msg_buf_size(nl->sk, 64 * RS_KIB);
	return 0;
}

int rs_nl_rules(size_t max_elements, struct json_object **out, struct rs_err *err)
{
	struct rs_nl nl = { 0 };
	int rc = open_netfilter(&nl, err);

	for (int tries = 0; rc == 0 && tries < RS_NL_DUMP_TRIES; tries++) {
		rs_autojson struct json_object *o = json_object_new_object();
		int one = read_all(&nl, max_elements, o);

		if (one == 0) {
			*out = rs_steal_ptr(&o);
			break;
		}
		if (one != -EAGAIN || tries + 1 == RS_NL_DUMP_TRIES)
			rc = rs_nl_fail(err, one, "read the nf_tables rules");
	}
	nl_socket_free(nl.sk);
	return rc;
}
