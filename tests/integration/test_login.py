# SPDX-License-Identifier: Apache-2.0
"""One login of Codex for many sandboxes: refreshed once, whatever dies, and never a refresh token inside."""

import contextlib
import os

import lib
import tokens
from daemon import descendants
from harness import refused, timeout
from lib import check, equal, until
from test_secret_leaks import contents

MANY = 50
NAME = "codex_auth_json"
TOOL = """
[tool with-login]
version = 1
node_version = none
install = :
secret = codex_auth_json -> file ~/.codex/auth.json
"""
# Parts of the file: its spool would cover the whole.
LOOK = "cd ~/.codex; grep -o 'access-[0-9]*-end' auth.json; grep -c planted auth.json; stat -c %a auth.json"


@contextlib.contextmanager
def logins(t, valid=1):
    """A token server, a daemon that asks it, and a client."""
    server = tokens.Server(valid)
    try:
        d = t.private_daemon(config=server.config() + TOOL)
        yield server, d, t.connect(daemon=d)
    finally:
        server.close()


def put(c, text):
    c.call("secret.set", {"secret": NAME, "value": {"text": text}})


def lease(c):
    return c.call("secret.lease", {"secret": NAME, "ttlMs": 60000, "reveal": True})


def check_copy(value, n):
    check(f".access-{n}-end" in value, f"not of refresh {n}: {value}")
    check('"refresh_token": ""' in value and "planted" not in value, "no refresh token")


def check_not_on_disk(d):
    for top, _, files in os.walk(d.state):
        for name in files:
            with open(os.path.join(top, name), "rb") as f:
                data = f.read()
            check(b"planted-refresh-" not in data and b".access-" not in data, f"{top}/{name} has a token")


@timeout(180)
def test_many(t):
    """All at once, with a token near its end; each command has the next one in its file."""
    with logins(t) as (server, d, c):
        put(c, tokens.login(1, life=60))
        boxes = [t.sandbox(client=c, tool="with-login") for _ in range(MANY)]
        run = {"command": ["sh", "-c", LOOK], "secrets": [NAME]}
        calls = [c.send("exec.run", {"sandbox": s["name"], **run}) for s in boxes]
        for rid in calls:
            r = c.wait(rid, timeout=120)
            equal((r["exitCode"], r["stdout"]), (0, "access-2-end\n0\n600\n"), f"inside: {r['stderr']}")
        equal((server.requests, server.reused), (1, 0), "refreshes")
        check_not_on_disk(d)
        equal(os.listdir(os.path.join(d.state, "logins")), [], "nothing is kept of it")
        done = [e for e in c.call("audit.list")["entries"] if e["action"] == "refresh"]
        equal([(e["secret"], e["result"]) for e in done], [(NAME, "ok")], "audit")


def test_renewed_inside(t):
    """A command that runs gets the next token in its file, when its lease is renewed near the end."""
    with logins(t) as (server, _, c):
        put(c, tokens.login(1))
        s = t.sandbox(client=c, tool="with-login")
        wait = "cat ~/.codex/auth.json | grep -o 'access-[0-9]*-end'; until grep -q access-2-end ~/.codex/auth.json; do sleep 0.05; done; " + LOOK
        rid = c.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", wait], "secrets": [NAME]})
        c.note("exec.started")
        equal(server.requests, 0, "it was current")
        put(c, tokens.login(1, life=60))
        (held,) = [e["leaseId"] for e in c.call("audit.list")["entries"] if e["action"] == "lease"]
        c.call("secret.renew", {"leaseId": held, "ttlMs": 60000})
        r = c.wait(rid, timeout=60)
        equal((r["exitCode"], r["stdout"]), (0, "access-1-end\naccess-2-end\n0\n600\n"), "inside")
        equal(server.requests, 1, "refreshes")


def test_killed_while_asking(t):
    """kill -9 of the daemon when the server has burnt the token and not answered yet."""
    with logins(t) as (server, d, c):
        put(c, tokens.login(1, life=-60))
        server.hold()
        rid = c.send("secret.lease", {"secret": NAME, "ttlMs": 60000, "reveal": True})
        check(server.asked.wait(30), "the server was asked")
        d.kill()
        try:
            c.wait(rid)
            raise AssertionError("a dead daemon answered")
        except (lib.Closed, ConnectionResetError):
            pass
        d.start()
        c = t.connect(daemon=d)
        rid = c.send("secret.lease", {"secret": NAME, "ttlMs": 60000, "reveal": True})
        server.may_answer.set()
        check_copy(c.wait(rid)["value"], 2)
        check_copy(lease(c)["value"], 2)
        equal((server.requests, server.reused), (1, 0), "refreshes")
        check_not_on_disk(d)
        put(c, tokens.login(2, life=60))
        check_copy(lease(c)["value"], 3)


