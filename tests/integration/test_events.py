# SPDX-License-Identifier: Apache-2.0
"""Events: in order, none missing and none twice, over connections and daemons; who sees which."""

import json
import os
import select
import signal
import subprocess
import time

import lib
from harness import exited, timeout
from lib import check, equal, until


def subscribe(client, cursor=None, **params):
    if cursor:
        params["cursor"] = cursor
    return client.call("events.subscribe", params)


def event(client, type_, timeout=20, **match):
    """The first event of TYPE_; MATCH: its subject or data."""

    def right(p):
        both = {**p, **p["data"]}
        return p["type"] == type_ and all(both.get(k) == v for k, v in match.items())

    seen = []
    while True:
        p = client.note("events.event", timeout)
        if right(p):
            return p
        seen.append((p["type"], p.get("sandbox")))


def collect(client, last, timeout=20):
    """All events up to one that LAST is true for."""
    events = []
    while not (events and last(events[-1])):
        events.append(client.note("events.event", timeout))
    return events


def number(cursor):
    return int(cursor.rsplit("-", 1)[1])


def story(events, name):
    """What happened to a sandbox and in it, without what has no place in a comparison."""
    return [(e["type"], e["data"].get("state") or e["data"].get("cause")) for e in events if e.get("sandbox") == name]


def test_life_of_a_sandbox(t):
    c = t.connect()
    cursor = subscribe(c)["cursor"]
    s = t.sandbox(labels={"a": "b"})
    r = exited(t.run(s, ["sh", "-c", "exit 3"], stage="reviewer", storyId="s1"), 3)
    t.client.call("sandbox.pause", {"sandbox": s["name"]})
    t.client.call("sandbox.resume", {"sandbox": s["name"]})
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    gone = lambda e: e["type"] == "sandbox.state" and e["data"]["state"] == "removed"  # noqa: E731
    events = collect(c, lambda e: gone(e) and e["sandbox"] == s["name"])
    equal(
        story(events, s["name"]),
        [
            ("sandbox.state", "creating"),
            ("sandbox.state", "running"),
            ("exec.started", None),
            ("exec.ended", "exited"),
            ("sandbox.state", "paused"),
            ("sandbox.state", "running"),
            ("sandbox.state", "stopped"),
            ("sandbox.state", "removed"),
        ],
        "story",
    )
    mine = [e for e in events if e.get("sandbox") == s["name"]]
    equal(mine[0]["data"]["from"], None, "a new one comes from nothing")
    equal(mine[1]["data"]["id"], s["id"], "id")
    started, ended = mine[2], mine[3]
    equal((started["execId"], ended["execId"]), (r["execId"],) * 2, "execId")
    equal((ended["data"]["exitCode"], ended["data"]["signal"]), (3, None), "how it ended")
    equal((ended["data"]["stage"], ended["data"]["storyId"]), ("reviewer", "s1"), "its stage")
    numbers = [number(e["cursor"]) for e in events]
    equal(numbers, sorted(set(numbers)), "cursors grow")
    check(numbers[0] > number(cursor), "behind the one of the subscription")
    # The same once more, from the same cursor, on another connection.
    d = t.connect()
    subscribe(d, cursor)
    again = collect(d, lambda e: e["cursor"] == events[-1]["cursor"])
    for e in events + again:
        e.pop("subscription")
    equal(again, events, "a replay")


def test_filters(t):
    """Each subscription gets what it asked for and nothing else."""
    start = subscribe(t.connect())["cursor"]
    one, other = t.sandbox(labels={"who": "one"}), t.sandbox(labels={"who": "other"})
    for s in (other, one):
        exited(t.run(s, ["true"]))
    t.client.call("sandbox.stop", {"sandbox": one["name"]})
    c = t.connect()
    exec_of = lambda s: [("exec.started", s["name"]), ("exec.ended", s["name"])]  # noqa: E731
    state = ("sandbox.state", one["name"])
    cases = (
        ({"filter": {"sandbox": one["id"]}}, [state, state, *exec_of(one), state]),
        ({"filter": {"sandbox": one["name"]}, "types": ["sandbox"]}, [state] * 3),
        ({"filter": {"labels": {"who": "one"}}, "types": ["exec"]}, exec_of(one)),
        ({"filter": {"labels": {"who": "one", "x": "y"}}}, []),
        ({"filter": {"sandbox": one["name"], "state": "ended"}}, exec_of(one)[1:]),
        ({"filter": {"sandbox": one["name"]}, "types": ["exec.started", "exec.end"]}, exec_of(one)[:1]),
        ({"filter": {"tool": "none-such"}}, []),
        ({"filter": {"loopId": "none-such"}}, []),
    )
    wanted, seen = {}, {}
    for params, want in cases:
        name = subscribe(c, start, **params)["subscription"]
        wanted[name] = want
        seen[name] = []
    # the log is read in order, so whoever is told of this one has been told of all before it
    last = subscribe(c, start, filter={"sandbox": one["name"], "state": "stopped"})["subscription"]
    done = set()
    while last not in done or any(len(seen[n]) < len(wanted[n]) for n in wanted):
        e = c.note("events.event", 20)
        if e["subscription"] == last:
            done.add(last)
        else:
            seen[e["subscription"]].append((e["type"], e["sandbox"]))
    c.call("system.ping")
    for n in c.notes:
        if n["method"] == "events.event":
            seen[n["params"]["subscription"]].append((n["params"]["type"], n["params"]["sandbox"]))
    equal(seen, wanted, "what each was told")


