// SPDX-License-Identifier: Apache-2.0
/* cniagent.c - an agent with a world of its own; see cniagent.h. */
#include "tests/bench/cniagent.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ripstop/ctl.h>

#include "base/base.h"
#include "object/object_encode.h"
#include "object/store.h"
#include "tests/bench/benchkit.h"
#include "tests/bench/pairw.h"

#define MANIFESTS "/run/manifests"
#define LOG "/run/agent.log"
#define NODE "bench"
#define READY_S 30.0
#define TAKEN_US 500000 /* a folder lets 50 ms pass before it is read */

_Static_assert(CNIAGENT_REST == 2, "the configuration in the header");

static char *program;
static pid_t agent;

void cniagent_init(const char *build)
{
	program = rs_asprintf("%s/ripstop-agent", build);
}

/* ---- the folder ------------------------------------------------------------------------------ */

static struct json_object *new_list(struct json_object **items)
{
	struct json_object *list = json_object_new_object();

	*items = json_object_new_array();
	json_object_object_add(list, "apiVersion", json_object_new_string("v1"));
	json_object_object_add(list, "kind", json_object_new_string("List"));
	json_object_object_add(list, "items", *items);
	return list;
}

static struct json_object *list_of(const struct worldw *w)
{
	static const enum rs_kind kinds[] = { RS_KIND_NAMESPACE, RS_KIND_POD, RS_KIND_POLICY };
	struct json_object *items, *list = new_list(&items);

	for (size_t k = 0; k < RS_ARRAY_SIZE(kinds); k++) {
		size_t n;
		const struct rs_meta *const *v = rs_store_metas(w->store, kinds[k], &n);

		for (size_t i = 0; i < n; i++)
			json_object_array_add(items, rs_encode(kinds[k], v[i]));
	}
	return list;
}

static void write_world(size_t policies, size_t pods)
{
	struct worldw *w = worldw_new(policies, pods);
	struct json_object *list;

	pairw_put_policies(w);
	list = list_of(w);
	if (mkdir(MANIFESTS, 0755) < 0 || json_object_to_file(MANIFESTS "/world.json", list) < 0)
		bench_die(MANIFESTS ": %s", strerror(errno));
	json_object_put(list);
	worldw_free(w);
}

static void put_labels(struct rs_labels *to, const char *labels)
{
	rs_autofree char *text = rs_strdup(labels);
	char *save = NULL;

	for (char *one = strtok_r(text, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		char *value = strchr(one, ':');

		*value++ = '\0';
		rs_labels_set(to, one, value);
	}
}

static struct json_object *bound_pod(const char *name, size_t i, const char *labels)
{
	struct rs_pod *p = rs_new(struct rs_pod);
	struct json_object *o;

	p->meta.ns = rs_strdup(PAIRW_NS);
	p->meta.name = rs_asprintf("%s-%zu", name, i);
	p->node = rs_strdup(NODE);
	p->phase = RS_PHASE_PENDING;
	put_labels(&p->meta.labels, labels);
	o = rs_encode(RS_KIND_POD, &p->meta);
	rs_pod_free(p);
	return o;
}

char *cniagent_bind(const char *name, const char *labels, size_t n)
{
	rs_autofree char *path = rs_asprintf(MANIFESTS "/%s.json", name);
	rs_autofree char *draft = rs_asprintf(MANIFESTS "/.%s", name);
	struct json_object *items, *list = new_list(&items);
	int rc;

	for (size_t i = 0; i < n; i++)
		json_object_array_add(items, bound_pod(name, i, labels));
	rc = json_object_to_file(draft, list);
	json_object_put(list);
	if (rc < 0 || rename(draft, path) < 0)
		return rs_asprintf("%s: %s", path, strerror(errno));
	usleep(TAKEN_US);
	return NULL;
}

/* ---- the agent ------------------------------------------------------------------------------- */

static void become_agent(pid_t parent)
{
	char *const argv[] = { program,
			       (char *)"--manifests",
			       (char *)MANIFESTS,
			       (char *)"--node-name",
			       (char *)NODE,
			       (char *)"--node-ranges",
			       (char *)CNIAGENT_RANGE,
			       (char *)"--cluster-cidr",
			       (char *)"10.128.0.0/9",
			       (char *)"--metrics-address",
			       (char *)"",
			       NULL };
	char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	int log = open(LOG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (log < 0 || getppid() != parent)
		_exit(1);
	dup2(log, 1);
	dup2(log, 2);
	execve(program, argv, env);
	_exit(127);
}

static bool is_ready(void)
{
	struct json_object *ask = json_object_new_object(), *got = NULL, *ready;
	bool yes;

	json_object_object_add(ask, "op", json_object_new_string("status"));
	yes = rs_ctl_call(RS_CTL_SOCKET, ask, 1000, &got, NULL) == 0 &&
	      json_object_object_get_ex(got, "ready", &ready) && json_object_get_boolean(ready);
	json_object_put(ask);
	json_object_put(got);
	return yes;
}

/* The last words of its log. */
static char *failed(void)
{
	rs_autofree char *log = NULL;
	size_t len = 0;

	if (rs_file_read(LOG, RS_MIB, &log, &len, NULL) < 0 || !len)
		return rs_strdup("the agent does not become ready and says nothing");
	return rs_asprintf("the agent does not become ready: %s",
			   log + (len > 500 ? len - 500 : 0));
}

static void end_agent(void)
{
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
}

char *cniagent_start(size_t policies, size_t pods)
{
	double until = bk_now() + READY_S;
	pid_t parent = getpid();

	write_world(policies, pods);
	agent = fork();
	if (agent < 0)
		bench_die("fork: %s", strerror(errno));
	if (agent == 0)
		become_agent(parent);
	atexit(end_agent);
	while (!is_ready()) {
		if (bk_now() > until || waitpid(agent, NULL, WNOHANG) == agent)
			return failed();
		usleep(20000);
	}
	return NULL;
}

void cniagent_let_rest(size_t n, double emptied)
{
	double left = emptied + CNIAGENT_REST + 0.2 - bk_now();

	/* One pod after another finds addresses that have rested. */
	if (n > CNIAGENT_ADDRESSES / 8 && emptied > 0 && left > 0)
		usleep((useconds_t)(left * 1e6));
}
