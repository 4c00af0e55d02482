// SPDX-License-Identifier: Apache-2.0
/* nft_bed.c - the node made of namespaces behind nft_bed.h. */
#include "nft_bed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

#define WAIT_MS 350

static int ns[PLACES];
static const char *const letters = "abcw";

static void die(const char *what)
{
	fprintf(stderr, "test bed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int new_ns(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		die("unshare (root is needed)");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("/proc/self/ns/net");
	return fd;
}

void bed_enter(enum bed_place place)
{
	if (setns(ns[place], CLONE_NEWNET) < 0)
		die("setns");
}

int bed_sh(enum bed_place place, char **out, const char *fmt, ...)
{
	struct rs_strbuf b = { 0 };
	rs_autofree char *cmd = NULL;
	char part[4096];
	va_list ap;
	FILE *f;
	size_t n;
	int rc;

	va_start(ap, fmt);
	cmd = rs_vasprintf(fmt, ap);
	va_end(ap);
	bed_enter(place);
	f = popen(cmd, "r");
	if (!f)
		die("popen");
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		rs_strbuf_add(&b, part, n);
	rc = pclose(f);
	bed_enter(NODE);
	if (out)
		*out = rs_strbuf_steal(&b);
	rs_strbuf_free(&b);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : 128;
}

const char *bed_addr(enum bed_place place, int family)
{
	static const char *const v4[] = { "10.244.0.2", "10.244.0.3", "10.244.0.4", "192.0.2.2",
					  "192.0.2.1" };
	static const char *const v6[] = { "fd00:10:244::2", "fd00:10:244::3", "fd00:10:244::4",
					  "fd00:192::2", "fd00:192::1" };

	return family == 4 ? v4[place] : v6[place];
}

static void must(enum bed_place place, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void must(enum bed_place place, const char *fmt, ...)
{
	rs_autofree char *cmd = NULL;
	va_list ap;

	va_start(ap, fmt);
	cmd = rs_vasprintf(fmt, ap);
	va_end(ap);
	if (bed_sh(place, NULL, "%s", cmd)) {
		fprintf(stderr, "test bed: failed: %s\n", cmd);
		exit(1);
	}
}

static void make_pod(enum bed_place p)
{
	char c = letters[p];

	must(NODE, "ip link add rs%c group %u type veth peer name eth0 netns /proc/%d/fd/%d", c,
	     0x5248u, getpid(), ns[p]);
	must(NODE, "ip link set rs%c address 02:ee:ee:ee:ee:ee arp off addrgenmode none", c);
	must(p,
	     "ip link set lo up; ip link set eth0 address 02:00:00:00:00:0%d; "
	     "sysctl -qw net.ipv6.conf.eth0.accept_dad=0; ip link set eth0 up",
	     p + 2);
	must(p, "ip addr add %s/32 dev eth0; ip addr add %s/128 dev eth0 nodad", bed_addr(p, 4),
	     bed_addr(p, 6));
	must(p, "ip neigh add 169.254.1.1 lladdr 02:ee:ee:ee:ee:ee dev eth0 nud permanent; "
		"ip neigh add fe80::1 lladdr 02:ee:ee:ee:ee:ee dev eth0 nud permanent; "
		"ip route add 169.254.1.1 dev eth0; ip route add default via 169.254.1.1; "
		"ip -6 route add default via fe80::1 dev eth0");
	must(NODE,
	     "ip link set rs%c up; ip neigh add %s lladdr 02:00:00:00:00:0%d dev rs%c nud "
	     "permanent; "
	     "ip neigh add %s lladdr 02:00:00:00:00:0%d dev rs%c nud permanent; "
	     "ip route add %s dev rs%c; ip -6 route add %s dev rs%c",
	     c, bed_addr(p, 4), p + 2, c, bed_addr(p, 6), p + 2, c, bed_addr(p, 4), c,
	     bed_addr(p, 6), c);
}

static void make_world(void)
{
	must(NODE, "ip link add up0 type veth peer name eth0 netns /proc/%d/fd/%d", getpid(),
	     ns[WORLD]);
	must(NODE, "ip addr add 192.0.2.1/24 dev up0; ip addr add fd00:192::1/64 dev up0 nodad; "
		   "ip link set up0 up");
	must(WORLD, "ip link set lo up; ip addr add 192.0.2.2/24 dev eth0; "
		    "ip addr add fd00:192::2/64 dev eth0 nodad; ip link set eth0 up; "
		    "ip route add default via 192.0.2.1; ip -6 route add default via fd00:192::1");
}

void bed_make(void)
{
	for (int i = 0; i < PLACES; i++)
		ns[i] = new_ns();
	bed_enter(NODE);
	must(NODE,
	     "ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
	     "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
	for (int p = 0; p < PODS; p++)
		make_pod(p);
	make_world();
	usleep(300000); /* carrier and IPv6 addresses */
}

uint32_t bed_ifindex(enum bed_place pod)
{
	char name[8];

	snprintf(name, sizeof(name), "rs%c", letters[pod]);
	return if_nametoindex(name);
}

void bed_link(enum bed_place pod, bool up)
{
	must(NODE, "ip link set rs%c %s", letters[pod], up ? "up" : "down");
}

/* ---- packets --------------------------------------------------------------------------------- */

socklen_t bed_sockaddr(struct sockaddr_storage *s, const char *ip, int family, uint16_t port)
{
	memset(s, 0, sizeof(*s));
	if (family == 4) {
		struct sockaddr_in *a = (void *)s;

		a->sin_family = AF_INET;
		a->sin_port = htons(port);
		inet_pton(AF_INET, ip, &a->sin_addr);
		return sizeof(*a);
	} else {
		struct sockaddr_in6 *a = (void *)s;

		a->sin6_family = AF_INET6;
		a->sin6_port = htons(port);
		inet_pton(AF_INET6, ip, &a->sin6_addr);
		return sizeof(*a);
	}
}

int bed_socket(enum bed_place place, int family, int type, uint16_t port)
{
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(place, family), family, port);
	int fd, one = 1;

	bed_enter(place);
	fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC,
		    (type & 0xf) == SOCK_RAW ? port : 0);
	bed_enter(NODE);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&s, len) < 0)
		die("bind");
	return fd;
}

