// SPDX-License-Identifier: Apache-2.0
/* error.c - the one error type; see <ripstop/error.h>. */
#include <ripstop/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* Keep msg, which err owns from here on. */
static int err_keep(struct rs_err *err, int errnum, char *msg)
{
	rs_err_clear(err);
	err->num = errnum;
	err->msg = msg;
	return -errnum;
}

int rs_err_set(struct rs_err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	char *msg;

	if (!err)
		return -errnum;
	va_start(ap, fmt);
	msg = rs_vasprintf(fmt, ap);
	va_end(ap);
	return err_keep(err, errnum, msg);
}

int rs_err_sys(struct rs_err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	char *msg;

	if (!err)
		return -errnum;
	va_start(ap, fmt);
	msg = rs_vasprintf(fmt, ap);
	va_end(ap);
	err_keep(err, errnum, rs_asprintf("%s: %s", msg, strerror(errnum)));
	free(msg);
	return -errnum;
}

int rs_err_wrap(struct rs_err *err, const char *fmt, ...)
{
	va_list ap;
	char *context;

	if (!err)
		return -EIO;
	va_start(ap, fmt);
	context = rs_vasprintf(fmt, ap);
	va_end(ap);
	if (err->msg) {
		char *whole = rs_asprintf("%s: %s", context, err->msg);

		free(err->msg);
		free(context);
		err->msg = whole;
	} else {
		err->msg = context;
	}
	if (!err->num)
		err->num = EIO;
	return -err->num;
}

int rs_err_hint(struct rs_err *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -EIO;
	free(err->hint);
	va_start(ap, fmt);
	err->hint = rs_vasprintf(fmt, ap);
	va_end(ap);
	return -(err->num ? err->num : EIO);
}

int rs_err_cni(struct rs_err *err, int cni_code)
{
	if (!err)
		return -EIO;
	if (err->cni == RS_CNI_NONE)
		err->cni = cni_code;
	return -(err->num ? err->num : EIO);
}

void rs_err_move(struct rs_err *dst, struct rs_err *src)
{
	if (dst) {
		rs_err_clear(dst);
		*dst = *src;
		memset(src, 0, sizeof(*src));
	} else {
		rs_err_clear(src);
	}
}

const char *rs_err_str(const struct rs_err *err)
{
	return err && err->msg ? err->msg : "no error";
}

void rs_err_clear(struct rs_err *err)
{
	if (!err)
		return;
	free(err->msg);
	free(err->hint);
	memset(err, 0, sizeof(*err));
}
