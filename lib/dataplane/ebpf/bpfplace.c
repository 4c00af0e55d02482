// SPDX-License-Identifier: Apache-2.0
/* bpfplace.c - whether there is a place for our pins and for our programs, before anything is put
 * there. */
#include "dataplane/ebpf/ebpf.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/base.h"

#define BPFFS 0xcafe4a11

/* ---- the folder of the pins ------------------------------------------------------------------ */

/* Who can write there takes our programs away. */
static int check_owner(const char *dir, const struct stat *st, struct rs_err *err)
{
	if (S_ISDIR(st->st_mode) && st->st_uid == geteuid() && !(st->st_mode & 022))
		return 0;
	rs_err_set(err, EPERM, "%s is not a folder of ours alone: uid %u, mode %04o", dir,
		   st->st_uid, st->st_mode & 07777u);
	rs_err_hint(err, "remove it, or give another one with --bpf-dir");
	return -EPERM;
}

static int no_bpffs(const char *dir, struct rs_err *err)
{
	rs_err_set(err, ENOENT, "%s is on no bpffs", dir);
	rs_err_hint(err, "mount one: mount -t bpf bpf /sys/fs/bpf; in a pod, the host's "
			 "(manifests/ebpf)");
	return -ENOENT;
}

/* The folder, or what it would be made in. */
static int check_folder(const char *dir, struct rs_err *err)
{
	rs_autofree char *path = rs_strdup(dir);
	struct statfs fs;
	struct stat st;
	char *slash;

	if (!stat(path, &st) && check_owner(path, &st, err) < 0)
		return -EPERM;
	while (stat(path, &st) && (slash = strrchr(path, '/')) != NULL && slash != path)
		*slash = '\0';
	if (statfs(path, &fs))
		return rs_err_sys(err, errno, "%s", path);
	if (fs.f_type != BPFFS)
		return no_bpffs(dir, err);
	if ((fs.f_flags & ST_RDONLY) || access(path, W_OK))
		return rs_err_set(err, EROFS, "%s cannot be written", path);
	return 0;
}

/* ---- the hooks ------------------------------------------------------------------------------- */

int rs_bpf_priorities_free(const struct rs_bpf_set *s, char place, struct rs_err *err)
{
	for (int i = 0; i < RS_BPF_LINKS; i++) {
		unsigned int hook = (unsigned int)i / RS_BPF_FAMILIES;
		unsigned int six = (unsigned int)i % RS_BPF_FAMILIES;
		int priority = rs_bpf_priority(hook, place);
		int fd = rs_bpf_attach(s->trial, hook, six, priority);

		if (fd >= 0)
			close(fd);
		else if (fd != -EBUSY)
			return rs_err_sys(err, -fd, "attach a program to a netfilter hook");
		else
			return rs_err_set(err, EBUSY,
					  "another program's hook stands at priority %d of hook "
					  "%u, IPv%d",
					  priority, rs_bpf_hook_number(hook), six ? 6 : 4);
	}
	return 0;
}

static int check_hooks(const struct rs_dp_config *cfg, const struct rs_bpf_set *s,
		       struct rs_err *err)
{
	int rc = 0;

	if (rs_bpf_pins_linked(cfg, 0))
		return 0;
	for (const char *place = "ab"; *place; place++) {
		rs_err_clear(err);
		rc = rs_bpf_priorities_free(s, *place, err);
		if (rc != -EBUSY)
			return rc;
	}
	rs_err_hint(err,
		    "a program shares its priority with nobody: nft list hooks, bpftool net and "
		    "bpftool link show who has it");
	return rc;
}

int rs_bpf_place_check(const struct rs_dp_config *cfg, const struct rs_bpf_set *s,
		       struct rs_err *err)
{
	int rc = check_folder(cfg->bpf_dir ? cfg->bpf_dir : RS_BPF_PIN_DIR, err);

	if (!rc)
		rc = rs_bpf_pins_ours(cfg, err);
	return rc || cfg->bpf_tc ? rc : check_hooks(cfg, s, err);
}
