# SPDX-License-Identifier: Apache-2.0
"""Host folders inside: same path, ownership, read-only, several; what is refused, and why."""

import os
import pwd

from harness import exited, modes, refused
from lib import RpcError, check, equal


def test_same_absolute_path(t):
    ws = t.workspace({"a": "text"})
    s = t.sandbox(workspace=ws)
    equal(t.sh(s, f"cat {ws}/a"), "text", "content")
    t.sh(s, "mkdir -p d/e; echo new >d/e/f; ln -s f d/e/link; echo x >>a; chmod 0751 a")
    with open(ws + "/d/e/f", encoding="ascii") as f:
        equal(f.read(), "new\n", "seen outside")
    equal(os.readlink(ws + "/d/e/link"), "f", "link")
    equal(os.stat(ws + "/a").st_mode & 0o777, 0o751, "mode")


def test_files_belong_to_the_owner_outside(t):
    ws = t.workspace({"mine": ""})
    s = t.sandbox(workspace=ws)
    t.sh(s, "touch new; mkdir dir; ln -s x link; mkfifo pipe")
    for name in ("new", "dir", "link", "pipe"):
        st = os.lstat(f"{ws}/{name}")
        equal((st.st_uid, st.st_gid), (t.suite.owner, t.suite.group), f"owner of {name}")
    equal(t.sh(s, "stat -c %u:%g mine new"), "1000:1000\n1000:1000\n", "inside")


def test_files_of_sandbox_root_are_given_back(t):
    """What its root makes belongs to the owner at release."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    t.sh(s, "touch rooted; mkdir rdir; touch rdir/deep; chmod 700 rdir", user="root")
    st = os.lstat(ws + "/rooted")
    check(st.st_uid != 0 or t.mode == "root", "host root owns a file made inside")
    if t.mode == "root":
        check(st.st_uid != 0, "host uid 0 owns what sandbox root made")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    for name in ("rooted", "rdir", "rdir/deep"):
        st = os.lstat(f"{ws}/{name}")
        equal((st.st_uid, st.st_gid), (t.suite.owner, t.suite.group), f"owner of {name}")


def test_other_users_inside(t):
    ws = t.workspace()
    os.chmod(ws, 0o777)
    s = t.sandbox(workspace=ws)
    t.sh(s, "touch by-2000", user="2000")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    equal(os.lstat(ws + "/by-2000").st_uid, t.suite.owner, "owner after release")


def test_read_only(t):
    ws = t.workspace({"a": "text"})
    s = t.sandbox(workspace={"path": ws, "readOnly": True})
    equal(s["workspaces"][0]["readOnly"], True, "readOnly")
    equal(t.sh(s, "cat a"), "text", "reading")
    for user in ("agent", "root"):
        for script in ("echo >a", "touch b", "rm -f a", "chmod 777 a", "mkdir d", "mv a b"):
            r = t.run(s, ["/bin/sh", "-c", script], user=user)
            check(r["exitCode"] != 0, f"{script} as {user} worked")
    equal(os.listdir(ws), ["a"], "outside")


def test_several(t):
    one, two, three = (t.workspace({"n": str(i)}) for i in range(3))
    s = t.sandbox(
        workspace=one, extraWorkspaces=[two, {"path": three, "readOnly": True}]
    )
    equal(len(s["workspaces"]), 3, "workspaces")
    equal(t.sh(s, f"pwd; cat {one}/n {two}/n {three}/n"), f"{one}\n012", "contents")
    t.sh(s, f"echo x >{two}/new")
    check(t.run(s, ["touch", three + "/new"])["exitCode"] != 0, "the read-only one")
    check(os.path.exists(two + "/new"), "seen outside")


def test_nested(t):
    """A workspace inside another: both work, or it is refused by name."""
    outer = t.workspace({"inner/file": "x"})
    try:
        s = t.sandbox(
            workspace=outer, extraWorkspaces=[{"path": outer + "/inner", "readOnly": True}]
        )
    except RpcError as e:
        check((e.field or "").startswith("extraWorkspaces"), str(e))
        return
    check(t.run(s, ["touch", outer + "/inner/new"])["exitCode"] != 0, "the inner is read-only")
    exited(t.run(s, ["touch", outer + "/new"]))


def test_two_sandboxes_share_one(t):
    ws = t.workspace()
    a, b = t.sandbox(workspace=ws), t.sandbox(workspace=ws)
    t.sh(a, "echo from a >x")
    equal(t.sh(b, "cat x"), "from a\n", "seen by the other")


def test_odd_names(t):
    for name in ("with space", "quote'\"", "new\nline", "éè", "-dash", "back\\slash", "a" * 200, "%s$x"):
        top = t.workspace()
        ws = os.path.join(top, name)
        os.mkdir(ws)
        t.own(ws)
        s = t.sandbox(workspace=ws)
        exited(t.run(s, ["touch", "here"]))
        check(os.path.exists(ws + "/here"), f"{name!r}")
        t.client.call("sandbox.remove", {"sandbox": s["name"]})


def test_below_a_closed_folder(t):
    """A parent that the agent could not search on the host is no obstacle inside."""
    top = t.workspace({"in/side": "x"})
    os.chmod(top, 0o700)
    s = t.sandbox(workspace=top + "/in")
    equal(t.sh(s, "cat side"), "x", "content")
    equal(t.sh(s, f"ls {top}"), "in\n", "nothing else of the parent is seen")


def test_hard_links_and_rename(t):
    ws = t.workspace({"a": "x", "d/f": "y"})
    s = t.sandbox(workspace=ws)
    t.sh(s, "ln a b; mv d e; rm e/f; rmdir e; test $(stat -c %h a) = 2")


def test_home_and_tmp_are_the_sandboxs_own(t):
    mark = os.path.join("/tmp", t.unique("mark"))
    with open(mark, "w", encoding="ascii"):
        pass
    try:
        s = t.sandbox()
        check(t.run(s, ["test", "-e", mark])["exitCode"] == 1, "the host's /tmp is seen")
        t.sh(s, f"touch {mark}-2 ~/x /var/tmp/x")
        check(not os.path.exists(mark + "-2"), "it writes in the host's /tmp")
    finally:
        os.unlink(mark)


def denied(t, path, field="workspace", **more):
    e = t.client.error("sandbox.create", {"name": t.unique(), "workspace": path, **more})
    refused(e, "denied", "invalid_params", "not_found")
    check((e.field or "").startswith(field), f"{path}: field {e.field}: {e}")
    return e


def test_places_that_are_never_lent(t):
    home = pwd.getpwuid(os.getuid()).pw_dir
    for path in ("/", "/proc", "/sys", "/dev", "/usr", home, "/home", "/proc/self", "/dev/shm/..", "/tmp/../"):
        denied(t, path)
    for path in (t.daemon.state, t.daemon.run, os.path.dirname(t.daemon.state), "/usr/share", "/sys/fs"):
        denied(t, path)


def test_extra_workspaces_are_checked_too(t):
    ws = t.workspace()
    for path in ("/", "/proc", t.daemon.state, t.daemon.run, "/no/such", "relative"):
        e = t.client.error(
            "sandbox.create", {"name": t.unique(), "workspace": ws, "extraWorkspaces": [path]}
        )
        check((e.field or "").startswith("extraWorkspaces"), f"{path}: {e}")


def test_symlinks_lead_nowhere(t):
    """A link as workspace is what it leads to: checked there; no way to a forbidden place."""
    ws = t.workspace()
    for i, target in enumerate(("/", "/root", "/etc", t.daemon.state, "/proc")):
        link = f"{ws}/link{i}"
        os.symlink(target, link)
        denied(t, link)
        if target != "/proc":
            e = t.client.error(
                "sandbox.create", {"name": t.unique(), "workspace": ws, "extraWorkspaces": [link]}
            )
            check((e.field or "").startswith("extraWorkspaces"), str(e))


def test_symlink_inside_leads_inside(t):
    """A link in the workspace to a host path shows the sandbox's own."""
    ws = t.workspace()
    os.symlink("/etc/shadow", ws + "/shadow")
    os.symlink("/root", ws + "/root")
    os.symlink(t.daemon.state, ws + "/state")
    s = t.sandbox(workspace=ws)
    check(t.run(s, ["cat", "shadow"])["exitCode"] != 0, "shadow is read")
    check(t.run(s, ["ls", "state/"])["exitCode"] != 0, "the state dir is listed")


