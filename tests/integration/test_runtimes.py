# SPDX-License-Identifier: Apache-2.0
"""Every runtime: the same life of a sandbox, the same refusals, and nothing left afterwards."""

import hashlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import time

import daemon as daemon_module
from gitrepo import INSIDE, STEERED, git, worktree
from harness import b64, exited, modes, signaled, timeout
from lib import RpcError, check, equal, text_of, until

ISOLATED = ("crun", "runc")
ALL = (*ISOLATED, "runsc", "host")


def needs(t, runtime):
    """What this host lacks is skipped by name."""
    if runtime != "host" and not shutil.which(runtime):
        t.skip(f"{runtime} is not installed")


def life(t, runtime):
    needs(t, runtime)
    ws = t.workspace({"in": "from outside"})
    s = t.sandbox(workspace=ws, runtime=runtime)
    equal((s["runtime"], s["state"]), (runtime, "running"), "as made")
    r = exited(t.run(s, ["/bin/sh", "-c", "cat in; echo words >&2; echo back > out; exit 7"]), 7)
    equal(text_of(r["stdout"]), b"from outside", "stdout")
    equal(text_of(r["stderr"]), b"words\n", "stderr")
    with open(ws + "/out", encoding="ascii") as f:
        equal(f.read(), "back\n", "file of the workspace")
    equal(os.stat(ws + "/out").st_uid, t.suite.owner, "owner of what the agent made")
    equal(t.sh(s, "pwd").strip(), ws, "work directory")
    equal(text_of(t.run(s, ["cat"], stdin={"text": "typed"})["stdout"]), b"typed", "stdin")
    equal(t.run(s, ["/no/such"])["startError"]["kind"], "not_found", "what is not there")
    signaled(t.run(s, ["/bin/sh", "-c", "kill -9 $$"]), 9)
    return s, ws


def ends(t, s):
    """Timeout and leftovers: whatever was started is gone."""
    mark = f"9{os.getpid() % 1000}{int(time.time()) % 100000}"
    r = t.run(s, ["/bin/sh", "-c", f"sleep {mark} & setsid sleep {mark} & sleep {mark}"],
              timeoutMs=500, graceMs=100)
    equal(r["cause"], "timeout", "cause")
    r = exited(t.run(s, ["/bin/sh", "-c", f"setsid sleep {mark} >/dev/null 2>&1 & sleep 0.2"]))
    check(r["leftovers"] >= 1, f"leftovers {r['leftovers']}")
    until(lambda: not alive(t, s, mark), 20, "sleeps are gone")
    e = t.client.send("exec.run", {"sandbox": s["name"], "command": ["sleep", mark]})
    until(lambda: alive(t, s, mark), 20, "the sleep runs")
    return e, mark


def alive(t, s, mark):
    """Processes with MARK in their command line; gVisor's are no processes of the host."""
    if s["runtime"] == "runsc":
        script = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; echo; done 2>/dev/null"
        return [x for x in t.sh(s, script).splitlines() if x == f"sleep {mark} "]
    return [p for p in os.listdir("/proc") if p.isdigit()
            and mark in daemon_module.command_line(int(p))]


def again(t, s, ws):
    """Stop, start, remove; a start uses the runtime that it was made with."""
    c = t.client
    t.sh(s, "echo kept > \"$HOME/.kept-by-a-test\"" if s["runtime"] != "host" else "true")
    equal(c.call("sandbox.stop", {"sandbox": s["name"]})["state"], "stopped", "stopped")
    check(not os.path.isdir(f"/proc/{s['pid']}") or s["pid"] == 0, "init is gone")
    s2 = c.call("sandbox.start", {"sandbox": s["name"]})
    equal((s2["runtime"], s2["state"]), (s["runtime"], "running"), "started again")
    if s["runtime"] != "host":
        equal(t.sh(s2, "cat $HOME/.kept-by-a-test"), "kept\n", "home after the start")
    equal(t.sh(s2, "cat in"), "from outside", "workspace after the start")
    c.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    until(lambda: not os.path.isdir(f"/proc/{s2['pid']}"), 20, "init is gone")
    check(os.path.exists(ws + "/in"), "the workspace stays")


