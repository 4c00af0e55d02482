/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - inside cli/: what the commands share.
 *
 * cli.c is the front door. commands.c holds the one table of verbs and flagtable.c that of flags:
 * parsing, help and suggestions all read them. A command asks the agent for one object and renders
 * it into a buffer that is written once, at the end: a failed command prints nothing on stdout.
 *
 * Two programs are made of it. They differ in cli_self and in cli_call(): `ripstop` asks the agent
 * of its node over the control socket, `kubectl-ripstop` (kubectl/) those of a cluster by kubectl.
 */
#ifndef RIPSTOP_CLI_H
#define RIPSTOP_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "base/jsonio.h"

/* Exit codes, part of the interface (docs/cli.md). */
enum cli_exit {
	CLI_YES = 0, /* allowed, ready, listed */
	CLI_NO = 1,  /* denied, not ready */
	CLI_USAGE = 2,
	CLI_NOT_FOUND = 3,
	CLI_NO_AGENT = 4, /* not reachable, refused, or no answer that can be used */
	CLI_PARTIAL = 5,  /* kubectl ripstop: some nodes did not answer */
	CLI_BAD_INPUT = 6,
	CLI_DISAGREES = 7, /* explain: the kernel does not do what the objects say */
	CLI_TIMEOUT = 124,
};

/* Forms of an answer; a command's `forms` says which it has. Words of -o in this order. */
enum cli_output {
	CLI_TABLE,
	CLI_WIDE,
	CLI_JSON,
	CLI_JSONL,
	CLI_YAML,
	CLI_NAME,
	CLI_CSV,
	CLI_MD,
	CLI_DOT,
	CLI_SVG,
	CLI_HTML,
	CLI_SARIF,
	CLI_JUNIT,
	CLI_HUBBLE,
	CLI_OUTPUTS,
};

#define CLI_FORM(o) (1u << (o))
#define CLI_FORMS_OBJECT (CLI_FORM(CLI_JSON) | CLI_FORM(CLI_JSONL) | CLI_FORM(CLI_YAML))
#define CLI_FORMS_TEXT (CLI_FORM(CLI_TABLE) | CLI_FORM(CLI_WIDE))
#define CLI_FORMS_WATCHED (CLI_FORMS_TEXT | CLI_FORMS_OBJECT)
#define CLI_FORMS_TABLE (CLI_FORMS_TEXT | CLI_FORM(CLI_CSV) | CLI_FORM(CLI_MD))

enum cli_expect {
	CLI_EXPECT_ALLOW,
	CLI_EXPECT_DENY,
};

/* What a row of a matrix stands for; the last two are those of top. */
enum cli_by {
	CLI_BY_WORKLOAD,
	CLI_BY_POD,
	CLI_BY_NS,
	CLI_BY_POLICY,
	CLI_BY_REASON,
};

enum cli_progress {
	CLI_PROGRESS_AUTO,
	CLI_PROGRESS_PLAIN,
	CLI_PROGRESS_NONE,
};

struct cli_options {
	const char *namespace;
	bool all_namespaces;
	enum cli_output output;
	bool no_headers;
	const char *socket; /* NULL: not given */
	int timeout_ms;	    /* 0: not given */
	int color;	    /* -1 auto, 0 never, 1 always */
	enum cli_expect expect;
	int family; /* 0, 4, 6 */
	bool help;
	bool version;
	const char **files; /* -f, as they were given */
	size_t n_files;
	bool recursive;
	bool kernel;
	bool repair;
	bool check;
	const char *state_dir; /* NULL: not given */
	bool explain;
	const char *cluster_cidr;
	enum cli_by by;
	bool by_given;
	const char *port;    /* NULL: every port */
	const char *against; /* of diff: a folder, "live", or NULL */
	const char *traffic; /* a file of flow records */
	bool show_all;
	bool watch;
	const char *severity;  /* lint's: the least one to tell; NULL: every one */
	const char **disabled; /* lint's: rules, as they were given */
	size_t n_disabled;
	const char *root; /* doctor's */
	const char *output_file;
	bool redact;
	int interval_ms; /* of -w; 0: not given */
	enum cli_progress progress;
	bool ascii;
	bool install;
	const char *selector; /* -l */
	const char *verdict;  /* monitor */
	const char *reason;
	const char *direction;
	bool follow;
	bool has_last;
	int last;
	int64_t since_ms;	     /* 0: not given */
	const char *peer;	     /* capture's: CIDR */
	int count;		     /* capture's; these three 0: not given */
	int64_t duration_ms;
	int snaplen;
	const char *sort_by;	     /* a column's name */
	const char *node;	     /* kubectl ripstop's */
	const char *agent_namespace; /* kubectl ripstop's */
	bool self;		     /* test */
	bool keep;
};

