/* SPDX-License-Identifier: Apache-2.0 */
/* labels.h - what the decoders share with labels.c beyond <ripstop/object.h>. */
#ifndef RIPSTOP_OBJECT_LABELS_H
#define RIPSTOP_OBJECT_LABELS_H

#include <ripstop/object.h>

/* Order labels that were appended as they came. Returns a key that stands twice, or NULL. */
const char *rs_labels_sort(struct rs_labels *l);

#endif
