// SPDX-License-Identifier: Apache-2.0
/* tap.c - makes the table of a capture and reads its copies; see <ripstop/capture.h>. */
#include "dataplane/nft/tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/nft/nflog.h"

/* Groups to try: far from those that people write into rules. */
#define FIRST_GROUP 27500
#define GROUPS 64
#define MESSAGES_AT_ONCE 256
#define NS_A_SECOND 1000000000
#define SETTLE_MS 100
/* So that who reads ends first, and no packet is between two points when the rules do. */
#define SLACK_S 2

struct rs_capture {
	struct rs_capture_want want;
	struct mnl_socket *nl; /* whose table it is */
	struct rs_nflog log;
	struct rs_tap_pairs *pairs;
	uint64_t gaps, overruns; /* as last seen */
	uint32_t copies[TAP_POINTS];
};

/* ---- opening --------------------------------------------------------------------------------- */

static int open_log(struct rs_capture *c, uint16_t *group, struct rs_err *err)
{
	int rc = -EBUSY;

	for (uint16_t i = 0; i < GROUPS && rc == -EBUSY; i++) {
		rs_err_clear(err);
		*group = (uint16_t)(FIRST_GROUP + (getpid() + i) % GROUPS);
		rc = rs_nflog_open(&c->log, *group, c->want.snaplen, err);
	}
	return rc;
}

static int make_table(struct rs_capture *c, uint16_t group, struct rs_err *err)
{
	rs_auto_batch b = { 0 };
	struct timespec now;
	char table[40];
	int rc;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(table, sizeof(table), "ripstop-capture-%d", (int)getpid());
	rs_nft_batch_begin(&b);
	rs_tap_put_table(&b, table, &c->want, group,
			 ((uint64_t)now.tv_sec + c->want.seconds + SLACK_S) * NS_A_SECOND +
				 (uint64_t)now.tv_nsec);
	rc = rs_nft_batch_send(&b, c->nl, NULL, err);
	return rc < 0 ? rs_err_wrap(err, "table inet %s", table) : 0;
}

static int open_all(struct rs_capture *c, struct rs_err *err)
{
	uint16_t group;
	int rc = rs_nft_socket(0, &c->nl, err);

	if (rc == 0)
		rc = open_log(c, &group, err);
	if (rc == 0)
		rc = make_table(c, group, err);
	return rc;
}

static int check(const struct rs_capture_want *w, struct rs_err *err)
{
	if (!w->copies || w->copies > RS_CAPTURE_COPIES_MAX || !w->seconds || !w->snaplen ||
	    w->snaplen > RS_CAPTURE_SNAPLEN_MAX || w->n_protos > RS_ARRAY_SIZE(w->protos) ||
	    (w->has_port && !w->n_protos))
		return rs_err_set(err, EINVAL,
				  "a capture without bounds, or of ports without a "
				  "protocol");
	return 0;
}

int rs_capture_open(const struct rs_capture_want *want, struct rs_capture **out, struct rs_err *err)
{
	struct rs_capture *c;
	int rc = check(want, err);

	if (rc < 0)
		return rc;
	c = rs_new(struct rs_capture);
	c->want = *want;
	c->pairs = rs_tap_pairs_new();
	rc = open_all(c, err);
	if (rc < 0)
		rs_capture_close(c, NULL, NULL);
	else
		*out = c;
	return rc < 0 ? rs_err_wrap(err, "capture") : 0;
}

