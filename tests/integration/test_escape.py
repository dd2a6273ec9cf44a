# SPDX-License-Identifier: Apache-2.0
"""Programs that try to get out (tests/escape), as the agent and as the sandbox's root.

Each attempt is one exec; it says what it tried and exits 0 only if all of it was refused.
"""

import ctypes
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys

import daemon as daemon_module
from gitrepo import worktree
from harness import exited, timeout
from lib import check, equal, text_of

BOTH = ("agent", "root")


def prison(t, **params):
    """A sandbox with the program in its workspace."""
    ws = t.workspace()
    shutil.copy(t.suite.tools["escape"], ws + "/escape")
    os.chmod(ws + "/escape", 0o755)
    t.own(ws + "/escape")
    return t.sandbox(workspace=ws, **params), ws


def attempt(t, s, ws, name, *args, users=BOTH, fds=(), **params):
    """Runs one attempt; what was not refused is the failure."""
    holes = []
    for user in users:
        r = t.run(s, [ws + "/escape", name, *args], user=user, fds=fds, **params)
        said = text_of(r.get("stdout") or r.get("output")).decode(errors="replace").splitlines()
        missed = [line for line in said if "NOT REFUSED" in line]
        if r["exitCode"] != 0 or missed:
            what = "; ".join(missed[:12]) or f"{r['cause']} {r['exitCode']} {r['signal']} {r.get('stderr')}"
            holes.append(f"as {user}: {what} ({len(missed)} of {len(said)})")
        elif not fds and not said:
            holes.append(f"as {user}: it said nothing")
    check(not holes, " | ".join(holes))


def test_program_says_when_it_gets_through(t):
    """The control: on the host, attempts do get through, so the program can see a hole."""
    p = subprocess.run(
        [t.suite.tools["escape"], "read-paths", "/etc/passwd"], capture_output=True, check=False
    )
    equal(p.returncode, 1, "reading /etc/passwd of the host, on the host")
    check(b"NOT REFUSED" in p.stdout, p.stdout)


# ---- host files ----
def test_host_files(t):
    secret = os.path.join(t.suite.work, t.unique("secret"))
    with open(secret, "w", encoding="ascii") as f:
        f.write("secret")
    t.own(secret)
    other = t.sandbox()
    s, ws = prison(t)
    paths = [
        secret,
        "/root/.bashrc",
        "/root/.ssh",
        "/home/sandboxd-test/.bashrc",
        "/etc/shadow-",
        "/etc/gshadow",
        "/etc/ssh",
        "/etc/subuid",
        t.daemon.socket,
        t.daemon.state + "/state.db",
        t.daemon.state,
        t.daemon.run,
        t.daemon.config,
        t.daemon.run + "/sandboxes/" + other["id"],
        t.suite.work + "/nothing",
        "/run/sandboxd/sandboxd.sock",
        "/var/lib/sandboxd",
        "/run/dbus/system_bus_socket",
        "/var/run/docker.sock",
        "/boot",
        "/lost+found",
        "/../" + secret,
        ws + "/../../../.." + secret,
        f"/proc/self/root{secret}",
        f"/proc/{os.getpid()}/root/etc/shadow",
    ]
    attempt(t, s, ws, "read-paths", *paths)


def test_host_shadow(t):
    """/etc/shadow inside, if there is one, is not the host's."""
    s, ws = prison(t)
    words = ["/etc/passwd", socket.gethostname() + ":x-never"]
    if os.getuid() == 0:
        with open("/etc/shadow", encoding="ascii") as f:
            line = f.readline().strip()
        words += ["/etc/shadow", line]
    with open("/etc/machine-id", encoding="ascii") as f:
        words += ["/etc/machine-id", f.read().strip() or "x"]
    words += ["/etc/passwd", "sandboxd-test"]
    words += ["/proc/self/environ", "SANDBOXD"]
    words += ["/proc/self/mountinfo", t.daemon.instance + "-never"]
    attempt(t, s, ws, "not-host-content", *words)


