# SPDX-License-Identifier: Apache-2.0
"""loop.run: the result of every end, verification, artifacts, streams, cancelling, what is refused."""

import json
import os
import signal
import subprocess
import time

from gitrepo import INSIDE, git, worktree
from harness import modes, timeout
from lib import check, equal, meeting, until
from test_loop import loop


def run(t, lid, prompt, client=None, wait=60, **params):
    """A LoopRunResult of the tool shell, whose prompt is its script."""
    params = {"loopId": lid, "tool": "shell", "prompt": prompt, **params}
    return (client or t.client).call("loop.run", params, timeout=wait)


def send(t, lid, prompt, client=None, **params):
    client = client or t.client
    return client.send("loop.run", {"loopId": lid, "tool": "shell", "prompt": prompt, **params})


def test_completed(t):
    _, tree, _ = worktree(t)
    base = git(t, tree, "rev-parse", "HEAD").strip()
    made = loop(t, tree)
    lid = made["loopId"]
    script = INSIDE + "echo made >new; git add new; git commit -qm second; echo dirty >>README; echo done"
    r = run(t, lid, script, requestId="r-1", stage="implementor", storyId="s-1", artifacts="patch")
    equal((r["state"], r["requestId"], r["backend"], r.get("error")), ("completed", "r-1", "local", None), "result")
    equal(r["output"], "done\n", "output")
    a = r["artifacts"]
    head = git(t, tree, "rev-parse", "HEAD").strip()
    check(head != base, "it committed")
    equal((a["headSha"], a["baseSha"], a["touchedFiles"]), (head, base, ["README", "new"]), "artifacts")
    equal((a["uncommitted"], a["unreachableCommits"]), (True, False), "artifacts")
    check("+made" in a["patch"] and "+dirty" in a["patch"], a["patch"])
    equal((a["logs"]["stdout"], a["logs"]["stderr"]), ("done\n", ""), "logs")
    check("verification" not in a, "verification was not asked for")
    check("/bin/sh -s" in a["logs"]["executionLog"] and "exited with status 0" in a["logs"]["executionLog"],
          a["logs"]["executionLog"])
    check("echo dirty" not in a["logs"]["executionLog"], "the prompt is not on the command line")
    e = r["exec"]
    equal((e["cause"], e["exitCode"]), ("exited", 0), "exec")
    check("stdout" not in e, "its texts are in logs")
    x = t.client.call("exec.get", {"execId": e["execId"]})
    equal((x["stage"], x["storyId"], x["loopId"]), ("implementor", "s-1", lid), "exec.get")
    check(x["command"][:2] == ["/bin/sh", "-s"], f"{x['command']}")
    check(r["startedAt"] <= r["completedAt"] and r["durationMs"] >= e["durationMs"], "times")
    # nothing more, and against another base
    r = run(t, lid, "true")
    equal(r["artifacts"]["touchedFiles"], ["README"], "since HEAD of the start")
    check("patch" not in r["artifacts"], "no patch was asked for")
    r = run(t, lid, "true", baseSha=base, artifacts="patch")
    equal(r["artifacts"]["touchedFiles"], ["README", "new"], "since baseSha")
    r = run(t, lid, "true", artifacts="none")
    equal((r["artifacts"]["headSha"], r["artifacts"]["touchedFiles"]), (None, []), "none")
    receipt = t.client.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)
    equal(receipt["headSha"], head, "the receipt's headSha")
    equal(receipt["execs"], 4, "the receipt's execs")


def test_why_the_patch_is_empty(t):
    _, tree, _ = worktree(t)
    lid = loop(t, tree)["loopId"]
    a = run(t, lid, "true", artifacts="patch")["artifacts"]
    check(a["emptyBecause"].startswith("no_changes: ") and "patch" not in a, f"{a}")
    a = run(t, lid, "true", artifacts="patch", baseSha="0" * 40)["artifacts"]
    check(a["emptyBecause"].startswith("bad_base: "), f"{a}")
    lid = loop(t, t.workspace())["loopId"]
    a = run(t, lid, "echo x >f", artifacts="patch")["artifacts"]
    check(a["emptyBecause"].startswith("no_repository: ") and a["headSha"] is None, f"{a}")


