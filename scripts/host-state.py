#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Remembers what of the host the suite must not change, and compares: host-state.py save|compare FILE.

lstat of every node in /dev (mode, owner, device number), the cgroup tree (directories, their owner
and mode), the mounts of this namespace, and processes with our programs' names. A service manager
makes and removes cgroups all the time: where systemd runs, and beside the cgroup in which we are
ourselves, only what bears our name counts as new.
"""

import json
import os
import stat
import sys

PROGRAMS = {"sandboxd", "sandbox-broker", "sandbox-keeper", "sandbox-init", "sandboxctl", "crun"}
# Nodes that come and go with terminals and programs.
TRANSIENT = ("/dev/pts/", "/dev/shm/", "/dev/mqueue/", "/dev/fd", "/dev/char/", "/dev/block/")


def devices():
    found = {}
    for top, directories, files in os.walk("/dev"):
        for name in directories + files:
            path = os.path.join(top, name)
            if path.startswith(TRANSIENT):
                continue
            try:
                s = os.lstat(path)
            except OSError:
                continue
            found[path] = [oct(s.st_mode), s.st_uid, s.st_gid, s.st_rdev]
    return found


def cgroups():
    found = {}
    for top, directories, _ in os.walk("/sys/fs/cgroup"):
        for name in directories:
            path = os.path.join(top, name)
            try:
                s = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISDIR(s.st_mode):
                found[path] = [oct(s.st_mode), s.st_uid, s.st_gid]
    return found


def mounts():
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split()
            found[f"{fields[4]} {fields[3]}"] = fields[5]
    return found


def processes():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        after = text[text.rindex(")") + 2 :].split()
        if after[0] != "Z" and name[:15] in {p[:15] for p in PROGRAMS}:
            found[pid + " " + name] = after[19]  # start time
    return found


def state():
    return {
        "devices": devices(),
        "cgroups": cgroups(),
        "mounts": mounts(),
        "processes": processes(),
    }


def ours(path):
    return "sandbox" in path


def others_places():
    """Folders in which somebody else makes cgroups: those that hold the ones we are in."""
    found = []
    with open("/proc/self/cgroup", encoding="utf-8") as lines:
        for line in lines:
            _, controllers, own = line.rstrip("\n").split(":", 2)
            parent = os.path.dirname(own)
            if parent in ("", "/"):
                continue
            for name in (*controllers.split(","), controllers, "unified", ""):
                found.append(os.path.normpath(f"/sys/fs/cgroup/{name}{parent}") + "/")
    return tuple(found)


def differences(before, after):
    systemd = os.path.isdir("/run/systemd/system")
    places = others_places()

    def theirs(kind, path):
        if kind == "processes":
            return False
        if kind == "cgroups" and path.startswith(places):
            return not ours(path)
        return systemd and kind != "devices" and not ours(path)

    for kind in before:
        old, new = before[kind], after[kind]
        for path in sorted(old.keys() | new.keys()):
            if old.get(path) == new.get(path) or theirs(kind, path):
                continue
            if path in old and path in new:
                yield f"{kind}: {path} was {old[path]}, is {new[path]}"
            elif path in new:
                yield f"{kind}: {path} is new"
            elif kind != "processes":
                yield f"{kind}: {path} is gone"


def main():
    verb, path = sys.argv[1:3]
    if verb == "save":
        with open(path, "w", encoding="utf-8") as f:
            json.dump(state(), f)
        return 0
    with open(path, encoding="utf-8") as f:
        found = list(differences(json.load(f), json.loads(json.dumps(state()))))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
