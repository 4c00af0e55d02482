/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the agent's log: one line an event on stderr, logfmt or JSON, every value escaped.
 *
 *	rs_log(RS_LOG_INFO, "attached", "pod", name, "generation", RS_LOG_U64(gen), NULL);
 *
 * Keys are literals; values come from anywhere (a NULL value leaves its key out).
 */
#ifndef RIPSTOP_AGENT_LOG_H
#define RIPSTOP_AGENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

enum rs_log_level {
	RS_LOG_DEBUG,
	RS_LOG_INFO,
	RS_LOG_WARN,
	RS_LOG_ERROR,
};

void rs_log_setup(enum rs_log_level lowest, bool json);

/* Pairs of key and value, ended by NULL. */
void rs_log(enum rs_log_level level, const char *msg, ...) __attribute__((sentinel));

/* One line without its newline, as rs_log() would write it at `ms` since the epoch. For tests
 * too. */
void rs_log_format(struct rs_strbuf *out, bool json, int64_t ms, enum rs_log_level level,
		   const char *msg, const char *const *pairs);

char *rs_log_u64_(char buf[24], uint64_t n);
#define RS_LOG_U64(n) rs_log_u64_((char[24]){ 0 }, (uint64_t)(n))

#endif
