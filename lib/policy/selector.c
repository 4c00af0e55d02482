// SPDX-License-Identifier: Apache-2.0
/* selector.c - labels against a LabelSelector (k8s.io/apimachinery/pkg/apis/meta/v1,
 * LabelSelector). */
#include <string.h>

#include "policy/policy.h"

static bool has_value(const struct rs_requirement *r, const char *value)
{
	size_t i;

	for (i = 0; i < r->n_values; i++)
		if (!strcmp(r->values[i], value))
			return true;
	return false;
}

static bool requirement_holds(const struct rs_requirement *r, const struct rs_labels *labels)
{
	const char *value = rs_labels_get(labels, r->key);

	switch (r->op) {
	case RS_OP_IN:
		return value && has_value(r, value);
	case RS_OP_NOT_IN:
		return r->n_values && (!value || !has_value(r, value));
	case RS_OP_EXISTS:
		return value;
	case RS_OP_NOT_EXISTS:
		return !value;
	}
	return false;
}

/*
 * An absent selector matches nothing here, as in Kubernetes' own LabelSelectorAsSelector(nil): what
 * absence means is for the caller to say. Labels that nobody knows (NULL) match nothing either.
 */
bool rs_selector_matches(const struct rs_selector *s, const struct rs_labels *labels)
{
	size_t i;

	if (!s->present || s->invalid || !labels)
		return false;
	for (i = 0; i < s->n_reqs; i++)
		if (!requirement_holds(&s->reqs[i], labels))
			return false;
	return true;
}
