// SPDX-License-Identifier: Apache-2.0
/* apihttp.c - requests over libcurl's multi interface; see apihttp.h. */
#include "source/apihttp.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "base/base.h"
#include "base/jsonio.h"
#include "source/apiwire.h"

#define MAX_COMPLAINT (16UL * 1024) /* of a body that says why not */
#define MAX_RETRY_AFTER_S 300
/*
 * A watch holds one for itself. Of a hundred ADDs at once each reads twice: connections that are
 * used again save handshakes, and each that is open takes some 50 KB here, and the server's time.
 */
#define MAX_CONNECTIONS 16L
#define QUIET_MS 10000

struct rs_http_req {
	struct rs_http_req *next;
	struct rs_http *http;
	CURL *easy;
	struct curl_slist *headers;
	char why_curl[CURL_ERROR_SIZE];
	const struct rs_http_ops *ops;
	void *arg;
	int64_t idle_ms, heard, end; /* end: 0 means none */
	bool post, judged, good, encoded;
	int retry_after_s;
	struct rs_strbuf complaint;
	struct rs_err err; /* of head or body */
};

struct rs_http {
	CURLM *multi; /* NULL: nothing was asked for QUIET_MS, or ever */
	struct rs_apiconf *conf;
	int epfd, timerfd;
	struct rs_http_req *reqs;
	int64_t used; /* when the last of them ended */
	bool started; /* libcurl */
};

/* ---- the head of an answer ------------------------------------------------------------------- */

static int status_of(const struct rs_http_req *r)
{
	long code = 0;

	curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &code);
	return (int)code;
}

static bool is_json(const char *type)
{
	return type && !strncasecmp(type, "application/json", 16) &&
	       (!type[16] || strchr("; ", type[16])) && !strcasestr(type, "as=");
}

/* A POST makes something, and is told in more than one way that it did. */
static bool is_taken(const struct rs_http_req *r, int status)
{
	return r->post && status >= 200 && status < 300;
}

/* Whether the body is what was asked for. */
static void judge(struct rs_http_req *r)
{
	const char *type = NULL;

	r->judged = true;
	if (r->post || status_of(r) != 200)
		return;
	curl_easy_getinfo(r->easy, CURLINFO_CONTENT_TYPE, &type);
	if (!is_json(type)) {
		rs_err_set(&r->err, EPROTO, "the answer is %.100s, not application/json",
			   type ? type : "of no type");
		return;
	}
	if (r->encoded) {
		rs_err_set(&r->err, EPROTO, "the answer is compressed, which was not asked for");
		return;
	}
	r->good = true;
	if (r->ops->head)
		r->ops->head(r->arg);
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct rs_http_req *r = arg;
	size_t len = size * n;

	r->heard = rs_mono_ms();
	/* A 1xx or a second head: what the first said is void. */
	if (len > 5 && !strncasecmp(data, "HTTP/", 5))
		r->encoded = false, r->retry_after_s = 0;
	if (len > 17 && !strncasecmp(data, "Content-Encoding:", 17))
		r->encoded = !memmem(data, len, "identity", 8);
	if (len > 12 && !strncasecmp(data, "Retry-After:", 12)) {
		long s = strtol(data + 12, NULL, 10); /* the line ends in CR LF */

		r->retry_after_s = (int)(s < 0 ? 0 : s > MAX_RETRY_AFTER_S ? MAX_RETRY_AFTER_S : s);
	}
	/* The empty line behind the head, which may be all for a long time. */
	if (len && strchr("\r\n", *data) && !r->judged && status_of(r) >= 200)
		judge(r);
	return r->err.num ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct rs_http_req *r = arg;
	size_t len = size * n, room;

	r->heard = rs_mono_ms();
	if (!r->judged)
		judge(r);
	if (r->err.num)
		return 0;
	if (r->good)
		return r->ops->body(r->arg, data, len, &r->err) < 0 ? 0 : len;
	if (is_taken(r, status_of(r)))
		return len;
	room = MAX_COMPLAINT - r->complaint.len;
	rs_strbuf_add(&r->complaint, data, len < room ? len : room);
	return len < room ? len : 0;
}

