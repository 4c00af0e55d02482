/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nl_rules.h - every nf_tables table of the network namespace as JSON, for people who have to look:
 * `ripstop doctor` and the support archive.
 *
 *	{"tables": [{"family", "name", "flags"?, "comment"?}],
 *	 "chains": [{"family", "table", "name", "handle", "type"?, "hook"?, "priority"?, "policy"?}],
 *	 "rules":  [{"family", "table", "chain", "handle", "comment"?, "exprs": [{"ct": {...}}]}],
 *	 "sets":   [{"family", "table", "name", "flags", "keyLen", "dataLen"?, "size"?, "elements"?}]}
 *
 * Expressions have their attributes by name where this file knows them, else by number; values that
 * are no number and no text are hexadecimal. Nothing is interpreted: lib/ruleset does that.
 */
#ifndef RIPSTOP_NETLINK_NL_RULES_H
#define RIPSTOP_NETLINK_NL_RULES_H

#include <stddef.h>

#include <json-c/json_types.h>

#include <ripstop/error.h>

/* Elements of sets up to max_elements in all; a set that has more of them says "omitted". The
 * caller puts *out. -EPERM without NET_ADMIN, -EAGAIN when the rules change all the time. */
int rs_nl_rules(size_t max_elements, struct json_object **out, struct rs_err *err);

#endif
