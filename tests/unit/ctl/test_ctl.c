// SPDX-License-Identifier: Apache-2.0
/* test_ctl.c - frames, bodies, and a client against good, slow, dying and lying agents. */
#include <ripstop/ctl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/jsonio.h"

static char dir[64];
static char path[96];
static pid_t server;

static int setup(void **arg)
{
	(void)arg;
	server = 0;
	strcpy(dir, "/tmp/rs-ctl-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/agent.sock", dir);
	return 0;
}

static int teardown(void **arg)
{
	(void)arg;
	if (server) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	unlink(path);
	return rmdir(dir);
}

/* ---- agents ---------------------------------------------------------------------------------- */

static int listen_here(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(sa.sun_path, path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 4) < 0)
		abort();
	return fd;
}

/* One behaviour a connection; the child ends with the test. */
static void serve(void (*behave)(int fd, int nr))
{
	int fd = listen_here(), nr = 0;

	server = fork();
	if (server == 0) {
		signal(SIGPIPE, SIG_IGN);
		for (;;) {
			int c = accept(fd, NULL, NULL);

			behave(c, nr++);
			close(c);
		}
	}
	close(fd);
}

static void read_request(int fd, char *buf, size_t size)
{
	uint32_t be = 0;
	size_t n = 0, want;

	if (recv(fd, &be, 4, MSG_WAITALL) != 4)
		return;
	want = ntohl(be);
	while (n < want && n < size - 1) {
		ssize_t r = recv(fd, buf + n, want - n, 0);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	buf[n] = '\0';
}

static void answer(int fd, const char *text)
{
	uint32_t be = htonl((uint32_t)strlen(text));

	send(fd, &be, 4, 0);
	send(fd, text, strlen(text), 0);
}

/* Byte by byte, and the request comes back in the result. */
static void echo_slowly(int fd, int nr)
{
	static char req[2 * RS_CTL_MAX_FRAME];
	rs_autofree char *text = NULL;
	uint32_t be;
	size_t i;

	(void)nr;
	read_request(fd, req, sizeof(req));
	text = rs_asprintf("{\"protocol\":1,\"ok\":true,\"result\":{\"got\":%s}}", req);
	be = htonl((uint32_t)strlen(text));
	for (i = 0; i < 4; i++)
		send(fd, (char *)&be + i, 1, 0);
	for (i = 0; text[i]; i++)
		send(fd, text + i, 1, 0);
}

static void say_error(int fd, int nr)
{
	char req[4096];

	(void)nr;
	read_request(fd, req, sizeof(req));
	answer(fd, "{\"protocol\":1,\"ok\":false,\"error\":{\"errno\":2,\"cni\":11,"
		   "\"message\":\"no such pod\",\"hint\":\"look again\"}}");
}

static void say_nothing(int fd, int nr)
{
	char req[4096];

	(void)nr;
	read_request(fd, req, sizeof(req));
	sleep(30);
}

static void drip(int fd, int nr)
{
	(void)nr;
	send(fd, "\0\0\1\0", 4, 0);
	for (;;) {
		if (send(fd, " ", 1, 0) < 0)
			return;
		usleep(20000);
	}
}

static void die_at_first(int fd, int nr)
{
	if (nr >= 2)
		echo_slowly(fd, nr);
}

static void hang_up(int fd, int nr)
{
	(void)fd, (void)nr;
}

static void refuse_and_hang_up(int fd, int nr)
{
	(void)nr;
	answer(fd,
	       "{\"protocol\":1,\"ok\":false,\"error\":{\"errno\":13,\"message\":\"not you\"}}");
}

static const char *garbage;
static size_t garbage_len;

static void say_garbage(int fd, int nr)
{
	char req[4096];

	(void)nr;
	read_request(fd, req, sizeof(req));
	send(fd, garbage, garbage_len, 0);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void test_peek(void **arg)
{
	static const char two[] = "\0\0\0\2{}\0\0\0\2{}";
	const char *body;
	size_t i, len;

	(void)arg;
	for (i = 0; i < 6; i++)
		assert_int_equal(rs_ctl_frame_peek(two, i, &body, &len, NULL), 0);
	assert_int_equal(rs_ctl_frame_peek(two, 12, &body, &len, NULL), 6);
	assert_ptr_equal(body, two + 4);
	assert_int_equal(len, 2);
	assert_int_equal(rs_ctl_frame_peek("\0\0\0\0", 4, &body, &len, NULL), -EMSGSIZE);
	assert_int_equal(rs_ctl_frame_peek("\0\x10\0\0", 4, &body, &len, NULL), 0);
	assert_int_equal(rs_ctl_frame_peek("\0\x10\0\1", 4, &body, &len, NULL), -EMSGSIZE);
	assert_int_equal(rs_ctl_frame_peek("\xff\xff\xff\xff", 4, &body, &len, NULL), -EMSGSIZE);
}

static char *nested(int levels)
{
	rs_auto_strbuf b = { 0 };
	int i;

	for (i = 0; i < levels; i++)
		rs_strbuf_puts(&b, "{\"a\":");
	rs_strbuf_puts(&b, "1");
	for (i = 0; i < levels; i++)
		rs_strbuf_puts(&b, "}");
	return rs_strbuf_steal(&b);
}

static void test_bodies_XG5(void **arg)
{
	static const char *const bad[] = { "",
					   " ",
					   "[]",
					   "1",
					   "null",
					   "\"x\"",
					   "{}{}",
					   "{} x",
					   "{",
					   "{\"a\":1,}",
					   "{\"a\":\"\xff\"}",
					   "{a:1}",
					   "{\"a\":01}" };
	rs_autofree char *deep = nested(RS_CTL_MAX_DEPTH);
	rs_autofree char *deeper = nested(RS_CTL_MAX_DEPTH + 1);
	rs_autofree char *huge = rs_calloc(1, RS_CTL_MAX_FRAME + 1);
	struct json_object *o;
	size_t i;

	(void)arg;
	for (i = 0; i < RS_ARRAY_SIZE(bad); i++) {
		o = (void *)1;
		if (rs_ctl_parse(bad[i], strlen(bad[i]), &o, NULL) >= 0)
			fail_msg("taken: %s", bad[i]);
		assert_null(o);
	}
	assert_true(rs_ctl_parse("{}\0{}", 5, &o, NULL) < 0);
	assert_int_equal(rs_ctl_parse(deep, strlen(deep), &o, NULL), 0);
	json_object_put(o);
	assert_true(rs_ctl_parse(deeper, strlen(deeper), &o, NULL) < 0);
	memset(huge, '[', RS_CTL_MAX_FRAME);
	assert_true(rs_ctl_parse(huge, RS_CTL_MAX_FRAME, &o, NULL) < 0);
	assert_int_equal(rs_ctl_parse(huge, RS_CTL_MAX_FRAME + 1, &o, NULL), -EMSGSIZE);
}

static void test_make_is_bounded_and_clean(void **arg)
{
	rs_autojson struct json_object *o = json_object_new_object();
	rs_autojson struct json_object *back = NULL;
	rs_autofree char *big = rs_calloc(1, RS_CTL_MAX_FRAME + 1);
	rs_autofree char *frame = NULL;
	const char *body;
	size_t len, body_len;

	(void)arg;
	json_object_object_add(o, "a", json_object_new_string("x\xff\xc3\xa4\xed\xa0\x80/"));
	assert_int_equal(rs_ctl_frame_make(o, &frame, &len, NULL), 0);
	assert_int_equal(rs_ctl_frame_peek(frame, len, &body, &body_len, NULL), len);
	assert_int_equal(rs_ctl_parse(body, body_len, &back, NULL), 0);
	assert_string_equal(rs_json_text(back, "a", ""), "x?\xc3\xa4??"
							 "?/");
	memset(big, 'x', RS_CTL_MAX_FRAME);
	json_object_object_add(o, "b", json_object_new_string(big));
	free(frame);
	assert_int_equal(rs_ctl_frame_make(o, &frame, &len, NULL), -EMSGSIZE);
	assert_null(frame);
}

static void test_errors_survive_the_round(void **arg)
{
	rs_auto_err err = { 0 }, back = { 0 };
	rs_autojson struct json_object *o = NULL;
	rs_autojson struct json_object *odd =
		json_tokener_parse("{\"errno\":\"x\",\"cni\":-5,\"message\":7,\"hint\":[]}");

	(void)arg;
	rs_err_set(&err, ENOENT, "no pod %s", "x");
	rs_err_cni(&err, RS_CNI_TRY_AGAIN);
	rs_err_hint(&err, "wait");
	o = rs_ctl_error_to_json(&err);
	rs_ctl_error_from_json(o, &back);
	assert_int_equal(back.num, ENOENT);
	assert_int_equal(back.cni, RS_CNI_TRY_AGAIN);
	assert_string_equal(back.msg, "no pod x");
	assert_string_equal(back.hint, "wait");
	rs_ctl_error_from_json(odd, &back);
	assert_int_equal(back.num, EIO);
	assert_int_equal(back.cni, 0);
	assert_null(back.hint);
	rs_ctl_error_from_json(NULL, &back);
	assert_int_equal(back.num, EIO);
}

/* ---- the client ------------------------------------------------------------------------------ */

static int call(int timeout_ms, bool retry, struct json_object **result, struct rs_err *err)
{
	rs_autojson struct json_object *req = json_object_new_object();

	json_object_object_add(req, "op", json_object_new_string("status"));
	return (retry ? rs_ctl_call_retry : rs_ctl_call)(path, req, timeout_ms, result, err);
}

static void test_partial_writes(void **arg)
{
	rs_autojson struct json_object *result = NULL;
	struct json_object *got;

	(void)arg;
	serve(echo_slowly);
	assert_int_equal(call(5000, false, &result, NULL), 0);
	got = rs_json_get(result, "got");
	assert_string_equal(rs_json_text(got, "op", ""), "status");
	assert_int_equal(json_object_get_int(rs_json_get(got, "protocol")), RS_CTL_PROTOCOL);
}

static int call_large(struct rs_err *err)
{
	rs_autojson struct json_object *req = json_object_new_object();
	rs_autofree char *big = rs_calloc(1, 900001);

	memset(big, 'x', 900000);
	json_object_object_add(req, "a", json_object_new_string(big));
	return rs_ctl_call(path, req, 20000, NULL, err);
}

static void test_large_request(void **arg)
{
	(void)arg;
	serve(echo_slowly);
	assert_int_equal(call_large(NULL), 0);
}

/* No SIGPIPE: it would kill the plugin in the middle of an ADD. */
static void test_hangs_up_in_mid_request(void **arg)
{
	(void)arg;
	serve(hang_up);
	assert_int_equal(call_large(NULL), -ECONNRESET);
}

static void test_answers_before_it_has_read_all(void **arg)
{
	rs_auto_err err = { 0 };

	(void)arg;
	serve(refuse_and_hang_up);
	assert_int_equal(call_large(&err), -EACCES);
	assert_string_equal(err.msg, "not you");
}

static void test_agents_error(void **arg)
{
	rs_auto_err err = { 0 };
	struct json_object *result = (void *)1;
	int64_t began = rs_mono_ms();

	(void)arg;
	serve(say_error);
	/* Its ENOENT is an answer, not a missing socket: it is not tried again. */
	assert_int_equal(call(5000, true, &result, &err), -ENOENT);
	assert_true(rs_mono_ms() - began < 2000);
	assert_null(result);
	assert_int_equal(err.cni, RS_CNI_TRY_AGAIN);
	assert_string_equal(err.msg, "no such pod");
	assert_string_equal(err.hint, "look again");
}

static void test_nobody_there(void **arg)
{
	rs_auto_err err = { 0 };

	(void)arg;
	assert_int_equal(call(1000, false, NULL, &err), -ENOENT);
	assert_int_equal(err.cni, RS_CNI_TRY_AGAIN);
	assert_non_null(strstr(err.msg, path));
	close(listen_here());
	assert_int_equal(call(1000, false, NULL, &err), -ECONNREFUSED);
	assert_int_equal(err.cni, RS_CNI_TRY_AGAIN);
}

static bool told_nobody(int timeout_ms, bool retry)
{
	rs_autojson struct json_object *req = json_object_new_object();
	bool nobody = retry;

	rs_ctl_call_told(path, req, timeout_ms, retry, NULL, &nobody, NULL);
	return nobody;
}

/* An agent that heard a request and died, hangs, or says ENOENT itself is not nobody. */
static void test_tells_nobody_from_an_agent_XF2(void **arg)
{
	(void)arg;
	assert_true(told_nobody(250, true));
	assert_true(told_nobody(250, false));
	close(listen_here());
	assert_true(told_nobody(250, true));
	assert_int_equal(unlink(path), 0);
	serve(say_error);
	assert_false(told_nobody(1000, true));
}

static void test_an_agent_that_hung_up_was_somebody_XF2(void **arg)
{
	(void)arg;
	serve(hang_up);
	assert_false(told_nobody(250, true));
}

static void takes_about(int64_t began, int ms)
{
	assert_in_range(rs_mono_ms() - began, (uint64_t)ms * 6 / 10, (uint64_t)ms + 1000);
}

static void test_never_answers(void **arg)
{
	rs_auto_err err = { 0 };
	int64_t began = rs_mono_ms();

	(void)arg;
	serve(say_nothing);
	assert_int_equal(call(300, true, NULL, &err), -ETIMEDOUT);
	assert_int_equal(err.cni, RS_CNI_TRY_AGAIN);
	takes_about(began, 300);
}

/* One deadline over the call: a byte now and then does not prolong it. */
static void test_answers_by_drops(void **arg)
{
	int64_t began = rs_mono_ms();

	(void)arg;
	serve(drip);
	assert_int_equal(call(300, false, NULL, NULL), -ETIMEDOUT);
	takes_about(began, 300);
}

static void test_queue_is_full(void **arg)
{
	int fd = listen_here(), n = 0, c[64];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int64_t began;

	(void)arg;
	strcpy(sa.sun_path, path);
	for (n = 0; n < 64; n++) {
		c[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(c[n], (struct sockaddr *)&sa, sizeof(sa)) < 0)
			break;
	}
	began = rs_mono_ms();
	assert_int_equal(call(300, false, NULL, NULL), -ETIMEDOUT);
	takes_about(began, 300);
	while (n >= 0)
		close(c[n--]);
	close(fd);
}

static void test_agent_that_restarts(void **arg)
{
	rs_auto_err err = { 0 };

	(void)arg;
	serve(die_at_first);
	assert_int_equal(call(5000, false, NULL, &err), -ECONNRESET);
	assert_int_equal(call(5000, true, NULL, &err), 0);
}

static void test_socket_that_comes_late(void **arg)
{
	int fd;

	(void)arg;
	server = fork();
	if (server == 0) {
		usleep(250000);
		fd = listen_here();
		fd = accept(fd, NULL, NULL);
		echo_slowly(fd, 0);
		pause();
	}
	assert_int_equal(call(5000, true, NULL, NULL), 0);
}

/* ---- what is done while the agent works ------------------------------------------------------ */

static int worked;

/* The agent waits for it, so an answer says that it was done meanwhile. */
static int make_mark(void *arg, struct rs_err *err)
{
	rs_autofree char *mark = rs_asprintf("%s/mark", dir);
	rs_autofclose FILE *f = fopen(mark, "w");

	(void)arg, (void)err;
	worked++;
	return f ? 0 : -errno;
}

static int fail_to_work(void *arg, struct rs_err *err)
{
	(void)arg;
	worked++;
	return rs_err_set(err, ENOENT, "no such tool");
}

static void wait_for_mark(int fd, int nr)
{
	rs_autofree char *mark = rs_asprintf("%s/mark", dir);
	char req[4096];

	(void)nr;
	read_request(fd, req, sizeof(req));
	while (access(mark, F_OK) < 0)
		usleep(1000);
	unlink(mark);
	answer(fd, "{\"protocol\":1,\"ok\":true}");
}

static int call_while(rs_ctl_meanwhile_fn *fn, int timeout_ms, bool *nobody, struct rs_err *err)
{
	rs_autojson struct json_object *req = json_object_new_object();

	worked = 0;
	return rs_ctl_call_while(path, req, timeout_ms, fn, NULL, nobody, err);
}

static void test_works_while_the_agent_does(void **arg)
{
	bool nobody;

	(void)arg;
	serve(wait_for_mark);
	assert_int_equal(call_while(make_mark, 5000, &nobody, NULL), 0);
	assert_int_equal(worked, 1);
	assert_false(nobody);
}

/* Its error is no reason to ask again, even if it reads like an agent that is away. */
static void test_work_that_fails_ends_the_call(void **arg)
{
	rs_auto_err err = { 0 };
	bool nobody;

	(void)arg;
	assert_int_equal(call_while(fail_to_work, 5000, &nobody, &err), -ENOENT);
	assert_string_equal(rs_err_str(&err), "no such tool");
	assert_int_equal(worked, 1);
	assert_true(nobody);
	serve(say_nothing);
	assert_int_equal(call_while(fail_to_work, 5000, &nobody, &err), -ENOENT);
	assert_string_equal(rs_err_str(&err), "no such tool");
	assert_int_equal(worked, 1);
	assert_false(nobody);
}

static void test_works_once_whoever_restarts(void **arg)
{
	rs_autofree char *mark = rs_asprintf("%s/mark", dir);
	bool nobody;

	(void)arg;
	serve(die_at_first);
	assert_int_equal(call_while(make_mark, 5000, &nobody, NULL), 0);
	assert_int_equal(worked, 1);
	unlink(mark);
}

static void test_garbage_XG5(void **arg)
{
	static const struct {
		const char *s;
		size_t n;
	} all[] = {
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
		{ "\0\0\0\0", 4 },
		{ "\0\0\0\5{", 5 },
		{ "\0\0\0\2[]", 6 },
		{ "\0\0\0\2{}", 6 },
		{ "\0\0\0\x0a{\"ok\":\"x\"}", 14 },
		{ "\0\0\0\x17{\"ok\":true,\"result\":[]}", 27 },
		{ "\0\0\0\3{}\0", 7 },
		{ "\0\0", 2 },
	};
	size_t i;

	(void)arg;
	for (i = 0; i < RS_ARRAY_SIZE(all); i++) {
		rs_auto_err err = { 0 };
		struct json_object *result = NULL;
		int rc;

		garbage = all[i].s;
		garbage_len = all[i].n;
		serve(say_garbage);
		rc = call(3000, false, &result, &err);
		if (rc != -EPROTO || err.num != EPROTO)
			fail_msg("garbage %zu: %d %s", i, rc, rs_err_str(&err));
		assert_null(result);
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
}

static void test_long_path(void **arg)
{
	char longer[200];
	rs_autojson struct json_object *req = json_object_new_object();

	(void)arg;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(rs_ctl_call(longer, req, 100, NULL, NULL), -ENAMETOOLONG);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peek),
		cmocka_unit_test(test_bodies_XG5),
		cmocka_unit_test(test_make_is_bounded_and_clean),
		cmocka_unit_test(test_errors_survive_the_round),
		T(test_partial_writes),
		T(test_large_request),
		T(test_hangs_up_in_mid_request),
		T(test_answers_before_it_has_read_all),
		T(test_agents_error),
		T(test_nobody_there),
		T(test_tells_nobody_from_an_agent_XF2),
		T(test_an_agent_that_hung_up_was_somebody_XF2),
		T(test_never_answers),
		T(test_answers_by_drops),
		T(test_queue_is_full),
		T(test_agent_that_restarts),
		T(test_socket_that_comes_late),
		T(test_works_while_the_agent_does),
		T(test_work_that_fails_ends_the_call),
		T(test_works_once_whoever_restarts),
		T(test_garbage_XG5),
		T(test_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
