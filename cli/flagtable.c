// SPDX-License-Identifier: Apache-2.0
/* flagtable.c - the one table of flags, and what each of them sets. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COUNT 100000
#define MAX_SNAPLEN 65000
#define MAX_DURATION_MS 3600000

static bool set_namespace(struct cli_options *o, const char *v)
{
	o->namespace = v;
	return *v && !strchr(v, '/');
}

static bool set_all(struct cli_options *o, const char *v)
{
	(void)v;
	return o->all_namespaces = true;
}

static const char *const names[CLI_OUTPUTS] = {
	"table", "wide", "json", "jsonl", "yaml",  "name",  "csv",
	"md",	 "dot",	 "svg",	 "html",  "sarif", "junit", "hubble",
};

static bool set_output(struct cli_options *o, const char *v)
{
	size_t i;

	for (i = 0; i < CLI_OUTPUTS; i++)
		if (!strcmp(v, names[i])) {
			o->output = (enum cli_output)i;
			return true;
		}
	return false;
}

const char *cli_output_name(enum cli_output o)
{
	return names[o];
}

char *cli_forms_text(unsigned int forms)
{
	rs_auto_strbuf b = { 0 };
	unsigned int i;

	for (i = 0; i < CLI_OUTPUTS; i++)
		if (forms & CLI_FORM(i))
			rs_strbuf_printf(&b, "%s%s", b.len ? ", " : "", names[i]);
	return rs_strbuf_steal(&b);
}

static bool set_sort_by(struct cli_options *o, const char *v)
{
	o->sort_by = v;
	return *v != '\0';
}

static bool set_selector(struct cli_options *o, const char *v)
{
	o->selector = v;
	return cli_is_selector(v);
}

static bool set_no_headers(struct cli_options *o, const char *v)
{
	(void)v;
	return o->no_headers = true;
}

static bool set_socket(struct cli_options *o, const char *v)
{
	o->socket = v;
	return *v != '\0';
}

/* Seconds, or with a unit: 5, 5s, 500ms. */
static bool set_ms(int *ms, const char *v)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	if (end == v || *v < '0' || *v > '9' || errno || n <= 0 || n > 86400000)
		return false;
	if (strcmp(end, "ms")) {
		if ((*end && strcmp(end, "s")) || n > 86400)
			return false;
		n *= 1000;
	}
	*ms = (int)n;
	return true;
}

static bool set_timeout(struct cli_options *o, const char *v)
{
	return set_ms(&o->timeout_ms, v);
}

static bool set_interval(struct cli_options *o, const char *v)
{
	return set_ms(&o->interval_ms, v) && o->interval_ms >= 100;
}

static bool set_progress(struct cli_options *o, const char *v)
{
	static const char *const words[] = { "auto", "plain", "none" };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(v, words[i])) {
			o->progress = (enum cli_progress)i;
			return true;
		}
	return false;
}

static bool set_ascii(struct cli_options *o, const char *v)
{
	(void)v;
	return o->ascii = true;
}

static bool set_color(struct cli_options *o, const char *v)
{
	if (!strcmp(v, "auto"))
		o->color = -1;
	else if (!strcmp(v, "always"))
		o->color = 1;
	else if (!strcmp(v, "never"))
		o->color = 0;
	else
		return false;
	return true;
}

static bool set_expect(struct cli_options *o, const char *v)
{
	o->expect = !strcmp(v, "deny") ? CLI_EXPECT_DENY : CLI_EXPECT_ALLOW;
	return !strcmp(v, "deny") || !strcmp(v, "allow");
}

static bool set_family(struct cli_options *o, const char *v)
{
	o->family = !strcmp(v, "6") ? 6 : 4;
	return !strcmp(v, "4") || !strcmp(v, "6");
}

static bool set_file(struct cli_options *o, const char *v)
{
	o->files = rs_reallocarray(o->files, o->n_files + 1, sizeof(*o->files));
	o->files[o->n_files++] = v;
	return *v != '\0';
}

static bool set_recursive(struct cli_options *o, const char *v)
{
	(void)v;
	return o->recursive = true;
}

static bool set_cluster_cidr(struct cli_options *o, const char *v)
{
	o->cluster_cidr = v;
	return *v != '\0';
}

static bool set_by(struct cli_options *o, const char *v)
{
	static const char *const words[] = { "workload", "pod", "ns", "policy", "reason" };
	size_t i;

	for (i = 0; i < RS_ARRAY_SIZE(words); i++)
		if (!strcmp(v, words[i])) {
			o->by = (enum cli_by)i;
			o->by_given = true;
			return true;
		}
	return false;
}

