# SPDX-License-Identifier: Apache-2.0
"""What must be true after a torture: what the clients wrote down, and what is left of it all."""

import collections
import json
import os
import subprocess
import time

import daemon as daemon_module
import lib


def read_journal(path):
    entries = []
    try:
        with open(path, "rb") as f:
            for line in f.read().split(b"\n"):
                if line.endswith(b"}"):
                    entries.append(json.loads(line))
    except FileNotFoundError:
        pass
    return entries


class Account:
    """The journals of all clients, and what their commands appended."""

    def __init__(self, top, n_clients):
        self.entries = [read_journal(os.path.join(top, f"journal-{i}")) for i in range(n_clients)]
        self.ran = collections.Counter()
        for i in range(n_clients):
            for where in (f"work-{i}", f"tree-{i}"):
                try:
                    with open(os.path.join(top, where, "ran"), encoding="ascii") as f:
                        self.ran.update(f.read().split())
                except FileNotFoundError:
                    pass
        everything = [e for entries in self.entries for e in entries]
        # a step that was repeated by a successor wrote its keys twice; the last word counts
        self.causes = {e["key"]: e["cause"] for e in everything if "key" in e}
        self.refusals = collections.Counter(e["why"].split(": ", 1)[-1][:100] for e in everything if "why" in e)
        self.ends = [e for e in everything if "end" in e]
        self.failures = [e["failure"] for e in everything if "failure" in e]

    def wrong_counts(self):
        """Keys that ran too often, or not although they have a result."""
        wrong = []
        for key, times in self.ran.items():
            if times > 1:
                wrong.append(f"{key} ran {times} times")
            if key not in self.causes:
                wrong.append(f"{key} ran and nobody knows")
        for key, cause in self.causes.items():
            if cause == "exited" and self.ran[key] != 1:
                wrong.append(f"{key} exited and ran {self.ran[key]} times")
            if cause == "never_started" and self.ran[key] != 0:
                wrong.append(f"{key} never started and ran {self.ran[key]} times")
        return wrong

    def contradictions(self):
        """Keys with two different results: a successor must get what its predecessor got."""
        seen, wrong = {}, []
        for entries in self.entries:
            for e in entries:
                if "key" not in e:
                    continue
                before = seen.setdefault(e["key"], e["cause"])
                # one that was lost before it was begun has a free key; else it would have run twice
                if before != e["cause"] and before not in ("refused", "sandbox_lost"):
                    wrong.append(f"{e['key']}: {before}, then {e['cause']}")
        return wrong

    def unfinished(self):
        wrong = []
        for i, entries in enumerate(self.entries):
            begun = None
            for e in entries:
                begun = e if "begin" in e else None if "end" in e else begun
            if begun:
                wrong.append(f"client {i} hangs in step {begun['begin']}, {begun['kind']}")
        return wrong

    def by(self, field):
        return collections.Counter(e[field] for e in self.ends)


def remove_everything(socket):
    """By the calls that a user would make. What cannot be removed, as sentences."""
    wrong = []
    with lib.Client(socket) as c:
        for loop in c.call("loop.list", {"limit": 1000})["loops"]:
            if loop["state"] != "destroyed":
                c.call("loop.destroy", {"loopId": loop["loopId"], "force": True}, timeout=60)
        for box in c.call("sandbox.list", {"limit": 1000})["sandboxes"]:
            c.call("sandbox.remove", {"sandbox": box["name"], "force": True}, timeout=60)
        left = c.call("sandbox.list", {"limit": 1000})["sandboxes"]
        wrong += [f"sandbox {b['name']} is left" for b in left]
        left = c.call("exec.list", {"limit": 1000, "filter": {"state": "running"}})["execs"]
        wrong += [f"exec {e['execId']} is left" for e in left]
    return wrong


def directories(state):
    """What of sandboxes is below the state directory: their files and outputs, and trash."""
    found = []
    for top, _, _ in os.walk(state):
        if os.path.basename(top) in ("upper", "trash", "spool"):
            found += [os.path.join(top, name) for name in os.listdir(top)]
    return found


def locks(repository):
    p = subprocess.run(
        ["git", "-C", repository, "worktree", "list", "--porcelain"], capture_output=True, text=True, check=True
    )
    return [line for line in p.stdout.splitlines() if line.startswith("locked")]


def leftovers(run, alive):
    """Processes, mounts, cgroups and directories of ours; ALIVE: the daemon and its keepers may be."""
    daemon_module.reap_orphans({run.daemon.pid})
    found = []
    for pid, comm in daemon_module.descendants(os.getpid()).items():
        if not alive or (pid != run.daemon.pid and not comm.startswith("sandbox-keeper")):
            found.append(f"process {pid} {comm}: {daemon_module.command_line(pid)[:120]}")
    names = [i for i in run.instances if i]
    # the disk is ours until the end
    found += [f"mount {m}" for m in daemon_module.mounts_with([*names, run.top]) if "sbt-torture" not in m]
    if not alive:
        found += [f"cgroup {p}" for p in daemon_module.cgroup_tree() if any(n in p for n in names)]
        for where in ("sandboxes", "keepers"):
            path = os.path.join(run.daemon.run, where)
            found += [f"{path}/{name}" for name in (os.listdir(path) if os.path.isdir(path) else ())]
        found += directories(run.daemon.state)
    found += [f"git: {line}" for line in locks(run.repository)]
    return found


def settled(question, seconds):
    """What QUESTION still answers after at most SECONDS: cleaning up goes on behind a reply."""
    deadline = time.monotonic() + seconds
    while True:
        found = question()
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
