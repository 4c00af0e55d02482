// SPDX-License-Identifier: Apache-2.0
/* gen_match.c - which labels a selector takes, as far as aiming flows needs it. */
#include <string.h>

#include "tests/prove/gen_flows.h"

static bool listed(json_object *values, const char *value)
{
	size_t i;

	for (i = 0; value && i < fl_count(values); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(values, i)), value))
			return true;
	return false;
}

static bool holds(json_object *expression, json_object *labels)
{
	json_object *label = fl_get(labels, fl_text(expression, "key"));
	const char *value = label ? json_object_get_string(label) : NULL;
	const char *op = fl_text(expression, "operator");
	json_object *values = fl_get(expression, "values");

	if (!strcmp(op, "In"))
		return listed(values, value);
	if (!strcmp(op, "NotIn"))
		return fl_count(values) && !listed(values, value);
	if (!strcmp(op, "Exists"))
		return value;
	return !strcmp(op, "DoesNotExist") && !value;
}

bool fl_selects(json_object *selector, json_object *labels)
{
	json_object *map = fl_get(selector, "matchLabels");
	json_object *list = fl_get(selector, "matchExpressions");
	size_t i;

	if (map && json_object_is_type(map, json_type_object)) {
		json_object_object_foreach(map, key, want)
		{
			json_object *have = fl_get(labels, key);

			if (!have ||
			    strcmp(json_object_get_string(have), json_object_get_string(want)) != 0)
				return false;
		}
	}
	for (i = 0; i < fl_count(list); i++)
		if (!holds(json_object_array_get_idx(list, i), labels))
			return false;
	return true;
}
