# SPDX-License-Identifier: Apache-2.0
"""Sandboxes from create to remove, names, ownership, and what happens when a process of ours dies."""

import os
import pwd
import re
import signal
import time

import daemon as daemon_module
import lib
from gitrepo import STEERED, repository, worktree
from harness import TEST_USER, exited, modes, refused, timeout
from lib import check, equal, until


def test_create_get_remove(t):
    ws = t.workspace({"a": "text"})
    s = t.sandbox(workspace=ws, labels={"k": "v"}, tool="shell")
    equal(s["state"], "running", "state")
    equal(s["template"], "host", "template")
    equal(s["runtime"], "crun", "runtime")
    check(s["launchType"] in ("cold", "warm"), "launchType")
    equal(s["labels"], {"k": "v"}, "labels")
    equal([w["path"] for w in s["workspaces"]], [ws], "workspaces")
    equal(s["network"]["mode"], "none", "network")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", s["createdAt"]), s["createdAt"])
    check(os.path.isdir(f"/proc/{s['pid']}"), "pid is a process of the host")
    c = t.client
    for key in (s["name"], s["id"]):
        equal(c.call("sandbox.get", {"sandbox": key})["id"], s["id"], "get")
    names = [x["name"] for x in c.call("sandbox.list")["sandboxes"]]
    check(s["name"] in names, "list")
    c.call("sandbox.remove", {"sandbox": s["name"]})
    e = c.error("sandbox.get", {"sandbox": s["name"]})
    equal((e.code, e.kind), (-32001, "not_found"), "get after remove")
    e = c.error("sandbox.remove", {"sandbox": s["name"]})
    equal(e.kind, "not_found", "remove again")
    until(lambda: gone(s["pid"]), 20, "init is gone")


def test_name_is_made_up(t):
    s = t.client.call("sandbox.create", {})
    t.sandboxes.append((t.client, s["name"]))
    check(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}", s["name"]), s["name"])


def test_names(t):
    longest = "a" * 128
    for name in (longest, "0", "A.b_c+d-e"):
        s = t.sandbox(name=name)
        equal(s["name"], name, "name")
        exited(t.run(s, ["true"]))
    e = t.client.error("sandbox.create", {"name": longest})
    equal((e.code, e.kind), (-32002, "already_exists"), "a name twice")
    t.client.call("sandbox.remove", {"sandbox": longest})
    t.sandbox(name=longest)


def test_id_of_another_is_no_name(t):
    """A sandbox cannot be named like another's id and be taken for it."""
    a = t.sandbox()
    try:
        b = t.sandbox(name=a["id"])
    except lib.RpcError as e:
        refused(e, "already_exists", "conflict", "invalid_params")
        return
    check(b["id"] != a["id"], "same id")


def test_same_name_at_the_same_time(t):
    name = t.unique()
    ids = [t.client.send("sandbox.create", {"name": name}) for _ in range(4)]
    made = []
    for rid in ids:
        try:
            made.append(t.client.wait(rid))
        except lib.RpcError as e:
            equal(e.kind, "already_exists", "kind")
    equal(len(made), 1, "made")
    t.sandboxes.append((t.client, name))


def test_list_filter_and_pages(t):
    label = t.unique("label")
    names = [t.sandbox(labels={"group": label})["name"] for _ in range(5)]
    c = t.client

    def page(**kw):
        return [
            s["name"]
            for s in c.call("sandbox.list", {"filter": {"labels": {"group": label}}, **kw})["sandboxes"]
        ]

    equal(sorted(page()), sorted(names), "all")
    first = page(limit=2)
    equal(len(first), 2, "first page")
    rest = page(limit=1000, after=first[-1])
    equal(sorted(first + rest), sorted(names), "pages")
    equal(page(after=rest[-1]), [], "behind the last")
    listed = c.call("sandbox.list", {"filter": {"state": "stopped", "labels": {"group": label}}})
    equal(listed["sandboxes"], [], "none is stopped")


