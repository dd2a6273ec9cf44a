# SPDX-License-Identifier: Apache-2.0
"""Parts that are missing, fail late or hang, and a full disk: an error, nothing left, life goes on."""

import contextlib
import glob
import os
import resource
import shutil
import signal
import subprocess
import time

import daemon as daemon_module
import lib
from harness import exited, modes, refused, timeout
from lib import check, equal, until


def left_of(t, d):
    """Descendants of the runner that belong to neither daemon."""
    mine = daemon_module.descendants(os.getpid())
    other = daemon_module.descendants(t.daemon.pid)
    return {
        p: daemon_module.command_line(p)
        for p, c in mine.items()
        if p not in other and p not in (t.daemon.pid, d.pid) and not c.startswith("sandbox-keeper")
    }


def clean_after(t, d, c, name):
    """The name is free, nothing runs, no directory or cgroup is left."""
    equal(c.call("system.ping"), {}, "ping")
    equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes after a failed create")
    until(lambda: not left_of(t, d), 10, f"processes: {left_of(t, d)}")
    rooms = os.path.join(d.run, "sandboxes")
    until(lambda: not os.path.isdir(rooms) or not os.listdir(rooms), 20, "runtime dirs")
    until(
        lambda: not [p for p in daemon_module.cgroup_tree() if d.instance in p and name in p],
        5,
        "cgroups",
    )


def broken_runtime(t, path, kinds=("runtime_failed", "unavailable"), wait=60):
    """Creates must fail well with this runtime, twice, and the worktree stays unlocked."""
    d = t.private_daemon({"runtime crun": {"path": path}})
    c = t.connect(daemon=d)
    ws = t.workspace()
    for _ in range(2):
        e = None
        try:
            c.call("sandbox.create", {"name": "same", "workspace": ws}, timeout=wait)
        except lib.RpcError as error:
            e = error
        check(e is not None, "created by a broken runtime")
        refused(e, *kinds)
        check(e.message and len(e.message) < 5000, f"message of {len(e.message)} characters")
        clean_after(t, d, c, "same")
    # the real one is put in its place: it counts at once
    return d, c, e


def fake(t, mode):
    return t.suite.tools["fake-runtime-" + mode]


def test_crun_missing(t):
    d, c, e = broken_runtime(t, "/no/such/crun", ("unavailable", "runtime_failed"))
    check(e.hint, f"no hint: {e}")
    doctor = c.call("system.doctor")
    check(
        [x for x in doctor["checks"] if not x["ok"] and "crun" in str(x)], "doctor does not see it"
    )
    d.stop()


def test_crun_not_executable(t):
    ws = t.workspace({"crun": "not a program"})
    d, _, _ = broken_runtime(t, ws + "/crun")
    d.stop()
    os.chmod(ws + "/crun", 0o755)
    d, _, _ = broken_runtime(t, ws + "/crun")
    d.stop()


def test_crun_fails_early(t):
    d, _, e = broken_runtime(t, fake(t, "early"), ("runtime_failed",))
    check("refuses early" in e.message, f"the runtime's own words: {e.message}")
    d.stop()


@timeout(120)
def test_crun_fails_late(t):
    """It had set the sandbox up already: what it left is killed and removed."""
    d, _, e = broken_runtime(t, fake(t, "late"), ("runtime_failed",))
    check("fails late" in e.message, f"the runtime's own words: {e.message}")
    d.stop()


@timeout(180)
def test_crun_hangs(t):
    """-32008 after the timeout; other clients do not notice; the name is free again."""
    d = t.private_daemon({"runtime crun": {"path": fake(t, "hang"), "timeout": "3s"}})
    c = t.connect(daemon=d)
    rid = c.send("sandbox.create", {"name": "hung"})
    other = t.connect(daemon=d)
    for _ in range(20):
        equal(other.call("system.ping", timeout=2.9), {}, "ping")
        time.sleep(0.05)
    try:
        c.wait(rid, 90)
        raise AssertionError("created by a runtime that hangs")
    except lib.RpcError as e:
        refused(e, "timeout", "runtime_failed")
    clean_after(t, d, c, "hung")
    d.stop()


@timeout(180)
def test_crun_hangs_and_the_daemon_stops(t):
    """A clean stop does not wait for it."""
    d = t.private_daemon({"runtime crun": {"path": fake(t, "hang-late")}})
    c = t.connect(daemon=d)
    c.send("sandbox.create", {"name": "hung"})
    time.sleep(1)
    started = time.monotonic()
    d.stop(30)
    check(time.monotonic() - started < 20, "the stop waits for the runtime")
    until(lambda: not left_of(t, d), 15, f"left: {left_of(t, d)}")


