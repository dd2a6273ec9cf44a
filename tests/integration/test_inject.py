# SPDX-License-Identifier: Apache-2.0
"""Secrets on their way into commands: named by the call or by the tool, and gone with the command."""

import os
import signal

import daemon as daemon_module
from gitrepo import worktree
from harness import b64, exited, invalid, refused
from lib import RpcError, check, equal, text_of, until
from test_loop import loop

ALPHA = "planted-alpha-0123456789"
BETA = "planted-beta-9876543210"
STARS = "*" * len(ALPHA)

CONFIG = """
[limits]
pool_memory = 0
[secret alpha.one]
provider = env
variable = PLANTED_ALPHA
[secret beta]
provider = env
variable = PLANTED_BETA
[secret empty-here]
provider = env
variable = PLANTED_NOWHERE
[tool shell]
secret = not_there|beta -> env TOOL_TOKEN
secret = alpha.one -> env MADE_OF_ALPHA
"""


def secretive(t, more=""):
    """A daemon that has secrets, and a client of it."""
    d = t.private_daemon(CONFIG + more, env={"PLANTED_ALPHA": ALPHA + "\n", "PLANTED_BETA": BETA})
    return d, t.connect(daemon=d)


def leases(d):
    """What the daemon has lent, as it is stored."""
    return d.rows("SELECT secret, holder_id FROM leases ORDER BY secret")


def lines(r, stream="stdout"):
    return text_of(r.get(stream)).decode().splitlines()


def spelled(name):
    """A shell script that prints a variable so that nothing knows it again."""
    return f'printf %s "${name}" | sed "s/./&-/g"; echo'


def reads(value):
    return "-".join(value) + "-"


def test_in_the_environment_of_one_command(t):
    d, c = secretive(t)
    s = t.sandbox(client=c, env={"GREETING": "of the sandbox"})
    script = ";".join(spelled(v) for v in ("ALPHA_ONE", "GREETING", "BETA")) + "; ulimit -Hc; ulimit -Sc"
    r = exited(t.run(s, ["/bin/sh", "-c", script], client=c,
                     secrets=["alpha.one", {"name": "beta", "env": "GREETING"}]))
    equal(lines(r), [reads(ALPHA), reads(BETA), "", "0", "0"], "what the command has")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")
    r = exited(t.run(s, ["/bin/sh", "-c", script], client=c, capture="merged"))
    equal(lines(r, "output")[:3], ["", reads("of the sandbox"), ""], "what the next one has")
    # as soon as it is printed as it is, nobody has it again
    r = exited(t.run(s, ["/bin/sh", "-c", "echo 1 $ALPHA_ONE 2; echo $ALPHA_ONE >&2"], client=c,
                     secrets=["alpha.one"]))
    equal((lines(r), lines(r, "stderr")), ([f"1 {STARS} 2"], [STARS]), "what was printed")
    for answer in (r, c.call("exec.get", {"execId": r["execId"]}), c.call("exec.list"),
                   c.call("sandbox.get", {"sandbox": s["id"]})):
        check(ALPHA not in str(answer), f"{answer}")


def test_what_a_command_reads(t):
    _, c = secretive(t)
    s = t.sandbox(client=c)
    r = exited(t.run(s, ["/bin/sh", "-c", "wc -c; env | grep -c PLANT"], client=c,
                     secrets=[{"name": "alpha.one", "stdin": True}]), 1)
    equal(lines(r), [str(len(ALPHA) + 1), "0"], "bytes on stdin, and a newline is one of them")


