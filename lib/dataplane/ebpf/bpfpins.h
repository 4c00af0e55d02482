/* SPDX-License-Identifier: Apache-2.0 */
/* bpfpins.h - names of pins, for the two files that make and read them. */
#ifndef RIPSTOP_DATAPLANE_EBPF_BPFPINS_H
#define RIPSTOP_DATAPLANE_EBPF_BPFPINS_H

#include <ripstop/dataplane.h>

/* DIR/vLAYOUTplace/name; name NULL: the folder. Caller frees. */
char *rs_bpf_pin_path(const struct rs_dp_config *cfg, char place, const char *name);

#endif
