// SPDX-License-Identifier: Apache-2.0
/*
 * test_prove.c - what follows a mismatch must be right before there is one: the shrinker, and the way from
 * a generated case to a golden case that golden_runner accepts.
 *
 *	test_prove [GOLDEN_RUNNER]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/jsonio.h"
#include "tests/prove/prove.h"
#include "tests/prove/scene.h"
#include "tests/prove/yaml_out.h"

#define WORLDS 24

static const char *golden_runner = "build/rel/tests/golden/golden_runner";

/* ---- shrinking ------------------------------------------------------------------------------- */

static struct pv_case a_tree(void)
{
	rs_auto_strbuf b = { 0 };
	struct pv_case c = { 0 };
	int i;

	rs_strbuf_puts(&b,
		       "{\"world\":{\"lenient\":true,\"nodes\":[{\"name\":\"n1\"}]},\"objects\":[");
	for (i = 0; i < 23; i++)
		rs_strbuf_printf(
			&b,
			"%s{\"kind\":\"K\",\"metadata\":{\"name\":\"o%d\",\"labels\":"
			"{\"a\":\"1\",\"b\":null,\"c\":\"3\"}},\"list\":[1,2,%d,4,[5,6,{}]]}",
			i ? "," : "", i, i);
	rs_strbuf_puts(&b, "],\"flows\":[");
	for (i = 0; i < 50; i++)
		rs_strbuf_printf(&b, "%s{\"proto\":6,\"port\":%d}", i ? "," : "", i);
	rs_strbuf_puts(&b, "]}");
	assert_int_equal(rs_json_parse(b.s, b.len, 16, &c.root, NULL), 0);
	return c;
}

static const char *text_of(const struct pv_case *c)
{
	return json_object_to_json_string_ext(c->root, JSON_C_TO_STRING_PLAIN);
}

static unsigned int asked;

/* The mistake needs two objects, a number deep in one of them, and one flow. */
static bool needs_three_things(void *ctx, const struct pv_case *c)
{
	const char *text = text_of(c);

	(void)ctx;
	asked++;
	return strstr(text, "\"o7\"") && strstr(text, "\"o19\"") && strstr(text, "19,4") &&
	       strstr(text, "\"port\":33");
}

static void shrink_leaves_only_what_the_mistake_needs(void **state)
{
	struct pv_case c = a_tree();

	(void)state;
	pv_shrink(&c, needs_three_things, NULL, 100000);
	assert_string_equal(text_of(&c),
			    "{\"world\":{\"lenient\":false,\"nodes\":[]},\"objects\":["
			    "{\"kind\":\"K\",\"metadata\":{\"name\":\"o7\"}},"
			    "{\"kind\":\"K\",\"metadata\":{\"name\":\"o19\"},\"list\":[19,4]}],"
			    "\"flows\":[{\"proto\":6,\"port\":33}]}");
	pv_case_free(&c);
}

static bool never(void *ctx, const struct pv_case *c)
{
	(void)ctx;
	(void)c;
	asked++;
	return false;
}

static void shrink_undoes_every_step_that_does_not_fail(void **state)
{
	struct pv_case c = a_tree(), before = pv_case_copy(&c);

	(void)state;
	pv_shrink(&c, never, NULL, 100000);
	assert_true(json_object_equal(c.root, before.root));
	pv_case_free(&c);
	pv_case_free(&before);
}

static void shrink_stops_after_its_steps(void **state)
{
	struct pv_case c = a_tree();

	(void)state;
	asked = 0;
	pv_shrink(&c, needs_three_things, NULL, 17);
	assert_true(asked <= 17);
	assert_true(needs_three_things(NULL, &c));
	pv_case_free(&c);
}

/* ---- YAML ------------------------------------------------------------------------------------ */

