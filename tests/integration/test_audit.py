# SPDX-License-Identifier: Apache-2.0
"""The audit log of secrets: audit.list, audit.verify, `sandboxctl audit`, and what an intruder may do to it."""

import json
import os
import pwd
import shutil

import lib
from harness import TEST_USER, invalid, modes
from lib import check, equal

FIRST = "000000000001.jsonl"


def entries(c, **params):
    return c.call("audit.list", params)["entries"]


def verify(c, **params):
    return c.call("audit.verify", params)


def path_of(d, name=FIRST):
    return os.path.join(d.state, "audit", name)


def use(c):
    c.call("secret.set", {"secret": "used", "value": {"text": "planted-in-vain"}})


def report(d):
    with d.client() as c:
        return verify(c)


def expect_problem(d, entry, reason, file=FIRST):
    r = report(d)
    equal(r["ok"], False, "ok")
    equal(r["problem"], {"entry": entry, "file": file, "reason": reason, "against": "head"}, "problem")


def test_fresh(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    (begin,) = entries(c)
    equal((begin["seq"], begin["action"], begin["result"], begin["uid"]), (1, "begin", "ok", os.getuid()), "begin")
    r = verify(c)
    equal((r["ok"], r["first"], r["checked"], r["problem"]), (True, 1, 1, None), "report")
    equal(r["head"], {"count": 1, "hash": begin["mac"]}, "head")
    equal(entries(c, after=0), [begin], "from the first")
    equal(entries(c, after=1), [], "behind the last")
    info = os.stat(os.path.dirname(path_of(d)))
    equal((info.st_mode & 0o7777, os.stat(path_of(d)).st_mode & 0o7777), (0o700, 0o600), "modes")


def test_noted(t):
    c = t.connect(daemon=t.private_daemon())
    head = verify(c)["head"]
    equal(verify(c, noted=head)["ok"], True, "the head itself")
    other = {**head, "hash": "0" * 64}
    equal(verify(c, noted=other)["problem"]["against"], "noted", "another hash")
    equal(verify(c, noted=other)["problem"]["entry"], 1, "another hash, entry")
    later = {"count": 7, "hash": "0" * 64}
    p = verify(c, noted=later)["problem"]
    equal((p["entry"], p["reason"], p["against"]), (2, "missing", "noted"), "what is not there")


def test_bad_input(t):
    c = t.connect(daemon=t.private_daemon())
    for params, field in (
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"after": -1}, "after"),
        ({"after": "x"}, "after"),
        ({"tail": 1}, "tail"),
    ):
        invalid(c.error("audit.list", params), field)
    for params, field in (
        ({"noted": 1}, "noted"),
        ({"noted": {"count": 1}}, "noted.hash"),
        ({"noted": {"count": 0, "hash": "0" * 64}}, "noted.count"),
        ({"noted": {"count": 1, "hash": "0" * 63}}, "noted.hash"),
        ({"noted": {"count": 1, "hash": "G" * 64}}, "noted.hash"),
    ):
        invalid(c.error("audit.verify", params), field)


def test_survives_a_kill(t):
    d = t.private_daemon()
    head = report(d)["head"]
    d.kill()
    d.start()
    equal(report(d)["head"], head, "the same head")
    equal(report(d)["ok"], True, "ok")


def test_changed(t):
    d = t.private_daemon()
    d.stop()
    with open(path_of(d), "r+b") as f:
        text = f.read()
        f.seek(text.index(b'"result":"ok"') + len('"result":"'))
        f.write(b"no")
    d.start()
    expect_problem(d, 1, "changed")
    d.stop()
    d.start()  # it goes on in another file, and that stays
    expect_problem(d, 1, "changed")
    check(os.path.exists(path_of(d, "000000000002.jsonl")), "no second file")
    with d.client() as c:
        equal([e["seq"] for e in entries(c)], [1, 2], "listed all the same")
        equal(entries(c)[1]["prev"], entries(c)[0]["mac"], "it goes on from what was remembered")


def test_removed(t):
    d = t.private_daemon()
    os.unlink(path_of(d))
    expect_problem(d, 1, "missing")
    d.kill()
    d.start()
    expect_problem(d, 1, "missing")


