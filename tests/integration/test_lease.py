# SPDX-License-Identifier: Apache-2.0
"""secret.lease, renew, revoke and revokeAll: who has a secret until when, and what ends that."""

import json
import os
import pwd
import time

import lib
from harness import TEST_USER, exited, invalid, modes, refused
from lib import check, equal, until

HOUR = 3_600_000
VALUE = "lease-value-7c1f0b93e2"
KEYS = {"leaseId", "secret", "uid", "holder", "createdAt", "expiresAt", "renew"}


def config(**more):
    return {
        "limits": {"pool_memory": "0"},
        "secrets": {"max_ttl": "2h"},
        "secret token": {"provider": "env", "variable": "SBT_TOKEN"},
        "secret short": {"provider": "env", "variable": "SBT_TOKEN", "max_ttl": "10m"},
        "secret gone": {"provider": "env", "variable": "SBT_GONE"},
        "secret credential": {"provider": "systemd", "credential": "nobody-gave-it"},
        "secret broken": {"provider": "env"},
        **more,
    }


def daemon(t, **more):
    d = t.private_daemon(config(**more), env={"SBT_TOKEN": VALUE})
    return d, t.connect(daemon=d)


def lease(c, secret="token", ttl=HOUR, **params):
    return c.call("secret.lease", {"secret": secret, "ttlMs": ttl, **params})


def lives(c, one):
    """Renewing is what shows that one is still there."""
    try:
        c.call("secret.renew", {"leaseId": one["leaseId"], "ttlMs": HOUR})
        return True
    except lib.RpcError as e:
        equal((e.kind, e.field), ("not_found", "leaseId"), "why not")
        return False


def start(c, sandbox, command=("sleep", "1000"), **params):
    return c.call(
        "exec.run", {"sandbox": sandbox["name"], "command": list(command), "detach": True, **params}
    )["execId"]


def end_of(c, exec_id):
    return c.call("exec.wait", {"execId": exec_id}, timeout=30)


def rows(d):
    return d.rows("SELECT * FROM leases")


# ---- one ----
def test_lease(t):
    d, c = daemon(t)
    one = lease(c)
    equal(set(one), KEYS, "fields of a Lease")
    equal(one["secret"], "token", "secret")
    equal(one["holder"], {"kind": "client", "id": None}, "holder")
    check(one["createdAt"] < one["expiresAt"], "times")
    revealed = lease(c, reveal=True)
    equal(revealed["value"], VALUE, "value")
    check(revealed["leaseId"] != one["leaseId"], "another lease")
    longer = c.call("secret.renew", {"leaseId": one["leaseId"], "ttlMs": 2 * HOUR})
    equal((set(longer), longer["createdAt"]), (KEYS, one["createdAt"]), "renewed")
    check(longer["expiresAt"] > one["expiresAt"], "it lasts longer")
    equal(len(rows(d)), 2, "rows")
    check(VALUE not in str(rows(d)), "a value in the database")
    equal(c.call("secret.revoke", {"leaseId": one["leaseId"]}), {"revoked": 1, "running": 0}, "revoked")
    check(not lives(c, one), "a revoked lease lives")
    equal(c.call("secret.revokeAll"), {"revoked": 1, "running": 0}, "all")
    equal(rows(d), [], "rows")
    equal(c.call("secret.revokeAll"), {"revoked": 0, "running": 0}, "again")
    if os.getuid() == 0:  # nobody else may look
        with open(f"/proc/{d.pid}/environ", "rb") as f:
            check(VALUE.encode() not in f.read(), "the environment of the daemon has the value")


