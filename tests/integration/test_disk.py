# SPDX-License-Identifier: Apache-2.0
"""What may be written, and what stays free: the floor below which nothing is made, the sum of all
output that is stored, and the cap of one sandbox."""

import os
import subprocess

import lib
from harness import exited, modes, refused, timeout
from lib import check, equal, until
from test_faults import drop_disk, small_disk, until_unused

def floor_refuses(e):
    refused(e, "limit_reached")
    check("min_free" in e.hint, f"hint {e.hint}")


@timeout(120)
def test_floor(t):
    """Nothing is made below it, and what is there goes on: it runs commands, stops and starts."""
    ws = t.workspace({"file": "x"})
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "before"}, timeout=60)
    d.stop()
    d.write_config({"limits": {"min_free": "8000000T"}})
    d.start()
    c = t.connect(daemon=d)
    for method, params in (
        ("sandbox.create", {"name": "x"}),
        ("loop.create", {"loopId": "x", "workDir": ws, "tools": ["shell"]}),
        ("template.build", {"tool": "claude@0.0.1-none"}),
        ("sandbox.save", {"sandbox": "before", "template": "saved"}),
    ):
        floor_refuses(c.error(method, params, timeout=60))
    equal([x["name"] for x in c.call("sandbox.list")["sandboxes"]], ["before"], "sandboxes")
    equal(c.call("loop.list")["loops"], [], "loops")
    c.call("sandbox.start", {"sandbox": "before"}, timeout=60)
    equal(exited(t.run(s, ["echo", "on"], client=c))["stdout"], "on\n", "exec")
    found = [x for x in c.call("system.doctor", timeout=60)["checks"] if x["name"] == "disk space"]
    check(not found[0]["ok"] and "nothing is made below" in found[0]["detail"], f"doctor {found}")
    c.call("sandbox.remove", {"sandbox": "before", "force": True}, timeout=60)
    d.stop()


@modes("root", "owner")
@timeout(120)
def test_floor_of_a_small_disk(t):
    """The default one is a tenth of 200 MiB; the error names the mount; room that is made counts."""
    disk = small_disk(t, "200m")
    d = None
    try:
        d = t.private_daemon(state=disk + "/state")
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"name": "filler"}, timeout=60)
        exited(t.run(s, ["sh", "-c", "head -c 195000000 /dev/zero >/home/agent/fill"], client=c))
        e = c.error("sandbox.create", {"name": "second"}, timeout=60)
        floor_refuses(e)
        check(f"{disk} has" in e.message and "below 20 MiB" in e.message, e.message)
        exited(t.run(s, ["rm", "/home/agent/fill"], client=c))
        c.call("sandbox.create", {"name": "second"}, timeout=60)
        for name in ("filler", "second"):
            c.call("sandbox.remove", {"sandbox": name, "force": True}, timeout=60)
        d.stop(30)
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)


KB = 1000


def spool_files(d):
    owners = os.path.join(d.state, "owners")
    return sorted(f for o in os.listdir(owners) for f in os.listdir(os.path.join(owners, o, "spool")))


def say(t, c, s, size):
    """The id of an exec that wrote SIZE bytes and has ended."""
    r = t.run(s, ["sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x"], client=c)
    equal((len(exited(r)["stdout"]), r["truncated"]), (size, False), "its own client gets all")
    return r["execId"]


def stored(c, ids):
    """Which of IDS can still be read; the others say why not and have a result."""
    found = []
    for i, e in enumerate(ids):
        r = c.call("exec.get", {"execId": e})["result"]
        equal((r["cause"], r["exitCode"]), ("exited", 0), "result")
        try:
            chunk = c.call("exec.read", {"execId": e, "stream": "stdout", "limitBytes": 10})
            equal((chunk["data"], r["truncated"]), ("x" * 10, False), "what is stored")
            found.append(i)
        except lib.RpcError as error:
            refused(error, "invalid_state")
            r = c.call("exec.get", {"execId": e})["result"]  # it may have gone in between
            equal((error.code, error.field, r["truncated"]), (-32004, "execId", True), "dropped")
            check("spool_max" in error.hint, error.hint)
    return found


