# SPDX-License-Identifier: Apache-2.0
"""Secrets that come from others: agent-secrets (tests/integration/agent_secrets.py plays it) and programs."""

import json
import os
import pwd
import select
import socket
import threading

import tokens
from agent_secrets import AgentSecrets
from harness import TEST_USER, modes
from lib import RpcError, check, equal, text_of, until

VALUE = "planted-value-of-a-provider"
HOUR = 3600000


def remote(t, *names):
    """A daemon that has NAMES from agent-secrets, and where that is to listen."""
    path = os.path.join(t.workspace(), "agent-secrets.sock")
    sections = {f"secret {n}": {"provider": "agent-secrets", "remote_name": f"their_{n}"} for n in names}
    return t.private_daemon({"secrets": {"agent_secrets_socket": path}, **sections}), path


def refused(code, call, *args):
    try:
        result = call(*args)
    except RpcError as e:
        equal(e.code, code, f"code of {e}")
        return e
    raise AssertionError(f"not refused: {result}")


def lease(c, name="tok", **params):
    return c.call("secret.lease", {"secret": name, "ttlMs": HOUR, "reveal": True, **params})


def test_agent_secrets(t):
    """A lease of ours is one of theirs, and ends there with it."""
    d, path = remote(t, "tok")
    with AgentSecrets(path, {"their_tok": VALUE}) as a, d.client() as c:
        mine = lease(c)
        equal(mine["value"], VALUE, "value")
        equal(list(a.leases.values()), [{"secret_name": "their_tok", "client_id": "sandboxd", "ttl": "1h"}], "asked")
        other = c.call("secret.lease", {"secret": "tok", "ttlMs": 90000})
        check("value" not in other, "not asked for")
        equal(len(a.leases), 2, "two leases")
        c.call("secret.revoke", {"leaseId": mine["leaseId"]})
        until(lambda: len(a.leases) == 1, 30, "the end of a lease")
        equal(next(iter(a.leases.values()))["ttl"], "90s", "the other one")
        lease(c)
        equal(c.call("secret.revokeAll", {})["revoked"], 2, "all")
        until(lambda: not a.leases, 30, "the end of all")
        check("secrets.revokeAll" not in a.asked, "leases of others are not ours to end")
    d.stop()


def test_agent_secrets_expires_earlier(t):
    """What it gives for a shorter time than was asked is a lease for that time."""
    d, path = remote(t, "tok")
    with AgentSecrets(path, {"their_tok": VALUE}) as a, d.client() as c:
        full = lease(c)
        a.answer = lambda r: a.reply({**r, "params": {**r["params"], "ttl": "60s"}})
        short = lease(c)
        check(short["expiresAt"] < full["expiresAt"], f"{short['expiresAt']} {full['expiresAt']}")
    d.stop()


def test_agent_secrets_restarts(t):
    """It may be away for a moment, also in the middle of a call; ours outlive it."""
    d, path = remote(t, "tok")
    with AgentSecrets(path, {"their_tok": VALUE}) as a, d.client() as c:
        first = lease(c)
        a.stop()
        back = threading.Timer(0.5, a.start)
        back.start()
        equal(lease(c)["value"], VALUE, "while it was away")
        back.join()
        hung_up = []

        def hang_up_once(request):
            if hung_up:
                return a.reply(request)
            hung_up.append(request)
            return b""

        a.answer = hang_up_once
        equal(lease(c)["value"], VALUE, "when it hung up")
        a.answer = None
        before = len(a.leases)
        c.call("secret.revoke", {"leaseId": first["leaseId"]})
        until(lambda: len(a.leases) == before - 1, 30, "the end of a lease")
        a.stop()
        e = refused(-32005, c.call, "secret.lease", {"secret": "tok", "ttlMs": HOUR})
        equal(e.hint, "start agent-secrets: secrets serve", "hint")
    d.stop()


