// SPDX-License-Identifier: Apache-2.0
/*
 * bench_world.c - the objects of world W as JSON Lines, so that test_bench.py can hold worldw.py against worldw.c.
 *
 *	bench_world POLICIES PODS
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "object/object_encode.h"
#include "object/store.h"
#include "tests/bench/worldw.h"

int main(int argc, char **argv)
{
	struct worldw *w;

	if (argc != 3) {
		fputs("usage: bench_world POLICIES PODS\n", stderr);
		return 2;
	}
	w = worldw_new(strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
	for (int kind = 0; kind < RS_KINDS; kind++) {
		size_t n;
		const struct rs_meta *const *v = rs_store_metas(w->store, (enum rs_kind)kind, &n);

		for (size_t i = 0; i < n; i++) {
			struct json_object *o = rs_encode((enum rs_kind)kind, v[i]);

			puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
			json_object_put(o);
		}
	}
	worldw_free(w);
	return 0;
}
