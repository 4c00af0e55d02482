// SPDX-License-Identifier: Apache-2.0
/* rset_say_elem.c - elements as words: keys by the data types that their set names. */
#include "ruleset/rset.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

/* Data types of nft(8); the number of bytes of each as a field of a key. */
static const struct type {
	uint32_t id;
	uint8_t len;
	enum {
		AS_IP4,
		AS_IP6,
		AS_HOST,
		AS_NET
	} form;
} types[] = {
	{ 7, 4, AS_IP4 },   /* ipv4_addr */
	{ 8, 16, AS_IP6 },  /* ipv6_addr */
	{ 12, 1, AS_NET },  /* inet_proto */
	{ 13, 2, AS_NET },  /* inet_service */
	{ 19, 4, AS_HOST }, /* mark */
	{ 20, 4, AS_HOST }, /* iface_index */
};

#define TYPE_BITS 6
#define TYPE_MASK 0x3fu

static const struct type *type_of(uint32_t id)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(types); i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

static size_t padded(size_t len)
{
	return (len + 3) / 4 * 4;
}

/* The set's fields; 0 when one is not known here or they do not fill the key. */
static size_t fields_of(const struct rset_set *s, const struct type **out)
{
	size_t n = 0, bytes = 0;

	for (int shift = 30 - TYPE_BITS; shift >= 0; shift -= TYPE_BITS) {
		uint32_t id = s->key_type >> shift & TYPE_MASK;

		if (!id && !n)
			continue;
		out[n] = type_of(id);
		if (!out[n])
			return 0;
		bytes += padded(out[n++]->len);
	}
	if (n == 1)
		bytes = out[0]->len;
	return bytes == s->klen ? n : 0;
}

static void say_field(struct rs_strbuf *b, const struct type *t, const uint8_t *v)
{
	struct rs_addr a = { .family = t->form == AS_IP4 ? RS_AF_IP4 : RS_AF_IP6 };
	char text[RS_ADDR_STRLEN];
	uint32_t number = 0;

	if (t->form == AS_IP4 || t->form == AS_IP6) {
		memcpy(a.b, v, t->len);
		rs_strbuf_puts(b, rs_addr_str(&a, text));
		return;
	}
	if (t->form == AS_HOST)
		memcpy(&number, v, sizeof(number));
	for (size_t i = 0; t->form == AS_NET && i < t->len; i++)
		number = number << 8 | v[i];
	rs_strbuf_printf(b, "%u", number);
}

static void say_hex(struct rs_strbuf *b, const uint8_t *v, size_t len)
{
	rs_strbuf_puts(b, "0x");
	for (size_t i = 0; i < len; i++)
		rs_strbuf_printf(b, "%02x", v[i]);
}

static void say_key(struct rs_strbuf *b, const struct rset_set *s, const uint8_t *key)
{
	const struct type *field[32 / TYPE_BITS];
	size_t n = fields_of(s, field), at = 0;

	if (!n)
		say_hex(b, key, s->klen);
	for (size_t i = 0; i < n; at += padded(field[i++]->len)) {
		rs_strbuf_puts(b, i ? " . " : "");
		say_field(b, field[i], key + at);
	}
}

/* The last key inside an interval: before that of the next element, which ends it. */
static void say_end(struct rs_strbuf *b, const struct rset_set *s, const struct rset_elem *e)
{
	const struct rset_elem *next = e + 1;
	uint8_t last[RSET_VALUE_MAX];
	size_t at = s->klen;

	memset(last, 0xff, sizeof(last));
	if (next < s->elems.v + s->elems.n) {
		memcpy(last, next->key, s->klen);
		while (at-- > 0 && last[at]-- == 0)
			;
	}
	if (!memcmp(last, e->key, s->klen))
		return;
	rs_strbuf_puts(b, "-");
	say_key(b, s, last);
}

static void say_elem(struct rs_strbuf *b, const struct rset_set *s, const struct rset_elem *e)
{
	if (e == &s->catchall) {
		rs_strbuf_puts(b, "*");
		return;
	}
	say_key(b, s, e->key);
	if (s->ranges && memcmp(e->key, e->key + s->klen, s->klen) != 0) {
		rs_strbuf_puts(b, "-");
		say_key(b, s, e->key + s->klen);
	} else if (!s->ranges && s->flags & NFT_SET_INTERVAL) {
		say_end(b, s, e);
	}
}

/* Maps of ours hold words or verdicts. */
static void say_value(struct rs_strbuf *b, const struct rset_set *s, const struct rset_elem *e)
{
	uint32_t word;

	if (s->verdicts) {
		rset_say_verdict(b, &e->verdict);
	} else if (s->dlen == sizeof(word)) {
		memcpy(&word, e->key + rset_data_at(s), sizeof(word));
		rs_strbuf_printf(b, "%u", word);
	} else if (s->dlen) {
		say_hex(b, e->key + rset_data_at(s), s->dlen);
	}
}

bool rs_walk_found(const struct rs_walk *w, size_t i, struct rs_element *out)
{
	const struct rset_elem *e;
	rs_auto_strbuf key = { 0 }, value = { 0 };

	memset(out, 0, sizeof(*out));
	if (i >= w->n_found)
		return false;
	e = w->found[i].elem;
	say_elem(&key, w->found[i].set, e);
	say_value(&value, w->found[i].set, e);
	snprintf(out->set, sizeof(out->set), "%s", w->found[i].set->name);
	snprintf(out->key, sizeof(out->key), "%s", rs_strbuf_str(&key));
	snprintf(out->value, sizeof(out->value), "%s", rs_strbuf_str(&value));
	snprintf(out->comment, sizeof(out->comment), "%s", e->comment ? e->comment : "");
	out->counted = e->counted;
	out->packets = e->packets;
	return true;
}
