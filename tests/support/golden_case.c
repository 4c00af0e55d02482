// SPDX-License-Identifier: Apache-2.0
/*
 * golden_case.c - parsing of golden folders: one line a fact, the first bad line ends it with file and
 * line number.
 */
#include "tests/support/golden_case.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define MAX_FILE (1024UL * 1024UL)
#define MAX_FIELDS 6
#define FIRST_IFINDEX 100

static const char default_world[] = "pod-range 10.244.0.0/16\n"
				    "pod-range fd00:10:244::/48\n"
				    "node-range 10.244.1.0/24\n"
				    "node-range fd00:10:244:1::/64\n"
				    "node 192.0.2.1 fd00:192::1\n"
				    "host outside 192.0.2.10 fd00:192::10\n"
				    "host outside2 192.0.2.20 fd00:192::20\n";

static int slot_of(const struct rs_addr *a)
{
	return a->family == RS_AF_IP6;
}

/* Split a line in place; the comment goes. Returns the number of fields, MAX_FIELDS for too many. */
static size_t split(char *line, char *fields[MAX_FIELDS])
{
	char *save = NULL, *tok;
	size_t n = 0;

	line[strcspn(line, "#")] = '\0';
	for (tok = strtok_r(line, " \t\r", &save); tok && n < MAX_FIELDS;
	     tok = strtok_r(NULL, " \t\r", &save))
		fields[n++] = tok;
	return n;
}

/* ---- world ----------------------------------------------------------------------------------- */

static int read_addrs(char **fields, size_t n, struct golden_host *h, struct rs_err *err)
{
	size_t i;
	int rc;

	if (n < 1 || n > 2)
		return rs_err_set(err, EINVAL, "one or two addresses are wanted");
	for (i = 0; i < n; i++) {
		rc = rs_addr_parse(fields[i], &h->addrs[i], err);
		if (rc < 0)
			return rc;
	}
	h->n = n;
	return 0;
}

static int world_line(struct golden_world *w, char **f, size_t n, struct rs_err *err)
{
	struct golden_host *h;

	if (strcmp(f[0], "pod-range") == 0 && n == 2)
		return rs_cidr_parse(f[1], rs_vec_push(&w->pod_ranges), NULL, err);
	if (strcmp(f[0], "node-range") == 0 && n == 2)
		return rs_cidr_parse(f[1], rs_vec_push(&w->node_ranges), NULL, err);
	if (strcmp(f[0], "lenient") == 0 && n == 1) {
		w->lenient = true;
		return 0;
	}
	if (strcmp(f[0], "complete") == 0 && n == 1) {
		w->complete = true;
		return 0;
	}
	if (strcmp(f[0], "node-name") == 0 && n == 2 && !w->node_name) {
		w->node_name = rs_strdup(f[1]);
		return 0;
	}
	if (strcmp(f[0], "node") == 0)
		return read_addrs(f + 1, n - 1, &w->node, err);
	if (strcmp(f[0], "host") == 0 && n >= 3) {
		h = rs_vec_push(&w->hosts);
		h->name = rs_strdup(f[1]);
		return read_addrs(f + 2, n - 2, h, err);
	}
	return rs_err_set(err, EINVAL, "unknown line '%s'", f[0]);
}

/* Read text; only_missing: skip keywords that `have` holds already. */
static int world_text(struct golden_world *w, const char *file, char *text,
		      const struct golden_world *have, struct rs_err *err)
{
	char *save = NULL, *line, *fields[MAX_FIELDS];
	size_t n;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		n = split(line, fields);
		if (n == 0)
			continue;
		if (have && ((strcmp(fields[0], "pod-range") == 0 && have->pod_ranges.n) ||
			     (strcmp(fields[0], "node-range") == 0 && have->node_ranges.n) ||
			     (strcmp(fields[0], "node") == 0 && have->node.n) ||
			     (strcmp(fields[0], "host") == 0 && have->hosts.n)))
			continue;
		if (world_line(w, fields, n, err) < 0)
			return rs_err_wrap(err, "%s: %s", file, fields[0]);
	}
	return 0;
}

