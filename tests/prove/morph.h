/* SPDX-License-Identifier: Apache-2.0 */
/*
 * morph.h - the inside of the metamorphic rules: each changes a copy of a case and says why the
 * verdicts must keep the relation it claims, faults of the objects included.
 *
 *	morph.c		the table of rules, walks over policies, what only loosens
 *	morph_lists.c	lists in another order, doubled, taken apart
 *	morph_words.c	the same said in other words: defaults, selectors, blocks, ranges
 *	morph_names.c	other names and addresses
 *	morph_noise.c	what counts for nothing
 *
 * The walks read the JSON as the API text does and share nothing with the product but addresses.
 */
#ifndef RIPSTOP_TESTS_PROVE_MORPH_H
#define RIPSTOP_TESTS_PROVE_MORPH_H

#include "tests/prove/prove.h"

struct blocks;
struct morph;
typedef void (*morph_visit)(struct morph *m, json_object *policy, json_object *o);

struct morph {
	json_object *root;
	struct pv_rng *r;
	bool lenient;
	bool changed;
	char ns[64];	       /* for PV_SAME_OUTSIDE */
	morph_visit inner;     /* of the walk at hand */
	json_object *map;      /* old names to new */
	struct blocks *blocks; /* that policies speak of */
};

/* ---- walks (morph.c) ------------------------------------------------------------------------- */

json_object *morph_objects(const struct morph *m);
size_t morph_count(const struct morph *m, const char *kind);
json_object *morph_nth(const struct morph *m, const char *kind, size_t at);
json_object *morph_spec(json_object *object);
const char *morph_ns_of(json_object *object);
const char *morph_name_of(json_object *object);
json_object *morph_copy(json_object *o);

/* Adds a copy of a policy under a name that nobody has; returns it. */
json_object *morph_add_policy(struct morph *m, json_object *like);
/* An empty policy that isolates by "types" in the namespace; its spec. */
json_object *morph_new_policy(struct morph *m, const char *ns);

/* The directions in which it isolates: bit 0 ingress, bit 1 egress; -1: its policyTypes have a fault. */
int morph_isolates(json_object *policy);

/* Puts in place of an item of a list whatever fn appends to out (which may be the item again, with a
 * reference of its own). Lists that are absent, null or empty stay what they are. */
typedef void (*morph_item)(struct morph *m, json_object *item, json_object *out);
void morph_rewrite(struct morph *m, json_object *parent, const char *field, morph_item fn);

void morph_each_policy(struct morph *m, morph_visit fn);
void morph_each_rule(struct morph *m, morph_visit fn);
void morph_each_peer(struct morph *m, morph_visit fn);
void morph_each_selector(struct morph *m, morph_visit fn); /* subjects and peers; o: the selector */

/* The list field of the peers of a rule: "from" or "to", whichever it has; NULL. */
const char *morph_peers_field(json_object *rule);

/* ---- the rules ------------------------------------------------------------------------------- */

void morph_permute(struct morph *m);
void morph_double_entries(struct morph *m);
void morph_rule_per_peer(struct morph *m);
void morph_rule_per_port(struct morph *m);
void morph_policy_per_direction(struct morph *m);
void morph_policy_per_rule(struct morph *m);
void morph_double_policies(struct morph *m);

void morph_defaults(struct morph *m);
void morph_expressions(struct morph *m);
void morph_own_namespace(struct morph *m);
void morph_split_blocks(struct morph *m);
void morph_nested_excepts(struct morph *m);
void morph_split_ranges(struct morph *m);

void morph_rename_policies(struct morph *m);
void morph_rename_pods(struct morph *m);
void morph_rename_nodes(struct morph *m);
void morph_rename_namespaces(struct morph *m);
void morph_move_pods(struct morph *m);

void morph_unused_policies(struct morph *m);
void morph_unused_labels(struct morph *m);
void morph_unused_ports(struct morph *m);
void morph_drop_finished(struct morph *m);
void morph_unknown_fields(struct morph *m);

#endif
