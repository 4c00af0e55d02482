// SPDX-License-Identifier: Apache-2.0
/* operand.c - what a word of the command line means in a world. */
#include <errno.h>
#include <string.h>

#include "cli/world/worldparts.h"

/* Addresses of the outside that nobody holds (RFC 5737, RFC 3849): they stand for "world". */
#define WORLD_IP4 "203.0.113.1"
#define WORLD_IP6 "2001:db8:ffff::1"

#define FORMS                                                                                   \
	"[NS/]POD, deploy|sts|ds|rs|job|cronjob|pod|svc/NS/NAME, ns/NAME, an address, a CIDR, " \
	"world, or 'app=api@NS'"

struct words {
	const char *text;
	const char *ns; /* of -n, or "default" */
};

void cli_operand_clear(struct cli_operand *o)
{
	free(o->ends);
	o->ends = NULL;
	o->n_ends = 0;
}

int cli_operand_code(int rc)
{
	switch (-rc) {
	case 0:
		return 0;
	case ENOENT:
		return CLI_NOT_FOUND;
	case ENOSYS: /* nobody here knows */
		return CLI_NO_AGENT;
	default:
		return CLI_USAGE;
	}
}

static void add_end(struct cli_operand *o, size_t i)
{
	o->kind = CLI_OPERAND_ENDPOINTS;
	o->ends = rs_reallocarray(o->ends, o->n_ends + 1, sizeof(*o->ends));
	o->ends[o->n_ends++] = i;
}

static void add_endpoint(const struct cli_world *cw, struct cli_operand *o,
			 const struct cli_endpoint *e)
{
	add_end(o, (size_t)(e - cw->ends));
}

/* ---- what does not exist --------------------------------------------------------------------- */

static const struct cli_absent *absent(const struct cli_world *cw, const char *ns, const char *name)
{
	size_t i;

	for (i = 0; i < cw->arena->absent.n; i++) {
		const struct cli_absent *a = &cw->arena->absent.v[i];

		if (!strcmp(a->ns, ns) && !strcmp(a->name, name))
			return a;
	}
	return NULL;
}

/* Somebody of that name in another namespace. */
static const struct cli_endpoint *elsewhere(const struct cli_world *cw, const char *name)
{
	size_t i;

	for (i = 0; i < cw->w.n_sorted; i++)
		if (!strcmp(cw->ends[i].name, name) || !strcmp(cw->ends[i].workload, name))
			return &cw->ends[i];
	return NULL;
}

static int no_such(const struct cli_world *cw, const char *what, const char *ns, const char *name,
		   struct rs_err *err)
{
	const struct cli_absent *a = absent(cw, ns, name);
	const struct cli_endpoint *other = elsewhere(cw, name);

	if (a && a->finished)
		return rs_err_set(err, ENOENT, "pod %s/%s has finished: it has no address", ns,
				  name);
	if (a) {
		rs_err_set(err, ENOENT,
			   "%s %s/%s is in the host network: no policy selects it, and no selector "
			   "matches it",
			   a->kind, ns, name);
		return rs_err_hint(err, "ask for its node's address instead");
	}
	rs_err_set(err, ENOENT, "there is no %s %s/%s in %s", what, ns, name, cw->from);
	if (other)
		return rs_err_hint(err, "did you mean %s/%s?", other->ns, other->name);
	return rs_err_hint(err, "ripstop pods lists them, with the same -f");
}

/* ---- pods and workloads ---------------------------------------------------------------------- */

static void add_workload(const struct cli_world *cw, const char *kind, const char *ns,
			 const char *name, struct cli_operand *o)
{
	size_t i;

	for (i = 0; i < cw->w.n_sorted; i++) {
		const struct cli_endpoint *e = &cw->ends[i];

		if (!strcmp(e->ns, ns) && !strcmp(e->workload, name) &&
		    (!kind || !strcmp(e->workload_kind, kind)))
			add_end(o, i);
	}
}

/* A plain name is a pod's, else a workload's, when all that bear it are of one kind. */
static int plain(const struct cli_world *cw, const char *ns, const char *name,
		 struct cli_operand *o, struct rs_err *err)
{
	const struct cli_endpoint *e = cli_world_endpoint(cw, ns, name);
	size_t i;

