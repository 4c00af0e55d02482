// SPDX-License-Identifier: Apache-2.0
/*
 * replay_runner.c - plays stories (*.replay) to the registry and the reconciler and checks what they say.
 *
 * One command a line, words apart by spaces; `#` begins a comment. `objects` takes the lines up to one
 * that is `end`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"
#include "tests/replay/replay_player.h"

int play_fail(struct player *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	free(p->why);
	p->why = rs_vasprintf(fmt, ap);
	va_end(ap);
	return -1;
}

/* "key=value" among the words. */
const char *play_option(const struct player *p, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 1; i < p->n; i++)
		if (!strncmp(p->words[i], key, len) && p->words[i][len] == '=')
			return p->words[i] + len + 1;
	return NULL;
}

long play_number(const struct player *p, const char *key, long def)
{
	const char *text = play_option(p, key);

	return text ? strtol(text, NULL, 0) : def;
}

/* ---- deeds ----------------------------------------------------------------------------------- */

static int do_start(struct player *p)
{
	rs_auto_err err = { 0 };

	stage_stop(&p->s);
	return stage_start(&p->s, &err) < 0 ? play_fail(p, "start: %s", rs_err_str(&err)) : 0;
}

static int do_stop(struct player *p)
{
	stage_stop(&p->s);
	return 0;
}

static int do_boot(struct player *p)
{
	p->s.boot = !strcmp(p->words[1], "boot-2") ? "boot-2" : "boot-1";
	return 0;
}

/* Links and rules go with the kernel; files stay. */
static int do_reboot(struct player *p)
{
	rs_auto_err err = { 0 };

	stage_stop(&p->s);
	p->s.n_links = 0;
	p->s.boot = "boot-2";
	return rs_dp_null.remove(p->s.dp, &err) < 0 ? play_fail(p, "%s", rs_err_str(&err)) : 0;
}

static int do_advance(struct player *p)
{
	p->s.now_ms += strtol(p->words[1], NULL, 10);
	return 0;
}

static int do_run(struct player *p)
{
	rs_reconcile_run(p->s.rec, p->s.now_ms);
	if (p->s.unprepared || p->s.n_answers != p->s.n_answers_then)
		return play_fail(p, "%s",
				 p->s.unprepared
					 ? "the dataplane was not told that all are answered"
					 : "somebody was answered when the dataplane had been told "
					   "that all are");
	rs_registry_save_labels(p->s.reg); /* as the loop does, behind the answers */
	return 0;
}

static int do_gc(struct player *p)
{
	if (rs_registry_scan(p->s.reg, false, p->s.now_ms, 300000, NULL) > 0 ||
	    rs_registry_check_links(p->s.reg, p->s.now_ms, 300000) || rs_registry_graves(p->s.reg))
		rs_reconcile_touch(p->s.rec);
	rs_registry_check_links(p->s.reg, p->s.now_ms, 300000);
	return 0;
}

void play_text(struct player *p, struct rs_strbuf *text)
{
	char line[512];

	while (fgets(line, sizeof(line), p->story)) {
		p->line++;
		if (!strcmp(line, "end\n"))
			break;
		rs_strbuf_puts(text, line);
	}
}

static int do_objects(struct player *p)
{
	rs_auto_strbuf text = { 0 };
	rs_auto_err err = { 0 };

	play_text(p, &text);
	if (stage_objects(&p->s, rs_strbuf_str(&text), &err) < 0)
		return play_fail(p, "objects: %s", rs_err_str(&err));
	return 0;
}

static int do_bad_objects(struct player *p)
{
	stage_source_error(&p->s, p->words[1]);
	return 0;
}

static int do_forget_objects(struct player *p)
{
	(void)p;
	stage_forget_objects();
	return 0;
}

static void split_labels(struct rs_endpoint *e, const char *text)
{
	struct rs_labels l = { 0 };

	if (!text || rs_labels_parse(text, ':', &l, NULL) < 0)
		return;
	e->label_origin = RS_LABELS_CNI_ARGS;
	e->n_labels = l.n;
	e->labels = rs_new0(struct rs_endpoint_label, l.n);
	for (size_t i = 0; i < l.n; i++) {
		e->labels[i].key = rs_strdup(l.v[i].key);
		e->labels[i].value = rs_strdup(l.v[i].value);
	}
	rs_labels_free(&l);
}

