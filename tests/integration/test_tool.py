# SPDX-License-Identifier: Apache-2.0
"""Templates: host, and claude's layer as it comes from npm (needs the npm registry)."""

import os

import lib
from harness import exited, refused, timeout
from lib import check, equal

BUILD_SECONDS = 240


def layers(t):
    """Directories in every owner's templates."""
    owners = os.path.join(t.daemon.state, "owners")
    return [
        (owner, name)
        for owner in (os.listdir(owners) if os.path.isdir(owners) else [])
        if os.path.isdir(os.path.join(owners, owner, "templates"))
        for name in os.listdir(os.path.join(owners, owner, "templates"))
    ]


def claudes(t):
    return [x for x in t.client.call("template.list")["templates"] if x.get("tool") == "claude"]


def test_host(t):
    c = t.client
    host = c.call("template.get", {"template": "host"})
    equal((host["name"], host["state"]), ("host", "ready"), "host")
    check(len(host["digest"]) == 64, host["digest"])
    check("host" in [x["name"] for x in c.call("template.list")["templates"]], "listed")
    equal(c.error("template.remove", {"template": "host"}).kind, "denied", "remove host")


def test_names(t):
    c = t.client
    for tool in ("claude@latest", "claude@^2", "claude@", "shell@1"):
        e = c.error("template.build", {"tool": tool})
        equal((e.kind, e.field), ("invalid_params", "tool"), tool)
    equal(c.error("template.build", {"tool": "hammer"}).kind, "not_found", "unknown")
    equal(c.error("sandbox.create", {"tool": "codex"}).kind, "unavailable", "later")
    equal(c.error("sandbox.create", {"template": "debian"}).kind, "unavailable", "later")
    equal(c.call("template.build", {"tool": "shell"})["name"], "host", "shell has no layer")


@timeout(BUILD_SECONDS + 60)
def test_claude(t):
    """Two ask at once, one layer is built; it runs, it is in use, it goes."""
    c = t.client
    other = t.connect()
    names = [t.unique("claude"), t.unique("claude")]
    spaces = [t.workspace(), t.workspace()]
    ids = [
        client.send("sandbox.create", {"name": name, "tool": "claude", "workspace": space})
        for client, name, space in zip((c, other), names, spaces)
    ]
    made = []
    for client, rid, name in zip((c, other), ids, names):
        made.append(client.wait(rid, BUILD_SECONDS))
        t.sandboxes.append((client, name))
        t.suite.ids.append(made[-1]["id"])
    found = claudes(t)
    equal([x["state"] for x in found], ["ready"], "templates")
    equal(len(layers(t)), 1, f"layers {layers(t)}")
    equal([s["template"] for s in made], [found[0]["name"]] * 2, "template of the sandboxes")
    check(found[0]["sizeBytes"] > 10 << 20, found)

    said = t.sh(made[0], "claude --version")
    equal(said.split()[0], found[0]["version"], "claude --version")
    check(t.sh(made[0], "command -v node").startswith("/opt/claude/"), "its own node")
    r = t.run(
        made[0], ["claude", "auth", "status"], env={"CLAUDE_CODE_OAUTH_TOKEN": "made-up"}
    )
    check('"loggedIn": true' in lib.text_of(exited(r)["stdout"]).decode(), "auth status")
    left = t.sh(made[1], "ls -A /tmp /root 2>/dev/null || true; cat /home/agent/.claude.json")
    check("npm" not in left and "hasCompletedOnboarding" in left, left)
    r = t.run(made[1], ["sh", "-c", "echo x >> /opt/claude/bin/claude"])
    check(r["exitCode"] != 0, "the agent may write to the tool")

    name = {"template": found[0]["name"]}
    equal(c.error("template.remove", name).kind, "conflict", "remove in use")
    equal(c.error("template.remove", {"template": "claude"}).kind, "conflict", "by tool")
    for client, s in zip((c, other), made):
        client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    c.call("template.remove", name)
    equal(claudes(t), [], "templates after remove")
    lib.until(lambda: not layers(t), 5, "the layer is gone")
    equal(c.error("template.get", name).kind, "not_found", "get after remove")


@timeout(120)
def test_cancel(t):
    """A build that nobody waits for any more is given up and leaves nothing."""
    c = t.client
    before = [s["name"] for s in c.call("sandbox.list")["sandboxes"]]
    rid = c.send("template.build", {"tool": "claude"})
    note = c.note("progress", timeout=30)
    equal(note["requestId"], rid, "requestId")
    check(note["message"], "message")
    c.notify("rpc.cancel", {"id": rid})
    try:
        c.wait(rid, 30)
        raise AssertionError("the build was not cancelled")
    except lib.RpcError as e:
        refused(e, "cancelled")
    lib.until(lambda: not claudes(t), 30, "the row is gone")
    lib.until(lambda: not layers(t), 5, "no layer")
    equal([s["name"] for s in c.call("sandbox.list")["sandboxes"]], before, "sandboxes")