struct cli_command;
struct cli_flag;
struct kube;

struct cli_given {
	const struct cli_flag *flag;
	const char *value; /* NULL: it takes none */
};

struct cli_run {
	const struct cli_command *cmd;
	struct cli_options opt;
	char **operands;
	int n_operands;
	bool *named;  /* operands that cli_keep_named() has met */
	char **flags; /* as they go to kubectl: "--context=prod" */
	size_t n_flags;
	struct cli_given *given; /* every flag, in order */
	size_t n_given;
	bool colored;
	bool watching;
	size_t width;		  /* of the terminal; 0: lines are as long as they are */
	bool many;		  /* run once for each of several nodes */
	const char *at_node;	  /* of many, the one whose turn it is */
	size_t n_tables;	  /* written so far */
	int refused;		  /* an exit code: the answer could not be written as asked */
	struct json_object *list; /* objects go there, not to out */
	struct kube *kube;	  /* kubectl ripstop's */
	struct rs_strbuf out;
};

/* ---- program.c: what a program is, and how one runs ------------------------------------------ */

struct cli_live;
struct cli_wait;

struct cli_program {
	const char *name;   /* of the binary */
	const char *before; /* what is typed before "ripstop" */
	const char *about;
	const struct cli_flag *flags;
	int (*run)(struct cli_run *r);			      /* a verb that asks an agent */
	int (*live)(struct cli_run *r, struct cli_live *out); /* world/live.h */
	/* Walk the explained flow through this kernel's rules, into the answer; NULL: those that
	 * are asked do it. */
	int (*kernel)(struct json_object *answer, struct rs_err *err);
	/* Whether anybody listens at the socket; NULL: that is not ours to know. */
	bool (*agent_lives)(const struct cli_run *r);
	/* cli_wait_round() over a cluster; NULL: of this node. */
	int (*wait_round)(struct cli_run *r, struct cli_wait *w, struct json_object *nodes,
			  bool *done);
	/* See packets; NULL: whoever holds the pod does it (kubectl/kubecapture.c). */
	int (*capture)(struct cli_run *r);
};

extern const struct cli_program cli_self;
int cli_main(int argc, char **argv);
/* Write what is in out now. 0, or an exit code after the error was told. */
int cli_flush(struct cli_run *r);

/* ---- commands.c: the table of verbs ---------------------------------------------------------- */

struct cli_command {
	const char *name;
	const char *operands; /* "SRC DST PORT" */
	const char *help;     /* one sentence */
	const char *details;  /* further lines, may be NULL */
	const char *example;
	int min, max;	    /* operands */
	unsigned int flags; /* CLI_F_* that it takes besides the common ones */
	unsigned int forms; /* CLI_FORM() of each -o that it has */
	int (*run)(struct cli_run *r);
};

extern const struct cli_command cli_commands[];
const struct cli_command *cli_command_find(const char *name);
const char *cli_command_nearest(const char *name);

int cli_cmd_status(struct cli_run *r);
int cli_cmd_pods(struct cli_run *r);
int cli_cmd_policies(struct cli_run *r);
int cli_cmd_rules(struct cli_run *r);
int cli_cmd_explain(struct cli_run *r);
int cli_cmd_lint(struct cli_run *r);
int cli_cmd_doctor(struct cli_run *r);
int cli_cmd_top(struct cli_run *r);
int cli_cmd_bundle(struct cli_run *r);
int cli_cmd_capture(struct cli_run *r); /* only in ripstop */
int cli_cmd_matrix(struct cli_run *r);
int cli_cmd_diff(struct cli_run *r);
int cli_cmd_simulate(struct cli_run *r);
int cli_cmd_test(struct cli_run *r);
/* Whether what was given beside --self, or --keep, goes with it. 0, or an exit code after the error
 * was told. */
int cli_self_check(const struct cli_run *r);
int cli_cmd_verify(struct cli_run *r);
int cli_cmd_ipam(struct cli_run *r);
int cli_cmd_wait(struct cli_run *r);
int cli_cmd_monitor(struct cli_run *r);
int cli_cmd_version(struct cli_run *r);
int cli_cmd_completion(struct cli_run *r);
int cli_cmd_help(struct cli_run *r);

/* The table of verbs and flags, the codes too, as one object (`ripstop __table`). */
void cli_put_itself(struct cli_run *r);

/* ---- flagtable.c, flags.c: flags ------------------------------------------------------------- */

