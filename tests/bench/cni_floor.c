// SPDX-License-Identifier: Apache-2.0
/*
 * cni_floor.c - the least that the kernel must do for a routed veth, IPv4: what the figures of `cni` are measured
 * against.
 *
 *	cni_floor ADD NETNS HOSTIF ADDRESS	link, addresses, neighbours, routes, both ends up
 *	cni_floor DEL HOSTIF			the link goes
 *	cni_floor NOTHING			ends at once: what a process costs
 *
 * It reads no configuration, keeps no record, chooses no address, asks nobody and prints nothing. One request makes
 * the pair with its far end inside the pod's namespace; all that is left to do on a side goes in one datagram of which
 * only the last message is acknowledged. Rtnetlink by hand, no library.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#define GATEWAY "169.254.1.1"
#define POD_IF "eth0"

/* Requests of one datagram. */
struct batch {
	char buf[2048] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t len;
	struct nlmsghdr *last;
};

static const unsigned char host_mac[6] = { 2, 0, 0, 0, 0, 1 }, pod_mac[6] = { 2, 0, 0, 0, 0, 2 };

static void die(const char *what)
{
	fprintf(stderr, "cni_floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *room(struct batch *b, size_t n)
{
	void *at = b->buf + b->len;

	n = NLMSG_ALIGN(n);
	if (b->len + n > sizeof(b->buf)) {
		errno = EMSGSIZE;
		die("batch");
	}
	memset(at, 0, n);
	b->len += n;
	return at;
}

static void put_message(struct batch *b, unsigned short type, unsigned short flags,
			const void *head, size_t n)
{
	struct nlmsghdr *h = room(b, NLMSG_HDRLEN);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	b->last = h;
	memcpy(room(b, n), head, n);
	h->nlmsg_len = (unsigned int)(b->buf + b->len - (char *)h);
}

static struct rtattr *put(struct batch *b, unsigned short type, const void *data, size_t n)
{
	struct rtattr *a = room(b, RTA_LENGTH(n));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	if (n)
		memcpy(RTA_DATA(a), data, n);
	b->last->nlmsg_len = (unsigned int)(b->buf + b->len - (char *)b->last);
	return a;
}

static void put_text(struct batch *b, unsigned short type, const char *text)
{
	put(b, type, text, strlen(text) + 1);
}

/* What came since belongs into it. */
static void nest_end(struct batch *b, struct rtattr *nest)
{
	nest->rta_len = (unsigned short)(b->buf + b->len - (char *)nest);
}

static int open_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		die("socket");
	return fd;
}

/* Errors of all come, an answer of the last: one at a time, each before the next request is looked at. */
static void talk(int fd, struct batch *b, const char *what)
{
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
		char rest[1024];
	} answer;

	b->last->nlmsg_flags |= NLM_F_ACK;
	if (send(fd, b->buf, b->len, 0) != (ssize_t)b->len ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		die(what);
	if (answer.h.nlmsg_type == NLMSG_ERROR && answer.e.error) {
		errno = -answer.e.error;
		die(what);
	}
	b->len = 0;
}

static int index_of(int fd, const char *name)
{
	struct ifreq r = { 0 };

	memcpy(r.ifr_name, name, strlen(name));
	if (ioctl(fd, SIOCGIFINDEX, &r) < 0)
		die(name);
	return r.ifr_ifindex;
}

static void put_up(struct batch *b, int index)
{
	struct ifinfomsg i = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

	put_message(b, RTM_NEWLINK, 0, &i, sizeof(i));
}

static void put_neighbour(struct batch *b, int index, struct in_addr who,
			  const unsigned char mac[6])
{
	struct ndmsg n = { .ndm_family = AF_INET,
			   .ndm_ifindex = index,
			   .ndm_state = NUD_PERMANENT };

	put_message(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &n, sizeof(n));
	put(b, NDA_DST, &who, sizeof(who));
	put(b, NDA_LLADDR, mac, 6);
}

static void put_route(struct batch *b, int index, unsigned char len, struct in_addr dst,
		      const struct in_addr *via)
{
	struct rtmsg r = { .rtm_family = AF_INET,
			   .rtm_dst_len = len,
			   .rtm_table = RT_TABLE_MAIN,
			   .rtm_protocol = RTPROT_STATIC,
			   .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			   .rtm_type = RTN_UNICAST };

	put_message(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &r, sizeof(r));
	if (len)
		put(b, RTA_DST, &dst, sizeof(dst));
	if (via)
		put(b, RTA_GATEWAY, via, sizeof(*via));
	put(b, RTA_OIF, &index, sizeof(index));
}

static void put_address(struct batch *b, int index, struct in_addr ip)
{
	struct ifaddrmsg a = { .ifa_family = AF_INET,
			       .ifa_prefixlen = 32,
			       .ifa_index = (unsigned int)index };

	put_message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &a, sizeof(a));
	put(b, IFA_LOCAL, &ip, sizeof(ip));
	put(b, IFA_ADDRESS, &ip, sizeof(ip));
}

