// SPDX-License-Identifier: Apache-2.0
/*
 * kernelwalk.c - cli/kernel/ reads the rules (or asks the maps) in this node's kernel and walks the
 * packets of an explained flow through them: what is really done, beside what the objects say.
 *
 * Three packets: the first one of a new flow, a later one that is judged anew (its flow carries no
 * stamp), and an answer that is. Each meets the hooks that such a packet meets: the guard at
 * prerouting unless this node made it, then input for what goes to the node, else postrouting.
 */
#include "cli/cli.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include <ripstop/ruleset.h>

#include "cli/kernel/mapstep.h"
#include "cli/recordfit.h"

#define TABLE "ripstop"
#define SYN 0x02
#define ACK 0x10
#define SCTP_INIT 1
#define SCTP_DATA 0
#define CLIENT_PORT 40001
#define PING_ID 40001
#define NO_UPLINK 0x7fffffffu /* an index that no link has */

enum place {
	PLACE_POD,     /* a pod of this node, by its link */
	PLACE_NODE,    /* this node itself */
	PLACE_OUTSIDE, /* by the uplink */
};

struct end {
	enum place place;
	struct rs_addr addr;
	uint32_t index, group; /* of the link */
	uint8_t mac[6];
	bool has_mac;
};

struct flow {
	struct end src, dst, uplink;
	uint8_t proto;
	uint16_t port;
};

struct kind {
	const char *name;
	bool reply;
	uint8_t state;
	bool opens;
};

static const struct kind kinds[] = {
	{ "first packet of a new flow", false, RS_CT_NEW, true },
	{ "packet of an established flow, judged anew", false, RS_CT_ESTABLISHED, false },
	{ "answer, judged anew", true, RS_CT_ESTABLISHED, false },
};

/* ---- what the agent says of the flow --------------------------------------------------------- */

static int number(struct json_object *o, const char *key, uint32_t *out, struct rs_err *err)
{
	int64_t n;
	int rc = rs_json_int(o, key, 0, UINT32_MAX, &n, err);

	*out = rc < 0 ? 0 : (uint32_t)n;
	return rc;
}

static int read_link(struct json_object *link, struct end *e, struct rs_err *err)
{
	const char *mac = rs_json_text(link, "mac", NULL);
	int rc = number(link, "index", &e->index, err);

	if (rc == 0)
		rc = number(link, "group", &e->group, err);
	if (rc == 0 && mac) {
		e->has_mac = sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &e->mac[0], &e->mac[1],
				    &e->mac[2], &e->mac[3], &e->mac[4], &e->mac[5]) == 6;
		if (!e->has_mac)
			return rs_err_set(err, EBADMSG, "no MAC address: %s", mac);
	}
	return rc;
}

static int read_end(struct json_object *o, struct end *e, struct rs_err *err)
{
	struct json_object *link = rs_json_get(o, "link");
	int rc = rs_addr_parse(rs_json_text(o, "ip", ""), &e->addr, err);

	e->place = link					       ? PLACE_POD
		   : cli_true(o, "own") || cli_true(o, "node") ? PLACE_NODE
							       : PLACE_OUTSIDE;
	return rc == 0 && link ? read_link(link, e, err) : rc;
}

static int read_flow(struct json_object *o, struct flow *f, struct rs_err *err)
{
	struct json_object *up = rs_json_get(rs_json_get(o, "local"), "uplink");
	int64_t port = 0;
	int rc = read_end(rs_json_get(o, "source"), &f->src, err);

	f->uplink.index = NO_UPLINK;
	if (rc == 0)
		rc = read_end(rs_json_get(o, "destination"), &f->dst, err);
	if (rc == 0 && up)
		rc = read_link(up, &f->uplink, err);
	if (rc == 0)
		rc = rs_json_opt_int(o, "port", 0, UINT16_MAX, &port, err);
	f->port = (uint16_t)port;
	f->proto = cli_protocol(rs_json_text(o, "protocol", ""), f->src.addr.family);
	return rc;
}

