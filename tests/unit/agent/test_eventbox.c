// SPDX-License-Identifier: Apache-2.0
/* What becomes a Kubernetes Event, how many, and what it says: agent/eventbox.c, agent/eventtext.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/eventbox.h"
#include "base/jsonio.h"

#define MINUTE 60000
#define WALL 1700000000000000000LL

static const struct rs_event_about node = { "v1", "Node", NULL, "n1", "uid-n1" };

/* "2023-11-14T22:13:20.000001Z" is WALL + 1000. */
static struct rs_event_drop drop_of(const char *pod, const char *policies)
{
	struct rs_event_drop d = { .ns = "shop",
				   .pod = pod,
				   .uid = "u-1",
				   .dir = RS_INGRESS,
				   .policies = policies,
				   .peer = "shop/web",
				   .proto = 6,
				   .has_port = true,
				   .port = 5432,
				   .time_ns = WALL };

	assert_int_equal(rs_addr_parse("10.1.0.7", &d.addr, NULL), 0);
	return d;
}

static void drop(struct rs_eventbox *b, const char *pod, const char *policies, int64_t ms)
{
	struct rs_event_drop d = drop_of(pod, policies);

	d.time_ns = WALL + ms * 1000000;
	rs_eventbox_drop(b, &d, ms);
}

static void turn(struct rs_eventbox *b, int64_t ms)
{
	rs_eventbox_turn(b, ms, WALL + ms * 1000000);
}

static void expect(const struct rs_eventbox *b, uint64_t sent, uint64_t suppressed, uint64_t failed)
{
	assert_int_equal(rs_eventbox_count(b, RS_EVENT_SENT), sent);
	assert_int_equal(rs_eventbox_count(b, RS_EVENT_SUPPRESSED), suppressed);
	assert_int_equal(rs_eventbox_count(b, RS_EVENT_FAILED), failed);
}

/* The oldest as JSON, which the caller puts, and how it ends. */
static struct json_object *next(struct rs_eventbox *b, enum rs_event_result r)
{
	struct rs_event *e = rs_eventbox_take(b);
	struct json_object *o = NULL;

	assert_non_null(e);
	assert_int_equal(rs_json_parse(e->body, strlen(e->body), 16, &o, NULL), 0);
	rs_eventbox_end(b, e, r);
	return o;
}

static size_t send_all(struct rs_eventbox *b)
{
	size_t n = 0;

	for (; rs_eventbox_waiting(b); n++)
		json_object_put(next(b, RS_EVENT_SENT));
	return n;
}

static const char *text(struct json_object *o, const char *key)
{
	return rs_json_text(o, key, "(none)");
}

/* ---- which drops ----------------------------------------------------------------------------- */

static bool is_told(struct rs_dp_drop d, const char *src, const char *dst)
{
	rs_addr_parse(src, &d.src, NULL);
	rs_addr_parse(dst, &d.dst, NULL);
	return rs_event_of_drop(&d);
}

static void only_drops_by_policy_are_told(void **state)
{
	(void)state;
	for (int r = 0; r < RS_DROP_REASONS; r++)
		assert_int_equal(is_told((struct rs_dp_drop){ .reason = (enum rs_drop_reason)r },
					 "10.1.0.1", "10.1.0.2"),
				 r == RS_DROP_POLICY_INGRESS || r == RS_DROP_POLICY_EGRESS);
}

static void noise_is_not_told(void **state)
{
	const struct rs_dp_drop out = { .reason = RS_DROP_POLICY_EGRESS, .from_pod = true };
	struct rs_dp_drop related = out;

	(void)state;
	related.related = true;
	assert_true(is_told(out, "10.1.0.1", "8.8.8.8"));
	assert_true(is_told(out, "10.1.0.1", "169.254.169.254"));
	assert_true(is_told(out, "fd00::1", "2001:db8::1"));
	assert_false(is_told(out, "10.1.0.1", "224.0.0.251"));
	assert_false(is_told(out, "fd00::1", "ff02::16"));
	assert_false(is_told(out, "10.1.0.1", "255.255.255.255"));
	assert_false(is_told(related, "10.1.0.1", "8.8.8.8"));
	assert_false(rs_event_of_drop(&out)); /* no IP packet at all */
}

