# SPDX-License-Identifier: Apache-2.0
"""ttl, idle timeout and rm: when a sandbox ends by itself, and what keeps it."""

import os
import signal
import time

import daemon as daemon_module
import lib
from harness import exited, invalid, timeout
from lib import check, equal, until


def state(t, s, client=None):
    """None when it is gone."""
    try:
        return (client or t.client).call("sandbox.get", {"sandbox": s["id"]})["state"]
    except lib.RpcError as e:
        equal(e.kind, "not_found", "kind")
        return None


def gone(t, s, seconds, client=None):
    until(lambda: state(t, s, client) is None, seconds, f"{s['name']} is gone", 0.05)
    names = [x["name"] for x in (client or t.client).call("sandbox.list")["sandboxes"]]
    check(s["name"] not in names, "still in the list")


def init_dead(pid):
    return daemon_module.process_table().get(pid, (0, "X", ""))[1] in "ZX"


def test_ttl(t):
    """Whatever it does or is, after its time it is removed; its name is free then."""
    busy, paused, stopped = (t.sandbox(ttlMs=5000) for _ in range(3))
    kept = t.sandbox(ttlMs=600_000)
    check(busy["expiresAt"] > busy["createdAt"], "expiresAt")
    rid = t.client.send("exec.run", {"sandbox": busy["name"], "command": ["sleep", "1000"]})
    other = t.connect()
    other.call("sandbox.pause", {"sandbox": paused["name"]})
    other.call("sandbox.stop", {"sandbox": stopped["name"]})
    for s in (busy, paused, stopped):
        gone(t, s, 15, other)
        until(lambda: init_dead(s["pid"]), 10, "init is dead")
    equal(t.client.wait(rid)["cause"], "cancelled", "cause of its command")
    equal(state(t, kept), "running", "another")
    t.sandbox(name=busy["name"])


def test_ttl_lets_commands_end(t):
    s = t.sandbox(ttlMs=3000)
    script = 'trap "echo bye; exit 4" TERM; echo ready; while :; do sleep 0.05; done'
    r = t.run(s, ["sh", "-c", script])
    equal((r["cause"], r["exitCode"]), ("cancelled", 4), "end")
    gone(t, s, 10)


def test_idle(t):
    """Stopped with its cause, its files kept; a start begins anew."""
    s = t.sandbox(idleTimeoutMs=3000)
    equal(s["idleTimeoutMs"], 3000, "idleTimeoutMs")
    t.sh(s, "echo kept >/home/agent/file")
    until(lambda: state(t, s) == "stopped", 15, "stopped")
    equal(t.client.call("sandbox.get", {"sandbox": s["name"]})["cause"], "idle", "cause")
    s = t.client.call("sandbox.start", {"sandbox": s["name"]})
    check("cause" not in s or s["cause"] is None, "cause after a start")
    equal(t.sh(s, "cat /home/agent/file"), "kept\n", "its files")
    until(lambda: state(t, s) == "stopped", 15, "stopped again")


def test_a_command_is_activity(t):
    """One that runs, detached too, keeps it; so does every new one."""
    s = t.sandbox(idleTimeoutMs=3000)
    exited(t.run(s, ["sleep", "5"]))
    equal(state(t, s), "running", "after a long command")
    for _ in range(4):
        time.sleep(1)
        exited(t.run(s, ["true"]))
    e = t.client.call(
        "exec.run", {"sandbox": s["name"], "command": ["sleep", "6"], "detach": True}
    )
    time.sleep(4)
    equal(state(t, s), "running", "while a detached one runs")
    equal(t.client.call("exec.wait", {"execId": e["execId"]})["exitCode"], 0, "exit code")
    until(lambda: state(t, s) == "stopped", 15, "stopped in the end")


def test_paused_is_not_idle(t):
    s = t.sandbox(idleTimeoutMs=1000)
    t.client.call("sandbox.pause", {"sandbox": s["name"]})
    time.sleep(2.5)
    equal(state(t, s), "paused", "state")
    t.client.call("sandbox.resume", {"sandbox": s["name"]})
    until(lambda: state(t, s) == "stopped", 15, "stopped")


