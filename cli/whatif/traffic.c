// SPDX-License-Identifier: Apache-2.0
/*
 * traffic.c - records of flows that were seen: JSON Lines in the field names of Hubble, bare or
 * inside "flow", as `ripstop monitor -o json` and `hubble observe -o json` write them.
 */
#include "cli/whatif/whatif.h"

#include <errno.h>
#include <string.h>

#include "base/jsonio.h"

#define MAX_LINE (256 * 1024)
#define MAX_DEPTH 32

int traffic_check(const struct cli_run *r)
{
	size_t i;

	for (i = 0; r->opt.traffic && i < r->opt.n_files; i++)
		if (!strcmp(r->opt.traffic, "-") && !strcmp(r->opt.files[i], "-")) {
			cli_error("give one of them a file",
				  "-f - and --traffic - both read standard input");
			return CLI_USAGE;
		}
	return 0;
}

/* ---- one record ------------------------------------------------------------------------------ */

static const char *text_or_null(struct json_object *o, const char *key)
{
	const char *s = rs_json_text(o, key, NULL);

	return s && *s ? s : NULL;
}

static void read_end(struct json_object *flow, const char *key, struct record_end *e)
{
	struct json_object *o = rs_json_get(flow, key), *ips = rs_json_get(flow, "IP");
	struct json_object *list = rs_json_get(o, "workloads"), *first = NULL;
	const char *ip = rs_json_text(ips, key, NULL);

	e->ns = text_or_null(o, "namespace");
	e->pod = text_or_null(o, "pod_name");
	if (json_object_is_type(list, json_type_array) && json_object_array_length(list))
		first = json_object_array_get_idx(list, 0);
	e->workload_kind = text_or_null(first, "kind");
	e->workload = text_or_null(first, "name");
	if (!e->ns)
		e->pod = e->workload = NULL;
	if (!ip || rs_addr_parse(ip, &e->addr, NULL) < 0)
		e->addr.family = RS_AF_NONE;
}

static bool read_port(struct json_object *flow, struct record *r)
{
	static const struct {
		const char *key;
		uint8_t proto;
		bool ports;
	} known[] = {
		{ "TCP", RS_PROTO_TCP, true },	 { "UDP", RS_PROTO_UDP, true },
		{ "SCTP", RS_PROTO_SCTP, true }, { "ICMPv4", 1, false },
		{ "ICMPv6", 58, false },
	};
	struct json_object *l4 = rs_json_get(flow, "l4");
	int64_t port = 0;
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(known); i++) {
		struct json_object *o = rs_json_get(l4, known[i].key);

		if (!o)
			continue;
		if (known[i].ports &&
		    rs_json_int(o, "destination_port", 1, UINT16_MAX, &port, NULL) < 0)
			return false;
		r->proto = known[i].proto;
		r->port = (uint16_t)port;
		return true;
	}
	return false;
}

/* Old and new writers: "reply": true, "is_reply": true, "is_reply": {"value": true}. */
static bool is_reply(struct json_object *flow)
{
	struct json_object *o = rs_json_get(flow, "is_reply");

	o = o ? o : rs_json_get(flow, "reply");
	if (json_object_is_type(o, json_type_object))
		o = rs_json_get(o, "value");
	return json_object_is_type(o, json_type_boolean) && json_object_get_boolean(o);
}

static bool read_flow(struct json_object *o, struct record *r)
{
	struct json_object *flow = rs_json_get(o, "flow");
	const char *verdict;
	int64_t n = 1;

	flow = json_object_is_type(flow, json_type_object) ? flow : o;
	if (is_reply(flow) || !read_port(flow, r))
		return false;
	read_end(flow, "source", &r->from);
	read_end(flow, "destination", &r->to);
	verdict = rs_json_text(flow, "verdict", "");
	r->dropped = !strcmp(verdict, "DROPPED") || !strcmp(verdict, "ERROR");
	if (rs_json_opt_int(flow, "count", 1, INT64_C(1) << 40, &n, NULL) < 0)
		n = 1;
	r->n = (uint64_t)n;
	return true;
}

/* ---- a file ---------------------------------------------------------------------------------- */

static bool is_blank(const char *s)
{
	return s[strspn(s, " \t\r\n")] == '\0';
}

static int read_line(const char *path, size_t line, const char *text, size_t len,
		     void (*each)(void *ctx, const struct record *r), void *ctx,
		     struct record_counts *counts, struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	struct record r = { .line = line };
	int rc = rs_json_parse(text, len, MAX_DEPTH, &o, err);

	if (rc < 0) {
		rs_err_wrap(err, "%s:%zu", path, line);
		rs_err_hint(err, "one JSON object a line, as ripstop monitor -o json writes them");
		return -EINVAL;
	}
	counts->read++;
	if (read_flow(o, &r))
		each(ctx, &r);
	else
		counts->other++;
	return 0;
}

int traffic_read(const char *path, void (*each)(void *ctx, const struct record *r), void *ctx,
		 struct record_counts *counts, struct rs_err *err)
{
	rs_autofclose FILE *file = NULL;
	rs_autofree char *buf = rs_calloc(1, MAX_LINE);
	FILE *in = stdin;
	size_t line = 0;
	int rc = 0;

