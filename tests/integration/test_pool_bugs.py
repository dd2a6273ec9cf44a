# SPDX-License-Identifier: Apache-2.0
"""Spares: what others got wrong with theirs, and that nobody but their owner ever gets one."""

import os
import shutil
import signal
import threading
import time
from datetime import datetime

import daemon as daemon_module
import lib
from gitrepo import worktree
from harness import modes, refused, timeout
from lib import check, equal, until

KEPT = {"pool host": {"min": 2, "max": 4}}


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def inits(d):
    """The first processes of all sandboxes of a daemon, spares included."""
    return {p for p, comm in daemon_module.descendants(d.pid).items() if comm == "init"}


def spares(d, c):
    """Those that are nobody's."""
    return inits(d) - {s["pid"] for s in c.call("sandbox.list")["sandboxes"]}


def kill_keepers(d):
    daemon_module.end_pids(daemon_module.keepers(d.pid))


def spare_count(c):
    return c.call("system.info")["counts"]["spares"]


def pool(c, template="host"):
    return next((p for p in c.call("pool.list")["pools"] if p["template"] == template), None)


def ready(c, template="host"):
    p = pool(c, template)
    return p["ready"] if p else 0


def used(t, config=None, count=2, **params):
    """A daemon whose pool has been used once, and has COUNT spares ready; and its client."""
    d = t.private_daemon({**KEPT, **(config or {})})
    c = t.connect(daemon=d)
    c.call("sandbox.create", params)
    until(lambda: ready(c) >= count, 60, f"{count} spares: {pool(c)}", 0.05)
    return d, c


def test_claim(t):
    """A spare becomes a whole sandbox, and stays one through stop, start and restart."""
    ws = t.workspace({"file": "x"})
    d, c = used(t, workspace=ws)
    before = spares(d, c)
    s = t.sandbox(
        client=c, workspace=ws, tool="shell", env={"A": "b"}, labels={"l": "1"}, limits={"pids": 77, "shmBytes": 1 << 20}
    )
    equal(s["launchType"], "warm", "with a spare ready")
    check(s["pid"] in before, "it was a spare")
    equal((s["limits"]["pids"], s["labels"], s["tool"]), (77, {"l": "1"}, "shell"), "as asked")
    said = t.sh(s, "cat file; pwd; echo $A; hostname; df -k --output=size /dev/shm | tail -1", client=c)
    equal(said.split(), [f"x{ws}", "b", s["name"], "1024"], "inside")
    equal(c.call("sandbox.get", {"sandbox": s["id"]})["name"], s["name"], "by its id")
    equal([x["name"] for x in c.call("sandbox.list")["sandboxes"]][-1], s["name"], "the newest")
    c.call("sandbox.stop", {"sandbox": s["name"]})
    c.call("sandbox.start", {"sandbox": s["name"]})
    equal(c.call("sandbox.get", {"sandbox": s["name"]})["launchType"], "warm", "after a start")
    equal(t.sh(s, "cat file", client=c), "x", "after a start")
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    got = c.call("sandbox.list")["sandboxes"]
    equal([(x["name"], x["launchType"]) for x in got][-1], (s["name"], "warm"), "after a restart")
    equal(got[-1]["labels"], {"l": "1"}, "its row")


def test_worktree(t):
    """A claimed worktree is locked and commits; the claim's undoing is that of any sandbox."""
    _, tree, gitdir = worktree(t)
    d, c = used(t, workspace=tree)
    c.call("sandbox.remove", {"sandbox": c.call("sandbox.list")["sandboxes"][0]["name"]})
    s = t.sandbox(client=c, workspace=tree)
    equal(s["launchType"], "warm", "launchType")
    check(os.path.exists(gitdir + "/locked"), "locked")
    t.sh(s, "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x", client=c)
    c.call("sandbox.remove", {"sandbox": s["name"]})
    check(not os.path.exists(gitdir + "/locked"), "free again")


def test_what_is_cold(t):
    ws = t.workspace()
    d, c = used(t, workspace=ws)
    equal(t.sandbox(client=c, workspace=ws, network={"mode": "host"})["launchType"], "cold", "network host")
    n = ready(c)
    if t.suite.owner != 0:
        equal(t.sandbox(client=c, workspace=ws, runtime="host")["launchType"], "cold", "runtime host")
    equal(ready(c), n, "spares are kept")


