// SPDX-License-Identifier: Apache-2.0
/* control_bed.c - one step from objects to the kernel, timed; see control_bed.h. */
#include "tests/bench/control_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/grace.h"
#include "tests/bench/bench_say.h"

/* ---- the wait for a grace period ------------------------------------------------------------- */

static double grace_ms;

/* A thread asks for the grace period (grace.c); what counts is how long a commit stands still for it. */
void __real_rs_nft_grace_wait(struct rs_nft_grace *g);
void __wrap_rs_nft_grace_wait(struct rs_nft_grace *g);

void __wrap_rs_nft_grace_wait(struct rs_nft_grace *g)
{
	double t0 = bench_now_ms();

	__real_rs_nft_grace_wait(g);
	grace_ms += bench_now_ms() - t0;
}

/* ---- the bed --------------------------------------------------------------------------------- */

static void enter(const struct bed *b)
{
	if (setns(b->ns, CLONE_NEWNET) < 0)
		bench_die("setns: %s", strerror(errno));
}

static int new_ns(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		bench_die("unshare: %s (it needs root)", strerror(errno));
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("/proc/thread-self/ns/net: %s", strerror(errno));
	return fd;
}

static void fail(const char *what, const struct rs_err *err)
{
	bench_die("%s: %s", what, rs_err_str(err));
}

static void shut(struct bed *b)
{
	rs_auto_err err = { 0 };

	if (b->dp) {
		if (b->dp->ops->remove(b->dp, &err) < 0)
			fail("remove", &err);
		b->dp->ops->close(b->dp);
	}
	rs_compiler_free(b->compiler);
	rs_ir_free(b->ir);
	b->dp = NULL;
	b->compiler = NULL;
	b->ir = NULL;
}

void bed_empty(struct bed *b)
{
	struct rs_dp_config cfg;
	rs_auto_err err = { 0 };

	enter(b);
	shut(b);
	rs_dp_config_default(&cfg);
	if (rs_dp_nft.open(&cfg, &b->dp, &err) < 0)
		fail("open", &err);
	if (b->dp->ops->read(b->dp, &b->ir, &err) < 0)
		fail("read", &err);
	b->compiler = rs_compiler_new(NULL);
}

void bed_open(struct bed *b, const char *name, struct worldw *w)
{
	*b = (struct bed){ .name = name, .w = w };
	b->ns = new_ns();
	bed_empty(b);
}

void bed_close(struct bed *b)
{
	enter(b);
	shut(b);
	worldw_free(b->w);
	close(b->ns);
}

/* ---- one step -------------------------------------------------------------------------------- */

static bool shift(struct bed *b, struct rs_dp_commit *done)
{
	struct rs_ir_moves m;
	rs_auto_err err = { 0 };

	if (!b->ir || !rs_compile_moves(b->compiler, &b->w->w, true, &m))
		return false;
	if (b->dp->ops->shift(b->dp, b->ir, &m, done, &err) < 0)
		fail("shift", &err);
	rs_ir_apply(b->ir, &m);
	rs_compiler_moved(b->compiler, &m);
	rs_ir_moves_clear(&m);
	return true;
}

static void whole(struct bed *b, struct rs_dp_commit *done)
{
	struct rs_conditions conditions = { 0 };
	rs_auto_err err = { 0 };
	struct rs_ir *ir;

	if (rs_compile(b->compiler, &b->w->w, &ir, &conditions, &err) < 0)
		fail("compile", &err);
	rs_conditions_free(&conditions);
	if (b->dp->ops->commit(b->dp, ir, done, &err) < 0)
		fail("commit", &err);
	rs_compiler_committed(b->compiler, ir);
	rs_ir_free(b->ir);
	b->ir = ir;
}

void bed_step(struct bed *b, struct cost *c)
{
	struct rs_dp_commit done = { 0 };
	double t0;

	enter(b);
	grace_ms = 0;
	t0 = bench_now_ms();
	c->moves = shift(b, &done);
	if (!c->moves)
		whole(b, &done);
	c->grace = grace_ms;
	c->total = bench_now_ms() - t0 - grace_ms;
	/* As the agent does behind its answers. */
	b->dp->ops->prepare(b->dp);
	c->commit = done.ms;
	c->bumped = done.bumped;
	c->messages = done.messages;
}