/* Why the rules of this node have no say; NULL: they have. */
static const char *why_not(struct json_object *o, const struct flow *f)
{
	if (cli_true(rs_json_get(o, "egress"), "known") && f->src.place == PLACE_OUTSIDE)
		return "the link of the source is gone";
	if (cli_true(rs_json_get(o, "ingress"), "known") && f->dst.place == PLACE_OUTSIDE)
		return "the link of the destination is gone";
	if (f->src.place != PLACE_POD && f->dst.place != PLACE_POD)
		return "neither end is a pod of this node";
	if (f->src.place == PLACE_POD && !rs_addr_cmp(&f->src.addr, &f->dst.addr))
		return "what a pod sends to itself never leaves it";
	return NULL;
}

/* ---- a packet -------------------------------------------------------------------------------- */

static bool is_ping(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static void fill_tuples(struct rs_packet *p, const struct flow *f, const struct kind *k)
{
	uint16_t client = is_ping(f->proto) ? 0 : CLIENT_PORT;

	p->ct_state = k->state;
	p->ct_reply = k->reply;
	p->ct_proto = f->proto;
	p->orig = (struct rs_ct_tuple){ f->src.addr, f->dst.addr, client, f->port };
	p->reply = (struct rs_ct_tuple){ f->dst.addr, f->src.addr, f->port, client };
	if (is_ping(f->proto)) {
		bool six = f->proto == IPPROTO_ICMPV6;

		p->orig.sport = p->reply.sport = PING_ID;
		p->orig.dport = (uint16_t)((six ? 128 : 8) << 8);
		p->reply.dport = (uint16_t)((six ? 129 : 0) << 8);
	}
}

static void fill_header(struct rs_packet *p, const struct flow *f, const struct kind *k)
{
	p->src = k->reply ? f->dst.addr : f->src.addr;
	p->dst = k->reply ? f->src.addr : f->dst.addr;
	p->proto = f->proto;
	p->ttl = 64;
	if (is_ping(f->proto)) {
		p->icmp_type =
			f->proto == IPPROTO_ICMPV6 ? (k->reply ? 129 : 128) : (k->reply ? 0 : 8);
		return;
	}
	p->sport = k->reply ? f->port : CLIENT_PORT;
	p->dport = k->reply ? CLIENT_PORT : f->port;
	p->tcp_flags = k->opens ? SYN : ACK;
	p->sctp_chunk = k->opens ? SCTP_INIT : SCTP_DATA;
}

static void enter_by(struct rs_packet *p, const struct flow *f, const struct end *from)
{
	const struct end *by = from->place == PLACE_OUTSIDE ? &f->uplink : from;

	if (from->place == PLACE_NODE)
		return;
	p->iif = by->index;
	p->iif_group = by->group;
	p->has_mac = by->has_mac;
	memcpy(p->src_mac, by->mac, sizeof(p->src_mac));
}

static void leave_by(struct rs_packet *p, const struct flow *f, const struct end *to)
{
	const struct end *by = to->place == PLACE_OUTSIDE ? &f->uplink : to;

	if (to->place == PLACE_NODE)
		return;
	p->oif = by->index;
	p->oif_group = by->group;
}

/* ---- its way --------------------------------------------------------------------------------- */

struct walker {
	const struct rs_ruleset *rules; /* NULL: there is no table */
	const struct rs_mapset *maps;	/* NULL: no programs */
	const struct flow *flow;
	struct json_object *steps;
	struct rs_err *err;
};

static struct json_object *found_json(const struct rs_walk *w)
{
	struct json_object *list = json_object_new_array();
	struct rs_element e;

	for (size_t i = 0; rs_walk_found(w, i, &e); i++) {
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "set", e.set);
		rs_json_add_str(o, "key", e.key);
		if (e.value[0])
			rs_json_add_str(o, "value", e.value);
		if (e.comment[0])
			rs_json_add_str(o, "comment", e.comment);
		if (e.counted)
			json_object_object_add(o, "judged", json_object_new_uint64(e.packets));
		json_object_array_add(list, o);
	}
	return list;
}

