# SPDX-License-Identifier: Apache-2.0
"""Benches that are programs of their own beside `run`: tests/bench/NAME --build DIR [--quick] --json FILE.

Each prints its own table; the rows of FILE, {"rows": [...]} as figures.Row.json() makes them, become
rows of the big one.
"""

import json
import os
import subprocess

from runner import note

HERE = os.path.dirname(os.path.abspath(__file__))
IN_TABLE = ("spare-memory", "scale")  # those with rows of the budget's


def path_of(name):
    path = os.path.join(HERE, name)
    good = name and "/" not in name and name != "run" and os.access(path, os.X_OK)
    return path if good and os.path.isfile(path) else None


def take_over(argv):
    """Becomes the program, if ARGV (after --build DIR) begins with the name of one."""
    if len(argv) > 2 and argv[0] == "--build" and path_of(argv[2]):
        os.execv(path_of(argv[2]), [path_of(argv[2]), *argv[:2], *argv[3:]])


def run(bench):
    for name in IN_TABLE:
        if not path_of(name):
            continue
        if not bench.wanted(name):
            continue
        note(f"{name}: a program of its own")
        to = os.path.join(bench.top, name + ".json")
        command = [path_of(name), "--build", bench.build, "--json", to]
        p = subprocess.run(
            command + (["--quick"] if bench.quick else []),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            check=False, timeout=900,
        )
        if p.returncode != 0:
            bench.skip(name, p.stderr.decode(errors="replace").strip()[-300:])
            continue
        with open(to, encoding="utf-8") as f:
            bench.taken += json.load(f).get("rows", [])
