// SPDX-License-Identifier: Apache-2.0
/* bpfload.c - loads the programs and maps, and runs the two programs that are ours to run. */
#include "dataplane/ebpf/bpfload.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpfobject.h"
#include "dataplane/ebpf/bpfplan.h"
#include "dataplane/ebpf/bpfpins.h"
#include "dataplane/ebpf/bpftcx.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define BTF_FILE "/sys/kernel/btf/vmlinux"

#define TRIAL "rs_nf_trial"
#define TC_DEVICES "rs_tc_devices"

static const char *const tc_progs[RS_BPF_TCS] = {
	[RS_BPF_TC_GUARD] = "rs_tc_guard",	 [RS_BPF_TC_FROM_POD] = "rs_tc_from_pod",
	[RS_BPF_TC_TO_POD] = "rs_tc_to_pod",	 [RS_BPF_TC_FROM_WORLD] = "rs_tc_from_world",
	[RS_BPF_TC_TO_WORLD] = "rs_tc_to_world", [RS_BPF_TC_SOCKETS] = "rs_sk_local",
};

static const char *const hook_progs[RS_BPF_HOOKS] = {
	[RS_BPF_HOOK_GUARD] = "rs_nf_guard",
	[RS_BPF_HOOK_FORWARDED] = "rs_nf_forwarded",
	[RS_BPF_HOOK_TO_NODE] = "rs_nf_to_node",
};

/* ---- what libbpf has to say ------------------------------------------------------------------ */

static struct rs_strbuf *words; /* while a load is under way; all calls come from one thread */

static int hear(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && words && words->len < 4 * RS_KIB)
		rs_strbuf_vprintf(words, fmt, ap);
	return 0;
}

/* Its first line says what failed; the verifier's log behind it is for developers. */
static const char *first_line(struct rs_strbuf *b)
{
	char *end;

	if (!b->len)
		return "libbpf gives no reason";
	end = strchr(b->s, '\n');
	if (end)
		*end = '\0';
	return !strncmp(b->s, "libbpf: ", 8) ? b->s + 8 : b->s;
}

int rs_bpf_explain_error(struct rs_err *err)
{
	switch (err ? err->num : 0) {
	case EPERM:
	case EACCES:
		if (!err->hint)
			rs_err_hint(err, "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed, and a "
					 "bpffs that can be written");
		return rs_err_cni(err, RS_CNI_KERNEL);
	case EINVAL:
	case ENOENT:
	case ESRCH:
	case EOPNOTSUPP:
		if (!err->hint)
			rs_err_hint(err, "programs at netfilter hooks need kernel 6.4 with "
					 "CONFIG_NETFILTER_BPF_LINK and CONFIG_DEBUG_INFO_BTF; "
					 "--dataplane nft needs neither");
		return rs_err_cni(err, RS_CNI_KERNEL);
	default:
		return err ? -err->num : -EIO;
	}
}

/* ---- load ------------------------------------------------------------------------------------ */

bool rs_bpf_has_tc(const struct rs_dp_config *cfg, int prog)
{
	return cfg->bpf_tc != (prog == RS_BPF_TC_GUARD);
}

const char *rs_bpf_tc_name(int prog)
{
	return tc_progs[prog];
}

static void set_up(struct bpf_object *obj, const char *name, bool wanted)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(obj, name), wanted);
}

static void set_up_tc(struct bpf_object *obj, const struct rs_dp_config *cfg)
{
	for (int i = 0; i < RS_BPF_TCS; i++)
		set_up(obj, tc_progs[i], rs_bpf_has_tc(cfg, i));
	set_up(obj, TC_DEVICES, cfg->bpf_tc);
}

static void set_up_programs(struct bpf_object *obj, const struct rs_dp_config *cfg)
{
	set_up_tc(obj, cfg);
	for (int i = 0; i <= RS_BPF_HOOKS; i++) {
		const char *name = i < RS_BPF_HOOKS ? hook_progs[i] : TRIAL;
		struct bpf_program *p = bpf_object__find_program_by_name(obj, name);

		bpf_program__set_type(p, RS_BPF_PROG_NETFILTER);
		bpf_program__set_expected_attach_type(p, RS_BPF_ATTACH_NETFILTER);
		bpf_program__set_autoload(p, !cfg->bpf_tc);
	}
}

static void bound_maps(struct bpf_object *obj, uint32_t most)
{
	for (int m = 0; most && m < RS_BPF_MAPS; m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, rs_bpf_tables[m].name);

		if (bpf_map__max_entries(map) > most)
			bpf_map__set_max_entries(map, most);
	}
}

static bool same_shape(const struct bpf_map *map, int fd)
{
	struct bpf_map_info i = { 0 };
	uint32_t len = sizeof(i);

	return !bpf_obj_get_info_by_fd(fd, &i, &len) && i.type == bpf_map__type(map) &&
	       i.key_size == bpf_map__key_size(map) && i.value_size == bpf_map__value_size(map) &&
	       i.max_entries == bpf_map__max_entries(map) && i.map_flags == bpf_map__map_flags(map);
}

static int reuse_maps(const struct rs_dp_config *cfg, char place, struct bpf_object *obj,
		      struct rs_err *err)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		rs_autofree char *path = rs_bpf_pin_path(cfg, place, bpf_map__name(map));
		rs_autoclose int fd = bpf_obj_get(path);

		if (fd < 0 || !same_shape(map, fd) || bpf_map__reuse_fd(map, fd))
			return rs_err_set(err, ESTALE, "%s: missing, or of another shape", path);
	}
	return 0;
}

