# SPDX-License-Identifier: Apache-2.0
"""Loops: from create to the receipt, what is refused, who may see them, restart and time."""

import os
import pwd
import time

import lib
from gitrepo import git, worktree
from harness import TEST_USER, exited, modes, timeout
from lib import check, equal, until

CONFLICT = (-32003, "conflict")
INVALID = (-32602, "invalid_params")
NOT_FOUND = (-32001, "not_found")
STATE = (-32004, "invalid_state")
UNAVAILABLE = (-32005, "unavailable")


def loop(t, ws=None, client=None, **params):
    """A loop that undo() destroys; its Loop."""
    client = client or t.client
    params.setdefault("loopId", t.unique("l"))
    params.setdefault("tools", ["shell"])
    made = client.call("loop.create", {"workDir": ws or t.workspace(), **params}, timeout=60)
    for name in made["sandboxes"]:
        t.sandboxes.append((client, name))
    return made


def names(client, **filter):
    listed = client.call("sandbox.list", {"filter": filter})["sandboxes"]
    return sorted(s["name"] for s in listed)


def test_create_get_list(t):
    ws = t.workspace()
    made = loop(t, ws, labels={"run": "1"}, env={"MINE": "yes"})
    lid = made["loopId"]
    equal(made["state"], "active", "state")
    equal((made["workDir"], made["tools"]), (ws, ["shell"]), "workDir, tools")
    equal(made["sandboxes"], [f"loop-{lid}-shell"], "sandboxes")
    equal((made["execs"], made["alive"], made["cpuMs"], made["lastOutputAt"]), (0, False, 0, None), "idle")
    s = t.client.call("sandbox.get", {"sandbox": made["sandboxes"][0]})
    equal((s["loopId"], s["tool"], s["state"], s["labels"]), (lid, "shell", "running", {"run": "1"}), "sandbox")
    equal(t.sh(s, "echo $MINE; pwd"), f"yes\n{ws}\n", "env, workDir")
    rid = t.client.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", "echo x; sleep 100"]})
    t.client.note("exec.started")
    got = until(
        lambda: (lambda g: g if g["lastOutputAt"] else None)(t.client.call("loop.get", {"loopId": lid})),
        5,
        "output is noticed",
    )
    equal((got["execs"], got["alive"]), (2, True), "while it runs")
    equal(names(t.client, loopId=lid), [s["name"]], "sandbox.list by loop")
    execs = t.client.call("exec.list", {"filter": {"loopId": lid}})["execs"]
    equal([e["loopId"] for e in execs], [lid, lid], "exec.list by loop")
    for f, there in (({"loopId": lid}, 1), ({"tool": "shell", "labels": {"run": "1"}, "loopId": lid}, 1),
                     ({"state": "cancelled", "loopId": lid}, 0), ({"tool": "claude", "loopId": lid}, 0),
                     ({"labels": {"run": "2"}}, 0)):
        equal(len(t.client.call("loop.list", {"filter": f})["loops"]), there, f"loop.list {f}")
    t.client.call("exec.cancel", {"execId": execs[-1]["execId"]})
    t.client.wait(rid)
    equal(t.client.call("loop.get", {"loopId": lid})["alive"], False, "afterwards")


def test_list_pages(t):
    label = t.unique("label")
    ids = [loop(t, labels={"group": label})["loopId"] for _ in range(3)]
    c = t.client

    def page(**kw):
        found = c.call("loop.list", {"filter": {"labels": {"group": label}}, **kw})["loops"]
        return [x["loopId"] for x in found]

    equal(page(), ids, "in order of creation")
    equal(page(limit=2), ids[:2], "first page")
    equal(page(after=ids[1]), ids[2:], "second page")
    equal(c.error("loop.list", {"after": "no-such-loop"}).field, "after", "field")
    e = c.error("loop.list", {"filter": {"sandbox": "x"}})
    equal((e.code, e.field), (-32602, "filter.sandbox"), "filter")


