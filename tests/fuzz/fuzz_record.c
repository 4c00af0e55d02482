// SPDX-License-Identifier: Apache-2.0
/* fuzz_record.c - records, leases, node.json: what is taken must survive being written. */
#include <ripstop/endpoint.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "endpoint/endpoint_file.h"
#include "endpoint/node.h"
#include "ipam/ipam.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
	if (!holds)
		abort();
}

static void try_record(const char *text, size_t len)
{
	struct rs_endpoint *e = NULL, *again = NULL;
	rs_autofree char *once = NULL;
	rs_autofree char *twice = NULL;
	rs_auto_err err = { 0 };

	if (rs_endpoint_from_json(text, len, &e, &err) < 0) {
		must(!e && err.msg);
		return;
	}
	once = rs_endpoint_to_json(e);
	must(rs_endpoint_from_json(once, strlen(once), &again, NULL) == 0);
	twice = rs_endpoint_to_json(again);
	must(!strcmp(once, twice));
	rs_endpoint_free(again);
	rs_endpoint_free(e);
}

static void try_lease(const char *text, size_t len)
{
	struct rs_lease l, again;
	rs_autofree char *once = NULL;
	rs_autofree char *twice = NULL;

	if (rs_lease_from_json(text, len, &l, NULL) < 0)
		return;
	once = rs_lease_to_json(&l);
	must(rs_lease_from_json(once, strlen(once), &again, NULL) == 0);
	twice = rs_lease_to_json(&again);
	must(!strcmp(once, twice));
	rs_lease_clear(&l);
	rs_lease_clear(&again);
}

static void try_node(const char *text, size_t len)
{
	struct rs_node_info n, again;
	rs_autofree char *once = NULL;
	rs_autofree char *twice = NULL;

	if (rs_node_info_from_json(text, len, &n, NULL) < 0)
		return;
	once = rs_node_info_to_json(&n);
	must(rs_node_info_from_json(once, strlen(once), &again, NULL) == 0);
	twice = rs_node_info_to_json(&again);
	must(!strcmp(once, twice));
	rs_node_info_clear(&n);
	rs_node_info_clear(&again);
}

static void try_name(const char *text)
{
	rs_autofree char *id = NULL;
	rs_autofree char *ifname = NULL;
	rs_autofree char *name = NULL;

	if (rs_endpoint_file_key(text, &id, &ifname, NULL) < 0)
		return;
	name = rs_endpoint_file_name(id, ifname);
	must(!strcmp(name, text));
	must(!strchr(text, '/') && text[0] != '.');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	rs_autofree char *text = rs_calloc(1, size + 1);

	if (size)
		memcpy(text, data, size);
	try_record((const char *)data, size);
	try_lease((const char *)data, size);
	try_node((const char *)data, size);
	try_name(text);
	return 0;
}
