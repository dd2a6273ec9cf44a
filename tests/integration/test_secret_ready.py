# SPDX-License-Identifier: Apache-2.0
"""Which tools find their secrets, and what is said to who has none."""

import json
import os
import resource

from agent_secrets import AgentSecrets
from harness import modes
from lib import check, equal


def checks(d):
    with d.client() as c:
        return {x["name"]: x for x in c.call("system.doctor", timeout=60)["checks"]}


def test_missing(t):
    """The command that mends it is named."""
    d = t.private_daemon({})
    found = checks(d)
    claude, codex, pi = (found[f"secrets: {x}"] for x in ("claude", "codex", "pi"))
    check("secrets: shell" not in found, "a shell needs none")
    for c in (claude, codex, pi):
        equal((c["ok"], c["severity"]), (False, "optional"), f"{c}")
    equal(claude["detail"], "no claude_setup_token or claude_oauth_token", "detail")
    equal(claude["hint"], "claude setup-token, then sandboxctl secret set claude_setup_token", "hint")
    check(not any("fix" in c for c in (claude, codex, pi)), "it takes a person, and what to do is in the hint")
    equal(codex["hint"], "codex login, then sandboxctl secret set codex_auth_json --file ~/.codex/auth.json", "hint")
    equal(pi["detail"], "no anthropic_api_key, openai_api_key or gemini_api_key", "detail")
    equal(pi["hint"], "sandboxctl secret set anthropic_api_key", "hint")
    check("agent-secrets" not in found, "agent-secrets is not used")
    d.stop()


def test_elsewhere(t):
    """Of what does not come from the store, its own provider is named; an alternative is enough."""
    path = os.path.join(t.workspace(), "key")
    d = t.private_daemon(
        {
            "secret openai_api_key": {"provider": "file", "path": path},
            "tool filed": {"prompt": "filed", "secret": "openai_api_key -> env KEY"},
            "secret claude_oauth_token": {"provider": "env", "variable": "SBT_TOKEN"},
            "secret codex_auth_json": {"provider": "systemd", "credential": "codex"},
            "secret gemini_api_key": {"provider": "command", "command": "/bin/echo key"},
            "secret anthropic_api_key": {"provider": "command", "command": "/nonexistent/helper"},
            "tool mine": {"prompt": "mine", "secret": "anthropic_api_key -> env KEY"},
            "tool broken": {"prompt": "broken", "secret": "odd -> env KEY"},
            "secret odd": {"provider": "env"},
        },
        env={"SBT_TOKEN": "planted-value"},
    )
    found = checks(d)
    claude = found["secrets: claude"]
    equal((claude["ok"], claude["detail"]), (True, "claude_oauth_token is there"), "claude")
    equal(found["secrets: codex"]["hint"], "LoadCredential=codex in sandboxd.service", "codex")
    equal((found["secrets: pi"]["ok"], found["secrets: pi"]["detail"]), (True, "gemini_api_key is there"), "pi")
    equal(found["secrets: mine"]["hint"], "install /nonexistent/helper", "mine")
    check("mend its section" in found["secrets: broken"]["hint"], f"{found['secrets: broken']}")
    equal(found["secrets: filed"]["hint"], f"put it in {path}", "filed")
    with d.client() as c:
        rows = {x["secret"]: x for x in c.call("secret.list")["secrets"]}
    for name, mend in (
        ("openai_api_key", f"put it in {path}"),
        ("codex_auth_json", "LoadCredential=codex"),
        ("anthropic_api_key", "install /nonexistent/helper"),
        ("odd", "the configuration of secret odd"),
    ):
        equal(rows[name]["available"], False, name)
        check(mend in rows[name]["problem"], f"{rows[name]}")
    equal((rows["gemini_api_key"]["available"], rows["gemini_api_key"].get("problem")), (True, None), "is there")
    check("planted-value" not in str(found), "a value is told")
    with open(path, "w", encoding="ascii") as f:
        f.write("planted-value")
    found = checks(d)
    equal(found["secrets: filed"]["detail"], "openai_api_key is there", "filed")
    check("planted-value" not in str(found), "a value is told")
    d.stop()


def test_store(t):
    """Where its key comes from; and what is wrong with it, and what would help."""
    d = t.private_daemon({})
    store = checks(d)["secret store"]
    key = os.path.join(d.state, "secrets.key")
    equal((store["ok"], store["detail"]), (True, f"open; key: auto, the file {key}"), "as it is made")
    d.stop()
    d.write_config({"secrets": {"key": f"key-file {key}"}})
    d.start()
    equal(checks(d)["secret store"]["detail"], f"open; key: key-file {key}", "as the configuration has it")
    d.stop()
    with open(key, "w", encoding="ascii") as f:
        f.write("00" * 32)
    d.start()
    store = checks(d)["secret store"]
    equal((store["ok"], store["severity"]), (False, "optional"), "another key")
    check("is not the one it was made with" in store["detail"] and "[secrets] key" in store["hint"], f"{store}")
    equal(checks(d)["audit log"]["ok"], False, "its key is the store's")
    d.stop()