def test_who_has_what(t):
    d, c = daemon(t)
    box = t.sandbox(client=c)
    x = start(c, box, secrets=["token"])
    own = lease(c)
    of_box = lease(c, "short", 600_000, sandbox=box["name"])

    def listed(**params):
        page = c.call("secret.leases", params)["leases"]
        check(VALUE not in str(page), "no value")
        return page

    first, *others = listed()
    equal(others, [own, of_box], "as they were told, in their order")
    equal((first["holder"], first["secret"], first["sandbox"], first["renew"]),
          ({"kind": "exec", "id": x}, "token", box["name"], True), "that of the command")
    equal((first["uid"], set(first) - KEYS), (os.getuid(), {"sandbox"}), "whose, and where")
    for params, want in (
        ({"secret": "short"}, [of_box]),
        ({"secret": "nobody"}, []),
        ({"execId": x}, [first]),
        ({"sandbox": box["name"]}, [first, of_box]),
        ({"sandbox": box["id"], "secret": "token"}, [first]),
        ({"limit": 2}, [first, own]),
        ({"limit": 2, "after": own["leaseId"]}, [of_box]),
    ):
        equal(listed(**params), want, f"{params}")
    args = ("secret", "leases", "--sandbox", box["name"], "short")
    p = t.ctl(*args, daemon=d)
    head, line = p.stdout.decode().splitlines()
    equal((p.returncode, head.split()[:3]), (0, ["LEASE", "SECRET", "HOLDER"]), p.stderr.decode())
    equal(line.split()[:5], [of_box["leaseId"], "short", "sandbox", box["id"], box["name"]], "as a table")
    equal(json.loads(t.ctl("-o", "json", *args, daemon=d).stdout), {"leases": [of_box]}, "as it is told")
    for field, value in (("execId", "nobody"), ("sandbox", "nobody"), ("loopId", "nobody"), ("after", "nobody")):
        refused(c.error("secret.leases", {field: value}), "not_found")
    invalid(c.error("secret.leases", {"execId": x, "loopId": "l"}), "execId")
    c.call("exec.cancel", {"execId": x})
    end_of(c, x)
    equal(listed(execId=x), [], "it has ended")
    c.call("secret.revokeAll")
    equal(listed(), [], "all are revoked")


def test_file(t):
    """Read anew each time; what is no file is told, and what hangs keeps nobody waiting."""
    folder = t.workspace({"token": "from a file\n", "bytes": b"\xff\0\xfe"})
    os.mkfifo(os.path.join(folder, "pipe"))
    names = ("token", "bytes", "pipe", "missing")
    more = {f"secret f-{n}": {"provider": "file", "path": os.path.join(folder, n)} for n in names}
    _, c = daemon(t, **more)
    equal(lease(c, "f-token", reveal=True)["value"], "from a file\n", "value")
    equal(lib.text_of(lease(c, "f-bytes", reveal=True)["value"]), b"\xff\0\xfe", "bytes")
    t.put(folder, "token", "another")
    equal(lease(c, "f-token", reveal=True)["value"], "another", "it has changed")
    for name in ("f-pipe", "f-missing"):
        e = c.error("secret.lease", {"secret": name, "ttlMs": HOUR})
        equal((e.kind, e.field), ("unavailable", "secret"), name)
    equal(c.call("secret.revokeAll")["revoked"], 3, "leases")


def test_bad_input(t):
    _, c = daemon(t)
    box = t.sandbox(client=c)
    for params, field in (
        ({}, "secret"),
        ({"secret": "token"}, "ttlMs"),
        ({"secret": "token", "ttlMs": 0}, "ttlMs"),
        ({"secret": "token", "ttlMs": -1}, "ttlMs"),
        ({"secret": "token", "ttlMs": 999}, "ttlMs"),
        ({"secret": "token", "ttlMs": 2 * HOUR + 1}, "ttlMs"),
        ({"secret": "short", "ttlMs": 600_001}, "ttlMs"),
        ({"secret": "token", "ttlMs": "1h"}, "ttlMs"),
        ({"secret": "", "ttlMs": HOUR}, "secret"),
        ({"secret": "../token", "ttlMs": HOUR}, "secret"),
        ({"secret": "a" * 65, "ttlMs": HOUR}, "secret"),
        ({"secret": 7, "ttlMs": HOUR}, "secret"),
        ({"secret": "token", "ttlMs": HOUR, "renew": True}, "renew"),
        ({"secret": "token", "ttlMs": HOUR, "sandbox": box["name"], "loopId": "7"}, "sandbox"),
        ({"secret": "token", "ttlMs": HOUR, "value": "x"}, "value"),
    ):
        invalid(c.error("secret.lease", params), field)
    for name in ("gone", "credential", "broken"):
        e = c.error("secret.lease", {"secret": name, "ttlMs": HOUR})
        equal((e.kind, e.field), ("unavailable", "secret"), name)
        check(VALUE not in str(e), "a value in an error")
    for holder, what in (("execId", "exec"), ("sandbox", "sandbox"), ("loopId", "loop")):
        e = c.error("secret.lease", {"secret": "token", "ttlMs": HOUR, holder: "nobody"})
        equal(e.kind, "not_found", what)
    for params in ({}, {"kill": True}, {"leaseId": "a", "sandbox": "b"}):
        invalid(c.error("secret.revoke", params), "leaseId")
    for method, params in (("secret.revoke", {}), ("secret.renew", {"ttlMs": HOUR})):
        equal(c.error(method, {"leaseId": "nothing", **params}).kind, "not_found", method)
    one = lease(c)
    invalid(c.error("secret.renew", {"leaseId": one["leaseId"], "ttlMs": 2 * HOUR + 1}), "ttlMs")
    c.call("sandbox.stop", {"sandbox": box["name"], "force": True})
    e = c.error("secret.lease", {"secret": "token", "ttlMs": HOUR, "sandbox": box["name"]})
    equal((e.kind, e.field), ("invalid_state", "sandbox"), "of a stopped sandbox")