def test_unsubscribe_and_mistakes(t):
    c = t.connect()
    for params, field in (
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "x-"}, "cursor"),
        ({"cursor": "x-1x"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": 7}, "cursor"),
        ({"types": "exec"}, "types"),
        ({"filter": {"kind": "x"}}, "filter.kind"),
    ):
        e = c.error("events.subscribe", params)
        equal((e.code, e.field), (-32602, field), str(params))
    e = c.error("events.unsubscribe", {"subscription": "s0"})
    equal((e.kind, e.field), ("not_found", "subscription"), "unsubscribe")
    one = subscribe(c)["subscription"]
    other = t.connect()
    equal(other.error("events.unsubscribe", {"subscription": one}).kind, "not_found", "another's")
    equal(c.call("events.unsubscribe", {"subscription": one}), {}, "unsubscribe")
    equal(c.error("events.unsubscribe", {"subscription": one}).kind, "not_found", "twice")
    rest = [subscribe(c)["subscription"] for _ in range(16)]
    e = c.error("events.subscribe", {})
    equal((e.code, e.kind), (-32007, "limit_reached"), "the 17th")
    check("events.unsubscribe" in e.hint, e.hint)
    c.call("events.unsubscribe", {"subscription": rest[3]})
    subscribe(c)
    s = t.sandbox()
    for _ in range(16):
        event(c, "sandbox.state", state="running", sandbox=s["name"])


@timeout(90)
def test_over_a_restart(t):
    """Nothing twice and nothing missing, whether the daemon stopped or was killed."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    first = subscribe(c)["cursor"]
    s = t.sandbox(client=c)
    exited(t.run(s, ["true"], client=c))
    cursor = event(c, "exec.ended")["cursor"]
    d.kill()
    d.start()
    c = t.connect(daemon=d)
    subscribe(c, cursor)
    event(c, "daemon.started")
    exited(t.run(t.sandbox(client=c), ["true"], client=c))
    cursor = event(c, "exec.ended")["cursor"]
    equal(d.stop() in (0, -signal.SIGTERM), True, "the daemon's status")
    d.start()
    c = t.connect(daemon=d)
    subscribe(c, cursor)
    event(c, "daemon.stopping")
    last = event(c, "daemon.started")["cursor"]
    whole = t.connect(daemon=d)
    subscribe(whole, first)
    numbers = [number(e["cursor"]) for e in collect(whole, lambda e: e["cursor"] == last)]
    equal(numbers, list(range(number(first) + 1, number(last) + 1)), "every number once")


@timeout(90)
def test_every_start_has_an_end(t):
    """Of a command that only the killed daemon knew, too."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    cursor = subscribe(c)["cursor"]
    s = t.sandbox(client=c)
    runner = t.connect(daemon=d)
    runner.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "1000"], "capture": "none", "execId": "quiet"})
    runner.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "1000"], "detach": True, "execId": "kept"})
    for _ in range(2):
        event(c, "exec.started")
    d.kill()
    d.start()
    c = t.connect(daemon=d)
    for e in c.call("exec.list")["execs"]:
        if e["state"] != "ended":
            c.call("exec.cancel", {"execId": e["execId"]})
    subscribe(c, cursor, types=["exec"])
    last = {}
    while [n for n in ("quiet", "kept") if last.get(n) != ["exec.started", "exec.ended"]]:
        e = c.note("events.event", 30)
        last.setdefault(e["execId"], []).append(e["type"])
        check(len(last[e["execId"]]) <= 2, f"more than an end: {last}")
        if (e["execId"], e["type"]) == ("kept", "exec.ended"):
            equal(e["data"]["cause"], "cancelled", "it went on until it was cancelled")


