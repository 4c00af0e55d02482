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

static struct rs_condition_about *about(const char *ns, const char *name, const char *uid,
					int64_t generation)
{
	struct rs_condition_about *a = rs_new(struct rs_condition_about);

	*a = (struct rs_condition_about){ .ns = rs_strdup(ns),
					  .name = rs_strdup(name),
					  .uid = rs_strdup(uid),
					  .generation = generation };
	return a;
}

void rs_conditions_about(struct rs_conditions *c, const struct rs_meta *m)
{
	if (c && c->n && !c->v[c->n - 1].about)
		c->v[c->n - 1].about = about(m->ns, m->name, m->uid, m->generation);
}

void rs_conditions_copy(struct rs_conditions *c, const struct rs_condition *from)
{
	const struct rs_condition_about *a = from->about;
	struct rs_condition *slot = rs_vec_push(c);

	slot->type = rs_strdup(from->type);
	slot->text = rs_strdup(from->text);
	slot->about = a ? about(a->ns, a->name, a->uid, a->generation) : NULL;
}

static void about_free(struct rs_condition_about *a)
{
	if (!a)
		return;
	free(a->ns);
	free(a->name);
	free(a->uid);
	free(a);
}

void rs_conditions_free(struct rs_conditions *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->v[i].type);
		free(c->v[i].text);
		about_free(c->v[i].about);
	}
	rs_vec_free(c);
}
