// SPDX-License-Identifier: Apache-2.0
/* rset_say.c - rules and verdicts as words, near to what `nft --debug=netlink` prints. */
#include "ruleset/rset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

static void hex(struct rs_strbuf *b, const uint8_t *v, size_t len)
{
	rs_strbuf_puts(b, " 0x");
	for (size_t i = 0; i < len; i++)
		rs_strbuf_printf(b, "%02x", v[i]);
}

static void reg(struct rs_strbuf *b, const char *before, uint8_t word)
{
	if (word == RSET_VERDICT)
		rs_strbuf_printf(b, " %s verdict", before);
	else if (word != RSET_NO_REG)
		rs_strbuf_printf(b, " %s r%u", before, word - RSET_FIRST);
}

void rset_say_verdict(struct rs_strbuf *b, const struct rset_verdict *v)
{
	static const char *const names[] = { "match", "break", "jump", "goto", "return" };

	if (v->code == NF_ACCEPT || v->code == NF_DROP)
		rs_strbuf_puts(b, v->code == NF_ACCEPT ? "accept" : "drop");
	else
		rs_strbuf_puts(b, names[-1 - v->code]);
	if (v->code == NFT_JUMP || v->code == NFT_GOTO) {
		rs_strbuf_putc(b, ' ');
		rs_strbuf_puts_safe(b, v->chain->name);
	}
}

static void say_cmp(struct rs_strbuf *b, const struct rset_expr *x)
{
	static const char *const ops[] = { "==", "!=", "<", "<=", ">", ">=" };

	reg(b, "cmp", x->sreg);
	rs_strbuf_printf(b, " %s", ops[x->key]);
	hex(b, x->data, x->len);
}

static void say_bitwise(struct rs_strbuf *b, const struct rset_expr *x)
{
	reg(b, "bitwise", x->dreg);
	reg(b, "=", x->sreg);
	if (x->key != NFT_BITWISE_BOOL) {
		rs_strbuf_puts(b, x->key == NFT_BITWISE_LSHIFT ? " <<" : " >>");
		hex(b, x->data, 4);
		return;
	}
	rs_strbuf_puts(b, " &");
	hex(b, x->data, x->len);
	rs_strbuf_puts(b, " ^");
	hex(b, x->data2, x->len);
}

static void say_range(struct rs_strbuf *b, const struct rset_expr *x)
{
	reg(b, x->key == NFT_RANGE_EQ ? "range" : "not range", x->sreg);
	hex(b, x->data, x->len);
	hex(b, x->data2, x->len);
}

static void say_set(struct rs_strbuf *b, const struct rset_expr *x, const char *what)
{
	reg(b, what, x->sreg);
	rs_strbuf_puts(b, x->inv ? " != @" : " @");
	rs_strbuf_puts_safe(b, x->set->name);
	reg(b, "->", x->dreg);
}

static void say_payload(struct rs_strbuf *b, const struct rset_expr *x)
{
	static const char *const bases[] = { "link", "network", "transport" };

	rs_strbuf_printf(b, " payload %ub @ %s header + %u", x->len, bases[x->key], x->off);
	reg(b, "->", x->dreg);
}

static void say_immediate(struct rs_strbuf *b, const struct rset_expr *x)
{
	if (x->dreg == RSET_VERDICT) {
		rs_strbuf_putc(b, ' ');
		rset_say_verdict(b, &x->verdict);
		return;
	}
	reg(b, "immediate", x->dreg);
	hex(b, x->data, x->len);
}

static void say_ct(struct rs_strbuf *b, const struct rset_expr *x)
{
	rs_strbuf_printf(b, " ct %s%s", rset_ct_name(x->key), x->dir ? " (reply)" : "");
	if (x->op == RSET_CT)
		reg(b, "->", x->dreg);
	else
		reg(b, "<-", x->sreg);
}

static void say_meta(struct rs_strbuf *b, const struct rset_expr *x)
{
	rs_strbuf_printf(b, " meta %s", rset_meta_name(x->key));
	if (x->op == RSET_META)
		reg(b, "->", x->dreg);
	else
		reg(b, "<-", x->sreg);
}

static void say_log(struct rs_strbuf *b, const struct rset_expr *x)
{
	rs_strbuf_puts(b, " log \"");
	rs_strbuf_puts_safe(b, x->text ? x->text : "");
	rs_strbuf_putc(b, '"');
}

static void say_side(struct rs_strbuf *b, const struct rset_expr *x)
{
	switch (x->op) {
	case RSET_BYTEORDER:
		reg(b, x->key == NFT_BYTEORDER_NTOH ? "ntoh" : "hton", x->dreg);
		reg(b, "=", x->sreg);
		break;
	case RSET_LIMIT:
		rs_strbuf_puts(b, x->inv ? " limit over" : " limit");
		break;
	case RSET_LOG:
		say_log(b, x);
		break;
	case RSET_NOTRACK:
		rs_strbuf_puts(b, " notrack");
		break;
	default: /* RSET_NOTHING */
		rs_strbuf_putc(b, ' ');
		rs_strbuf_puts_safe(b, x->text);
		break;
	}
}

static void say_expr(struct rs_strbuf *b, const struct rset_expr *x)
{
	switch (x->op) {
	case RSET_META:
	case RSET_META_SET:
		say_meta(b, x);
		break;
	case RSET_CT:
	case RSET_CT_SET:
		say_ct(b, x);
		break;
	case RSET_PAYLOAD:
		say_payload(b, x);
		break;
	case RSET_CMP:
		say_cmp(b, x);
		break;
	case RSET_RANGE:
		say_range(b, x);
		break;
	case RSET_BITWISE:
		say_bitwise(b, x);
		break;
	case RSET_LOOKUP:
	case RSET_DYNSET:
		say_set(b, x, x->op == RSET_LOOKUP ? "lookup" : "update");
		break;
	case RSET_IMMEDIATE:
		say_immediate(b, x);
		break;
	default:
		say_side(b, x);
		break;
	}
}

void rset_say_rule(struct rs_strbuf *b, const struct rset_rule *rule)
{
	for (size_t i = 0; i < rule->exprs.n; i++) {
		rs_strbuf_puts(b, i ? " ]" : "");
		rs_strbuf_puts(b, i ? " [" : "[");
		say_expr(b, &rule->exprs.v[i]);
	}
	if (rule->exprs.n)
		rs_strbuf_puts(b, " ]");
}
