// SPDX-License-Identifier: Apache-2.0
/*
 * curlabsent.c - what libcurl calls in place of libraries that are not linked.
 *
 * Debian's libcurl is built with LDAP, Kerberos, SSH, RTMP, HTTP/2, brotli, zstd, names in other
 * letters and lists of domains for cookies. apiwire.c allows http and https only, and asks for
 * nothing of all that. Where the build takes libcurl from its archive (the Makefile says when,
 * docs/decisions/0012 why), tools/curl-absent turns each such call to a function here, and none of
 * the libraries is loaded. They are called with whatever arguments and look at none. Elsewhere this
 * file is empty.
 */
#ifdef RS_CURL_CALLS

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 0, or NULL: a library was made ready or put away, or has nothing to tell. */
#define NOTHING(call)                \
	long rs_absent_##call(void); \
	long rs_absent_##call(void)  \
	{                            \
		return 0;            \
	}

/* -1: what a server can bring about by an answer that was not asked for (HTTP/2, an encoding).
 * libcurl takes it for the library's error, or for a handle that it hands back without a look, and
 * the request ends with an error. */
#define REFUSES(call)                \
	long rs_absent_##call(void); \
	long rs_absent_##call(void)  \
	{                            \
		return -1;           \
	}

/* The rest: no answer of a server leads there, and there is nothing that could be returned of which
 * one knew what libcurl makes of it. Without an agent the kernel enforces on. */
#define NEVER(call)                                                                   \
	_Noreturn void rs_absent_##call(void);                                        \
	_Noreturn void rs_absent_##call(void)                                         \
	{                                                                             \
		die("libcurl calls " #call "(), which ripstop is not linked with\n"); \
	}

static _Noreturn void die(const char *why)
{
	/* There is nobody left to tell that it could not be told. */
	if (write(STDERR_FILENO, why, strlen(why)) < 0)
		abort();
	abort();
}

#include RS_CURL_CALLS

#endif
