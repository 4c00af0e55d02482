/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - the one error type: what failed, with the chain of context that led to it.
 *
 * A function that can fail takes `struct rs_err *err` last and returns 0 (or a useful non-negative
 * number) on success and a negative errno on failure. The callee that notices the fault calls
 * rs_err_set(); each caller that knows more prefixes it with rs_err_wrap(). The result reads
 * outside in, as one line a person can act on:
 *
 *	add pod shop/db-0: add route 10.1.0.7/32: link rs3a91c0: No such device
 *
 * Library code never prints and never exits. Only the three main programs print an error, once.
 *
 *	int load(const char *path, struct rs_err *err)
 *	{
 *		int rc = rs_file_read(path, RS_MIB, &buf, err);
 *
 *		if (rc < 0)
 *			return rs_err_wrap(err, "load leases");
 *		...
 *		return rs_err_set(err, EINVAL, "%s: no address in it", path);
 *	}
 *
 * Ownership: the caller owns the struct (usually on its stack, `rs_auto_err`), the library owns
 * the strings inside until rs_err_clear(). A NULL err is legal everywhere; then rs_err_set() and
 * rs_err_sys() still return their number, the others -EIO, because nobody keeps it. An object
 * holds one error: setting it again replaces the first.
 */
#ifndef RIPSTOP_ERROR_H
#define RIPSTOP_ERROR_H

#include <stdarg.h>

/*
 * CNI error codes (CNI specification 1.1, "Error"; 8 is libcni's; 100 and above are Ripstop's).
 * Zero means that nobody has classified the error yet; the plugin then reports 999.
 */
enum rs_cni_code {
	RS_CNI_NONE = 0,
	RS_CNI_VERSION = 1,	 /* cniVersion not supported, or the verb needs a newer one */
	RS_CNI_UNSUPPORTED = 2,	 /* a field we know and do not support */
	RS_CNI_UNKNOWN = 3,	 /* container unknown: the runtime need not call DEL */
	RS_CNI_ENV = 4,		 /* CNI_* environment missing or malformed */
	RS_CNI_IO = 5,		 /* state folder: unreadable, unwritable, full */
	RS_CNI_DECODE = 6,	 /* stdin is not what it should be */
	RS_CNI_CONFIG = 7,	 /* network configuration is not usable */
	RS_CNI_NETNS = 8,	 /* CNI_NETNS is not a network namespace, or is the host's own */
	RS_CNI_TRY_AGAIN = 11,	 /* no agent, not synced, pod unknown, only resting addresses */
	RS_CNI_UNAVAILABLE = 50, /* STATUS: an ADD issued now would fail */
	RS_CNI_LIMITED = 51,	 /* STATUS: and running pods may have limited connectivity */
	RS_CNI_POOL = 100,	 /* no address left in the ranges */
	RS_CNI_LEASES = 103,	 /* lease store damaged */
	RS_CNI_KERNEL = 104,	 /* the kernel lacks a feature or a privilege we need */
	RS_CNI_ATTACHED = 105,	 /* (containerID, ifname) is attached already */
	RS_CNI_INTERNAL = 999,
};

struct rs_err {
	int num;	/* positive errno, 0 when no error is held */
	int cni;	/* enum rs_cni_code */
	char *msg;	/* "outer: inner: strerror-free text"; NULL when no error is held */
	char *hint;	/* one sentence: what to do; NULL when there is none */
};

/* Declares an error that is released at the end of the scope. */
#define rs_auto_err __attribute__((cleanup(rs_err_clear))) struct rs_err

/* Replace whatever err holds. errnum is positive; returns -errnum so that failing is one line. */
int rs_err_set(struct rs_err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with ": strerror(errnum)" appended: for failed system calls. */
int rs_err_sys(struct rs_err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Prefix "context: " to what err holds; returns the negative errno held (or -EIO if none). */
int rs_err_wrap(struct rs_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set or replace the hint; returns the negative errno held. */
int rs_err_hint(struct rs_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Classify for CNI; the innermost classification stays, a later one does not overwrite it.
 * Returns the negative errno held. */
int rs_err_cni(struct rs_err *err, int cni_code);

/* Move src into dst (releasing what dst held); src is empty afterwards. */
void rs_err_move(struct rs_err *dst, struct rs_err *src);

/* The message, never NULL ("no error" when none is held). */
const char *rs_err_str(const struct rs_err *err);

/* Release; the struct can be used again. NULL is legal. */
void rs_err_clear(struct rs_err *err);

#endif
