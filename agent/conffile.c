// SPDX-License-Identifier: Apache-2.0
/* conffile.c - reads the configuration file event by event; see conffile.h. */
#include "agent/conffile.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "base/base.h"

#define MAX_BYTES (64 * RS_KIB)
#define MAX_KEYS 64

struct reader {
	const char *path;
	yaml_parser_t yaml;
	yaml_event_t event;
	char *seen[MAX_KEYS];
	size_t n_seen;
};

static int fault(const struct reader *r, struct rs_err *err, const char *what)
{
	return rs_err_set(err, EINVAL, "%s:%zu: %s", r->path, r->event.start_mark.line + 1, what);
}

static int next(struct reader *r, struct rs_err *err)
{
	yaml_event_delete(&r->event);
	memset(&r->event, 0, sizeof(r->event));
	if (yaml_parser_parse(&r->yaml, &r->event))
		return 0;
	return rs_err_set(err, EINVAL, "%s:%zu:%zu: %s", r->path, r->yaml.problem_mark.line + 1,
			  r->yaml.problem_mark.column + 1,
			  r->yaml.problem ? r->yaml.problem : "not YAML");
}

/* A plain null (or nothing) is an empty value. */
static int scalar(const struct reader *r, char **out, struct rs_err *err)
{
	const char *s = (const char *)r->event.data.scalar.value;
	bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (r->event.type != YAML_SCALAR_EVENT)
		return fault(r, err, "expected a value or a list of values");
	if (strlen(s) != r->event.data.scalar.length)
		return fault(r, err, "a NUL byte in a value");
	*out = rs_strdup(plain && (!strcmp(s, "null") || !strcmp(s, "~")) ? "" : s);
	return 0;
}

static int list(struct reader *r, char **out, struct rs_err *err)
{
	rs_auto_strbuf joined = { 0 };
	int rc;

	for (rc = next(r, err); rc == 0 && r->event.type != YAML_SEQUENCE_END_EVENT;
	     rc = next(r, err)) {
		rs_autofree char *item = NULL;

		rc = scalar(r, &item, err);
		if (rc < 0)
			return rc;
		if (joined.len)
			rs_strbuf_putc(&joined, ',');
		rs_strbuf_puts(&joined, item);
	}
	*out = rs_strbuf_steal(&joined);
	return rc;
}

static int note_key(struct reader *r, const char *key, struct rs_err *err)
{
	for (size_t i = 0; i < r->n_seen; i++)
		if (!strcmp(r->seen[i], key))
			return fault(r, err, "this key stands twice");
	if (r->n_seen == MAX_KEYS)
		return fault(r, err, "too many keys");
	r->seen[r->n_seen++] = rs_strdup(key);
	return 0;
}

/* The reader stands at a key. */
static int pair(struct reader *r,
		int (*fn)(const char *, int, const char *, const char *, void *, struct rs_err *),
		void *arg, struct rs_err *err)
{
	rs_autofree char *key = NULL, *value = NULL;
	int line = (int)r->event.start_mark.line + 1;
	int rc = scalar(r, &key, err);

	if (rc == 0)
		rc = note_key(r, key, err);
	if (rc == 0)
		rc = next(r, err);
	if (rc == 0)
		rc = r->event.type == YAML_SEQUENCE_START_EVENT ? list(r, &value, err)
								: scalar(r, &value, err);
	return rc < 0 ? rc : fn(r->path, line, key, value, arg, err);
}

static int document(struct reader *r,
		    int (*fn)(const char *, int, const char *, const char *, void *,
			      struct rs_err *),
		    void *arg, struct rs_err *err)
{
	int rc = next(r, err);

	/* A file of comments is an empty document or a null. */
	if (rc < 0 || (r->event.type == YAML_SCALAR_EVENT && !r->event.data.scalar.value[0]))
		return rc;
	if (r->event.type != YAML_MAPPING_START_EVENT)
		return fault(r, err, "expected lines of 'option: value'");
	for (rc = next(r, err); rc == 0 && r->event.type != YAML_MAPPING_END_EVENT;
	     rc = next(r, err)) {
		rc = pair(r, fn, arg, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int stream(struct reader *r,
		  int (*fn)(const char *, int, const char *, const char *, void *, struct rs_err *),
		  void *arg, struct rs_err *err)
{
	int documents = 0, rc;

	for (rc = next(r, err); rc == 0 && r->event.type != YAML_STREAM_END_EVENT;
	     rc = next(r, err)) {
		if (r->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (documents++)
			return fault(r, err, "more than one document");
		rc = document(r, fn, arg, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

int rs_conffile_read(const char *path,
		     int (*fn)(const char *file, int line, const char *key, const char *value,
			       void *arg, struct rs_err *err),
		     void *arg, struct rs_err *err)
{
	struct reader r = { .path = path };
	rs_autofree char *text = NULL;
	size_t len = 0;
	int rc = rs_file_read(path, MAX_BYTES, &text, &len, err);

	if (rc < 0)
		return rc;
	if (!yaml_parser_initialize(&r.yaml))
		rs_oom();
	yaml_parser_set_input_string(&r.yaml, (const unsigned char *)text, len);
	rc = stream(&r, fn, arg, err);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.yaml);
	for (size_t i = 0; i < r.n_seen; i++)
		free(r.seen[i]);
	return rc;
}
