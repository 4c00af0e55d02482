/* SPDX-License-Identifier: Apache-2.0 */
/* verify_words.h - differences between kernel and state, for people. */
#ifndef RIPSTOP_CLI_VERIFY_WORDS_H
#define RIPSTOP_CLI_VERIFY_WORDS_H

/* What it does to traffic that this object ("element cls4 10.0.0.7") is missing, foreign or changed. */
const char *cli_verify_words(const char *object, const char *what);

#endif