def test_create_again(t):
    """The same call gives the same; what was stopped runs again, what was removed is made again."""
    ws = t.workspace()
    params = {"loopId": t.unique("l"), "network": "none", "limits": {"pids": 500}}
    made = loop(t, ws, **params)
    name = made["sandboxes"][0]
    first = t.client.call("sandbox.get", {"sandbox": name})
    again = loop(t, ws, **params, env={"TOKEN": "another"})
    equal({**again, "execs": 0}, made, "again")
    equal(t.client.call("sandbox.get", {"sandbox": name})["id"], first["id"], "sandbox")
    loop(t, os.path.join(ws, ".", ""), **params, runtime=made["runtime"])
    t.client.call("sandbox.stop", {"sandbox": name})
    loop(t, ws, loopId=params["loopId"])
    equal(t.client.call("sandbox.get", {"sandbox": name})["state"], "running", "started again")
    t.client.call("sandbox.remove", {"sandbox": name})
    equal(t.client.call("loop.get", {"loopId": params["loopId"]})["sandboxes"], [], "none is there")
    loop(t, ws, **params)
    check(t.client.call("sandbox.get", {"sandbox": name})["id"] != first["id"], "made again")
    for key, value in (
        ("workDir", t.workspace()),
        ("network", "host"),
        ("template", "host"),
        ("runtime", "runc"),
        ("limits", {"pids": 501}),
        ("labels", {"a": "b"}),
        ("ttlMs", 1000),
    ):
        e = t.client.error("loop.create", {"workDir": ws, "tools": ["shell"], **params, key: value})
        equal((e.code, e.kind, e.field), (*CONFLICT, key), f"another {key}")


def test_create_at_the_same_time(t):
    """Of eight that create one loop at once each gets the same."""
    ws = t.workspace()
    lid = t.unique("l")
    clients = [t.connect() for _ in range(8)]
    ids = [c.send("loop.create", {"loopId": lid, "workDir": ws, "tools": ["shell"]}) for c in clients]
    made = [c.wait(i, 60) for c, i in zip(clients, ids)]
    check(all(m == made[0] for m in made), f"{made}")
    t.sandboxes.append((t.client, made[0]["sandboxes"][0]))
    equal(len(t.client.call("sandbox.list", {"filter": {"loopId": lid}})["sandboxes"]), 1, "one sandbox")


def test_many_loops_at_once(t):
    ws = [t.workspace() for _ in range(6)]
    lids = [t.unique("l") for _ in ws]
    ids = [
        t.client.send("loop.create", {"loopId": lid, "workDir": w, "tools": ["shell"]})
        for lid, w in zip(lids, ws)
    ]
    for i, lid in zip(ids, lids):
        equal(t.client.wait(i, 60)["state"], "active", lid)
    ids = [t.client.send("loop.destroy", {"loopId": lid}) for lid in lids]
    for i, lid in zip(ids, lids):
        equal(t.client.wait(i, 60)["sandboxes"], [f"loop-{lid}-shell"], lid)


