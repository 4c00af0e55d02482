// SPDX-License-Identifier: Apache-2.0
/* nl_news.c - news of links that go. */
#include <errno.h>
#include <unistd.h>

#include "netlink/nl_internal.h"

int rs_link_news_open(int *fd, struct rs_err *err)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int rc;

	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	/* Whoever has no name of his own is told nothing. */
	if (*fd >= 0 && bind(*fd, (struct sockaddr *)&any, sizeof(any)) == 0)
		return 0;
	rc = rs_err_sys(err, errno, "socket for news of links");
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return rc;
}

int rs_link_news_listen(int fd, bool on)
{
	int group = RTNLGRP_LINK;
	int rc = setsockopt(fd, SOL_NETLINK, on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
			    &group, sizeof(group));

	return rc < 0 ? -errno : 0;
}

/* A bridge tells of a port that leaves it in the same words, in its own family. */
static uint32_t gone_link(struct nlmsghdr *h)
{
	struct ifinfomsg *ifi = nlmsg_data(h);

	if (h->nlmsg_type != RTM_DELLINK || nlmsg_datalen(h) < (int)sizeof(*ifi) ||
	    ifi->ifi_family != AF_UNSPEC || ifi->ifi_index <= 0)
		return 0;
	return (uint32_t)ifi->ifi_index;
}

void rs_link_news_read(int fd, void (*gone)(void *arg, uint32_t ifindex), void *arg)
{
	_Alignas(struct nlmsghdr) char buf[16 * RS_KIB];
	struct sockaddr_nl from = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n;

	/* What is lost (ENOBUFS) is told once, and the next one is read. */
	while ((n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len)) >= 0 ||
	       errno == EINTR || errno == ENOBUFS) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf;
		int left = n < 0 || from.nl_pid ? 0 : (int)n;

		for (; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
			uint32_t ifindex = gone_link(h);

			if (ifindex)
				gone(arg, ifindex);
		}
		len = sizeof(from);
	}
}
