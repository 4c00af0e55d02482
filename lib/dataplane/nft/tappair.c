// SPDX-License-Identifier: Apache-2.0
/*
 * tappair.c - what came before a place and what came behind it; see tap.h.
 *
 * One packet passes a place on one CPU without a pause, so the copy from behind it is the newest
 * equal one. Source NAT may have worked between the two (its hook has the number of ours behind the
 * verdict), so what it changes is not compared.
 */
#include "dataplane/nft/tap.h"

#include <netinet/in.h>
#include <string.h>

#include "base/base.h"

#define MAX_WAITING 8192
#define IP4_HEAD 20
#define IP6_HEAD 40
/* The longest IPv4 header, and as far as a checksum lies behind one. */
#define COMPARED_HEAD (60 + 18)

struct waiting {
	struct rs_capture_packet p; /* data: ours */
	enum tap_point point;
	int64_t since_ms;
	bool decided;
	bool gone; /* it will be seen again at the next place */
};

struct rs_tap_pairs {
	struct waiting v[MAX_WAITING]; /* a ring */
	size_t first, n;
	uint8_t *last; /* data of the one that was handed on */
};

struct rs_tap_pairs *rs_tap_pairs_new(void)
{
	return rs_new(struct rs_tap_pairs);
}

static struct waiting *at(struct rs_tap_pairs *t, size_t i)
{
	return &t->v[(t->first + i) % MAX_WAITING];
}

static void pop(struct rs_tap_pairs *t)
{
	t->first = (t->first + 1) % MAX_WAITING;
	t->n--;
}

void rs_tap_pairs_free(struct rs_tap_pairs *t)
{
	for (size_t i = 0; t && i < t->n; i++)
		free((void *)at(t, i)->p.data);
	if (t)
		free(t->last);
	free(t);
}

/* ---- equal packets --------------------------------------------------------------------------- */

static void blank(uint8_t *head, size_t n, size_t from, size_t len)
{
	for (size_t i = from; i < from + len && i < n; i++)
		head[i] = 0;
}

static void blank_transport(uint8_t *head, size_t n, size_t l4, uint8_t proto)
{
	static const struct {
		uint8_t proto, from, len;
	} sums[] = { { IPPROTO_TCP, 16, 2 },
		     { IPPROTO_UDP, 6, 2 },
		     { IPPROTO_UDPLITE, 6, 2 },
		     { IPPROTO_SCTP, 8, 4 } };

	for (size_t i = 0; i < RS_ARRAY_SIZE(sums); i++)
		if (sums[i].proto == proto) {
			blank(head, n, l4, 2);
			blank(head, n, l4 + sums[i].from, sums[i].len);
		}
	/* The number of an echo request is a port to NAT. */
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		blank(head, n, l4 + 2, 4);
}

/* The first bytes without what source NAT changes: returns how many. */
static size_t comparable(const struct rs_capture_packet *p, uint8_t head[COMPARED_HEAD])
{
	size_t n = p->len < COMPARED_HEAD ? p->len : COMPARED_HEAD;

	memcpy(head, p->data, n);
	if (n >= IP4_HEAD && head[0] >> 4 == 4) {
		size_t l4 = (size_t)(head[0] & 0x0f) * 4;
		bool later = (head[6] & 0x1f) || head[7];

		blank(head, n, 10, 6);
		if (!later)
			blank_transport(head, n, l4, p->data[9]);
	} else if (n >= IP6_HEAD && head[0] >> 4 == 6) {
		blank(head, n, 8, 16);
		blank_transport(head, n, IP6_HEAD, p->data[6]);
	}
	return n;
}

static bool equal(const struct rs_capture_packet *a, const struct rs_capture_packet *b)
{
	uint8_t x[COMPARED_HEAD], y[COMPARED_HEAD];
	size_t n;

	if (a->len != b->len)
		return false;
	n = comparable(a, x);
	comparable(b, y);
	return !memcmp(x, y, n) && !memcmp(a->data + n, b->data + n, a->len - n);
}

/* ---- copies as they come --------------------------------------------------------------------- */

static struct waiting *find(struct rs_tap_pairs *t, enum tap_point before,
			    const struct rs_capture_packet *p)
{
	for (size_t i = t->n; i-- > 0;) {
		struct waiting *w = at(t, i);

		if (!w->decided && w->point == before && w->p.from_pod == p->from_pod &&
		    equal(&w->p, p))
			return w;
	}
	return NULL;
}

static void decide(struct waiting *w, enum rs_capture_fate fate)
{
	w->decided = true;
	w->p.fate = fate;
}

static struct waiting *push(struct rs_tap_pairs *t, enum tap_point point,
			    const struct rs_capture_packet *p, int64_t now_ms)
{
	struct waiting *w;

	if (t->n == MAX_WAITING) { /* nobody took them */
		free((void *)at(t, 0)->p.data);
		pop(t);
	}
	w = at(t, t->n++);
	*w = (struct waiting){ .p = *p, .point = point, .since_ms = now_ms };
	w->p.data = rs_memdup(p->data, p->len);
	return w;
}

void rs_tap_pairs_add(struct rs_tap_pairs *t, enum tap_point point,
		      const struct rs_capture_packet *p, int64_t now_ms)
{
	bool behind = point % 2;
	struct waiting *w;

	if (!behind) {
		push(t, point, p, now_ms);
		return;
	}
	w = find(t, point - 1, p);
	if (w) {
		decide(w, RS_CAPTURE_PASSED);
		w->gone = point == TAP_GUARD_PASSED;
	} else if (point != TAP_GUARD_PASSED) {
		/* The one before it was lost, or came before we listened. */
		decide(push(t, point, p, now_ms), RS_CAPTURE_PASSED);
	}
}

void rs_tap_pairs_lost(struct rs_tap_pairs *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!at(t, i)->decided)
			decide(at(t, i), RS_CAPTURE_UNKNOWN);
}

const struct rs_capture_packet *rs_tap_pairs_next(struct rs_tap_pairs *t, int64_t now_ms)
{
	while (t->n) {
		struct waiting *w = at(t, 0);

		if (!w->decided && now_ms - w->since_ms < TAP_PATIENCE_MS)
			return NULL;
		if (!w->decided)
			decide(w, w->point == TAP_GUARD ? RS_CAPTURE_GUARD : RS_CAPTURE_DROPPED);
		free(t->last);
		t->last = (uint8_t *)w->p.data;
		pop(t);
		if (!w->gone)
			return &w->p;
	}
	return NULL;
}

int64_t rs_tap_pairs_due(const struct rs_tap_pairs *t)
{
	const struct waiting *w = &t->v[t->first];

	if (!t->n)
		return -1;
	return w->decided ? 0 : w->since_ms + TAP_PATIENCE_MS;
}