def test_agent_secrets_hangs_up(t):
    """A call that it has read may have made a lease there: not thirty of them. One that it has not read made none."""
    d, path = remote(t, "tok")
    with AgentSecrets(path, {"their_tok": VALUE}) as a, d.client() as c:
        a.answer = lambda request: a.reply(request) and b""
        e = refused(-32005, c.call, "secret.lease", {"secret": "tok", "ttlMs": HOUR})
        check("hung up 2 times" in e.message and "ends there by itself" in e.hint, str(e))
        equal((a.asked.count("secrets.lease"), len(a.leases)), (2, 2), "calls")
        a.answer = None
        a.stop()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.unlink(path)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(8)

        def refuse_some():
            for _ in range(4):
                connection = listener.accept()[0]
                select.select([connection], [], [])  # it is there, and stays unread
                connection.close()
            listener.close()
            a.start()

        thread = threading.Thread(target=refuse_some, daemon=True)
        thread.start()
        equal(lease(c)["value"], VALUE, "when it read nothing")
        thread.join()
        equal((a.asked.count("secrets.lease"), len(a.leases)), (3, 3), "calls that were read")
    d.stop()


def test_leases_survive_the_daemon(t):
    """The next daemon knows which of theirs is ours."""
    d, path = remote(t, "tok")
    with AgentSecrets(path, {"their_tok": VALUE}) as a:
        with d.client() as c:
            mine = lease(c)
        d.stop()
        equal(len(a.leases), 1, "it is not ended with the daemon")
        d.start()
        with d.client() as c:
            c.call("secret.revoke", {"leaseId": mine["leaseId"]})
        until(lambda: not a.leases, 30, "the end of a lease")
    d.stop()


def good(**changes):
    return {"lease_id": "l-1", "value": VALUE, "expires_at": "2999-01-01T00:00:00Z", **changes}


def line(**members):
    return json.dumps({"jsonrpc": "2.0", "id": 1, **members}).encode() + b"\n"


BAD = {
    "no JSON": VALUE.encode() + b"\n",
    "an empty line": b"\n",
    "no version": json.dumps({"id": 1, "result": good()}).encode() + b"\n",
    "another id": line(id=2, result=good()),
    "neither": line(),
    "both": line(result=good(), error={"code": 1, "message": VALUE}),
    "a list": line(result=[VALUE]),
    "a value of another type": line(result=good(value=7)),
    "a value in an object": line(result=good(value={"value": VALUE})),
    "an empty value": line(result=good(value="")),
    "no value": line(result={"lease_id": "l-1", "expires_at": "2999-01-01T00:00:00Z"}),
    "no id": line(result=good(lease_id=None)),
    "a long id": line(result=good(lease_id="l" * 256)),
    "no time": line(result=good(expires_at=1767229200)),
    "a time in words": line(result=good(expires_at="tomorrow")),
    "a time in the past": line(result=good(expires_at="2001-01-01T00:00:00Z")),
    "an error": line(error={"code": -32603, "message": VALUE, "data": {"value": VALUE}}),
    "an error without a code": line(error={"message": VALUE}),
    "the CLI's envelope": json.dumps({"ok": False, "error": {"message": VALUE}}).encode() + b"\n",
    "no end": b'{"jsonrpc":"2.0","id":1,"result":{"value":"' + b"x" * 1100000,
}


def test_bad_answers(t):
    """Each is a typed error that tells nothing of what was said, and no lease."""
    d, path = remote(t, "tok")
    with AgentSecrets(path, {"their_tok": VALUE}) as a, d.client() as c:
        for what, answer in BAD.items():
            a.answer = lambda _, answer=answer: answer
            e = refused(-32005, c.call, "secret.lease", {"secret": "tok", "ttlMs": HOUR, "reveal": True})
            check("agent-secrets" in e.message, f"{what}: {e.message}")
            check(VALUE not in str(e), f"{what}: the value is told")
        a.answer = None
        del a.secrets["their_tok"]
        e = refused(-32001, c.call, "secret.lease", {"secret": "tok", "ttlMs": HOUR})
        equal(e.field, "secret", "field")
        equal(c.call("secret.revokeAll", {})["revoked"], 0, "leases of bad answers")
    d.stop()
    with open(d.log, encoding="utf-8", errors="replace") as f:
        check(VALUE not in f.read(), "the value is in the log")