	if (e) {
		add_endpoint(cw, o, e);
		return 0;
	}
	add_workload(cw, NULL, ns, name, o);
	for (i = 1; i < o->n_ends; i++) {
		const char *a = cw->ends[o->ends[0]].workload_kind;
		const char *b = cw->ends[o->ends[i]].workload_kind;

		if (!strcmp(a, b))
			continue;
		rs_err_set(err, EINVAL, "%s/%s is the name of a %s and of a %s", ns, name, a, b);
		return rs_err_hint(err, "say which: deploy/%s/%s, sts/%s/%s, ...", ns, name, ns,
				   name);
	}
	return o->n_ends ? 0 : no_such(cw, "pod or workload", ns, name, err);
}

static int pod(const struct cli_world *cw, const char *ns, const char *name, struct cli_operand *o,
	       struct rs_err *err)
{
	const struct cli_endpoint *e = cli_world_endpoint(cw, ns, name);

	if (!e || (e->is_template && !strcmp(e->name, name)))
		return no_such(cw, "pod", ns, name, err);
	add_endpoint(cw, o, e);
	return 0;
}

static int workload(const struct cli_world *cw, const char *kind, const char *ns, const char *name,
		    struct cli_operand *o, struct rs_err *err)
{
	add_workload(cw, kind, ns, name, o);
	return o->n_ends ? 0 : no_such(cw, kind, ns, name, err);
}

static int namespace(const struct cli_world *cw, const char *name, struct cli_operand *o,
		     struct rs_err *err)
{
	size_t i;

	if (!rs_store_namespace(cw->store, name))
		return rs_err_set(err, ENOENT, "there is no namespace %s in %s", name, cw->from);
	o->kind = CLI_OPERAND_ENDPOINTS;
	for (i = 0; i < cw->w.n_sorted; i++)
		if (!strcmp(cw->ends[i].ns, name))
			add_end(o, i);
	return o->n_ends
		       ? 0
		       : rs_err_set(err, ENOENT, "namespace %s has no pods in %s", name, cw->from);
}

static int no_service(const struct cli_world *cw, const char *ns, const char *name,
		      struct rs_err *err)
{
	rs_auto_strbuf b = { 0 };
	size_t i;

	for (i = 0; i < cw->n_services && i < 5; i++)
		rs_strbuf_printf(&b, "%s%s/%s", i ? ", " : "", cw->services[i].o->meta.ns,
				 cw->services[i].o->meta.name);
	if (i < cw->n_services)
		rs_strbuf_puts(&b, ", ...");
	rs_err_set(err, ENOENT, "there is no Service %s/%s in %s", ns, name, cw->from);
	if (!b.len)
		return rs_err_hint(err, "there is none at all: was its manifest named with -f?");
	return rs_err_hint(err, "there are %s", rs_strbuf_str(&b));
}

static int service(const struct cli_world *cw, const char *ns, const char *name,
		   struct cli_operand *o, struct rs_err *err)
{
	size_t i;

	o->kind = CLI_OPERAND_SERVICE;
	if (!cw->knows_services) {
		rs_err_set(err, ENOSYS, "%s tells no Services, so not %s/%s either", cw->from, ns,
			   name);
		return rs_err_hint(err, "ask with -f and the Service's manifest, or name a pod "
					"behind it");
	}
	for (i = 0; i < cw->n_services; i++) {
		const struct rs_meta *m = &cw->services[i].o->meta;

		if (strcmp(m->ns, ns) || strcmp(m->name, name))
			continue;
		o->service = &cw->services[i];
		return 0;
	}
	return no_service(cw, ns, name, err);
}

/* ---- KIND/NS/NAME, KIND/NAME ----------------------------------------------------------------- */

