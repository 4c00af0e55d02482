// SPDX-License-Identifier: Apache-2.0
/* bpfpins.c - pins, and the links that a pinned set holds at the hooks. */
#include "dataplane/ebpf/bpfpins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpfload.h"
#include "dataplane/ebpf/bpftcx.h"

#define BPFFS 0xcafe4a11
#define PREFIX "v"

static const struct {
	const char *name;
	unsigned int hook;
	int priority[2]; /* of place a and b; beside ours of nft, and none of them equal: the kernel
			  * lets no other hook stand at a program's priority */
} hooks[RS_BPF_HOOKS] = {
	/* Below defragmentation (-400) and before conntrack (-200). */
	[RS_BPF_HOOK_GUARD] = { "guard", NF_INET_PRE_ROUTING, { -311, -312 } },
	/* Before source NAT (100). */
	[RS_BPF_HOOK_FORWARDED] = { "forwarded", NF_INET_POST_ROUTING, { 98, 97 } },
	/* After IPVS (98, 99). */
	[RS_BPF_HOOK_TO_NODE] = { "to_node", NF_INET_LOCAL_IN, { 111, 112 } },
};

int rs_bpf_priority(unsigned int hook, char place)
{
	return hooks[hook].priority[place == 'b'];
}

unsigned int rs_bpf_hook_number(unsigned int hook)
{
	return hooks[hook].hook;
}

static const char *top(const struct rs_dp_config *cfg)
{
	return cfg->bpf_dir ? cfg->bpf_dir : RS_BPF_PIN_DIR;
}

char *rs_bpf_pin_path(const struct rs_dp_config *cfg, char place, const char *name)
{
	return rs_asprintf("%s/" PREFIX "%d%c%s%s", top(cfg), RS_BPF_LAYOUT, place, name ? "/" : "",
			   name ? name : "");
}

static char *link_name(const struct rs_dp_config *cfg, int i)
{
	if (cfg->bpf_tc)
		return rs_strdup("link_sockets");
	return rs_asprintf("link_%s%d", hooks[i / RS_BPF_FAMILIES].name,
			   i % RS_BPF_FAMILIES ? 6 : 4);
}

int rs_bpf_links(const struct rs_dp_config *cfg)
{
	return cfg->bpf_tc ? 1 : RS_BPF_LINKS;
}

/* That of a netfilter hook, or behind those one at tc. */
static char *prog_name(int hook)
{
	if (hook >= RS_BPF_HOOKS)
		return rs_asprintf("prog_%s", rs_bpf_tc_name(hook - RS_BPF_HOOKS));
	return rs_asprintf("prog_%s", hooks[hook].name);
}

/* ---- attach ---------------------------------------------------------------------------------- */