/* ---- how many -------------------------------------------------------------------------------- */

static void packets_of_a_second_are_one_event(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct json_object *o, *series = NULL;

	(void)state;
	for (int i = 0; i < 3; i++)
		drop(b, "db", "shop/deny", i * 100);
	turn(b, 999);
	assert_int_equal(rs_eventbox_waiting(b), 0);
	turn(b, 1000);
	assert_int_equal(rs_eventbox_waiting(b), 1);
	o = next(b, RS_EVENT_SENT);
	json_object_object_get_ex(o, "series", &series);
	assert_int_equal(json_object_get_int(rs_json_get(series, "count")), 3);
	assert_string_equal(text(series, "lastObservedTime"), "2023-11-14T22:13:20.200000Z");
	assert_string_equal(text(o, "eventTime"), "2023-11-14T22:13:20.000000Z");
	json_object_put(o);
	expect(b, 1, 2, 0);
	rs_eventbox_free(b);
}

static void one_of_a_kind_in_five_minutes(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct json_object *o;

	(void)state;
	drop(b, "db", "shop/deny", 0);
	turn(b, 1000);
	assert_int_equal(send_all(b), 1);
	for (int i = 0; i < 4; i++) {
		drop(b, "db", "shop/deny", 2000 + i);
		turn(b, RS_EVENT_QUIET_MS);
	}
	expect(b, 1, 4, 0);
	/* Others are of another kind. */
	drop(b, "db", "shop/deny, shop/more", 3000);
	drop(b, "api", "shop/deny", 3000);
	turn(b, 4000);
	assert_int_equal(send_all(b), 2);
	/* The next of the first kind tells of those between. */
	drop(b, "db", "shop/deny", 1000 + RS_EVENT_QUIET_MS);
	turn(b, 2000 + RS_EVENT_QUIET_MS);
	o = next(b, RS_EVENT_SENT);
	assert_non_null(strstr(text(o, "note"), "5 packets were dropped"));
	json_object_put(o);
	expect(b, 4, 4, 0);
	rs_eventbox_free(b);
}

/* A right that was missing is given: who looks again shall not wait. */
static void a_drop_that_failed_is_told_by_the_next(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");

	(void)state;
	drop(b, "api", "shop/deny", 0);
	drop(b, "db", "shop/deny", 0);
	turn(b, 1000);
	json_object_put(next(b, RS_EVENT_SENT));
	json_object_put(next(b, RS_EVENT_FAILED));
	for (int i = 0; i < 3; i++) {
		drop(b, "api", "shop/deny", 2000);
		drop(b, "db", "shop/deny", 2000);
	}
	turn(b, 3000);
	assert_int_equal(rs_eventbox_waiting(b), 1);
	json_object_put(next(b, RS_EVENT_SENT));
	drop(b, "db", "shop/deny", 4000);
	turn(b, 5000);
	assert_int_equal(rs_eventbox_waiting(b), 0);
	expect(b, 2, 6, 1);
	rs_eventbox_free(b);
}

/* Names are given again; the objects are others. */
static void a_successor_is_of_another_kind(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_event_drop d = drop_of("db", "shop/deny");

	(void)state;
	rs_eventbox_drop(b, &d, 0);
	d.uid = "u-2";
	rs_eventbox_drop(b, &d, 0);
	d.dir = RS_EGRESS;
	rs_eventbox_drop(b, &d, 0);
	turn(b, 1000);
	assert_int_equal(send_all(b), 3);
	rs_eventbox_free(b);
}

static size_t many_pods(struct rs_eventbox *b, int from, int n, int64_t ms)
{
	char name[32];

	for (int i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		drop(b, name, "shop/deny", ms - RS_EVENT_GATHER_MS);
	}
	turn(b, ms);
	return send_all(b);
}

static void fill(struct rs_conditions *c, int n)
{
	char type[32];

	*c = (struct rs_conditions){ 0 };
	for (int i = 0; i < n; i++) {
		snprintf(type, sizeof(type), "Type%03d", i);
		rs_conditions_add(c, type, "text %d", i);
	}
}

