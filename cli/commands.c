// SPDX-License-Identifier: Apache-2.0
/* commands.c - the one table of verbs. */
#include "cli/cli.h"

#include <limits.h>
#include <string.h>

const struct cli_command cli_commands[] = {
	{ "status", "", "what the agent of this node does and how it is",
	  "Exit code 0 when the node is ready, 1 when it is not.", "ripstop status", 0, 0,
	  CLI_F_OUTPUT | CLI_F_AGENT | CLI_F_WATCH, CLI_FORMS_TEXT | CLI_FORMS_OBJECT,
	  cli_cmd_status },
	{ "pods", "[[NS/]NAME...]", "the pods of this node: addresses, isolation, state",
	  "Without -n those of every namespace. With -f those of manifests, and workloads, which\n"
	  "stand for their pods.",
	  "ripstop pods -n shop", 0, INT_MAX, CLI_F_LIST | CLI_F_LABELS | CLI_F_FILES,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_NAME), cli_cmd_pods },
	{ "policies", "[[NS/]NAME]", "the policies, and the pods of this node that each selects",
	  NULL, "ripstop policies shop/default-deny", 0, 1, CLI_F_LIST | CLI_F_FILES,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_NAME), cli_cmd_policies },
	{ "rules", "[NS/]POD", "who may reach a pod, whom it may reach, and by which rule", NULL,
	  "ripstop rules shop/db-0", 1, 1,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_SORT | CLI_F_WATCH |
		  CLI_F_FILES,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT, cli_cmd_rules },
	{ "explain", "SRC DST PORT", "the verdict on one flow, step by step, and why",
	  "SRC and DST are pods ([NS/]NAME), addresses, node (this node itself) or world (an\n"
	  "address that is nobody's). PORT is 5432 (TCP), tcp/5432, udp/53, sctp/9 or icmp.\n"
	  "Also workloads (deploy/NS/NAME, sts, ds, rs, job, cronjob), ranges (10.0.0.0/8), pods\n"
	  "that are none ('app=api,tier=be@NS'), node/NAME, and svc/NS/NAME as DST (with -f, or "
	  "by\n"
	  "kubectl ripstop). PORT may be a range (tcp/8000-8100) or a name that DST declares.\n"
	  "Exit code 0 when the flow is allowed, 1 when it is denied. With --kernel the packets "
	  "are\n"
	  "walked through the rules that the kernel holds; 7 when they do something else.",
	  "ripstop explain shop/web shop/db-0 5432", 3, 3,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_AGENT | CLI_F_EXPLAIN | CLI_F_WATCH | CLI_F_FILES |
		  CLI_F_KERNEL,
	  CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_explain },
	{ "lint", "", "mistakes in the NetworkPolicies of files, with file:line:column",
	  "Reads -f and asks no agent. A selector that matches nothing is told only where pods of\n"
	  "that namespace are among the files; workloads stand for their pods. Exit code 1 when\n"
	  "there is a warning or an error, 0 when there are notes only. A policy switches a rule\n"
	  "off with the annotation or comment ripstop.dev/lint-ignore: RULE[,RULE].",
	  "ripstop lint -f k8s/ -R", 0, 0,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_SORT | CLI_F_FILES | CLI_F_LINT,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_SARIF), cli_cmd_lint },
	{ "doctor", "",
	  "is this machine as Ripstop needs it: kernel, CNI, sysctls, other rules, agent",
	  "Reads only, runs no program and needs no agent. Each line says what was found; one "
	  "that\n"
	  "is not ok says why it matters and what to do. -o wide gives the reason of every line.\n"
	  "Exit code 0 when nothing must be mended, 1 when a line says fail.",
	  "ripstop doctor", 0, 0, CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_LOCAL,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT, cli_cmd_doctor },
	{ "matrix", "", "who reaches whom: all against all, and from and to the world outside",
	  "Rows are clients, columns servers. Without --port a cell says whether all ports are\n"
	  "open, some or none; -o wide says which. With -n NAMESPACE the others are one row each.\n"
	  "-o html makes one page that needs no network: look, filter, click a cell for its "
	  "reason.",
	  "ripstop matrix -f k8s/ -o html > reach.html", 0, 0,
	  CLI_F_NAMESPACE | CLI_F_ALL | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_FILES |
		  CLI_F_MATRIX,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_DOT) | CLI_FORM(CLI_SVG) |
		  CLI_FORM(CLI_HTML),
	  cli_cmd_matrix },
	{ "diff", "", "what a change of manifests opens and closes, before it is applied",
	  "-f is put over what is live, or compared as it stands with --against FOLDER. A pair is\n"
	  "lost, gained or changed; with --traffic those that are in use come first. Pods and\n"
	  "workloads that are on one side only are listed apart.\n"
	  "Exit code 0 when nothing differs, 1 when something does.",
	  "ripstop diff -f new/ --against k8s/", 0, 0,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_FILES | CLI_F_DIFF |
		  CLI_F_WHATIF,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT, cli_cmd_diff },
	{ "simulate", "", "who reaches whom by these manifests, without a cluster",
	  "Clients that may open the same at a server, by the same rules, share a line. With\n"
	  "--traffic the flows of a file of records are judged instead.\n"
	  "Exit code 1 when one of those flows is denied.",
	  "ripstop simulate -f k8s/", 0, 0,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_FILES | CLI_F_WHATIF,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT, cli_cmd_simulate },
	{ "test", "", "assertions about who reaches whom: allow or deny, each ok or FAIL",
	  "-f names files of kind NetworkPolicyTest, and the manifests that they are about (or\n"
	  "the file lists them under manifests:); without manifests it asks what is live.\n"
	  "Exit code 0 when all pass, 1 when one fails, 6 when a file cannot be read.\n"
	  "kubectl ripstop test --self is another test, of an installation: two pods of our own\n"
	  "image in a namespace of its own, policies that deny and allow, and packets. All of it\n"
	  "is removed again. --timeout bounds each wait, for the pods (120) and a policy (30).\n"
	  "7 when packets fare otherwise than explain says.",
	  "ripstop test -f tests.yaml -f k8s/", 0, 0,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_FILES | CLI_F_TEST,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT | CLI_FORM(CLI_JUNIT), cli_cmd_test },
	{ "verify", "", "the kernel's rules against what the agent committed, and who changed them",
	  "It changes nothing without --repair. The agent repairs what others change by itself\n"
	  "(unless its option repair is off): what it has mended is shown.\n"
	  "Exit code 0 when both are the same, 1 when they differ.",
	  "ripstop verify --explain", 0, 0,
	  CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_VERIFY,
	  CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_verify },
	{ "wait", "policy/NS/NAME|pod/NS/NAME",
	  "return when a policy, or a pod's rules, are in force",
	  "A policy is in force on a node when the last commit there held it as the agent knows "
	  "it\n"
	  "and every pod that it selects is programmed; kubectl ripstop wait takes UID and "
	  "generation\n"
	  "from the API server and asks every node. --timeout bounds the whole (30).\n"
	  "Exit code 0 when it is, 124 when the time is up, 3 when there is no such object.",
	  "ripstop wait policy/shop/default-deny --timeout 10", 1, 1,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_AGENT, CLI_FORMS_TEXT | CLI_FORMS_OBJECT,
	  cli_cmd_wait },
	{ "ipam", "", "the addresses of this node: held, resting, free; and leaks",
	  "The agent is asked; where none lives, its state folder is read. Nothing is changed.\n"
	  "A released address rests before it is given out again: 30 s are assumed here.\n"
	  "Exit code 0; with --check 1 when there are leaks.",
	  "ripstop ipam --check", 0, 0, CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_IPAM,
	  CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_ipam },
	{ "top", "", "what is dropped now, and most: by reason, by pod or by policy",
	  "On a terminal again and again (--interval), else once, over one second. By reason\n"
	  "packets are counted; by pod and by policy drop records, of which the kernel makes a\n"
	  "bounded number a second and pod. A packet that two policies refuse counts for both.",
	  "ripstop top --by pod", 0, 0,
	  CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_TOP | CLI_F_WATCH | CLI_F_SORT,
	  CLI_FORMS_TABLE | CLI_FORMS_OBJECT, cli_cmd_top },
	{ "bundle", "", "one archive for those who help: state, rules, objects, kernel, doctor",
	  "A tar.gz with a MANIFEST.json that lists what is in it, what was left out, and why. It\n"
	  "never holds Secrets, environment variables, payloads of packets or flows. Exit code 0, "
	  "or\n"
	  "5 when a part could not be had (stderr and the manifest say which).",
	  "ripstop bundle --redact", 0, 0, CLI_F_AGENT | CLI_F_BUNDLE, CLI_FORM(CLI_TABLE),
	  cli_cmd_bundle },
	{ "monitor", "[[NS/]POD]", "the packets that were dropped, one line a record",
	  "The last 20 records, of POD or of a namespace (-n) where one is given. The kernel "
	  "makes\n"
	  "at most so many records a second and pod (the agent's log-rate); the last line counts\n"
	  "what was dropped without one.",
	  "ripstop monitor shop/db-0 --since 5m", 0, 1,
	  CLI_F_NAMESPACE | CLI_F_OUTPUT | CLI_F_AGENT | CLI_F_MONITOR,
	  CLI_FORMS_TEXT | CLI_FORMS_OBJECT | CLI_FORM(CLI_HUBBLE), cli_cmd_monitor },
	{ "capture", "[NS/]POD", "the packets of a pod of this node, each with its verdict",
	  "A pcapng file, for wireshark or tcpdump -r; a packet's comment says whether Ripstop "
	  "let\n"
	  "it pass, and why not. Packets are copied by rules of their own (NFLOG; CAP_NET_ADMIN),\n"
	  "which end with this command, its time or its number, whatever comes first.",
	  "ripstop capture shop/db-0 --dropped --port tcp/5432 -c 100 -O db.pcapng", 1, 1,
	  CLI_F_NAMESPACE | CLI_F_AGENT | CLI_F_CAPTURE, CLI_FORM(CLI_TABLE), cli_cmd_capture },
	{ "version", "", "the versions of this program and of the agent", NULL, "ripstop version",
	  0, 0, CLI_F_OUTPUT | CLI_F_AGENT, CLI_FORMS_TEXT | CLI_FORMS_OBJECT, cli_cmd_version },
	{ "completion", "bash|zsh|fish|kubectl",
	  "what makes a shell complete ripstop's words by TAB",
	  "Verbs, flags, their values, and the names of pods, policies and namespaces, for which "
	  "the\n"
	  "agent is asked. For one shell, at its prompt: source <(ripstop completion bash). For "
	  "all:\n"
	  "ripstop completion bash >/etc/bash_completion.d/ripstop. kubectl ripstop is completed "
	  "by\n"
	  "kubectl's own completion and a program that --install writes.",
	  "ripstop completion bash", 1, 1, CLI_F_COMPLETION, CLI_FORM(CLI_TABLE),
	  cli_cmd_completion },
	{ "help", "[VERB]", "this text, or what a verb does", NULL, "ripstop help explain", 0, 1, 0,
	  CLI_FORM(CLI_TABLE), cli_cmd_help },
	{ 0 },
};

static const char *command_name(size_t i)
{
	return cli_commands[i].name;
}

const struct cli_command *cli_command_find(const char *name)
{
	const struct cli_command *c;

	for (c = cli_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

const char *cli_command_nearest(const char *name)
{
	return cli_nearest(name, command_name);
}