def test_every_other_end(t):
    lid = loop(t)["loopId"]
    for script, params, state, error, cause in (
        ("echo out; echo err >&2; exit 3", {}, "failed", "shell exited with status 3", "exited"),
        ("kill -9 $$", {}, "failed", "shell was killed by signal 9", "signaled"),
        ("sleep 100", {"timeoutMs": 300}, "failed", "shell timed out after 300 ms", "timeout"),
        ("sleep 100", {"timeoutMs": 1000, "graceMs": 100}, "failed", "shell timed out after 1 s", "timeout"),
        ("x", {"workDir": "/no/such"}, "failed", "shell could not be started: No such file or directory", "never_started"),
    ):
        r = run(t, lid, script, artifacts="none", verificationCommands=["true"], **params)
        equal((r["state"], r["error"], r["exec"]["cause"]), (state, error, cause), script)
        v = r["artifacts"]["verification"]
        equal(v["success"], False, f"{script}: nothing was verified")
        check("not run" in v["output"], v["output"])
    # what it says when it only wrote to stderr
    r = run(t, lid, "echo err >&2; exit 1", artifacts="none")
    equal((r["output"], r["artifacts"]["logs"]["stderr"]), ("err\n", "err\n"), "output")


def test_arguments_env_files(t):
    ws = t.workspace()
    os.mkdir(ws + "/sub")
    t.own(ws + "/sub")
    lid = loop(t, ws, env={"A": "loop", "B": "loop"})["loopId"]
    r = run(t, lid, 'echo "$A $B $1 $2"; pwd; cat f', artifacts="none", args=["x y", "z"], env={"B": "run"},
            workDir=ws + "/sub", files=[{"path": "f", "data": "text"}])
    equal(r["output"], f"loop run x y z\n{ws}/sub\ntext", "output")
    big = "x" * 300000  # an argument of that size would be E2BIG
    r = run(t, lid, f": {big}\nwc -c </dev/null", artifacts="none")
    equal(r["state"], "completed", "a big prompt")


def test_verification(t):
    ws = t.workspace()
    lid = loop(t, ws)["loopId"]
    r = run(t, lid, "echo 7 >n", artifacts="none", env={"X": "y"},
            verificationCommands=["cat n; echo $X", "printf err >&2", "test -f n"])
    equal((r["state"], r.get("error")), ("completed", None), "state")
    equal(r["artifacts"]["verification"],
          {"commands": ["cat n; echo $X", "printf err >&2", "test -f n"], "success": True,
           "output": "$ cat n; echo $X\n7\ny\n$ printf err >&2\nerr\n$ test -f n\n"}, "verification")
    r = run(t, lid, "true", artifacts="none", verificationCommands=["true", "echo no; exit 4", "echo still"])
    equal((r["state"], r["exec"]["exitCode"]), ("failed", 0), "state")
    equal(r["error"], "verification failed: `echo no; exit 4` exited with status 4", "error")
    v = r["artifacts"]["verification"]
    equal((v["success"], v["output"]),
          (False, "$ true\n$ echo no; exit 4\nno\n[exited with status 4]\n$ echo still\nstill\n"), "verification")
    r = run(t, lid, "true", artifacts="none", timeoutMs=500, verificationCommands=["sleep 100"])
    equal(r["error"], "verification failed: `sleep 100` timed out after 500 ms", "error")


def test_output_is_characters(t):
    lid = loop(t)["loopId"]
    r = run(t, lid, "printf 'a\\303\\244\\342\\202\\254'", artifacts="none", outputLimitChars=2)
    equal(r["output"], "\u00e4\u20ac", "two characters")
    r = run(t, lid, "printf 'a\\377b\\0c'", artifacts="none")
    equal(r["output"], "a\ufffdb\ufffdc", "what is no text")
    r = run(t, lid, "yes \u20ac | head -n 60000", artifacts="none")
    equal(len(r["output"]), 50000, "the default")
    check(set(r["output"]) == {"\u20ac", "\n"}, "whole characters")
    equal(run(t, lid, "echo x", artifacts="none", outputLimitChars=0)["output"], "", "none")


