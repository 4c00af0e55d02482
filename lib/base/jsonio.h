/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonio.h - JSON from outside, read with bounds and with types that are checked.
 *
 * Over json-c: one object a text, strict syntax, valid UTF-8, bounded depth, nothing behind it. The
 * caller bounds the length. Strings that hold a NUL are refused: C would see only their beginning.
 * Fields nobody knows are ignored, so that a newer writer does not break an older reader.
 */
#ifndef RIPSTOP_BASE_JSONIO_H
#define RIPSTOP_BASE_JSONIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <ripstop/error.h>

#include "base/cleanup.h"

RS_DEFINE_CLEANUP(rs_cleanup_json, struct json_object *, json_object_put)
#define rs_autojson rs_cleanup(rs_cleanup_json)

/* Parse one object of at most max_depth levels of brackets (a further level may be empty); the
 * caller puts *out. -EBADMSG when it is none. */
int rs_json_parse(const char *text, size_t len, int max_depth, struct json_object **out,
		  struct rs_err *err);

/* A member, NULL when absent or null. Borrowed. */
struct json_object *rs_json_get(struct json_object *o, const char *key);

/* For readers that render: the text of a string member, else def. Borrowed. */
const char *rs_json_text(struct json_object *o, const char *key, const char *def);

/*
 * A string member of 1..max bytes, copied to *out (the caller frees it). Absent is -EBADMSG;
 * rs_json_opt_str() takes an absent or null one as NULL. The error names the key.
 */
int rs_json_str(struct json_object *o, const char *key, size_t max, char **out, struct rs_err *err);
int rs_json_opt_str(struct json_object *o, const char *key, size_t max, char **out,
		    struct rs_err *err);

/* An integer member within min..max. Absent is -EBADMSG, with _opt it leaves *out alone. */
int rs_json_int(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out,
		struct rs_err *err);
int rs_json_opt_int(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out,
		    struct rs_err *err);

/* A boolean member; an absent one leaves *out alone. */
int rs_json_opt_bool(struct json_object *o, const char *key, bool *out, struct rs_err *err);

/* Put '?' for every byte that is no part of well-formed UTF-8 (RFC 3629). */
void rs_utf8_scrub(char *s, size_t len);

/* Compact text of o; the caller frees it. */
char *rs_json_print(struct json_object *o);

/* Add a string member when s is not NULL; its bytes are scrubbed. */
void rs_json_add_str(struct json_object *o, const char *key, const char *s);

/* Add a moment since 1970 as RFC 3339 has it, in UTC: of seconds, or of nanoseconds to the
 * microsecond. One that no calendar has adds nothing. */
void rs_json_add_time(struct json_object *o, const char *key, int64_t s);
void rs_json_add_time_us(struct json_object *o, const char *key, int64_t ns);

#endif
