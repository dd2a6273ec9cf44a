# SPDX-License-Identifier: Apache-2.0
"""sandboxctl when its connection is cut or its daemon killed: it connects again and goes on where it was."""

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import threading

from gitrepo import worktree
from harness import timeout
from lib import check, equal, text_of, until
from test_loop import loop

WRITER = """
import hashlib, sys
for n in range(int(sys.argv[1])):
    sys.stdout.buffer.write(hashlib.sha256(str(n).encode()).digest() * 2048)
"""


# half of it at once, the rest when it is told to
SLOW_WRITER = """
import hashlib, os, sys, time
n = int(sys.argv[1])
for i in range(n):
    while i == n // 2 and not os.path.exists(sys.argv[2] + "/go"):
        time.sleep(0.02)
    sys.stdout.buffer.write(hashlib.sha256(str(i).encode()).digest() * 2048)
    sys.stdout.buffer.flush()
sys.exit(3)
"""


def written(blocks):
    return b"".join(hashlib.sha256(str(n).encode()).digest() * 2048 for n in range(blocks))


class Proxy:
    """A socket before the daemon's; a connection that has carried so many bytes to the client is cut."""

    def __init__(self, t):
        self.target = t.daemon.socket
        self.path = os.path.join(t.workspace(), "proxy.sock")
        self.cut_at = []  # for one connection after the other
        self.connections = 0
        self.pairs = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(self.target)
            self.pairs.append((client, daemon))
            cut = self.cut_at.pop(0) if self.cut_at else None
            threading.Thread(target=self.carry, args=(client, daemon, cut), daemon=True).start()

    def carry(self, client, daemon, cut):
        passed = 0
        try:
            while True:
                for source in select.select([client, daemon], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client:
                        daemon.sendall(data)
                        continue
                    passed += len(data)
                    if cut is not None and passed >= cut:
                        client.sendall(data[: len(data) // 2])
                        return
                    client.sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            self.end((client, daemon))

    def end(self, pair):
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def cut(self):
        for pair in self.pairs:
            self.end(pair)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()
        self.thread.join(5)


def ctl(t, proxy, *args, **kw):
    env = {**os.environ, "SANDBOXD_SOCKET": proxy.path}
    return subprocess.Popen(
        [t.suite.tools["sandboxctl"], *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **kw,
    )


def detached(t, s, command, client=None):
    params = {"sandbox": s["name"], "command": command, "detach": True}
    return (client or t.client).call("exec.run", params)["execId"]


def test_attach_and_logs_are_byte_exact(t):
    """Cut three times in the middle of a line; no byte is missing or doubled."""
    s = t.sandbox()
    proxy = Proxy(t)
    try:
        e = detached(t, s, ["/usr/bin/python3", "-c", WRITER, "48"])
        for args in (["attach", e], ["logs", "-f", e], ["logs", "-f", "--from", "1000", e]):
            proxy.cut_at = [5000, 700000, 1500001]
            before = proxy.connections
            p = ctl(t, proxy, *args)
            out, err = p.communicate(timeout=40)
            equal((p.returncode, err), (0, b""), f"{args}")
            check(out == written(48)[1000 if "--from" in args else 0 :], f"{args}: {len(out)} bytes")
            equal(proxy.connections, before + 4, "connections")
    finally:
        proxy.close()


def test_what_asks_is_asked_again(t):
    s = t.sandbox()
    proxy = Proxy(t)
    try:
        params = {"command": ["/bin/sh", "-c", "read x; exit 3"], "stdin": "stream", "detach": True}
        e = t.client.call("exec.run", {"sandbox": s["name"], **params})["execId"]
        p = ctl(t, proxy, "wait", e)
        until(lambda: proxy.connections, 20, "a connection")
        proxy.cut()
        t.client.call("exec.closeStdin", {"execId": e})
        equal((p.communicate(timeout=30), p.returncode), ((b"", b""), 3), "wait")
    finally:
        proxy.close()


def test_second_interrupt_ends_the_waiting(t):
    """With no daemon to pass it on to, who interrupts twice gets his shell back."""
    s = t.sandbox()
    proxy = Proxy(t)
    p = ctl(t, proxy, "attach", detached(t, s, ["sh", "-c", "echo ready; sleep 60"]))
    try:
        equal(p.stdout.readline(), b"ready\n", "its output")
        proxy.close()
        os.unlink(proxy.path)
        equal(p.stderr.readline(), b"sandboxd is gone; waiting for it to come back\n", "what is said")
        p.send_signal(signal.SIGINT)
        p.send_signal(signal.SIGTERM)
        err = p.stderr.read()
        equal(p.wait(20), 125, "status")
        check(b"goes on without us" in err, err)
    finally:
        p.kill()


def test_a_key_shows_the_same_again(t):
    """exec --key: once run, twice shown, on the stream where it was written."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    command = ["exec", "--key", t.unique("key"), s["name"], "sh", "-c", "echo x >>ran; echo out; echo err >&2; exit 3"]
    for _ in range(2):
        p = t.ctl(*command)
        equal((p.returncode, p.stdout, p.stderr), (3, b"out\n", b"err\n"), "the command")
    equal(t.sh(s, "wc -l <ran"), "1\n", "how often it ran")
    # its input belongs to the call
    command = ["exec", "--key", t.unique("key"), "-i", s["name"], "cat"]
    for _ in range(2):
        p = t.ctl(*command, stdin=b"in\xff")
        equal((p.returncode, p.stdout, p.stderr), (0, b"in\xff", b""), "with input")
    p = t.ctl(*command, stdin=b"other")
    check(p.returncode == 125 and b"key" in p.stderr, f"with other input: {p}")


def test_a_loop_run_is_found_again(t):
    """Cut before and after its output: it runs once, and all of it is shown."""
    _, tree, _ = worktree(t)
    lid = loop(t, tree)["loopId"]
    proxy = Proxy(t)
    try:
        proxy.cut_at = [1, 700000]
        script = "echo x >>ran; seq 1 200000; wc -l <ran >&2; exit 3"
        p = ctl(t, proxy, "loop", "run", lid, "shell", script)
        out, err = p.communicate(timeout=40)
        equal((p.returncode, err), (3, b"1\n"), "the run")
        check(out == "".join(f"{i}\n" for i in range(1, 200001)).encode(), f"{len(out)} bytes")
        equal(proxy.connections, 3, "connections")
    finally:
        proxy.close()


# ---- the daemon itself ----
def spawn(t, path, *args):
    env = {**os.environ, "SANDBOXD_SOCKET": path}
    return subprocess.Popen(
        [t.suite.tools["sandboxctl"], *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_request_that_nobody_read(t):
    """It cannot have had an effect, so it goes to the next daemon; one that was read may have had one."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    path = os.path.join(t.workspace(), "first.sock")
    made = t.unique("made")

    def ask(read, *words):
        """Of a daemon that ends before, or after, it has READ the request, and then of ours."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            with spawn(t, path, *words) as p:
                listener.settimeout(30)
                with listener.accept()[0] as connection:
                    select.select([connection], [], [])
                    os.unlink(path)
                    os.symlink(t.daemon.socket, path)
                    if read:
                        connection.recv(1 << 20)
                out, err = p.communicate(timeout=60)
        os.unlink(path)
        return p.returncode, out.decode().strip(), err.decode()

    for words, said, unknown in (
        (("exec", s["name"], "sh", "-c", "echo x >>runs; echo ran"), "ran", "may have run"),
        (("create", "--name", made, "shell", ws), made, "closed the connection"),
    ):
        status, out, err = ask(False, *words)
        equal((status, out), (0, said), err)
        status, out, err = ask(True, *words)
        check(status != 0 and unknown in err, err)
    with open(ws + "/runs", encoding="ascii") as f:
        equal(f.read(), "x\n", "how often it ran")
    t.client.call("sandbox.remove", {"sandbox": made})


def running(c, n):
    return len(c.call("exec.list", {"filter": {"state": "running"}})["execs"]) == n


@timeout(120)
def test_daemon_is_killed(t):
    """Twice, while commands run: every sandboxctl ends as if nothing had been."""
    d = t.private_daemon({"limits": {"pool_memory": "0"}, "daemon": {"on_stop": "stop"}})
    ws = t.workspace()
    with d.client() as c:
        s = c.call("sandbox.create", {"name": "a", "workspace": ws}, timeout=60)
        slow = ["/usr/bin/python3", "-c", SLOW_WRITER, "24", ws]
        e = detached(t, s, slow, client=c)
        clients = {
            "its own descriptors": spawn(t, d.socket, "exec", "a", *slow),
            "in the result": spawn(t, d.socket, "-o", "json", "exec", "a", *slow),
            "attach": spawn(t, d.socket, "attach", e),
            "logs": spawn(t, d.socket, "logs", "-f", e),
            "wait": spawn(t, d.socket, "wait", e),
        }
        until(lambda: running(c, 3), 20, "three commands that run")
    until(lambda: len(d.rows("SELECT id FROM execs")) == 3, 20, "their rows")
    try:
        for _ in range(2):
            d.kill()
            d.start()
        with open(os.path.join(ws, "go"), "w", encoding="ascii"):
            pass
        for what, p in clients.items():
            out, err = p.communicate(timeout=60)
            equal((p.returncode, err), (0 if what == "logs" else 3, b""), what)
            if what == "in the result":
                out = text_of(json.loads(out)["stdout"])  # its last MiB
            want = {"wait": b"", "in the result": written(24)[-1 << 20 :]}.get(what, written(24))
            check(out == want, f"{what}: {len(out)} bytes")
    finally:
        for p in clients.values():
            p.kill()
            p.wait()
    with d.client() as c:
        c.call("sandbox.remove", {"sandbox": "a", "force": True})
