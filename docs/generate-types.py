#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the TypeScript types of the protocol from the OpenRPC document that a command prints.

    docs/generate-types.py client/node/src/rpc.d.ts build/docs/rpc-discover
    docs/generate-types.py --check client/node/src/rpc.d.ts sandboxctl rpc rpc.discover

With --check nothing is written; the exit status is 1 if the file is stale.

Left out is what a caller from Node cannot use: file descriptors, and what the daemon refuses in this
version.
"""

import json
import sys

import generated

HEAD = """// SPDX-License-Identifier: Apache-2.0
// Made from rpc.discover by docs/generate-types.py; do not edit. Protocol {version}.

/** Text that may not be UTF-8: then its bytes in base64. */
export type Text = string | {{ base64: string }};
/** The same in params, where bytes are taken as they are. */
export type TextParam = Text | Uint8Array;

"""
SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def is_base64(schema):
    return list(schema.get("properties", {})) == ["base64"]


def is_text(schema):
    return schema.get("type") == "string" and "enum" not in schema


def is_descriptor(schema):
    return list(schema.get("properties", {})) == ["fd"]


class Writer:
    """Types of one direction: params take bytes, results have them as the wire has them."""

    def __init__(self, params):
        self.params = params

    def union(self, schemas):
        schemas = [s for s in schemas if not is_descriptor(s)]
        names = []
        if any(is_base64(s) for s in schemas) and any(is_text(s) for s in schemas):
            names.append("TextParam" if self.params else "Text")
            schemas = [s for s in schemas if not is_base64(s) and not is_text(s)]
        for s in schemas:
            name = self.type(s)
            if name not in names:
                names.append(name)
        return " | ".join(names) or "never"

    def object(self, schema):
        properties = schema.get("properties") or {}
        values = schema.get("additionalProperties")
        if not properties:
            if isinstance(values, dict):
                return f"{{ [key: string]: {self.type(values)} }}"
            return "{ [key: string]: unknown }" if values is None or values is True else "{}"
        if self.params and is_base64(schema):
            return "{ base64: string } | Uint8Array"
        fields = "".join(self.fields(properties, schema.get("required", [])))
        return "{\n" + indent(fields) + "}"

    def type(self, schema):
        if schema is None or schema is True:
            return "unknown"
        if "$ref" in schema:
            return schema["$ref"].rsplit("/", 1)[-1]
        for key in ("oneOf", "anyOf"):
            if key in schema:
                return self.union(schema[key])
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            missing = schema.get("x-unavailable", []) if self.params else []
            return " | ".join(json.dumps(v) for v in schema["enum"] if v not in missing)
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self.type({**schema, "type": k}) for k in kind)
        if kind == "array":
            return f"Array<{self.type(schema.get('items'))}>"
        if kind == "object":
            return self.object(schema)
        return SCALARS.get(kind, "unknown")

    def fields(self, properties, required):
        for name, schema in properties.items():
            if schema.get("x-available") is False or is_descriptor(schema):
                continue
            if self.params and name == "fds":
                continue
            if schema.get("description"):
                text = schema["description"]
                if "default" in schema:
                    text += f" Default: {json.dumps(schema['default'])}."
                yield f"/** {text} */\n"
            key = name if name.isidentifier() else json.dumps(name)
            yield f"{key}{'' if name in required else '?'}: {self.type(schema)};\n"


def indent(text):
    return "".join("  " + line for line in text.splitlines(True))


def by_name(params):
    """Properties and required names of a list of OpenRPC params."""
    properties = {p["name"]: {"description": p.get("description", ""), **p.get("schema", {})} for p in params}
    return {"properties": properties, "required": [p["name"] for p in params if p.get("required")]}


def comment(entry):
    text = entry.get("description") or entry.get("summary") or ""
    return f"/** {text} */\n" if text else ""


def interface(name, schema, writer):
    fields = "".join(writer.fields(schema.get("properties", {}), schema.get("required", [])))
    return f"{comment(schema)}export interface {name} {{\n{indent(fields)}}}\n\n"


def method_types(methods):
    writer, results = Writer(True), Writer(False)
    text = "/** Every method: what it takes and what it gives. */\nexport interface Methods {\n"
    for m in methods:
        if m.get("x-available") is False or "notification" in m.get("x-flags", []):
            continue
        schema = by_name(m.get("params", []))
        fields = "".join(writer.fields(schema["properties"], schema["required"]))
        params = "{\n" + indent(fields) + "}" if fields else "{}"
        result = results.type((m.get("result") or {}).get("schema"))
        body = f'"{m["name"]}": {{\n' + indent(f"params: {params};\nresult: {result};\n") + "};\n"
        text += indent(comment(m) + body)
    return text + "}\n\n"


def notification_types(notifications):
    text = "/** What the daemon sends without being asked. */\nexport interface Notifications {\n"
    for n in notifications:
        params = n.get("params")
        schema = by_name(params) if isinstance(params, list) else params or {}
        fields = "".join(Writer(False).fields(schema.get("properties", {}), schema.get("required", [])))
        text += indent(comment(n) + f'"{n["name"]}": {{\n' + indent(fields) + "};\n")
    return text + "}\n\n"


def types(document):
    components = document.get("components", {})
    text = HEAD.format(version=document["info"]["version"])
    for name, schema in components.get("schemas", {}).items():
        text += interface(name, schema, Writer(False))
    text += method_types(document["methods"]) + notification_types(document.get("x-notifications", []))
    kinds = " | ".join(json.dumps(k) for k in components.get("errors", {}))
    return text + f"/** Kinds of the daemon's errors. */\nexport type ErrorKind = {kinds};\n"


if __name__ == "__main__":
    sys.exit(generated.main(sys.argv, __doc__, types))
