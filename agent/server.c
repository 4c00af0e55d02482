// SPDX-License-Identifier: Apache-2.0
/* server.c - the control socket; see server.h. */
#include "agent/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <ripstop/ctl.h>

#include "agent/ops.h"
#include "base/jsonio.h"

#define MAX_CLIENTS 512
#define MAX_BUFFERED (32 * RS_MIB) /* input of all clients together */
#define FRAME_MS 5000		   /* from a frame's first byte to its last */
#define IDLE_MS 30000
#define DRAIN_MS 10000 /* for the client to read its answer */
#define PREFIX 4u

struct client {
	struct client *next, *prev;
	struct rs_server *server;
	struct bufferevent *bev;
	struct rs_request *pending;
	bool eof;	    /* it will send no more */
	bool close;	    /* once its answer is written */
	int64_t quiet_ms;   /* since when nothing is asked */
	int64_t partial_ms; /* since when a frame is incomplete; 0: none is */
	int64_t answer_ms;  /* since when an answer is on its way; 0: none is */
};

struct rs_request {
	struct client *client; /* NULL: it has gone */
};

struct rs_server {
	struct rs_agent *agent;
	struct evconnlistener *listener;
	char *path;
	struct client *clients;
	size_t n;
	bool paused; /* out of descriptors */
};

static struct evbuffer *input(const struct client *c)
{
	return bufferevent_get_input(c->bev);
}

static void drop(struct client *c)
{
	struct rs_server *s = c->server;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->pending)
		c->pending->client = NULL;
	bufferevent_free(c->bev);
	free(c);
	s->n--;
}

