/* SPDX-License-Identifier: Apache-2.0 */
/* object_free.h - releasing parts of objects (not the structs themselves), for the decoders. */
#ifndef RIPSTOP_OBJECT_FREE_H
#define RIPSTOP_OBJECT_FREE_H

#include <ripstop/object.h>

void rs_meta_free_in(struct rs_meta *m);
void rs_selector_free_in(struct rs_selector *s);
void rs_peer_free_in(struct rs_peer *p);
void rs_rule_free_in(struct rs_rule *r);
void rs_rules_free(struct rs_rule *rules, size_t n);

#endif
