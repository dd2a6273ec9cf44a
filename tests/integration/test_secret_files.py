# SPDX-License-Identifier: Apache-2.0
"""Where a tool's secrets become files the agent's home is memory."""

import shutil

from harness import timeout
from lib import check, equal, until

TOOL = "keeper-of-secrets"
CONFIG = """
[tool keeper-of-secrets]
version = 1
node_version = none
install = :
secret = a_token -> file ~/.agent/auth.json
secret = another -> file ~/.agent/sub/key
secret = third -> file ~/.config/agent/key
seed ~/.agent/settings =
	one
	two
seed ~/.agent/sub/deep/er = x
seed ~/.elsewhere/settings = not ours
"""
WHERE = "stat -f -c %T ~/.agent ~/.config/agent ~/.config; stat -c '%a %u' ~/.agent ~/.config/agent"
SEEDS = "cd ~/.agent; head settings sub/deep/er; stat -c '%a %u' settings sub/deep; ls -A ~/.elsewhere 2>&1"


def look(t, s, client):
    lines = t.sh(s, WHERE, client=client).split("\n")
    equal(lines[:2], ["tmpfs", "tmpfs"], "in memory")
    check(lines[2] != "tmpfs", "what is above is not")
    equal(lines[3:5], ["700 1000", "700 1000"], "the agent's")
    said = t.sh(s, SEEDS + " || true", client=client)
    check("one\ntwo\n" in said and "er <==\nx\n" in said, f"its seeds: {said}")
    check("644 1000\n755 1000" in said, f"modes: {said}")
    check("not ours" not in said, "seeds elsewhere are the layer's")


def test_directory(t):
    """It is there after a create, a warm claim and a start; what was in it is gone then."""
    c = t.connect(daemon=t.private_daemon(config=CONFIG))
    s = t.sandbox(client=c, tool=TOOL)
    look(t, s, c)
    t.sh(s, "echo planted-in-memory >~/.agent/left; echo on-disk >~/left", client=c)
    c.call("sandbox.stop", {"sandbox": s["name"]})
    c.call("sandbox.start", {"sandbox": s["name"]})
    look(t, s, c)
    equal(t.sh(s, "ls -A ~/.agent; cat ~/left", client=c), "settings\nsub\non-disk\n", "after a start")
    c.call("pool.set", {"template": TOOL, "min": 1, "max": 1})
    until(lambda: c.call("pool.list")["pools"][0]["ready"] == 1, 60, "a spare", 0.05)
    s = t.sandbox(client=c, tool=TOOL)
    equal(s["launchType"], "warm", "it had a spare")
    look(t, s, c)


def test_stage(t):
    """A stage that may write nothing may write there: it is the sandbox's own."""
    c = t.connect(daemon=t.private_daemon(config=CONFIG))
    s = t.sandbox(client=c, tool=TOOL, workspace=t.workspace())
    equal(t.sh(s, "echo x >~/.agent/x; cat ~/.agent/x", client=c, stage="reviewer"), "x\n", "written")


@timeout(120)
def test_runsc(t):
    if not shutil.which("runsc"):
        t.skip("runsc is not installed")
    c = t.connect(daemon=t.private_daemon(config=CONFIG))
    s = t.sandbox(client=c, tool=TOOL, runtime="runsc")
    said = t.sh(s, "stat -f -c %T ~/.agent ~/.config/agent; cat ~/.agent/settings; echo x >~/.agent/y", client=c)
    equal(said, "tmpfs\ntmpfs\none\ntwo\n", "as in the others")