@timeout(180)
def test_crun_hangs_and_the_client_goes(t):
    d = t.private_daemon({"runtime crun": {"path": fake(t, "hang")}})
    c = t.connect(daemon=d)
    rid = c.send("sandbox.create", {"name": "hung"})
    time.sleep(0.5)
    c.notify("rpc.cancel", {"id": rid})
    try:
        c.wait(rid, 60)
        raise AssertionError("created by a runtime that hangs")
    except lib.RpcError as e:
        refused(e, "cancelled", "timeout", "runtime_failed")
    d.stop(40)
    until(lambda: not left_of(t, d), 15, f"left: {left_of(t, d)}")


@timeout(120)
def test_keeper_dies_in_a_create_that_fails_then(t):
    """Once more with a new keeper, but its runtime is gone: what the first one made is not left."""
    path = t.workspace() + "/crun"
    os.chmod(os.path.dirname(path), 0o755)
    shutil.copy(fake(t, "hang"), path)
    d = t.private_daemon({"runtime crun": {"path": path}, "limits": {"pool_memory": "0"}})
    c = t.connect(daemon=d)
    uppers = os.path.join(d.state, "owners/*/upper/*")  # without the dot of a prepared one
    rid = c.send("sandbox.create", {"name": "half"})
    # with a worker that begins it later it would not be among those that are killed
    runtime = lambda: [p for p, n in daemon_module.descendants(d.pid).items() if not n.startswith("sandbox-")]  # noqa: E731
    until(lambda: glob.glob(uppers + "/data") and runtime(), 20, "the runtime")
    os.unlink(path)
    daemon_module.end_pids(daemon_module.descendants(d.pid))  # the runtime last: the daemon waits for its end
    try:
        c.wait(rid, 60)
        raise AssertionError("created without a runtime")
    except lib.RpcError as e:
        refused(e, "runtime_failed", "unavailable", "internal_error")
    clean_after(t, d, c, "half")
    until(lambda: not glob.glob(uppers), 10, f"files: {glob.glob(uppers)}")
    d.stop()


@modes("root", "owner")
@timeout(120)
def test_keeper_dies_and_leaves_a_process(t):
    """It is in the sandbox's cgroup, and nothing else tells of it: it is ended, and the create goes on."""
    path = t.workspace() + "/crun"
    os.chmod(os.path.dirname(path), 0o755)
    shutil.copy(fake(t, "stray"), path)
    d = t.private_daemon({"runtime crun": {"path": path}, "limits": {"pool_memory": "0"}})
    c = t.connect(daemon=d)
    rid = c.send("sandbox.create", {"name": "half"})
    stray = until(lambda: [p for p, n in daemon_module.descendants(d.pid).items() if n == "stray"], 20, "the process")
    shutil.copy("/usr/bin/crun", path + ".new")
    os.rename(path + ".new", path)
    for pid in daemon_module.descendants(d.pid):
        if pid not in stray:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    s = c.wait(rid, 60)
    equal(s["state"], "running", "state")
    until(lambda: not set(stray) & set(daemon_module.descendants(os.getpid())), 10, "its end")
    exited(t.run(s, ["true"], client=c))
    c.call("sandbox.remove", {"sandbox": "half"})
    clean_after(t, d, c, "half")
    d.stop()


@timeout(120)
def test_start_under_way_when_all_die(t):
    """The daemon, the keeper and the runtime: the sandbox is stopped, and starts again with its files."""
    path = t.workspace() + "/crun"
    os.chmod(os.path.dirname(path), 0o755)

    def runtime(program):
        shutil.copy(program, path + ".new")
        os.rename(path + ".new", path)

    runtime("/usr/bin/crun")
    d = t.private_daemon({"runtime crun": {"path": path}, "limits": {"pool_memory": "0"}, "daemon": {"on_stop": "keep"}})
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "mine", "workspace": t.workspace()}, timeout=60)
    t.sh(s, "echo kept >~/file", client=c)
    c.call("sandbox.stop", {"sandbox": "mine"})
    runtime(fake(t, "hang"))
    c.send("sandbox.start", {"sandbox": "mine"})
    others = lambda: [p for p, n in daemon_module.descendants(d.pid).items() if not n.startswith("sandbox-")]  # noqa: E731
    until(others, 20, "the runtime")
    daemon_module.end_pids([d.pid, *daemon_module.descendants(d.pid)])
    d.kill()
    runtime("/usr/bin/crun")
    d.start()
    c = t.connect(daemon=d)
    equal(c.call("sandbox.get", {"sandbox": "mine"})["state"], "stopped", "state")
    c.call("sandbox.start", {"sandbox": "mine"}, timeout=60)
    equal(t.sh(s, "cat ~/file", client=c), "kept\n", "its file")
    c.call("sandbox.remove", {"sandbox": "mine"})
    d.stop()


