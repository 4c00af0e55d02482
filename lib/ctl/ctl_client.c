// SPDX-License-Identifier: Apache-2.0
/* ctl_client.c - the client's side of the control protocol: one request, answer and deadline. */
#include <ripstop/ctl.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/aside.h"
#include "base/base.h"
#include "base/jsonio.h"

#define RETRY_MS 100
#define READ_STEP 8192u
#define AWAKE_US 500
#define OTHERS_US 30 /* sched_yield() took longer: somebody else ran */

struct call {
	const char *path;
	int64_t until; /* rs_mono_ms() */
	int timeout_ms;
	bool somebody; /* at one try at least the socket was neither missing nor refused */
	rs_ctl_meanwhile_fn *meanwhile; /* NULL: done, or nothing is to be done */
	void *arg;
	bool broken; /* meanwhile() failed */
};

static int left_ms(const struct call *c)
{
	int64_t left = c->until - rs_mono_ms();

	return left > 0 ? (int)left : 0;
}

static int timed_out(const struct call *c, const char *doing, struct rs_err *err)
{
	rs_err_set(err, ETIMEDOUT, "the agent at %s did not %s within %d ms", c->path, doing,
		   c->timeout_ms);
	rs_err_cni(err, RS_CNI_TRY_AGAIN);
	rs_err_hint(err, "it may be busy or stuck: see the log of ripstop-agent");
	return -ETIMEDOUT;
}

static int no_agent(const struct call *c, int errnum, struct rs_err *err)
{
	rs_err_sys(err, errnum, "connect to the agent at %s", c->path);
	if (errnum == EACCES || errnum == EPERM) {
		rs_err_hint(err, "the socket is for root: run this as root");
	} else {
		rs_err_cni(err, RS_CNI_TRY_AGAIN);
		rs_err_hint(err, "is ripstop-agent running, and is this its socket?");
	}
	return -errnum;
}

static int lost(const struct call *c, int errnum, struct rs_err *err)
{
	rs_err_sys(err, errnum, "talk to the agent at %s", c->path);
	rs_err_cni(err, RS_CNI_TRY_AGAIN);
	return -errnum;
}

static int wait_for(const struct call *c, int fd, short events, const char *doing,
		    struct rs_err *err)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		int left = left_ms(c), n;

		if (!left)
			return timed_out(c, doing, err);
		n = poll(&p, 1, left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return lost(c, errno, err);
	}
}

static void pause_ms(const struct call *c, int ms)
{
	int left = left_ms(c);
	struct timespec ts = { .tv_nsec = (left < ms ? left : ms) * 1000000L };

	nanosleep(&ts, NULL);
}

static int open_socket(struct call *c, struct rs_err *err)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	rs_autoclose int fd = -1;

	if (strlen(c->path) >= sizeof(sa.sun_path))
		return rs_err_set(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes",
				  c->path, sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, c->path, strlen(c->path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return rs_err_sys(err, errno, "socket");
	/* EAGAIN: its queue of waiting clients is full. */
	while (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int why = errno;

		if (why != ENOENT && why != ECONNREFUSED)
			c->somebody = true;
		if (why != EAGAIN && why != EINTR)
			return no_agent(c, why, err);
		if (!left_ms(c))
			return timed_out(c, "take the connection", err);
		pause_ms(c, 5);
	}
	c->somebody = true;
	return rs_steal_fd(&fd);
}

/* A peer that closed early may have said why before: then there is an answer to read. */
static int send_all(const struct call *c, int fd, const char *data, size_t len, struct rs_err *err)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET)
			return 0;
		if (errno != EAGAIN)
			return lost(c, errno, err);
		rc = wait_for(c, fd, POLLOUT, "take the request", err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int bad_answer(const struct call *c, struct rs_err *err)
{
	rs_err_wrap(err, "the answer of %s is not Ripstop's", c->path);
	if (err)
		err->num = EPROTO;
	rs_err_hint(err, "is it the socket of a ripstop-agent of this release?");
	return -EPROTO;
}

/* Once: -EAGAIN when more is to come, else a frame is whole, or it failed. */
static int receive_some(const struct call *c, int fd, struct rs_strbuf *b, const char **body,
			size_t *len, struct rs_err *err)
{
	rs_autofree char *chunk = rs_calloc(1, READ_STEP);
	ssize_t n = recv(fd, chunk, READ_STEP, 0);
	long whole;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n < 0)
		return lost(c, errno, err);
	if (n == 0 && b->len) {
		rs_err_set(err, EPROTO, "it ends after %zu bytes", b->len);
		return bad_answer(c, err);
	}
	if (n == 0) {
		rs_err_set(err, ECONNRESET, "the agent at %s closed the connection unanswered",
			   c->path);
		rs_err_cni(err, RS_CNI_TRY_AGAIN);
		return -ECONNRESET;
	}
	rs_strbuf_add(b, chunk, (size_t)n);
	whole = rs_ctl_frame_peek(b->s, b->len, body, len, err);
	if (whole < 0)
		return bad_answer(c, err);
	return whole ? 0 : -EAGAIN;
}

static int receive_frame(const struct call *c, int fd, struct rs_strbuf *b, const char **body,
			 size_t *len, struct rs_err *err)
{
	int rc;

	do {
		rc = wait_for(c, fd, POLLIN, "answer", err);
		if (rc < 0)
			return rc;
		rc = receive_some(c, fd, b, body, len, err);
	} while (rc == -EAGAIN);
	return rc;
}