def whole(t, runtime):
    s, ws = life(t, runtime)
    rid, mark = ends(t, s)
    again(t, s, ws)
    try:
        equal(t.client.wait(rid)["cause"], "cancelled", "cause")
    except RpcError:
        pass
    if runtime != "runsc":
        until(lambda: not alive(t, s, mark), 20, "nothing lives on")


@timeout(120)
def test_crun(t):
    whole(t, "crun")


@timeout(120)
def test_runc(t):
    whole(t, "runc")


@modes("owner", "user")  # host is not for root
@timeout(120)
def test_host(t):
    whole(t, "host")


@timeout(180)
def test_runsc(t):
    whole(t, "runsc")


# ---- what isolates, isolates alike ----
# in a kernel of its own some calls do something harmless instead of being refused
ATTEMPTS = ("setid-bits", "new-namespaces", "mount-things", "gain-capabilities")
ATTEMPTS_OF_LINUX = ("forbidden-calls", "proc-one", "write-cgroups")


def escapes(t, runtime):
    needs(t, runtime)
    ws = t.workspace()
    shutil.copy(t.suite.tools["escape"], ws + "/escape")
    os.chmod(ws + "/escape", 0o755)
    t.own(ws + "/escape")
    s = t.sandbox(workspace=ws, runtime=runtime)
    names = ATTEMPTS + (() if runtime == "runsc" else ATTEMPTS_OF_LINUX)
    for user in ("agent", "root"):
        for name, where in [(n, "/tmp") for n in names] + [("setid-bits", ws)]:
            r = t.run(s, [ws + "/escape", name], user=user, workDir=where)
            said = text_of(r["stdout"])
            check(said and b"NOT REFUSED" not in said, f"{name} as {user}: {said[-500:]!r}")
            exited(r)
    status = t.sh(s, "cat /proc/self/status")
    check("Seccomp:\t2" in status, status)
    for f in os.listdir(ws):
        check(os.stat(f"{ws}/{f}").st_mode & 0o6000 == 0, f"{f} has a bit on the host")


def test_escapes_crun(t):
    escapes(t, "crun")


def test_escapes_runc(t):
    escapes(t, "runc")


@timeout(120)
def test_escapes_runsc(t):
    escapes(t, "runsc")


def commits(t, runtime):
    """A worktree is locked while it is used, and a commit is seen outside."""
    needs(t, runtime)
    _, tree, gitdir = worktree(t)
    s = t.sandbox(workspace=tree, runtime=runtime)
    check(os.path.exists(gitdir + "/locked"), "locked while in use")
    t.sh(s, INSIDE + "echo more > more && git add more && git commit -q -m inside", timeout=60)
    equal(git(t, tree, "log", "-1", "--format=%s").strip(), "inside", "the commit outside")
    if runtime != "host":
        r = t.run(s, ["git", "config", "core.fsmonitor", "/bin/false"])
        check(r["exitCode"] != 0, "what steers git cannot be written")
        t.sh(s, "mkdir sub && " + STEERED.format("sub"))
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    check(not os.path.exists(gitdir + "/locked"), "unlocked afterwards")
    if runtime != "host":
        check(not os.path.exists(tree + "/sub/.git"), "a repository made inside is set aside")


def test_commits_crun(t):
    commits(t, "crun")


def test_commits_runc(t):
    commits(t, "runc")


@timeout(120)
def test_commits_runsc(t):
    commits(t, "runsc")


@modes("owner", "user")  # host is not for root
def test_commits_host(t):
    commits(t, "host")


