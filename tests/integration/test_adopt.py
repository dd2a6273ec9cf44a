# SPDX-License-Identifier: Apache-2.0
"""A daemon that dies, or is stopped, and the next one, which takes everything over."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import daemon as daemon_module
import lib
from gitrepo import STEERED, worktree
from harness import exited, modes, signaled, timeout
from lib import check, equal, text_of, until

KEEP = {"daemon": {"on_stop": "keep"}, "limits": {"pool_memory": "0"}}

# Numbers, one line each, until somebody removes the file "go".
COUNT = "i=0; while [ -e go ]; do i=$((i + 1)); echo $i; sleep 0.01; done; echo end; exit 7"


def ours(t, d):
    """Descendants of the runner that are not the shared daemon's."""
    mine = daemon_module.descendants(os.getpid())
    mine.pop(d.pid, None)
    shared = daemon_module.descendants(t.daemon.pid)
    return {p: c for p, c in mine.items() if p not in shared and p != t.daemon.pid}


def keepers_of(t, d):
    return [p for p, c in ours(t, d).items() if c.startswith("sandbox-keeper")]


def kill_keepers(t, d):
    """Those that are keepers, and their workers with them."""
    pids = until(lambda: keepers_of(t, d), 20, "a keeper")
    daemon_module.end_pids(pids)
    return pids


@contextlib.contextmanager
def daemon(t, config=None):
    """A daemon that leaves its sandboxes to the next. In the end nothing of them may be there."""
    d = t.private_daemon(config or KEEP)
    try:
        yield d
    finally:
        if not d.alive():
            d.start()
        with d.client() as c:
            for s in c.call("sandbox.list")["sandboxes"]:
                c.call("sandbox.remove", {"sandbox": s["id"], "force": True}, timeout=30)
        d.stop()
        until(lambda: not ours(t, d), 10, f"left: {ours(t, d)}")
    left = [p for p in daemon_module.cgroup_tree() if d.instance in p]
    equal(left, [], "cgroups that are left")


def restart(t, d, how="kill"):
    """Another daemon, and a client of it."""
    getattr(d, how)()
    d.start()
    return t.connect(daemon=d)


def state(c, sandbox):
    return c.call("sandbox.get", {"sandbox": sandbox["id"]})


def read_all(c, exec_id, stream="stdout"):
    data = b""
    while True:
        r = c.call("exec.read", {"execId": exec_id, "stream": stream, "from": len(data)})
        data += text_of(r["data"])
        if r["nextOffset"] == len(data) and (r["eof"] or not r["data"]):
            return data


def numbers(n):
    return "".join(f"{i}\n" for i in range(1, n + 1))


def check_count(data):
    """Nothing is missing and nothing is there twice."""
    lines = data.decode().splitlines()
    equal(lines[-1], "end", "the last line")
    equal("\n".join(lines[:-1]) + "\n", numbers(len(lines) - 1), "the lines before it")


def counting(t, c, ws, **params):
    """A sandbox with a command that counts, and has begun to."""
    t.put(ws, "go", "")
    s = c.call("sandbox.create", {"workspace": ws})
    e = c.call(
        "exec.run",
        {"sandbox": s["name"], "command": ["/bin/sh", "-c", COUNT], "detach": True, **params},
    )
    until(lambda: len(read_all(c, e["execId"])) > 10, 10, "it counts")
    return s, e


def both_ways(test):
    """A daemon that dies and one that is stopped leave the same."""

    @timeout(120)
    def killed(t):
        test(t, "kill")

    @timeout(120)
    def stopped(t):
        test(t, "stop")

    killed.__doc__ = stopped.__doc__ = test.__doc__
    return killed, stopped