def test_those_of_the_tool(t):
    d, c = secretive(t)
    s = t.sandbox(client=c, tool="shell")
    script = spelled("TOOL_TOKEN") + ";" + spelled("MADE_OF_ALPHA")
    r = exited(t.run(s, ["sh", "-c", script], client=c))
    equal(lines(r), [reads(BETA), reads(ALPHA)], "what the tool's own program has")
    r = exited(t.run(s, ["sh", "-c", script], client=c, env={"TOOL_TOKEN": "mine"}))
    equal(lines(r), [reads("mine"), reads(ALPHA)], "what the call has set is not lent")
    r = exited(t.run(s, ["sh", "-c", script], client=c, secrets=["alpha.one", {"name": "beta", "env": "B"}]))
    equal(lines(r), ["", reads(ALPHA)], "no form is the tool's, another form is instead of it")
    r = exited(t.run(s, ["env"], client=c))
    check("TOKEN" not in str(lines(r)) and "ALPHA" not in str(lines(r)), f"not for any command: {lines(r)}")
    # without the tool in its sandbox it is a command like any other
    other = t.sandbox(client=c)
    r = exited(t.run(other, ["sh", "-c", script], client=c))
    equal(lines(r), ["", ""], "a shell of another sandbox")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")


def test_a_run_but_not_what_verifies_it(t):
    d, c = secretive(t)
    _, tree, _ = worktree(t)
    lid = loop(t, tree, client=c)["loopId"]
    params = {"loopId": lid, "tool": "shell", "secrets": [{"name": "alpha.one", "env": "GIVEN"}],
              "prompt": "; ".join(map(spelled, ("GIVEN", "TOOL_TOKEN"))) + "; echo $GIVEN",
              "verificationCommands": ["echo v$GIVEN$TOOL_TOKEN"], "idempotencyKey": "k"}
    r = c.call("loop.run", params, timeout=60)
    equal(r["state"], "completed", f"{r}")
    equal(r["output"].splitlines(), [reads(ALPHA), reads(BETA), STARS], "what the tool has")
    equal(r["artifacts"]["verification"]["output"].splitlines()[-1], "v", "what verifies it has none")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")
    again = c.call("loop.run", params)
    equal(again["requestId"], r["requestId"], "the same run")
    c.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)


def test_what_cannot_be(t):
    d, c = secretive(t)
    s = t.sandbox(client=c, tool="shell")
    bad = [
        ([{"name": ".x"}], {}, "secrets[0].name"),
        ([{"name": "x" * 65}], {}, "secrets[0].name"),
        ([{}], {}, "secrets[0].name"),
        (["beta", {"name": "beta", "env": "A=B"}], {}, "secrets[1].env"),
        ([{"name": "beta", "env": "A", "stdin": True}], {}, "secrets[0]"),
        ([{"name": "beta", "env": "A"}, {"name": "alpha.one", "env": "A"}], {}, "secrets[1]"),
        ([{"name": "beta", "env": "A"}], {"env": {"A": "x"}}, "secrets[0].env"),
        ([{"name": "beta", "stdin": True}], {"stdin": {"text": "x"}}, "secrets[0].stdin"),
        ([{"name": "beta", "stdin": True}], {"tty": {"rows": 1, "cols": 1}}, "secrets[0].stdin"),
        ([{"name": "beta", "file": "/etc/passwd"}], {}, "secrets[0].file"),
        ([{"name": "beta", "file": "~/x"}], {}, "secrets[0].file"),
        ([{"name": "beta", "ttlMs": 0}], {}, "secrets[0].ttlMs"),
        ([{"name": "beta", "ttlMs": 1 << 50}], {}, "secrets[0].ttlMs"),
        (["beta"] * 33, {}, "secrets"),
        ("beta", {}, "secrets"),
    ]
    for secrets, more, field in bad:
        e = c.error("exec.run", {"sandbox": s["name"], "command": ["touch", "/tmp/ran"], "secrets": secrets, **more})
        invalid(e, field)
    e = c.error("exec.run", {"sandbox": s["name"], "command": ["touch", "/tmp/ran"], "secrets": ["empty-here"]})
    check(e.code in (-32001, -32005) and e.field == "secrets[0].name", f"{e}")
    equal(t.run(s, ["ls", "/tmp/ran"], client=c)["exitCode"], 2, "nothing of it ran")
    # what is refused later gives back what was leased before
    e = c.error("exec.run", {"sandbox": s["name"], "command": ["true"], "secrets": ["beta"], "workDir": "x"})
    invalid(e, "workDir")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")
    c.call("sandbox.stop", {"sandbox": s["name"]})
    refused(c.error("exec.run", {"sandbox": s["name"], "command": ["true"], "secrets": ["beta"]}), "invalid_state")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")


