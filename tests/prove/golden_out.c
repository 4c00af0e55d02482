// SPDX-License-Identifier: Apache-2.0
/*
 * golden_out.c - a case as a folder of tests/golden, seen from one of its nodes: its pods are local, all
 * others remote, other nodes are hosts.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/jsonio.h"
#include "tests/prove/scene.h"
#include "tests/prove/yaml_out.h"

/* ---- world ----------------------------------------------------------------------------------- */

/* A place without an address is nowhere. */
static void put_place(struct rs_strbuf *b, const char *word, const struct pv_place *p)
{
	char text[RS_ADDR_STRLEN];

	if (!p->addr[0].family && !p->addr[1].family)
		return;
	rs_strbuf_printf(b, "%s", word);
	if (strcmp(word, "host") == 0)
		rs_strbuf_printf(b, " %s", p->name);
	for (int i = 0; i < 2; i++)
		if (p->addr[i].family != RS_AF_NONE)
			rs_strbuf_printf(b, " %s", rs_addr_str(&p->addr[i], text));
	rs_strbuf_putc(b, '\n');
}

static void put_ranges(struct rs_strbuf *b, const char *word, const struct rs_cidr *v, size_t n)
{
	char text[RS_CIDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		rs_strbuf_printf(b, "%s %s\n", word, rs_cidr_str(&v[i], text));
}

static char *world_text(const struct pv_scene *s, size_t node)
{
	const struct pv_node *n = &s->nodes[node];
	struct rs_strbuf b = { 0 };
	size_t i;

	if (s->lenient)
		rs_strbuf_printf(&b, "lenient\nnode-name %s\n", n->at.name);
	put_ranges(&b, "pod-range", s->pod_ranges.v, s->pod_ranges.n);
	put_ranges(&b, "node-range", n->ranges.v, n->ranges.n);
	put_place(&b, "node", &n->at);
	for (i = 0; i < s->n_nodes; i++)
		if (i != node)
			put_place(&b, "host", &s->nodes[i].at);
	for (i = 0; i < s->hosts.n; i++)
		put_place(&b, "host", &s->hosts.v[i]);
	return rs_strbuf_steal(&b);
}

/* ---- flows ----------------------------------------------------------------------------------- */

/* This node decides alone: no policy speaks at the end that another node judges. */
static bool decided_here(const struct pv_scene *s, const struct pv_end *e, size_t node,
			 enum rs_direction dir)
{
	struct rs_world w;
	size_t n;

	if (e->kind != PV_END_POD || e->node == (int)node)
		return true;
	w = pv_scene_world(s, (size_t)e->node);
	free(rs_policies_of(&w, e->pod->ns, e->pod->labels, dir, &n));
	return n == 0;
}

static bool local_pod(const struct pv_end *e, size_t node)
{
	return e->kind == PV_END_POD && e->node == (int)node;
}

static bool seen_from(const struct pv_scene *s, const struct pv_flow *f, size_t node)
{
	return (local_pod(&f->src, node) || local_pod(&f->dst, node)) &&
	       decided_here(s, &f->src, node, RS_EGRESS) &&
	       decided_here(s, &f->dst, node, RS_INGRESS);
}

static void put_end(struct rs_strbuf *b, const struct pv_end *e, size_t node)
{
	if (e->kind == PV_END_POD)
		rs_strbuf_printf(b, " %s/%s", e->pod->ns, e->pod->name);
	else if (e->kind == PV_END_NODE && e->node == (int)node)
		rs_strbuf_puts(b, " node");
	else
		rs_strbuf_printf(b, " %s", e->name);
}

static void put_proto(struct rs_strbuf *b, const struct pv_flow *f)
{
	if (f->proto == 6 || f->proto == 17 || f->proto == 132)
		rs_strbuf_printf(b, " %s/%u",
				 f->proto == 6	  ? "tcp"
				 : f->proto == 17 ? "udp"
						  : "sctp",
				 f->port);
	else if (f->proto == 1 || f->proto == 58)
		rs_strbuf_puts(b, " icmp");
	else
		rs_strbuf_printf(b, " ip/%u", f->proto);
}

static char *flows_text(const struct pv_scene *s, const int8_t *verdicts, size_t node)
{
	struct rs_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < s->n_flows; i++) {
		const struct pv_flow *f = &s->flows[i];

		if (!seen_from(s, f, node))
			continue;
		rs_strbuf_puts(&b, verdicts[i] ? "allow" : "deny");
		put_end(&b, &f->src, node);
		put_end(&b, &f->dst, node);
		put_proto(&b, f);
		rs_strbuf_printf(&b, " @%u\n", f->family);
	}
	return rs_strbuf_steal(&b);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int write_text(const char *dir, const char *name, const char *text, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name);
	rs_autofclose FILE *f = fopen(path, "wxe");

	if (!f || fputs(text, f) < 0 || fflush(f) < 0)
		return rs_err_sys(err, errno, "write %s", path);
	return 0;
}

static char *objects_text(const struct pv_case *c)
{
	json_object *list = rs_json_get(c->root, "objects");
	struct rs_strbuf b = { 0 };

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		rs_strbuf_puts(&b, "---\n");
		pv_yaml_put(&b, json_object_array_get_idx(list, i));
	}
	return rs_strbuf_steal(&b);
}

int pv_golden_write(const struct pv_case *c, const int8_t *verdicts, size_t node_index,
		    const char *dir, struct rs_err *err)
{
	pv_auto_scene struct pv_scene *s = NULL;
	rs_autofree char *objects = NULL, *world = NULL, *flows = NULL;
	int rc = pv_scene_make(c, &s, err);

	if (rc < 0)
		return rc;
	if (node_index >= s->n_nodes)
		return rs_err_set(err, EINVAL, "no node %zu", node_index);
	flows = flows_text(s, verdicts, node_index);
	if (!*flows)
		return rs_err_set(err, ENODATA, "no flow that node %s decides alone",
				  s->nodes[node_index].at.name);
	objects = objects_text(c);
	world = world_text(s, node_index);
	if (mkdir(dir, 0755) < 0)
		return rs_err_sys(err, errno, "%s", dir);
	rc = write_text(dir, "objects.yaml", objects, err);
	if (rc == 0)
		rc = write_text(dir, "world", world, err);
	return rc < 0 ? rc : write_text(dir, "flows", flows, err);
}
