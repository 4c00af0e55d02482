// SPDX-License-Identifier: Apache-2.0
/* cnibed.c - pods and calls of the contestants; see cnibed.h. */
#include "tests/bench/cnibed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if.h>

#include "base/base.h"
#include "netlink/netlink.h"
#include "tests/bench/benchkit.h"
#include "tests/bench/cniagent.h"
#include "tests/bench/flows.h"
#include "tests/bench/pairw.h"

#define POD_IF "eth0"
#define PATH_ENV "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
#define ARGS "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=" PAIRW_NS ";K8S_POD_NAME="

static struct {
	char path[32];
	int sock; /* in it, to look at its interface */
} pods[CB_PODS];

/* ---- namespaces ------------------------------------------------------------------------------ */

static void private_run(void)
{
	struct rlimit files;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0 ||
	    mkdir("/run/netns", 0755) < 0)
		bench_die("a /run of its own: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void make_pod(size_t i)
{
	int ns = bk_ns_new(), fd;

	snprintf(pods[i].path, sizeof(pods[i].path), "/run/netns/pod%zu", i);
	fd = open(pods[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || mount("/proc/self/ns/net", pods[i].path, NULL, MS_BIND, NULL) < 0)
		bench_die("%s: %s", pods[i].path, strerror(errno));
	close(fd);
	close(ns);
	pods[i].sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (pods[i].sock < 0)
		bench_die("socket: %s", strerror(errno));
}

void cb_open(const char *build)
{
	private_run();
	for (size_t i = 0; i < CB_PODS; i++)
		make_pod(i);
	cniagent_init(build);
}

/* ---- looking --------------------------------------------------------------------------------- */

static bool pod_is_up(size_t i)
{
	struct ifreq r = { .ifr_name = POD_IF };

	return ioctl(pods[i].sock, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) &&
	       ioctl(pods[i].sock, SIOCGIFADDR, &r) == 0;
}

static bool pod_is_empty(size_t i)
{
	struct ifreq r = { .ifr_name = POD_IF };

	return ioctl(pods[i].sock, SIOCGIFINDEX, &r) < 0 && errno == ENODEV;
}

static size_t count_links(const struct cb_contestant *c)
{
	struct rs_link *v = NULL;
	rs_auto_err err = { 0 };
	size_t n = 0;

	if (rs_link_list(c->nl, &v, &n, &err) < 0)
		bench_die("the node's links: %s", rs_err_str(&err));
	free(v);
	return n;
}

/* After a failure: what a plugin left in a pod would fail the next one. */
static void scrub(size_t i)
{
	rs_autoclose int ns = open(pods[i].path, O_RDONLY | O_CLOEXEC);
	struct rs_nl *nl = NULL;
	struct rs_link link;

	if (rs_nl_open_netns(ns, &nl, NULL) < 0)
		return;
	if (rs_link_get(nl, POD_IF, &link, NULL) == 0)
		rs_link_del(nl, link.ifindex, NULL);
	rs_nl_close(nl);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void fill_floor(const struct cb_contestant *c, bool add, size_t pod, struct cc_call *call)
{
	cc_arg(call, "%s/%s", c->dir, c->program);
	cc_arg(call, "%s", add ? "ADD" : "DEL");
	if (add)
		cc_arg(call, "%s", pods[pod].path);
	cc_arg(call, "floor%zu", pod);
	if (add)
		cc_arg(call, "10.88.3.%zu", pod + 1);
	cc_env(call, PATH_ENV);
}

static const char *pod_name(enum cb_pods kind)
{
	return kind == CB_ONE ? "one" : "pair";
}

static void fill_pod(const struct cb_contestant *c, size_t pod, unsigned int id,
		     struct cc_call *call)
{
	if (c->kind == CB_RIPSTOP && c->pods == CB_STRANGER)
		cc_env(call, ARGS "new-%zu-%u;RIPSTOP_LABELS=" PAIRW_LABELS, pod, id);
	else
		cc_env(call, ARGS "%s-%zu", pod_name(c->pods), pod);
}

static void fill_plugin(const struct cb_contestant *c, bool add, size_t pod, struct cc_call *call)
{
	unsigned int id = c->id[pod];

	cc_arg(call, "%s/%s", c->dir, c->program);
	cc_env(call, PATH_ENV);
	cc_env(call, "CNI_COMMAND=%s", add ? "ADD" : "DEL");
	cc_env(call, "CNI_CONTAINERID=bench-%s-%zu-%u", c->name, pod, id);
	cc_env(call, "CNI_NETNS=%s", pods[pod].path);
	cc_env(call, "CNI_IFNAME=" POD_IF);
	cc_env(call, "CNI_PATH=%s", c->dir);
	fill_pod(c, pod, id, call);
}

static const char *config_of(const struct cb_contestant *c)
{
	switch (c->kind) {
	case CB_RIPSTOP:
		return CNIAGENT_CONFIG;
	case CB_PTP:
		return "{\"cniVersion\":\"1.0.0\",\"name\":\"bench\",\"type\":\"ptp\",\"mtu\":1500,"
		       "\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.88.1.0/"
		       "24\"}]],"
		       "\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"dataDir\":\"/run/host-local-ptp\"}}";
	case CB_BRIDGE:
		return "{\"cniVersion\":\"1.0.0\",\"name\":\"bench\",\"type\":\"bridge\","
		       "\"bridge\":\"bench0\","
		       "\"isGateway\":true,\"mtu\":1500,"
		       "\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.88.2.0/"
		       "24\"}]],"
		       "\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"dataDir\":\"/run/"
		       "host-local-bridge\"}}";
	case CB_FLOOR:
		break;
	}
	return NULL;
}

static void prepare(struct cb_contestant *c, bool add, size_t pod, struct cc_call *call)
{
	if (add)
		c->id[pod]++;
	if (c->kind == CB_FLOOR)
		fill_floor(c, add, pod, call);
	else
		fill_plugin(c, add, pod, call);
	cc_prepare(call, config_of(c));
}

/* In order; each is looked at when it has returned, while others may still run. */
static char *collect(const struct cb_contestant *c, bool add, size_t first, size_t n,
		     struct cc_call *calls)
{
	char *why = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *what = NULL;

		if (!cc_wait(&calls[i]))
			what = "failed";
		else if (add ? !pod_is_up(first + i) : !pod_is_empty(first + i))
			what = add ? "returned, and the pod has no interface that is up"
				   : "returned, and the link was still there";
		if (what && !why) {
			rs_autofree char *said = cc_said(&calls[i]);

			why = rs_asprintf("%s of pod %zu by %s %s: status %d: %s",
					  add ? "ADD" : "DEL", i, c->name, what, calls[i].status,
					  said);
		}
	}
	return why;
}

/* Untimed: no pod keeps what belongs to a call that failed. */
static void give_up(struct cb_contestant *c, bool add, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		struct cc_call call = { 0 };

		if (add) {
			prepare(c, false, i, &call);
			cc_start(&call);
			cc_wait(&call);
			cc_clear(&call);
		}
		scrub(i);
	}
}

double cb_run(struct cb_contestant *c, bool add, size_t first, size_t n, char **why)
{
	static struct cc_call calls[CB_PODS];
	double t0, ms;

	if (add && c->kind == CB_RIPSTOP)
		cniagent_let_rest(n, c->emptied);
	bk_ns_enter(c->node_ns);
	for (size_t i = 0; i < n; i++)
		prepare(c, add, first + i, &calls[i]);
	t0 = bk_now();
	for (size_t i = 0; i < n; i++)
		cc_start(&calls[i]);
	*why = collect(c, add, first, n, calls);
	ms = (bk_now() - t0) * 1e3;
	if (!add)
		c->emptied = bk_now();
	for (size_t i = 0; i < n; i++)
		cc_clear(&calls[i]);
	if (!*why && !add && count_links(c) != c->links + first)
		*why = rs_asprintf("DEL by %s returned, and the node has a link more than before",
				   c->name);
	if (!*why)
		return ms;
	give_up(c, add, first, n);
	return -1;
}

double cb_run_nothing(const struct cb_contestant *c, size_t n, char **why)
{
	static struct cc_call calls[CB_PODS];
	double t0, ms;

	for (size_t i = 0; i < n; i++) {
		cc_arg(&calls[i], "%s/%s", c->dir, c->program);
		cc_arg(&calls[i], "NOTHING");
		cc_env(&calls[i], PATH_ENV);
		cc_prepare(&calls[i], NULL);
	}
	t0 = bk_now();
	for (size_t i = 0; i < n; i++)
		cc_start(&calls[i]);
	for (size_t i = 0; i < n; i++)
		if (!cc_wait(&calls[i]) && !*why)
			*why = cc_said(&calls[i]);
	ms = (bk_now() - t0) * 1e3;
	for (size_t i = 0; i < n; i++)
		cc_clear(&calls[i]);
	return *why ? -1 : ms;
}

bool cb_talk(const struct cb_contestant *c, unsigned int port)
{
	rs_autoclose int client = open(pods[0].path, O_RDONLY | O_CLOEXEC);
	rs_autoclose int server = open(pods[1].path, O_RDONLY | O_CLOEXEC);
	struct fl_path p = { .client_ns = client, .server_ns = server, .port = (uint16_t)port };
	struct ifreq r = { .ifr_name = POD_IF };
	bool got;

	if (client < 0 || server < 0 || ioctl(pods[1].sock, SIOCGIFADDR, &r) < 0)
		bench_die("the pods of %s: %s", c->name, strerror(errno));
	p.server.family = RS_AF_IP4;
	memcpy(p.server.b, r.ifr_addr.sa_data + 2, 4);
	got = fl_udp_passes(&p);
	bk_ns_enter(c->node_ns);
	return got;
}

/* ---- taking part ----------------------------------------------------------------------------- */

/* Both ways once, so that what a plugin makes once for all (a bridge) is there; then nothing else may be left. */
static char *try_it(struct cb_contestant *c)
{
	char *why = NULL;

	if (cb_run(c, true, 0, 2, &why) < 0)
		return why;
	if (c->kind == CB_RIPSTOP && c->pods == CB_ONE) {
		if (cb_talk(c, PAIRW_PORT))
			why = rs_strdup("traffic that one policy forbids gets through");
	} else if (c->kind == CB_RIPSTOP) {
		if (!cb_talk(c, PAIRW_PORT))
			why = rs_strdup("traffic that policy allows does not get through");
		else if (cb_talk(c, PAIRW_CLOSED))
			why = rs_strdup("traffic that policy forbids gets through");
	}
	if (why) {
		give_up(c, true, 0, 2);
		return why;
	}
	c->links = count_links(c) - 2;
	cb_run(c, false, 0, 2, &why);
	return why;
}

void cb_expect(const struct cb_contestant *c, size_t n)
{
	rs_autofree char *why = NULL;

	bk_ns_enter(c->node_ns);
	why = cniagent_bind(pod_name(CB_PAIR), PAIRW_LABELS, n);
	if (why)
		bench_die("%s", why);
}

/* Its agent, and pods of each kind tried. */
static char *make_ripstop(struct cb_contestant *c)
{
	static const enum cb_pods kinds[] = { CB_ONE, CB_STRANGER, CB_PAIR };
	char *why = cniagent_start(CB_WORLD_POLICIES, CB_WORLD_PODS);

	if (!why)
		why = cniagent_bind(pod_name(CB_ONE), CB_ONE_LABELS, 2);
	if (!why)
		cb_expect(c, 2);
	for (size_t i = 0; !why && i < RS_ARRAY_SIZE(kinds); i++) {
		c->pods = kinds[i];
		why = try_it(c);
	}
	return why;
}

char *cb_contestant_make(struct cb_contestant *c)
{
	rs_autofree char *path = rs_asprintf("%s/%s", c->dir, c->program);
	rs_auto_err err = { 0 };
	char *why;

	if (access(path, X_OK) < 0)
		return rs_asprintf("%s is not there", path);
	c->node_ns = bk_ns_new();
	bk_sysctl("net/ipv4/ip_forward", "1");
	if (rs_nl_open(&c->nl, &err) < 0)
		bench_die("%s", rs_err_str(&err));
	why = c->kind == CB_RIPSTOP ? make_ripstop(c) : try_it(c);
	c->ready = !why;
	return why;
}