@timeout(90)
def test_retention(t):
    """What is kept is bounded; a cursor from before it says so, and where to go on."""
    d = t.private_daemon(config={"limits": {"events_max": 40}})
    c = t.connect(daemon=d)
    first = subscribe(c)["cursor"]
    s = t.sandbox(client=c)
    for _ in range(60):
        exited(t.run(s, ["true"], client=c))

    def refused():
        try:
            subscribe(t.connect(daemon=d), first)
        except lib.RpcError as e:
            return e if e.code == -32004 else None
        return None

    e = until(refused, 20, "the first cursor is too old", 0.1)
    equal((e.kind, e.field), ("invalid_state", "cursor"), "error")
    oldest = e.data["oldest"]
    check(number(oldest) > number(first), f"{oldest} behind {first}")
    other = t.connect(daemon=d)
    for _ in range(50):  # more may have been deleted since: then it is told the same way
        try:
            subscribe(other, oldest)
            break
        except lib.RpcError as e:
            equal(e.code, -32004, "code")
            oldest = e.data["oldest"]
    e = other.note("events.event")
    check(number(e["cursor"]) > number(oldest), "goes on there")
    for wrong in ("aaaaaaaa-1", first.split("-")[0] + "-999999"):
        e = c.error("events.subscribe", {"cursor": wrong})
        equal((e.kind, e.data["oldest"].split("-")[0]), ("invalid_state", first.split("-")[0]), wrong)


@timeout(120)
def test_slow_reader(t):
    """Who does not read is waited for, with what may be unsent at most, and misses nothing."""
    c = t.connect()
    start = subscribe(c)["cursor"]
    s = t.sandbox()
    for _ in range(8):
        rids = [t.client.send("exec.run", {"sandbox": s["name"], "command": ["true"], "storyId": "s" * 128}) for _ in range(100)]
        for rid in rids:
            exited(t.client.wait(rid, 60))
    slow = t.connect()
    names = [subscribe(slow, start, filter={"sandbox": s["name"]})["subscription"] for _ in range(16)]
    exited(t.run(s, ["true"]))  # nobody else waits
    seen = {n: [] for n in names}
    while any(len(x) < 1604 for x in seen.values()):
        e = slow.note("events.event", 60)
        seen[e["subscription"]].append(number(e["cursor"]))
    for n in names:
        equal(len(seen[n]), 1604, "two states, 801 commands")
        equal(seen[n], sorted(set(seen[n])), "in order, once")
    equal(len({tuple(x) for x in seen.values()}), 1, "all the same")


def of_type(events, type_):
    return [e for e in events if e["type"] == type_]


def test_loops(t):
    c = t.connect()
    subscribe(c, types=["loop", "exec"])
    lid = t.unique("l")
    loop = t.client.call(
        "loop.create", {"loopId": lid, "workDir": t.workspace(), "tools": ["shell"], "labels": {"a": "b"}}, timeout=60
    )
    exited(t.run(loop["sandboxes"][0], ["true"]))
    t.client.call("loop.cancel", {"loopId": lid, "reason": "enough"}, timeout=60)
    t.client.call("loop.destroy", {"loopId": lid, "outcome": "failed", "force": True}, timeout=60)
    events = collect(c, lambda e: e.get("loopId") == lid and e["data"].get("state") == "destroyed")
    mine = [e for e in events if e.get("loopId") == lid]
    equal(
        [(e["type"], e["data"].get("state")) for e in mine if e["data"].get("state") or e["type"] == "exec.ended"],
        [("loop.state", "active"), ("exec.ended", None), ("loop.state", "cancelled"), ("loop.state", "destroyed")],
        "a loop's life",
    )
    cancelled, destroyed = of_type(mine, "loop.state")[1:]
    equal(cancelled["data"]["reason"], "enough", "why")
    equal(destroyed["data"]["outcome"], "failed", "how it went")


