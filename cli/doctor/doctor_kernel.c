// SPDX-License-Identifier: Apache-2.0
/* doctor_kernel.c - what the kernel is and can do: version, options, limits, clock. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

#include <zlib.h>

#define MAX_CONFIG (4 * RS_MIB)

/* ---- version --------------------------------------------------------------------------------- */

static void version(struct doctor *d)
{
	static const char why[] = "the rules are tested on Linux 6.1 and later";
	rs_autofree char *release = doctor_release(d);
	unsigned int major = 0, minor = 0;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		doctor_say(d, DOCTOR_WARN, "kernel", why, "see uname -r",
			   "the release \"%s\" cannot be read", release);
	else if (major < 6 || (major == 6 && minor < 1))
		doctor_say(d, DOCTOR_WARN, "kernel", why,
			   "run Linux 6.1 or later, or try and watch the agent's log", "%s",
			   release);
	else
		doctor_say(d, DOCTOR_OK, "kernel", why, NULL, "%s", release);
}

/* ---- options --------------------------------------------------------------------------------- */

/* What each is needed for. The module is that of an option that is no part of the kernel's file. */
static const struct option {
	const char *name, *module, *need;
	bool must;
} options[] = {
	{ "NF_TABLES", "nf_tables", "the rules themselves", true },
	{ "NF_TABLES_INET", NULL, "one table for IPv4 and IPv6", true },
	{ "NF_CONNTRACK", "nf_conntrack", "flows are judged as conntrack sees them", true },
	{ "NF_CONNTRACK_MARK", NULL, "verdicts are remembered in ct mark", true },
	{ "NFT_CT", "nft_ct", "rules read conntrack", true },
	{ "NETFILTER_NETLINK", "nfnetlink", "the agent talks to netfilter", true },
	{ "VETH", "veth", "a pod's link is a veth pair", true },
	{ "NFT_LIMIT", "nft_limit", "the log of drops is bounded by pod", true },
	{ "NFT_LOG", "nft_log", "drops are logged", false },
	{ "NETFILTER_NETLINK_LOG", "nfnetlink_log", "monitor and capture read NFLOG", false },
	{ "NFT_MASQ", "nft_masq", "masquerading towards the world", false },
	{ "NFT_NAT", "nft_nat", "masquerading towards the world", false },
};

/* The text of /proc/config.gz; gzopen() reads plain files too. */
static char *unpacked(const struct doctor *d, const char *path)
{
	rs_autofree char *full = doctor_path(d, path);
	rs_auto_strbuf b = { 0 };
	gzFile f = gzopen(full, "re");
	char buf[8192];
	int n = -1;

	if (!f)
		return NULL;
	while (b.len < MAX_CONFIG && (n = gzread(f, buf, sizeof(buf))) > 0)
		rs_strbuf_add(&b, buf, (size_t)n);
	gzclose(f);
	return n >= 0 && b.len ? rs_strbuf_steal(&b) : NULL;
}

static char *config(const struct doctor *d, char **from)
{
	rs_autofree char *release = doctor_release(d);
	char *paths[] = { rs_strdup("proc/config.gz"), rs_asprintf("boot/config-%s", release),
			  rs_asprintf("usr/lib/modules/%s/config", release),
			  rs_asprintf("lib/modules/%s/config", release) };
	char *text = NULL;

	for (size_t i = 0; i < RS_ARRAY_SIZE(paths); i++) {
		if (!text && (text = unpacked(d, paths[i])))
			*from = rs_asprintf("/%s", paths[i]);
		free(paths[i]);
	}
	return text;
}

/* 'y', 'm' or 0 */
static char setting(const char *text, const char *name)
{
	rs_autofree char *line = rs_asprintf("\nCONFIG_%s=", name);
	const char *at = strstr(text, line);

	return at ? at[strlen(line)] : '\0';
}

/* A module that this kernel's folder does not list cannot be loaded. */
static bool module_is_there(const struct doctor *d, const char *name)
{
	rs_autofree char *release = doctor_release(d);
	rs_autofree char *path = rs_asprintf("lib/modules/%s/modules.dep", release);
	rs_autofree char *dep = doctor_read(d, path), *word = rs_asprintf("/%s.ko", name);
	rs_autofree char *loaded = rs_asprintf("sys/module/%s", name);

	return !dep || strstr(dep, word) || doctor_exists(d, loaded);
}

static void option(struct doctor *d, const char *text, const struct option *o)
{
	enum doctor_state bad = o->must ? DOCTOR_FAIL : DOCTOR_WARN;
	rs_autofree char *fix = rs_asprintf("run a kernel with CONFIG_%s", o->name);
	char c = setting(text, o->name);

	if (c != 'y' && c != 'm')
		doctor_say(d, bad, "kernel", o->need, fix, "CONFIG_%s is off", o->name);
	else if (c == 'm' && o->module && !module_is_there(d, o->module))
		doctor_say(d, bad, "kernel", o->need,
			   "install the modules of the running kernel (Debian: linux-image of the "
			   "same release), or boot the one that is installed",
			   "CONFIG_%s is a module, and %s.ko is not among this kernel's modules",
			   o->name, o->module);
}

