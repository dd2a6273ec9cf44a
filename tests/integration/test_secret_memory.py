# SPDX-License-Identifier: Apache-2.0
"""Who holds a value shows its memory to nobody: not in a core file, and not to its own user."""

import contextlib
import os
import platform
import resource
import signal
import subprocess
import sys

import tokens
from daemon import descendants, process_table
from harness import modes, timeout
from lib import check, equal, until
from test_secret_files import CONFIG, TOOL
from test_secret_leaks import PROVIDERS, USES, VALUES, WAIT, contents, files_below, keeper_of, search

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
        top = t.workspace(VALUES)
        config = server.config() + CONFIG + PROVIDERS.replace("TOP", top) + "[limits]\npool_memory = 0\n"
        d = t.private_daemon(config, start=False)
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


@modes("root", "owner")
@timeout(120)
def test_cores(t):
    """Each is made to crash with values in it."""
    with any_core(), holders(t) as (d, c, ws, server):
        leave = ["sh", "-c", "ulimit -c unlimited; kill -SEGV $$"]
        t.run("theirs", leave, client=c)
        if not cores(ws):
            t.skip("core files go elsewhere on this host (core_pattern)")
        keeper = keeper_of(d)
        d.kill()
        check(crash(keeper) and cores(d.cwd), "a keeper without values leaves one")
        for path in cores(ws, d.cwd):
            os.unlink(path)
        d.start()
        with d.client() as c:
            c.call("sandbox.remove", {"sandbox": "theirs", "force": True}, timeout=60)
            c.call("sandbox.create", {"name": "theirs", "tool": TOOL, "workspace": ws}, timeout=60)
            r = t.run("theirs", leave, client=c, secrets=USES)
            equal(r["signal"], "SIGSEGV", f"{r}")
            lend(t, c, server)
        victims = processes(d)
        equal(sorted(victims), ["init", "sandbox-broker", "sandbox-keeper"], "who holds some")
        check(not crash(d.pid), "of the daemon")
        d.kill()
        for name, pid in victims.items():
            check(not crash(pid), f"of {name}")
        equal(cores(d.top, d.cwd, ws), [], "core files, of a command neither")
        search(d, "after they crashed")
        server.may_answer.set()
        d.start()
        with d.client() as c:
            c.call("sandbox.remove", {"sandbox": "theirs", "force": True}, timeout=60)


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
                [sys.executable, "-c", LOOK, *map(str, pids)],
                **other, capture_output=True, check=True, text=True,
            ).stdout.splitlines()
        finally:
            plain.kill()
            plain.wait()
        check("environ" in said[0], f"a process that hides nothing is seen: {said}")
        equal(said[1:], ["", "", ""], "what is seen of sandboxd, keeper, broker")