def running_command(t, how):
    """The same processes go on, and their output is whole."""
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s, e = counting(t, c, ws)
        before = daemon_module.descendants(s["pid"])
        c = restart(t, d, how)
        got = state(c, s)
        equal((got["state"], got["pid"]), ("running", s["pid"]), "the sandbox")
        now = c.call("exec.get", {"execId": e["execId"]})
        equal((now["state"], now["pid"]), ("running", e["pid"]), "the command")
        check(set(before) & set(daemon_module.descendants(s["pid"])), "other processes")
        size = len(read_all(c, e["execId"]))
        until(lambda: len(read_all(c, e["execId"])) > size, 10, "it still counts")
        os.unlink(ws + "/go")
        r = c.call("exec.wait", {"execId": e["execId"]})
        exited(r, 7)
        check_count(read_all(c, e["execId"]))
        exited(t.run(s, ["true"], client=c))


test_running_command, test_running_command_stop = both_ways(running_command)


def command_that_ended_meanwhile(t, how):
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s, e = counting(t, c, ws)
        getattr(d, how)()
        os.unlink(ws + "/go")
        until(lambda: len(daemon_module.descendants(s["pid"])) == 0, 10, "its end")
        d.start()
        c = t.connect(daemon=d)
        r = c.call("exec.wait", {"execId": e["execId"]})
        exited(r, 7)
        check_count(read_all(c, e["execId"]))
        # and so the one after that still has it
        c = restart(t, d, how)
        exited(c.call("exec.wait", {"execId": e["execId"]}), 7)


test_command_that_ended_meanwhile, test_command_that_ended_meanwhile_stop = both_ways(
    command_that_ended_meanwhile
)


@timeout(120)
def test_attached_command(t):
    """With the client's own descriptors: it never hears of it, and asks the next for the result."""
    ws = t.workspace({"go": ""})
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"workspace": ws})
        r_end, w_end = os.pipe()
        c.send(
            "exec.run",
            {
                "sandbox": s["name"],
                "command": ["/bin/sh", "-c", COUNT],
                "stdout": {"fd": 0},
                "execId": "mine",
            },
            [w_end],
        )
        os.close(w_end)
        data = os.read(r_end, 100)
        until(lambda: d.rows("SELECT id FROM execs"), 20, "it is written down")
        c = restart(t, d)
        rid = c.send("exec.wait", {"execId": "mine"})
        data += os.read(r_end, 100)
        os.unlink(ws + "/go")
        exited(c.wait(rid), 7)
        while more := os.read(r_end, 65536):
            data += more
        os.close(r_end)
        check_count(data)


@timeout(120)
def test_stdin_and_terminal(t):
    """What the daemon held open stays open, and its end comes when it is wanted."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {})
        base = {"sandbox": s["name"], "detach": True, "stdin": "stream"}
        e = c.call("exec.run", {**base, "command": ["cat"]})
        tty = c.call("exec.run", {**base, "command": ["sh", "-c", "cat; stty size"], "tty": {"rows": 20, "cols": 70}})
        c.call("exec.write", {"execId": e["execId"], "data": "before\n"})
        c = restart(t, d)
        for x in (e, tty):
            equal(c.call("exec.get", {"execId": x["execId"]})["state"], "running", "state")
        c.call("exec.resize", {"execId": tty["execId"], "rows": 33, "cols": 44})
        for x, text in ((e, "after\n"), (tty, "typed\n")):
            c.call("exec.write", {"execId": x["execId"], "data": text})
        for x in (e, tty):
            c.call("exec.closeStdin", {"execId": x["execId"]})
        r = exited(c.call("exec.wait", {"execId": e["execId"]}))
        equal(r["stdout"], "before\nafter\n", "stdout")
        r = exited(c.call("exec.wait", {"execId": tty["execId"]}))
        check("typed" in r["output"] and "33 44" in r["output"], f"output of the terminal: {r['output']!r}")


@modes("root", "owner")  # who may hold init
@timeout(120)
def test_stopped_while_it_starts(t):
    """A clean stop lets a command begin that was asked for: then it is known to the next."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {})
        os.kill(s["pid"], signal.SIGSTOP)
        try:
            c.send("exec.run", {"sandbox": s["name"], "execId": "mine", "command": ["sh", "-c", "sleep 0.5; exit 7"]})
            until(lambda: [e["state"] for e in c.call("exec.list")["execs"]] == ["starting"], 20, "it is asked for")
            d.process.send_signal(signal.SIGTERM)
            until(lambda: "stopping: " in d.log_tail(), 20, "the stop")
        finally:
            os.kill(s["pid"], signal.SIGCONT)
        equal(d.process.wait(30), 0, "the stop")
        d.start()
        exited(t.connect(daemon=d).call("exec.wait", {"execId": "mine"}, timeout=60), 7)