static struct rs_endpoint *make_record(struct player *p)
{
	struct rs_endpoint *e = rs_new(struct rs_endpoint);
	const char *pod = p->words[2], *slash = strchr(pod, '/'), *boot = play_option(p, "boot");

	e->container_id = rs_strdup(p->words[1]);
	e->ifname = rs_strdup("eth0");
	e->network = rs_strdup("net");
	e->boot_id = rs_strdup(boot ? boot : p->s.boot);
	e->pod_ns = rs_strndup(pod, slash ? (size_t)(slash - pod) : 0);
	e->pod_name = rs_strdup(slash ? slash + 1 : pod);
	rs_endpoint_host_ifname(e->container_id, e->ifname, e->host_ifname);
	e->host_ifindex = (uint32_t)play_number(p, "index", 0);
	e->pod_uid = play_option(p, "uid") ? rs_strdup(play_option(p, "uid")) : NULL;
	e->created_s = play_number(p, "created", 100);
	e->state = play_option(p, "tombstone") ? RS_ENDPOINT_TOMBSTONE : RS_ENDPOINT_LIVE;
	e->mtu = 1500;
	e->pod_mac[0] = e->host_mac[0] = 2;
	e->pod_mac[5] = e->host_mac[5] = (uint8_t)e->host_ifindex;
	split_labels(e, play_option(p, "labels"));
	if (rs_addr_parse(p->words[3], &e->ips[0], NULL) == 0)
		e->n_ips = 1;
	return e;
}

/* record CID NS/POD IP [index=N] [labels=a:b] [boot=ID] [created=S] [tombstone=yes] [uid=ID] */
static int do_record(struct player *p)
{
	struct rs_endpoint *e = make_record(p);
	rs_auto_err err = { 0 };
	int rc = rs_endpoint_create(p->s.records, e, &err);

	if (rc == 0 && e->host_ifindex && p->s.n_links < STAGE_MAX) {
		struct stage_link *l = stage_link(&p->s, e->host_ifname);

		if (!l)
			l = &p->s.links[p->s.n_links++];
		memcpy(l->name, e->host_ifname, sizeof(l->name));
		l->ifindex = e->host_ifindex;
		l->group = (uint32_t)play_number(p, "group", 7);
	}
	rs_endpoint_free(e);
	return rc < 0 ? play_fail(p, "record: %s", rs_err_str(&err)) : 0;
}

static int do_unlink(struct player *p)
{
	char name[RS_IFNAME_LEN];
	struct stage_link *l;

	rs_endpoint_host_ifname(p->words[1], "eth0", name);
	l = stage_link(&p->s, name);
	if (!l)
		return play_fail(p, "no such link");
	l->ifindex = 0;
	return 0;
}

static void entomb(struct rs_endpoint *e, void *arg)
{
	(void)arg;
	e->state = RS_ENDPOINT_TOMBSTONE;
}

static int do_tombstone(struct player *p)
{
	return rs_endpoint_modify(p->s.records, p->words[1], "eth0", entomb, NULL, NULL) < 0
		       ? play_fail(p, "no such record")
		       : 0;
}

static int do_forget(struct player *p)
{
	return rs_endpoint_remove(p->s.records, p->words[1], "eth0", NULL) < 0
		       ? play_fail(p, "remove")
		       : 0;
}

static int do_damage(struct player *p)
{
	rs_autofree char *path = rs_asprintf("%s/endpoints/%s", p->s.dir, p->words[1]);
	rs_autofclose FILE *f = fopen(path, "w");

	return f && fputs("{", f) >= 0 ? 0 : play_fail(p, "write %s", path);
}

static int request(struct player *p, bool attach)
{
	struct stage_call *c = rs_new(struct stage_call);
	int64_t deadline = p->s.now_ms + play_number(p, "deadline", 10000);

	c->stage = &p->s;
	c->container_id = rs_strdup(p->words[1]);
	if (attach)
		rs_reconcile_attach(p->s.rec, p->words[1], "eth0", p->s.now_ms, deadline,
				    stage_done, c);
	else
		rs_reconcile_detach(p->s.rec, p->words[1], "eth0", p->s.now_ms, deadline,
				    stage_done, c);
	return 0;
}

static int do_attach(struct player *p)
{
	return request(p, true);
}

