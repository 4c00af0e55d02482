/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cnifiles.h - the running agent's eye on the runtime's folders (--install-conflist).
 *
 * The conflist is written once an ADD issued now would be served, and again whenever somebody
 * removes or changes it; files of others stay. A plugin that is missing, or another one than this
 * agent's, is a condition and the agent is not ready. inotify tells of changes; the loop's tick
 * looks all the same, so a lost event costs a second.
 */
#ifndef RIPSTOP_AGENT_CNIFILES_H
#define RIPSTOP_AGENT_CNIFILES_H

#include "agent/agent.h"

/* NULL without --install-conflist. opt is borrowed. */
struct rs_cnifiles *rs_cnifiles_new(const struct rs_options *opt);
void rs_cnifiles_free(struct rs_cnifiles *c); /* the files stay */

/* Readable when something in the folders changed; -1: none. */
int rs_cnifiles_fd(const struct rs_cnifiles *c);

/* Look at everything; ready: an ADD issued now would be served, as far as others know. */
void rs_cnifiles_sync(struct rs_cnifiles *c, bool ready, int64_t now_ms);

/* Why the plugin cannot serve pods; NULL when it can. Owned by c; c may be NULL. */
const char *rs_cnifiles_why_not_ready(const struct rs_cnifiles *c);
/* Whether our conflist is there, and which file of others a runtime takes before it (NULL:
 * none). */
void rs_cnifiles_order(const struct rs_cnifiles *c, bool *written, const char **first_other);
void rs_cnifiles_conditions(const struct rs_cnifiles *c, struct rs_conditions *out);

#endif