def test_from_the_store(t):
    c = t.client
    s = t.sandbox()
    names = [t.unique("s") for _ in range(3)]
    for name, value in zip(names, (ALPHA.encode() + b"\n", b"planted\0value", b"x" * (1 << 20))):
        c.call("secret.set", {"secret": name, "value": b64(value)})
    try:
        r = exited(t.run(s, ["/bin/sh", "-c", spelled("GIVEN")], secrets=[{"name": names[0], "env": "GIVEN"}]))
        equal(lines(r), [reads(ALPHA)], "what the command has")
        e = c.error("exec.run", {"sandbox": s["name"], "command": ["true"], "secrets": [names[0], names[1]]})
        invalid(e, "secrets[1].env")
        check("planted" not in str(e), "the error holds nothing of it")
        r = exited(t.run(s, ["od", "-An", "-tx1"], secrets=[{"name": names[1], "stdin": True}]))
        equal(bytes.fromhex("".join(lines(r))), b"planted\0value", "a NUL on stdin")
        r = exited(t.run(s, ["wc", "-c"], secrets=[{"name": names[2], "stdin": True}]))
        equal(lines(r), [str(1 << 20)], "as much as a secret can be")
        big = {"sandbox": s["name"], "command": ["true"], "secrets": [{"name": names[2], "env": "BIG"}]}
        invalid(c.error("exec.run", big), "secrets[0].env")
        most = (128 << 10) - len("BIG=") - 1
        c.call("secret.set", {"secret": names[2], "value": {"text": "x" * (most + 1)}})
        invalid(c.error("exec.run", big), "secrets[0].env")
        c.call("secret.set", {"secret": names[2], "value": {"text": "x" * most}})
        exited(c.call("exec.run", big, timeout=60))
        touch = {"sandbox": s["name"], "command": ["touch", "/tmp/ran"]}
        e = c.error("exec.run", {**touch, "secrets": [{"name": names[2], "env": f"BI{i}"} for i in range(9)]})
        invalid(e, "secrets")
        equal(t.run(s, ["ls", "/tmp/ran"])["exitCode"], 2, "it did not run")
        equal(c.call("secret.leases", {"secret": names[2]})["leases"], [], "leases that are left")
        e = c.error("exec.run", {"sandbox": s["name"], "command": ["true"], "secrets": ["nobody-has-it"]})
        equal((e.code, e.field), (-32001, "secrets[0].name"), f"{e}")
    finally:
        for name in names:
            c.call("secret.remove", {"secret": name})


def test_the_next_daemon_knows_who_has_what(t):
    d = t.private_daemon(CONFIG.replace("[limits]", "[daemon]\non_stop = keep\n[limits]"),
                         env={"PLANTED_ALPHA": ALPHA, "PLANTED_BETA": BETA})
    try:
        with d.client() as c:
            s = c.call("sandbox.create", {"name": "b", "workspace": t.workspace()}, timeout=60)
            x = t.run(s, ["/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; echo $ALPHA_ONE"], client=c,
                      secrets=["alpha.one"], detach=True)
            equal(leases(d), [("alpha.one", x["execId"])], "leases")
            d.process.send_signal(signal.SIGKILL)
            d.process.wait(10)
        d.start()
        with d.client() as c:
            equal(leases(d), [("alpha.one", x["execId"])], "leases of the next daemon")
            with open(os.path.join(s["workspaces"][0]["path"], "go"), "wb"):
                pass
            r = c.call("exec.wait", {"execId": x["execId"]}, timeout=60)
            equal((r["cause"], lines(r)), ("exited", [STARS]), f"{r}")
            until(lambda: not leases(d), 10, "the lease ends with its command")
    finally:
        if not d.alive():
            d.start()
        with d.client() as c:
            for s in c.call("sandbox.list")["sandboxes"]:
                c.call("sandbox.remove", {"sandbox": s["id"], "force": True}, timeout=30)