# ---- host ----
@modes("owner", "user")  # host is not for root
def test_host_is_the_owner(t):
    """His number, home and files; no sandbox's."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws, runtime="host")
    equal((s["isolated"], s["network"]["mode"]), (False, "host"), "shown")
    owner = pwd.getpwuid(t.suite.owner)
    equal(t.sh(s, "id -u; id -g; echo $HOME; id -un").split(),
          [str(owner.pw_uid), str(owner.pw_gid), owner.pw_dir, owner.pw_name], "who it is")
    secret = os.path.join(t.suite.work, t.unique("file"))
    with open(secret, "w", encoding="ascii") as f:
        f.write("of the host")
    t.own(secret)
    equal(t.sh(s, f"cat {secret}"), "of the host", "a file that is no workspace's")
    with open("/proc/self/status", encoding="ascii") as f:
        ours = [line for line in f if line.startswith("Seccomp")]
    equal([x for x in t.sh(s, "cat /proc/self/status").splitlines(True) if x.startswith("Seccomp")],
          ours, "no filter of ours")
    check(t.sh(s, "ls /sys/fs/cgroup").strip() != "", "the host's cgroups are seen")
    check(not os.path.exists("/proc/1/root/sys/fs/cgroup/skeleton"), "the keeper's tree is its own")
    check("skeleton" not in t.sh(s, "ls /sys/fs/cgroup"), "nor is it seen there")
    e = t.client.error("exec.run", {"sandbox": s["name"], "command": ["id"], "user": "root"})
    equal((e.kind, e.field), ("unavailable", "user"), "another user")
    r = t.run(s, ["tty"], tty={"rows": 24, "cols": 80})
    check(text_of(r["output"]).startswith(b"/dev/pts/"), f"a terminal: {r}")


@modes("owner", "user")  # host is not for root
def test_host_refusals(t):
    """What is no sandbox cannot do what a sandbox does, and says so by field."""
    new = {"name": t.unique(), "workspace": t.workspace(), "runtime": "host"}
    table = (
        ({"network": "none"}, "network.mode"),
        ({"limits": {"shmBytes": 1 << 20}}, "limits.shmBytes"),
        ({"limits": {"diskBytes": 1 << 30}}, "limits.diskBytes"),
        ({"template": "claude"}, "template"),
    )
    for more, field in table:
        e = t.client.error("sandbox.create", {**new, **more})
        equal((e.code, e.kind, e.field), (-32005, "unavailable", field), f"{more}")
        check(e.hint, "a hint")
    check(new["name"] not in str(t.client.call("sandbox.list")), "nothing was made")


@modes("root", "owner")
def test_host_is_not_for_root(t):
    ws = t.workspace()
    os.chown(ws, 0, 0)
    e = t.client.error("sandbox.create", {"name": t.unique(), "workspace": ws, "runtime": "host"})
    equal((e.kind, e.field), ("unavailable", "runtime"), "root's own")
    check("ordinary user" in e.hint, f"hint {e.hint}")


def test_host_not_allowed(t):
    d = t.private_daemon({"daemon": {"allow_host": "no"}})
    c = t.connect(daemon=d)
    e = c.error("sandbox.create", {"name": "h", "runtime": "host"})
    equal((e.code, e.kind, e.field), (-32006, "denied", "runtime"), "allow_host = no")
    check("allow_host" in e.hint, f"hint {e.hint}")
    host = [r for r in c.call("system.info")["runtimes"] if r["name"] == "host"]
    equal(host, [{"name": "host", "type": "host", "available": False}], "system.info")
    p = t.ctl("create", "shell", t.workspace(), daemon=d, env={"AGENT_LOOP_HOST": "1"})
    equal(p.returncode, 1, "sandboxctl")
    check(b"allow_host" in p.stderr, p.stderr)
    d.stop()


@modes("owner", "user")  # host is not for root
def test_host_by_environment(t):
    """AGENT_LOOP_HOST=1 counts at create, unless --runtime says otherwise; a warning says it."""
    ws = t.workspace()
    env = {"AGENT_LOOP_HOST": "1"}
    name = t.unique("sb")
    p = t.ctl("create", "--name", name, "shell", ws, env=env)
    t.sandboxes.append((t.client, name))
    equal((p.returncode, p.stdout.decode().strip()), (0, name), f"create: {p.stderr}")
    check(b"warning" in p.stderr and b"without isolation" in p.stderr, p.stderr)
    equal(t.client.call("sandbox.get", {"sandbox": name})["runtime"], "host", "runtime")
    check(b" host " in t.ctl("ls").stdout, "shown by ls")
    other = t.unique("sb")
    p = t.ctl("create", "--name", other, "--runtime", "crun", "shell", ws, env=env)
    t.sandboxes.append((t.client, other))
    check(p.returncode == 0 and p.stderr == b"", p.stderr)
    s = t.client.call("sandbox.get", {"sandbox": other})
    equal((s["runtime"], s["isolated"]), ("crun", True), "an explicit one wins")
    for word in ("0", "", "yes"):
        p = t.ctl("exec", other, "true", env={"AGENT_LOOP_HOST": word})
        equal(p.returncode, 0, f"exec with AGENT_LOOP_HOST={word}")


@modes("owner", "user")  # host is not for root
def test_host_pauses(t):
    """All of it stands still, by cgroup or by signals."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws, runtime="host")
    rid = t.client.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", "while :; do echo x >>ticks; sleep 0.05; done"],
                                     "timeoutMs": 4000})
    until(lambda: os.path.exists(ws + "/ticks"), 20, "it runs")
    equal(t.client.call("sandbox.pause", {"sandbox": s["name"]})["state"], "paused", "paused")
    size = os.stat(ws + "/ticks").st_size
    time.sleep(0.4)
    equal(os.stat(ws + "/ticks").st_size, size, "nothing moves")
    t.client.call("sandbox.resume", {"sandbox": s["name"]})
    until(lambda: os.stat(ws + "/ticks").st_size > size, 20, "it goes on")
    equal(t.client.wait(rid)["cause"], "timeout", "cause")