def test_answered_to_nobody(t):
    """The answer waits for the next daemon, and nobody else can read it."""
    with logins(t) as (server, d, c):
        put(c, tokens.login(1, life=-60))
        server.hold()
        c.send("secret.lease", {"secret": NAME, "ttlMs": 60000})
        check(server.asked.wait(30), "the server was asked")
        d.kill()
        server.may_answer.set()
        folder = os.path.join(d.state, "logins")
        (path,) = [os.path.join(folder, name) for name in os.listdir(folder)]
        until(lambda: not contents(path).startswith(b"\0"), 30, "the answer is kept")
        equal(os.stat(path).st_mode & 0o7777, 0o600, "mode")
        check_not_on_disk(d)
        d.start()
        check_copy(lease(t.connect(daemon=d))["value"], 2)
        equal((server.requests, server.reused, os.listdir(folder)), (1, 0, []), "refreshes")


def test_stopped_while_asking(t):
    """A clean stop waits for the answer."""
    with logins(t) as (server, d, c):
        put(c, tokens.login(1, life=-60))
        server.hold()
        c.send("secret.lease", {"secret": NAME, "ttlMs": 60000})
        check(server.asked.wait(30), "the server was asked")
        d.process.terminate()
        until(lambda: "stopping" in d.log_tail(20000) or not d.alive(), 10, "it stops")
        check(d.alive(), "it waits")
        server.may_answer.set()
        d.stop()
        d.start()
        c = t.connect(daemon=d)
        check_copy(lease(c)["value"], 2)
        equal(server.requests, 1, "refreshes")


def test_broker(t):
    """What the process that asks shows of what it asks with."""
    with logins(t) as (server, d, c):
        put(c, tokens.login(1, life=-60))
        server.hold()
        rid = c.send("secret.lease", {"secret": NAME, "ttlMs": 60000, "reveal": True})
        check(server.asked.wait(30), "the server was asked")
        (pid,) = [p for p, name in descendants(d.pid).items() if name.startswith("sandbox-broker")]
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as f:
                    check(b"planted" not in f.read(), f"{what} of the broker")
            except PermissionError:
                pass  # it cannot be dumped, so not looked at
        with open(f"/proc/{pid}/limits", encoding="utf-8") as f:
            check(any(l.split()[:5] == ["Max", "core", "file", "size", "0"] for l in f), "no core file")
        server.may_answer.set()
        check_copy(c.wait(rid)["value"], 2)


def test_dead_login(t):
    """A refresh token that somebody else used up: what to do is said, and the server left alone."""
    with logins(t, valid=5) as (server, d, c):
        put(c, tokens.login(1, life=-60))
        for _ in range(3):
            e = c.error("secret.lease", {"secret": NAME, "ttlMs": 60000})
            refused(e, "unavailable")
            check("refresh_token_reused" in e.message and "codex login" in e.hint, f"says {e}")
            check("planted" not in str(e) and "-end" not in str(e), "no token in the error")
        equal(server.requests, 1, "it is asked once")
        found = c.call("secret.list")
        row, codex = found["secrets"][0], next(x for x in found["tools"] if x["tool"] == "codex")
        equal((row["available"], codex["ready"], codex["stored"]), (False, False, True), "listed as dead")
        for text in (row["problem"], codex["detail"] + codex["hint"]):
            check("refresh_token_reused" in text and "codex login" in text, f"says {text}")
        put(c, tokens.login(5, life=-60))
        found = c.call("secret.list")
        equal((found["secrets"][0]["available"], found["secrets"][0].get("problem")), (True, None), "a new one")
        check_copy(lease(c)["value"], 6)
        check("planted" not in d.log_tail(100000), "no token in the log")


def test_tokens_that_are_old_at_once(t):
    """As when the clock is wrong: the server is not asked anew for each lease."""
    with logins(t) as (server, d, c):
        put(c, tokens.login(1, life=-60))
        server.life = 60
        for _ in range(3):
            check_copy(lease(c)["value"], 2)
        equal(server.requests, 1, "it is asked once")
        server.life = -60
        put(c, tokens.login(2, life=-60))
        for _ in range(3):
            e = c.error("secret.lease", {"secret": NAME, "ttlMs": 60000})
            refused(e, "unavailable")
        check("clock" in e.hint and "planted" not in str(e), f"says {e}")
        equal((server.requests, server.reused), (2, 0), "and once more for another login")
