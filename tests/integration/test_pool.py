# SPDX-License-Identifier: Apache-2.0
"""pool.list and pool.set, [pool NAME], and `sandboxctl pool`: how many spares there are, and why."""

import json
import os
import pwd
import signal
import subprocess
import time

import daemon as daemon_module
from harness import TEST_USER, invalid
from lib import check, equal, until

KEYS = {
    "template", "owner", "min", "max", "maxAgeMs", "source", "target", "ready", "starting", "warm", "cold", "hitRate",
    "stale", "expired", "failures", "failuresInRow", "retryAt", "reason",
}
HOUR = 3_600_000


def pools(c, **params):
    return c.call("pool.list", params)["pools"]


def pool(c, template="host", owner=None):
    for p in pools(c):
        if p["template"] == template and (owner is None or p["owner"] == owner):
            return p
    return None


def numbers(p):
    return p["min"], p["max"], p["maxAgeMs"], p["source"]


def reset(c, template="host"):
    return c.call("pool.set", {"template": template, "reset": True})


def connect(t, d):
    """A private daemon's client."""
    return t.connect(daemon=d)


def ready(c, count, owner=None):
    until(lambda: (pool(c, owner=owner) or {"ready": 0})["ready"] >= count, 60, f"{count} spares of host", 0.05)


def names(c):
    return sorted(s["name"] for s in c.call("sandbox.list")["sandboxes"])


# ---- pool.set ----
def test_set_and_list(t):
    c = connect(t, t.private_daemon())
    p = c.call("pool.set", {"template": "host", "min": 1, "max": 3, "maxAgeMs": 60_000})
    equal(set(p), KEYS, "fields of a Pool")
    equal((p["template"], p["owner"]), ("host", os.getuid()), "whose")
    equal(numbers(p), (1, 3, 60_000, "pool.set"), "as set")
    equal(numbers(pool(c)), (1, 3, 60_000, "pool.set"), "in the list")
    # what is not given stays
    equal(numbers(c.call("pool.set", {"template": "host", "max": 4})), (1, 4, 60_000, "pool.set"), "max alone")
    equal(numbers(c.call("pool.set", {"template": "host", "min": 0})), (0, 4, 60_000, "pool.set"), "min alone")
    equal(numbers(c.call("pool.set", {"template": "host", "maxAgeMs": 0})), (0, 4, None, "pool.set"), "never too old")
    equal(numbers(reset(c)), (0, 32, HOUR, "default"), "reset")
    equal(numbers(reset(c)), (0, 32, HOUR, "default"), "reset again")
    # a tool without a layer stands on host
    equal(c.call("pool.set", {"template": "shell", "max": 0})["template"], "host", "of shell")
    equal(len([p for p in pools(c) if p["template"] == "host"]), 1, "pools of host")