static void a_bound_for_the_node_in_any_minute(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_conditions c;

	(void)state;
	assert_int_equal(many_pods(b, 0, 40, 2000), RS_EVENT_DROPS_A_MINUTE);
	expect(b, 15, 25, 0);
	assert_int_equal(many_pods(b, 100, 5, 1000 + MINUTE), 0);
	/* The rest is for what is told once. */
	fill(&c, 30);
	rs_eventbox_lasting(b, &c, &node, 3000, WALL);
	assert_int_equal(send_all(b), RS_EVENTS_A_MINUTE - RS_EVENT_DROPS_A_MINUTE);
	/* Which waits, and is not lost. */
	rs_eventbox_lasting(b, &c, &node, 2000 + MINUTE, WALL);
	assert_int_equal(send_all(b), 15);
	rs_eventbox_lasting(b, &c, &node, 3000 + MINUTE, WALL);
	assert_int_equal(send_all(b), 5);
	rs_eventbox_lasting(b, &c, &node, 2000 + 2 * MINUTE, WALL);
	assert_int_equal(send_all(b), 5);
	rs_eventbox_lasting(b, &c, &node, 9 * MINUTE, WALL);
	assert_int_equal(send_all(b), 0);
	rs_conditions_free(&c);
	assert_int_equal(many_pods(b, 200, 40, 20 * MINUTE), RS_EVENT_DROPS_A_MINUTE);
	rs_eventbox_free(b);
}

static void the_oldest_of_a_full_queue_makes_room(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct json_object *o;
	char name[32];
	uint64_t made = 0;

	(void)state;
	for (int i = 0; i < RS_EVENT_QUEUE + 6; i++) {
		int64_t ms = i * 10LL * MINUTE;

		snprintf(name, sizeof(name), "p%d", i);
		drop(b, name, "shop/deny", ms);
		turn(b, ms + 1000);
		made++;
	}
	assert_int_equal(rs_eventbox_waiting(b), RS_EVENT_QUEUE);
	expect(b, 0, 6, 0);
	o = next(b, RS_EVENT_FAILED);
	assert_string_equal(text(rs_json_get(o, "regarding"), "name"), "p6");
	json_object_put(o);
	assert_int_equal(send_all(b), RS_EVENT_QUEUE - 1);
	expect(b, RS_EVENT_QUEUE - 1, 6, 1);
	assert_int_equal(made, RS_EVENT_QUEUE + 6);
	rs_eventbox_free(b);
}

static void rows_are_bounded_and_all_are_counted(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	uint64_t sum = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < RS_EVENT_ROWS + 100; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		drop(b, name, "shop/deny", i);
	}
	turn(b, 10000);
	send_all(b);
	for (int r = 0; r < RS_EVENT_RESULTS; r++)
		sum += rs_eventbox_count(b, (enum rs_event_result)r);
	assert_int_equal(sum, RS_EVENT_ROWS + 100);
	expect(b, 15, RS_EVENT_ROWS + 85, 0);
	rs_eventbox_free(b);
}

/* ---- what lasts ------------------------------------------------------------------------------ */

static size_t look(struct rs_eventbox *b, const struct rs_conditions *c, int64_t ms)
{
	rs_eventbox_lasting(b, c, &node, ms, WALL + ms * 1000000);
	return send_all(b);
}

static void a_condition_is_told_when_it_begins(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_conditions none = { 0 }, c = { 0 };
	struct json_object *o;

	(void)state;
	rs_conditions_add(&c, "RouteMissing", "one");
	rs_conditions_add(&c, "RouteMissing", "two");
	rs_eventbox_lasting(b, &c, &node, 0, WALL);
	o = next(b, RS_EVENT_SENT);
	assert_string_equal(text(o, "reason"), "RouteMissing");
	assert_string_equal(text(o, "note"), "one (and 1 more)");
	assert_string_equal(text(rs_json_get(o, "metadata"), "namespace"), "default");
	assert_string_equal(text(rs_json_get(o, "regarding"), "uid"), "uid-n1");
	assert_null(rs_json_get(rs_json_get(o, "regarding"), "namespace"));
	assert_null(rs_json_get(o, "series"));
	json_object_put(o);
	assert_int_equal(look(b, &c, 1000), 0);
	/* It ends and begins again: not twice in five minutes, and then once. */
	assert_int_equal(look(b, &none, 2000), 0);
	assert_int_equal(look(b, &c, 3000), 0);
	assert_int_equal(look(b, &none, 4000), 0);
	expect(b, 1, 1, 0);
	assert_int_equal(look(b, &c, RS_EVENT_QUIET_MS), 1);
	assert_int_equal(look(b, &c, 9 * RS_EVENT_QUIET_MS), 0);
	expect(b, 2, 1, 0);
	rs_conditions_free(&c);
	rs_eventbox_free(b);
}

