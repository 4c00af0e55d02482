// SPDX-License-Identifier: Apache-2.0
/* print.c - a plan in words: the golden text. Pure and deterministic. */
#include "dataplane/nft/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/nft/skeleton.h"

static void put_addr(struct rs_strbuf *b, const uint8_t *bytes, size_t n)
{
	struct rs_addr a = { .family = n == 4 ? RS_AF_IP4 : RS_AF_IP6 };
	char text[RS_ADDR_STRLEN];

	memcpy(a.b, bytes, n);
	rs_strbuf_puts(b, rs_addr_str(&a, text));
}

static void put_key(struct rs_strbuf *b, const struct rs_nft_set_def *d, const uint8_t *key)
{
	size_t at = 0, rest;

	for (int w = 0; w < d->words; w++, at += 4) {
		uint32_t number;

		memcpy(&number, key + at, 4);
		rs_strbuf_printf(b, "%s%u", at ? " . " : "", number);
	}
	rest = d->key_len - at;
	if (!rest)
		return;
	if (at)
		rs_strbuf_puts(b, " . ");
	if (rest == 8 || rest == 32) { /* a pair */
		put_addr(b, key + at, rest / 2);
		rs_strbuf_puts(b, " . ");
		put_addr(b, key + at + rest / 2, rest / 2);
		return;
	}
	put_addr(b, key + at, rest);
	if (d->interval) {
		rs_strbuf_puts(b, "-");
		put_addr(b, key + d->key_len, rest);
	}
}

void rs_nft_elem_str(struct rs_strbuf *b, const struct rs_nft_plan *p, enum rs_nft_set_id id,
		     size_t i)
{
	rs_strbuf_printf(b, "element %s ", rs_nft_sets[id].name);
	put_key(b, &rs_nft_sets[id], rs_nft_key(p, id, i));
}

static void print_set(struct rs_strbuf *b, const struct rs_nft_plan *p, enum rs_nft_set_id id)
{
	const struct rs_nft_set_def *d = &rs_nft_sets[id];

	if (!p->set[id].n)
		return;
	rs_strbuf_printf(b, "%s %s {\n", d->data == DATA_NONE ? "set" : "map", d->name);
	for (size_t i = 0; i < p->set[id].n; i++) {
		const char *comment = rs_nft_comment(p, id, i);
		char chain[RS_NFT_NAME_LEN];

		rs_strbuf_putc(b, '\t');
		put_key(b, d, rs_nft_key(p, id, i));
		if (d->data == DATA_MARK)
			rs_strbuf_printf(b, " : %u", p->set[id].data[i]);
		if (d->data == DATA_VERDICT) {
			rs_nft_profile_chain(chain, id == SET_PORTS_IN ? RS_DIR_IN : RS_DIR_OUT,
					     p->set[id].data[i]);
			rs_strbuf_printf(b, " : goto %s", chain);
		}
		if (comment)
			rs_strbuf_printf(b, "  # %s", comment);
		rs_strbuf_putc(b, '\n');
	}
	rs_strbuf_puts(b, "}\n");
}

static void print_profile(struct rs_strbuf *b, const struct rs_nft_plan *p,
			  const struct rs_nft_profile *pr)
{
	char chain[RS_NFT_NAME_LEN];
	struct rs_nft_rule r;

	rs_nft_profile_chain(chain, pr->dir, pr->profile);
	rs_strbuf_printf(b, "chain %s {\n", chain);
	for (uint32_t i = 0; i < pr->n; i++) {
		const struct rs_ir_port *port = &p->ports.v[pr->first + i];

		rs_nft_port_rule(&r, pr->dir, port->proto, port->lo, port->hi, port->allow);
		rs_strbuf_printf(b, "\t%s\n", r.words);
	}
	rs_nft_port_end(&r, pr->dir);
	rs_strbuf_printf(b, "\t%s\n}\n", r.words);
}

char *rs_nft_plan_print(const struct rs_nft_plan *p)
{
	struct rs_strbuf b = { 0 };

	rs_strbuf_printf(&b, "table inet %s  # fixed rules: layout %d\n", RS_NFT_TABLE,
			 RS_NFT_LAYOUT);
	for (int id = 0; id < SETS_OF_STATE; id++)
		print_set(&b, p, id);
	for (size_t i = 0; i < p->profiles.n; i++)
		print_profile(&b, p, &p->profiles.v[i]);
	return rs_strbuf_steal(&b);
}

static void print_set_def(struct rs_strbuf *b, const struct rs_nft_set_def *d)
{
	rs_strbuf_printf(b, "%s %s", d->data == DATA_NONE ? "set" : "map", d->name);
	if (d->interval)
		rs_strbuf_puts(b, " interval");
	if (d->dynamic)
		rs_strbuf_puts(b, " dynamic");
	if (d->counted)
		rs_strbuf_puts(b, " counter");
	if (d->data == DATA_VERDICT)
		rs_strbuf_puts(b, " : verdict");
	if (d->comment)
		rs_strbuf_printf(b, "  # %s", d->comment);
	rs_strbuf_putc(b, '\n');
}

char *rs_nft_skeleton_print(const struct rs_dp_config *cfg)
{
	struct rs_strbuf b = { 0 };
	struct rs_nft_skeleton s;

	rs_nft_skeleton_make(&s, cfg, cfg->verdict_cache, 1);
	rs_strbuf_printf(&b, "table inet %s  # %s\n", RS_NFT_TABLE, rs_nft_table_comment);
	for (int i = 0; i < SETS; i++)
		print_set_def(&b, &rs_nft_sets[i]);
	for (size_t i = 0; i < rs_nft_n_counters; i++)
		rs_strbuf_printf(&b, "counter %s\n", rs_nft_counters[i].name);
	for (size_t c = 0; c < rs_nft_n_chains; c++) {
		const struct rs_nft_chain_def *def = &rs_nft_chains[c];

		rs_strbuf_printf(&b, "chain %s {\n", def->name);
		if (def->base)
			rs_strbuf_printf(&b, "\thook %u priority %d\n", def->hook, def->prio);
		for (size_t i = 0; i < s.n; i++) {
			if (strcmp(s.v[i].chain, def->name) != 0)
				continue;
			rs_strbuf_printf(&b, "\t%s", s.v[i].words);
			if (s.v[i].comment)
				rs_strbuf_printf(&b, "  # %s", s.v[i].comment);
			rs_strbuf_putc(&b, '\n');
		}
		rs_strbuf_puts(&b, "}\n");
	}
	rs_nft_skeleton_free(&s);
	return rs_strbuf_steal(&b);
}