@modes("root")
def test_of_another(t):
    """Names of the configuration are for those whom it names; leases are their owner's."""
    d, c = daemon(t, **{"secret shared": {"provider": "env", "variable": "SBT_TOKEN", "users": TEST_USER}})
    user = pwd.getpwnam(TEST_USER)
    os.chmod(d.socket, 0o666)
    other = t.connect(user.pw_uid, user.pw_gid, d)
    mine, his = lease(c), lease(other, "shared", reveal=True)
    equal(his["value"], VALUE, "of one who may")
    refused(other.error("secret.lease", {"secret": "token", "ttlMs": HOUR}), "not_found", "unavailable")
    check(not lives(other, mine), "he sees another's")
    equal(other.call("secret.leases"), {"leases": [{k: v for k, v in his.items() if k != "value"}]}, "his own")
    equal([one["uid"] for one in c.call("secret.leases")["leases"]], [0, user.pw_uid], "root sees all")
    refused(other.error("secret.leases", {"after": mine["leaseId"]}), "not_found")
    equal(other.error("secret.revoke", {"leaseId": mine["leaseId"]}).kind, "not_found", "nor ends it")
    equal(other.call("secret.revokeAll")["revoked"], 1, "all of his own")
    check(lives(c, mine), "and no other's")


# ---- whom it is for ----
def test_ends_with_its_holder(t):
    d, c = daemon(t)
    work = t.workspace()
    c.call("loop.create", {"loopId": "7", "workDir": work, "tools": ["shell"]}, timeout=60)
    box = c.call("sandbox.list", {"filter": {"loopId": "7"}})["sandboxes"][0]
    exec_id = start(c, box)
    of_exec = lease(c, execId=exec_id, renew=True)
    of_box = lease(c, sandbox=box["name"])
    of_loop = lease(c, loopId="7")
    equal(of_exec["holder"], {"kind": "exec", "id": exec_id}, "of a command")
    equal(of_box["holder"], {"kind": "sandbox", "id": box["id"]}, "of a sandbox")
    equal(of_loop["holder"], {"kind": "loop", "id": "7"}, "of a loop")
    equal((of_exec["renew"], of_box["renew"]), (True, False), "renew")
    c.call("exec.signal", {"execId": exec_id, "signal": "KILL"})
    end_of(c, exec_id)
    equal([lives(c, x) for x in (of_exec, of_box, of_loop)], [False, True, True], "its command ended")
    e = c.error("secret.lease", {"secret": "token", "ttlMs": HOUR, "execId": exec_id})
    equal((e.kind, e.field), ("invalid_state", "execId"), "of an ended command")
    c.call("sandbox.stop", {"sandbox": box["name"], "force": True})
    equal([lives(c, x) for x in (of_box, of_loop)], [False, True], "its sandbox stopped")
    c.call("loop.cancel", {"loopId": "7"}, timeout=60)
    equal(lives(c, of_loop), False, "its loop was cancelled")
    until(lambda: not rows(d), 10, "the row of a command goes a moment later")