static void add_defaults(struct golden_world *w)
{
	rs_autofree char *text = rs_strdup(default_world);
	struct golden_world have = *w; /* counts only: what the file has said */

	if (world_text(w, "defaults", text, &have, NULL) < 0)
		abort(); /* our own text above */
}

int golden_world_read(const char *dir, struct golden_world *out, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/world", dir);
	rs_autofree char *text = NULL;
	int rc;

	if (access(path, F_OK) == 0) {
		rc = rs_file_read(path, MAX_FILE, &text, NULL, err);
		if (rc == 0)
			rc = world_text(out, path, text, NULL, err);
		if (rc < 0)
			return rc;
	}
	add_defaults(out);
	return 0;
}

void golden_world_free(struct golden_world *w)
{
	size_t i;

	for (i = 0; i < w->hosts.n; i++)
		free(w->hosts.v[i].name);
	rs_vec_free(&w->hosts);
	rs_vec_free(&w->pod_ranges);
	rs_vec_free(&w->node_ranges);
	free(w->node_name);
	memset(w, 0, sizeof(*w));
}

/* ---- local pods ------------------------------------------------------------------------------ */

static void ports_free(struct rs_container_port *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(p[i].name);
	free(p);
}

static bool is_local(const struct golden_world *w, const struct rs_pod *pod)
{
	size_t i, j;

	if (pod->host_network || rs_pod_finished(pod))
		return false;
	if (w->node_name && pod->node && strcmp(pod->node, w->node_name) != 0)
		return false;
	for (i = 0; i < pod->n_ips; i++)
		for (j = 0; j < w->node_ranges.n; j++)
			if (rs_cidr_contains(&w->node_ranges.v[j], &pod->ips[i]))
				return true;
	return false;
}

static struct golden_local *find_local(const struct golden_locals *l, const char *ns,
				       const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->v[i].ns, ns) == 0 && strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

static struct golden_local *add_local(struct golden_locals *l, const struct rs_pod *pod)
{
	struct golden_local *g = rs_vec_push(l);

	g->ns = rs_strdup(pod->meta.ns);
	g->name = rs_strdup(pod->meta.name);
	snprintf(g->ifname, sizeof(g->ifname), "rsgold%zu", l->n);
	g->n_ips = pod->n_ips;
	memcpy(g->ips, pod->ips, pod->n_ips * sizeof(g->ips[0]));
	return g;
}

static void relabel(struct golden_local *g, const struct rs_pod *pod)
{
	size_t i;

	rs_labels_free(&g->labels);
	g->labels = rs_labels_copy(&pod->meta.labels);
	ports_free(g->ports, g->n_ports);
	g->n_ports = pod->n_ports;
	g->ports = rs_new0(struct rs_container_port, pod->n_ports);
	for (i = 0; i < pod->n_ports; i++) {
		g->ports[i] = pod->ports[i];
		g->ports[i].name = rs_strdup(pod->ports[i].name);
	}
	g->in_objects = true;
}

int golden_locals_update(struct golden_locals *l, const struct golden_world *w,
			 const struct rs_store *store, struct rs_err *err)
{
	const struct rs_pod *const *pods;
	struct golden_local *g;
	size_t i, n;

	for (i = 0; i < l->n; i++)
		l->v[i].in_objects = false;
	pods = rs_store_pods(store, &n);
	for (i = 0; i < n; i++) {
		if (!is_local(w, pods[i]))
			continue;
		if (pods[i]->n_ips > 2)
			return rs_err_set(err, EINVAL, "pod %s/%s has more than two addresses",
					  pods[i]->meta.ns, pods[i]->meta.name);
		g = find_local(l, pods[i]->meta.ns, pods[i]->meta.name);
		relabel(g ? g : add_local(l, pods[i]), pods[i]);
	}
	return 0;
}

