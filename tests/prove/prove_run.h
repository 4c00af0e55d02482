/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prove_run.h - the inside of the program `prove`: options, tallies in shared memory, findings.
 *
 *	prove.c		options, workers, rounds
 *	prove_work.c	one worker: worlds, metamorphic rules
 *	prove_find.c	what counts as a finding
 *	prove_report.c	shrinking, printing, saving one
 *	prove_table.c	the closing table
 *	prove_export.c	strict cases for real packets
 */
#ifndef RIPSTOP_TESTS_PROVE_PROVE_RUN_H
#define RIPSTOP_TESTS_PROVE_PROVE_RUN_H

#include "base/base.h"
#include "tests/prove/prove.h"

#define PV_MAX_IDS 192
#define PV_MAX_MORPHS 64
#define PV_ALL_READERS                                                                           \
	(1u << PV_ORACLE | 1u << PV_IR | 1u << PV_RULESET | 1u << PV_SECOND | 1u << PV_EXPLAIN | \
	 1u << PV_OFFLINE | 1u << PV_EBPF)
#define PV_MORPH_READERS (PV_ALL_READERS & ~(1u << PV_SECOND))

struct pv_options {
	uint64_t seed;
	uint64_t cases;
	uint64_t from; /* number of the first world */
	bool first;    /* end at the first finding, as it is, and without a table */
	uint64_t packets;
	unsigned int jobs;
	unsigned int readers;
	const char *out;    /* folder for findings */
	const char *export; /* file for --export-packets */
	const char *one;    /* file of --case */
};

/* Written by one worker, read by the parent. */
struct pv_tally {
	uint64_t worlds; /* judged, agreed or not */
	uint64_t cases;
	uint64_t deny;
	uint64_t explained; /* verdicts of explain set beside those of the ruleset */
	uint64_t now;	    /* the world in work */
	uint64_t findings;
	uint64_t morphed; /* applications of metamorphic rules */
	uint64_t hits[PV_MAX_IDS];
	uint64_t morph[PV_MAX_MORPHS];
	char morph_name[PV_MAX_MORPHS][64];
};

/* The ids of oracle2.py, in its order. */
struct pv_ids {
	char *text;
	const char *id[PV_MAX_IDS];
	const char *means[PV_MAX_IDS];
	size_t n;
};

enum pv_finding_kind {
	PV_AGREED,
	PV_ERROR,   /* a reader gave no verdict */
	PV_DIFFER,  /* two readers differ */
	PV_BROKEN,  /* a later packet of a flow */
	PV_RELATED, /* a metamorphic rule */
};

struct pv_finding {
	enum pv_finding_kind kind;
	size_t flow;
	int8_t v[PV_READERS];
	int rc;
	char text[512];
	size_t rule; /* PV_RELATED */
	uint64_t rule_seed;
	size_t reader;
	bool history; /* shows only after the world before it */
};

struct pv_worker {
	const struct pv_options *o;
	const struct pv_ids *ids;
	struct pv_tally *t;
	const struct pv_tally *all; /* of every worker */
	struct pv_judge *judge;
	unsigned int number;
	unsigned int reported;
	struct pv_case before; /* the world judged before this one; root NULL: none */
};

struct pv_shape pv_default_shape(bool strict);

/* A worker's whole life: worlds first, first + jobs, ... below end. Returns an exit code. */
int pv_work(struct pv_worker *w, uint64_t first, uint64_t end);

/* ---- findings -------------------------------------------------------------------------------- */

/* What is wrong with these verdicts, if anything. */
void pv_find(const struct pv_verdicts *v, struct pv_finding *out);

/* Judge c; a failure to judge is a finding too. v (may be NULL) is the caller's to free. */
void pv_judge_find(struct pv_judge *j, const struct pv_case *c, bool fresh, struct pv_verdicts *v,
		   struct pv_finding *out);

/* Apply rule to c and judge both: a finding when the relation does not hold. before: verdicts of c. */
bool pv_morph_find(struct pv_judge *j, const struct pv_case *c, const struct pv_verdicts *before,
		   size_t rule, uint64_t rule_seed, struct pv_morphed *m, struct pv_finding *out);

/* Shrink, print, save. c is used up. */
void pv_report(struct pv_worker *w, uint64_t index, struct pv_case *c,
	       const struct pv_finding *found);

/* Print one case: YAML, world, flows, verdicts of all readers. */
void pv_print_case(struct rs_strbuf *b, struct pv_judge *j, const struct pv_case *c);

/* ---- the rest -------------------------------------------------------------------------------- */

/* Prints the table; returns how many of its lines are a miss, *lines how many there are. */
unsigned int pv_table(const struct pv_options *o, const struct pv_ids *ids,
		      const struct pv_tally *sum, unsigned int *lines);

int pv_export(const struct pv_options *o, struct rs_err *err);

#endif
