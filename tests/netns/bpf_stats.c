// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_stats.c - what this kernel's verifier says of each of our programs, loaded by itself: instructions
 * as compiled, as walked, as machine code. One that is refused tells the verifier's last words. Root.
 *
 *	bpf_stats		`make bpf-stats`
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/base.h"
#include "dataplane/ebpf/bpfload.h"
#include "dataplane/ebpf/bpfobject.h"

/* Of the kernel's log levels: the last lines alone; and each instruction, of which a kernel from 6.4
 * keeps the last ones. */
#define LOG_STATS 4
#define LOG_ALL 1
/* Far below the kernel's limit of a million, and what a later change may not reach unseen. */
#define MOST_WALKED 100000
#define WORDS 900 /* of a log, at most */

/* The first is two instructions: whether the kernel has programs at netfilter hooks at all. */
static const char *const programs[] = { "rs_nf_trial",	    "rs_nf_guard",    "rs_nf_forwarded",
					"rs_nf_to_node",    "rs_judge",	      "rs_edit",
					"rs_tc_guard",	    "rs_tc_from_pod", "rs_tc_to_pod",
					"rs_tc_from_world", "rs_tc_to_world", "rs_tc_devices",
					"rs_sk_local" };

static int passed, failed, skipped;
static bool no_such_hooks; /* a kernel before 6.4: nft enforces there, whatever else loads */

static int no_words(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

static void choose(struct bpf_object *obj, const char *name, unsigned int level, char *log,
		   size_t size)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, obj)
	{
		bool wanted = !strcmp(bpf_program__name(p), name);

		if (!strncmp(bpf_program__name(p), "rs_nf_", 6)) {
			bpf_program__set_type(p, (enum bpf_prog_type)RS_BPF_PROG_NETFILTER);
			bpf_program__set_expected_attach_type(
				p, (enum bpf_attach_type)RS_BPF_ATTACH_NETFILTER);
		}
		bpf_program__set_autoload(p, wanted);
		if (wanted) {
			bpf_program__set_log_level(p, level);
			bpf_program__set_log_buf(p, log, size);
		}
	}
}

/* Without the line breaks behind them. */
static const char *last_words(char *log, size_t most)
{
	size_t n = strlen(log);

	while (n && log[n - 1] == '\n')
		log[--n] = '\0';
	return n > most ? log + n - most : log;
}

/* The verifier's sum. */
static const char *sum_of(char *log)
{
	char *sum = strstr(log, "processed ");

	return sum ? last_words(sum, WORDS) : "";
}

static void tell_refused(const char *name, int error, char *log)
{
	if (!strcmp(name, programs[0]) && error == EINVAL && !*log)
		no_such_hooks = true;
	printf("%-16s refused: %s\n", name, strerror(error));
	if (*log)
		printf("%s\n", last_words(log, WORDS));
	skipped += no_such_hooks;
	failed += !no_such_hooks;
}

static void tell(const char *name, int fd, char *log)
{
	struct bpf_prog_info i = { 0 };
	uint32_t len = sizeof(i);
	bool fine = !bpf_obj_get_info_by_fd(fd, &i, &len) && i.verified_insns <= MOST_WALKED;

	printf("%-16s %5u compiled, %6u walked, %5u bytes of machine code; %s\n", name,
	       i.xlated_prog_len / 8, i.verified_insns, i.jited_prog_len, sum_of(log));
	passed += fine;
	failed += !fine;
}

/* NULL: refused, for *error. */
static struct bpf_object *load(const char *name, unsigned int level, char *log, size_t size,
			       int *error)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "ripstop");
	struct bpf_object *obj = bpf_object__open_mem(
		rs_bpf_object, (size_t)(rs_bpf_object_end - rs_bpf_object), &opts);

	log[0] = '\0';
	if (!obj) {
		*error = errno;
		return NULL;
	}
	choose(obj, name, level, log, size);
	*error = -bpf_object__load(obj);
	if (!*error)
		return obj;
	bpf_object__close(obj);
	return NULL;
}

static void load_one(const char *name)
{
	static char log[64 * RS_KIB];
	int error, again;
	struct bpf_object *obj = load(name, LOG_STATS, log, sizeof(log), &error);

	if (obj) {
		tell(name, bpf_program__fd(bpf_object__find_program_by_name(obj, name)), log);
	} else {
		bpf_object__close(load(name, LOG_ALL, log, sizeof(log), &again));
		tell_refused(name, error, log);
	}
	bpf_object__close(obj);
}

int main(void)
{
	struct utsname u = { 0 };

	if (geteuid() != 0) {
		printf("root is needed\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	uname(&u);
	printf("kernel %s\n", u.release);
	libbpf_set_print(no_words);
	/* Some of what programs call is this module's; as built in it is no module. */
	if (system("modprobe -q nf_conntrack"))
		printf("nf_conntrack is not loaded as a module\n");
	for (size_t i = 0; i < RS_ARRAY_SIZE(programs); i++)
		load_one(programs[i]);
	if (no_such_hooks)
		printf("this kernel has no programs at netfilter hooks: nft enforces here\n");
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed > 0;
}
