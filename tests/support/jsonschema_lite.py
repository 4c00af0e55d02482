# SPDX-License-Identifier: Apache-2.0
"""jsonschema_lite.py - the part of JSON Schema (draft 2020-12) that docs/schema/ uses, from the standard library alone.

    errors = Schemas("docs/schema").errors("flow-record.json", value)

A keyword that it does not know is an error of the schema, so that nothing goes unchecked.
"""
import json
import os
import re

NOTES = {"$schema", "$id", "$defs", "title", "description"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
         "null": type(None)}


class SchemaError(Exception):
    pass


def is_type(value, name):
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, TYPES[name])


def same(a, b):
    return a == b and isinstance(a, bool) == isinstance(b, bool)


class Schemas:
    def __init__(self, folder):
        self.folder, self.files = folder, {}

    def file(self, name):
        if name not in self.files:
            with open(os.path.join(self.folder, name), encoding="utf-8") as f:
                self.files[name] = json.load(f)
        return self.files[name]

    def errors(self, name, value):
        """Lines such as "/l4/TCP/source_port: not an integer"; none: it obeys."""
        return list(self._check(self.file(name), name, value, ""))

    def _target(self, ref, name):
        file, _, pointer = ref.partition("#")
        node = self.file(file or name)
        for part in filter(None, pointer.split("/")):
            node = node[part.replace("~1", "/").replace("~0", "~")]
        return node, file or name

    def _check(self, schema, name, value, at):
        if isinstance(schema, bool):
            if not schema:
                yield "%s: nothing may be here" % at
            return
        for word, arg in schema.items():
            if word in NOTES:
                continue
            check = getattr(self, "_" + word.replace("$", ""), None)
            if check is None:
                raise SchemaError("%s: unknown keyword %s" % (name, word))
            yield from check(schema, arg, name, value, at)

    def _ref(self, _, arg, name, value, at):
        target, file = self._target(arg, name)
        yield from self._check(target, file, value, at)

    def _type(self, _, arg, name, value, at):
        if not any(is_type(value, t) for t in (arg if isinstance(arg, list) else [arg])):
            yield "%s: not of type %s" % (at, arg)

    def _const(self, _, arg, name, value, at):
        if not same(value, arg):
            yield "%s: %r is not %r" % (at, value, arg)

    def _enum(self, _, arg, name, value, at):
        if not any(same(value, a) for a in arg):
            yield "%s: %r is none of %r" % (at, value, arg)

    def _pattern(self, _, arg, name, value, at):
        if isinstance(value, str) and not re.search(arg, value):
            yield "%s: %r does not match %s" % (at, value, arg)

    def _minimum(self, _, arg, name, value, at):
        if is_type(value, "number") and value < arg:
            yield "%s: %r is below %r" % (at, value, arg)

    def _maximum(self, _, arg, name, value, at):
        if is_type(value, "number") and value > arg:
            yield "%s: %r is above %r" % (at, value, arg)

    def _minLength(self, _, arg, name, value, at):
        if isinstance(value, str) and len(value) < arg:
            yield "%s: shorter than %d" % (at, arg)

    def _minItems(self, _, arg, name, value, at):
        if isinstance(value, list) and len(value) < arg:
            yield "%s: fewer than %d items" % (at, arg)

    def _minProperties(self, _, arg, name, value, at):
        if isinstance(value, dict) and len(value) < arg:
            yield "%s: fewer than %d members" % (at, arg)

    def _maxProperties(self, _, arg, name, value, at):
        if isinstance(value, dict) and len(value) > arg:
            yield "%s: more than %d members" % (at, arg)

    def _required(self, _, arg, name, value, at):
        for key in arg if isinstance(value, dict) else []:
            if key not in value:
                yield "%s: %s is missing" % (at, key)

    def _properties(self, _, arg, name, value, at):
        for key, schema in arg.items() if isinstance(value, dict) else []:
            if key in value:
                yield from self._check(schema, name, value[key], "%s/%s" % (at, key))

    def _additionalProperties(self, schema, arg, name, value, at):
        for key in value if isinstance(value, dict) else []:
            if key not in schema.get("properties", {}):
                yield from self._check(arg, name, value[key], "%s/%s" % (at, key))

    def _items(self, _, arg, name, value, at):
        for i, item in enumerate(value if isinstance(value, list) else []):
            yield from self._check(arg, name, item, "%s/%d" % (at, i))

    def _oneOf(self, _, arg, name, value, at):
        faults = [list(self._check(schema, name, value, at)) for schema in arg]
        fits = sum(not f for f in faults)
        if fits > 1:
            yield "%s: fits %d of the forms that exclude each other" % (at, fits)
        elif not fits:
            yield "%s: none of the %d forms that there are" % (at, len(arg))
            yield from min(faults, key=len)
