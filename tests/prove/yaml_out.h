/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_out.h - JSON as YAML that a person can read. */
#ifndef RIPSTOP_TESTS_PROVE_YAML_OUT_H
#define RIPSTOP_TESTS_PROVE_YAML_OUT_H

#include <json-c/json.h>

#include "base/base.h"

/* Append o, an object, as one document without its `---`. */
void pv_yaml_put(struct rs_strbuf *b, json_object *o);

#endif