def test_write_system(t):
    s, ws = prison(t)
    attempt(t, s, ws, "write-system")


def test_other_sandboxes(t):
    """Another sandbox's home, processes and workspace do not exist."""
    s, ws = prison(t)
    other = t.sandbox(workspace=t.workspace({"theirs": "x"}))
    t.sh(other, "echo secret >/home/agent/secret; echo secret >/tmp/secret")
    e = t.run(other, ["sleep", "60"], detach=True)
    attempt(
        t, s, ws, "read-paths", "/home/agent/secret", "/tmp/secret", other["workspaces"][0]["path"],
        t.daemon.state + "/owners",
    )
    for user in BOTH:
        check("sleep" not in t.sh(s, "cat /proc/[0-9]*/comm", user=user), "its processes are seen")
    t.client.call("exec.cancel", {"execId": e["execId"]})


def test_through_links_and_dots(t):
    """A link in the workspace to the host's, by every way that takes a path."""
    secret = os.path.join(t.suite.work, t.unique("secret"))
    with open(secret, "w", encoding="ascii") as f:
        f.write("secret")
    s, ws = prison(t)
    os.symlink(secret, ws + "/l1")
    os.symlink("../" + os.path.basename(secret), ws + "/l2")
    os.symlink("/", ws + "/l3")
    attempt(t, s, ws, "read-paths", ws + "/l1", ws + "/l2", ws + "/l3" + secret)
    r = t.run(s, ["cat", os.path.basename(secret)], workDir=ws + "/..")
    check(r["exitCode"] != 0, "through workDir")


def test_handles_and_chroot(t):
    s, ws = prison(t)
    attempt(t, s, ws, "handles")
    attempt(t, s, ws, "chroot-out", t.daemon.state, t.suite.work + "/nothing", "/root/.bashrc")


# ---- devices ----
def test_devices(t):
    s, ws = prison(t)
    before = daemon_module.dev_tree()
    attempt(t, s, ws, "change-devices")
    attempt(t, s, ws, "make-nodes")
    after = daemon_module.dev_tree()
    equal({k: v for k, v in after.items() if before.get(k, v) != v}, {}, "the host's /dev")


# ---- descriptors ----
def test_descriptors(t):
    s, ws = prison(t)
    attempt(t, s, ws, "only-stdio")
    attempt(t, s, ws, "reopen")
    attempt(t, s, ws, "only-stdio", tty={"rows": 10, "cols": 10})


def test_descriptors_that_were_passed(t):
    s, ws = prison(t)
    for user in BOTH:
        in_r, in_w = os.pipe()
        out_r, out_w = os.pipe()
        params = {
            "sandbox": s["name"],
            "command": [ws + "/escape", "reopen"],
            "stdin": {"fd": 0},
            "stdout": {"fd": 1},
            "user": user,
        }
        r = t.client.call("exec.run", params, [in_r, out_w])
        for fd in (in_r, in_w, out_w):
            os.close(fd)
        said = os.read(out_r, 65536)
        os.close(out_r)
        check(r["exitCode"] == 0 and b"NOT REFUSED" not in said, f"{user}: {said}")


def test_write_only_descriptor_stays_so(t):
    """A socket or terminal opened for writing does not become readable by /proc/self/fd."""
    s, ws = prison(t)
    a, b = socket.socketpair()
    b.shutdown(socket.SHUT_RD)
    script = "exec 3<>/proc/self/fd/1 && echo opened >&2"
    params = {"sandbox": s["name"], "command": ["/bin/sh", "-c", script], "stdout": {"fd": 0}}
    r = t.client.call("exec.run", params, [b.fileno()])
    check(r["stderr"] != "opened\n", "a socket was opened again")
    a.close()
    b.close()