@timeout(120)
def test_pools_and_templates(t):
    d = t.private_daemon(config={"pool host": {"min": 0}})
    c = t.connect(daemon=d)
    subscribe(c, types=["pool", "template", "sandbox"])
    admin = t.connect(daemon=d)
    admin.call("pool.set", {"template": "host", "min": 1, "max": 1})
    e = event(c, "pool.set")
    equal((e["data"]["template"], e["data"]["min"], e["data"]["max"]), ("host", 1, 1), "pool.set")
    e = event(c, "pool.ready", timeout=60)
    equal((e["data"]["template"], e["data"]["ready"]), ("host", 1), "pool.ready")
    s = t.sandbox(client=admin)
    e = event(c, "sandbox.state", sandbox=s["name"], state="running")
    equal(e["data"]["launchType"], s["launchType"], "how it was made")
    admin.call("sandbox.save", {"sandbox": s["name"], "template": "mine"}, timeout=60)
    for state in ("building", "ready"):
        e = event(c, "template.state", template="mine")
        equal(e["data"]["state"], state, "while it is saved")
    admin.call("template.remove", {"template": "mine"}, timeout=60)
    equal(event(c, "template.state", template="mine")["data"]["state"], "removed", "when it is gone")
    names = {e["params"].get("sandbox") for e in c.notes if e["method"] == "events.event"}
    equal(names - {None, s["name"]}, set(), "spares are nobody's sandboxes")


HOG = "b=[]\nfor i in range(300): b.append(b'x'*(1<<20))"


def test_oom(t):
    if "memory" not in str(t.client.call("system.info")["cgroup"]):
        return  # nothing limits memory here: test_limits looks whether that may be
    c = t.connect()
    s = t.sandbox(limits={"memoryBytes": 64 << 20})
    subscribe(c, filter={"sandbox": s["name"]})
    for _ in range(2):
        equal(t.run(s, ["/usr/bin/python3", "-c", HOG])["cause"], "oom", "cause")
        e = event(c, "sandbox.oom")
        check(e["data"]["kills"] >= 1, str(e))
        equal(e["data"]["memoryBytes"], 64 << 20, "the limit")
        equal(event(c, "exec.ended")["data"]["cause"], "oom", "and then its end")


ACCEPT = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print('ready', flush=True); s.accept()"


@timeout(120)
def test_stalled(t):
    """A command that does nothing is told, with what it waits for; one that does something is not."""
    d = t.private_daemon(config={"limits": {"stall_after": "2s"}})
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    subscribe(c, filter={"sandbox": s["name"]}, types=["exec"])
    runner = t.connect(daemon=d)

    def start(name, command, **params):
        runner.send("exec.run", {"sandbox": s["name"], "command": command, "execId": name, **params})
        runner.note("exec.started", execId=name)

    start("reads", ["cat"], stdin="stream", stream=True)
    start("parent", ["sh", "-c", "sleep 1000; true"])
    start("accepts", ["/usr/bin/python3", "-c", ACCEPT])
    start("computes", ["sh", "-c", "while :; do :; done"])
    start("writes", ["sh", "-c", "while :; do echo x; sleep 0.1; done"])
    start("forks", ["sh", "-c", "while :; do sleep 0.05; done"])
    want = {
        "reads": {"waitsOn": "stdin"},
        "parent": {"waitsOn": "child", "process": "sleep", "processWaitsOn": "timer"},
        "accepts": {"waitsOn": "socket"},
    }
    waits = {}
    while waits != want:  # on a slow disk a start may take so long that it is told, too
        e = event(c, "exec.stalled", 60)
        check(e["execId"] in want, f"{e} does something")
        check(e["data"]["idleMs"] >= 2000, str(e))
        waits[e["execId"]] = {k: v for k, v in e["data"].items() if k != "idleMs"}
    runner.call("exec.write", {"execId": "reads", "data": "x\n"})
    e = event(c, "exec.resumed", 60, execId="reads")
    check(e["data"]["idleMs"] >= 2000, str(e))
    e = event(c, "exec.stalled", 60)
    equal(e["execId"], "reads", "once more, and only that one")
    runner.call("sandbox.stop", {"sandbox": s["name"], "force": True})


@timeout(120)
def test_paused_is_not_stalled(t):
    d = t.private_daemon(config={"limits": {"stall_after": "3s"}})
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    subscribe(c, filter={"sandbox": s["name"]})
    runner = t.connect(daemon=d)
    runner.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", "while :; do :; done"]})
    runner.note("exec.started")
    c.call("sandbox.pause", {"sandbox": s["name"]})
    time.sleep(4)
    c.call("sandbox.resume", {"sandbox": s["name"]})
    events = collect(c, lambda e: e["data"].get("from") == "paused")
    equal(of_type(events, "exec.stalled"), [], "nothing was expected of it")
    c.call("sandbox.stop", {"sandbox": s["name"], "force": True})


