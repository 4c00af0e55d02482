// SPDX-License-Identifier: Apache-2.0
/* fuzz_frame.c - control frames: a stream of bytes cut into frames, bodies and error objects. */
#include <ripstop/ctl.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void try_body(const char *body, size_t len)
{
	rs_autojson struct json_object *o = NULL;
	rs_autojson struct json_object *again = NULL;
	rs_autojson struct json_object *back = NULL;
	rs_autofree char *frame = NULL;
	rs_auto_err err = { 0 };
	const char *inner;
	size_t n, inner_len;

	if (rs_ctl_parse(body, len, &o, &err) < 0) {
		must(!o && err.msg);
		return;
	}
	rs_ctl_error_from_json(rs_json_get(o, "error"), &err);
	must(err.num > 0 && err.msg);
	back = rs_ctl_error_to_json(&err);
	/* Escapes may make it longer than a frame; all else must come through. */
	if (rs_ctl_frame_make(o, &frame, &n, NULL) < 0)
		return;
	must(rs_ctl_frame_peek(frame, n, &inner, &inner_len, NULL) == (long)n);
	must(rs_ctl_parse(inner, inner_len, &again, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *body;
	size_t left = size, len;
	long whole;

	while ((whole = rs_ctl_frame_peek(p, left, &body, &len, NULL)) > 0) {
		must((size_t)whole <= left && len > 0 && len <= RS_CTL_MAX_FRAME);
		must(body == p + 4 && len + 4 == (size_t)whole);
		try_body(body, len);
		p += whole;
		left -= (size_t)whole;
	}
	/* And the bytes as one body, so that the fuzzer need not guess a length first. */
	try_body((const char *)data, size);
	return 0;
}