def bad(t, ws):
    """(params, (code, kind), field) for loop.create."""
    new = {"loopId": t.unique("bad"), "workDir": ws, "tools": ["shell"]}
    file = t.put(ws, "a-file", "x")
    return [
        ({}, INVALID, "loopId"),
        ({"loopId": "x", "tools": ["shell"]}, INVALID, "workDir"),
        ({"loopId": "x", "workDir": ws}, INVALID, "tools"),
        ({**new, "loopId": ""}, INVALID, "loopId"),
        ({**new, "loopId": "a b"}, INVALID, "loopId"),
        ({**new, "loopId": "../x"}, INVALID, "loopId"),
        ({**new, "loopId": 7}, INVALID, "loopId"),
        ({**new, "loopId": "l" * 129}, INVALID, "loopId"),
        # the name of its sandbox is refused, never cut: loop-…-shell
        ({**new, "loopId": "l" * 118}, INVALID, "loopId"),
        ({**new, "tools": []}, INVALID, "tools"),
        ({**new, "tools": "shell"}, INVALID, "tools"),
        ({**new, "tools": [7]}, INVALID, "tools[0]"),
        ({**new, "tools": ["shell", "shell"]}, INVALID, "tools"),
        ({**new, "tools": ["claude", "claude@2.1.42"]}, INVALID, "tools"),
        ({**new, "tools": ["shell", "no-such-tool"]}, NOT_FOUND, "tools"),
        ({**new, "tools": ["shell@1"]}, INVALID, "tools"),
        ({**new, "tools": ["claude@latest"]}, INVALID, "tools"),
        ({**new, "tools": ["t%d" % i for i in range(17)]}, INVALID, "tools"),
        ({**new, "workDir": "relative"}, INVALID, "workDir"),
        ({**new, "workDir": ""}, INVALID, "workDir"),
        ({**new, "workDir": ws + "/missing"}, NOT_FOUND, "workDir"),
        ({**new, "workDir": file}, NOT_FOUND, "workDir"),
        ({**new, "workDir": "/"}, (-32006, "denied"), "workDir"),
        ({**new, "template": "no-such-template"}, NOT_FOUND, "template"),
        ({**new, "network": "internet"}, INVALID, "network"),
        ({**new, "network": "gateway"}, UNAVAILABLE, "network"),
        ({**new, "limits": {"memoryBytes": -1}}, INVALID, "limits.memoryBytes"),
        ({**new, "ttlMs": 0}, INVALID, "ttlMs"),
        ({**new, "ttlMs": -1}, INVALID, "ttlMs"),
        ({**new, "ttlMs": 999}, INVALID, "ttlMs"),
        ({**new, "ttlMs": 400 * 86400 * 1000}, INVALID, "ttlMs"),
        ({**new, "ttlMs": "1h"}, INVALID, "ttlMs"),
        ({**new, "env": {"A=B": "x"}}, INVALID, "env.A=B"),
        ({**new, "runtime": "no-such-runtime"}, NOT_FOUND, "runtime"),
        ({**new, "stages": [{"name": "a b"}]}, INVALID, "stages[0].name"),
        ({**new, "stages": [{"name": "a", "workspace": "rx"}]}, INVALID, "stages[0].workspace"),
        ({**new, "frob": 1}, INVALID, "frob"),
    ]


def test_bad_create(t):
    ws = t.workspace()
    before = t.client.call("loop.list")["loops"]
    wrong = []
    for params, (code, kind), field in bad(t, ws):
        e = t.client.error("loop.create", params)
        if (e.code, e.kind, e.field) != (code, kind, field):
            wrong.append(f"{str(params)[:160]}: {e}")
        elif kind != "invalid_params" and not e.message:
            wrong.append(f"{str(params)[:160]}: no message")
    check(not wrong, "\n  ".join(wrong))
    equal(t.client.call("loop.list")["loops"], before, "nothing came of it")
    loop(t, ws, loopId="l" * 117)  # 128 characters


def test_a_taken_name(t):
    """A sandbox of that name which is not the loop's is nobody's to take."""
    lid = t.unique("l")
    t.sandbox(name=f"loop-{lid}-shell")
    e = t.client.error("loop.create", {"loopId": lid, "workDir": t.workspace(), "tools": ["shell"]})
    equal((e.code, e.field), (-32002, "loopId"), "refused")
    equal(t.client.error("loop.get", {"loopId": lid}).kind, "not_found", "no loop is left")


def test_no_such_loop(t):
    for method in ("loop.get", "loop.cancel", "loop.destroy"):
        e = t.client.error(method, {"loopId": "no-such-loop"})
        equal((e.code, e.kind, e.field), (*NOT_FOUND, "loopId"), method)
        e = t.client.error(method, {})
        equal((e.code, e.field), (-32602, "loopId"), method)


def test_cancel(t):
    made = loop(t)
    lid, name = made["loopId"], made["sandboxes"][0]
    t.sh(name, "echo kept >/home/agent/kept")
    rid = t.client.send("exec.run", {"sandbox": name, "command": ["sleep", "100"]})
    t.client.note("exec.started")
    other = t.connect()
    ended = other.call("loop.cancel", {"loopId": lid, "reason": "enough"})
    equal((ended["state"], ended["reason"], ended["alive"]), ("cancelled", "enough", False), "cancelled")
    check(ended["endedAt"], "endedAt")
    equal(t.client.wait(rid)["cause"], "cancelled", "its exec")
    equal(t.client.call("sandbox.get", {"sandbox": name})["state"], "stopped", "its sandbox")
    equal(other.call("loop.cancel", {"loopId": lid, "reason": "more"}), ended, "again")
    e = t.client.error("loop.create", {"loopId": lid, "workDir": made["workDir"], "tools": ["shell"]})
    equal((e.code, e.field), (-32004, "loopId"), "create after cancel")
    equal(t.client.call("loop.destroy", {"loopId": lid})["outcome"], "cancelled", "outcome")


