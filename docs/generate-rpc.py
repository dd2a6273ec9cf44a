#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the RPC reference from the OpenRPC document that a command prints.

    docs/generate-rpc.py docs/rpc.md build/docs/rpc-discover
    docs/generate-rpc.py --check docs/rpc.md sandboxctl rpc rpc.discover

With --check nothing is written; the exit status is 1 if the file is stale.
"""

import json
import sys

import generated

HEAD = """# RPC reference

Made from `rpc.discover` by docs/generate-rpc.py; do not edit. Protocol {version}.

JSON-RPC 2.0, one object or batch per line, over a Unix stream socket; params by name.

"""


def type_name(schema):
    """A short name for a JSON schema: `string`, `Sandbox`, `string[]`, `"a" \\| "b"`."""
    if schema is None or schema is True or schema == {}:
        return "any"
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " \\| ".join(type_name(s) for s in schema[key])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " \\| ".join(f"`{json.dumps(v)}`" for v in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " \\| ".join(type_name({**schema, "type": k}) for k in kind)
    if kind == "array":
        inner = type_name(schema.get("items"))
        return f"({inner})[]" if "\\|" in inner else f"{inner}[]"
    if kind == "object" and not schema.get("properties"):
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return f"object of {type_name(values)}"
    return kind


def range_text(schema):
    """Limits and default of a schema, in parentheses."""
    parts = []
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems")))
    if high is not None and high < 2**53:
        parts.append(f"{low if low is not None else 0} to {high}")
    elif low:
        parts.append(f"from {low}")
    if "default" in schema:
        parts.append(f"default {json.dumps(schema['default'])}")
    for value in schema.get("x-unavailable", []):
        parts.append(f"`{json.dumps(value)}` is not available in this version")
    if schema.get("x-available") is False:
        parts.append("not available in this version")
    return f" ({', '.join(parts)})" if parts else ""


def rows(properties, required, prefix=""):
    """Table rows of an object's properties, nested ones by their path."""
    for name, schema in properties.items():
        mark = "" if name in required else "?"
        text = schema.get("description", "")
        yield f"| `{prefix}{name}`{mark} | {type_name(schema)} | {text}{range_text(schema)} |"
        inner = schema
        if schema.get("type") == "array":
            inner = schema.get("items") or {}
        for candidate in [inner] + list(inner.get("oneOf", [])) + list(inner.get("anyOf", [])):
            if candidate.get("properties"):
                path = f"{prefix}{name}[]." if inner is not schema else f"{prefix}{name}."
                yield from rows(candidate["properties"], candidate.get("required", []), path)


def table(properties, required):
    lines = list(rows(properties, required))
    if not lines:
        return ""
    return "\n".join(["| name | type | |", "|---|---|---|"] + lines) + "\n\n"


def method_text(method):
    text = f"### {method['name']}\n\n"
    description = method.get("description") or method.get("summary") or ""
    if method.get("x-available") is False:
        description = f"*Not available in this version.* {description}".strip()
    if description:
        text += f"{description}\n\n"
    properties = {}
    required = []
    for param in method.get("params", []):
        properties[param["name"]] = {"description": param.get("description", param.get("summary", "")),
                                     **param.get("schema", {})}
        if param.get("required"):
            required.append(param["name"])
    text += table(properties, required)
    result = (method.get("result") or {}).get("schema")
    if result is not None:
        text += f"Result: {type_name(result)}\n\n"
    return text


def notification_text(notification):
    text = f"### {notification['name']}\n\n"
    description = notification.get("description") or notification.get("summary") or ""
    if description:
        text += f"{description}\n\n"
    params = notification.get("params")
    if isinstance(params, list):
        return text + table({p["name"]: {"description": p.get("description", ""), **p.get("schema", {})} for p in params},
                            [p["name"] for p in params if p.get("required")])
    schema = params if isinstance(params, dict) else {}
    return text + table(schema.get("properties", {}), schema.get("required", []))


def reference(document):
    text = HEAD.format(version=document["info"]["version"])
    text += "## Methods\n\n"
    text += "".join(method_text(m) for m in document["methods"])
    missing = document.get("x-unavailable", [])
    if missing:
        text += "Refused with -32005 in this version: " + ", ".join(f"`{m}`" for m in missing) + ".\n\n"
    text += "## Notifications\n\n"
    text += "".join(notification_text(n) for n in document.get("x-notifications", []))
    text += "## Types\n\n"
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        text += f"### {name}\n\n"
        if schema.get("description"):
            text += f"{schema['description']}\n\n"
        text += table(schema.get("properties", {}), schema.get("required", []))
    text += "## Errors\n\n| code | `data.kind` |\n|---|---|\n"
    for name, error in document.get("components", {}).get("errors", {}).items():
        text += f"| {error['code']} | `{name}` |\n"
    return text


if __name__ == "__main__":
    sys.exit(generated.main(sys.argv, __doc__, reference))