	memset(counts, 0, sizeof(*counts));
	if (strcmp(path, "-")) {
		in = file = fopen(path, "re");
		if (!file)
			return rs_err_sys(err, errno, "%s", path);
	} else {
		path = "stdin";
	}
	while (rc == 0 && fgets(buf, MAX_LINE, in)) {
		size_t len = strlen(buf);

		line++;
		if (len + 1 == MAX_LINE && buf[len - 1] != '\n')
			return rs_err_set(err, EINVAL, "%s:%zu: longer than %d KiB", path, line,
					  MAX_LINE / 1024);
		if (!is_blank(buf))
			rc = read_line(path, line, buf, len, each, ctx, counts, err);
	}
	if (rc == 0 && ferror(in))
		return rs_err_sys(err, errno ? errno : EIO, "%s", path);
	return rc;
}

/* ---- who the ends are ------------------------------------------------------------------------ */

struct lookup {
	const struct cli_world *cw;
	struct rs_intern workloads; /* (ns, name) */
	struct rs_u32s of_workload; /* an endpoint of each */
	struct rs_intern addrs;	    /* given ones */
	struct rs_u32s of_addr;
};

static uint32_t *slot(struct rs_intern *t, struct rs_u32s *v, const void *key, size_t len)
{
	bool fresh;
	uint32_t at = rs_intern_put(t, key, len, &fresh);

	if (fresh)
		*rs_vec_push(v) = UINT32_MAX;
	return &v->v[at];
}

static void add_workload(struct lookup *l, uint32_t end)
{
	const struct cli_endpoint *e = &l->cw->ends[end];
	rs_auto_strbuf key = { 0 };
	uint32_t *at;

	if (!e->workload)
		return;
	rs_key_str(&key, e->ns);
	rs_key_str(&key, e->workload);
	at = slot(&l->workloads, &l->of_workload, key.s, key.len);
	if (*at == UINT32_MAX)
		*at = end;
}

static void add_addrs(struct lookup *l, uint32_t end)
{
	const struct rs_local_pod *p = &l->cw->w.locals[end];
	size_t i;

	for (i = 0; l->cw->ends[end].given_ip && i < p->n_ips; i++)
		*slot(&l->addrs, &l->of_addr, &p->ips[i], sizeof(p->ips[i])) = end;
}

struct lookup *lookup_new(const struct cli_world *cw)
{
	struct lookup *l = rs_new(struct lookup);
	uint32_t i;

	l->cw = cw;
	for (i = 0; i < cw->n_ends; i++) {
		add_workload(l, i);
		add_addrs(l, i);
	}
	return l;
}

void lookup_free(struct lookup *l)
{
	if (!l)
		return;
	rs_intern_free(&l->workloads);
	rs_intern_free(&l->addrs);
	rs_vec_free(&l->of_workload);
	rs_vec_free(&l->of_addr);
	free(l);
}

static uint32_t find_workload(const struct lookup *l, const char *ns, const char *name, size_t len)
{
	rs_autofree char *text = rs_strndup(name, len);
	rs_auto_strbuf key = { 0 };
	uint32_t at;

	rs_key_str(&key, ns);
	rs_key_str(&key, text);
	at = rs_intern_find(&l->workloads, key.s, key.len);
	return at == RS_NONE ? UINT32_MAX : l->of_workload.v[at];
}

/* Names that controllers make: "web-5d9c7f-q8zzl", "logs-x7k2p", "db-0". */
static uint32_t find_template(const struct lookup *l, const char *ns, const char *pod)
{
	size_t len = strlen(pod);
	int cut;

	for (cut = 0; cut < 2; cut++) {
		uint32_t end;

		while (len && pod[len - 1] != '-')
			len--;
		if (len < 2)
			break;
		end = find_workload(l, ns, pod, --len);
		if (end != UINT32_MAX && l->cw->ends[end].is_template)
			return end;
	}
	return UINT32_MAX;
}

static uint32_t find_pod(const struct lookup *l, const struct record_end *e)
{
	const struct cli_endpoint *known = cli_world_endpoint(l->cw, e->ns, e->pod);
	uint32_t end = UINT32_MAX;

	if (known)
		return (uint32_t)(known - l->cw->ends);
	if (e->workload)
		end = find_workload(l, e->ns, e->workload, strlen(e->workload));
	return end != UINT32_MAX ? end : find_template(l, e->ns, e->pod);
}

bool lookup_end(const struct lookup *l, const struct record_end *e, uint32_t *end)
{
	uint32_t at;

	*end = UINT32_MAX;
	if (e->pod) {
		*end = find_pod(l, e);
		return *end != UINT32_MAX;
	}
	if (e->addr.family == RS_AF_NONE)
		return false;
	at = rs_intern_find(&l->addrs, &e->addr, sizeof(e->addr));
	if (at != RS_NONE) {
		*end = l->of_addr.v[at];
		return true;
	}
	return !rs_cidrs_contain(l->cw->w.pod_ranges, l->cw->w.n_pod_ranges, &e->addr);
}