def test_stop_start(t):
    """Files outside the workspace come back, processes do not."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws, env={"MINE": "yes"})
    t.sh(s, "echo kept >/home/agent/kept; echo tmp >/var/tmp/x; (sleep 1000 &)")
    c = t.client
    stopped = c.call("sandbox.stop", {"sandbox": s["name"]})
    equal((stopped["state"], stopped["pid"]), ("stopped", None), "stopped")
    until(lambda: gone(s["pid"]), 20, "init is gone")
    e = c.error("exec.run", {"sandbox": s["name"], "command": ["true"]})
    equal((e.code, e.kind), (-32004, "invalid_state"), "exec in a stopped sandbox")
    again = c.call("sandbox.stop", {"sandbox": s["name"]})
    equal(again["state"], "stopped", "stop again")
    started = c.call("sandbox.start", {"sandbox": s["name"]})
    equal((started["state"], started["id"]), ("running", s["id"]), "started")
    equal(t.sh(s, "cat /home/agent/kept; echo $MINE; pwd"), f"kept\nyes\n{ws}\n", "files, env")
    equal(c.call("sandbox.start", {"sandbox": s["name"]})["state"], "running", "start again")


def test_stop_start_many_times(t):
    s = t.sandbox()
    for i in range(4):
        t.sh(s, f"echo {i} >>/home/agent/count")
        t.client.call("sandbox.stop", {"sandbox": s["name"]})
        t.client.call("sandbox.start", {"sandbox": s["name"]})
    equal(t.sh(s, "cat /home/agent/count"), "0\n1\n2\n3\n", "count")


def test_remove_stopped(t):
    s = t.sandbox()
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    equal(t.client.error("sandbox.get", {"sandbox": s["id"]}).kind, "not_found", "kind")


def test_stop_with_running_execs(t):
    """Their callers are told."""
    s = t.sandbox()
    a = t.client.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "100"]})
    t.client.note("exec.started")
    other = t.connect()
    other.call("sandbox.stop", {"sandbox": s["name"]})
    r = t.client.wait(a, 10)
    check(r["cause"] in ("sandbox_lost", "cancelled"), f"cause {r['cause']}")


STUBBORN = ["/bin/sh", "-c", "trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done"]


def stubborn(t, s, **params):
    """A command that ignores TERM, running; the id of its request."""
    rid = t.client.send(
        "exec.run", {"sandbox": s["name"], "command": STUBBORN, "stream": True, **params}
    )
    t.client.note("exec.data")
    return rid


def test_stop_with_a_grace(t):
    """timeoutMs is the time between TERM and KILL; force leaves none; each is told. Timers count from
    the turn of the loop in which they are set: a little early on a busy machine."""
    s = t.sandbox()
    other = t.connect()
    for params, low, high in (
        ({"timeoutMs": 600}, 0.55, 4.5),
        ({"timeoutMs": 0}, 0, 4.5),
        ({"force": True}, 0, 4.5),
        ({"force": True, "timeoutMs": 60000}, 0, 4.5),
    ):
        rid = stubborn(t, s)
        started = time.monotonic()
        other.call("sandbox.stop", {"sandbox": s["name"], **params})
        took = time.monotonic() - started
        check(low <= took < high, f"{params} took {took:.2f} s")
        r = t.client.wait(rid, 10)
        equal(r["cause"], "sandbox_lost" if "force" in params else "cancelled", f"{params}")
        t.client.call("sandbox.start", {"sandbox": s["name"], "timeoutMs": 20000})


def test_remove_with_a_grace(t):
    s = t.sandbox()
    rid = stubborn(t, s)
    other = t.connect()
    e = other.error("sandbox.remove", {"sandbox": s["name"], "timeoutMs": 500})
    equal(e.kind, "invalid_state", "without force")
    started = time.monotonic()
    other.call("sandbox.remove", {"sandbox": s["name"], "force": True, "timeoutMs": 500})
    took = time.monotonic() - started
    check(0.45 <= took < 4.5, f"took {took:.2f} s")
    equal(t.client.wait(rid, 10)["cause"], "cancelled", "cause")
    equal(t.client.error("sandbox.get", {"sandbox": s["id"]}).kind, "not_found", "kind")


@timeout(60)
def test_start_with_a_timeout(t):
    """A runtime that hangs: this start waits as long as it was told."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    c.call("sandbox.create", {"name": "slow"})
    c.call("sandbox.stop", {"sandbox": "slow"})
    d.stop()
    d = t.private_daemon({"runtime crun": {"path": t.suite.tools["fake-runtime-hang"]}}, state=d.state)
    c = t.connect(daemon=d)
    started = time.monotonic()
    e = c.error("sandbox.start", {"sandbox": "slow", "timeoutMs": 1000}, timeout=20)
    refused(e, "timeout", "runtime_failed")
    check(0.95 <= time.monotonic() - started < 10, "it waited for another time")
    refused(c.error("sandbox.start", {"sandbox": "slow", "timeoutMs": 0}), "invalid_params")
    c.call("sandbox.remove", {"sandbox": "slow"})
    d.stop()