def test_directory_removed(t):
    """Or moved away, under a daemon that runs: it is made again, and the gap has a name."""
    d = t.private_daemon()
    folder = os.path.join(d.state, "audit")
    with d.client() as c:
        use(c)
        shutil.rmtree(folder)
        use(c)
        expect_problem(d, 1, "missing")
        seen = entries(c)
        os.rename(folder, folder + ".away")
        expect_problem(d, 1, "missing")
        use(c)
        again = entries(c)
        check(again and again[0]["seq"] > seen[-1]["seq"], f"it goes on behind {seen[-1]}: {again}")
    d.stop()
    d.start()
    expect_problem(d, 1, "missing")
    with d.client() as c:
        use(c)


def test_garbage_at_its_end(t):
    d = t.private_daemon()
    with open(path_of(d), "ab") as f:
        f.write(b"\xff\x00{\n" * 5000)
        f.write(b'{"seq":3,"at":"2026-11-26T08:00:00.000Z","uid":%d,"pid":0,"action":"lease","result":"ok"' % os.getuid())
        f.write(b',"mac":"' + b"0" * 64 + b'"}')
    equal(report(d)["ok"], True, "what is behind our head is not looked at")
    with d.client() as c:
        equal([e["seq"] for e in entries(c)], [1, 3], "and listed, if it is JSON")
    d.stop()
    d.start()
    expect_problem(d, 2, "damaged")


def test_ctl(t):
    d = t.private_daemon()
    p = t.ctl("audit", daemon=d)
    equal(p.returncode, 0, p.stderr)
    lines = p.stdout.decode().splitlines()
    equal((lines[0].split()[0], lines[1].split()[4]), ("SEQ", "begin"), "table")
    (e,) = json.loads(t.ctl("-o", "json", "audit", "--tail", "1", daemon=d).stdout)["entries"]
    equal(e["action"], "begin", "as JSON")
    head = report(d)["head"]
    noted = f"{head['count']}:{head['hash']}"
    p = t.ctl("audit", "verify", "--noted", noted, daemon=d)
    equal(p.returncode, 0, p.stderr)
    equal(p.stdout.decode(), f"1 entries from 1 on are as they were written; head {noted}\n", "verify")
    for bad in ("x", "1", "1:", ":", f"{head['count']}x:{head['hash']}"):
        p = t.ctl("audit", "verify", "--noted", bad, daemon=d)
        check(p.returncode != 0 and p.stderr, f"--noted {bad} passed")
    d.stop()
    os.truncate(path_of(d), 100)
    d.start()
    p = t.ctl("audit", "verify", daemon=d)
    equal(p.returncode, 1, "status of a bad log")
    check(b"entry 1, in " + FIRST.encode() in p.stderr, p.stderr)
    equal(json.loads(t.ctl("-o", "json", "audit", "verify", daemon=d).stdout)["ok"], False, "as JSON")


