// SPDX-License-Identifier: Apache-2.0
/*
 * ctl.c - lib/ctl is the control protocol between plugin or command line and agent: frames and the
 * error object, for both sides; see <ripstop/ctl.h>.
 */
#include <ripstop/ctl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"

#define PREFIX 4u
#define ERRNO_MAX 4095 /* as in the kernel */

long rs_ctl_frame_peek(const void *buf, size_t len, const char **body, size_t *body_len,
		       struct rs_err *err)
{
	uint32_t be, n;

	*body = NULL;
	*body_len = 0;
	if (len < PREFIX)
		return 0;
	memcpy(&be, buf, sizeof(be));
	n = ntohl(be);
	if (n == 0 || n > RS_CTL_MAX_FRAME)
		return rs_err_set(err, EMSGSIZE, "a frame of %u bytes, 1 to %u are allowed", n,
				  RS_CTL_MAX_FRAME);
	if (len - PREFIX < n)
		return 0;
	*body = (const char *)buf + PREFIX;
	*body_len = n;
	return (long)(PREFIX + n);
}

int rs_ctl_parse(const char *body, size_t len, struct json_object **out, struct rs_err *err)
{
	*out = NULL;
	if (len > RS_CTL_MAX_FRAME)
		return rs_err_set(err, EMSGSIZE, "%zu bytes, at most %u are allowed", len,
				  RS_CTL_MAX_FRAME);
	return rs_json_parse(body, len, RS_CTL_MAX_DEPTH, out, err);
}

int rs_ctl_frame_make(struct json_object *o, char **out, size_t *len, struct rs_err *err)
{
	rs_autofree char *text = rs_json_print(o);
	size_t n = strlen(text);
	uint32_t be;

	*out = NULL;
	*len = 0;
	if (n > RS_CTL_MAX_FRAME)
		return rs_err_set(err, EMSGSIZE, "a message of %zu bytes, at most %u are allowed",
				  n, RS_CTL_MAX_FRAME);
	/* json-c passes the bytes of strings on as they are; the other side takes UTF-8 only. */
	rs_utf8_scrub(text, n);
	be = htonl((uint32_t)n);
	*out = rs_calloc(1, PREFIX + n);
	memcpy(*out, &be, PREFIX);
	memcpy(*out + PREFIX, text, n);
	*len = PREFIX + n;
	return 0;
}

struct json_object *rs_ctl_error_to_json(const struct rs_err *err)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "errno", json_object_new_int(err->num ? err->num : EIO));
	if (err->cni)
		json_object_object_add(o, "cni", json_object_new_int(err->cni));
	rs_json_add_str(o, "message", rs_err_str(err));
	rs_json_add_str(o, "hint", err->hint);
	return o;
}

void rs_ctl_error_from_json(struct json_object *o, struct rs_err *err)
{
	int64_t num = EIO, cni = RS_CNI_NONE;
	const char *hint = rs_json_text(o, "hint", NULL);

	if (rs_json_opt_int(o, "errno", 1, ERRNO_MAX, &num, NULL) < 0)
		num = EIO;
	if (rs_json_opt_int(o, "cni", 1, 9999, &cni, NULL) < 0)
		cni = RS_CNI_NONE;
	rs_err_set(err, (int)num, "%s", rs_json_text(o, "message", "the agent gave no reason"));
	if (cni)
		rs_err_cni(err, (int)cni);
	if (hint)
		rs_err_hint(err, "%s", hint);
}