static int agents_error(struct json_object *o, struct rs_err *err)
{
	struct rs_err said = { 0 };
	int num;

	rs_ctl_error_from_json(rs_json_get(o, "error"), &said);
	num = said.num;
	rs_err_move(err, &said);
	return -num;
}

static int read_answer(const struct call *c, const char *body, size_t len, bool *answered,
		       struct json_object **result, struct rs_err *err)
{
	rs_autojson struct json_object *o = NULL;
	struct json_object *ok, *value;

	if (rs_ctl_parse(body, len, &o, err) < 0)
		return bad_answer(c, err);
	ok = rs_json_get(o, "ok");
	if (!json_object_is_type(ok, json_type_boolean)) {
		rs_err_set(err, EPROTO, "it does not say \"ok\"");
		return bad_answer(c, err);
	}
	*answered = true;
	if (!json_object_get_boolean(ok))
		return agents_error(o, err);
	value = rs_json_get(o, "result");
	if (value && !json_object_is_type(value, json_type_object)) {
		rs_err_set(err, EPROTO, "its result is not an object");
		return bad_answer(c, err);
	}
	if (result)
		*result = json_object_get(value);
	return 0;
}

/* Both work now, if there is a processor for each. */
static void make_room(int fd)
{
	struct ucred agent = { 0 };
	socklen_t size = sizeof(agent);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &agent, &size) == 0)
		rs_step_aside(agent.pid);
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* An answer that comes soon finds us awake: an idle processor takes its time to wake somebody. Ends
 * as soon as another wants this one. */
static void stay_awake(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t now = now_us(), end = now + AWAKE_US, before;

	do {
		if (poll(&p, 1, 0) != 0)
			return;
		before = now_us();
		sched_yield();
		now = now_us();
	} while (now < end && now - before < OTHERS_US);
}

/* The caller's own work, once: while the agent does its own, or is not there yet. */
static int work_meanwhile(struct call *c, struct rs_err *err)
{
	rs_ctl_meanwhile_fn *fn = c->meanwhile;
	int rc;

	c->meanwhile = NULL;
	rc = fn ? fn(c->arg, err) : 0;
	c->broken = rc < 0;
	return rc;
}

static int call_once(struct call *c, const char *frame, size_t len, bool *answered,
		     struct json_object **result, struct rs_err *err)
{
	rs_auto_strbuf b = { 0 };
	rs_autoclose int fd = -1;
	const char *body;
	size_t body_len;
	int rc;

	*answered = false;
	rc = fd = open_socket(c, err);
	if (rc >= 0)
		rc = send_all(c, fd, frame, len, err);
	if (rc >= 0 && c->meanwhile) {
		make_room(fd);
		rc = work_meanwhile(c, err);
		if (rc >= 0)
			stay_awake(fd);
	}
	if (rc >= 0)
		rc = receive_frame(c, fd, &b, &body, &body_len, err);
	if (rc >= 0)
		rc = read_answer(c, body, body_len, answered, result, err);
	return rc;
}

static int make_request(struct json_object *request, char **frame, size_t *len, struct rs_err *err)
{
	json_object_object_add(request, "protocol", json_object_new_int(RS_CTL_PROTOCOL));
	return rs_ctl_frame_make(request, frame, len, err);
}

static bool agent_is_away(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -ECONNRESET || rc == -EPIPE;
}

static int call_until(struct call *c, struct json_object *request, bool retry,
		      struct json_object **result, bool *nobody, struct rs_err *err)
{
	rs_autofree char *frame = NULL;
	bool answered;
	size_t len;
	int rc;

	if (result)
		*result = NULL;
	*nobody = false;
	rc = make_request(request, &frame, &len, err);
	if (rc < 0)
		return rc;
	for (;;) {
		rc = call_once(c, frame, len, &answered, result, err);
		*nobody = !c->somebody;
		if (!retry || answered || c->broken || !agent_is_away(rc) || left_ms(c) <= RETRY_MS)
			return rc;
		rc = work_meanwhile(c, err);
		if (rc < 0)
			return rc;
		pause_ms(c, RETRY_MS);
	}
}

int rs_ctl_call_told(const char *socket_path, struct json_object *request, int timeout_ms,
		     bool retry, struct json_object **result, bool *nobody, struct rs_err *err)
{
	struct call c = { .path = socket_path,
			  .until = rs_mono_ms() + timeout_ms,
			  .timeout_ms = timeout_ms };

	return call_until(&c, request, retry, result, nobody, err);
}

int rs_ctl_call_while(const char *socket_path, struct json_object *request, int timeout_ms,
		      rs_ctl_meanwhile_fn *meanwhile, void *arg, bool *nobody, struct rs_err *err)
{
	struct call c = { .path = socket_path,
			  .until = rs_mono_ms() + timeout_ms,
			  .timeout_ms = timeout_ms,
			  .meanwhile = meanwhile,
			  .arg = arg };

	return call_until(&c, request, true, NULL, nobody, err);
}

int rs_ctl_call(const char *socket_path, struct json_object *request, int timeout_ms,
		struct json_object **result, struct rs_err *err)
{
	bool nobody;

	return rs_ctl_call_told(socket_path, request, timeout_ms, false, result, &nobody, err);
}

int rs_ctl_call_retry(const char *socket_path, struct json_object *request, int timeout_ms,
		      struct json_object **result, struct rs_err *err)
{
	bool nobody;

	return rs_ctl_call_told(socket_path, request, timeout_ms, true, result, &nobody, err);
}