def test_stream_and_attach(t):
    lid = loop(t)["loopId"]
    rid = send(t, lid, "echo one; sleep 0.3; echo two", stream=True, artifacts="none",
               verificationCommands=["echo three"])
    started = t.client.note("exec.started")
    equal(started["requestId"], rid, "exec.started")
    other = t.connect()
    at = other.send("exec.attach", {"execId": started["execId"]})
    r = t.client.wait(rid)
    equal((r["state"], r["output"]), ("completed", "one\ntwo\n"), "result")
    said = "".join(n["params"]["data"] for n in t.client.notes if n["method"] == "exec.data")
    equal(said, "one\ntwo\n", "exec.data: the tool's, not verification's")
    equal(other.wait(at)["cause"], "exited", "attach ends with an ExecResult")


def test_detach(t):
    ws = t.workspace()
    lid = loop(t, ws)["loopId"]
    x = run(t, lid, "sleep 0.2; echo x >made", detach=True)
    equal((x["state"], x["loopId"]), ("running", lid), "an Exec")
    equal(t.client.call("exec.wait", {"execId": x["execId"]})["exitCode"], 0, "exec.wait")
    check(os.path.exists(ws + "/made"), "it ran")


def test_client_goes_away(t):
    """It goes on unless it was told otherwise."""
    ws = t.workspace()
    lid = loop(t, ws)["loopId"]
    for params, goes_on in (({}, True), ({"onDisconnect": "keep"}, True), ({"onDisconnect": "cancel"}, False)):
        c = t.connect()
        script = f"sleep {0.4 if goes_on else 5}; echo x >made"
        send(t, lid, script, client=c, graceMs=100, **params)
        e = c.note("exec.started")
        c.close()
        r = t.client.call("exec.wait", {"execId": e["execId"]})
        equal(r["cause"], "exited" if goes_on else "cancelled", f"{params}")
        equal(os.path.exists(ws + "/made"), goes_on, f"{params}")
        if goes_on:
            os.unlink(ws + "/made")
    # while it verifies
    c = t.connect()
    send(t, lid, "true", client=c, onDisconnect="cancel", verificationCommands=["sleep 5; echo x >made"])
    until(lambda: [x for x in t.client.call("exec.list", {"filter": {"loopId": lid, "state": "running"}})["execs"]
                   if x["command"][1] == "-c"], 5, "verification runs")
    c.close()
    until(lambda: not t.client.call("loop.get", {"loopId": lid})["alive"], 10, "it is ended")
    check(not os.path.exists(ws + "/made"), "before it could write")


def test_cancel_the_loop(t):
    """Whoever waits for a run gets a result that says so."""
    for when, script, commands, error in (
        ("it runs", "sleep 100", [], "shell was cancelled"),
        ("it verifies", "true", ["sleep 100"], "verification was cancelled"),
    ):
        lid = loop(t)["loopId"]
        rid = send(t, lid, script, verificationCommands=commands)
        if commands:
            until(lambda: len(t.client.call("exec.list", {"filter": {"loopId": lid}})["execs"]) == 2, 5, when)
        else:
            t.client.note("exec.started")
        other = t.connect()
        equal(other.call("loop.cancel", {"loopId": lid})["state"], "cancelled", when)
        r = t.client.wait(rid, 20)
        equal((r["state"], r["error"]), ("cancelled", error), when)
        e = t.client.error("loop.run", {"loopId": lid, "tool": "shell", "prompt": "x"})
        equal((e.code, e.field), (-32004, "loopId"), "run after cancel")


def test_destroy_the_loop(t):
    made = loop(t)
    lid = made["loopId"]
    rid = send(t, lid, "echo before; touch said; sleep 100")
    until(lambda: os.path.exists(made["workDir"] + "/said"), 20, "it runs")
    other = t.connect()
    equal(other.error("loop.destroy", {"loopId": lid}).kind, "invalid_state", "while it runs")
    receipt = other.call("loop.destroy", {"loopId": lid, "force": True})
    equal(receipt["processesKilled"], 1, "receipt")
    r = t.client.wait(rid, 20)
    equal((r["state"], r["output"]), ("cancelled", "before\n"), "result")
    e = other.error("loop.run", {"loopId": lid, "tool": "shell", "prompt": "x"})
    equal((e.code, e.field), (-32004, "loopId"), "run after destroy")