bool bed_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WAIT_MS) == 1;
}

bool bed_udp(enum bed_place from, enum bed_place to, int family, uint16_t port)
{
	int rx = bed_socket(to, family, SOCK_DGRAM, port),
	    tx = bed_socket(from, family, SOCK_DGRAM, 0);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(to, family), family, port);
	bool got;

	(void)!sendto(tx, "x", 1, 0, (void *)&s, len);
	got = bed_readable(rx);
	close(rx);
	close(tx);
	return got;
}

bool bed_forged(enum bed_place from, const char *src, enum bed_place to, uint16_t port)
{
	uint8_t m[29] = { 0x45, 0, 0, 29, 0, 7, 0, 0, 64, 17 };
	int rx = bed_socket(to, 4, SOCK_DGRAM, port), tx;
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(to, 4), 4, 0);
	uint16_t ports[4] = { htons(3333), htons(port), htons(9), 0 };
	bool got;

	inet_pton(AF_INET, src, m + 12);
	inet_pton(AF_INET, bed_addr(to, 4), m + 16);
	memcpy(m + 20, ports, sizeof(ports));
	bed_enter(from);
	tx = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	bed_enter(NODE);
	if (tx < 0)
		die("raw socket");
	(void)!sendto(tx, m, sizeof(m), 0, (void *)&s, len);
	got = bed_readable(rx);
	close(rx);
	close(tx);
	return got;
}

bool bed_open(struct bed_conn *c, enum bed_place from, enum bed_place to, int family, uint16_t port)
{
	int l = bed_socket(to, family, SOCK_STREAM, port);
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(to, family), family, port);

	if (listen(l, 4) < 0)
		die("listen");
	c->server = -1;
	c->client = bed_socket(from, family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)!connect(c->client, (void *)&s, len);
	if (bed_readable(l))
		c->server = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	close(l);
	if (c->server < 0) {
		close(c->client);
		return false;
	}
	return true;
}