/* ---- its end --------------------------------------------------------------------------------- */

/* The message of a Status object, else the beginning of what was sent. */
static void add_complaint(struct rs_http_req *r, struct rs_strbuf *out)
{
	rs_autojson struct json_object *o = NULL;
	rs_autofree char *text = NULL;
	const char *says = NULL;

	if (rs_json_parse(rs_strbuf_str(&r->complaint), r->complaint.len, 32, &o, NULL) == 0)
		says = rs_json_text(o, "message", NULL);
	if (!says && r->complaint.len)
		says = text =
			rs_strndup(r->complaint.s, r->complaint.len < 120 ? r->complaint.len : 120);
	if (!says)
		return;
	rs_strbuf_puts(out, ": ");
	rs_strbuf_puts_safe(out, says);
}

static int status_errno(int status)
{
	switch (status) {
	case 401:
	case 403:
		return EACCES;
	case 404:
		return ENOENT;
	case 410:
		return ESTALE;
	case 400:
	case 422:
		return EINVAL;
	case 429:
	case 503:
		return EAGAIN;
	default:
		return EPROTO;
	}
}

static void blame_status(struct rs_http_req *r, int status, struct rs_err *err)
{
	rs_auto_strbuf b = { 0 };

	rs_strbuf_printf(&b, "status %d", status);
	if (status >= 300 && status < 400)
		rs_strbuf_puts(&b, " (a redirect; none is followed)");
	else
		add_complaint(r, &b);
	rs_err_set(err, status_errno(status), "%s", rs_strbuf_str(&b));
}

static int curl_errno(CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return EACCES;
	case CURLE_OPERATION_TIMEDOUT:
		return ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return ECONNREFUSED;
	default:
		return EPIPE;
	}
}

static void detach(struct rs_http_req *r)
{
	struct rs_http_req **at = &r->http->reqs;

	while (*at && *at != r)
		at = &(*at)->next;
	if (*at)
		*at = r->next;
	r->http->used = rs_mono_ms();
	curl_multi_remove_handle(r->http->multi, r->easy);
}

static void req_free(struct rs_http_req *r)
{
	curl_easy_cleanup(r->easy);
	curl_slist_free_all(r->headers);
	rs_strbuf_free(&r->complaint);
	rs_err_clear(&r->err);
	free(r);
}

static void finish(struct rs_http_req *r, CURLcode code)
{
	struct rs_http_result res = { .status = status_of(r), .retry_after_s = r->retry_after_s };
	rs_auto_err err = { 0 };

	/* A 200 without a body. */
	if (code == CURLE_OK && !r->judged)
		judge(r);
	res.clean = code == CURLE_OK && !r->err.num;
	/* It is taken, even if the rest of the answer was cut off. */
	if (is_taken(r, res.status))
		rs_err_clear(&r->err);
	else if (r->err.num)
		rs_err_move(&err, &r->err);
	else if (res.status && res.status != 200)
		blame_status(r, res.status, &err);
	else if (code != CURLE_OK)
		rs_err_set(&err, curl_errno(code), "%s",
			   *r->why_curl ? r->why_curl : curl_easy_strerror(code));
	if (res.status == 401)
		rs_apiconf_distrust(r->http->conf);
	detach(r);
	r->ops->done(r->arg, &res, err.num ? &err : NULL);
	req_free(r);
}

