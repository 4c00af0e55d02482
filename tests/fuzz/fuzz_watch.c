// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_watch.c - libFuzzer entry for what an API server sends: the first byte chooses the kind (bits
 * 0 and 1), list or stream (bit 2) and where the pieces are cut; the rest is the body. It goes
 * through splitter and decoder into a store as in a real source. Beside memory safety: what comes out
 * does not depend on the cuts, an answer that is refused changes nothing of a list, and whatever
 * is in the store has a name.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "object/store.h"
#include "source/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static int take(void *arg, enum rs_split_part part, const char *text, size_t len,
		struct rs_err *err)
{
	struct rs_apikind *k = arg;

	if (k->phase != RS_API_LIST)
		return rs_apitake_event(k, text, len, err);
	if (part == RS_SPLIT_REST)
		return rs_apitake_rest(k->kind, text, len, &k->list_rv, &k->cont, err);
	return rs_apitake_item(k, text, len, err);
}

static void api_begin(struct rs_api *api)
{
	int i;

	api->store = rs_store_new();
	for (i = 0; i < RS_KINDS; i++)
		rs_apikind_init(&api->kinds[i], api, (enum rs_kind)i);
}

static void api_end(struct rs_api *api)
{
	int i;

	for (i = 0; i < RS_KINDS; i++)
		rs_apikind_clear(&api->kinds[i]);
	check(!api->floors.n);
	rs_vec_free(&api->floors);
	rs_store_free(api->store);
}

/* One body through a source of its own, `piece` bytes at a time (0: all at once). */
static void run(struct rs_api *api, uint8_t how, const uint8_t *body, size_t len, size_t piece)
{
	struct rs_apikind *k = &api->kinds[how & 3];
	bool list = how & 4;
	struct rs_split *s = rs_split_new(list ? RS_SPLIT_LIST : RS_SPLIT_STREAM, take, k);
	rs_auto_err err = { 0 };
	size_t at;
	int rc = 0;

	api_begin(api);
	k->phase = list ? RS_API_LIST : RS_API_INITIAL;
	rs_apitake_begin(k);
	for (at = 0; at < len && rc == 0; at += piece ? piece : len) {
		size_t n = !piece || piece > len - at ? len - at : piece;
		rs_autofree char *copy = rs_memdup(body + at, n);

		rc = rs_split_feed(s, copy, n, &err);
	}
	if (rc == 0)
		rc = rs_split_end(s, &err);
	check(rc == 0 || err.msg);
	if (list && rc == 0) {
		check(k->list_rv != NULL);
		if (!k->cont)
			rs_apitake_finish(k, k->list_rv);
	}
	check(!list || rc == 0 || !rs_store_revision(api->store));
	rs_split_free(s);
}

static void check_names(const struct rs_store *s)
{
	const struct rs_pod *const *pods;
	const struct rs_policy *const *policies;
	size_t n, i;

	pods = rs_store_pods(s, &n);
	for (i = 0; i < n; i++)
		check(pods[i]->meta.ns && *pods[i]->meta.ns && *pods[i]->meta.name);
	policies = rs_store_policies(s, &n);
	for (i = 0; i < n; i++)
		check(policies[i]->meta.ns && policies[i]->subject.present);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rs_api whole = { 0 }, pieces = { 0 };

	if (!size)
		return 0;
	run(&whole, data[0], data + 1, size - 1, 0);
	run(&pieces, data[0], data + 1, size - 1, (data[0] >> 3) + 1);
	check(rs_store_equal(whole.store, pieces.store));
	check_names(whole.store);
	api_end(&whole);
	api_end(&pieces);
	return 0;
}
