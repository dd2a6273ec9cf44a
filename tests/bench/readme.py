#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of a run into README.md and docs/bench.svg: readme.py FILE, made by run --json FILE."""

import json
import os
import sys

sys.dont_write_bytecode = True

import figures  # noqa: E402
import plot  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
COLUMN = 110


def ratio(row):
    """Relative, whatever the row's kind: nothing here is a time of one machine."""
    if not row:
        return ""
    if row["sense"] in "<>":
        return f"{row['value']:.2f}"
    if not row["budget"]:
        return figures.value_text(row)
    unit = "ms" if row["sense"] == "+" else figures.unit_text(row)
    more = "+" if row["sense"] == "+" else ""
    return f"{row['value'] / row['budget']:.2f} of {more}{row['budget']:g} {unit}"


def budget(row):
    if row["budget"] is None:
        return ""
    return figures.budget_text(row).replace("<=", "≤").replace(">=", "≥")


def cell(row):
    return f"**{ratio(row)}**" if row and row["met"] is False else ratio(row)


def table(idle, busy):
    yield "| what | against | idle | busy | budget |"
    yield "|---|---|---|---|---|"
    for row in idle:
        yield f"| {row['what']} | {row['against']} | {cell(row)} | {cell(busy.get(row['key']))} | {budget(row)} |"


def wrapped(text):
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > COLUMN:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def judgement(idle):
    with_budget = [r for r in idle if r["budget"] is not None]
    met = sum(r["met"] for r in with_budget)
    return f"Idle, {met} of {len(with_budget)} budgets are met; what misses its budget is bold."


def disturbed(machine):
    """Honesty about a machine that had other work when the run began."""
    if machine["loadAverage"] <= machine["cores"] / 4:
        return ""
    return f"The machine had other work: its load average was {machine['loadAverage']:.1f} at the start. "


def section(result):
    m = result["machine"]
    loads = {load["load"]: load for load in result["loads"]}
    idle = loads["idle"]["rows"]
    busy = {r["key"]: r for r in loads["busy"]["rows"]} if "busy" in loads else {}
    version = ".".join(m["kernel"].split(".")[:2])
    intro = (
        f"Medians against peers in one run of `./bootstrap bench` on a {'virtual ' if m['virtual'] else ''}machine with "
        f"{m['cores']} cores and {round(m['memoryMiB'] / 1024)} GiB (Linux {version}): ratios, for times of one "
        f"machine say little. {disturbed(m)}"
        "In rows of throughput more is better. Busy: beside as many spinning processes as there are cores. "
        "[docs/bench.md](docs/bench.md) says what each row is."
    )
    yield "![Latency of claim, exec and create in multiples of posix_spawn](docs/bench.svg)"
    yield ""
    yield from wrapped(f"{intro} {judgement(idle)}")
    yield ""
    yield from table(idle, busy)
    missing = [f"{x['row']} ({x['why'].splitlines()[0]})" for x in loads["idle"]["missing"]]
    if missing:
        yield ""
        yield from wrapped(f"Not measured: {', '.join(missing)}.")


def main():
    if len(sys.argv) != 2:
        print("usage: readme.py FILE (of ./bootstrap bench --json FILE)", file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as f:
        result = json.load(f)
    if result["quick"] or result["words"]:
        print("this is not of a whole run, but of a quick one or of some rows", file=sys.stderr)
        return 1
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    with open(os.path.join(ROOT, "docs", "bench.svg"), "w", encoding="utf-8") as f:
        f.write(plot.svg(result["loads"][0]["rows"]))
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n".join(section(result)) + "\n" + END + after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
