// SPDX-License-Identifier: Apache-2.0
/* pairtext.c - the ports of a pair in words. */
#include "cli/whatif/whatif.h"

void pair_families(const struct pair *p, int sides, bool use[FAMILIES])
{
	const struct ports *b = &p->ports[BEFORE], *a = &p->ports[sides - 1];
	bool common = false;
	int f;

	for (f = 0; f < FAMILIES; f++)
		common |= use[f] = b->shared[f] && a->shared[f];
	for (f = 0; f < FAMILIES && !common; f++)
		use[f] = b->shared[f] || a->shared[f];
}

static char *number_text(struct whatif *w, const struct ports *p, int f)
{
	struct portbook *book = whatif_book(w);
	rs_autofree char *any = rs_reach_str(portbook_get(book, p->any[f]));
	rs_autofree char *all = rs_reach_str(portbook_get(book, p->all[f]));

	if (p->any[f] == p->all[f])
		return rs_steal_ptr(&any);
	if (p->all[f] == NO_PORTS)
		return rs_asprintf("%s (some pods)", any);
	return rs_asprintf("%s (all pods: %s)", any, all);
}

char *pair_ports_text(struct whatif *w, const struct pair *p, enum side side)
{
	static const char *const names[FAMILIES] = { "IPv4", "IPv6" };
	const struct ports *ports = &p->ports[side];
	rs_auto_strbuf b = { 0 };
	bool use[FAMILIES];
	int f, s;
	bool apart = false;

	pair_families(p, whatif_sides(w), use);
	for (s = 0; s < whatif_sides(w); s++)
		apart |= use[0] && use[1] &&
			 (p->ports[s].any[0] != p->ports[s].any[1] ||
			  p->ports[s].all[0] != p->ports[s].all[1]);
	if (!apart)
		return number_text(w, ports, use[0] ? 0 : 1);
	for (f = 0; f < FAMILIES; f++) {
		rs_autofree char *text = number_text(w, ports, f);

		rs_strbuf_printf(&b, "%s%s %s", b.len ? "; " : "", names[f], text);
	}
	return rs_strbuf_steal(&b);
}