@modes("owner", "user")  # host is not for root
def test_host_loop(t):
    """AGENT_LOOP_HOST=1 as an orchestrator sets it: a loop on the host, and its run."""
    _, tree, gitdir = worktree(t)
    loop = t.unique("loop")
    p = t.ctl("loop", "create", loop, "-w", tree, "--tool", "shell", env={"AGENT_LOOP_HOST": "1"})
    equal(p.returncode, 0, p.stderr)
    try:
        s = t.client.call("sandbox.get", {"sandbox": f"loop-{loop}-shell"})
        equal((s["runtime"], s["isolated"]), ("host", False), "its sandbox")
        r = t.client.call("loop.run", {"loopId": loop, "tool": "shell", "prompt": "id -u; pwd"}, timeout=60)
        equal(r["output"].split(), [str(t.suite.owner), tree], r)
        e = t.client.error("loop.run", {"loopId": loop, "tool": "shell", "prompt": "true", "stage": "reviewer"})
        equal((e.kind, e.field), ("unavailable", "stage"), "a stage that it cannot restrict")
    finally:
        t.client.call("loop.destroy", {"loopId": loop, "force": True}, timeout=60)
    check(not os.path.exists(gitdir + "/locked"), "unlocked")


# ---- gVisor ----
@timeout(120)
def test_runsc_refusals(t):
    needs(t, "runsc")
    new = {"name": t.unique(), "runtime": "runsc"}
    for more, field in (
        ({"limits": {"pids": 100}}, "limits.pids"),
        ({"limits": {"shmBytes": 1 << 20}}, "limits.shmBytes"),
        ({"limits": {"diskBytes": 1 << 30}}, "limits.diskBytes"),
    ):
        e = t.client.error("sandbox.create", {**new, **more})
        equal((e.code, e.kind, e.field), (-32005, "unavailable", field), f"{more}")
        check(e.hint, "a hint")
    s = t.sandbox(runtime="runsc", workspace=t.workspace())
    exec_ = {"sandbox": s["name"], "command": ["true"]}
    for method, params, field in (
        ("exec.run", {**exec_, "tty": {"rows": 24, "cols": 80}}, "tty"),
        ("exec.run", {**exec_, "stage": "reviewer"}, "stage"),
        ("sandbox.pause", {"sandbox": s["name"]}, "sandbox"),
        ("sandbox.save", {"sandbox": s["name"], "template": "t:1"}, "sandbox"),
    ):
        e = t.client.error(method, params)
        equal((e.code, e.kind, e.field), (-32005, "unavailable", field), method)
        check(e.hint, "a hint")
    exited(t.run(s, ["true"]))