/* ---- sockets and timers ---------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct rs_http *h = arg;
	struct epoll_event ev = { .data.fd = fd };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(h->epfd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0U) | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	if (epoll_ctl(h->epfd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) < 0 &&
	    errno == (known ? ENOENT : EEXIST))
		epoll_ctl(h->epfd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev);
	curl_multi_assign(h->multi, fd, h);
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct rs_http *h = arg;
	struct itimerspec at = { 0 };

	(void)multi;
	if (ms >= 0) {
		at.it_value.tv_sec = ms / 1000;
		at.it_value.tv_nsec = ms % 1000 * 1000000 + (ms == 0);
	}
	timerfd_settime(h->timerfd, 0, &at, NULL);
	return 0;
}

static void take_event(struct rs_http *h, const struct epoll_event *ev)
{
	int what = 0, running;
	uint64_t ticks;

	if (ev->data.fd == h->timerfd) {
		if (read(h->timerfd, &ticks, sizeof(ticks)) > 0)
			curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		return;
	}
	what |= ev->events & EPOLLIN ? CURL_CSELECT_IN : 0;
	what |= ev->events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	what |= ev->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
	curl_multi_socket_action(h->multi, ev->data.fd, what, &running);
}

static void take_done(struct rs_http *h)
{
	const CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left))) {
		CURLcode code = msg->data.result;
		struct rs_http_req *r = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&r);
		finish(r, code);
	}
}

static int64_t req_end(const struct rs_http_req *r)
{
	int64_t idle = r->heard + r->idle_ms;

	return r->end && r->end < idle ? r->end : idle;
}

/* One at a time: done() may change the list. */
static bool end_idle(struct rs_http *h, int64_t now)
{
	struct rs_http_req *r;

	for (r = h->reqs; r; r = r->next) {
		if (now < req_end(r))
			continue;
		rs_err_set(&r->err, ETIMEDOUT, "%s",
			   now >= r->heard + r->idle_ms ? "no byte has come for too long"
							: "it takes too long");
		finish(r, CURLE_OPERATION_TIMEDOUT);
		return true;
	}
	return false;
}

/* OpenSSL needs some 100 KB for a connection: it is kept for the next request of a row, not for
 * hours. */
static void rest(struct rs_http *h)
{
	if (!h->multi || h->reqs || rs_mono_ms() < h->used + QUIET_MS)
		return;
	curl_multi_cleanup(h->multi);
	h->multi = NULL;
	on_timer(NULL, -1, h);
}

void rs_http_run(struct rs_http *h)
{
	struct epoll_event evs[32];
	int n = epoll_wait(h->epfd, evs, RS_ARRAY_SIZE(evs), 0), i;

	for (i = 0; h->multi && i < n; i++)
		take_event(h, &evs[i]);
	if (h->multi)
		take_done(h);
	while (end_idle(h, rs_mono_ms()))
		;
	rest(h);
}

int rs_http_timeout_ms(const struct rs_http *h)
{
	const struct rs_http_req *r;
	int64_t now = rs_mono_ms(), first = INT32_MAX;

	for (r = h->reqs; r; r = r->next)
		first = req_end(r) - now < first ? req_end(r) - now : first;
	if (!h->multi)
		return -1;
	if (!h->reqs)
		first = h->used + QUIET_MS - now;
	return (int)(first < 0 ? 0 : first);
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int set_headers(struct rs_http_req *r, struct rs_err *err)
{
	rs_autofree char *line = NULL;
	const char *token;
	int rc = rs_apiconf_token(r->http->conf, &token, err);

	if (rc < 0)
		return rc;
	r->headers = curl_slist_append(NULL, "Accept: application/json");
	if (r->post) {
		r->headers = curl_slist_append(r->headers, "Content-Type: application/json");
		r->headers = curl_slist_append(r->headers, "Expect:");
	}
	if (token) {
		line = rs_asprintf("Authorization: Bearer %s", token);
		r->headers = curl_slist_append(r->headers, line);
		explicit_bzero(line, strlen(line));
	}
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	return 0;
}

static int prepare(struct rs_http_req *r, const char *path, const char *body, struct rs_err *err)
{
	rs_autofree char *url = rs_asprintf("%s%s", r->http->conf->server, path);
	CURL *e = r->easy;

	rs_apiwire_set(e, r->http->conf);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "ripstop/" RIPSTOP_VERSION);
	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->why_curl);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	r->post = body != NULL;
	if (body)
		curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, body);
	return set_headers(r, err);
}