def test_remove_with_50_processes(t):
    s = t.sandbox()
    t.sh(s, "for i in $(seq 50); do sleep 1000 & done; true", leftovers="keep")
    started = time.monotonic()
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    took = time.monotonic() - started
    check(took < 10, f"took {took:.2f} s")


def test_create_many_at_once(t):
    ids = []
    for _ in range(8):
        name = t.unique()
        ids.append((name, t.client.send("sandbox.create", {"name": name})))
    for name, rid in ids:
        s = t.client.wait(rid, 60)
        t.sandboxes.append((t.client, name))
        t.suite.ids.append(s["id"])
        exited(t.run(s, ["true"]))


def test_create_and_leave(t):
    """A client that goes away during create leaves a sandbox that can be found, or none."""
    name = t.unique()
    c = t.connect()
    c.send("sandbox.create", {"name": name})
    c.close()
    time.sleep(1)
    try:
        s = t.client.call("sandbox.get", {"sandbox": name})
        t.sandboxes.append((t.client, name))
        check(s["state"] in ("running", "creating"), f"state {s['state']}")
    except lib.RpcError as e:
        equal(e.kind, "not_found", "kind")


@modes("root", "owner")
def test_ownership_between_uids(t):
    """Another uid's sandboxes do not exist for you; root sees all; names are per uid."""
    entry = pwd.getpwnam("nobody")
    mode = os.stat(t.daemon.socket).st_mode & 0o777
    os.chmod(t.daemon.socket, 0o666)
    try:
        other = t.connect(entry.pw_uid, entry.pw_gid)
    finally:
        os.chmod(t.daemon.socket, mode)
    name = t.unique()
    mine = t.sandbox(name=name)
    e = t.run(mine, ["sleep", "30"], detach=True)
    for method, params in (
        ("sandbox.get", {"sandbox": name}),
        ("sandbox.get", {"sandbox": mine["id"]}),
        ("sandbox.stop", {"sandbox": mine["id"]}),
        ("sandbox.remove", {"sandbox": mine["id"], "force": True}),
        ("exec.run", {"sandbox": mine["id"], "command": ["true"]}),
        ("exec.get", {"execId": e["execId"]}),
        ("exec.attach", {"execId": e["execId"]}),
        ("exec.cancel", {"execId": e["execId"]}),
        ("exec.read", {"execId": e["execId"], "stream": "stdout"}),
        ("exec.signal", {"execId": e["execId"], "signal": "KILL"}),
    ):
        equal(other.error(method, params).kind, "not_found", f"{method} by another uid")
    equal(other.call("sandbox.list")["sandboxes"], [], "list of another uid")
    equal(other.call("exec.list")["execs"], [], "execs of another uid")
    ws = t.workspace()
    refused(other.error("sandbox.create", {"name": name, "workspace": "/root"}), "denied")
    if t.suite.owner != entry.pw_uid:
        e2 = other.error("sandbox.create", {"name": name, "workspace": ws})
        equal((e2.kind, e2.field), ("denied", "workspace"), "somebody else's workspace")