static void yaml_keeps_what_is_no_word_quoted(void **state)
{
	static const char text[] =
		"{\"a\":\"80\",\"b\":80,\"c\":null,\"d\":{},\"e\":[],\"f\":\"true\","
		"\"g\":true,\"h\":\"\",\"i\":[{\"j\":\"x\",\"k\":[1,\"a: b\"]},[2]],"
		"\"l/m\":\"0.0.0.0/0\",\"n\":\"\\u001b[\"}";
	rs_autojson json_object *o = NULL;
	rs_auto_strbuf b = { 0 };

	(void)state;
	assert_int_equal(rs_json_parse(text, strlen(text), 16, &o, NULL), 0);
	pv_yaml_put(&b, o);
	assert_string_equal(rs_strbuf_str(&b),
			    "a: \"80\"\nb: 80\nc: null\nd: {}\ne: []\nf: \"true\"\n"
			    "g: true\nh: \"\"\ni:\n  - j: x\n    k:\n      - 1\n"
			    "      - \"a: b\"\n  - - 2\nl/m: \"0.0.0.0/0\"\n\"n\": "
			    "\"\\u001b[\"\n");
}

/* ---- golden ---------------------------------------------------------------------------------- */

static int run_golden(const char *option, const char *root)
{
	int status, null;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		if (option)
			execl(golden_runner, golden_runner, option, root, NULL);
		else
			execl(golden_runner, golden_runner, root, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void remove_case(const char *dir)
{
	static const char *const files[] = { "objects.yaml", "world", "flows", "ir.txt",
					     "nft.txt" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(files); i++) {
		rs_autofree char *path = rs_asprintf("%s/%s", dir, files[i]);

		unlink(path);
	}
	rmdir(dir);
}

/* Every world from each of its nodes, in one folder of cases. Returns how many there are. */
static unsigned int write_cases(const char *root, bool strict, bool wrong)
{
	struct pv_shape shape = { 12, 8, 60, 3, strict };
	struct pv_judge *j;
	unsigned int written = 0;
	rs_auto_err err = { 0 };

	assert_int_equal(pv_judge_new(1u << PV_ORACLE, &j, &err), 0);
	for (uint64_t i = 0; i < WORLDS; i++) {
		struct pv_case c = { 0 };
		struct pv_verdicts v;

		pv_generate(7, i, &shape, &c);
		if (pv_judge_case(j, &c, true, &v, &err) < 0)
			fail_msg("world %d: %s", (int)i, rs_err_str(&err));
		for (size_t k = 0; wrong && k < v.n; k++)
			v.v[PV_ORACLE][k] = !v.v[PV_ORACLE][k];
		for (size_t node = 0; node < PV_MAX_NODES; node++) {
			rs_autofree char *dir = rs_asprintf("%s/w%d-%zu", root, (int)i, node);

			written += pv_golden_write(&c, v.v[PV_ORACLE], node, dir, &err) == 0;
		}
		pv_verdicts_free(&v);
		pv_case_free(&c);
	}
	pv_judge_free(j);
	return written;
}

static void golden_round_trip(bool strict, bool wrong)
{
	char root[] = "/tmp/prove-golden-XXXXXX";
	unsigned int written;
	int rc;

	assert_non_null(mkdtemp(root));
	written = write_cases(root, strict, wrong);
	run_golden("--update", root); /* the texts that a program writes */
	rc = run_golden(NULL, root);
	if (rc && !wrong)
		fail_msg("golden_runner refuses what is in %s", root);
	for (int i = 0; i < WORLDS; i++)
		for (int node = 0; node < PV_MAX_NODES; node++) {
			rs_autofree char *dir = rs_asprintf("%s/w%d-%d", root, i, node);

			remove_case(dir);
		}
	rmdir(root);
	assert_true(written >= WORLDS);
	assert_int_equal(rc, wrong ? 1 : 0);
}

static void golden_of_strict_worlds_passes(void **state)
{
	(void)state;
	golden_round_trip(true, false);
}

static void golden_of_lenient_worlds_passes(void **state)
{
	(void)state;
	golden_round_trip(false, false);
}

static void golden_with_wrong_verdicts_fails(void **state)
{
	(void)state;
	golden_round_trip(true, true);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shrink_leaves_only_what_the_mistake_needs),
		cmocka_unit_test(shrink_undoes_every_step_that_does_not_fail),
		cmocka_unit_test(shrink_stops_after_its_steps),
		cmocka_unit_test(yaml_keeps_what_is_no_word_quoted),
		cmocka_unit_test(golden_of_strict_worlds_passes),
		cmocka_unit_test(golden_of_lenient_worlds_passes),
		cmocka_unit_test(golden_with_wrong_verdicts_fails),
	};

	if (argc > 1)
		golden_runner = argv[1];
	return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