static int open_object(struct rs_bpf_set *s, struct rs_err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "ripstop");
	size_t len = (size_t)(rs_bpf_object_end - rs_bpf_object);

	if (access(BTF_FILE, R_OK))
		return rs_err_sys(err, errno, "read the kernel's own types: %s", BTF_FILE);
	s->obj = bpf_object__open_mem(rs_bpf_object, len, &opts);
	if (!s->obj)
		return rs_err_sys(err, errno, "open the programs");
	return 0;
}

static int map_fd(const struct rs_bpf_set *s, const char *name)
{
	return bpf_object__find_map_fd_by_name(s->obj, name);
}

static int prog_fd(const struct rs_bpf_set *s, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(s->obj, name));
}

/* Descriptors of the set's own: one that is adopted has those of its pins. */
static void take_tc(struct rs_bpf_set *s)
{
	for (int i = 0; i < RS_BPF_TCS; i++) {
		int fd = prog_fd(s, tc_progs[i]);

		s->tc[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
	s->tc_devices = prog_fd(s, TC_DEVICES);
}

static int take_parts(struct rs_bpf_set *s, struct rs_err *err)
{
	void *mem;

	for (int m = 0; m < RS_BPF_MAPS; m++)
		s->map[m] = map_fd(s, rs_bpf_tables[m].name);
	for (int i = 0; i < RS_BPF_HOOKS; i++)
		s->prog[i] = prog_fd(s, hook_progs[i]);
	take_tc(s);
	s->edit = prog_fd(s, "rs_edit");
	s->judge = prog_fd(s, "rs_judge");
	s->trial = prog_fd(s, TRIAL);
	s->cfg_fd = map_fd(s, "rs_cfg");
	s->counts = map_fd(s, "rs_counts");
	s->rates = map_fd(s, "rs_rates");
	s->events = map_fd(s, "rs_events");
	s->hits = map_fd(s, "rs_hits");
	s->rules = map_fd(s, "rs_rules");
	mem = mmap(NULL, sizeof(*s->cfg), PROT_READ | PROT_WRITE, MAP_SHARED, s->cfg_fd, 0);
	if (mem == MAP_FAILED)
		return rs_err_sys(err, errno, "map rs_cfg into memory");
	s->cfg = mem;
	return 0;
}

/* What programs remember no system call changes, by whichever pin: no audit looks there. */
static int seal(const struct rs_bpf_set *s, struct rs_err *err)
{
	static const char *const memos[] = { "rs_memos", "rs_sources" };

	for (size_t i = 0; i < RS_ARRAY_SIZE(memos); i++)
		if (bpf_map_freeze(map_fd(s, memos[i])))
			return rs_err_sys(err, errno, "freeze %s", memos[i]);
	return 0;
}

static int load_object(struct rs_bpf_set *s, struct rs_err *err)
{
	rs_auto_strbuf said = { 0 };
	int rc;

	words = &said;
	rc = bpf_object__load(s->obj);
	words = NULL;
	if (rc)
		return rs_err_sys(err, -rc, "load the programs: %s", first_line(&said));
	return 0;
}

void rs_bpf_set_empty(struct rs_bpf_set *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < RS_BPF_LINKS; i++)
		s->link[i] = -1;
	for (int i = 0; i < RS_BPF_HOOKS; i++)
		s->pinned[i] = -1;
	for (int i = 0; i < RS_BPF_TCS; i++)
		s->tc[i] = -1;
}

int rs_bpf_set_load(const struct rs_dp_config *cfg, char place, struct rs_bpf_set *out,
		    struct rs_err *err)
{
	int rc;

	rs_bpf_set_empty(out);
	libbpf_set_print(hear);
	rc = open_object(out, err);
	if (rc)
		return rc;
	set_up_programs(out->obj, cfg);
	bound_maps(out->obj, cfg->bpf_entries);
	if (place)
		rc = reuse_maps(cfg, place, out->obj, err);
	if (!rc)
		rc = load_object(out, err);
	if (!rc && !place)
		rc = seal(out, err);
	if (!rc)
		rc = take_parts(out, err);
	if (rc)
		rs_bpf_set_unload(out);
	else
		out->place = place;
	return rc;
}

void rs_bpf_set_detach(struct rs_bpf_set *s)
{
	for (int i = 0; i < RS_BPF_LINKS; i++) {
		if (s->link[i] >= 0)
			close(s->link[i]);
		s->link[i] = -1;
	}
	rs_bpf_tcx_release(s);
}

void rs_bpf_set_unload(struct rs_bpf_set *s)
{
	if (s->cfg)
		munmap(s->cfg, sizeof(*s->cfg));
	rs_bpf_set_detach(s);
	for (int i = 0; i < RS_BPF_HOOKS; i++)
		if (s->pinned[i] >= 0)
			close(s->pinned[i]);
	for (int i = 0; i < RS_BPF_TCS; i++)
		if (s->tc[i] >= 0)
			close(s->tc[i]);
	bpf_object__close(s->obj);
	rs_bpf_set_empty(s);
}

/* ---- run ------------------------------------------------------------------------------------- */

static int run(int prog, const void *data, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = data, .data_size_in = (uint32_t)len,
		    .repeat = 1);
	int rc = bpf_prog_test_run_opts(prog, &o);

	return rc ? rc : (int)o.retval;
}

int rs_bpf_run_edit(const struct rs_bpf_set *s, const struct rs_bpf_edit *e)
{
	return run(s->edit, e, sizeof(*e));
}

int rs_bpf_run_judge(const struct rs_bpf_set *s, const struct rs_bpf_case *c)
{
	return run(s->judge, c, sizeof(*c));
}

uint32_t rs_bpf_run_devices(const struct rs_bpf_set *s)
{
	uint8_t frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = 1);

	return bpf_prog_test_run_opts(s->tc_devices, &o) ? 0 : o.retval;
}

uint64_t rs_bpf_netns(void)
{
	rs_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return 0;
	return cookie;
}