def test_destroy(t):
    made = loop(t)
    lid, name = made["loopId"], made["sandboxes"][0]
    t.sh(name, "echo 12345; echo kept >/home/agent/kept")
    rid = t.client.send("exec.run", {"sandbox": name, "command": ["sleep", "100"]})
    t.client.note("exec.started")
    other = t.connect()
    e = other.error("loop.destroy", {"loopId": lid, "outcome": "failed"})
    equal((e.code, e.field), (-32004, "loopId"), "while it runs")
    check("force" in e.hint, e.hint)
    equal(t.client.call("loop.get", {"loopId": lid})["state"], "active", "nothing happened")
    e = other.error("loop.destroy", {"loopId": lid, "outcome": "great"})
    equal((e.code, e.field), (-32602, "outcome"), "no outcome")
    receipt = other.call("loop.destroy", {"loopId": lid, "outcome": "failed", "force": True})
    equal(t.client.wait(rid)["cause"], "cancelled", "its exec")
    equal((receipt["outcome"], receipt["execs"]), ("failed", 2), "receipt")
    equal((receipt["sandboxes"], receipt["outputBytes"]), ([name], 6), "receipt")
    equal((receipt["processesKilled"], receipt["worktreeUnlocked"]), (1, None), "receipt")
    equal(t.client.error("sandbox.get", {"sandbox": name}).kind, "not_found", "its sandbox")
    equal(t.client.call("exec.list", {"filter": {"loopId": lid}})["execs"], [], "its execs")
    for params in ({}, {"outcome": "completed"}, {"force": True}):
        equal(other.call("loop.destroy", {"loopId": lid, **params}), receipt, "the same receipt")
    gone = other.call("loop.get", {"loopId": lid})
    equal((gone["state"], gone["sandboxes"], gone["execs"]), ("destroyed", [], 0), "loop.get")
    for method, params in (
        ("loop.create", {"workDir": made["workDir"], "tools": ["shell"]}),
        ("loop.cancel", {}),
    ):
        e = t.client.error(method, {"loopId": lid, **params})
        equal((e.code, e.field), (-32004, "loopId"), method)


def test_destroy_at_the_same_time(t):
    """Two that destroy get one receipt."""
    made = loop(t)
    clients = [t.connect() for _ in range(4)]
    ids = [c.send("loop.destroy", {"loopId": made["loopId"]}) for c in clients]
    receipts = [c.wait(i) for c, i in zip(clients, ids)]
    check(all(r == receipts[0] for r in receipts), f"{receipts}")
    equal(receipts[0]["sandboxes"], made["sandboxes"], "sandboxes")


def test_worktree_is_unlocked(t):
    repo, tree, _ = worktree(t)
    made = loop(t, tree)
    listed = git(t, repo, "worktree", "list", "--porcelain")
    check("locked" in listed, "locked while the loop is there")
    other = loop(t, tree)
    receipt = t.client.call("loop.destroy", {"loopId": other["loopId"]})
    equal(receipt["worktreeUnlocked"], False, "another loop works on it")
    receipt = t.client.call("loop.destroy", {"loopId": made["loopId"]})
    equal(receipt["worktreeUnlocked"], True, "receipt")
    listed = git(t, repo, "worktree", "list", "--porcelain")
    check("locked" not in listed, "free again")


def test_client_goes_away(t):
    """What it had begun goes on."""
    c = t.connect()
    lid = t.unique("l")
    ws = t.workspace()
    c.send("loop.create", {"loopId": lid, "workDir": ws, "tools": ["shell"]})
    c.close()

    def there():
        try:
            return t.client.call("loop.get", {"loopId": lid})["sandboxes"]
        except lib.RpcError:
            return None

    until(there, 20, "the loop is made")
    loop(t, ws, loopId=lid)
    c = t.connect()
    c.send("loop.destroy", {"loopId": lid})
    c.close()
    until(lambda: t.client.call("loop.get", {"loopId": lid})["state"] == "destroyed", 20, "destroyed")