@modes("root", "owner")
def test_system_daemon_for_a_user(t):
    """A peer that is not root, with a workspace of its own."""
    entry = pwd.getpwnam(TEST_USER)
    mode = os.stat(t.daemon.socket).st_mode & 0o777
    os.chmod(t.daemon.socket, 0o666)
    try:
        c = t.connect(entry.pw_uid, entry.pw_gid)
    finally:
        os.chmod(t.daemon.socket, mode)
    ws = t.workspace()
    os.chown(ws, entry.pw_uid, entry.pw_gid)
    s = c.call("sandbox.create", {"name": t.unique(), "workspace": ws}, timeout=60)
    try:
        exited(t.run(s, ["touch", "made"], client=c))
        equal(os.stat(ws + "/made").st_uid, entry.pw_uid, "owner of the file")
        check(s["name"] in [x["name"] for x in t.client.call("sandbox.list")["sandboxes"]], "root")
        equal(t.client.call("sandbox.get", {"sandbox": s["id"]})["id"], s["id"], "root, by id")
    finally:
        c.call("sandbox.remove", {"sandbox": s["name"], "force": True})


# ---- deaths ----
def gone(pid):
    """Dead; a zombie that is still to be reaped counts as dead."""
    state = daemon_module.process_table().get(pid, (0, "X", ""))[1]
    return state in "ZX"


def test_kill_init(t):
    """Seen, told, cleaned up; `start` brings it back."""
    s = t.sandbox()
    t.sh(s, "echo kept >/home/agent/kept")
    c = t.client
    rid = c.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "100"]})
    c.note("exec.started")
    os.kill(s["pid"], signal.SIGKILL)
    r = c.wait(rid, 10)
    equal(r["cause"], "sandbox_lost", "cause")
    got = until(
        lambda: (lambda x: x if x["state"] != "running" else None)(
            c.call("sandbox.get", {"sandbox": s["name"]})
        ),
        5,
        "state",
    )
    check(got["state"] in ("stopped", "failed") and got.get("cause"), f"{got}")
    c.call("sandbox.start", {"sandbox": s["name"]})
    equal(t.sh(s, "cat /home/agent/kept"), "kept\n", "files")


# Where keepers are killed: the init of a spare that is being made just then waits half a minute for
# a daemon, and the next test would take it for its own.
NO_SPARES = {"limits": {"pool_memory": "0"}}


def ours_under_runner(t, private):
    """Descendants of the runner that are not the shared daemon's."""
    mine = daemon_module.descendants(os.getpid())
    mine.pop(private.pid, None)
    shared = daemon_module.descendants(t.daemon.pid)
    return {p: c for p, c in mine.items() if p not in shared and p != t.daemon.pid}


@timeout(120)
def test_kill_keeper(t):
    """Its sandbox lives on, and a new keeper undoes what the dead one did outside."""
    d = t.private_daemon(NO_SPARES)
    c = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    s = c.call("sandbox.create", {"name": "victim", "workspace": tree})
    rid = c.send("exec.run", {"sandbox": "victim", "command": ["sleep", "1000"], "execId": "long"})
    c.note("exec.started")
    kill_keepers(t, d)
    until(lambda: keepers_of(t, d), 10, "a new keeper")
    c.call("sandbox.create", {"name": "next"}, timeout=60)
    exited(t.run("next", ["true"], client=c))
    equal(c.call("sandbox.get", {"sandbox": "victim"})["pid"], s["pid"], "its init")
    check(os.path.exists(gitdir + "/locked"), "the worktree is not locked any more")
    c.call("exec.cancel", {"execId": "long"})
    equal(c.wait(rid, 20)["cause"], "cancelled", "cause of the exec")
    c.call("sandbox.remove", {"sandbox": "victim", "force": True})
    until(lambda: gone(s["pid"]), 15, "init is gone")
    check(not os.path.exists(gitdir + "/locked"), "the worktree is still locked")
    c.call("sandbox.remove", {"sandbox": "next", "force": True})
    equal(d.stop() in (0, -signal.SIGTERM), True, "exit status")


