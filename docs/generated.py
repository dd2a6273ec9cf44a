# SPDX-License-Identifier: Apache-2.0
"""What the generators beside this share: a file made from rpc.discover, written or compared."""

import difflib
import json
import subprocess
import sys


def check(name, text, program):
    with open(name, encoding="utf-8") as file:
        old = file.read()
    if old == text:
        return 0
    diff = difflib.unified_diff(old.splitlines(True), text.splitlines(True), name, "rpc.discover")
    sys.stderr.writelines(list(diff)[:40])
    sys.stderr.write(f"{name} is stale: run {program} again, or ninja -C BUILD update-rpc\n")
    return 1


def main(argv, usage, make):
    """MAKE turns the document that the command in ARGV prints into the file's text."""
    only_check = argv[1:2] == ["--check"]
    arguments = argv[2 if only_check else 1:]
    if len(arguments) < 2:
        sys.stderr.write(usage)
        return 2
    printed = subprocess.run(arguments[1:], check=True, stdout=subprocess.PIPE).stdout
    text = make(json.loads(printed))
    if only_check:
        return check(arguments[0], text, argv[0])
    with open(arguments[0], "w", encoding="utf-8") as file:
        file.write(text)
    return 0
