# SPDX-License-Identifier: Apache-2.0
"""Secrets at the command line: what somebody typed is what an error speaks of."""

import json

import tokens
from lib import check, equal

CONFIG = """
[limits]
pool_memory = 0
[secrets]
max_ttl = 2h
[secret token]
provider = env
variable = PLANTED_TOKEN
[secret other]
provider = env
variable = PLANTED_OTHER
[tool with-file]
version = 1
node_version = none
install = :
run = sh -c
prompt = sh {args}
secret = not-there -> file ~/.with-file/token
"""
TOKEN = "planted-token-0123456789"
OTHER = "planted-other-9876543210"


def started(t):
    d = t.private_daemon(CONFIG, env={"PLANTED_TOKEN": TOKEN, "PLANTED_OTHER": OTHER})
    return d, t.connect(daemon=d)


def said(p, status, *parts):
    """It failed, and its one line has all PARTS."""
    text = p.stderr.decode()
    equal((p.returncode, p.stdout, text.count("\n")), (status, b"", 1), text)
    for part in parts:
        check(part in text, f"{part!r} is not in {text!r}")
    return text


def test_errors_name_options(t):
    d, c = started(t)
    s = t.sandbox(client=c)

    def ctl(*args):
        return t.ctl(*args, daemon=d)

    text = said(ctl("secret", "lease", "token", "--ttl", "3h"), 1, "from 1s to 2h", "(--ttl)")
    check("ttlMs" not in text, text)
    said(ctl("secret", "lease", "token", "--ttl", "1h", "--renew"), 1, "(--renew)", "--exec")
    said(ctl("secret", "revoke"), 2, "--exec, --sandbox, --loop or --all")
    said(ctl("secret", "revoke", "--kill"), 2, "--all")
    said(ctl("secret", "rm", "no-such"), 1, "no secret no-such: sandboxctl secret set no-such stores one")
    text = said(ctl("secret", "revoke", "nobodys"), 1, "no lease nobodys")
    check("(" not in text, text)
    said(ctl("secret", "lease", "a/b", "--ttl", "1h"), 1, "the name of a secret: letters")
    said(ctl("exec", "--user", "!", s["name"], "true"), 125, "--user")
    said(ctl("exec", "--secret", "token", "--secret", "a b", s["name"], "true"), 125, "(--secret)")
    said(ctl("create", "--memory", "1", "shell", t.workspace()), 1, "--memory is out of range: 8M to 8192T")
    said(ctl("secret", "lease", "token", "--ttl", "0s"), 1, "--ttl")
    said(ctl("pool", "set", "host"), 1, "--max-age", "(--min)")
    # which is not what a script gets that asks for the RPC
    said(ctl("rpc", "secret.lease", '{"secret": "token", "ttlMs": 1}'), 1, "ttlMs is out of range: 1000 to")


def error_of(p, status):
    """What a script gets: one line of JSON."""
    text = said(p, status)
    answer = json.loads(text)
    equal(list(answer), ["error"], text)
    equal(list(answer["error"]), ["code", "kind", "message", "field", "hint"], text)
    return answer["error"]


def test_errors_as_json(t):
    d, _ = started(t)

    def ctl(*args):
        return t.ctl("-o", "json", *args, daemon=d)

    e = error_of(ctl("secret", "lease", "token", "--ttl", "3h"), 1)
    equal((e["code"], e["kind"], e["field"]), (-32602, "invalid_params", "ttlMs"), "refused")
    check("7200000" in e["message"] and e["hint"] is None, str(e))
    e = error_of(ctl("secret", "rm", "no-such"), 1)
    equal((e["code"], e["hint"]), (-32001, "sandboxctl secret set no-such stores one"), "with a hint")
    equal(error_of(ctl("rpc", "no.such"), 1)["code"], -32601, "rpc")
    equal(error_of(ctl("exec", "nobody", "true"), 125)["kind"], "not_found", "of a command")
    e = error_of(ctl("secret", "lease", "token"), 2)
    equal((e["code"], e["kind"], e["field"]), (None, "client", None), "wrong usage")
    e = error_of(ctl("--socket", "/nowhere/sandboxd.sock", "ls"), 1)
    equal((e["code"], e["kind"]), (None, "unreachable"), "no daemon")
    check("--raw" in error_of(ctl("secret", "lease", "token", "--ttl", "1h", "--raw"), 2)["message"], "--raw")
    equal(error_of(t.ctl("secret", "rm", "-o", "json", "no-such", daemon=d), 1)["field"], "secret", "behind the verb")