static void add_counter(const struct walker *w, const struct rs_walk *got, struct json_object *step)
{
	struct json_object *o;
	uint64_t packets, bytes;

	if (!got->counter[0] || !rs_ruleset_counter(w->rules, got->counter, &packets, &bytes))
		return;
	o = json_object_new_object();
	rs_json_add_str(o, "name", got->counter);
	json_object_object_add(o, "packets", json_object_new_uint64(packets));
	json_object_object_add(o, "bytes", json_object_new_uint64(bytes));
	json_object_object_add(step, "counter", o);
}

static void add_step(struct walker *w, const char *hook, const struct rs_walk *got)
{
	struct json_object *o = json_object_new_object();

	rs_json_add_str(o, "hook", hook);
	rs_json_add_str(o, "verdict", got->accept ? "accept" : "drop");
	if (got->chain[0])
		rs_json_add_str(o, "chain", got->chain);
	if (got->handle)
		json_object_object_add(o, "handle", json_object_new_uint64(got->handle));
	if (got->comment[0])
		rs_json_add_str(o, "comment", got->comment);
	json_object_object_add(o, "found", found_json(got));
	add_counter(w, got, o);
	json_object_array_add(w->steps, o);
}

static int walk(struct walker *w, enum rs_hook hook, const struct rs_packet *p, bool *accept)
{
	static const char *const names[] = { "prerouting", "input", "forward", "output",
					     "postrouting" };
	struct rs_walk got;
	int rc;

	if (w->maps)
		return cli_maps_step(w->maps, hook, names[hook], p, w->steps, accept, w->err);
	if (!w->rules)
		return 0;
	rc = rs_ruleset_walk(w->rules, hook, p, &got, NULL, NULL, w->err);
	if (rc < 0)
		return rc;
	add_step(w, names[hook], &got);
	*accept = got.accept;
	return 0;
}

static int pass(struct walker *w, const struct kind *k, bool *accept)
{
	const struct flow *f = w->flow;
	const struct end *from = k->reply ? &f->dst : &f->src, *to = k->reply ? &f->src : &f->dst;
	struct rs_packet p = { .ct_state = RS_CT_INVALID };
	int rc = 0;

	*accept = true;
	fill_header(&p, f, k);
	enter_by(&p, f, from);
	if (p.iif)
		rc = walk(w, RS_HOOK_PREROUTING, &p, accept);
	if (rc < 0 || !*accept)
		return rc;
	fill_tuples(&p, f, k);
	p.ttl = 63;
	leave_by(&p, f, to);
	return walk(w, to->place == PLACE_NODE ? RS_HOOK_INPUT : RS_HOOK_POSTROUTING, &p, accept);
}

/* Whether every packet has the fate that the verdict means; one that the node makes passes. */
static int walk_all(struct walker *w, bool expect, struct json_object *o, struct rs_err *err)
{
	struct json_object *packets = json_object_new_array();
	bool agrees = w->rules || w->maps, accept;
	int rc = 0;

	json_object_object_add(o, "packets", packets);
	for (size_t i = 0; rc == 0 && i < RS_ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];
		const struct end *from = k->reply ? &w->flow->dst : &w->flow->src;
		struct json_object *one = json_object_new_object();

		w->steps = json_object_new_array();
		rs_json_add_str(one, "packet", k->name);
		json_object_object_add(one, "hooks", w->steps);
		json_object_array_add(packets, one);
		rc = pass(w, k, &accept);
		rs_json_add_str(one, "verdict", accept ? "allowed" : "denied");
		agrees = agrees && accept == (expect || from->place == PLACE_NODE);
		if (!i)
			rs_json_add_str(o, "verdict", accept ? "allowed" : "denied");
	}
	json_object_object_add(o, "agrees", json_object_new_boolean(agrees));
	return rc < 0 ? rs_err_wrap(err, w->maps ? "judge the packet by the maps"
						 : "walk the packet through table inet " TABLE)
		      : 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool is_ebpf(struct json_object *local)
{
	return !strcmp(rs_json_text(local, "dataplane", ""), "ebpf");
}

