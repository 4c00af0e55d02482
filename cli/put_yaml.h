/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put_yaml.h - inside cli/: an object as YAML, and the text of JSON that a terminal does not obey.
 *
 * What is written means the same to a reader of YAML 1.1 and of 1.2: a string that either would take
 * for a number, a time, a truth or nothing stands in quotes, with the escapes of JSON.
 */
#ifndef RIPSTOP_CLI_PUT_YAML_H
#define RIPSTOP_CLI_PUT_YAML_H

#include "base/base.h"
#include "base/jsonio.h"

/* One document, block style, members in their order; ends with a newline. */
void cli_put_yaml(struct rs_strbuf *b, struct json_object *o);

/* json-c's text of o with these JSON_C_TO_STRING_ flags; what could steer a terminal is written as
 * \uXXXX, which every reader turns back. */
void cli_put_json_text(struct rs_strbuf *b, struct json_object *o, int flags);

#endif