static const struct {
	const char *word, *kind;
} kinds[] = {
	{ "deploy", "Deployment" },
	{ "deployment", "Deployment" },
	{ "sts", "StatefulSet" },
	{ "statefulset", "StatefulSet" },
	{ "ds", "DaemonSet" },
	{ "daemonset", "DaemonSet" },
	{ "rs", "ReplicaSet" },
	{ "replicaset", "ReplicaSet" },
	{ "job", "Job" },
	{ "cronjob", "CronJob" },
	{ "cj", "CronJob" },
	{ "pod", "pod" },
	{ "po", "pod" },
	{ "svc", "svc" },
	{ "service", "svc" },
	{ "ns", "ns" },
	{ "namespace", "ns" },
	{ "node", "node" },
};

static const char *kind_of(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].word) == len && !strncmp(kinds[i].word, text, len))
			return kinds[i].kind;
	return NULL;
}

static int bad_form(const char *text, struct rs_err *err)
{
	rs_err_set(err, EINVAL, "\"%s\" is no operand", text);
	return rs_err_hint(err, FORMS);
}

static int of_kind(struct cli_world *cw, const char *kind, const char *ns, const char *name,
		   struct cli_operand *o, struct rs_err *err)
{
	if (!strcmp(kind, "pod"))
		return pod(cw, ns, name, o, err);
	if (!strcmp(kind, "svc"))
		return service(cw, ns, name, o, err);
	return workload(cw, kind, ns, name, o, err);
}

/* Addresses of a Node that was read. */
static int node(const struct cli_world *cw, const char *name, struct cli_operand *o,
		struct rs_err *err)
{
	const struct rs_node *n = rs_store_node(cw->store, name);
	size_t i;

	if (!n)
		return rs_err_set(err, ENOENT, "there is no Node %s in %s", name, cw->from);
	o->kind = CLI_OPERAND_NODE;
	for (i = n->n_addrs; i-- > 0;)
		*(n->addrs[i].family == RS_AF_IP4 ? &o->addr4 : &o->addr6) = n->addrs[i];
	return n->n_addrs ? 0 : rs_err_set(err, ENOENT, "Node %s has no address", name);
}

/* Two words: KIND/NAME or NS/NAME; three: KIND/NS/NAME. A kind's word wins over a namespace. */
static int slashed(struct cli_world *cw, const struct words *w, struct cli_operand *o,
		   struct rs_err *err)
{
	const char *first = strchr(w->text, '/'), *last = strrchr(w->text, '/');
	const char *kind = kind_of(w->text, (size_t)(first - w->text));
	rs_autofree char *ns = rs_strndup(w->text, (size_t)(first - w->text));
	rs_autofree char *middle = NULL;

	if (first == w->text || !last[1] || last == first + 1)
		return bad_form(w->text, err);
	if (first == last && kind && !strcmp(kind, "ns"))
		return namespace(cw, last + 1, o, err);
	if (first == last && kind && !strcmp(kind, "node"))
		return node(cw, last + 1, o, err);
	if (first == last)
		return kind && !rs_store_namespace(cw->store, ns)
			       ? of_kind(cw, kind, w->ns, last + 1, o, err)
			       : plain(cw, ns, last + 1, o, err);
	middle = rs_strndup(first + 1, (size_t)(last - first - 1));
	if (!kind || strchr(middle, '/') || !strcmp(kind, "ns") || !strcmp(kind, "node"))
		return bad_form(w->text, err);
	return of_kind(cw, kind, middle, last + 1, o, err);
}

/* ---- hypothetical pods ----------------------------------------------------------------------- */

static int hypothetical(struct cli_world *cw, const struct words *w, struct cli_operand *o,
			struct rs_err *err)
{
	const char *at = strrchr(w->text, '@'), *ns = at ? at + 1 : w->ns;
	rs_autofree char *text =
		at ? rs_strndup(w->text, (size_t)(at - w->text)) : rs_strdup(w->text);
	struct rs_labels labels = { 0 };
	const struct cli_endpoint *known;
	size_t i;
	int rc;