/* The rules are those of a network namespace: ours must be the agent's. */
static int check_place(struct json_object *local, struct rs_err *err)
{
	const char *dataplane = rs_json_text(local, "dataplane", "");
	struct json_object *ns = rs_json_get(local, "netns");
	struct stat own;

	if (!local) {
		rs_err_set(err, EPROTO, "the agent does not tell what a packet looks like here");
		return rs_err_hint(err, "it is of an older release: ripstop version");
	}
	if (strcmp(dataplane, "nft") && !is_ebpf(local))
		return rs_err_set(err, ENOTSUP,
				  "the agent's dataplane is %s: it has no rules that could be read",
				  dataplane);
	if (ns && stat("/proc/self/ns/net", &own) == 0 &&
	    json_object_get_uint64(ns) != (uint64_t)own.st_ino) {
		rs_err_set(err, EXDEV, "this is not the network namespace of the agent");
		return rs_err_hint(err, "nsenter --net --target PID-OF-THE-AGENT ripstop ...");
	}
	return 0;
}

static int read_rules(struct rs_ruleset **rules, struct json_object *o, struct rs_err *err)
{
	int rc = rs_ruleset_read(TABLE, rules, err);

	if (rc == -ENOENT) {
		rs_err_clear(err);
		rs_json_add_str(o, "note",
				"table inet " TABLE " is not in the kernel: every packet passes");
		return 0;
	}
	if (rc == -EPERM || rc == -EACCES)
		rs_err_hint(err, "reading the kernel's rules needs root, or CAP_NET_ADMIN in the "
				 "agent's network namespace");
	if (rc < 0)
		return rc;
	json_object_object_add(o, "rules", json_object_new_uint64(rs_ruleset_rules(*rules)));
	json_object_object_add(o, "elements", json_object_new_uint64(rs_ruleset_elements(*rules)));
	return 0;
}

static int ask(struct json_object *answer, struct json_object *o, struct rs_err *err)
{
	bool expect = !strcmp(rs_json_text(answer, "verdict", ""), "allowed");
	struct json_object *local = rs_json_get(answer, "local");
	struct rs_ruleset *rules = NULL;
	struct rs_mapset *maps = NULL;
	struct flow f = { 0 };
	struct walker w = { .flow = &f, .err = err };
	const char *why;
	int rc = check_place(local, err);

	if (rc == 0)
		rc = read_flow(answer, &f, err);
	if (rc < 0)
		return rc;
	why = why_not(answer, &f);
	json_object_object_add(o, "asked", json_object_new_boolean(!why));
	rs_json_add_str(o, "note", why);
	if (why)
		return 0;
	rc = is_ebpf(local) ? cli_maps_open(local, o, &maps, err) : read_rules(&rules, o, err);
	w.rules = rules;
	w.maps = maps;
	if (rc == 0)
		rc = walk_all(&w, expect, o, err);
	rs_ruleset_free(rules);
	rs_mapset_close(maps);
	return rc;
}

int cli_kernel_walk(struct json_object *answer, struct rs_err *err)
{
	struct json_object *list = json_object_new_array(), *o = json_object_new_object();
	int rc;

	rs_json_add_str(o, "node", rs_json_text(rs_json_get(answer, "metadata"), "node", NULL));
	if (!is_ebpf(rs_json_get(answer, "local")))
		rs_json_add_str(o, "table", "inet " TABLE);
	json_object_array_add(list, o);
	json_object_object_add(answer, "kernels", list);
	rc = ask(answer, o, err);
	return rc < 0 ? rs_err_wrap(err, "what the kernel does") : 0;
}