def test_by_sandboxctl(t):
    d, c = secretive(t)
    s = t.sandbox(client=c, tool="shell")
    script = spelled("ALPHA_ONE") + ";" + spelled("MINE")
    p = t.ctl("exec", "--secret", "alpha.one=ALPHA_ONE", "--secret", "beta=MINE", s["name"], "env", "-u", "X",
              "sh", "-c", script, daemon=d)
    equal((p.returncode, p.stdout.decode().splitlines()), (0, [reads(ALPHA), reads(BETA)]), p.stderr.decode())


SLOW = """
[secret slow]
provider = command
command = /bin/sh {}/provider
[secret broken]
provider = command
command = /bin/false
"""

# Answers when its file "go" is there.
PROVIDER = """cd {0} || exit 1
echo begun >>asked
while [ ! -e go ]; do sleep 0.02; done
printf %s {1}
"""


def asked(folder):
    try:
        with open(folder + "/asked", encoding="ascii") as f:
            return len(f.readlines())
    except FileNotFoundError:
        return 0


def touch(path):
    with open(path, "wb"):
        pass


def slow(t):
    """secretive(), with a secret whose provider waits, and its folder."""
    d = t.private_daemon(start=False)
    folder = os.path.join(d.top, "provider.d")
    os.mkdir(folder)
    with open(folder + "/provider", "w", encoding="ascii") as f:
        f.write(PROVIDER.format(folder, ALPHA))
    d.write_config(CONFIG + SLOW.format(folder))
    d.env = {"PLANTED_ALPHA": ALPHA, "PLANTED_BETA": BETA}
    d.start()
    t.suite.instances.add(d.instance)
    return d, t.connect(daemon=d), folder


def test_a_provider_that_takes_its_time(t):
    d, c, folder = slow(t)
    s = t.sandbox(client=c)
    params = {"sandbox": s["name"], "command": ["/bin/sh", "-c", spelled("SLOW") + ";" + spelled("BETA")],
              "secrets": ["slow", "beta"]}
    rid = c.send("exec.run", params)
    until(lambda: asked(folder) == 1, 10, "the provider is asked")
    equal(t.run(s, ["echo", "x"], client=t.connect(daemon=d))["exitCode"], 0, "others do not wait")
    equal([e["command"] for e in c.call("exec.list")["execs"]], [["echo", "x"]], "nothing has begun")
    touch(folder + "/go")
    equal(lines(exited(c.wait(rid, 30))), [reads(ALPHA), reads(BETA)], "what it has then")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")
    e = c.error("exec.run", {**params, "secrets": ["beta", "broken"]})
    check(e.code in (-32005, -32008) and ALPHA not in str(e), f"{e}")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")


def test_a_call_that_ends_before_its_secrets_are_there(t):
    d, c, folder = slow(t)
    s = t.sandbox(client=c)
    params = {"sandbox": s["name"], "command": ["touch", "/tmp/ran"], "secrets": ["beta", "slow"],
              "onDisconnect": "keep"}
    rid = c.send("exec.run", params)
    until(lambda: asked(folder) == 1, 10, "the provider is asked")
    c.notify("rpc.cancel", {"id": rid})
    try:
        r = c.wait(rid, 30)
        raise AssertionError(f"{r}")
    except RpcError as e:
        equal(e.kind, "cancelled", f"{e}")
    with d.client() as other:
        other.send("exec.run", params)
        until(lambda: asked(folder) == 2, 10, "the provider is asked again")
    until(lambda: not leases(d), 10, "what was leased is given back")
    touch(folder + "/go")
    equal(t.run(s, ["ls", "/tmp/ran"], client=c)["exitCode"], 2, "none of them ran")