bool bed_talk(const struct bed_conn *c)
{
	char buf[64];

	(void)!send(c->client, "hello", 5, MSG_NOSIGNAL | MSG_DONTWAIT);
	return bed_readable(c->server) && recv(c->server, buf, sizeof(buf), MSG_DONTWAIT) > 0;
}

void bed_forget(const struct bed_conn *c)
{
	char buf[64];

	while (recv(c->server, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

void bed_close(struct bed_conn *c)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(c->client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	setsockopt(c->server, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(c->client);
	close(c->server);
}

bool bed_tcp(enum bed_place from, enum bed_place to, int family, uint16_t port)
{
	struct bed_conn c;
	bool ok;

	if (!bed_open(&c, from, to, family, port))
		return false;
	ok = bed_talk(&c);
	bed_close(&c);
	return ok;
}

bool bed_ping(enum bed_place from, enum bed_place to, int family)
{
	uint8_t m[16] = { family == 4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 1 };
	struct sockaddr_storage s;
	socklen_t len = bed_sockaddr(&s, bed_addr(to, family), family, 0);
	char buf[256];
	bool got = false;
	int fd;

	if (family == 4) { /* ICMPv6 sums are the kernel's work */
		uint32_t sum = 0;

		for (int i = 0; i < 16; i += 2)
			sum += (uint32_t)(m[i] << 8 | m[i + 1]);
		sum = ~((sum & 0xffff) + (sum >> 16));
		m[2] = (uint8_t)(sum >> 8);
		m[3] = (uint8_t)sum;
	}
	bed_enter(from);
	fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
		    family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	bed_enter(NODE);
	if (fd < 0)
		die("raw socket");
	(void)!sendto(fd, m, sizeof(m), 0, (void *)&s, len);
	while (!got && bed_readable(fd)) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		int at = family == 4 ? 20 : 0;

		got = n > at && (uint8_t)buf[at] == (family == 4 ? 0 : 129);
	}
	close(fd);
	return got;
}

/* ---- IRs ------------------------------------------------------------------------------------- */

static struct rs_addr addr(const char *text)
{
	struct rs_addr a;

	if (rs_addr_parse(text, &a, NULL) < 0)
		die(text);
	return a;
}

static int addr_cmp(const void *a, const void *b)
{
	return rs_addr_cmp(&((const struct rs_ir_addr *)a)->addr,
			   &((const struct rs_ir_addr *)b)->addr);
}

static void put_addrs(struct rs_ir *ir, uint32_t extra)
{
	struct rs_addr a = addr("10.245.0.0");

	ir->addrs = rs_ir_alloc(ir, extra + 2, sizeof(*ir->addrs));
	for (int f = 4; f <= 6; f += 2)
		ir->addrs[ir->n_addrs++] =
			(struct rs_ir_addr){ addr(bed_addr(POD_A, f)), 10, "default/a" };
	for (uint32_t i = 0; i < extra; i++) {
		ir->addrs[ir->n_addrs++] = (struct rs_ir_addr){ a, 11, "default/many" };
		rs_addr_next(&a);
	}
	qsort(ir->addrs, ir->n_addrs, sizeof(*ir->addrs), addr_cmp);
}

static void put_locals(struct rs_ir *ir, int pods)
{
	static const uint32_t in[PODS] = { 1, 2, 3 }, out[PODS] = { 1, 1, 2 };
	static const char *const names[PODS] = { "default/a", "default/b", "default/c" };

	ir->locals = rs_ir_alloc(ir, 6, sizeof(*ir->locals));
	ir->guards = rs_ir_alloc(ir, 6, sizeof(*ir->guards));
	for (int f = 4; f <= 6; f += 2)
		for (int p = 0; p < pods; p++) {
			struct rs_addr a = addr(bed_addr(p, f));

			ir->locals[ir->n_locals++] =
				(struct rs_ir_local){ a, in[p], out[p], names[p] };
		}
	for (int p = 0; p < pods; p++)
		for (int f = 4; f <= 6; f += 2) {
			struct rs_ir_guard *g = &ir->guards[ir->n_guards++];

			g->ifindex = bed_ifindex(p);
			g->addr = addr(bed_addr(p, f));
			g->mac[0] = 2;
			g->mac[5] = (uint8_t)(p + 2);
			g->ll = addr("fe80::ff:fe00:2");
			g->ll.b[15] = (uint8_t)(p + 2);
			g->ifname = p == POD_A ? "rsa" : p == POD_B ? "rsb" : "rsc";
		}
}

static void put_groups(struct rs_ir *ir, bool with_c)
{
	const struct rs_ir_group all[] = {
		{ .dir = RS_DIR_IN, .group = 1, .profile = RS_PROFILE_ALLOW },
		{ .dir = RS_DIR_IN, .group = 2, .profile = RS_PROFILE_DENY, .isolated = true },
		{ .dir = RS_DIR_IN, .group = 3, .profile = RS_PROFILE_DENY, .isolated = true },
		{ .dir = RS_DIR_OUT, .group = 1, .profile = RS_PROFILE_ALLOW },
		{ .dir = RS_DIR_OUT, .group = 2, .profile = RS_PROFILE_DENY, .isolated = true },
	};

	ir->groups = rs_ir_alloc(ir, RS_ARRAY_SIZE(all), sizeof(*ir->groups));
	for (size_t i = 0; i < RS_ARRAY_SIZE(all); i++)
		if (with_c || (i != 2 && i != 4))
			ir->groups[ir->n_groups++] = all[i];
}

static void put_profiles(struct rs_ir *ir, bool p3, bool p5)
{
	static const struct rs_ir_port ports[] = {
		{ 6, 8080, 8080, true }, { 6, 9000, 9100, true }, { 17, 5353, 5353, true },
		{ 6, 7000, 7000, true }, { 6, 8080, 8080, true },
	};

	ir->n_ports = RS_ARRAY_SIZE(ports);
	ir->ports = rs_ir_alloc(ir, ir->n_ports, sizeof(*ports));
	memcpy(ir->ports, ports, sizeof(ports));
	ir->profiles = rs_ir_alloc(ir, 5, sizeof(*ir->profiles));
	ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ RS_PROFILE_ALLOW, 0, 0 };
	ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ RS_PROFILE_DENY, 0, 0 };
	if (p3)
		ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ 3, 0, 3 };
	ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ 4, 4, 1 };
	if (p5)
		ir->profiles[ir->n_profiles++] = (struct rs_ir_profile){ 5, 3, 2 };
}