int rs_bpf_attach(int prog, unsigned int hook, unsigned int family, int priority)
{
	struct { /* of union bpf_attr; the headers of Debian 12 do not have the last part */
		uint32_t prog_fd, target, type, flags;
		uint32_t pf, hook;
		int32_t priority;
		uint32_t link_flags;
		uint64_t rest[4];
	} attr = {
		.prog_fd = (uint32_t)prog,
		.type = RS_BPF_ATTACH_NETFILTER,
		.pf = family ? NFPROTO_IPV6 : NFPROTO_IPV4,
		.hook = hooks[hook].hook,
		.priority = priority,
	};
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

int rs_bpf_attach_sockets(int prog)
{
	rs_autoclose int ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd = ns < 0 ? -1 : bpf_link_create(prog, ns, BPF_SK_LOOKUP, NULL);

	return fd < 0 ? -errno : fd;
}

static int pin(const struct rs_dp_config *cfg, char place, const char *name, int fd,
	       struct rs_err *err)
{
	rs_autofree char *path = rs_bpf_pin_path(cfg, place, name);

	if (bpf_obj_pin(fd, path))
		return rs_err_sys(err, errno, "pin %s", path);
	return 0;
}

/* Everything of a set that has a pin; links that are not attached have none. */
typedef int pinned_fn(const struct rs_dp_config *cfg, char place, const char *name, int fd,
		      struct rs_err *err);

/* Of this front end, numbered as prog_name() does. */
static bool has_prog(const struct rs_dp_config *cfg, int i)
{
	return i < RS_BPF_HOOKS ? !cfg->bpf_tc : rs_bpf_has_tc(cfg, i - RS_BPF_HOOKS);
}

static int for_pins(const struct rs_dp_config *cfg, const struct rs_bpf_set *s, char place,
		    pinned_fn *fn, struct rs_err *err)
{
	struct bpf_map *map;
	int rc = 0;

	bpf_object__for_each_map(map, s->obj)
	{
		if (!rc)
			rc = fn(cfg, place, bpf_map__name(map), bpf_map__fd(map), err);
	}
	for (int i = 0; i < RS_BPF_HOOKS + RS_BPF_TCS && !rc; i++) {
		rs_autofree char *name = prog_name(i);
		int fd = i < RS_BPF_HOOKS ? s->pinned[i] : s->tc[i - RS_BPF_HOOKS];

		if (has_prog(cfg, i))
			rc = fn(cfg, place, name, fd, err);
	}
	for (int i = 0; i < rs_bpf_links(cfg) && !rc; i++) {
		rs_autofree char *name = link_name(cfg, i);

		if (s->link[i] >= 0)
			rc = fn(cfg, place, name, s->link[i], err);
	}
	return rc;
}

static int install_link(const struct rs_dp_config *cfg, struct rs_bpf_set *s, char place, int i,
			struct rs_err *err)
{
	unsigned int hook = (unsigned int)i / RS_BPF_FAMILIES;
	rs_autofree char *name = link_name(cfg, i);
	int prio = rs_bpf_priority(hook, place);
	int fd = cfg->bpf_tc ? rs_bpf_attach_sockets(s->tc[RS_BPF_TC_SOCKETS])
			     : rs_bpf_attach(s->prog[hook], hook, (unsigned int)i % RS_BPF_FAMILIES,
					     prio);

	if (fd < 0 && cfg->bpf_tc)
		return rs_err_sys(err, -fd, "attach a program to the look-up of sockets");
	if (fd < 0) {
		rs_err_sys(err, -fd, "attach %s at priority %d", name, prio);
		if (fd == -EBUSY)
			rs_err_hint(err, "another hook stands at this priority, which a program "
					 "cannot share");
		return fd;
	}
	s->link[i] = fd;
	return pin(cfg, place, name, fd, err);
}

static int make_folder(const struct rs_dp_config *cfg, char place, struct rs_err *err)
{
	rs_autofree char *dir = rs_bpf_pin_path(cfg, place, NULL);
	struct statfs fs;
	int rc = rs_mkdir_p(dir, 0700, err);

	if (rc < 0)
		return rc;
	if (statfs(dir, &fs))
		return rs_err_sys(err, errno, "%s", dir);
	if (fs.f_type == BPFFS)
		return 0;
	rmdir(dir);
	rs_err_set(err, ENOENT, "%s is on no bpffs", top(cfg));
	rs_err_hint(err, "mount one: mount -t bpf bpf /sys/fs/bpf");
	return -ENOENT;
}

int rs_bpf_set_install(const struct rs_dp_config *cfg, struct rs_bpf_set *s, char place,
		       struct rs_err *err)
{
	int rc = make_folder(cfg, place, err);

	for (int i = 0; i < RS_BPF_HOOKS && !rc && !cfg->bpf_tc; i++) {
		if (s->pinned[i] < 0) /* the other place may have been tried before */
			s->pinned[i] = dup(s->prog[i]);
		if (s->pinned[i] < 0)
			rc = rs_err_sys(err, errno, "dup");
	}
	if (!rc)
		rc = for_pins(cfg, s, place, pin, err);
	for (int i = 0; i < rs_bpf_links(cfg) && !rc; i++)
		rc = install_link(cfg, s, place, i, err);
	if (rc)
		return rc;
	s->place = place;
	return 0;
}

/* ---- adopt ----------------------------------------------------------------------------------- */

static bool uses_map(const uint32_t *ids, uint32_t n, int fd)
{
	struct bpf_map_info i = { 0 };
	uint32_t len = sizeof(i);

	if (bpf_obj_get_info_by_fd(fd, &i, &len))
		return false;
	for (uint32_t k = 0; k < n; k++)
		if (ids[k] == i.id)
			return true;
	return false;
}

/* The pinned program has our code, and our maps. */
static bool same_program(int pinned, const struct rs_bpf_set *s, int prog, uint32_t *id)
{
	struct bpf_prog_info theirs = { 0 }, ours = { 0 };
	uint32_t ids[32] = { 0 }, len = sizeof(theirs);

	theirs.map_ids = (uintptr_t)ids;
	theirs.nr_map_ids = RS_ARRAY_SIZE(ids);
	if (bpf_obj_get_info_by_fd(pinned, &theirs, &len))
		return false;
	len = sizeof(ours);
	if (bpf_obj_get_info_by_fd(prog, &ours, &len))
		return false;
	*id = theirs.id;
	return !memcmp(theirs.tag, ours.tag, sizeof(ours.tag)) &&
	       uses_map(ids, theirs.nr_map_ids, s->cfg_fd);
}

static bool link_runs(int fd, uint32_t prog_id)
{
	struct bpf_link_info i = { 0 };
	uint32_t len = sizeof(i);

	return !bpf_obj_get_info_by_fd(fd, &i, &len) && i.prog_id == prog_id;
}

/* All infos begin like this. */
uint32_t rs_bpf_object_id(int fd)
{
	struct {
		uint32_t type, id;
	} i = { 0 };
	uint32_t len = sizeof(i);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &i, &len) ? 0 : i.id;
}