	if (cw->ir)
		return rs_err_set(err, EINVAL, "%s comes too late: the rules are made", w->text);
	if (!rs_store_namespace(cw->store, ns)) {
		rs_err_set(err, ENOENT, "there is no namespace %s in %s", ns, cw->from);
		return rs_err_hint(err,
				   "a pod that does not exist is written 'app=api,tier=be@NS'");
	}
	rc = *text ? rs_labels_parse(text, '=', &labels, err) : 0;
	if (rc < 0) {
		rs_labels_free(&labels);
		return rs_err_wrap(err, "%s", w->text);
	}
	known = cli_world_endpoint(cw, ns, text);
	if (known) {
		rs_labels_free(&labels);
		add_endpoint(cw, o, known);
		return 0;
	}
	i = cli_add_hypothetical(
		cw, cli_world_keep(cw, rs_strdup(ns)),
		cli_world_keep(cw, *text ? rs_steal_ptr(&text) : rs_strdup("pod without labels")),
		rs_memdup(&labels, sizeof(labels)));
	add_end(o, i);
	return cli_give_address(cw, i, err);
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* One of ours is nobody's really: whoever has it gets another. */
static int vacate(struct cli_world *cw, const struct rs_addr *a, struct rs_err *err)
{
	size_t i, j;

	for (i = 0; i < cw->n_ends; i++)
		for (j = 0; !cw->ends[i].given_ip && j < cw->w.locals[i].n_ips; j++)
			if (!rs_addr_cmp(&cw->w.locals[i].ips[j], a))
				return cli_move_address(cw, i, j, err);
	return 0;
}

static int address(struct cli_world *cw, const struct rs_addr *a, struct cli_operand *o,
		   struct rs_err *err)
{
	size_t i, j;

	if (rs_addr_is_loopback(a))
		return rs_err_set(err, EINVAL, "%s never leaves the machine or pod that uses it",
				  o->text);
	o->kind = CLI_OPERAND_ADDRESS;
	*(a->family == RS_AF_IP4 ? &o->addr4 : &o->addr6) = *a;
	for (i = 0; i < cw->n_ends; i++)
		for (j = 0; cw->ends[i].given_ip && j < cw->w.locals[i].n_ips; j++)
			if (!rs_addr_cmp(&cw->w.locals[i].ips[j], a)) {
				add_end(o, i);
				return 0;
			}
	for (i = 0; i < cw->n_services; i++)
		for (j = 0; j < cw->services[i].o->n_ips; j++)
			if (!rs_addr_cmp(&cw->services[i].o->ips[j], a)) {
				o->kind = CLI_OPERAND_SERVICE;
				o->service = &cw->services[i];
				return 0;
			}
	return cw->ir ? 0 : vacate(cw, a, err);
}

static int world(struct cli_operand *o, struct rs_err *err)
{
	int rc = rs_addr_parse(WORLD_IP4, &o->addr4, err);

	o->kind = CLI_OPERAND_ADDRESS;
	return rc < 0 ? rc : rs_addr_parse(WORLD_IP6, &o->addr6, err);
}

static int resolve(struct cli_world *cw, const struct words *w, struct cli_operand *out,
		   struct rs_err *err)
{
	const char *text = w->text;
	struct rs_addr a;

	if (!strcmp(text, "world"))
		return world(out, err);
	if (rs_addr_parse(text, &a, NULL) == 0)
		return address(cw, &a, out, err);
	if (strchr(text, '/') && rs_cidr_parse(text, &out->range, NULL, NULL) == 0) {
		out->kind = CLI_OPERAND_RANGE;
		return 0;
	}
	if (!strcmp(text, "node")) {
		out->kind = CLI_OPERAND_NODE;
		return 0;
	}
	if (strchr(text, '=') || *text == '@')
		return hypothetical(cw, w, out, err);
	return strchr(text, '/') ? slashed(cw, w, out, err) : plain(cw, w->ns, text, out, err);
}

int cli_world_operand(struct cli_world *cw, const char *text, const char *default_ns,
		      struct cli_operand *out, struct rs_err *err)
{
	struct words w = { .text = text, .ns = default_ns ? default_ns : "default" };
	int rc;

	*out = (struct cli_operand){ .text = text };
	rc = resolve(cw, &w, out, err);
	if (rc < 0)
		cli_operand_clear(out);
	return rc;
}
