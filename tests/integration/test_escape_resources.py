# SPDX-License-Identifier: Apache-2.0
"""Bombs inside sandboxes: contained while every system.ping answers within a second.

Every bomb is bounded by itself too (number and alarm), for the case that nothing else holds.
"""

import os
import threading
import tempfile
import time

from harness import result_text, timeout
from lib import check, equal, text_of
from test_escape import prison

MIB = 1 << 20


def limits(t, **values):
    """Limits that this daemon can keep; an ordinary user's has the fences only."""
    cgroup = str(t.client.call("system.info")["cgroup"])
    kept = {}
    if "memory" in cgroup and "memoryBytes" in values:
        kept["memoryBytes"] = values["memoryBytes"]
    if "pids" in cgroup and "pids" in values:
        kept["pids"] = values["pids"]
    if "shmBytes" in values:
        kept["shmBytes"] = values["shmBytes"]
    return {"limits": kept} if kept else {}


def start(t, client, s, ws, name, *args, seconds=10):
    return client.send(
        "exec.run",
        {
            "sandbox": s["name"],
            "command": [ws + "/escape", name, str(seconds), *args],
            "timeoutMs": (seconds + 5) * 1000,
            "graceMs": 500,
        },
    )


class Lateness(threading.Thread):
    """How late a sleep and a small write end here: what the machine makes anyone wait who has nothing
    to do with us. The suite shares two cores and a disk with other stages, among them an emulated
    machine."""

    STEP = 0.01

    def __init__(self):
        super().__init__(daemon=True)
        self.worst = 0.0
        self.running = True

    def run(self):
        while self.running:
            before = time.monotonic()
            time.sleep(self.STEP)
            with tempfile.TemporaryFile() as f:
                f.write(b"x")
            self.worst = max(self.worst, time.monotonic() - before - self.STEP)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.join()


# A ping waits for a processor in the daemon and again in the client, and once more in its reader.
WAITS_IN_A_PING = 3


def ping_for(t, seconds):
    """No answer in SECONDS, of a client of its own, takes a second longer than the machine's own waits."""
    longest = 0.0
    with Lateness() as machine, t.daemon.client() as c:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = time.monotonic()
            c.call("system.ping", timeout=20)
            longest = max(longest, time.monotonic() - before)
            time.sleep(0.05)
    check(
        longest < 1 + WAITS_IN_A_PING * machine.worst,
        f"a ping took {longest:.2f} s, a sleep and a write were {machine.worst:.2f} s late",
    )


def one(t, name, *args, seconds=6, **params):
    """One bomb: pings meanwhile, a neighbour works, it ends, nothing of it is left."""
    s, ws = prison(t, **params)
    neighbour = t.sandbox()
    c = t.connect()
    rid = start(t, c, s, ws, name, *args, seconds=seconds)
    ping_for(t, seconds - 1)
    equal(t.sh(neighbour, "echo fine"), "fine\n", "the neighbour")
    r = c.wait(rid, 40)
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    return r


def number(r, word):
    for line in text_of(r["stdout"]).decode(errors="replace").splitlines():
        if line.startswith(word + " "):
            return int(line.split()[1])
    return None


@timeout(90)
def test_fork_bomb(t):
    r = one(t, "fork-bomb", "1500", **limits(t, pids=200))
    n = number(r, "processes")
    if limits(t, pids=200):
        check(n is None or n <= 200, f"{n} processes: {result_text(r)}")
    else:
        check(n is None or n <= 1500, f"{n} processes")


@timeout(90)
def test_fork_bomb_as_root(t):
    s, ws = prison(t, **limits(t, pids=100))
    c = t.connect()
    params = {
        "sandbox": s["name"],
        "command": [ws + "/escape", "fork-bomb", "5", "800"],
        "user": "root",
        "timeoutMs": 9000,
        "graceMs": 300,
    }
    rid = c.send("exec.run", params)
    ping_for(t, 4)
    c.wait(rid, 40)


@timeout(90)
def test_memory_hog(t):
    kept = limits(t, memoryBytes=96 * MIB)
    r = one(t, "memory-hog", str(512 * MIB), **kept)
    if kept:
        equal(r["cause"], "oom", result_text(r))


@timeout(90)
def test_fd_hog(t):
    r = one(t, "fd-hog")
    n = number(r, "descriptors")
    check(n is not None and n < 1000000, result_text(r))


@timeout(90)
def test_shm_filler(t):
    r = one(t, "shm-filler", str(256 * MIB), limits={"shmBytes": 16 * MIB})
    check(number(r, "bytes") <= 16 * MIB, result_text(r))


@timeout(90)
def test_inotify_filler(t):
    """The limits are the sandbox's own: the same user outside still gets his."""
    s, ws = prison(t)
    c = t.connect()
    rid = start(t, c, s, ws, "inotify-filler", seconds=6)
    ping_for(t, 3)
    program = "import ctypes;l=ctypes.CDLL(None);print(min(l.inotify_init() for _ in range(3)))"
    out = t.as_owner("/usr/bin/python3", "-c", program)
    check(int(out) >= 0, "no inotify instance for the owner outside")
    r = c.wait(rid, 40)
    n = number(r, "instances")
    check(n is not None and n <= 1024, result_text(r))


@timeout(120)
def test_noise(t):
    """Busy processes and endless output, captured."""
    s, ws = prison(t)
    c = t.connect()
    rid = start(t, c, s, ws, "noise", seconds=6)
    ping_for(t, 5)
    c.wait(rid, 40)
    state = os.path.join(t.daemon.state)
    total = 0
    for top, _, files in os.walk(state):
        for f in files:
            try:
                total += os.stat(os.path.join(top, f)).st_blocks * 512
            except OSError:
                pass
    check(total < 1 << 30, f"{total >> 20} MiB in the state dir")


STOPPER = """
import os, signal
while True:
    try:
        os.kill(-1, signal.SIGSTOP)
    except OSError:
        pass
"""


@timeout(120)
def test_stopper(t):
    """Whatever an agent stops, init goes on: execs begin, and end by their timeout or by KILL. Where it
    hits the last step before execve the keeper lets that go on; should it never get far, the sandbox is given
    up in time."""
    s = t.sandbox()
    t.run(s, ["python3", "-c", STOPPER], detach=True)
    time.sleep(0.3)
    for _ in range(25):
        r = t.run(s, ["sleep", "0.01"], timeoutMs=200, graceMs=50, timeout=45)
        check(r["cause"] in ("exited", "timeout", "sandbox_lost"), f"cause {r['cause']}")
        state = t.client.call("sandbox.get", {"sandbox": s["name"]})["state"]
        if state == "failed":  # a timeout that was under way keeps its own cause
            return
        equal(state, "running", "state")


@timeout(180)
def test_all_at_once_for_30_seconds(t):
    plan = [
        ("fork-bomb", ("800",), limits(t, pids=150, memoryBytes=128 * MIB)),
        ("memory-hog", (str(256 * MIB),), limits(t, memoryBytes=96 * MIB)),
        ("fd-hog", (), {}),
        ("shm-filler", (str(128 * MIB),), {"limits": {"shmBytes": 16 * MIB}}),
        ("inotify-filler", (), {}),
        ("noise", (), {}),
    ]
    running = []
    for name, args, params in plan:
        s, ws = prison(t, **params)
        c = t.connect()
        running.append((c, start(t, c, s, ws, name, *args, seconds=30)))
    ping_for(t, 30)
    for c, rid in running:
        c.wait(rid, 60)