@timeout(120)
def test_runsc_streams(t):
    """Much in, much out, descriptors of the caller's, users, several at once."""
    needs(t, "runsc")
    ws = t.workspace()
    s = t.sandbox(workspace=ws, runtime="runsc", env={"A": "b"})
    check("Linux" in t.sh(s, "cat /proc/version") and t.sh(s, "echo $A") == "b\n", "environment")
    check(len(t.sh(s, "cd /proc; echo [0-9]*").split()) < 10, "no processes of the host")
    data = os.urandom(3 << 20)
    r = exited(t.run(s, ["sha256sum"], stdin=b64(data)))
    equal(text_of(r["stdout"]).split()[0].decode(), hashlib.sha256(data).hexdigest(), "stdin")
    r = exited(t.run(s, ["sha256sum", "big"], files=[{"path": "big", "data": b64(data)}]))
    equal(text_of(r["stdout"]).split()[0].decode(), hashlib.sha256(data).hexdigest(), "a file")
    r = exited(t.run(s, ["head", "-c", "900000", "/dev/zero"]))
    equal(len(text_of(r["stdout"])), 900000, "stdout")
    read, write = os.pipe()
    try:
        exited(t.run(s, ["echo", "direct"], fds=(write,), stdout={"fd": 0}))
        os.close(write)
        write = -1
        equal(os.read(read, 100), b"direct\n", "a descriptor of the caller's")
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)
    equal(t.sh(s, "id -u", user="root").strip(), "0", "root inside")
    ids = [t.client.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", f"sleep 0.3; exit {i}"]})
           for i in range(1, 9)]
    equal([t.client.wait(i)["exitCode"] for i in ids], list(range(1, 9)), "at the same time")
    e = t.client.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "100"], "execId": t.unique("e")})
    x = t.client.note("exec.started")["execId"]
    while x not in str(t.client.call("exec.list", {"filter": {"sandbox": s["name"], "state": "running"}})):
        x = t.client.note("exec.started")["execId"]
    t.client.call("exec.signal", {"execId": x, "signal": "TERM"})
    signaled(t.client.wait(e), 15)


@timeout(120)
def test_runsc_network(t):
    needs(t, "runsc")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        script = f"exec 3<>/dev/tcp/127.0.0.1/{listener.getsockname()[1]}"
        for mode, want in (("none", False), ("host", True)):
            s = t.sandbox(runtime="runsc", network=mode)
            r = t.run(s, ["bash", "-c", script])
            equal(r["exitCode"] == 0, want, f"network {mode}: {r.get('stderr')}")


def control_sockets(s):
    with open("/proc/net/unix", encoding="utf-8") as f:
        return [x.split()[-1] for x in f if "@runsc" in x and s["id"] in x]


@timeout(120)
def test_runsc_control_socket(t):
    """An abstract socket of the host's would answer every user of the host."""
    needs(t, "runsc")
    s = t.sandbox(runtime="runsc", network="none")
    equal(control_sockets(s), [], "its control socket is seen on the host")
    s = t.sandbox(runtime="runsc", network="host")
    names = control_sockets(s)
    check(names, "the control: it is seen with the host's network")
    for name in names:
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(5)
            c.connect(name.replace("@", "\0"))
            request = {"method": "containerManager.Processes", "arg": name.strip("@").split(".", 1)[1]}
            try:
                c.send(json.dumps(request).encode())
                equal(c.recv(1000), b"", "it answers a user of the host")
            except (BrokenPipeError, ConnectionResetError):
                pass