def test_time_begins_with_the_claim(t):
    """Not with the birth of the spare."""
    d, c = used(t)
    time.sleep(2)
    before = time.time()
    s = t.sandbox(client=c, ttlMs=3_600_000)
    equal(s["launchType"], "warm", "launchType")
    check(time_of(s["createdAt"]) >= before - 0.01, f"made {s['createdAt']}")
    equal(round(time_of(s["expiresAt"]) - time_of(s["createdAt"])), 3600, "until it expires")
    short = t.sandbox(client=c, ttlMs=1000)
    until(lambda: short["name"] not in [x["name"] for x in c.call("sandbox.list")["sandboxes"]], 30, "it expires")


@timeout(120)
def test_spare_dies(t):
    d, c = used(t)
    old = spares(d, c)
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    s = t.sandbox(client=c)
    t.sh(s, "true", client=c)
    until(lambda: ready(c) >= 2, 60, "new ones")
    check(not old & spares(d, c), "they are others")
    check(pool(c)["failures"] >= 1, "counted")


@timeout(120)
def test_spare_hangs(t):
    """Who wants a sandbox gets one all the same; the spare is gone, whoever notices it first."""
    d, c = used(t)
    old = spares(d, c)
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    s = t.sandbox(client=c)
    equal(s["launchType"], "cold", "launchType")
    check(s["pid"] not in old, "a new one")
    t.sh(s, "true", client=c)
    until(lambda: not old & inits(d), 60, f"hung ones are removed: {pool(c)}")
    until(lambda: ready(c) >= 2, 60, "new ones")
    check(pool(c)["failures"] >= 2, "counted")


@timeout(120)
def test_keeper_killed(t):
    d, c = used(t)
    old = spares(d, c)
    kill_keepers(d)
    s = t.sandbox(client=c)
    t.sh(s, "true", client=c)
    until(lambda: not old & inits(d), 60, "the old ones are gone")
    until(lambda: ready(c) >= 2, 60, f"new ones: {pool(c)}")


@timeout(120)
def test_keeper_killed_during_a_claim(t):
    """The claim waits for an init that hangs, and then there is no keeper any more."""
    _, tree, gitdir = worktree(t)
    d, c = used(t)
    if os.getuid() == 0 and t.suite.owner != 0:
        t.sandbox(client=c, workspace=t.workspace())
        until(lambda: spare_count(c) >= 4, 60, "the owner's spares")
    for pid in spares(d, c):
        os.kill(pid, signal.SIGSTOP)
    rid = c.send("sandbox.create", {"name": "same", "workspace": tree})
    until(lambda: os.path.exists(gitdir + "/locked"), 10, "claimed", 0.005)
    kill_keepers(d)
    s = c.wait(rid, timeout=60)
    equal((s["name"], s["launchType"]), ("same", "cold"), "made all the same")
    t.sh(s, "git status --short", client=c)
    c.call("sandbox.remove", {"sandbox": "same"})
    check(not os.path.exists(gitdir + "/locked"), "the worktree is free")


