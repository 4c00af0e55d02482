/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl_internal.h - what the files of lib/netlink share: one handle, one way to ask the kernel.
 */
#ifndef RIPSTOP_NETLINK_NL_INTERNAL_H
#define RIPSTOP_NETLINK_NL_INTERNAL_H

#include <sys/socket.h>

#include "base/base.h"
#include "netlink/netlink.h"

/* libnl's front header bears the same path as ours, which the search finds first: go round it. */
#if __has_include(<libnl3/netlink/netlink.h>)
#include <libnl3/netlink/netlink.h>
#else
#include_next <netlink/netlink.h>
#endif

#include <netlink/attr.h>
#include <netlink/msg.h>

/* A change that waits for rs_nl_flush(). */
struct rs_nl_asked {
	struct nl_msg *msg;
	char *what; /* for the error */
	int fine;   /* an errno that is no failure */
	uint32_t seq;
};

struct rs_nl {
	struct nl_sock *sk;
	bool gathers;
	struct rs_vec(struct rs_nl_asked) asked;
};

/* One message of an answer. A negative return ends the request with that error. */
typedef int (*rs_nl_fn)(struct nlmsghdr *h, void *arg);

/* A request of the given type with its family header; never NULL. */
struct nl_msg *rs_nl_msg(int type, int flags, const void *hdr, size_t len);

/* True when every put succeeded; libnl's puts fail only when the message is full. */
#define RS_NL_PUT(rc, call)                  \
	do {                                 \
		if ((rc) == 0 && (call) < 0) \
			(rc) = -EMSGSIZE;    \
	} while (0)

/*
 * Send msg (freed here), hand each answer to fn (may be NULL), wait for the end. The result is the
 * kernel's errno, negated; -EAGAIN when a dump was interrupted by a change (ask again).
 */
int rs_nl_talk(struct rs_nl *nl, struct nl_msg *msg, rs_nl_fn fn, void *arg);

/* A request that only changes something: sent now, or gathered. msg is freed; `fine` is an errno
 * that is no failure, or 0; the text names the object. */
int rs_nl_change(struct rs_nl *nl, struct nl_msg *msg, int fine, struct rs_err *err,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* rs_err for a refused request: names the object, classifies EPERM and a missing feature. */
int rs_nl_fail(struct rs_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static inline int rs_nl_af(int family)
{
	return family == RS_AF_IP4 ? AF_INET : AF_INET6;
}

int rs_nl_put_addr(struct nl_msg *msg, int type, const struct rs_addr *a);
/* Reads an attribute into an address of AF_INET or AF_INET6; false when its length is wrong. */
bool rs_nl_get_addr(const struct nlattr *attr, int af, struct rs_addr *out);

#define rs_auto_nlmsg rs_cleanup(rs_nl_msg_cleanup) struct nl_msg *
RS_DEFINE_CLEANUP(rs_nl_msg_cleanup, struct nl_msg *, nlmsg_free)

/* How often an interrupted dump is asked again before it counts as an error. */
#define RS_NL_DUMP_TRIES 16

#endif