def keepers_of(t, d):
    return [p for p in ours_under_runner(t, d) if "keeper" in daemon_module.command_line(p)]


def kill_keepers(t, d):
    daemon_module.end_pids(until(lambda: keepers_of(t, d), 20, "keeper"))


@timeout(120)
def test_kill_keeper_undoes_the_claim(t):
    """When the sandbox stops: files in .git, repositories that the agent made, cgroups, directories."""
    d = t.private_daemon(NO_SPARES)
    c = t.connect(daemon=d)
    repo, tree, gitdir = worktree(t)
    plain, bare = repository(t), t.workspace()
    s = c.call(
        "sandbox.create",
        {"name": "victim", "workspace": tree, "extraWorkspaces": [plain, bare]},
    )
    made = [gitdir + "/locked", gitdir + "/config.worktree", plain + "/.git/commondir"]
    for path in made:
        check(os.path.exists(path), f"{path} is not made")
    t.sh(s, f"mkdir {tree}/sub", client=c)
    for path in (tree + "/sub", bare):
        t.sh(s, STEERED.format(path), client=c)
    kill_keepers(t, d)
    c.call("sandbox.stop", {"sandbox": "victim"})
    until(lambda: gone(s["pid"]), 20, "init is gone")
    for path in made:
        until(lambda: not os.path.exists(path), 10, f"{path} is left")
    for path in (tree + "/sub", bare):
        until(lambda: os.path.isdir(path + "/.git.quarantined"), 10, f"{path}/.git stays")
        check(not os.path.exists(path + "/.git"), f"{path}/.git is in git's reach")
    check(os.path.isdir(plain + "/.git"), "the user's own repository was set aside")
    until(lambda: not [p for p in daemon_module.cgroup_tree() if s["id"] in p], 20, "cgroups")
    check(not os.path.exists(os.path.join(d.run, "sandboxes", s["id"])), "its directory")
    c.call("sandbox.start", {"sandbox": "victim"})
    check(os.path.exists(made[0]), "the worktree is not locked again")
    c.call("sandbox.remove", {"sandbox": "victim"})
    for path in made:
        check(not os.path.exists(path), f"{path} is left after the remove")
    d.stop()


def helpers_of(keeper):
    """The workers of a keeper and what they started, by name; without inits."""
    return {p for p, comm in daemon_module.descendants(keeper).items() if comm != "init"}


def is_answered(c, rid):
    try:
        c.message(0)
    except TimeoutError:
        pass
    return rid in c.replies


def orphan_an_init(d, c):
    """A keeper is stopped while it makes a sandbox, and killed when its worker has made it: nobody
    has told its pid to anyone. The request's id and the pid, or None when the keeper was faster."""
    below = daemon_module.process_table().items()
    keeper = next(p for p, (up, state, comm) in below if up == d.pid and state not in "ZX" and comm.startswith("sandbox-keeper"))
    rid = c.send("sandbox.create", {"name": "orphan"})
    until(lambda: helpers_of(keeper) or is_answered(c, rid), 10, "a worker", 0.0002)
    os.kill(keeper, signal.SIGSTOP)
    until(lambda: not helpers_of(keeper), 30, "the worker has ended", 0.005)
    made = [p for p, comm in daemon_module.descendants(keeper).items() if comm == "init"]
    answered = is_answered(c, rid)
    os.kill(keeper, signal.SIGKILL if made and not answered else signal.SIGCONT)
    return rid, (made[0] if made and not answered else None)


@timeout(120)
def test_kill_keeper_whose_sandbox_nobody_knows(t):
    d = t.private_daemon(NO_SPARES)
    c = t.connect(daemon=d)
    c.call("sandbox.create", {"name": "first"})
    c.call("sandbox.remove", {"sandbox": "first"})
    for _ in range(300):
        rid, orphan = orphan_an_init(d, c)
        made = None
        try:
            made = c.wait(rid, timeout=60)
        except lib.RpcError as e:
            refused(e, "runtime_failed")
        # the keeper may have told of it before it was stopped: then the next one has taken it over
        if orphan and not (made and made["pid"] == orphan):
            break
        if made:
            c.call("sandbox.remove", {"sandbox": "orphan"})
        orphan = None
    check(orphan, "a keeper was killed in time")
    until(lambda: gone(orphan), 10, "what it left has ended")
    if made:
        t.sh(made, "true", client=c)