static bool set_port(struct cli_options *o, const char *v)
{
	o->port = v;
	return *v != '\0';
}

static bool set_against(struct cli_options *o, const char *v)
{
	o->against = v;
	return *v != '\0';
}

static bool set_traffic(struct cli_options *o, const char *v)
{
	o->traffic = v;
	return *v != '\0';
}

static bool set_show_all(struct cli_options *o, const char *v)
{
	(void)v;
	return o->show_all = true;
}

static bool set_watch(struct cli_options *o, const char *v)
{
	(void)v;
	return o->watch = true;
}

static bool set_severity(struct cli_options *o, const char *v)
{
	o->severity = v;
	return !strcmp(v, "note") || !strcmp(v, "warning") || !strcmp(v, "error");
}

static bool set_disable(struct cli_options *o, const char *v)
{
	o->disabled = rs_reallocarray(o->disabled, o->n_disabled + 1, sizeof(*o->disabled));
	o->disabled[o->n_disabled++] = v;
	return *v != '\0';
}

static bool set_kernel(struct cli_options *o, const char *v)
{
	(void)v;
	return o->kernel = true;
}

static bool set_repair(struct cli_options *o, const char *v)
{
	(void)v;
	return o->repair = true;
}

static bool set_explain(struct cli_options *o, const char *v)
{
	(void)v;
	return o->explain = true;
}

static bool set_check(struct cli_options *o, const char *v)
{
	(void)v;
	return o->check = true;
}

static bool set_install(struct cli_options *o, const char *v)
{
	(void)v;
	return o->install = true;
}

static bool set_root(struct cli_options *o, const char *v)
{
	o->root = v;
	return *v != '\0';
}

static bool set_state_dir(struct cli_options *o, const char *v)
{
	o->state_dir = v;
	return *v != '\0';
}

static bool set_output_file(struct cli_options *o, const char *v)
{
	o->output_file = v;
	return *v != '\0';
}

static bool set_redact(struct cli_options *o, const char *v)
{
	(void)v;
	return o->redact = true;
}

static bool set_dropped(struct cli_options *o, const char *v)
{
	(void)v;
	o->verdict = "dropped";
	return true;
}

static bool set_verdict(struct cli_options *o, const char *v)
{
	o->verdict = v;
	return *v != '\0';
}

static bool set_reason(struct cli_options *o, const char *v)
{
	o->reason = v;
	return *v != '\0';
}

static bool set_direction(struct cli_options *o, const char *v)
{
	o->direction = v;
	return !strcmp(v, "ingress") || !strcmp(v, "egress");
}

static bool set_follow(struct cli_options *o, const char *v)
{
	(void)v;
	return o->follow = true;
}

static bool set_last(struct cli_options *o, const char *v)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	o->last = (int)n;
	o->has_last = true;
	return *v >= '0' && *v <= '9' && !*end && !errno && n <= 1000000;
}

/* 90, 90s, 5m, 2h, 1d. */
static bool span(const char *v, int64_t *ms)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	unit = *end ? strchr(units, *end) : units;
	if (*v < '0' || *v > '9' || errno || n <= 0 || !unit || (*end && end[1]) ||
	    n > 366 * 86400L / seconds[unit - units])
		return false;
	*ms = n * seconds[unit - units] * 1000;
	return true;
}

static bool set_since(struct cli_options *o, const char *v)
{
	return span(v, &o->since_ms);
}

static bool set_duration(struct cli_options *o, const char *v)
{
	return span(v, &o->duration_ms) && o->duration_ms <= MAX_DURATION_MS;
}

static bool set_peer(struct cli_options *o, const char *v)
{
	o->peer = v;
	return *v != '\0';
}

static bool bounded(const char *v, long max, int *out)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(v, &end, 10);
	*out = (int)n;
	return *v >= '0' && *v <= '9' && !*end && !errno && n > 0 && n <= max;
}

static bool set_count(struct cli_options *o, const char *v)
{
	return bounded(v, MAX_COUNT, &o->count);
}

static bool set_snaplen(struct cli_options *o, const char *v)
{
	return bounded(v, MAX_SNAPLEN, &o->snaplen);
}

static bool set_self(struct cli_options *o, const char *v)
{
	(void)v;
	return o->self = true;
}

static bool set_keep(struct cli_options *o, const char *v)
{
	(void)v;
	return o->keep = true;
}

static bool set_help(struct cli_options *o, const char *v)
{
	(void)v;
	return o->help = true;
}

static bool set_version(struct cli_options *o, const char *v)
{
	(void)v;
	return o->version = true;
}