int rs_capture_fd(const struct rs_capture *c)
{
	return mnl_socket_get_fd(c->log.nl);
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* What the IP header says; a superpacket's says nothing. */
static uint32_t full_length(const struct rs_nflog_msg *m)
{
	const uint8_t *p = m->packet;
	uint32_t n = 0;

	if (m->packet_len >= 20 && p[0] >> 4 == 4)
		n = (uint32_t)(p[2] << 8 | p[3]);
	else if (m->packet_len >= 40 && p[0] >> 4 == 6)
		n = 40 + (uint32_t)(p[4] << 8 | p[5]);
	return n > m->packet_len ? n : (uint32_t)m->packet_len;
}

/* False: not a copy of ours. */
static bool point_of(const struct rs_nflog_msg *m, enum tap_point *out)
{
	size_t n = strlen(TAP_PREFIX);

	if (!m->prefix || strncmp(m->prefix, TAP_PREFIX, n) != 0 || m->prefix[n] < '0' ||
	    m->prefix[n] >= '0' + TAP_POINTS || m->prefix[n + 1])
		return false;
	*out = (enum tap_point)(m->prefix[n] - '0');
	return m->packet != NULL;
}

static void take(const struct rs_nflog_msg *m, void *arg)
{
	struct rs_capture *c = arg;
	struct rs_capture_packet p = { .head = m->drop,
				       /* The node's own multicast has one link as both. */
				       .from_pod = m->drop.iif == c->want.link &&
						   m->drop.oif != c->want.link,
				       .data = m->packet,
				       .len = m->packet_len };
	enum tap_point point;
	struct timespec now;

	if (c->log.gaps != c->gaps)
		rs_tap_pairs_lost(c->pairs);
	c->gaps = c->log.gaps;
	if (!point_of(m, &point))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	p.time_ns = (int64_t)now.tv_sec * NS_A_SECOND + now.tv_nsec;
	p.full_len = full_length(m);
	c->copies[point]++;
	rs_tap_pairs_add(c->pairs, point, &p, rs_mono_ms());
}

/* The socket is empty: what has no copy from behind by now may have lost it. */
static void heed_overruns(struct rs_capture *c)
{
	if (c->log.overruns != c->overruns)
		rs_tap_pairs_lost(c->pairs);
	c->overruns = c->log.overruns;
}

static bool hand_on(struct rs_capture *c, int64_t now_ms, rs_capture_fn *fn, void *arg)
{
	const struct rs_capture_packet *p;

	while ((p = rs_tap_pairs_next(c->pairs, now_ms)))
		if (fn && fn(p, arg))
			return true;
	return false;
}

int rs_capture_read(struct rs_capture *c, rs_capture_fn *fn, void *arg, struct rs_err *err)
{
	int rc = rs_nflog_each(&c->log, MESSAGES_AT_ONCE, take, c, err);

	if (rc < 0)
		return rs_err_wrap(err, "capture");
	/* While more waits, the copy from behind a place may be among it. */
	if (rc == MESSAGES_AT_ONCE)
		return hand_on(c, 0, fn, arg) || rs_capture_spent(c);
	heed_overruns(c);
	return hand_on(c, rs_mono_ms(), fn, arg) || rs_capture_spent(c);
}

int rs_capture_wait_ms(const struct rs_capture *c)
{
	int64_t due = rs_tap_pairs_due(c->pairs), now = rs_mono_ms();

	if (due < 0)
		return -1;
	return due > now ? (int)(due - now) : 0;
}

bool rs_capture_spent(const struct rs_capture *c)
{
	for (size_t i = 0; i < TAP_POINTS; i++)
		if (c->copies[i] >= c->want.copies)
			return true;
	return false;
}

uint64_t rs_capture_lost(const struct rs_capture *c)
{
	return c->log.gaps;
}

static void drain(struct rs_capture *c)
{
	while (rs_nflog_each(&c->log, MESSAGES_AT_ONCE, take, c, NULL) == MESSAGES_AT_ONCE)
		;
	heed_overruns(c);
}

/* What came before now is decided, for its copies from behind have the time to come; what came
 * since may have been between two points when the table went. */
static void finish(struct rs_capture *c, rs_capture_fn *fn, void *arg)
{
	const struct timespec settle = { .tv_nsec = SETTLE_MS * 1000000L };
	int64_t now;

	drain(c);
	now = rs_mono_ms();
	nanosleep(&settle, NULL);
	drain(c);
	mnl_socket_close(rs_steal_ptr(&c->nl));
	if (hand_on(c, now + TAP_PATIENCE_MS, fn, arg))
		return;
	drain(c);
	rs_tap_pairs_lost(c->pairs);
	hand_on(c, now, fn, arg);
}

void rs_capture_close(struct rs_capture *c, rs_capture_fn *fn, void *arg)
{
	if (!c)
		return;
	if (fn && c->nl)
		finish(c, fn, arg);
	if (c->nl)
		mnl_socket_close(c->nl);
	rs_nflog_close(&c->log);
	rs_tap_pairs_free(c->pairs);
	free(c);
}