static void refuse(struct client *c, const char *why)
{
	c->server->agent->metrics.refused_clients++;
	rs_log(RS_LOG_WARN, "control client dropped", "why", why, NULL);
	drop(c);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* At once, as far as the socket takes it: whoever waits need not wait for what this turn of the
 * loop has yet to do. on_written() follows in a turn of its own either way. */
static void hand_over(struct client *c, const char *frame, size_t len)
{
	bool first = !evbuffer_get_length(bufferevent_get_output(c->bev));
	int fd = bufferevent_getfd(c->bev);
	ssize_t n = first ? send(fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	size_t gone = n > 0 ? (size_t)n : 0;

	if (gone < len)
		bufferevent_write(c->bev, frame + gone, len - gone);
	else
		bufferevent_trigger(c->bev, EV_WRITE,
				    BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

/* Send one answer; an answer that does not fit a frame becomes an error that says so. */
static void send_object(struct client *c, struct json_object *o)
{
	rs_autofree char *frame = NULL;
	rs_auto_err err = { 0 };
	size_t len = 0;

	json_object_object_add(o, "protocol", json_object_new_int(RS_CTL_PROTOCOL));
	if (rs_ctl_frame_make(o, &frame, &len, &err) < 0) {
		rs_autojson struct json_object *e = json_object_new_object();

		rs_err_wrap(&err, "the answer is too large");
		rs_err_hint(&err, "ask for one namespace or one name");
		json_object_object_add(e, "protocol", json_object_new_int(RS_CTL_PROTOCOL));
		json_object_object_add(e, "ok", json_object_new_boolean(false));
		json_object_object_add(e, "error", rs_ctl_error_to_json(&err));
		if (rs_ctl_frame_make(e, &frame, &len, NULL) < 0)
			return;
	}
	c->answer_ms = rs_mono_ms();
	hand_over(c, frame, len);
}

static void send_error(struct client *c, const struct rs_err *err)
{
	rs_autojson struct json_object *o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(false));
	json_object_object_add(o, "error", rs_ctl_error_to_json(err));
	send_object(c, o);
}

void rs_request_answer(struct rs_request *req, struct json_object *result)
{
	rs_autojson struct json_object *o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(true));
	json_object_object_add(o, "result", result ? result : json_object_new_object());
	if (req->client) {
		req->client->pending = NULL;
		send_object(req->client, o);
	}
	free(req);
}

void rs_request_fail(struct rs_request *req, const struct rs_err *err)
{
	if (req->client) {
		req->client->pending = NULL;
		send_error(req->client, err);
	}
	free(req);
}

/* ---- questions ------------------------------------------------------------------------------- */

static int check_protocol(struct json_object *body, struct rs_err *err)
{
	int64_t n = 0;

	if (rs_json_int(body, "protocol", 0, INT32_MAX, &n, err) < 0)
		return rs_err_wrap(err, "request");
	if (n == RS_CTL_PROTOCOL || (n == RS_CTL_PROTOCOL - 1 && n > 0))
		return 0;
	rs_err_set(err, EPROTO, "this client speaks protocol %lld, the agent %d (%s)", (long long)n,
		   RS_CTL_PROTOCOL, RIPSTOP_VERSION);
	return rs_err_hint(err, "use plugin and command line of the agent's version");
}

/* The operations read these with rs_json_text(), which takes what is no text for absent. */
static int check_texts(struct json_object *body, struct rs_err *err)
{
	static const char *const keys[] = { "op",  "namespace", "name", "pod",
					    "src", "dst",	"port", "message" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(keys); i++) {
		struct json_object *v = rs_json_get(body, keys[i]);

		if (v && !json_object_is_type(v, json_type_string))
			return rs_err_set(err, EBADMSG, "request: %s is not a string", keys[i]);
	}
	return 0;
}

static int start_op(struct client *c, struct json_object *body, struct rs_err *err)
{
	const struct rs_ctl_op *op;
	const char *name = rs_json_text(body, "op", "");
	int rc = check_protocol(body, err);

	if (rc == 0)
		rc = check_texts(body, err);
	if (rc < 0)
		return rc;
	op = rs_op_find(name);
	if (!op)
		return *name ? rs_err_set(err, EOPNOTSUPP, "no operation '%.40s'", name)
			     : rs_err_set(err, EBADMSG, "request: op is missing");
	if (op->told)
		rs_loop_settle(c->server->agent);
	c->pending = rs_new(struct rs_request);
	c->pending->client = c;
	op->run(c->server->agent, c->pending, body);
	return 0;
}

static void take_frame(struct client *c, const char *body, size_t len)
{
	rs_autojson struct json_object *o = NULL;
	rs_auto_err err = { 0 };
	int rc = rs_ctl_parse(body, len, &o, &err);

	if (rc < 0)
		rs_err_wrap(&err, "request");
	else
		rc = start_op(c, o, &err);
	if (rc < 0)
		send_error(c, &err);
}

/* One whole frame, if there is one. Returns whether there may be another; -EMSGSIZE for a frame
 * after whose length nothing can be trusted. */
static int next_frame(struct client *c, struct rs_err *err)
{
	size_t have = evbuffer_get_length(input(c)), len;
	const char *body;
	long total;

	if (have < PREFIX)
		return 0;
	total = rs_ctl_frame_peek(evbuffer_pullup(input(c), PREFIX), PREFIX, &body, &len, err);
	if (total < 0)
		return (int)total;
	total = rs_ctl_frame_peek(evbuffer_pullup(input(c), -1), have, &body, &len, err);
	if (total <= 0)
		return (int)total;
	c->partial_ms = 0;
	c->quiet_ms = rs_mono_ms();
	take_frame(c, body, len);
	evbuffer_drain(input(c), (size_t)total);
	return 1;
}

/* In order, one at a time: the next question is looked at when the last answer has gone. */
static void work(struct client *c)
{
	rs_auto_err err = { 0 };
	int rc = 1;

	while (rc > 0 && !c->pending && !c->close && !c->answer_ms)
		rc = next_frame(c, &err);
	if (rc < 0) {
		c->server->agent->metrics.refused_clients++;
		c->close = true;
		bufferevent_disable(c->bev, EV_READ);
		evbuffer_drain(input(c), evbuffer_get_length(input(c)));
		send_error(c, &err);
	}
	if (!evbuffer_get_length(input(c)))
		c->partial_ms = 0;
	else if (!c->partial_ms && !c->pending)
		c->partial_ms = rs_mono_ms();
}

static size_t buffered(const struct rs_server *s)
{
	size_t sum = 0;

	for (const struct client *c = s->clients; c; c = c->next)
		sum += evbuffer_get_length(input(c));
	return sum;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (evbuffer_get_length(input(c)) > 65536 && buffered(c->server) > MAX_BUFFERED) {
		refuse(c, "too much unread input");
		return;
	}
	work(c);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	c->answer_ms = 0;
	c->quiet_ms = rs_mono_ms();
	if (c->close) {
		drop(c);
		return;
	}
	work(c);
	if (c->eof && !c->pending && !c->answer_ms)
		drop(c);
}

/* A client that has only shut its sending side still gets its answer. */
static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_EOF) && (c->pending || c->answer_ms)) {
		c->eof = true;
		bufferevent_disable(c->bev, EV_READ);
		return;
	}
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		drop(c);
}

