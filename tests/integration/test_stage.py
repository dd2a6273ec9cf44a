# SPDX-License-Identifier: Apache-2.0
"""Stages as facts: what a command of a stage can write, reach and run in, whatever it tries."""

import os
import shutil
import stat
import time

from gitrepo import git, repository, worktree
from harness import exited, modes, refused, timeout
from lib import RpcError, check, equal, text_of
from test_escape import attempt, prison
from test_loop import loop
from test_loop_run import run

USERS = ("agent", "root")


def snapshot(top):
    """Everything about a tree that a writer could change."""
    seen = {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            st = os.lstat(path)
            data = None
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    data = f.read()
            seen[os.path.relpath(path, top)] = (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, data)
    return seen


def fails(t, s, script, user, stage):
    r = t.run(s, ["/bin/sh", "-c", script], user=user, stage=stage)
    check(r["exitCode"] not in (0, None), f"{script!r} worked as {user} in {stage}: {r}")


# What a process may try with a workspace that it can only read.
WRITES = (
    "echo x >>a",
    "echo x >new",
    ": >a",
    "rm -f a",
    "rm -rf dir",
    "mkdir made",
    "mv a b",
    "mv dir dir2",
    "chmod 777 a",
    "chmod 777 .",
    "touch a",
    "touch -d 2001-01-01 a",
    "ln a hard",
    "ln a /tmp/hard",
    "ln -s a soft",
    "mkfifo pipe",
    "truncate -s 0 a",
    "exec 3<a; echo x >/proc/self/fd/3",
    "exec 3<a; echo x >>/dev/fd/3",
    'exec 3<.; echo x >"/proc/self/fd/3/new"',
    'echo x >"/proc/self/root$PWD/a"',
    "echo x >/proc/self/cwd/new",
    'echo x >"/proc/thread-self/cwd/new"',
    'echo x >"/proc/1/root$PWD/new"',
    "mount -o remount,bind,rw .",
    "mount --bind . /mnt",
    "umount -l .",
    "unshare -m true",
    "unshare -Ur true",
    "nsenter -t 1 -m touch \"$PWD/new\"",
    "setfattr -n user.x -v y a || false",
    "dd if=/dev/zero of=a count=1 conv=notrunc",
    "dd if=/dev/zero of=a count=1",
    "python3 -c 'import os; os.utime(\"a\", (1, 1))'",
)


@timeout(180)
def test_a_reviewer_cannot_change_a_file(t):
    ws = t.workspace({"a": "text", "dir/b": "more"})
    s = t.sandbox(workspace=ws)
    before = snapshot(ws)
    for stage in ("reviewer", "planner"):
        for user in USERS:
            for script in WRITES:
                fails(t, s, script, user, stage)
    equal(snapshot(ws), before, "the workspace")
    equal(t.sh(s, "cat a dir/b; ls", stage="reviewer"), "textmorea\ndir\n", "reading")
    # its own places are still its own: it can take notes
    t.sh(s, "echo n >/tmp/notes; echo n >~/notes; echo n >/dev/shm/notes; echo n >/dev/null", stage="reviewer")
    equal(t.sh(s, "cat /tmp/notes ~/notes", stage="planner"), "n\nn\n", "notes")


def test_an_implementor_still_can(t):
    ws = t.workspace({"a": "text"})
    s = t.sandbox(workspace=ws)
    fails(t, s, "echo x >>a", "agent", "reviewer")
    t.sh(s, "echo x >>a", stage="implementor")
    t.sh(s, "echo y >>a")
    t.sh(s, "echo z >>a", stage="judge")
    t.sh(s, "echo w >>a", stage="free-text")
    fails(t, s, "echo x >>a", "agent", "reviewer")
    equal(t.sh(s, "cat a", stage="reviewer"), "textx\ny\nz\nw\n", "content")


@timeout(180)
def test_a_test_writer_writes_tests(t):
    ws = t.workspace({"a": "text", "dir/b": "", "src/code": "x"})
    s = t.sandbox(workspace=ws)
    before = snapshot(ws)
    t.sh(s, "true", stage="test-writer")
    st = os.lstat(ws + "/tests")
    check(stat.S_ISDIR(st.st_mode), "tests was not made")
    equal((st.st_uid, st.st_gid), (t.suite.owner, t.suite.group), "owner of tests")
    equal(st.st_mode & 0o777, 0o755, "mode of tests")
    for user in USERS:
        for script in WRITES:
            if "/mnt" not in script:
                fails(t, s, script, user, "test-writer")
    for script in (
        "mv src tests/",
        "ln a tests/hard",
        "ln src/code tests/hard",
        "echo x >tests/../src/code",
        "ln -s ../src/code tests/soft && echo x >tests/soft",
        "ln -s ../src tests/link; echo x >tests/link/new",
        "rmdir tests",
        "mv tests other",
        "rm -rf tests",
        "mkdir tests/../made",
    ):
        fails(t, s, script, "agent", "test-writer")
    t.sh(s, "rm -rf tests/*; mkdir -p tests/unit; echo t >tests/unit/t; mv tests/unit/t tests/t; chmod 600 tests/t", stage="test-writer")
    equal(sorted(os.listdir(ws + "/tests")), ["t", "unit"], "what it wrote")
    equal(os.lstat(ws + "/tests/t").st_uid, t.suite.owner, "owner of what it wrote")
    after = {k: v for k, v in snapshot(ws).items() if k != "tests" and not k.startswith("tests/")}
    equal(after, before, "all but tests")
    fails(t, s, "echo x >tests/t", "agent", "reviewer")
    fails(t, s, "echo x >tests/t", "root", "planner")


@timeout(180)
def test_git_is_read_only_too(t):
    _, ws, _ = worktree(t, repository(t, {"code": "1\n"}))
    s = t.sandbox(workspace=ws)
    head = git(t, ws, "rev-parse", "HEAD").strip()
    commit = "git -c user.name=n -c user.email=e@x commit --allow-empty -qm"
    tries = (
        f"{commit} no",
        "git add code; echo 2 >code; git add code",
        "git update-ref refs/heads/new HEAD",
        "git branch new",
        "git tag new",
        "git config user.name x",
        "git stash",
        "git checkout -q -b new",
        "git hash-object -w code",
        'echo x >"$(git rev-parse --git-dir)/x"',
        'echo x >"$(git rev-parse --git-common-dir)/objects/x"',
        'echo x >"$(git rev-parse --git-common-dir)/refs/heads/x"',
    )
    for user in USERS:
        for script in tries:
            fails(t, s, f"export HOME=/tmp; git config --global --replace-all safe.directory '*'; {script}", user, "reviewer")
    check("code" in t.sh(s, "git status --short; git log --oneline -1; git ls-files", stage="reviewer"), "reading git")
    equal(git(t, ws, "rev-parse", "HEAD").strip(), head, "HEAD")
    for script in tries[:1]:
        fails(t, s, script, "agent", "test-writer")
    t.sh(s, f"echo 2 >code; git add code; {commit} yes", stage="implementor")
    check(git(t, ws, "rev-parse", "HEAD").strip() != head, "the implementor could not commit")
    fails(t, s, f"{commit} no", "agent", "reviewer")


def test_a_plain_repository(t):
    repo = repository(t, {"code": "1\n"})
    s = t.sandbox(workspace=repo)
    for user in USERS:
        for script in ("git hash-object -w code", "echo x >.git/x", "echo x >.git/objects/x", "git branch n"):
            fails(t, s, f"export HOME=/tmp; git config --global --replace-all safe.directory '*'; {script}", user, "planner")
    t.sh(s, "git branch n", stage="implementor")


def test_several_workspaces(t):
    one, two = t.workspace({"a": ""}), t.workspace({"b": ""})
    s = t.sandbox(workspace=one, extraWorkspaces=[two])
    for stage in ("reviewer", "test-writer"):
        fails(t, s, f"touch {two}/new", "agent", stage)
        fails(t, s, f"touch {two}/new", "root", stage)
    t.sh(s, "touch tests/x", stage="test-writer")
    check(not os.path.exists(two + "/tests"), "made in the wrong workspace")
    t.sh(s, f"touch {two}/new", stage="implementor")


def test_odd_workspace_names(t):
    for name in ("with space", "new\nline", "tab\there", "back\\slash", "\\040", "é"):
        ws = os.path.join(t.workspace(), name)
        os.mkdir(ws)
        t.own(ws)
        s = t.sandbox(workspace=ws)
        fails(t, s, "touch new", "root", "reviewer")
        t.sh(s, "touch tests/new", stage="test-writer")
        equal(os.listdir(ws), ["tests"], repr(name))
        t.client.call("sandbox.remove", {"sandbox": s["name"]})


def test_read_only_workspace(t):
    ws = t.workspace({"a": ""})
    s = t.sandbox(workspace={"path": ws, "readOnly": True})
    fails(t, s, "touch new", "agent", "reviewer")
    e = t.client.error("exec.run", {"sandbox": s["name"], "command": ["true"], "stage": "test-writer"})
    refused(e, "invalid_state")
    equal(e.field, "stage", "a writer of nothing")
    s = t.sandbox()
    t.sh(s, "touch /tmp/x", stage="reviewer")


def test_moved_parents(t):
    """Its root moves the directories above the workspace: the view does not go by paths."""
    ws = t.workspace({"a": "text"})
    s = t.sandbox(workspace=ws)
    top = "/" + ws.split("/")[1]
    if t.run(s, ["/bin/sh", "-c", f"mv {top} /moved"], user="root", workDir="/")["exitCode"] != 0:
        top = os.path.dirname(ws)
        t.sh(s, f"mv {top} {top}-moved", user="root", workDir="/")
        moved = ws.replace(top, top + "-moved", 1)
    else:
        moved = ws.replace(top, "/moved", 1)
    t.sh(s, f"mkdir -p {ws}", user="root", workDir="/")
    r = t.run(s, ["/bin/sh", "-c", f"touch {moved}/new {moved}/a"], stage="reviewer", user="root", workDir="/")
    check(r["exitCode"] != 0 and not os.path.exists(ws + "/new"), f"written through the moved path: {r}")
    t.sh(s, f"echo x >{moved}/a", stage="implementor", workDir="/")
    r = t.run(s, ["true"], stage="test-writer", workDir="/")
    equal((r["cause"], r["startError"]["kind"]), ("never_started", "bad_stage"), "it went elsewhere")
    check(not os.path.exists(ws + "/tests"), "it went elsewhere")


# ---- the mix ----
def start(t, s, script, **params):
    return t.client.call(
        "exec.run", {"sandbox": s["name"], "command": ["/bin/sh", "-c", script], "detach": True, **params}
    )["execId"]


def end(t, exec_id):
    t.client.call("exec.cancel", {"execId": exec_id})
    t.client.call("exec.wait", {"execId": exec_id})


def busy(t, s, other, **params):
    e = t.client.error("exec.run", {"sandbox": s["name"], "command": ["true"], **params})
    refused(e, "invalid_state")
    equal(e.field, "stage", "field")
    check(other in e.message, f"{other} is not named: {e}")
    equal(e.data.get("resource"), f"exec {other}", "resource")


def test_views_do_not_mix(t):
    """Beside a process that may write, another of the same user could through /proc/PID/root."""
    ws = t.workspace({"a": ""})
    s = t.sandbox(workspace=ws)
    wide = start(t, s, "sleep 100")
    busy(t, s, wide, stage="reviewer")
    busy(t, s, wide, stage="test-writer")
    exited(t.run(s, ["true"], stage="implementor"))
    exited(t.run(s, ["true"]))
    end(t, wide)
    narrow = start(t, s, "sleep 100", stage="reviewer")
    busy(t, s, narrow)
    busy(t, s, narrow, stage="implementor")
    busy(t, s, narrow, stage="test-writer")
    exited(t.run(s, ["true"], stage="reviewer"))
    exited(t.run(s, ["true"], stage="planner"))  # it sees the same
    end(t, narrow)
    exited(t.run(s, ["true"]))
    other = t.sandbox(workspace=ws)  # another sandbox on the same workspace is another world
    wide = start(t, s, "sleep 100")
    fails(t, other, "touch new", "agent", "reviewer")
    end(t, wide)


def test_leftovers_are_gone_before_the_next_stage(t):
    ws = t.workspace({"a": ""})
    s = t.sandbox(workspace=ws)
    script = f"setsid sh -c 'while :; do touch {ws}/late; sleep 0.05; done' >/dev/null 2>&1 & until [ -e late ]; do sleep 0.02; done"
    r = t.run(s, ["/bin/sh", "-c", script], stage="implementor")
    check(r["leftovers"] > 0, f"nothing was left: {r}")
    os.unlink(ws + "/late")
    fails(t, s, "touch late", "agent", "reviewer")
    time.sleep(0.3)
    check(not os.path.exists(ws + "/late"), "the last stage still writes")


def test_kept_leftovers_count(t):
    ws = t.workspace({"a": ""})
    s = t.sandbox(workspace=ws)
    r = t.run(s, ["/bin/sh", "-c", "setsid sleep 100 >/dev/null 2>&1 & sleep 0.1"], leftovers="keep")
    check(r["leftovers"] > 0, f"nothing was left: {r}")
    busy(t, s, r["execId"], stage="reviewer")
    exited(t.run(s, ["true"]))
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    t.client.call("sandbox.start", {"sandbox": s["name"]})
    fails(t, s, "touch new", "agent", "reviewer")
    r = t.run(s, ["/bin/sh", "-c", "setsid sleep 100 >/dev/null 2>&1 & sleep 0.1"], leftovers="keep", stage="reviewer")
    busy(t, s, r["execId"])
    exited(t.run(s, ["true"], stage="planner"))


def test_many_at_once(t):
    """The first of a stage makes its view; all that come meanwhile wait for that one."""
    ws = t.workspace({"a": ""})
    s = t.sandbox(workspace=ws)
    for stage in ("reviewer", "test-writer"):
        ids = [
            t.client.send(
                "exec.run",
                {"sandbox": s["name"], "command": ["/bin/sh", "-c", "! touch a && sleep 0.2"], "stage": stage, "capture": capture},
            )
            for capture in ("none", "separate") * 25
        ]
        for i in ids:
            exited(t.client.wait(i))


def test_stop_and_start(t):
    ws = t.workspace({"a": ""})
    s = t.sandbox(workspace=ws)
    for _ in range(3):
        for stage in ("reviewer", "test-writer"):
            fails(t, s, "touch new", "agent", stage)
        t.sh(s, "echo x >>~/log; touch tests/x", stage="test-writer")
        t.client.call("sandbox.stop", {"sandbox": s["name"]})
        t.client.call("sandbox.start", {"sandbox": s["name"]})
    equal(t.sh(s, "cat ~/log", stage="reviewer"), "x\n" * 3, "its own files")


@timeout(180)
def test_a_directory_that_was_replaced(t):
    """Made anew, moved, removed between two execs: the path counts, not what it once was."""
    ws = t.workspace({"a": "", "src/code": "x"})
    s = t.sandbox(workspace=ws)
    t.sh(s, "touch tests/1", stage="test-writer")
    t.sh(s, "rm -rf tests; mkdir tests", stage="implementor")
    t.sh(s, "touch tests/2", stage="test-writer")
    t.sh(s, "mv tests old; mv src tests", stage="implementor")
    t.sh(s, "touch tests/3", stage="test-writer")
    fails(t, s, "touch old/3", "agent", "test-writer")
    t.sh(s, "rm -rf tests", stage="implementor")
    t.sh(s, "touch tests/4", stage="test-writer")
    for i in range(60):  # each a new view: the old ones are given back
        t.sh(s, "rm -rf tests", stage="implementor")
        t.sh(s, f"touch tests/{i}", stage="test-writer")


def test_what_is_no_directory(t):
    elsewhere = t.workspace({"x": ""})
    for script in ("touch tests", f"ln -s {elsewhere} tests", "ln -s src tests; mkdir src", "mkfifo tests"):
        ws = t.workspace()
        s = t.sandbox(workspace=ws)
        t.sh(s, script)
        e = t.client.error("exec.run", {"sandbox": s["name"], "command": ["true"], "stage": "test-writer"})
        refused(e, "invalid_state")
        equal(e.field, "stage", "field")
        fails(t, s, "touch new", "agent", "reviewer")
    equal(os.listdir(elsewhere), ["x"], "behind the link")


# ---- profiles ----
def test_configuration(t):
    d = t.private_daemon(
        {
            "stage documenter": {"writable": "docs/api, notes", "timeout": "1s"},
            "stage test-writer": {"workspace": "ro"},
            "stage planner": {"workspace": "rw"},
            "stage claude-only": {"tools": "claude"},
            "stage shell-only": {"tools": "shell, claude"},
            "stage online": {"network": "host"},
            "stage broken": {"workspace": "readonly"},
        }
    )
    c = d.client()
    ws = t.workspace({"a": ""})
    s = t.sandbox(client=c, workspace=ws, tool="shell")
    exited(t.run(s, ["/bin/sh", "-c", "touch docs/api/x notes/y; ! touch docs/x; ! touch z"], client=c, stage="documenter"))
    equal(sorted(os.listdir(ws)), ["a", "docs", "notes"], "made")
    equal(t.run(s, ["sleep", "60"], client=c, stage="documenter")["cause"], "timeout", "the stage's timeout")
    exited(t.run(s, ["sleep", "1.5"], client=c, stage="documenter", timeoutMs=30000))
    for stage in ("test-writer", "broken"):
        check(t.run(s, ["touch", "new"], client=c, stage=stage)["exitCode"] != 0, stage)
    exited(t.run(s, ["touch", "planned"], client=c, stage="planner"))
    exited(t.run(s, ["true"], client=c, stage="shell-only"))
    for stage in ("claude-only", "online"):
        e = c.error("exec.run", {"sandbox": s["name"], "command": ["true"], "stage": stage})
        refused(e, "denied")
        equal(e.field, "stage", stage)
    c.call("sandbox.remove", {"sandbox": s["name"]})


def test_network(t):
    """`none` in a sandbox with the host's network: only its own loopback is left."""
    d = t.private_daemon({"stage offline": {"network": "none"}, "stage quiet": {"network": "none", "workspace": "ro"}})
    c = d.client()
    ws = t.workspace({"a": ""})
    s = t.sandbox(client=c, workspace=ws, network="host")
    links = "echo $(ls /proc/sys/net/ipv4/conf | sort); readlink /proc/self/ns/net"
    own = [t.sh(s, links, client=c, stage=stage) for stage in ("offline", "quiet")]
    host = t.sh(s, links, client=c)
    for text in own:
        equal(text.split("\n")[0], "all default lo", "interfaces")
        check(text.split("\n")[1] != host.split("\n")[1], "the host's network namespace")
    ping = "import socket; a = socket.socket(); a.bind(('127.0.0.1', 0)); a.listen(); socket.create_connection(a.getsockname())"
    for stage in ("offline", "quiet"):
        exited(t.run(s, ["python3", "-c", ping], client=c, stage=stage))
    exited(t.run(s, ["touch", "new"], client=c, stage="offline"))
    check(t.run(s, ["touch", "new2"], client=c, stage="quiet")["exitCode"] != 0, "quiet is read-only")
    check(t.run(s, ["touch", "new2"], client=c, stage="quiet", user="root")["exitCode"] != 0, "quiet is read-only")
    c.call("sandbox.remove", {"sandbox": s["name"]})


def test_everything_else_works_in_a_view(t):
    ws = t.workspace({"a": "text"})
    s = t.sandbox(workspace=ws)
    stage = {"stage": "reviewer"}
    r = t.run(s, ["sh", "-c", "cat; tty; stty size"], tty={"rows": 33, "cols": 77}, stdin={"text": "in\n\x04"}, **stage)
    text = text_of(r["output"]).decode()
    check("/dev/pts/" in text and "33 77" in text, text)
    equal(t.sh(s, "pwd; id -u", **stage), f"{ws}\n1000\n", "where it runs")
    equal(t.sh(s, "pwd", workDir="/tmp", **stage), "/tmp\n", "where it was told to")
    equal(t.run(s, ["true"], workDir="/nowhere", **stage)["startError"]["kind"], "bad_workdir", "no directory")
    equal(t.run(s, ["cat", "/tmp/f"], workDir="/tmp", files=[{"path": "f", "data": "file"}], **stage)["stdout"], "file", "files")
    r = t.run(s, ["true"], files=[{"path": "f", "data": "file"}], **stage)
    equal((r["cause"], r["startError"]["errno"]), ("never_started", 30), "files in a read-only place")
    r = t.run(s, ["sh", "-c", "setsid sleep 100 >/dev/null 2>&1 & sleep 0.1"], **stage)
    check(r["leftovers"] > 0, f"leftovers: {r}")
    r = t.run(s, ["sleep", "100"], timeoutMs=300, **stage)
    equal(r["cause"], "timeout", "timeout")
    equal(t.client.call("exec.get", {"execId": r["execId"]})["stage"], "reviewer", "stage")


# ---- loops ----
STAGES = [
    {"name": "reviewer", "timeoutMs": 1000},
    {"name": "docs", "writable": ["docs/api", "notes/"], "tools": ["shell"]},
    {"name": "planner", "workspace": "rw"},
    {"name": "claude-only", "tools": ["claude"]},
    {"name": "offline", "workspace": "ro", "network": "none"},
]


@timeout(90)
def test_loop(t):
    """The stages of a loop: its own table, then the configuration's, and nothing else."""
    ws = t.workspace({"a": "text"})
    lid = loop(t, ws, stages=STAGES)["loopId"]
    r = run(t, lid, "touch docs/api/x notes/y; touch docs/z || touch a || echo refused", stage="docs")
    equal((r["state"], r["output"][-8:]), ("completed", "refused\n"), r["output"])
    equal(sorted(os.listdir(ws)), ["a", "docs", "notes"], "made")
    for stage in ("reviewer", "offline"):
        r = run(t, lid, "touch new", stage=stage)
        equal((r["state"], r["exec"]["cause"]), ("failed", "exited"), stage)
    r = run(t, lid, "sleep 60", stage="reviewer")
    equal((r["error"], r["exec"]["cause"]), ("shell timed out after 1 s", "timeout"), "the stage's timeout")
    equal(run(t, lid, "sleep 1.5", stage="reviewer", timeoutMs=20000)["state"], "completed", "its own")
    equal(run(t, lid, "touch planned", stage="planner")["state"], "completed", "overridden by name")
    equal(run(t, lid, "touch tests/t; ! touch a", stage="test-writer")["state"], "completed", "a preset")
    equal(run(t, lid, "touch a")["state"], "completed", "without")
    for stage, kind in (("typo", "invalid_params"), ("claude-only", "denied")):
        e = t.client.error("loop.run", {"loopId": lid, "tool": "shell", "prompt": "true", "stage": stage})
        equal((e.kind, e.field), (kind, "stage"), stage)
    check("docs" in e.hint or "sandbox" in e.hint, e.hint)
    e = t.client.error("loop.run", {"loopId": lid, "tool": "shell", "prompt": "true", "stage": "typo"})
    for known in ("reviewer", "docs", "planner", "claude-only", "offline", "judge", "implementor"):
        check(f" {known}" in e.hint, f"{known} is not named: {e.hint}")
    # the same again, and another
    loop(t, ws, loopId=lid, stages=STAGES)
    loop(t, ws, loopId=lid)
    for other in (STAGES[1:], [{**STAGES[0], "timeoutMs": 2000}, *STAGES[1:]]):
        e = t.client.error("loop.create", {"loopId": lid, "workDir": ws, "tools": ["shell"], "stages": other})
        equal((e.kind, e.field), ("conflict", "stages"), "other stages")
    # free text where the loop named none
    equal(run(t, loop(t, t.workspace())["loopId"], "touch x", stage="typo")["state"], "completed", "free text")


def test_loop_after_a_restart(t):
    d = t.private_daemon()
    ws = t.workspace({"a": "text"})
    params = {"loopId": "a", "workDir": ws, "tools": ["shell"]}
    with d.client() as c:
        c.call("loop.create", {**params, "stages": STAGES}, timeout=60)
    for stop in (d.stop, d.kill):
        stop()
        d.start()
        with d.client() as c:
            c.call("loop.create", params, timeout=60)
            equal(run(t, "a", "touch new", client=c, stage="reviewer")["state"], "failed", "reviewer")
            equal(run(t, "a", "touch docs/api/n", client=c, stage="docs")["state"], "completed", "docs")
            e = c.error("loop.run", {"loopId": "a", "tool": "shell", "prompt": "true", "stage": "typo"})
            equal(e.field, "stage", "unknown")
    with d.client() as c:
        c.call("loop.destroy", {"loopId": "a"})


def test_bad_tables(t):
    ws = t.workspace()
    cases = [
        ({"name": "x", "writable": ["/abs"]}, "invalid_params", "stages[1].writable[0]"),
        ({"name": "x", "writable": ["a", "b/../c"]}, "invalid_params", "stages[1].writable[1]"),
        ({"name": "x", "writable": ["tests/*.c"]}, "invalid_params", "stages[1].writable[0]"),
        ({"name": "x", "writable": [".git/hooks"]}, "invalid_params", "stages[1].writable[0]"),
        ({"name": "x", "writable": [""]}, "invalid_params", "stages[1].writable[0]"),
        ({"name": "x", "writable": ["a" * 1025]}, "invalid_params", "stages[1].writable[0]"),
        ({"name": "x", "writable": list("abcdefghi")}, "invalid_params", "stages[1].writable"),
        ({"name": "x", "writable": "tests"}, "invalid_params", "stages[1].writable"),
        ({"name": "x", "writable": [1]}, "invalid_params", "stages[1].writable[0]"),
        ({"name": "x", "workspace": "rw", "writable": ["a"]}, "invalid_params", "stages[1].writable"),
        ({"name": "x", "workspace": "readonly"}, "invalid_params", "stages[1].workspace"),
        ({"name": "x", "workspace": {"writable": ["a"]}}, "invalid_params", "stages[1].workspace"),
        ({"name": "x", "tools": ["emacs"]}, "not_found", "stages[1].tools[0]"),
        ({"name": "x", "tools": ["shell", "claude@1.2"]}, "invalid_params", "stages[1].tools[1]"),
        ({"name": "x", "timeoutMs": -1}, "invalid_params", "stages[1].timeoutMs"),
        ({"name": "x", "timeoutMs": 0}, "invalid_params", "stages[1].timeoutMs"),
        ({"name": "x", "timeoutMs": "1s"}, "invalid_params", "stages[1].timeoutMs"),
        ({"name": "x", "network": "gateway"}, "unavailable", "stages[1].network"),
        ({"name": "x", "network": "moon"}, "invalid_params", "stages[1].network"),
        ({"name": "ok"}, "invalid_params", "stages[1].name"),
        ({"name": "a b"}, "invalid_params", "stages[1].name"),
        ({"name": ""}, "invalid_params", "stages[1].name"),
        ({}, "invalid_params", "stages[1].name"),
        ({"name": "x", "colour": "red"}, "invalid_params", "stages[1].colour"),
        ("reviewer", "invalid_params", "stages[1]"),
    ]
    wrong = []
    for stage, kind, field in cases:
        e = t.client.error(
            "loop.create",
            {"loopId": t.unique("l"), "workDir": ws, "tools": ["shell"], "stages": [{"name": "ok"}, stage]},
        )
        if (e.kind, e.field) != (kind, field):
            wrong.append(f"{str(stage)[:100]}: {e}")
    for stages, field in (([{"name": f"s{i}"} for i in range(65)], "stages"), ({}, "stages"), ("x", "stages")):
        e = t.client.error(
            "loop.create", {"loopId": t.unique("l"), "workDir": ws, "tools": ["shell"], "stages": stages}
        )
        if (e.kind, e.field) != ("invalid_params", field):
            wrong.append(f"{str(stages)[:100]}: {e}")
    check(not wrong, "\n  ".join(wrong))
    equal(os.listdir(ws), [], "nothing was made")


@modes("root", "owner")
def test_an_owner_without_subordinate_ids(t):
    """One id inside, that of the agent and of init: the view is as closed."""
    uid = 64123
    t._client = t.connect(daemon=t.private_daemon())  # its keeper stays for a minute
    ws = t.workspace({"a": "text", "dir/b": ""})
    for name in ("", "/a", "/dir", "/dir/b"):
        os.chown(ws + name, uid, uid)
    s = t.sandbox(workspace=ws)
    equal(t.sh(s, "cat /proc/self/uid_map").split()[0::2], ["1000", "1"], "one id")
    before = snapshot(ws)
    for script in WRITES:
        fails(t, s, script, "agent", "reviewer")
    equal(snapshot(ws), before, "the workspace")
    t.sh(s, "touch tests/x; ! touch new", stage="test-writer")
    equal(os.lstat(ws + "/tests").st_uid, uid, "owner of tests")
    shutil.copy(t.suite.tools["escape"], ws + "/escape")
    for name, *args in (("view-namespaces",), ("view-remount", ws), ("view-write", ws), ("proc-one",)):
        attempt(t, s, ws, name, *args, users=("agent",), stage="planner")


@timeout(120)
def test_runtimes(t):
    """runc as crun; the others say that they cannot."""
    for runtime in ("runc", "runsc", "host"):
        if runtime != "host" and not shutil.which(runtime):
            continue
        if runtime == "host" and t.suite.owner == 0:
            continue  # it is nobody's who is root
        ws = t.workspace({"a": ""})
        try:
            s = t.sandbox(workspace=ws, runtime=runtime)
        except RpcError as e:
            equal((e.code, e.field), (-32005, "runtime"), f"{runtime} on this machine")
            continue
        if runtime == "runc":
            fails(t, s, "touch new", "agent", "reviewer")
            fails(t, s, "touch new", "root", "test-writer")
            t.sh(s, "touch tests/new", stage="test-writer")
        else:
            for stage in ("reviewer", "test-writer"):
                params = {"sandbox": s["name"], "command": ["true"], "stage": stage}
                e = t.client.error("exec.run", params)
                equal((e.code, e.field), (-32005, "stage"), f"{stage} in {runtime}")
        exited(t.run(s, ["touch", ws + "/new"], stage="implementor"))
        t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True}, timeout=60)


