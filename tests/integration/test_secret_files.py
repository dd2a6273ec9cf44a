# SPDX-License-Identifier: Apache-2.0
"""Where a tool's secrets become files the agent's home is memory."""

import os
import shutil
import sqlite3
import time

from daemon import held, keepers
from gitrepo import worktree
from harness import exited, modes, timeout
from lib import check, equal, text_of, until

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


@modes("root")
def test_keeper_holds_nothing_of_a_claim(t):
    """Descriptors of the mounts that a claim of a worktree makes, of memory and of covers."""
    d = t.private_daemon(config=CONFIG + "[limits]\npool_memory = 0\n")
    c = t.connect(daemon=d)
    _, tree, _ = worktree(t)

    def claim(**params):
        c.call("sandbox.remove", {"sandbox": t.sandbox(client=c, **params)["name"], "force": True})

    def held_now():
        pids = keepers(d.pid)
        return len(os.listdir(f"/proc/{pids[0]}/fd")) if len(pids) == 1 else 1 << 20  # a worker is there

    t.sandbox(client=c)
    claim(tool=TOOL)  # which makes its layer
    until(lambda: held_now() < 1 << 20, 10, "no worker")
    before = held_now()
    for _ in range(4):
        claim(tool=TOOL, workspace=tree)
    until(lambda: held_now() <= before, 10, f"no more than {before} descriptors")


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


VALUE = "planted-file-0123456789-abcdef"
OTHER = "planted-renewed-9876543210-fed"
SECRETS = """
[secret a_token]
provider = command
command = /bin/cat PATH
[secret elsewhere]
provider = env
variable = ELSEWHERE
"""
STEP = "n=0; while [ ! -e {0} ]; do sleep 0.02; n=$((n + 1)); [ $n -lt 1500 ] || exit 9; done; "
# so that the spool does not know it again
SPELL = "sed 's/./&-/g' ~/.agent/auth.json; echo; "


def spelled(value):
    return "-".join(value) + "-"


def lender(t):
    path = t.put(t.workspace(), "token", VALUE)
    d = t.private_daemon(config=CONFIG + SECRETS.replace("PATH", path), env={"ELSEWHERE": OTHER})
    return d, t.connect(daemon=d), path


