/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober_stream.h - what mode stream's files share: an established flow whose packets are numbered in each
 * direction. prober_stream.c counts and speaks UDP and ICMP, prober_conn.c TCP and SCTP sockets,
 * prober_assoc.c SCTP made by hand where the kernel has none.
 */
#ifndef RIPSTOP_TESTS_PROBER_STREAM_H
#define RIPSTOP_TESTS_PROBER_STREAM_H

#include "prober.h"

#define MOST_MARKS 512

enum way {
	UP,   /* client to server */
	DOWN, /* and back */
	WAYS,
};

struct tally {
	uint32_t sent; /* numbers given out */
	uint32_t unsent;
	uint32_t received;
	uint32_t mark;	    /* the first number since the mark */
	uint32_t since;	    /* received of those */
	double first, last; /* arrivals of those */
	uint8_t *got;
	uint32_t cap;
	uint32_t marks[MOST_MARKS];
};

struct live {
	struct watch server; /* the client's is flow.watch */
	struct flow *f;
	struct tally tally[WAYS];
	bool open;
	union address peer; /* of the client, as the server sees it */
	struct watch listener;
	struct {
		uint8_t bytes[sizeof(struct token)];
		size_t n;
	} in[WAYS], out[WAYS]; /* parts of a token, of a byte stream */
	uint32_t vtag[WAYS];   /* SCTP: what packets of that way carry */
	double retry;
};

static inline struct live *live_of(const struct flow *f)
{
	return f->more;
}

struct token stream_token(const struct flow *f, enum way way);
/* A packet of a flow arrived. */
void stream_arrived(const struct token *t);

/* Each sends one numbered packet; false: it could not. */
bool conn_send(struct flow *f, enum way way);
void conn_start(struct flow *f, int proto);
/* Segments sent again that the other end had not got. */
uint32_t conn_lost(const struct flow *f, enum way way);

bool assoc_send(struct flow *f, enum way way);
void assoc_start(struct flow *f);
void assoc_retry(struct flow *f);
bool kernel_has_sctp(void);

#endif