def test_short_lease(t):
    """Of what is not good for as long as was asked, sandboxctl says so."""
    d, c = started(t)
    c.call("secret.set", {"secret": "login", "value": {"text": tokens.login(1, life=3600)}})

    def lease(*args):
        p = t.ctl("secret", "lease", *args, daemon=d)
        equal(p.returncode, 0, p.stderr.decode())
        return p.stderr.decode()

    check("it ends at 20" in lease("login", "--ttl", "2h"), "of a token that ends earlier")
    equal(lease("login", "--ttl", "2h", "--raw"), "", "with --raw")
    equal(lease("login", "--ttl", "10min"), "", "for less")
    equal(lease("token", "--ttl", "2h"), "", "of what does not end")


UNNAMED = "npm_config_//registry.example.org/:_authToken"  # a variable that no shell can name


def test_forms(t):
    """In a variable, in a file, on stdin; for one command, a run on the terminal and one in a loop."""
    d, c = started(t)
    s = t.sandbox(client=c, tool="with-file")["name"]
    home = {"HOME": "/home/somebody"}  # ~ as a shell of his has replaced it

    def ctl(*args, status=0):
        p = t.ctl(*args, daemon=d, env=home)
        equal(p.returncode, status, p.stderr.decode())
        return p.stdout.decode() if status == 0 else p.stderr.decode()

    look = "cat ~/.with-file/token; printf ' '; cat; printf ' %s' \"$A\""
    forms = ["--secret-file", "other=/home/somebody/.with-file/token", "--secret-stdin", "token", "--secret", "token=A"]
    equal(ctl("exec", *forms, s, "sh", "-c", look), f"{OTHER} {TOKEN} {TOKEN}", "all three")
    look = "cat ~/.with-file/token; printenv TOKEN"
    forms = ["--secret-file", "other=~/.with-file/token", "--secret", "token"]
    equal(ctl("run", *forms, "--name", s, "with-file", t.workspace(), "--", look), f"{OTHER}{TOKEN}\n", "run")
    equal(ctl("exec", s, "ls", "-A", ".", "/home/agent/.with-file").split()[-1], "/home/agent/.with-file:", "it is gone")
    for args, text in (
        (["--secret-stdin", "token", "-i", s, "cat"], "(--secret-stdin): leave out one of them"),
        (["--secret", "token=A", "--secret-file", "other=/etc/x", s, "true"], "(--secret-file): ~/DIRECTORY/NAME"),
        (["--secret-file", "other", s, "true"], "--secret-file other"),
        (["--secret-file", "=x", s, "true"], "--secret-file =x"),
        (["--secret", "token=", s, "true"], "--secret"),
    ):
        check(text in ctl("exec", *args, status=125), f"{args}: {text}")
    equal(ctl("exec", "--secret", "token=" + UNNAMED, s, "printenv", UNNAMED), TOKEN + "\n", "as a secret")
    equal(ctl("exec", "--env", UNNAMED + "=x", s, "printenv", UNNAMED), "x\n", "as any other")


def test_loop_run(t):
    d, c = started(t)
    c.call("loop.create", {"loopId": "7", "workDir": t.workspace(), "tools": ["with-file"]}, timeout=60)

    def run(*args):
        return t.ctl("loop", "run", *args, "7", "with-file", "cat ~/.with-file/token | wc -c", daemon=d)

    p = run("--secret-file", "other=~/.with-file/token")
    equal((p.returncode, p.stdout.strip()), (0, b"%d" % len(OTHER)), p.stderr.decode())
    said(run("--secret-stdin", "token"), 125, "unknown option --secret-stdin")
