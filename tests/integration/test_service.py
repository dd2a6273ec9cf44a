# SPDX-License-Identifier: Apache-2.0
"""What a service manager does to the daemon, played by the test: notify socket, passed socket, reload."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import daemon as daemon_module
import lib
from harness import modes
from lib import check, equal

# Makes descriptor argv[1] the third, names this process as the one that it is for, becomes the rest.
PASS_SOCKET = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager(daemon_module.Daemon):
    """A daemon under a service manager, which is this object."""

    def __init__(self, tools, config=None, watchdog_ms=0, activated=False):
        super().__init__(tools, config=config)
        self.notes = os.path.join(self.top, "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notify.bind(self.notes)
        self.watchdog_ms = watchdog_ms
        self.listener = None
        if activated:
            os.mkdir(self.run, 0o700)
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            self.listener.bind(self.socket)
            self.listener.listen(64)

    def spawn(self):
        self.trim_cgroups(0)
        env = {**os.environ, "NOTIFY_SOCKET": self.notes}
        for key in ("LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID"):
            env.pop(key, None)
        if self.watchdog_ms:
            env["WATCHDOG_USEC"] = str(self.watchdog_ms * 1000)
        command, fds = self.command(), ()
        if self.listener:
            fds = (self.listener.fileno(),)
            command = [sys.executable, "-c", PASS_SOCKET, str(fds[0]), *command]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/", pass_fds=fds,
                start_new_session=True, preexec_fn=self.enter_cgroup,
            )
        return self

    def wait_for(self, word, seconds=30):
        """The next message in which WORD is a line's beginning, and those before it."""
        deadline, before = time.monotonic() + seconds, []
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.notify], [], [], left)[0]:
                raise AssertionError(f"no {word}; but {before}; {self.log_tail()}")
            text = self.notify.recv(4096).decode()
            before.append(text)
            if any(line.startswith(word) for line in text.splitlines()):
                return text, before

    def reload(self):
        """SIGHUP; what the daemon says at its end."""
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("RELOADING=1")
        return self.wait_for("READY=1")[0]

    def destroy(self):
        super().destroy()
        self.notify.close()
        if self.listener:
            self.listener.close()


def managed(t, **how):
    d = Manager(t.suite.tools, **how)
    t.daemons.append(d)
    return d


def begin(t, d):
    """Until it says that it is ready; only then it is asked who it is."""
    d.spawn()
    text, before = d.wait_for("READY=1")
    with d.client() as c:
        d.instance = c.call("system.info")["instanceId"]
    t.suite.instances.add(d.instance)
    return text, before


def test_notify(t):
    """READY when it answers, STATUS with what runs, WATCHDOG from the event loop, STOPPING."""
    d = managed(t, watchdog_ms=400, config={"limits": {"pool_memory": "0"}})
    text, before = begin(t, d)
    equal(len(before), 1, "nothing is said before READY")
    check("STATUS=0 sandboxes run, 0 commands, 0 ready to be claimed" in text, text)
    for _ in range(3):
        d.wait_for("WATCHDOG=1")
    c = t.connect(daemon=d)
    s = t.sandbox(c, tool="shell", workspace=t.workspace())
    d.wait_for("STATUS=1 sandbox runs, 0 commands")
    c.call("sandbox.remove", {"sandbox": s["name"]})
    t.sandboxes.pop()
    d.process.send_signal(signal.SIGTERM)
    d.wait_for("STOPPING=1")
    equal(d.process.wait(30), 0, "a clean stop")


@modes("root", "user")  # else there are two owners, and a pool of each
def test_status_with_spares(t):
    """Spares are not what runs."""
    d = managed(t, config={"pool host": {"min": "1", "max": "1"}})
    begin(t, d)
    d.wait_for("STATUS=0 sandboxes run, 0 commands, 1 ready to be claimed")
    c = t.connect(daemon=d)
    t.sandbox(c, tool="shell", workspace=t.workspace())
    d.wait_for("STATUS=1 sandbox runs, 0 commands, 1 ready to be claimed")


def test_watchdog_is_the_event_loop(t):
    """A daemon that stands still does not feed it: a process of its own would."""
    d = managed(t, watchdog_ms=400)
    begin(t, d)
    d.wait_for("WATCHDOG=1")
    d.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, d.pid, os.WSTOPPED | os.WNOWAIT)
    while select.select([d.notify], [], [], 0)[0]:
        d.notify.recv(4096)
    quiet = not select.select([d.notify], [], [], 1.5)[0]
    d.process.send_signal(signal.SIGCONT)
    check(quiet, "it was fed although the loop stood still")
    d.wait_for("WATCHDOG=1")