def test_bad_input(t):
    c = connect(t, t.private_daemon({"limits": {"pool_memory": "5760K"}}))
    table = [
        ({}, "template"),
        ({"template": "host"}, "min"),
        ({"template": "host", "min": -1}, "min"),
        ({"template": "host", "max": -1}, "max"),
        ({"template": "host", "min": 1.5}, "min"),
        ({"template": "host", "min": "1"}, "min"),
        ({"template": "host", "min": 1 << 40}, "min"),
        ({"template": "host", "min": None}, "min"),
        ({"template": "host", "min": 3, "max": 2}, "min"),
        ({"template": "host", "maxAgeMs": -1}, "maxAgeMs"),
        ({"template": "host", "maxAgeMs": 999}, "maxAgeMs"),
        ({"template": "host", "maxAgeMs": 1 << 50}, "maxAgeMs"),
        ({"template": "host", "reset": 1}, "reset"),
        ({"template": "host", "reset": True, "min": 1}, "reset"),
        ({"template": "host", "owner": -1, "min": 1}, "owner"),
        ({"template": "host", "owner": "root", "min": 1}, "owner"),
        ({"template": "host", "size": 3}, "size"),
        ({"template": "../host", "min": 1}, "template"),
        ({"template": 7, "min": 1}, "template"),
    ]
    for params, field in table:
        invalid(c.error("pool.set", params), field)
    # 4 MiB are for ten
    e = c.error("pool.set", {"template": "host", "max": 11})
    equal((e.kind, e.field), ("limit_reached", "max"), "beyond memory")
    check("pool_memory" in e.hint and "10" in e.hint, f"hint: {e.hint}")
    e = c.error("pool.set", {"template": "host", "min": 11})
    equal((e.kind, e.field), ("invalid_params", "min"), "min beyond max")
    check("10" in e.hint, f"hint: {e.hint}")
    c.call("pool.set", {"template": "host", "min": 0, "max": 5})
    e = c.error("pool.set", {"template": "host", "min": 6})
    equal((e.kind, e.field), ("invalid_params", "min"), "min beyond max")
    c.call("pool.set", {"template": "host", "min": 2})
    equal(c.error("pool.set", {"template": "host", "max": 1}).field, "max", "max below min")
    equal(numbers(pool(c)), (2, 5, HOUR, "pool.set"), "what was refused changes nothing")
    for params, field in [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"after": ""}, "after"), ({"x": 1}, "x")]:
        invalid(c.error("pool.list", params), field)


def test_unknown_template(t):
    for name in ("nobody", "nobody:1", "claude@0.0.1", "debian"):
        e = t.client.error("pool.set", {"template": name, "min": 1})
        equal((e.kind, e.field), ("not_found", "template"), name)
        check(e.hint, f"no hint: {e}")
    check("template build" in t.client.error("pool.set", {"template": "claude@0.0.1", "min": 1}).hint, "how to make it")
    equal(pool(t.client, "nobody"), None, "no pool of it")


def test_what_cannot_be_claimed(t):
    """Refused with the reason; 0 spares can be asked for anywhere."""
    for config in ({"daemon": {"runtime": "host"}}, {"limits": {"pool_memory": "0"}}):
        c = connect(t, t.private_daemon(config))
        e = c.error("pool.set", {"template": "host", "min": 1, "max": 1})
        equal(e.kind, "limit_reached" if "limits" in config else "unavailable", f"{config}")
        check(e.hint and "sandboxd.conf" in e.hint, f"hint of {e}")
        p = c.call("pool.set", {"template": "host", "max": 0})
        equal((p["max"], p["ready"], p["starting"]), (0, 0, 0), "none")
        check(p["reason"], f"{config}: no reason")


def test_network_host_by_default(t):
    """Spares are for those who ask for none, and the pool says so."""
    c = connect(t, t.private_daemon({"network": {"default": "host"}}))
    p = c.call("pool.set", {"template": "host", "min": 1, "max": 1})
    check("[network] default" in p["reason"], f"reason: {p['reason']}")
    ready(c, 1)
    equal(t.sandbox(client=c)["launchType"], "cold", "with the host's network")
    equal(t.sandbox(client=c, network="none")["launchType"], "warm", "with none")


def test_settings_outlive_the_daemon(t):
    d = t.private_daemon()
    c = connect(t, d)
    c.call("pool.set", {"template": "host", "min": 1, "max": 2, "maxAgeMs": 0})
    ready(c, 1)
    equal(d.stop(), 0, "a clean stop with a spare")
    d.start()
    c = connect(t, d)
    equal(numbers(pool(c)), (1, 2, None, "pool.set"), "after a restart")
    ready(c, 1)
    d.kill()
    d.start()
    c = connect(t, d)
    equal(numbers(pool(c)), (1, 2, None, "pool.set"), "after a crash")
    ready(c, 1)
    reset(c)
    d.stop()
    d.start()
    p = pool(connect(t, d))
    check(p is None or numbers(p) == (0, 32, HOUR, "default"), f"after a reset: {p}")


