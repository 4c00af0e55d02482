// SPDX-License-Identifier: Apache-2.0
/* ops_verify.c - verify: the kernel against the last commit, in words; with `repair`, mended. */
#include "agent/ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "answer/answer.h"
#include "base/jsonio.h"

#define MAX_TOLD 1000 /* differences in one answer: it must fit into a frame */
#define MAX_NAMES 3   /* pods that one element is said to be about */

static void add_size(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

/* ---- whom an element is about ---------------------------------------------------------------- */

struct names {
	struct rs_strbuf b;
	const char *v[MAX_NAMES]; /* borrowed, each once: a pod may have two addresses */
	size_t n;
	bool more;
};

static void put_name(struct names *x, const char *text)
{
	if (!text || !*text)
		return;
	for (size_t i = 0; i < x->n; i++)
		if (!strcmp(x->v[i], text))
			return;
	x->more = x->n == MAX_NAMES;
	if (x->more)
		return;
	x->v[x->n++] = text;
	rs_strbuf_printf(&x->b, "%s%s", x->b.len ? ", " : "", text);
}

static void put_more(struct names *x)
{
	if (x->more)
		rs_strbuf_puts(&x->b, " and more");
}

static char *pod_at(struct rs_agent *a, const struct rs_addr *addr)
{
	const struct rs_attached *local = rs_registry_by_addr(a->reg, addr);
	const struct rs_ir *ir = rs_reconcile_ir(a->rec);

	if (local)
		return rs_asprintf("%s/%s", local->rec->pod_ns, local->rec->pod_name);
	for (size_t i = 0; i < ir->n_addrs; i++)
		if (!rs_addr_cmp(&ir->addrs[i].addr, addr))
			return rs_strdup(ir->addrs[i].comment);
	return NULL;
}

static void pods_of_group(struct rs_agent *a, unsigned int dir, unsigned int group, struct names *x)
{
	const struct rs_ir *ir = rs_reconcile_ir(a->rec);

	for (size_t i = 0; i < ir->n_locals; i++) {
		const struct rs_ir_local *l = &ir->locals[i];

		if ((dir == RS_DIR_IN ? l->in_group : l->out_group) == group)
			put_name(x, l->comment);
	}
}

static void pods_of_class(struct rs_agent *a, unsigned int cls, struct names *x)
{
	const struct rs_ir *ir = rs_reconcile_ir(a->rec);

	for (size_t i = 0; i < ir->n_addrs; i++)
		if (ir->addrs[i].cls == cls)
			put_name(x, ir->addrs[i].comment);
}

/* "ingress of shop/db from shop/api": what a cell or a default is about. */
static char *about_cell(struct rs_agent *a, unsigned int dir, unsigned int group, bool has_class,
			unsigned int cls)
{
	struct names self = { 0 }, peers = { 0 };
	char *text;

	pods_of_group(a, dir, group, &self);
	put_more(&self);
	if (has_class)
		pods_of_class(a, cls, &peers);
	put_more(&peers);
	text = rs_asprintf("%s of %s %s %s", dir == RS_DIR_IN ? "ingress" : "egress",
			   self.n ? self.b.s : "no pod", dir == RS_DIR_IN ? "from" : "to",
			   peers.n     ? peers.b.s
			   : has_class ? "that class"
				       : "everybody else");
	rs_strbuf_free(&self.b);
	rs_strbuf_free(&peers.b);
	return text;
}

/* The pod at an address that stands in the element's key. */
static char *about_addresses(struct rs_agent *a, const char *object)
{
	rs_autofree char *copy = rs_strdup(object);
	char *save = NULL, *word, *name = NULL;
	struct rs_addr addr;

	for (word = strtok_r(copy, " ", &save); word && !name; word = strtok_r(NULL, " ", &save))
		if (strpbrk(word, ".:") && rs_addr_parse(word, &addr, NULL) == 0)
			name = pod_at(a, &addr);
	return name;
}

/* The words that the backend has for its objects ("element cells 1 . 5 . 9"), in those of people. */
static char *about(struct rs_agent *a, const char *object)
{
	unsigned int dir, group, cls;

	if (sscanf(object, "element cells %u . %u . %u", &dir, &group, &cls) == 3 ||
	    sscanf(object, "rs_cells %u . %u . %u", &dir, &group, &cls) == 3)
		return about_cell(a, dir, group, true, cls);
	if (sscanf(object, "element dflt %u . %u", &dir, &group) == 2 ||
	    sscanf(object, "rs_cells %u . %u default", &dir, &group) == 2)
		return about_cell(a, dir, group, false, 0);
	return about_addresses(a, object);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_object(struct json_object *list, const char *name, size_t want, size_t have)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "object", name);
	add_size(o, "desired", want);
	add_size(o, "kernel", have);
	json_object_array_add(list, o);
}

