// SPDX-License-Identifier: Apache-2.0
/*
 * gen_dump.c - prints cases of the generator, one JSON object a line:
 *
 *	gen_dump SEED INDEX COUNT [--strict] [--pods N] [--policies N] [--flows N] [--nodes N]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/prove/prove.h"

static uint64_t number(const char *s)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(s, &end, 0);
	if (errno || *end || end == s) {
		fprintf(stderr, "gen_dump: \"%s\" is not a number\n", s);
		exit(2);
	}
	return n;
}

static void options(int argc, char **argv, struct pv_shape *shape)
{
	int i;

	for (i = 4; i < argc; i++) {
		uint32_t *to = NULL;

		if (!strcmp(argv[i], "--strict")) {
			shape->strict = true;
			continue;
		}
		if (!strcmp(argv[i], "--pods"))
			to = &shape->max_pods;
		else if (!strcmp(argv[i], "--policies"))
			to = &shape->max_policies;
		else if (!strcmp(argv[i], "--flows"))
			to = &shape->flows;
		else if (!strcmp(argv[i], "--nodes"))
			to = &shape->max_nodes;
		if (!to || i + 1 == argc) {
			fprintf(stderr, "gen_dump: what is \"%s\"?\n", argv[i]);
			exit(2);
		}
		*to = (uint32_t)number(argv[++i]);
	}
}

int main(int argc, char **argv)
{
	struct pv_shape shape = { 60, 40, PV_MAX_FLOWS, PV_MAX_NODES, false };
	uint64_t seed, index, count;

	if (argc < 4) {
		fprintf(stderr, "usage: gen_dump SEED INDEX COUNT [--strict] [--pods N] "
				"[--policies N] [--flows N] [--nodes N]\n");
		return 2;
	}
	seed = number(argv[1]);
	index = number(argv[2]);
	options(argc, argv, &shape);
	for (count = number(argv[3]); count; count--, index++) {
		struct pv_case c = { 0 };

		pv_generate(seed, index, &shape, &c);
		puts(json_object_to_json_string_ext(
			c.root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		pv_case_free(&c);
	}
	return fflush(stdout) ? 1 : 0;
}
