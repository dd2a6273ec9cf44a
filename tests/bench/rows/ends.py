# SPDX-License-Identifier: Apache-2.0
"""How long the end of a sandbox takes, as its client sees it."""

import time

import lib

MANY = 50


def is_gone(pid):
    """No such process, or a zombie that nobody has to wait for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def timed(bench, method, params):
    begin = time.monotonic_ns()
    bench.client.call(method, params, timeout=60)
    return time.monotonic_ns() - begin


def stop_idle(bench):
    def ours(n):
        out = []
        for _ in range(n):
            pid = bench.client.call("sandbox.create", {"name": "ends"}, timeout=60)["pid"]
            out.append(timed(bench, "sandbox.stop", {"sandbox": "ends"}))
            if not is_gone(pid):
                raise RuntimeError("stop has answered and init is still there")
            bench.client.call("sandbox.remove", {"sandbox": "ends"}, timeout=60)
        return out

    bench.alone("stop-idle", "stop of an idle sandbox", 100, ours, 50)


def remove_many(bench):
    """A shell with its children and a little; the removal ends when none of them is left."""
    script = f"for i in $(seq {MANY}); do sleep 1000 & done; wait"

    def ours(n):
        out = []
        for _ in range(n):
            pid = bench.client.call("sandbox.create", {"name": "ends"}, timeout=60)["pid"]
            job = {"sandbox": "ends", "command": ["sh", "-c", script], "detach": True}
            bench.client.call("exec.run", job, timeout=60)
            wait_until_there(bench)
            out.append(timed(bench, "sandbox.remove", {"sandbox": "ends", "force": True}))
            if not is_gone(pid):  # the first of its namespace: it goes last
                raise RuntimeError("remove has answered and init is still there")
        return out

    bench.alone("remove-50", f"remove of a sandbox with {MANY} processes", 60, ours, 10)


def wait_until_there(bench):
    count = ["sh", "-c", "grep -lx sleep /proc/[0-9]*/comm | wc -l"]
    for _ in range(500):
        got = bench.client.call("exec.run", {"sandbox": "ends", "command": count}, timeout=30)
        if int(lib.text_of(got["stdout"])) >= MANY:
            return
        time.sleep(0.01)
    raise RuntimeError("the processes do not start")


ROWS = (stop_idle, remove_many)