static struct rs_http_req *new_req(struct rs_http *h, int64_t idle_ms, int64_t max_ms,
				   const struct rs_http_ops *ops, void *arg)
{
	struct rs_http_req *r = rs_new(struct rs_http_req);

	r->http = h;
	r->easy = curl_easy_init();
	if (!r->easy)
		rs_oom();
	r->ops = ops;
	r->arg = arg;
	r->idle_ms = idle_ms;
	r->heard = rs_mono_ms();
	r->end = max_ms ? r->heard + max_ms : 0;
	return r;
}

static void open_multi(struct rs_http *h)
{
	h->multi = curl_multi_init();
	if (!h->multi)
		rs_oom();
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, MAX_CONNECTIONS);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, MAX_CONNECTIONS);
}

/* body: NULL for a GET. Takes r. */
static int begin(struct rs_http_req *r, const char *path, const char *body,
		 struct rs_http_req **out, struct rs_err *err)
{
	struct rs_http *h = r->http;
	int rc = prepare(r, path, body, err);

	if (!h->multi)
		open_multi(h);
	if (rc == 0 && curl_multi_add_handle(h->multi, r->easy) != CURLM_OK)
		rc = rs_err_set(err, EIO, "libcurl takes no further request");
	if (rc < 0) {
		req_free(r);
		return rc;
	}
	r->next = h->reqs;
	h->reqs = r;
	*out = r;
	return 0;
}

int rs_http_get(struct rs_http *h, const char *path, int64_t idle_ms, int64_t max_ms,
		const struct rs_http_ops *ops, void *arg, struct rs_http_req **out,
		struct rs_err *err)
{
	return begin(new_req(h, idle_ms, max_ms, ops, arg), path, NULL, out, err);
}

int rs_http_post(struct rs_http *h, const char *path, const char *body, int64_t max_ms,
		 const struct rs_http_ops *ops, void *arg, struct rs_http_req **out,
		 struct rs_err *err)
{
	return begin(new_req(h, max_ms, max_ms, ops, arg), path, body, out, err);
}

void rs_http_patience(struct rs_http_req *r, int64_t idle_ms)
{
	r->idle_ms = idle_ms;
}

void rs_http_cancel(struct rs_http *h, struct rs_http_req *r)
{
	(void)h;
	detach(r);
	req_free(r);
}

/* ---- open and close -------------------------------------------------------------------------- */

static int open_fds(struct rs_http *h, struct rs_err *err)
{
	struct epoll_event ev = { .events = EPOLLIN };

	h->epfd = epoll_create1(EPOLL_CLOEXEC);
	h->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ev.data.fd = h->timerfd;
	if (h->epfd < 0 || h->timerfd < 0 || epoll_ctl(h->epfd, EPOLL_CTL_ADD, h->timerfd, &ev) < 0)
		return rs_err_sys(err, errno, "descriptors of the API source");
	return 0;
}

int rs_http_open(struct rs_apiconf *conf, struct rs_http **out, struct rs_err *err)
{
	struct rs_http *h = rs_new(struct rs_http);

	h->conf = conf;
	h->epfd = h->timerfd = -1;
	if (open_fds(h, err) == 0)
		h->started = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	if (!h->started) {
		int rc = err && err->num ? -err->num : rs_err_set(err, EIO, "libcurl: no start");

		rs_http_close(h);
		return rc;
	}
	*out = h;
	return 0;
}

void rs_http_close(struct rs_http *h)
{
	if (!h)
		return;
	while (h->reqs)
		rs_http_cancel(h, h->reqs);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	if (h->started)
		curl_global_cleanup();
	if (h->timerfd >= 0)
		close(h->timerfd);
	if (h->epfd >= 0)
		close(h->epfd);
	free(h);
}

int rs_http_fd(const struct rs_http *h)
{
	return h->epfd;
}