@timeout(120)
def test_loop_get_is_live(t):
    lid = t.unique("l")
    loop = t.client.call(
        "loop.create", {"loopId": lid, "workDir": t.workspace(), "tools": ["shell"]}, timeout=60
    )
    t.sandboxes.append((t.client, loop["sandboxes"][0]))
    get = lambda: t.client.call("loop.get", {"loopId": lid})  # noqa: E731
    equal([get()[k] for k in ("alive", "aliveSince", "cpuMilli", "idleMs")], [False, None, None, None], "idle")
    rid = t.client.send(
        "exec.run", {"sandbox": loop["sandboxes"][0], "command": ["sh", "-c", "while :; do :; done"], "execId": lid}
    )
    started = t.client.note("exec.started", requestId=rid)
    until(lambda: get()["cpuMs"] > 0, 30, "it computes", 0.2)
    a = until(lambda: (lambda g: g if g["cpuMilli"] else None)(get()), 30, "it computes now", 0.2)
    equal((a["alive"], a["aliveSince"]), (True, started["startedAt"]), "since when")
    until(lambda: get()["cpuMs"] > a["cpuMs"], 30, "it goes on", 0.2)
    t.client.call("exec.cancel", {"execId": lid})
    t.client.wait(rid, 30)
    rid = t.client.send("exec.run", {"sandbox": loop["sandboxes"][0], "command": ["sleep", "1000"], "execId": lid + "-2"})
    t.client.note("exec.started", requestId=rid)
    until(lambda: (get()["idleMs"] or 0) > 700, 30, "it does nothing", 0.2)
    equal(get()["alive"], True, "alive")
    t.client.call("exec.cancel", {"execId": lid + "-2"})
    t.client.wait(rid, 30)
    t.client.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)


FORKS = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do sleep 1000 & done; sleep 1000"


@timeout(120)
def test_limit_on_processes(t):
    if "pids" not in str(t.client.call("system.info")["cgroup"]):
        return
    d = t.private_daemon(config={"limits": {"stall_after": "1s"}})
    c = t.connect(daemon=d)
    s = t.sandbox(client=c, limits={"pids": 16})
    subscribe(c, filter={"sandbox": s["name"]})
    runner = t.connect(daemon=d)
    # a shell that cannot fork ends; the one around it stays, so that somebody looks
    runner.send("exec.run", {"sandbox": s["name"], "command": ["sh", "-c", f"(sh -c '{FORKS}'); sleep 1000"]})
    e = event(c, "sandbox.limit", 60)
    equal((e["data"]["limit"], e["data"]["max"]), ("pids", 16), "which")
    c.call("sandbox.stop", {"sandbox": s["name"], "force": True})


def watch(t, d, *args):
    """sandboxctl events, and a function that reads its next line."""
    p = subprocess.Popen(
        [t.suite.tools["sandboxctl"], *args],
        bufsize=0,  # or select() would not see lines that were read along with another
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "SANDBOXD_SOCKET": d.socket},
    )

    def line(timeout=30):
        check(select.select([p.stdout], [], [], timeout)[0], "no line")
        return p.stdout.readline().decode()

    return p, line


@timeout(120)
def test_sandboxctl(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    subscribe(c, "oldest")
    start = event(c, "daemon.started")["cursor"]
    s = t.sandbox(client=c)
    p, line = watch(t, d, "-o", "json", "events", "--from", start, "--type", "daemon", "--type", "exec.ended")
    try:
        exited(t.run(s, ["sh", "-c", "exit 7"], client=c), 7)
        e = json.loads(line())
        equal((e["type"], e["sandbox"], e["data"]["exitCode"]), ("exec.ended", s["name"], 7), "event")
        d.kill()
        d.start()
        equal(json.loads(line())["type"], "daemon.started", "it came back by itself")
        c = t.connect(daemon=d)
        other = t.sandbox(client=c)
        exited(t.run(other, ["true"], client=c))
        while True:
            e = json.loads(line())
            if e.get("sandbox") == other["name"]:
                break
            equal(e["type"], "exec.ended", "what else comes")
        cursor = e["cursor"]
    finally:
        p.kill()
        p.communicate()
    p, line = watch(t, d, "events", "--from", "oldest", "--sandbox", s["name"])
    try:
        first = line()
        check("sandbox.state" in first and s["name"] in first and "state=creating" in first, first)
    finally:
        p.kill()
        p.communicate()
    r = t.ctl("events", "--from", "x-1", daemon=d)
    equal(r.returncode, 1, "an unknown cursor")
    check(b"cursor" in r.stderr, r.stderr)
    check(number(cursor) > number(start), "cursors grow")
