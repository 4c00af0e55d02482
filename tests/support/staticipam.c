// SPDX-License-Identifier: Apache-2.0
/*
 * A CNI IPAM plugin for tests: hands out exactly the addresses that the configuration names, so that a
 * pod of a golden case gets the address of the case. Every call appends "VERB CONTAINERID" to `log`
 * when the configuration names one: a test sees whether DEL came. `fail` makes that verb fail.
 *
 *	"ipam": {"type": "staticipam", "ips": ["10.244.1.11/24"], "log": "/tmp/x", "fail": "ADD"}
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

static struct json_object *result(struct json_object *conf, struct json_object *ipam)
{
	struct json_object *out = json_object_new_object(), *ips = json_object_new_array();
	const char *version = text(conf, "cniVersion");
	struct json_object *list, *one;
	size_t i;

	json_object_object_add(out, "cniVersion", json_object_new_string(version));
	json_object_object_add(out, "ips", ips);
	if (!json_object_object_get_ex(ipam, "ips", &list))
		return out;
	for (i = 0; i < json_object_array_length(list); i++) {
		const char *cidr = json_object_get_string(json_object_array_get_idx(list, i));

		one = json_object_new_object();
		json_object_object_add(one, "address", json_object_new_string(cidr));
		if (version[0] == '0')
			json_object_object_add(one, "version",
					       json_object_new_string(strchr(cidr, ':') ? "6" : "4"));
		json_object_array_add(ips, one);
	}
	return out;
}

static void note(const char *path, const char *verb)
{
	const char *id = getenv("CNI_CONTAINERID");
	FILE *f = *path ? fopen(path, "ae") : NULL;

	if (!f)
		return;
	fprintf(f, "%s %s\n", verb, id ? id : "-");
	fclose(f);
}

int main(void)
{
	const char *verb = getenv("CNI_COMMAND");
	struct json_object *conf = json_object_from_fd(0), *ipam = NULL;

	if (!verb || !conf || !json_object_object_get_ex(conf, "ipam", &ipam)) {
		puts("{\"cniVersion\":\"1.0.0\",\"code\":7,\"msg\":\"staticipam: no ipam\"}");
		return 1;
	}
	note(text(ipam, "log"), verb);
	if (!strcmp(verb, text(ipam, "fail"))) {
		puts("{\"cniVersion\":\"1.0.0\",\"code\":111,\"msg\":\"staticipam: told to fail\"}");
		return 1;
	}
	if (!strcmp(verb, "ADD"))
		puts(json_object_to_json_string(result(conf, ipam)));
	else if (!strcmp(verb, "VERSION"))
		puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
	return 0;
}