void golden_locals_free(struct golden_locals *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].ns);
		free(l->v[i].name);
		rs_labels_free(&l->v[i].labels);
		ports_free(l->v[i].ports, l->v[i].n_ports);
	}
	rs_vec_free(l);
}

/* Interface, MAC and link-local address follow from the order of arrival. */
static struct rs_local_pod view_of(const struct golden_local *g, size_t index)
{
	struct rs_local_pod p = {
		.ns = g->ns,
		.name = g->name,
		.labels = &g->labels,
		.ips = g->ips,
		.n_ips = g->n_ips,
		.ports = g->ports,
		.n_ports = g->n_ports,
		.ifindex = (uint32_t)(FIRST_IFINDEX + index),
		.ifname = g->ifname,
		.mac = { 2, 0, 0, 0, 0, (uint8_t)(index + 1) },
	};
	size_t i;

	for (i = 0; i < g->n_ips; i++)
		if (g->ips[i].family == RS_AF_IP6)
			p.ll = (struct rs_addr){
				.family = RS_AF_IP6,
				.b = { 0xfe, 0x80, [15] = (uint8_t)(index + 1) },
			};
	return p;
}

struct rs_local_pod *golden_locals_view(const struct golden_locals *l, bool (*keep)(size_t index),
					size_t *n)
{
	struct rs_local_pod *v = rs_new0(struct rs_local_pod, l->n);
	size_t i;

	*n = 0;
	for (i = 0; i < l->n; i++)
		if (!keep || keep(i))
			v[(*n)++] = view_of(&l->v[i], i);
	return v;
}

/* ---- flows ----------------------------------------------------------------------------------- */

static void set_addrs(struct golden_end *e, const struct rs_addr *a, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		e->addr[slot_of(&a[i])] = a[i];
}

static int read_pod(const char *text, const char *slash, const struct rs_store *store,
		    const struct golden_locals *locals, struct golden_end *e, struct rs_err *err)
{
	const struct golden_local *g;
	const struct rs_pod *pod;

	e->ns = rs_strndup(text, (size_t)(slash - text));
	e->name = rs_strdup(slash + 1);
	g = find_local(locals, e->ns, e->name);
	pod = rs_store_pod(store, e->ns, e->name);
	if (g)
		set_addrs(e, g->ips, g->n_ips);
	else if (pod && !pod->host_network)
		set_addrs(e, pod->ips, pod->n_ips);
	else
		return rs_err_set(err, EINVAL, "no pod %s that could be an end", text);
	return 0;
}

static int read_end(const char *text, const struct golden_world *w, const struct rs_store *store,
		    const struct golden_locals *locals, struct golden_end *e, struct rs_err *err)
{
	const char *slash = strchr(text, '/');
	size_t i;

	if (slash)
		return read_pod(text, slash, store, locals, e, err);
	e->name = rs_strdup(text);
	if (strcmp(text, "node") == 0) {
		e->node = true;
		set_addrs(e, w->node.addrs, w->node.n);
		return 0;
	}
	for (i = 0; i < w->hosts.n; i++) {
		if (strcmp(w->hosts.v[i].name, text) == 0) {
			set_addrs(e, w->hosts.v[i].addrs, w->hosts.v[i].n);
			return 0;
		}
	}
	return rs_err_set(err, EINVAL, "no host '%s' in the world", text);
}

static int read_number(const char *text, long lo, long hi, long *out, struct rs_err *err)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	if (errno || !isdigit((unsigned char)*text) || *end || *out < lo || *out > hi)
		return rs_err_set(err, EINVAL, "'%s' is not a number from %ld to %ld", text, lo,
				  hi);
	return 0;
}