const struct cli_flag cli_flags[] = {
	{ 'n', "namespace", "NAME", "the namespace of plain names, and the only one to list",
	  "ripstop pods -n shop", CLI_F_NAMESPACE, set_namespace },
	{ 'A', "all-namespaces", NULL, "list every namespace (what happens without -n)",
	  "ripstop pods -A", CLI_F_ALL, set_all },
	{ 'l', "selector", "LABELS", "only those with these labels, as kubectl writes it",
	  "ripstop pods -l 'app=api,tier!=be'", CLI_F_LABELS, set_selector },
	{ 'o', "output", "FORM", "form of the answer; a verb's help says which it has",
	  "ripstop status -o json", CLI_F_OUTPUT, set_output },
	{ 0, "no-headers", NULL, "no line of column names", "ripstop pods --no-headers",
	  CLI_F_HEADERS, set_no_headers },
	{ 0, "sort-by", "COLUMN", "sort the table by a column, numbers by value",
	  "ripstop pods --sort-by policies", CLI_F_SORT, set_sort_by },
	{ 'f', "filename", "PATH", "ask files instead of an agent: a file, a folder, or - (stdin)",
	  "ripstop explain -f k8s/ shop/web shop/db 5432", CLI_F_FILES, set_file },
	{ 'R', "recursive", NULL, "go into the folders of a folder too", "ripstop lint -R -f k8s/",
	  CLI_F_FILES, set_recursive },
	{ 0, "cluster-cidr", "CIDR[,CIDR]",
	  "the cluster's pod ranges, where pods without an address stand (10.244.0.0/16)",
	  "ripstop matrix -f k8s/ --cluster-cidr 10.0.0.0/8", CLI_F_FILES, set_cluster_cidr },
	{ 0, "against", "live|PATH",
	  "what -f is compared with (live: what the agent or cluster has)",
	  "ripstop diff -f new/ --against k8s/", CLI_F_DIFF, set_against },
	{ 0, "traffic", "FILE", "flow records as JSON Lines (Hubble's field names): what is in use",
	  "ripstop diff -f new/ --traffic flows.jsonl", CLI_F_WHATIF, set_traffic },
	{ 0, "all", NULL, "more pairs than the first of a section",
	  "ripstop diff -f new/ --against k8s/ --all", CLI_F_WHATIF, set_show_all },
	{ 0, "by", "pod|workload|ns|policy|reason",
	  "what a row stands for (pod, workload, ns; of top: reason, pod, policy)",
	  "ripstop matrix -f k8s/ --by ns", CLI_F_MATRIX | CLI_F_WHATIF | CLI_F_TOP, set_by },
	{ 0, "port", "PORT", "judge this port only: 5432, tcp/5432, udp/53, http, tcp/1-1024, icmp",
	  "ripstop matrix -f k8s/ --port tcp/5432", CLI_F_MATRIX | CLI_F_CAPTURE, set_port },
	{ 0, "peer", "ADDRESS|CIDR", "packets to or from these addresses only, as policy sees them",
	  "ripstop capture shop/db-0 --peer 10.0.3.0/24", CLI_F_CAPTURE, set_peer },
	{ 'c', "count", "N", "end after so many packets (1000; at most 100000)",
	  "ripstop capture shop/db-0 -c 100", CLI_F_CAPTURE, set_count },
	{ 0, "duration", "TIME", "end after 90, 90s or 5m, however few came (1m; at most 1h)",
	  "ripstop capture shop/db-0 --duration 5m", CLI_F_CAPTURE, set_duration },
	{ 0, "snaplen", "BYTES",
	  "so much of each packet, from its IP header on (256; at most 65000)",
	  "ripstop capture shop/db-0 --snaplen 1500", CLI_F_CAPTURE, set_snaplen },
	{ 'w', "watch", NULL, "show it again and again until interrupted", "ripstop status -w",
	  CLI_F_WATCH, set_watch },
	{ 0, "severity", "note|warning|error", "the least findings to tell (note)",
	  "ripstop lint -f k8s/ --severity warning", CLI_F_LINT, set_severity },
	{ 0, "disable", "RULE[,RULE]", "rules that are not looked at; may be given again",
	  "ripstop lint -f k8s/ --disable no-dns,sctp", CLI_F_LINT, set_disable },
	{ 'O', "output-file", "FILE", "where it goes: a file that is not there yet, or - (stdout)",
	  "ripstop bundle -O /tmp/n1.tar.gz", CLI_F_BUNDLE | CLI_F_CAPTURE, set_output_file },
	{ 0, "redact", NULL, "hashes in place of names, labels, file names and addresses",
	  "ripstop bundle --redact", CLI_F_BUNDLE, set_redact },
	{ 0, "root", "DIR", "look at the machine whose files lie there, not at this one",
	  "ripstop doctor --root /mnt", CLI_F_LOCAL, set_root },
	{ 0, "interval", "SECONDS", "with -w: how long from one answer to the next (2; also 500ms)",
	  "ripstop pods -w --interval 10", CLI_F_WATCH, set_interval },
	{ 0, "socket", "PATH", "control socket of the agent (/run/ripstop/agent.sock)",
	  "ripstop status --socket /tmp/n1/agent.sock", CLI_F_AGENT, set_socket },
	{ 0, "timeout", "SECONDS", "how long to wait for the agent (5; also 500ms)",
	  "ripstop status --timeout 1", CLI_F_AGENT, set_timeout },
	{ 0, "expect", "allow|deny", "the verdict that is exit code 0 (allow)",
	  "ripstop explain shop/web shop/db 5432 --expect deny", CLI_F_EXPLAIN, set_expect },
	{ 0, "family", "4|6", "the addresses to judge where an end has both",
	  "ripstop explain shop/web shop/db 5432 --family 6", CLI_F_EXPLAIN | CLI_F_MATRIX,
	  set_family },
	{ 0, "kernel", NULL, "ask the rules in the kernel too (needs CAP_NET_ADMIN)",
	  "ripstop explain shop/web shop/db 5432 --kernel", CLI_F_KERNEL, set_kernel },
	{ 0, "repair", NULL, "have the agent commit anew what differs", "ripstop verify --repair",
	  CLI_F_VERIFY, set_repair },
	{ 0, "explain", NULL, "say what each difference does to traffic",
	  "ripstop verify --explain", CLI_F_VERIFY, set_explain },
	{ 0, "check", NULL, "compare leases with records, links and the CNI cache; list leaks",
	  "ripstop ipam --check", CLI_F_IPAM, set_check },
	{ 0, "state-dir", "DIR",
	  "read this state folder instead of asking the agent (/run/ripstop)",
	  "ripstop ipam --state-dir /tmp/n1/state", CLI_F_IPAM | CLI_F_CAPTURE, set_state_dir },
	{ 0, "install", NULL, "kubectl: write kubectl_complete-ripstop beside kubectl-ripstop",
	  "ripstop completion kubectl --install", CLI_F_COMPLETION, set_install },
	{ 0, "dropped", NULL, "dropped packets only (monitor has records of no others)",
	  "ripstop monitor --dropped", CLI_F_MONITOR | CLI_F_CAPTURE, set_dropped },
	{ 0, "verdict", "dropped", "packets with this verdict only",
	  "ripstop monitor --verdict dropped", CLI_F_MONITOR, set_verdict },
	{ 0, "reason", "REASON", "drops of this reason only, such as policy-ingress or spoofed",
	  "ripstop monitor --reason policy-egress", CLI_F_MONITOR, set_reason },
	{ 0, "direction", "ingress|egress", "drops at this end only: towards a pod, or from it",
	  "ripstop monitor --direction egress", CLI_F_MONITOR, set_direction },
	{ 0, "follow", NULL, "wait for more until interrupted", "ripstop monitor --follow",
	  CLI_F_MONITOR, set_follow },
	{ 0, "since", "TIME", "records of the last 90, 90s, 5m, 2h or 1d",
	  "ripstop monitor --since 5m", CLI_F_MONITOR, set_since },
	{ 0, "last", "N", "the last N records that fit (20; with --since all)",
	  "ripstop monitor --last 100", CLI_F_MONITOR, set_last },
	{ 0, "self", NULL, "kubectl ripstop: pods of our own, policies and packets between them",
	  "ripstop test --self", CLI_F_TEST, set_self },
	{ 0, "keep", NULL, "leave what --self made, to look at it", "ripstop test --self --keep",
	  CLI_F_TEST, set_keep },
	{ 0, "color", "auto|always|never",
	  "colours (auto: on a terminal or with CLICOLOR_FORCE, without NO_COLOR)",
	  "ripstop rules shop/db --color always", CLI_F_COMMON, set_color },
	{ 0, "progress", "auto|plain|none",
	  "what long work says on stderr (auto: a bar, on a terminal; plain: a line every 5 s)",
	  "ripstop pods --progress none", CLI_F_COMMON, set_progress },
	{ 0, "ascii", NULL, "no letters but those of ASCII, as where the locale is not UTF-8",
	  "ripstop status --ascii", CLI_F_COMMON, set_ascii },
	{ 'h', "help", NULL, "help for ripstop or for a verb", "ripstop explain --help",
	  CLI_F_COMMON, set_help },
	{ 0, "version", NULL, "version of this program", "ripstop --version", CLI_F_COMMON,
	  set_version },
	{ 0 },
};
