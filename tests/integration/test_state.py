# SPDX-License-Identifier: Apache-2.0
"""State that is not as it should be: refused or saved aside, named, never overwritten."""

import fcntl
import glob
import os
import sqlite3
import subprocess
import threading
import time

import daemon as daemon_module
import test_adopt
from harness import exited, modes, refused, timeout
from lib import check, equal, until
from test_faults import drop_disk, small_disk, try_create, until_unused


def database(d):
    return os.path.join(d.state, "state.db")


def contents(d):
    """Every file of the database, with what is in it."""
    found = {}
    for name in sorted(os.listdir(d.state)):
        if name.startswith("state.db") and os.path.isfile(os.path.join(d.state, name)):
            with open(os.path.join(d.state, name), "rb") as f:
                found[name] = f.read()
    return found


def saved_aside(d):
    return [n for n in os.listdir(d.state) if n.startswith("state.db.damaged-") and not n.endswith("-wal")]


def lose_page(d, table):
    """The first one of TABLE."""
    db = sqlite3.connect(database(d))
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with open(database(d), "r+b") as f:
        f.seek((page - 1) * size)
        f.write(b"x" * size)


def refuses_to_start(d, *words):
    d.spawn()
    until(lambda: not d.alive(), 20, "it ends")
    check(d.process.returncode > 0, f"status {d.process.returncode}")
    for word in words:
        check(word in d.log_tail(), f"{word} is not in: {d.log_tail()}")


def test_state_dir_is_a_file(t):
    ws = t.workspace({"file": "x"})
    d = daemon_module.Daemon(t.suite.tools, state=ws + "/file")
    t.daemons.append(d)
    refuses_to_start(d, ws + "/file")


def test_newer(t):
    d = t.private_daemon()
    d.stop()
    with sqlite3.connect(database(d)) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    before = contents(d)
    refuses_to_start(d, database(d), "999", "newer")
    equal(contents(d), before, "touched")


def test_unreadable(t):
    d = t.private_daemon()
    d.stop()
    os.rename(database(d), database(d) + ".away")
    os.mkdir(database(d))
    refuses_to_start(d, database(d))
    os.rmdir(database(d))
    os.rename(database(d) + ".away", database(d))
    if t.mode == "user":  # nothing is unreadable for root
        os.chmod(database(d), 0)
        refuses_to_start(d, database(d), "Permission denied")
        os.chmod(database(d), 0o600)
    d.start()
    d.stop()


def test_garbage(t):
    """Nothing can be read: it begins anew, and says where the old one is."""
    d = t.private_daemon()
    d.stop()
    garbage = b"this is not a database" * 1000
    with open(database(d), "wb") as f:
        f.write(garbage)
    d.start()
    names = saved_aside(d)
    equal(len(names), 1, f"{names}")
    check(names[0] in d.log_tail(), d.log_tail())
    equal(contents(d)[names[0]], garbage, "what was saved")
    with d.client() as c:
        equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes")
        c.call("sandbox.create", {"name": "new"}, timeout=60)
        c.call("sandbox.remove", {"sandbox": "new", "force": True}, timeout=60)
    d.stop()
    d.start()
    equal(saved_aside(d), names, "once is enough")
    d.stop()


def test_damaged(t):
    """A page is lost: what is on others is not. The daemon's own name stays, so it knows its own."""
    d = t.private_daemon()
    instance = d.instance
    with d.client() as c:
        c.call("sandbox.create", {"name": "kept"}, timeout=60)
        exited(t.run("kept", ["/bin/sh", "-c", "echo here >/home/agent/file"], client=c))
    d.stop()
    lose_page(d, "pools")
    d.start()
    equal((len(saved_aside(d)), d.instance), (1, instance), d.log_tail())
    with d.client() as c:
        equal([s["name"] for s in c.call("sandbox.list")["sandboxes"]], ["kept"], "sandboxes")
        c.call("sandbox.start", {"sandbox": "kept"}, timeout=60)
        equal(exited(t.run("kept", ["cat", "/home/agent/file"], client=c))["stdout"], "here\n", "file")
        c.call("sandbox.remove", {"sandbox": "kept", "force": True}, timeout=60)
    d.stop()


@timeout(90)
def test_damaged_while_sandboxes_live(t):
    """The daemon dies and a page is lost: what is on others is taken over, running."""
    with test_adopt.daemon(t) as d:
        c = t.connect(daemon=d)
        ws = t.workspace()
        s, e = test_adopt.counting(t, c, ws)
        d.kill()
        lose_page(d, "pools")
        d.start()
        equal(len(saved_aside(d)), 1, d.log_tail())
        c = t.connect(daemon=d)
        now = test_adopt.state(c, s)
        equal((now["state"], now["pid"]), ("running", s["pid"]), "the sandbox")
        os.unlink(ws + "/go")
        equal(c.call("exec.wait", {"execId": e["execId"]}, timeout=30)["exitCode"], 7, "the command")
        test_adopt.check_count(test_adopt.read_all(c, e["execId"]))


def beats(ws):
    """Whether somebody writes the file again that is removed here."""
    try:
        os.unlink(ws + "/beat")
    except FileNotFoundError:
        return False
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if os.path.exists(ws + "/beat"):
            return True
        time.sleep(0.02)
    return False


