// SPDX-License-Identifier: Apache-2.0
/* suggest.c - the known word that a mistyped one is most like. */
#include "cli/cli.h"

#include <string.h>

#define WORD_MAX 32

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance with neighbours swapped (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1], i, j;
	size_t na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return WORD_MAX;
	for (i = 0; i <= na; i++)
		d[i][0] = i;
	for (j = 0; j <= nb; j++)
		d[0][j] = j;
	for (i = 1; i <= na; i++)
		for (j = 1; j <= nb; j++) {
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[na][nb];
}

const char *cli_nearest(const char *word, const char *(*next)(size_t i))
{
	/* Near: at most a third of it is wrong. */
	size_t best = strlen(word) / 3 + 2, i;
	const char *found = NULL, *candidate;

	for (i = 0; (candidate = next(i)); i++) {
		size_t n = distance(word, candidate);

		if (strlen(word) >= 3 && !strncmp(candidate, word, strlen(word)))
			n = 1;
		if (n < best) {
			best = n;
			found = candidate;
		}
	}
	return found;
}
