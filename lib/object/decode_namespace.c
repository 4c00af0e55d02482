// SPDX-License-Identifier: Apache-2.0
/* decode_namespace.c - a Namespace: a name and labels. */
#include "object/decode.h"

int rs_dec_namespace(struct rs_dec *d, const struct rs_at *root, struct rs_namespace *n)
{
	return rs_dec_meta(d, root, false, &n->meta);
}
