// SPDX-License-Identifier: Apache-2.0
/* replay_stage.c - the scripted node; see replay_stage.h. */
#include "tests/replay/replay_stage.h"

#include <errno.h>
#include <string.h>

#include "object/store.h"

#define GROUP 7u

/* ---- the source ------------------------------------------------------------------------------ */

static struct {
	struct rs_source base;
	struct rs_store *store;
	bool changed;
	char *error;
} script;

static int script_dispatch(struct rs_source *src, bool *changed, struct rs_err *err)
{
	(void)src;
	*changed = script.changed;
	script.changed = false;
	return script.error ? rs_err_set(err, EINVAL, "%s", script.error) : 0;
}

static const struct rs_store *script_store(const struct rs_source *src)
{
	(void)src;
	return script.store;
}

static const struct rs_source_ops script_ops = {
	.name = "scripted",
	.dispatch = script_dispatch,
	.store = script_store,
};

static const struct rs_source_ops fresh_ops = {
	.name = "scripted",
	.dispatch = script_dispatch,
	.store = script_store,
	.fresh = stage_fresh,
	.fresh_state = stage_fresh_state,
	.fresh_drop = stage_fresh_drop,
};

int stage_objects(struct stage *s, const char *text, struct rs_err *err)
{
	struct rs_store *fresh = rs_store_new();
	int rc = rs_decode_text(fresh, "story", text, strlen(text), false, RS_ADMIT_STRICT, err);

	if (rc < 0) {
		rs_store_free(fresh);
		return rc;
	}
	rs_store_finish_folder(fresh);
	for (int k = 0; k < RS_KINDS; k++)
		rs_store_set_synced(fresh, (enum rs_kind)k, true);
	rs_store_free(script.store);
	script.store = fresh;
	script.changed = true;
	free(script.error);
	script.error = NULL;
	if (s->rec)
		rs_reconcile_dispatch(s->rec, s->now_ms);
	return 0;
}

void stage_forget_objects(void)
{
	rs_store_free(script.store);
	script.store = rs_store_new();
}

void stage_source_error(struct stage *s, const char *message)
{
	free(script.error);
	script.error = rs_strdup(message);
	if (s->rec)
		rs_reconcile_dispatch(s->rec, s->now_ms);
}

static void tell(struct stage *s)
{
	script.changed = true;
	if (s->rec)
		rs_reconcile_dispatch(s->rec, s->now_ms);
}

int stage_put(struct stage *s, const char *text, struct rs_err *err)
{
	int rc = rs_decode_text(script.store, "api", text, strlen(text), false, RS_ADMIT_LENIENT,
				err);

	if (rc == 0)
		tell(s);
	return rc;
}

bool stage_delete(struct stage *s, enum rs_kind kind, const char *ns, const char *name)
{
	bool was = rs_store_del(script.store, kind, ns, name);

	tell(s);
	return was;
}

static void delete_all(struct rs_store *s, enum rs_kind kind)
{
	const struct rs_meta *const *v;
	size_t n, left;

	for (v = rs_store_metas(s, kind, &n); n; n--) {
		rs_autofree char *ns = v[0]->ns ? rs_strdup(v[0]->ns) : NULL;
		rs_autofree char *name = rs_strdup(v[0]->name);

		rs_store_del(s, kind, ns, name);
		v = rs_store_metas(s, kind, &left);
	}
}

int stage_list(struct stage *s, enum rs_kind kind, const char *text, struct rs_err *err)
{
	int rc;

	delete_all(script.store, kind);
	rc = rs_decode_text(script.store, "api", text, strlen(text), false, RS_ADMIT_LENIENT, err);
	if (rc == 0)
		stage_synced(s, kind, true);
	return rc;
}

void stage_synced(struct stage *s, enum rs_kind kind, bool synced)
{
	rs_store_set_synced(script.store, kind, synced);
	tell(s);
}

/* ---- the machine ----------------------------------------------------------------------------- */

struct stage_link *stage_link(struct stage *s, const char *name)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (!strcmp(s->links[i].name, name))
			return &s->links[i];
	return NULL;
}

static int fake_link(void *arg, const char *name, struct rs_link *out, struct rs_err *err)
{
	struct stage_link *l = stage_link(arg, name);

	if (!l || !l->ifindex)
		return rs_err_set(err, ENODEV, "link %s: No such device", name);
	*out = (struct rs_link){ .ifindex = l->ifindex, .group = l->group, .kind = "veth" };
	return 0;
}

static int fake_own_addr(void *arg, const struct rs_addr *a, struct rs_err *err)
{
	struct stage *s = arg;
	char text[RS_ADDR_STRLEN];

	(void)err;
	return s->own_addr && !strcmp(s->own_addr, rs_addr_str(a, text));
}

static int fake_release(void *arg, const struct rs_endpoint *e, struct rs_err *err)
{
	struct stage *s = arg;

	if (s->n_released == STAGE_MAX)
		return rs_err_set(err, ENOSPC, "too many releases in one story");
	s->released[s->n_released++] = rs_strdup(e->container_id);
	return 0;
}

/* ---- the dataplane: null, counted, and failing when the story says so ------------------------ */

static struct stage *on_stage;
static struct rs_dp_ops counted;

