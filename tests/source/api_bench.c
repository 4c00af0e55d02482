// SPDX-License-Identifier: Apache-2.0
/*
 * api_bench.c - a list of N pods (100,000) of some 6 KB each through splitter and decoder into a
 * store, then the same list again, as after a 410: prints processor time and peak memory.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/base.h"
#include "object/store.h"
#include "source/api.h"

#define PIECE 16384 /* libcurl's buffer */

static int take(void *arg, enum rs_split_part part, const char *text, size_t len,
		struct rs_err *err)
{
	struct rs_apikind *k = arg;

	if (part == RS_SPLIT_REST)
		return rs_apitake_rest(k->kind, text, len, &k->list_rv, &k->cont, err);
	return rs_apitake_item(k, text, len, err);
}

/* What a Deployment's pod looks like, with the managed fields and volumes that nobody here reads. */
static void put_pod(struct rs_strbuf *b, size_t i)
{
	int n;

	rs_strbuf_printf(
		b,
		"{\"metadata\":{\"name\":\"web-%zu\",\"namespace\":\"ns-%zu\",\"uid\":"
		"\"00000000-0000-0000-0000-%012zu\",\"resourceVersion\":\"%zu\",\"labels\":{"
		"\"app\":\"web-%zu\",\"tier\":\"be\",\"pod-template-hash\":\"5d4f8c7b9\"},"
		"\"managedFields\":[",
		i, i % 500, i, 1000 + i, i % 1000);
	for (n = 0; n < 24; n++)
		rs_strbuf_printf(
			b,
			"%s{\"manager\":\"kubelet\",\"operation\":\"Update\",\"fieldsV1\":"
			"{\"f:status\":{\"f:conditions\":{\"k:{\\\"type\\\":\\\"C%d\\\"}\":"
			"{\".\":{},\"f:type\":{},\"f:status\":{},\"f:x\":{}}}}}}",
			n ? "," : "", n);
	rs_strbuf_printf(b,
			 "]},\"spec\":{\"nodeName\":\"n%zu\",\"containers\":[{\"name\":\"c\","
			 "\"ports\":[{\"name\":\"http\",\"containerPort\":8080}],\"env\":[",
			 i % 1000);
	for (n = 0; n < 24; n++)
		rs_strbuf_printf(b,
				 "%s{\"name\":\"VARIABLE_%d\",\"value\":\"some value of it %d\"}",
				 n ? "," : "", n, n);
	rs_strbuf_printf(b,
			 "]}]},\"status\":{\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.%zu.%zu."
			 "%zu\"}]}}",
			 i >> 16 & 255, i >> 8 & 255, i & 255);
}

static size_t run(struct rs_apikind *k, size_t n)
{
	struct rs_split *s = rs_split_new(RS_SPLIT_LIST, take, k);
	rs_auto_strbuf b = { 0 };
	rs_auto_err err = { 0 };
	size_t i, at, bytes = 0;
	int rc = 0;

	rs_apitake_begin(k);
	k->phase = RS_API_LIST;
	rs_strbuf_puts(&b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":"
			   "{\"resourceVersion\":\"999999\"},\"items\":[");
	for (i = 0; i < n && rc == 0; i++) {
		rs_strbuf_puts(&b, i ? "," : "");
		put_pod(&b, i);
		if (i + 1 == n)
			rs_strbuf_puts(&b, "]}");
		for (at = 0; at < b.len && rc == 0; at += PIECE)
			rc = rs_split_feed(s, b.s + at, b.len - at < PIECE ? b.len - at : PIECE,
					   &err);
		bytes += b.len;
		rs_strbuf_reset(&b);
	}
	if (rc < 0 || rs_split_end(s, &err) < 0) {
		fprintf(stderr, "%s\n", rs_err_str(&err));
		exit(1);
	}
	rs_apitake_finish(k, k->list_rv);
	rs_split_free(s);
	return bytes;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000, held, bytes;
	struct rs_api api = { .store = rs_store_new() };
	struct rs_apikind *k = &api.kinds[RS_KIND_POD];
	struct rusage use;
	clock_t begun;
	int round;

	rs_apikind_init(k, &api, RS_KIND_POD);
	for (round = 1; round <= 2; round++) {
		begun = clock();
		bytes = run(k, n);
		getrusage(RUSAGE_SELF, &use);
		rs_store_pods(api.store, &held);
		printf("list %d: %zu pods of %zu bytes: %.2f s of processor (making the text "
		       "included), peak %ld MB, %zu held\n",
		       round, n, bytes / n, (double)(clock() - begun) / CLOCKS_PER_SEC,
		       use.ru_maxrss / 1024, held);
	}
	rs_apikind_clear(k);
	rs_store_free(api.store);
	return held == n ? 0 : 1;
}