def test_spool_is_out_of_reach(t):
    """stdout is a pipe, not the file that keeps it."""
    s, ws = prison(t)
    for user in BOTH:
        out = t.sh(s, "readlink /proc/self/fd/1 /proc/self/fd/2", user=user)
        check(all(line.startswith("pipe:") for line in out.split()), out)


# ---- processes ----
def test_host_processes(t):
    s, ws = prison(t)
    name = t.unique("canary-process")
    p = subprocess.Popen(["/bin/sh", "-c", "exec sleep 60", name], executable="/bin/sh")
    named = subprocess.Popen([name, "60"], executable="/bin/sleep")
    try:
        attempt(t, s, ws, "see-host", str(max(p.pid, 4000000)), name)
        attempt(t, s, ws, "see-host", str(named.pid), name)
        attempt(t, s, ws, "kill-everything")
        check(p.poll() is None and named.poll() is None, "a host process was killed")
        exited(t.run(s, ["true"]))
        equal(t.client.call("sandbox.get", {"sandbox": s["name"]})["pid"], s["pid"], "init")
    finally:
        p.kill()
        named.kill()
        p.wait()
        named.wait()


def test_kill_all_hits_only_the_sandbox(t):
    """kill -1 KILL inside: other sandboxes and the daemon live."""
    s, ws = prison(t)
    other = t.sandbox()
    e = t.run(other, ["sleep", "60"], detach=True)["execId"]
    for user in BOTH:
        t.run(s, ["/bin/sh", "-c", "kill -9 -1"], user=user)
    equal(t.client.call("exec.get", {"execId": e})["state"], "running", "the other's exec")
    exited(t.run(s, ["true"]))


def test_init_of_the_sandbox(t):
    s, ws = prison(t)
    attempt(t, s, ws, "trace-init")
    attempt(t, s, ws, "proc-one")


def test_trace_of_other_users(t):
    """The agent cannot trace its sandbox's root, nor the other way round."""
    s, ws = prison(t)
    c = t.client

    def start(user):
        e = t.run(s, ["sleep", "100"], detach=True, user=user)
        return e["execId"], str(e["pid"])

    root, root_pid = start("root")
    agent, agent_pid = start("agent")
    attempt(t, s, ws, "trace-pids", root_pid, users=("agent",))
    attempt(t, s, ws, "trace-pids", agent_pid, users=("root",))
    for e in (root, agent):
        c.call("exec.cancel", {"execId": e})


def test_agent_cannot_signal_root(t):
    s, _ = prison(t)
    e = t.run(s, ["sleep", "100"], detach=True, user="root")
    r = t.run(s, ["/bin/sh", "-c", f"kill -9 {e['pid']}"])
    check(r["exitCode"] != 0, "killed")
    equal(t.client.call("exec.get", {"execId": e["execId"]})["state"], "running", "state")
    t.client.call("exec.cancel", {"execId": e["execId"]})


def test_terminal_of_the_caller(t):
    """A terminal that was lent: nothing can be typed into it (TIOCSTI)."""
    s, ws = prison(t)
    for user in BOTH:
        master, slave = pty.openpty()
        owner = subprocess.Popen(
            [sys.executable, "-c", "import fcntl,time;fcntl.ioctl(0,0x540e,0);print(flush=True);time.sleep(60)"],
            stdin=slave, stdout=subprocess.PIPE, start_new_session=True,
        )
        owner.stdout.readline()
        try:
            params = {
                "sandbox": s["name"],
                "command": [ws + "/escape", "type-for-owner"],
                "stdin": {"fd": 0},
                "user": user,
            }
            r = t.client.call("exec.run", params, [slave])
            said = text_of(r["stdout"])
            check(r["exitCode"] == 0 and b"TIOCSTI" in said, f"{user}: {said} {r}")
        finally:
            owner.kill()
            owner.wait()
            os.close(slave)
            os.close(master)


# ---- mounts, namespaces, kernel ----
def test_mounts(t):
    s, ws = prison(t)
    attempt(t, s, ws, "mount-things")
    attempt(t, s, ws, "change-mounts", ws)
    attempt(t, s, ws, "new-mount-api")


