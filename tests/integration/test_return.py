# SPDX-License-Identifier: Apache-2.0
"""sandboxctl when its connection is cut: it connects again and goes on where it was."""

import os
import select
import signal
import socket
import subprocess
import threading

from lib import check, equal, until

WRITER = """
import hashlib, sys
for n in range(int(sys.argv[1])):
    sys.stdout.buffer.write(hashlib.sha256(str(n).encode()).digest() * 2048)
"""


def written(blocks):
    import hashlib

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


def detached(t, s, command):
    return t.client.call("exec.run", {"sandbox": s["name"], "command": command, "detach": True})["execId"]


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