static int counted_commit(struct rs_dp *dp, const struct rs_ir *next, struct rs_dp_commit *done,
			  struct rs_err *err)
{
	on_stage->commits++;
	on_stage->unprepared = true;
	if (on_stage->commit_fails)
		return rs_err_set(err, EPERM, "the story says no");
	if (on_stage->refused.family && rs_ir_local(next, &on_stage->refused))
		return rs_err_set(err, EINVAL, "the story refuses that pod");
	for (size_t i = 0; on_stage->groups_refused && i < next->n_groups; i++)
		if (next->groups[i].isolated)
			return rs_err_set(err, ENOSPC, "the story refuses such groups");
	return rs_dp_null.commit(dp, next, done, err);
}

static int counted_shift(struct rs_dp *dp, const struct rs_ir *now, const struct rs_ir_moves *moves,
			 struct rs_dp_commit *done, struct rs_err *err)
{
	if (on_stage->commit_fails)
		return rs_err_set(err, EPERM, "the story says no");
	on_stage->commits++;
	on_stage->unprepared = true;
	return rs_dp_null.shift(dp, now, moves, done, err);
}

static void counted_prepare(struct rs_dp *dp)
{
	(void)dp;
	on_stage->unprepared = false;
	on_stage->n_answers_then = on_stage->n_answers;
}

/* ---- life ------------------------------------------------------------------------------------ */

int stage_open(struct stage *s, struct rs_err *err)
{
	char dir[] = "/tmp/ripstop-replay-XXXXXX";
	struct rs_dp_config cfg;
	int rc;

	if (!mkdtemp(dir))
		return rs_err_sys(err, errno, "mkdtemp");
	s->dir = rs_strdup(dir);
	s->boot = "boot-1";
	s->now_ms = 1000;
	s->host = (struct rs_host){ fake_link, fake_own_addr, fake_release, s };
	script.store = rs_store_new();
	rs_dp_config_default(&cfg);
	counted = rs_dp_null;
	counted.commit = counted_commit;
	counted.shift = counted_shift;
	counted.prepare = counted_prepare;
	on_stage = s;
	rc = rs_dp_null.open(&cfg, &s->dp, err);
	if (rc == 0) {
		s->dp->ops = &counted;
		rc = rs_endpoint_store_open(s->dir, &s->records, err);
	}
	return rc;
}

int stage_start(struct stage *s, struct rs_err *err)
{
	struct rs_registry_config reg = {
		.records = s->records,
		.host = &s->host,
		.boot_id = s->boot,
		.link_group = GROUP,
		.labels_from_api = s->labels_from_api,
	};
	struct rs_reconcile_config cfg = {
		.dp = s->dp, .src = &script.base, .metrics = &s->metrics, .node_name = "n1"
	};
	struct rs_cidr range;
	int rc = rs_cidr_parse("10.7.1.0/24", &range, NULL, err);

	script.base.ops = s->fresh_reads ? &fresh_ops : &script_ops;
	s->reg = rs_registry_new(&reg);
	cfg.reg = s->reg;
	if (rc == 0)
		rc = rs_registry_scan(s->reg, true, s->now_ms, 0, err);
	if (rc >= 0)
		rc = rs_reconcile_new(&cfg, &s->rec, err);
	if (rc < 0)
		return rc;
	rs_reconcile_dispatch(s->rec, s->now_ms);
	return 0;
}

void stage_stop(struct stage *s)
{
	rs_reconcile_free(s->rec);
	rs_registry_free(s->reg);
	s->rec = NULL;
	s->reg = NULL;
}

static int forget_record(struct rs_endpoint *e, const char *name, const struct rs_err *why,
			 void *arg)
{
	struct stage *s = arg;
	rs_autofree char *path = rs_asprintf("%s/endpoints/%s", s->dir, name);

	(void)why;
	unlink(path);
	rs_endpoint_free(e);
	return 0;
}

void stage_close(struct stage *s)
{
	rs_autofree char *sub = rs_asprintf("%s/endpoints", s->dir);

	stage_stop(s);
	if (s->records)
		rs_endpoint_each(s->records, forget_record, s, NULL);
	rs_endpoint_store_close(s->records);
	rmdir(sub);
	rmdir(s->dir);
	if (s->dp)
		rs_dp_null.close(s->dp);
	rs_store_free(script.store);
	free(script.error);
	memset(&script, 0, sizeof(script));
	stage_fresh_clear();
	for (size_t i = 0; i < s->n_answers; i++) {
		free(s->answers[i].container_id);
		free(s->answers[i].message);
	}
	for (size_t i = 0; i < s->n_released; i++)
		free(s->released[i]);
	free(s->own_addr);
	free(s->dir);
}

void stage_done(void *arg, const struct rs_outcome *o)
{
	struct stage_call *call = arg;
	struct stage *s = call->stage;
	struct stage_answer *a;

	if (s->n_answers < STAGE_MAX) {
		a = &s->answers[s->n_answers++];
		a->container_id = call->container_id;
		a->generation = o->generation;
		a->errnum = o->err ? o->err->num : 0;
		a->cni = o->err ? o->err->cni : 0;
		a->message = rs_strdup(o->err ? rs_err_str(o->err) : "");
	} else {
		free(call->container_id);
	}
	free(call);
}