def test_mounts_of_git(t):
    """What covers .git and its parts cannot be taken away, as the agent or root."""
    repo, tree, gitdir = worktree(t)
    shutil.copy(t.suite.tools["escape"], tree + "/escape")
    os.chmod(tree + "/escape", 0o755)
    s = t.sandbox(workspace=tree)
    attempt(
        t, s, tree, "change-mounts", tree, tree + "/.git", repo + "/.git", gitdir,
        repo + "/.git/objects", gitdir + "/commondir", gitdir + "/config.worktree",
    )


def test_namespaces(t):
    s, ws = prison(t)
    attempt(t, s, ws, "new-namespaces")
    attempt(t, s, ws, "join-namespaces")


def test_kernel_knobs(t):
    s, ws = prison(t)
    attempt(t, s, ws, "write-sysctl")
    attempt(t, s, ws, "read-kernel")


def test_forbidden_calls(t):
    s, ws = prison(t)
    attempt(t, s, ws, "forbidden-calls")
    attempt(t, s, ws, "other-tables")
    attempt(t, s, ws, "gain-capabilities")


def test_setid_bits(t):
    """By every call that can set them; nothing on the host has them afterwards."""
    s, ws = prison(t)
    attempt(t, s, ws, "setid-bits", workDir=ws)
    attempt(t, s, ws, "setid-bits", workDir="/tmp")
    left = [f for f in os.listdir(ws) if os.lstat(ws + "/" + f).st_mode & 0o6000]
    equal(left, [], "files with such bits")


def test_setid_by_ordinary_tools(t):
    s, ws = prison(t)
    for user in BOTH:
        script = (
            "cp /bin/sh sh; chmod u+s sh; chmod 4755 sh; install -m 4755 /bin/sh sh2; "
            "/usr/bin/python3 -c 'import os; os.chmod(\"sh\", 0o6755)'; tar --version >/dev/null; "
            "find . -perm /6000"
        )
        r = t.run(s, ["/bin/sh", "-c", script], user=user)
        equal(text_of(r["stdout"]), b"", f"as {user}")
        t.run(s, ["/bin/sh", "-c", "rm -f sh sh2"], user=user)


def test_suid_programs_of_the_host_give_nothing(t):
    """su, mount, newuidmap and their kin run without their bit."""
    s, _ = prison(t)
    script = "for p in /usr/bin/su /usr/bin/mount /usr/bin/newuidmap /usr/bin/sudo; do test -u $p && echo $p; done; grep NoNewPrivs /proc/self/status"
    equal(t.sh(s, script).split()[-1], "1", "no_new_privs")


# ---- limits ----
def test_limits(t):
    params = {} if t.mode == "user" else {"limits": {"memoryBytes": 256 << 20, "pids": 100}}
    s, ws = prison(t, **params)
    before = daemon_module.cgroup_tree()
    attempt(t, s, ws, "write-cgroups")
    attempt(t, s, ws, "mount-cgroups")
    attempt(t, s, ws, "raise-rlimits")
    attempt(t, s, ws, "be-nice")
    after = daemon_module.cgroup_tree()
    made = [p for p in after if p not in before and "escape" in p]
    equal(made, [], "cgroups made from inside")


# ---- network ----
def host_addresses():
    out = subprocess.run(["hostname", "-I"], capture_output=True, check=False).stdout.decode().split()
    return ["127.0.0.1", "127.0.0.53", "::1", "169.254.169.254", "1.1.1.1", "10.0.0.1", *out]


def test_network_none(t):
    listener = socket.socket()
    listener.bind(("0.0.0.0", 0))
    listener.listen(16)
    s, ws = prison(t)
    attempt(t, s, ws, "connect-hosts", str(listener.getsockname()[1]), *host_addresses())
    listener.setblocking(False)
    try:
        listener.accept()
        raise AssertionError("somebody connected")
    except BlockingIOError:
        pass
    listener.close()
    attempt(t, s, ws, "interfaces")
    attempt(t, s, ws, "raw-sockets")
    attempt(t, s, ws, "configure-network")
    attempt(t, s, ws, "vsock")


