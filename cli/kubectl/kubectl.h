/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubectl.h - inside cli/kubectl/: what the files of `kubectl ripstop` share.
 *
 * kubectl.c is the front door. All that is known of a cluster comes from `kubectl get`, all that is
 * known of policy from `ripstop VERB -o json` in the agents' containers, by `kubectl exec`: both
 * are texts of others, parsed before they are believed, and rendered by the commands of cli/ here.
 */
#ifndef RIPSTOP_CLI_KUBECTL_H
#define RIPSTOP_CLI_KUBECTL_H

#include <poll.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/cli.h"

/* Asked at once: the answers are kept until they are rendered. */
#define KUBE_AT_ONCE 8
/* And followed at once: each is a kubectl of its own, some 30 MB of it. */
#define KUBE_MAX_CHILDREN 32
#define KUBE_MAX_GET (64 * RS_MIB)
#define KUBE_MAX_ANSWER (16 * RS_MIB)

/* ---- spawn.c: run kubectl -------------------------------------------------------------------- */

struct kube_words rs_vec(char *);

struct kube_child {
	struct kube_words argv; /* ends with a NULL once it runs */
	const char *node;	/* stands before what it says on stderr; NULL: nothing does */
	const char *input;	/* its stdin. NULL: ours, since a credential plugin may ask */
	/* Its stdin is empty and stays open: when it ends, however we do, what runs at the other
	 * end is to end (kube_enter()). After a signal it then has grace_ms before it is killed. */
	bool leashed;
	int grace_ms;
	size_t max_out;
	/* Takes stdout as it comes, in place of `out`. held: not now. */
	void (*take)(struct kube_child *c, const char *data, size_t n);
	void *arg;
	bool held;
	/* What became of it: the exit code, or a negative errno: it was not started (ENOENT),
	 * was stopped (EMSGSIZE, ETIMEDOUT), or a signal ended it, ours or its own (EINTR). */
	int status;
	struct rs_strbuf out;
	struct rs_strbuf told; /* lines of stderr that say why it failed; the others are shown */
	/* spawn.c's own */
	pid_t pid; /* 0: it does not run */
	int pidfd, fd[2], leash;
	int64_t until; /* it was let go: when it is killed */
	bool stopped, midline;
	struct rs_strbuf line;
};

void kube_word(struct kube_child *c, const char *word);
void kube_words(struct kube_child *c, const char *const *words); /* up to a NULL */
void kube_child_clear(struct kube_child *c);

/* Run all of them, at most KUBE_AT_ONCE, side by side until they have ended, or until deadline
 * (rs_mono_ms(); 0: none) or a signal that kube_catch() waits for. */
void kube_spawn(struct kube_child *v, size_t n, int64_t deadline);

/* The same in parts, for at most KUBE_MAX_CHILDREN: begin one; wait once, and take what there is.
 * more: a descriptor to wait for besides; NULL: none. False: none of them runs. */
void kube_start(struct kube_child *c);
bool kube_turn(struct kube_child *v, size_t n, int64_t deadline, struct pollfd *more);
void kube_stop(struct kube_child *c); /* kill it; kube_turn() sees its end */

/* ---- interrupt.c: signals -------------------------------------------------------------------- */

/* From here on SIGINT, SIGTERM and SIGHUP end children, not us. False: that was told. */
bool kube_catch(void);
bool kube_caught(void);	  /* one has come */
bool kube_rest(int ms);	  /* sleep; whether one has come */
void kube_forget(void);	  /* what has come is over: the next one counts */
void kube_release(void);  /* as before kube_catch() */
int kube_signal_fd(void); /* -1: nothing is caught */

/* ---- sink.c: bytes on their way out ---------------------------------------------------------- */

/* Never waits for who reads: what does not go is kept, so look at kube_sink_full(). */
struct kube_sink {
	int fd, error; /* error: an errno; it takes nothing any more */
	struct rs_strbuf b;
	size_t gone; /* of b */
	uint64_t total;
};

void kube_sink_add(struct kube_sink *s, const char *data, size_t n);
void kube_sink_flush(struct kube_sink *s); /* what goes now */
size_t kube_sink_left(const struct kube_sink *s);
bool kube_sink_full(const struct kube_sink *s);
/* All of it, while it moves within ms (-1: whenever it does), or until a signal comes that had not
 * come before. False: something is left. */
bool kube_sink_finish(struct kube_sink *s, int ms);
void kube_sink_clear(struct kube_sink *s);

/* ---- refusals.c: why kubectl failed ---------------------------------------------------------- */

/* An answer, or the exit code, the cause and what to do about it. */
struct kube_answer {
	int code;
	struct json_object *o;
	char *cause, *hint;
};

