// SPDX-License-Identifier: Apache-2.0
/* ebpf.c - lib/dataplane/ebpf renders an IR as maps of kernel programs at netfilter hooks; this
 * file is its front door. */
#include "dataplane/ebpf/ebpf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/batch.h"

#define TRIAL_PRIORITY 2000000
#define GONE_MS 1000
#define LEFT_MS 100
#define GONE_STEP_MS 5

void rs_ebpf_set_model(struct rs_ebpf *e, struct rs_bpf_plan *p, struct rs_bpf_book *book)
{
	if (e->model != p)
		rs_bpf_plan_free(e->model);
	if (e->book != book)
		rs_bpf_book_free(e->book);
	e->model = p;
	e->book = book;
}

static void forget(struct rs_ebpf *e)
{
	rs_ebpf_set_model(e, NULL, NULL);
	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_free(&e->leavings[m]);
	rs_bpf_set_unload(&e->set);
	rs_ebpf_tc_forget(e);
	e->known = false;
}

/* ---- what is pinned -------------------------------------------------------------------------- */

static int adopt_at(struct rs_ebpf *e, char place, struct rs_err *err)
{
	struct rs_bpf_set s;
	int rc;

	rs_bpf_set_unload(&e->spare); /* not three sets of maps at a time */
	rc = rs_bpf_set_load(&e->cfg, place, &s, err);
	if (!rc)
		rc = rs_bpf_set_adopt(&e->cfg, &s, err);
	if (!rc && !e->cfg.bpf_tc)
		rc = rs_bpf_hooks_check(e->nl, &s, err);
	if (!rc) {
		e->set = s;
		e->set.cfg->log_rate = e->cfg.log_rate;
		rs_ebpf_log_follow(e);
		rs_ebpf_watch_follow(e);
		return 0;
	}
	if (s.obj)
		rs_bpf_set_unload(&s);
	return rc;
}

static int find_set(struct rs_ebpf *e, struct rs_err *err)
{
	free(rs_steal_ptr(&e->why_not));
	for (const char *place = "ab"; *place && !e->set.obj; place++) {
		rs_auto_err why = { 0 };
		int rc = rs_bpf_pins_linked(&e->cfg, *place) ? adopt_at(e, *place, &why) : -ENOENT;

		if (!rc || rc == -ENOENT)
			continue;
		if (rc != -ESTALE) {
			rs_err_move(err, &why);
			return rc;
		}
		if (!e->why_not)
			e->why_not = rs_strdup(rs_err_str(&why));
	}
	return 0;
}

static int read_maps(struct rs_ebpf *e, struct rs_err *err)
{
	struct rs_bpf_book *book = NULL;
	struct rs_bpf_plan *p = NULL;
	int rc;

	for (int m = 0; m < RS_BPF_MAPS; m++)
		rs_bpf_table_free(&e->leavings[m]);
	rc = rs_bpf_dump(&e->set, true, &p, e->leavings, err);
	if (!rc)
		rc = rs_bpf_rules_read(&e->set, p, &book, err);
	if (rc)
		rs_bpf_plan_free(p);
	else
		rs_ebpf_set_model(e, p, book);
	/* What was written before us, and mended now, may still be looked at. */
	rs_nft_grace_owe(&e->grace);
	return rc;
}

static bool link_stands(const struct rs_ebpf *e, int i)
{
	return e->cfg.bpf_tc ? rs_bpf_sockets_attached(e->set.link[i])
			     : rs_bpf_hook_stands(e->nl, &e->set, i);
}

int rs_ebpf_check(struct rs_ebpf *e, struct rs_err *err)
{
	int rc = rs_bpf_set_check(&e->cfg, &e->set, err);

	if (!rc && e->cfg.bpf_tc && !link_stands(e, 0))
		rc = rs_err_set(err, ESTALE, "program at the look-up of sockets");
	else if (!rc && !e->cfg.bpf_tc)
		rc = rs_bpf_hooks_check(e->nl, &e->set, err);
	return rc ? rc : rs_ebpf_anchor_check(e->nl, err);
}

static int mend(struct rs_ebpf *e, struct rs_err *err)
{
	int rc = 0;

	for (int i = 0; i < rs_bpf_links(&e->cfg) && !rc; i++)
		if (!link_stands(e, i))
			rc = rs_bpf_set_attach(&e->cfg, &e->set, i, err);
	if (!rc)
		rc = rs_bpf_set_pin(&e->cfg, &e->set, err);
	return rc ? rc : rs_ebpf_check(e, err);
}