def test_cancel_the_call(t):
    lid = loop(t)["loopId"]
    for script, commands in (("sleep 100", []), ("true", ["sleep 100"])):
        rid = send(t, lid, script, verificationCommands=commands)
        until(lambda: t.client.call("exec.list", {"filter": {"loopId": lid, "state": "running"}})["execs"]
              and (not commands or not t.client.notes.clear()), 5, "it runs")
        time.sleep(0.1)
        t.client.notify("rpc.cancel", {"id": rid})
        reply = t.client.wait_raw(rid, 20)
        equal(reply["error"]["code"], -32009, f"{script} {commands}")
        equal(t.client.call("loop.get", {"loopId": lid})["alive"], False, "and it is dead")


def test_many_at_once(t):
    lid = loop(t)["loopId"]
    ids = [send(t, lid, f"{meeting(10, '/tmp/met')}; echo {i}", artifacts="none") for i in range(10)]
    for i, rid in enumerate(ids):
        equal(t.client.wait(rid, 40)["output"], f"{i}\n", "output")


def test_bad_run(t):
    ws = t.workspace()
    lid = loop(t, ws)["loopId"]
    good = {"loopId": lid, "tool": "shell", "prompt": "true"}
    wrong = []
    for params, code, field in (
        ({}, -32602, "loopId"),
        ({"loopId": lid}, -32602, "tool"),
        ({"loopId": lid, "tool": "shell"}, -32602, "prompt"),
        ({**good, "loopId": "no-such-loop"}, -32001, "loopId"),
        ({**good, "tool": "claude"}, -32001, "tool"),
        ({**good, "tool": "no-such-tool"}, -32001, "tool"),
        ({**good, "tool": "shell@1"}, -32001, "tool"),
        ({**good, "tool": 7}, -32602, "tool"),
        ({**good, "prompt": ""}, -32602, "prompt"),
        ({**good, "prompt": 7}, -32602, "prompt"),
        ({**good, "prompt": ["x"]}, -32602, "prompt"),
        ({**good, "model": "big"}, -32602, "model"),
        ({**good, "model": ""}, -32602, "model"),
        ({**good, "args": "x"}, -32602, "args"),
        ({**good, "stage": "a b"}, -32602, "stage"),
        ({**good, "storyId": ""}, -32602, "storyId"),
        ({**good, "requestId": "x" * 129}, -32602, "requestId"),
        ({**good, "baseSha": "HEAD"}, -32602, "baseSha"),
        ({**good, "baseSha": "--help"}, -32602, "baseSha"),
        ({**good, "profile": "x"}, -32005, "profile"),
        ({**good, "secrets": [{"name": "x", "stdin": True}]}, -32602, "secrets[0].stdin"),
        ({**good, "idempotencyKey": ""}, -32602, "idempotencyKey"),
        ({**good, "env": {"A=B": "x"}}, -32602, "env.A=B"),
        ({**good, "files": [{"path": "x"}]}, -32602, "files[0].data"),
        ({**good, "files": [{"path": "../x", "data": ""}]}, -32602, "files[0].path"),
        ({**good, "workDir": "relative"}, -32602, "workDir"),
        ({**good, "timeoutMs": 0}, -32602, "timeoutMs"),
        ({**good, "timeoutMs": -1}, -32602, "timeoutMs"),
        ({**good, "graceMs": -1}, -32602, "graceMs"),
        ({**good, "verificationCommands": "true"}, -32602, "verificationCommands"),
        ({**good, "verificationCommands": [["true"]]}, -32602, "verificationCommands[0]"),
        ({**good, "verificationCommands": ["true", ""]}, -32602, "verificationCommands[1]"),
        ({**good, "verificationCommands": ["true"] * 65}, -32602, "verificationCommands"),
        ({**good, "verificationCommands": ["true"], "detach": True}, -32602, "verificationCommands"),
        ({**good, "artifacts": "all"}, -32602, "artifacts"),
        ({**good, "outputLimitChars": -1}, -32602, "outputLimitChars"),
        ({**good, "outputLimitChars": 10**7}, -32602, "outputLimitChars"),
        ({**good, "onDisconnect": "x"}, -32602, "onDisconnect"),
        ({**good, "frob": 1}, -32602, "frob"),
    ):
        e = t.client.error("loop.run", params)
        if (e.code, e.field) != (code, field):
            wrong.append(f"{str(params)[:160]}: {e}")
    check(not wrong, "\n  ".join(wrong))
    equal(t.client.call("loop.get", {"loopId": lid})["execs"], 0, "nothing ran")
    t.client.call("sandbox.stop", {"sandbox": f"loop-{lid}-shell"})
    e = t.client.error("loop.run", good)
    equal((e.code, e.field), (-32004, "tool"), "a stopped sandbox")
    check("loop.create" in e.hint, e.hint)
    t.client.call("sandbox.remove", {"sandbox": f"loop-{lid}-shell"})
    equal(t.client.error("loop.run", good).kind, "invalid_state", "a sandbox that is gone")


