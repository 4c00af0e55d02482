/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint_file.h - inside lib/endpoint: names of the record files.
 *
 * ':' is in neither a containerID nor an interface name, so CONTAINERID:IFNAME.json can be read
 * back in one way only.
 */
#ifndef RIPSTOP_ENDPOINT_FILE_H
#define RIPSTOP_ENDPOINT_FILE_H

#include <ripstop/error.h>

#define RS_ENDPOINT_DIR "endpoints"
#define RS_ENDPOINT_MAX_BYTES (512u * 1024u)

char *rs_endpoint_file_name(const char *container_id, const char *ifname);

/* The key a file name stands for; -EBADMSG when it stands for none. The caller frees both. */
int rs_endpoint_file_key(const char *name, char **container_id, char **ifname, struct rs_err *err);

#endif