struct rs_ir *bed_ir(const struct bed_policy *p)
{
	struct rs_ir *ir = rs_ir_new();

	ir->generation = p->generation;
	put_addrs(ir, p->extra);
	ir->ranges = rs_ir_alloc(ir, 3, sizeof(*ir->ranges));
	ir->ranges[0] = (struct rs_ir_range){ addr("192.0.2.0"), addr("192.0.2.76"), 20 };
	ir->ranges[1] = (struct rs_ir_range){ addr("255.255.0.0"), addr("255.255.255.255"), 21 };
	ir->ranges[2] = (struct rs_ir_range){ addr("fd00:192::"),
					      addr("fd00:192::ffff:ffff:ffff:ffff"), 20 };
	ir->n_ranges = 3;
	put_locals(ir, p->without_c ? 2 : 3);
	put_groups(ir, !p->without_c);
	ir->cells = rs_ir_alloc(ir, 2, sizeof(*ir->cells));
	if (!p->no_b_allow)
		ir->cells[ir->n_cells++] = (struct rs_ir_cell){
			.dir = RS_DIR_IN, .group = 2, .cls = 10, .profile = p->more_for_b ? 5 : 3
		};
	ir->cells[ir->n_cells++] =
		(struct rs_ir_cell){ .dir = RS_DIR_IN, .group = 2, .cls = 20, .profile = 4 };
	put_profiles(ir, !p->no_b_allow && !p->more_for_b, !p->no_b_allow && p->more_for_b);
	ir->node_ranges = rs_ir_alloc(ir, 2, sizeof(*ir->node_ranges));
	rs_cidr_parse("10.244.0.0/24", &ir->node_ranges[0], NULL, NULL);
	rs_cidr_parse("fd00:10:244::/64", &ir->node_ranges[1], NULL, NULL);
	ir->n_node_ranges = 2;
	return ir;
}
