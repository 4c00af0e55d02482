/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apiconf.h - where the API server is and who we are to it: from the files that a pod's service
 * account gets, or from a kubeconfig.
 *
 * Read from a kubeconfig: current-context; of its cluster `server`, `certificate-authority` or
 * `certificate-authority-data`; of its user `token` or `tokenFile`, `client-certificate` and
 * `client-key` or the same with `-data`. Refused by name, because to ignore them would mean to be
 * someone else than the file says, or to trust more: exec, auth-provider, username, password,
 * as (impersonation), insecure-skip-tls-verify, proxy-url, tls-server-name. Errors name
 * file:line:column and the field. Relative paths begin at the kubeconfig's folder.
 *
 * https only; http is taken where no credential would be shown on the wire.
 */
#ifndef RIPSTOP_SOURCE_APICONF_H
#define RIPSTOP_SOURCE_APICONF_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <ripstop/error.h>
#include <ripstop/source.h>

#define RS_API_SA_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* PEM text or the file that holds it; neither: not given. */
struct rs_api_pem {
	char *file;
	char *data; /* owned; NUL-terminated */
	size_t len;
};

struct rs_apiconf {
	char *server; /* "https://10.96.0.1:443", maybe a path behind it, no slash at the end */
	struct rs_api_pem ca, cert, key;
	char *token;	  /* a fixed one */
	char *token_file; /* or one that is read again whenever the file changes */
	/* the file as it was when it was last read */
	char *read_token;
	struct stat read_stat;
};

/* cfg->kubeconfig, or the service account when that is NULL. */
int rs_apiconf_load(const struct rs_source_config *cfg, struct rs_apiconf *out, struct rs_err *err);
void rs_apiconf_clear(struct rs_apiconf *c);

/* The token of now, borrowed until the next call; *out is NULL when none is used. */
int rs_apiconf_token(struct rs_apiconf *c, const char **out, struct rs_err *err);

/* The server refused the token: read the file again even if it looks unchanged. */
void rs_apiconf_distrust(struct rs_apiconf *c);

/* kubeconfig.c */
int rs_kubeconfig_read(const char *file, struct rs_apiconf *out, struct rs_err *err);

#endif
