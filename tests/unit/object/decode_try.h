/* SPDX-License-Identifier: Apache-2.0 */
/* decode_try.h - decoding a text in one line, for the tests of the decoders. */
#ifndef RIPSTOP_TESTS_DECODE_TRY_H
#define RIPSTOP_TESTS_DECODE_TRY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ripstop/object.h>

#include "base/base.h"

/* Decode what must be good; the caller frees the store. */
static inline struct rs_store *try_good(const char *text, bool json, enum rs_admit admit)
{
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };

	if (rs_decode_text(s, "f", text, strlen(text), json, admit, &err) < 0)
		fail_msg("refused: %s", rs_err_str(&err));
	return s;
}

/* Decode what must be refused, and compare the message. */
static inline void try_bad(const char *text, bool json, const char *message)
{
	struct rs_store *s = rs_store_new();
	rs_auto_err err = { 0 };

	assert_true(rs_decode_text(s, "f", text, strlen(text), json, RS_ADMIT_STRICT, &err) < 0);
	assert_string_equal(rs_err_str(&err), message);
	rs_store_free(s);
}

static inline bool has_warning(const struct rs_store *s, const char *part)
{
	size_t n, i;
	const char *const *w = rs_store_warnings(s, &n);

	for (i = 0; i < n; i++)
		if (strstr(w[i], part))
			return true;
	return false;
}

#endif
