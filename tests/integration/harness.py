# SPDX-License-Identifier: Apache-2.0
"""What a test gets: sandboxes, workspaces, clients, private daemons; all undone after it.

Modes: root (root daemon, workspaces of owner 0), owner (root daemon, workspaces of sandboxd-test),
user (everything runs as sandboxd-test).
"""

import base64
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

import daemon as daemon_module
import lib
from lib import check, equal

TEST_USER = "sandboxd-test"


class Skip(Exception):
    """The machine cannot do what the test needs."""


class TimedOut(Exception):
    """The test took longer than it may."""


def timeout(seconds):
    def mark(fn):
        fn.timeout = seconds
        return fn

    return mark


def modes(*names):
    """The test makes sense in these modes only; in others it does not exist."""

    def mark(fn):
        fn.modes = names
        return fn

    return mark


SPARE_FDS = 3  # of the daemon, for each: init's connection, its pidfd, the oom counter


class Suite:
    """Shared by all tests of a run: the tools, the mode, the daemon that most of them use."""

    def __init__(self, tools, mode):
        self.tools = tools
        self.mode = mode
        self.top = tempfile.mkdtemp(prefix="sbt-", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.work = os.path.join(self.top, "work")
        os.mkdir(self.work, 0o755)
        self.whole = True  # not just some tests of it
        self.ids = []  # of every sandbox that was made
        self.instances = set()
        self.daemon = None
        self.fd_baseline = None
        if mode == "owner":
            entry = pwd.getpwnam(TEST_USER)
            self.owner, self.group = entry.pw_uid, entry.pw_gid
        else:
            self.owner, self.group = os.getuid(), os.getgid()
        os.chown(self.work, self.owner, self.group)


    def ensure(self):
        """The shared daemon, running, its first sandbox behind it."""
        if self.daemon is None:
            top = os.path.join(self.top, "d")
            os.mkdir(top, 0o755)
            self.daemon = daemon_module.Daemon(self.tools, top)
        if not self.daemon.alive():
            self.daemon.start()
            self.instances.add(self.daemon.instance)
            self.warm_up()

    def warm_up(self):
        t = Test(self, "warm-up")
        try:
            with self.daemon.client() as c:
                s = t.sandbox(client=c)
                t.sh(s, "true", client=c)
                c.call("sandbox.remove", {"sandbox": s["name"], "force": True})
        except Exception as e:  # the tests will say it better
            print(f"warm-up: {e}", flush=True)
        finally:
            t.undo()
        time.sleep(0.2)
        if self.daemon.alive():
            with self.daemon.client() as c:  # one that is being made counts already, but has not all of its fds
                lib.until(lambda: not any(p["starting"] for p in c.call("pool.list")["pools"]), 60, "spares are ready")
            time.sleep(0.1)
            self.fd_baseline = self.daemon.fds() - SPARE_FDS * self.spares()

    def pid(self):
        """Of the shared daemon, None before its first start."""
        return self.daemon.pid if self.daemon and self.daemon.process else None

    def known_pids(self):
        return {self.daemon.pid} if self.daemon and self.daemon.process else set()

    def spares(self):
        """How many sandboxes the shared daemon keeps ready: they are nobody's, and no leak."""
        with self.daemon.client() as c:
            return c.call("system.info")["counts"]["spares"]

    def leaks(self):
        """What the tests so far left behind, as sentences. Spares come and go while it looks."""
        while self.daemon.alive():
            spares = self.spares()
            found = self.leaks_beside(spares)
            if not found or self.spares() == spares:
                return found
        return ["the daemon is not alive any more: " + self.daemon.log_tail()]

    def leaks_beside(self, spares):
        daemon_module.reap_orphans(self.known_pids())
        found = []
        names = [self.daemon.instance, self.top]
        inits = spares
        for pid, comm in daemon_module.descendants(os.getpid()).items():
            line = daemon_module.command_line(pid)
            if pid == self.daemon.pid or comm.startswith("sandbox-keeper"):
                continue
            if inits > 0 and comm == "init":
                inits -= 1
                continue
            found.append(f"process {pid} {comm}: {line[:120]}")
        found += [f"mount {m}" for m in daemon_module.mounts_with(names)]
        for path in daemon_module.cgroup_tree():
            if any(i in path for i in self.ids):
                found.append(f"cgroup {path}")
        rooms = os.path.join(self.daemon.run, "sandboxes")
        if os.path.isdir(rooms):
            found += [f"runtime dir {d}" for d in os.listdir(rooms)[spares:]]
        fds = self.daemon.fds() - SPARE_FDS * spares
        if self.fd_baseline is not None and fds > self.fd_baseline + 3:
            found.append(f"daemon has {fds} fds, {self.fd_baseline} at first: {self.daemon.fd_names()}")
        return found

    def settle(self, seconds=20):
        """Leaks that stay: cleaning up may go on for a moment after the reply."""
        deadline = time.monotonic() + seconds
        found = self.leaks()
        while found and time.monotonic() < deadline and self.daemon.alive():
            time.sleep(0.1)
            found = self.leaks()
        return found

    def close(self):
        """Stops the daemon; nothing at all may be left. Returns what is."""
        found = []
        if self.daemon and self.daemon.process:
            try:
                status = self.daemon.stop()
                if status not in (0, -signal.SIGTERM):
                    found.append(f"the daemon ended with {status}: {self.daemon.log_tail()}")
            except AssertionError as e:
                found.append(str(e))
        found += left_processes(10)
        names = [i for i in self.instances if i] + [self.top]
        found += [f"mount {m}" for m in daemon_module.mounts_with(names)]
        found += [
            f"cgroup {p}"
            for p in daemon_module.cgroup_tree()
            if any(i and i in p for i in self.instances)
        ]
        shutil.rmtree(self.top, ignore_errors=True)
        return found


def left_processes(seconds):
    """Descendants of the runner that do not end by themselves; they are killed."""
    deadline = time.monotonic() + seconds
    while True:
        daemon_module.reap_orphans()
        left = daemon_module.descendants(os.getpid())
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    found = [f"process {p} {c}: {daemon_module.command_line(p)[:160]}" for p, c in left.items()]
    daemon_module.end_pids(left)
    return found


class Test:
    """One test's own things. The name of each sandbox begins with the test's."""

    counter = 0

    def __init__(self, suite, name):
        self.suite = suite
        self.name = name
        self.mode = suite.mode
        self.daemon = suite.daemon
        self.clients = []
        self.sandboxes = []
        self.dirs = []
        self.daemons = []
        self._client = None

    # ---- things ----
    @property
    def client(self):
        if self._client is None:
            self._client = self.connect()
        return self._client

    def connect(self, uid=None, gid=None, daemon=None):
        c = (daemon or self.daemon).client(uid, gid)
        self.clients.append(c)
        return c

    def skip(self, reason):
        raise Skip(reason)

    def unique(self, prefix="t"):
        Test.counter += 1
        return f"{prefix}-{os.getpid()}-{Test.counter}"

    def own(self, path):
        if os.getuid() == 0:
            os.lchown(path, self.suite.owner, self.suite.group)
        return path

    def workspace(self, files=None, where=None):
        path = os.path.join(where or self.suite.work, self.unique("ws"))
        os.mkdir(path, 0o755)
        self.own(path)
        self.dirs.append(path)
        for name, data in (files or {}).items():
            self.put(path, name, data)
        return path

    def put(self, top, name, data, mode=0o644):
        path = os.path.join(top, name)
        parent = os.path.dirname(path)
        missing = []
        while not os.path.isdir(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for d in reversed(missing):
            os.mkdir(d)
            self.own(d)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, mode)
        self.own(path)
        return path

    def sandbox(self, client=None, **params):
        client = client or self.client
        params.setdefault("name", self.unique("sb"))
        s = client.call("sandbox.create", params, timeout=60)
        self.sandboxes.append((client, s["name"]))
        self.suite.ids.append(s["id"])
        return s

    def private_daemon(self, config=None, env=None, start=True, state=None):
        d = daemon_module.Daemon(self.suite.tools, config=config, env=env, state=state)
        self.daemons.append(d)
        if start:
            d.start()
            self.suite.instances.add(d.instance)
        return d

    # ---- execs ----
    def run(self, sandbox, command, client=None, fds=(), timeout=60, **params):
        name = sandbox["name"] if isinstance(sandbox, dict) else sandbox
        params = {"sandbox": name, "command": list(command), **params}
        return (client or self.client).call("exec.run", params, fds, timeout)

    def sh(self, sandbox, script, **kw):
        """A shell script that must exit 0; its stdout as text."""
        r = self.run(sandbox, ["/bin/sh", "-c", script], **kw)
        if r["exitCode"] != 0:
            raise AssertionError(f"sh -c {script[:300]!r}: {result_text(r)}")
        return lib.text_of(r.get("stdout")).decode(errors="replace")

    def ctl(self, *args, stdin=b"", timeout=60, env=None, daemon=None):
        """sandboxctl as a process; returns CompletedProcess with bytes."""
        e = dict(os.environ)
        e.pop("AGENT_LOOP_HOST", None)
        e["SANDBOXD_SOCKET"] = (daemon or self.daemon).socket
        e.update(env or {})
        command = [self.suite.tools["sandboxctl"], *args]
        return subprocess.run(
            command, input=stdin, capture_output=True, timeout=timeout, env=e, check=False
        )

    def as_owner(self, *args, cwd=None, check_status=True, env=None):
        """A host command as the owner of the workspaces; stdout as text."""
        e = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/nonexistent", "LC_ALL": "C"}
        e.update(env or {})
        user = group = None
        if os.getuid() == 0 and self.suite.owner != 0:
            user, group = self.suite.owner, self.suite.group
        p = subprocess.run(
            list(args),
            cwd=cwd,
            env=e,
            user=user,
            group=group,
            extra_groups=[] if user else None,
            capture_output=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check_status and p.returncode != 0:
            raise AssertionError(f"{args}: {p.returncode}: {p.stderr.decode(errors='replace')}")
        return p.stdout.decode(errors="replace")

    # ---- end ----
    def undo(self):
        problems = []
        for client, name in reversed(self.sandboxes):
            try:
                with lib.Client(client.sock.getpeername()) as c:
                    c.call("sandbox.remove", {"sandbox": name, "force": True}, timeout=30)
            except lib.RpcError as e:
                if e.kind != "not_found":
                    problems.append(f"sandbox.remove {name}: {e}")
            except (OSError, lib.Closed, TimeoutError) as e:
                if client.sock.fileno() >= 0 and self.daemon.alive():
                    problems.append(f"sandbox.remove {name}: {e}")
        for c in self.clients:
            c.close()
        for d in self.daemons:
            d.destroy()
        for path in self.dirs:
            shutil.rmtree(path, ignore_errors=True)
        return problems


def result_text(r):
    """An ExecResult in one line, for messages."""
    out = lib.text_of(r.get("stdout") or r.get("output"))[-600:].decode(errors="replace")
    err = lib.text_of(r.get("stderr"))[-600:].decode(errors="replace")
    keys = ("exitCode", "signal", "cause", "startError", "leftovers", "oomKills")
    return f"{ {k: r.get(k) for k in keys} } stdout={out!r} stderr={err!r}"


def exited(r, code=0):
    if r["exitCode"] != code or r["cause"] != "exited":
        raise AssertionError(f"want exit {code}: {result_text(r)}")
    return r


def signaled(r, number):
    """Ended by this signal; the name or the number is given."""
    name = signal.Signals(number).name
    if r["signal"] not in (number, name, name[3:]) or r["exitCode"] is not None:
        raise AssertionError(f"want signal {name}: {result_text(r)}")
    return r


def b64(data):
    return {"base64": base64.b64encode(data).decode()}


def invalid(e, field=None):
    """-32602, naming the field."""
    equal((e.code, e.kind), (-32602, "invalid_params"), f"error of {e}")
    if field is not None:
        equal(e.field, field, f"field of {e}")


def refused(e, *kinds):
    check(e.kind in kinds, f"kind {e.kind}, want one of {kinds}: {e}")