def test_revoke_of_a_holder(t):
    """By command, sandbox and loop; who runs goes on unless he is to be killed."""
    _, c = daemon(t)
    work = t.workspace()
    c.call("loop.create", {"loopId": "7", "workDir": work, "tools": ["shell"]}, timeout=60)
    box = c.call("sandbox.list", {"filter": {"loopId": "7"}})["sandboxes"][0]
    other = t.sandbox(client=c)
    free = lease(c)
    for params in ({"loopId": "7"}, {"sandbox": box["id"]}, None):
        mine, his = start(c, box), start(c, other)
        leases = [lease(c, execId=mine), lease(c, sandbox=box["name"]), lease(c, execId=his)]
        equal(
            c.call("secret.revoke", {"execId": mine}), {"revoked": 1, "running": 1}, "the command goes on"
        )
        equal(c.call("exec.get", {"execId": mine})["state"], "running", "it runs")
        leases[0] = lease(c, execId=mine)
        params = params or {"execId": mine}
        count = 1 if "execId" in params else 2
        equal(c.call("secret.revoke", {**params, "kill": True}), {"revoked": count, "running": 0}, str(params))
        equal(end_of(c, mine)["cause"], "lease_revoked", "its end")
        equal([lives(c, x) for x in leases], [False, count == 1, True], "leases")
        equal(c.call("exec.get", {"execId": his})["state"], "running", "another")
        c.call("exec.cancel", {"execId": his})
        end_of(c, his)
    check(lives(c, free), "of nobody")
    equal(c.call("secret.revoke", {"execId": mine}), {"revoked": 0, "running": 0}, "of one that has ended")


def test_revoke_all_and_kill(t):
    _, c = daemon(t)
    box = t.sandbox(client=c)
    trap = start(c, box, ["sh", "-c", 'trap "exit 9" TERM; while :; do sleep 0.05; done'])
    plain, untouched = start(c, box), start(c, box)
    for exec_id in (trap, plain):
        lease(c, execId=exec_id)
    lease(c)
    equal(c.call("secret.revokeAll", {"kill": True}), {"revoked": 3, "running": 0}, "all")
    equal([end_of(c, x)["cause"] for x in (trap, plain)], ["lease_revoked"] * 2, "ends")
    equal(end_of(c, trap)["exitCode"] in (9, None), True, "it had its grace")
    equal(c.call("exec.get", {"execId": untouched})["state"], "running", "one without a lease")
    # of a sandbox: all that runs in it
    lease(c, sandbox=box["name"])
    c.call("secret.revoke", {"sandbox": box["name"], "kill": True})
    equal(end_of(c, untouched)["cause"], "lease_revoked", "one in a sandbox that had it")


def test_kill_after_all(t):
    """Who kept what was revoked, or what expired, can be ended afterwards, in its place alone."""
    d, c = daemon(t)
    boxes = [t.sandbox(client=c) for _ in range(2)]
    other = t.connect(daemon=d)
    other.call("events.subscribe", {"types": ["lease"]})
    first, second = (start(c, x) for x in boxes)
    expired = start(c, boxes[0])
    for exec_id in (first, second):
        lease(c, execId=exec_id)
    lease(c, execId=expired, ttl=1000)
    equal(other.note("events.event", timeout=20)["data"]["reason"], "expired", "one")
    equal(c.call("secret.revokeAll"), {"revoked": 2, "running": 2}, "all")
    equal(c.call("secret.revokeAll"), {"revoked": 0, "running": 0}, "nothing is left")
    nothing = {"revoked": 0, "running": 0}
    equal(c.call("secret.revoke", {"sandbox": boxes[0]["name"], "kill": True}), nothing, "it was revoked before")
    equal([end_of(c, x)["cause"] for x in (first, expired)], ["lease_revoked"] * 2, "in that sandbox")
    equal(c.call("exec.get", {"execId": second})["state"], "running", "in another")
    equal(c.call("secret.revokeAll", {"kill": True}), nothing, "all")
    equal(end_of(c, second)["cause"], "lease_revoked", "the last")