static int adopt_hook(const struct rs_dp_config *cfg, struct rs_bpf_set *s, int hook,
		      struct rs_err *err)
{
	rs_autofree char *name = prog_name(hook);
	rs_autofree char *path = rs_bpf_pin_path(cfg, s->place, name);
	int prog = s->pinned[hook] = bpf_obj_get(path);
	uint32_t id = 0;

	if (prog < 0 || !same_program(prog, s, s->prog[hook], &id))
		return rs_err_set(err, ESTALE, "%s: missing, or of another version", path);
	for (int f = 0; f < RS_BPF_FAMILIES; f++) {
		int i = hook * RS_BPF_FAMILIES + f;
		rs_autofree char *link = link_name(cfg, i);
		rs_autofree char *at = rs_bpf_pin_path(cfg, s->place, link);

		s->link[i] = bpf_obj_get(at);
		if (s->link[i] < 0 || !link_runs(s->link[i], id))
			return rs_err_set(err, ESTALE, "%s: missing, or not ours", at);
	}
	return 0;
}

/* Programs at tc are known by their number: what is attached from now on is the pinned one too. */
static int adopt_tc(const struct rs_dp_config *cfg, struct rs_bpf_set *s, int i, struct rs_err *err)
{
	rs_autofree char *name = prog_name(RS_BPF_HOOKS + i);
	rs_autofree char *path = rs_bpf_pin_path(cfg, s->place, name);
	int prog = bpf_obj_get(path);
	uint32_t id = 0;

	if (prog < 0 || !same_program(prog, s, s->tc[i], &id)) {
		if (prog >= 0)
			close(prog);
		return rs_err_set(err, ESTALE, "%s: missing, or of another version", path);
	}
	close(s->tc[i]);
	s->tc[i] = prog;
	return 0;
}

bool rs_bpf_sockets_attached(int link)
{
	struct bpf_link_info i = { 0 };
	uint32_t len = sizeof(i);

	return !bpf_obj_get_info_by_fd(link, &i, &len) && i.netns.netns_ino;
}

