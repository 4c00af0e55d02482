// SPDX-License-Identifier: Apache-2.0
/* cni_version.c - VERSION: which versions we speak. */
#include "plugin/cni.h"

struct json_object *cni_version(const char *text, size_t len)
{
	static const char *const supported[] = { "0.3.1", "0.4.0", "1.0.0", "1.1.0" };
	rs_autojson struct json_object *conf = NULL;
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array();
	const char *asked = NULL;
	size_t i;

	/* Whoever asks need not know how to: anything but a version of ours counts as silence. */
	if (text && rs_json_parse(text, len, CNI_STDIN_DEPTH, &conf, NULL) == 0)
		asked = rs_json_text(conf, "cniVersion", NULL);
	rs_json_add_str(o, "cniVersion", cni_version_number(asked) ? asked : CNI_VERSION_NEWEST);
	for (i = 0; i < RS_ARRAY_SIZE(supported); i++)
		json_object_array_add(list, json_object_new_string(supported[i]));
	json_object_object_add(o, "supportedVersions", list);
	return o;
}
