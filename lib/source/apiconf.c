// SPDX-License-Identifier: Apache-2.0
/* apiconf.c - where the API server is and who we are to it; see apiconf.h. */
#include "source/apiconf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define MAX_TOKEN (64UL * 1024)
#define MAX_PEM RS_MIB

static void pem_clear(struct rs_api_pem *p)
{
	free(p->file);
	free(p->data);
	*p = (struct rs_api_pem){ 0 };
}

/* What was a credential does not stay in freed memory. */
static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void rs_apiconf_clear(struct rs_apiconf *c)
{
	free(c->server);
	pem_clear(&c->ca);
	pem_clear(&c->cert);
	if (c->key.data)
		explicit_bzero(c->key.data, c->key.len);
	pem_clear(&c->key);
	wipe(&c->token);
	wipe(&c->read_token);
	free(c->token_file);
	*c = (struct rs_apiconf){ 0 };
}

/* ---- where it is ----------------------------------------------------------------------------- */

static bool has_scheme(const char *s, bool *tls)
{
	*tls = !strncasecmp(s, "https://", 8);
	return *tls || !strncasecmp(s, "http://", 7);
}

/* Nothing in it that would end the address and begin something else. */
static bool is_url_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s > 0x7e ||
		    strchr("?#@\\\"<>", *s))
			return false;
	return true;
}

/* "host", "host:port", "https://host:port/path" to the last form, without a slash at its end. */
static int set_server(struct rs_apiconf *c, const char *text, const char *origin,
		      struct rs_err *err)
{
	bool tls = true;
	rs_autofree char *url =
		has_scheme(text, &tls) ? rs_strdup(text) : rs_asprintf("https://%s", text);
	const char *host = strstr(url, "://") + 3;
	size_t n = strlen(url);

	if (!is_url_text(url) || !*host || strchr("/:", *host))
		return rs_err_set(err, EINVAL, "%s: \"%.200s\" is not the address of a server",
				  origin, text);
	while (n && url[n - 1] == '/')
		url[--n] = '\0';
	free(c->server);
	c->server = rs_steal_ptr(&url);
	return 0;
}

static int server_of_env(struct rs_apiconf *c, struct rs_err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	rs_autofree char *url = NULL;
	struct in6_addr v6;
	bool bracket;

	if (!host || !*host || !port || !*port) {
		rs_err_set(err, ENOENT,
			   "no API server is known: KUBERNETES_SERVICE_HOST and _PORT are not set");
		return rs_err_hint(err, "Run inside a cluster, or give --kubeconfig, or --manifests"
					" to do without an API server.");
	}
	bracket = inet_pton(AF_INET6, host, &v6) == 1;
	url = rs_asprintf("https://%s%s%s:%s", bracket ? "[" : "", host, bracket ? "]" : "", port);
	return set_server(c, url, "KUBERNETES_SERVICE_HOST", err);
}

/* ---- the service account --------------------------------------------------------------------- */

static int service_account(const struct rs_source_config *cfg, struct rs_apiconf *c,
			   struct rs_err *err)
{
	const char *dir = cfg->sa_dir ? cfg->sa_dir : RS_API_SA_DIR;

	c->ca.file = rs_asprintf("%s/ca.crt", dir);
	c->token_file = rs_asprintf("%s/token", dir);
	return cfg->api_server ? 0 : server_of_env(c, err);
}

/* ---- checks ---------------------------------------------------------------------------------- */

static int check_pem(struct rs_api_pem *p, const char *what, const char *word, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	const char *seen = p->data;
	int rc = 0;

	if (p->file) {
		rc = rs_file_read(p->file, MAX_PEM, &text, NULL, err);
		seen = text;
	}
	if (rc == 0 && seen && !strstr(seen, word))
		rc = rs_err_set(err, EINVAL, "%s%sno PEM text (\"%s\")", p->file ? p->file : "",
				p->file ? ": " : "", word);
	if (rc == 0 && text)
		explicit_bzero(text, strlen(text));
	return rc < 0 ? rs_err_wrap(err, "%s", what) : 0;
}

static int check(struct rs_apiconf *c, struct rs_err *err)
{
	const char *token;
	bool tls;
	int rc;

	has_scheme(c->server, &tls);
	if (!tls && (c->token || c->token_file || c->key.file || c->key.data))
		return rs_err_set(err, EINVAL,
				  "%s is not https: our credential would be open to anybody on "
				  "the way",
				  c->server);
	if (tls && !c->ca.file && !c->ca.data)
		return rs_err_set(err, EINVAL, "no certificate authority is given for %s",
				  c->server);
	rc = check_pem(&c->ca, "certificate authority", "-----BEGIN CERTIFICATE-----", err);
	if (rc == 0)
		rc = check_pem(&c->cert, "client certificate", "-----BEGIN CERTIFICATE-----", err);
	if (rc == 0)
		rc = check_pem(&c->key, "client key", "-----BEGIN ", err);
	return rc < 0 ? rc : rs_apiconf_token(c, &token, err);
}

int rs_apiconf_load(const struct rs_source_config *cfg, struct rs_apiconf *out, struct rs_err *err)
{
	struct rs_apiconf c = { 0 };
	int rc = cfg->kubeconfig ? rs_kubeconfig_read(cfg->kubeconfig, &c, err)
				 : service_account(cfg, &c, err);

	if (rc == 0 && cfg->kubeconfig) {
		rs_autofree char *given = rs_steal_ptr(&c.server);

		rc = set_server(&c, given, cfg->kubeconfig, err);
	}
	if (rc == 0 && cfg->api_server)
		rc = set_server(&c, cfg->api_server, "API server", err);
	if (rc == 0)
		rc = check(&c, err);
	if (rc < 0) {
		rs_apiconf_clear(&c);
		return rc;
	}
	*out = c;
	return 0;
}

/* ---- the token ------------------------------------------------------------------------------- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* It becomes a header: one line of visible characters. */
static int check_token(const char *file, char *text, struct rs_err *err)
{
	size_t n = strlen(text), i;

	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
	if (!n)
		return rs_err_set(err, EINVAL, "%s: the token is empty", file);
	for (i = 0; i < n; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] > 0x7e)
			return rs_err_set(err, EINVAL, "%s: not a token (byte %zu)", file, i + 1);
	return 0;
}

int rs_apiconf_token(struct rs_apiconf *c, const char **out, struct rs_err *err)
{
	rs_autofree char *text = NULL;
	struct stat st;
	int rc;

	*out = c->token ? c->token : c->read_token;
	if (c->token || !c->token_file)
		return 0;
	if (stat(c->token_file, &st) < 0)
		return rs_err_sys(err, errno, "token %s", c->token_file);
	if (c->read_token && same_file(&st, &c->read_stat))
		return 0;
	rc = rs_file_read(c->token_file, MAX_TOKEN, &text, NULL, err);
	if (rc == 0)
		rc = check_token(c->token_file, text, err);
	if (rc < 0)
		return rs_err_wrap(err, "token");
	wipe(&c->read_token);
	*out = c->read_token = rs_steal_ptr(&text);
	c->read_stat = st;
	return 0;
}

void rs_apiconf_distrust(struct rs_apiconf *c)
{
	c->read_stat = (struct stat){ 0 };
}