@modes("root", "owner")
def test_the_sandbox_is_lost(t):
    """A run that cannot end well has a result, and the same loop.create brings the sandbox back."""
    made = loop(t)
    lid, name = made["loopId"], made["sandboxes"][0]
    rid = send(t, lid, "echo before; touch said; sleep 100", verificationCommands=["true"])
    until(lambda: os.path.exists(made["workDir"] + "/said"), 20, "it runs")
    os.kill(t.client.call("sandbox.get", {"sandbox": name})["pid"], signal.SIGKILL)
    r = t.client.wait(rid, 20)
    equal((r["state"], r["error"], r["output"]), ("failed", "shell was lost with its sandbox", "before\n"), "result")
    equal(t.client.error("loop.run", {"loopId": lid, "tool": "shell", "prompt": "x"}).kind, "invalid_state", "gone")
    loop(t, made["workDir"], loopId=lid)
    equal(run(t, lid, "echo after")["output"], "after\n", "it is back")


def test_the_worktree_is_gone(t):
    """Somebody removes it meanwhile: a result, a receipt, nothing left."""
    ws = t.workspace()
    lid = loop(t, ws)["loopId"]
    rid = send(t, lid, "until [ -e go ]; do sleep 0.02; done; echo x", artifacts="patch")
    t.client.note("exec.started")
    os.rename(ws, ws + "-moved")
    t.dirs.append(ws + "-moved")
    t.put(ws + "-moved", "go", "")
    r = t.client.wait(rid, 30)
    equal((r["state"], r["output"]), ("completed", "x\n"), "result")
    check(r["artifacts"]["emptyBecause"], "why there is no patch")
    receipt = t.client.call("loop.destroy", {"loopId": lid})
    equal(receipt["worktreeUnlocked"], None, "receipt")