/* ---- coming ---------------------------------------------------------------------------------- */

static bool peer_may(int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == geteuid();
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
		      void *arg)
{
	struct rs_server *s = arg;
	struct client *c;

	(void)l;
	(void)sa;
	(void)len;
	if (s->n >= MAX_CLIENTS || !peer_may(fd)) {
		s->agent->metrics.refused_clients++;
		close(fd);
		return;
	}
	c = rs_new(struct client);
	c->server = s;
	c->quiet_ms = rs_mono_ms();
	c->bev = bufferevent_socket_new(s->agent->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		rs_oom();
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->n++;
	bufferevent_setwatermark(c->bev, EV_READ, 0, RS_CTL_MAX_FRAME + PREFIX);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ); /* writing is from the start */
}

/* Out of descriptors: stop asking for a second instead of spinning. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct rs_server *s = arg;

	rs_log(RS_LOG_ERROR, "control socket: accept", "error", strerror(errno), NULL);
	evconnlistener_disable(l);
	s->paused = true;
}

static const char *too_long(const struct client *c, int64_t now)
{
	if (c->answer_ms && now - c->answer_ms > DRAIN_MS)
		return "it does not read its answer";
	if (c->partial_ms && now - c->partial_ms > FRAME_MS)
		return "its frame does not end";
	if (!c->pending && !c->answer_ms && now - c->quiet_ms > IDLE_MS)
		return "idle";
	return NULL;
}

void rs_server_sweep(struct rs_server *s, int64_t now_ms)
{
	struct client *next;

	for (struct client *c = s->clients; c; c = next) {
		const char *why = too_long(c, now_ms);

		next = c->next;
		if (why)
			refuse(c, why);
	}
	if (s->paused) {
		s->paused = false;
		evconnlistener_enable(s->listener);
	}
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int take_path(const char *path, struct sockaddr_un *sa, struct rs_err *err)
{
	struct stat st;

	if (strlen(path) >= sizeof(sa->sun_path))
		return rs_err_set(err, ENAMETOOLONG, "socket path %s is longer than %zu bytes",
				  path, sizeof(sa->sun_path) - 1);
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : rs_err_sys(err, errno, "socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return rs_err_set(err, EEXIST, "%s is in the way: it is no socket", path);
	/* Ours of an earlier life: the lock says that no other agent lives. */
	if (unlink(path) < 0)
		return rs_err_sys(err, errno, "remove the old socket %s", path);
	return 0;
}

static int open_socket(const char *path, int *out, struct rs_err *err)
{
	struct sockaddr_un sa = { 0 };
	rs_autoclose int fd = -1;
	mode_t mask;
	int rc = take_path(path, &sa, err);

	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return rs_err_sys(err, errno, "make the control socket");
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(mask);
	if (rc < 0)
		return rs_err_sys(err, errno, "bind %s", path);
	*out = rs_steal_fd(&fd);
	return 0;
}

int rs_server_start(struct rs_agent *a, struct rs_err *err)
{
	struct rs_server *s;
	int fd = -1, rc = open_socket(a->opt.socket, &fd, err);

	if (rc < 0)
		return rc;
	s = rs_new(struct rs_server);
	s->agent = a;
	s->path = rs_strdup(a->opt.socket);
	s->listener = evconnlistener_new(a->base, on_accept, s,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 512, fd);
	if (!s->listener) {
		rc = rs_err_sys(err, errno, "listen on %s", s->path);
		close(fd);
		free(s->path);
		free(s);
		return rc;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	a->server = s;
	a->serving = true;
	return 0;
}

void rs_server_stop(struct rs_server *s)
{
	if (!s)
		return;
	while (s->clients)
		drop(s->clients);
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s->path);
	free(s);
}
