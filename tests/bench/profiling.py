# SPDX-License-Identifier: Apache-2.0
"""What the daemon and its keepers did during a row: strace -c and perf, into a folder per row."""

import os
import shutil
import signal
import subprocess
import time

import daemon as daemon_module  # of tests/integration

ROUNDS = 5
IDLE_WAKE_UPS = 5  # what timers may do meanwhile


class Profiler:
    """Looks at rows that miss their budget, and at those whose key is in WANTED whatever they do."""

    def __init__(self, folder, wanted=(), missed=True):
        self.folder = folder
        self.wanted = wanted
        self.missed = missed

    def look_at(self, bench, row, again):
        if row.key not in self.wanted and not (self.missed and row.met() is False):
            return
        to = os.path.join(self.folder, row.key)
        shutil.rmtree(to, ignore_errors=True)
        os.makedirs(to)
        for name, pid in at_work(bench, again):
            for tool in (strace, perf):
                tool(pid, os.path.join(to, name), again)
        if row.command and shutil.which("strace"):
            subprocess.run(["strace", "-c", "-f", "-o", to + "/command.strace", *row.command],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=60)
        row.profile = os.path.relpath(to)


def processes(bench):
    """(name, pid) of every daemon that runs and of its keepers; not of the keepers' short-lived workers."""
    table = daemon_module.process_table()
    for name, d in bench.daemons.items():
        yield f"{name}-sandboxd", d.pid
        for pid, (parent, _, comm) in table.items():
            if parent == d.pid and comm == "sandbox-keeper":
                yield f"{name}-keeper-{pid}", pid


def wake_ups(pid):
    """0 for one that is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches"))
    except OSError:
        return 0


def at_work(bench, again):
    """Those of them that AGAIN keeps busy: a bench has more daemons than a row uses."""
    before = [(name, pid, wake_ups(pid)) for name, pid in processes(bench)]
    again()
    return [(name, pid) for name, pid, was in before if wake_ups(pid) - was > IDLE_WAKE_UPS]


def during(tool, again):
    """Runs AGAIN a few times while TOOL watches, then interrupts TOOL."""
    watcher = subprocess.Popen(tool, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(0.3)  # until it is attached; a little less is only a little less seen
    try:
        for _ in range(ROUNDS):
            again()
    finally:
        if watcher.poll() is None:
            watcher.send_signal(signal.SIGINT)
        watcher.wait(60)


def strace(pid, to, again):
    if shutil.which("strace"):
        during(["strace", "-c", "-f", "-o", to + ".strace", "-p", str(pid)], again)


def perf(pid, to, again):
    """What perf cannot record here is left out: some machines give nobody a counter."""
    if not shutil.which("perf"):
        return
    data = to + ".perf-data"
    during(["perf", "record", "-q", "-g", "-F", "2000", "-o", data, "-p", str(pid)], again)
    if os.path.exists(data):
        with open(to + ".perf", "wb") as f:
            report = ["perf", "report", "--stdio", "--no-children", "-g", "none", "-i", data]
            subprocess.run(report, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.DEVNULL,
                           check=False, timeout=120)
        os.unlink(data)
