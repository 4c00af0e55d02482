// SPDX-License-Identifier: Apache-2.0
/* test_arrayedit.c - items out of and into arrays, against the plain way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arrayedit.h"

#define MOST 24

struct item { /* of an odd size */
	uint8_t b[3];
};

static struct item item(uint8_t n)
{
	return (struct item){ { n, (uint8_t)(n ^ 0x55), (uint8_t)~n } };
}

static size_t fill(struct item *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i] = item((uint8_t)i);
	return n;
}

static void removing(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 2000; round++) {
		struct item v[MOST], want[MOST];
		size_t n = fill(v, (size_t)rand() % MOST), at[MOST], n_at = 0, left = 0;

		for (size_t i = 0; i < n; i++) {
			if (rand() % 3)
				want[left++] = v[i];
			else
				at[n_at++] = i;
		}
		rs_array_remove(v, n, sizeof(*v), at, n_at);
		assert_int_equal(left + n_at, n);
		assert_memory_equal(v, want, left * sizeof(*v));
	}
}

static void opening(void **state)
{
	(void)state;
	srand(2);
	for (int round = 0; round < 2000; round++) {
		struct item v[3 * MOST], want[3 * MOST];
		size_t n = fill(v, (size_t)rand() % MOST), at[2 * MOST], n_at = 0, all = 0;

		for (size_t i = 0; i <= n; i++) {
			for (int k = rand() % 3; k > 0; k--) {
				want[all++] = item((uint8_t)(200 + n_at % 50));
				at[n_at++] = i;
			}
			if (i < n)
				want[all++] = v[i];
		}
		rs_array_open(v, n, sizeof(*v), at, n_at);
		for (size_t i = 0; i < n_at; i++)
			v[at[i] + i] = item((uint8_t)(200 + i % 50));
		assert_memory_equal(v, want, all * sizeof(*v));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(removing),
		cmocka_unit_test(opening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