@timeout(60)
def test_the_daemon_stops_meanwhile(t):
    """A clean stop answers who waits."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    c.call("loop.create", {"loopId": "a", "workDir": t.workspace(), "tools": ["shell"]}, timeout=60)
    rid = c.send("loop.run", {"loopId": "a", "tool": "shell", "prompt": "sleep 100"})
    c.note("exec.started")
    d.stop()
    equal(c.wait(rid)["state"], "cancelled", "result")


def test_sandboxctl(t):
    """loop create, ls, show, run, cancel, rm as a person uses them."""
    _, tree, _ = worktree(t)
    lid = t.unique("l")
    name = f"loop-{lid}-shell"

    def ctl(*args, status=0, **kw):
        p = t.ctl("loop", *args, **kw)
        equal((p.returncode, p.stderr.decode() if status == 0 else ""), (status, ""), f"loop {args}")
        return p.stdout.decode()

    equal(ctl("create", lid, "-w", tree, "--tool", "shell", "--pids", "500", "--label", "a=b"), name + "\n", "create")
    t.sandboxes.append((t.client, name))
    check(lid in ctl("ls") and "active" in ctl("ls"), "ls")
    shown = json.loads(ctl("show", lid))
    equal((shown["workDir"], shown["labels"]), (tree, {"a": "b"}), "show")
    equal(ctl("run", lid, "shell", "echo out; pwd"), f"out\n{tree}\n", "run")
    script = b"echo $1-$2 $A; echo err >&2; exit 3"
    p = t.ctl("loop", "run", "-e", "A=b", lid, "shell", "-", "--", "x", "y z", stdin=script)
    equal((p.returncode, p.stdout, p.stderr), (3, b"x-y z b\n", b"err\n"), "a prompt from stdin, arguments")
    p = t.ctl("loop", "run", "--timeout", "300ms", lid, "shell", "sleep 100")
    equal(p.returncode, 124, "timeout")
    check(b"timed out" in p.stderr, "timeout")
    p = t.ctl("loop", "run", "--verify", "echo seen; false", "--verify", "true", lid, "shell", "true")
    equal(p.returncode, 1, "verification")
    check(b"seen\n" in p.stderr and b"verification failed" in p.stderr, f"{p.stderr}")
    r = json.loads(ctl("run", "-o", "json", "--stage", "implementor", "--story", "s", "--request-id", "r",
                       "--artifacts", "patch", "--result-file", tree + "/result", lid, "shell", "echo x >new; echo o"))
    equal((r["requestId"], r["state"], r["output"], r["artifacts"]["touchedFiles"]), ("r", "completed", "o\n", ["new"]), "json")
    with open(tree + "/result", encoding="utf-8") as f:
        equal(json.load(f), r, "--result-file")
    e = ctl("run", "-d", lid, "shell", "exit 5").strip()
    equal(t.client.call("exec.wait", {"execId": e})["exitCode"], 5, "-d")
    for args, status, said in (
        (("create", lid), 2, b"-w DIR"),
        (("create", lid, "-w", tree + ":ro", "--tool", "shell"), 1, b"read-only"),
        (("create", lid, "-w", tree), 2, b"--tool"),
        (("create", lid, "-w", t.workspace(), "--tool", "shell"), 1, b"(--workdir)"),
        (("create",), 2, b"usage"),
        (("run", lid, "shell"), 125, b"usage"),
        (("run", lid, "shell", "x", "y"), 125, b"behind --"),
        (("run", lid, "claude", "x"), 125, b"no tool claude"),
        (("run", lid, "shell", ""), 125, b"empty"),
        (("run", "--key", "", lid, "shell", "x"), 125, b"--key is too short"),
        (("show", "no-such-loop"), 1, b"no loop"),
        (("rm", "--outcome", "x", lid), 1, b"outcome"),
        (("frobnicate",), 2, b"unknown verb"),
    ):
        p = t.ctl("loop", *args)
        equal(p.returncode, status, f"{args}: {p.stderr}")
        check(said in p.stderr and p.stdout == b"", f"{args}: {p.stderr}")
    ctl("cancel", "--reason", "enough", lid)
    equal(json.loads(ctl("show", "-o", "json", lid))["reason"], "enough", "cancel")
    receipt = ctl("rm", "-f", "--outcome", "failed", lid)
    check(name in receipt and "failed" in receipt, receipt)
    equal(json.loads(ctl("rm", "-o", "json", lid))["outcome"], "failed", "the same again")


def test_sandboxctl_signals(t):
    """INT goes to the agent; a second one gives up the call."""
    lid = loop(t)["loopId"]
    command = [t.suite.tools["sandboxctl"], "--socket", t.daemon.socket, "loop", "run", lid, "shell"]
    for script, signals, want in (
        ("trap 'echo got; exit 7' INT; echo ready; while :; do sleep 0.05; done", 1, 7),
        ("trap '' INT TERM; echo ready; while :; do sleep 0.05; done", 2, 125),
    ):
        p = subprocess.Popen([*command, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        equal(p.stdout.readline(), b"ready\n", "it runs")
        p.send_signal(signal.SIGINT)
        while signals == 2 and p.poll() is None:  # those that come before it looks are one
            time.sleep(0.2)
            p.send_signal(signal.SIGINT)
        p.communicate(timeout=20)
        equal(p.returncode, want, script)
    equal(t.client.call("loop.get", {"loopId": lid})["alive"], False, "nothing is left")
