// SPDX-License-Identifier: Apache-2.0
/*
 * ruleset_tool.c - ruleset_tool TABLE: reads `table inet TABLE` of the namespace that it runs in, then
 * walks the packets that stdin describes, one a line of KEY=VALUE words:
 *
 *	hook=output src=10.0.0.1 dst=10.0.0.2 proto=17 sport=1 dport=2 state=new oif=2 group=3
 *
 * and answers each with one line: "accept" or "drop", "rule" or "policy", chain, handle, mark, ct mark,
 * "notrack" or nothing, log prefix and comment, separated by tabs; or "error" and why. `trace=1` prints every rule to stderr.
 * With the word "reread" alone the table is read anew. Where the flow's ends are not given it is the
 * packet's own: orig as the packet stands, reply the other way round.
 */
#include <ripstop/ruleset.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct line {
	struct rs_packet p;
	enum rs_hook hook;
	bool own_tuples; /* orig_src and the like were given */
	bool trace;
};

static const char *const hooks[] = { "prerouting", "input", "forward", "output", "postrouting" };

static void die(const char *what, const char *why)
{
	fprintf(stderr, "ruleset_tool: %s: %s\n", what, why);
	exit(2);
}

static uint32_t number(const char *v)
{
	char *end;
	unsigned long n = strtoul(v, &end, 0);

	if (!*v || *end)
		die("not a number", v);
	return (uint32_t)n;
}

static struct rs_addr address(const char *v)
{
	struct rs_addr a;

	if (rs_addr_parse(v, &a, NULL) < 0)
		die("not an address", v);
	return a;
}

static enum rs_hook hook_of(const char *v)
{
	for (size_t i = 0; i < RS_ARRAY_SIZE(hooks); i++)
		if (!strcmp(hooks[i], v))
			return (enum rs_hook)i;
	die("no such hook", v);
	return RS_HOOK_INPUT;
}

static uint8_t state_of(const char *v)
{
	static const struct {
		const char *name;
		uint8_t state;
	} states[] = { { "invalid", RS_CT_INVALID },
		       { "established", RS_CT_ESTABLISHED },
		       { "related", RS_CT_RELATED },
		       { "new", RS_CT_NEW },
		       { "untracked", RS_CT_UNTRACKED } };

	for (size_t i = 0; i < RS_ARRAY_SIZE(states); i++)
		if (!strcmp(states[i].name, v))
			return states[i].state;
	die("no such state", v);
	return 0;
}

static void set_mac(struct rs_packet *p, const char *v)
{
	if (sscanf(v, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &p->src_mac[0], &p->src_mac[1],
		   &p->src_mac[2], &p->src_mac[3], &p->src_mac[4], &p->src_mac[5]) != 6)
		die("not a MAC address", v);
	p->has_mac = true;
}

static bool set_number(struct rs_packet *p, const char *k, const char *v)
{
	const struct {
		const char *key;
		void *to;
		int size;
	} keys[] = {
		{ "proto", &p->proto, 1 },
		{ "ttl", &p->ttl, 1 },
		{ "sport", &p->sport, 2 },
		{ "dport", &p->dport, 2 },
		{ "flags", &p->tcp_flags, 1 },
		{ "chunk", &p->sctp_chunk, 1 },
		{ "type", &p->icmp_type, 1 },
		{ "code", &p->icmp_code, 1 },
		{ "iif", &p->iif, 4 },
		{ "oif", &p->oif, 4 },
		{ "iifgroup", &p->iif_group, 4 },
		{ "oifgroup", &p->oif_group, 4 },
		{ "mark", &p->mark, 4 },
		{ "ctproto", &p->ct_proto, 1 },
		{ "ctmark", &p->ct_mark, 4 },
		{ "orig_sport", &p->orig.sport, 2 },
		{ "orig_dport", &p->orig.dport, 2 },
		{ "words", &p->ip_words, 1 },
		{ "reply_sport", &p->reply.sport, 2 },
		{ "reply_dport", &p->reply.dport, 2 },
	};

	for (size_t i = 0; i < RS_ARRAY_SIZE(keys); i++) {
		uint32_t n;

		if (strcmp(keys[i].key, k) != 0)
			continue;
		n = number(v);
		memcpy(keys[i].to, &n, (size_t)keys[i].size); /* little-endian hosts */
		return true;
	}
	return false;
}

