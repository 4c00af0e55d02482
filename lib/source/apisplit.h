/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apisplit.h - finds the objects in an answer of the API server while it arrives, so that no list
 * is ever held whole: memory is bounded by one object, however long the answer is.
 *
 * It follows strings and brackets and nothing else; what it hands out is parsed by its taker.
 *
 *	RS_SPLIT_STREAM (a watch): {...} {...}	each value is handed out
 *	RS_SPLIT_LIST: {"kind": .., "items": [{..}, {..}], "metadata": ..}
 *		each item is handed out; in the end the rest: the same object, its items left out
 */
#ifndef RIPSTOP_SOURCE_APISPLIT_H
#define RIPSTOP_SOURCE_APISPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include <ripstop/error.h>

enum rs_split_form {
	RS_SPLIT_STREAM,
	RS_SPLIT_LIST,
};

enum rs_split_part {
	RS_SPLIT_VALUE, /* an event, or an item */
	RS_SPLIT_REST,	/* what is around the items; comes once, last */
};

/* One object that is larger is refused. etcd takes 1.5 MiB; JSON is longer than what it keeps. */
#define RS_SPLIT_MAX_OBJECT (8UL * 1024 * 1024)
#define RS_SPLIT_MAX_REST (64UL * 1024)

/* Takes a part; the text is borrowed and not terminated. Negative ends the feeding. */
typedef int rs_split_fn(void *arg, enum rs_split_part part, const char *text, size_t len,
			struct rs_err *err);

struct rs_split;

struct rs_split *rs_split_new(enum rs_split_form form, rs_split_fn *fn, void *arg);
void rs_split_free(struct rs_split *s); /* NULL is legal */

/* Take the next bytes. -EBADMSG: not such a text; -EFBIG: over a bound; or what fn returned. After
 * a failure nothing more may be fed. */
int rs_split_feed(struct rs_split *s, const char *data, size_t len, struct rs_err *err);

/* The body ended: -EBADMSG where it may not end. */
int rs_split_end(const struct rs_split *s, struct rs_err *err);

#endif
