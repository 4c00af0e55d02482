/* SPDX-License-Identifier: Apache-2.0 */
/* conffile.h - /etc/ripstop/ripstop.conf: a flat YAML mapping of option to value or list of
 * values. */
#ifndef RIPSTOP_AGENT_CONFFILE_H
#define RIPSTOP_AGENT_CONFFILE_H

#include <ripstop/error.h>

/*
 * Call fn for every key; a list's items are joined by commas. Stops at the first error of fn.
 * -ENOENT when the file is missing. A key that stands twice, nesting, anchors and more than one
 * document are errors with file:line.
 */
int rs_conffile_read(const char *path,
		     int (*fn)(const char *file, int line, const char *key, const char *value,
			       void *arg, struct rs_err *err),
		     void *arg, struct rs_err *err);

#endif
