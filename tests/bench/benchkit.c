// SPDX-License-Identifier: Apache-2.0
/* benchkit.c - dice, namespaces, other programs; see benchkit.h. */
#include "tests/bench/benchkit.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

void bk_need_root(void)
{
	if (geteuid() != 0)
		bench_die("network namespaces need root");
}

/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"). */
size_t bk_random(size_t n)
{
	static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	return (size_t)((x * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n);
}

void bk_shuffle(size_t *v, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = bk_random(i), t = v[i - 1];

		v[i - 1] = v[j];
		v[j] = t;
	}
}

/* ---- lines ----------------------------------------------------------------------------------- */

void bk_skip(const char *series, const char *fmt, ...)
{
	rs_auto_strbuf b = { 0 };
	rs_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = rs_vasprintf(fmt, ap);
	va_end(ap);
	rs_strbuf_puts(&b, "{\"skip\":");
	rs_strbuf_put_json(&b, series);
	rs_strbuf_puts(&b, ",\"why\":");
	rs_strbuf_put_json(&b, text);
	rs_strbuf_putc(&b, '}');
	puts(b.s);
	fflush(stdout);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	rs_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		bench_die("loopback up: %s", strerror(errno));
}

int bk_ns_new(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		bench_die("a new network namespace: %s", strerror(errno));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		bench_die("/proc/self/ns/net: %s", strerror(errno));
	loopback_up();
	return fd;
}

void bk_ns_enter(int ns)
{
	if (setns(ns, CLONE_NEWNET) < 0)
		bench_die("enter a network namespace: %s", strerror(errno));
}

void bk_sysctl(const char *path, const char *value)
{
	rs_autofree char *full = rs_asprintf("/proc/sys/%s", path);
	rs_autoclose int fd = open(full, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(value);

	if (fd < 0 || write(fd, value, n) != (ssize_t)n)
		bench_die("%s: %s", full, strerror(errno));
}

/* ---- other programs -------------------------------------------------------------------------- */

const char *bk_bpffs(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", BK_BPFFS, "bpf", 0, NULL))
		return strerror(errno);
	return NULL;
}

int bk_memfile(const char *text, size_t len)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
		bench_die("a file in memory: %s", strerror(errno));
	return fd;
}

int bk_nft(const char *text, size_t len)
{
	rs_autoclose int in = bk_memfile(text, len);
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid == 0) {
		dup2(in, 0);
		dup2(2, 1); /* what it says is no line of ours */
		execlp("nft", "nft", "-f", "-", NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void bk_pin(void)
{
	cpu_set_t may, one;

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return;
	CPU_ZERO(&one);
	for (int i = CPU_SETSIZE - 1; i >= 0; i--) {
		if (!CPU_ISSET(i, &may))
			continue;
		/* The last one: interrupts of devices tend to go to the first. */
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}