#define CLI_F_NAMESPACE 0x01u
#define CLI_F_ALL 0x02u
#define CLI_F_OUTPUT 0x04u
#define CLI_F_HEADERS 0x08u
#define CLI_F_AGENT 0x10u /* --socket, --timeout */
#define CLI_F_EXPLAIN 0x20u
#define CLI_F_COMMON 0x40u
#define CLI_F_FILES 0x80u /* -f, -R, --cluster-cidr */
#define CLI_F_MATRIX 0x100u
#define CLI_F_DIFF 0x200u
#define CLI_F_MONITOR 0x400u
#define CLI_F_VERIFY 0x800u
#define CLI_F_CAPTURE 0x1000u
#define CLI_F_BUNDLE 0x2000u
#define CLI_F_WATCH 0x4000u
#define CLI_F_TEST 0x8000u
#define CLI_F_LINT 0x10000u
#define CLI_F_KERNEL 0x20000u
#define CLI_F_TOP 0x40000u
#define CLI_F_LOCAL 0x80000u /* doctor */
#define CLI_F_IPAM 0x400000u
#define CLI_F_SORT 0x100000u
#define CLI_F_WHATIF 0x200000u /* --traffic, --all */
#define CLI_F_COMPLETION 0x10000000u
#define CLI_F_LABELS 0x20000000u
#define CLI_F_LIST                                                                               \
	(CLI_F_NAMESPACE | CLI_F_ALL | CLI_F_OUTPUT | CLI_F_HEADERS | CLI_F_AGENT | CLI_F_SORT | \
	 CLI_F_WATCH)

struct cli_flag {
	char letter; /* 0: none */
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *help;
	const char *example;
	unsigned int group;
	/* false: the value is none of those in arg. NULL: it goes to kubectl, as it is. */
	bool (*set)(struct cli_options *o, const char *value);
};

extern const struct cli_flag cli_flags[];

/* The flag that "--name", "--name=value", "-n" or "-nvalue" is; NULL when it is none. */
const struct cli_flag *cli_flag_of(const char *word);

/* Keep a flag for kubectl; value may be NULL. */
void cli_hand_on(struct cli_run *r, const struct cli_flag *f, const char *value);

/* "table, wide, json": the words of -o for a set of forms; the caller frees it. */
const char *cli_output_name(enum cli_output o);
char *cli_forms_text(unsigned int forms);

/* Sort argv into flags, the verb and its operands. 0, or an exit code after the error was told. */
int cli_parse(int argc, char **argv, struct cli_run *r);

/* Of the words that next() yields the one most like `word`; NULL when none is near. */
const char *cli_nearest(const char *word, const char *(*next)(size_t i));

/* ---- call.c, kubectl/kubeask.c: one question to the agent ------------------------------------ */

/* Ask; *result is an object of that kind. 0, or an exit code after the error was told. Takes
 * request. */
int cli_call(struct cli_run *r, struct json_object *request, const char *op, const char *kind,
	     struct json_object **result);

bool cli_agent_lives(const struct cli_run *r); /* only in ripstop */

/* ---- explain_kernel.c, kernel/kernelwalk.c: explain --kernel --------------------------------- */

/* Ask the kernel about what *o explains. A difference counts once it is there twice: the agent is
 * asked again (with request()) meanwhile. 0, or an exit code after the error was told. */
int cli_kernel_compare(struct cli_run *r, struct json_object *(*request)(const struct cli_run *),
		       struct json_object **o);
void cli_kernel_put(struct cli_run *r, struct json_object *o);
/* code, or CLI_DISAGREES after that was told. */
int cli_kernel_exit(struct json_object *o, int code);
int cli_kernel_walk(struct json_object *answer, struct rs_err *err); /* only in ripstop */

/* ---- say.c: errors, and names of objects ----------------------------------------------------- */

