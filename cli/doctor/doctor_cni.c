// SPDX-License-Identifier: Apache-2.0
/* doctor_cni.c - what the runtime will call for a pod: configurations in order, plugins, what other
 * CNIs left behind, and whether the runtime asks for STATUS. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OURS "ripstop"

static const char *const conf_dirs[] = {
	"etc/cni/net.d",
	"var/lib/rancher/k3s/agent/etc/cni/net.d",
	"etc/kubernetes/cni/net.d",
};

static const char *const bin_dirs[] = {
	"opt/cni/bin",	       "usr/lib/cni",	  "var/lib/rancher/k3s/data/cni",
	"home/kubernetes/bin", "var/lib/cni/bin",
};

/* ---- configurations -------------------------------------------------------------------------- */

static bool has_end(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && !strcmp(name + n - m, end);
}

static bool is_conf(const char *name)
{
	return has_end(name, ".conflist") || has_end(name, ".conf") || has_end(name, ".json");
}

static struct json_object *parse(const struct doctor *d, const char *dir, const char *name,
				 char **why)
{
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name), *text = doctor_read(d, path);
	struct json_object *o = NULL;
	rs_auto_err err = { 0 };

	if (!text)
		*why = rs_strdup("it cannot be read");
	else if (rs_json_parse(text, strlen(text), 32, &o, &err) < 0)
		*why = rs_strdup(rs_err_str(&err));
	return o;
}

/* "ripstop, portmap": the types of its plugins; NULL when it has none. */
static char *types_of(struct json_object *conf)
{
	struct json_object *list = rs_json_get(conf, "plugins");
	const char *one = rs_json_text(conf, "type", NULL);
	rs_auto_strbuf b = { 0 };

	for (size_t i = 0; i < cli_count(conf, "plugins"); i++) {
		const char *type =
			rs_json_text(json_object_array_get_idx(list, i), "type", "(no type)");

		rs_strbuf_printf(&b, "%s%s", b.len ? ", " : "", type);
	}
	if (!list && one)
		rs_strbuf_puts(&b, one);
	return b.len ? rs_strbuf_steal(&b) : NULL;
}

static bool is_ours(const char *types)
{
	return !strcmp(types, OURS) || !strncmp(types, OURS ", ", strlen(OURS ", ")) ||
	       strstr(types, ", " OURS);
}

struct confs {
	char *first; /* the file that wins; NULL: none yet */
	bool first_is_ours;
	char *ours; /* our first file */
};

static const char why_first[] =
	"the runtime takes the first valid file in the order of names, for every pod";

static void bad_conf(struct doctor *d, const char *name, const char *what)
{
	doctor_say(d, DOCTOR_WARN, "cni-config", why_first, "mend or remove it",
		   "%s is skipped by the runtime: %s", name, what);
}

static void one_conf(struct doctor *d, struct confs *c, const char *dir, const char *name)
{
	rs_autofree char *why = NULL, *types = NULL;
	rs_autojson struct json_object *o = parse(d, dir, name, &why);

	if (o)
		types = types_of(o);
	if (!types) {
		bad_conf(d, name, why ? why : "it names no plugin");
		return;
	}
	if (is_ours(types) && !c->ours)
		c->ours = rs_strdup(name);
	if (!c->first) {
		c->first = rs_strdup(name);
		c->first_is_ours = is_ours(types);
		doctor_say(d, c->first_is_ours ? DOCTOR_OK : DOCTOR_FAIL, "cni-config", why_first,
			   c->first_is_ours ? NULL
					    : "move the other CNI's file away (its own uninstall "
					      "does it)",
			   "%s wins (%s)", name, types);
	} else {
		doctor_say(d, DOCTOR_OK, "cni-config", why_first, NULL, "%s does not count (%s)",
			   name, types);
	}
}

static void confs(struct doctor *d, const char *dir)
{
	struct doctor_names names = { 0 };
	struct confs c = { 0 };

	doctor_list(d, dir, &names);
	for (size_t i = 0; i < names.n; i++)
		if (is_conf(names.v[i]))
			one_conf(d, &c, dir, names.v[i]);
	if (!c.ours)
		doctor_say(d, DOCTOR_WARN, "cni-config", why_first,
			   "a host: make install; a cluster: the agent writes 05-ripstop.conflist "
			   "once it is ready",
			   "no configuration of Ripstop in /%s", dir);
	free(c.first);
	free(c.ours);
	doctor_names_free(&names);
}

static void conf_folders(struct doctor *d)
{
	size_t n = 0;

	for (size_t i = 0; i < RS_ARRAY_SIZE(conf_dirs); i++)
		if (doctor_exists(d, conf_dirs[i])) {
			n++;
			confs(d, conf_dirs[i]);
		}
	if (!n)
		doctor_say(d, DOCTOR_WARN, "cni-config", why_first,
			   "install a runtime with CNI (containerd, CRI-O, podman 4)",
			   "no CNI configuration folder (/%s)", conf_dirs[0]);
}

/* ---- plugins --------------------------------------------------------------------------------- */

static const char why_plugin[] = "the runtime runs it as root for every pod";

static bool plugin(struct doctor *d, const char *dir)
{
	rs_autofree char *path = rs_asprintf("%s/" OURS, dir), *full = doctor_path(d, path);
	struct stat st;

	if (stat(full, &st) < 0)
		return false;
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		doctor_say(d, DOCTOR_FAIL, "cni-plugin", why_plugin, "install it again",
			   "/%s cannot be run (mode %04o)", path, st.st_mode & 07777u);
	else if (st.st_uid != 0 || (st.st_mode & 022))
		doctor_say(d, DOCTOR_FAIL, "cni-plugin", why_plugin,
			   "chown root and chmod 0755 it, and ask who wrote it",
			   "/%s can be written by others than root (uid %u, mode %04o)", path,
			   st.st_uid, st.st_mode & 07777u);
	else
		doctor_say(d, DOCTOR_OK, "cni-plugin", why_plugin, NULL, "/%s", path);
	return true;
}

