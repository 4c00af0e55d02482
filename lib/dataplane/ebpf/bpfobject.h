/* SPDX-License-Identifier: Apache-2.0 */
/* bpfobject.h - the compiled programs, as bytes of this program. */
#ifndef RIPSTOP_DATAPLANE_EBPF_BPFOBJECT_H
#define RIPSTOP_DATAPLANE_EBPF_BPFOBJECT_H

#include <stdint.h>

extern const uint8_t rs_bpf_object[];
extern const uint8_t rs_bpf_object_end[];

#endif
