# SPDX-License-Identifier: Apache-2.0
"""Benches that are programs of their own beside `run`: tests/bench/NAME --build DIR [ARG]... --json FILE.

Each prints its own table and writes what it found to FILE. PARTS says which of them belong to the big
table, with what arguments, and what rows are in their files.
"""

import json
import os
import signal
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


def scale(found):
    """{"steps": [{"sandboxes", "exec_ms", "create_ms", "sandboxd_rss_mib"}]}: medians at each size."""
    first, last = found["steps"][0], found["steps"][-1]
    rows = [
        figures.Row(f"scale-{key}", f"{what} at {last['sandboxes']} sandboxes",
                    f"at {first['sandboxes']}", [last[part] * 1e6], [first[part] * 1e6], 1.2)
        for key, what, part in (
            ("exec", "exec of true in random ones", "exec_ms"),
            ("create", "cold create with a workspace", "create_ms"),
        )
    ]
    rss = figures.Row("scale-rss", f"memory of sandboxd (RSS) at {last['sandboxes']} sandboxes", "",
                      [last["sandboxd_rss_mib"]], None, 16, "=", "MiB")
    return [row.json() for row in [*rows, rss]]


def pool(found):
    """{"rows": [{"what", "creates", "hitRate"}]}: of a Poisson stream, after what taught the pool."""
    stream = next(r for r in found["rows"] if r["what"] == "stream")
    what = f"cold ones among {stream['creates']} creates at random moments, 4 in a second"
    cold = round(100 * (1 - stream["hitRate"]), 2)
    return [figures.Row("pool-cold", what, "", [cold], None, 5, "=", "%").json()]


PARTS = {
    "spare-memory": (["--rounds", "1"], spare_memory),
    "scale": ([], scale),
    "pool": (["stream"], pool),
}


def path_of(name):
    path = os.path.join(HERE, name)
    good = name and "/" not in name and name != "run" and os.access(path, os.X_OK)
    return path if good and os.path.isfile(path) else None


def take_over(argv):
    """Becomes the program, if ARGV (after --build DIR) begins with the name of one."""
    if len(argv) > 2 and argv[0] == "--build" and path_of(argv[2]):
        os.execv(path_of(argv[2]), [path_of(argv[2]), *argv[:2], *argv[3:]])


def call(command):
    """Returns None, or why it failed. Whatever ends us ends it too, and lets it end its daemons."""
    p = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, said = p.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"not done within {TIMEOUT_S} s"
    finally:
        if p.poll() is None:
            p.send_signal(signal.SIGINT)
            p.wait(60)
    return said.decode(errors="replace").strip()[-300:] if p.returncode else None


def run(bench):
    """Those take minutes: not in a quick run."""
    for name, (args, rows_of) in PARTS.items():
        if bench.quick or not bench.wanted(name) or not path_of(name):
            continue
        note(f"{name}: a program of its own")
        to = os.path.join(bench.top, name + ".json")
        why = call([path_of(name), "--build", bench.build, *args, "--json", to])
        if why is not None:
            bench.skip(name, why)
            continue
        with open(to, encoding="utf-8") as f:
            bench.taken += rows_of(json.load(f))
