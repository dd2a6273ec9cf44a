# SPDX-License-Identifier: Apache-2.0
"""Benches that are programs of their own beside `run`: tests/bench/NAME --build DIR [ARG]... --json FILE.

Each prints its own table and writes what it found to FILE. PARTS says which of them belong to the big
table, with what arguments, and what rows are in their files.
"""

import json
import os
import subprocess

import figures
from runner import note

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 900


def spare_memory(found):
    """{"total_kib", "n", "budget_kib"}: medians over all N."""
    row = figures.Row(
        "spare-memory", f"an idle sandbox's memory, over {found['n']}", "", [found["total_kib"]], None,
        found["budget_kib"], "=", "KiB",
    )
    return [row.json()]


PARTS = {
    "spare-memory": (["--rounds", "1"], spare_memory),
}


def path_of(name):
    path = os.path.join(HERE, name)
    good = name and "/" not in name and name != "run" and os.access(path, os.X_OK)
    return path if good and os.path.isfile(path) else None


def take_over(argv):
    """Becomes the program, if ARGV (after --build DIR) begins with the name of one."""
    if len(argv) > 2 and argv[0] == "--build" and path_of(argv[2]):
        os.execv(path_of(argv[2]), [path_of(argv[2]), *argv[:2], *argv[3:]])


def run(bench):
    """Those take minutes: not in a quick run."""
    for name, (args, rows_of) in PARTS.items():
        if bench.quick or not bench.wanted(name):
            continue
        note(f"{name}: a program of its own")
        to = os.path.join(bench.top, name + ".json")
        p = subprocess.run(
            [path_of(name), "--build", bench.build, *args, "--json", to],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            check=False, timeout=TIMEOUT_S,
        )
        if p.returncode != 0:
            bench.skip(name, p.stderr.decode(errors="replace").strip()[-300:])
            continue
        with open(to, encoding="utf-8") as f:
            bench.taken += rows_of(json.load(f))