@timeout(120)
def test_calls_wait(t):
    """While a keeper that hangs has not given a sandbox back, commands for it wait."""
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        c.call("loop.create", {"loopId": "l", "workDir": ws, "tools": ["shell"]}, timeout=60)
        s = c.call("sandbox.list")["sandboxes"][0]
        run = {"sandbox": s["name"], "workDir": ws}
        cat = c.call("exec.run", {**run, "command": ["cat"], "stdin": "stream", "detach": True})
        d.kill()
        with daemon_module.held(keepers_of(t, d)):
            d.start()
            c = t.connect(daemon=d)
            rid = c.send("exec.run", {**run, "command": ["sh", "-c", "echo exec >>ran"]})
            prompt = {"loopId": "l", "tool": "shell", "prompt": "echo loop >>ran"}
            loop = c.send("loop.run", {**prompt, "verificationCommands": ["test -e ran"]})
            c.call("exec.write", {"execId": cat["execId"], "data": "in"})
            c.call("exec.closeStdin", {"execId": cat["execId"]})
            unwanted = c.send("exec.run", {**run, "command": ["sh", "-c", "echo cancelled >>ran"]})
            c.notify("rpc.cancel", {"id": unwanted})
            try:
                c.wait(unwanted)
                raise AssertionError("it was cancelled")
            except lib.RpcError as e:
                equal(e.kind, "cancelled", "error")
            with d.client() as other:
                other.send("exec.run", {**run, "command": ["sh", "-c", "echo gone >>ran"]})
                other.call("system.ping")
        exited(c.wait(rid))
        equal(c.wait(loop)["state"], "completed", "the run")
        equal(exited(c.call("exec.wait", {"execId": cat["execId"]}))["stdout"], "in", "its stdin")
        with open(ws + "/ran", encoding="ascii") as f:
            equal(sorted(f.read().split()), ["exec", "loop"], "what ran")
        c.call("loop.destroy", {"loopId": "l", "force": True}, timeout=60)


@timeout(120)
def test_deadlines_go_on(t):
    """A timeout is what it was, and one that is over meanwhile counts at once."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {})
        base = {"sandbox": s["name"], "command": ["sleep", "1000"], "detach": True}
        short = c.call("exec.run", {**base, "timeoutMs": 500})
        long = c.call("exec.run", {**base, "timeoutMs": 600_000})
        d.kill()
        time.sleep(0.6)
        d.start()
        c = t.connect(daemon=d)
        r = c.call("exec.wait", {"execId": short["execId"]})
        equal(r["cause"], "timeout", "cause")
        equal(c.call("exec.get", {"execId": long["execId"]})["state"], "running", "the other")
        c.call("exec.cancel", {"execId": long["execId"]})
        equal(c.call("exec.wait", {"execId": long["execId"]})["cause"], "cancelled", "cause")


@timeout(120)
def test_sandbox_that_ended_meanwhile(t):
    """Its keeper knows how."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {})
        e = c.call("exec.run", {"sandbox": s["name"], "command": ["sleep", "99"], "detach": True})
        d.kill()
        os.kill(s["pid"], signal.SIGKILL)
        d.start()
        c = t.connect(daemon=d)
        got = state(c, s)
        equal((got["state"], got["cause"]), ("failed", "sandbox_lost"), "the sandbox")
        r = c.call("exec.wait", {"execId": e["execId"]})
        equal(r["cause"], "sandbox_lost", "the command")
        c.call("sandbox.start", {"sandbox": s["name"]})
        exited(t.run(s, ["true"], client=c))


