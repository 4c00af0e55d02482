// SPDX-License-Identifier: Apache-2.0
/*
 * YAML in, one line of JSON a document out, for the Python tests (which use the standard library only).
 * Plain scalars that look like numbers, booleans or null become them (YAML 1.2 core, decimal).
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static struct json_object *scalar(const yaml_node_t *n)
{
	const char *s = (const char *)n->data.scalar.value;
	char *end;
	long long v;

	if (n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return json_object_new_string(s);
	if (!*s || !strcmp(s, "null") || !strcmp(s, "~"))
		return NULL;
	if (!strcmp(s, "true") || !strcmp(s, "false"))
		return json_object_new_boolean(s[0] == 't');
	v = strtoll(s, &end, 10);
	if (!*end)
		return json_object_new_int64(v);
	return json_object_new_string(s);
}

/* The tests' own files only: their depth is small, and an alias cycle would be our own mistake. */
static struct json_object *convert(yaml_document_t *d, const yaml_node_t *n, int depth)
{
	struct json_object *o;
	yaml_node_item_t *item;
	yaml_node_pair_t *pair;

	if (!n || depth > 64)
		exit(2);
	if (n->type == YAML_SCALAR_NODE)
		return scalar(n);
	if (n->type == YAML_SEQUENCE_NODE) {
		o = json_object_new_array();
		for (item = n->data.sequence.items.start; item < n->data.sequence.items.top; item++)
			json_object_array_add(o, convert(d, yaml_document_get_node(d, *item), depth + 1));
		return o;
	}
	o = json_object_new_object();
	for (pair = n->data.mapping.pairs.start; pair < n->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(d, pair->key);

		json_object_object_add(o, (const char *)key->data.scalar.value,
				       convert(d, yaml_document_get_node(d, pair->value), depth + 1));
	}
	return o;
}

int main(void)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	yaml_node_t *root;

	yaml_parser_initialize(&parser);
	yaml_parser_set_input_file(&parser, stdin);
	for (;;) {
		if (!yaml_parser_load(&parser, &doc)) {
			fprintf(stderr, "yaml2json: %s at line %zu\n", parser.problem,
				parser.problem_mark.line + 1);
			return 1;
		}
		root = yaml_document_get_root_node(&doc);
		if (!root)
			return 0;
		puts(json_object_to_json_string_ext(convert(&doc, root, 0), JSON_C_TO_STRING_PLAIN));
		yaml_document_delete(&doc);
	}
}