@timeout(120)
def test_spool_max(t):
    """Three of 100 KB fit: the oldest ended go, never one that runs; the same after a restart."""
    d = t.private_daemon({"limits": {"spool_max": "350K"}})
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "loud"}, timeout=60)
    running = c.send(
        "exec.run", {"sandbox": "loud", "command": ["sh", "-c", "echo first; cat"], "stdin": "stream", "stream": True}
    )
    first = c.note("exec.started", requestId=running)["execId"]
    c.note("exec.data", execId=first)
    ids = [say(t, c, s, 100 * KB) for _ in range(5)]
    until(lambda: stored(c, ids) == [2, 3, 4], 10, "two went")
    until(lambda: len(spool_files(d)) == 4, 10, f"files {spool_files(d)}")
    equal(c.call("exec.read", {"execId": first, "stream": "stdout"})["data"], "first\n", "one that runs")
    shown = c.call("system.df", {}, timeout=60)
    equal(shown["spoolMaxBytes"], 350 << 10, "df")
    check(300 * KB <= shown["spoolBytes"] <= 350 * KB, f"spoolBytes {shown['spoolBytes']}")
    c.call("exec.closeStdin", {"execId": first})
    exited(c.wait(running, 30))
    # one too big for all of it is its client's nevertheless
    huge = say(t, c, s, 900 * KB)
    until(lambda: stored(c, [*ids, huge]) == [], 10, "all went")
    ids = [say(t, c, s, 100 * KB) for _ in range(3)]
    equal(stored(c, ids), [0, 1, 2], "they fit")
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    equal(stored(c, [*ids, huge]), [0, 1, 2], "after a restart")
    c.call("sandbox.start", {"sandbox": "loud"}, timeout=60)
    ids.append(say(t, c, s, 100 * KB))
    until(lambda: stored(c, ids) == [1, 2, 3], 10, "the sum is right again")
    c.call("sandbox.remove", {"sandbox": "loud", "force": True}, timeout=60)
    until(lambda: spool_files(d) == [], 10, f"files {spool_files(d)}")
    d.stop()


# ---- limits.diskBytes ----

CAP = 8 << 20
FILL = "trap '' TERM; i=0; while :; do i=$((i+1)); head -c 4000000 /dev/zero >/home/agent/f$i; sleep 0.05; done"


def used(t, s, client=None):
    return (client or t.client).call("sandbox.stats", {"sandbox": s["name"], "disk": True})["diskBytes"]


def fill(t, s, **kw):
    """Writes until it is ended, which TERM does not do."""
    r = t.run(s, ["sh", "-c", FILL], timeout=90, **kw)
    equal((r["cause"], r["signal"]), ("disk_full", "SIGKILL"), f"over the cap: {r}")


@timeout(180)
def test_cap(t):
    s = t.sandbox(limits={"diskBytes": CAP})
    equal(s["limits"]["diskBytes"], CAP, "limits")
    watcher = t.connect()
    watcher.call("events.subscribe", {"filter": {"sandbox": s["name"]}, "types": ["sandbox.limit"]})
    exited(t.run(s, ["sh", "-c", "head -c 4000000 /dev/zero >/home/agent/ok"]))
    fill(t, s)
    equal(t.client.call("sandbox.get", {"sandbox": s["name"]})["state"], "running", "it goes on")
    check(used(t, s) > CAP, "over")
    told = watcher.note("events.event")["data"]
    equal((told["limit"], told["max"]), ("diskBytes", CAP), "the event")
    check(told["used"] > CAP, f"used: {told}")
    # what does not add to it runs; what does is ended
    equal(exited(t.run(s, ["sh", "-c", "sleep 1; echo on"], timeout=60))["stdout"], "on\n", "reader")
    fill(t, s)
    exited(t.run(s, ["sh", "-c", "sleep 1; rm /home/agent/f*; sleep 1"], timeout=60))
    check(used(t, s) < CAP, "below again")
    exited(t.run(s, ["sh", "-c", "head -c 1000000 /dev/zero >/tmp/more; sleep 1"], timeout=60))
    fill(t, s)


