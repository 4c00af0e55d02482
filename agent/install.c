// SPDX-License-Identifier: Apache-2.0
/* install.c - puts the plugin where the runtime finds it, so that a crash or a full disk leaves the
 * old one; see install.h. */
#include "agent/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/file.h"

#define LOCK_TRIES 100
#define LOCK_PAUSE_US 100000

char *rs_install_source(const struct rs_options *o)
{
	char self[PATH_MAX];
	ssize_t n;
	char *slash;

	if (o->plugin && o->plugin[0])
		return rs_strdup(o->plugin);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return NULL;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return rs_asprintf("%s/ripstop-cni", self);
}

/* A name of rs_file_write_at()'s temporary files: a dot, 16 hex digits, ".tmp". */
static bool is_temp(const char *name)
{
	return name[0] == '.' && strlen(name) == 21 && strspn(name + 1, "0123456789abcdef") == 16 &&
	       !strcmp(name + 17, ".tmp");
}

void rs_install_sweep(int dirfd)
{
	rs_autoclosedir DIR *dir = NULL;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (e = readdir(dir)) != NULL)
		if (is_temp(e->d_name))
			unlinkat(dirfd, e->d_name, 0);
}

/* Two installers at once would sweep each other's files. The lock goes with the descriptor. */
static int open_locked(const char *dir, int *out, struct rs_err *err)
{
	rs_autoclose int fd = -1;
	int tries = 0, rc = rs_mkdir_p(dir, 0755, err);

	if (rc < 0)
		return rc;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return rs_err_sys(err, errno, "open folder %s", dir);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || ++tries == LOCK_TRIES)
			return rs_err_sys(err, errno, "lock folder %s", dir);
		usleep(LOCK_PAUSE_US);
	}
	*out = rs_steal_fd(&fd);
	return 0;
}

static bool same_already(int dirfd, const char *data, size_t len)
{
	rs_autofree char *have = NULL;
	struct stat st;
	size_t n = 0;

	return fstatat(dirfd, RS_PLUGIN_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0755 &&
	       rs_file_read_at(dirfd, RS_PLUGIN_NAME, RS_PLUGIN_MAX, &have, &n, NULL) == 0 &&
	       n == len && !memcmp(have, data, n);
}

int rs_install(const struct rs_options *o, struct rs_err *err)
{
	rs_autofree char *source = rs_install_source(o), *data = NULL;
	rs_autoclose int dir = -1;
	size_t len = 0;
	int rc;

	umask(022); /* others' programs live in that folder too */
	if (!source)
		return rs_err_set(err, ENOENT, "where the plugin lies is not known: --plugin FILE");
	rc = rs_file_read(source, RS_PLUGIN_MAX, &data, &len, err);
	if (rc < 0) {
		rs_err_wrap(err, "read the plugin %s", source);
		rs_err_hint(err, "--plugin FILE names the plugin program");
		return rc;
	}
	if (len < 4 || memcmp(data, "\177ELF", 4) != 0)
		return rs_err_set(err, ENOEXEC, "%s is no program", source);
	rc = open_locked(o->cni_bin_dir, &dir, err);
	if (rc < 0)
		return rc;
	rs_install_sweep(dir);
	if (same_already(dir, data, len)) {
		printf("is there already: %s/%s\n", o->cni_bin_dir, RS_PLUGIN_NAME);
		return 0;
	}
	rc = rs_file_write_perm_at(dir, RS_PLUGIN_NAME, data, len, RS_FILE_REPLACE, 0755, err);
	if (rc < 0)
		return rs_err_wrap(err, "install into %s", o->cni_bin_dir);
	printf("installed: %s/%s\n", o->cni_bin_dir, RS_PLUGIN_NAME);
	return 0;
}

int rs_install_remove(const char *dir, const char *name, bool *removed, struct rs_err *err)
{
	rs_autofree char *path = rs_asprintf("%s/%s", dir, name);

	*removed = unlink(path) == 0;
	if (!*removed && errno != ENOENT && errno != ENOTDIR)
		return rs_err_sys(err, errno, "remove %s", path);
	return 0;
}

/* ---- the conflist ---------------------------------------------------------------------------- */

static void add_key(struct rs_strbuf *b, const char *key, const char *value)
{
	rs_strbuf_printf(b, ",\n      \"%s\": ", key);
	rs_strbuf_put_json(b, value);
}

/*
 * cniVersion 1.0.0 because containerd 1.6 refuses a file of 1.1.0; a newer runtime takes the
 * highest of cniVersions that it knows, for every plugin of the file. Releases of portmap before
 * 1.6 do not know 1.1.0: with one of them containerd 2 never calls the node's network ready.
 */
char *rs_install_conflist(const struct rs_options *o, bool portmap)
{
	rs_autofree char *plain = rs_asprintf("%s/agent.sock", o->state_dir);
	struct rs_strbuf b = { 0 };

	rs_strbuf_puts(&b, "{\n"
			   "  \"cniVersion\": \"1.0.0\",\n"
			   "  \"cniVersions\": [\"0.3.1\", \"0.4.0\", \"1.0.0\"");
	rs_strbuf_puts(&b, portmap ? "" : ", \"1.1.0\"");
	rs_strbuf_puts(&b, "],\n"
			   "  \"name\": \"ripstop\",\n"
			   "  \"loadOnlyInlinedPlugins\": true,\n"
			   "  \"plugins\": [\n"
			   "    {\n"
			   "      \"type\": \"" RS_PLUGIN_NAME "\"");
	if (strcmp(o->state_dir, "/run/ripstop") != 0)
		add_key(&b, "stateDir", o->state_dir);
	if (strcmp(o->socket, plain) != 0)
		add_key(&b, "socket", o->socket);
	rs_strbuf_puts(&b, ",\n      \"ipam\": { \"type\": \"ripstop\" }\n    }");
	if (portmap)
		rs_strbuf_puts(&b, ",\n    { \"type\": \"portmap\", \"capabilities\": "
				   "{ \"portMappings\": true } }");
	rs_strbuf_puts(&b, "\n  ]\n}\n");
	return rs_strbuf_steal(&b);
}