static int do_detach(struct player *p)
{
	return request(p, false);
}

static int do_commits_fail(struct player *p)
{
	p->s.commit_fails = !strcmp(p->words[1], "yes");
	return 0;
}

static int do_kernel_refuses(struct player *p)
{
	rs_auto_err err = { 0 };

	if (rs_addr_parse(p->words[1], &p->s.refused, &err) < 0)
		return play_fail(p, "%s", rs_err_str(&err));
	return 0;
}

static int do_refuses_groups(struct player *p)
{
	p->s.groups_refused = !strcmp(p->words[1], "yes");
	return 0;
}

static int do_node_has(struct player *p)
{
	free(p->s.own_addr);
	p->s.own_addr = rs_strdup(p->words[1]);
	return 0;
}

/* ---- expectations ---------------------------------------------------------------------------- */

/* answer CID ok | CODE [WORD...]: the last one of that container. */
static int want_answer(struct player *p)
{
	const struct stage_answer *a = NULL;

	for (size_t i = 0; i < p->s.n_answers; i++)
		if (!strcmp(p->s.answers[i].container_id, p->words[1]))
			a = &p->s.answers[i];
	if (!a)
		return play_fail(p, "no answer yet");
	if (!strcmp(p->words[2], "ok"))
		return a->errnum ? play_fail(p, "answered: %s", a->message) : 0;
	if (!a->errnum || a->cni != (int)strtol(p->words[2], NULL, 10))
		return play_fail(p, "answered code %d: %s", a->cni, a->errnum ? a->message : "ok");
	if (p->n > 3 && !strstr(a->message, p->words[3]))
		return play_fail(p, "answered: %s", a->message);
	return 0;
}

/* answers CID N: so many, whatever they say. */
static int want_answers(struct player *p)
{
	long n = strtol(p->words[2], NULL, 10), is = 0;

	for (size_t i = 0; i < p->s.n_answers; i++)
		is += !strcmp(p->s.answers[i].container_id, p->words[1]);
	return is == n ? 0 : play_fail(p, "%ld answers", is);
}

static int want_no_answer(struct player *p)
{
	for (size_t i = 0; i < p->s.n_answers; i++)
		if (!strcmp(p->s.answers[i].container_id, p->words[1]))
			return play_fail(p, "answered already");
	return 0;
}

static int want_commits(struct player *p)
{
	unsigned int n = (unsigned int)strtoul(p->words[1], NULL, 10);

	return p->s.commits == n ? 0 : play_fail(p, "%u commits", p->s.commits);
}

static int want_generation(struct player *p)
{
	uint64_t n = strtoull(p->words[1], NULL, 10), is = rs_reconcile_generation(p->s.rec);

	return is == n ? 0 : play_fail(p, "generation %llu", (unsigned long long)is);
}

/* allow|deny CLIENT SERVER PORT, by the IR in force (tcp). */
static int want_verdict(struct player *p)
{
	const struct rs_ir *ir = rs_reconcile_ir(p->s.rec);
	struct rs_ir_verdict v = { 0 };
	struct rs_addr a, b;

	if (!ir)
		return play_fail(p, "nothing is in force");
	if (rs_addr_parse(p->words[1], &a, NULL) < 0 || rs_addr_parse(p->words[2], &b, NULL) < 0)
		return play_fail(p, "bad address");
	rs_ir_eval(ir, &a, &b, RS_PROTO_TCP, (uint16_t)strtoul(p->words[3], NULL, 10), &v);
	if (v.allow != !strcmp(p->words[0], "allow"))
		return play_fail(p, "the verdict is %s", v.allow ? "allow" : "deny");
	return 0;
}

/* local IP yes|no */
static int want_local(struct player *p)
{
	const struct rs_ir *ir = rs_reconcile_ir(p->s.rec);
	struct rs_addr a;
	bool is = ir && rs_addr_parse(p->words[1], &a, NULL) == 0 && rs_ir_local(ir, &a);

	return is == !strcmp(p->words[2], "yes") ? 0 : play_fail(p, "it is%s", is ? "" : " not");
}