def test_whose_pool(t):
    """root sees and sets all; another user his own, and need not know of others."""
    if os.getuid() != 0:
        e = t.client.error("pool.set", {"template": "host", "max": 1, "owner": 0})
        equal((e.kind, e.field), ("denied", "owner"), "another's")
        return
    d = t.private_daemon()
    other = pwd.getpwnam(TEST_USER)
    os.chmod(d.socket, 0o666)
    theirs = t.connect(uid=other.pw_uid, gid=other.pw_gid, daemon=d)
    ours = connect(t, d)
    ours.call("pool.set", {"template": "host", "max": 3})
    equal(pools(theirs), [], "they see nothing")
    p = theirs.call("pool.set", {"template": "host", "max": 2})
    equal((p["owner"], p["max"]), (other.pw_uid, 2), "their own")
    equal([p["owner"] for p in pools(theirs)], [other.pw_uid], "they see theirs")
    equal([(p["owner"], p["max"]) for p in pools(ours)], [(0, 3), (other.pw_uid, 2)], "root sees both")
    p = ours.call("pool.set", {"template": "host", "max": 1, "owner": other.pw_uid})
    equal((p["owner"], p["max"]), (other.pw_uid, 1), "root sets theirs")
    equal(pools(theirs)[0]["max"], 1, "and they see it")
    e = theirs.error("pool.set", {"template": "host", "max": 9, "owner": 0})
    equal((e.kind, e.field), ("denied", "owner"), "another's")
    equal(pool(ours, owner=0)["max"], 3, "unchanged")


def test_a_template_that_is_removed(t):
    """What was set for it is forgotten with it."""
    c = connect(t, t.private_daemon())
    s = c.call("sandbox.create", {"name": "setup"}, timeout=60)
    t.suite.ids.append(s["id"])
    c.call("sandbox.save", {"sandbox": "setup", "template": "mine:1"}, timeout=60)
    equal(numbers(c.call("pool.set", {"template": "mine:1", "max": 2}))[1:], (2, HOUR, "pool.set"), "set")
    c.call("template.remove", {"template": "mine:1", "force": True}, timeout=60)
    equal(c.error("pool.set", {"template": "mine:1", "max": 2}).kind, "not_found", "gone")
    c.call("sandbox.save", {"sandbox": "setup", "template": "mine:1"}, timeout=60)
    p = c.call("pool.set", {"template": "mine:1", "min": 0})
    equal((p["max"], p["source"]), (32, "pool.set"), "the next of that name")


# ---- configuration ----
def test_configured(t):
    d = t.private_daemon({"pool host": {"min": 1, "max": 4}}, start=False)
    os.mkdir(d.config + ".d")
    with open(d.config + ".d/50.conf", "w", encoding="utf-8") as f:
        f.write("[pool shell]\nmax = 7\n[pool host]\nmax = 6\nmax_age = 5min\n[pool nowhere]\nmin = 1\n")
    d.start()
    t.suite.instances.add(d.instance)
    c = connect(t, d)
    equal(numbers(pool(c)), (1, 6, 300_000, "configuration"), "the drop-in adds")
    ready(c, 1)
    until(lambda: "nowhere" in d.log_tail(), 20, "a notice of a template that is not there")
    check(f"{d.config}.d/50.conf:7" in d.log_tail(), f"file:line in {d.log_tail()}")
    equal(pool(c, "nowhere"), None, "no pool of nothing")
    equal(numbers(c.call("pool.set", {"template": "host", "max": 2})), (1, 2, 300_000, "pool.set"), "pool.set wins")
    d.stop()
    d.start()
    c = connect(t, d)
    equal(numbers(pool(c)), (1, 2, 300_000, "pool.set"), "over a restart, too")
    equal(numbers(reset(c)), (1, 6, 300_000, "configuration"), "reset")


