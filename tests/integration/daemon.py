# SPDX-License-Identifier: Apache-2.0
"""A private sandboxd in temporary directories, and what it may not leave behind.

The runner is a child subreaper, so whatever a daemon, keeper or sandbox leaves behind becomes a
descendant of the runner and can be found without guessing by name.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import time

import lib

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def process_table():
    """pid -> (parent, state, comm) of every process."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                text = f.read().decode(errors="replace")
        except OSError:
            continue
        comm = text[text.index("(") + 1 : text.rindex(")")]
        rest = text[text.rindex(")") + 2 :].split()
        table[int(name)] = (int(rest[1]), rest[0], comm)
    return table


def descendants(root):
    """Living descendants of ROOT: pid -> comm. Zombies do not count."""
    table = process_table()
    children = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found = {}
    todo = list(children.get(root, []))
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        if table[pid][1] not in "ZX":
            found[pid] = table[pid][2]
    return found


def keepers(root):
    """Those below ROOT, and their workers."""
    return [pid for pid, comm in descendants(root).items() if comm.startswith("sandbox-keeper")]


@contextlib.contextmanager
def held(pids):
    """They stand still; a worker of a keeper may have ended before that."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def reap_orphans(known=()):
    """Reaps adopted zombies; children of Popen (KNOWN) are left to their owners."""
    table = process_table()
    for pid, (parent, state, _) in table.items():
        if parent == os.getpid() and state == "Z" and pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def cgroup_tree():
    """Every cgroup directory of the host with owner and mode."""
    tree = {}
    for top, dirs, _ in os.walk("/sys/fs/cgroup"):
        for d in dirs:
            path = os.path.join(top, d)
            try:
                st = os.lstat(path)
            except OSError:
                continue
            tree[path] = (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode))
    return tree


def dev_tree():
    """What chmod, chown or a careless open could have changed in the host's /dev."""
    tree = {}
    for top, dirs, files in os.walk("/dev"):
        dirs[:] = [d for d in dirs if d not in ("pts", "shm", "mqueue", "fd")]
        for name in dirs + files:
            path = os.path.join(top, name)
            try:
                st = os.lstat(path)
            except OSError:
                continue
            tree[path] = (st.st_uid, st.st_gid, st.st_mode, st.st_rdev)
    return tree


class Tools:
    """Where the built binaries are."""

    NAMES = ("sandboxd", "sandbox-keeper", "sandbox-init", "sandboxctl")

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.paths = {}
        for top, dirs, files in os.walk(self.build):
            dirs[:] = [d for d in dirs if not d.endswith(".p") and d != "meson-private"]
            for name in files:
                path = os.path.join(top, name)
                if os.access(path, os.X_OK) and not os.path.isdir(path):
                    self.paths.setdefault(name, path)

    def __getitem__(self, name):
        if name not in self.paths:
            raise FileNotFoundError(f"{name} is not in {self.build}: build it first")
        return self.paths[name]


