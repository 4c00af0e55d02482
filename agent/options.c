// SPDX-License-Identifier: Apache-2.0
/* options.c - one table makes the flags, the variables, the file's keys and --help; see
 * options.h. */
#include "agent/options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <ripstop/endpoint.h>

#include "agent/conffile.h"

enum type {
	TEXT,
	BOOL,
	NUMBER,
	MASK,
	RANGES,
	BLOCKS, /* ranges of any addresses */
	CHOICE,
};

struct option {
	const char *name;
	enum type type;
	size_t offset;
	const char *fallback; /* NULL: empty */
	const char *metavar;  /* CHOICE: the words, with | between */
	uint32_t min, max;    /* NUMBER */
	bool flag_only;
	const char *help;
};

#define AT(member) offsetof(struct rs_options, member)

static const struct option table[] = {
	{ "config", TEXT, AT(config), RS_CONFIG_FILE, "FILE", 0, 0, true,
	  "read settings from FILE (YAML); it must exist when it is given" },
	{ "manifests", TEXT, AT(manifests), NULL, "DIR", 0, 0, false,
	  "take Namespaces, Pods, NetworkPolicies and Nodes from the YAML and JSON files in DIR" },
	{ "kubeconfig", TEXT, AT(kubeconfig), NULL, "FILE", 0, 0, false,
	  "take objects from the API server that FILE names; default the pod's service account" },
	{ "api-server", TEXT, AT(api_server), NULL, "URL", 0, 0, false,
	  "where the API server is, in place of what kubeconfig or KUBERNETES_SERVICE_HOST say" },
	{ "state-dir", TEXT, AT(state_dir), "/run/ripstop", "DIR", 0, 0, false,
	  "folder of leases, records, node.json and the lock; must not survive a boot" },
	{ "socket", TEXT, AT(socket), NULL, "PATH", 0, 0, false,
	  "control socket for plugin and command line; default agent.sock in the state folder" },
	{ "node-name", TEXT, AT(node_name), NULL, "NAME", 0, 0, false,
	  "name of this node; default the host's name" },
	{ "node-ranges", RANGES, AT(node_ranges), NULL, "CIDR,...", 0, 0, false,
	  "pod ranges of this node; default the podCIDRs of this node's Node object" },
	{ "cluster-cidr", RANGES, AT(cluster_cidr), NULL, "CIDR,...", 0, 0, false,
	  "pod ranges of all nodes; default node-ranges, else the podCIDRs of all Node objects" },
	{ "mtu", NUMBER, AT(mtu), "0", "BYTES", 0, 65535, false,
	  "MTU of pod links; 0 takes the uplink's" },
	{ "dataplane", CHOICE, AT(dataplane), "nft", "nft|ebpf|ebpf-tc|auto|null", 0, 0, false,
	  "what enforces; ebpf needs kernel 6.4, where it cannot be nft enforces; auto is the same "
	  "and no condition; ebpf-tc needs 6.2 and drops some packets that the others let pass "
	  "(docs/ebpf.md); null enforces NOTHING, is for dry runs and needs "
	  "allow-no-enforcement" },
	{ "bpf-dir", TEXT, AT(bpf_dir), RS_BPF_PIN_DIR, "DIR", 0, 0, false,
	  "folder of the eBPF programs' pins, in a bpffs; each node its own" },
	{ "bpf-entries", NUMBER, AT(bpf_entries), "0", "N", 0, 262144, false,
	  "most elements of an eBPF map; 0: what docs/ebpf.md says of each" },
	{ "allow-no-enforcement", BOOL, AT(allow_no_enforcement), "off", "on|off", 0, 0, false,
	  "confirm that pods may run without any policy enforced (dataplane null)" },
	{ "verdict-cache", BOOL, AT(verdict_cache), "on", "on|off", 0, 0, false,
	  "remember verdicts in ct mark; off judges every packet" },
	{ "ct-mark-mask", MASK, AT(ct_mark_mask), "0xffff0000", "MASK", 0, 0, false,
	  "the 16 bits of ct mark, side by side, that are ours" },
	{ "nflog-group", NUMBER, AT(nflog_group), "41", "N", 0, 65535, false,
	  "NFLOG group of drop records" },
	{ "log-rate", NUMBER, AT(log_rate), "10", "N", 0, 10000, false,
	  "drop records a second and pod; 0 makes none" },
	{ "drop-log", TEXT, AT(drop_log), NULL, "FILE|-", 0, 0, false,
	  "write drop records as JSON Lines to FILE, or to stdout" },
	{ "drop-log-size", NUMBER, AT(drop_log_size), "10", "MIB", 1, 1024, false,
	  "a drop log of this size is renamed to FILE.1 and begun anew" },
	{ "drop-log-files", NUMBER, AT(drop_log_files), "3", "N", 0, 100, false,
	  "how many old drop logs stay" },
	{ "link-group", NUMBER, AT(link_group), "21065", "N", 2, INT_MAX - 1, false,
	  "link group that marks pod links; the neighbouring number is for condemned ones" },
	{ "own-table", BOOL, AT(own_table), "on", "on|off", 0, 0, false,
	  "keep others from changing our table, where the kernel can (6.9 and later)" },
	{ "repair", BOOL, AT(repair), "on", "on|off", 0, 0, false,
	  "undo what others change in our rules; off only tells it (ripstop verify --repair "
	  "mends)" },
	{ "node-routes", BOOL, AT(node_routes), "on", "on|off", 0, 0, false,
	  "routes to the podCIDRs of other Node objects, by their InternalIP" },
	{ "masquerade", CHOICE, AT(masquerade), "auto", "auto|on|off", 0, 0, false,
	  "give pods' traffic that leaves the cluster's pod ranges the node's address; auto: on "
	  "with an API source, off with a folder" },
	{ "masquerade-exclude", BLOCKS, AT(masquerade_exclude), NULL, "CIDR,...", 0, 0, false,
	  "destinations that see the pod's own address all the same" },
	{ "install-conflist", BOOL, AT(install_conflist), "off", "on|off", 0, 0, false,
	  "keep our conflist in cni-conf-dir while ready, and watch the plugin in cni-bin-dir" },
	{ "cni-conf-dir", TEXT, AT(cni_conf_dir), "/etc/cni/net.d", "DIR", 0, 0, false,
	  "where the runtime reads CNI configurations" },
	{ "cni-bin-dir", TEXT, AT(cni_bin_dir), "/opt/cni/bin", "DIR", 0, 0, false,
	  "where the runtime finds CNI plugins; ours is named ripstop" },
	{ "plugin", TEXT, AT(plugin), NULL, "FILE", 0, 0, false,
	  "the plugin that belongs to this agent; default ripstop-cni beside ripstop-agent" },
	{ "metrics-address", TEXT, AT(metrics_address), "127.0.0.1:9412", "IP:PORT", 0, 0, false,
	  "metrics and health over HTTP; empty is off" },
	{ "metrics-per-policy", BOOL, AT(metrics_per_policy), "off", "on|off", 0, 0, false,
	  "drop records by policy too: one series for each that dropped" },
	{ "events", BOOL, AT(events), "off", "on|off", 0, 0, false,
	  "Kubernetes Events about dropped packets, faulty policies and conditions; needs the "
	  "right in manifests/optional/events.yaml" },
	{ "log-format", CHOICE, AT(log_format), "logfmt", "logfmt|json", 0, 0, false,
	  "form of the log on stderr" },
	{ "log-level", CHOICE, AT(log_level), "info", "debug|info|warn|error", 0, 0, false,
	  "lowest level that is logged" },
	{ "force", BOOL, AT(force), "off", "on|off", 0, 0, true,
	  "uninstall: even while pods are attached; they lose their policy" },
	{ "stay", BOOL, AT(stay), "off", "on|off", 0, 0, true,
	  "install, uninstall: when done, wait for SIGTERM" },
};