static void what_failed_is_told_again_while_it_lasts(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_conditions c = { 0 };

	(void)state;
	rs_conditions_add(&c, "RouteMissing", "one");
	rs_eventbox_lasting(b, &c, &node, 0, WALL);
	json_object_put(next(b, RS_EVENT_FAILED));
	assert_int_equal(look(b, &c, 1000), 0);
	assert_int_equal(look(b, &c, RS_EVENT_QUIET_MS), 1);
	assert_int_equal(look(b, &c, 2 * RS_EVENT_QUIET_MS), 0);
	expect(b, 1, 0, 1);
	rs_conditions_free(&c);
	rs_eventbox_free(b);
}

/* Conditions that would tell of themselves, or of what is told of another object. */
static void some_conditions_are_told_elsewhere(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_conditions c = { 0 };

	(void)state;
	rs_conditions_add(&c, "Events", "refused");
	rs_conditions_add(&c, "InvalidPolicy", "of no object");
	assert_int_equal(look(b, &c, 0), 0);
	rs_conditions_free(&c);
	rs_eventbox_free(b);
}

static void add_fault(struct rs_conditions *c, const char *uid, int64_t generation,
		      const char *what)
{
	char ns[] = "shop", name[] = "odd";
	struct rs_meta m = { .ns = ns, .name = name, .generation = generation };

	m.uid = (char *)(uintptr_t)uid;
	rs_conditions_add(c, "InvalidPolicy", "shop/odd spec.%s is wrong", what);
	rs_conditions_about(c, &m);
}

static void a_faulty_policy_is_told_once_a_generation(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1"), *other = rs_eventbox_new("n2");
	struct rs_conditions none = { 0 }, c = { 0 }, later = { 0 };
	struct json_object *o, *p;

	(void)state;
	add_fault(&c, "u-9", 3, "ingress[0]");
	add_fault(&c, "u-9", 3, "ingress[1]");
	add_fault(&later, "u-9", 4, "ingress[0]");
	rs_eventbox_lasting(b, &c, &node, 0, WALL);
	o = next(b, RS_EVENT_SENT);
	assert_string_equal(text(o, "note"), "shop/odd spec.ingress[0] is wrong (and 1 more)");
	assert_string_equal(text(o, "reason"), "InvalidPolicy");
	assert_string_equal(text(rs_json_get(o, "regarding"), "kind"), "NetworkPolicy");
	assert_string_equal(text(rs_json_get(o, "metadata"), "namespace"), "shop");
	assert_int_equal(rs_eventbox_waiting(b), 0);
	/* It goes with its last pod here, and comes with the next. */
	assert_int_equal(look(b, &none, 10), 0);
	assert_int_equal(look(b, &c, 3 * RS_EVENT_QUIET_MS), 0);
	/* Another node gives it the same name, so that the server takes one. */
	rs_eventbox_lasting(other, &c, &node, 77777, WALL + 5);
	p = next(other, RS_EVENT_SUPPRESSED);
	assert_string_equal(text(rs_json_get(o, "metadata"), "name"), "odd.u-9.3");
	assert_string_equal(text(rs_json_get(p, "metadata"), "name"), "odd.u-9.3");
	expect(other, 0, 1, 0);
	assert_int_equal(look(other, &c, 77777 + 2 * RS_EVENT_QUIET_MS), 0);
	assert_int_equal(look(b, &later, 4 * RS_EVENT_QUIET_MS), 1);
	expect(b, 2, 0, 0);
	json_object_put(o);
	json_object_put(p);
	rs_conditions_free(&c);
	rs_conditions_free(&later);
	rs_eventbox_free(b);
	rs_eventbox_free(other);
}