@timeout(120)
def test_kill_keeper_many_times(t):
    """Stop, start and remove right after it; the next one finds everything in order."""
    d = t.private_daemon(NO_SPARES)
    c = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    c.call("sandbox.create", {"name": "victim", "workspace": tree})

    def settled(what):
        """What meets a keeper that is just dying is told to try again, or is lost with it."""
        try:
            return what()
        except lib.RpcError as e:
            check(e.kind in ("unavailable", "runtime_failed"), f"{e.kind}: {e}")
            return None

    for verb in ("stop", "start", "pause", "stop"):
        kill_keepers(t, d)
        until(lambda: settled(lambda: c.call("sandbox." + verb, {"sandbox": "victim"})), 20, verb)
        if verb == "pause":
            c.call("sandbox.resume", {"sandbox": "victim"})
        got = c.call("sandbox.start", {"sandbox": "victim"})
        until(lambda: settled(lambda: t.run(got, ["true"], client=c)["exitCode"] == 0), 20, "a command")
    kill_keepers(t, d)
    c.call("sandbox.remove", {"sandbox": "victim", "force": True})
    check(not os.path.exists(gitdir + "/locked"), "the worktree is still locked")
    d.stop()


@timeout(120)
def test_kill_the_daemon_and_its_keeper(t):
    """And then its sandbox: nobody is left to undo the claim, so the next daemon does."""
    d = t.private_daemon(NO_SPARES)
    c = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    s = c.call("sandbox.create", {"name": "orphan", "workspace": tree})
    t.sh(s, f"mkdir {tree}/sub && " + STEERED.format(tree + "/sub"), client=c)
    keepers = keepers_of(t, d)
    with daemon_module.held(keepers):
        d.kill()
        daemon_module.end_pids(keepers)
    os.kill(s["pid"], signal.SIGKILL)
    check(os.path.exists(gitdir + "/locked"), "somebody undid it")
    d.start()
    until(lambda: not os.path.exists(gitdir + "/locked"), 10, "the worktree is still locked")
    until(lambda: os.path.isdir(tree + "/sub/.git.quarantined"), 10, "sub/.git stays")
    c = t.connect(daemon=d)
    c.call("sandbox.remove", {"sandbox": "orphan"})
    d.stop()


@timeout(120)
def test_clean_stop_and_restart(t):
    """Stopped with cause daemon_stopped; files kept; start brings it back with the same id."""
    ws = t.workspace()
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "stays", "workspace": ws, "labels": {"a": "b"}})
    t.sh(s, "echo kept >/home/agent/kept", client=c)
    gone = c.call("sandbox.create", {"name": "goes"})
    c.call("sandbox.remove", {"sandbox": "goes"})
    started = time.monotonic()
    check(d.stop() in (0, -signal.SIGTERM), f"exit status: {d.log_tail()}")
    check(time.monotonic() - started < 10, "a stop takes too long")
    until(lambda: not ours_under_runner(t, d), 10, "everything of it is gone")
    check(not os.path.exists(d.socket), "the socket is left")
    d.start()
    c = t.connect(daemon=d)
    got = c.call("sandbox.get", {"sandbox": "stays"})
    equal(
        (got["id"], got["state"], got.get("cause"), got["labels"]),
        (s["id"], "stopped", "daemon_stopped", {"a": "b"}),
        "after the restart",
    )
    equal(c.error("sandbox.get", {"sandbox": gone["id"]}).kind, "not_found", "removed one")
    c.call("sandbox.start", {"sandbox": "stays"})
    equal(t.sh(got, f"cat /home/agent/kept; cd {ws}; pwd", client=c), f"kept\n{ws}\n", "files")
    c.call("sandbox.remove", {"sandbox": "stays"})
    d.stop()


