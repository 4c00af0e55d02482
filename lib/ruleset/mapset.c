// SPDX-License-Identifier: Apache-2.0
/* mapset.c - the pins of the eBPF dataplane: which set is there, its maps and its links. */
#include "ruleset/mset.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static const struct {
	const char *name;
	uint32_t key, value; /* bytes */
} maps[MSET_MAPS] = {
	[MSET_CFG] = { "rs_cfg", sizeof(uint32_t), sizeof(struct rs_bpf_cfg) },
	[MSET_ENDS] = { "rs_ends", sizeof(struct rs_bpf_addr), sizeof(struct rs_bpf_end_slots) },
	[MSET_RANGES] = { "rs_ranges", sizeof(struct rs_bpf_prefix),
			  sizeof(struct rs_bpf_num_slots) },
	[MSET_CELLS] = { "rs_cells", sizeof(struct rs_bpf_cell), sizeof(struct rs_bpf_cell_slots) },
	[MSET_RUNS] = { "rs_runs", sizeof(struct rs_bpf_runs_key),
			sizeof(struct rs_bpf_runs_slots) },
	[MSET_PORTS] = { "rs_ports", sizeof(struct rs_bpf_port), sizeof(struct rs_bpf_num_slots) },
	[MSET_LINKS] = { "rs_links", sizeof(uint32_t), sizeof(struct rs_bpf_link_slots) },
	[MSET_OWN] = { "rs_own", sizeof(struct rs_bpf_prefix), sizeof(struct rs_bpf_num_slots) },
};

static const char *const hooks[MSET_HOOKS] = { "guard", "forwarded", "to_node" };

/* ---- the system call ------------------------------------------------------------------------- */

static int bpf(int cmd, union bpf_attr *attr)
{
	long rc = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return rc < 0 ? -errno : (int)rc;
}

static int open_pin(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	attr.file_flags = BPF_F_RDONLY;
	return bpf(BPF_OBJ_GET, &attr);
}

/* A pin of that name may hold anything: what it gives must fit where it is put. */
static bool fits(int fd, enum mset_map m)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && info.key_size == maps[m].key &&
	       info.value_size == maps[m].value;
}

static int look_up(int fd, const void *key, void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)fd;
	attr.key = (uintptr_t)key;
	attr.value = (uintptr_t)value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

/* ---- open ------------------------------------------------------------------------------------ */

static bool has_pin(const char *dir, const char *hook, int family)
{
	rs_autofree char *path = rs_asprintf("%s/link_%s%d", dir, hook, family);

	return access(path, F_OK) == 0;
}

static bool is_linked(const char *dir)
{
	for (int h = 0; h < MSET_HOOKS; h++)
		if (has_pin(dir, hooks[h], 4) || has_pin(dir, hooks[h], 6))
			return true;
	return false;
}

static void close_place(struct mset_place *p)
{
	for (int m = 0; m < MSET_MAPS; m++)
		if (p->fd[m] >= 0)
			close(p->fd[m]);
}

static int open_place(const char *dir, struct mset_place *p, struct rs_err *err)
{
	for (int h = 0; h < MSET_HOOKS; h++)
		for (int six = 0; six < 2; six++)
			p->linked[h][six] = has_pin(dir, hooks[h], six ? 6 : 4);
	memset(p->fd, -1, sizeof(p->fd));
	for (int m = 0; m < MSET_MAPS; m++) {
		rs_autofree char *path = rs_asprintf("%s/%s", dir, maps[m].name);

		p->fd[m] = open_pin(path);
		if (p->fd[m] < 0)
			return rs_err_sys(err, -p->fd[m], "open %s", path);
		if (!fits(p->fd[m], (enum mset_map)m))
			return rs_err_set(err, ESTALE, "%s is not of the shape that is known here",
					  path);
	}
	return 0;
}

/* Whether a set of any layout judges. */
static bool is_other(const char *dir)
{
	rs_autoclosedir DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		rs_autofree char *path = rs_asprintf("%s/%s", dir, e->d_name);

		if (e->d_name[0] == 'v' && is_linked(path))
			return true;
	}
	return false;
}

static int none_there(const char *dir, struct rs_err *err)
{
	if (access(dir, R_OK | X_OK) && errno == EACCES)
		return rs_err_sys(err, EACCES, "%s", dir);
	if (is_other(dir))
		return rs_err_set(err, ESTALE,
				  "what is pinned in %s is of another layout: ask with the ripstop "
				  "of the agent's release",
				  dir);
	return rs_err_set(err, ENOENT, "no programs are pinned in %s", dir);
}

