// SPDX-License-Identifier: Apache-2.0
/* doctor_net.c - switches of the network stack, both families, and MTUs. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

#include <ripstop/linkgroup.h>

#define IPV4 "proc/sys/net/ipv4/"
#define IPV6 "proc/sys/net/ipv6/"

/* Zero when it cannot be read. */
static long long number(const struct doctor *d, const char *path)
{
	long long n;

	return doctor_number(d, path, &n) ? n : 0;
}

/* ---- sysctl files ---------------------------------------------------------------------------- */

/* "/etc/sysctl.d/99-x.conf" when the text sets name to value; a slash may stand for a dot. */
static bool sets(char *text, const char *name, const char *value)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *eq = strchr(line, '=');
		size_t n;

		line += strspn(line, " \t-");
		if (*line == '#' || *line == ';' || !eq || eq < line)
			continue;
		n = strcspn(line, " \t=");
		for (size_t i = 0; i < n; i++)
			if (line[i] == '/')
				line[i] = '.';
		eq += 1 + strspn(eq + 1, " \t");
		if (n == strlen(name) && !strncmp(line, name, n) &&
		    !strncmp(eq, value, strlen(value)) &&
		    strspn(eq + strlen(value), " \t\r") == strlen(eq + strlen(value)))
			return true;
	}
	return false;
}

/* The file that says so; the caller frees it. */
static char *said_by(const struct doctor *d, const char *name, const char *value)
{
	static const char *const dirs[] = { "etc/sysctl.d", "run/sysctl.d", "usr/lib/sysctl.d" };
	rs_autofree char *main_text = doctor_read(d, "etc/sysctl.conf");
	char *found = NULL;

	if (main_text && sets(main_text, name, value))
		return rs_strdup("/etc/sysctl.conf");
	for (size_t i = 0; i < RS_ARRAY_SIZE(dirs) && !found; i++) {
		struct doctor_names names = { 0 };

		doctor_list(d, dirs[i], &names);
		for (size_t k = 0; k < names.n && !found; k++) {
			rs_autofree char *path = rs_asprintf("%s/%s", dirs[i], names.v[k]);
			rs_autofree char *text = doctor_read(d, path);

			if (text && sets(text, name, value))
				found = rs_asprintf("/%s", path);
		}
		doctor_names_free(&names);
	}
	return found;
}

/* ---- forwarding ------------------------------------------------------------------------------ */

static void forwarding_of(struct doctor *d, const char *path, const char *name, const char *family)
{
	static const char why[] = "pods reach nothing outside themselves when the node does not "
				  "forward; the plugin switches it on with the first pod";
	rs_autofree char *off = said_by(d, name, "0");
	long long n;

	if (!doctor_number(d, path, &n))
		return;
	if (off)
		doctor_say(d, DOCTOR_WARN, "forwarding", why, "take the line out of that file",
			   "%s: %s says %s = 0, which a later sysctl --system puts into force",
			   family, off, name);
	else
		doctor_say(d, DOCTOR_OK, "forwarding", why, NULL, "%s: %s", family,
			   n ? "on" : "off, until the first pod comes");
}

/* A default route that a router's advertisement made: RTF_DEFAULT | RTF_ADDRCONF, /proc's last
 * columns are flags and device. */
static bool has_ra_route(const struct doctor *d, const char *dev)
{
	rs_autofree char *text = doctor_read(d, "proc/net/ipv6_route");
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned int plen, flags;
		char name[32];

		if (sscanf(line, "%*32s %2x %*32s %*2s %*32s %*8s %*8s %*8s %8x %31s", &plen,
			   &flags, name) == 3 &&
		    plen == 0 && (flags & 0x00050000u) == 0x00050000u && !strcmp(name, dev))
			return true;
	}
	return false;
}

static void accept_ra(struct doctor *d)
{
	static const char why[] = "a node that forwards IPv6 ignores router advertisements unless "
				  "its link says accept_ra=2: its default route then runs out";
	bool forwards = number(d, IPV6 "conf/all/forwarding") != 0;
	struct doctor_names names = { 0 };
	size_t bad = 0;

	doctor_list(d, IPV6 "conf", &names);
	for (size_t i = 0; i < names.n; i++) {
		rs_autofree char *path = rs_asprintf(IPV6 "conf/%s/accept_ra", names.v[i]);

		if (number(d, path) != 1 || !has_ra_route(d, names.v[i]))
			continue;
		bad += forwards;
		doctor_say(d, forwards ? DOCTOR_FAIL : DOCTOR_OK, "accept-ra", why,
			   forwards ? "sysctl net.ipv6.conf.LINK.accept_ra=2 on that link, or set "
				      "the default route by hand"
				    : NULL,
			   "%s has its default route from a router; accept_ra is 1%s", names.v[i],
			   forwards ? " and the node forwards"
				    : ", which the plugin makes 2 before it switches on "
				      "forwarding");
	}
	if (names.n && !bad)
		doctor_say(d, DOCTOR_OK, "accept-ra", why, NULL,
			   "no default route will run out because of forwarding");
	doctor_names_free(&names);
}

