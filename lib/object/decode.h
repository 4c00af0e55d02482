/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - the inside of the decoders: from a document tree to objects, one file a kind.
 *
 * A fault is noted once, where it is noticed, with its path and position (rs_dec_fail), and travels
 * up as a negative number. Under STRICT it reaches the top and refuses the text. Under LENIENT the
 * smallest part that can be left out safely catches it (rs_dec_contain): a port, a peer, a rule, a
 * selector; what holds the fault then matches nothing and carries the reason.
 */
#ifndef RIPSTOP_OBJECT_DECODE_H
#define RIPSTOP_OBJECT_DECODE_H

#include <ripstop/object.h>
#include <ripstop/workload.h>

#include "object/doc.h"

/* One step of the path from an object's root to a value; lives on the stack of the decoder. */
struct rs_at {
	const struct rs_at *up;
	const char *field;		/* a field's name; NULL: a list item or a map's free key */
	const char *key;		/* a map's free key ("matchLabels[app]") */
	size_t index;			/* a list item */
	const struct rs_doc_node *node; /* the value; NULL when the field is absent or null */
	struct rs_doc_pos pos;		/* of the value, or of what should hold it */
};

struct rs_dec {
	struct rs_store *store;
	struct rs_extras *extras; /* NULL: kinds other than the four are skipped */
	const char *label;	  /* what errors begin with */
	const char *file; /* for positions: the store's copy, NULL for objects without a file */
	enum rs_admit admit;
	bool encoded; /* the text is of rs_encode(): a part may say that it is invalid */
	/* the object at hand, for messages */
	const char *kind;
	const char *ns;
	const char *name;
	/* the fault on its way up; NULL when there is none */
	char *fault;
	struct rs_doc_pos fault_pos;
};

/* Note a fault at `at`; returns -EINVAL. Values in the text are the caller's to bound. */
int rs_dec_fail(struct rs_dec *d, const struct rs_at *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A fault when the map at `at` is what rs_encode() makes of an invalid part. */
int rs_dec_encoded_fault(struct rs_dec *d, const struct rs_at *at);

/* Under LENIENT: take the fault into *why (NULL: into a warning) and return 0; else return rc. */
int rs_dec_contain(struct rs_dec *d, int rc, char **why);

void rs_dec_warn(struct rs_dec *d, const struct rs_at *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct rs_pos rs_dec_pos(const struct rs_dec *d, const struct rs_at *at);

/* ---- walking --------------------------------------------------------------------------------- */

/* The step to a field of a map; node is NULL when it is absent or null. */
struct rs_at rs_at_field(const struct rs_at *map, const char *field);
struct rs_at rs_at_item(const struct rs_at *list, size_t index, const struct rs_doc_item *item);
struct rs_at rs_at_key(const struct rs_at *map, const struct rs_doc_item *item);

/* The first item of a list or map that may be absent. */
static inline const struct rs_doc_item *rs_at_first(const struct rs_at *at)
{
	return at->node ? at->node->items : NULL;
}

/* How many items it has. */
static inline size_t rs_at_count(const struct rs_at *at)
{
	return at->node ? at->node->n : 0;
}

/* -EINVAL with a fault when a value is there and has another type. */
int rs_dec_type(struct rs_dec *d, const struct rs_at *at, enum rs_doc_type type);

/* The string of a field; *out stays NULL when absent. Borrowed from the document. */
int rs_dec_string(struct rs_dec *d, const struct rs_at *map, const char *field, const char **out);
/* Whether a field is true; absent is false. */
int rs_dec_bool(struct rs_dec *d, const struct rs_at *map, const char *field, bool *out);
/* The string at `at`, which must be one. */
int rs_dec_text(struct rs_dec *d, const struct rs_at *at, const char **out);

/* Under STRICT: every key of the map is one of names (NULL-terminated), else a fault at the key. */
int rs_dec_known(struct rs_dec *d, const struct rs_at *map, const char *const *names);
bool rs_dec_listed(const char *word, const char *const *names);
/* The name that a misspelled word most likely means, NULL when none is near. */
const char *rs_dec_nearest(const char *word, const char *const *names);

/* TCP, UDP, SCTP; TCP when absent. */
int rs_dec_proto(struct rs_dec *d, const struct rs_at *map, uint8_t *proto);
/* A port number at `at`. */
int rs_dec_port(struct rs_dec *d, const struct rs_at *at, uint16_t *port);

/* ---- parts ----------------------------------------------------------------------------------- */

/* metadata of an object; sets d->ns and d->name as soon as they are known. */
int rs_dec_meta(struct rs_dec *d, const struct rs_at *root, bool namespaced, struct rs_meta *m);

/* The map of strings in that field, as labels. */
int rs_dec_labels(struct rs_dec *d, const struct rs_at *map, const char *field,
		  struct rs_labels *l);

/* The controller among the ownerReferences of metadata; NULLs when there is none. */
int rs_dec_owner(struct rs_dec *d, const struct rs_at *meta, char **kind, char **name);

/* A LabelSelector field; contains its own faults under LENIENT. */
int rs_dec_selector(struct rs_dec *d, const struct rs_at *map, const char *field,
		    struct rs_selector *s);

/* ---- kinds ----------------------------------------------------------------------------------- */

int rs_dec_policy(struct rs_dec *d, const struct rs_at *root, struct rs_policy *p);
int rs_dec_pod(struct rs_dec *d, const struct rs_at *root, struct rs_pod *p);
int rs_dec_pod_spec(struct rs_dec *d, const struct rs_at *spec, struct rs_pod *p);
int rs_dec_namespace(struct rs_dec *d, const struct rs_at *root, struct rs_namespace *n);
int rs_dec_node(struct rs_dec *d, const struct rs_at *root, struct rs_node *n);

/* The kinds of <ripstop/workload.h>. */
int rs_dec_workload(struct rs_dec *d, const struct rs_at *root, struct rs_workload *w);
int rs_dec_service(struct rs_dec *d, const struct rs_at *root, struct rs_service *v);
int rs_dec_slice(struct rs_dec *d, const struct rs_at *root, struct rs_slice *v);

enum rs_extra_shape {
	RS_EXTRA_WORKLOAD,
	RS_EXTRA_SERVICE,
	RS_EXTRA_SLICE,
};

struct rs_extra_kind {
	const char *name;
	const char *version; /* apiVersion */
	const char *group;   /* what the apiVersion of such a kind begins with; "": the core's */
	enum rs_extra_shape shape;
};

extern const struct rs_extra_kind rs_extra_kinds[]; /* name NULL ends it */

/* Decode one into a new place at the end of its array, which counts only when it is kept. */
int rs_dec_extra(struct rs_dec *d, const struct rs_extra_kind *k, const struct rs_at *root);
void rs_extras_settle(struct rs_extras *x, const struct rs_extra_kind *k, bool keep);
void rs_extras_skip(struct rs_extras *x, const char *kind);

/* ---- front doors beside rs_decode_text() ----------------------------------------------------- */

struct json_object;

/*
 * Decode one object or list (borrowed) that came from the API server into s. `name` stands in
 * errors.
 */
int rs_decode_json(struct rs_store *s, const char *name, struct json_object *o, enum rs_admit admit,
		   struct rs_err *err);
int rs_decode_json_with(struct rs_store *s, struct rs_extras *x, const char *name,
			struct json_object *o, enum rs_admit admit, struct rs_err *err);

#endif