def test_cancel_a_create(t):
    """rpc.cancel, loop.cancel and loop.destroy during a create; nothing stays."""
    ws = t.workspace()
    other = t.connect()
    for how in ("rpc", "loop.cancel", "loop.destroy"):
        lid = t.unique("l")
        rid = t.client.send("loop.create", {"loopId": lid, "workDir": ws, "tools": ["shell"]})
        if how == "rpc":
            t.client.notify("rpc.cancel", {"id": rid})
        else:
            until(lambda: lid in [x["loopId"] for x in other.call("loop.list")["loops"]], 20, "it is seen")
            other.call(how, {"loopId": lid})
        try:
            t.client.wait(rid)
            outcome = "made"  # it was faster
        except lib.RpcError as e:
            check(e.kind in ("cancelled", "invalid_state"), f"{how}: {e}")
            outcome = e.kind
        if how == "rpc" and outcome == "cancelled":
            equal(t.client.error("loop.get", {"loopId": lid}).kind, "not_found", how)
        left = t.client.call("sandbox.list", {"filter": {"loopId": lid, "state": "running"}})["sandboxes"]
        if outcome != "made" or how != "rpc":
            equal(left, [], f"{how}, {outcome}: sandboxes that run")
        if how != "loop.destroy" and (outcome == "made" or how == "loop.cancel"):
            t.client.call("loop.destroy", {"loopId": lid})


def connect_as(t, name):
    """A client of another uid, past the socket's group."""
    entry = pwd.getpwnam(name)
    mode = os.stat(t.daemon.socket).st_mode & 0o777
    os.chmod(t.daemon.socket, 0o666)
    try:
        return entry, t.connect(entry.pw_uid, entry.pw_gid)
    finally:
        os.chmod(t.daemon.socket, mode)


@modes("root", "owner")
def test_ownership(t):
    """Others see nothing of it and cannot lend what is not theirs; root sees all."""
    user, mine = connect_as(t, TEST_USER)
    _, stranger = connect_as(t, "nobody")
    ws = t.workspace()
    os.chown(ws, user.pw_uid, user.pw_gid)
    made = loop(t, ws, client=mine)
    lid = made["loopId"]
    for method in ("loop.get", "loop.cancel", "loop.destroy"):
        equal(stranger.error(method, {"loopId": lid}).kind, "not_found", method)
    equal(stranger.call("loop.list")["loops"], [], "loop.list")
    e = stranger.error("loop.create", {"loopId": lid, "workDir": ws, "tools": ["shell"]})
    equal((e.code, e.field), (-32006, "workDir"), "the workDir of another")
    root = t.client
    check(lid in [x["loopId"] for x in root.call("loop.list")["loops"]], "root sees it")
    equal(root.call("loop.get", {"loopId": lid})["loopId"], lid, "root gets it")
    other = loop(t, t.workspace(), loopId=lid)  # root's own of that name
    equal(root.call("loop.get", {"loopId": lid})["workDir"], other["workDir"], "its own first")
    equal(root.call("loop.destroy", {"loopId": lid})["workDir"], other["workDir"], "its own first")
    equal(mine.call("loop.get", {"loopId": lid})["state"], "active", "the other is there")
    equal(mine.call("loop.destroy", {"loopId": lid})["sandboxes"], made["sandboxes"], "receipt")