static void more_conditions_than_are_remembered(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_conditions c;
	size_t n = 0;

	(void)state;
	fill(&c, 3 * RS_EVENT_LASTING);
	for (int64_t i = 1; i < 40; i++)
		n += look(b, &c, i * MINUTE);
	assert_int_equal(n, RS_EVENT_LASTING);
	rs_conditions_free(&c);
	rs_eventbox_free(b);
}

/* They stand before it in the list, and must not keep it from being told. */
static void many_faults_leave_room_for_a_condition(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_conditions c = { 0 };
	char name[32], ns[] = "shop", uid[32];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 3 * RS_EVENT_LASTING; i++) {
		struct rs_meta m = { .ns = ns, .name = name, .uid = uid };

		snprintf(name, sizeof(name), "p%03d", i);
		snprintf(uid, sizeof(uid), "u-%d", i);
		rs_conditions_add(&c, "InvalidPolicy", "shop/%s is wrong", name);
		rs_conditions_about(&c, &m);
	}
	rs_conditions_add(&c, "NodeUnreachable", "n7");
	for (int64_t i = 1; i < 40; i++)
		n += look(b, &c, i * MINUTE);
	assert_int_equal(n, RS_EVENT_FAULTS + 1);
	rs_conditions_free(&c);
	rs_eventbox_free(b);
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void note_is(const struct rs_event_drop *d, uint64_t packets, const char *want)
{
	rs_autofree char *note = rs_event_drop_note(d, packets);

	assert_string_equal(note, want);
}

static void the_note(void **state)
{
	struct rs_event_drop d = drop_of("db-0", "shop/a, shop/b, shop/c, shop/d, shop/e");

	(void)state;
	note_is(&d, 3,
		"3 packets were dropped at the ingress of this pod, the last one tcp/5432 from "
		"shop/web (10.1.0.7): NetworkPolicies shop/a, shop/b, shop/c and 2 more isolate it "
		"and do not allow this; to learn more: kubectl ripstop explain shop/web shop/db-0 "
		"tcp/5432");
	d.dir = RS_EGRESS;
	d.peer = NULL;
	d.policies = "shop/a";
	d.proto = 58;
	d.has_port = false;
	d.more = true;
	rs_addr_parse("2001:db8::1", &d.addr, NULL);
	note_is(&d, 1,
		"at least 1 packet was dropped at the egress of this pod, the last one icmp to "
		"2001:db8::1: NetworkPolicy shop/a isolates it and does not allow this; to learn "
		"more: kubectl ripstop explain shop/db-0 2001:db8::1 icmp");
	d.policies = "";
	d.proto = 47;
	note_is(&d, 2,
		"at least 2 packets were dropped at the egress of this pod, the last one protocol "
		"47 to 2001:db8::1: its labels are not known, so nothing may pass; to learn more: "
		"kubectl ripstop explain");
}

static void hostile_names_are_escaped(void **state)
{
	struct rs_event_drop d = drop_of("db", "shop/\x1b[31mred");
	rs_autofree char *note = NULL;

	(void)state;
	d.peer = "shop/$(reboot)\x1b]0;x\a\xff\xe2\x80\xae`id`";
	note = rs_event_drop_note(&d, 1);
	for (const char *p = note; *p; p++)
		assert_in_range((unsigned char)*p, 0x20, 0x7e);
	assert_non_null(strstr(note, "NetworkPolicy shop/\\x1b[31mred"));
	assert_non_null(strstr(note, "$(reboot)\\x1b]0;x\\x07\\xff\\xe2\\x80\\xae"));
	/* Nothing of it is in the command. */
	assert_string_equal(strstr(note, "kubectl"), "kubectl ripstop explain");
}

static void fill_name(char *out, size_t n, char c)
{
	memset(out, c, n);
	out[n] = '\0';
}

