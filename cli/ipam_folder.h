/* SPDX-License-Identifier: Apache-2.0 */
/* ipam_folder.h - leases and records without an agent. */
#ifndef RIPSTOP_CLI_IPAM_FOLDER_H
#define RIPSTOP_CLI_IPAM_FOLDER_H

#include <json-c/json_types.h>
#include <stdbool.h>

#include <ripstop/error.h>

/* The object that an agent would answer with, read from its folder. Nothing is changed there. */
int cli_ipam_folder(const char *state_dir, bool check, struct json_object **out,
		    struct rs_err *err);

#endif