class Daemon:
    """One sandboxd. Its folders live below TOP and are removed by destroy()."""

    def __init__(self, tools, top=None, config=None, env=None, state=None, user=None):
        self.tools = tools
        self.top = top or tempfile.mkdtemp(prefix="sbt-", dir="/tmp")
        os.makedirs(self.top, exist_ok=True)
        os.chmod(self.top, 0o755)
        self.state = state or os.path.join(self.top, "state")
        self.run = os.path.join(self.top, "run")
        self.config = os.path.join(self.top, "sandboxd.conf")
        self.log = os.path.join(self.top, "log")
        self.socket = os.path.join(self.run, "sandboxd.sock")
        self.env = env or {}
        self.user = user
        self.cwd = "/"
        self.process = None
        self.instance = None
        self.write_config(config or {})

    def write_config(self, config):
        """{section: {key: value}}, or the text of a file. What a test starts ends with its daemon,
        unless it says otherwise."""
        if not isinstance(config, str):
            config = {**config, "daemon": dict(config.get("daemon", {}))}
            config["daemon"].setdefault("on_stop", "stop")
        with open(self.config, "w", encoding="utf-8") as f:
            if isinstance(config, str):
                f.write(config)
                if "on_stop" not in config:
                    f.write("\n[daemon]\non_stop = stop\n")
                return
            for section, keys in config.items():
                f.write(f"[{section}]\n")
                for key, value in keys.items():
                    f.write(f"{key} = {value}\n")

    def command(self):
        return [
            self.tools["sandboxd"],
            "--config",
            self.config,
            "--state-dir",
            self.state,
            "--runtime-dir",
            self.run,
        ]

    def own_cgroups(self):
        """In a virtual machine each daemon gets a cgroup for itself alone (tests/vm/inside): one that
        holds other processes cannot hand controllers down. And each start gets a new one: keepers and
        sandboxes that outlived the last daemon are below its own, which then takes no process any more."""
        top = os.environ.get("SANDBOXD_TEST_CGROUP")
        mine = "daemon-" + os.path.basename(self.top) + "."
        return sorted(os.path.join(top, x) for x in os.listdir(top) if x.startswith(mine)) if top else []

    def trim_cgroups(self, seconds):
        """What a service manager does to the cgroup of a unit that has ended: it waits until all in
        it have (keepers of a killed daemon need a moment), and empty ones below it go. Whoever stays
        is for the search for leaks to say."""
        deadline = time.monotonic() + seconds
        while True:
            for top in self.own_cgroups():
                for below, _, _ in os.walk(top, topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(below)
            if not self.own_cgroups() or time.monotonic() > deadline:
                break
            time.sleep(0.02)

    def enter_cgroup(self):
        top = os.environ.get("SANDBOXD_TEST_CGROUP")
        if top:
            own = tempfile.mkdtemp(prefix=f"daemon-{os.path.basename(self.top)}.", dir=top)
            os.chmod(own, 0o755)  # as any cgroup: keepers have to pass
            with open(os.path.join(own, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write("0")

    def spawn(self):
        self.trim_cgroups(0)
        env = dict(os.environ)
        env.update(self.env)
        for key in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"):
            env.pop(key, None)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=self.cwd,
                user=self.user,
                start_new_session=True,
                preexec_fn=self.enter_cgroup,
            )
        return self

    def start(self, timeout=15):
        self.spawn()
        deadline = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"sandboxd ended with {self.process.returncode}: {self.log_tail()}"
                )
            try:
                with lib.Client(self.socket) as c:
                    self.instance = c.call("system.info").get("instanceId")
                return self
            except (FileNotFoundError, ConnectionRefusedError, PermissionError, lib.Closed):
                # Closed: of one that was killed, what it was just starting had the socket until its exec
                if time.monotonic() > deadline:
                    raise AssertionError(f"no socket: {self.log_tail()}") from None
                time.sleep(0.02)

    def log_tail(self, size=8000):
        try:
            with open(self.log, "rb") as f:
                return f.read()[-size:].decode(errors="replace")
        except OSError:
            return ""

    def rows(self, query):
        """Of what it has stored; it may run meanwhile."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/state.db?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def client(self, uid=None, gid=None):
        return lib.Client(self.socket, uid, gid)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def fds(self):
        """How many descriptors it has; 0 where nobody may look (an ordinary user's daemon)."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            return 0

    def fd_names(self):
        """What they are, to say more of a leak."""
        names = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                names[fd] = os.readlink(f"/proc/{self.pid}/fd/{fd}")
        return names

    def stop(self, timeout=20):
        """A clean stop: TERM, and the exit status."""
        if not self.alive():
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"no clean stop within {timeout} s: {self.log_tail()}") from None

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def leaves_keepers(self):
        try:
            return bool(os.listdir(os.path.join(self.run, "keepers")))
        except OSError:
            return False

    def destroy(self):
        """Ends it in any case and removes its folders. What a killed one left is for another to end."""
        if not self.alive() and self.leaves_keepers():
            try:
                self.start()
            except AssertionError:
                pass  # found as a leak
        if self.alive():
            try:
                self.stop()
            except AssertionError:
                pass  # it was killed then; what it left is found as a leak
        self.trim_cgroups(20)
        shutil.rmtree(self.top, ignore_errors=True)


class Guard:
    """What the host looked like, to be compared later."""

    def __init__(self):
        self.dev = dev_tree()
        self.cgroups = cgroup_tree()

    def differences(self, ours):
        """OURS: strings that only paths of ours contain. Others may come and go meanwhile."""
        found = []
        now = dev_tree()
        for path, was in self.dev.items():
            if path in now and now[path] != was:
                found.append(f"{path} was {was}, is {now[path]}")
        now = cgroup_tree()
        for path, was in self.cgroups.items():
            if path in now and now[path] != was:
                found.append(f"cgroup {path} was {was}, is {now[path]}")
        for path in now:
            if path not in self.cgroups and any(o and o in path for o in ours):
                found.append(f"cgroup {path} is left")
        return found


def mounts_with(words):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
        return [line.strip() for line in f if any(w and w in line for w in words)]


def end_pids(pids):
    """Kills them; some may have ended since they were listed, as workers of keepers do."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
