// SPDX-License-Identifier: Apache-2.0
/* wait_judge.c - whether a node enforces what is waited for, and if not, why. */
#include <string.h>

#include "cli/wait.h"

static struct json_object *find(const struct cli_wait *w, struct json_object *list)
{
	struct json_object *items = rs_json_get(list, "items");
	size_t i, n = cli_count(list, "items");

	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(items, i);

		if (!strcmp(rs_json_text(o, "namespace", ""), w->ns) &&
		    !strcmp(rs_json_text(o, "name", ""), w->name))
			return o;
	}
	return NULL;
}

static int64_t generation(struct json_object *o)
{
	return json_object_get_int64(rs_json_get(o, "objectGeneration"));
}

/* NULL: nothing stands in the way. */
static char *why_not(const struct cli_wait *w, struct json_object *o)
{
	const char *uid = rs_json_text(o, "uid", NULL);

	if (!o)
		return rs_asprintf("it knows no such %s", w->policy ? "policy" : "pod");
	if (w->uid && uid && strcmp(uid, w->uid))
		return rs_strdup("it knows an older policy of that name");
	if (w->generation && generation(o) < w->generation)
		return rs_asprintf("it has generation %lld, not %lld", (long long)generation(o),
				   (long long)w->generation);
	if (!rs_json_get(o, "enforced"))
		return rs_strdup("its agent is of an older release and does not tell");
	if (!cli_true(o, "enforced"))
		return rs_strdup(rs_json_text(o, "whyNotEnforced", "it is not committed yet"));
	return NULL;
}

bool cli_wait_judge(const struct cli_wait *w, const char *node, struct json_object *answer,
		    struct json_object *nodes)
{
	struct json_object *o = find(w, answer), *one = json_object_new_object();
	rs_autofree char *why = why_not(w, o);

	rs_json_add_str(one, "node", node);
	json_object_object_add(one, "enforced", json_object_new_boolean(!why));
	rs_json_add_str(one, "why", why);
	if (w->policy && o)
		json_object_object_add(one, "pods",
				       json_object_new_uint64(cli_count(o, "selects")));
	json_object_array_add(nodes, one);
	return !why;
}