static int adopt_sockets(const struct rs_dp_config *cfg, struct rs_bpf_set *s, struct rs_err *err)
{
	rs_autofree char *link = link_name(cfg, 0);
	rs_autofree char *at = rs_bpf_pin_path(cfg, s->place, link);

	s->link[0] = bpf_obj_get(at);
	if (s->link[0] < 0 || !rs_bpf_sockets_attached(s->link[0]) ||
	    !link_runs(s->link[0], rs_bpf_object_id(s->tc[RS_BPF_TC_SOCKETS])))
		return rs_err_set(err, ESTALE, "%s: missing, or not ours", at);
	return 0;
}

static int not_ours(const struct rs_dp_config *cfg, struct rs_err *err)
{
	rs_err_set(err, EBUSY, "the pins in %s are of another network namespace", top(cfg));
	rs_err_hint(err, "each node has a folder of its own");
	return -EBUSY;
}

/* Where nothing can be read nothing speaks against it. */
int rs_bpf_pins_ours(const struct rs_dp_config *cfg, struct rs_err *err)
{
	for (const char *place = "ab"; *place; place++) {
		rs_autofree char *path = rs_bpf_pin_path(cfg, *place, "rs_cfg");
		rs_autoclose int fd = bpf_obj_get(path);
		struct rs_bpf_cfg c = { 0 };
		uint32_t zero = 0;

		if (fd >= 0 && !bpf_map_lookup_elem(fd, &zero, &c) && c.netns &&
		    c.netns != rs_bpf_netns())
			return not_ours(cfg, err);
	}
	return 0;
}

int rs_bpf_set_adopt(const struct rs_dp_config *cfg, struct rs_bpf_set *s, struct rs_err *err)
{
	int rc = 0;

	if (s->cfg->netns != rs_bpf_netns())
		return not_ours(cfg, err);
	if (s->cfg->link_group != cfg->link_group)
		return rs_err_set(err, ESTALE, "its pod links are of another link group");
	for (int i = 0; i < RS_BPF_HOOKS && !rc && !cfg->bpf_tc; i++)
		rc = adopt_hook(cfg, s, i, err);
	for (int i = 0; i < RS_BPF_TCS && !rc; i++)
		if (rs_bpf_has_tc(cfg, i))
			rc = adopt_tc(cfg, s, i, err);
	if (!rc && cfg->bpf_tc)
		rc = adopt_sockets(cfg, s, err);
	if (!rc)
		rs_bpf_tcx_adopt(cfg, s);
	return rc;
}

/* ---- look after ------------------------------------------------------------------------------ */

static int check_pin(const struct rs_dp_config *cfg, char place, const char *name, int fd,
		     struct rs_err *err)
{
	rs_autofree char *path = rs_bpf_pin_path(cfg, place, name);
	rs_autoclose int there = bpf_obj_get(path);
	uint32_t id = rs_bpf_object_id(there);

	if (!id || id != rs_bpf_object_id(fd))
		return rs_err_set(err, ESTALE, "pin %s", path);
	return 0;
}

int rs_bpf_set_check(const struct rs_dp_config *cfg, const struct rs_bpf_set *s, struct rs_err *err)
{
	return for_pins(cfg, s, s->place, check_pin, err);
}

static int pin_again(const struct rs_dp_config *cfg, char place, const char *name, int fd,
		     struct rs_err *err)
{
	rs_autofree char *path = rs_bpf_pin_path(cfg, place, name);

	if (!check_pin(cfg, place, name, fd, NULL))
		return 0;
	if (unlink(path) && errno != ENOENT)
		return rs_err_sys(err, errno, "%s", path);
	return pin(cfg, place, name, fd, err);
}

int rs_bpf_set_pin(const struct rs_dp_config *cfg, const struct rs_bpf_set *s, struct rs_err *err)
{
	int rc = make_folder(cfg, s->place, err);

	return rc ? rc : for_pins(cfg, s, s->place, pin_again, err);
}