@timeout(120)
def test_paused_sandbox(t):
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s, e = counting(t, c, ws)
        c.call("sandbox.pause", {"sandbox": s["name"]})
        c = restart(t, d)
        equal(state(c, s)["state"], "paused", "state")
        size = len(read_all(c, e["execId"]))
        time.sleep(0.2)
        equal(len(read_all(c, e["execId"])), size, "what it wrote while paused")
        c.call("sandbox.resume", {"sandbox": s["name"]})
        until(lambda: len(read_all(c, e["execId"])) > size, 10, "it counts again")
        os.unlink(ws + "/go")
        exited(c.call("exec.wait", {"execId": e["execId"]}), 7)


@timeout(120)
def test_killed_keeper_is_replaced(t):
    """Its sandboxes live on, and can be used and ended."""
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"workspace": ws})
        e = c.call("exec.run", {"sandbox": s["name"], "command": ["sleep", "99"], "detach": True})
        old = kill_keepers(t, d)
        until(lambda: set(keepers_of(t, d)) - set(old), 10, "a new keeper")
        exited(t.run(s, ["true"], client=c))
        equal((state(c, s)["state"], state(c, s)["pid"]), ("running", s["pid"]), "the sandbox")
        equal(t.sh(s, f"echo new >{ws}/file; cat {ws}/file", client=c), "new\n", "a command")
        c.call("sandbox.pause", {"sandbox": s["name"]})
        c.call("sandbox.resume", {"sandbox": s["name"]})
        c.call("exec.cancel", {"execId": e["execId"]})
        equal(c.call("exec.wait", {"execId": e["execId"]})["cause"], "cancelled", "the old one")
        c.call("sandbox.stop", {"sandbox": s["name"]})
        c.call("sandbox.start", {"sandbox": s["name"]})
        exited(t.run(s, ["true"], client=c))


