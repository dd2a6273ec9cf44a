# SPDX-License-Identifier: Apache-2.0
"""What of a daemon is still on the machine: processes, mounts, cgroups, files."""

import os


def processes(marks):
    """Living processes with one of MARKS in their command line."""
    found = []
    marks = [m.encode() for m in marks]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read()
            with open(f"/proc/{pid}/stat", "rb") as f:
                zombie = f.read().rpartition(b")")[2].split()[0] == b"Z"
        except OSError:
            continue
        if int(pid) != os.getpid() and not zombie and any(m in line for m in marks):
            found.append(f"{pid} {line.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def cgroups(instance):
    return [
        os.path.join(top, d)
        for top, directories, _ in os.walk("/sys/fs/cgroup")
        for d in directories
        if instance in d
    ]


def mounts(marks):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
        return [line for line in f if any(m in line for m in marks)]


def files(state, runtime):
    """Names below the state directory, but the database, locks and templates."""
    found = []
    for top, directories, names in os.walk(state):
        leaf = os.path.basename(top)
        if leaf == "templates":
            directories[:] = []
        elif leaf in ("upper", "spool", "trash"):
            found += [os.path.join(top, n) for n in directories + names]
            directories[:] = []
    found += [
        os.path.join(runtime, d, n)
        for d in ("sandboxes", "keepers")
        if os.path.isdir(os.path.join(runtime, d))
        for n in os.listdir(os.path.join(runtime, d))
    ]
    return found
