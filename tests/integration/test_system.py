# SPDX-License-Identifier: Apache-2.0
"""system.*, rpc.discover, and what is not available in this version."""

import os
import re

import test_adopt
from harness import refused
from lib import check, equal


def test_info(t):
    i = t.client.call("system.info")
    equal(i["protocol"], "1.0", "protocol")
    check(re.fullmatch(r"\d+\.\d+\.\d+.*", i["version"]), f"version {i['version']}")
    check("stream" in i["features"], "features")
    check("idempotency" in i["features"], "features")
    equal(i["defaults"], {"runtime": "crun", "network": "none"}, "defaults")
    check(re.fullmatch(r"[a-z0-9]{4,32}", i["instanceId"]), f"instanceId {i['instanceId']}")
    check(isinstance(i["uptimeMs"], int) and i["uptimeMs"] >= 0, "uptimeMs")
    equal(i["rootless"], t.mode == "user", "rootless")
    limits = str(i["limits"])
    for number in (16 * 1024 * 1024, 64, 1024, 32):
        check(str(number) in limits, f"{number} is not in limits {limits}")
    check("crun" in str(i["runtimes"]), f"runtimes {i['runtimes']}")


# What each feature is: "method", "method:param", ".limit of system.info" or a test of what it promises.
FEATURES = {
    "fd-passing": (".fds", "exec.run:fds"),
    "stream": ("exec.run:stream", "loop.run:stream"),
    "batch": (".batch",),
    "attach": ("exec.attach",),
    "pause": ("sandbox.pause", "sandbox.resume"),
    "stats": ("sandbox.stats",),
    "disk-usage": ("system.df",),
    "templates": ("template.build", "sandbox.save", "sandbox.create:template"),
    "loops": ("loop.create", "loop.run", "loop.destroy"),
    "stages": ("loop.run:stage", "loop.run:profile"),
    "artifacts": ("loop.run:artifacts",),
    "pool": ("pool.list", "pool.set"),
    "idempotency": ("sandbox.create:idempotencyKey", "exec.run:idempotencyKey", "loop.run:idempotencyKey"),
    "adoption": (test_adopt.test_deadlines_go_on,),
    "events": ("events.subscribe:cursor", "events.unsubscribe"),
    "secrets": ("secret.set", "secret.lease", "exec.run:secrets", "loop.run:secrets"),
    "audit": ("audit.list", "audit.verify"),
}


def test_features(t):
    """Each names something that is there, and each group of methods is among them."""
    found = {m["name"]: {p["name"] for p in m["params"]} for m in t.client.call("rpc.discover")["methods"]}
    info = t.client.call("system.info")
    equal(sorted(info["features"]), sorted(FEATURES), "features")
    covered = {"rpc", "system", "sandbox", "exec"}  # the protocol itself
    for feature, things in FEATURES.items():
        for thing in (x for x in things if isinstance(x, str)):
            method, _, param = thing.partition(":")
            if method.startswith("."):
                check(info["limits"][method[1:]] > 0, f"{feature}: {thing}")
            else:
                check(method in found and (not param or param in found[method]), f"{feature}: {thing}")
                covered.add(method.split(".")[0])
    equal({m.split(".")[0] for m in found} - covered, set(), "groups of methods without a feature")


def test_info_defaults(t):
    """As configured; `sandboxctl run` decides by it."""
    d = t.private_daemon({"network": {"default": "host"}})
    with d.client() as c:
        equal(c.call("system.info")["defaults"], {"runtime": "crun", "network": "host"}, "defaults")
    d.stop()


def test_info_cgroup(t):
    """Root daemons here have controllers; an ordinary user has none, and info says so."""
    i = t.client.call("system.info")
    if t.mode == "user" and not os.access("/sys/fs/cgroup/memory", os.W_OK):
        check("none" in str(i["cgroup"]), f"cgroup {i['cgroup']}")
    else:
        check("memory" in str(i["cgroup"]), f"cgroup {i['cgroup']}")