def test_lent(t):
    """It is there for the command that has it, and for nobody afterwards."""
    _, c, _ = lender(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    script = SPELL + "stat -c '%a %u' ~/.agent/auth.json; cat ~/.agent/auth.json; echo; ls -A ~/.agent"
    r = exited(t.run(s, ["sh", "-c", script], client=c, secrets=["a_token"]))
    said = text_of(r["stdout"]).decode().split("\n")
    equal(said[:3], [spelled(VALUE), "600 1000", "*" * len(VALUE)], "the file")
    equal(said[3:], ["auth.json", "settings", "sub", ""], "and nothing else")
    equal(t.sh(s, "ls -A ~/.agent", client=c), "settings\nsub\n", "gone")
    use = {"name": "elsewhere", "file": "~/.agent/sub/new/x"}
    r = exited(t.run(s, ["sh", "-c", SPELL.replace("auth.json", "sub/new/x")], client=c, secrets=[use]))
    equal(text_of(r["stdout"]).decode().strip(), spelled(OTHER), "where the call says")
    # two have it; it goes with the last
    first = t.run(s, ["sh", "-c", STEP.format(ws + "/one")], client=c, secrets=["a_token"], detach=True)
    second = t.run(s, ["sh", "-c", STEP.format(ws + "/two")], client=c, secrets=["a_token"], detach=True)
    t.put(ws, "one", "")
    exited(c.call("exec.wait", {"execId": first["execId"]}, timeout=60))
    equal(t.sh(s, "ls ~/.agent", client=c), "auth.json\nsettings\nsub\n", "the second has it")
    t.put(ws, "two", "")
    exited(c.call("exec.wait", {"execId": second["execId"]}, timeout=60))
    equal(t.sh(s, "ls ~/.agent", client=c), "settings\nsub\n", "gone with the last")


def read_by_another(t, **lent_with):
    """A command of the same sandbox that was lent nothing prints the file, then the renewed one."""
    d, c, path = lender(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    script = (
        "head -c 3000000 /dev/zero | tr '\\0' x; "  # much output is moved and not looked at, until then
        f"echo; touch {ws}/runs; {STEP.format(ws + '/lent')} old=$(cat ~/.agent/auth.json); echo $old; touch {ws}/read; "
        "n=0; while [ $(cat ~/.agent/auth.json) = $old ]; do sleep 0.05; n=$((n + 1)); [ $n -lt 1000 ] || exit 9; done; "
        "cat ~/.agent/auth.json; echo; " + SPELL
    )
    other = t.run(s, ["sh", "-c", script], client=c, detach=True)
    until(lambda: os.path.exists(ws + "/runs"), 50, "it runs", 0.02)
    lent = t.run(s, ["sh", "-c", STEP.format(ws + "/end")], client=c, secrets=["a_token"], detach=True, **lent_with)
    t.put(ws, "lent", "")
    until(lambda: os.path.exists(ws + "/read"), 50, "it was read", 0.02)
    t.put(os.path.dirname(path), "token.new", OTHER)
    os.rename(path + ".new", path)
    c.call("secret.renew", {"leaseId": lease_of(d), "ttlMs": 3_600_000})
    r = exited(c.call("exec.wait", {"execId": other["execId"]}, timeout=60))
    said = text_of(r["stdout"]).decode().split("\n")[1:]
    equal(said, ["*" * len(VALUE), "*" * len(OTHER), spelled(OTHER), ""], "what was stored of it")
    t.put(ws, "end", "")
    exited(c.call("exec.wait", {"execId": lent["execId"]}, timeout=60))
    return d, s


def test_read_by_another(t):
    """The keeper forgets what nobody can know any more (secret_leaks has the proof)."""
    read_by_another(t)


def test_read_by_another_than_one_with_its_own_output(t):
    """Of what the lent command prints nothing is stored, and it is not seen to end."""
    with open("/dev/null", "wb") as null:
        fd = null.fileno()
        d, s = read_by_another(t, fds=[fd, fd], stdout={"fd": 0}, stderr={"fd": 1})
    c = t.connect(daemon=d)
    equal(t.sh(s, f"printf %s-%s {VALUE[:12]} {VALUE[13:]}", client=c), "*" * len(VALUE), "afterwards")
    d.kill()
    d.start()
    c = t.connect(daemon=d)
    equal(t.sh(s, f"printf %s-%s {OTHER[:15]} {OTHER[16:]}", client=c), "*" * len(OTHER), "under a later daemon")
    c.call("sandbox.stop", {"sandbox": s["name"]})
    c.call("sandbox.start", {"sandbox": s["name"]})
    equal(t.sh(s, f"printf %s-%s {VALUE[:12]} {VALUE[13:]}", client=c), VALUE, "in the next life of it")


def test_one_secret_in_a_place(t):
    """Of two in one file none could be taken back alone; also where an earlier daemon lent the first."""
    d, c, _ = lender(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    first = t.run(s, ["sh", "-c", STEP.format(ws + "/go") + SPELL], client=c, secrets=["a_token"], detach=True)
    other = {"sandbox": s["name"], "command": ["true"], "secrets": [{"name": "elsewhere", "file": "~/.agent/auth.json"}]}
    e = c.error("exec.run", other)
    equal((e.kind, e.field), ("conflict", "secrets"), f"{e}")
    check(OTHER not in str(e) and VALUE not in str(e), "no value")
    d.kill()
    d.start()
    c = t.connect(daemon=d)
    equal(c.error("exec.run", other).kind, "conflict", "after a restart")
    exited(t.run(s, ["true"], client=c, secrets=["a_token"]))
    t.put(ws, "go", "")
    r = exited(c.call("exec.wait", {"execId": first["execId"]}, timeout=60))
    equal(text_of(r["stdout"]).decode().strip(), spelled(VALUE), "its own")
    exited(c.call("exec.run", other))


def test_refused(t):
    """Where it cannot be memory it is not written; nor is the command run."""
    _, c, _ = lender(t)
    s = t.sandbox(client=c, tool=TOOL)
    other = t.sandbox(client=c)
    for where, use in (
        (other, {"name": "a_token", "file": "~/.agent/auth.json"}),
        (s, {"name": "a_token", "file": "~/.other/auth.json"}),
        (s, {"name": "a_token", "file": "~/.agentx/auth.json"}),
        (s, {"name": "a_token", "file": "~/auth.json"}),
        (s, {"name": "a_token", "file": "/etc/auth.json"}),
        (s, {"name": "a_token", "file": "~/.agent/../auth.json"}),
        (s, {"name": "a_token", "file": "~/.agent/" + "x" * 250}),
    ):
        e = c.error("exec.run", {"sandbox": where["name"], "command": ["touch", "/tmp/ran"], "secrets": [use]})
        check(e.kind == "invalid_params" and e.field.startswith("secrets") and VALUE not in str(e), f"{use}: {e}")
    t.sh(s, "mkdir ~/.agent/auth.json", client=c)
    r = t.run(s, ["touch", "/tmp/ran"], client=c, secrets=["a_token"])
    equal((r["cause"], r["startError"]["kind"]), ("never_started", "bad_file"), f"{r}")
    check(VALUE not in str(r), "no value")
    t.sh(s, "test ! -e /tmp/ran; rmdir ~/.agent/auth.json", client=c)


def test_daemon_killed(t):
    """Who has it keeps it when the daemon dies, and it goes with him all the same."""
    d, c, _ = lender(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    script = STEP.format(ws + "/go") + SPELL
    x = t.run(s, ["sh", "-c", script], client=c, secrets=["a_token"], detach=True)
    d.kill()
    t.put(ws, "go", "")
    d.start()
    c = t.connect(daemon=d)
    r = exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60))
    equal(text_of(r["stdout"]).decode().strip(), spelled(VALUE), "it had it")
    equal(t.sh(s, "ls ~/.agent", client=c), "settings\nsub\n", "gone")


def lease_of(d):
    """The id of the one lease that there is, as it is stored."""
    ((lease,),) = d.rows("SELECT id FROM leases")
    return lease


def follow(t, use, file, restart):
    d, c, path = lender(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    wait = "while {}; do sleep 0.05; n=$((n + 1)); [ $n -lt 1000 ] || exit 9; done; "
    script = (
        f"n=0; old=$(cat {file}); touch {ws}/runs; "
        + wait.format(f'[ "$(cat {file})" = "$old" ]')
        + SPELL.replace("~/.agent/auth.json", file)
        + f"cat {file}; touch {ws}/seen; "
        + wait.format(f"[ -e {file} ]")
    )
    x = t.run(s, ["sh", "-c", script], client=c, secrets=[use], detach=True)
    until(lambda: os.path.exists(ws + "/runs"), 50, "it runs", 0.02)
    lease = lease_of(d)
    if restart:
        d.kill()
        d.start()
        c = t.connect(daemon=d)
    t.put(os.path.dirname(path), "token.new", OTHER)
    os.rename(path + ".new", path)
    c.call("secret.renew", {"leaseId": lease, "ttlMs": 3_600_000})
    until(lambda: os.path.exists(ws + "/seen"), 50, "another value", 0.02)
    c.call("secret.revoke", {"leaseId": lease})
    r = exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60))
    equal(text_of(r["stdout"]).decode(), spelled(OTHER) + "\n" + "*" * len(OTHER), "the new one")


def test_follows_its_lease(t):
    """Another value when it is renewed, which is covered in the output, too; gone when it is over."""
    follow(t, "a_token", "~/.agent/auth.json", restart=False)


def test_follows_its_lease_under_a_later_daemon(t):
    """Also a file that only the call named."""
    follow(t, {"name": "a_token", "file": "~/.agent/sub/named"}, "~/.agent/sub/named", restart=True)


def test_over_while_there_is_no_daemon(t):
    """The next one takes it away."""
    d, c, _ = lender(t)
    s = t.sandbox(client=c, tool=TOOL)
    use = {"name": "a_token", "file": "~/.agent/mine", "ttlMs": 3000}
    gone = "[ -e ~/.agent/mine ] || exit 8; n=0; while [ -e ~/.agent/mine ]; do sleep 0.02; n=$((n + 1)); [ $n -lt 2500 ] || exit 9; done"
    x = t.run(s, ["sh", "-c", gone], client=c, secrets=[use], detach=True)
    began = time.monotonic()
    d.kill()
    time.sleep(max(began + 3 - time.monotonic(), 0))
    d.start()
    c = t.connect(daemon=d)
    exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60))


def test_revoked_while_renewing(t):
    """A new value that waits for the keeper, which is to cover it, does not come when the lease is over."""
    d, c, path = lender(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    file = "~/.agent/auth.json"
    script = f"touch {ws}/runs; " + STEP.format(ws + "/go") + f"ls {file} || true"
    x = t.run(s, ["sh", "-c", script], client=c, secrets=["a_token"], detach=True)
    until(lambda: os.path.exists(ws + "/runs"), 50, "it runs", 0.02)
    t.put(os.path.dirname(path), "token", OTHER)
    lease = lease_of(d)
    with held(keepers(d.pid)):
        c.call("secret.renew", {"leaseId": lease, "ttlMs": 3_600_000})
        equal(c.call("secret.revoke", {"leaseId": lease})["revoked"], 1, "revoked")
    t.sh(s, "true", client=c)  # the keeper has answered by now
    t.put(ws, "go", "")
    r = exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60))
    equal(text_of(r["stdout"]).decode(), "", "it stays away")
    check(OTHER not in t.sh(s, "cat ~/.agent/* 2>/dev/null || true", client=c), "nor is it there later")
