// SPDX-License-Identifier: Apache-2.0
/* node.c - STATE/node.json, what the agent tells the plugin without a socket call; see node.h. */
#include "endpoint/node.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "base/statedir.h"

#define NODE_VERSION 1
#define NODE_DEPTH 4
#define NODE_MAX_BYTES (64u * 1024u)
#define NODE_MAX_RANGES 64
#define TEXT_MAX 4096

void rs_node_info_clear(struct rs_node_info *n)
{
	free(n->boot_id);
	free(n->node);
	free(n->dataplane);
	free(n->version);
	free(n->ranges);
	free(n->why_not);
	memset(n, 0, sizeof(*n));
}

char *rs_node_info_to_json(const struct rs_node_info *n)
{
	rs_autojson struct json_object *o = json_object_new_object();
	struct json_object *ranges = json_object_new_array();
	char text[RS_CIDR_STRLEN];
	size_t i;

	for (i = 0; i < n->n_ranges; i++)
		json_object_array_add(ranges,
				      json_object_new_string(rs_cidr_str(&n->ranges[i], text)));
	json_object_object_add(o, "fileVersion", json_object_new_int(NODE_VERSION));
	rs_json_add_str(o, "bootID", n->boot_id);
	rs_json_add_str(o, "node", n->node);
	rs_json_add_str(o, "dataplane", n->dataplane);
	rs_json_add_str(o, "version", n->version);
	json_object_object_add(o, "ranges", ranges);
	json_object_object_add(o, "mtu", json_object_new_int64(n->mtu));
	json_object_object_add(o, "linkGroup", json_object_new_int64(n->link_group));
	json_object_object_add(o, "ready", json_object_new_boolean(n->ready));
	rs_json_add_str(o, "whyNot", n->why_not);
	json_object_object_add(o, "written", json_object_new_int64(n->written_s));
	return rs_json_print(o);
}

static int parse_ranges(struct json_object *o, struct rs_node_info *n, struct rs_err *err)
{
	struct json_object *a = rs_json_get(o, "ranges");
	size_t i, count;

	if (!a)
		return 0;
	if (!json_object_is_type(a, json_type_array))
		return rs_err_set(err, EBADMSG, "ranges is not an array");
	count = json_object_array_length(a);
	if (count > NODE_MAX_RANGES)
		return rs_err_set(err, EBADMSG, "%zu ranges, at most %d are allowed", count,
				  NODE_MAX_RANGES);
	n->ranges = rs_new0(struct rs_cidr, count);
	for (i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(a, i);

		if (!json_object_is_type(item, json_type_string) ||
		    rs_cidr_parse(json_object_get_string(item), &n->ranges[i], NULL, NULL) < 0)
			return rs_err_set(err, EBADMSG, "ranges[%zu] is not a CIDR", i);
	}
	n->n_ranges = count;
	return 0;
}

static int parse_texts(struct json_object *o, struct rs_node_info *n, struct rs_err *err)
{
	int rc = rs_json_str(o, "bootID", 64, &n->boot_id, err);

	if (rc == 0)
		rc = rs_json_opt_str(o, "node", TEXT_MAX, &n->node, err);
	if (rc == 0)
		rc = rs_json_opt_str(o, "dataplane", TEXT_MAX, &n->dataplane, err);
	if (rc == 0)
		rc = rs_json_opt_str(o, "version", TEXT_MAX, &n->version, err);
	if (rc == 0)
		rc = rs_json_opt_str(o, "whyNot", NODE_MAX_BYTES, &n->why_not, err);
	return rc;
}

static int parse_all(struct json_object *o, struct rs_node_info *n, struct rs_err *err)
{
	int64_t version = 0, mtu = 0, group = 0;
	int rc = rs_json_int(o, "fileVersion", 1, NODE_VERSION, &version, err);

	if (rc == 0)
		rc = parse_texts(o, n, err);
	if (rc == 0)
		rc = parse_ranges(o, n, err);
	if (rc == 0)
		rc = rs_json_opt_int(o, "mtu", 0, UINT32_MAX, &mtu, err);
	if (rc == 0)
		rc = rs_json_opt_int(o, "linkGroup", 0, UINT32_MAX, &group, err);
	if (rc == 0)
		rc = rs_json_opt_bool(o, "ready", &n->ready, err);
	if (rc == 0)
		rc = rs_json_int(o, "written", INT64_MIN, INT64_MAX, &n->written_s, err);
	n->mtu = (uint32_t)mtu;
	n->link_group = (uint32_t)group;
	return rc;
}

int rs_node_info_from_json(const char *text, size_t len, struct rs_node_info *out,
			   struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	if (len > NODE_MAX_BYTES)
		return rs_err_set(err, EBADMSG, "%zu bytes, at most %u are allowed", len,
				  NODE_MAX_BYTES);
	rc = rs_json_parse(text, len, NODE_DEPTH, &o, err);
	if (rc == 0)
		rc = parse_all(o, out, err);
	if (rc < 0)
		rs_node_info_clear(out);
	return rc;
}

/* STATE itself; opened as a folder so that the write's temporary file lies beside its target. */
static int open_state(const char *state_dir, struct rs_err *err)
{
	int fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd >= 0)
		return fd;
	rc = rs_err_sys(err, errno, "open folder %s", state_dir);
	if (rc != -ENOENT)
		rs_err_cni(err, RS_CNI_IO);
	return rc;
}

int rs_node_info_write(const char *state_dir, const struct rs_node_info *n, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	struct rs_statedir d;
	int rc;

	if (!n->boot_id)
		return rs_err_set(err, EINVAL, "%s needs a boot id", RS_NODE_FILE);
	rc = rs_statedir_open(state_dir, ".", &d, err);
	if (rc < 0)
		return rc;
	text = rs_node_info_to_json(n);
	/* No lock: the one agent of a node is the only writer here. */
	rs_statedir_sweep(&d);
	rc = rs_statedir_write_boot(&d, RS_NODE_FILE, text, RS_FILE_REPLACE, err);
	rs_statedir_close(&d);
	return rc;
}

/* Of this boot? A file of another one tells of an agent that is gone. */
static int this_boot(const struct rs_node_info *n, struct rs_err *err)
{
	char boot[RS_BOOT_ID_LEN];
	int rc = rs_boot_id(boot, err);

	if (rc == 0 && strcmp(boot, n->boot_id))
		rc = rs_err_set(err, ENOENT, "it was written before the last boot");
	return rc;
}

int rs_node_info_read(const char *state_dir, struct rs_node_info *out, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	rs_autoclose int fd = -1;
	size_t len = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = fd = open_state(state_dir, err);
	if (rc >= 0)
		rc = rs_file_read_at(fd, RS_NODE_FILE, NODE_MAX_BYTES, &text, &len, err);
	if (rc == 0)
		rc = rs_node_info_from_json(text, len, out, err);
	if (rc == 0)
		rc = this_boot(out, err);
	if (rc == 0)
		return 0;
	rs_node_info_clear(out);
	rs_err_wrap(err, "%s/%s", state_dir, RS_NODE_FILE);
	if (rc != -ENOENT)
		rs_err_cni(err, RS_CNI_IO);
	return rc;
}