_Static_assert(RS_LINK_GROUP == 21065, "the default in the table above");

#define N_OPTIONS RS_ARRAY_SIZE(table)

/* What somebody wrote, and where: "flag --mtu", "variable RIPSTOP_MTU", "ripstop.conf:3: mtu". */
struct given {
	char *text;
	char *where;
};

static void give(struct given *g, const char *text, char *where)
{
	free(g->text);
	free(g->where);
	g->text = rs_strdup(text);
	g->where = where;
}

static void clear_given(struct given *g)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		free(g[i].text);
		free(g[i].where);
	}
}

/* ---- names ----------------------------------------------------------------------------------- */

static const struct option *find(const char *name, size_t len)
{
	for (size_t i = 0; i < N_OPTIONS; i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
			return &table[i];
	return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance; names longer than 31 bytes are like nothing. */
static size_t distance(const char *a, const char *b)
{
	size_t row[32], la = strlen(a), lb = strlen(b);

	if (la > 31 || lb > 31)
		return 99;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[lb];
}

static const char *nearest(const char *name)
{
	const char *best = NULL;
	size_t least = 4;

	for (size_t i = 0; i < N_OPTIONS; i++) {
		size_t d = distance(name, table[i].name);

		if (d < least) {
			least = d;
			best = table[i].name;
		}
	}
	return best;
}

static int unknown(struct rs_err *err, const char *where, const char *dashes, const char *name)
{
	rs_auto_strbuf safe = { 0 };
	const char *like = nearest(name);

	rs_strbuf_puts_safe(&safe, name);
	rs_err_set(err, EINVAL, "%sno option %s%s", where, dashes, rs_strbuf_str(&safe));
	if (like)
		return rs_err_hint(err, "did you mean %s%s?", dashes, like);
	return rs_err_hint(err, "ripstop-agent --help lists the options");
}

/* ---- values ---------------------------------------------------------------------------------- */

static int parse_bool(const char *s, bool *out)
{
	if (!strcmp(s, "on") || !strcmp(s, "true") || !strcmp(s, "yes"))
		*out = true;
	else if (!strcmp(s, "off") || !strcmp(s, "false") || !strcmp(s, "no"))
		*out = false;
	else
		return -EINVAL;
	return 0;
}

static int parse_number(const char *s, int base, uint32_t *out)
{
	unsigned long long n;
	char *end = NULL;

	if (!isdigit((unsigned char)s[0]))
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, base);
	if (errno || *end || n > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int parse_mask(const char *s, uint32_t *out, struct rs_err *err)
{
	uint32_t m;

	if (parse_number(s, 0, &m) < 0)
		return rs_err_set(err, EINVAL, "'%s' is no mask such as 0xffff0000", s);
	if (__builtin_popcount(m) != 16 || (m >> __builtin_ctz(m)) != 0xffff)
		return rs_err_set(err, EINVAL, "mask %s does not have 16 bits side by side", s);
	*out = m;
	return 0;
}

static bool fit_for_pods(const struct rs_cidr *c)
{
	return c->len && !rs_addr_is_loopback(&c->addr) && !rs_addr_is_multicast(&c->addr) &&
	       !rs_addr_is_linklocal(&c->addr);
}

static int push_range(struct rs_cidr_list *l, const char *text, bool pods, struct rs_err *err)
{
	struct rs_cidr c = { 0 };
	bool canonical = true;
	int rc = rs_cidr_parse(text, &c, &canonical, err);

	if (rc < 0)
		return rc;
	if (!canonical)
		return rs_err_set(err, EINVAL, "%s is not the first address of its range", text);
	if (pods && !fit_for_pods(&c))
		return rs_err_set(err, EINVAL, "%s cannot be a range of pods", text);
	for (size_t i = 0; i < l->n; i++)
		if (rs_cidr_overlaps(&l->v[i], &c))
			return rs_err_set(err, EINVAL, "%s overlaps another range of the list",
					  text);
	l->v = rs_reallocarray(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = c;
	return 0;
}

static int parse_ranges(const char *text, bool pods, struct rs_cidr_list *l, struct rs_err *err)
{
	rs_autofree char *copy = rs_strdup(text);
	char *save = NULL;

	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
		int rc = push_range(l, p, pods, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int parse_choice(const char *text, const char *words, char **out, struct rs_err *err)
{
	rs_autofree char *copy = rs_strdup(words);
	char *save = NULL;

	for (char *p = strtok_r(copy, "|", &save); p; p = strtok_r(NULL, "|", &save))
		if (!strcmp(p, text)) {
			*out = rs_strdup(text);
			return 0;
		}
	return rs_err_set(err, EINVAL, "'%s' is none of %s", text, words);
}

static int parse_value(const struct option *opt, const char *text, struct rs_options *o,
		       struct rs_err *err)
{
	void *at = (char *)o + opt->offset;
	uint32_t n;

	switch (opt->type) {
	case TEXT:
		*(char **)at = rs_strdup(text);
		return 0;
	case BOOL:
		if (parse_bool(text, at) < 0)
			return rs_err_set(err, EINVAL, "'%s' is neither on nor off", text);
		return 0;
	case NUMBER:
		if (parse_number(text, 10, &n) < 0 || n < opt->min || n > opt->max)
			return rs_err_set(err, EINVAL, "'%s' is no number from %u to %u", text,
					  opt->min, opt->max);
		*(uint32_t *)at = n;
		return 0;
	case MASK:
		return parse_mask(text, at, err);
	case RANGES:
	case BLOCKS:
		return parse_ranges(text, opt->type == RANGES, at, err);
	case CHOICE:
		return parse_choice(text, opt->metavar, at, err);
	}
	return rs_err_set(err, EINVAL, "unknown type of option");
}

/* ---- the three places ------------------------------------------------------------------------ */

static int take_command(struct rs_options *o, const char *word, struct rs_err *err)
{
	rs_auto_strbuf safe = { 0 };

	if (o->command == RS_AGENT_RUN &&
	    (!strcmp(word, "install") || !strcmp(word, "uninstall"))) {
		o->command = word[0] == 'i' ? RS_AGENT_INSTALL : RS_AGENT_UNINSTALL;
		return 0;
	}
	rs_strbuf_puts_safe(&safe, word);
	rs_err_set(err, EINVAL, "no command '%s'", rs_strbuf_str(&safe));
	return rs_err_hint(
		err, "without a command the agent runs; the commands are install and uninstall");
}

/* The value of a flag: behind '=', or the next word; a switch may stand alone. */
static int take_flag(struct given *g, char *const **argv, struct rs_err *err)
{
	const char *flag = **argv + 2, *eq = strchr(flag, '='), *value = NULL;
	size_t len = eq ? (size_t)(eq - flag) : strlen(flag);
	rs_autofree char *name = rs_strndup(flag, len);
	const struct option *opt = find(name, len);
	bool unused;

	if (!opt)
		return unknown(err, "", "--", name);
	if (eq)
		value = eq + 1;
	else if (opt->type != BOOL)
		value = (*argv)[1];
	else if ((*argv)[1] && parse_bool((*argv)[1], &unused) == 0)
		value = (*argv)[1];
	if (!value && opt->type != BOOL)
		return rs_err_set(err, EINVAL, "flag --%s needs a value (%s)", name, opt->metavar);
	if (value && !eq)
		(*argv)++;
	give(&g[opt - table], value ? value : "on", rs_asprintf("flag --%s", name));
	return 0;
}

static int read_flags(struct rs_options *o, struct given *g, char *const *argv, struct rs_err *err)
{
	int rc = 0;

	for (argv++; *argv && rc == 0; argv++) {
		if (!strcmp(*argv, "--help") || !strcmp(*argv, "-h"))
			o->command = RS_AGENT_HELP;
		else if (!strcmp(*argv, "--version"))
			o->command = RS_AGENT_VERSION;
		else if (!strncmp(*argv, "--", 2) && (*argv)[2])
			rc = take_flag(g, &argv, err);
		else
			rc = take_command(o, *argv, err);
		if (o->command >= RS_AGENT_HELP)
			return 0;
	}
	return rc;
}

static char *variable_name(const struct option *opt)
{
	char *name = rs_asprintf("RIPSTOP_%s", opt->name);

	for (char *p = name; *p; p++)
		*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	return name;
}

static void read_variables(struct given *g, char *const *envp)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		rs_autofree char *name = variable_name(&table[i]);
		size_t len = strlen(name);

		if (g[i].text || (table[i].flag_only && strcmp(table[i].name, "config") != 0))
			continue;
		for (char *const *e = envp; *e; e++)
			if (!strncmp(*e, name, len) && (*e)[len] == '=')
				give(&g[i], *e + len + 1, rs_asprintf("variable %s", name));
	}
}

struct file_reader {
	struct given *g;
	bool *stronger; /* given by flag or variable: the file does not count */
};

static int take_key(const char *file, int line, const char *key, const char *value, void *arg,
		    struct rs_err *err)
{
	struct file_reader *r = arg;
	const struct option *opt = find(key, strlen(key));
	rs_autofree char *where = rs_asprintf("%s:%d: ", file, line);

	if (!opt)
		return unknown(err, where, "", key);
	if (opt->flag_only)
		return rs_err_set(err, EINVAL, "%s%s is a flag only", where, key);
	if (!r->stronger[opt - table])
		give(&r->g[opt - table], value, rs_asprintf("%s%s", where, key));
	return 0;
}

static int read_file(struct given *g, struct rs_err *err)
{
	const struct given *named = &g[find("config", 6) - table];
	bool stronger[N_OPTIONS];
	struct file_reader r = { g, stronger };
	rs_auto_err why = { 0 };
	int rc;

	for (size_t i = 0; i < N_OPTIONS; i++)
		stronger[i] = g[i].text != NULL;
	rc = rs_conffile_read(named->text ? named->text : RS_CONFIG_FILE, take_key, &r, &why);
	if (rc == -ENOENT && !named->text)
		return 0;
	if (rc < 0)
		rs_err_move(err, &why);
	return rc;
}

/* ---- together -------------------------------------------------------------------------------- */

static int parse_all(struct rs_options *o, const struct given *g, struct rs_err *err)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const char *text = g[i].text ? g[i].text : table[i].fallback;
		int rc;

		if (!text)
			continue;
		rc = parse_value(&table[i], text, o, err);
		if (rc < 0) {
			rs_err_wrap(err, "%s", g[i].where ? g[i].where : table[i].name);
			return rc;
		}
	}
	return 0;
}

static int host_name(char **out, struct rs_err *err)
{
	char name[HOST_NAME_MAX + 1] = { 0 };

	if (gethostname(name, sizeof(name) - 1) < 0)
		return rs_err_sys(err, errno, "read the host's name");
	*out = rs_strdup(name);
	return 0;
}

/* An empty word is as good as none. */
static void drop_empty(char **text)
{
	if (*text && !**text) {
		free(*text);
		*text = NULL;
	}
}

static int settle(struct rs_options *o, struct rs_err *err)
{
	drop_empty(&o->manifests);
	drop_empty(&o->kubeconfig);
	drop_empty(&o->api_server);
	if (o->state_dir[0] != '/')
		return rs_err_set(err, EINVAL, "state-dir '%s' is not an absolute path",
				  o->state_dir);
	if (!o->socket)
		o->socket = rs_asprintf("%s/agent.sock", o->state_dir);
	if (!o->node_name)
		return host_name(&o->node_name, err);
	return 0;
}

static bool in_cluster(char *const *envp)
{
	static const char name[] = "KUBERNETES_SERVICE_HOST=";

	for (; *envp; envp++)
		if (!strncmp(*envp, name, sizeof(name) - 1) && (*envp)[sizeof(name) - 1])
			return true;
	return false;
}

static int check_run(const struct rs_options *o, char *const *envp, struct rs_err *err)
{
	if (o->manifests && (o->kubeconfig || o->api_server)) {
		rs_err_set(err, EINVAL, "two sources are given: manifests %s and %s", o->manifests,
			   o->kubeconfig ? "kubeconfig" : "api-server");
		return rs_err_hint(err, "leave out the one that is not meant");
	}
	if (o->manifests && o->events) {
		rs_err_set(err, EINVAL, "events: on with manifests %s: no API server takes them",
			   o->manifests);
		return rs_err_hint(err, "leave out events, or take objects from an API server");
	}
	if (!o->manifests && !o->kubeconfig && !o->api_server && !in_cluster(envp)) {
		rs_err_set(err, EINVAL, "nowhere to take policies from");
		return rs_err_hint(err, "give --manifests DIR, or --kubeconfig FILE, or run in a "
					"pod with a service account");
	}
	if (!strcmp(o->dataplane, "null") && !o->allow_no_enforcement) {
		rs_err_set(err, EINVAL, "dataplane null enforces nothing: every pod would be open");
		return rs_err_hint(err, "add --allow-no-enforcement if that is what you want");
	}
	return 0;
}

int rs_options_read(struct rs_options *o, int argc, char *const *argv, char *const *envp,
		    struct rs_err *err)
{
	struct given g[N_OPTIONS] = { 0 };
	int rc;

	memset(o, 0, sizeof(*o));
	rc = argc > 0 ? read_flags(o, g, argv, err) : 0;
	if (rc == 0 && o->command < RS_AGENT_HELP) {
		read_variables(g, envp);
		rc = read_file(g, err);
		if (rc == 0)
			rc = parse_all(o, g, err);
		if (rc == 0)
			rc = settle(o, err);
		if (rc == 0 && o->command == RS_AGENT_RUN)
			rc = check_run(o, envp, err);
	}
	clear_given(g);
	return rc;
}

void rs_options_clear(struct rs_options *o)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		void *at = (char *)o + table[i].offset;

		if (table[i].type == TEXT || table[i].type == CHOICE)
			free(*(char **)at);
		else if (table[i].type == RANGES || table[i].type == BLOCKS)
			free(((struct rs_cidr_list *)at)->v);
	}
	memset(o, 0, sizeof(*o));
}

