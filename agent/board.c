// SPDX-License-Identifier: Apache-2.0
/* board.c - conditions: gathered from all who have some, logged once when they come and when they
 * go. */
#include "agent/agent.h"

#include <string.h>

#include "agent/cnifiles.h"
#include "agent/dropwatch.h"
#include "agent/events.h"

static void add_lines(struct rs_conditions *c, const char *type, const char *lines)
{
	rs_autofree char *copy = rs_strdup(lines);
	char *save = NULL;

	for (char *p = copy ? strtok_r(copy, "\n", &save) : NULL; p;
	     p = strtok_r(NULL, "\n", &save))
		rs_conditions_add(c, type, "%s", p);
}

static int by_type(const void *pa, const void *pb)
{
	const struct rs_condition *a = pa, *b = pb;
	int d = strcmp(a->type, b->type);

	return d ? d : strcmp(a->text, b->text);
}

static bool has(const struct rs_conditions *c, const struct rs_condition *x)
{
	return c->n && bsearch(x, c->v, c->n, sizeof(*c->v), by_type);
}

static void gather(struct rs_agent *a, struct rs_conditions *c)
{
	rs_reconcile_conditions(a->rec, c);
	rs_registry_conditions(a->reg, c);
	rs_origin_conditions(a, c);
	add_lines(c, "Dataplane", a->dp_conditions);
	for (size_t i = 0; i < a->routes.n; i++)
		rs_conditions_copy(c, &a->routes.v[i]);
	for (size_t i = 0; i < a->leases.n; i++)
		rs_conditions_copy(c, &a->leases.v[i]);
	rs_masquerade_conditions(a, c);
	rs_cnifiles_conditions(a->cnifiles, c);
	rs_dropwatch_conditions(a->drops, c);
	rs_events_conditions(a->events, c);
	rs_choice_conditions(a, c);
	rs_otherplane_conditions(a, c);
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), by_type);
}

void rs_board_update(struct rs_agent *a)
{
	struct rs_conditions now = { 0 };

	gather(a, &now);
	for (size_t i = 0; i < now.n; i++)
		if (!has(&a->conditions, &now.v[i]))
			rs_log(RS_LOG_WARN, "condition", "type", now.v[i].type, "message",
			       now.v[i].text, NULL);
	for (size_t i = 0; i < a->conditions.n; i++)
		if (!has(&now, &a->conditions.v[i]))
			rs_log(RS_LOG_INFO, "condition is over", "type", a->conditions.v[i].type,
			       "message", a->conditions.v[i].text, NULL);
	rs_conditions_free(&a->conditions);
	a->conditions = now;
}
