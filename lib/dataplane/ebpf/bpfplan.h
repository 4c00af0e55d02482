/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpfplan.h - what the maps should hold for an IR, as sorted tables of keys and values. Pure.
 *
 * A table of a trie is sorted so that a prefix stands right before the prefixes inside it, and no
 * entry says what the next wider one says already.
 */
#ifndef RIPSTOP_DATAPLANE_EBPF_BPFPLAN_H
#define RIPSTOP_DATAPLANE_EBPF_BPFPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/bpfabi.h>
#include <ripstop/ir.h>

struct rs_bpf_table_def {
	const char *name; /* of the map */
	uint16_t key;	  /* bytes */
	uint16_t value;	  /* bytes of one slot's value */
	uint16_t slots;	  /* bytes of an element's value */
	uint16_t data;	  /* of a trie: bytes behind the length, 0: a hash */
};

extern const struct rs_bpf_table_def rs_bpf_tables[RS_BPF_MAPS];

struct rs_bpf_table {
	uint8_t *keys;
	uint8_t *values;
	size_t n;
	size_t cap;
};

struct rs_bpf_plan {
	uint64_t generation;
	struct rs_bpf_table t[RS_BPF_MAPS];
};

struct rs_bpf_book; /* bpfbook.h */

struct rs_bpf_plan *rs_bpf_plan_new(void);
void rs_bpf_plan_free(struct rs_bpf_plan *p);		  /* NULL is legal */
size_t rs_bpf_plan_elements(const struct rs_bpf_plan *p); /* likewise */

static inline void rs_bpf_cleanup_plan(struct rs_bpf_plan **p)
{
	rs_bpf_plan_free(*p);
}
#define rs_auto_bpf_plan __attribute__((cleanup(rs_bpf_cleanup_plan))) struct rs_bpf_plan

/* book: of this IR; NULL: no cell names a rule. -E2BIG: a pod link with more addresses than the
 * kernel program looks at. */
int rs_bpf_plan_from_ir(const struct rs_ir *ir, const struct rs_bpf_book *book,
			struct rs_bpf_plan **out, struct rs_err *err);
/* The cells of p count where those of the model do. */
void rs_bpf_plan_keep_rules(struct rs_bpf_plan *p, const struct rs_bpf_plan *model);
/* -EBADMSG: not what an IR could have made. */
int rs_bpf_plan_to_ir(const struct rs_bpf_plan *p, struct rs_ir **out, struct rs_err *err);
/* The readable text. Caller frees. */
char *rs_bpf_plan_print(const struct rs_bpf_plan *p);

const uint8_t *rs_bpf_key(const struct rs_bpf_table *t, enum rs_bpf_map m, size_t i);
const uint8_t *rs_bpf_value(const struct rs_bpf_table *t, enum rs_bpf_map m, size_t i);
int rs_bpf_key_cmp(enum rs_bpf_map m, const uint8_t *a, const uint8_t *b);
/* "rs_ends 10.0.0.7", for messages. */
char *rs_bpf_key_str(enum rs_bpf_map m, const uint8_t *key);
bool rs_bpf_is_absent(enum rs_bpf_map m, const uint8_t *value);
/* Of tries: the prefix inner lies in outer, or is it. */
bool rs_bpf_covers(enum rs_bpf_map m, const uint8_t *outer, const uint8_t *inner);

void rs_bpf_table_add(struct rs_bpf_table *t, enum rs_bpf_map m, const void *key,
		      const void *value);
/* Sort; of equal keys the first stays. */
void rs_bpf_table_order(struct rs_bpf_table *t, enum rs_bpf_map m);
/* The same; and of tries what repeats a wider prefix goes, to `repeats` if that is not NULL. */
void rs_bpf_table_sort(struct rs_bpf_table *t, enum rs_bpf_map m, struct rs_bpf_table *repeats);
bool rs_bpf_table_find(const struct rs_bpf_table *t, enum rs_bpf_map m, const uint8_t *key,
		       size_t *at);
/* The entries of `from` go or change, those of `to` are there afterwards; all three are sorted. */
void rs_bpf_table_edit(struct rs_bpf_table *t, enum rs_bpf_map m, const struct rs_bpf_table *from,
		       const struct rs_bpf_table *to);
void rs_bpf_table_free(struct rs_bpf_table *t);

/* Prefixes that make up lo..hi of nbytes; fn gets each one's first address and its length. */
typedef void rs_bpf_prefix_fn(const uint8_t *first, unsigned int len, void *arg);
void rs_bpf_split(const uint8_t *lo, const uint8_t *hi, unsigned int nbytes, rs_bpf_prefix_fn *fn,
		  void *arg);

struct rs_bpf_addr rs_bpf_addr_of(const struct rs_addr *a);
struct rs_addr rs_bpf_addr_to(const struct rs_bpf_addr *a);

#endif