def test_a_daemon_that_is_stopped_meanwhile(t):
    d, c, folder = slow(t)
    s = c.call("sandbox.create", {}, timeout=60)
    c.send("exec.run", {"sandbox": s["name"], "command": ["true"], "secrets": ["beta", "slow"]})
    until(lambda: asked(folder) == 1, 10, "the provider is asked")
    check(d.stop() in (0, -signal.SIGTERM), d.log_tail())
    d.start()
    equal(leases(d), [], "what was leased for a command that never was")


def test_a_keeper_that_dies_meanwhile(t):
    """The command waits until its sandbox is taken over, as one without secrets does."""
    d, c, folder = slow(t)
    s = t.sandbox(client=c)
    params = {"sandbox": s["name"], "command": ["echo", "ran"], "secrets": ["slow"]}
    rids = [c.send("exec.run", params) for _ in range(2)]
    until(lambda: asked(folder) == 2, 10, "the provider is asked")
    old = daemon_module.keepers(d.pid)
    daemon_module.end_pids(old)
    new = until(lambda: set(daemon_module.keepers(d.pid)) - set(old), 10, "another keeper", 0.0005)
    with daemon_module.held(new):
        touch(folder + "/go")
        until(lambda: len(c.call("secret.leases")["leases"]) == 2, 10, "both are leased")
        if not c.call("exec.list")["execs"]:  # else the keeper was faster, and they have begun
            c.notify("rpc.cancel", {"id": rids[1]})
            refused(c.failure(rids.pop(), 30), "cancelled")
            equal(len(c.call("secret.leases")["leases"]), 1, "what it had is given back")
    for rid in rids:
        equal(lines(exited(c.wait(rid, 30))), ["ran"], "it ran")


def test_the_same_call_while_its_secrets_are_leased(t):
    d, c, folder = slow(t)
    s = t.sandbox(client=c)
    params = {"sandbox": s["name"], "command": ["/bin/sh", "-c", "echo once >>/tmp/ran; cat /tmp/ran"],
              "secrets": ["slow"], "idempotencyKey": "k"}
    other = t.connect(daemon=d)
    rids = [(c, c.send("exec.run", params)), (other, other.send("exec.run", params))]
    until(lambda: asked(folder) == 2, 10, "both ask")
    touch(folder + "/go")
    results = [exited(client.wait(rid, 30)) for client, rid in rids]
    equal(results[0]["execId"], results[1]["execId"], "one command for both")
    equal(lines(results[1]), ["once"], "it ran once")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")
    equal(lines(exited(c.call("exec.run", params))), ["once"], "and again")
    equal(asked(folder), 2, "who gets a kept result leases nothing")


def test_revoked_while_it_runs(t):
    d, c = secretive(t)
    _, tree, _ = worktree(t)
    lid = loop(t, tree, client=c)["loopId"]
    s = t.sandbox(client=c)
    other = t.connect(daemon=d)
    x = t.run(s, ["sleep", "1000"], client=c, secrets=["alpha.one"], detach=True)
    free = t.run(s, ["sleep", "1000"], client=c, detach=True)
    rid = other.send("loop.run", {"loopId": lid, "tool": "shell", "prompt": "sleep 1000", "verificationCommands": ["true"]})
    until(lambda: len(leases(d)) == 3, 20, f"all are lent: {leases(d)}")
    equal(c.call("secret.revoke", {"execId": x["execId"]}), {"revoked": 1, "running": 1}, "by name, alone")
    equal(c.call("exec.get", {"execId": x["execId"]})["state"], "running", "it goes on")
    equal(c.call("secret.revokeAll", {"kill": True})["revoked"], 2, "those of the run")
    r = other.wait(rid, 30)
    equal((r["state"], r["exec"]["cause"]), ("failed", "lease_revoked"), f"{r}")
    check("lease was revoked" in r["error"], r["error"])
    check("verification" not in r["artifacts"] or not r["artifacts"]["verification"].get("success"), f"{r}")
    r = c.call("exec.wait", {"execId": x["execId"], "timeoutMs": 20000}, timeout=30)
    equal(r["cause"], "lease_revoked", "it kept what was revoked before, and ends, too")
    equal(c.call("exec.get", {"execId": free["execId"]})["state"], "running", "who never had one goes on")
    c.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)