@timeout(90)
def test_restart(t):
    """Loops and receipts are there after a clean restart and after a kill."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    ws, ws2 = t.workspace(), t.workspace()
    a = c.call("loop.create", {"loopId": "a", "workDir": ws, "tools": ["shell"], "env": {"X": "1"}})
    c.call("loop.create", {"loopId": "b", "workDir": ws2, "tools": ["shell"]})
    receipt = c.call("loop.destroy", {"loopId": "b", "outcome": "failed"})
    for stop in (d.stop, d.kill):
        stop()
        d.start()
        c = t.connect(daemon=d)
        equal({**c.call("loop.get", {"loopId": "a"}), "execs": 0}, a, "the loop")
        equal(c.call("loop.destroy", {"loopId": "b"}), receipt, "the receipt")
        s = c.call("sandbox.get", {"sandbox": "loop-a-shell"})
        equal(s["state"], "stopped" if stop == d.stop else "running", "its sandbox")
        again = c.call("loop.create", {"loopId": "a", "workDir": ws, "tools": ["shell"]}, timeout=60)
        equal(again["sandboxes"], a["sandboxes"], "again")
        r = t.run("loop-a-shell", ["sh", "-c", "echo $X"], client=c)
        equal(lib.text_of(exited(r)["stdout"]), b"1\n", "it runs again")
    equal(c.call("loop.destroy", {"loopId": "a"})["sandboxes"], a["sandboxes"], "receipt")


@timeout(60)
def test_time(t):
    """ttlMs, the sweep of cancelled ones, and receipts that are forgotten."""
    d = t.private_daemon(config={"limits": {"loops_kept": "1s", "failed_loops_kept": "1h"}})
    c = t.connect(daemon=d)

    def make(lid, **params):
        c.call("loop.create", {"loopId": lid, "workDir": t.workspace(), "tools": ["shell"], **params}, timeout=60)

    make("failed")
    make("ttl", ttlMs=1000)
    make("cancelled")
    c.call("loop.cancel", {"loopId": "cancelled"})
    c.call("loop.destroy", {"loopId": "failed", "outcome": "failed"})
    until(lambda: c.call("loop.get", {"loopId": "ttl"})["state"] == "destroyed", 10, "ttl")
    equal(c.call("loop.destroy", {"loopId": "ttl"})["outcome"], "expired", "outcome of ttl")
    until(lambda: c.call("loop.get", {"loopId": "cancelled"})["state"] == "destroyed", 10, "sweep")
    equal(c.call("loop.destroy", {"loopId": "cancelled"})["outcome"], "cancelled", "outcome of the sweep")
    until(lambda: [x["loopId"] for x in c.call("loop.list")["loops"]] == ["failed"], 10, "forgotten")
    equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes")
    make("ttl")
    c.call("loop.destroy", {"loopId": "ttl"})


TOOLS = """
[tool echo]
prompt = /bin/sh -c 'cat; echo " for $0 $@"' {model} {args}
model_flag = -m
timeout = 400ms

[tool online]
hosts = api.example.com
prompt = cat

[tool mute]
run = /bin/sh