/* "ripstop: MESSAGE" and, on a line of its own, the hint. Escaped. */
void cli_error(const char *hint, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What is said goes there instead of to stderr; NULL: to stderr. Borrowed. */
void cli_say_into(struct rs_strbuf *b);

/* What follows is about that node; NULL: about none. Borrowed. */
void cli_speak_of(const char *node);

/* Whether a plain pod name, without a namespace, an address or a word with a meaning of its own. */
bool cli_is_plain_name(const char *operand);

/* The operand, with the namespace of -n before a plain name; the caller frees it. */
char *cli_qualified(const struct cli_run *r, const char *operand);

/* Keep only the items of -n's namespace that an operand names ([NS/]NAME), all of them when there
 * is no operand; the first operand that names none goes to *missing, unless another node may. */
void cli_keep_named(const struct cli_run *r, struct json_object *list, const char **missing);

/* ---- labelwords.c ---------------------------------------------------------------------------- */

/* "app=api,tier!=be,env in (a,b),!x" */
bool cli_is_selector(const char *text);

/* Keep only the items whose labels -l selects; all of them without it. */
void cli_keep_labeled(const struct cli_run *r, struct json_object *list);

/* ---- cmd_capture.c --------------------------------------------------------------------------- */

/* What --peer is: an address or a CIDR. */
int cli_peer_parse(const char *text, struct rs_cidr *out, struct rs_err *err);

/* ---- bundle/bundle.c: archives --------------------------------------------------------------- */

/* What is no text may go where -O says: not to a terminal. 0, or an exit code after the error was
 * told. */
int cli_bundle_check(struct cli_run *r);
/* "ripstop-KIND-WHAT-20261122T003107Z", nothing but letters, digits, -, _ and . in it. */
char *cli_stamped_name(const char *kind, const char *what);
char *cli_bundle_name(const char *what);
/* A file of ours alone; never over another one. 0, or an exit code after the error was told. */
int cli_new_file(const char *path, int *fd);
/* Write it there, else as NAME.tar.gz, a file of ours alone; "wrote FILE (N kB)" goes to r->out. */
int cli_bundle_put(struct cli_run *r, const char *name, const struct rs_strbuf *data);

/* ---- progress.c: what takes longer than half a second ---------------------------------------- */

/*
 * A bar on stderr when that is a terminal and --progress is not none; with --progress plain a line
 * at most every 5 s, wherever stderr goes. `what` is a few words ("reading files"), borrowed until
 * the end; total 0: nobody knows of how many. A step says how many are done; it costs some 30 ns,
 * so call it in every round. One progress at a time; the first half second is silent.
 */
void cli_progress_begin(const struct cli_run *r, const char *what, size_t total);
void cli_progress_step(size_t done);
void cli_progress_end(void);
void cli_progress_hide(void); /* before anything else is written to the terminal */

/* ---- printer.c: text into r->out ------------------------------------------------------------- */

enum cli_color {
	CLI_PLAIN,
	CLI_GOOD,
	CLI_BAD,
	CLI_WARN,
};

void cli_put(struct cli_run *r, const char *text);	/* ours */
void cli_put_safe(struct cli_run *r, const char *text); /* from an object */
void cli_putf(struct cli_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_put_colored(struct cli_run *r, enum cli_color color, const char *text); /* ours */

/* Text of a member for a table: escaped, "-" when absent or empty; the caller frees it. */
char *cli_cell(struct json_object *o, const char *key);
/* Items of an array of strings, escaped and joined; "-" when there are none. */
char *cli_cell_list(struct json_object *o, const char *key, const char *sep);
char *cli_cell_number(struct json_object *o, const char *key);
char *cli_cell_labels(struct json_object *labels);
size_t cli_count(struct json_object *o, const char *key);
bool cli_true(struct json_object *o, const char *key);

/* ---- put_object.c: whole objects into r->out ------------------------------------------------- */

/*
 * Whether -o asks for the object itself; then cli_put_object() writes it as JSON, JSON Lines (the
 * items of a list one a line, other objects on one line), YAML or names (NS/NAME of each item), as
 * asked. Nothing is lost: what could steer a terminal is written as \uXXXX. Of the answers of many
 * nodes the items are written in turn, each with its `node`.
 */
bool cli_wants_object(const struct cli_run *r);
void cli_put_object(struct cli_run *r, struct json_object *o);

/* ---- put_table.c: tables into r->out --------------------------------------------------------- */

/* Whether -o asks for tables and nothing around them (CSV, Markdown): then a command writes no
 * other text, and one table. */
bool cli_only_tables(const struct cli_run *r);

struct cli_table;
struct cli_column {
	const char *name;
	bool right;
};

/* A table of n columns of which those from first to before last are shown; CSV has all of them. The
 * names of columns are borrowed. */
struct cli_table *cli_table_new(const struct cli_column *columns, size_t n, size_t first,
				size_t last);
/* A row of n cells, which it takes; NULL is "-". */
void cli_table_row(struct cli_table *t, char **cells);
/* Colour a cell of the last row. */
void cli_table_color(struct cli_table *t, size_t column, enum cli_color color);
/* Print it into r->out as -o and --sort-by say, every line for people after indent, and free it. On
 * a terminal that is too narrow long cells go on below; nothing is ever cut off. */
void cli_table_end(struct cli_run *r, struct cli_table *t, const char *indent, bool headers);

#endif