int rs_mapset_open(const char *dir, struct rs_mapset **out, struct rs_err *err)
{
	struct rs_mapset *m = rs_new(struct rs_mapset);
	int rc = 0;

	for (const char *at = "ab"; *at && !rc; at++) {
		rs_autofree char *path = rs_asprintf("%s/v%d%c", dir, RS_BPF_LAYOUT, *at);

		if (is_linked(path))
			rc = open_place(path, &m->place[m->n++], err);
	}
	if (!rc && !m->n)
		rc = none_there(dir, err);
	if (rc) {
		rs_mapset_close(m);
		return rc;
	}
	*out = m;
	return 0;
}

void rs_mapset_close(struct rs_mapset *m)
{
	for (size_t i = 0; m && i < m->n; i++)
		close_place(&m->place[i]);
	free(m);
}

int mset_read_cfg(const struct mset_place *set, struct rs_bpf_cfg *cfg)
{
	uint32_t zero = 0;

	return look_up(set->fd[MSET_CFG], &zero, cfg);
}

int rs_mapset_check_netns(const struct rs_mapset *m, struct rs_err *err)
{
	rs_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rs_bpf_cfg cfg = { 0 };
	uint64_t own = 0;
	socklen_t len = sizeof(own);
	int rc = mset_read_cfg(&m->place[0], &cfg);

	if (rc)
		return rs_err_sys(err, -rc, "read rs_cfg");
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &own, &len) || own == cfg.netns)
		return 0; /* a kernel that does not tell speaks against nothing */
	return rs_err_set(err, EXDEV, "the programs are those of another network namespace");
}

/* ---- one epoch ------------------------------------------------------------------------------- */

struct rs_bpf_addr mset_addr(const struct rs_addr *a)
{
	struct rs_bpf_addr out = { .family = a->family };

	memcpy(out.a, a->b, a->family == RS_AF_IP4 ? 4 : 16);
	return out;
}

/* The value of the newest slot that has begun; NULL: none has. */
static const void *newest(const __u64 epoch[2], uint64_t now, const void *first, size_t size)
{
	int best = -1;

	for (int i = 0; i < 2; i++)
		if (epoch[i] && epoch[i] <= now && (best < 0 || epoch[i] > epoch[best]))
			best = i;
	return best < 0 ? NULL : (const char *)first + (size_t)best * size;
}

static bool have(struct mset_look *l, enum mset_map m, const void *key, void *slots)
{
	int rc = l->rc ? l->rc : look_up(l->set->fd[m], key, slots);

	if (rc && rc != -ENOENT)
		l->rc = rc;
	return !rc;
}

static struct rs_mapfound *found(struct mset_look *l, enum mset_map m)
{
	static struct rs_mapfound beyond; /* what there is no room for */
	struct rs_mapwalk *w = l->out;
	struct rs_mapfound *f = w->n_found < RS_MAPWALK_FOUND ? &w->found[w->n_found++] : &beyond;

	memset(f, 0, sizeof(*f));
	snprintf(f->map, sizeof(f->map), "%s", maps[m].name);
	return f;
}

bool mset_end(struct mset_look *l, const struct rs_addr *a, struct rs_bpf_end *out)
{
	struct rs_bpf_addr key = mset_addr(a);
	struct rs_bpf_end_slots s;
	const struct rs_bpf_end *v = NULL;
	struct rs_mapfound *f;
	char text[RS_ADDR_STRLEN], cls[24] = "no class";

	memset(out, 0, sizeof(*out));
	if (have(l, MSET_ENDS, &key, &s))
		v = newest(s.epoch, l->epoch, s.v, sizeof(s.v[0]));
	if (!v || !v->flags)
		return false;
	*out = *v;
	f = found(l, MSET_ENDS);
	if (v->flags & RS_BPF_END_CLASS)
		snprintf(cls, sizeof(cls), "class %u", v->cls);
	snprintf(f->key, sizeof(f->key), "%s", rs_addr_str(a, text));
	if (v->flags & RS_BPF_END_LOCAL)
		snprintf(f->value, sizeof(f->value), "%s, ingress group %u, egress group %u%s", cls,
			 v->in_group, v->out_group,
			 v->flags & RS_BPF_END_FREE ? ", not isolated" : "");
	else
		snprintf(f->value, sizeof(f->value), "%s", cls);
	return true;
}

bool mset_link(struct mset_look *l, uint32_t index, struct rs_bpf_link *out)
{
	struct rs_bpf_link_slots s;
	const struct rs_bpf_link *v = NULL;
	struct rs_mapfound *f;

	if (have(l, MSET_LINKS, &index, &s))
		v = newest(s.epoch, l->epoch, s.v, sizeof(s.v[0]));
	if (!v || !v->n)
		return false;
	*out = *v;
	if (out->n > RS_BPF_LINK_ADDRS)
		out->n = RS_BPF_LINK_ADDRS;
	f = found(l, MSET_LINKS);
	snprintf(f->key, sizeof(f->key), "%u", index);
	snprintf(f->value, sizeof(f->value), "%.16s, %u addresses", out->name, out->n);
	return true;
}

