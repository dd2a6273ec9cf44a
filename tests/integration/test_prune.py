# SPDX-License-Identifier: Apache-2.0
"""sandboxctl df and prune: what takes space, what goes, and that nothing goes unasked."""

import json
import os
import subprocess

from harness import timeout
from lib import check, equal

TINY = """
[tool tiny]
version = 2
install =
	mkdir -p /opt/tiny/bin
	head -c 3000000 /dev/urandom >/opt/tiny/bin/data
check = echo 1 2 3
run = true
"""


def made(t, c, **params):
    return t.sandbox(client=c, **params)


def states(c):
    return {s["name"]: s["state"] for s in c.call("sandbox.list")["sandboxes"]}


def df(t, d):
    r = t.ctl("df", "-o", "json", daemon=d)
    equal(r.returncode, 0, f"df: {r.stderr}")
    return json.loads(r.stdout)


@timeout(90)
def test_sandboxes(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    running, paused, stopped = (made(t, c) for _ in range(3))
    t.sh(stopped, "head -c 6000000 /dev/urandom >/home/agent/file", client=c)
    c.call("sandbox.stop", {"sandbox": stopped["name"]})
    c.call("sandbox.pause", {"sandbox": paused["name"]})
    before = df(t, d)
    check(6_000_000 <= before["prunableBytes"] < 8_000_000, f"prunable {before['prunableBytes']}")
    table = t.ctl("df", daemon=d).stdout.decode()
    for word in ("sandboxes", "templates", "total", "PRUNE FREES"):
        check(word in table, table)
    # nobody to ask
    r = t.ctl("prune", daemon=d)
    equal((r.returncode, r.stdout), (2, b""), "prune without a terminal")
    check(b"--force" in r.stderr and b"--dry-run" in r.stderr, r.stderr)
    r = t.ctl("prune", "--dry-run", daemon=d)
    equal(r.returncode, 0, "dry run")
    check(stopped["name"].encode() in r.stdout, r.stdout)
    for s in (running, paused):
        check(s["name"].encode() not in r.stdout, r.stdout)
    equal(len(states(c)), 3, "a dry run removes nothing")
    r = t.ctl("prune", "--force", "-o", "json", daemon=d)
    equal(r.returncode, 0, "prune")
    equal([x["name"] for x in json.loads(r.stdout)["removed"]], [stopped["name"]], "removed")
    equal(states(c), {running["name"]: "running", paused["name"]: "paused"}, "what is left")
    r = t.ctl("prune", "--force", daemon=d)
    equal((r.returncode, r.stdout), (0, b""), "again")
    check(b"nothing" in r.stderr, r.stderr)
    equal(df(t, d)["prunableBytes"], 0, "prunable")


def on_terminal(t, d, answer):
    """What prune says on a terminal when it is answered so."""
    master, slave = os.openpty()
    p = subprocess.Popen(
        [t.suite.tools["sandboxctl"], "prune"],
        env={**os.environ, "SANDBOXD_SOCKET": d.socket},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    try:
        while b"[y/N]" not in said:
            said += os.read(master, 4096)
        os.write(master, answer)
        equal(p.wait(30), 0, "status")
    finally:
        p.kill()
        p.wait()
        os.close(master)
    return said


@timeout(60)
def test_asks_on_a_terminal(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = made(t, c)
    c.call("sandbox.stop", {"sandbox": s["name"]})
    for answer, left in ((b"n\n", 1), (b"\n", 1), (b"y\n", 0)):
        said = on_terminal(t, d, answer)
        check(s["name"].encode() in said, said)
        equal(len(states(c)), left, f"after {answer}")


@timeout(240)
def test_layers(t):
    """Old versions of a tool go when nothing stands on them; the configured one and saved ones stay."""
    d = t.private_daemon(config=TINY)
    c = t.connect(daemon=d)
    for version in ("1", "2", "3"):
        c.call("template.build", {"tool": f"tiny@{version}"}, timeout=60)
    user = made(t, c, tool="tiny@3")
    c.call("sandbox.save", {"sandbox": user["name"], "template": "mine:1"}, timeout=60)
    c.call("sandbox.stop", {"sandbox": user["name"]})
    c.call("sandbox.start", {"sandbox": user["name"]})
    plan = {x["name"]: x["prune"] for x in df(t, d)["templates"]}
    equal(
        {k: v for k, v in plan.items() if k[:4] in ("tiny", "mine", "host")},
        {"tiny@1": True, "tiny@2": False, "tiny@3": False, "mine:1": False, "host": False},
        "plan",
    )
    r = t.ctl("prune", "-f", "-o", "json", daemon=d)
    equal([x["name"] for x in json.loads(r.stdout)["removed"]], ["tiny@1"], "removed")
    names = {x["name"] for x in c.call("template.list")["templates"]}
    check({"tiny@2", "tiny@3", "mine:1"} <= names and "tiny@1" not in names, str(names))


def test_bad_input(t):
    for args in (("prune", "x"), ("df", "x"), ("prune", "--all")):
        r = t.ctl(*args)
        equal(r.returncode, 2, str(args))
        check(r.stderr, str(args))