static bool set_addr(struct rs_packet *p, const char *k, const char *v)
{
	const struct {
		const char *key;
		struct rs_addr *to;
	} keys[] = {
		{ "src", &p->src },
		{ "dst", &p->dst },
		{ "orig_src", &p->orig.src },
		{ "orig_dst", &p->orig.dst },
		{ "reply_src", &p->reply.src },
		{ "reply_dst", &p->reply.dst },
	};

	for (size_t i = 0; i < RS_ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].key, k)) {
			*keys[i].to = address(v);
			return true;
		}
	return false;
}

static void set(struct line *l, char *word)
{
	char *v = strchr(word, '=');

	if (!v)
		die("no KEY=VALUE", word);
	*v++ = '\0';
	l->own_tuples |= !strncmp(word, "orig_", 5) || !strncmp(word, "reply_", 6);
	if (!strcmp(word, "hook"))
		l->hook = hook_of(v);
	else if (!strcmp(word, "state"))
		l->p.ct_state = state_of(v);
	else if (!strcmp(word, "reply"))
		l->p.ct_reply = number(v);
	else if (!strcmp(word, "trace"))
		l->trace = number(v);
	else if (!strcmp(word, "mac"))
		set_mac(&l->p, v);
	else if (!set_number(&l->p, word, v) && !set_addr(&l->p, word, v))
		die("no such key", word);
}

static void fill_tuples(struct rs_packet *p)
{
	struct rs_ct_tuple there = { p->src, p->dst, p->sport, p->dport };
	struct rs_ct_tuple back = { p->dst, p->src, p->dport, p->sport };

	p->orig = p->ct_reply ? back : there;
	p->reply = p->ct_reply ? there : back;
}

static void print_trace(void *ctx, const char *chain, uint64_t handle, const char *text,
			const char *outcome)
{
	(void)ctx;
	fprintf(stderr, "%s %llu: %s: %s\n", chain, (unsigned long long)handle, text, outcome);
}

static void walk(const struct rs_ruleset *r, const struct line *l)
{
	rs_auto_err err = { 0 };
	struct rs_walk w;

	if (rs_ruleset_walk(r, l->hook, &l->p, &w, l->trace ? print_trace : NULL, NULL, &err))
		printf("error\t%s\n", rs_err_str(&err));
	else
		printf("%s\t%s\t%s\t%llu\t0x%x\t0x%x\t%s\t%s%s\t%s\n", w.accept ? "accept" : "drop",
		       w.by_policy ? "policy" : "rule", w.chain, (unsigned long long)w.handle,
		       w.mark, w.ct_mark, w.notrack ? "notrack" : "", w.logged ? "logged " : "",
		       w.log_prefix, w.comment);
}

static void do_line(const struct rs_ruleset *r, char *text)
{
	struct line l = { .p = { .ct_state = RS_CT_NEW, .ttl = 64 } };
	char *save = NULL;

	for (char *word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		set(&l, word);
	if (!l.p.ct_proto)
		l.p.ct_proto = l.p.proto;
	if (!l.own_tuples)
		fill_tuples(&l.p);
	walk(r, &l);
}

static struct rs_ruleset *load(const char *table)
{
	rs_auto_err err = { 0 };
	struct rs_ruleset *r = NULL;
	double start = (double)rs_mono_ms();

	if (rs_ruleset_read(table, &r, &err) < 0)
		printf("error\t%s\n", rs_err_str(&err));
	else
		printf("read\t%zu rules\t%zu elements\t%.0f ms\n", rs_ruleset_rules(r),
		       rs_ruleset_elements(r), (double)rs_mono_ms() - start);
	fflush(stdout);
	return r;
}

int main(int argc, char **argv)
{
	struct rs_ruleset *r;
	char text[1024];

	if (argc != 2)
		die("usage", "ruleset_tool TABLE");
	r = load(argv[1]);
	while (fgets(text, sizeof(text), stdin)) {
		if (!strcmp(text, "reread\n")) {
			rs_ruleset_free(r);
			r = load(argv[1]);
		} else if (r) {
			do_line(r, text);
		} else {
			puts("error\tno table");
		}
		fflush(stdout);
	}
	rs_ruleset_free(r);
	return 0;
}
