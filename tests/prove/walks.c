// SPDX-License-Identifier: Apache-2.0
/* walks.c - packets of a flow, as the hooks of each node see them; see walks.h. */
#include "tests/prove/walks.h"

#include <errno.h>
#include <netinet/in.h>
#include <ripstop/linkgroup.h>
#include <string.h>

#include "tests/prove/bpfwalk.h"

#define SYN 0x02
#define ACK 0x10
#define INIT 1
#define HEARTBEAT 4
#define CLIENT_PORT 40001
#define PING_ID 80 /* as a port number it would be one that policies name */
#define FOREIGN_BITS 0x1234u
#define STAMP_BITS 0xffff0000u

/* What a packet is, beside the flow that it belongs to. */
struct kind {
	const char *name;
	bool reply;
	bool error;   /* ICMP about the flow, from where the packet would have come */
	bool service; /* the client asked for a virtual address */
	uint8_t state;
	uint8_t flags;
	uint32_t mark;
};

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static bool is_ping(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static struct rs_addr virtual_address(uint8_t family)
{
	return family == 4
		       ? (struct rs_addr){ RS_AF_IP4, { 10, 96, 0, 10 } }
		       : (struct rs_addr){ RS_AF_IP6, { 0xfd, 0, 0, 0x10, 0, 0x96, [15] = 10 } };
}

static struct rs_addr some_router(uint8_t family)
{
	return family == 4 ? (struct rs_addr){ RS_AF_IP4, { 192, 0, 2, 254 } }
			   : (struct rs_addr){ RS_AF_IP6,
					       { 0xfd, 0, 1, 0x92, [14] = 0xff, [15] = 0xfe } };
}

/* ---- one packet ------------------------------------------------------------------------------ */

static void fill_flow(struct rs_packet *p, const struct pv_flow *f, const struct kind *k)
{
	bool ping = is_ping(f->proto), six = f->family == 6;
	uint16_t cport = has_ports(f->proto) ? CLIENT_PORT : 0;

	p->ct_proto = f->proto;
	p->ct_reply = k->reply;
	p->ct_mark = k->mark;
	p->orig = (struct rs_ct_tuple){ f->src.addr, f->dst.addr, cport, f->port };
	p->reply = (struct rs_ct_tuple){ f->dst.addr, f->src.addr, f->port, cport };
	if (ping) {
		p->orig.sport = p->reply.sport = PING_ID;
		p->orig.dport = (uint16_t)((six ? 128 : 8) << 8);
		p->reply.dport = (uint16_t)((six ? 129 : 0) << 8);
	}
}

/* The node that the packet meets first translates the Service's address. */
static bool translates(const struct pv_flow *f, const struct kind *k, size_t node)
{
	return k->service && (f->src.node == (int)node || f->src.node < 0);
}

/* The far end of the packet's way: whoever sent it. */
static const struct pv_end *sender(const struct pv_flow *f, const struct kind *k)
{
	return k->reply ? &f->dst : &f->src;
}

static const struct pv_end *receiver(const struct pv_flow *f, const struct kind *k)
{
	return k->reply ? &f->src : &f->dst;
}

static void fill_header(struct rs_packet *p, const struct pv_flow *f, const struct kind *k)
{
	bool six = f->family == 6;

	p->src = sender(f, k)->addr;
	p->dst = receiver(f, k)->addr;
	p->proto = f->proto;
	p->ttl = 64;
	if (k->error) { /* "too big", from a router unless the sender is a pod */
		p->proto = six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		p->icmp_type = six ? 2 : 3;
		p->icmp_code = six ? 0 : 4;
		if (sender(f, k)->kind != PV_END_POD)
			p->src = some_router(f->family);
		return;
	}
	if (has_ports(f->proto)) {
		p->sport = k->reply ? f->port : CLIENT_PORT;
		p->dport = k->reply ? CLIENT_PORT : f->port;
	}
	if (f->proto == IPPROTO_TCP)
		p->tcp_flags = k->flags;
	if (f->proto == IPPROTO_SCTP)
		p->sctp_chunk = k->flags == SYN ? INIT : HEARTBEAT;
	if (is_ping(f->proto))
		p->icmp_type = six ? (k->reply ? 129 : 128) : (k->reply ? 0 : 8);
}

static bool is_pod_of(const struct pv_end *e, size_t node)
{
	return e->kind == PV_END_POD && e->node == (int)node;
}

static bool is_node(const struct pv_end *e, size_t node)
{
	return e->kind == PV_END_NODE && e->node == (int)node;
}

static void enter_by(struct rs_packet *p, const struct pv_end *from, size_t node)
{
	if (is_pod_of(from, node)) {
		p->iif = from->pod->ifindex;
		p->iif_group = RS_LINK_GROUP;
		memcpy(p->src_mac, from->pod->mac, sizeof(p->src_mac));
		p->has_mac = true;
	} else if (!is_node(from, node)) {
		p->iif = PV_UPLINK;
	}
}

static void leave_by(struct rs_packet *p, const struct pv_end *to, size_t node)
{
	if (is_pod_of(to, node)) {
		p->oif = to->pod->ifindex;
		p->oif_group = RS_LINK_GROUP;
	} else if (!is_node(to, node)) {
		p->oif = PV_UPLINK;
	}
}

static int walk(struct pv_walks *w, size_t node, enum rs_hook hook, const struct rs_packet *p,
		struct rs_walk *out, struct rs_err *err)
{
	w->packets++;
	memset(out, 0, sizeof(*out));
	if (w->bpf[node])
		return pv_bpf_walk(w->bpf[node], hook, p, out, err);
	return rs_ruleset_walk(w->rules[node], hook, p, out, NULL, NULL, err);
}

/* The packet's way through one node: prerouting unless it was made there, then out or in. */
static int pass(struct pv_walks *w, size_t node, const struct pv_flow *f, const struct kind *k,
		struct rs_walk *out, struct rs_err *err)
{
	const struct pv_end *from = sender(f, k), *to = receiver(f, k);
	struct rs_packet p = { 0 };
	int rc = 0;

	fill_header(&p, f, k);
	enter_by(&p, from, node);
	*out = (struct rs_walk){ .accept = true };
	if (p.iif) {
		/* The guard comes before conntrack: no flow, and no DNAT yet. */
		p.ct_state = RS_CT_INVALID;
		if (translates(f, k, node))
			p.dst = virtual_address(f->family);
		rc = walk(w, node, RS_HOOK_PREROUTING, &p, out, err);
		p.dst = to->addr;
	}
	if (rc < 0 || !out->accept)
		return rc;
	fill_flow(&p, f, k);
	if (translates(f, k, node)) {
		p.orig.dst = virtual_address(f->family);
		p.orig.dport = 8443;
	}
	p.ct_state = k->state;
	p.ttl = 63;
	leave_by(&p, to, node);
	return walk(w, node, is_node(to, node) ? RS_HOOK_INPUT : RS_HOOK_POSTROUTING, &p, out, err);
}

/* ---- what must follow ------------------------------------------------------------------------ */

static bool isolated(const struct pv_scene *s, const struct pv_end *e, size_t node)
{
	struct rs_world world;
	size_t in, out;

	if (!is_pod_of(e, node))
		return false;
	if (e->pod->closed)
		return true;
	world = pv_scene_world(s, node);
	free(rs_policies_of(&world, e->pod->ns, e->pod->labels, RS_INGRESS, &in));
	free(rs_policies_of(&world, e->pod->ns, e->pod->labels, RS_EGRESS, &out));
	return in || out;
}

struct test {
	struct pv_walks *w;
	const struct pv_flow *f;
	size_t node;
	struct rs_walk first;
	char **broken;
	struct rs_err *err;
};

static void complain(struct test *t, const struct kind *k, const char *what,
		     const struct rs_walk *got)
{
	if (!*t->broken)
		*t->broken = rs_asprintf("%s: %s at %s (chain %s, rule %llu, %s)", k->name, what,
					 t->w->scene->nodes[t->node].at.name, got->chain,
					 (unsigned long long)got->handle,
					 got->accept ? "accepted" : "dropped");
}

static int expect(struct test *t, const struct kind *k, bool accept)
{
	struct rs_walk got;
	int rc = pass(t->w, t->node, t->f, k, &got, t->err);

	if (rc < 0)
		return rc;
	if (is_node(sender(t->f, k), t->node))
		accept = true; /* made by this node */
	if (got.accept != accept)
		complain(t, k, accept ? "it should pass" : "it should be dropped", &got);
	else if (got.marked && (got.ct_mark & STAMP_BITS) != t->w->stamp[t->node])
		complain(t, k, "a stamp that is not in force", &got);
	else if (got.marked && (got.ct_mark & ~STAMP_BITS) != (k->mark & ~STAMP_BITS))
		complain(t, k, "foreign bits of the mark are lost", &got);
	return 0;
}

/* A packet of the flow when conntrack knows it: the first packet's verdict, whatever the stamp. */
static int expect_followers(struct test *t)
{
	uint32_t stale = ((t->w->stamp[t->node] ^ 0x00010000u) & STAMP_BITS) | FOREIGN_BITS;
	uint32_t mark = t->first.accept ? t->first.ct_mark : 0;
	const struct kind kinds[] = {
		{ "the answer", true, false, false, RS_CT_ESTABLISHED, SYN | ACK, mark },
		{ "the next packet", false, false, false, RS_CT_ESTABLISHED, ACK, mark },
		{ "an answer with a stale stamp", true, false, false, RS_CT_ESTABLISHED, ACK,
		  stale },
		{ "a packet with a stale stamp", false, false, false, RS_CT_ESTABLISHED, ACK,
		  stale },
		{ "an ICMP error about it", true, true, false, RS_CT_RELATED, 0, mark },
		{ "the first packet through a Service", false, false, true, RS_CT_NEW, SYN, 0 },
	};
	size_t i, n = RS_ARRAY_SIZE(kinds) - !has_ports(t->f->proto);
	int rc = 0;

	for (i = 0; rc == 0 && i < n; i++)
		rc = expect(t, &kinds[i], t->first.accept);
	return rc;
}

/* Who opened such a flow is not known: an isolated pod has no part in it. */
static int expect_mid_stream(struct test *t)
{
	const struct kind k = { "a packet in mid-stream", false, false, false, RS_CT_NEW, ACK, 0 };

	if (t->f->proto != IPPROTO_TCP && t->f->proto != IPPROTO_SCTP)
		return 0;
	return expect(t, &k,
		      !isolated(t->w->scene, &t->f->src, t->node) &&
			      !isolated(t->w->scene, &t->f->dst, t->node));
}

static int judge_at(struct pv_walks *w, size_t node, const struct pv_flow *f, bool *allow,
		    char **broken, struct rs_err *err)
{
	const struct kind syn = { "the first packet", false, false, false, RS_CT_NEW, SYN, 0 };
	struct test t = { w, f, node, { 0 }, broken, err };
	int rc = pass(w, node, f, &syn, &t.first, err);

	if (rc < 0)
		return rc;
	*allow = *allow && t.first.accept;
	if (t.first.marked && (t.first.ct_mark & STAMP_BITS) != w->stamp[node])
		complain(&t, &syn, "a stamp that is not in force", &t.first);
	rc = expect_followers(&t);
	return rc < 0 ? rc : expect_mid_stream(&t);
}

/* ---- flows ----------------------------------------------------------------------------------- */

/* A pod that reaches itself through its Service; directly, such a packet never leaves it. */
static int hairpin(struct pv_walks *w, const struct pv_flow *f, bool *allow, char **broken,
		   struct rs_err *err)
{
	const struct kind syn = { "the hairpin", false, false, true, RS_CT_NEW, SYN, 0 };
	size_t node = (size_t)f->src.node;
	struct rs_walk got;
	int rc = pass(w, node, f, &syn, &got, err);

	if (rc < 0)
		return rc;
	*allow = got.accept;
	if (got.accept && !got.marked && !w->bpf[node])
		*broken = rs_asprintf("the hairpin is not stamped");
	return 0;
}

int pv_walks_flow(struct pv_walks *w, const struct pv_flow *f, bool *allow, char **broken,
		  struct rs_err *err)
{
	bool pod = f->src.kind == PV_END_POD || f->dst.kind == PV_END_POD;
	int rc = 0;

	*allow = true;
	*broken = NULL;
	if (!pod)
		return 0;
	if (f->src.kind == PV_END_POD && rs_addr_cmp(&f->src.addr, &f->dst.addr) == 0)
		return hairpin(w, f, allow, broken, err);
	if (f->src.node >= 0)
		rc = judge_at(w, (size_t)f->src.node, f, allow, broken, err);
	if (rc == 0 && f->dst.node >= 0 && f->dst.node != f->src.node)
		rc = judge_at(w, (size_t)f->dst.node, f, allow, broken, err);
	return rc;
}

/* What a pod sends to itself is always allowed, so its stamp is the one in force. */
int pv_walks_begin(struct pv_walks *w, struct rs_err *err)
{
	const struct pv_scene *s = w->scene;
	struct rs_walk got;
	size_t i;
	int rc;

	for (i = 0; i < s->n_nodes; i++) {
		const struct rs_local_pod *pod = s->nodes[i].locals.v;
		struct pv_flow f = { .proto = IPPROTO_TCP, .port = 80 };
		const struct kind syn = { "", false, false, true, RS_CT_NEW, SYN, 0 };

		if (!s->nodes[i].locals.n || !pod->n_ips)
			continue;
		f.src = f.dst = (struct pv_end){ PV_END_POD, (int)i, pod, NULL, pod->ips[0] };
		f.family = pod->ips[0].family;
		rc = pass(w, i, &f, &syn, &got, err);
		if (rc < 0)
			return rc;
		if (!got.accept || !got.marked)
			return rs_err_set(err, EUCLEAN,
					  "%s: a pod does not reach itself (chain %s)",
					  s->nodes[i].at.name, got.chain);
		w->stamp[i] = got.ct_mark & STAMP_BITS;
	}
	return 0;
}