COMMANDS = {
    "good": f"/bin/echo {VALUE}",
    "raw_json": """/bin/sh -c 'printf "{\\"tokens\\":{\\"id\\":1}}"'""",
    "fails": f"/bin/sh -c 'echo {VALUE}; exit 3'",
    "envelope": f"""/bin/sh -c 'printf "{{\\"ok\\":false,\\"error\\":\\"{VALUE}\\"}}"'""",
    "silent": "/bin/true",
    "endless": "/bin/cat /dev/zero",
    "missing": "/nonexistent/helper",
}


def test_commands(t):
    d = t.private_daemon({f"secret {n}": {"provider": "command", "command": c} for n, c in COMMANDS.items()})
    with d.client() as c:
        equal(lease(c, "good")["value"], VALUE, "value")
        equal(lease(c, "raw_json")["value"], '{"tokens":{"id":1}}', "JSON that is the value")
        for name in ("fails", "envelope", "silent", "endless", "missing"):
            e = refused(-32005, c.call, "secret.lease", {"secret": name, "ttlMs": HOUR, "reveal": True})
            check(e.hint, f"{name}: no hint")
            check(VALUE not in str(e), f"{name}: the value is told")
        many = [c.send("secret.lease", {"secret": "good", "ttlMs": HOUR}) for _ in range(50)]
        for request in many:
            c.wait(request)
        equal(c.call("secret.revokeAll", {})["revoked"], 52, "leases")
    d.stop()


def test_hangs(t):
    """Of one that does not answer the callers alone wait, and may give up (that it is cut off, the unit tests
    see: it takes 10 s)."""
    path = os.path.join(t.workspace(), "agent-secrets.sock")
    d = t.private_daemon(
        {
            "secrets": {"agent_secrets_socket": path},
            "secret tok": {"provider": "agent-secrets"},
            "secret cmd": {"provider": "command", "command": "/bin/sleep 100"},
        }
    )
    with AgentSecrets(path, {"tok": VALUE}) as a, d.client() as c:
        a.answer = lambda _: None
        waiting = [c.send("secret.lease", {"secret": n, "ttlMs": HOUR}) for n in ("tok", "cmd")]
        with d.client() as other:
            equal(other.call("system.ping"), {}, "ping")
            until(lambda: a.asked, 30, "the question")
        for request in waiting:
            c.notify("rpc.cancel", {"id": request})
            refused(-32009, c.wait, request)
    d.stop()


def test_flood(t):
    """Of calls that wait for a provider a user has so many and no more, whether they lease or renew; nobody else
    notices, nor does what needs no waiting."""
    path = os.path.join(t.workspace(), "agent-secrets.sock")
    shared = {"users": TEST_USER} if os.getuid() == 0 else {}
    d = t.private_daemon(
        {
            "secrets": {"agent_secrets_socket": path},
            "secret tok": {"provider": "agent-secrets"},
            "secret cmd": {"provider": "command", "command": "/bin/echo x", **shared},
        }
    )
    with AgentSecrets(path, {"tok": VALUE}) as a, d.client() as c:
        c.call("secret.set", {"secret": "stored", "value": {"text": VALUE}})
        held = lease(c)["leaseId"]
        a.answer = lambda _: None
        calls = [("secret.lease", {"secret": "tok", "ttlMs": HOUR}), ("secret.renew", {"leaseId": held, "ttlMs": HOUR})]
        for i in range(128):
            c.send(*calls[i % 2])
        for method, params in (*calls, ("secret.lease", {"secret": "cmd", "ttlMs": HOUR})):
            e = refused(-32007, c.call, method, params)
            check("wait" in e.hint, f"{method}: {e}")
        lease(c, "stored")
        if os.getuid() == 0:
            user = pwd.getpwnam(TEST_USER)
            os.chmod(d.socket, 0o666)
            lease(t.connect(user.pw_uid, user.pw_gid, d), "cmd")
    # they went with their client
    with d.client() as c:
        until(lambda: "leaseId" in c.wait_raw(c.send("secret.lease", {"secret": "cmd", "ttlMs": HOUR})).get("result", {}), 30, "room")
    d.stop()