def test_bad_configuration(t):
    """Each with file and line; --check-config fails, the daemon starts without it."""
    table = [
        ("[pool host]\nmin = -1\n", 2, "min"),
        ("[pool host]\nmax = many\n", 2, "max"),
        ("[pool host]\nmax_age = 5\n", 2, "max_age"),
        ("[pool host]\nsize = 5\n", 2, "unknown key size"),
        ("[pool host]\nmin = 5\nmax = 4\n", 3, "more than max"),
        ("[limits]\npool_memory = 5760K\n[pool host]\nmax = 11\n", 4, "pool_memory"),
        ("[limits]\npool_memory = much\n", 2, "pool_memory"),
        ("[pool ..]\nmin = 5\n", 2, "[pool ..]"),
    ]
    for text, line, word in table:
        d = t.private_daemon(text, start=False)
        p = subprocess.run([*d.command(), "--check-config"], capture_output=True, timeout=20, check=False)
        said = p.stderr.decode()
        check(p.returncode > 0, f"{text!r}: status {p.returncode}")
        check(f"{d.config}:{line}: " in said and word in said, f"{text!r}: {said}")
    d.start()
    equal(pool(connect(t, d)), None, "no pool")


# ---- sandboxctl ----
def test_ctl(t):
    d = t.private_daemon()
    c = connect(t, d)

    def ctl(*args, status=0):
        r = t.ctl(*args, daemon=d)
        equal(r.returncode, status, f"{args}: {r.stderr.decode()}")
        return (r.stdout if status == 0 else r.stderr).decode()

    lines = ctl("pool", "set", "host", "--min", "1", "--max", "3", "--max-age", "15min").splitlines()
    equal(lines[0].split()[:5], ["TEMPLATE", "OWNER", "MIN", "MAX", "TARGET"], "header")
    equal(lines[1].split()[:4], ["host", str(os.getuid()), "1", "3"], "row")
    equal(numbers(pool(c)), (1, 3, 900_000, "pool.set"), "what it set")
    ready(c, 1)
    lines = ctl("pool", "ls").splitlines()
    equal(len(lines), 2, "lines")
    for header, cell in (("MIN", "1"), ("READY", "1"), ("HITS", "-")):
        at = lines[0].index(header)
        equal(lines[1][at:].split()[0], cell, f"{header} under its header")
    equal(json.loads(ctl("-o", "json", "pool", "ls")), c.call("pool.list"), "exactly the result")
    equal(json.loads(ctl("pool", "set", "-o", "json", "host", "--max-age", "0"))["maxAgeMs"], None, "never")
    equal(json.loads(ctl("rpc", "pool.set", '{"template": "host", "max": 2}'))["max"], 2, "by rpc")
    equal(json.loads(ctl("-o", "json", "pool", "set", "host", "--reset"))["source"], "default", "reset")
    for args, words in [
        (("host",), ("min, max",)),
        (("host", "--min", "5", "--max", "4"), ("min 5 is more than max 4", "at most 4")),
        (("nobody", "--min", "1"), ("nobody", "template ls")),
        (("host", "--max", "100000000"), ("pool_memory",)),
        (("host", "--owner", "12345", "--max", "1"), ("uid 12345",) if os.getuid() else ()),
    ]:
        if words:
            said = ctl("pool", "set", *args, status=1)
            check(all(w in said for w in words), f"{args}: {said}")
    for args in (("--min", "1"), ("host", "--min", "-1"), ("host", "--min", "x"), ("host", "--max-age", "5"), ("a", "b")):
        equal(t.ctl("pool", "set", *args, daemon=d).returncode, 2, f"{args}")