# ---- getting out ----
@timeout(180)
def test_escapes(t):
    s, ws = prison(t)
    before = snapshot(ws)
    attempt(t, s, ws, "view-namespaces", stage="reviewer")
    attempt(t, s, ws, "view-remount", ws, stage="reviewer")
    attempt(t, s, ws, "view-write", ws, stage="reviewer")
    for name in ("mount-things", "join-namespaces", "new-namespaces", "new-mount-api", "proc-one"):
        attempt(t, s, ws, name, stage="reviewer")
    companion = start(t, s, "sleep 100", stage="reviewer")
    pid = t.client.call("exec.get", {"execId": companion})["pid"]
    attempt(t, s, ws, "view-neighbour", str(pid), ws, stage="planner")
    end(t, companion)
    equal(snapshot(ws), before, "the workspace")


def test_the_way_that_is_closed(t):
    """The control: within one view a process does reach its neighbour's root, hence no mix."""
    s, ws = prison(t)
    companion = start(t, s, "sleep 100")
    pid = t.client.call("exec.get", {"execId": companion})["pid"]
    r = t.run(s, [ws + "/escape", "view-neighbour", str(pid), ws])
    check(b"NOT REFUSED" in text_of(r["stdout"]), "the attempt sees no hole where there is one")
    end(t, companion)
