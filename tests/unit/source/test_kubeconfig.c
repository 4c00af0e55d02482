// SPDX-License-Identifier: Apache-2.0
/* test_kubeconfig.c - what is taken from a kubeconfig, and what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "source/apiconf.h"

#define HEAD                                                 \
	"apiVersion: v1\nkind: Config\ncurrent-context: x\n" \
	"contexts:\n- name: x\n  context: {cluster: c, user: u}\n"
#define CLUSTER "clusters:\n- name: c\n  cluster:\n    server: https://h:6443\n"
#define USER "users:\n- name: u\n  user:\n"

static char dir[] = "/tmp/rs-kubeconfig-XXXXXX";
static char file[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/k", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static int read_text(const char *text, struct rs_apiconf *c, struct rs_err *err)
{
	rs_autoclose int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return rs_kubeconfig_read(file, c, err);
}

/* The message is "kubeconfig: FILE" and what is expected behind it. */
static void refused(const char *text, const char *message)
{
	rs_autofree char *whole = rs_asprintf("kubeconfig: %s%s", file, message);
	struct rs_apiconf c = { 0 };
	rs_auto_err err = { 0 };

	assert_true(read_text(text, &c, &err) < 0);
	assert_string_equal(rs_err_str(&err), whole);
	rs_apiconf_clear(&c);
}

static void takes_what_it_knows(void **state)
{
	struct rs_apiconf c = { 0 };
	rs_auto_err err = { 0 };
	rs_autofree char *ca = rs_asprintf("%s/pki/ca.crt", dir);

	(void)state;
	assert_int_equal(read_text(HEAD CLUSTER
				   "    certificate-authority: pki/ca.crt\n" USER
				   "    client-certificate: /c\n    client-key-data: aGk=\n",
				   &c, &err),
			 0);
	assert_string_equal(c.server, "https://h:6443");
	assert_string_equal(c.ca.file, ca);
	assert_string_equal(c.cert.file, "/c");
	assert_string_equal(c.key.data, "hi");
	assert_int_equal(c.key.len, 2);
	assert_null(c.token);
	rs_apiconf_clear(&c);
	/* JSON is YAML; the file of a token goes before its text, the text of a PEM before its file. */
	assert_int_equal(
		read_text("{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":"
			  "{\"cluster\":\"c\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"c\","
			  "\"cluster\":"
			  "{\"server\":\"h\",\"certificate-authority\":\"/a\","
			  "\"certificate-authority-data\":\"YWJj\"}}],\"users\":[{\"name\":\"u\","
			  "\"user\":{\"token\":\"t\",\"tokenFile\":\"/t\"}}]}",
			  &c, &err),
		0);
	assert_string_equal(c.token_file, "/t");
	assert_null(c.token);
	assert_null(c.ca.file);
	assert_string_equal(c.ca.data, "abc");
	rs_apiconf_clear(&c);
}

static void base64_is_read_strictly(void **state)
{
	static const struct {
		const char *text, *value; /* NULL: refused */
	} cases[] = {
		{ "YQ==", "a" },
		{ "YWI=", "ab" },
		{ "YWJj", "abc" },
		{ "YWJjZA==", "abcd" },
		{ "YW Jj\\nZA==", "abcd" },
		{ "+/+/", "\xfb\xff\xbf" },
		{ "Y", NULL },
		{ "YQ=", NULL },
		{ "YQ", NULL },
		{ "=", NULL },
		{ "YQ==YQ==", NULL },
		{ "YWJj=", NULL },
		{ "Y-_=", NULL },
		{ "YQ===", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < RS_ARRAY_SIZE(cases); i++) {
		rs_autofree char *text = rs_asprintf(
			HEAD CLUSTER "    certificate-authority-data: \"%s\"\n" USER "    {}\n",
			cases[i].text);
		struct rs_apiconf c = { 0 };
		rs_auto_err err = { 0 };
		int rc = read_text(text, &c, &err);

		if ((rc == 0) != (cases[i].value != NULL))
			fail_msg("%s: %d %s", cases[i].text, rc, rs_err_str(&err));
		if (cases[i].value)
			assert_string_equal(c.ca.data, cases[i].value);
		else
			assert_non_null(
				strstr(rs_err_str(&err), "certificate-authority-data: not base64"));
		rs_apiconf_clear(&c);
	}
}

static void refuses_by_name_and_place(void **state)
{
	(void)state;
	refused(HEAD CLUSTER USER "    exec: {command: aws}\n",
		":14:5: user: exec: is not supported");
	refused(HEAD CLUSTER USER "    auth-provider: {name: gcp}\n",
		":14:5: user: auth-provider: is not supported");
	refused(HEAD CLUSTER USER "    as: root\n", ":14:5: user: as: is not supported");
	refused(HEAD CLUSTER "    insecure-skip-tls-verify: true\n" USER "    {}\n",
		":11:5: cluster: insecure-skip-tls-verify: is not supported");
	refused(HEAD CLUSTER USER "    token: 5\n",
		":14:12: user: token: a string that is not empty is expected");
	refused(HEAD CLUSTER USER "    client-key: /k\n",
		":14:5: user: client-certificate: missing beside the other");
	refused(HEAD CLUSTER "users: []\n", ":11:1: users: no entry is named \"u\"");
	refused(HEAD "clusters: 7\n" USER, ":7:1: clusters: a list is expected");
	refused("kind: Config\n", ":1:1: current-context: missing");
	refused("[]\n", ": a map is expected in it");
	refused("", ": a map is expected in it");
}

static void half_written_yaml(void **state)
{
	struct rs_apiconf c = { 0 };
	rs_auto_err err = { 0 };

	(void)state;
	assert_true(read_text("a: [b", &c, &err) < 0);
	assert_non_null(strstr(rs_err_str(&err), file));
	assert_true(read_text("a: 1\na: 2\n", &c, &err) < 0);
	rs_apiconf_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_it_knows),
		cmocka_unit_test(base64_is_read_strictly),
		cmocka_unit_test(refuses_by_name_and_place),
		cmocka_unit_test(half_written_yaml),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
