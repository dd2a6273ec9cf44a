# SPDX-License-Identifier: Apache-2.0
"""The plot in README: what share of runs took how long, in multiples of a bare posix_spawn's median."""

import math

from figures import CURVE

WIDTH, HEIGHT = 880, 430
LEFT, TOP, RIGHT, BOTTOM = 64, 48, 285, 56  # of the frame; right of it are the names
TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)

# key of the row, side of it, name, colour on light and on dark ground; peers are dashed
SERIES = (
    ("exec-fds", "ours", "exec, one connection", "#1f77b4", "#6cb6ff"),
    ("ctl-nsenter", "ours", "sandboxctl exec, the process", "#0b7a75", "#56d4cf"),
    ("claim", "ours", "claim with a worktree", "#c2410c", "#ff9f6b"),
    ("create-crun", "ours", "cold create", "#7c3aed", "#c4a7ff"),
    ("ctl-nsenter", "peer", "nsenter", "#5b6470", "#aab2bd"),
    ("ctl-crun", "peer", "crun exec", "#9a6700", "#e3b341"),
    ("ctl-docker", "peer", "docker exec", "#b3266b", "#ff8fc1"),
)

STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #4f5862; }
    .small { font-size: 12px; fill: #6e7781; }
    .title { font-size: 15px; font-weight: 600; }
    .grid { stroke: #8b949e; stroke-opacity: 0.35; stroke-width: 1; }
    .line { fill: none; stroke-width: 2; }
    .peer { stroke-dasharray: 6 4; }
"""
DARK = """
      text { fill: #e6edf3; }
      .small { fill: #9da7b3; }
"""


def found_series(rows):
    """(index in SERIES, name, is a peer's, curve in multiples of the base), fastest first."""
    by_key = {r["key"]: r for r in rows}
    base = by_key["exec-fds"]["peer"]["p50"]
    found = []
    for i, (key, side, name, *_) in enumerate(SERIES):
        if key in by_key:
            curve = [v / base for v in by_key[key][side]["curve"]]
            found.append((i, name, side == "peer", curve))
    return sorted(found, key=lambda s: s[3][len(CURVE) // 2])


class Frame:
    """From multiples and percentiles to places; the horizontal axis is logarithmic."""

    def __init__(self, curves):
        low, high = min(c[0] for c in curves), max(c[-1] for c in curves)
        self.low = max([t for t in TICKS if t <= low], default=TICKS[0])
        self.high = min([t for t in TICKS if t >= high], default=TICKS[-1])

    def x(self, multiple):
        part = math.log(max(self.low, min(multiple, self.high)) / self.low) / math.log(self.high / self.low)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    @staticmethod
    def y(percent):
        return HEIGHT - BOTTOM - percent / 100 * (HEIGHT - TOP - BOTTOM)

    def grid(self):
        for t in TICKS:
            if self.low <= t <= self.high:
                x = self.x(t)
                yield f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>'
                yield f'<text class="small" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{t:g}×</text>'
        for percent in (0, 25, 50, 75, 100):
            y = self.y(percent)
            yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
            yield f'<text class="small" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent} %</text>'


def line_of(frame, i, peer, curve):
    points = " ".join(f"{frame.x(v):.1f},{frame.y(p):.1f}" for p, v in zip(CURVE, curve))
    return f'<polyline class="line s{i}{" peer" if peer else ""}" points="{points}"/>'


def name_of(place, i, name, peer, curve):
    x, y = WIDTH - RIGHT + 16, TOP + 14 + 24 * place
    yield f'<line class="line s{i}{" peer" if peer else ""}" x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}"/>'
    yield f'<text x="{x + 32}" y="{y}">{name}: {curve[len(CURVE) // 2]:.1f}×</text>'


def style(found):
    light = "".join(f"    .s{i} {{ stroke: {SERIES[i][3]}; }}\n" for i, *_ in found)
    dark = "".join(f"      .s{i} {{ stroke: {SERIES[i][4]}; }}\n" for i, *_ in found)
    return f"{STYLE}{light}    @media (prefers-color-scheme: dark) {{{DARK}{dark}    }}\n"


def svg(rows):
    """The file's text, from JSON rows; needs the row exec-fds."""
    found = found_series(rows)
    frame = Frame([curve for *_, curve in found])
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Latency of claim, exec and create beside nsenter, crun and docker">',
        f"<style>{style(found)}  </style>",
        f'<text class="title" x="{LEFT}" y="26">Share of runs that took at most so long</text>',
        f'<text class="small" x="{middle:.0f}" y="{HEIGHT - 14}" text-anchor="middle">'
        "multiples of a bare posix_spawn of /bin/true (median); dashed: others</text>",
        *frame.grid(),
    ]
    for place, (i, name, peer, curve) in enumerate(found):
        parts.append(line_of(frame, i, peer, curve))
        parts += name_of(place, i, name, peer, curve)
    return "\n".join(parts) + "\n</svg>\n"