void rs_options_help(FILE *to)
{
	fputs("usage: ripstop-agent [OPTION...]            run the node agent\n"
	      "       ripstop-agent install [OPTION...]    put the plugin into cni-bin-dir\n"
	      "       ripstop-agent uninstall [OPTION...]  take rules, routes and state away\n\n"
	      "Each option --x-y is also the variable RIPSTOP_X_Y and the key x-y "
	      "in " RS_CONFIG_FILE ";\nflag, then variable, then file.\n\n",
	      to);
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct option *opt = &table[i];
		rs_autofree char *left = rs_asprintf("--%s %s", opt->name, opt->metavar);

		fprintf(to, "  %-34s %s%s%s%s\n", left, opt->help, opt->fallback ? " [" : "",
			opt->fallback ? opt->fallback : "", opt->fallback ? "]" : "");
	}
	fputs("  --help, -h                         this text\n"
	      "  --version                          the version\n",
	      to);
}

struct rs_dp_config rs_options_dataplane(const struct rs_options *o)
{
	struct rs_dp_config cfg;

	rs_dp_config_default(&cfg);
	cfg.link_group = o->link_group;
	cfg.bpf_dir = o->bpf_dir;
	cfg.bpf_entries = o->bpf_entries;
	cfg.ct_mark_mask = o->ct_mark_mask;
	cfg.verdict_cache = o->verdict_cache;
	cfg.own_table = o->own_table;
	cfg.nflog_group = (uint16_t)o->nflog_group;
	cfg.log_rate = o->log_rate;
	return cfg;
}

/* A folder is not told to change what leaves this machine: today's behaviour stays unless asked. */
bool rs_options_masquerade(const struct rs_options *o)
{
	if (!strcmp(o->masquerade, "auto"))
		return !o->manifests;
	return !strcmp(o->masquerade, "on");
}

enum rs_log_level rs_options_log_level(const struct rs_options *o)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(names); i++)
		if (!strcmp(o->log_level, names[i]))
			return (enum rs_log_level)i;
	return RS_LOG_INFO;
}
