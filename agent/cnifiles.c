// SPDX-License-Identifier: Apache-2.0
/* cnifiles.c - keeps our conflist and watches our plugin; see cnifiles.h. */
#include "agent/cnifiles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "agent/install.h"
#include "base/file.h"
#include "base/fileprint.h"

/* Against another program that does the same for its own: once a second, not a race. */
#define WRITE_EVERY_MS 1000
#define CONFLIST_MAX (1024 * 1024)
#define EVENTS                                                                              \
	(IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ATTRIB | \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct rs_cnifiles {
	const struct rs_options *opt;
	int inotify;
	char *plugin; /* in cni-bin-dir */
	char *source; /* NULL: not known */
	struct rs_file_print plugin_seen, source_seen;
	bool same; /* of what was seen: the same program */
	char *why_not;
	struct rs_conditions conditions;
	char *first_other; /* of others' files that come before ours; NULL: none */
	bool written;	   /* by this process */
	int64_t written_ms;
};

struct rs_cnifiles *rs_cnifiles_new(const struct rs_options *opt)
{
	struct rs_cnifiles *c;

	if (!opt->install_conflist)
		return NULL;
	c = rs_new(struct rs_cnifiles);
	c->opt = opt;
	c->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	c->plugin = rs_asprintf("%s/%s", opt->cni_bin_dir, RS_PLUGIN_NAME);
	c->source = rs_install_source(opt);
	c->written_ms = -WRITE_EVERY_MS;
	return c;
}

void rs_cnifiles_free(struct rs_cnifiles *c)
{
	if (!c)
		return;
	if (c->inotify >= 0)
		close(c->inotify);
	rs_conditions_free(&c->conditions);
	free(c->plugin);
	free(c->source);
	free(c->why_not);
	free(c->first_other);
	free(c);
}

int rs_cnifiles_fd(const struct rs_cnifiles *c)
{
	return c ? c->inotify : -1;
}

/* Asking again for a folder that is watched changes nothing; one that came anew is watched. */
static void watch(const struct rs_cnifiles *c)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	if (c->inotify < 0)
		return;
	while (read(c->inotify, buf, sizeof(buf)) > 0)
		;
	inotify_add_watch(c->inotify, c->opt->cni_conf_dir, EVENTS);
	inotify_add_watch(c->inotify, c->opt->cni_bin_dir, EVENTS);
}

/* ---- the plugin ------------------------------------------------------------------------------ */

static void not_ready(struct rs_cnifiles *c, const char *type, char *why)
{
	rs_conditions_add(&c->conditions, type, "%s", why);
	free(c->why_not);
	c->why_not = why;
}

static bool same_content(const char *a, const char *b)
{
	rs_autofree char *x = NULL, *y = NULL;
	size_t n = 0, m = 0;

	return rs_file_read(a, RS_PLUGIN_MAX, &x, &n, NULL) == 0 &&
	       rs_file_read(b, RS_PLUGIN_MAX, &y, &m, NULL) == 0 && n == m && !memcmp(x, y, n);
}

/* Read only when one of the two files is another than at the last look. */
static bool belongs_to_us(struct rs_cnifiles *c, const struct stat *plugin)
{
	struct rs_file_print now = rs_file_print_of(plugin), from;
	struct stat st;

	/* An agent without a plugin of its own beside it has nothing to compare with. */
	if (!c->source || stat(c->source, &st) < 0)
		return true;
	from = rs_file_print_of(&st);
	if (!rs_file_print_same(&now, &c->plugin_seen) ||
	    !rs_file_print_same(&from, &c->source_seen)) {
		c->same = same_content(c->plugin, c->source);
		c->plugin_seen = now;
		c->source_seen = from;
	}
	return c->same;
}

static void check_plugin(struct rs_cnifiles *c)
{
	struct stat st;

	free(c->why_not);
	c->why_not = NULL;
	if (stat(c->plugin, &st) < 0)
		not_ready(c, "PluginMissing",
			  rs_asprintf("the plugin %s is gone (%s): no pod can come or go; "
				      "ripstop-agent install puts it back",
				      c->plugin, strerror(errno)));
	else if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		not_ready(c, "PluginChanged",
			  rs_asprintf("the plugin %s is no program that can be run", c->plugin));
	else if (!belongs_to_us(c, &st))
		not_ready(c, "PluginChanged",
			  rs_asprintf("the plugin %s is not the one that belongs to this agent "
				      "(%s); ripstop-agent install puts that there",
				      c->plugin, c->source));
}

