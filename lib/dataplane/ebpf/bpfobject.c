// SPDX-License-Identifier: Apache-2.0
/* bpfobject.c - bpf/ripstop.bpf.c, compiled when this program was: a node needs no compiler. The
 * build names the file in RS_BPF_OBJECT. */
#include "dataplane/ebpf/bpfobject.h"

#ifdef RS_BPF_OBJECT
__asm__(".pushsection .rodata.rs_bpf_object, \"a\"\n"
	".balign 8\n"
	".globl rs_bpf_object\n"
	"rs_bpf_object:\n"
	".incbin \"" RS_BPF_OBJECT "\"\n"
	".globl rs_bpf_object_end\n"
	"rs_bpf_object_end:\n"
	".byte 0\n"
	".popsection\n");
#endif