# ---- time ----
def test_expires(t):
    d, c = daemon(t)
    box = t.sandbox(client=c)
    exec_id = start(c, box, stage="coder")
    other = t.connect(daemon=d)
    other.call("events.subscribe", {"types": ["lease"]})
    kept = lease(c, ttl=2000, execId=exec_id, renew=True)
    short = lease(c, ttl=1000, execId=exec_id)
    event = other.note("events.event", timeout=20)
    equal((event["type"], event["execId"], event["sandbox"]), ("lease.ended", exec_id, box["name"]), "event")
    equal(event["data"]["leaseId"], short["leaseId"], "whose")
    equal((event["data"]["secret"], event["data"]["reason"]), ("token", "expired"), "why")
    check(not lives(c, short), "it expired")
    # by now the other was renewed, and it is again and again
    begin = time.monotonic()
    until(lambda: time.monotonic() - begin > 2.5, 10, "more than two ttls")
    equal(c.call("secret.revoke", {"leaseId": kept["leaseId"]}), {"revoked": 1, "running": 1}, "still there")
    event = other.note("events.event", timeout=20)
    equal(event["data"]["reason"], "revoked", "why")
    equal(c.call("exec.get", {"execId": exec_id})["state"], "running", "the command goes on")


def test_restart(t):
    """Leases of those who live on go on, the others end; what expired meanwhile has expired."""
    config_keep = config(daemon={"on_stop": "keep"})
    d = t.private_daemon(config_keep, env={"SBT_TOKEN": VALUE})
    c = t.connect(daemon=d)
    work = t.workspace({"go": ""})
    box = t.sandbox(client=c, workspace=work)
    exec_id = start(c, box)
    going = start(c, box, ["sh", "-c", "while [ -e go ]; do sleep 0.02; done"])
    lost = lease(c, ttl=1500)
    leases = [lease(c), lease(c, sandbox=box["name"]), lease(c, execId=exec_id, renew=True)]
    dying = lease(c, execId=going)
    d.kill()
    os.unlink(os.path.join(work, "go"))
    time.sleep(1.6)  # longer than the short one lasts
    d.start()
    c = t.connect(daemon=d)
    until(lambda: c.call("exec.get", {"execId": going})["state"] == "ended", 20, "its end is known")
    equal([lives(c, x) for x in leases], [True] * 3, "of those that live")
    equal([lives(c, x) for x in (dying, lost)], [False] * 2, "the others")
    c.call("sandbox.remove", {"sandbox": box["name"], "force": True})
    equal([lives(c, x) for x in leases], [True, False, False], "its sandbox is gone")
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    equal(c.call("secret.revokeAll")["revoked"], 1, "after a clean stop")


# ---- sandboxctl ----
def test_ctl(t):
    d, c = daemon(t)

    def ctl(*args, status=0):
        p = t.ctl("secret", *args, daemon=d)
        equal(p.returncode, status, p.stderr.decode())
        return p

    equal(ctl("lease", "token", "--ttl", "1h", "--raw").stdout, VALUE.encode(), "the value alone")
    name = ctl("lease", "token", "--ttl", "1h").stdout.decode().strip()
    check(lives(c, {"leaseId": name}), "what it printed is the lease")
    check("value" not in ctl("lease", "-o", "json", "token", "--ttl", "1h").stdout.decode(), "no value")
    check(b"--ttl" in ctl("lease", "token", status=2).stderr, "the option is named")
    for args in (("lease", "gone", "--ttl", "1h", "--raw"), ("lease", "token", "--ttl", "3h", "--raw")):
        p = ctl(*args, status=1)
        equal((p.stdout, bool(p.stderr)), (b"", True), "nothing on stdout")
    ctl("revoke", name)
    p = ctl("revoke", name, status=1)
    check(name in p.stderr.decode(), p.stderr.decode())
    ctl("revoke", status=2)
    ctl("revoke", "--all", name, status=2)
    box = t.sandbox(client=c)
    exec_id = start(c, box)
    ctl("lease", "token", "--ttl", "1h", "--exec", exec_id, "--renew")
    p = ctl("revoke", "--all")
    check(b"--kill" in p.stderr, p.stderr.decode())
    ctl("lease", "token", "--ttl", "1h", "--exec", exec_id)
    equal(ctl("revoke", "--sandbox", box["name"], "--kill").stderr, b"", "nothing left to say")
    equal(end_of(c, exec_id)["cause"], "lease_revoked", "its end")
    exited(t.run(box, ["true"], client=c))
