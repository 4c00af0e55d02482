// SPDX-License-Identifier: Apache-2.0
/* ebpf_bed.c - see ebpf_bed.h. */
#include "ebpf_bed.h"

#include <sched.h>
#include <sys/mount.h>

#include "nft_check.h"

bool ebpf_own_bpffs(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) == 0;
}

void ebpf_use(void)
{
	bed_ops = &rs_dp_ebpf;
	cfg.bpf_dir = EBPF_DIR;
}