static void forwarding(struct doctor *d)
{
	forwarding_of(d, IPV4 "ip_forward", "net.ipv4.ip_forward", "IPv4");
	forwarding_of(d, IPV6 "conf/all/forwarding", "net.ipv6.conf.all.forwarding", "IPv6");
	accept_ra(d);
}

/* ---- rp_filter, bridges ---------------------------------------------------------------------- */

static void rp_filter(struct doctor *d)
{
	static const char why[] =
		"strict reverse path filtering drops what comes in by another link than the "
		"answer would take, before any rule and without a counter of ours; Ripstop's own "
		"guard does not need it";
	long long all, def;

	if (!doctor_number(d, IPV4 "conf/all/rp_filter", &all) ||
	    !doctor_number(d, IPV4 "conf/default/rp_filter", &def))
		return;
	if (all == 1)
		doctor_say(d, DOCTOR_WARN, "rp-filter", why,
			   "on a node with several uplinks: sysctl net.ipv4.conf.all.rp_filter=2",
			   "strict on every link (all = 1, default = %lld)", def);
	else
		doctor_say(d, DOCTOR_OK, "rp-filter", why, NULL, "all = %lld, default = %lld", all,
			   def);
}

static void br_netfilter(struct doctor *d)
{
	static const char why[] = "with it, frames that other software bridges are seen by "
				  "netfilter as if they were routed; pods of Ripstop hang on no "
				  "bridge and do not need it";
	long long n;

	if (!doctor_number(d, "proc/sys/net/bridge/bridge-nf-call-iptables", &n))
		doctor_say(d, DOCTOR_OK, "br-netfilter", why, NULL, "not loaded");
	else
		doctor_say(d, DOCTOR_OK, "br-netfilter", why, NULL, "loaded, %s",
			   n ? "on: other software's bridges pass our rules too" : "off");
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

static void ipv6(struct doctor *d)
{
	static const char why[] = "pods get IPv6 addresses only where the node has IPv6";

	if (!doctor_exists(d, "proc/net/if_inet6"))
		doctor_say(d, DOCTOR_OK, "ipv6", why, NULL, "the kernel has none: IPv4 only");
	else if (number(d, IPV6 "conf/all/disable_ipv6"))
		doctor_say(d, DOCTOR_WARN, "ipv6", why,
			   "sysctl net.ipv6.conf.all.disable_ipv6=0, or give the node no IPv6 "
			   "range",
			   "switched off by net.ipv6.conf.all.disable_ipv6");
	else
		doctor_say(d, DOCTOR_OK, "ipv6", why, NULL, "on");
}

/* ---- MTU ------------------------------------------------------------------------------------- */

static long long mtu_of(const struct doctor *d, const char *link)
{
	rs_autofree char *path = rs_asprintf("sys/class/net/%s/mtu", link);

	return number(d, path);
}

/* The link of the IPv4 default route; NULL. */
static char *uplink(const struct doctor *d)
{
	rs_autofree char *text = doctor_read(d, "proc/net/route");
	char *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned int dst, mask;
		char name[32];

		if (sscanf(line, "%31s %8x %*8x %*4x %*d %*d %*d %8x", name, &dst, &mask) == 3 &&
		    !dst && !mask)
			return rs_strdup(name);
	}
	return NULL;
}

static size_t larger_pods(struct doctor *d, long long mtu)
{
	static const char why[] = "what a pod sends in full does not fit through the uplink and "
				  "must be fragmented, or is lost where ICMP is filtered";
	struct doctor_names names = { 0 };
	size_t n = 0;

	doctor_list(d, "sys/class/net", &names);
	for (size_t i = 0; i < names.n; i++) {
		rs_autofree char *path = rs_asprintf("sys/class/net/%s/netdev_group", names.v[i]);
		long long own = mtu_of(d, names.v[i]);

		if (number(d, path) != RS_LINK_GROUP || own <= mtu)
			continue;
		n++;
		doctor_say(d, DOCTOR_WARN, "mtu", why,
			   "set mtu in the conflist or --mtu of the agent; pods made from then on "
			   "have it",
			   "pod link %s has %lld, the uplink %lld", names.v[i], own, mtu);
	}
	doctor_names_free(&names);
	return n;
}

static void mtu(struct doctor *d)
{
	static const char why[] = "pods get the MTU of the uplink; IPv6 needs 1280";
	rs_autofree char *link = uplink(d);
	long long n = link ? mtu_of(d, link) : 0;

	if (!link || !n)
		doctor_say(d, DOCTOR_OK, "mtu", why, NULL, "no IPv4 default route to go by");
	else if (n < 1280)
		doctor_say(d, DOCTOR_WARN, "mtu", why, "raise it, or use IPv4 only",
			   "uplink %s has %lld", link, n);
	else if (!larger_pods(d, n))
		doctor_say(d, DOCTOR_OK, "mtu", why, NULL, "uplink %s has %lld", link, n);
}

void doctor_net(struct doctor *d)
{
	forwarding(d);
	rp_filter(d);
	br_netfilter(d);
	ipv6(d);
	mtu(d);
}
