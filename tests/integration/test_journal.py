# SPDX-License-Identifier: Apache-2.0
"""Exactly once: the same call with the same idempotency key runs nothing twice."""

import os
import signal
import threading

import daemon as daemon_module
import lib
from harness import modes, refused, timeout
from lib import check, equal, until

APPEND = ["sh", "-c", "echo $KEY >>lines; echo said; echo aside >&2; exit 3"]


def lines_of(path):
    try:
        with open(path + "/lines", encoding="utf-8") as f:
            return f.read().split()
    except FileNotFoundError:
        return []


def keyed(s, key, command=None, **more):
    return {
        "sandbox": s["name"],
        "command": command or APPEND,
        "env": {"KEY": key},
        "idempotencyKey": key,
        **more,
    }


def outcome(r):
    return (r["exitCode"], r["cause"], lib.text_of(r["stdout"]), lib.text_of(r["stderr"]), r["execId"])


def test_again(t):
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    c = t.client
    key = t.unique("k")
    first = c.call("exec.run", keyed(s, key))
    equal(outcome(first)[:4], (3, "exited", b"said\n", b"aside\n"), "the first")
    equal(outcome(c.call("exec.run", keyed(s, key))), outcome(first), "again")
    with t.suite.daemon.client() as other:
        equal(outcome(other.call("exec.run", keyed(s, key))), outcome(first), "from another client")
    more = {"env": {"KEY": "other"}, "timeoutMs": 5000, "stream": True, "graceMs": 1}
    equal(outcome(c.call("exec.run", {**keyed(s, key), **more})), outcome(first), "what does not count")
    equal(lines_of(ws), [key], "it ran once")
    equal(c.call("exec.get", {"execId": first["execId"]})["result"]["exitCode"], 3, "as any other")


def test_another_call(t):
    s = t.sandbox(workspace=t.workspace())
    c = t.client
    key = t.unique("k")
    c.call("exec.run", keyed(s, key, ["true"]))
    good = keyed(s, key, ["true"])
    for change in (
        {"command": ["false"]},
        {"command": ["true", ""]},
        {"workDir": "/tmp"},
        {"user": "root"},
        {"stdin": {"text": "x"}},
        {"files": [{"path": "x", "data": "y"}]},
        {"tty": {"rows": 24, "cols": 80}},
        {"sandbox": s["id"]},
    ):
        e = c.error("exec.run", {**good, **change})
        equal((e.code, e.kind, e.field), (-32003, "conflict", "idempotencyKey"), str(change))
    e = c.error("sandbox.create", {"idempotencyKey": key})
    equal((e.code, e.field), (-32003, "idempotencyKey"), "another method")
    for bad in ("", "x" * 129, 7, None):
        e = c.error("exec.run", {**good, "idempotencyKey": bad})
        equal((e.code, e.field), (-32602, "idempotencyKey"), str(bad))


def test_while_it_runs(t):
    """Whoever asks meanwhile follows the same command, from its beginning."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    key = t.unique("k")
    command = ["sh", "-c", "echo $KEY >>lines; echo one; read x <fifo; echo two"]
    t.sh(s, "mkfifo fifo")
    results = []

    def run():
        with t.suite.daemon.client() as c:
            rid = c.send("exec.run", keyed(s, key, command, stream=True))
            started = c.note("exec.started", requestId=rid)
            results.append((started["execId"], c.wait(rid, timeout=60)))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for x in threads:
        x.start()
    until(lambda: lines_of(ws), 30, "it runs")
    detached = t.client.call("exec.run", keyed(s, key, command, detach=True))
    equal(detached["state"], "running", "with detach")
    t.sh(s, "echo >fifo")
    for x in threads:
        x.join()
    equal(len(results), 8, "answers")
    equal({e for e, _ in results}, {detached["execId"]}, "one command")
    equal({lib.text_of(r["stdout"]) for _, r in results}, {b"one\ntwo\n"}, "all of it")
    equal(lines_of(ws), [key], "it ran once")


def test_client_goes(t):
    """Its command goes on, and the next client gets it."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    key = t.unique("k")
    command = ["sh", "-c", "echo $KEY >>lines; sleep 1; echo done"]
    with t.suite.daemon.client() as c:
        rid = c.send("exec.run", keyed(s, key, command))
        c.note("exec.started", requestId=rid)
    equal(lib.text_of(t.client.call("exec.run", keyed(s, key, command))["stdout"]), b"done\n", "its output")
    equal(lines_of(ws), [key], "it ran once")