static void plugins(struct doctor *d)
{
	bool found = false, loopback = false;

	for (size_t i = 0; i < RS_ARRAY_SIZE(bin_dirs); i++) {
		rs_autofree char *lo = rs_asprintf("%s/loopback", bin_dirs[i]);

		found |= plugin(d, bin_dirs[i]);
		loopback |= doctor_exists(d, lo);
	}
	if (!found)
		doctor_say(d, DOCTOR_WARN, "cni-plugin", why_plugin,
			   "a host: make install; a cluster: the DaemonSet's init container puts "
			   "it there",
			   "no plugin named " OURS " in /%s", bin_dirs[0]);
	if (!loopback)
		doctor_say(d, DOCTOR_WARN, "cni-plugin",
			   "containerd 1.x calls the reference loopback plugin for every pod",
			   "install containernetworking-plugins, or containerd 2",
			   "no plugin named loopback");
}

/* ---- what others left ------------------------------------------------------------------------ */

struct trace {
	const char *of, *path;
};

static void leftovers(struct doctor *d)
{
	static const char why[] = "links, routes and rules of another CNI stay until somebody "
				  "removes them; they may carry or refuse pods' traffic";
	static const struct trace traces[] = {
		{ "bridge, flannel", "sys/class/net/cni0" },
		{ "flannel", "sys/class/net/flannel.1" },
		{ "flannel", "run/flannel/subnet.env" },
		{ "Calico", "sys/class/net/vxlan.calico" },
		{ "Calico", "sys/class/net/tunl0" },
		{ "Calico", "var/lib/calico/nodename" },
		{ "Cilium", "sys/class/net/cilium_host" },
		{ "Cilium", "sys/fs/bpf/cilium" },
		{ "Cilium", "run/cilium" },
		{ "kube-router", "sys/class/net/kube-bridge" },
		{ "Antrea", "sys/class/net/antrea-gw0" },
		{ "Weave", "sys/class/net/weave" },
		{ "kube-ovn, OVN-Kubernetes", "sys/class/net/ovn0" },
	};
	size_t n = 0;

	for (size_t i = 0; i < RS_ARRAY_SIZE(traces); i++)
		if (doctor_exists(d, traces[i].path)) {
			n++;
			doctor_say(d, DOCTOR_WARN, "other-cni", why,
				   "if it is gone from the cluster, run its own uninstall or "
				   "restart the machine",
				   "%s: /%s", traces[i].of, traces[i].path);
		}
	if (!n)
		doctor_say(d, DOCTOR_OK, "other-cni", why, NULL, "no traces of other CNIs");
}

/* ---- the runtime ----------------------------------------------------------------------------- */

/* "1.7.24~ds1-6" of a Debian package that is installed; NULL. */
static char *package_version(const char *status, const char *name)
{
	rs_autofree char *head = rs_asprintf("Package: %s\n", name);
	const char *at = status, *end, *v, *ok;

	while ((at = strstr(at, head)) && at != status && at[-1] != '\n')
		at += strlen(head);
	if (!at)
		return NULL;
	end = strstr(at, "\n\n");
	end = end ? end : at + strlen(at);
	v = strstr(at, "\nVersion: ");
	ok = strstr(at, "\nStatus: install ok installed");
	if (!v || v > end || !ok || ok > end)
		return NULL;
	v += strlen("\nVersion: ");
	return rs_strndup(v, strcspn(v, "\n"));
}

static bool has_program(const struct doctor *d, const char *name)
{
	rs_autofree char *usr = rs_asprintf("usr/bin/%s", name),
			 *local = rs_asprintf("usr/local/bin/%s", name);

	return doctor_exists(d, usr) || doctor_exists(d, local);
}

static void runtime(struct doctor *d)
{
	static const char why[] = "a runtime that asks a plugin for STATUS (containerd 2, CRI-O "
				  "1.31 and later) sees at once when no pod could join; others go "
				  "by the configuration file alone, which the agent writes only "
				  "when it is ready";
	rs_autofree char *status = doctor_read(d, "var/lib/dpkg/status");
	rs_autofree char *version = status ? package_version(status, "containerd") : NULL;

	if (!version && status)
		version = package_version(status, "containerd.io");
	if (version)
		doctor_say(d, DOCTOR_OK, "runtime", why, NULL, "containerd %s: %s STATUS", version,
			   *version == '1' ? "does not ask for" : "asks for");
	else if (has_program(d, "containerd"))
		doctor_say(d, DOCTOR_OK, "runtime", why, NULL,
			   "containerd, of a version that no package tells: containerd --version");
	else if (has_program(d, "crio"))
		doctor_say(d, DOCTOR_OK, "runtime", why, NULL,
			   "CRI-O, of a version that no package tells: crio --version");
	else if (has_program(d, "podman") || doctor_exists(d, "var/lib/rancher/k3s"))
		doctor_say(d, DOCTOR_OK, "runtime", why, NULL, "%s",
			   has_program(d, "podman") ? "podman" : "k3s");
	else
		doctor_say(d, DOCTOR_WARN, "runtime", why, "install containerd, CRI-O or podman 4",
			   "no container runtime is found");
}

void doctor_cni(struct doctor *d)
{
	conf_folders(d);
	plugins(d);
	leftovers(d);
	runtime(d);
}
