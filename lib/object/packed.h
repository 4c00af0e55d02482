/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packed.h - objects as a store holds them: all that belongs to one lies in one piece of memory,
 * but for words that many share (wordpool.h). A pod of four labels is some 300 bytes that way, and
 * 1,000 with an allocation for every string.
 */
#ifndef RIPSTOP_OBJECT_PACKED_H
#define RIPSTOP_OBJECT_PACKED_H

#include <ripstop/object.h>

/* The same object, packed; takes o. Namespaces stay as they are (a folder gives them labels later),
 * and so does what is packed already. */
struct rs_meta *rs_object_pack(enum rs_kind kind, struct rs_meta *o);

/* Release one whose metadata says that it is packed. */
void rs_packed_free(enum rs_kind kind, struct rs_meta *o);

#endif
