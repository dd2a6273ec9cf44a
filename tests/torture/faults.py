# SPDX-License-Identifier: Apache-2.0
"""What is done to a daemon, its keepers, its sandboxes and its clients while they work.

Each fault is a method of Faults that ends with everything able to go on. Which one comes when follows
from the seed; whom it hits among several, from the order of their pids.
"""

import os
import resource
import signal
import struct
import time

import daemon as daemon_module
import lib

HOUR_MS = 3600 * 1000
CLOCK_RANGE_MS = 10 * HOUR_MS  # keys are kept for 24 hours: two of these must not add up to more


def send(pid, number):
    try:
        os.kill(pid, number)
        return True
    except OSError:
        return False


def descriptors(pid):
    return [int(n) for n in os.listdir(f"/proc/{pid}/fd")]


class Faults:
    KINDS = (
        ("daemon_killed", 10), ("daemon_stopped_well", 4), ("daemon_held", 4), ("keeper_killed", 4),
        ("keeper_held", 3), ("init_killed", 5), ("init_held", 3), ("client_killed", 8), ("client_held", 4),
        ("disk_filled", 4), ("descriptors_out", 4), ("clock_jumped", 6),
    )

    def __init__(self, rng, run):
        self.rng = rng
        self.run = run
        self.done = {kind: 0 for kind, _ in self.KINDS}
        self.recoveries = []  # seconds from a start of the daemon to its first answer

    def one(self, wanted):
        """One fault of the kinds WANTED (None: any)."""
        kinds = [(k, w) for k, w in self.KINDS if wanted is None or k in wanted]
        kind = self.rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        if getattr(self, kind)():
            self.done[kind] += 1

    # ---- who ----
    def processes(self, name):
        found = daemon_module.descendants(os.getpid())
        return sorted(p for p, comm in found.items() if comm.startswith(name))

    def pick(self, pids):
        number = self.rng.random()
        return pids[int(number * len(pids))] if pids else None

    def init(self):
        """The init of a sandbox that somebody has, as the host sees it."""
        try:
            with lib.Client(self.run.daemon.socket) as c:
                boxes = c.call("sandbox.list", {"limit": 1000}, timeout=10)["sandboxes"]
        except (OSError, lib.Closed, lib.RpcError, TimeoutError):
            return None
        return self.pick(sorted(b["pid"] for b in boxes if b.get("pid") and b["state"] == "running"))

    def hold(self, pid, longest):
        seconds = self.rng.uniform(0.05, longest)
        if pid is None or not send(pid, signal.SIGSTOP):
            return False
        time.sleep(seconds)
        send(pid, signal.SIGCONT)
        return True

    # ---- the daemon ----
    def back_after(self, pause):
        time.sleep(pause)
        started = time.monotonic()
        self.run.daemon.start(timeout=60)
        self.run.instances.add(self.run.daemon.instance)
        self.recoveries.append(time.monotonic() - started)
        return True

    def daemon_killed(self):
        pause = self.rng.uniform(0, 0.5)
        self.run.daemon.kill()
        return self.back_after(pause)

    def daemon_stopped_well(self):
        pause = self.rng.uniform(0, 0.2)
        status = self.run.daemon.stop(60)
        if status not in (0, -signal.SIGTERM):
            raise AssertionError(f"sandboxd ended with {status}: {self.run.daemon.log_tail()}")
        return self.back_after(pause)

    def daemon_held(self):
        return self.hold(self.run.daemon.pid, 1.0)

    # ---- those below it ----
    def keeper_killed(self):
        pid = self.pick(self.processes("sandbox-keeper"))
        return pid is not None and send(pid, signal.SIGKILL)

    def keeper_held(self):
        return self.hold(self.pick(self.processes("sandbox-keeper")), 0.7)

    def init_killed(self):
        pid = self.init()
        return pid is not None and send(pid, signal.SIGKILL)

    def init_held(self):
        return self.hold(self.init(), 0.7)

    # ---- its clients ----
    def client_killed(self):
        worker = self.pick(self.run.workers)
        worker.process.kill()
        worker.process.wait()
        worker.spawn()
        return True

    def client_held(self):
        return self.hold(self.pick(self.run.workers).process.pid, 1.0)

    # ---- what they need ----
    def disk_filled(self):
        seconds = self.rng.uniform(0.2, 1.5)
        path = os.path.join(self.run.disk, "filler")
        try:
            with open(path, "wb", buffering=0) as f:
                while f.write(bytes(1 << 16)):
                    pass
        except OSError:
            pass  # full
        time.sleep(seconds)
        os.unlink(path)
        return True

    def descriptors_out(self):
        """As many as it has now, and one."""
        pid, seconds = self.run.daemon.pid, self.rng.uniform(0.2, 1.0)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(descriptors(pid)) + 2, before[1]))
        time.sleep(seconds)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        return True

    def clock_jumped(self):
        self.run.set_clock(self.rng.randint(-CLOCK_RANGE_MS, CLOCK_RANGE_MS))
        return True


def write_clock(path, offset_ms):
    """In one write: it is read at any moment."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(fd, struct.pack("=q", offset_ms), 0)
    finally:
        os.close(fd)
