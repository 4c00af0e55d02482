// SPDX-License-Identifier: Apache-2.0
/* bpftcx.c - see bpftcx.h. The headers and the libbpf of Debian 12 know nothing of it. */
#include "dataplane/ebpf/bpftcx.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpfpins.h"

#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define BEFORE (1u << 3)
#define LOOPBACK 1
#define PIN "link_tc_%u_%s"

struct tcx_info { /* of struct bpf_link_info */
	uint32_t type, id, prog_id, pad;
	uint32_t ifindex; /* 0: the device is gone */
	uint32_t attach_type;
};

static uint32_t attach_type(bool in)
{
	return in ? TCX_INGRESS : TCX_EGRESS;
}

bool rs_bpf_tcx_has(void)
{
	struct { /* of union bpf_attr */
		uint32_t ifindex, type, query_flags, attach_flags;
		uint64_t prog_ids;
		uint32_t prog_cnt, pad;
		uint64_t rest[4];
	} attr = { .ifindex = LOOPBACK, .type = TCX_INGRESS };

	/* 6.6 says ENOENT where nothing stands; older ones do not know the type. */
	return !syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) || errno == ENOENT;
}

static int create(uint32_t ifindex, bool in, int prog)
{
	struct { /* of union bpf_attr */
		uint32_t prog_fd, ifindex, type, flags;
		uint32_t relative_fd, pad;
		uint64_t expected_revision;
		uint64_t rest[2];
	} attr = { .prog_fd = (uint32_t)prog,
		   .ifindex = ifindex,
		   .type = attach_type(in),
		   .flags = BEFORE };
	int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

static struct tcx_info info_of(int fd)
{
	struct tcx_info i = { 0 };
	uint32_t len = sizeof(i);

	if (bpf_obj_get_info_by_fd(fd, (void *)&i, &len))
		memset(&i, 0, sizeof(i));
	return i;
}

static bool is_at(int fd, uint32_t ifindex, bool in, uint32_t prog_id)
{
	struct tcx_info i = info_of(fd);

	return i.ifindex == ifindex && i.attach_type == attach_type(in) && i.prog_id == prog_id;
}

static char *path_of(const struct rs_dp_config *cfg, char place, uint32_t ifindex, bool in)
{
	rs_autofree char *name = rs_asprintf(PIN, ifindex, in ? "in" : "out");

	return rs_bpf_pin_path(cfg, place, name);
}

static bool is_pinned(const struct rs_dp_config *cfg, char place, const struct rs_bpf_tcx *l)
{
	rs_autofree char *path = path_of(cfg, place, l->ifindex, l->in);
	rs_autoclose int there = bpf_obj_get(path);
	uint32_t id = rs_bpf_object_id(there);

	return id && id == rs_bpf_object_id(l->fd);
}

static struct rs_bpf_tcx *find(const struct rs_bpf_set *s, uint32_t ifindex, bool in)
{
	for (size_t i = 0; i < s->tcx.n; i++)
		if (s->tcx.v[i].ifindex == ifindex && s->tcx.v[i].in == in)
			return &s->tcx.v[i];
	return NULL;
}

bool rs_bpf_tcx_holds(const struct rs_bpf_set *s, uint32_t ifindex, bool in)
{
	return find(s, ifindex, in) != NULL;
}

/* The last one takes its place. */
static void drop(const struct rs_dp_config *cfg, struct rs_bpf_set *s, struct rs_bpf_tcx *l)
{
	rs_autofree char *path = path_of(cfg, s->place, l->ifindex, l->in);

	(void)unlink(path);
	close(l->fd);
	*l = s->tcx.v[--s->tcx.n];
}

bool rs_bpf_tcx_stands(const struct rs_dp_config *cfg, const struct rs_bpf_set *s, uint32_t ifindex,
		       bool in, int prog)
{
	const struct rs_bpf_tcx *l = find(s, ifindex, in);

	return l && is_at(l->fd, ifindex, in, rs_bpf_object_id(prog)) &&
	       is_pinned(cfg, s->place, l);
}

/* An old pin is another device's that had the number, or was lost and is somebody's. */
static int pin(const struct rs_dp_config *cfg, char place, const struct rs_bpf_tcx *l)
{
	rs_autofree char *path = path_of(cfg, place, l->ifindex, l->in);

	if (unlink(path) && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(l->fd, path) ? -errno : 0;
}

int rs_bpf_tcx_put(const struct rs_dp_config *cfg, struct rs_bpf_set *s, uint32_t ifindex, bool in,
		   int prog)
{
	struct rs_bpf_tcx *held = find(s, ifindex, in);
	struct rs_bpf_tcx l = { .ifindex = ifindex, .in = in };
	int rc;

	if (held && is_at(held->fd, ifindex, in, rs_bpf_object_id(prog)))
		return is_pinned(cfg, s->place, held) ? 0 : pin(cfg, s->place, held);
	if (held)
		drop(cfg, s, held);
	l.fd = create(ifindex, in, prog);
	if (l.fd < 0)
		return l.fd;
	rc = pin(cfg, s->place, &l);
	if (rc)
		close(l.fd);
	else
		*rs_vec_push(&s->tcx) = l;
	return rc;
}

static bool parse(const char *name, struct rs_bpf_tcx *out)
{
	char again[64], way[4] = "";

	if (sscanf(name, "link_tc_%u_%3s", &out->ifindex, way) != 2)
		return false;
	out->in = !strcmp(way, "in");
	snprintf(again, sizeof(again), PIN, out->ifindex, out->in ? "in" : "out");
	return !strcmp(again, name);
}

void rs_bpf_tcx_adopt(const struct rs_dp_config *cfg, struct rs_bpf_set *s)
{
	rs_autofree char *dir = rs_bpf_set_folder(cfg, s->place);
	rs_autoclosedir DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		struct rs_bpf_tcx l;
		rs_autofree char *path = NULL;

		if (!parse(e->d_name, &l))
			continue;
		path = rs_bpf_pin_path(cfg, s->place, e->d_name);
		l.fd = bpf_obj_get(path);
		if (l.fd >= 0)
			*rs_vec_push(&s->tcx) = l;
	}
}

void rs_bpf_tcx_prune(const struct rs_dp_config *cfg, struct rs_bpf_set *s,
		      bool (*used)(uint32_t ifindex, void *arg), void *arg)
{
	for (size_t i = s->tcx.n; i-- > 0;)
		if (!used(s->tcx.v[i].ifindex, arg) && !info_of(s->tcx.v[i].fd).ifindex)
			drop(cfg, s, &s->tcx.v[i]);
}

void rs_bpf_tcx_release(struct rs_bpf_set *s)
{
	for (size_t i = 0; i < s->tcx.n; i++)
		close(s->tcx.v[i].fd);
	rs_vec_free(&s->tcx);
}