def test_reload(t):
    """The next create sees the new limit; the sandbox that is there keeps what it has."""
    d = managed(t, config={"limits": {"pids": "100", "sandboxes_per_user": "1"}})
    begin(t, d)
    c = t.connect(daemon=d)
    first = t.sandbox(c, tool="shell", workspace=t.workspace())
    equal(first["limits"]["pids"], 100, "the first configuration")
    if os.getuid() != 0:  # root has no quota
        try:
            c.call("sandbox.create", {"tool": "shell", "workspace": t.workspace()})
            raise AssertionError("a second sandbox")
        except lib.RpcError as e:
            equal(e.kind, "limit_reached", "the quota")
    d.write_config({"limits": {"pids": "200", "sandboxes_per_user": "5"}, "tool mine": {"run": "true"}})
    text = d.reload()
    check("old configuration" not in text, text)
    second = t.sandbox(c, tool="mine", workspace=t.workspace())
    equal(second["limits"]["pids"], 200, "the second configuration")
    equal(c.call("sandbox.get", {"sandbox": first["name"]})["limits"]["pids"], 100, "what was made before")
    t.sh(first, "true", client=c)


def test_bad_reload(t):
    """Nothing of a file with a mistake counts, and file and line are named where people look."""
    d = managed(t, config={"limits": {"pids": "100"}})
    begin(t, d)
    c = t.connect(daemon=d)
    where = f"{d.config}:3"
    for bad in ("[limits]\npids = 200\nno_such_key = 1\n", "[limits]\npids = 200\nmemory = much\n",
                "[limits]\npids = 200\nnonsense\n"):
        d.write_config(bad)
        text = d.reload()
        check("the old configuration stays" in text and where in text, f"{bad!r}: {text}")
        s = t.sandbox(c, tool="shell", workspace=t.workspace())
        equal(s["limits"]["pids"], 100, "the old configuration")
    check(where in d.log_tail(), d.log_tail())
    os.unlink(d.config)
    text = d.reload()
    check("the old configuration stays" in text and "No such file" in text, text)
    d.write_config({"limits": {"pids": "300"}})
    check("old configuration" not in d.reload(), "a good one again")
    equal(t.sandbox(c, tool="shell", workspace=t.workspace())["limits"]["pids"], 300, "the new one")


def test_reload_keeps_runtimes(t):
    """A runtime that a sandbox was made with cannot be taken from it, nor become another."""
    mine = {"runtime mine": {"type": "crun", "path": "/usr/bin/crun"}}
    d = managed(t, config=mine)
    begin(t, d)
    c = t.connect(daemon=d)
    s = t.sandbox(c, tool="shell", workspace=t.workspace(), runtime="mine")
    for config in ({"limits": {"pids": "200"}}, {"runtime mine": {"type": "runc", "path": "/usr/sbin/runc"}}):
        d.write_config(config)
        text = d.reload()
        check(f"[runtime mine] is what sandbox {s['name']} was made with" in text, text)
    d.write_config({**mine, "limits": {"pids": "200"}})
    check("old configuration" not in d.reload(), "with it")
    t.sh(s, "true", client=c)
    c.call("sandbox.remove", {"sandbox": s["name"]})
    t.sandboxes.pop()
    d.write_config({"limits": {"pids": "200"}})
    check("old configuration" not in d.reload(), "without it, when nobody needs it")


def ask(path):
    """A connection that has sent a request, and its file."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(30)
    s.connect(path)
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"system.ping"}\n')
    return s


def answer(s):
    with s, s.makefile("rb") as f:
        return f.readline()


def test_passed_socket(t):
    """Who connects before the daemon is there, or while another one starts, is answered."""
    d = managed(t, activated=True)
    early = ask(d.socket)
    begin(t, d)
    check(b'"result"' in answer(early), "before the start")
    with ask(d.socket) as s:
        peer = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        equal(peer[0], d.pid, "who listens, as clients see it")
    inode = os.stat(d.socket).st_ino
    for kill in (False, True):
        if kill:
            d.kill()
        else:
            equal(d.stop(), 0, "a clean stop")
        equal(os.stat(d.socket).st_ino, inode, "the socket is not the daemon's to remove")
        between = [ask(d.socket) for _ in range(10)]
        begin(t, d)
        for s in between:
            check(b'"result"' in answer(s), f"during a restart, {'kill' if kill else 'stop'}")