static int add_objects(struct rs_agent *a, struct json_object *o, struct rs_err *err)
{
	struct rs_dp_holding want, have;
	struct json_object *list;
	int rc = a->dp->ops->holding(a->dp, &want, &have, err);

	if (rc < 0)
		return rc;
	list = json_object_new_array();
	if (a->dp->ops == &rs_dp_ebpf || a->dp->ops == &rs_dp_ebpf_tc) {
		add_object(list, "links", want.chains, have.chains);
		add_object(list, "maps", want.sets, have.sets);
	} else {
		add_object(list, "table", want.tables, have.tables);
		add_object(list, "chains", want.chains, have.chains);
		add_object(list, "rules", want.rules, have.rules);
		add_object(list, "sets", want.sets, have.sets);
	}
	add_object(list, "elements", want.elements, have.elements);
	json_object_object_add(o, "objects", list);
	return 0;
}

/* What is to be read at length stands apart: "chain judge: rule handle 7 is another (has ...)". */
static void add_object_text(struct json_object *o, const char *text)
{
	const char *detail = strstr(text, " (has ");
	rs_autofree char *head = rs_strndup(text, detail ? (size_t)(detail - text) : strlen(text));

	rs_json_add_str(o, "object", head);
	rs_json_add_str(o, "detail", detail ? detail + 1 : NULL);
}

static void add_differences(struct rs_agent *a, struct json_object *o, const struct rs_dp_drifts *d)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < d->n && i < MAX_TOLD; i++) {
		struct json_object *x = json_object_new_object();
		rs_autofree char *words = about(a, d->v[i].object);

		add_object_text(x, d->v[i].object);
		rs_json_add_str(x, "what", d->v[i].what);
		rs_json_add_str(x, "about", words);
		json_object_array_add(list, x);
	}
	json_object_object_add(o, "differences", list);
	add_size(o, "total", d->n);
}

static void add_background(struct rs_agent *a, struct json_object *o)
{
	struct json_object *x = json_object_new_object();
	const struct rs_repairs *r = &a->repairs;

	json_object_object_add(x, "background", json_object_new_boolean(a->opt.repair));
	add_size(x, "times", r->times);
	add_size(x, "mended", r->mended);
	if (r->times) {
		rs_json_add_time(x, "lastTime", r->last_s);
		json_object_object_add(x, "last", rs_answer_strings(r->last, r->n_last));
	}
	json_object_object_add(o, "repair", x);
	if (!r->who)
		return;
	x = json_object_new_object();
	rs_json_add_str(x, "who", r->who);
	rs_json_add_time(x, "time", r->who_s);
	json_object_object_add(o, "changedBy", x);
}

/* ---- the operation --------------------------------------------------------------------------- */

/* Mend what was found, and look whether it is. */
static int mend(struct rs_agent *a, const struct rs_dp_drifts *found, struct json_object *o,
		struct rs_err *err)
{
	struct rs_dp_drifts left = { 0 };
	int rc = rs_repair_mend(a, found, rs_mono_ms(), err);

	if (rc == 0)
		rc = rs_repair_look(a, &left, err);
	if (rc < 0)
		return rc;
	json_object_object_add(o, "repaired", json_object_new_boolean(left.n == 0));
	rs_dp_drifts_free(&left);
	return 0;
}

static int verify(struct rs_agent *a, bool repair, struct json_object *o, struct rs_err *err)
{
	struct rs_dp_drifts found = { 0 };
	int rc;

	if (!rs_reconcile_ir(a->rec)) {
		rs_err_set(err, EAGAIN, "nothing is committed yet: there is nothing to compare");
		return rs_err_hint(err, "ripstop status says what the agent waits for");
	}
	rc = rs_repair_look(a, &found, err);
	if (rc == 0)
		rc = add_objects(a, o, err);
	if (rc == 0)
		add_differences(a, o, &found);
	if (rc == 0 && repair && found.n)
		rc = mend(a, &found, o, err);
	json_object_object_add(o, "inSync", json_object_new_boolean(a->in_sync));
	add_background(a, o);
	rs_dp_drifts_free(&found);
	return rc;
}

void rs_op_verify(struct rs_agent *a, struct rs_request *req, struct json_object *body)
{
	struct json_object *o = rs_op_object(a, "Verify");
	rs_auto_err err = { 0 };
	bool repair = false;
	int rc = rs_json_opt_bool(body, "repair", &repair, &err);

	rs_json_add_str(o, "dataplane", a->dp->ops->name);
	if (rc == 0)
		rc = verify(a, repair, o, &err);
	if (rc == 0) {
		rs_request_answer(req, o);
		return;
	}
	json_object_put(o);
	rs_request_fail(req, &err);
}