def test_revoked_before_it_runs(t):
    d, c, folder = slow(t)
    s = t.sandbox(client=c)
    other = t.connect(daemon=d)
    params = {"sandbox": s["name"], "command": ["touch", "/tmp/ran"], "secrets": ["beta", "slow"]}
    rid = other.send("exec.run", params)
    until(lambda: asked(folder) == 1, 10, "the provider is asked")
    c.call("secret.revokeAll")
    touch(folder + "/go")
    refused(other.failure(rid, 30), "invalid_state", "cancelled")
    equal(t.run(s, ["ls", "/tmp/ran"], client=c)["exitCode"], 2, "it has not run")
    until(lambda: not leases(d), 10, f"leases that are left: {leases(d)}")


def test_revoked_by_name_before_it_runs(t):
    """Of what is in a sandbox or loop, that is to be there, too."""
    d, c, folder = slow(t)
    _, tree, _ = worktree(t)
    lid = loop(t, tree, client=c)["loopId"]
    s = t.sandbox(client=c)
    params = {"sandbox": s["name"], "command": ["touch", "/tmp/ran"], "secrets": ["beta", "slow"]}
    other = t.connect(daemon=d)
    rid = other.send("exec.run", params)
    run = other.send("loop.run", {"loopId": lid, "tool": "shell", "prompt": "true", "secrets": ["slow"]})
    until(lambda: asked(folder) == 2, 10, "the provider is asked")
    c.call("secret.revoke", {"loopId": lid})
    refused(other.failure(run, 30), "cancelled")
    equal(c.call("secret.revoke", {"sandbox": s["name"]}), {"revoked": 1, "running": 0}, "the one that was there")
    refused(other.failure(rid, 30), "invalid_state", "cancelled")
    touch(folder + "/go")
    equal(t.run(s, ["ls", "/tmp/ran"], client=c)["exitCode"], 2, "it has not run")
    c.call("loop.destroy", {"loopId": lid, "force": True}, timeout=60)


def test_revoked_while_it_is_set_up(t):
    """Its keeper is asked for pipes: nothing of it is handed over, and the key is free again."""
    d, c = secretive(t)
    s = t.sandbox(client=c)
    for kill in (False, True):
        for more in ({}, {"detach": True}, {"idempotencyKey": "k"}):
            params = {"sandbox": s["name"], "command": ["touch", "/tmp/ran"], "secrets": ["beta"], **more}
            other = t.connect(daemon=d)
            with daemon_module.held(daemon_module.keepers(d.pid)):
                rid = other.send("exec.run", params)
                until(lambda: any(e["state"] == "starting" for e in c.call("exec.list")["execs"]), 10, "it is set up")
                equal(c.call("secret.revokeAll", {"kill": kill})["revoked"], 1, "its lease")
            e = other.failure(rid, 30)
            equal((e.kind, e.field), ("invalid_state", "secrets"), f"{e}")
    equal(t.run(s, ["ls", "/tmp/ran"], client=c)["exitCode"], 2, "none of them ran")
    exited(c.call("exec.run", params, timeout=30))
    equal(t.run(s, ["ls", "/tmp/ran"], client=c)["exitCode"], 0, "the same again did")


def test_a_lease_that_is_shorter_than_its_command(t):
    d, c = secretive(t)
    s = t.sandbox(client=c)
    x = t.run(s, ["/bin/sh", "-c", "read go; " + spelled("BETA") + "; echo $BETA"], client=c, stdin="stream",
              secrets=[{"name": "beta", "ttlMs": 1000}], detach=True)
    until(lambda: not leases(d), 20, "it expires")
    equal(c.call("exec.get", {"execId": x["execId"]})["state"], "running", "the command goes on")
    c.call("exec.write", {"execId": x["execId"], "data": "\n"})
    r = exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60))
    equal(lines(r), [reads(BETA), "*" * len(BETA)], "what it has it has, and it stays covered")