/* We hold everything of the set: what was detached or lost its pin is put back. Where that cannot
 * be it goes on as it can until a whole new set stands in its place. */
static bool mended(struct rs_ebpf *e)
{
	rs_auto_err why = { 0 };

	if (!rs_ebpf_check(e, NULL))
		return true;
	if (!mend(e, &why)) {
		rs_ebpf_watch_follow(e);
		return true;
	}
	free(e->why_not);
	e->why_not = rs_strdup(rs_err_str(&why));
	return false;
}

/* Without a model afterwards: a whole new set has to be made. */
int rs_ebpf_load(struct rs_ebpf *e, struct rs_err *err)
{
	bool broken = false;
	int rc = 0;

	rs_ebpf_set_model(e, NULL, NULL);
	if (e->set.obj)
		rc = rs_ebpf_anchor_keep(e->nl, err);
	if (!rc && e->set.obj)
		broken = !mended(e);
	if (!rc && !e->set.obj)
		rc = find_set(e, err);
	if (!rc && e->set.obj)
		rc = rs_ebpf_anchor_keep(e->nl, err);
	if (!rc && e->set.obj && !broken)
		rc = read_maps(e, err);
	if (rc) {
		rs_bpf_explain_error(err);
		return rc;
	}
	e->open_node = !e->set.obj && !rs_bpf_pins_linked(&e->cfg, 0) && !rs_bpf_hooks_stand(e->nl);
	e->known = true;
	return 0;
}

static int ebpf_read(struct rs_dp *dp, struct rs_ir **out, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	rs_auto_err why = { 0 };
	int rc = rs_ebpf_load(e, err);

	*out = NULL;
	if (rc || !e->model)
		return rc;
	if (rs_bpf_plan_to_ir(e->model, out, &why) < 0) {
		/* Nothing that we could have made: make it anew. */
		rs_ebpf_set_model(e, NULL, NULL);
		free(e->why_not);
		e->why_not = rs_asprintf("its maps are no policy: %s", rs_err_str(&why));
	}
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void ebpf_close(struct rs_dp *dp)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);

	if (!dp)
		return;
	rs_ebpf_log_close(e);
	rs_bpf_set_unload(&e->spare);
	forget(e);
	rs_nft_grace_end(&e->grace);
	rs_ebpf_tc_close(e);
	rs_ebpf_watch_close(e);
	if (e->nl)
		mnl_socket_close(e->nl);
	free(e->why_not);
	free(e->dir);
	free(e);
}

/* ---- probe ----------------------------------------------------------------------------------- */

/* What the last probe loaded, for the open() that follows it: most of a start is the kernel's
 * verifier, which would say the same of the same programs once more. */
static struct {
	struct rs_bpf_set set;
	bool tc;
	uint32_t entries;
} probed;

static void keep_probed(const struct rs_dp_config *cfg, const struct rs_bpf_set *s)
{
	if (probed.set.obj)
		rs_bpf_set_unload(&probed.set);
	probed.set = *s;
	probed.tc = cfg->bpf_tc;
	probed.entries = cfg->bpf_entries;
}

static void end_probe(const struct rs_dp_config *cfg, struct rs_bpf_set *s, int rc)
{
	if (rc)
		rs_bpf_set_unload(s);
	else
		keep_probed(cfg, s);
}

static void take_probed(struct rs_ebpf *e)
{
	rs_bpf_set_empty(&e->spare);
	if (!probed.set.obj)
		return;
	if (probed.tc == e->cfg.bpf_tc && probed.entries == e->cfg.bpf_entries)
		e->spare = probed.set;
	else
		rs_bpf_set_unload(&probed.set);
	rs_bpf_set_empty(&probed.set);
}

static int open_as(const struct rs_dp_ops *ops, const struct rs_dp_config *cfg, bool tc,
		   struct rs_dp **out, struct rs_err *err)
{
	struct rs_ebpf *e;
	int rc;

