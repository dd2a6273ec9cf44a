# SPDX-License-Identifier: Apache-2.0
"""A client of sandboxd in plain Python: NDJSON, descriptors, notifications.

One connection per Client, no threads: wait() reads until the wanted reply is there and keeps what
else arrives. Every answered call is noted in RECORD, which test_zz_discover.py compares with what
rpc.discover promises.
"""

import array
import json
import os
import select
import socket
import time

CLOCK_REALTIME_COARSE = 5  # of <time.h>: what files are stamped with
RECORD = []  # (method, result) of every call that was answered with a result
CALLED = set()  # methods that were sent at all


class RpcError(Exception):
    """The daemon's error object."""

    def __init__(self, method, error):
        data = error.get("data") or {}
        self.method = method
        self.code = error.get("code")
        self.message = error.get("message")
        self.data = data
        self.kind = data.get("kind")
        self.field = data.get("field")
        self.hint = data.get("hint")
        super().__init__(
            f"{method}: {self.code} {self.kind} field={self.field}: {self.message} ({self.hint})"
        )


class Closed(Exception):
    """The daemon ended the connection."""


def connect(path, uid=None, gid=None):
    """A connected socket; as another uid when given (only root can)."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if uid is None or uid == os.geteuid():
        s.connect(path)
        return s
    groups = os.getgroups()
    try:
        os.setgroups([])
        os.setegid(gid if gid is not None else uid)
        os.seteuid(uid)
        s.connect(path)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    return s


class Client:
    def __init__(self, path, uid=None, gid=None):
        self.sock = connect(path, uid, gid)
        self.sock.setblocking(False)
        self.buffer = bytearray()
        self.scanned = 0
        self.last_id = 0
        self.methods = {}
        self.replies = {}
        self.notes = []
        self.closed = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # ---- sending ----
    def raw(self, data, fds=(), timeout=30):
        """Writes bytes, descriptors with the first of them. Reads meanwhile: never a deadlock."""
        deadline = time.monotonic() + timeout
        view = memoryview(data)
        ancillary = []
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        while len(view):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the daemon does not read")
            r, w, _ = select.select([self.sock], [self.sock], [], left)
            if r and not self.closed:
                try:
                    self.fill()
                except Closed:
                    self.closed = True
            if w:
                try:
                    n = self.sock.sendmsg([view[:262144]], ancillary)
                except BlockingIOError:
                    continue
                except (BrokenPipeError, ConnectionResetError) as e:
                    raise Closed(str(e)) from e
                ancillary = []
                view = view[n:]

    def send(self, method, params=None, fds=(), request_id=None):
        self.last_id += 1
        rid = self.last_id if request_id is None else request_id
        message = {"jsonrpc": "2.0", "id": rid, "method": method}
        params = dict(params or {})
        if fds:
            params.setdefault("fds", len(fds))
        message["params"] = params
        self.methods[rid] = method
        CALLED.add(method)
        self.raw(json.dumps(message).encode() + b"\n", fds)
        return rid

    def notify(self, method, params):
        CALLED.add(method)
        self.raw(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    # ---- receiving ----
    def fill(self):
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError as e:
            raise Closed("connection reset") from e
        if not data:
            raise Closed("end of file")
        self.buffer += data

    def take_line(self):
        end = self.buffer.find(b"\n", self.scanned)
        if end < 0:
            self.scanned = len(self.buffer)
            return None
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        self.scanned = 0
        return line

    def line(self, timeout=30):
        """The next line, whatever it is. TIMEOUT 0: one that has come already."""
        deadline = time.monotonic() + timeout
        while True:
            line = self.take_line()
            if line is not None:
                return line
            if self.closed:
                raise Closed("end of file")
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self.sock], [], [], left)[0]:
                raise TimeoutError("no line from the daemon")
            self.fill()

    def message(self, timeout=30):
        """The next JSON value; it is also sorted into replies or notes."""
        value = json.loads(self.line(timeout))
        if isinstance(value, dict) and "method" in value:
            value["at"] = time.monotonic()
            self.notes.append(value)
        elif isinstance(value, dict):
            self.replies[value.get("id")] = value
        return value

    def wait_raw(self, rid, timeout=30):
        deadline = time.monotonic() + timeout
        while rid not in self.replies:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer to {self.methods.get(rid)} within {timeout} s")
            self.message(left)
        return self.replies.pop(rid)

    def wait(self, rid, timeout=30):
        reply = self.wait_raw(rid, timeout)
        method = self.methods.get(rid, "?")
        if reply.get("jsonrpc") != "2.0":
            raise AssertionError(f"reply without jsonrpc 2.0: {reply}")
        if "error" in reply:
            raise RpcError(method, reply["error"])
        RECORD.append((method, reply["result"]))
        return reply["result"]

    def call(self, method, params=None, fds=(), timeout=30):
        return self.wait(self.send(method, params, fds), timeout)

    def note(self, method, timeout=10, **match):
        """Takes the first notification of METHOD whose params contain MATCH."""
        deadline = time.monotonic() + timeout
        while True:
            for n in self.notes:
                p = n.get("params", {})
                if n["method"] == method and all(p.get(k) == v for k, v in match.items()):
                    self.notes.remove(n)
                    return p
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {method} within {timeout} s")
            self.message(left)

    def expect_closed(self, timeout=10):
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.line(max(0.01, deadline - time.monotonic()))
        except Closed:
            return

    def error(self, method, params=None, fds=(), timeout=30):
        """The error that this call must end in."""
        return self.failure(self.send(method, params, fds), timeout, params)

    def failure(self, rid, timeout=30, params=None):
        """The same of a call that was sent."""
        try:
            result = self.wait(rid, timeout)
        except RpcError as e:
            return e
        raise AssertionError(f"{self.methods.get(rid)} {str(params)[:200]} was accepted: {str(result)[:300]}")


# ---- checks ----
def check(condition, text="check failed"):
    if not condition:
        raise AssertionError(text)


def equal(got, want, what="value"):
    if got != want:
        raise AssertionError(f"{what}: got {str(got)[:600]!r}, want {str(want)[:600]!r}")


def text_of(value):
    """A stream of a result as bytes."""
    import base64

    if value is None:
        return b""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value.encode()


def let_the_clock_tick():
    """What is made from now on has a later time than what was made before."""
    now = time.clock_gettime(CLOCK_REALTIME_COARSE)
    until(lambda: time.clock_gettime(CLOCK_REALTIME_COARSE) > now, 10, "a tick", 0.005)


def meeting(count, file):
    """A shell command that ends well when COUNT of them run at the same time."""
    return (
        f"echo >>{file}; n=0; while [ $(wc -l <{file}) -lt {count} ]; do "
        "n=$((n + 1)); [ $n -lt 1000 ] || exit 9; sleep 0.02; done"
    )


def until(predicate, timeout=10, what="condition", step=0.02):
    """Waits for something that has no event to wait for (another process's files). WHAT: text, or a
    function that makes it."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}: not within {timeout} s")
        time.sleep(step)
