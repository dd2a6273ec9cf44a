# SPDX-License-Identifier: Apache-2.0
"""Bad input as a table: input -> code, kind, field. Nothing of it may have an effect."""

import os
import pwd

import lib
from harness import timeout
from lib import check, equal

INVALID = (-32602, "invalid_params")
NOT_FOUND = (-32001, "not_found")
DENIED = (-32006, "denied")


def rows(t, s, e, ws):
    """(method, params, (code, kind), field); the name of the good sandbox is S, its exec E."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    file = t.put(ws, "a-file", "x")
    run = {"sandbox": s, "command": ["true"]}
    new = {"name": t.unique("bad")}
    return [
        # unknown methods and keys
        ("sandbox.frobnicate", {}, (-32601, "method_not_found"), None),
        ("", {}, (-32601, "method_not_found"), None),
        ("system.ping", {"x": 1}, INVALID, "x"),
        ("system.info", {"verbose": True}, INVALID, "verbose"),
        ("sandbox.get", {"sandbox": s, "x": 1}, INVALID, "x"),
        ("sandbox.list", {"filter": {"nope": "x"}}, INVALID, "filter.nope"),
        ("sandbox.create", {**new, "workspaces": []}, INVALID, "workspaces"),
        ("sandbox.create", {**new, "Name": "x"}, INVALID, "Name"),
        ("exec.run", {**run, "cmd": "x"}, INVALID, "cmd"),
        ("exec.run", {**run, "tty": {"rows": 1, "cols": 1, "x": 1}}, INVALID, "tty.x"),
        ("exec.run", {**run, "stdin": {"text": "x", "fd": 0}}, INVALID, "stdin"),
        ("exec.run", {**run, "stdin": {"nope": "x"}}, INVALID, "stdin"),
        # missing ones
        ("sandbox.get", {}, INVALID, "sandbox"),
        ("sandbox.remove", {}, INVALID, "sandbox"),
        ("exec.run", {"sandbox": s}, INVALID, "command"),
        ("exec.run", {"command": ["true"]}, INVALID, "sandbox"),
        ("exec.get", {}, INVALID, "execId"),
        ("exec.read", {"execId": e}, INVALID, "stream"),
        ("exec.write", {"execId": e}, INVALID, "data"),
        ("exec.resize", {"execId": e, "rows": 1}, INVALID, "cols"),
        ("exec.signal", {"execId": e}, INVALID, "signal"),
        ("template.get", {}, INVALID, "template"),
        ("template.build", {}, INVALID, "tool"),
        ("exec.run", {**run, "tty": {"rows": 1}}, INVALID, "tty.cols"),
        ("exec.run", {**run, "files": [{"path": "x"}]}, INVALID, "files[0].data"),
        # wrong types
        ("sandbox.get", {"sandbox": 1}, INVALID, "sandbox"),
        ("sandbox.get", {"sandbox": None}, INVALID, "sandbox"),
        ("sandbox.get", {"sandbox": [s]}, INVALID, "sandbox"),
        ("sandbox.get", {"sandbox": {"name": s}}, INVALID, "sandbox"),
        ("sandbox.remove", {"sandbox": s, "force": "yes"}, INVALID, "force"),
        ("sandbox.remove", {"sandbox": s, "force": 1}, INVALID, "force"),
        ("sandbox.create", {**new, "limits": []}, INVALID, "limits"),
        ("sandbox.create", {**new, "limits": {"memoryBytes": "64M"}}, INVALID, "limits.memoryBytes"),
        ("sandbox.create", {**new, "limits": {"memoryBytes": 1.5}}, INVALID, "limits.memoryBytes"),
        ("sandbox.create", {**new, "limits": {"memoryBytes": -1}}, INVALID, "limits.memoryBytes"),
        ("sandbox.create", {**new, "limits": {"memoryBytes": 1}}, INVALID, "limits.memoryBytes"),
        ("sandbox.create", {**new, "limits": {"cpuMilli": 1}}, INVALID, "limits.cpuMilli"),
        ("sandbox.create", {**new, "limits": {"shmBytes": 1}}, INVALID, "limits.shmBytes"),
        ("sandbox.create", {**new, "limits": {"diskBytes": 1000}}, INVALID, "limits.diskBytes"),
        ("sandbox.create", {**new, "limits": {"pids": 2**32 - 1}}, INVALID, "limits.pids"),
        ("sandbox.create", {**new, "limits": {"pids": 2**40}}, INVALID, "limits.pids"),
        ("sandbox.create", {**new, "limits": {"memoryBytes": 2**70}}, INVALID, "limits.memoryBytes"),
        ("sandbox.create", {**new, "env": []}, INVALID, "env"),
        ("sandbox.create", {**new, "env": {"A": 1}}, INVALID, "env.A"),
        ("sandbox.create", {**new, "labels": {"a": None}}, INVALID, "labels.a"),
        ("sandbox.create", {**new, "labels": {f"l{i}": "x" for i in range(65)}}, INVALID, "labels"),
        ("sandbox.create", {**new, "workspace": 1}, INVALID, "workspace"),
        ("sandbox.create", {**new, "workspace": {}}, INVALID, "workspace.path"),
        ("sandbox.create", {**new, "workspace": {"path": ws, "readOnly": "x"}}, INVALID, "workspace.readOnly"),
        ("sandbox.create", {**new, "workspace": {"path": ws, "gitConfig": "x"}}, INVALID, "workspace.gitConfig"),
        ("sandbox.create", {**new, "extraWorkspaces": ws}, INVALID, "extraWorkspaces"),
        ("sandbox.create", {**new, "extraWorkspaces": [1]}, INVALID, "extraWorkspaces[0]"),
        ("sandbox.create", {**new, "extraWorkspaces": [ws] * 17}, INVALID, "extraWorkspaces"),
        ("sandbox.create", {**new, "network": "internet"}, INVALID, "network"),
        ("sandbox.create", {**new, "network": 1}, INVALID, "network"),
        ("exec.run", {**run, "command": "true"}, INVALID, "command"),
        ("exec.run", {**run, "command": []}, INVALID, "command"),
        ("exec.run", {**run, "command": ["true", 1]}, INVALID, "command[1]"),
        ("exec.run", {**run, "command": [None]}, INVALID, "command[0]"),
        ("exec.run", {**run, "command": ["a\0b"]}, INVALID, "command[0]"),
        ("exec.run", {**run, "env": {"A=B": "x"}}, INVALID, "env.A=B"),
        ("exec.run", {**run, "env": {"": "x"}}, INVALID, "env."),
        ("exec.run", {**run, "env": {"A": "x\0y"}}, INVALID, "env.A"),
        ("exec.run", {**run, "workDir": "relative"}, INVALID, "workDir"),
        ("exec.run", {**run, "workDir": ""}, INVALID, "workDir"),
        ("exec.run", {**run, "workDir": 1}, INVALID, "workDir"),
        ("exec.run", {**run, "timeoutMs": 0}, INVALID, "timeoutMs"),
        ("exec.run", {**run, "timeoutMs": -1}, INVALID, "timeoutMs"),
        ("exec.run", {**run, "timeoutMs": "1s"}, INVALID, "timeoutMs"),
        ("exec.run", {**run, "timeoutMs": 1e300}, INVALID, "timeoutMs"),
        ("exec.run", {**run, "graceMs": -1}, INVALID, "graceMs"),
        ("exec.run", {**run, "capture": "all"}, INVALID, "capture"),
        ("exec.run", {**run, "leftovers": "maybe"}, INVALID, "leftovers"),
        ("exec.run", {**run, "onDisconnect": "x"}, INVALID, "onDisconnect"),
        ("exec.run", {**run, "stdin": "none"}, INVALID, "stdin"),
        ("exec.run", {**run, "stdin": {"base64": "%%%"}}, INVALID, "stdin.base64"),
        ("exec.run", {**run, "stdin": {"fd": 0}}, INVALID, "stdin.fd"),
        ("exec.run", {**run, "stdout": {"fd": 0}}, INVALID, "stdout.fd"),
        ("exec.run", {**run, "stdout": "x"}, INVALID, "stdout"),
        ("exec.run", {**run, "fds": 1}, INVALID, "fds"),
        ("exec.run", {**run, "fds": 65}, INVALID, "fds"),
        ("exec.run", {**run, "fds": -1}, INVALID, "fds"),
        ("exec.run", {**run, "tty": True}, INVALID, "tty"),
        ("exec.run", {**run, "tty": {"rows": 0, "cols": 1}}, INVALID, "tty.rows"),
        ("exec.run", {**run, "tty": {"rows": 70000, "cols": 1}}, INVALID, "tty.rows"),
        ("exec.run", {**run, "files": {}}, INVALID, "files"),
        ("exec.run", {**run, "files": [1]}, INVALID, "files[0]"),
        ("exec.run", {**run, "files": [{"path": "", "data": ""}]}, INVALID, "files[0].path"),
        ("exec.run", {**run, "files": [{"path": "x", "data": 1}]}, INVALID, "files[0].data"),
        ("exec.run", {**run, "files": [{"path": "x", "data": "", "mode": 384}]}, INVALID, "files[0].mode"),
        ("exec.run", {**run, "files": [{"path": "x", "data": "", "mode": "4755"}]}, INVALID, "files[0].mode"),
        ("exec.run", {**run, "files": [{"path": "x", "data": "", "mode": "rwx"}]}, INVALID, "files[0].mode"),
        ("exec.run", {**run, "execId": "a b"}, INVALID, "execId"),
        ("exec.run", {**run, "maxOutputBytes": -1}, INVALID, "maxOutputBytes"),
        ("exec.run", {**run, "stream": 1}, INVALID, "stream"),
        ("exec.run", {**run, "detach": "x"}, INVALID, "detach"),
        ("exec.run", {**run, "user": ""}, INVALID, "user"),
        ("exec.run", {**run, "user": 1000}, INVALID, "user"),
        ("exec.read", {"execId": e, "stream": "stdin"}, INVALID, "stream"),
        ("exec.read", {"execId": e, "stream": "stdout", "from": -1}, INVALID, "from"),
        ("exec.read", {"execId": e, "stream": "stdout", "limitBytes": 0}, INVALID, "limitBytes"),
        ("exec.read", {"execId": e, "stream": "stdout", "limitBytes": 2**21}, INVALID, "limitBytes"),
        ("exec.attach", {"execId": e, "from": "start"}, INVALID, "from"),
        ("exec.attach", {"execId": e, "from": {"stdout": -1}}, INVALID, "from.stdout"),
        ("exec.resize", {"execId": e, "rows": 0, "cols": 1}, INVALID, "rows"),
        ("sandbox.list", {"limit": 0}, INVALID, "limit"),
        ("sandbox.list", {"limit": 1001}, INVALID, "limit"),
        ("sandbox.list", {"limit": "x"}, INVALID, "limit"),
        ("sandbox.list", {"filter": []}, INVALID, "filter"),
        # names
        ("sandbox.get", {"sandbox": ""}, INVALID, "sandbox"),
        ("sandbox.get", {"sandbox": "a/b"}, INVALID, "sandbox"),
        ("sandbox.create", {"name": ""}, INVALID, "name"),
        ("sandbox.create", {"name": "-x"}, INVALID, "name"),
        ("sandbox.create", {"name": ".x"}, INVALID, "name"),
        ("sandbox.create", {"name": "a b"}, INVALID, "name"),
        ("sandbox.create", {"name": "a/b"}, INVALID, "name"),
        ("sandbox.create", {"name": "é"}, INVALID, "name"),
        ("sandbox.create", {"name": "a" * 129}, INVALID, "name"),
        ("sandbox.create", {"name": "../x"}, INVALID, "name"),
        ("sandbox.create", {"name": "a\n"}, INVALID, "name"),
        ("sandbox.create", {"name": s}, (-32002, "already_exists"), "name"),
        # things that are not there
        ("sandbox.get", {"sandbox": "nobody"}, NOT_FOUND, None),
        ("sandbox.stop", {"sandbox": "nobody"}, NOT_FOUND, None),
        ("sandbox.start", {"sandbox": "nobody"}, NOT_FOUND, None),
        ("sandbox.remove", {"sandbox": "nobody"}, NOT_FOUND, None),
        ("exec.run", {"sandbox": "nobody", "command": ["true"]}, NOT_FOUND, None),
        ("exec.get", {"execId": "nobody"}, NOT_FOUND, None),
        ("exec.wait", {"execId": "nobody"}, NOT_FOUND, None),
        ("exec.attach", {"execId": "nobody"}, NOT_FOUND, None),
        ("exec.cancel", {"execId": "nobody"}, NOT_FOUND, None),
        ("exec.signal", {"execId": "nobody", "signal": 15}, NOT_FOUND, None),
        ("template.get", {"template": "nobody"}, NOT_FOUND, None),
        ("template.remove", {"template": "nobody"}, NOT_FOUND, None),
        ("sandbox.create", {**new, "tool": "nosuchtool"}, NOT_FOUND, "tool"),
        ("sandbox.create", {**new, "template": "nosuchtemplate"}, NOT_FOUND, "template"),
        ("template.build", {"tool": "nosuchtool"}, NOT_FOUND, "tool"),
        ("template.remove", {"template": "host"}, None, None),
        # workspaces
        ("sandbox.create", {**new, "workspace": "relative"}, INVALID, "workspace"),
        ("sandbox.create", {**new, "workspace": ""}, INVALID, "workspace"),
        ("sandbox.create", {**new, "workspace": "/no/such/dir"}, NOT_FOUND, "workspace"),
        ("sandbox.create", {**new, "workspace": file}, None, "workspace"),
        ("sandbox.create", {**new, "workspace": "/"}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": home}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": "/proc"}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": "/dev"}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": "/sys"}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": "/usr"}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": "/dev/null"}, None, "workspace"),
        ("sandbox.create", {**new, "workspace": ws + "\0x"}, INVALID, "workspace"),
        ("sandbox.create", {**new, "workspace": "/" + "a" * 5000}, INVALID, "workspace"),
        ("sandbox.create", {**new, "workspace": t.daemon.state}, DENIED, "workspace"),
        ("sandbox.create", {**new, "workspace": t.daemon.run}, DENIED, "workspace"),
        ("sandbox.create", {**new, "runtime": "nosuch"}, None, "runtime"),
    ]


def same_field(got, want):
    """The path of the field, or of what it is in (a union names itself, not its branch)."""
    if want is None or got == want:
        return True
    parts = want.replace("[", ".").split(".")
    return got is not None and got in (parts[0], ".".join(want.split(".")[:1]), want.split("[")[0])


def wrong(t, method, params, error, field):
    """What is wrong with the answer, or None."""
    try:
        e = t.client.error(method, params)
    except AssertionError as problem:
        return str(problem)[:300]
    if error is None:
        if e.code == -32603:
            return f"internal error: {e}"
    elif (e.code, e.kind) != error:
        return f"{method} {str(params)[:160]}: want {error}, got {e}"
    if not same_field(e.field, field):
        return f"{method} {str(params)[:160]}: want field {field}, got {e.field}: {e.message}"
    if not e.message or "\n" in e.message:
        return f"{method}: message {e.message!r}"
    return None


@timeout(120)
def test_table(t):
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    e = t.run(s, ["sleep", "100"], detach=True, stdin="stream")["execId"]
    before = t.client.call("sandbox.list", {"limit": 1000})["sandboxes"]
    bad = []
    for method, params, error, field in rows(t, s["name"], e, ws):
        problem = wrong(t, method, params, error, field)
        if problem:
            bad.append(problem)
    after = t.client.call("sandbox.list", {"limit": 1000})["sandboxes"]
    for x in after:
        if x["name"] not in [b["name"] for b in before]:
            bad.append(f"made by bad input: {x['name']}")
            t.client.call("sandbox.remove", {"sandbox": x["name"], "force": True})
    equal(t.client.call("exec.get", {"execId": e})["state"], "running", "the exec")
    check(not bad, f"{len(bad)} rows:\n  " + "\n  ".join(bad))


@timeout(120)
def test_every_param_of_every_method_with_every_type(t):
    """From rpc.discover: nothing is an internal error, nothing hangs, nothing kills the daemon."""
    d = t.client.call("rpc.discover")
    values = [None, True, 0, -1, 1.5, "", "x", "\u0000", [], [[]], {}, {"x": {"x": 1}}, 2**63, "a" * 300]
    bad = []
    for m in d["methods"]:
        required = {p["name"]: "nobody" for p in m["params"] if p.get("required")}
        for p in m["params"]:
            for value in values:
                params = {**required, p["name"]: value}
                if "command" in required and p["name"] != "command":
                    params["command"] = ["true"]
                if m["name"] == "sandbox.create":
                    params.setdefault("template", "nosuchtemplate")
                try:
                    t.client.call(m["name"], params, timeout=20)
                except lib.RpcError as e:
                    if e.code == -32603:
                        bad.append(f"{m['name']} {p['name']}={value!r}: {e}")
                    continue
    for x in t.client.call("sandbox.list", {"limit": 1000})["sandboxes"]:
        t.client.call("sandbox.remove", {"sandbox": x["name"], "force": True})
    check(not bad, "\n  ".join(bad[:20]))


def test_unknown_key_in_every_method(t):
    d = t.client.call("rpc.discover")
    bad = []
    for m in d["methods"]:
        e = t.client.error(m["name"], {"noSuchKeyAtAll": 1})
        if e.code == -32005:
            continue
        if e.code != -32602:
            bad.append(f"{m['name']}: {e}")
    check(not bad, "; ".join(bad))
