# SPDX-License-Identifier: Apache-2.0
"""Rows of the bench: arithmetic, the table, JSON.

A row has samples of ours, of its peer's if it has one, and a budget with a sense:
    <   our median may be at most BUDGET times the peer's
    >   the same as a rate: the peer's median must be at least BUDGET times ours
    +   our median may be at most BUDGET milliseconds longer than the peer's
    =   our median may be at most BUDGET in the row's own unit; no peer is needed
Samples are numbers of the unit: ns (shown as microseconds), KiB, or whatever a row brings.
"""

CURVE = tuple(range(1, 100))  # the percentiles that JSON keeps for the plot


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


class Row:
    """KEY names it on the command line, WHAT and AGAINST in the table. PEER: samples, or None."""

    def __init__(self, key, what, against, ours, peer, budget=None, sense="<", unit="ns"):
        self.key = key
        self.what = what
        self.against = against
        self.ours = ours
        self.peer = peer
        self.budget = budget
        self.sense = sense
        self.unit = unit
        self.command = None  # what ours is a run of, if it is a whole process: for its profile
        self.profile = None  # the folder with one, if it was taken

    def scale(self):
        """What the table and an absolute budget divide samples by."""
        return 1e6 if self.unit == "ns" else 1.0

    def value(self):
        """What is compared with the budget."""
        ours = percentile(self.ours, 50)
        if self.sense == "=":
            return ours / self.scale()
        peer = percentile(self.peer, 50)
        if self.sense == "+":
            return (ours - peer) / 1e6
        return peer / ours if self.sense == ">" else ours / peer

    def met(self):
        """True, False, or None without a budget."""
        if self.budget is None:
            return None
        return self.value() >= self.budget if self.sense == ">" else self.value() <= self.budget

    def json(self):
        return {
            "key": self.key,
            "what": self.what,
            "against": self.against,
            "unit": self.unit,
            "ours": figures(self.ours),
            "peer": figures(self.peer) if self.peer else None,
            "value": round(self.value(), 3),
            "sense": self.sense,
            "budget": self.budget,
            "met": self.met(),
            "profile": self.profile,
        }


def figures(values):
    at = {f"p{p}": percentile(values, p) for p in (50, 95, 99)}
    return {"n": len(values), "min": min(values), **at, "curve": [percentile(values, p) for p in CURVE]}


# ---- text; from JSON, so that a table can be printed again ----
HEAD = ["row", "n", "ours p50", "p95", "p99", "peer p50", "p95", "p99", "ratio", "budget", "met"]


def unit_text(row):
    return "ms" if row["unit"] == "ns" else row["unit"]


def value_text(row):
    return {
        "<": "{:.2f}",
        ">": "{:.2f}",
        "+": "{:+.2f} ms",
        "=": "{:.2f} " + unit_text(row),
    }[row["sense"]].format(row["value"])


def budget_text(row):
    if row["budget"] is None:
        return "-"
    unit = {"+": " ms", "=": " " + unit_text(row)}.get(row["sense"], "")
    return {"<": "<= ", ">": ">= ", "+": "<= +", "=": "<= "}[row["sense"]] + f"{row['budget']:g}{unit}"


def met_text(row):
    return {True: "yes", False: "NO", None: "-"}[row["met"]]


def cells(row):
    def three(side):
        if not side:
            return ["-"] * 3
        scale = 1000 if row["unit"] == "ns" else 1
        return [f"{side[p] / scale:.{0 if side['p50'] >= 10 * scale else 1}f}" for p in ("p50", "p95", "p99")]

    name = row["what"] + (f" / {row['against']}" if row["against"] else "")
    return [
        name,
        str(row["ours"]["n"]),
        *three(row["ours"]),
        *three(row["peer"]),
        value_text(row),
        budget_text(row),
        met_text(row),
    ]


def table(rows):
    """Lines of the table of ROWS (as json() makes them)."""
    lines = [HEAD] + [cells(r) for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    for line in lines:
        yield "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))
        ).rstrip()


def report(load):
    """Lines for one load: {"load", "rows", "missing"}."""
    yield f"{load['load'].capitalize()}. Times in microseconds, but for ms and KiB where it says so."
    yield from table(load["rows"])
    for m in load["missing"]:
        yield f"{m['row']}: not measured: {m['why']}"
    for row in load["rows"]:
        if row["met"] is False:
            where = f"; profile: {row['profile']}" if row["profile"] else ""
            yield f"not met: {row['key']}: {value_text(row)}, budget {budget_text(row)}{where}"
