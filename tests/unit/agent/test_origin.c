// SPDX-License-Identifier: Apache-2.0
/* What is said of a source that is silent: agent/origin.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/agent.h"

static int64_t age[RS_KINDS];

static void fake_kind(const struct rs_source *src, enum rs_kind kind, struct rs_source_kind *out)
{
	(void)src;
	*out = (struct rs_source_kind){ .synced = true, .age_s = age[kind] };
}

/* Neither is opened here. */
const struct rs_source_ops rs_source_api = { .name = "api", .kind = fake_kind };
const struct rs_source_ops rs_source_folder = { .name = "folder" };

static void conditions_of(const struct rs_source_ops *ops, struct rs_conditions *c)
{
	struct rs_source src = { .ops = ops };
	struct rs_agent a = { .src = &src };

	rs_origin_conditions(&a, c);
}

static void a_silent_kind_is_a_condition_XB11(void **state)
{
	struct rs_conditions c = { 0 };

	(void)state;
	age[RS_KIND_POD] = 299;
	age[RS_KIND_NAMESPACE] = -1;
	age[RS_KIND_POLICY] = 650;
	conditions_of(&rs_source_api, &c);
	assert_int_equal(c.n, 1);
	assert_string_equal(c.v[0].type, "SourceStale");
	assert_non_null(strstr(c.v[0].text, "NetworkPolicy"));
	assert_non_null(strstr(c.v[0].text, "more than 10 minutes"));
	rs_conditions_free(&c);
	age[RS_KIND_POLICY] = 0;
	age[RS_KIND_POD] = 300;
	c = (struct rs_conditions){ 0 };
	conditions_of(&rs_source_api, &c);
	assert_int_equal(c.n, 1);
	assert_non_null(strstr(c.v[0].text, "Pod objects"));
	assert_non_null(strstr(c.v[0].text, "more than 5 minutes"));
	rs_conditions_free(&c);
}

/* A new second is no new condition: it would be logged each time. */
static void the_text_changes_in_whole_periods(void **state)
{
	struct rs_conditions a = { 0 }, b = { 0 };

	(void)state;
	memset(age, 0, sizeof(age));
	age[RS_KIND_NODE] = 301;
	conditions_of(&rs_source_api, &a);
	age[RS_KIND_NODE] = 599;
	conditions_of(&rs_source_api, &b);
	assert_string_equal(a.v[0].text, b.v[0].text);
	rs_conditions_free(&a);
	rs_conditions_free(&b);
}

static void a_folder_is_never_silent(void **state)
{
	struct rs_conditions c = { 0 };

	(void)state;
	memset(age, 0x7f, sizeof(age));
	conditions_of(&rs_source_folder, &c);
	assert_int_equal(c.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_kind_is_a_condition_XB11),
		cmocka_unit_test(the_text_changes_in_whole_periods),
		cmocka_unit_test(a_folder_is_never_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