	/* Group 0 is every link's, and its neighbour is 1: both would make uplinks into pods. */
	if (cfg->link_group < 2)
		return rs_err_set(err, EINVAL, "link group %u: it must be 2 or more",
				  cfg->link_group);
	e = rs_new(struct rs_ebpf);
	e->dp.ops = ops;
	e->cfg = *cfg;
	e->cfg.bpf_tc = tc;
	e->dir = rs_strdup(cfg->bpf_dir ? cfg->bpf_dir : RS_BPF_PIN_DIR);
	e->cfg.bpf_dir = e->dir;
	e->log.fd = -1;
	e->watch = (struct rs_ebpf_watch){ .fd = -1, .pins = -1, .folder = -1, .timer = -1 };
	rs_bpf_set_empty(&e->set);
	take_probed(e);
	rc = rs_nft_socket(0, &e->nl, err);
	if (!rc)
		rc = rs_ebpf_watch_open(e, err);
	if (!rc)
		rc = rs_ebpf_tc_open(e, err);
	if (rc) {
		ebpf_close(&e->dp);
		return rs_err_wrap(err, "open the ebpf dataplane");
	}
	*out = &e->dp;
	return 0;
}

static int ebpf_open(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err)
{
	return open_as(&rs_dp_ebpf, cfg, false, out, err);
}

static int tc_open(const struct rs_dp_config *cfg, struct rs_dp **out, struct rs_err *err)
{
	return open_as(&rs_dp_ebpf_tc, cfg, true, out, err);
}

/* Everything is loaded, and a program that accepts hangs at hooks for a moment. */
int rs_ebpf_probe(const struct rs_dp_config *cfg, struct rs_err *err)
{
	struct rs_bpf_set s;
	int rc = rs_bpf_set_load(cfg, 0, &s, err), fd;

	if (!rc) {
		fd = rs_bpf_attach(s.trial, RS_BPF_HOOK_TO_NODE, 0, TRIAL_PRIORITY);
		if (fd < 0)
			rc = rs_err_sys(err, -fd, "attach a program to a netfilter hook");
		else
			close(fd);
		if (!rc)
			rc = rs_bpf_place_check(cfg, &s, err);
		end_probe(cfg, &s, rc);
	}
	if (!rc)
		return 0;
	rs_bpf_explain_error(err);
	rs_err_wrap(err, "the kernel does not take the ebpf dataplane");
	rs_err_cni(err, RS_CNI_KERNEL);
	return rc;
}

/* Before rs_bpf_explain_error(), which speaks of netfilter hooks. */
static void hint_tc(struct rs_err *err)
{
	int n = err && !err->hint ? err->num : 0;

	/* EACCES: what the verifier says, too. */
	if (n == EINVAL || n == ENOENT || n == ESRCH || n == EOPNOTSUPP || n == EACCES)
		rs_err_hint(err,
			    "ebpf-tc needs kernel 6.2 with CONFIG_DEBUG_INFO_BTF, nf_conntrack's "
			    "BTF, CAP_BPF, CAP_PERFMON and a bpffs that can be written; "
			    "--dataplane nft needs none of them");
}

/* Here the one at the look-ups of sockets, which knows no pod and lets everything pass. */
static int tc_probe(const struct rs_dp_config *cfg, struct rs_err *err)
{
	struct rs_dp_config tc = *cfg;
	struct rs_bpf_set s;
	int rc, fd;

	tc.bpf_tc = true;
	rc = rs_bpf_set_load(&tc, 0, &s, err);
	if (!rc) {
		fd = rs_bpf_attach_sockets(s.tc[RS_BPF_TC_SOCKETS]);
		if (fd < 0)
			rc = rs_err_sys(err, -fd, "attach a program to the look-up of sockets");
		else
			close(fd);
		if (!rc)
			rc = rs_bpf_place_check(&tc, &s, err);
		end_probe(&tc, &s, rc);
	}
	if (!rc)
		return 0;
	hint_tc(err);
	rs_bpf_explain_error(err);
	rs_err_wrap(err, "the kernel does not take the ebpf-tc dataplane");
	rs_err_cni(err, RS_CNI_KERNEL);
	return rc;
}

static char *ebpf_print(struct rs_dp *dp, const struct rs_ir *ir)
{
	rs_auto_bpf_book *book = rs_bpf_book_make(NULL, ir, RS_BPF_WHYS);
	rs_auto_bpf_plan *p = NULL;

	(void)dp; /* the maps do not depend on the configuration */
	if (rs_bpf_plan_from_ir(ir, book, &p, NULL))
		return rs_strdup("");
	return rs_bpf_plan_print(p);
}