def test_many_at_once(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    ids = [c.send("audit.verify", {}) for _ in range(40)]
    c.notify("rpc.cancel", {"id": ids[0]})
    answers = [c.wait_raw(i) for i in ids]
    kinds = {a["error"]["data"]["kind"] for a in answers if "error" in a}
    check(kinds <= {"limit_reached", "cancelled"}, kinds)
    check(any("result" in a for a in answers), "none was answered")
    with d.client() as gone:
        for _ in range(5):
            gone.send("audit.verify", {})
            gone.send("audit.list", {})
    equal(verify(c)["ok"], True, "afterwards")


VALUE = "sk-planted-0123456789abcdef"


def test_a_lease_of_a_command(t):
    """Who, what, for which command, how it ended; and no value."""
    d = t.private_daemon({"secret token": {"provider": "env", "variable": "PLANTED"}}, env={"PLANTED": VALUE})
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    r = t.run(s, ["sh", "-c", "echo ${#TOKEN}"], client=c, secrets=["token"], stage="implementor")
    equal(lib.text_of(r["stdout"]), b"%d\n" % len(VALUE), "it has it")
    lease, release = entries(c)[-2:]
    about = {
        "uid": os.getuid(), "result": "ok", "secret": "token", "provider": "env", "sandbox": s["name"],
        "execId": r["execId"], "stage": "implementor", "leaseId": lease["leaseId"],
    }
    equal({k: v for k, v in lease.items() if k in about}, about, "the lease")
    equal({k: v for k, v in release.items() if k in about}, about, "its end")
    equal((lease["action"], release["action"]), ("lease", "release"), "actions")
    equal((lease["pid"], lease["exe"]), (os.getpid(), os.readlink("/proc/self/exe")), "who asked")
    equal(release["pid"], 0, "the daemon ended it")
    c.call("secret.lease", {"secret": "token", "ttlMs": 60000, "sandbox": s["id"]})
    lease = entries(c)[-1]
    equal((lease["sandbox"], "execId" in lease), (s["name"], False), "of the sandbox, by name as well")
    equal(verify(c)["ok"], True, "ok")
    with open(path_of(d), encoding="utf-8") as f:
        check(VALUE not in f.read(), "the value is in the audit log")


def test_no_lease_that_cannot_be_written_down(t):
    d = t.private_daemon({"secret token": {"provider": "env", "variable": "PLANTED"}}, env={"PLANTED": VALUE})
    c = t.connect(daemon=d)
    ws = t.workspace()
    s = t.sandbox(client=c, workspace=ws)
    touch = {"sandbox": s["name"], "command": ["touch", ws + "/ran"]}
    folder = os.path.dirname(path_of(d))
    shutil.rmtree(folder)
    with open(folder, "wb"):
        pass
    e = c.error("exec.run", {**touch, "secrets": ["token"]})
    check(e.kind == "unavailable" and "recorded" in e.message and VALUE not in str(e), f"{e}")
    check(not os.path.exists(ws + "/ran"), "it ran")
    equal(c.call("exec.run", touch)["exitCode"], 0, "without a secret")
    os.unlink(folder)
    equal(c.call("exec.run", {**touch, "secrets": ["token"]})["exitCode"], 0, "there is a new directory")
    expect_problem(d, 1, "missing")


def test_no_directory(t):
    """What lies where the log should be is named, and when it is gone all goes on."""
    d = t.private_daemon()
    d.stop()
    place = os.path.dirname(path_of(d))
    shutil.rmtree(place)
    with open(place, "w", encoding="ascii"):
        pass
    d.start()
    c = t.connect(daemon=d)
    secret = {"secret": "a", "value": {"text": "x"}}
    e = c.error("secret.set", secret)
    equal(e.kind, "unavailable", str(e))
    check(f"in {place}: Not a directory" in e.message and "move away what is there" in e.hint, str(e))
    os.unlink(place)
    c.call("secret.set", secret)


def test_who_revoked(t):
    d = t.private_daemon({"secret token": {"provider": "env", "variable": "PLANTED"}}, env={"PLANTED": VALUE})
    c = t.connect(daemon=d)
    ids = [c.call("secret.lease", {"secret": "token", "ttlMs": 60_000})["leaseId"] for _ in range(3)]
    c.call("secret.renew", {"leaseId": ids[0], "ttlMs": 120_000})
    c.call("secret.revoke", {"leaseId": ids[0]})
    c.error("secret.revoke", {"leaseId": ids[0]})
    c.call("secret.revokeAll")
    c.call("secret.revokeAll")
    c.error("secret.lease", {"secret": VALUE, "ttlMs": 60_000})
    me = os.getpid()
    got = [(e["action"], e.get("leaseId"), e["pid"]) for e in entries(c)[1:]]
    expected = [("lease", i, me) for i in ids] + [("renew", ids[0], me)]
    expected += [("revoke", ids[0], 0), ("revoke", ids[0], me)]
    expected += [("revoke", ids[1], 0), ("revoke", ids[2], 0), ("revoke", None, me)]
    equal(got, expected, "entries")
    check(VALUE not in str(entries(c)), "a value that was taken for a name is in the audit log")


@modes("root")
def test_everybody_sees_his_own(t):
    other = pwd.getpwnam(TEST_USER)
    d = t.private_daemon()
    c = t.connect(daemon=d)
    equal([e["action"] for e in entries(c)], ["begin"], "root sees all")
    os.chown(d.socket, 0, other.pw_gid)
    os.chmod(d.socket, 0o660)
    theirs = t.connect(uid=other.pw_uid, gid=other.pw_gid, daemon=d)
    equal(entries(theirs), [], "another none of them")
    equal(verify(theirs)["ok"], True, "and may check")