@timeout(90)
def test_lost_while_sandboxes_live(t):
    """All rows are lost: what nobody can reach any more ends, and the next daemon works."""
    with test_adopt.daemon(t) as d:
        c = t.connect(daemon=d)
        ws = t.workspace()
        c.call("sandbox.create", {"name": "lost", "workspace": ws}, timeout=60)
        script = "while :; do date +%N >beat; sleep 0.02; done"
        run = {"sandbox": "lost", "command": ["/bin/sh", "-c", script], "workDir": ws, "detach": True}
        c.call("exec.run", run)
        until(lambda: beats(ws), 20, "it runs")
        d.kill()
        for name in contents(d):
            with open(os.path.join(d.state, name), "wb") as f:
                f.write(b"garbage" * 1000)
        instance = d.instance
        d.start()
        equal((len(saved_aside(d)), d.instance), (1, instance), d.log_tail())
        c = t.connect(daemon=d)
        until(lambda: not beats(ws), 20, "the command of the one that is not known ends")
        equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes")
        s = c.call("sandbox.create", {"workspace": ws}, timeout=60)
        equal(exited(t.run(s, ["echo", "new"], client=c))["stdout"], "new\n", "a new one")


@modes("root", "owner")
def test_read_only_at_the_start(t):
    disk = small_disk(t)
    try:
        d = t.private_daemon({"limits": {"pool_memory": "0"}}, state=disk + "/state")
        d.stop()
        remount = ["mount", "-o", "remount,ro", disk]
        until(lambda: subprocess.run(remount, check=False).returncode == 0, 20, "nobody writes")
        refuses_to_start(d, disk + "/state", "Read-only file system")
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        d.start()
        d.stop()
    finally:
        until_unused(d)
        drop_disk(disk)


@modes("root", "owner")
@timeout(120)
def test_full_while_it_runs(t):
    """No new work, with an error that says why; what runs goes on; room, and all is well again."""
    disk = small_disk(t, "32m")
    d = None
    try:
        d = t.private_daemon({"limits": {"pool_memory": "0"}}, state=disk + "/state")
        c = t.connect(daemon=d)
        ws = t.workspace()
        c.call("sandbox.create", {"name": "old", "workspace": ws}, timeout=60)
        brief = [f"brief-{i}" for i in range(4)]
        for name in brief:
            c.call("sandbox.create", {"name": name}, timeout=60)
        script = "while [ ! -e stop ]; do date +%N >beat; sleep 0.05; done; echo done"
        params = {"sandbox": "old", "command": ["/bin/sh", "-c", script], "workDir": ws}
        running = c.send("exec.run", params)
        until(lambda: os.path.exists(ws + "/beat"), 20, "it runs")
        fill(disk + "/fill")
        for _ in range(2):
            refused(c.error("sandbox.create", {"name": "new"}, timeout=60), "limit_reached")
        for name in brief:  # a row that cannot be deleted yet still has the name
            c.call("sandbox.remove", {"sandbox": name}, timeout=60)
            fill(disk + "/fill-" + name)
        check("the row of sandbox brief" in d.log_tail(1 << 20), "each row could be deleted")
        equal([s["name"] for s in c.call("sandbox.list")["sandboxes"]], ["old"], "sandboxes")
        os.unlink(ws + "/beat")
        until(lambda: os.path.exists(ws + "/beat"), 20, "it goes on")
        for path in glob.glob(disk + "/fill*"):
            os.unlink(path)
        until(lambda: try_create(c, "new"), 30, "room again")
        for name in brief:
            c.call("sandbox.create", {"name": name}, timeout=60)
        t.put(ws, "stop", "")
        equal(exited(c.wait(running, 30))["stdout"], "done\n", "what ran all the time")
        for name in ("old", "new", *brief):
            c.call("sandbox.remove", {"sandbox": name, "force": True}, timeout=60)
        d.stop(30)
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(1 << 16))
        except OSError:
            pass


def test_lock_outlives_its_daemon(t):
    """What a killed one had just forked has it for a moment."""
    d = t.private_daemon()
    pid = d.pid
    d.kill()
    with open(os.path.join(d.state, "lock"), encoding="ascii") as f:
        equal(f.read(), f"{pid}\n", "signed")
        fcntl.flock(f, fcntl.LOCK_EX)
        late = threading.Timer(0.3, fcntl.flock, (f, fcntl.LOCK_UN))
        late.start()
        d.start()
        late.join()
    with d.client() as c:
        equal(c.call("system.ping"), {}, "the next one")


def test_second_daemon(t):
    """It ends with a line that says whose the place is, and the first does not notice."""
    d = t.private_daemon()
    with d.client() as c:
        c.call("sandbox.create", {"name": "first"}, timeout=60)
        again = daemon_module.Daemon(t.suite.tools, state=d.state)
        t.daemons.append(again)
        refuses_to_start(again, d.state, f"process {d.pid}")
        again = daemon_module.Daemon(t.suite.tools)
        again.run = d.run
        t.daemons.append(again)
        refuses_to_start(again, d.run)
        equal(exited(t.run("first", ["echo", "alive"], client=c))["stdout"], "alive\n", "the first")
        c.call("sandbox.remove", {"sandbox": "first", "force": True}, timeout=60)
    with d.client() as c:
        equal(c.call("system.ping"), {}, "its socket")
    d.stop()
