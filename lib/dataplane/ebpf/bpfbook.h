/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpfbook.h - which slot of rs_hits counts for which rule, and which list of rs_whys stands for
 * which runs of ports. Pure.
 *
 * A rule keeps its slot, and a list its number, from IR to IR: what stays the same is not written
 * again, and goes on counting. What an IR no longer has is given out by the next book but one, when
 * no packet can still count there.
 */
#ifndef RIPSTOP_DATAPLANE_EBPF_BPFBOOK_H
#define RIPSTOP_DATAPLANE_EBPF_BPFBOOK_H

#include "base/vec.h"
#include "dataplane/ebpf/bpfplan.h"

struct rs_bpf_booked {
	char *ns;
	char *name;
	uint32_t dir; /* enum rs_ir_dir */
	uint32_t index;
	uint32_t slot; /* 0: none was free */
	bool fresh;    /* the kernel does not know it yet */
	bool dirty;    /* and the slot may hold what another one counted */
	bool partly;   /* somewhere it decides and is not counted */
};

/* Where a cell's packets count: runs of ports, by protocol and port. */
struct rs_bpf_where {
	uint8_t proto;
	uint16_t lo;
	uint16_t hi;
	uint32_t slot;
};

struct rs_bpf_list {
	uint32_t number; /* from 1 */
	struct rs_bpf_where *v;
	size_t n;
};

/* What cells whose reasons begin here say; of an IR that was booked. */
struct rs_bpf_why {
	uint32_t n;
	uint32_t rule;
	bool known;
};

struct rs_bpf_book {
	struct rs_vec(struct rs_bpf_booked) rules; /* by namespace, name, direction, index */
	struct rs_vec(struct rs_bpf_list) lists;   /* by content */
	struct rs_bpf_why *whys;		   /* by the index of their first */
	size_t n_whys;
	uint32_t clean; /* no slot from here on has ever counted */
};

struct rs_bpf_book *rs_bpf_book_new(void);    /* empty, of a new set of maps */
void rs_bpf_book_free(struct rs_bpf_book *b); /* NULL is legal */

static inline void rs_bpf_cleanup_book(struct rs_bpf_book **b)
{
	rs_bpf_book_free(*b);
}
#define rs_auto_bpf_book __attribute__((cleanup(rs_bpf_cleanup_book))) struct rs_bpf_book

/* The IR says nothing of rules: it was read back from a kernel. */
bool rs_bpf_book_is_mute(const struct rs_ir *ir);

/* The book of an IR, after `old` (NULL: none). most: entries that rs_whys may hold. */
struct rs_bpf_book *rs_bpf_book_make(const struct rs_bpf_book *old, const struct rs_ir *ir,
				     size_t most);

/* What was fresh is in the kernel. */
void rs_bpf_book_booked(struct rs_bpf_book *b);

/* What a cell says that has these reasons. */
uint32_t rs_bpf_book_rule(const struct rs_bpf_book *b, uint32_t first_why, uint32_t n_why);
/* The lists, into the table of rs_whys. */
void rs_bpf_book_put(const struct rs_bpf_book *b, struct rs_bpf_table *whys);

/* From what the maps hold: rules as they come, then sort; lists from the table of rs_whys. */
void rs_bpf_book_add(struct rs_bpf_book *b, uint32_t slot, const struct rs_bpf_rule *r);
void rs_bpf_book_adopt(struct rs_bpf_book *b, const struct rs_bpf_table *whys);

/* By what the rules are called; slots do not matter. */
int rs_bpf_booked_cmp(const struct rs_bpf_booked *a, const struct rs_bpf_booked *b);

#endif
