# SPDX-License-Identifier: Apache-2.0
"""Who holds a value shows its memory to nobody: not in a core file, and not to its own user."""

import contextlib
import os
import platform
import resource
import signal
import subprocess

import tokens
from daemon import descendants, process_table
from harness import exited, modes, timeout
from lib import check, equal, text_of, until
from test_secret_files import TOOL
from test_secret_leaks import (
    CONFIG, FILES, USES, VALUES, WAIT, contents, dumpable, files_below, keeper_of, search,
)

BREAKPOINT = {"x86_64": b"\xcc\xcc", "aarch64": b"\x00\x00\x20\xd4"}


def crash(pid):
    """A breakpoint where it goes on, which not even an init can ignore; whether it left a core file.
    PID is a child of ours, or becomes one as its parent ends."""
    until(lambda: process_table()[pid][0] == os.getpid(), 10, "it is ours", 0.01)
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    at = int(contents(f"/proc/{pid}/syscall").split()[-1], 16)
    code = BREAKPOINT[platform.machine()]
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as f:
        f.seek(at - len(code))  # a system call may begin again
        f.write(code * 2)
    os.kill(pid, signal.SIGCONT)
    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    equal(info.si_status, signal.SIGTRAP, f"signal of {pid}")
    return info.si_code == os.CLD_DUMPED


def cores(*tops):
    return [p for top in tops for p in files_below(top) if os.path.basename(p).startswith("core")]


@contextlib.contextmanager
def any_core():
    """What is started meanwhile may leave core files of any size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@contextlib.contextmanager
def holders(t):
    """A daemon with planted secrets, its client, the workspace of a sandbox, and a token server."""
    server = tokens.Server()
    try:
        top = t.workspace(FILES)
        d = t.private_daemon(server.config() + CONFIG.replace("TOP", top), start=False)
        d.cwd = t.workspace()
        os.chmod(d.cwd, 0o777)  # theirs to write
        d.start()
        t.suite.instances.add(d.instance)
        c = t.connect(daemon=d)
        c.call("secret.set", {"secret": "in_env", "value": {"text": VALUES["in_env"]}})
        c.call("secret.set", {"secret": "login", "value": {"text": tokens.login(1, life=-60)}})
        ws = t.workspace()
        c.call("sandbox.create", {"name": "theirs", "tool": TOOL, "workspace": ws}, timeout=60)
        yield d, c, ws, server
    finally:
        server.close()


def lend(t, c, server):
    """Each holds some from here on."""
    server.hold()
    c.send("secret.lease", {"secret": "login", "ttlMs": 60000})
    check(server.asked.wait(30), "the broker asks")
    t.run("theirs", ["sh", "-c", WAIT], client=c, secrets=USES, detach=True)


def processes(d):
    """pids by name, of its keeper, an init, a broker."""
    found = {name: pid for pid, name in descendants(d.pid).items() if name in ("init", "sandbox-broker")}
    return {"sandbox-keeper": keeper_of(d), **found}


def made_anew(c, ws):
    c.call("sandbox.remove", {"sandbox": "theirs", "force": True}, timeout=60)
    c.call("sandbox.create", {"name": "theirs", "tool": TOOL, "workspace": ws}, timeout=60)


def dies_of_segv(t, c, **more):
    """Whether a command that does leaves a core file."""
    script = "ulimit -c unlimited; sh -c 'kill -SEGV $$'; true"
    r = exited(t.run("theirs", ["sh", "-c", script], client=c, **more))
    said = text_of(r["stderr"]).decode()
    check("fault" in said, f"it died: {said}")
    return "core dumped" in said


@modes("root", "owner")
@timeout(240)
def test_cores(t):
    """Each is made to crash with values in it. (tests/vm/inside sets fs.suid_dumpable to 2: then a change
    of ids alone makes a process dumpable for root.)"""
    if "ASAN_OPTIONS" in os.environ:
        return  # a sanitizer forbids core files itself
    with any_core(), holders(t) as (d, c, ws, server):
        if not dies_of_segv(t, c):
            t.skip("core files are not written on this host (core_pattern)")
        found = processes(d)
        d.kill()
        check(crash(found["sandbox-keeper"]), "a keeper without values leaves one")
        os.kill(found["init"], signal.SIGKILL)
        os.waitid(os.P_PID, found["init"], os.WEXITED | os.WNOWAIT)
        for path in cores(d.cwd, ws):
            os.unlink(path)
        d.start()
        os.chmod(d.socket, 0o666)
        with t.connect(uid=1234, gid=1234, daemon=d) as other:
            other.error("sandbox.create", {"workspace": ws + "/none"})  # looked for with his rights
        with d.client() as c:
            made_anew(c, ws)
            check(not dies_of_segv(t, c, secrets=USES), "of a command")
            lend(t, c, server)
        victims = processes(d)
        equal(sorted(victims), ["init", "sandbox-broker", "sandbox-keeper"], "who holds some")
        check(not crash(d.pid), "of the daemon")
        d.kill()
        for name, pid in victims.items():
            check(not crash(pid), f"of {name}")
        equal(cores(d.top, d.cwd, ws), [], "core files")
        search(d, "after they crashed")
        server.may_answer.set()
        d.start()
        with d.client() as c:
            made_anew(c, ws)
            c.call("sandbox.remove", {"sandbox": "theirs"}, timeout=60)


def core_limit(text):
    """Soft and hard, of a /proc/PID/limits."""
    (line,) = [l for l in text.splitlines() if l.startswith("Max core file size")]
    return line.split()[4:6]


@timeout(120)
def test_forbidden(t):
    """What the kernel goes by, also where it gives core files to a program of the host's and none can be seen."""
    with any_core(), holders(t) as (d, c, _, server):
        look = ["cat", "/proc/self/limits"]
        check(core_limit(text_of(exited(t.run("theirs", look, client=c))["stdout"]).decode())[0] != "1", "any other's")
        lend(t, c, server)
        r = exited(t.run("theirs", look, client=c, secrets=["in_env"]))
        most = "0" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1"
        equal(core_limit(text_of(r["stdout"]).decode()), [most, most], "a command with one")
        found = {"sandboxd": d.pid, **processes(d)}
        equal(len(found), 4, "who holds some")
        for name, pid in found.items():
            check(not dumpable(pid), f"{name} can be dumped")