def test_counts(t):
    before = t.client.call("system.info")["counts"]
    s = t.sandbox()
    e = t.run(s, ["sleep", "20"], detach=True)
    after = t.client.call("system.info")["counts"]
    check(before != after, f"counts stay {before}")
    t.client.call("exec.cancel", {"execId": e["execId"]})


def test_doctor(t):
    d = t.client.call("system.doctor", timeout=60)
    check(d["checks"], "no checks")
    for c in d["checks"]:
        check({"name", "ok", "severity", "detail"} <= set(c), f"keys of {c}")
        check(c["severity"] in ("required", "optional"), f"severity of {c}")
        check(c["ok"] in (True, False, None), f"ok of {c}")
        check(bool(c.get("hint")) == (c["ok"] is False), f"hint of {c}")
        check(c["ok"] is not False or c["severity"] != "required", f"required check fails here: {c}")
        check((c["ok"] is None) == c["detail"].startswith("not looked at: "), f"detail of {c}")


def test_discover(t):
    d = t.client.call("rpc.discover")
    check(d["openrpc"].startswith("1."), "openrpc")
    equal(d["info"]["version"], "1.0", "version")
    names = [m["name"] for m in d["methods"]]
    equal(len(names), len(set(names)), "unique names")
    for m in d["methods"]:
        equal(m.get("paramStructure"), "by-name", f"paramStructure of {m['name']}")
        check(m.get("summary") or m.get("description"), f"{m['name']} has no doc")
        for p in m["params"]:
            check("name" in p and "schema" in p, f"{m['name']}: {p}")
    for name in ("exec.started", "exec.data", "progress"):
        check(name in str(d["x-notifications"]), f"{name} is not in x-notifications")


CONTRACT = """
rpc.discover system.ping system.info system.doctor
sandbox.create sandbox.get sandbox.list sandbox.stop sandbox.start sandbox.remove
exec.run exec.attach exec.wait exec.get exec.list exec.read exec.write exec.closeStdin exec.resize
exec.signal exec.cancel sandbox.pause sandbox.resume sandbox.stats
system.df template.list template.get template.build template.remove pool.list pool.set audit.list audit.verify
secret.set secret.list secret.remove
secret.lease secret.renew secret.revoke secret.revokeAll secret.leases
""".split()

LATER = """
network.get network.set network.log
template.import
""".split()


def test_every_method_is_known(t):
    names = {m["name"] for m in t.client.call("rpc.discover")["methods"]}
    missing = [m for m in CONTRACT if m not in names]
    check(not missing, f"not in rpc.discover: {missing}")


def test_later_methods_are_refused(t):
    """Never accepted and ignored: -32005, and it says so; or not known at all."""
    bad = []
    for method in LATER:
        e = t.client.error(method, {})
        if e.code not in (-32005, -32601, -32602):
            bad.append(f"{method}: {e}")
        if e.code == -32005 and "not available in this version" not in str(e.hint):
            bad.append(f"{method}: hint {e.hint}")
    check(not bad, "; ".join(bad))


def test_later_params_are_refused(t):
    """What an issue has not built yet is refused with field and hint."""
    table = [
        ("sandbox.create", {"name": t.unique(), "network": "gateway"}, "network"),
        ("sandbox.create", {"name": t.unique(), "network": {"mode": "gateway"}}, "network"),
    ]
    bad = []
    for method, params, field in table:
        try:
            e = t.client.error(method, params)
        except AssertionError as error:
            t.client.call("sandbox.remove", {"sandbox": params["name"], "force": True})
            info = t.client.call("system.info")
            if field.split(".")[-1] not in str(info["features"]):
                bad.append(str(error))
            continue
        if e.code not in (-32005, -32602) or not (e.field or "").startswith(field.split(".")[0]):
            bad.append(f"{params}: {e}")
    check(not bad, "; ".join(bad))


def test_gives_no_method_for_spaces(t):
    for name in ("system.ping ", " system.ping", "SYSTEM.PING", "system", "system.", "rpc.cancel2"):
        e = t.client.error(name)
        equal((e.code, e.kind), (-32601, "method_not_found"), f"{name!r}")