void kube_answer_clear(struct kube_answer *a);
void kube_refuse(struct kube_answer *a, int code, char *cause, const char *hint);

/* Whether a child that has ended gave no answer; *a then says why. */
bool kube_failed(const struct kube_child *c, bool remote, struct kube_answer *a);

/* The answer of a child that has ended, an object of that kind. An empty answer is code 0 and no
 * object where `maybe` says so. remote: exit codes are those of the ripstop in the container. */
void kube_read(const struct kube_child *c, const char *kind, bool remote, bool maybe,
	       struct kube_answer *a);

/* Tell it. Returns its code. */
int kube_tell(const struct kube_answer *a, const char *node);

/* ---- agents.c: what kubectl get knows -------------------------------------------------------- */

#define KUBE_LABELS "app.kubernetes.io/name=ripstop,app.kubernetes.io/component=agent"

struct kube_agent {
	char *pod, *node;
	char *trouble; /* why nothing can be run in it; NULL: nothing is known to be amiss */
	bool leaving;
};

struct kube_agents rs_vec(struct kube_agent);

struct kube_pod {
	char *ns, *name, *node;
	bool host_network;
};

const char *kube_agent_namespace(const struct cli_run *r);

/* The agents, one a node and by the node's name; of one node when it is not NULL. None is an error:
 * *a then says why, and its code is returned. */
int kube_find_agents(struct cli_run *r, const char *node, struct kube_agents *out,
		     struct kube_answer *a);
void kube_agents_clear(struct kube_agents *v);

/* Why a container of a pod does not run; NULL: it does. The caller frees it. */
char *kube_pod_trouble(struct json_object *pod, const char *container);

/* A pod by [NAMESPACE/]NAME; without a namespace kubectl takes its own. */
int kube_find_pod(struct cli_run *r, const char *operand, struct kube_pod *out,
		  struct kube_answer *a);
void kube_pod_clear(struct kube_pod *p);

/* ---- kubeask.c: ask agents ------------------------------------------------------------------- */

/* A run of `kubectl ripstop`. */
struct kube {
	int64_t deadline;
	struct kube_agents agents;
	/* Over many nodes: the agent whose turn it is, and the answers of those from `asked`. */
	size_t turn, asked, n_answers;
	struct kube_answer answers[KUBE_AT_ONCE];
	struct kube_answer none; /* code: there is no agent, and why */
};

/* kubectl, and the flags that go to it. */
void kube_begin(const struct cli_run *r, struct kube_child *c, const char *verb);

/* exec, up to the `ripstop` in an agent's container. leashed: what follows ends there once we, or
 * the connection, are gone (cli/leash.c); kubectl hands no signal on, and a pipe that nobody reads
 * may still be written to. */
void kube_enter(const struct cli_run *r, struct kube_child *c, const struct kube_agent *agent,
		bool leashed);

/* Why nothing can be run in it, as a refusal. */
void kube_not_running(const struct cli_run *r, const struct kube_agent *agent,
		      struct kube_answer *a);

/* Ask these agents, at most KUBE_AT_ONCE, the question of a request (ctl.h). */
void kube_ask(struct cli_run *r, const struct kube_agent *v, size_t n, const char *op,
	      const char *kind, struct json_object *request, struct kube_answer *answers);

/* Ask the agent of a node. */
void kube_ask_node(struct cli_run *r, const char *node, const char *op, const char *kind,
		   struct json_object *request, struct kube_answer *a);

/* ---- kubelive.c: the objects of the cluster -------------------------------------------------- */

struct cli_live;

/* As cli_live_agent() (cli/world/live.h), by kubectl get. Warns of kinds it may not read. */
int kube_live(struct cli_run *r, struct cli_live *out);

/* ---- kubefollow.c: monitor --follow ---------------------------------------------------------- */

int kube_follow(struct cli_run *r);

/* ---- kubecapture.c: capture ------------------------------------------------------------------ */

int kube_capture(struct cli_run *r);

/* ---- selftest.c: test --self ----------------------------------------------------------------- */

int kube_selftest(struct cli_run *r);

/* ---- kubebundle.c ---------------------------------------------------------------------------- */

int kube_bundle(struct cli_run *r);

/* ---- ends.c: rules and explain --------------------------------------------------------------- */

void kube_rules(struct cli_run *r, struct json_object *request, struct kube_answer *a);
void kube_explain(struct cli_run *r, struct json_object *request, struct kube_answer *a);

/* ---- kubewait.c: wait ------------------------------------------------------------------------ */

struct cli_wait;
int kube_wait_round(struct cli_run *r, struct cli_wait *w, struct json_object *nodes, bool *done);

#endif
