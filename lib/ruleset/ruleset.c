// SPDX-License-Identifier: Apache-2.0
/*
 * ruleset.c - lib/ruleset reads back the nft rules that are in the kernel and says what they do to
 * a packet: the second opinion on what lib/dataplane/nft wrote, with which it shares nothing.
 *
 * This file brings a table here, over netlink and of one generation. rset_take*.c make data of the
 * messages and refuse what they do not know, rset_walk.c and rset_eval.c walk, rset_packet.c
 * answers for the packet.
 */
#include <ripstop/ruleset.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "ruleset/rset.h"
#include "ruleset/rset_attr.h"

#define TRIES 20
#define PAUSE_MS 5
#define RECV_BYTES 65536
#define NAME_MAX_LEN 255

struct link {
	struct mnl_socket *nl;
	uint32_t seq;
	char *buf;
	struct rs_ruleset *r; /* that takes what comes */
	uint32_t gen;
	struct rs_err *err;
};

/* The ways in which one attempt ends, beside 0 and errors. */
#define CHANGED 1

static struct nlmsghdr *ask(struct link *l, void *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++l->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = NFPROTO_INET;
	g->version = NFNETLINK_V0;
	return h;
}

static int take_gen(struct link *l, const struct nlmsghdr *h)
{
	struct rset_in in;

	rset_open_msg(&in, h,
		      RSET_A(NFTA_GEN_ID) | RSET_A(NFTA_GEN_PROC_PID) | RSET_A(NFTA_GEN_PROC_NAME),
		      "generation", l->err);
	l->gen = rset_u32(&in, NFTA_GEN_ID);
	return in.rc;
}

static bool is_inet(const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);

	return g->nfgen_family == NFPROTO_INET;
}

static int take_message(struct link *l, const struct nlmsghdr *h)
{
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
		return rs_err_set(l->err, EBADMSG, "a short message");
	if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWGEN)
		return take_gen(l, h);
	return is_inet(h) ? rset_take(l->r, h, l->err) : 0;
}

/* What an error or end message says; 0: it is none. */
static int ended(struct link *l, const struct nlmsghdr *h, bool *end)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	int num;

	*end = h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
	if (h->nlmsg_type == NLMSG_DONE) {
		const int *code = mnl_nlmsg_get_payload(h);

		num = mnl_nlmsg_get_payload_len(h) >= sizeof(*code) ? -*code : 0;
	} else if (h->nlmsg_type == NLMSG_ERROR) {
		num = mnl_nlmsg_get_payload_len(h) >= sizeof(*e) ? -e->error : EBADMSG;
	} else {
		return 0;
	}
	if (num == EINTR || num == EAGAIN)
		return CHANGED;
	return num > 0 ? rs_err_sys(l->err, num, "nf_tables") : 0;
}

/* All messages of one datagram. An error stays until the kernel has said all. */
static int take_datagram(struct link *l, int len, bool *end, int rc)
{
	const struct nlmsghdr *h = (const void *)l->buf;

	for (; !*end && mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
		int one;

		if (h->nlmsg_seq != l->seq)
			continue; /* late, of a request that was given up */
		one = h->nlmsg_flags & NLM_F_DUMP_INTR ? CHANGED : ended(l, h, end);
		*end |= h->nlmsg_type == NLMSG_DONE;
		if (!one && !*end && !rc)
			one = take_message(l, h);
		*end |= !(h->nlmsg_flags & NLM_F_MULTI);
		rc = rc ? rc : one;
	}
	return rc;
}

/* One request and all that answers it. */
static int talk(struct link *l, const struct nlmsghdr *h)
{
	bool end = false;
	int rc = 0;

	if (mnl_socket_sendto(l->nl, h, h->nlmsg_len) < 0)
		return rs_err_sys(l->err, errno, "nf_tables: send");
	while (!end) {
		ssize_t n = mnl_socket_recvfrom(l->nl, l->buf, RECV_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rs_err_sys(l->err, errno, "nf_tables: receive");
		rc = take_datagram(l, (int)n, &end, rc);
	}
	return rc;
}

static int dump(struct link *l, uint16_t type, int attr, const char *name)
{
	char buf[MNL_NLMSG_HDRLEN + 1024];
	struct nlmsghdr *h = ask(l, buf, type, NLM_F_DUMP);

	if (name)
		mnl_attr_put_strz(h, (uint16_t)attr, name);
	return talk(l, h);
}

static int dump_elements(struct link *l, const struct rset_set *s)
{
	char buf[MNL_NLMSG_HDRLEN + 1024];
	struct nlmsghdr *h;

	if (strlen(s->name) > NAME_MAX_LEN)
		return rs_err_set(l->err, EBADMSG, "a set's name is too long");
	h = ask(l, buf, NFT_MSG_GETSETELEM, NLM_F_DUMP);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, l->r->table);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, s->name);
	return talk(l, h);
}