static void options_of(struct doctor *d)
{
	static const char why[] =
		"nf_tables, conntrack, NFLOG and veth are what Ripstop is built on";
	size_t before = d->n[DOCTOR_WARN] + d->n[DOCTOR_FAIL];
	rs_autofree char *from = NULL, *text = config(d, &from);
	rs_auto_strbuf whole = { 0 };

	if (!text) {
		doctor_say(d, DOCTOR_WARN, "kernel", why,
			   "the agent tells at its start what the kernel refuses",
			   "its options are not known: no /proc/config.gz, no /boot/config-*");
		return;
	}
	/* So that the first line is found like the others. */
	rs_strbuf_printf(&whole, "\n%s", text);
	for (size_t i = 0; i < RS_ARRAY_SIZE(options); i++)
		option(d, whole.s, &options[i]);
	if (d->n[DOCTOR_WARN] + d->n[DOCTOR_FAIL] == before)
		doctor_say(d, DOCTOR_OK, "kernel", why, NULL, "all %zu options are there (%s)",
			   RS_ARRAY_SIZE(options), from);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void conntrack(struct doctor *d)
{
	static const char why[] = "when the table is full, new flows are dropped before any policy";
	long long n, max;

	if (!doctor_number(d, "proc/sys/net/netfilter/nf_conntrack_count", &n) ||
	    !doctor_number(d, "proc/sys/net/netfilter/nf_conntrack_max", &max) || max <= 0)
		doctor_say(d, DOCTOR_OK, "conntrack", why, NULL,
			   "not in use yet: the agent loads it");
	else if (n >= max - max / 10)
		doctor_say(d, n >= max ? DOCTOR_FAIL : DOCTOR_WARN, "conntrack", why,
			   "raise net.netfilter.nf_conntrack_max", "%lld of %lld flows", n, max);
	else
		doctor_say(d, DOCTOR_OK, "conntrack", why, NULL, "%lld of %lld flows", n, max);
}

static void inotify(struct doctor *d)
{
	static const char why[] =
		"the agent watches its folders of manifests and CNI files with inotify";
	long long instances, watches;

	if (!doctor_number(d, "proc/sys/fs/inotify/max_user_instances", &instances) ||
	    !doctor_number(d, "proc/sys/fs/inotify/max_user_watches", &watches))
		doctor_say(d, DOCTOR_FAIL, "inotify", why, "run a kernel with CONFIG_INOTIFY_USER",
			   "the kernel has none");
	else if (instances < 128 || watches < 8192)
		doctor_say(d, DOCTOR_WARN, "inotify", why,
			   "sysctl fs.inotify.max_user_instances=512 "
			   "fs.inotify.max_user_watches=65536",
			   "%lld instances, %lld watches a user", instances, watches);
	else
		doctor_say(d, DOCTOR_OK, "inotify", why, NULL,
			   "%lld instances, %lld watches a user", instances, watches);
}

static void memory(struct doctor *d)
{
	static const char why[] = "the kernel's sets are charged to the agent: some 100 bytes an "
				  "element, twice while a table is made anew";
	static const char *const paths[] = { "sys/fs/cgroup/memory.max",
					     "sys/fs/cgroup/memory/memory.limit_in_bytes" };
	long long limit = -1;

	for (size_t i = 0; i < RS_ARRAY_SIZE(paths) && limit < 0; i++)
		if (!doctor_number(d, paths[i], &limit))
			limit = -1;
	if (limit < 0 || limit > (1LL << 50))
		doctor_say(d, DOCTOR_OK, "memory", why, NULL,
			   "this control group has no limit of its own");
	else if (limit < 64LL << 20)
		doctor_say(d, DOCTOR_WARN, "memory", why, "give the agent 256 MiB",
			   "this control group may hold %lld MiB", limit >> 20);
	else
		doctor_say(d, DOCTOR_OK, "memory", why, NULL,
			   "this control group may hold %lld MiB", limit >> 20);
}

/* ---- the eBPF dataplane ---------------------------------------------------------------------- */

static void bpf(struct doctor *d)
{
	static const char why[] = "the eBPF dataplane needs all three; where one is missing nft "
				  "enforces, whatever is configured";
	bool btf = doctor_exists(d, "sys/kernel/btf/vmlinux");
	rs_autofree char *mounts = doctor_read(d, "proc/mounts");
	bool fs = mounts && strstr(mounts, " /sys/fs/bpf bpf ");
	rs_autofree char *from = NULL, *text = config(d, &from);
	char c = text ? setting(text, "NETFILTER_BPF_LINK") : '\0';

	doctor_say(d, DOCTOR_OK, "bpf", why, NULL,
		   "BTF %s, /sys/fs/bpf %s, CONFIG_NETFILTER_BPF_LINK %s",
		   btf ? "is there" : "is not there", fs ? "is mounted" : "is not mounted",
		   !text      ? "is not known"
		   : c == 'y' ? "is on"
			      : "is off");
}

/* ---- clock ----------------------------------------------------------------------------------- */

static bool synchronised(const struct doctor *d, bool *known)
{
	struct timex t = { 0 };

	*known = true;
	if (!*d->root)
		return adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
	*known = doctor_exists(d, "run/systemd/timesync");
	return doctor_exists(d, "run/systemd/timesync/synchronized");
}

static void clock_of(struct doctor *d)
{
	static const char why[] = "certificates of the API server are valid by date, and records "
				  "of several nodes are put side by side by their time";
	bool known, good = synchronised(d, &known);

	if (!known)
		doctor_say(d, DOCTOR_OK, "time", why, NULL, "not known below this root");
	else if (good)
		doctor_say(d, DOCTOR_OK, "time", why, NULL, "the clock is synchronised");
	else
		doctor_say(d, DOCTOR_WARN, "time", why,
			   "switch on systemd-timesyncd, chrony or ntpd",
			   "the clock is not synchronised");
}

void doctor_kernel(struct doctor *d)
{
	version(d);
	options_of(d);
	conntrack(d);
	inotify(d);
	memory(d);
	bpf(d);
	clock_of(d);
}
