/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apihttp.h - requests to one API server, many at a time, over libcurl's multi interface: GET, and
 * POST for poster.c.
 *
 * One descriptor (an epoll with all sockets and libcurl's timer in it) tells when rs_http_run() has
 * work; nothing blocks. HTTP/1.1 only: a dead HTTP/2 connection would take all watches with it, and
 * in silence. No redirect is followed, no proxy is asked, no compression is offered.
 *
 * Connections are kept until nothing was asked for ten seconds.
 *
 * The answer's head is judged here: rs_http_ops.head() sees only a 200 with JSON in it. Everything
 * else ends in done() with an error that names status and reason, and the status in the result.
 */
#ifndef RIPSTOP_SOURCE_APIHTTP_H
#define RIPSTOP_SOURCE_APIHTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ripstop/error.h>

#include "source/apiconf.h"

struct rs_http;
struct rs_http_req;

struct rs_http_result {
	int status;	   /* 0: there was no answer */
	int retry_after_s; /* of the Retry-After header; 0: none */
	bool clean;	   /* the body ended as HTTP says it must */
};

struct rs_http_ops {
	/* A 200 with the right content type has begun. May be NULL. */
	void (*head)(void *arg);
	/* Bytes of the body of a 200 to a GET. A negative value ends the request with what err
	 * holds. */
	int (*body)(void *arg, const char *data, size_t len, struct rs_err *err);
	/* It is over; the request is freed behind this call, which may start others. err is NULL
	 * after a 200 that ended cleanly, or any 2xx to a POST. */
	void (*done)(void *arg, const struct rs_http_result *r, const struct rs_err *err);
};

/* conf is borrowed and outlives it. */
int rs_http_open(struct rs_apiconf *conf, struct rs_http **out, struct rs_err *err);
void rs_http_close(struct rs_http *h); /* ends all requests without done(); NULL is legal */
int rs_http_fd(const struct rs_http *h);

/* Begin GET server + path. idle_ms: end it when no byte comes for so long; max_ms: end it then in
 * any case (0: never). -errno when it cannot even begin (a token file that is not there); then
 * done() is not called. */
int rs_http_get(struct rs_http *h, const char *path, int64_t idle_ms, int64_t max_ms,
		const struct rs_http_ops *ops, void *arg, struct rs_http_req **out,
		struct rs_err *err);

/* Begin POST server + path with that JSON text, of which a copy is taken. What a 2xx answers is
 * passed over: of the ops only done() is called. Else as rs_http_get(). */
int rs_http_post(struct rs_http *h, const char *path, const char *body, int64_t max_ms,
		 const struct rs_http_ops *ops, void *arg, struct rs_http_req **out,
		 struct rs_err *err);

/* From now on let it be without a byte for so long. */
void rs_http_patience(struct rs_http_req *r, int64_t idle_ms);

/* End a request without done(). Not from one of its own callbacks. */
void rs_http_cancel(struct rs_http *h, struct rs_http_req *r);

/* Do what can be done without waiting. */
void rs_http_run(struct rs_http *h);

/* Milliseconds until rs_http_run() is due for what is idle; -1: never. */
int rs_http_timeout_ms(const struct rs_http *h);

#endif