def test_work_dir_and_files_through_links(t):
    """workDir and files[] are taken inside, through whatever links the agent made."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    t.sh(s, "ln -s / up; ln -s /etc etc; ln -s ../../../../.. dots")
    equal(t.sh(s, "ls -d home/agent", workDir=ws + "/up"), "home/agent\n", "workDir is inside")
    canary = os.path.join(t.suite.work, t.unique("canary"))
    for path in ("up/tmp/x", f"dots{canary}", "../../../../../.." + canary, canary, "./x/../../y"):
        try:
            t.run(s, ["true"], files=[{"path": path, "data": "y"}])
        except RpcError as e:
            equal((e.code, e.field), (-32602, "files[0].path"), path)
        check(not os.path.exists(canary), f"files[] {path} wrote on the host")


@modes("user")
def test_not_yours(t):
    """A workspace must be the peer's own; test_lifecycle has another peer at a root daemon."""
    e = t.client.error("sandbox.create", {"name": t.unique(), "workspace": "/var/lib"})
    equal((e.kind, e.field), ("denied", "workspace"), "error")


def test_is_held_open(t):
    """Renamed away and replaced while in use: the sandbox keeps the one that was checked."""
    ws = t.workspace({"real": "1"})
    s = t.sandbox(workspace=ws)
    moved = ws + "-moved"
    os.rename(ws, moved)
    os.mkdir(ws)
    t.dirs.append(moved)
    equal(t.sh(s, "ls /proc/self/cwd/ 2>/dev/null || ls"), "real\n", "content")


def test_gone_at_start(t):
    """The workspace of a stopped sandbox was deleted: start says so, nothing hangs."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    os.rmdir(ws)
    e = t.client.error("sandbox.start", {"sandbox": s["name"]})
    refused(e, "not_found", "denied", "unavailable", "invalid_state", "runtime_failed")
    check(e.message, "message")
    os.mkdir(ws)
    t.own(ws)


def test_labels_and_tool_are_kept(t):
    s = t.sandbox(tool="shell", labels={"a": "", "b": "x y", "é": "ü"})
    got = t.client.call("sandbox.get", {"sandbox": s["id"]})
    equal((got.get("tool"), got["labels"]), ("shell", {"a": "", "b": "x y", "é": "ü"}), "sandbox")