# Answers as a keeper does that has nothing more to do: it goes before it has greeted.
GOING = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1])
s.listen(4)
print("there", flush=True)
c = s.accept()[0]
c.recv(1 << 16)
print("greeted", flush=True)
sys.stdin.readline()
s.close()
c.close()
print("gone", flush=True)
sys.stdin.readline()
"""


@modes("root", "owner")
def test_one_keeper_follows(t):
    """Who waited for one that goes, and who asks for the next while it does, get the same."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        c.call("sandbox.remove", {"sandbox": c.call("sandbox.create")["id"]})
        c = restart(t, d, "stop")  # no keeper is there, but its folder
        command = [sys.executable, "-c", GOING, f"{d.run}/keepers/{os.getuid()}.sock"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as going:
            equal(going.stdout.readline(), "there\n", "played keeper")
            first = c.send("sandbox.create", {"name": "first"})
            equal(going.stdout.readline(), "greeted\n", "it was found")
            print("go", file=going.stdin, flush=True)
            equal(going.stdout.readline(), "gone\n", "played keeper")
            other = t.connect(daemon=d)
            other.call("system.ping")  # so the end of its connection was seen
            other.call("sandbox.create", {"name": "second"})
            c.wait(first, 30)
            going.communicate()
        until(lambda: len(keepers_of(t, d)) == 1, 10, "one keeper, and no worker of it")
        for sandbox in ("first", "second"):
            exited(t.run({"name": sandbox}, ["true"], client=c))


MEMORY = "[tool tooled]\nversion = 1\nnode_version = none\ninstall = :\nsecret = token -> file ~/.tooled/auth\n"


def after_the_keeper(t, d, c, how):
    """The client of the daemon whose sandboxes another keeper has."""
    if how == "both":
        d.kill()
    old = kill_keepers(t, d)
    if how == "both":
        d.start()
        c = t.connect(daemon=d)
    until(lambda: set(keepers_of(t, d)) - set(old), 10, "a new keeper")
    return c


def failed(t, c, s, script, **params):
    r = t.run(s, ["/bin/sh", "-c", script], client=c, **params)
    check(r["cause"] == "exited" and r["exitCode"] != 0, f"{script!r} worked: {r}")


@timeout(120)
def test_stages_after_a_keeper(t):
    """What a stage may write is as it was, also where the agent has moved what is above a workspace."""
    with daemon(t, MEMORY + "[daemon]\non_stop = keep\n[limits]\npool_memory = 0\n") as d:
        c = t.connect(daemon=d)
        for how in ("alone", "both"):
            ws = t.workspace({"a": "text"})
            s = c.call("sandbox.create", {"workspace": ws, "tool": "tooled"}, timeout=60)
            c = after_the_keeper(t, d, c, how)
            failed(t, c, s, "echo x >>a", stage="reviewer")
            t.sh(s, "echo n >/tmp/n; echo n >~/n; echo n >/dev/shm/n; echo n >~/.tooled/n", stage="reviewer", client=c)
            failed(t, c, s, "echo x >>a", stage="test-writer")
            t.sh(s, "echo x >tests/b", stage="test-writer", client=c)
            t.sh(s, "echo x >>a", client=c)
            # and once more, when the path leads elsewhere
            top = os.path.dirname(ws)
            t.sh(s, f"mv {top} {top}-moved; mkdir -p {ws}", user="root", workDir="/", client=c)
            c = after_the_keeper(t, d, c, how)
            for user in ("agent", "root"):
                where = f"{top}-moved/{os.path.basename(ws)}"
                failed(t, c, s, f"echo x >>{where}/a", stage="reviewer", user=user, workDir="/")
            t.sh(s, f"echo x >>{where}/a", workDir="/", client=c)
            if how == "both":  # else the view that there was is still right
                r = t.run(s, ["true"], stage="test-writer", workDir="/", client=c)
                equal(r["startError"]["kind"], "bad_stage", "its workspace is not where it was")
            c.call("sandbox.remove", {"sandbox": s["id"], "force": True})


@timeout(120)
def test_one_view_at_a_time_after_a_keeper(t):
    """A command of a stage that the dead keeper saw begin is still not to be mixed with others."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"workspace": t.workspace()})
        for how in ("alone", "both"):
            params = {"sandbox": s["name"], "command": ["sleep", "99"], "detach": True, "stage": "reviewer"}
            e = c.call("exec.run", params)
            c = after_the_keeper(t, d, c, how)
            refused = c.error("exec.run", {"sandbox": s["name"], "command": ["true"]})
            equal((refused.kind, refused.field), ("invalid_state", "stage"), how)
            exited(t.run(s, ["true"], client=c, stage="reviewer"))
            c.call("exec.cancel", {"execId": e["execId"]})
            c.call("exec.wait", {"execId": e["execId"]})


@timeout(120)
def test_what_was_left_behind_counts(t):
    """Also for a later daemon, and until the sandbox is stopped."""
    leave = "setsid sleep 100 >/dev/null 2>&1 & sleep 0.1"
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"workspace": t.workspace()})
        r = t.run(s, ["/bin/sh", "-c", leave], client=c, leftovers="keep", stage="reviewer", capture="none")
        for how in ("stop", "kill"):
            c = restart(t, d, how)
            e = c.error("exec.run", {"sandbox": s["name"], "command": ["true"]})
            equal((e.kind, e.data.get("resource")), ("invalid_state", f"exec {r['execId']}"), how)
            exited(t.run(s, ["true"], client=c, stage="planner"))
        c.call("sandbox.stop", {"sandbox": s["name"]})
        c.call("sandbox.start", {"sandbox": s["name"]})
        c = restart(t, d)
        exited(t.run(s, ["true"], client=c))


@timeout(120)
def test_a_shared_worktree_after_a_keeper(t):
    """What two sandboxes hold of a repository is held until the second has ended, and then it is gone."""
    _, tree, gitdir = worktree(t)
    with daemon(t) as d:
        c = t.connect(daemon=d)
        held = (gitdir + "/locked", gitdir + "/config.worktree")
        for how in ("alone", "both"):
            first, second = (c.call("sandbox.create", {"workspace": tree}) for _ in range(2))
            c = after_the_keeper(t, d, c, how)
            t.sh(second, "mkdir sub; " + STEERED.format("sub/made"), client=c)
            for last, s in ((False, first), (True, second)):
                equal([os.path.exists(p) for p in held], [True, True], "held")
                equal(os.path.isdir(tree + "/sub/made/.git"), True, "what it works on")
                c.call("sandbox.remove", {"sandbox": s["id"], "force": True})
            until(lambda: not any(map(os.path.exists, held)), 10, "given up")
            equal(os.path.isdir(tree + "/sub/made/.git"), False, "set aside")
            shutil.rmtree(tree + "/sub")


@timeout(120)
def test_killed_with_its_keeper(t):
    """Nobody is left but init."""
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"workspace": ws})
        e = c.call("exec.run", {"sandbox": s["name"], "command": ["sleep", "99"], "detach": True})
        d.kill()
        kill_keepers(t, d)
        d.start()
        c = t.connect(daemon=d)
        got = state(c, s)
        equal((got["state"], got["pid"]), ("running", s["pid"]), "the sandbox")
        equal(c.call("exec.get", {"execId": e["execId"]})["state"], "running", "the command")
        equal(t.sh(s, f"echo new >{ws}/file; cat {ws}/file", client=c), "new\n", "a command")
        c.call("exec.signal", {"execId": e["execId"], "signal": "TERM"})
        signaled(c.call("exec.wait", {"execId": e["execId"]}), signal.SIGTERM)


@timeout(120)
def test_what_is_nobodys_goes(t):
    """A create under way, a spare, a command without a row, a remove that had begun."""
    config = {"daemon": {"on_stop": "keep"}}
    with daemon(t, config) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"name": "stays"})
        until(lambda: c.call("system.info")["counts"]["spares"] > 0, 20, "a spare")
        c.send("sandbox.create", {"name": "half"})
        c.send("exec.run", {"sandbox": "stays", "command": ["sleep", "1000"]})
        c.note("exec.started")
        d.kill()
        d.start()
        c = t.connect(daemon=d)
        until(lambda: not daemon_module.descendants(s["pid"]), 10, "the command is gone")
        until(
            lambda: [x["name"] for x in c.call("sandbox.list")["sandboxes"]] in (["stays"], ["stays", "half"]),
            10,
            "the list",
        )
        exited(t.run(s, ["true"], client=c))
        inits = lambda: [p for p, comm in ours(t, d).items() if comm == "init"]
        wanted = lambda: 1 + c.call("system.info")["counts"]["spares"] + len(
            [x for x in c.call("sandbox.list")["sandboxes"] if x["name"] == "half"]
        )
        until(lambda: len(inits()) == wanted(), 20, f"inits {inits()}")


@timeout(120)
def test_everything_killed(t):
    """Nothing but files is left, and no directory that only those needed who are dead."""
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {})
        t.sh(s, "echo kept >~/kept", client=c)
        d.kill()
        kill_keepers(t, d)
        os.kill(s["pid"], signal.SIGKILL)
        until(lambda: not ours(t, d), 10, "all are dead")
        d.start()
        c = t.connect(daemon=d)
        got = state(c, s)
        equal((got["state"], got["cause"]), ("failed", "sandbox_lost"), "the sandbox")
        until(lambda: not [p for p in daemon_module.cgroup_tree() if s["id"] in p], 10, "its cgroups")
        equal(os.listdir(os.path.join(d.run, "sandboxes")), [], "sockets")
        c.call("sandbox.start", {"sandbox": s["name"]})
        equal(t.sh(s, "cat ~/kept", client=c), "kept\n", "files")
