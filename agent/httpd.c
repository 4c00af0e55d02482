// SPDX-License-Identifier: Apache-2.0
/* httpd.c - metrics and health over evhttp; see httpd.h. */
#include "agent/httpd.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <string.h>

#define TIMEOUT_S 5
#define MAX_HEADERS 8192
#define MAX_NEW 64 /* connections a second: descriptors are for the control socket first */

struct rs_httpd {
	struct rs_agent *agent;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	unsigned int fresh; /* connections since the last sweep */
};

static void reply(struct evhttp_request *r, int code, const char *reason, const char *type,
		  const char *text)
{
	struct evbuffer *b = evbuffer_new();

	if (!b)
		rs_oom();
	evbuffer_add(b, text, strlen(text));
	evhttp_add_header(evhttp_request_get_output_headers(r), "Content-Type", type);
	/* One request a connection: nobody keeps one for long. */
	evhttp_add_header(evhttp_request_get_output_headers(r), "Connection", "close");
	evhttp_send_reply(r, code, reason, b);
	evbuffer_free(b);
}

static void on_metrics(struct evhttp_request *r, void *arg)
{
	struct rs_httpd *h = arg;
	rs_autofree char *text = rs_scrape(h->agent);

	reply(r, HTTP_OK, "OK", "text/plain; version=0.0.4; charset=utf-8", text);
}

/* That the loop turns is all there is to being alive. */
static void on_live(struct evhttp_request *r, void *arg)
{
	(void)arg;
	reply(r, HTTP_OK, "OK", "text/plain; charset=utf-8", "ok\n");
}

static void on_ready(struct evhttp_request *r, void *arg)
{
	struct rs_httpd *h = arg;
	rs_autofree char *why = rs_agent_why_not_ready(h->agent);
	rs_auto_strbuf text = { 0 };

	rs_strbuf_puts_safe(&text, why ? why : "ok");
	rs_strbuf_putc(&text, '\n');
	reply(r, why ? HTTP_SERVUNAVAIL : HTTP_OK, why ? "Not ready" : "OK",
	      "text/plain; charset=utf-8", rs_strbuf_str(&text));
}

static void on_other(struct evhttp_request *r, void *arg)
{
	(void)arg;
	reply(r, HTTP_NOTFOUND, "Not Found", "text/plain; charset=utf-8",
	      "there are /metrics, /healthz, /livez and /readyz\n");
}

/* evhttp asks for the buffer of each connection it accepts: the one place to count them. */
static struct bufferevent *on_connect(struct event_base *base, void *arg)
{
	struct rs_httpd *h = arg;

	if (++h->fresh >= MAX_NEW)
		evconnlistener_disable(evhttp_bound_socket_get_listener(h->bound));
	return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

void rs_httpd_sweep(struct rs_httpd *h)
{
	if (!h)
		return;
	if (h->fresh >= MAX_NEW)
		evconnlistener_enable(evhttp_bound_socket_get_listener(h->bound));
	h->fresh = 0;
}

/* "127.0.0.1:9412", "[::1]:9412": numbers only, so that no resolver is ever asked. */
static int split(const char *text, char **host, uint16_t *port, struct rs_err *err)
{
	const char *colon = strrchr(text, ':');
	struct rs_addr addr;
	char *end = NULL;
	unsigned long n = colon ? strtoul(colon + 1, &end, 10) : 0;
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (!colon || end == colon + 1 || *end || n < 1 || n > UINT16_MAX)
		return rs_err_set(err, EINVAL, "metrics-address '%s' is not IP:PORT", text);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']')
		*host = rs_strndup(text + 1, len - 2);
	else
		*host = rs_strndup(text, len);
	*port = (uint16_t)n;
	if (rs_addr_parse(*host, &addr, NULL) < 0)
		return rs_err_set(err, EINVAL, "metrics-address '%s' does not name an IP address",
				  text);
	return 0;
}

static void set_up(struct rs_httpd *h)
{
	evhttp_set_timeout(h->http, TIMEOUT_S);
	evhttp_set_max_headers_size(h->http, MAX_HEADERS);
	evhttp_set_max_body_size(h->http, 0);
	evhttp_set_allowed_methods(h->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_bevcb(h->http, on_connect, h);
	evhttp_set_cb(h->http, "/metrics", on_metrics, h);
	evhttp_set_cb(h->http, "/healthz", on_live, h);
	evhttp_set_cb(h->http, "/livez", on_live, h);
	evhttp_set_cb(h->http, "/readyz", on_ready, h);
	evhttp_set_gencb(h->http, on_other, h);
}

int rs_httpd_start(struct rs_agent *a, struct rs_err *err)
{
	rs_autofree char *host = NULL;
	struct rs_httpd *h;
	uint16_t port = 0;
	int rc;

	if (!a->opt.metrics_address[0])
		return 0;
	rc = split(a->opt.metrics_address, &host, &port, err);
	if (rc < 0)
		return rc;
	h = rs_new(struct rs_httpd);
	h->agent = a;
	h->http = evhttp_new(a->base);
	if (!h->http)
		rs_oom();
	set_up(h);
	errno = 0;
	h->bound = evhttp_bind_socket_with_handle(h->http, host, port);
	if (!h->bound) {
		rc = rs_err_sys(err, errno ? errno : EADDRINUSE, "listen on %s for metrics",
				a->opt.metrics_address);
		rs_err_hint(err, "choose another --metrics-address, or an empty one for none");
		rs_httpd_stop(h);
		return rc;
	}
	a->httpd = h;
	return 0;
}

void rs_httpd_stop(struct rs_httpd *h)
{
	if (!h)
		return;
	evhttp_free(h->http);
	free(h);
}