/* Its pin stays until the next call of the one above. */
int rs_bpf_set_attach(const struct rs_dp_config *cfg, struct rs_bpf_set *s, int i,
		      struct rs_err *err)
{
	unsigned int hook = (unsigned int)i / RS_BPF_FAMILIES;
	rs_autofree char *name = link_name(cfg, i);
	rs_autofree char *path = rs_bpf_pin_path(cfg, s->place, name);
	int fd = cfg->bpf_tc
			 ? rs_bpf_attach_sockets(s->tc[RS_BPF_TC_SOCKETS])
			 : rs_bpf_attach(s->pinned[hook], hook, (unsigned int)i % RS_BPF_FAMILIES,
					 rs_bpf_priority(hook, s->place));

	if (fd < 0)
		return rs_err_sys(err, -fd, "attach %s again", path);
	close(s->link[i]);
	s->link[i] = fd;
	return 0;
}

char *rs_bpf_set_folder(const struct rs_dp_config *cfg, char place)
{
	return rs_bpf_pin_path(cfg, place, NULL);
}

/* ---- remove ---------------------------------------------------------------------------------- */

/* Links last of all: until then the set still judges. */
static int remove_set(int at, const char *name, struct rs_err *err)
{
	rs_autoclose int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int links = 0; links < 2; links++) {
		int copy = dup(fd);
		rs_autoclosedir DIR *d = copy < 0 ? NULL : fdopendir(copy);
		struct dirent *e;

		if (!d)
			return rs_err_sys(err, errno, "%s", name);
		rewinddir(d);
		while ((e = readdir(d)) != NULL) {
			bool is_link = !strncmp(e->d_name, "link_", 5);

			if (e->d_name[0] == '.' || is_link != (links == 1))
				continue;
			if (unlinkat(fd, e->d_name, 0))
				return rs_err_sys(err, errno, "%s/%s", name, e->d_name);
		}
	}
	if (unlinkat(at, name, AT_REMOVEDIR))
		return rs_err_sys(err, errno, "%s", name);
	return 0;
}

static bool is_set(const char *name)
{
	size_t n = strlen(name);

	return n >= 3 && name[0] == PREFIX[0] && strspn(name + 1, "0123456789") == n - 2 &&
	       (name[n - 1] == 'a' || name[n - 1] == 'b');
}

/* Sets that `drop` names. */
static int remove_sets(const struct rs_dp_config *cfg, bool (*drop)(const char *name, char place),
		       char place, struct rs_err *err)
{
	rs_autoclosedir DIR *d = opendir(top(cfg));
	struct dirent *e;
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : rs_err_sys(err, errno, "%s", top(cfg));
	while (!rc && (e = readdir(d)) != NULL)
		if (is_set(e->d_name) && drop(e->d_name, place))
			rc = remove_set(dirfd(d), e->d_name, err);
	return rc ? rs_err_wrap(err, "remove pins in %s", top(cfg)) : 0;
}

static bool is_at(const char *name, char place)
{
	return name[strlen(name) - 1] == place;
}

static bool is_other(const char *name, char keep)
{
	char kept[16];

	snprintf(kept, sizeof(kept), PREFIX "%d%c", RS_BPF_LAYOUT, keep);
	return !keep || strcmp(name, kept) != 0;
}

int rs_bpf_pins_remove(const struct rs_dp_config *cfg, char keep, struct rs_err *err)
{
	int rc = remove_sets(cfg, is_other, keep, err);

	if (!rc && !keep)
		rmdir(top(cfg)); /* others' names in it keep it */
	return rc;
}

int rs_bpf_pins_clear(const struct rs_dp_config *cfg, char place, struct rs_err *err)
{
	return remove_sets(cfg, is_at, place, err);
}

static bool has_link(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rs_autoclosedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (!strncmp(e->d_name, "link_", 5))
			return true;
	return false;
}

bool rs_bpf_pins_linked(const struct rs_dp_config *cfg, char place)
{
	rs_autoclosedir DIR *d = opendir(top(cfg));
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		if (is_set(e->d_name) && (!place || is_at(e->d_name, place)) &&
		    has_link(dirfd(d), e->d_name))
			return true;
	return false;
}