# ---- what it is for ----
def test_warm(t):
    """A create that finds a spare says so, in every listing; spares are in none."""
    d = t.private_daemon()
    c = connect(t, d)
    owner = t.suite.owner  # the workspace's, whoever asks
    c.call("pool.set", {"template": "host", "min": 1, "max": 2, "owner": owner})
    ready(c, 1, owner)
    equal(names(c), [], "a spare is no sandbox")
    work = t.workspace({"file": "hello"})
    warm = t.sandbox(client=c, tool="shell", workspace=work)
    equal(warm["launchType"], "warm", "launchType")
    equal(t.sh(warm, f"cat {work}/file", client=c), "hello", "its workspace")
    equal(names(c), [warm["name"]], "the list")
    p = pool(c, owner=owner)
    equal((p["warm"], p["cold"], p["hitRate"]), (1, 0, 1), "counted")
    # what no spare fits is cold and no miss
    cold = t.sandbox(client=c, network="host")
    equal(cold["launchType"], "cold", "with the host's network")
    equal(pool(c, owner=owner)["cold"], 0, "no miss")
    said = t.ctl("ls", daemon=d).stdout.decode().splitlines()
    at = said[0].index("LAUNCH")
    launched = {line.split()[0]: line[at:].split()[0] for line in said[1:]}
    equal(launched, {warm["name"]: "warm", cold["name"]: "cold"}, "ls")
    inspected = json.loads(t.ctl("-o", "json", "inspect", warm["name"], daemon=d).stdout)
    equal((inspected[0] if isinstance(inspected, list) else inspected)["launchType"], "warm", "inspect")
    ready(c, 1, owner)


def test_none_at_all(t):
    """max 0: every create is cold, and no spare is left."""
    d = t.private_daemon()
    c = connect(t, d)
    c.call("pool.set", {"template": "host", "min": 2, "max": 2})
    ready(c, 2)
    c.call("pool.set", {"template": "host", "min": 0, "max": 0})
    until(lambda: pool(c)["ready"] + pool(c)["starting"] == 0, 20, "no spares", 0.05)
    equal(t.sandbox(client=c)["launchType"], "cold", "launchType")
    time.sleep(0.5)
    equal(pool(c)["ready"], 0, "none comes")


def test_a_spare_that_hangs_during_a_slow_claim(t):
    """Init does not answer in time while the keeper is still at it: cold, once both are done."""
    d = t.private_daemon()
    c = connect(t, d)
    c.call("pool.set", {"template": "host", "min": 1, "max": 1})
    ready(c, 1)
    processes = daemon_module.descendants(d.pid)
    (init,) = [pid for pid, name in processes.items() if name == "init"]
    os.kill(init, signal.SIGSTOP)
    with daemon_module.held(daemon_module.keepers(d.pid)):
        rid = c.send("sandbox.create", {"name": "slow"})
        time.sleep(2)
    s = c.wait(rid, 60)
    t.suite.ids.append(s["id"])
    equal((s["state"], s["launchType"]), ("running", "cold"), "what became of it")
    t.sh(s, "true", client=c)
    equal(d.alive(), True, "the daemon")
    check(pool(c)["failures"] >= 1, "counted")


def test_a_claim_sets_limits(t):
    """A spare was born with the daemon's own; /dev/shm is resized from inside, also back."""
    c = connect(t, t.private_daemon())
    c.call("pool.set", {"template": "host", "min": 2, "max": 2})
    ready(c, 2)
    mib = 1 << 20
    limits = {"shmBytes": 8 * mib}
    if "memory" in str(c.call("system.info")["cgroup"]):
        limits.update({"memoryBytes": 64 * mib, "pids": 20})
    size = ["/bin/sh", "-c", "df -B1 --output=size /dev/shm | tail -1; stat -c '%a %u' /dev/shm"]
    for given, shm in ((limits, 8 * mib), ({}, 64 * mib)):
        s = c.call("sandbox.create", {"limits": given}, timeout=60)
        equal(s["launchType"], "warm", "launched")
        r = c.call("exec.run", {"sandbox": s["name"], "command": size})
        equal(r["stdout"].split(), [str(shm), "1777", "0"], "/dev/shm")
        if "pids" in given:
            hog = ["/usr/bin/python3", "-c", "b = [b'x' * (1 << 20) for _ in range(300)]"]
            equal(c.call("exec.run", {"sandbox": s["name"], "command": hog})["cause"], "oom", "300 MiB")
            many = ["/bin/sh", "-c", "i=0; while [ $i -lt 40 ]; do sleep 1 & i=$((i+1)); done"]
            r = c.call("exec.run", {"sandbox": s["name"], "command": many})
            check(r["exitCode"] != 0, "40 processes at once")
