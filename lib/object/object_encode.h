/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_encode.h - objects as Kubernetes' own JSON, with just the fields that Ripstop keeps, so
 * that another program of ours can hold the same objects: what rs_decode_encoded() reads back is
 * equal.
 *
 * Three things have no word in Kubernetes' grammar. A port, peer, selector or rule that was taken
 * with its faults is a map with the one member RS_ENCODED_FAULT, the reason why it matches nothing;
 * only rs_decode_encoded() knows that member, so no text from elsewhere can say it. The moment of a
 * deletion is not kept: it is RS_ENCODED_MOMENT. That a folder implies a namespace is not written:
 * leave such namespaces out and let rs_store_finish_folder() imply them again.
 */
#ifndef RIPSTOP_OBJECT_OBJECT_ENCODE_H
#define RIPSTOP_OBJECT_OBJECT_ENCODE_H

#include <json-c/json_types.h>

#include <ripstop/object.h>

#define RS_ENCODED_FAULT "ripstop.dev/invalid"
#define RS_ENCODED_MOMENT "1970-01-01T00:00:00Z"

/* The caller puts what these return. */
struct json_object *rs_encode_namespace(const struct rs_namespace *n);
struct json_object *rs_encode_pod(const struct rs_pod *p);
struct json_object *rs_encode_policy(const struct rs_policy *p);
struct json_object *rs_encode_node(const struct rs_node *n);
/* m is the metadata of an object of that kind (rs_store_metas()). */
struct json_object *rs_encode(enum rs_kind kind, const struct rs_meta *m);

/* Decode one object or list (borrowed) of ours into s: with its faults, as rs_decode_json() under
 * RS_ADMIT_LENIENT. `name` stands in errors. */
int rs_decode_encoded(struct rs_store *s, const char *name, struct json_object *o,
		      struct rs_err *err);

#endif
