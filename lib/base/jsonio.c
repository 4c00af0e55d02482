// SPDX-License-Identifier: Apache-2.0
/* jsonio.c - JSON from outside, read with bounds; see jsonio.h. */
#include "base/jsonio.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"

RS_DEFINE_CLEANUP(cleanup_tokener, struct json_tokener *, json_tokener_free)

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int rs_json_parse(const char *text, size_t len, int max_depth, struct json_object **out,
		  struct rs_err *err)
{
	rs_cleanup(cleanup_tokener) struct json_tokener *tok = json_tokener_new_ex(max_depth + 1);
	rs_autojson struct json_object *o = NULL;
	enum json_tokener_error why;

	*out = NULL;
	if (!tok)
		rs_oom();
	while (len && is_space(text[len - 1]))
		len--;
	if (!len || len > INT_MAX)
		return rs_err_set(err, EBADMSG, "no JSON object in it");
	/* json-c takes a NUL for the end, whatever follows it. */
	if (memchr(text, '\0', len))
		return rs_err_set(err, EBADMSG, "a NUL byte in JSON text");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, text, (int)len);
	why = json_tokener_get_error(tok);
	if (why == json_tokener_continue)
		return rs_err_set(err, EBADMSG, "JSON text ends too early");
	if (why != json_tokener_success)
		return rs_err_set(err, EBADMSG, "not JSON at byte %zu: %s",
				  json_tokener_get_parse_end(tok), json_tokener_error_desc(why));
	if (json_tokener_get_parse_end(tok) != len)
		return rs_err_set(err, EBADMSG, "bytes behind the JSON object");
	if (!json_object_is_type(o, json_type_object))
		return rs_err_set(err, EBADMSG, "JSON, but not an object");
	*out = rs_steal_ptr(&o);
	return 0;
}

struct json_object *rs_json_get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object))
		return NULL;
	json_object_object_get_ex(o, key, &v);
	return v;
}

const char *rs_json_text(struct json_object *o, const char *key, const char *def)
{
	struct json_object *v = rs_json_get(o, key);

	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : def;
}

int rs_json_opt_str(struct json_object *o, const char *key, size_t max, char **out,
		    struct rs_err *err)
{
	struct json_object *v = rs_json_get(o, key);
	const char *s;
	size_t len;

	*out = NULL;
	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_string))
		return rs_err_set(err, EBADMSG, "%s is not a string", key);
	s = json_object_get_string(v);
	len = (size_t)json_object_get_string_len(v);
	if (strlen(s) != len)
		return rs_err_set(err, EBADMSG, "%s holds a NUL", key);
	if (!len || len > max)
		return rs_err_set(err, EBADMSG, "%s has %zu bytes, 1 to %zu are allowed", key, len,
				  max);
	*out = rs_strndup(s, len);
	return 0;
}

int rs_json_str(struct json_object *o, const char *key, size_t max, char **out, struct rs_err *err)
{
	int rc = rs_json_opt_str(o, key, max, out, err);

	if (rc == 0 && !*out)
		return rs_err_set(err, EBADMSG, "%s is missing", key);
	return rc;
}

int rs_json_opt_int(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out,
		    struct rs_err *err)
{
	struct json_object *v = rs_json_get(o, key);
	int64_t n;

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_int))
		return rs_err_set(err, EBADMSG, "%s is not an integer", key);
	n = json_object_get_int64(v); /* saturates */
	if (n < min || n > max)
		return rs_err_set(err, EBADMSG, "%s is not within %lld..%lld", key, (long long)min,
				  (long long)max);
	*out = n;
	return 0;
}

int rs_json_int(struct json_object *o, const char *key, int64_t min, int64_t max, int64_t *out,
		struct rs_err *err)
{
	if (!rs_json_get(o, key))
		return rs_err_set(err, EBADMSG, "%s is missing", key);
	return rs_json_opt_int(o, key, min, max, out, err);
}

int rs_json_opt_bool(struct json_object *o, const char *key, bool *out, struct rs_err *err)
{
	struct json_object *v = rs_json_get(o, key);

	if (!v)
		return 0;
	if (!json_object_is_type(v, json_type_boolean))
		return rs_err_set(err, EBADMSG, "%s is not a boolean", key);
	*out = json_object_get_boolean(v);
	return 0;
}

/* Length of the well-formed sequence at p, 0 when there is none; the five ranges of RFC 3629. */
static size_t utf8_seq(const unsigned char *p, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
	    : (p[0] & 0xf0) == 0xe0	   ? 3
	    : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
					   : 0;
	if (!n || n > left)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void rs_utf8_scrub(char *s, size_t len)
{
	size_t i = 0;

	while (i < len) {
		size_t n = utf8_seq((const unsigned char *)s + i, len - i);

		if (!n) {
			s[i] = '?';
			n = 1;
		}
		i += n;
	}
}

char *rs_json_print(struct json_object *o)
{
	const char *s = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE);

	if (!s)
		rs_oom();
	return rs_strdup(s);
}

void rs_json_add_str(struct json_object *o, const char *key, const char *s)
{
	rs_autofree char *copy = rs_strdup(s);

	if (!copy)
		return;
	rs_utf8_scrub(copy, strlen(copy));
	json_object_object_add(o, key, json_object_new_string(copy));
}

#define MOMENT_LEN 64

/* "2026-01-31T12:00:00", or false. */
static bool moment(char out[MOMENT_LEN], int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;

	return gmtime_r(&t, &tm) && strftime(out, MOMENT_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
}

void rs_json_add_time(struct json_object *o, const char *key, int64_t s)
{
	char day[MOMENT_LEN];
	rs_autofree char *text = moment(day, s) ? rs_asprintf("%sZ", day) : NULL;

	rs_json_add_str(o, key, text);
}

void rs_json_add_time_us(struct json_object *o, const char *key, int64_t ns)
{
	char day[MOMENT_LEN];
	rs_autofree char *text = NULL;

	if (moment(day, ns / 1000000000))
		text = rs_asprintf("%s.%06dZ", day, (int)(ns / 1000 % 1000000));
	rs_json_add_str(o, key, text);
}
