// SPDX-License-Identifier: Apache-2.0
/* hist_moves.c - a while in which only pods of other nodes come, go and change, and now and then a policy: what moves
 * are for. */
#include <string.h>

#include "base/jsonio.h"
#include "tests/prove/hist_events.h"

static bool elsewhere(const struct hist *h, json_object *o)
{
	json_object *ips = rs_json_get(rs_json_get(o, "status"), "podIPs");

	for (size_t i = 0; i < h->locals.n; i++)
		if (!strcmp(h->locals.v[i].ns, hist_ns(o)) &&
		    !strcmp(h->locals.v[i].name, hist_name(o)))
			return false;
	return json_object_is_type(ips, json_type_array) && json_object_array_length(ips) > 0;
}

static struct hist_object *pick(struct hist *h)
{
	for (int i = 0; i < 12; i++) {
		struct hist_object *obj = hist_pick(h, RS_KIND_POD);

		if (obj && elsewhere(h, obj->o))
			return obj;
	}
	return NULL;
}

static const char *ip_of(json_object *o, size_t i)
{
	json_object *ips = rs_json_get(rs_json_get(o, "status"), "podIPs");

	return rs_json_text(json_object_array_get_idx(ips, i), "ip", "");
}

/* An address beside that one, that nobody has. */
static bool beside(struct hist *h, const char *text, struct rs_addr *out)
{
	if (rs_addr_parse(text, out, NULL) < 0)
		return false;
	for (int i = 0; i < 200; i++)
		if (!rs_addr_next(out))
			return false;
		else if (!hist_addr_taken(h, out))
			return true;
	return false;
}

static void set_ip(json_object *o, const char *ip)
{
	json_object *list = json_object_new_array(), *item = json_object_new_object();

	json_object_object_add(item, "ip", json_object_new_string(ip));
	json_object_array_add(list, item);
	json_object_object_del(hist_sub(o, "status"), "podIP");
	json_object_object_add(hist_sub(o, "status"), "podIPs", list);
}

/* One more pod like that one, so that its class has another address to lose. */
static void twin(struct hist *h, json_object *like)
{
	rs_autofree char *name = rs_asprintf("t%u", h->serial++);
	char text[RS_ADDR_STRLEN];
	struct rs_addr a;
	json_object *o;

	if (!beside(h, ip_of(like, 0), &a))
		return;
	o = hist_copy(like);
	json_object_object_add(hist_meta(o), "name", json_object_new_string(name));
	set_ip(o, rs_addr_str(&a, text));
	hist_note(h, "Pod %s/%s at %s, like %s", hist_ns(o), name, text, hist_name(like));
	hist_put(h, RS_KIND_POD, o);
}

static void like_another(struct hist *h, json_object *one, json_object *other)
{
	json_object *o = hist_copy(one), *labels = rs_json_get(hist_meta(other), "labels");

	json_object_object_del(hist_meta(o), "labels");
	if (labels)
		json_object_object_add(hist_meta(o), "labels", hist_copy(labels));
	hist_note(h, "Pod %s/%s has the labels of %s", hist_ns(o), hist_name(o), hist_name(other));
	hist_put(h, RS_KIND_POD, o);
}

/* Its address is another pod's now; that one goes, or stays and both claim it. */
static void takes_over(struct hist *h, struct hist_object *one, struct hist_object *other)
{
	json_object *o = hist_copy(one->o);
	bool goes = pv_chance(&h->rng, 70);

	set_ip(o, ip_of(other->o, 0));
	hist_note(h, "Pod %s/%s takes the address of %s, which %s", hist_ns(o), hist_name(o),
		  hist_name(other->o), goes ? "goes" : "stays");
	if (goes)
		hist_drop(h, other);
	hist_put(h, RS_KIND_POD, o);
}

/* Those that select nobody here change nothing; the others are compiled. */
static int policy_event(struct hist *h)
{
	switch (pv_below(&h->rng, 4)) {
	case 0:
		return hist_policy_comes(h);
	case 1:
		return hist_policy_goes(h);
	case 2:
		return hist_policy_edited(h);
	default:
		return hist_policy_ports(h);
	}
}

static void one_event(struct hist *h)
{
	struct hist_object *a = pick(h), *b = pick(h);
	uint32_t what = pv_below(&h->rng, 100);

	if (!a || !b)
		return;
	if (what < 45) {
		twin(h, a->o);
	} else if (what < 65) {
		hist_note(h, "Pod %s/%s goes", hist_ns(a->o), hist_name(a->o));
		hist_drop(h, a);
	} else if (what < 85) {
		like_another(h, a->o, b->o);
	} else if (what < 95 && a != b) {
		takes_over(h, a, b);
	} else {
		hist_put(h, RS_KIND_POD, hist_copy(a->o));
	}
}

int hist_elsewhere(struct hist *h)
{
	uint32_t rounds = 3 + pv_below(&h->rng, 8);
	int rc = hist_deliver_all(h);

	if (rc == 0)
		rc = hist_compile(h, HIST_COMMITTED);
	for (uint32_t i = 0; rc == 0 && i < rounds; i++) {
		for (uint32_t k = 1 + pv_below(&h->rng, 3); k > 0; k--)
			one_event(h);
		if (pv_chance(&h->rng, 25))
			rc = policy_event(h);
		if (rc == 0)
			rc = hist_deliver_all(h);
		if (rc == 0)
			rc = hist_compile(h,
					  pv_chance(&h->rng, 90) ? HIST_COMMITTED : HIST_ACK_LOST);
	}
	return rc;
}