static void put_pair(struct batch *b, const char *name, int netns)
{
	struct ifinfomsg i = { .ifi_change = 0 };
	struct rtattr *info, *data, *peer;

	put_message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	put_text(b, IFLA_IFNAME, name);
	put(b, IFLA_ADDRESS, host_mac, 6);
	info = put(b, IFLA_LINKINFO, NULL, 0);
	put_text(b, IFLA_INFO_KIND, "veth");
	data = put(b, IFLA_INFO_DATA, NULL, 0);
	peer = put(b, VETH_INFO_PEER, &i, sizeof(i));
	put_text(b, IFLA_IFNAME, POD_IF);
	put(b, IFLA_ADDRESS, pod_mac, 6);
	put(b, IFLA_NET_NS_FD, &netns, sizeof(netns));
	nest_end(b, peer);
	nest_end(b, data);
	nest_end(b, info);
}

static void dress_pod(struct batch *b, int netns, struct in_addr ip)
{
	struct in_addr gateway = { inet_addr(GATEWAY) }, any = { 0 };
	int fd, index;

	if (setns(netns, CLONE_NEWNET) < 0)
		die("setns");
	fd = open_socket();
	index = index_of(fd, POD_IF);
	put_up(b, index);
	put_address(b, index, ip);
	put_neighbour(b, index, gateway, host_mac);
	put_route(b, index, 32, gateway, NULL);
	put_route(b, index, 0, any, &gateway);
	talk(fd, b, "the pod's side");
}

static void add(const char *path, const char *name, const char *address)
{
	struct batch b = { 0 };
	int netns = open(path, O_RDONLY | O_CLOEXEC), fd = open_socket(), index;
	struct in_addr ip;

	if (netns < 0)
		die(path);
	if (strlen(name) >= IFNAMSIZ || inet_pton(AF_INET, address, &ip) != 1) {
		errno = EINVAL;
		die("name or address");
	}
	put_pair(&b, name, netns);
	talk(fd, &b, "veth");
	index = index_of(fd, name);
	dress_pod(&b, netns, ip);
	put_neighbour(&b, index, ip, pod_mac);
	put_up(&b, index);
	put_route(&b, index, 32, ip, NULL);
	talk(fd, &b, "the node's side");
}

static void del(const char *name)
{
	struct ifinfomsg i = { .ifi_change = 0 };
	struct batch b = { 0 };

	put_message(&b, RTM_DELLINK, 0, &i, sizeof(i));
	put_text(&b, IFLA_IFNAME, name);
	talk(open_socket(), &b, "delete");
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "ADD")) {
		add(argv[2], argv[3], argv[4]);
	} else if (argc == 3 && !strcmp(argv[1], "DEL")) {
		del(argv[2]);
	} else if (argc != 2 || strcmp(argv[1], "NOTHING") != 0) {
		fprintf(stderr,
			"usage: cni_floor ADD NETNS HOSTIF ADDRESS | DEL HOSTIF | NOTHING\n");
		return 2;
	}
	return 0;
}