@timeout(120)
def test_runsc_loses_its_keeper(t):
    """Nothing lives on, the worktree is free, and a start brings it back."""
    needs(t, "runsc")
    _, tree, gitdir = worktree(t)
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "k", "workspace": tree, "runtime": "runsc"}, timeout=60)
    check(os.path.exists(gitdir + "/locked"), "locked")
    keepers = [p for p, comm in daemon_module.descendants(d.pid).items() if comm.startswith("sandbox-keeper")]
    os.kill(min(keepers), 9)  # a later one is its worker
    until(lambda: c.call("sandbox.get", {"sandbox": "k"})["state"] != "running", 10, "noticed")
    until(lambda: not os.path.isdir(f"/proc/{s['pid']}") or zombie(s["pid"]), 10, "gVisor is gone")
    until(lambda: not os.path.exists(gitdir + "/locked"), 10, "unlocked")
    c.call("sandbox.start", {"sandbox": "k"}, timeout=60)
    exited(t.run("k", ["true"], client=c))
    c.call("sandbox.remove", {"sandbox": "k", "force": True})
    d.stop()


@timeout(120)
def test_daemon_goes_and_comes(t):
    """A clean stop ends them all, files stay, and each starts again as it was. Killed, they live on,
    but one of gVisor: its init cannot be connected to again."""
    runtimes = [r for r in ALL if r == "host" and t.suite.owner != 0 or shutil.which(r)]
    d = t.private_daemon()
    c = t.connect(daemon=d)
    for r in runtimes:
        c.call("sandbox.create", {"name": r, "workspace": t.workspace(), "runtime": r}, timeout=60)
    for end in ("stop", "kill"):
        pids = []
        for r in runtimes:
            s = c.call("sandbox.start", {"sandbox": r}, timeout=60)
            equal((s["runtime"], s["state"]), (r, "running"), r)
            pids.append((r, s["pid"]))
            exited(t.run(r, ["/bin/sh", "-c", "echo x >> log"], client=c))
        getattr(d, end)()
        d.start()
        c = t.connect(daemon=d)
        for r, pid in pids:
            if end == "kill" and r != "runsc":
                equal(c.call("sandbox.get", {"sandbox": r})["pid"], pid, f"pid of {r}")
                exited(t.run(r, ["true"], client=c))
            else:
                until(lambda pid=pid: zombie(pid), 15, f"init of {r} is gone after {end}")
    for r in runtimes:
        c.call("sandbox.start", {"sandbox": r}, timeout=60)
        equal(t.sh(r, "cat log", client=c), "x\nx\n", f"files of {r}")
        c.call("sandbox.remove", {"sandbox": r, "force": True})
    d.stop()


def zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


@modes("root", "owner")
def test_one_id(t):
    """An owner without subordinate ids: not every runtime can, and who cannot says so."""
    owner = 64999  # nobody's, and in no /etc/subuid
    ws = t.workspace()
    os.chown(ws, owner, owner)
    d = t.private_daemon()  # the keeper of another owner would be taken for a leak
    c = t.connect(daemon=d)
    for r in ("runc", "runsc"):
        needs(t, r)
        e = c.error("sandbox.create", {"name": t.unique(), "workspace": ws, "runtime": r}, timeout=60)
        equal((e.code, e.kind, e.field), (-32005, "unavailable", "runtime"), r)
        check("subuid" in e.hint, e.hint)
    for r in ("crun", "host"):
        c.call("sandbox.create", {"name": r, "workspace": ws, "runtime": r}, timeout=60)
        equal(t.sh(r, "id -u", client=c).strip(), "1000" if r == "crun" else str(owner), r)
    for r in ("crun", "host"):
        c.call("sandbox.remove", {"sandbox": r, "force": True})
    d.stop()