[tool broken]
version = 1
install = echo no >&2; exit 3
check = echo 1
"""


@timeout(120)
def test_tools_of_ones_own(t):
    """Several tools at once, added later, all or nothing, and what a profile says about a run."""
    d = t.private_daemon(config=TOOLS)
    c = t.connect(daemon=d)
    ws = t.workspace()

    def create(lid, *tools, **params):
        return c.call("loop.create", {"loopId": lid, "workDir": ws, "tools": list(tools), **params}, timeout=90)

    def error(lid, *tools, **params):
        return c.error("loop.create", {"loopId": lid, "workDir": ws, "tools": list(tools), **params}, timeout=90)

    def run(tool, **params):
        return c.call("loop.run", {"loopId": "a", "tool": tool, "prompt": "hi", "artifacts": "none", **params})

    # one that fails takes the others along
    e = error("b", "shell", "broken", "echo")
    check(e.kind == "runtime_failed", f"{e}")
    equal(c.error("loop.get", {"loopId": "b"}).kind, "not_found", "no loop")
    equal(c.call("sandbox.list")["sandboxes"], [], "no sandbox")
    made = create("a", "shell", "echo")
    equal(made["sandboxes"], ["loop-a-shell", "loop-a-echo"], "both")
    ids = [c.call("sandbox.get", {"sandbox": s})["id"] for s in made["sandboxes"]]
    # but not those that were there
    e = error("a", "mute", "broken")
    check(e.kind == "runtime_failed", f"{e}")
    equal(c.call("loop.get", {"loopId": "a"})["tools"], ["shell", "echo"], "tools")
    equal(names(c), ["loop-a-echo", "loop-a-shell"], "sandboxes")
    added = create("a", "online", "mute")
    equal(added["tools"], ["shell", "echo", "online", "mute"], "tools are added")
    equal([c.call("sandbox.get", {"sandbox": s})["id"] for s in made["sandboxes"]], ids, "the old ones stay")
    equal(create("a", "shell")["tools"], added["tools"], "and never removed")
    equal(run("echo", model="big", args=["x y"])["output"], "hi for -m big x y\n", "its command line")
    equal(run("shell")["error"], "shell exited with status 127", "another tool")
    slow = {"loopId": "a", "tool": "echo", "prompt": "x" * 70000, "artifacts": "none",
            "verificationCommands": ["sleep 5"]}
    equal(c.call("loop.run", slow)["error"], "verification failed: `sleep 5` timed out after 400 ms", "its timeout")
    for tool, kind, field, hint in (
        ("online", "unavailable", "tool", "--network host"),
        ("mute", "invalid_params", "tool", "exec.run"),
        ("codex", "not_found", "tool", "loop create"),
    ):
        e = c.error("loop.run", {"loopId": "a", "tool": tool, "prompt": "x"})
        equal((e.kind, e.field), (kind, field), tool)
        check(hint in e.hint, f"{tool}: {e.hint}")
    receipt = c.call("loop.destroy", {"loopId": "a"})
    equal(sorted(receipt["sandboxes"]), [f"loop-a-{x}" for x in ("echo", "mute", "online", "shell")], "receipt")
    create("n", "online", network="host")
    r = c.call("loop.run", {"loopId": "n", "tool": "online", "prompt": "hi", "artifacts": "none"})
    equal(r["output"], "hi", "with a network")
    create("s", "online", network="host", stages=[{"name": "alone", "network": "none"}])
    e = c.error("loop.run", {"loopId": "s", "tool": "online", "prompt": "hi", "stage": "alone"})
    equal((e.kind, e.field), ("unavailable", "stage"), "a stage without")
    c.call("sandbox.pause", {"sandbox": "loop-s-online"})
    e = c.error("loop.run", {"loopId": "s", "tool": "online", "prompt": "hi"})
    equal((e.kind, e.field, e.hint), ("invalid_state", "tool", "sandbox.resume"), "paused")


SLOW = "[tool slow]\nversion = 1\ninstall = sleep 30\ncheck = echo 1\n"


@timeout(60)
def test_builds_tell_of_progress(t):
    """progress comes through, and rpc.cancel ends a create that builds a layer."""
    d = t.private_daemon(config=SLOW)
    c = t.connect(daemon=d)
    rid = c.send("loop.create", {"loopId": "a", "workDir": t.workspace(), "tools": ["shell", "slow"]})
    equal(c.note("progress", timeout=20)["requestId"], rid, "progress")
    c.notify("rpc.cancel", {"id": rid})
    equal(c.wait_raw(rid, 20)["error"]["code"], -32009, "cancelled")
    equal(c.error("loop.get", {"loopId": "a"}).kind, "not_found", "no loop")
    equal(c.call("sandbox.list")["sandboxes"], [], "no sandbox")
    # who comes right behind it is not cancelled with it
    ws = t.workspace()

    def again():
        rid = c.send("loop.create", {"loopId": "b", "workDir": ws, "tools": ["slow"]})
        until(lambda: c.message() and (rid in c.replies or c.notes), 10, "an answer or progress")
        if rid not in c.replies:
            return rid
        equal(c.replies.pop(rid)["error"]["code"], -32003, "while it is cleaned up")
        return None

    rid = until(again, 10, "it builds again")
    equal(c.note("progress")["requestId"], rid, "progress")
    c.notify("rpc.cancel", {"id": rid})
    c.wait_raw(rid, 20)


@timeout(60)
def test_destroyed_while_it_is_made(t):
    """Whoever waits for the create has its answer, in its turn or not."""
    d = t.private_daemon(config=SLOW)
    c, other, third = (t.connect(daemon=d) for _ in range(3))
    params = {"loopId": "a", "workDir": t.workspace(), "tools": ["shell"]}
    rid = c.send("loop.create", {**params, "tools": ["shell", "slow"]})
    c.note("progress", timeout=20)
    waiting = other.send("loop.create", params)
    given_up = other.send("loop.create", params)
    other.notify("rpc.cancel", {"id": given_up})
    equal(other.call("system.ping"), {}, "they are there")
    equal(third.call("loop.destroy", {"loopId": "a"}, timeout=20)["sandboxes"], [], "destroyed")
    for client, request in ((c, rid), (other, waiting), (other, given_up)):
        check(client.wait_raw(request, 20)["error"]["code"] in (-32009, -32004), "answered")
    equal(third.call("sandbox.list")["sandboxes"], [], "no sandbox")


@timeout(60)
def test_the_daemon_dies_in_a_create(t):
    """What was half made is gone when it is back."""
    d = t.private_daemon(config=SLOW)
    c = t.connect(daemon=d)
    ws = t.workspace()
    c.call("loop.create", {"loopId": "old", "workDir": ws, "tools": ["shell"]})
    c.send("loop.create", {"loopId": "new", "workDir": ws, "tools": ["shell", "slow"]})
    c.send("loop.create", {"loopId": "old", "workDir": ws, "tools": ["slow"]})
    until(lambda: len(names(t.connect(daemon=d), state="running")) == 2, 10, "shell's run")
    d.kill()
    d.start()
    c = t.connect(daemon=d)
    until(lambda: names(c) == ["loop-old-shell"], 10, "what was finished stays")
    equal([(x["loopId"], x["tools"]) for x in c.call("loop.list")["loops"]], [("old", ["shell"])], "loops")
    c.call("loop.create", {"loopId": "new", "workDir": ws, "tools": ["shell"]}, timeout=30)


@timeout(90)
def test_the_daemon_dies_in_a_destroy(t):
    """Whenever it dies, the receipt has all of it in the end."""
    d = t.private_daemon(config=TOOLS)
    tools = ["shell", "echo", "online", "mute"]
    row = "SELECT id, state FROM execs"
    for delay in (0, 0.002, 0.005, 0.01, 0.02):
        c = t.connect(daemon=d)
        lid = t.unique("l")
        c.call("loop.create", {"loopId": lid, "workDir": t.workspace(), "tools": tools}, timeout=60)
        before = d.rows(row)
        c.call("loop.run", {"loopId": lid, "tool": "shell", "prompt": "echo 12345", "artifacts": "none"})
        until(lambda: d.rows(row) != before, 20, "its row is written soon, not at once")
        c.send("loop.destroy", {"loopId": lid, "outcome": "failed"})
        time.sleep(delay)
        d.kill()
        d.start()
        c = t.connect(daemon=d)
        receipt = c.call("loop.destroy", {"loopId": lid})
        equal(sorted(receipt["sandboxes"]), sorted(f"loop-{lid}-{x}" for x in tools), f"after {delay} s")
        equal((receipt["execs"], receipt["outputBytes"]), (1, 6), f"after {delay} s")
        equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes")


def test_on_the_host(t):
    """The runtime host asks for no network and shows everywhere."""
    lid = t.unique("l")
    params = {"loopId": lid, "workDir": t.workspace(), "tools": ["shell"], "runtime": "host"}
    try:
        made = loop(t, params["workDir"], loopId=lid, runtime="host")
    except lib.RpcError as e:
        if t.mode == "user" or t.suite.owner != 0:
            raise
        equal((e.kind, e.field), ("unavailable", "runtime"), "a root daemon runs nothing as root on the host")
        return
    equal((made["runtime"], made["isolated"]), ("host", False), "loop")
    s = t.client.call("sandbox.get", {"sandbox": made["sandboxes"][0]})
    equal((s["isolated"], s["network"]["mode"]), (False, "host"), "sandbox")
    equal(loop(t, params["workDir"], loopId=lid, runtime="host", network="host")["runtime"], "host", "again")
    e = t.client.error("loop.create", {**params, "network": "none"})
    equal((e.code, e.field), (-32003, "network"), "another network")
    r = t.client.call("loop.run", {"loopId": lid, "tool": "shell", "prompt": "echo x", "artifacts": "none"})
    equal(r["output"], "x\n", "it runs")
    lid = t.unique("l")
    p = t.ctl("loop", "create", lid, "-w", t.workspace(), "--tool", "shell", env={"AGENT_LOOP_HOST": "1"})
    t.sandboxes.append((t.client, f"loop-{lid}-shell"))
    check(p.returncode == 0 and b"without isolation" in p.stderr, f"{p}")
    line = [x.split() for x in t.ctl("loop", "ls").stdout.decode().splitlines() if x.startswith(lid + " ")]
    equal([x[1:4] for x in line], [["active", "false", "host"]], "loop ls")