# ---- files ----
@modes("root")
def test_file_in_a_folder_of_a_user(t):
    """Whoever can change what a path leads to gets what he may read himself, and nothing of root's."""
    user = pwd.getpwnam(TEST_USER)
    mine, his = t.workspace({"root-only": VALUE}), t.workspace()
    os.chmod(os.path.join(mine, "root-only"), 0o600)
    for path in (his, t.put(his, "home/.tool/token", "his own", 0o600), f"{his}/home", f"{his}/home/.tool"):
        os.chown(path, user.pw_uid, user.pw_gid)
    os.symlink(f"{his}/home/.tool/token", f"{mine}/link")
    os.mkdir(f"{mine}/shared")
    os.chmod(f"{mine}/shared", 0o770)
    os.chown(f"{mine}/shared", 0, user.pw_gid)
    t.put(f"{mine}/shared", "token", VALUE)
    paths = {"direct": f"{his}/home/.tool/token", "link": f"{mine}/link", "shared": f"{mine}/shared/token"}
    sections = {f"secret {n}": {"provider": "file", "path": p, "users": TEST_USER} for n, p in paths.items()}
    d = t.private_daemon(sections)
    os.chmod(d.socket, 0o666)
    c = t.connect(user.pw_uid, user.pw_gid, d)
    for name in ("direct", "link"):
        equal(lease(c, name)["value"], "his own", name)
    e = refused(-32005, lease, c, "shared")
    check("writable for a group" in e.hint and VALUE not in str(e), f"anybody could have put it there: {e}")
    os.chown(f"{mine}/shared", 0, 0)
    equal(lease(c, "shared")["value"], VALUE, "root's own group is root")

    def planted(what):
        for name in ("direct", "link"):
            e = refused(-32005, lease, c, name)
            check(e.field == "secret" and VALUE not in str(e), f"{what}: {e}")

    os.unlink(paths["direct"])
    os.symlink(f"{mine}/root-only", paths["direct"])
    planted("a link to a file of root's")
    os.unlink(paths["direct"])
    os.rename(f"{his}/home/.tool", f"{his}/home/.away")
    os.symlink(mine, f"{his}/home/.tool")
    os.rename(f"{mine}/root-only", f"{mine}/token")
    planted("a link to a folder of root's")


@modes("root")
def test_login_in_a_folder_of_a_user(t):
    """A login that is refreshed stays his file; where he may not write root does not write for him."""
    user = pwd.getpwnam(TEST_USER)
    mine, his = t.workspace(), t.workspace()
    path = t.put(his, ".codex/auth.json", tokens.login(1, life=-60), 0o600)
    for p in (his, f"{his}/.codex", path):
        os.chown(p, user.pw_uid, user.pw_gid)
    server = tokens.Server(1)
    try:
        section = f"[secret login]\nprovider = file\npath = {path}\nusers = {TEST_USER}\n"
        d = t.private_daemon(server.config() + section)
        os.chmod(d.socket, 0o666)
        c = t.connect(user.pw_uid, user.pw_gid, d)
        check(".access-2-end" in text_of(lease(c, "login", ttlMs=60000)["value"]).decode(), "refreshed")
        st = os.stat(path)
        equal((st.st_uid, st.st_mode & 0o777), (user.pw_uid, 0o600), "his file")
        with open(path, encoding="utf-8") as f:
            check("planted-refresh-2" in f.read(), "the new login is there")
        os.rename(f"{his}/.codex", f"{his}/.away")
        os.symlink(mine, f"{his}/.codex")
        t.put(mine, "auth.json", tokens.login(2, life=-60))
        refused(-32005, lease, c, "login")
        equal(os.listdir(mine), ["auth.json"], "nothing was written there")
    finally:
        server.close()
