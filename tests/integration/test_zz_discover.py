# SPDX-License-Identifier: Apache-2.0
"""Last: every reply of the suite against the schemas of rpc.discover, and no method untried."""

import lib
from lib import check


class Validator:
    """As much of JSON Schema as rpc.discover uses. Unlike JSON Schema, an object with `properties`
    and no `additionalProperties` may hold nothing else: a field that is not described is a bug."""

    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].lstrip("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    TYPES = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
        "integer": int,
        "number": (int, float),
    }

    def is_type(self, value, name):
        if isinstance(value, bool) and name in ("integer", "number"):
            return False
        return isinstance(value, self.TYPES[name])

    def errors(self, value, schema, path="result"):
        if schema is True or schema == {}:
            return []
        schema = self.resolve(schema)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                tries = [self.errors(value, s, path) for s in schema[word]]
                return [] if any(not e for e in tries) else min(tries, key=len)
        if "const" in schema and value != schema["const"]:
            return [f"{path}: {value!r} is not {schema['const']!r}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{path}: {value!r} is not one of {schema['enum']}"]
        types = schema.get("type")
        if types is not None:
            types = types if isinstance(types, list) else [types]
            if not any(self.is_type(value, n) for n in types):
                return [f"{path}: {type(value).__name__} instead of {types}"]
        if isinstance(value, dict):
            return self.object_errors(value, schema, path)
        if isinstance(value, list) and "items" in schema:
            found = []
            for i, item in enumerate(value):
                found += self.errors(item, schema["items"], f"{path}[{i}]")
            return found
        return []

    def object_errors(self, value, schema, path):
        found = [f"{path}.{k} is missing" for k in schema.get("required", []) if k not in value]
        properties = schema.get("properties")
        extra = schema.get("additionalProperties", properties is None)
        for key, item in value.items():
            if properties and key in properties:
                found += self.errors(item, properties[key], f"{path}.{key}")
            elif extra is False:
                found.append(f"{path}.{key} is not described")
            elif isinstance(extra, dict):
                found += self.errors(item, extra, f"{path}.{key}")
        return found


def test_replies_are_as_described(t):
    d = t.client.call("rpc.discover")
    v = Validator(d)
    schemas = {m["name"]: m["result"]["schema"] for m in d["methods"] if "result" in m}
    bad = {}
    for method, result in lib.RECORD:
        if method not in schemas:
            continue
        for text in v.errors(result, schemas[method]):
            bad.setdefault(f"{method}: {text}", 0)
            bad[f"{method}: {text}"] += 1
    lines = [f"{text} ({n} times)" for text, n in sorted(bad.items())]
    check(not lines, f"{len(lines)} differences in {len(lib.RECORD)} replies:\n  " + "\n  ".join(lines[:40]))


def test_every_method_was_called(t):
    """Only of a whole run; those of later versions answer -32005 (test_system)."""
    if not t.suite.whole or len(lib.RECORD) < 500:
        return
    d = t.client.call("rpc.discover")
    answered = {method for method, _ in lib.RECORD}
    missing = []
    for m in d["methods"]:
        if m["name"] in answered or m["name"] == "rpc.cancel":
            continue
        try:
            t.client.call(m["name"], {})
            missing.append(m["name"])
        except lib.RpcError as e:
            if e.code != -32005 or "not available in this version" not in str(e.hint):
                missing.append(m["name"])
    allowed = {"template.build", "template.remove"}  # need the network: the demo calls them
    check(set(missing) <= allowed, f"never answered with a result: {missing}")
