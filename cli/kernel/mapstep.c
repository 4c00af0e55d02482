// SPDX-License-Identifier: Apache-2.0
/* mapstep.c - see mapstep.h. */
#include "cli/kernel/mapstep.h"

#include <errno.h>

int cli_maps_open(struct json_object *local, struct json_object *o, struct rs_mapset **maps,
		  struct rs_err *err)
{
	const char *dir = rs_json_text(local, "pins", NULL);
	int rc;

	if (!dir)
		return rs_err_set(err, EPROTO, "the agent does not tell where its programs are");
	rs_json_add_str(o, "pins", dir);
	rc = rs_mapset_open(dir, maps, err);
	if (rc == -ENOENT) {
		rs_err_clear(err);
		rs_json_add_str(o, "note",
				"no programs are pinned there, as far as can be seen from here: "
				"no bpffs, or every packet passes");
		return 0;
	}
	if (rc == -EPERM || rc == -EACCES)
		rs_err_hint(err, "opening the pins needs root, and the bpffs of the agent");
	return rc ? rc : rs_mapset_check_netns(*maps, err);
}

static struct json_object *found_json(const struct rs_mapwalk *w)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < w->n_found; i++) {
		const struct rs_mapfound *f = &w->found[i];
		struct json_object *o = json_object_new_object();

		rs_json_add_str(o, "set", f->map);
		rs_json_add_str(o, "key", f->key);
		rs_json_add_str(o, "value", f->value);
		if (f->counted)
			json_object_object_add(o, "judged", json_object_new_uint64(f->judged));
		json_object_array_add(list, o);
	}
	return list;
}

int cli_maps_step(const struct rs_mapset *maps, enum rs_hook hook, const char *name,
		  const struct rs_packet *p, struct json_object *steps, bool *accept,
		  struct rs_err *err)
{
	struct json_object *o;
	struct rs_mapwalk w;
	int rc = rs_mapset_walk(maps, hook, p, &w, err);

	if (rc < 0)
		return rc;
	o = json_object_new_object();
	rs_json_add_str(o, "hook", name);
	rs_json_add_str(o, "verdict", w.accept ? "accept" : "drop");
	rs_json_add_str(o, "program", w.program);
	rs_json_add_str(o, "comment", w.attached ? w.reason : "the pin of its link is gone");
	json_object_object_add(o, "found", found_json(&w));
	json_object_array_add(steps, o);
	*accept = w.accept;
	return 0;
}