@timeout(120)
def test_cap_counts_what_is_outside(t):
    """The workspace and /dev/shm do not count, /tmp does, and a file with two names once."""
    s = t.sandbox(workspace=t.workspace(), limits={"diskBytes": CAP, "shmBytes": 64 << 20})
    ws = s["workspaces"][0]["path"]
    before = used(t, s)
    script = f"head -c 20000000 /dev/zero | tee {ws}/big >/dev/shm/big; sleep 1"
    exited(t.run(s, ["sh", "-c", script], timeout=60))
    check(used(t, s) - before < 1 << 20, "workspace and /dev/shm")
    script = "head -c 5000000 /dev/zero >/tmp/a; ln /tmp/a /home/agent/b; ln /tmp/a /tmp/c; sleep 1"
    exited(t.run(s, ["sh", "-c", script], timeout=60))
    check(4_900_000 < used(t, s) - before < 6_000_000, f"hard links: {used(t, s) - before}")


@timeout(180)
def test_cap_survives_stop_and_restart(t):
    """Kept in the row; what was there at the start is held against nobody, so it can be removed."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "full", "limits": {"diskBytes": CAP}}, timeout=60)
    fill(t, s, client=c)
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    s = c.call("sandbox.start", {"sandbox": "full"}, timeout=60)
    equal(s["limits"]["diskBytes"], CAP, "limits after a restart")
    exited(t.run(s, ["sh", "-c", "sleep 1; echo"], client=c, timeout=60))
    fill(t, s, client=c)
    c.call("sandbox.remove", {"sandbox": "full", "force": True}, timeout=60)
    d.stop()


@timeout(120)
def test_cap_of_what_was_left_behind(t):
    """What no command answers for any more stops the sandbox; its files stay."""
    s = t.sandbox(limits={"diskBytes": CAP})
    r = t.run(s, ["sh", "-c", f"({FILL}) >/dev/null 2>&1 & echo"], leftovers="keep", timeout=60)
    check(r["leftovers"] > 0, f"{r}")

    def state():
        return t.client.call("sandbox.get", {"sandbox": s["name"]})

    until(lambda: state()["state"] == "stopped", 60, "stopped")
    equal(state()["cause"], "disk_full", "cause")
    check(used(t, s) > CAP, "files")


@timeout(120)
def test_cap_by_configuration_and_cli(t):
    d = t.private_daemon({"limits": {"disk": "9M"}})
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "a"}, timeout=60)
    equal(s["limits"]["diskBytes"], 9 << 20, "default")
    r = t.ctl("create", "--name", "b", "--disk", "10M", "shell", t.workspace(), daemon=d)
    equal(r.returncode, 0, f"create: {r.stderr}")
    equal(c.call("sandbox.get", {"sandbox": "b"})["limits"]["diskBytes"], 10 << 20, "--disk")
    loop = c.call(
        "loop.create",
        {"loopId": "l", "workDir": t.workspace(), "tools": ["shell"], "limits": {"diskBytes": 11 << 20}},
        timeout=60,
    )
    inside = c.call("sandbox.get", {"sandbox": loop["sandboxes"][0]})
    equal(inside["limits"]["diskBytes"], 11 << 20, "of a loop")
    again = {"loopId": "l", "workDir": loop["workDir"], "tools": ["shell"], "limits": {"diskBytes": 12 << 20}}
    refused(c.error("loop.create", again, timeout=60), "conflict")
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    refused(c.error("loop.create", again, timeout=60), "conflict")
    d.stop()


def quota_disk(t):
    """ext4 with project quotas, in a file; None where this kernel has none."""
    path = os.path.join(t.suite.work, t.unique("quota"))
    os.mkdir(path)
    image = path + ".img"
    with open(image, "wb") as f:
        f.truncate(700 << 20)
    make = ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota", image]
    subprocess.run(make, check=True)
    mount = ["mount", "-t", "ext4", "-o", "loop,prjquota", image, path]
    r = subprocess.run(mount, check=False, capture_output=True)
    if r.returncode == 0:
        return path
    check("SANDBOXD_TEST_QUOTA" not in os.environ, f"mount: {r.stderr}")
    os.unlink(image)
    os.rmdir(path)
    return None


def disk_limits(c):
    checks = c.call("system.doctor", timeout=120)["checks"]
    return [x["detail"] for x in checks if x["name"] == "disk limits"][0]


@modes("root")
@timeout(240)
def test_quota(t):
    """Where the kernel has project quotas it says no, and nothing is ended; the VM stage has them."""
    disk = quota_disk(t)
    if disk is None:
        d = t.private_daemon()
        check("watched" in disk_limits(t.connect(daemon=d)), "doctor")
        d.stop()
        return
    d = None
    try:
        d = t.private_daemon(state=disk + "/state")
        c = t.connect(daemon=d)
        check("project quotas" in disk_limits(c), "doctor")
        s = c.call("sandbox.create", {"name": "a", "limits": {"diskBytes": CAP}}, timeout=60)
        other = c.call("sandbox.create", {"name": "b"}, timeout=60)
        script = "head -c 30000000 /dev/zero >/home/agent/big || echo no; rm -f /home/agent/big; echo on"
        r = exited(t.run(s, ["sh", "-c", script], client=c, timeout=60))
        equal(r["stdout"], "no\non\n", "the writer is told")
        check("quota" in r["stderr"] or "space" in r["stderr"], r["stderr"])
        # overlay moves files between its directories: also what lies below is to be written
        script = "echo x >>/etc/hosts && mkdir -p /var/a/b && mv /var/a /var/c && rm -r /var/c && touch /tmp/x && mv /tmp/x ~/x"
        exited(t.run(s, ["sh", "-c", script], client=c, user="root", timeout=60))
        script = "head -c 30000000 /dev/zero >/home/agent/big; rm /home/agent/big"
        exited(t.run(other, ["sh", "-c", script], client=c, timeout=60))
        # kept over a stop, with what is there
        exited(t.run(s, ["sh", "-c", "head -c 6000000 /dev/zero >/home/agent/most"], client=c))
        c.call("sandbox.stop", {"sandbox": "a"}, timeout=60)
        c.call("sandbox.start", {"sandbox": "a"}, timeout=60)
        r = t.run(s, ["sh", "-c", "head -c 4000000 /dev/zero >/home/agent/more"], client=c, timeout=60)
        check(r["cause"] == "exited" and r["exitCode"] != 0, f"after a start: {r}")
        # what was saved does not count against anybody
        c.call("sandbox.save", {"sandbox": "a", "template": "saved"}, timeout=60)
        saved = c.call("sandbox.create", {"name": "c", "template": "saved"}, timeout=60)
        script = "test -s ~/most && head -c 9000000 /dev/zero >~/big"
        exited(t.run(saved, ["sh", "-c", script], client=c, timeout=60))
        for name in ("a", "b", "c"):
            c.call("sandbox.remove", {"sandbox": name, "force": True}, timeout=60)
        c.call("template.remove", {"template": "saved"}, timeout=60)
        d.stop(60)
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)
        os.unlink(disk + ".img")


@timeout(120)
def test_cap_of_a_spare(t):
    """A limit comes with the claim."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    c.call("sandbox.create", {"name": "first"}, timeout=60)
    until(lambda: any(p["ready"] > 0 for p in c.call("pool.list")["pools"]), 30, "a spare")
    s = c.call("sandbox.create", {"name": "a", "limits": {"diskBytes": CAP}}, timeout=60)
    equal((s["launchType"], s["limits"]["diskBytes"]), ("warm", CAP), "claimed")
    fill(t, s, client=c)
    d.stop()