def test_audit(t):
    """Whether this daemon has checked it, and what it found."""
    d = t.private_daemon({})
    with d.client() as c:
        c.call("secret.set", {"secret": "mine", "value": {"text": "planted-value"}})
        log = checks(d)["audit log"]
        equal(log["ok"], None, "not yet")
        entries = len(c.call("audit.list")["entries"])
        check(f"verify checks its {entries} entries" in log["detail"], f"{log} {c.call('audit.list')}")
        c.call("audit.verify")
        log = checks(d)["audit log"]
        check(log["ok"] is True and log["detail"].startswith("as it was written, at 20"), f"{log}")
        (name,) = os.listdir(os.path.join(d.state, "audit"))
        with open(os.path.join(d.state, "audit", name), "r+", encoding="ascii") as f:
            text = f.read().replace("mine", "mean")
            f.seek(0)
            f.write(text)
        c.call("audit.verify")
        log = checks(d)["audit log"]
        equal((log["ok"], log["hint"]), (False, "sandboxctl audit verify"), f"{log}")
        check("was not as it was written" in log["detail"], f"{log}")
    d.stop()


@modes("user")  # root may lock anyway
def test_memory(t):
    """What keeps values off the disk, of the daemon and not of who asks."""
    d = t.private_daemon({})
    equal(checks(d)["memory lock"]["ok"], True, "as it is")
    resource.prlimit(d.pid, resource.RLIMIT_MEMLOCK, (65536, 65536))
    lock = checks(d)["memory lock"]
    equal((lock["ok"], "64 KiB" in lock["detail"]), (False, True), f"{lock}")
    with open("/proc/swaps", encoding="ascii") as f:
        plain = [x for x in f.readlines()[1:] if not x.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper"))]
    check(checks(d)["swap"]["ok"] or plain or os.path.exists("/dev/dm-0"), "swap")
    d.stop()


def test_agent_secrets(t):
    """It is asked how it is, by a process that may wait for it."""
    path = os.path.join(t.workspace(), "agent-secrets.sock")
    d = t.private_daemon(
        {
            "secrets": {"agent_secrets_socket": path},
            "secret claude_setup_token": {"provider": "agent-secrets"},
        }
    )
    found = checks(d)
    equal(found["secrets: claude"]["hint"], "secrets serve", "nobody is there")
    equal((found["agent-secrets"]["ok"], found["agent-secrets"]["hint"]), (False, "secrets serve"), "nobody is there")
    with AgentSecrets(path, {"claude_setup_token": "planted-value", "other": "x"}) as a:
        found = checks(d)
        equal(found["secrets: claude"]["ok"], True, "claude")
        equal(found["agent-secrets"]["detail"], "answers: 2 secrets, 0 leases", "health")
        a.answer = lambda _: b'{"jsonrpc":"2.0","id":1,"result":{"total_secrets":"planted-value"}}\n'
        found = checks(d)
        equal(found["agent-secrets"]["ok"], False, "a bad answer")
        check("planted-value" not in str(found), "what it says is told")
    d.stop()


def test_sandboxctl(t):
    """`secret ls` and `doctor` say it, too; doctor also where no daemon runs, without it."""
    d = t.private_daemon({})
    env = {"SANDBOXD_SOCKET": d.socket}
    lines = t.ctl("secret", "ls", env=env).stdout.decode().splitlines()
    claude = next(x.split() for x in lines if x.startswith("claude"))
    equal(claude[1:3], ["false", "claude_setup_token"], "claude")
    check(" ".join(claude).endswith("sandboxctl secret set claude_setup_token"), f"{claude}")
    t.ctl("secret", "set", "claude_setup_token", env=env, stdin=b"planted-value\n")
    lines = t.ctl("secret", "ls", env=env).stdout.decode().splitlines()
    check(any(x.split()[:2] == ["claude", "true"] for x in lines), f"{lines}")
    doctor = t.ctl("doctor", env=env).stdout.decode()
    check("secrets: claude    claude_setup_token is there" in doctor, doctor)
    found = {x["name"]: x for x in json.loads(t.ctl("-o", "json", "doctor", env=env).stdout)["checks"]}
    equal(found["secrets: claude"]["ok"], True, "claude")
    equal(found["secrets: gemini"]["hint"], "sandboxctl secret set gemini_api_key", "hint")
    d.stop()
    check("secrets:" not in t.ctl("doctor", env=env).stdout.decode(), "without a daemon")