# ---- programs that fail ----
def broken(t, kind, mode, *kinds):
    """A program of this kind that fails in this way, twice: told, undone, and the name is free."""
    _, tree, gitdir = worktree(t)
    config = {"daemon": {"runtime": "bad"},
              "runtime bad": {"type": kind, "path": t.suite.tools["fake-runtime-" + mode], "timeout": "3s"}}
    d = t.private_daemon(config)
    c = t.connect(daemon=d)
    for _ in range(2):
        e = c.error("sandbox.create", {"name": "same", "workspace": tree}, timeout=60)
        check(e.kind in kinds, f"{kind} {mode}: {e}")
        check(not os.path.exists(gitdir + "/locked"), f"{kind} {mode}: the worktree is locked")
    equal(c.call("sandbox.list")["sandboxes"], [], "sandboxes")
    # trash is emptied in the background
    until(lambda: not [f for _, _, files in os.walk(d.state) for f in files if f == "made"], 10, "records")
    equal([m for m in daemon_module.mounts_with([d.instance, d.state])], [], "mounts")
    d.stop()


def all_broken(t, kind):
    needs(t, kind)
    failed = ("runtime_failed",)
    for mode in ("early", "late", "crash", "noisy"):
        broken(t, kind, mode, *failed)
    for mode in ("hang", "liar"):
        broken(t, kind, mode, "timeout", *failed)


@timeout(180)
def test_broken_runc(t):
    all_broken(t, "runc")


@timeout(180)
def test_broken_runsc(t):
    all_broken(t, "runsc")


# ---- configuration ----
def test_unknown_runtime(t):
    e = t.client.error("sandbox.create", {"name": t.unique(), "runtime": "nosuch"})
    equal((e.code, e.kind, e.field), (-32001, "not_found", "runtime"), "unknown")
    check("crun" in e.hint and "runc" in e.hint, f"the known ones: {e.hint}")


def test_runtimes_of_the_configuration(t):
    """A second crun by another name, the default, a missing one; a start finds what is left."""
    config = {
        "daemon": {"runtime": "mine"},
        "runtime mine": {"type": "crun", "path": "/usr/bin/crun"},
        "runtime gone": {"type": "runc", "path": "/no/such/runc"},
    }
    d = t.private_daemon(config)
    c = t.connect(daemon=d)
    info = c.call("system.info")
    names = {r["name"]: r for r in info["runtimes"]}
    equal((info["defaults"]["runtime"], names["mine"]["path"]), ("mine", "/usr/bin/crun"), "info")
    equal(names["gone"]["available"], False, "missing")
    s = c.call("sandbox.create", {"name": "a"}, timeout=60)
    equal(s["runtime"], "mine", "the default")
    exited(t.run(s, ["true"], client=c))
    e = c.error("sandbox.create", {"name": "b", "runtime": "gone"})
    equal((e.code, e.field, e.hint), (-32005, "runtime", "apt-get install runc"), "missing")
    check("/no/such/runc" in e.message, e.message)
    c.call("sandbox.stop", {"sandbox": "a"})
    d.stop()
    d = t.private_daemon(state=d.state)
    c = t.connect(daemon=d)
    e = c.error("sandbox.start", {"sandbox": "a"})
    equal((e.kind, e.field), ("not_found", "runtime"), "a runtime that is configured no more")
    equal(c.call("sandbox.get", {"sandbox": "a"})["state"], "stopped", "it stays as it was")
    c.call("sandbox.remove", {"sandbox": "a"})
    d.stop()


def test_bad_configuration(t):
    """Each problem with file and line; --check-config fails."""
    path = os.path.join(t.suite.work, t.unique("conf"))
    with open(path, "w", encoding="ascii") as f:
        f.write("[runtime x]\ntype = docker\npath = /x\n[daemon]\nruntime = nosuch\n"
                "[runtime host]\npath = /x\n[runtime y]\ntype = runc\n")
    p = subprocess.run([t.suite.tools["sandboxd"], "--config", path, "--check-config"],
                       capture_output=True, text=True, check=False)
    os.unlink(path)
    check(p.returncode != 0, "accepted")
    for line, words in ((2, "docker"), (2, "no type"), (7, "no path"), (9, "no path")):
        check([x for x in p.stderr.splitlines() if f"{path}:{line}:" in x and words in x],
              f"line {line} {words}: {p.stderr}")
    check("nosuch" in p.stderr, p.stderr)
