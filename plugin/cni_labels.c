// SPDX-License-Identifier: Apache-2.0
/* cni_labels.c - labels and names as Kubernetes writes them. */
#include <errno.h>
#include <string.h>

#include "plugin/cni.h"

#define LABELS_MAX 256
#define NAME_MAX_BYTES 63
#define PREFIX_MAX_BYTES 253

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool cni_is_name(const char *s, size_t max)
{
	size_t i, len = strlen(s);

	if (!len || len > max || !is_alnum(s[0]))
		return false;
	for (i = 1; i < len; i++)
		if (!is_alnum(s[i]) && !strchr("_.-", s[i]))
			return false;
	return true;
}

/* A label's name or value: begins and ends alphanumeric. */
static bool is_qualified(const char *s)
{
	return cni_is_name(s, NAME_MAX_BYTES) && is_alnum(s[strlen(s) - 1]);
}

/* A DNS subdomain: lower case labels, dots between. */
static bool is_subdomain(const char *s, size_t len)
{
	char before = '.';
	size_t i;

	if (!len || len > PREFIX_MAX_BYTES)
		return false;
	for (i = 0; i < len; i++) {
		bool edge = s[i] == '.' || s[i] == '-';

		if (!edge && !(s[i] >= '0' && s[i] <= '9') && !(s[i] >= 'a' && s[i] <= 'z'))
			return false;
		if (edge && before == '.')
			return false;
		if (s[i] == '.' && before == '-')
			return false;
		before = s[i];
	}
	return before != '.' && before != '-';
}

static bool is_key(const char *key)
{
	const char *slash = strchr(key, '/');

	if (!slash)
		return is_qualified(key);
	return is_subdomain(key, (size_t)(slash - key)) && is_qualified(slash + 1);
}

/* Text from outside, shortened and safe to show. */
static char *shown(const char *s)
{
	rs_autofree char *part = rs_strndup(s, 80);
	rs_auto_strbuf b = { 0 };

	rs_strbuf_puts_safe(&b, part);
	return rs_strbuf_steal(&b);
}

int cni_label_add(struct cni_labels *l, const char *key, const char *value, struct rs_err *err)
{
	rs_autofree char *k = shown(key), *v = shown(value);
	struct rs_endpoint_label *slot;
	size_t i;

	if (!is_key(key))
		return rs_err_set(err, EINVAL, "label key \"%s\" is not one that Kubernetes allows",
				  k);
	if (*value && !is_qualified(value))
		return rs_err_set(err, EINVAL,
				  "label %s: value \"%s\" is not one that Kubernetes allows", k, v);
	for (i = 0; i < l->n; i++)
		if (!strcmp(l->v[i].key, key))
			return rs_err_set(err, EEXIST, "label %s is given twice", k);
	if (l->n >= LABELS_MAX)
		return rs_err_set(err, E2BIG, "more than %d labels", LABELS_MAX);
	slot = rs_vec_push(l);
	slot->key = rs_strdup(key);
	slot->value = rs_strdup(value);
	return 0;
}

int cni_labels_parse(struct cni_labels *l, const char *text, struct rs_err *err)
{
	while (*text) {
		size_t len = strcspn(text, ",");
		rs_autofree char *item = rs_strndup(text, len);
		char *colon = strchr(item, ':');
		int rc;

		if (!colon) {
			rs_autofree char *s = shown(item);

			return rs_err_set(err, EINVAL, "label \"%s\" is not of the form key:value",
					  s);
		}
		*colon = '\0';
		rc = cni_label_add(l, item, colon + 1, err);
		if (rc < 0)
			return rc;
		text += len;
		text += *text == ',';
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct rs_endpoint_label *x = a, *y = b;

	return strcmp(x->key, y->key);
}

void cni_labels_sort(struct cni_labels *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_key);
}

void cni_labels_clear(struct cni_labels *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].value);
	}
	rs_vec_free(l);
}