/* ---- the conflist ---------------------------------------------------------------------------- */

static bool is_config(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot &&
	       (!strcmp(dot, ".conflist") || !strcmp(dot, ".conf") || !strcmp(dot, ".json"));
}

/* A runtime takes the first file by name. Others' files are theirs. */
static void look_for_others(struct rs_cnifiles *c, int dirfd)
{
	rs_autoclosedir DIR *dir = NULL;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (e = readdir(dir)) != NULL) {
		rs_auto_strbuf name = { 0 };

		if (!is_config(e->d_name) || strcmp(e->d_name, RS_CONFLIST_NAME) >= 0)
			continue;
		rs_strbuf_puts_safe(&name, e->d_name);
		if (!c->first_other || strcmp(e->d_name, c->first_other) < 0) {
			free(c->first_other);
			c->first_other = rs_strdup(e->d_name);
		}
		rs_conditions_add(&c->conditions, "OtherCniFirst",
				  "%s/%s comes before %s: the runtime attaches pods by that one",
				  c->opt->cni_conf_dir, rs_strbuf_str(&name), RS_CONFLIST_NAME);
	}
}

static void write_conflist(struct rs_cnifiles *c, int dirfd, const char *text, int64_t now_ms)
{
	rs_auto_err err = { 0 };

	if (now_ms - c->written_ms < WRITE_EVERY_MS)
		return;
	c->written_ms = now_ms;
	rs_install_sweep(dirfd);
	if (rs_file_write_at(dirfd, RS_CONFLIST_NAME, text, strlen(text), RS_FILE_REPLACE, &err) <
	    0) {
		rs_conditions_add(&c->conditions, "ConflistMissing", "%s: %s", c->opt->cni_conf_dir,
				  rs_err_str(&err));
		return;
	}
	rs_log(c->written ? RS_LOG_WARN : RS_LOG_INFO,
	       c->written ? "our conflist was removed or changed and is there again"
			  : "conflist written",
	       "folder", c->opt->cni_conf_dir, "file", RS_CONFLIST_NAME, NULL);
	c->written = true;
}

static bool have_portmap(struct rs_cnifiles *c)
{
	rs_autofree char *path = rs_asprintf("%s/portmap", c->opt->cni_bin_dir);

	if (access(path, X_OK) == 0)
		return true;
	rs_conditions_add(&c->conditions, "NoHostPort",
			  "there is no portmap plugin in %s: hostPort of pods has no effect",
			  c->opt->cni_bin_dir);
	return false;
}

static void keep_conflist(struct rs_cnifiles *c, bool ready, int64_t now_ms)
{
	rs_autofree char *want = rs_install_conflist(c->opt, have_portmap(c)), *have = NULL;
	rs_autoclose int dir = open(c->opt->cni_conf_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0) {
		rs_conditions_add(&c->conditions, "ConflistMissing", "open folder %s: %s",
				  c->opt->cni_conf_dir, strerror(errno));
		return;
	}
	free(rs_steal_ptr(&c->first_other));
	look_for_others(c, dir);
	if (rs_file_read_at(dir, RS_CONFLIST_NAME, CONFLIST_MAX, &have, NULL, NULL) == 0 &&
	    !strcmp(have, want))
		c->written = true; /* of an earlier life */
	else if (ready)
		write_conflist(c, dir, want, now_ms);
}

/* ---- together -------------------------------------------------------------------------------- */

void rs_cnifiles_sync(struct rs_cnifiles *c, bool ready, int64_t now_ms)
{
	if (!c)
		return;
	watch(c);
	rs_conditions_free(&c->conditions);
	memset(&c->conditions, 0, sizeof(c->conditions));
	check_plugin(c);
	keep_conflist(c, ready && !c->why_not, now_ms);
}

const char *rs_cnifiles_why_not_ready(const struct rs_cnifiles *c)
{
	return c ? c->why_not : NULL;
}

void rs_cnifiles_conditions(const struct rs_cnifiles *c, struct rs_conditions *out)
{
	for (size_t i = 0; c && i < c->conditions.n; i++)
		rs_conditions_copy(out, &c->conditions.v[i]);
}

void rs_cnifiles_order(const struct rs_cnifiles *c, bool *written, const char **first_other)
{
	*written = c->written;
	*first_other = c->first_other;
}
