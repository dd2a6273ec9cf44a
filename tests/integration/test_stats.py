# SPDX-License-Identifier: Apache-2.0
"""sandbox.stats and system.df: numbers that follow what a sandbox does, null for what is not known."""

import json
import os
import signal
import subprocess

from harness import exited, timeout
from lib import check, equal, until


def stats(t, s, client=None, **params):
    return (client or t.client).call("sandbox.stats", {"sandbox": s["name"], **params})


def busy(t, s, script):
    rid = t.client.send(
        "exec.run", {"sandbox": s["name"], "command": ["sh", "-c", script], "stream": True}
    )
    e = t.client.note("exec.started", requestId=rid)["execId"]
    t.client.note("exec.data", execId=e)
    return e


def test_of_a_running_one(t):
    s = t.sandbox()
    first = stats(t, s)
    equal((first["sandbox"], first["id"], first["state"]), (s["name"], s["id"], "running"), "whose")
    equal((first["execs"], first["diskBytes"]), (0, None), "idle")
    check(first["at"] >= s["createdAt"], "at")
    # known with and without cgroups
    check(0 < first["memoryBytes"] < 1 << 30, f"memory {first['memoryBytes']}")
    check(1 <= first["pids"] <= 3, f"pids {first['pids']}")
    busy(
        t,
        s,
        "x=$(head -c 20000000 /dev/zero | tr '\\0' a); for i in 1 2 3; do sleep 1000 & done; echo;"
        " while :; do :; done",
    )
    until(lambda: stats(t, s)["cpuMs"] >= first["cpuMs"] + 200, 20, "cpu time grows")
    now = stats(t, s)
    equal(now["execs"], 1, "execs")
    check(now["pids"] >= 5, f"pids {now['pids']}")  # init, the shell, three sleeps
    check(now["memoryBytes"] > first["memoryBytes"] + 15_000_000, f"memory {now['memoryBytes']}")
    cgroup = t.client.call("system.info")["cgroup"]
    if "memory" in cgroup["controllers"]:
        check(now["oomKills"] == 0, "oomKills")
    else:
        equal((now["oomKills"], now["peakMemoryBytes"]), (None, None), "without a cgroup")


def test_paused_and_stopped(t):
    s = t.sandbox()
    busy(t, s, "echo; sleep 1000")
    t.client.call("sandbox.pause", {"sandbox": s["name"]})
    r = stats(t, s, disk=True)
    equal((r["state"], r["execs"]), ("paused", 1), "paused")
    check(r["memoryBytes"] > 0 and r["diskBytes"] > 0, str(r))
    t.client.call("sandbox.stop", {"sandbox": s["name"], "force": True})
    r = stats(t, s)
    keys = ("cpuMs", "memoryBytes", "peakMemoryBytes", "pids", "oomKills", "diskBytes")
    equal([r[k] for k in keys], [None] * len(keys), "stopped")
    check(stats(t, s, disk=True)["diskBytes"] > 0, "disk of a stopped one")


def test_disk(t):
    ws = t.workspace({"big": b"x" * 3_000_000})
    s = t.sandbox(workspace=ws)
    before = stats(t, s, disk=True)["diskBytes"]
    total = t.client.call("system.df")
    t.sh(s, "head -c 8000000 /dev/urandom >/home/agent/file; ln /home/agent/file /home/agent/again")
    t.sh(s, "head -c 5000000 /dev/urandom >" + ws + "/more")
    grown = stats(t, s, disk=True)["diskBytes"] - before
    check(7_900_000 <= grown <= 9_000_000, f"grown by {grown}")
    now = t.client.call("system.df")
    check(now["sandboxBytes"] - total["sandboxBytes"] >= 7_900_000, f"{total} {now}")
    check(now["freeBytes"] > 0, "free")
    exited(t.run(s, ["head", "-c", "2000000", "/dev/urandom"]))
    grown = t.client.call("system.df")["spoolBytes"] - now["spoolBytes"]
    check(grown >= 1_900_000, f"spool grown by {grown}")


def test_bad_input(t):
    c = t.client
    equal(c.error("sandbox.stats", {}).field, "sandbox", "field")
    equal(c.error("sandbox.stats", {"sandbox": "none-such"}).kind, "not_found", "kind")
    equal(c.error("sandbox.stats", {"sandbox": "x", "disk": "yes"}).field, "disk", "field")
    equal(c.error("system.df", {"disk": True}).field, "disk", "field")
    s = t.sandbox()
    many = [c.send("sandbox.stats", {"sandbox": s["name"], "disk": True}) for _ in range(60)]
    for rid in many:
        reply = c.wait_raw(rid, 60)
        if "error" in reply:  # too many at once is a refusal, not a pile of processes
            equal(reply["error"]["data"]["kind"], "limit_reached", "kind")


@timeout(60)
def test_sandboxctl(t):
    s = t.sandbox()
    stopped = t.sandbox()
    t.client.call("sandbox.stop", {"sandbox": stopped["name"]})
    out = t.ctl("stats").stdout.decode()
    check(out.startswith("SANDBOX") and s["name"] in out and stopped["name"] not in out, out)
    out = t.ctl("stats", "-o", "json", "--disk", s["name"], stopped["name"]).stdout.decode()
    lines = [json.loads(line) for line in out.splitlines()]
    equal([x["sandbox"] for x in lines], [s["name"], stopped["name"]], "one object per line")
    check(all(x["diskBytes"] > 0 for x in lines), out)
    r = t.ctl("stats", s["name"], "none-such")
    equal(r.returncode, 1, "status")
    check(s["name"].encode() in r.stdout and b"none-such" in r.stderr, str(r))
    r = t.ctl("stats", "--watch", "none-such")
    equal(r.returncode, 1, "watching nothing ends")
    p = subprocess.Popen(
        [t.suite.tools["sandboxctl"], "stats", "--watch", "-o", "json", s["name"]],
        env={**os.environ, "SANDBOXD_SOCKET": t.daemon.socket},
        stdout=subprocess.PIPE,
    )
    try:
        at = [json.loads(p.stdout.readline())["at"] for _ in range(3)]
        check(at[0] < at[1] < at[2], str(at))
    finally:
        p.send_signal(signal.SIGINT)
        p.wait(10)
        p.stdout.close()
