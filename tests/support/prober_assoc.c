// SPDX-License-Identifier: Apache-2.0
/*
 * SCTP made by hand, for a kernel without SCTP sockets: INIT, INIT-ACK, COOKIE-ECHO, COOKIE-ACK and DATA with
 * checksums and verification tags, so that conntrack follows the association (RFC 9260, 3 and 5).
 */
#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prober_stream.h"

#define FIRST_PORT 20000
#define RETRY_MS 200

enum chunk {
	DATA = 0,
	INIT = 1,
	INIT_ACK = 2,
	COOKIE_ECHO = 10,
	COOKIE_ACK = 11,
};

struct common {
	uint16_t sport, dport;
	uint32_t vtag, sum;
	uint8_t type, flags;
	uint16_t len; /* of the chunk, without the 12 bytes in front of it */
};

struct init {
	uint32_t tag, window;
	uint16_t out, in;
	uint32_t tsn;
	uint32_t cookie[2]; /* INIT-ACK only: the parameter "state cookie" */
};

struct data {
	uint32_t tsn;
	uint16_t stream, number;
	uint32_t protocol;
	struct token token;
};

struct packet {
	struct common c;
	union {
		struct init init;
		struct data data;
		uint32_t cookie;
	} u;
};

static uint32_t own_tag(const struct flow *f, enum way way)
{
	return htonl(0x10000u + 2 * (uint32_t)(f - pr.flows) + way);
}

static void sctp_ready(struct watch *w, uint32_t events);

static bool put(struct flow *f, enum way way, struct packet *p, size_t body)
{
	uint16_t own = htons((uint16_t)(FIRST_PORT + (f - pr.flows))),
		 far = htons((uint16_t)f->port);
	struct raw *r = raw_socket(way == UP ? f->src_ns : f->dst_ns, f->dst.sa.sa_family,
				   IPPROTO_SCTP, sctp_ready);
	size_t n = sizeof(p->c) + body;

	p->c.sport = way == UP ? own : far;
	p->c.dport = way == UP ? far : own;
	p->c.vtag = p->c.type == INIT ? 0 : live_of(f)->vtag[way];
	p->c.len = htons((uint16_t)(4 + body));
	p->c.sum = 0;
	p->c.sum = htole32(crc32c(p, n));
	return send_from(r->watch.fd, way == UP && !f->any_src ? &f->src : NULL,
			 way == UP ? &f->dst : &live_of(f)->peer, p, n) >= 0;
}

static void put_init(struct flow *f, enum way way)
{
	struct packet p = {
		.c = { .type = way == UP ? INIT : INIT_ACK },
		.u.init = { .tag = own_tag(f, way),
			    .window = htonl(1 << 20),
			    .out = htons(1),
			    .in = htons(1),
			    .tsn = htonl(1),
			    .cookie = { htonl(0x00070008), htonl(TOKEN_MAGIC) } },
	};

	put(f, way, &p, sizeof(p.u.init) - (way == UP ? sizeof(p.u.init.cookie) : 0));
}

static void put_cookie(struct flow *f, enum way way)
{
	struct packet p = { .c = { .type = way == UP ? COOKIE_ECHO : COOKIE_ACK },
			    .u.cookie = htonl(TOKEN_MAGIC) };

	put(f, way, &p, way == UP ? sizeof(p.u.cookie) : 0);
}

bool assoc_send(struct flow *f, enum way way)
{
	uint32_t seq = live_of(f)->tally[way].sent;
	struct packet p = {
		.c = { .type = DATA, .flags = 3 }, /* one fragment, the first and the last */
		.u.data = { .tsn = htonl(1 + seq),
			    .number = htons((uint16_t)seq),
			    .token = stream_token(f, way) },
	};

	return put(f, way, &p, sizeof(p.u.data));
}

/* What the kernel does not check for us. */
static bool genuine(const uint8_t *p, size_t n, const struct packet *k, const struct flow *f,
		    enum way way)
{
	uint8_t copy[512];

	if (n > sizeof(copy))
		return false;
	memcpy(copy, p, n);
	memset(copy + 8, 0, 4);
	return crc32c(copy, n) == le32toh(k->c.sum) &&
	       (k->c.type == INIT ? !k->c.vtag : k->c.vtag == own_tag(f, way == UP ? DOWN : UP));
}

static void step(struct flow *f, enum way way, const struct packet *p, const union address *from)
{
	struct live *l = live_of(f);

	switch (p->c.type) {
	case INIT:
		l->peer = *from;
		l->vtag[DOWN] = p->u.init.tag;
		put_init(f, DOWN);
		break;
	case INIT_ACK:
		l->vtag[UP] = p->u.init.tag;
		put_cookie(f, UP);
		break;
	case COOKIE_ECHO:
		put_cookie(f, DOWN);
		break;
	case COOKIE_ACK:
		l->open = true;
		break;
	case DATA:
		if (p->u.data.token.pad == way)
			stream_arrived(&p->u.data.token);
		break;
	default:
		break;
	}
}

static void take(const struct raw *r, const uint8_t *p, size_t n, const union address *from)
{
	struct packet k = { 0 };
	struct flow *f;
	enum way way;

	if (n < sizeof(k.c))
		return;
	memcpy(&k, p, n < sizeof(k) ? n : sizeof(k));
	for (f = pr.flows; f < pr.flows + pr.n_flows; f++) {
		uint16_t own = htons((uint16_t)(FIRST_PORT + (f - pr.flows)));
		uint16_t far = htons((uint16_t)f->port);

		if (f->kind != KIND_SCTP || f->dst.sa.sa_family != r->family)
			continue;
		if (k.c.sport == own && k.c.dport == far && f->dst_ns == r->ns)
			way = UP;
		else if (k.c.sport == far && k.c.dport == own && f->src_ns == r->ns)
			way = DOWN;
		else
			continue;
		if (genuine(p, n, &k, f, way))
			step(f, way, &k, from);
		return;
	}
}

static void sctp_ready(struct watch *w, uint32_t events)
{
	struct raw *r = (struct raw *)w;
	union address from = { 0 };
	socklen_t len = sizeof(from);
	uint8_t buf[2048];
	size_t at;
	ssize_t n;

	(void)events;
	while ((n = recvfrom(w->fd, buf, sizeof(buf), 0, &from.sa, &len)) >= 0) {
		len = sizeof(from);
		at = r->family == AF_INET ? (size_t)(buf[0] & 15) * 4 : 0;
		if ((size_t)n > at)
			take(r, buf + at, (size_t)n - at, &from);
	}
}

void assoc_start(struct flow *f)
{
	raw_socket(f->dst_ns, f->dst.sa.sa_family, IPPROTO_SCTP, sctp_ready);
	raw_socket(f->src_ns, f->dst.sa.sa_family, IPPROTO_SCTP, sctp_ready);
}

void assoc_retry(struct flow *f)
{
	if (live_of(f)->retry > now_ms())
		return;
	live_of(f)->retry = now_ms() + RETRY_MS;
	put_init(f, UP);
}

bool kernel_has_sctp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