static bool ebpf_is_open(const struct rs_dp *dp)
{
	const struct rs_ebpf *e = (const struct rs_ebpf *)dp;

	return e->known && e->open_node;
}

/* The place of a next version. A set that has just been removed leaves it a moment later. Programs
 * at the look-up of sockets share theirs. */
static char *no_next_place(struct rs_ebpf *e)
{
	char other = e->set.place == 'a' ? 'b' : 'a';
	rs_auto_err why = { 0 };
	int rc = e->set.place && !e->cfg.bpf_tc ? -EBUSY : 0;

	for (int i = 0; rc == -EBUSY && i < LEFT_MS / GONE_STEP_MS; i++) {
		if (i)
			usleep(GONE_STEP_MS * 1000);
		rs_err_clear(&why);
		rc = rs_bpf_priorities_free(&e->set, other, &why);
	}
	if (rc != -EBUSY)
		return NULL;
	return rs_asprintf("%s: a new version of our programs has no place beside these",
			   rs_err_str(&why));
}

static char *ebpf_conditions(struct rs_dp *dp)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	char *next = no_next_place(e), *both;

	if (!next || !e->tc.why)
		return next ? next : e->tc.why ? rs_strdup(e->tc.why) : NULL;
	both = rs_asprintf("%s\n%s", next, e->tc.why);
	free(next);
	return both;
}

/* Gone with its pins, a moment later; but others can hold a program too, or have its pins. */
static int wait_gone(struct rs_ebpf *e, bool had, struct rs_err *err)
{
	bool stand = rs_bpf_hooks_stand(e->nl);

	for (int i = 0; had && stand && i < GONE_MS / GONE_STEP_MS; i++) {
		usleep(GONE_STEP_MS * 1000);
		stand = rs_bpf_hooks_stand(e->nl);
	}
	if (!stand)
		return 0;
	rs_err_set(err, EADDRINUSE,
		   "eBPF programs judge at our hooks, and %s holds no pins of theirs", e->dir);
	rs_err_hint(err,
		    "mount the host's bpffs there (manifests/ebpf), or give the folder that they "
		    "were pinned in with --bpf-dir");
	return -EADDRINUSE;
}

static int ebpf_remove(struct rs_dp *dp, struct rs_err *err)
{
	struct rs_ebpf *e = rs_ebpf_of(dp);
	bool had = rs_bpf_pins_linked(&e->cfg, 0);
	int rc = rs_bpf_pins_ours(&e->cfg, err);

	if (!rc)
		rc = rs_ebpf_tc_remove(e, 0, err);
	if (!rc)
		rc = rs_bpf_pins_remove(&e->cfg, 0, err);
	rs_ebpf_log_close(e);
	forget(e);
	if (!rc)
		rc = wait_gone(e, had, err);
	if (!rc)
		rc = rs_ebpf_anchor_remove(e->nl, err);
	return rc;
}

static void ebpf_prepare(struct rs_dp *dp)
{
	rs_nft_grace_go(&rs_ebpf_of(dp)->grace);
}

/* What both have. */
#define EBPF_OPS                                                                                \
	.read = ebpf_read, .commit = rs_ebpf_commit, .shift = rs_ebpf_shift,                    \
	.prepare = ebpf_prepare, .print = ebpf_print, .audit = rs_ebpf_audit,                   \
	.holding = rs_ebpf_holding, .stats = rs_ebpf_stats, .watch_fd = rs_ebpf_watch_fd,       \
	.watch_read = rs_ebpf_watch_read, .conditions = ebpf_conditions, .remove = ebpf_remove, \
	.close = ebpf_close, .is_open = ebpf_is_open, .log_open = rs_ebpf_log_open,             \
	.log_fd = rs_ebpf_log_fd, .log_read = rs_ebpf_log_read, .log_counts = rs_ebpf_log_counts

const struct rs_dp_ops rs_dp_ebpf = {
	.name = "ebpf",
	.probe = rs_ebpf_probe,
	.open = ebpf_open,
	EBPF_OPS,
};

const struct rs_dp_ops rs_dp_ebpf_tc = {
	.name = "ebpf-tc",
	.probe = tc_probe,
	.open = tc_open,
	EBPF_OPS,
};