def test_refused_and_not_started(t):
    """What was refused ran nothing and its key is free; what could not be started is a result."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    c = t.client
    key = t.unique("k")
    e = c.error("exec.run", {**keyed(s, key), "sandbox": "no-such-sandbox"})
    equal(e.kind, "not_found", "no sandbox")
    equal(c.error("exec.run", {**keyed(s, key), "user": "no:body"}).field, "user", "no user")
    c.call("exec.run", keyed(s, key))
    equal(lines_of(ws), [key], "then it runs")
    key = t.unique("k")
    first = c.call("exec.run", keyed(s, key, ["no-such-command"]))
    equal((first["cause"], first["startError"]["kind"]), ("never_started", "not_found"), "the result")
    equal(c.call("exec.run", keyed(s, key, ["no-such-command"]))["execId"], first["execId"], "again")


def test_cancel_by_key(t):
    s = t.sandbox(workspace=t.workspace())
    c = t.client
    key = t.unique("k")
    rid = c.send("exec.run", keyed(s, key, ["sleep", "1000"]))
    c.note("exec.started", requestId=rid)
    equal(c.call("exec.cancel", {"idempotencyKey": key}), {}, "cancelled")
    equal(c.wait(rid)["cause"], "cancelled", "its result")
    equal(c.call("exec.cancel", {"idempotencyKey": key}), {}, "again")
    e = c.error("exec.cancel", {"idempotencyKey": t.unique("k")})
    equal((e.kind, e.field), ("not_found", "idempotencyKey"), "no such key")
    for bad in ({}, {"idempotencyKey": key, "execId": "x"}):
        equal(c.error("exec.cancel", bad).code, -32602, str(bad))


def test_after_the_sandbox(t):
    """Its result is kept longer than its sandbox."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    c = t.client
    key = t.unique("k")
    first = c.call("exec.run", keyed(s, key))
    c.call("sandbox.remove", {"sandbox": s["name"]})
    equal(outcome(c.call("exec.run", keyed(s, key))), outcome(first), "the same result")
    equal(c.error("exec.run", keyed(s, t.unique("k"))).kind, "not_found", "another key")
    equal(lines_of(ws), [key], "it ran once")


@timeout(120)
def test_after_a_restart(t):
    ws = t.workspace()
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = t.sandbox(client=c, workspace=ws)
    key, made = t.unique("k"), t.unique("k")
    first = c.call("exec.run", keyed(s, key))
    create = {"idempotencyKey": made, "name": "made", "workspace": ws}
    second = c.call("sandbox.create", create)
    for end in ("stop", "kill"):
        getattr(d, end)()
        d.start()
        c = t.connect(daemon=d)
        equal(outcome(c.call("exec.run", keyed(s, key))), outcome(first), f"after {end}")
        equal(c.call("sandbox.create", create)["id"], second["id"], f"the sandbox after {end}")
    equal(lines_of(ws), [key], "it ran once")


@modes("root", "owner")
@timeout(120)
def test_lost_before_it_began(t):
    """Its init dies while the keeper makes its pipes: the result says so, and the same call runs it."""
    ws = t.workspace()
    d = t.private_daemon({"limits": {"pool_memory": "0"}})
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"workspace": ws})
    key = t.unique("k")
    with daemon_module.held(daemon_module.keepers(d.pid)):
        rid = c.send("exec.run", keyed(s, key))
        until(lambda: c.call("exec.list")["execs"], 10, "it is there")
        os.kill(s["pid"], signal.SIGKILL)
        until(lambda: c.call("sandbox.get", {"sandbox": s["id"]})["state"] == "failed", 20, "lost")
    equal(c.wait(rid)["cause"], "sandbox_lost", "what is told")
    c.call("sandbox.start", {"sandbox": s["id"]}, timeout=60)
    for _ in range(2):
        equal(c.call("exec.run", keyed(s, key))["cause"], "exited", "the same call")
    equal(lines_of(ws), [key], "it ran once")


@timeout(120)
def test_running_while_the_daemon_is_stopped(t):
    """A clean stop leaves a key as it is: the next daemon's client follows, and the result is kept."""
    ws = t.workspace()
    d = t.private_daemon({"daemon": {"on_stop": "keep"}})
    c = t.connect(daemon=d)
    c.call("loop.create", {"loopId": "l", "workDir": ws, "tools": ["shell"]}, timeout=60)
    s = c.call("sandbox.create", {"workspace": t.workspace()})
    key, other = t.unique("k"), t.unique("k")
    script = "echo $KEY >>lines; until [ -e go ]; do sleep 0.05; done; echo said"
    run = {"loopId": "l", "tool": "shell", "prompt": script, "env": {"KEY": key}, "idempotencyKey": key}
    command = keyed(s, other, ["sh", "-c", script])
    c.call("loop.run", {**run, "detach": True})
    c.call("exec.run", {**command, "detach": True})
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    t.put(ws, "go", "")
    first = c.call("loop.run", run, timeout=60)
    equal((first["state"], first["output"]), ("completed", "said\n"), "the run")
    equal(c.call("loop.run", run), first, "again")
    t.sh(s, "echo >go", client=c)
    second = c.call("exec.run", command)
    equal(lib.text_of(second["stdout"]), b"said\n", "the command")
    c.call("sandbox.remove", {"sandbox": s["name"]})
    c.call("loop.destroy", {"loopId": "l", "force": True}, timeout=60)
    equal(outcome(c.call("exec.run", command)), outcome(second), "kept longer than its sandbox")
    equal(c.call("loop.run", run), first, "kept longer than its loop")
    equal(lines_of(ws), [key], "it ran once")


