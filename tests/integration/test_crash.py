# SPDX-License-Identifier: Apache-2.0
"""The daemon dies at each named point of a call (util/fault.h); a new one comes; the client does what
clients do, the same call again. Then it has happened once, and the client has the result."""

import os

import lib
import tokens
from harness import timeout
from lib import check, equal, until

EXEC_POINTS = (
    "exec.checked",
    "exec.journaled",
    "exec.recorded",
    "exec.asked",
    "exec.started",
    "exec.exited",
    "exec.ended",
    "exec.kept",
)
RUN_POINTS = (*EXEC_POINTS, "run.collected", "run.kept")
CREATE_POINTS = (
    "create.journaled",
    "create.recorded",
    "create.made",
    "create.greeted",
    "create.claimed",
    "create.running",
    "create.done",
)
SET_POINTS = ("vault.written",)
MOVE_POINTS = ("vault.key_made", "vault.moved")
REFRESH_POINTS = ("login.answered", "vault.written")  # the second: the provider has it, the answer is still there


def needs_points(t):
    """The daemon was built with its points (./bootstrap test does so)."""
    with open(t.suite.tools["sandboxd"], "rb") as f:
        if b"SANDBOXD_FAULT" not in f.read():
            t.skip("built without -Dfaults=true")


class Victim:
    """A daemon that can be told where to die next."""

    def __init__(self, t, config=""):
        self.t = t
        self.daemon = t.private_daemon(config + "[daemon]\non_stop = keep\n")
        self.client = t.connect(daemon=self.daemon)

    def restart(self, env):
        self.daemon.stop()
        self.daemon.env = env
        self.daemon.start()
        self.client = self.t.connect(daemon=self.daemon)

    def dies_at(self, point, method, params):
        """Makes the call with a daemon that dies at POINT, and once more with another one."""
        self.restart({"SANDBOXD_FAULT": point})
        rid = self.client.send(method, params)
        try:
            self.client.wait(rid, timeout=60)
        except (lib.Closed, ConnectionResetError):
            pass
        until(lambda: not self.daemon.alive(), 30, f"it dies at {point}")
        self.daemon.env = {}
        self.daemon.start()
        self.client = self.t.connect(daemon=self.daemon)
        return self.client.call(method, params, timeout=60)

    def end(self):
        """Nothing is left but by a remove."""
        for s in self.client.call("sandbox.list")["sandboxes"]:
            self.client.call("sandbox.remove", {"sandbox": s["id"], "force": True})


def lines_of(path):
    with open(path + "/lines", encoding="utf-8") as f:
        return f.read().split()


@timeout(300)
def test_exec(t):
    needs_points(t)
    v = Victim(t)
    ws = t.workspace()
    s = v.client.call("sandbox.create", {"workspace": ws})
    for point in EXEC_POINTS:
        params = {
            "sandbox": s["name"],
            "command": ["sh", "-c", "echo $KEY >>lines; echo out; echo err >&2; exit 3"],
            "env": {"KEY": point},
            "idempotencyKey": point,
        }
        r = v.dies_at(point, "exec.run", params)
        said = (r["exitCode"], r["cause"], lib.text_of(r["stdout"]), lib.text_of(r["stderr"]))
        equal(said, (3, "exited", b"out\n", b"err\n"), point)
        equal(lines_of(ws).count(point), 1, f"{point}: runs")
        equal(v.client.call("exec.run", params)["execId"], r["execId"], f"{point}: again")
    equal(len(lines_of(ws)), len(EXEC_POINTS), "all of them")
    v.end()


@timeout(300)
def test_loop_run(t):
    needs_points(t)
    v = Victim(t)
    ws = t.workspace()
    v.client.call("loop.create", {"loopId": "l", "workDir": ws, "tools": ["shell"]}, timeout=60)
    for point in RUN_POINTS:
        params = {
            "loopId": "l",
            "tool": "shell",
            "prompt": "echo $KEY >>lines; echo out",
            "env": {"KEY": point},
            "idempotencyKey": point,
        }
        r = v.dies_at(point, "loop.run", params)
        equal((r["state"], r["output"]), ("completed", "out\n"), point)
        equal(lines_of(ws).count(point), 1, f"{point}: runs")
        equal(v.client.call("loop.run", params), r, f"{point}: again")
    v.client.call("loop.destroy", {"loopId": "l", "force": True}, timeout=60)
    v.end()


@timeout(300)
def test_create(t):
    needs_points(t)
    v = Victim(t)
    for point in CREATE_POINTS:
        ws = t.workspace()
        params = {"name": "box", "workspace": ws, "idempotencyKey": point}
        s = v.dies_at(point, "sandbox.create", params)
        equal((s["state"], s["name"]), ("running", "box"), point)
        t.sh(s, f"echo {point} >lines", client=v.client)
        equal(lines_of(ws), [point], point)
        equal([x["id"] for x in v.client.call("sandbox.list")["sandboxes"]], [s["id"]], f"{point}: all")
        equal(v.client.call("sandbox.create", params)["id"], s["id"], f"{point}: again")
        v.client.call("sandbox.remove", {"sandbox": "box"})
    check(v.daemon.alive(), "it lives")
    v.end()


@timeout(120)
def test_secret(t):
    """One that is set is set; a login is refreshed once, and who asks again has the result."""
    needs_points(t)
    server = tokens.Server()
    try:
        v = Victim(t, server.config())
        for point in SET_POINTS:
            v.dies_at(point, "secret.set", {"secret": point, "value": {"text": point}})
            equal([s["secret"] for s in v.client.call("secret.list")["secrets"]], [point], "set")
            v.client.call("secret.remove", {"secret": point})
        for n, point in enumerate(REFRESH_POINTS, 1):
            v.client.call("secret.set", {"secret": "login", "value": {"text": tokens.login(n, life=-60)}})
            params = {"secret": "login", "ttlMs": 60000, "reveal": True}
            r = v.dies_at(point, "secret.lease", params)
            check(f".access-{n + 1}-end" in r["value"], f"{point}: of the one refresh")
            equal((server.requests, server.reused), (n, 0), f"{point}: refreshes")
        v.client.call("secret.set", {"secret": "login", "value": {"text": tokens.login(n + 1, life=-60)}})
        check(f".access-{n + 2}-end" in v.client.call("secret.lease", params)["value"], "and the next")
        equal(os.listdir(os.path.join(v.daemon.state, "logins")), [], "nothing is kept of it")
    finally:
        server.close()


def test_store_moves(t):
    """Between any two steps of giving it another key, the store opens with what the configuration says."""
    needs_points(t)
    for point in MOVE_POINTS:
        d = t.private_daemon({})
        t.connect(daemon=d).call("secret.set", {"secret": "a", "value": {"text": point}})
        d.stop()
        old = os.path.join(d.state, "old.key")
        os.rename(os.path.join(d.state, "secrets.key"), old)
        d.write_config({"secrets": {"old_key": f"key-file {old}"}})
        d.env = {"SANDBOXD_FAULT": point}
        d.spawn()
        until(lambda: not d.alive(), 30, f"it dies at {point}")
        d.env = {}
        d.start()
        c = t.connect(daemon=d)
        equal(c.call("secret.lease", {"secret": "a", "ttlMs": 60000, "reveal": True})["value"], point, "its value")