/* guard CID yes|no: its link may send. */
static int want_guard(struct player *p)
{
	const struct rs_ir *ir = rs_reconcile_ir(p->s.rec);
	const struct stage_link *link;
	char name[RS_IFNAME_LEN];
	bool is = false;

	rs_endpoint_host_ifname(p->words[1], "eth0", name);
	link = stage_link(&p->s, name);
	for (size_t i = 0; ir && i < ir->n_guards; i++) {
		const struct rs_ir_guard *g = &ir->guards[i];

		/* What was read back from a kernel has no names. */
		is |= g->ifname ? !strcmp(g->ifname, name) : link && link->ifindex == g->ifindex;
	}
	return is == !strcmp(p->words[2], "yes") ? 0 : play_fail(p, "it is%s", is ? "" : " not");
}

/* groups N: so many isolate, in both directions together. */
static int want_groups(struct player *p)
{
	const struct rs_ir *ir = rs_reconcile_ir(p->s.rec);
	size_t n = strtoul(p->words[1], NULL, 10), is = 0;

	for (size_t i = 0; ir && i < ir->n_groups; i++)
		is += ir->groups[i].isolated;
	return is == n ? 0 : play_fail(p, "%zu groups", is);
}

/* bumps N: so many commits let every flow be judged again. */
static int want_bumps(struct player *p)
{
	uint64_t n = strtoull(p->words[1], NULL, 10);

	return p->s.metrics.bumps == n
		       ? 0
		       : play_fail(p, "%llu bumps", (unsigned long long)p->s.metrics.bumps);
}

/* labels CID TEXT: in the record on disk. */
static int want_labels(struct player *p)
{
	struct rs_endpoint *e = NULL;
	rs_auto_strbuf text = { 0 };
	int rc = rs_endpoint_load(p->s.records, p->words[1], "eth0", &e, NULL);

	for (size_t i = 0; rc == 0 && i < e->n_labels; i++)
		rs_strbuf_printf(&text, "%s%s:%s", i ? "," : "", e->labels[i].key,
				 e->labels[i].value);
	rs_endpoint_free(e);
	if (rc < 0)
		return play_fail(p, "no record");
	return !strcmp(rs_strbuf_str(&text), p->words[2])
		       ? 0
		       : play_fail(p, "%s", rs_strbuf_str(&text));
}

static int want_on_disk(struct player *p)
{
	struct rs_endpoint *e = NULL;
	int rc = rs_endpoint_load(p->s.records, p->words[1], "eth0", &e, NULL);

	rs_endpoint_free(e);
	return (rc == 0) == !strcmp(p->words[2], "yes") ? 0 : play_fail(p, "load: %d", rc);
}

static int want_released(struct player *p)
{
	bool is = false;

	for (size_t i = 0; i < p->s.n_released; i++)
		is |= !strcmp(p->s.released[i], p->words[1]);
	return is == !strcmp(p->words[2], "yes") ? 0 : play_fail(p, "it is%s", is ? "" : " not");
}

static int want_condition(struct player *p)
{
	struct rs_conditions c = { 0 };
	bool is = false;

	rs_registry_conditions(p->s.reg, &c);
	rs_reconcile_conditions(p->s.rec, &c);
	for (size_t i = 0; i < c.n; i++)
		is |= !strcmp(c.v[i].type, p->words[1]);
	rs_conditions_free(&c);
	return is == !strcmp(p->words[2], "yes") ? 0
						 : play_fail(p, "it is%s there", is ? "" : " not");
}

static int want_ready(struct player *p)
{
	rs_autofree char *why = rs_reconcile_why_not_ready(p->s.rec);

	return !why == !strcmp(p->words[1], "yes") ? 0 : play_fail(p, "%s", why ? why : "ready");
}

/* due MS | never */
static int want_due(struct player *p)
{
	int64_t due = rs_reconcile_due(p->s.rec, p->s.now_ms);
	int64_t want = !strcmp(p->words[1], "never") ? -1 : strtol(p->words[1], NULL, 10);

	return due == want ? 0 : play_fail(p, "due in %lld", (long long)due);
}

/* ---- the table and the play ------------------------------------------------------------------ */