def test_rm(t):
    """Stop, the end of init, idleness: each removes it."""
    c = t.client
    s = t.sandbox(rm=True)
    equal(s["rm"], True, "rm")
    r = c.call("sandbox.stop", {"sandbox": s["name"]})
    equal((r["state"], r["cause"]), ("removed", "stopped"), "answer of stop")
    t.sandbox(name=s["name"], rm=True)  # the name is free at once
    s = t.sandbox(rm=True)
    script = 'trap "exit 4" TERM; echo ready; while :; do sleep 0.05; done'
    rid = c.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", script], "stream": True})
    e = c.note("exec.started", requestId=rid)["execId"]
    c.note("exec.data", execId=e)
    t.connect().call("sandbox.stop", {"sandbox": s["name"]})
    equal(c.wait(rid)["exitCode"], 4, "its command heard TERM")
    gone(t, s, 5)
    s = t.sandbox(rm=True)
    if os.getuid() == 0:
        os.kill(s["pid"], signal.SIGKILL)
        gone(t, s, 10)
    s = t.sandbox(rm=True, idleTimeoutMs=1000)
    gone(t, s, 15)
    kept = t.sandbox(rm=False)
    c.call("sandbox.stop", {"sandbox": kept["name"]})
    equal(state(t, kept), "stopped", "without rm")


@timeout(120)
def test_rm_and_the_daemon(t):
    """A clean stop removes; a crash does not, and the next start finds what has expired."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    clean = t.sandbox(client=c, rm=True)
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    equal(state(t, clean, c), None, "after a clean stop")
    crashed = t.sandbox(client=c, rm=True)
    expired = t.sandbox(client=c, ttlMs=1000)
    kept = t.sandbox(client=c, ttlMs=3_600_000, idleTimeoutMs=60_000)
    d.kill()
    time.sleep(1.2)
    d.start()
    c = t.connect(daemon=d)
    equal(state(t, crashed, c), "running", "it goes when it stops")
    gone(t, expired, 20, c)
    s = c.call("sandbox.get", {"sandbox": kept["id"]})
    equal((s["state"], s["idleTimeoutMs"]), ("running", 60_000), "kept")
    equal(s["expiresAt"], kept["expiresAt"], "expiresAt")
    upper = os.path.join(d.state, "owners", str(t.suite.owner), "upper")
    if os.path.isdir(upper):
        check(expired["id"] not in os.listdir(upper), "its files are left")


def test_bad_input(t):
    c = t.client
    for field in ("ttlMs", "idleTimeoutMs"):
        for value in (0, -1, 999, 31_622_400_001, 2**60, "1h", 1.5, True):
            invalid(c.error("sandbox.create", {field: value}), field)
    for value in (1, "yes", []):
        invalid(c.error("sandbox.create", {"rm": value}), "rm")


def test_from_the_configuration(t):
    d = t.private_daemon(config="[limits]\nidle_timeout = 1500ms\nttl = 1h\n")
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    own = t.sandbox(client=c, idleTimeoutMs=600_000)
    equal((s["idleTimeoutMs"], own["idleTimeoutMs"]), (1500, 600_000), "idleTimeoutMs")
    check(s["expiresAt"] > s["createdAt"], "expiresAt")
    until(lambda: state(t, s, c) == "stopped", 15, "stopped")
    equal(state(t, own, c), "running", "its own time counts")


def test_sandboxctl(t):
    ws = t.workspace()
    r = t.ctl("create", "--ttl", "1h", "--idle-timeout", "30min", "--rm", "shell", ws)
    name = r.stdout.decode().strip()
    t.sandboxes.append((t.client, name))
    s = t.client.call("sandbox.get", {"sandbox": name})
    equal((s["rm"], s["idleTimeoutMs"]), (True, 1_800_000), "as given")
    equal(t.ctl("stop", name).returncode, 0, "stop")
    equal(t.client.error("sandbox.get", {"sandbox": name}).kind, "not_found", "gone")
    for args in (("--ttl", "0"), ("--ttl", "-1s"), ("--ttl", "soon"), ("--idle-timeout", "10ms")):
        r = t.ctl("create", *args, "shell", ws)
        check(r.returncode != 0 and r.stderr, f"{args}: {r}")
