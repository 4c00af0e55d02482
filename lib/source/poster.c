// SPDX-License-Identifier: Apache-2.0
/* poster.c - hands one object at a time to the API server; see <ripstop/source.h>. */
#include <errno.h>

#include <ripstop/source.h>

#include "base/base.h"
#include "source/apiconf.h"
#include "source/apihttp.h"

#define ANSWER_MS 15000

struct rs_poster {
	struct rs_apiconf conf;
	struct rs_http *http;
	struct rs_http_req *req; /* NULL: none is on its way */
	int answer_ms;
	rs_posted_fn *done;
	void *arg;
};

static void on_done(void *arg, const struct rs_http_result *r, const struct rs_err *err)
{
	struct rs_posted posted = { .status = r->status, .retry_after_s = r->retry_after_s };
	struct rs_poster *p = arg;

	p->req = NULL;
	p->done(p->arg, &posted, err);
}

static const struct rs_http_ops http_ops = { .done = on_done };

int rs_poster_open(const struct rs_source_config *cfg, struct rs_poster **out, struct rs_err *err)
{
	struct rs_poster *p = rs_new(struct rs_poster);
	int rc = rs_apiconf_load(cfg, &p->conf, err);

	p->answer_ms = cfg->answer_ms > 0 ? cfg->answer_ms : ANSWER_MS;
	if (rc == 0)
		rc = rs_http_open(&p->conf, &p->http, err);
	if (rc < 0) {
		rs_poster_close(p);
		return rc;
	}
	*out = p;
	return 0;
}

void rs_poster_close(struct rs_poster *p)
{
	if (!p)
		return;
	rs_http_close(p->http);
	rs_apiconf_clear(&p->conf);
	free(p);
}

int rs_poster_send(struct rs_poster *p, const char *path, const char *body, rs_posted_fn *done,
		   void *arg, struct rs_err *err)
{
	if (p->req)
		return rs_err_set(err, EBUSY, "another object is on its way");
	p->done = done;
	p->arg = arg;
	return rs_http_post(p->http, path, body, p->answer_ms, &http_ops, p, &p->req, err);
}

void rs_poster_run(struct rs_poster *p)
{
	rs_http_run(p->http);
}

int rs_poster_fd(const struct rs_poster *p)
{
	return rs_http_fd(p->http);
}

int rs_poster_timeout_ms(const struct rs_poster *p)
{
	return rs_http_timeout_ms(p->http);
}