static uint32_t number(struct mset_look *l, enum mset_map m, const void *key)
{
	struct rs_bpf_num_slots s;
	const uint32_t *v = NULL;

	if (have(l, m, key, &s))
		v = newest(s.epoch, l->epoch, s.v, sizeof(s.v[0]));
	return v ? *v : 0;
}

uint32_t mset_prefix(struct mset_look *l, enum mset_map m, const struct rs_addr *a)
{
	struct rs_bpf_prefix key = { .plen = RS_BPF_FAMILY_BITS +
					     (a->family == RS_AF_IP4 ? 32u : 128u),
				     .addr = mset_addr(a) };
	uint32_t n = number(l, m, &key);
	char text[RS_ADDR_STRLEN];
	struct rs_mapfound *f;

	if (!n)
		return 0;
	f = found(l, m);
	snprintf(f->key, sizeof(f->key), "%s", rs_addr_str(a, text));
	snprintf(f->value, sizeof(f->value), m == MSET_RANGES ? "class %u" : "a pod range of ours",
		 n);
	return n;
}

uint32_t mset_cell(struct mset_look *l, uint32_t dir, uint32_t group, uint32_t cls)
{
	struct rs_bpf_cell key = { .dir = dir, .group = group, .cls = cls };
	struct rs_bpf_cell_slots s;
	const struct rs_bpf_cell_value *v = NULL;
	struct rs_mapfound *f;
	uint32_t profile;
	char peer[24] = "any other";

	if (have(l, MSET_CELLS, &key, &s))
		v = newest(s.epoch, l->epoch, s.v, sizeof(s.v[0]));
	profile = v ? v->profile & RS_BPF_PROFILE_MASK : 0;
	if (!profile)
		return 0;
	if (cls != RS_BPF_DEFAULT)
		snprintf(peer, sizeof(peer), "class %u", cls);
	f = found(l, MSET_CELLS);
	snprintf(f->key, sizeof(f->key), "%s . group %u . %s", dir == 1 ? "ingress" : "egress",
		 group, peer);
	snprintf(f->value, sizeof(f->value), "profile %u%s", profile,
		 profile == RS_BPF_PROFILE_ALLOW  ? " (all)"
		 : profile == RS_BPF_PROFILE_DENY ? " (nothing)"
						  : "");
	f->counted = true;
	f->judged = s.judged;
	return profile;
}

bool mset_runs(struct mset_look *l, uint32_t profile, uint8_t proto, struct rs_bpf_runs *out)
{
	struct rs_bpf_runs_key key = { .profile = profile, .proto = proto };
	struct rs_bpf_runs_slots s;
	const struct rs_bpf_runs *v = NULL;
	struct rs_mapfound *f;
	size_t len = 0;

	if (have(l, MSET_RUNS, &key, &s))
		v = newest(s.epoch, l->epoch, s.v, sizeof(s.v[0]));
	if (!v || !v->n)
		return false;
	*out = *v;
	f = found(l, MSET_RUNS);
	snprintf(f->key, sizeof(f->key), proto ? "profile %u . protocol %u" : "profile %u . others",
		 profile, proto);
	if (v->n == RS_BPF_RUNS_MORE)
		snprintf(f->value, sizeof(f->value), "see rs_ports");
	for (unsigned int i = 0; i < v->n && i < RS_BPF_RUNS && len < sizeof(f->value); i++)
		len += (size_t)snprintf(f->value + len, sizeof(f->value) - len, "%s%u-%u",
					i ? ", " : "ports ", v->lo[i], v->hi[i]);
	return true;
}

uint32_t mset_port(struct mset_look *l, uint32_t profile, uint8_t proto, uint16_t port)
{
	struct rs_bpf_port key = { .plen = 56 };
	struct rs_mapfound *f;
	uint32_t says;

	for (int i = 0; i < 4; i++)
		key.b[i] = (uint8_t)(profile >> (24 - 8 * i));
	key.b[4] = proto;
	key.b[5] = (uint8_t)(port >> 8);
	key.b[6] = (uint8_t)port;
	says = number(l, MSET_PORTS, &key);
	if (!says)
		return 0;
	f = found(l, MSET_PORTS);
	snprintf(f->key, sizeof(f->key), "profile %u . protocol %u . %u", profile, proto, port);
	snprintf(f->value, sizeof(f->value), says == RS_BPF_PORT_ALLOW ? "allow" : "deny");
	return says;
}