def test_crun_crashes(t):
    d, _, _ = broken_runtime(t, fake(t, "crash"), ("runtime_failed",))
    d.stop()


def test_crun_is_noisy(t):
    d, _, _ = broken_runtime(t, fake(t, "noisy"), ("runtime_failed",))
    d.stop()


@timeout(180)
def test_crun_lies(t):
    """It says that all is well, but no init answers."""
    d, _, _ = broken_runtime(t, fake(t, "liar"), ("runtime_failed", "timeout"), 90)
    d.stop()


def test_crun_upgraded(t):
    """A new crun counts at once, without a restart."""
    ws = t.workspace()
    os.chmod(ws, 0o755)
    path = ws + "/crun"
    shutil.copy(fake(t, "early"), path)
    d = t.private_daemon({"runtime crun": {"path": path}})
    c = t.connect(daemon=d)
    refused(c.error("sandbox.create", {"name": "a"}, timeout=60), "runtime_failed")
    shutil.copy("/usr/bin/crun", path + "-new")
    os.rename(path + "-new", path)
    s = c.call("sandbox.create", {"name": "a"}, timeout=60)
    exited(t.run(s, ["true"], client=c))
    c.call("sandbox.remove", {"sandbox": "a"})
    d.stop()


def small_disk(t, size="64m"):
    """A tmpfs as state dir."""
    path = os.path.join(t.suite.work, t.unique("disk"))
    os.mkdir(path)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "sbt-disk", path], check=True)
    return path


def drop_disk(path):
    for _ in range(50):
        if subprocess.run(["umount", path], check=False, capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    else:
        subprocess.run(["umount", "-l", path], check=False)
    os.rmdir(path)


@modes("root", "owner")
@timeout(180)
def test_disk_full(t):
    """64 MiB: filled by a sandbox and by output; errors with names; and it all works again."""
    disk = small_disk(t)
    d = None
    try:
        d = t.private_daemon({"limits": {"pool_memory": "0"}}, state=disk + "/state")  # spares write, too
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"name": "filler"}, timeout=60)
        r = t.run(s, ["/bin/sh", "-c", "head -c 200000000 /dev/zero >/home/agent/fill"], client=c)
        check(r["exitCode"] != 0, f"200 MB on 64 MiB: {r}")
        equal(c.call("system.ping"), {}, "ping")
        for _ in range(3):
            try:
                c.call("sandbox.create", {"name": "second"}, timeout=60)
                c.call("sandbox.remove", {"sandbox": "second", "force": True})
            except lib.RpcError as e:
                refused(e, "limit_reached", "runtime_failed", "unavailable")
        r = None
        try:
            r = t.run(s, ["/bin/sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2"], client=c)
        except lib.RpcError as e:
            refused(e, "limit_reached", "unavailable", "internal")
        if r is not None:
            check(r["cause"] in ("exited", "disk_full", "signaled"), f"{r['cause']}")
        equal(c.call("sandbox.get", {"sandbox": "filler"})["state"], "running", "state")
        try:
            t.run(s, ["rm", "/home/agent/fill"], client=c)
        except lib.RpcError as e:
            refused(e, "limit_reached")
            c.call("sandbox.remove", {"sandbox": "filler", "force": True}, timeout=60)
            s = until(lambda: try_create(c, "filler"), 20, "create after remove")
        equal(exited(t.run(s, ["echo", "again"], client=c))["stdout"], "again\n", "afterwards")
        c.call("sandbox.remove", {"sandbox": "filler", "force": True}, timeout=60)
        check(d.stop(30) in (0, -signal.SIGTERM), d.log_tail())
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)


def try_create(c, name):
    try:
        return c.call("sandbox.create", {"name": name}, timeout=60)
    except lib.RpcError:
        return None


def until_unused(d):
    """Keepers of a killed daemon need a moment to end."""
    if d is not None:
        time.sleep(0.5)


@modes("root", "owner")
@timeout(120)
def test_disk_full_of_spool(t):
    """Output that has no place is never lost without a word: the producer waits, then disk_full; and
    also when the producer had ended before and its last words were still in the pipe."""
    disk = small_disk(t, "16m")
    d = None
    try:
        # spares write, too; and without a limit nothing makes room
        limits = {"pool_memory": "0", "spool_max": 0}
        d = t.private_daemon({"limits": limits}, state=disk + "/state")
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"name": "loud"}, timeout=60)
        params = ["/bin/sh", "-c", "head -c 60000000 /dev/zero"]
        r = t.run(s, params, client=c, graceMs=500, timeout=60)
        equal((r["cause"], r["truncated"]), ("disk_full", True), "60 MB on 16 MiB")
        check(r["durationMs"] >= 4000, f"it did not wait for space: {r['durationMs']}")
        r = t.run(s, ["echo", "last words"], client=c, timeout=60)
        equal((r["cause"], r["truncated"], r["exitCode"]), ("disk_full", True, 0), "full already")
        # room that comes in time: nothing is lost
        waiting = c.send("exec.run", {"sandbox": s["name"], "command": ["echo", "last words"]})
        time.sleep(1.5)
        os.truncate(biggest(disk), 0)
        r = c.wait(waiting, 30)
        equal((r["cause"], r["truncated"], r["stdout"]), ("exited", False, "last words\n"), "room")
        equal(c.call("system.ping"), {}, "ping")
        c.call("sandbox.remove", {"sandbox": "loud", "force": True}, timeout=60)
        d.stop(30)
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)


