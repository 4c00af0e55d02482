/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - inside cli/doctor/: what the checks of `ripstop doctor` share.
 *
 * A check looks and says one or more lines; it changes nothing and runs no program. All files are
 * read below a root folder (--root, else "/"), so that every line can be tested; what only a
 * running kernel can tell is asked when no root is given, and said to be left out otherwise.
 */
#ifndef RIPSTOP_CLI_DOCTOR_H
#define RIPSTOP_CLI_DOCTOR_H

#include "cli/cli.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_WARN,
	DOCTOR_FAIL,
	DOCTOR_STATES,
};

struct doctor {
	struct cli_run *r;
	const char *root; /* without a slash at its end; "" is this machine */
	struct json_object *items;
	size_t n[DOCTOR_STATES];
};

struct doctor_names rs_vec(char *);

/* One line: what was found, why it matters, what to do (NULL where all is well). */
void doctor_say(struct doctor *d, enum doctor_state state, const char *check, const char *why,
		const char *fix, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Below the root. A file's text without the line end; NULL when it cannot be read. */
char *doctor_path(const struct doctor *d, const char *path);
char *doctor_read(const struct doctor *d, const char *path);
/* A number in a file; false when there is none. */
bool doctor_number(const struct doctor *d, const char *path, long long *out);
bool doctor_exists(const struct doctor *d, const char *path);
/* Names in a folder, sorted; none when it cannot be read. */
void doctor_list(const struct doctor *d, const char *path, struct doctor_names *out);
void doctor_names_free(struct doctor_names *v);
/* The release of the running kernel, "6.1.0-18-amd64"; never NULL. */
char *doctor_release(const struct doctor *d);

/* All checks of a kind; the files are named after them. */
void doctor_kernel(struct doctor *d); /* version, options, BTF, conntrack, inotify, memory, time */
void doctor_cni(struct doctor *d);    /* folders, conflists, plugin, others' leftovers, runtime */
void doctor_net(struct doctor *d);    /* sysctls, IPv6, MTU */
void doctor_rules(struct doctor *d);  /* saved rulesets, other tables */
void doctor_agent(struct doctor *d);  /* state folder, socket, agent, libraries */

/* The object that -o json prints; the caller puts it. */
struct json_object *doctor_run(struct cli_run *r, const char *root, size_t n[DOCTOR_STATES]);

#endif
