# SPDX-License-Identifier: Apache-2.0
"""The audit log of secrets: audit.list, audit.verify, `sandboxctl audit`, and what an intruder may do to it."""

import json
import os

from harness import invalid
from lib import check, equal

FIRST = "000000000001.jsonl"


def entries(c, **params):
    return c.call("audit.list", params)["entries"]


def verify(c, **params):
    return c.call("audit.verify", params)


def path_of(d, name=FIRST):
    return os.path.join(d.state, "audit", name)


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
    c = t.connect(daemon=t.private_daemon())
    ids = [c.send("audit.verify", {}) for _ in range(40)]
    c.notify("rpc.cancel", {"id": ids[0]})
    answers = [c.wait_raw(i) for i in ids]
    kinds = {a["error"]["data"]["kind"] for a in answers if "error" in a}
    check(kinds <= {"limit_reached", "cancelled"}, kinds)
    check(any("result" in a for a in answers), "none was answered")
    equal(verify(c)["ok"], True, "afterwards")