static const struct command {
	const char *name;
	size_t words; /* at least, with the name */
	int (*run)(struct player *p);
} commands[] = {
	{ "start", 1, do_start },
	{ "stop", 1, do_stop },
	{ "boot", 2, do_boot },
	{ "reboot", 1, do_reboot },
	{ "advance", 2, do_advance },
	{ "run", 1, do_run },
	{ "gc", 1, do_gc },
	{ "objects", 1, do_objects },
	{ "bad-objects", 2, do_bad_objects },
	{ "record", 4, do_record },
	{ "unlink", 2, do_unlink },
	{ "tombstone", 2, do_tombstone },
	{ "forget", 2, do_forget },
	{ "damage", 2, do_damage },
	{ "attach", 2, do_attach },
	{ "detach", 2, do_detach },
	{ "commits-fail", 2, do_commits_fail },
	{ "kernel-refuses", 2, do_kernel_refuses },
	{ "refuses-groups", 2, do_refuses_groups },
	{ "node-has", 2, do_node_has },
	{ "answer", 3, want_answer },
	{ "no-answer", 2, want_no_answer },
	{ "answers", 3, want_answers },
	{ "commits", 2, want_commits },
	{ "generation", 2, want_generation },
	{ "allow", 4, want_verdict },
	{ "deny", 4, want_verdict },
	{ "local", 3, want_local },
	{ "guard", 3, want_guard },
	{ "groups", 2, want_groups },
	{ "bumps", 2, want_bumps },
	{ "labels", 3, want_labels },
	{ "on-disk", 3, want_on_disk },
	{ "released", 3, want_released },
	{ "condition", 3, want_condition },
	{ "ready", 2, want_ready },
	{ "due", 2, want_due },
	{ "forget-objects", 1, do_forget_objects },
	{ "labels-from-api", 2, play_labels_from_api },
	{ "put", 1, play_put },
	{ "delete", 3, play_delete },
	{ "list", 2, play_list },
	{ "synced", 3, play_synced },
	{ "put-pods", 4, play_put_pods },
	{ "as-from-scratch", 1, play_as_from_scratch },
	{ "addresses", 2, play_addresses },
	{ "fresh-reads", 2, play_fresh_reads },
	{ "server-put", 1, play_server_put },
	{ "server-delete", 3, play_server_delete },
	{ "answer-reads", 1, play_answer_reads },
	{ "fail-reads", 2, play_fail_reads },
	{ "refuse-reads", 2, play_refuse_reads },
	{ "reads", 2, play_reads },
	{ "reads-waiting", 2, play_reads_waiting },
	{ "random", 3, play_random },
};

static int play_line(struct player *p, char *line)
{
	char *save = NULL;

	line[strcspn(line, "#\n")] = '\0';
	p->n = 0;
	for (char *w = strtok_r(line, " \t", &save); w && p->n < MAX_WORDS;
	     w = strtok_r(NULL, " \t", &save))
		p->words[p->n++] = w;
	if (!p->n)
		return 0;
	p->played++;
	for (size_t i = 0; i < RS_ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, p->words[0]))
			return p->n < commands[i].words ? play_fail(p, "too few words")
							: commands[i].run(p);
	return play_fail(p, "no command %s", p->words[0]);
}

static int play(struct player *p)
{
	char line[512];
	int rc = 0;

	while (rc == 0 && fgets(line, sizeof(line), p->story)) {
		rs_autofree char *shown = rs_strndup(line, strcspn(line, "\n"));
		int at = ++p->line;

		rc = play_line(p, line);
		if (rc < 0)
			printf("%s:%d: %s: %s\n", p->file, at, shown, p->why);
	}
	if (rc == 0 && (ferror(p->story) || !p->played)) {
		printf("%s: no story in it\n", p->file);
		rc = -1;
	}
	return rc;
}

static int play_file(const char *file)
{
	struct player p = { .file = file, .story = fopen(file, "re") };
	rs_auto_err err = { 0 };
	int rc;

	if (!p.story) {
		printf("%s: %s\n", file, strerror(errno));
		return -1;
	}
	rc = stage_open(&p.s, &err);
	if (rc < 0)
		printf("%s: %s\n", file, rs_err_str(&err));
	else
		rc = play(&p);
	stage_close(&p.s);
	fclose(p.story);
	free(p.why);
	printf("%-8s %s\n", rc < 0 ? "failed" : "passed", file);
	return rc;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;

	rs_log_setup((enum rs_log_level)(RS_LOG_ERROR + 1), false);
	for (int i = 1; i < argc; i++) {
		if (play_file(argv[i]) < 0)
			failed++;
		else
			passed++;
	}
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed || !passed;
}
