// SPDX-License-Identifier: Apache-2.0
/* apiwire.c - options of TCP, TLS and HTTP that all requests to the API server have alike. */
#include "source/apiwire.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define CONNECT_MS 10000L

/* What libcurl copies a request into before TLS takes it, for as long as the request runs: a watch
 * for hours, and an ADD has two. Ours are a few hundred bytes, a POST some KB. This is the least
 * that libcurl allows; its default is 64 KiB. */
#define UPLOAD_BUFFER (16 * 1024L)

/* A peer that is gone without a word is noticed by TCP itself, also while we wait for its bytes. */
static int on_new_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	unsigned int gone_ms = 30000;

	(void)arg;
	(void)purpose;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms));
	return CURL_SOCKOPT_OK;
}

static void set_blob(CURL *e, CURLoption option, const struct rs_api_pem *p)
{
	struct curl_blob blob = { .data = p->data, .len = p->len, .flags = CURL_BLOB_NOCOPY };

	curl_easy_setopt(e, option, &blob);
}

static void set_identity(CURL *e, const struct rs_apiconf *c)
{
	if (c->ca.data)
		set_blob(e, CURLOPT_CAINFO_BLOB, &c->ca);
	else if (c->ca.file)
		curl_easy_setopt(e, CURLOPT_CAINFO, c->ca.file);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	if (c->cert.data)
		set_blob(e, CURLOPT_SSLCERT_BLOB, &c->cert);
	else if (c->cert.file)
		curl_easy_setopt(e, CURLOPT_SSLCERT, c->cert.file);
	if (c->key.data)
		set_blob(e, CURLOPT_SSLKEY_BLOB, &c->key);
	else if (c->key.file)
		curl_easy_setopt(e, CURLOPT_SSLKEY, c->key.file);
}

static void set_transport(CURL *e)
{
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_NETRC, CURL_NETRC_IGNORED);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 20L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 5L);
	curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
}

void rs_apiwire_set(CURL *easy, const struct rs_apiconf *c)
{
	set_transport(easy);
	set_identity(easy, c);
}