static int read_table(struct link *l)
{
	char buf[MNL_NLMSG_HDRLEN + 1024];
	struct nlmsghdr *h = ask(l, buf, NFT_MSG_GETTABLE, 0);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, l->r->table);
	return talk(l, h);
}

static int read_generation(struct link *l, uint32_t *gen)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	int rc = talk(l, ask(l, buf, NFT_MSG_GETGEN, 0));

	*gen = l->gen;
	return rc;
}

static int read_parts(struct link *l)
{
	struct rset_set *s, *next;
	int rc = read_table(l);

	if (!rc && !l->r->seen)
		rc = rs_err_set(l->err, ENOENT, "the kernel answered about another table");
	if (!rc)
		rc = dump(l, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, NULL);
	if (!rc)
		rc = dump(l, NFT_MSG_GETSET, NFTA_SET_TABLE, l->r->table);
	if (!rc)
		rc = dump(l, NFT_MSG_GETRULE, NFTA_RULE_TABLE, l->r->table);
	if (!rc)
		rc = dump(l, NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, l->r->table);
	HASH_ITER(hh, l->r->sets, s, next) {
		if (!rc)
			rc = dump_elements(l, s);
	}
	return rc ? rc : rset_finish(l->r, l->err);
}

/* The generation before and after decides: what failed in between may be the fault of a change. */
static int attempt(struct link *l, const char *table)
{
	uint32_t before, after;
	rs_auto_err own = { 0 };
	struct rs_err *caller = l->err;
	int rc, again;

	rs_ruleset_free(l->r);
	l->r = rset_new(table);
	again = read_generation(l, &before);
	if (again)
		return again;
	rc = read_parts(l);
	l->err = &own; /* an error of read_parts() is not to be overwritten */
	again = read_generation(l, &after);
	l->err = caller;
	if (again || after != before)
		return CHANGED;
	return rc;
}

static int try_often(struct link *l, const char *table)
{
	struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	int rc = CHANGED;

	for (int i = 0; i < TRIES && rc == CHANGED; i++) {
		if (i)
			nanosleep(&pause, NULL);
		rs_err_clear(l->err);
		rc = attempt(l, table);
	}
	if (rc == CHANGED)
		return rs_err_set(l->err, EAGAIN, "the rules changed during each of %d readings",
				  TRIES);
	return rc;
}

static int open_link(struct link *l)
{
	l->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!l->nl)
		return rs_err_sys(l->err, errno, "netlink socket (netfilter)");
	if (mnl_socket_bind(l->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return rs_err_sys(l->err, errno, "bind netlink socket (netfilter)");
	l->buf = rs_calloc(RECV_BYTES, 1);
	return 0;
}

int rs_ruleset_read(const char *table, struct rs_ruleset **out, struct rs_err *err)
{
	struct link l = { .err = err };
	int rc;

	*out = NULL;
	if (!*table || strlen(table) > NAME_MAX_LEN)
		return rs_err_set(err, EINVAL, "no name of a table");
	rc = open_link(&l);
	if (!rc)
		rc = try_often(&l, table);
	if (l.nl)
		mnl_socket_close(l.nl);
	free(l.buf);
	if (!rc)
		*out = rs_steal_ptr(&l.r);
	rs_ruleset_free(l.r);
	return rc ? rs_err_wrap(err, "read table inet %s", table) : 0;
}

size_t rs_ruleset_rules(const struct rs_ruleset *r)
{
	return r->n_rules;
}

size_t rs_ruleset_elements(const struct rs_ruleset *r)
{
	return r->n_elems;
}

bool rs_ruleset_counter(const struct rs_ruleset *r, const char *name, uint64_t *packets,
			uint64_t *bytes)
{
	for (size_t i = 0; i < r->counters.n; i++) {
		const struct rset_counter *c = &r->counters.v[i];

		if (strcmp(c->name, name) != 0)
			continue;
		*packets = c->packets;
		*bytes = c->bytes;
		return true;
	}
	return false;
}