# What PID shows to who asks: what a debugger does, and what /proc tells.
LOOK = """
import ctypes, os, sys
ATTACH, DETACH = 16, 17
libc = ctypes.CDLL(None)
for pid in map(int, sys.argv[1:]):
    seen = []
    for name in ("mem", "environ", "maps", "map_files", "fd"):
        try:
            path = f"/proc/{pid}/{name}"
            os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
            seen.append(name)
        except PermissionError:
            pass
    if libc.ptrace(ATTACH, pid, None, None) == 0:
        seen.append("ptrace")
        os.waitpid(pid, 0)
        libc.ptrace(DETACH, pid, None, None)
    print(*seen)
"""


@modes("owner", "user")
def test_own_user(t):
    """One who runs as the user that a process runs as sees nothing of it. (An init shows itself to the
    owner of its sandbox, like everything in it.)"""
    other = {"user": t.suite.owner, "extra_groups": []} if os.geteuid() == 0 else {}
    with holders(t) as (d, c, _, server):
        lend(t, c, server)
        found = processes(d)
        plain = subprocess.Popen(["sleep", "100"], **other)
        try:
            pids = [plain.pid, d.pid, found["sandbox-keeper"], found["sandbox-broker"]]
            said = subprocess.run(
                ["/usr/bin/python3", "-c", LOOK, *map(str, pids)],
                **other, capture_output=True, check=True, text=True,
            ).stdout.splitlines()
        finally:
            plain.kill()
            plain.wait()
        check("environ" in said[0], f"a process that hides nothing is seen: {said}")
        equal(said[1:], ["", "", ""], "what is seen of sandboxd, keeper, broker")