def test_create(t):
    ws = t.workspace()
    c = t.client
    key = t.unique("k")
    params = {"idempotencyKey": key, "name": t.unique(), "workspace": ws}
    s = c.call("sandbox.create", params)
    t.sandboxes.append((c, s["name"]))
    equal(c.call("sandbox.create", {**params, "labels": {"a": "b"}, "env": {"A": "b"}})["id"], s["id"], "again")
    e = c.error("sandbox.create", {**params, "tool": "shell"})
    equal((e.kind, e.field), ("conflict", "idempotencyKey"), "another one")
    c.call("sandbox.stop", {"sandbox": s["name"]})
    equal(c.call("sandbox.create", params)["state"], "stopped", "as it is")
    c.call("sandbox.remove", {"sandbox": s["name"]})
    e = c.error("sandbox.create", params)
    equal((e.kind, e.field), ("not_found", "idempotencyKey"), "it is gone")
    without_name = {"idempotencyKey": t.unique("k")}
    first = c.call("sandbox.create", without_name)
    t.sandboxes.append((c, first["name"]))
    equal(c.call("sandbox.create", without_name)["name"], first["name"], "a name that was made up")
    failed = {"idempotencyKey": t.unique("k"), "workspace": ws + "/missing"}
    refused(c.error("sandbox.create", failed), "not_found")
    refused(c.error("sandbox.create", {**failed, "workspace": "/also/missing"}), "not_found")


def test_create_at_once(t):
    """Ten clients, one sandbox."""
    key, name = t.unique("k"), t.unique()
    made, problems = [], []

    def create():
        try:
            with t.suite.daemon.client() as c:
                made.append(c.call("sandbox.create", {"idempotencyKey": key, "name": name}, timeout=60))
        except Exception as e:  # told below
            problems.append(repr(e))

    threads = [threading.Thread(target=create) for _ in range(10)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    t.sandboxes.append((t.client, name))
    equal(problems, [], "problems")
    equal(len({s["id"] for s in made}), 1, "sandboxes")
    equal({s["state"] for s in made}, {"running"}, "they run")


def loop(t, tool="shell"):
    ws = t.workspace()
    lid = t.unique("loop")
    t.client.call("loop.create", {"loopId": lid, "workDir": ws, "tools": [tool]}, timeout=60)
    return ws, lid


def test_loop_run(t):
    ws, lid = loop(t)
    c = t.client
    key = t.unique("k")
    params = {
        "loopId": lid,
        "tool": "shell",
        "prompt": "echo $KEY >>lines; echo said",
        "env": {"KEY": key},
        "idempotencyKey": key,
        "verificationCommands": ["test -e lines"],
    }
    first = c.call("loop.run", params, timeout=60)
    equal((first["state"], first["output"]), ("completed", "said\n"), "the first")
    again = c.call("loop.run", params, timeout=60)
    equal(again, first, "again: the very same result")
    e = c.error("loop.run", {**params, "prompt": "echo other"})
    equal((e.kind, e.field), ("conflict", "idempotencyKey"), "another prompt")
    equal(lines_of(ws), [key], "it ran once")
    c.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)
    equal(c.call("loop.run", params), first, "kept longer than its loop")


def test_loop_run_detached(t):
    """Nobody waits, and the result can be had later: by the same call without detach."""
    ws, lid = loop(t)
    c = t.client
    key = t.unique("k")
    params = {
        "loopId": lid,
        "tool": "shell",
        "prompt": "echo $KEY >>lines; sleep 1; echo said",
        "env": {"KEY": key},
        "idempotencyKey": key,
        "verificationCommands": ["test -e lines"],
    }
    e = c.call("loop.run", {**params, "detach": True})
    equal(e["state"], "running", "at once")
    r = c.call("loop.run", params, timeout=60)
    equal((r["state"], r["output"], r["exec"]["execId"]), ("completed", "said\n", e["execId"]), "later")
    equal(r["artifacts"]["verification"]["success"], True, "verified")
    equal(lines_of(ws), [key], "it ran once")
    c.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)


def test_sandboxctl(t):
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    key = t.unique("k")
    for _ in range(2):
        r = t.ctl("exec", "--key", key, "-e", f"KEY={key}", s["name"], *APPEND)
        equal((r.returncode, r.stdout, r.stderr), (3, b"said\n", b"aside\n"), "the same each time")
    equal(lines_of(ws), [key], "it ran once")
    r = t.ctl("exec", "--key", key, s["name"], "true")
    equal(r.returncode, 125, "another command")
    check(b"another call" in r.stderr, r.stderr)