static void lengths_are_those_that_the_server_takes(void **state)
{
	char name[254] = "", uid[64], where[200], policies[5 * 330] = "", node_name[254];
	struct rs_event_drop d = drop_of(name, policies);
	struct rs_eventbox *b;
	struct json_object *o;

	(void)state;
	fill_name(name, 253, 'x');
	name[201] = name[230] = '.';
	fill_name(uid, 36, 'a');
	fill_name(node_name, 253, 'n');
	fill_name(where, 63, 's');
	snprintf(policies, sizeof(policies), "%s/%s, %s/%s, %s/%s", where, name, where, name, where,
		 name);
	d.uid = uid;
	d.peer = policies;
	b = rs_eventbox_new(node_name);
	rs_eventbox_drop(b, &d, 0);
	turn(b, 1000);
	o = next(b, RS_EVENT_SENT);
	assert_in_range(strlen(text(o, "note")), 600, RS_EVENT_NOTE_MAX);
	assert_int_equal(strlen(text(o, "reportingInstance")), RS_EVENT_INSTANCE_MAX);
	assert_in_range(strlen(text(rs_json_get(o, "metadata"), "name")), 200, 253);
	assert_int_equal(strlen(text(rs_json_get(o, "regarding"), "name")), 253);
	json_object_put(o);
	rs_eventbox_free(b);
}

static void names_of_events_differ(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	rs_autofree char *last = NULL;

	(void)state;
	drop(b, "db", "shop/a", 0);
	drop(b, "db", "shop/b", 0);
	drop(b, "db", "shop/c", 0);
	turn(b, 1000);
	for (int i = 0; i < 3; i++) {
		struct json_object *o = next(b, RS_EVENT_SENT);
		const char *name = text(rs_json_get(o, "metadata"), "name");

		assert_int_equal(strncmp(name, "db.17979cfe7", 12), 0);
		assert_true(!last || strcmp(last, name) < 0);
		free(last);
		last = rs_strdup(name);
		json_object_put(o);
	}
	rs_eventbox_free(b);
}

static void what_cannot_be_named_is_counted(void **state)
{
	static const char *const bad[] = { "../../secrets", "A", "a b", "", "a\n", "-a" };
	struct rs_eventbox *b = rs_eventbox_new("n1");

	(void)state;
	for (size_t i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		struct rs_event_drop d = drop_of(i & 1 ? "ok" : bad[i], "shop/deny");

		if (i & 1)
			d.ns = bad[i];
		rs_eventbox_drop(b, &d, 0);
	}
	turn(b, 1000);
	assert_int_equal(rs_eventbox_waiting(b), 0);
	expect(b, 0, 0, RS_ARRAY_SIZE(bad));
	rs_eventbox_free(b);
}

static void the_path_is_that_of_the_namespace(void **state)
{
	struct rs_eventbox *b = rs_eventbox_new("n1");
	struct rs_event *e;

	(void)state;
	drop(b, "db", "shop/deny", 0);
	turn(b, 1000);
	e = rs_eventbox_take(b);
	assert_string_equal(e->path, "/apis/events.k8s.io/v1/namespaces/shop/events");
	rs_eventbox_end(b, e, RS_EVENT_SENT);
	assert_null(rs_eventbox_take(b));
	rs_eventbox_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_drops_by_policy_are_told),
		cmocka_unit_test(noise_is_not_told),
		cmocka_unit_test(packets_of_a_second_are_one_event),
		cmocka_unit_test(one_of_a_kind_in_five_minutes),
		cmocka_unit_test(a_drop_that_failed_is_told_by_the_next),
		cmocka_unit_test(a_successor_is_of_another_kind),
		cmocka_unit_test(a_bound_for_the_node_in_any_minute),
		cmocka_unit_test(the_oldest_of_a_full_queue_makes_room),
		cmocka_unit_test(rows_are_bounded_and_all_are_counted),
		cmocka_unit_test(a_condition_is_told_when_it_begins),
		cmocka_unit_test(what_failed_is_told_again_while_it_lasts),
		cmocka_unit_test(some_conditions_are_told_elsewhere),
		cmocka_unit_test(a_faulty_policy_is_told_once_a_generation),
		cmocka_unit_test(more_conditions_than_are_remembered),
		cmocka_unit_test(many_faults_leave_room_for_a_condition),
		cmocka_unit_test(the_note),
		cmocka_unit_test(hostile_names_are_escaped),
		cmocka_unit_test(lengths_are_those_that_the_server_takes),
		cmocka_unit_test(names_of_events_differ),
		cmocka_unit_test(what_cannot_be_named_is_counted),
		cmocka_unit_test(the_path_is_that_of_the_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
