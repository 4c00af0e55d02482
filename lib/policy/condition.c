// SPDX-License-Identifier: Apache-2.0
/* condition.c - the list of conditions that a compile reports; see policy.h. */
#include <stdarg.h>

#include "base/base.h"
#include "policy/policy.h"

void rs_conditions_add(struct rs_conditions *c, const char *type, const char *fmt, ...)
{
	rs_autofree char *text = NULL;
	struct rs_strbuf safe = { 0 };
	struct rs_condition *slot;
	va_list ap;

	if (!c)
		return;
	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_strbuf_puts_safe(&safe, text);
	slot = rs_vec_push(c);
	slot->type = rs_strdup(type);
	slot->text = rs_strbuf_steal(&safe);
}

void rs_conditions_free(struct rs_conditions *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->v[i].type);
		free(c->v[i].text);
	}
	rs_vec_free(c);
}
