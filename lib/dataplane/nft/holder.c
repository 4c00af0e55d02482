// SPDX-License-Identifier: Apache-2.0
/* holder.c - which process holds a netlink port: the kernel tells a table's owner only by that. */
#include "dataplane/nft/nft.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

/* Inode of the netfilter socket with that port in this network namespace; 0 when there is none. */
static uint64_t inode_of_port(uint32_t port)
{
	rs_autofclose FILE *f = fopen("/proc/thread-self/net/netlink", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned int proto, have;
		uint64_t inode;

		/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode */
		if (sscanf(line, "%*s %u %u %*s %*s %*s %*s %*s %*s %" SCNu64, &proto, &have,
			   &inode) == 3 &&
		    proto == NETLINK_NETFILTER && have == port)
			return inode;
	}
	return 0;
}

static bool holds(int proc, const char *pid, const char *socket)
{
	rs_autofree char *path = rs_asprintf("%s/fd", pid);
	rs_autoclosedir DIR *dir = NULL;
	int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	char to[64];

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && (e = readdir(dir)) != NULL) {
		ssize_t len = readlinkat(dirfd(dir), e->d_name, to, sizeof(to) - 1);

		if (len > 0 && len < (ssize_t)sizeof(to) - 1) {
			to[len] = '\0';
			if (!strcmp(to, socket))
				return true;
		}
	}
	return false;
}

static char *describe(int proc, const char *pid)
{
	rs_autofree char *path = rs_asprintf("%s/comm", pid);
	rs_autoclose int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	struct rs_strbuf b = { 0 };
	char name[64] = "";
	ssize_t len = fd < 0 ? 0 : read(fd, name, sizeof(name) - 1);

	name[len > 0 ? len : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	rs_strbuf_printf(&b, "pid %s (", pid);
	rs_strbuf_puts_safe(&b, *name ? name : "?");
	rs_strbuf_putc(&b, ')');
	return rs_strbuf_steal(&b);
}

char *rs_nft_port_holder(uint32_t port)
{
	rs_autoclosedir DIR *dir = opendir("/proc");
	rs_autofree char *socket = NULL;
	uint64_t inode = inode_of_port(port);
	struct dirent *e;

	if (!dir || !inode)
		return NULL;
	socket = rs_asprintf("socket:[%" PRIu64 "]", inode);
	while ((e = readdir(dir)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) && holds(dirfd(dir), e->d_name, socket))
			return describe(dirfd(dir), e->d_name);
	return NULL;
}