@timeout(120)
def test_burst(t):
    """Twenty at once: each gets one of its own, warm or cold."""
    d, c = used(t)
    made, problems = [], []

    def create():
        try:
            with d.client() as own:
                s = own.call("sandbox.create", {}, timeout=60)
                r = own.call("exec.run", {"sandbox": s["id"], "command": ["hostname"]}, timeout=60)
                made.append((s, lib.text_of(r["stdout"]).decode().strip()))
        except Exception as e:  # told below
            problems.append(repr(e))

    threads = [threading.Thread(target=create) for _ in range(20)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    equal(problems, [], "problems")
    for what in ("id", "name", "pid"):
        equal(len({s[what] for s, _ in made}), 20, f"different {what}s")
    equal([h for s, h in made if h != s["name"]], [], "host names")
    check(any(s["launchType"] == "warm" for s, _ in made), "some are warm")
    until(lambda: ready(c) >= 4, 60, "the demand is met")
    p = pool(c)
    check(p["ready"] + p["starting"] <= 4, f"never more than max: {p}")
    check(p["warm"] + p["cold"] == 21, f"all were counted: {p}")


def test_two_daemons(t):
    """The end of one leaves the other's alone."""
    a, ca = used(t)
    b, cb = used(t)
    theirs = spares(b, cb)
    a.stop()
    check(theirs <= inits(b), "still there")
    s = t.sandbox(client=cb)
    check(s["launchType"] == "warm" and s["pid"] in theirs, "and usable")
    t.sh(s, "true", client=cb)


@timeout(120)
def test_restart(t):
    """The old spares are gone, and none is made before somebody needs it."""
    for end in ("stop", "kill"):
        d = t.private_daemon()
        c = t.connect(daemon=d)
        equal(c.call("sandbox.create")["launchType"], "cold", "the first has no spare")
        until(lambda: ready(c) == 1, 60, "one spare, since it was used")
        old = inits(d)
        mine = {x["pid"] for x in c.call("sandbox.list")["sandboxes"]}
        getattr(d, end)()
        d.start()
        c = t.connect(daemon=d)
        equal(spare_count(c), 0, "at once")
        until(lambda: not [p for p in old - mine if p in daemon_module.process_table()], 30, f"gone after {end}")
        kept = [x["id"] for x in c.call("sandbox.list")["sandboxes"] if x["state"] == "running"]
        equal(len(kept), 0 if end == "stop" else 1, f"after {end}")
        until(lambda: os.listdir(os.path.join(d.run, "sandboxes")) == kept, 30, "swept")
        equal(len(c.call("sandbox.list")["sandboxes"]), 1, "what is no spare")
        equal((inits(d), spare_count(c)), (set(), 0), f"after {end}")
        c.call("sandbox.remove", {"sandbox": c.call("sandbox.list")["sandboxes"][0]["name"], "force": True})
        d.stop()


@timeout(120)
def test_template_changes(t):
    """Spares are in nobody's way: a template is removed and saved again while they stand."""
    d, c = used(t)
    ws = t.workspace()
    texts = ("one", "two")
    for text in texts:
        s = t.sandbox(client=c, workspace=ws)
        t.sh(s, f"echo {text} >~/text", client=c)
        c.call("sandbox.save", {"sandbox": s["name"], "template": "web"}, timeout=60)
        c.call("sandbox.remove", {"sandbox": s["name"]})
        first = t.sandbox(client=c, template="web", workspace=ws)
        until(lambda: ready(c, "web") >= 1, 60, "a spare of it")
        second = t.sandbox(client=c, template="web", workspace=ws)
        equal(second["launchType"], "warm", text)
        for s in (first, second):
            equal(t.sh(s, "cat ~/text", client=c).strip(), text, "content")
            c.call("sandbox.remove", {"sandbox": s["name"]})
        until(lambda: ready(c, "web") >= 1, 60, "another spare of it")
        c.call("template.remove", {"template": "web"})
        until(lambda: ready(c, "web") == 0, 30, "its spares go")
    e = c.error("sandbox.create", {"template": "web", "workspace": ws})
    equal(e.kind, "not_found", "a removed template")


@timeout(180)
def test_runtime_changes(t):
    """An upgraded runtime makes its spares stale; one that fails is tried less and less often."""
    top = t.workspace()
    path = os.path.join(top, "crun")
    shutil.copy("/usr/bin/crun", path)
    os.chmod(path, 0o755)
    d, c = used(t, {"runtime crun": {"path": path}})
    watcher = t.connect(daemon=d)
    watcher.call("events.subscribe", {"types": ["pool.failed"]})
    old = spares(d, c)
    shutil.copy(t.suite.tools["fake-runtime-early"], path + ".new")
    os.rename(path + ".new", path)
    refused(c.error("sandbox.create", {"name": "same"}), "runtime_failed", "unavailable")
    until(lambda: not old & inits(d), 60, "stale ones go")
    until(lambda: pool(c)["failuresInRow"] >= 10, 120, f"{pool(c)}")
    p = pool(c)
    check(p["retryAt"] and "fake runtime" in p["reason"], f"says so: {p}")
    told = watcher.note("events.event")["data"]
    check(told["retryAt"] and told["failuresInRow"] >= 1 and told["reason"], f"the event: {told}")
    check("times in a row" in d.log_tail(20000), "a warning")
    shutil.copy("/usr/bin/crun", path + ".new")
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
    t.sandbox(client=c, name="same")


def test_refused_creates_cost_nothing(t):
    """A name that is taken, a workspace that cannot be: the spares stay, and the name is free."""
    d, c = used(t)
    t.sandbox(client=c, name="taken")
    until(lambda: ready(c) >= 2, 60, "spares")
    old = spares(d, c)
    for _ in range(5):
        equal(c.error("sandbox.create", {"name": "taken"}).kind, "already_exists", "the name")
        e = c.error("sandbox.create", {"name": "free", "workspace": "/nonexistent/x"})
        equal((e.kind, e.field), ("not_found", "workspace"), "the workspace")
    check(old <= spares(d, c), "the same spares")
    s = t.sandbox(client=c, name="free")
    equal(s["launchType"], "warm", "launchType")


def test_failed_claim_of_a_bad_workspace(t):
    """What fails cold, too, is not the pool's failure, and nobody waits for spares because of it."""
    repo, tree, _ = worktree(t)
    os.rename(repo + "/.git/logs", repo + "/.git/other")
    os.symlink("other", repo + "/.git/logs")  # git would take it; a claim never follows a link
    ws = t.workspace()
    d, c = used(t, workspace=ws)

    def its_pool():  # a root daemon has one for root, too
        return next(p for p in c.call("pool.list")["pools"] if p["owner"] == t.suite.owner)

    for _ in range(3):
        until(lambda: its_pool()["ready"] >= 2, 60, "spares")
        e = c.error("sandbox.create", {"workspace": tree})
        check(e.kind == "runtime_failed" and "logs" in str(e), f"{e.kind}: {e}")
    with open(d.log, encoding="utf-8", errors="replace") as f:
        check("starting it anew" in f.read(), "a spare was tried")
    now = its_pool()
    equal((now["failures"], now["failuresInRow"]), (0, 0), "nothing is held against the pool")
    until(lambda: its_pool()["ready"] >= 2, 60, "spares")
    equal(t.sandbox(client=c, workspace=ws)["launchType"], "warm", "the next one")


def test_used_one_never_returns(t):
    d, c = used(t)
    seen = set()
    for i in range(6):
        s = t.sandbox(client=c)
        check(s["pid"] not in seen and s["id"] not in seen, "made before")
        seen |= {s["pid"], s["id"]}
        equal(t.sh(s, "cat ~/mark /tmp/mark 2>/dev/null || true", client=c), "", "of another")
        t.sh(s, "echo x >~/mark; echo x >/tmp/mark", client=c)
        c.call("sandbox.remove", {"sandbox": s["name"], "force": True})
        check(s["pid"] not in inits(d), "its init has ended")


@modes("root", "owner")
@timeout(120)
def test_two_owners(t):
    """One budget for all, and nothing of one owner goes to another."""
    d = t.private_daemon({"limits": {"pool_memory": "2304K"}, "pool host": {"min": 4, "max": 4}})
    c = t.connect(daemon=d)
    ws = t.workspace()
    other = t.workspace()
    uid = 0 if t.suite.owner else 1000
    os.chown(other, uid, uid)
    for path in (ws, other):
        t.sandbox(client=c, workspace=path)
    until(lambda: sum(p["ready"] for p in c.call("pool.list")["pools"]) == 4, 60, "a full pool")
    for _ in range(8):
        for path in (ws, other):
            s = t.sandbox(client=c, workspace=path)
            t.sh(s, "touch made", client=c)
            check(spare_count(c) <= 4, "more than there is room for")
    equal(os.stat(ws + "/made").st_uid, t.suite.owner, "owner")
    equal(os.stat(other + "/made").st_uid, uid, "the other owner")


def test_none(t):
    """pool_memory = 0: no spares at all."""
    d = t.private_daemon({"limits": {"pool_memory": "0"}})
    c = t.connect(daemon=d)
    for _ in range(3):
        equal(t.sandbox(client=c)["launchType"], "cold", "launchType")
    equal(spare_count(c), 0, "spares")
