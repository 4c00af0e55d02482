// SPDX-License-Identifier: Apache-2.0
/* test_policy_large.c - one policy with as many peers as an object can hold is compiled whole. */
#include "policytest.h"

#define PEERS 10000

static void G4_ten_thousand_peers_are_compiled(void **state)
{
	rs_auto_strbuf b = { 0 };
	struct tw *t = tw_new(POD("shop", "db", "app: db", "10.0.0.1"));
	int i;

	(void)state;
	rs_strbuf_puts(&b, "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: "
			   "{name: large, namespace: shop}, spec: {podSelector: {}, ingress: [{from: [");
	for (i = 0; i < PEERS; i++)
		rs_strbuf_printf(&b,
				 "{ipBlock: {cidr: 100.%d.%d.0/24, except: [100.%d.%d.0/28]}},\n",
				 i >> 8, i & 255, i >> 8, i & 255);
	rs_strbuf_puts(&b, "], ports: [{port: 80}]}]}}");
	tw_yaml(t, rs_strbuf_str(&b));
	tw_local(t, "shop", "db");
	tw_compile(t);
	assert_int_equal(t->cond.n, 0);
	for (i = 0; i < PEERS; i += PEERS / 100 - 1) {
		rs_autofree char *in = rs_asprintf("100.%d.%d.17", i >> 8, i & 255);
		rs_autofree char *out = rs_asprintf("100.%d.%d.15", i >> 8, i & 255);

		assert_true(tw_allows(t, in, "10.0.0.1", TCP, 80));
		assert_false(tw_allows(t, in, "10.0.0.1", TCP, 81));
		assert_false(tw_allows(t, out, "10.0.0.1", TCP, 80));
	}
	assert_false(tw_allows(t, "100.39.16.17", "10.0.0.1", TCP, 80));
	tw_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(G4_ten_thousand_peers_are_compiled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