@timeout(120)
def test_kill_9_of_the_daemon(t):
    """The next daemon has all of it; with on_stop = stop its end is the end of all."""
    d = t.private_daemon()
    instance = d.instance
    c = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    s = c.call("sandbox.create", {"name": "orphan", "workspace": tree})
    t.sh(s, "echo kept >/home/agent/kept", client=c)
    c.call("exec.run", {"sandbox": "orphan", "command": ["sleep", "1000"], "detach": True})
    d.kill()
    check(os.path.exists(gitdir + "/locked"), "the worktree is not locked any more")
    d.start()
    equal(d.instance, instance, "instance of the state dir")
    c = t.connect(daemon=d)
    got = c.call("sandbox.get", {"sandbox": "orphan"})
    equal((got["state"], got["pid"]), ("running", s["pid"]), "the sandbox")
    equal(t.sh(got, "cat /home/agent/kept", client=c), "kept\n", "files")
    d.stop()
    until(lambda: gone(s["pid"]), 20, "init is gone")
    until(lambda: not ours_under_runner(t, d), 20, f"left: {ours_under_runner(t, d)}")
    left = [p for p in daemon_module.cgroup_tree() if s["id"] in p]
    equal(left, [], "cgroups of the sandbox")
    check(not os.path.exists(gitdir + "/locked"), "the worktree is still locked")


def test_one_daemon_per_state_dir(t):
    d = t.private_daemon()
    second = daemon_module.Daemon(t.suite.tools, state=d.state)
    t.daemons.append(second)
    second.spawn()
    until(lambda: not second.alive(), 10, "the second ends")
    check(second.process.returncode not in (0, None), "its status")
    check(second.log_tail(), "it says why")
    with d.client() as c:
        equal(c.call("system.ping"), {}, "the first goes on")
    d.stop()


def test_stale_socket(t):
    """A socket that a killed daemon left is no obstacle."""
    d = t.private_daemon()
    d.kill()
    check(os.path.exists(d.socket), "no socket is left to try it with")
    d.start()
    with d.client() as c:
        equal(c.call("system.ping"), {}, "ping")
    d.stop()


def test_check_config(t):
    """An unknown key warns with file:line, --check-config fails on it."""
    import subprocess

    d = t.private_daemon({"daemon": {"no_such_key": "1"}})
    until(lambda: "no_such_key" in d.log_tail(), 20, "a warning")
    check(f"{d.config}:2" in d.log_tail(), f"file:line in {d.log_tail()}")
    p = subprocess.run([*d.command(), "--check-config"], capture_output=True, timeout=20, check=False)
    check(p.returncode not in (0, None) and p.returncode > 0, f"status {p.returncode}")
    d.stop()
    good = daemon_module.Daemon(t.suite.tools)
    t.daemons.append(good)
    p = subprocess.run(
        [*good.command(), "--check-config"], capture_output=True, timeout=20, check=False
    )
    equal(p.returncode, 0, f"a good file: {p.stderr}")


def test_prepared_directory(t):
    """One writable layer is made beforehand, for whoever is next; it goes with its keeper."""
    d = t.private_daemon({"limits": {"pool_memory": 0}})
    c = t.connect(daemon=d)
    upper = os.path.join(d.state, "owners", str(t.suite.owner), "upper")
    ws = t.workspace()
    c.call("sandbox.create", {"workspace": ws})
    for _ in range(3):
        until(lambda: ".next" in os.listdir(upper), 20, f"prepared: {os.listdir(upper)}")
        prepared = os.stat(os.path.join(upper, ".next")).st_ino
        s = c.call("sandbox.create", {"workspace": ws})
        equal(os.stat(os.path.join(upper, s["id"])).st_ino, prepared, "the directory of the next")
        t.sh(s, "cat ~/x 2>/dev/null && exit 1; echo x >~/x; cat ~/x", client=c)
    d.stop()
    hidden = [name for name in os.listdir(upper) if name.startswith(".")]
    equal(hidden, [], "what is left of it")