def test_host_sockets(t):
    """Abstract and named Unix sockets of the host, the daemon's own among them."""
    name = t.unique("abstract")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("\0" + name)
    listener.listen(4)
    named = socket.socket(socket.AF_UNIX)
    path = os.path.join(t.suite.work, t.unique("sock"))
    named.bind(path)
    named.listen(4)
    os.chmod(path, 0o777)
    s, ws = prison(t)
    attempt(
        t, s, ws, "unix-sockets", "@" + name, path, t.daemon.socket,
        f"{t.daemon.run}/sandboxes/{s['id']}/init.sock", "/run/dbus/system_bus_socket",
        "/var/run/docker.sock", "@/tmp/.X11-unix/X0",
    )
    listener.close()
    named.close()
    os.unlink(path)


def test_loopback_of_its_own(t):
    """The control: lo inside works, between its own processes."""
    s, _ = prison(t)
    program = (
        "import socket;l=socket.socket();l.bind(('127.0.0.1',0));l.listen();"
        "c=socket.create_connection(l.getsockname());c.sendall(b'x');print(l.accept()[0].recv(1))"
    )
    equal(t.sh(s, f'/usr/bin/python3 -c "{program}"'), "b'x'\n", "loopback")


def test_system_v_segments(t):
    libc = ctypes.CDLL(None, use_errno=True)
    key = 0x5B7E0000 + os.getpid() % 65536
    segment = libc.shmget(key, 4096, 0o1666)
    check(segment >= 0, "shmget on the host")
    try:
        s, ws = prison(t)
        attempt(t, s, ws, "sysv", hex(key))
    finally:
        libc.shmctl(segment, 0, None)


def test_daemon_socket_from_a_sandbox(t):
    """Even where its socket is in the workspace, the daemon refuses a peer in a sandbox."""
    ws = t.workspace()
    d = t.private_daemon()
    link = ws + "/sock"
    try:
        os.link(d.socket, link)
    except OSError:
        t.skip("no hard links here")
    s = t.sandbox(workspace=ws)
    program = (
        "import socket,sys\ns=socket.socket(socket.AF_UNIX)\n"
        "try:\n s.connect('sock')\n s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sandbox.list\"}\\n')\n"
        " print(s.recv(4096).decode())\nexcept OSError as e: print('refused', e)"
    )
    # this daemon's keepers are another daemon's: use its own sandbox for the own socket
    out = t.sh(s, f"/usr/bin/python3 -c \"$P\"", env={"P": program})
    check('"result"' not in out, out)
    c = t.connect(daemon=d)
    own = c.call("sandbox.create", {"name": "inner", "workspace": ws})
    out = t.sh(own, "/usr/bin/python3 -c \"$P\"", env={"P": program}, client=c)
    check('"result"' not in out, f"a sandbox talks to its own daemon: {out}")
    c.call("sandbox.remove", {"sandbox": "inner"})
    os.unlink(link)
    d.stop()


def test_network_host_is_told(t):
    """Network `host` is no boundary and is shown."""
    try:
        s = t.sandbox(network="host")
    except Exception as e:
        check(getattr(e, "kind", "") in ("denied", "unavailable"), str(e))
        return
    equal(s["network"]["mode"], "host", "network")
    out = t.sh(s, "ls /sys/class/net 2>/dev/null || cat /proc/net/dev")
    check("lo" in out, out)


@timeout(60)
def test_signal_from_a_dying_sandbox(t):
    """The sandbox's end takes only itself."""
    s, _ = prison(t)
    keep = t.sandbox()
    os.kill(s["pid"], signal.SIGKILL)
    exited(t.run(keep, ["true"]))
    equal(t.client.call("system.ping"), {}, "ping")