static int read_proto(const char *text, struct golden_flow *f, struct rs_err *err)
{
	static const struct {
		const char *prefix;
		uint8_t proto;
	} known[] = { { "tcp/", IPPROTO_TCP }, { "udp/", IPPROTO_UDP }, { "sctp/", IPPROTO_SCTP } };
	long number;
	size_t i;
	int rc;

	if (strcmp(text, "icmp") == 0) {
		f->proto[0] = IPPROTO_ICMP;
		f->proto[1] = IPPROTO_ICMPV6;
		return 0;
	}
	if (strncmp(text, "ip/", 3) == 0) {
		rc = read_number(text + 3, 0, 255, &number, err);
		f->proto[0] = f->proto[1] = (uint8_t)number;
		return rc;
	}
	for (i = 0; i < RS_ARRAY_SIZE(known); i++) {
		if (strncmp(text, known[i].prefix, strlen(known[i].prefix)) != 0)
			continue;
		f->proto[0] = f->proto[1] = known[i].proto;
		rc = read_number(text + strlen(known[i].prefix), 1, 65535, &number, err);
		f->port = (uint16_t)number;
		return rc;
	}
	return rs_err_set(err, EINVAL, "unknown protocol '%s'", text);
}

static int read_family(const char *text, struct golden_flow *f, struct rs_err *err)
{
	bool only4 = text && strcmp(text, "@4") == 0;
	bool only6 = text && strcmp(text, "@6") == 0;
	int i;

	if (text && !only4 && !only6)
		return rs_err_set(err, EINVAL, "unknown family '%s'", text);
	for (i = 0; i < 2; i++)
		f->family[i] = f->src.addr[i].family && f->dst.addr[i].family &&
			       !(i == 0 && only6) && !(i == 1 && only4);
	if (!f->family[0] && !f->family[1])
		return rs_err_set(err, EINVAL, "the ends have no family in common");
	return 0;
}

static int read_flow(char **t, size_t n, const struct golden_world *w, const struct rs_store *store,
		     const struct golden_locals *locals, struct golden_flow *f, struct rs_err *err)
{
	int rc;

	if (n < 4 || n > 5)
		return rs_err_set(err, EINVAL, "VERDICT SRC DST PROTO [FAMILY] is wanted");
	f->allow = strcmp(t[0], "allow") == 0;
	if (!f->allow && strcmp(t[0], "deny") != 0)
		return rs_err_set(err, EINVAL, "'%s' is neither allow nor deny", t[0]);
	rc = read_end(t[1], w, store, locals, &f->src, err);
	if (rc == 0)
		rc = read_end(t[2], w, store, locals, &f->dst, err);
	if (rc == 0)
		rc = read_proto(t[3], f, err);
	f->proto_text = rs_strdup(t[3]);
	return rc < 0 ? rc : read_family(n == 5 ? t[4] : NULL, f, err);
}

int golden_flows_read(const char *path, const struct golden_world *w, const struct rs_store *store,
		      const struct golden_locals *locals, struct golden_flows *out,
		      struct rs_err *err)
{
	rs_autofree char *text = NULL;
	char *next, *line, *t[MAX_FIELDS];
	struct golden_flow *f;
	int rc, number = 0;
	size_t n;

	rc = rs_file_read(path, MAX_FILE, &text, NULL, err);
	if (rc < 0)
		return rc;
	for (next = text; next && *next;) {
		line = strsep(&next, "\n");
		number++;
		n = split(line, t);
		if (n == 0)
			continue;
		f = rs_vec_push(out);
		f->line = number;
		if (read_flow(t, n, w, store, locals, f, err) < 0)
			return rs_err_wrap(err, "%s:%d", path, number);
	}
	return out->n ? 0 : rs_err_set(err, EINVAL, "%s: no flow in it", path);
}

void golden_flows_free(struct golden_flows *f)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		free(f->v[i].src.ns);
		free(f->v[i].src.name);
		free(f->v[i].dst.ns);
		free(f->v[i].dst.name);
		free(f->v[i].proto_text);
	}
	rs_vec_free(f);
}
