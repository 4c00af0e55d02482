/* SPDX-License-Identifier: Apache-2.0 */
/*
 * install.h - what of ours lies in the runtime's folders: the plugin, and the conflist.
 *
 * The plugin is written by `ripstop-agent install` alone (an init container, or an operator); the
 * running agent only looks at it. The conflist is the agent's: it is what tells the runtime that
 * pods can be attached, so it comes last, and only when that is true.
 */
#ifndef RIPSTOP_AGENT_INSTALL_H
#define RIPSTOP_AGENT_INSTALL_H

#include "agent/options.h"

#define RS_PLUGIN_NAME "ripstop"
#define RS_CONFLIST_NAME "05-ripstop.conflist"
#define RS_PLUGIN_MAX (64 * 1024 * 1024)

/* The plugin of this agent: --plugin, or ripstop-cni beside this program. Caller frees; NULL when
 * not even that can be told. */
char *rs_install_source(const struct rs_options *o);

/* `ripstop-agent install`: says on stdout what it did. */
int rs_install(const struct rs_options *o, struct rs_err *err);

/* For uninstall: take our conflist away; and the plugin. What is not there is no error; *removed
 * tells whether something was. */
int rs_install_remove(const char *dir, const char *name, bool *removed, struct rs_err *err);

/* The text of our conflist. portmap: chain that plugin behind ours (hostPort). Caller frees. */
char *rs_install_conflist(const struct rs_options *o, bool portmap);

/* Remove temporary files of ours whose writer died. */
void rs_install_sweep(int dirfd);

#endif