def biggest(top):
    """What fills it."""
    files = [os.path.join(at, name) for at, _, names in os.walk(top) for name in names]
    return max(files, key=lambda f: os.lstat(f).st_blocks)


def test_template_build_that_fails(t):
    """Leaves nothing, says why, and can be tried again."""
    d = t.private_daemon({"tool claude": {"registry": "http://127.0.0.1:9/", "build_timeout": "30s"}})
    c = t.connect(daemon=d)
    for _ in range(2):
        e = c.error("template.build", {"tool": "claude@0.0.1-none"}, timeout=50)
        refused(e, "unavailable", "runtime_failed", "not_found", "timeout", "internal")
        check(e.message, "message")
    listed = c.call("template.list")["templates"]
    check(not [x for x in listed if x["state"] == "building"], f"{listed}")
    equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes of the build")
    d.stop()


def test_tool_whose_build_fails(t):
    """sandbox.create of it fails, with the reason, and leaves no sandbox."""
    d = t.private_daemon({"tool claude": {"registry": "http://127.0.0.1:9/", "build_timeout": "30s"}})
    c = t.connect(daemon=d)
    e = c.error("sandbox.create", {"name": "x", "tool": "claude"}, timeout=50)
    refused(e, "unavailable", "runtime_failed", "not_found", "timeout", "internal")
    equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes")
    d.stop()


@modes("root", "owner")
def test_descriptors_out(t):
    """A shortage of descriptors is told as what it is, and costs no output."""
    d = t.private_daemon({"limits": {"pool_memory": "0"}})  # spares need some, too
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "a", "workspace": t.workspace()}, timeout=60)
    r = t.run(s, ["echo", "hello"], client=c)
    equal((r["stdout"], r["truncated"]), ("hello\n", False), "before")
    before = resource.prlimit(d.pid, resource.RLIMIT_NOFILE)
    used = {int(n) for n in os.listdir(f"/proc/{d.pid}/fd")}
    lowest = min(set(range(max(used) + 2)) - used)
    resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (lowest, before[1]))  # none below is free
    try:
        w = c.call("exec.wait", {"execId": r["execId"]})
        equal((w["stdout"], w["truncated"], w["exitCode"]), ("", True, 0), "with none left")
        read = {"execId": r["execId"], "stream": "stdout"}
        refused(c.error("exec.read", read), "limit_reached")
        follow = c.send("exec.attach", {"execId": r["execId"]})  # waits
        refused(c.error("sandbox.create", {"name": "b", "workspace": t.workspace()}), "limit_reached")
    finally:
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, before)
    w = c.call("exec.wait", {"execId": r["execId"]})
    equal((w["stdout"], w["truncated"]), ("hello\n", False), "afterwards")
    equal(c.call("exec.read", read)["data"], "hello\n", "afterwards")
    equal(c.wait(follow)["exitCode"], 0, "what was followed")
    equal(c.note("exec.data")["data"], "hello\n", "what was followed")
    exited(t.run(c.call("sandbox.create", {"name": "b"}, timeout=60), ["true"], client=c))
    equal(d.stop(), 0, "its end")


@modes("root", "user")
def test_output_of_nobody_is_swept(t):
    """What a killed daemon or keeper could not remove any more goes with the next start."""
    d = t.private_daemon({"limits": {"pool_memory": "0"}})
    with d.client() as c:
        s = c.call("sandbox.create", {"name": "a"}, timeout=60)
        r = t.run(s, ["echo", "kept"], client=c, idempotencyKey="k")
    spool = os.path.join(d.state, "owners", str(t.suite.owner), "spool")
    with open(os.path.join(spool, "nobody.stdout"), "w", encoding="ascii") as f:
        f.write("left")
    d.kill()
    d.start()
    check("nobody.stdout" not in os.listdir(spool), f"{os.listdir(spool)}")
    with d.client() as c:
        got = c.call("exec.read", {"execId": r["execId"], "stream": "stdout"})
        equal(got["data"], "kept\n", "what is somebody's")
        c.call("sandbox.remove", {"sandbox": "a"})
